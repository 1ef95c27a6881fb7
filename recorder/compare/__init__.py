"""Comparison of recorded values: what differs, and where.

It neither reads runs nor prints.
"""
