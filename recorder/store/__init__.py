"""The store on disk: the log, the run directory, the seal, the address, the folder of runs.

It records any experiment and knows none.
"""
