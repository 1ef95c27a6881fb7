"""Comparison of two runs: config, events, exchanges, files."""
