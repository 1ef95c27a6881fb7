"""A policy, compiled: how much liquidity an agent allocates and what it does with a queued payment.

It expects documents that passed the checks of `policy_checks`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from exprec.recorder.errors import SimulationError
from exprec.recorder.payments.payment import Payment
from exprec.recorder.payments.policy.expressions import Test, UndefinedError, compile_test, compile_value
from exprec.recorder.payments.policy.fields import View

FRACTION = "initial_liquidity_fraction"
DEFAULT_FRACTION = 0.5
HOLD, RELEASE = 0, 1
"""In how many parts a payment is submitted: none, or itself. More parts are a split."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """An action; `parts` gives HOLD, RELEASE or a number of parts."""

    node_id: str
    parts: Callable[[View, Payment], int]


@dataclass(frozen=True, slots=True)
class Branch:
    """A condition and the nodes it chooses between."""

    node_id: str
    test: Test
    on_true: Node
    on_false: Node


Node = Leaf | Branch


@dataclass(frozen=True, slots=True)
class Policy:
    """What an agent does.

    `fraction` of its liquidity pool is allocated; `always` is the decision of a tree that is one leaf
    without a split, so that such a tree need not be walked.
    """

    fraction: float
    tree: Node
    always: int | None

    def allocated(self, pool: int) -> int:
        """The part of a pool that is allocated, in cents, rounded down."""
        return math.floor(float(pool) * self.fraction)

    def parts(self, view: View, payment: Payment) -> int:
        """HOLD, RELEASE or the number of parts to submit the payment in.

        Raises SimulationError, naming agent, tick and node, where the tree asks for something undefined.
        """
        node = self.tree
        try:
            while isinstance(node, Branch):
                node = node.on_true if node.test(view, payment) else node.on_false
            return node.parts(view, payment)
        except UndefinedError as error:
            place = f"agent '{view.agent}', tick {view.tick}, node '{node.node_id}'"
            raise SimulationError(f"{place}: {error}", agent=view.agent) from None


def fifo_policy(fraction: float) -> Policy:
    """The policy of an agent without a document: release every payment at once."""
    return Policy(fraction, Leaf("fifo", lambda _view, _payment: RELEASE), RELEASE)


def start_document() -> dict[str, Any]:
    """The policy document that an optimisation starts from: half of the pool, release at once."""
    return {
        "version": "2.0",
        "policy_id": "start",
        "parameters": {FRACTION: DEFAULT_FRACTION},
        "payment_tree": {"type": "action", "node_id": "release", "action": "Release"},
    }


def compile_policy(document: Mapping[str, Any]) -> Policy:
    """Compile a valid policy document."""
    parameters = document.get("parameters", {})
    fraction = parameters.get(FRACTION, document.get(FRACTION, DEFAULT_FRACTION))
    tree = document["payment_tree"]
    is_leaf = tree["type"] == "action"
    return Policy(
        fraction=float(fraction),
        tree=_compile_node(tree, parameters),
        always=_WITHOUT_SPLIT.get(tree["action"]) if is_leaf else None,
    )


_WITHOUT_SPLIT = {"Hold": HOLD, "Release": RELEASE, "ReleaseWithCredit": RELEASE}


def _compile_node(node: Mapping[str, Any], parameters: Mapping[str, float]) -> Node:
    if node["type"] == "condition":
        return Branch(
            node["node_id"],
            compile_test(node["condition"], parameters),
            _compile_node(node["on_true"], parameters),
            _compile_node(node["on_false"], parameters),
        )
    decision = _WITHOUT_SPLIT.get(node["action"])
    if decision is None:
        return Leaf(node["node_id"], _split(node["parameters"]["num_splits"], parameters))
    return Leaf(node["node_id"], lambda _view, _payment: decision)


def _split(num_splits: Mapping[str, Any], parameters: Mapping[str, float]) -> Callable[[View, Payment], int]:
    number = compile_value(num_splits, parameters)

    def parts(view: View, payment: Payment) -> int:
        count = number(view, payment)
        # Written so that NaN fails here, and infinity below, before either meets int().
        if not count >= 2.0:
            raise UndefinedError(f"num_splits is {count:g}; a payment splits into at least 2 parts")
        if count >= payment.amount + 1:
            raise UndefinedError(f"num_splits is {count:g}, but the payment has only {payment.amount} cents")
        return int(count)

    return parts
