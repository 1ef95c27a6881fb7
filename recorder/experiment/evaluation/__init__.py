"""Evaluation of policies: simulators, seeds, worker processes."""
