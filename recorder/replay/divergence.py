"""The first difference between a recorded run and its re-execution."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from exprec.recorder.diff import ABSENT, Difference, differences
from exprec.recorder.errors import StorageFailure
from exprec.recorder.events import EVENT_SPECS, Event
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.replay.verdict import ReplayOutcome, Verdict
from exprec.recorder.store import RunDirectory, log

_ARTIFACTS = f"{layout.ARTIFACTS_FOLDER}/"
_PIECE_BYTES = 64 * 1024


class Diverged(Exception):
    """An execution is not as recorded; `verdict` has the first difference."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        super().__init__("the execution diverges from the recorded run")


class EventFollower:
    """Compares the events of an execution with the recorded ones, one by one."""

    def __init__(self, recorded: Iterable[log.Entry], identical_events: int = 0) -> None:
        """Begin after `identical_events`, which are only counted."""
        self._recorded = iter(recorded)
        self.identical_events = identical_events

    def next_recorded(self) -> Event | None:
        """Take the next recorded event; None after the last one."""
        entry = next(self._recorded, None)
        return None if entry is None else entry.event

    def follow(self, event: Event, line: bytes = b"") -> None:
        """Compare the next event of the execution, with its line if there is one. Raises Diverged."""
        entry = next(self._recorded, None)
        if entry is None or entry.line != (line or canonical_json.encode(event)):
            raise Diverged(self._diverged(None if entry is None else entry.event, event))
        self.identical_events += 1

    def finish(self) -> None:
        """End the execution. Raises Diverged if recorded events are left."""
        recorded = self.next_recorded()
        if recorded is not None:
            raise Diverged(self._diverged(recorded, None))

    def _diverged(self, recorded: Event | None, executed: Event | None) -> Verdict:
        found: tuple[Difference, ...] = ()
        reasons: tuple[str, ...] = ()
        if recorded is None:
            event_type = "" if executed is None else executed["event_type"]
            reasons = (f"the recorded events end here; the execution continues with {event_type}",)
        elif executed is None:
            reasons = ("the execution ended before this event",)
        elif recorded["event_type"] != executed["event_type"]:
            # Events of different types have few fields in common; listing them all would hide that.
            found = (Difference(("event_type",), recorded["event_type"], executed["event_type"]),)
        else:
            found = tuple(differences(recorded, executed))
        return Verdict(ReplayOutcome.DIVERGED, self.identical_events, recorded, differences=found, reasons=reasons)


def compare_executions(recorded: RunDirectory, executed: RunDirectory) -> Verdict:
    """Return the first difference between two sealed runs of a command whose run ids differ.

    They are compared in causal order: the events that the command sent, its output, the events of its end, its
    artifacts and all other files. Raises Damaged, StorageFailure.
    """
    reasons: tuple[str, ...] = ()
    try:
        sent = _follow_events(_events(recorded, sent=True), _events(executed, sent=True), 0)
        _compare_outputs(recorded, executed, sent)
        reasons = ("all output is identical",)
        ended = _follow_events(_events(recorded, sent=False), _events(executed, sent=False), sent)
    except Diverged as diverged:
        return diverged.verdict.with_reasons(reasons)
    return compare_files(recorded, executed, ended).with_reasons(["all events and all output are identical"])


def compare_files(recorded: RunDirectory, executed: RunDirectory, identical_events: int) -> Verdict:
    """Return the first difference between the files of two sealed runs with equal logs whose run ids differ.

    Artifacts are compared by digest and size, other files by their values.
    """
    file, found = _first_file_difference(recorded, executed)
    return Verdict(ReplayOutcome.DIVERGED, identical_events, file=file, differences=found)


def _events(run: RunDirectory, *, sent: bool) -> Iterator[log.Entry]:
    """Yield the events that a command sent, or those that tell how it ended."""
    return (entry for entry in run.reader().entries() if sent is (entry.event["event_type"] not in EVENT_SPECS))


def _follow_events(recorded: Iterator[log.Entry], executed: Iterator[log.Entry], identical_events: int) -> int:
    follower = EventFollower(recorded, identical_events)
    for entry in executed:
        follower.follow(entry.event, entry.line)
    follower.finish()
    return follower.identical_events


def _compare_outputs(recorded: RunDirectory, executed: RunDirectory, identical_events: int) -> None:
    """Raises Diverged at the first line of output that differs."""
    for stream in layout.STREAMS:
        found = _first_line_difference(recorded.path / stream, executed.path / stream)
        if found is not None:
            raise Diverged(Verdict(ReplayOutcome.DIVERGED, identical_events, file=stream, differences=(found,)))


def _first_line_difference(recorded: Path, executed: Path) -> Difference | None:
    try:
        with recorded.open("rb") as old, executed.open("rb") as new:
            number = 1
            # Pieces of lines, because a program may write gigabytes without a newline.
            for left, right in zip_longest(*(iter(partial(file.readline, _PIECE_BYTES), b"") for file in (old, new))):
                if left != right:
                    return _line_difference(number, left, right)
                number += left.endswith(b"\n")
    except OSError as error:
        raise StorageFailure(recorded, error) from error
    return None


def _line_difference(number: int, old: bytes | None, new: bytes | None) -> Difference:
    name = f"line {number}"
    if old is not None and new is not None and old.rstrip(b"\n") == new.rstrip(b"\n"):
        return Difference((f"newline at the end of {name}",), old.endswith(b"\n"), new.endswith(b"\n"))
    return Difference((name,), _line_text(old), _line_text(new))


def _line_text(line: bytes | None) -> Any:
    return ABSENT if line is None else line.removesuffix(b"\n").decode("utf-8", "backslashreplace")


class _FileDifference(NamedTuple):
    file: str
    differences: tuple[Difference, ...]


def _first_file_difference(recorded: RunDirectory, executed: RunDirectory) -> _FileDifference:
    before, after = recorded.head["files"], executed.head["files"]
    for name in sorted(before.keys() | after.keys()):
        if name.startswith(_ARTIFACTS) and before.get(name) != after.get(name):
            return _FileDifference(name, tuple(differences(before.get(name, {}), after.get(name, {}))))
    for name in (layout.CONFIG_FILE, layout.EXCHANGES_FILE, layout.SCHEMAS_FILE, layout.RUN_FILE):
        # run.json lists the digests of the others, so it is the last.
        if before.get(name) != after.get(name) or name == layout.RUN_FILE:
            compare = _compare_records if name == layout.EXCHANGES_FILE else _compare_documents
            return _FileDifference(name, tuple(compare(recorded.path / name, executed.path / name)))
    raise AssertionError("two runs have different run ids although no file differs")


def _compare_documents(recorded: Path, executed: Path) -> list[Difference]:
    old, new = (canonical_json.decode(path.read_bytes()) for path in (recorded, executed))
    return differences(old, new)


def _compare_records(recorded: Path, executed: Path) -> list[Difference]:
    """Return the differences between the first records that differ. Either file may be missing."""
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("rb")) if path.exists() else () for path in (recorded, executed)]
        for index, lines in enumerate(zip_longest(*files)):
            if lines[0] != lines[1]:
                old, new = (ABSENT if line is None else canonical_json.decode(line) for line in lines)
                return differences(old, new, (index,))
    return []
