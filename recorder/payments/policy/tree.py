"""Compiled policies: the liquidity that an agent allocates, and its decision on each queued payment.

Policy documents must be valid (`check_policy` returns no problem) before they are compiled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from exprec.recorder.errors import SimulationError
from exprec.recorder.payments.payment import Payment
from exprec.recorder.payments.policy.expressions import Test, UndefinedError, compile_test, compile_value
from exprec.recorder.payments.policy.fields import DecisionContext

LIQUIDITY_FRACTION = "initial_liquidity_fraction"
"""The parameter that sets the part of its liquidity pool that an agent allocates, 0 to 1."""
DEFAULT_LIQUIDITY_FRACTION = 0.5


Decide = Callable[[DecisionContext, Payment], int]


@dataclass(frozen=True, slots=True)
class ActionNode:
    """A leaf of the tree; `decide` returns HOLD, RELEASE or the number of parts of a split."""

    node_id: str
    decide: Decide


@dataclass(frozen=True, slots=True)
class ConditionNode:
    """An inner node: a condition and the two nodes that it selects from."""

    node_id: str
    test: Test
    on_true: Node
    on_false: Node


Node = ActionNode | ConditionNode


@dataclass(frozen=True, slots=True)
class Policy:
    """A compiled policy.

    Attributes:
        fraction: The part of the liquidity pool to allocate, 0 to 1.
        tree: The decision tree for payments.
        always: The decision of a tree that is a single leaf without a split, which need not be walked; else None.
        HOLD, RELEASE: Decisions are the number of payments to submit: none, or the payment itself; 2 or more split it.
    """

    HOLD: ClassVar[int] = 0
    RELEASE: ClassVar[int] = 1

    fraction: float
    tree: Node
    always: int | None

    @classmethod
    def release_all(cls, fraction: float) -> Policy:
        """Return the policy that releases every payment at once, for an agent without a policy document."""
        return cls(fraction, ActionNode("fifo", lambda _context, _payment: cls.RELEASE), cls.RELEASE)

    def allocated(self, pool: int) -> int:
        """Return the liquidity allocated from a pool, both in cents, rounded down."""
        return math.floor(float(pool) * self.fraction)

    def decide(self, context: DecisionContext, payment: Payment) -> int:
        """Return HOLD, RELEASE or the number of parts to split the payment into.

        Raises:
            SimulationError: The tree computes something undefined; the message names agent, tick and node.
        """
        node = self.tree
        try:
            while isinstance(node, ConditionNode):
                node = node.on_true if node.test(context, payment) else node.on_false
            return node.decide(context, payment)
        except UndefinedError as error:
            location = f"agent '{context.agent}', tick {context.tick}, node '{node.node_id}'"
            raise SimulationError(f"{location}: {error}", agent=context.agent) from None


def default_policy() -> dict[str, Any]:
    """Return the policy document that an optimization starts from: allocate half of the pool, release at once."""
    return {
        "version": "2.0",
        "policy_id": "start",
        "parameters": {LIQUIDITY_FRACTION: DEFAULT_LIQUIDITY_FRACTION},
        "payment_tree": {"type": "action", "node_id": "release", "action": "Release"},
    }


def compile_policy(document: Mapping[str, Any]) -> Policy:
    """Compile a valid policy document. Without a fraction in it, half of the liquidity pool is allocated."""
    parameters = document.get("parameters", {})
    fraction = parameters.get(LIQUIDITY_FRACTION, document.get(LIQUIDITY_FRACTION, DEFAULT_LIQUIDITY_FRACTION))
    tree = document["payment_tree"]
    is_leaf = tree["type"] == "action"
    return Policy(
        fraction=float(fraction),
        tree=_compile_node(tree, parameters),
        always=_SIMPLE_DECISIONS.get(tree["action"]) if is_leaf else None,
    )


_SIMPLE_DECISIONS = {"Hold": Policy.HOLD, "Release": Policy.RELEASE, "ReleaseWithCredit": Policy.RELEASE}


def _compile_node(node: Mapping[str, Any], parameters: Mapping[str, float]) -> Node:
    if node["type"] == "condition":
        return ConditionNode(
            node["node_id"],
            compile_test(node["condition"], parameters),
            _compile_node(node["on_true"], parameters),
            _compile_node(node["on_false"], parameters),
        )
    decision = _SIMPLE_DECISIONS.get(node["action"])
    if decision is None:
        return ActionNode(node["node_id"], _compile_split(node["parameters"]["num_splits"], parameters))
    return ActionNode(node["node_id"], lambda _context, _payment: decision)


def _compile_split(num_splits: Mapping[str, Any], parameters: Mapping[str, float]) -> Decide:
    compute_count = compile_value(num_splits, parameters)

    def decide(context: DecisionContext, payment: Payment) -> int:
        count = compute_count(context, payment)
        # These comparisons also reject NaN (here) and infinity (below), for which int() raises.
        if not count >= 2.0:
            raise UndefinedError(f"num_splits is {count:g}; a payment splits into at least 2 parts")
        if count >= payment.amount + 1:
            raise UndefinedError(f"num_splits is {count:g}, but the payment has only {payment.amount} cents")
        return int(count)

    return decide
