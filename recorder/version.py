"""The version of this package, from which its build takes it; nothing else."""

VERSION = "0.1.0"
