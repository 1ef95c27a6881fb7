"""Policies of the payment simulator: decision trees, fields, expressions."""
