"""The expressions of a policy, compiled to closures: conditions, values and calculations.

It expects expressions that passed the checks of `policy_checks`, which walks them with the same
vocabulary. All calculations are in floating point, in the order in which they are written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from exprec.recorder.payments.payment import Payment
from exprec.recorder.payments.policy.fields import FIELDS, View
from exprec.recorder.payments.rng import round_half_away

Value = Callable[[View, Payment], float]
Test = Callable[[View, Payment], bool]

VALUE_KEYS = ("field", "param", "value", "compute")
"""What a value may be given as; where several are present, the first of these counts."""

_EPSILON = 1e-9
_SMALLEST_DIVISOR = 2.220446049250313e-16


class UndefinedError(Exception):
    """A policy asks for something that has no result; the message says what, the caller where."""


def compile_test(expression: Mapping[str, Any], parameters: Mapping[str, float]) -> Test:
    """The condition as a function of what the agent sees and the payment. The function raises UndefinedError."""
    op = expression["op"]
    if op == "not":
        inner = compile_test(expression["condition"], parameters)
        return lambda view, payment: not inner(view, payment)
    if op in ("and", "or"):
        tests = tuple(compile_test(part, parameters) for part in expression["conditions"])
        if op == "and":
            return lambda view, payment: all(test(view, payment) for test in tests)
        return lambda view, payment: any(test(view, payment) for test in tests)
    compare = _COMPARISONS[op]
    left, right = compile_value(expression["left"], parameters), compile_value(expression["right"], parameters)
    return lambda view, payment: compare(left(view, payment), right(view, payment))


def compile_value(value: Mapping[str, Any], parameters: Mapping[str, float]) -> Value:
    """The number as a function of what the agent sees and the payment. The function raises UndefinedError."""
    match value_key(value):
        case "field":
            field = FIELDS[value["field"]]
            return lambda view, payment: float(field(view, payment))
        case "param":
            return _constant(parameters[value["param"]])
        case "value":
            return _constant(value["value"])
        case _:
            return _compile_calculation(value["compute"], parameters)


def value_key(value: Mapping[str, Any]) -> str | None:
    """Which of its keys a value is given by, or None where it has none of them."""
    return next((key for key in VALUE_KEYS if key in value), None)


def operand_names(op: Any) -> tuple[str, ...]:
    """The keys that hold the operands of a comparison or calculation; none for an operation there is not."""
    if not isinstance(op, str):
        return ()
    return ("left", "right") if op in _COMPARISONS else _OPERANDS.get(op, ())


def _constant(number: float) -> Value:
    constant = float(number)
    return lambda _view, _payment: constant


def _compile_calculation(calculation: Mapping[str, Any], parameters: Mapping[str, float]) -> Value:
    op = calculation["op"]
    given: list[Mapping[str, Any]] = []
    for name in _OPERANDS[op]:
        given += calculation[name] if name == "values" else [calculation[name]]
    operands = tuple(compile_value(operand, parameters) for operand in given)
    calculate = _CALCULATIONS[op]
    return lambda view, payment: calculate(*[operand(view, payment) for operand in operands])


def _divide(left: float, right: float) -> float:
    if abs(right) < _SMALLEST_DIVISOR:
        raise UndefinedError("division by zero")
    return left / right


def _divide_or(numerator: float, denominator: float, default: float) -> float:
    return default if abs(denominator) < _EPSILON else numerator / denominator


def _to_whole(function: Callable[[float], int]) -> Callable[[float], float]:
    """Python's roundings make integers and so refuse what is not finite; here that stays what it is."""
    return lambda number: float(function(number)) if math.isfinite(number) else number


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": lambda left, right: abs(left - right) < _EPSILON,
    "!=": lambda left, right: abs(left - right) >= _EPSILON,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right or abs(left - right) < _EPSILON,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right or abs(left - right) < _EPSILON,
}

_BINARY, _UNARY = ("left", "right"), ("value",)
_OPERANDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("+", "-", "*", "/"), _BINARY),
    **dict.fromkeys(("max", "min"), ("values",)),
    **dict.fromkeys(("ceil", "floor", "round", "abs"), _UNARY),
    "clamp": ("value", "min", "max"),
    "div0": ("numerator", "denominator", "default"),
}

_CALCULATIONS: dict[str, Callable[..., float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divide,
    "max": lambda *values: max(values),
    "min": lambda *values: min(values),
    "ceil": _to_whole(math.ceil),
    "floor": _to_whole(math.floor),
    "round": _to_whole(round_half_away),
    "abs": abs,
    "clamp": lambda value, low, high: min(max(value, low), high),
    "div0": _divide_or,
}
