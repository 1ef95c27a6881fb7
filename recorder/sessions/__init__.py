"""Recording sessions: the life cycle of a run, Python programs, commands."""
