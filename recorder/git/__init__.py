"""Runs in git: revisions, the index, branches."""
