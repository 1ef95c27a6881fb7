"""What constraints find in policy documents: each violation with its path, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exprec.recorder.experiment.constraints import ParameterConstraint, PolicyConstraints, violations

FRACTION = ParameterConstraint("initial_liquidity_fraction", "float", 0.0, 1.0)
WINDOW = ParameterConstraint("window", "int", 1, 8)
LEVEL = ParameterConstraint("level", "enum", allowed_values=(0.5, 2))
RELEASE = {"type": "action", "node_id": "r", "action": "Release"}


def field(name: str) -> dict[str, Any]:
    return {"field": name}


def policy(tree: Any = RELEASE, **keys: Any) -> dict[str, Any]:
    return {"version": "2.0", "policy_id": "p", "payment_tree": tree, **keys}


def condition(expression: Any, on_true: Any = RELEASE, on_false: Any = RELEASE) -> dict[str, Any]:
    return {"type": "condition", "node_id": "c", "condition": expression, "on_true": on_true, "on_false": on_false}


def found(document: Any, constraints: PolicyConstraints) -> dict[str, str]:
    problems = violations(document, constraints)
    assert len({problem.path for problem in problems}) == len(problems)
    return {problem.key: problem.message for problem in problems}


class TestParameters:
    CONSTRAINTS = PolicyConstraints(allowed_parameters=(FRACTION, WINDOW, LEVEL))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("initial_liquidity_fraction", 0),
            ("initial_liquidity_fraction", 1.0),
            ("window", 1),
            ("window", 8),
            ("level", 0.5),
            ("level", 2.0),
        ],
    )
    def test_allowed(self, name: str, value: float) -> None:
        assert found(policy(parameters={name: value}), self.CONSTRAINTS) == {}

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("initial_liquidity_fraction", -0.1, "must be at least 0.0, not -0.1"),
            ("initial_liquidity_fraction", 1.1, "must be at most 1.0, not 1.1"),
            ("initial_liquidity_fraction", True, "must be a number, not true"),
            ("initial_liquidity_fraction", "0.5", "must be a number, not '0.5'"),
            ("initial_liquidity_fraction", float("nan"), "must be a number, not nan"),
            ("window", 0, "must be at least 1, not 0"),
            ("window", 9, "must be at most 8, not 9"),
            ("window", 3.0, "must be an integer, not 3.0"),
            ("window", False, "must be an integer, not false"),
            ("level", 1, "must be one of 0.5, 2, not 1"),
            ("level", None, "must be one of 0.5, 2, not null"),
            ("extra", 1, "this parameter is not allowed (allowed: initial_liquidity_fraction, window, level)"),
        ],
    )
    def test_not_allowed(self, name: str, value: Any, message: str) -> None:
        assert found(policy(parameters={name: value}), self.CONSTRAINTS) == {f"parameters.{name}": message}

    def test_true_is_not_the_number_1(self) -> None:
        constraints = PolicyConstraints(allowed_parameters=(ParameterConstraint("n", "enum", allowed_values=(1,)),))
        assert list(found(policy(parameters={"n": True}), constraints)) == ["parameters.n"]

    def test_an_empty_list_admits_none_and_an_absent_one_all(self) -> None:
        document = policy(parameters={"a": 1})
        assert list(found(document, PolicyConstraints(allowed_parameters=()))) == ["parameters.a"]
        assert found(document, PolicyConstraints()) == {}

    def test_the_fraction_beside_the_parameters_is_bound_too(self) -> None:
        document = policy(initial_liquidity_fraction=1.5)
        assert list(found(document, self.CONSTRAINTS)) == ["initial_liquidity_fraction"]
        # The simulator prefers the parameter.
        document["parameters"] = {"initial_liquidity_fraction": 0.5}
        assert found(document, self.CONSTRAINTS) == {}

    def test_leaving_the_fraction_out_is_no_way_round_its_bound(self) -> None:
        low = PolicyConstraints(
            allowed_parameters=(ParameterConstraint("initial_liquidity_fraction", "float", 0.0, 0.4),)
        )
        message = found(policy(), low)["parameters.initial_liquidity_fraction"]
        assert "must be at most 0.4, not 0.5" in message
        assert found(policy(), self.CONSTRAINTS) == {}


class TestFields:
    CONSTRAINTS = PolicyConstraints(allowed_fields=("balance", "amount"))

    def test_everywhere_in_all_trees(self) -> None:
        compute = {
            "op": "clamp",
            "value": {"compute": {"op": "max", "values": [field("balance"), field("f1")]}},
            "min": field("f2"),
            "max": {
                "compute": {"op": "div0", "numerator": field("f3"), "denominator": {"value": 1}, "default": field("f4")}
            },
        }
        inner = {"op": "not", "condition": {"op": "<", "left": field("f5"), "right": {"compute": compute}}}
        split = {"type": "action", "node_id": "s", "action": "Split", "parameters": {"num_splits": field("f6")}}
        both = {"op": "and", "conditions": [{"op": "==", "left": field("amount"), "right": field("f0")}, inner]}
        absolute = {"compute": {"op": "abs", "value": field("f9")}}
        nothing = {"op": "<", "left": {"value": 1}, "right": {"value": 2}}
        document = policy(
            condition(both, split),
            bank_tree=condition({"op": "<", "left": field("f7"), "right": {"param": "x"}}),
            strategic_collateral_tree=condition({"op": "<", "left": {"value": 1}, "right": field("f8")}),
            end_of_tick_collateral_tree=condition(nothing, on_false=condition({**nothing, "left": absolute})),
        )
        right = "payment_tree.condition.conditions[1].condition.right.compute"
        assert list(found(document, self.CONSTRAINTS)) == [
            "payment_tree.condition.conditions[0].right.field",
            "payment_tree.condition.conditions[1].condition.left.field",
            f"{right}.value.compute.values[1].field",
            f"{right}.min.field",
            f"{right}.max.compute.numerator.field",
            f"{right}.max.compute.default.field",
            "payment_tree.on_true.parameters.num_splits.field",
            "bank_tree.condition.left.field",
            "strategic_collateral_tree.condition.right.field",
            "end_of_tick_collateral_tree.on_false.condition.left.compute.value.field",
        ]

    def test_what_the_simulator_ignores_is_not_read(self) -> None:
        action = {**RELEASE, "note": field("f1"), "on_true": {"condition": {"left": field("f2")}}}
        shadowed = {"value": 1, "compute": {"op": "abs", "value": field("f3")}}
        document = policy(
            condition({"op": "<", "left": shadowed, "right": {"value": 2}}, action), other_tree=field("f4")
        )
        assert found(document, self.CONSTRAINTS) == {}

    def test_the_message_lists_what_is_allowed(self) -> None:
        document = policy(condition({"op": "<", "left": field("priority"), "right": {"value": 2}}))
        assert list(found(document, self.CONSTRAINTS).values()) == [
            "the field 'priority' is not allowed (allowed: balance, amount)"
        ]


class TestActions:
    def test_by_tree(self) -> None:
        hold = {"type": "action", "node_id": "h", "action": "Hold"}
        test = {"op": "<", "left": {"value": 1}, "right": {"value": 2}}
        document = policy(condition(test, RELEASE, condition(test, hold, hold)), bank_tree=hold)
        constraints = PolicyConstraints(allowed_actions={"payment_tree": ("Release",)})
        message = "the action 'Hold' is not allowed in payment_tree (allowed: Release)"
        assert found(document, constraints) == {
            "payment_tree.on_false.on_true.action": message,
            "payment_tree.on_false.on_false.action": message,
        }

    def test_an_empty_list_admits_none(self) -> None:
        constraints = PolicyConstraints(allowed_actions={"payment_tree": ()})
        assert found(policy(), constraints) == {
            "payment_tree.action": "the action 'Release' is not allowed in payment_tree (allowed: none)"
        }


def test_deep_trees() -> None:
    tree: Any = RELEASE
    for _ in range(1500):
        tree = condition({"op": "<", "left": {"value": 1}, "right": {"value": 2}}, tree)
    constraints = PolicyConstraints(allowed_actions={"payment_tree": ("Hold",)})
    assert len(violations(policy(tree), constraints)) == 1501


WORDS = st.sampled_from(
    ["payment_tree", "type", "action", "condition", "conditions", "parameters", "field", "value", "compute", "values"]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None, database=None, max_examples=150)
@given(document=ANYTHING, tree=ANYTHING)
def test_any_value_is_survived(document: Any, tree: Any) -> None:
    strict = PolicyConstraints(allowed_parameters=(WINDOW,), allowed_fields=(), allowed_actions={"payment_tree": ()})
    for value in (document, {"payment_tree": tree, "parameters": document}):
        assert all(problem.message and problem.path for problem in violations(value, strict))
        assert violations(value, PolicyConstraints()) == []
