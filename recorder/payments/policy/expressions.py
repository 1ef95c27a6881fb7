"""Policy expressions compiled to closures: conditions, values and calculations.

Expressions must be valid. Calculations use IEEE doubles, in the order in which they are written. Comparisons other than
`<` and `>` have a tolerance of 1e-9, as in SimCash.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from exprec.recorder.payments.payment import Payment
from exprec.recorder.payments.policy.fields import FIELDS, DecisionContext
from exprec.recorder.payments.rng import round_half_away

Value = Callable[[DecisionContext, Payment], float]
Test = Callable[[DecisionContext, Payment], bool]

VALUE_KEYS = ("field", "param", "value", "compute")
"""The keys that define a value, in order of precedence."""

_EPSILON = 1e-9
_SMALLEST_DIVISOR = 2.220446049250313e-16


class UndefinedError(Exception):
    """An operation has no defined result; the message names the operation, the caller adds the location."""


def compile_test(expression: Mapping[str, Any], parameters: Mapping[str, float]) -> Test:
    """Compile a condition to a function of the decision context and the payment, which may raise UndefinedError."""
    op = expression["op"]
    if op == "not":
        inner = compile_test(expression["condition"], parameters)
        return lambda context, payment: not inner(context, payment)
    if op in ("and", "or"):
        tests = tuple(compile_test(part, parameters) for part in expression["conditions"])
        if op == "and":
            return lambda context, payment: all(test(context, payment) for test in tests)
        return lambda context, payment: any(test(context, payment) for test in tests)
    compare = _COMPARISONS[op]
    left, right = compile_value(expression["left"], parameters), compile_value(expression["right"], parameters)
    return lambda context, payment: compare(left(context, payment), right(context, payment))


def compile_value(value: Mapping[str, Any], parameters: Mapping[str, float]) -> Value:
    """Compile a value to a function of the decision context and the payment, which may raise UndefinedError."""
    match value_key(value):
        case "field":
            field = FIELDS[value["field"]]
            return lambda context, payment: float(field(context, payment))
        case "param":
            return _constant(parameters[value["param"]])
        case "value":
            return _constant(value["value"])
        case _:
            return _compile_calculation(value["compute"], parameters)


def value_key(value: Mapping[str, Any]) -> str | None:
    """Return the key that defines a value, or None if it has none of VALUE_KEYS."""
    return next((key for key in VALUE_KEYS if key in value), None)


def operand_names(op: Any) -> tuple[str, ...]:
    """Return the keys of the operands of a comparison or calculation; empty for an unknown operation."""
    if not isinstance(op, str):
        return ()
    return ("left", "right") if op in _COMPARISONS else _OPERANDS.get(op, ())


def _constant(number: float) -> Value:
    constant = float(number)
    return lambda _context, _payment: constant


def _compile_calculation(calculation: Mapping[str, Any], parameters: Mapping[str, float]) -> Value:
    op = calculation["op"]
    expressions: list[Mapping[str, Any]] = []
    for name in _OPERANDS[op]:
        expressions += calculation[name] if name == "values" else [calculation[name]]
    operands = tuple(compile_value(expression, parameters) for expression in expressions)
    calculate = _CALCULATIONS[op]
    return lambda context, payment: calculate(*[operand(context, payment) for operand in operands])


def _divide(left: float, right: float) -> float:
    if abs(right) < _SMALLEST_DIVISOR:
        raise UndefinedError("division by zero")
    return left / right


def _divide_or(numerator: float, denominator: float, default: float) -> float:
    return default if abs(denominator) < _EPSILON else numerator / denominator


def _keep_non_finite(function: Callable[[float], int]) -> Callable[[float], float]:
    """Return a rounding function that keeps NaN and infinities, for which Python's own functions raise."""
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
    "ceil": _keep_non_finite(math.ceil),
    "floor": _keep_non_finite(math.floor),
    "round": _keep_non_finite(round_half_away),
    "abs": abs,
    "clamp": lambda value, low, high: min(max(value, low), high),
    "div0": _divide_or,
}
