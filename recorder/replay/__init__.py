"""The verdict on a run that was executed again."""
