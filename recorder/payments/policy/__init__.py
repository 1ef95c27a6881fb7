"""Policies of the payment simulator: decision trees that are evaluated for each queued payment in each tick."""

from exprec.recorder.payments.policy.checks import Finding, check_policy, encoding_problems
from exprec.recorder.payments.policy.fields import FIELDS, DecisionContext
from exprec.recorder.payments.policy.tree import (
    DEFAULT_LIQUIDITY_FRACTION,
    LIQUIDITY_FRACTION,
    Policy,
    compile_policy,
    default_policy,
)

__all__ = [
    "DEFAULT_LIQUIDITY_FRACTION",
    "FIELDS",
    "LIQUIDITY_FRACTION",
    "DecisionContext",
    "Finding",
    "Policy",
    "check_policy",
    "compile_policy",
    "default_policy",
    "encoding_problems",
]
