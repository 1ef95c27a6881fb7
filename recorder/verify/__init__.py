"""Proof that a run is what its run id says."""
