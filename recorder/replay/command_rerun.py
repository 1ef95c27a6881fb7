"""Re-execution of a recorded command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.diff import ABSENT, Difference, differences
from exprec.recorder.errors import InvalidInput, SecretFound, StorageFailure
from exprec.recorder.events import EVENT_SPECS
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.replay.verdict import CANNOT_RUN, DIVERGED, IDENTICAL, Verdict, parting
from exprec.recorder.schema.event_types import EventTypes
from exprec.recorder.sessions import NOT_STARTED, Command, CommandRunner
from exprec.recorder.store import RunDirectory, Store, log

_ARTIFACTS = f"{layout.ARTIFACTS_FOLDER}/"


def rerun_command(
    run: RunDirectory,
    store: Store,
    folder: Path,
    environment: Mapping[str, str],
    *,
    secrets: SecretGuard,
    has_input: bool = True,
) -> Verdict:
    """Execute the command of a sealed run again and compare the result with the recorded one.

    Args:
        run: The sealed run.
        store: A store for the new execution, which is not needed afterwards.
        folder: The folder in which the command is executed, with unchanged inputs.
        environment: The environment of the command.
        secrets: The secrets that must not be recorded.
        has_input: Whether the command gets the stdin of this process.

    Raises:
        KeyboardInterrupt: A signal ended the execution, which says nothing about the run.
        StorageFailure: The store cannot be written.
        Damaged: The run is damaged.
    """
    try:
        command = Command.of_config(run.config)
        types = EventTypes.recorded(run.schemas, strict=run.config.get("strict") is True)
    except InvalidInput as error:
        return Verdict(CANNOT_RUN, 0, reasons=tuple(str(problem) for problem in error.problems))
    changed = command.changed_inputs(folder)
    if changed:
        return Verdict(CANNOT_RUN, 0, reasons=tuple(changed))
    runner = CommandRunner(
        command,
        folder,
        environment,
        store=store,
        secrets=secrets,
        types=types,
        has_input=has_input,
        name=run.name,
    )
    try:
        outcome = runner.run()
    except SecretFound as error:
        return Verdict(CANNOT_RUN, 0, reasons=(str(error),))
    if outcome.was_interrupted:
        raise KeyboardInterrupt
    if outcome.sealed.run_id == run.run_id:
        return Verdict(IDENTICAL, run.head["counts"]["events"])
    if outcome.failure is not None and outcome.failure.error_type == NOT_STARTED:
        return Verdict(CANNOT_RUN, 0, reasons=(outcome.failure.message,))
    return _diverged(run, RunDirectory(outcome.sealed.path))


def _diverged(old: RunDirectory, new: RunDirectory) -> Verdict:
    """Return the first difference of two runs, in causal order: events, output, exit status, artifacts."""
    same, parted = _compared(_events(old, sent=True), _events(new, sent=True))
    if parted is not None:
        return parted
    for stream in layout.STREAMS:
        difference = _first_other_line(old.path / stream, new.path / stream)
        if difference is not None:
            return Verdict(DIVERGED, same, file=stream, found=(difference,))
    ends, parted = _compared(_events(old, sent=False), _events(new, sent=False))
    if parted is not None:
        return replace(parted, identical_events=same + ends, reasons=("all output came again", *parted.reasons))
    file, found = _first_other_file(old, new)
    return Verdict(DIVERGED, same + ends, file=file, found=found, reasons=("every event and all output came again",))


def _events(run: RunDirectory, *, sent: bool) -> Iterator[log.Entry]:
    """The events that the command sent, or those that tell how it ended."""
    return (each for each in run.reader().entries() if sent is (each.event["event_type"] not in EVENT_SPECS))


def _compared(old: Iterator[log.Entry], new: Iterator[log.Entry]) -> tuple[int, Verdict | None]:
    """How many events are equal, and what is to say where they part."""
    count = 0
    for recorded, came in zip_longest(old, new):
        if recorded is None or came is None or recorded.line != came.line:
            one, other = (None if entry is None else entry.event for entry in (recorded, came))
            found, reasons = parting(one, other)
            return count, Verdict(DIVERGED, count, one, found=found, reasons=reasons)
        count += 1
    return count, None


def _first_other_line(old: Path, new: Path) -> Difference | None:
    """The first line in which two files differ, or None."""
    try:
        with old.open("rb") as recorded, new.open("rb") as came:
            for number, (one, other) in enumerate(zip_longest(recorded, came), 1):
                if one != other:
                    return _line_difference(number, one, other)
    except OSError as error:
        raise StorageFailure(old, error) from error
    return None


def _line_difference(number: int, one: bytes | None, other: bytes | None) -> Difference:
    place = f"line {number}"
    if one is not None and other is not None and one.rstrip(b"\n") == other.rstrip(b"\n"):
        return Difference((f"a newline behind {place}",), one.endswith(b"\n"), other.endswith(b"\n"))
    return Difference((place,), _text(one), _text(other))


def _text(line: bytes | None) -> Any:
    return ABSENT if line is None else line.removesuffix(b"\n").decode("utf-8", "backslashreplace")


def _first_other_file(old: RunDirectory, new: RunDirectory) -> tuple[str, tuple[Difference, ...]]:
    """The first artifact that differs, by its SHA-256 and size, or else the first other file."""
    recorded, came = (run.head["files"] for run in (old, new))
    for name in sorted(recorded.keys() | came.keys()):
        if name.startswith(_ARTIFACTS) and recorded.get(name) != came.get(name):
            return name, tuple(differences(recorded.get(name, {}), came.get(name, {})))
    for name in (layout.CONFIG_FILE, layout.SCHEMAS_FILE, layout.RUN_FILE):
        one, other = (canonical_json.decode((run.path / name).read_bytes()) for run in (old, new))
        if one != other:
            return name, tuple(differences(one, other))
    raise AssertionError("two addresses differ where no file does")
