"""Runs in git: what a revision or the index has of a store, what a branch did to it, and how a clone is set up."""
