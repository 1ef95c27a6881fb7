"""What a model is told of a day: for any banks, payments and policies, nothing that its bank cannot know."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.evaluation import Evaluator, Payments
from exprec.recorder.experiment.prompts import SampleDay, notable_samples, request_messages
from exprec.recorder.payments import DayEvent
from exprec.recorder.payments.day_text import BankDay
from tests.fixtures.payments import Json, agent, branch, compare, leaf, pay, policy, scenario, split

# A deadline would measure the machine: the first problem found imports a large library.
_settings = settings(max_examples=60, deadline=None)

_TICKS = 4
_OWN = "OWN"
_IDS = (_OWN, "NEXT", "THIRD", "LAST")
_POOL = 10**6
_SMALL = 1000
"""Payments to OWN are smaller, all others are larger."""

_actions = st.sampled_from([leaf(node_id="x"), leaf("Hold", "x"), split(2, "x"), split(3, "x")])


@st.composite
def _days(draw: st.DrawFn) -> Json:
    """OWN and NEXT pay each other, and NEXT, THIRD and LAST pay each other."""
    events = []
    for _ in range(draw(st.integers(1, 15))):
        pair = draw(st.sampled_from([(_OWN, "NEXT"), ("NEXT", _OWN), *_pairs("NEXT", "THIRD", "LAST")]))
        amount = draw(st.integers(3, _SMALL - 1) if _OWN in pair else st.integers(_SMALL + 1, 5 * _SMALL))
        events.append(pay(draw(st.integers(0, _TICKS - 1)), *pair, amount, draw(st.integers(1, 5))))
    agents = [agent(bank, draw(st.integers(0, 3000)), draw(st.integers(0, 500)), liquidity_pool=300) for bank in _IDS]
    # What NEXT pays to OWN never has to wait, whatever else it does.
    agents[1] |= {"opening_balance": _POOL, "liquidity_pool": _POOL}
    return scenario(
        _TICKS,
        draw(st.permutations(agents)),
        events,
        deferred_crediting=draw(st.booleans()),
        lsm_config={"enable_bilateral": draw(st.booleans()), "enable_cycles": draw(st.booleans())},
        rates={"delay_cost_per_tick_per_cent": 0.1, "deadline_penalty": 70, "liquidity_cost_per_tick_bps": 33},
    )


def _pairs(*banks: str) -> Iterator[tuple[str, str]]:
    return ((payer, payee) for payer in banks for payee in banks if payer != payee)


@st.composite
def _others(draw: st.DrawFn) -> dict[str, Json]:
    """Policies of all banks but OWN that differ in everything that OWN cannot observe."""
    to_own = compare({"field": "amount"}, "<", {"value": _SMALL})
    trees = [
        branch(to_own, leaf(node_id="own"), draw(_actions) | {"node_id": "other"}, draw(st.sampled_from(["n", "m"])))
        for _ in _IDS
    ]
    fractions = st.floats(0, 1, allow_nan=False)
    return {bank: policy(tree, fraction=draw(fractions)) for bank, tree in zip(_IDS[1:], trees[1:], strict=True)}


def _messages(day: Json, policies: dict[str, Json]) -> str:
    experiment: Json = {
        "name": "four banks",
        "scenario": day,
        "optimized_agents": list(_IDS),
        "evaluation": {"mode": "bootstrap", "num_samples": 3, "ticks": _TICKS},
        "convergence": {},
        "llm": {"model": "openai:small"},
    }
    config = ExperimentConfig.from_mapping(experiment, Path())
    simulator = Payments(config.scenario)
    evaluation = Evaluator(simulator, config).evaluate(policies, 1)
    days = [
        SampleDay(sample, simulator.describe_day(policies, evaluation.samples[sample].seed, _OWN))
        for sample in notable_samples(evaluation, _OWN)
    ]
    messages = request_messages(config, simulator.rules, _OWN, policies[_OWN], evaluation, [], days)
    return "\n".join(message.content for message in messages)


@_settings
@given(_days(), _actions, _others(), _others())
def test_a_request_does_not_depend_on_what_its_agent_cannot_observe(
    day: Json, own: Json, first: dict[str, Json], second: dict[str, Json]
) -> None:
    mine = {_OWN: policy(own, fraction=0.5)}
    assert _messages(day, {**mine, **first}) == _messages(day, {**mine, **second})


def test_what_the_agent_cannot_observe_differs() -> None:
    """The property above compares days that differ indeed."""
    events = [pay(0, _OWN, "NEXT", 500, 1), pay(0, "NEXT", _OWN, 600), pay(0, "NEXT", "THIRD", 2000, 1)]
    day = scenario(_TICKS, [agent(bank, 3000) for bank in _IDS], events, rates={"deadline_penalty": 70})
    mine = policy(leaf("Hold"))
    hold = {
        _OWN: mine,
        "NEXT": policy(branch(compare({"field": "amount"}, "<", {"value": 1000}), leaf(), leaf("Hold", "h"))),
    }
    release = {_OWN: mine, "NEXT": policy()}
    one, other = (Payments(day).simulate(policies) for policies in (hold, release))
    assert one.agents["NEXT"] != other.agents["NEXT"]
    assert one.settled != other.settled
    text = _messages(day, {**hold, "THIRD": mine, "LAST": mine})
    assert text == _messages(day, {**release, "THIRD": mine, "LAST": mine})
    assert "tick 0, from NEXT, 600 cents: received" in text
    assert "overdue (penalty 70 cents)" in text


@_settings
@given(_days(), _actions, _others())
def test_other_agents_are_named_as_counterparties_only(day: Json, own: Json, others: dict[str, Json]) -> None:
    text = _messages(day, {_OWN: policy(own, fraction=0.5), **others})
    for match in re.finditer("NEXT|THIRD|LAST", text):
        assert match[0] == "NEXT"
        assert text[: match.start()].endswith((" to ", " from "))


@_settings
@given(_days(), _actions, _others(), _actions, st.integers(0, 2**32))
def test_the_text_of_a_day_is_a_function_of_its_own_events(
    day: Json, own: Json, others: dict[str, Json], held: Json, seed: int
) -> None:
    # Here NEXT may hold, split or be unable to settle what it pays to OWN.
    for each in day["agents"]:
        each |= {"opening_balance": 0, "liquidity_pool": 300}
    others["NEXT"] = policy(held, fraction=1.0)
    events: list[DayEvent] = []
    Payments(day).simulate({_OWN: policy(own, fraction=0.5), **others}, observer=events.append)
    assert _described(events) == _described(_garbled(events, random.Random(seed)))


def _described(events: Iterable[DayEvent]) -> str:
    day = BankDay(_OWN)
    for event in events:
        day.observe(event)
    return day.describe()


def _garbled(events: list[DayEvent], chance: random.Random) -> Iterator[DayEvent]:
    """Yield the events with all that is not OWN's changed: numbers, balances, order, and what others decide."""
    numbers = {event.values["tx"]: f"x{chance.random()}" for event in events if event.event_type == "arrival"}
    for _, tick in groupby(events, lambda event: event.tick):
        own: list[DayEvent] = []
        others: list[DayEvent] = []
        for event in tick:
            values = _garbled_values(event, numbers, chance)
            is_own = values.get("sender", _OWN) == _OWN and _OWN in event.agents
            (own if is_own else others).append(replace(event, values=values, payments=()))
        chance.shuffle(others)
        seen = [event for event in others if event.event_type == "settlement"]
        unseen = [event for event in others if event.event_type != "settlement"]
        yield from (*seen, *own) if chance.random() < 0.5 else (*unseen, *own[:1], *seen, *own[1:], *unseen)


def _garbled_values(event: DayEvent, numbers: dict[str, str], chance: random.Random) -> dict[str, Any]:
    values = dict(event.values)
    if "tx" in values:
        tx, dot, part = values["tx"].partition(".")
        values["tx"] = f"{numbers[tx].replace('.', '')}{dot}{part}"
    for end in ("sender", "receiver"):
        if values.get(end) != _OWN and f"{end}_balance" in values:
            values[f"{end}_balance"] = chance.random()
    if values.get("sender", _OWN) != _OWN and "via" in values:
        values["via"] = "garbled"
    return values
