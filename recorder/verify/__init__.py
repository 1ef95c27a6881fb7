"""Proof that a run is what its run id says, and that a store is whole."""

from __future__ import annotations

from exprec.recorder.verify.result import VerificationResult
from exprec.recorder.verify.run import verify, verify_run
from exprec.recorder.verify.store import verify_store

__all__ = ["VerificationResult", "verify", "verify_run", "verify_store"]
