"""`exprec simulate`: simulate a payment scenario under given policies, once or for each line of a batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import click

from exprec.cli.completion import complete_scenario_agent
from exprec.cli.options import NumberRange, color_option, json_option, pager_option
from exprec.cli.output.reporters import Reporter, choose_reporter
from exprec.cli.screen import print_json, print_message
from exprec.recorder.diagnostics import unknown_word, visible
from exprec.recorder.documents import Document, parse_document, read_document
from exprec.recorder.errors import ExprecError, InvalidInput, Problem, SimulationError
from exprec.recorder.format import canonical_json
from exprec.recorder.payments import DayEvent, PaymentSimulator, SimulationResult, check_scenario

_LINE_KEYS = ("scenario", "policies", "seed")
# Test vectors also have the expected outcome on the line.
_UNREAD_KEYS = ("expected",)
_CACHED_SCENARIOS = 8


class _Selection:
    """The events of a day that match all filters, and what the day offered to choose from."""

    def __init__(self, agent: str | None, ticks: tuple[int, int] | None, tx: str | None) -> None:
        self._agent, self._ticks, self._tx = agent, ticks, tx
        self.is_everything = agent is None and ticks is None and tx is None
        self.events: list[DayEvent] = []
        self._arrived = 0
        self._has_tx = False

    def check(self, simulator: PaymentSimulator) -> None:
        """Raise InvalidInput for an agent that is not in the scenario, and for a tick that is not in its day."""
        if self._agent is not None and self._agent not in simulator.agents:
            message = unknown_word("agent", self._agent, list(simulator.agents))
            raise InvalidInput([Problem((), message, f"--agent {self._agent}")])
        if self._ticks is not None and self._ticks[0] >= simulator.ticks_per_day:
            message = f"unknown tick; the day has the ticks 0 to {simulator.ticks_per_day - 1}"
            raise InvalidInput([Problem((), message, f"--tick {self._ticks[0]}")])

    def add(self, event: DayEvent) -> None:
        """Keep an event if it matches all filters. A payment includes its parts."""
        self._arrived += event.event_type == "arrival"
        has_tx = self._tx is not None and any(
            number == self._tx or number.startswith(f"{self._tx}.") for number in event.payments
        )
        self._has_tx |= has_tx
        if (
            (self._tx is None or has_tx)
            and (self._agent is None or self._agent in event.agents)
            and (self._ticks is None or self._ticks[0] <= event.tick <= self._ticks[1])
        ):
            self.events.append(event)

    def check_payment(self) -> None:
        """Raise InvalidInput for a payment that the day did not have."""
        if self._tx is not None and not self._has_tx:
            known = f"the day has the payments 1 to {self._arrived}" if self._arrived else "the day has no payments"
            raise InvalidInput(
                [Problem((), f"unknown payment; {known}, and 7.2 is the second part of 7", f"--tx {self._tx}")]
            )


_SimulatorOf = Callable[[bytes], PaymentSimulator]


@click.command()
@click.argument("scenario", required=False, type=click.Path(path_type=Path))
@click.option(
    "--policies",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Policies by agent, instead of those of the scenario.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, PaymentSimulator.MAX_SEED),
    metavar="N",
    help="The seed, instead of that of the scenario.",
)
@click.option("--batch", type=click.File("rb"), metavar="FILE", help="Simulate each line of FILE (- for stdin).")
@click.option("--events", is_flag=True, help="Print what happens in each tick, instead of the costs.")
@click.option(
    "--agent",
    metavar="ID",
    help="With --events: only events of this agent.",
    shell_complete=complete_scenario_agent,
)
@click.option("--tick", type=NumberRange("a tick"), help="With --events: only events of these ticks (from 0).")
@click.option("--tx", metavar="ID", help="With --events: only events of this payment and of its parts.")
@color_option
@pager_option
@json_option
def simulate(
    scenario: Path | None,
    policies: Path | None,
    seed: int | None,
    batch: BinaryIO | None,
    events: bool,
    agent: str | None,
    tick: tuple[int, int] | None,
    tx: str | None,
    color: str,
    no_pager: bool,
    as_json: bool,
) -> None:
    """Simulate a payment SCENARIO once and print the costs of each agent, in cents.

    SCENARIO is a YAML, TOML or JSON file. So is the FILE of --policies, which maps agents to policy documents that
    replace those of the scenario.

    With --batch each line of FILE is a JSON object {"scenario": ..., "policies": ..., "seed": ...}; only the
    scenario is required. Each line produces one line of JSON, in the same order: the outcome, or {"error": ...} if
    it cannot be simulated.

    With --events it prints what happens in each tick instead: arrivals, decisions, settlements, offsets, penalties,
    then the balance, the waiting payments and the costs of each agent. Payments are numbered in the order of their
    arrival; 7.2 is the second part of 7. With --json each event is a JSON object on a line. Filters combine.

    \b
    Example:
      exprec simulate examples/castro/two-period-scenario.yaml --seed 7
      exprec simulate scenario.yaml --events --agent BANK_A --tick 0-1
      exprec simulate scenario.yaml --events --tx 2 --json
      exprec simulate --batch lines.jsonl > outcomes.jsonl
    """
    if (scenario is None) == (batch is None):
        raise click.UsageError("give either a SCENARIO or --batch FILE")
    selection = _Selection(agent, tick, tx)
    if not (events or selection.is_everything):
        raise click.UsageError("--agent, --tick and --tx apply to --events")
    if batch is not None:
        if events:
            raise click.UsageError("--events applies to a SCENARIO, not to a batch")
        if policies is not None or seed is not None:
            raise click.UsageError("--policies and --seed apply to a SCENARIO; the lines of a batch have their own")
        _simulate_lines(batch)
        return
    assert scenario is not None
    day = _Day.read(scenario, policies, seed)
    reporter = choose_reporter(as_json=as_json, color=color, pages=not no_pager)
    if events:
        _report_events(day, selection, reporter)
    else:
        reporter.simulation(day.simulate())


class _Day(NamedTuple):
    """A day to simulate: the compiled scenario, the file with policies, if any, and the seed."""

    simulator: PaymentSimulator
    policies: Document | None
    seed: int | None

    @classmethod
    def read(cls, scenario: Path, policies: Path | None, seed: int | None) -> _Day:
        """Read the files. Raises InvalidInput with every problem of the scenario."""
        document = read_document(scenario)
        if problems := document.every_problem(check_scenario(document.value)):
            raise InvalidInput(problems)
        given = None if policies is None else read_document(policies)
        if given is not None and given.problems:
            raise InvalidInput(given.problems)
        return cls(PaymentSimulator(document.value), given, seed)

    def simulate(self, observer: Callable[[DayEvent], None] | None = None) -> SimulationResult:
        """Simulate the day. Raises SimulationError; InvalidInput with the lines of the problems of the policies."""
        if self.policies is None:
            return self.simulator.simulate({}, self.seed, observer)
        try:
            return self.simulator.simulate(self.policies.value, self.seed, observer)
        except InvalidInput as error:
            raise InvalidInput(self.policies.locate(error.problems)) from None


def _report_events(day: _Day, selection: _Selection, reporter: Reporter) -> None:
    """Simulate a day and report its selected events, also those before an error."""
    selection.check(day.simulator)
    try:
        day.simulate(selection.add)
    except SimulationError:
        reporter.day_events(selection.events)
        raise
    selection.check_payment()
    if selection.events:
        reporter.day_events(selection.events)
    else:
        print_message("exprec: no event matches all of the filters")


def _simulate_lines(batch: BinaryIO) -> None:
    """Print the outcome or the error of each line before reading the next line."""
    simulator_of = lru_cache(_CACHED_SCENARIOS)(lambda scenario: PaymentSimulator(canonical_json.decode(scenario)))
    for line in batch:
        if line.strip():
            print_json(_simulate_line(line, simulator_of))


def _simulate_line(line: bytes, simulator_of: _SimulatorOf) -> bytes:
    try:
        given = _read_line(line)
        simulator = simulator_of(canonical_json.encode(given["scenario"]))
        return canonical_json.encode(simulator.simulate(given.get("policies", {}), given.get("seed")).as_dict())
    except ExprecError as error:
        return canonical_json.encode({"error": visible(str(error), keep="\n", quoted=True)})


def _read_line(line: bytes) -> Mapping[str, Any]:
    """Parse the JSON object on a line. Raises InvalidInput for anything else, including a repeated key."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput([Problem((), f"not UTF-8 text (byte {error.start})")]) from None
    try:
        given = json.loads(text, object_pairs_hook=_reject_repeated_keys)
    except (ValueError, RecursionError):
        given = _parse_or_explain(text)
    if not isinstance(given, dict):
        raise InvalidInput([Problem((), "a line must be a JSON object")])
    problems = [
        Problem((key,), unknown_word("key", key, list(_LINE_KEYS)), key)
        for key in given
        if key not in _LINE_KEYS + _UNREAD_KEYS
    ]
    if "scenario" not in given:
        problems.append(Problem(("scenario",), "missing required key", "scenario"))
    if problems:
        raise InvalidInput(problems)
    return given


def _reject_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError
    return mapping


def _parse_or_explain(text: str) -> Any:
    """Parse text that the json module refused with exprec's own reader, whose errors say what is wrong."""
    try:
        return parse_document(text, "line", "json").value
    except InvalidInput as error:
        raise InvalidInput([replace(problem, source=None, line=None) for problem in error.problems]) from None
