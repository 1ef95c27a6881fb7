"""Measurements of exprec beside its references, on the same work and in one run: `python -m benchmarks`."""
