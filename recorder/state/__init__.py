"""What a log adds up to: one protocol, one fold, and the two providers that share it.

It neither writes files nor prints.
"""
