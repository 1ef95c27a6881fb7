"""Everything that a policy may not say, refused before the first tick, naming node or parameter."""

from __future__ import annotations

from typing import Any

import pytest

from exprec.recorder.payments import PaymentSimulator, check_policy
from exprec.recorder.payments.policy.checks import MAX_CONDITIONS
from tests.fixtures.payments import Json, agent, branch, compare, leaf, policy, scenario

_TRUE = {"op": "and", "conditions": []}
_NO_ACTION = leaf("NoAction", "none")


def _tree(condition: Any = _TRUE, **changes: Any) -> Json:
    return branch(condition, leaf(node_id="yes"), leaf("Hold", "no"), "root") | changes


def _less(left: Any, right: Any = None) -> Json:
    return compare(left, "<", right or {"value": 1})


def _calculated(op: Any, **operands: Any) -> Json:
    return _less({"compute": {"op": op, **operands}})


_ONE = {"value": 1}
_REFUSED: list[tuple[Json, str, str]] = [
    ({**policy(), "version": 2}, "version", "must be a string, not 2"),
    ({**policy(), "description": 5}, "description", "must be a string or null"),
    ({**policy(), "parameters": None}, "parameters", "must be a mapping, not null"),
    *(({**policy(), "parameters": {"p": value}}, "parameters.p", "must be a number") for value in (True, "1", None)),
    (policy(fraction=1.01), "parameters.initial_liquidity_fraction", "must be at most 1, not 1.01"),
    (policy(fraction=-0.1), "parameters.initial_liquidity_fraction", "must be at least 0"),
    ({**policy(), "initial_liquidity_fraction": 2}, "initial_liquidity_fraction", "must be at most 1, not 2"),
    (policy(fraction=float("inf")), "parameters.initial_liquidity_fraction", "inf is not a number that JSON has"),
    ({**policy(), "payment_tree": None}, "payment_tree", "must be a mapping, not null"),
    # Nodes.
    (policy(_tree(type="loop")), "payment_tree.type", "node 'root': must be one of 'condition', 'action', not 'loop'"),
    (policy(_tree(on_true={"type": "action", "action": "Hold"})), "payment_tree.on_true.node_id",
     "node 'root': this key is required and missing"),
    (policy(_tree(on_false=leaf(node_id="yes"))), "payment_tree.on_false.node_id",
     "node 'yes': the node_id 'yes' stands at payment_tree.on_true already"),
    (policy(_tree(on_false=leaf("release", "low"))), "payment_tree.on_false.action",
     "node 'low': must be one of 'Release', 'ReleaseWithCredit', 'Hold', 'Split', 'PaceAndRelease', not 'release'"),
    *((policy(leaf(action)), "payment_tree.action", f"node 'leaf': must be one of 'Release', 'ReleaseWithCredit', "
       f"'Hold', 'Split', 'PaceAndRelease', not '{action}'")
      for action in ("Drop", "StaggerSplit", "Reprioritize", "WithdrawFromRtgs", "ResubmitToRtgs")),
    (policy({**leaf(), "parameters": None}), "payment_tree.parameters", "node 'leaf': must be a mapping, not null"),
    (policy(leaf(priority_flag=_ONE)), "payment_tree.parameters.priority_flag",
     "node 'leaf': a mapping is refused: this parameter is not modelled"),
    (policy(leaf("Hold", timed_for_tick=_ONE)), "payment_tree.parameters.timed_for_tick", "is refused"),
    (policy(leaf(amount=5)), "payment_tree.parameters.amount", "node 'leaf': must be a mapping, not 5"),
    (policy(leaf("Split")), "payment_tree.parameters", "node 'leaf': this key is required and missing"),
    (policy(leaf("Split", num_splits=3)), "payment_tree.parameters.num_splits", "must be a mapping, not 3"),
    (policy(leaf("Split", num_splits={"value": True})), "payment_tree.parameters.num_splits.value",
     "node 'leaf': true is refused"),
    (policy(leaf("Split", other=_ONE)), "payment_tree.parameters.num_splits", "missing"),
    # Conditions.
    (policy(_tree(None)), "payment_tree.condition", "node 'root': must be a mapping, not null"),
    (policy(_tree(compare(_ONE, "=<", _ONE))), "payment_tree.condition.op", "node 'root': must be one of"),
    (policy(_tree({"op": "<", "left": _ONE})), "payment_tree.condition.right", "missing"),
    (policy(_tree({"op": "and"})), "payment_tree.condition.conditions", "missing"),
    (policy(_tree({"op": "not"})), "payment_tree.condition.condition", "missing"),
    (policy(_tree({"op": "or", "conditions": [{"op": "xor"}]})), "payment_tree.condition.conditions[0].op",
     "node 'root': must be one of"),
    # Values.
    (policy(_tree(_less(5))), "payment_tree.condition.left", "must be a mapping, not 5"),
    (policy(_tree(_less("amount"))), "payment_tree.condition.left", "must be a mapping, not 'amount'"),
    (policy(_tree(_less({"const": 5}))), "payment_tree.condition.left",
     "node 'root': must have one of the keys field, param, value, compute"),
    (policy(_tree(_less({"field": "balanc"}))), "payment_tree.condition.left.field", "did you mean 'balance'?"),
    (policy(_tree(_less({"field": "Balance"}))), "payment_tree.condition.left.field", "not 'Balance'"),
    (policy(_tree(_less({"value": "5"}))), "payment_tree.condition.left.value", "must be a number or true or false"),
    (policy(_tree(_less({"value": None}))), "payment_tree.condition.left.value", "not null"),
    (policy(_tree(_less({"param": "urgncy"})), urgency=3), "payment_tree.condition.left.param",
     "node 'root': 'urgncy' is an unknown parameter; did you mean 'urgency'?"),
    (policy(leaf("Split", num_splits={"param": "n"})), "payment_tree.parameters.num_splits.param",
     "node 'leaf': 'n' is an unknown parameter (known: none)"),
    # Calculations.
    (policy(_tree(_calculated("%", left=_ONE, right=_ONE))), "payment_tree.condition.left.compute.op", "not '%'"),
    (policy(_tree(_calculated("max", values=[]))), "payment_tree.condition.left.compute.values", "at least 1 item"),
    (policy(_tree(_calculated("clamp", value=_ONE, min=_ONE))), "payment_tree.condition.left.compute.max", "missing"),
    (policy(_tree(_calculated("div0", numerator=_ONE, denominator=_ONE))),
     "payment_tree.condition.left.compute.default", "missing"),
    *((policy(_tree(_calculated("/", left=_ONE, right={"value": zero}))),
       "payment_tree.condition.left.compute.right.value", "node 'root': must not be 0")
      for zero in (0, 0.0, -0.0, False)),
    (policy(_tree({"op": "not", "condition": {"op": "or", "conditions": [
        _TRUE, _calculated("max", values=[_ONE, {"compute": {"op": "abs", "value": {"param": "x"}}}])]}})),
     "payment_tree.condition.condition.conditions[1].left.compute.values[1].compute.value.param",
     "node 'root': 'x' is an unknown parameter"),
    # The other trees.
    ({**policy(), "bank_tree": leaf("SetReleaseBudget", "b")}, "bank_tree.action",
     "node 'b': 'SetReleaseBudget' is refused: the actions of a bank tree are not modelled"),
    ({**policy(), "bank_tree": branch({}, _NO_ACTION, leaf("Release", "b"), "t")}, "bank_tree.on_false.action",
     "node 'b': 'Release' is refused"),
    ({**policy(), "bank_tree": branch({}, None, _NO_ACTION, "t")}, "bank_tree.on_true", "not null"),  # type: ignore[arg-type]
    ({**policy(), "strategic_collateral_tree": leaf("PostCollateral", "c")}, "strategic_collateral_tree.action",
     "node 'c': 'PostCollateral' is refused: collateral is not modelled"),
    ({**policy(), "end_of_tick_collateral_tree": leaf("WithdrawCollateral", "c")},
     "end_of_tick_collateral_tree.action", "node 'c': 'WithdrawCollateral' is refused"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "key", "words"), _REFUSED, ids=lambda part: str(part)[:70])
def test_what_is_refused(document: Json, key: str, words: str) -> None:
    (problem,) = check_policy(document)
    assert problem.key == key
    assert words in problem.message


@pytest.mark.parametrize("key", ["version", "policy_id", "payment_tree"])
def test_what_is_required(key: str) -> None:
    document = policy()
    del document[key]
    (problem,) = check_policy(document)
    assert (problem.path, problem.message) == ((key,), "this key is required and missing")


@pytest.mark.parametrize(
    "document",
    [
        {**policy(), "author": "someone", "payment_tree": {**leaf(), "comment": {"param": "x"}}},
        {**policy(fraction=0.5), "initial_liquidity_fraction": "ignored"},
        {**policy(), "description": None, "bank_tree": None, "strategic_collateral_tree": None},
        {**policy(), "bank_tree": branch({"op": "unread"}, _NO_ACTION, _NO_ACTION, "t")},
        {**policy(), "end_of_tick_collateral_tree": leaf("HoldCollateral", "c")},
        {"version": "1", "policy_id": "", "payment_tree": leaf()},
        policy(leaf("Hold", reason={"value": "waiting for credits"})),
        policy(leaf("Split", num_splits={"value": 1})),
        policy(_tree(_calculated("/", left=_ONE, right={"value": 0, "field": "amount"}))),
        policy(_tree(_calculated("div0", numerator=_ONE, denominator={"value": 0}, default=_ONE))),
        policy(_tree(_less({"value": "not read", "field": "amount"}))),
        policy(_tree(_calculated("max", values=[_ONE], left={"param": "not read"}))),
    ],
    ids=lambda part: str(part)[:70],
)
def test_what_is_allowed(document: Json) -> None:
    assert check_policy(document) == []
    PaymentSimulator(scenario(1, [agent("A")])).simulate({"A": document})


def _deep(conditions: int) -> Json:
    tree = leaf(node_id="end")
    for depth in range(conditions):
        tree = branch(_TRUE, leaf(node_id=f"out{depth}"), tree, f"c{depth}")
    return tree


def test_the_depth_of_a_tree_is_limited() -> None:
    assert check_policy(policy(_deep(MAX_CONDITIONS))) == []
    (problem,) = check_policy(policy(_deep(MAX_CONDITIONS + 1)))
    assert problem.message == "node 'c0': the tree has more than 100 conditions on one path"
    assert len(check_policy(policy(_deep(300)))) == 1


def test_problems_are_found_at_the_bottom_of_the_deepest_tree() -> None:
    tree = _deep(MAX_CONDITIONS)
    bottom = tree
    while bottom["type"] == "condition":
        bottom = bottom["on_false"]
    bottom["action"] = "Relase"
    (problem,) = check_policy(policy(tree))
    assert problem.message.startswith("node 'end': must be one of 'Release', ")


def test_every_problem_is_listed() -> None:
    document = policy(_tree(_less({"field": "x"}, {"param": "y"}), on_true=leaf("Drop", "no")), p=1)
    document["parameters"]["q"] = None
    found = {problem.key: problem.message for problem in check_policy(document)}
    assert set(found) == {
        "parameters.q",
        "payment_tree.condition.left.field",
        "payment_tree.condition.right.param",
        "payment_tree.on_true.action",
        "payment_tree.on_false.node_id",
    }
    assert found["payment_tree.on_false.node_id"].startswith("node 'no': ")


@pytest.mark.parametrize("value", [None, 3, "x", [], [{}]], ids=str)
def test_what_is_no_mapping_is_no_policy(value: Any) -> None:
    (problem,) = check_policy(value)
    assert problem.message.startswith("must be a mapping, not ")
