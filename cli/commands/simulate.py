"""`exprec simulate`: simulate a payment scenario under given policies, once or for each line of a batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import click

from exprec.cli.options import json_option
from exprec.cli.output.reporters import choose_reporter
from exprec.cli.screen import print_json
from exprec.recorder.diagnostics import unknown_word, visible
from exprec.recorder.documents import parse_document, read_document
from exprec.recorder.errors import ExprecError, InvalidInput, Problem
from exprec.recorder.format import canonical_json
from exprec.recorder.payments import MAX_SEED, PaymentSimulator, SimulationResult, check_scenario

_LINE_KEYS = ("scenario", "policies", "seed")
# Test vectors also have the expected outcome on the line.
_UNREAD_KEYS = ("expected",)
_CACHED_SCENARIOS = 8

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
    "--seed", type=click.IntRange(0, MAX_SEED), metavar="N", help="The seed, instead of that of the scenario."
)
@click.option("--batch", type=click.File("rb"), metavar="FILE", help="Simulate each line of FILE (- for stdin).")
@json_option
def simulate(
    scenario: Path | None, policies: Path | None, seed: int | None, batch: BinaryIO | None, as_json: bool
) -> None:
    """Simulate a payment SCENARIO once and print the costs of each agent, in cents.

    SCENARIO is a YAML, TOML or JSON file. So is the FILE of --policies, which maps agents to policy documents that
    replace those of the scenario.

    With --batch each line of FILE is a JSON object {"scenario": ..., "policies": ..., "seed": ...}; only the
    scenario is required. Each line produces one line of JSON, in the same order: the outcome, or {"error": ...} if
    it cannot be simulated.

    \b
    Example:
      exprec simulate examples/castro/two-period-scenario.yaml --seed 7
      exprec simulate --batch lines.jsonl > outcomes.jsonl
    """
    if (scenario is None) == (batch is None):
        raise click.UsageError("give either a SCENARIO or --batch FILE")
    if batch is not None:
        if policies is not None or seed is not None:
            raise click.UsageError("--policies and --seed apply to a SCENARIO; the lines of a batch have their own")
        _simulate_lines(batch)
    elif scenario is not None:
        choose_reporter(as_json=as_json).simulation(_simulate_file(scenario, policies, seed))


def _simulate_file(scenario: Path, policies: Path | None, seed: int | None) -> SimulationResult:
    document = read_document(scenario)
    if problems := document.every_problem(check_scenario(document.value)):
        raise InvalidInput(problems)
    simulator = PaymentSimulator(document.value)
    if policies is None:
        return simulator.simulate({}, seed)
    given = read_document(policies)
    if problems := given.every_problem(()):
        raise InvalidInput(problems)
    try:
        return simulator.simulate(given.value, seed)
    except InvalidInput as error:
        raise InvalidInput(given.locate(error.problems)) from None


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
