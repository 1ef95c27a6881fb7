"""The loops that are measured, each called in a process of its own (see `worker`); what they return is JSON."""
