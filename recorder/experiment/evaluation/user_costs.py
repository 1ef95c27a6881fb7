"""The costs that a custom simulator returns, as the numbers that are recorded.

The messages of InvalidCost are recorded: changing one changes the run id of experiments.
"""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any

from exprec.recorder.diagnostics import show_value
from exprec.recorder.experiment.config import CostsConfig
from exprec.recorder.experiment.stats import Cost

_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**63 - 1
_LARGEST_NUMBER = 1e100
"""So that the squares of costs, and sums of them, are finite."""


class InvalidCost(ValueError):
    """A value is not a cost of the experiment; the message continues "its cost"."""


def read_cost(value: Any, costs: CostsConfig) -> Cost:
    """Return a cost as `int`, or as `float` if costs are numbers.

    Integers of other libraries, which have `__index__`, and their real numbers are taken; no booleans. Raises
    InvalidCost.
    """
    return _read_number(value, costs.unit) if costs.type == "number" else _read_integer(value, costs.unit)


def _read_integer(value: Any, unit: str) -> int:
    integer = _as_integer(value)
    if integer is None:
        hint = "; `costs: {type: number}` in the experiment allows fractions" if _is_real(value) else ""
        raise InvalidCost(f"must be an integer number of {unit}, not {_shown(value)}{hint}")
    if not _MIN_INTEGER <= integer <= _MAX_INTEGER:
        raise InvalidCost("is beyond 64 bits")
    return integer


def _read_number(value: Any, unit: str) -> float:
    number = _as_float(value)
    if number is None or not math.isfinite(number):
        raise InvalidCost(f"must be a finite number of {unit}, not {_shown(value)}")
    if abs(number) > _LARGEST_NUMBER:
        raise InvalidCost(f"is beyond {_LARGEST_NUMBER:g}: {_shown(value)}")
    # Without the sign of a zero.
    return number + 0.0


def _shown(value: Any) -> str:
    # The text of a float of another library varies between its versions.
    return show_value(float(value) if isinstance(value, float) else value)


def _is_bool(value: object) -> bool:
    return value is True or value is False


def _is_real(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not _is_bool(value)


def _as_integer(value: Any) -> int | None:
    if _is_bool(value):
        return None
    try:
        return operator.index(value)
    except Exception:
        # Whatever a class of the user's raises.
        return None


def _as_float(value: Any) -> float | None:
    real = value if _is_real(value) else _as_integer(value)
    try:
        return None if real is None else float(real)
    except OverflowError:
        return math.inf
    except Exception:
        return None
