"""Measurements of speed, each against something that is run beside it on the same machine."""
