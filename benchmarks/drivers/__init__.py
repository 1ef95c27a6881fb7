"""Drivers: the measured functions. Each runs in a process of its own and returns JSON types."""
