"""Scenarios of the payment simulator: agents, arrivals, scheduled events."""
