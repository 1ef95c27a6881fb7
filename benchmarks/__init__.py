"""Benchmarks of exprec against named references, on the same work and interleaved: `python -m benchmarks`."""
