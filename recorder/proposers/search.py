"""The built-in proposer: a pattern search over the parameters of a policy, without model and network.

It uses the agent's own policies and which of them were accepted, and never runs a simulation. It has no state: the
position of the search follows from the decisions.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from exprec.recorder.format import canonical_json
from exprec.recorder.proposers.protocol import Answer, Parameter, ProposalRequest

LIQUIDITY = Parameter("initial_liquidity_fraction", "float", 0.0, 1.0)
"""The parameter of the search when the experiment does not list any."""

_FIRST_STEP = 25
"""The first step in hundredths of the range; the smallest is one hundredth."""
_DECIMALS = 12

_Values = dict[str, Any]
_Moves = Generator[_Values, bool, None]


class SearchProposer:
    """Coordinate pattern search (Hooke and Jeeves 1961), one trial for each proposal.

    For each parameter and direction it steps while that helps, and halves the step when it does not. When nothing
    helps it starts again with long steps, because the other agents have changed their policies meanwhile.
    """

    is_model = False

    async def propose(self, request: ProposalRequest) -> Answer:
        """Return the current policy with one parameter changed; unchanged if no parameter can be."""
        policy = dict(request.current_policy)
        values = dict(policy.get("parameters") or {})
        trial = _trial(request)
        if trial:
            policy["parameters"] = {**values, **trial}
        return Answer(canonical_json.encode(policy).decode())


def _trial(request: ProposalRequest) -> _Values | None:
    """The next values to try, by repeating the search over all decisions."""
    start = _searchable(request)
    if not start:
        return None
    moves = _search([parameter for parameter in request.parameters if parameter.name in start], start)
    trial = next(moves, None)
    for accepted in request.decisions:
        if trial is None:
            return None
        trial = moves.send(accepted)
    return trial


def _searchable(request: ProposalRequest) -> _Values:
    """The starting values of the parameters that the policy has; others would have no effect."""
    policy = request.starting_policy
    values = dict(policy.get("parameters") or {})
    # The simulator takes the fraction from beside the parameters, or half, where it is not among them.
    values.setdefault(LIQUIDITY.name, policy.get(LIQUIDITY.name, 0.5))
    return {parameter.name: values[parameter.name] for parameter in request.parameters if parameter.name in values}


def _search(parameters: Sequence[Parameter], current: _Values) -> _Moves:
    """Yield values to try and receive whether they were accepted; this ends only if there is nothing to try."""
    while True:
        tried = False
        for parameter in parameters:
            explore = _explore_values if parameter.kind == "enum" else _explore_range
            moves = explore(parameter, current[parameter.name])
            value = next(moves, None)
            while value is not None:
                tried = True
                trial = {each.name: _allowed(each, current[each.name]) for each in parameters} | {parameter.name: value}
                accepted = yield trial
                if accepted:
                    current = trial
                try:
                    value = moves.send(accepted)
                except StopIteration:
                    value = None
        if not tried:
            return


def _explore_values(parameter: Parameter, current: Any) -> Generator[Any, bool, None]:
    for value in parameter.values:
        if value != current:
            yield value


def _explore_range(parameter: Parameter, current: float) -> Generator[float, bool, None]:
    """Search downwards, then upwards; after the first failure each step is half of the last (bisection)."""
    finest = _finest_step(parameter, current)
    for direction in (-1, 1):
        steps, halving = _FIRST_STEP, False
        if parameter.kind == "int":
            steps = max(1, _int_range(parameter, current) // 4)
        while True:
            value = _moved(parameter, current, direction * steps * finest)
            if value == current:
                break
            accepted = yield value
            if accepted:
                current = value
            elif steps == 1:
                break
            halving = halving or not accepted
            if halving:
                steps = max(1, steps // 2)


def _finest_step(parameter: Parameter, current: float) -> float:
    if parameter.kind == "int":
        return 1
    low = parameter.minimum if parameter.minimum is not None else 0.0
    high = parameter.maximum if parameter.maximum is not None else max(1.0, 2 * abs(current))
    return (high - low) / 100


def _int_range(parameter: Parameter, current: float) -> int:
    low = parameter.minimum if parameter.minimum is not None else 0
    high = parameter.maximum if parameter.maximum is not None else max(1, 2 * abs(current))
    return int(high - low)


def _moved(parameter: Parameter, current: float, distance: float) -> float:
    # Rounded before it meets a bound, which may have more decimals.
    return _within(parameter, current + distance if parameter.kind == "int" else round(current + distance, _DECIMALS))


def _within(parameter: Parameter, value: float) -> float:
    if parameter.minimum is not None:
        value = max(value, parameter.minimum)
    if parameter.maximum is not None:
        value = min(value, parameter.maximum)
    return int(value) if parameter.kind == "int" else float(value)


def _allowed(parameter: Parameter, value: Any) -> Any:
    """The value if the parameter allows it, else one that it allows: a starting value may be out of bounds."""
    if parameter.kind == "enum":
        return value if value in parameter.values else parameter.values[0]
    return _within(parameter, value)
