"""Policy constraints: what an experiment allows a policy to contain, and the violations of a policy.

The messages of violations are recorded, and sent to models: changing one changes the run id of experiments.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

from exprec.recorder.diagnostics import key_name, show_value
from exprec.recorder.errors import KeyPath, Problem
from exprec.recorder.proposers import LIQUIDITY, Parameter

TREES = ("payment_tree", "bank_tree", "strategic_collateral_tree", "end_of_tick_collateral_tree")

_FRACTION = "initial_liquidity_fraction"
_FRACTION_IF_ABSENT = 0.5
_OPERANDS = ("left", "right", "value", "values", "min", "max", "numerator", "denominator", "default")

Role = Literal["node", "expression", "operand", "computation"]


@dataclass(frozen=True, slots=True)
class ParameterConstraint:
    """A parameter that policies may have; its bounds are inclusive, and None where unbounded."""

    name: str
    param_type: Literal["int", "float", "enum"]
    min_value: int | float | None = None
    max_value: int | float | None = None
    allowed_values: tuple[int | float | str, ...] = ()
    description: str | None = None

    def objection(self, value: Any) -> str | None:
        """What is wrong with this value of the parameter; None if it is allowed."""
        if self.param_type == "enum":
            known = any(value == allowed and not isinstance(value, bool) for allowed in self.allowed_values)
            listed = ", ".join(map(show_value, self.allowed_values))
            return None if known else f"must be one of {listed}, not {show_value(value)}"
        if not _is_number(value) or (self.param_type == "int" and not isinstance(value, int)):
            wanted = "an integer" if self.param_type == "int" else "a number"
            return f"must be {wanted}, not {show_value(value)}"
        if self.min_value is not None and value < self.min_value:
            return f"must be at least {self.min_value}, not {show_value(value)}"
        if self.max_value is not None and value > self.max_value:
            return f"must be at most {self.max_value}, not {show_value(value)}"
        return None


@dataclass(frozen=True, slots=True)
class PolicyConstraints:
    """What policies may contain: None restricts nothing, an empty collection allows nothing.

    `allowed_actions` is by tree; other trees are not restricted. `lsm_enabled` restricts no policy; it is part of the
    rules that are explained to a model.
    """

    allowed_parameters: tuple[ParameterConstraint, ...] | None = None
    allowed_fields: tuple[str, ...] | None = None
    allowed_actions: Mapping[str, tuple[str, ...]] | None = None
    lsm_enabled: bool = True


def build_constraints(section: Mapping[str, Any] | None) -> PolicyConstraints | None:
    """The constraints of a valid section `policy_constraints`; None without one."""
    if section is None:
        return None
    parameters, names, actions = (section.get(f"allowed_{kind}") for kind in ("parameters", "fields", "actions"))
    return PolicyConstraints(
        allowed_parameters=None if parameters is None else tuple(map(_build_parameter, parameters)),
        allowed_fields=None if names is None else tuple(names),
        allowed_actions=None if actions is None else {tree: tuple(listed) for tree, listed in actions.items()},
        lsm_enabled=section.get("lsm_enabled", True),
    )


def _build_parameter(value: Mapping[str, Any]) -> ParameterConstraint:
    number = int if value["param_type"] == "int" else float
    bounds = {key: number(value[key]) for key in ("min_value", "max_value") if value.get(key) is not None}
    allowed = tuple(value.get("allowed_values") or ())
    return ParameterConstraint(
        value["name"], value["param_type"], allowed_values=allowed, description=value.get("description"), **bounds
    )


def search_space(constraints: PolicyConstraints | None) -> tuple[Parameter, ...]:
    """The parameters that a proposal may change; by default the liquidity fraction."""
    if constraints is None or constraints.allowed_parameters is None:
        return (LIQUIDITY,)
    return tuple(
        Parameter(allowed.name, allowed.param_type, allowed.min_value, allowed.max_value, allowed.allowed_values)
        for allowed in constraints.allowed_parameters
    )


def violations(policy: Any, constraints: PolicyConstraints) -> list[Problem]:
    """Everything in a policy, which may be any JSON value, that the constraints do not allow."""
    if not isinstance(policy, dict):
        return []
    found = [*_parameter_violations(policy, constraints), *_tree_violations(policy, constraints)]
    return [Problem(path, message, key_name(path, policy)) for path, message in found]


def _parameter_violations(policy: dict[str, Any], constraints: PolicyConstraints) -> Iterator[tuple[KeyPath, str]]:
    if constraints.allowed_parameters is None:
        return
    allowed = {parameter.name: parameter for parameter in constraints.allowed_parameters}
    given = policy.get("parameters")
    values: dict[KeyPath, Any] = {}
    if isinstance(given, dict):
        values = {("parameters", name): value for name, value in given.items()}
    # The simulator reads the fraction from here too, and defaults to 0.5: neither must bypass a bound.
    if ("parameters", _FRACTION) not in values:
        if _FRACTION in policy:
            values[(_FRACTION,)] = policy[_FRACTION]
        elif _FRACTION in allowed and (objection := allowed[_FRACTION].objection(_FRACTION_IF_ABSENT)):
            yield ("parameters", _FRACTION), f"is not given, and then {_FRACTION_IF_ABSENT}: {objection}"
    for path, value in values.items():
        parameter = allowed.get(str(path[-1]))
        if parameter is None:
            yield path, f"this parameter is not allowed ({_allowed(list(allowed))})"
        elif objection := parameter.objection(value):
            yield path, objection


def _tree_violations(policy: dict[str, Any], constraints: PolicyConstraints) -> Iterator[tuple[KeyPath, str]]:
    for tree in TREES:
        actions = None if constraints.allowed_actions is None else constraints.allowed_actions.get(tree)
        for role, part, path in _tree_parts(policy.get(tree), (tree,)):
            if role == "node" and part.get("type") == "action":
                action = part.get("action")
                if isinstance(action, str) and actions is not None and action not in actions:
                    message = f"the action {show_value(action)} is not allowed in {tree} ({_allowed(actions)})"
                    yield (*path, "action"), message
            elif role == "operand" and isinstance(part.get("field"), str):
                name = part["field"]
                if constraints.allowed_fields is not None and name not in constraints.allowed_fields:
                    yield (
                        (*path, "field"),
                        f"the field {show_value(name)} is not allowed ({_allowed(constraints.allowed_fields)})",
                    )


def _tree_parts(tree: Any, path: KeyPath) -> Iterator[tuple[Role, dict[str, Any], KeyPath]]:
    """Every mapping of a tree that the simulator reads, with its role, in document order."""
    # A stack instead of recursion, because a document may be nested deeper than Python's limit.
    pending: list[tuple[Role, Any, KeyPath]] = [("node", tree, path)]
    while pending:
        role, part, where = pending.pop()
        if isinstance(part, dict):
            yield role, part, where
            children = _child_parts(role, part)
            pending.extend((child_role, child, (*where, *steps)) for child_role, child, steps in reversed(children))


def _child_parts(role: Role, part: dict[str, Any]) -> list[tuple[Role, Any, KeyPath]]:
    match role:
        case "node" if part.get("type") == "action":
            arguments = part.get("parameters")
            named = arguments.items() if isinstance(arguments, dict) else ()
            return [("operand", value, ("parameters", name)) for name, value in named]
        case "node":
            nodes: list[tuple[Role, Any, KeyPath]] = [
                ("node", part.get(key), (key,)) for key in ("on_true", "on_false")
            ]
            return [("expression", part.get("condition"), ("condition",)), *nodes]
        case "expression":
            inner = [*_items_of("expression", part, "condition"), *_items_of("expression", part, "conditions")]
            return inner + [("operand", part.get(key), (key,)) for key in ("left", "right")]
        case "operand":
            # The simulator reads the first of these that is present.
            first = next((key for key in ("field", "param", "value", "compute") if key in part), None)
            return [("computation", part["compute"], ("compute",))] if first == "compute" else []
        case "computation":
            return [child for key in _OPERANDS for child in _items_of("operand", part, key)]


def _items_of(role: Role, part: dict[str, Any], key: str) -> list[tuple[Role, Any, KeyPath]]:
    value = part.get(key)
    if isinstance(value, list):
        return [(role, item, (key, index)) for index, item in enumerate(value)]
    return [(role, value, (key,))]


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _allowed(names: Sequence[str]) -> str:
    return f"allowed: {', '.join(names) or 'none'}"
