"""The built-in proposer: a pattern search over the parameters of a policy, without model and network.

It uses the agent's own policies and which of them were accepted, and never runs a simulation. It has no state: the
position of the search follows from the decisions.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from decimal import Context, Decimal
from itertools import zip_longest
from typing import Any, NamedTuple

from exprec.recorder.format import canonical_json
from exprec.recorder.proposers.protocol import Answer, Parameter, ProposalRequest

LIQUIDITY = Parameter("initial_liquidity_fraction", "float", 0.0, 1.0)
"""The parameter of the search when the experiment does not list any."""

_FIRST_STEP = 25
"""The first step in hundredths of the range; the smallest is one hundredth."""
_WIDE = 100
"""A range from above 0 is searched by factors if its ends are this far apart, else by differences."""
_DECIMALS = 12
_EXACT = Context(prec=50)
"""Logarithms and exponentials are computed to 50 digits, because those of `math` differ between machines."""

_Values = dict[str, Any]


class _Trial(NamedTuple):
    """Values to try; `is_exploring` until steps of every length were tried in every direction."""

    values: _Values
    is_exploring: bool


_Search = Generator[_Trial, bool, None]
"""Yields values to try and receives whether they were accepted; this ends only if there is nothing to try."""


class SearchProposer:
    """Coordinate pattern search (Hooke and Jeeves 1961), one trial for each proposal.

    It first explores: it tries each parameter a quarter of its range below its start and above it, and each other value
    of an enumeration. Then it steps from the current values, for each parameter in the direction that helps, and halves
    the steps when nothing does. After steps of a hundredth it starts again with long steps, because the other agents
    have changed their policies meanwhile.
    """

    is_model = False

    async def propose(self, request: ProposalRequest) -> Answer:
        """Return the current policy with one parameter changed; unchanged if no parameter can be."""
        policy = dict(request.current_policy)
        values = dict(policy.get("parameters") or {})
        trial = _next_trial(request)
        if trial is None:
            return Answer(canonical_json.encode(policy).decode())
        policy["parameters"] = {**values, **trial.values}
        return Answer(canonical_json.encode(policy).decode(), is_exploring=trial.is_exploring)


def _next_trial(request: ProposalRequest) -> _Trial | None:
    """The next values to try, by repeating the search over all decisions."""
    start = _searchable(request)
    search = _Pattern([parameter for parameter in request.parameters if parameter.name in start], start).search()
    try:
        trial = next(search)
        for accepted in request.decisions:
            trial = search.send(accepted)
    except StopIteration:
        return None
    return trial


def _searchable(request: ProposalRequest) -> _Values:
    """The starting values of the parameters that the policy has; others would have no effect."""
    policy = request.starting_policy
    values = dict(policy.get("parameters") or {})
    # The simulator takes the fraction from beside the parameters, or half, where it is not among them.
    values.setdefault(LIQUIDITY.name, policy.get(LIQUIDITY.name, 0.5))
    return {parameter.name: values[parameter.name] for parameter in request.parameters if parameter.name in values}


class _Pattern:
    """One search: the values accepted last, and those tried since the search began with long steps."""

    def __init__(self, parameters: Sequence[Parameter], start: _Values) -> None:
        self._parameters = parameters
        self._current = start
        self._tried = [start]
        self._is_exploring = True

    def search(self) -> _Search:
        """Explore, then step and halve the steps, again and again."""
        around = [[(each, value) for value in _around(each, self._current[each.name])] for each in self._parameters]
        # One value of each parameter after the other, so that a short search has tried something of all.
        explorations = [each for turn in zip_longest(*around) for each in turn if each is not None]
        for parameter, value in explorations:
            yield from self._try(parameter, value)
        yield from self._narrow(_FIRST_STEP // 2)
        self._is_exploring = False
        # With nothing to try, this would not end.
        while len(self._tried) > 1:
            # The others may have changed their policies: what failed may help now.
            self._tried = [self._current]
            yield from self._narrow(_FIRST_STEP)

    def _narrow(self, steps: int) -> Generator[_Trial, bool, None]:
        """Step while that helps, then with half the steps, down to the finest."""
        while steps:
            improved = False
            for parameter in self._parameters:
                improved |= yield from self._step(parameter, steps)
            steps = steps if improved else steps // 2

    def _step(self, parameter: Parameter, steps: int) -> Generator[_Trial, bool, bool]:
        """Step in the direction that helps as long as it does; returns whether one did."""
        if parameter.kind == "enum":
            improved = False
            for value in parameter.values if steps == _FIRST_STEP else ():
                improved |= yield from self._try(parameter, value)
            return improved
        for direction in (-steps, steps):
            improved = False
            while (yield from self._try(parameter, _moved(parameter, self._current[parameter.name], direction))):
                improved = True
            if improved:
                return True
        return False

    def _try(self, parameter: Parameter, value: Any) -> Generator[_Trial, bool, bool]:
        """Try a value of one parameter unless that was done; returns whether it was accepted."""
        allowed = {each.name: _allowed(each, self._current[each.name]) for each in self._parameters}
        trial = {**allowed, parameter.name: value}
        if trial in self._tried:
            return False
        self._tried.append(trial)
        accepted = yield _Trial(trial, self._is_exploring)
        if accepted:
            self._current = trial
        return accepted


def _around(parameter: Parameter, start: Any) -> list[Any]:
    """The values to explore: below the start and above it, or all others of an enumeration."""
    if parameter.kind == "enum":
        return [value for value in parameter.values if value != start]
    values = (_moved(parameter, start, steps) for steps in (-_FIRST_STEP, _FIRST_STEP))
    return [value for value in values if value != start]


def _moved(parameter: Parameter, value: float, steps: int) -> float:
    """A value moved by hundredths of the range, within its bounds; an integer by one at least."""
    low = parameter.minimum if parameter.minimum is not None else 0
    high = parameter.maximum if parameter.maximum is not None else max(1, 2 * abs(value))
    if 0 < low <= value and high / low >= _WIDE:
        exponent = _EXACT.multiply(_EXACT.ln(_EXACT.divide(_decimal(high), _decimal(low))), _decimal(steps / 100))
        moved = float(_EXACT.multiply(_decimal(value), _EXACT.exp(exponent)))
        moved = float(f"{moved:.{_DECIMALS}g}")
    else:
        # Rounded before it meets a bound, which may have more decimals.
        moved = round(value + (high - low) * steps / 100, _DECIMALS)
    moved = _within(parameter, moved)
    if parameter.kind == "int":
        moved = _within(parameter, min(moved, value - 1) if steps < 0 else max(moved, value + 1))
    return moved


def _decimal(value: float) -> Decimal:
    return _EXACT.create_decimal(repr(value))


def _within(parameter: Parameter, value: float) -> float:
    if parameter.minimum is not None:
        value = max(value, parameter.minimum)
    if parameter.maximum is not None:
        value = min(value, parameter.maximum)
    return round(value) if parameter.kind == "int" else float(value)


def _allowed(parameter: Parameter, value: Any) -> Any:
    """The value if the parameter allows it, else one that it allows: a starting value may be out of bounds."""
    if parameter.kind == "enum":
        return value if value in parameter.values else parameter.values[0]
    return _within(parameter, value)
