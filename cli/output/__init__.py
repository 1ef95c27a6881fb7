"""Reporters: results as text, JSON and Markdown."""
