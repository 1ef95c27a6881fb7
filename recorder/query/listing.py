"""The runs of a store as rows: what each is, what it came to, when and how often it was executed.

It reads the head of a run and the first events of its log, never a whole log of a sealed run, and verifies
nothing. How rows look is not told here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from exprec.recorder import events
from exprec.recorder.errors import Damaged, ExprecError, StorageFailure
from exprec.recorder.events import Event
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.store.file_tree import FileSource
from exprec.recorder.store.index import HEAD_BYTES, TAIL_BYTES, NotGlimpsed, glimpse
from exprec.recorder.store.log import Entry
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from exprec.recorder.store.store_reader import start_order

SHORT_DIGITS = 8
"""Fewest digits of a short id, though fewer would do: those of today shall still be unique tomorrow."""

DAMAGED = "damaged"
"""In the place of the status of a run that cannot be read."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One run. Costs are in cents; what is not known (yet) is None."""

    run_id: str
    """The address, or the name of the work folder of a run that is not sealed."""
    is_sealed: bool
    short_id: str = ""
    name: str = ""
    type: str | None = None
    status: str = DAMAGED
    """`completed`, `failed`, `interrupted`, `running` or `damaged`."""
    mode: str | None = None
    iterations: int | None = None
    first_cost: int | None = None
    best_cost: int | None = None
    final_cost: int | None = None
    converged: bool | None = None
    exit_status: int | None = None
    """The status that the command of the run exited with."""
    signal: str | None = None
    """The signal that ended it, such as SIGKILL."""
    tags: tuple[str, ...] = ()
    recorded_at: str | None = None
    """When the first execution began, as it attests: UTC, ISO 8601."""
    executions: int = 0
    """How many executions attest that they reached the address."""
    inputs: str | None = None
    shares_inputs: bool = False
    """Whether another address in the store has the same inputs digest."""
    problem: ExprecError | None = None
    """Why something of this run could not be read."""

    def as_dict(self) -> dict[str, Any]:
        """The row for programs; the problem in words."""
        return {
            "run_id": self.run_id,
            "sealed": self.is_sealed,
            "short_id": self.short_id,
            "name": self.name,
            "type": self.type,
            "status": self.status,
            "mode": self.mode,
            "iterations": self.iterations,
            "first_cost": self.first_cost,
            "best_cost": self.best_cost,
            "final_cost": self.final_cost,
            "converged": self.converged,
            "exit_status": self.exit_status,
            "signal": self.signal,
            "tags": list(self.tags),
            "recorded_at": self.recorded_at,
            "executions": self.executions,
            "inputs": self.inputs,
            "shares_inputs": self.shares_inputs,
            "problem": None if self.problem is None else str(self.problem),
        }


def list_runs(store: Store) -> list[Listed]:
    """Every run of a store, sealed or not, in no particular order.

    A run that cannot be read is listed with its `problem`. Raises StorageFailure when the store itself
    cannot be read.
    """
    work_names, run_ids = store.work_names(), store.run_ids()
    tags: dict[str, list[str]] = {}
    for tag, run_id in store.tags().items():
        tags.setdefault(run_id, []).append(tag)
    found = [{"run_id": run_id, "is_sealed": True, **_sealed(store, run_id)} for run_id in run_ids]
    sealed = set(run_ids)
    for name in work_names:
        row = _unsealed(RunDirectory(store.path / layout.WORK_FOLDER / name))
        # One that was sealed while the list was made has left its work folder.
        if row is not None and name not in sealed:
            found.append({"run_id": name, "is_sealed": False, **row})
    addresses = Counter(row.get("inputs") for row in found)
    shorts = short_ids(row["run_id"] for row in found)
    return [
        Listed(
            **row,
            short_id=shorts[row["run_id"]],
            tags=tuple(tags.get(row["run_id"], ())) if row["is_sealed"] else (),
            shares_inputs="inputs" in row and addresses[row["inputs"]] > 1,
        )
        for row in found
    ]


def short_ids(names: Iterable[str]) -> dict[str, str]:
    """For each of these names its shortest beginning that no other has, of at least SHORT_DIGITS."""
    # In alphabetical order the names with the most digits in common are neighbours.
    ordered = ["", *sorted(set(names)), ""]
    found = {}
    for before, name, after in zip(ordered, ordered[1:-1], ordered[2:], strict=False):
        shared = max(_shared_digits(name, before), _shared_digits(name, after))
        found[name] = name[: max(shared + 1, SHORT_DIGITS)]
    return found


def selected(
    rows: Iterable[Listed], *, name: str | None = None, tag: str | None = None, status: str | None = None
) -> list[Listed]:
    """The rows whose name contains `name` in any case, with a tag like `tag` (`*` and `?` as in a shell) and
    of this status."""
    wanted = None if name is None else name.casefold()
    return [
        row
        for row in rows
        if (wanted is None or wanted in row.name.casefold())
        and (tag is None or any(fnmatchcase(each, tag) for each in row.tags))
        and (status is None or row.status == status)
    ]


def in_order(rows: Iterable[Listed], by: str = "recorded") -> list[Listed]:
    """The rows in the order `recorded` (newest first; before them what is not sealed yet), `name`, `cost`
    (lowest final cost first) or `iterations` (fewest first).

    What lacks the figure comes last. Rows that are equal in it stand newest first, and by address among those.
    """
    newest_first = sorted(sorted(rows, key=lambda row: row.run_id), key=_recorded, reverse=True)
    # Reversed, a stable sort keeps equal rows as they were: by address.
    key = _ORDERS[by]
    return newest_first if key is None else sorted(newest_first, key=key)


def _recorded(row: Listed) -> tuple[bool, str]:
    return not row.is_sealed, row.recorded_at or ""


def _by_name(row: Listed) -> tuple[bool, str, str]:
    return not row.name, row.name.casefold(), row.name


def _by_cost(row: Listed) -> tuple[bool, int]:
    return row.final_cost is None, row.final_cost or 0


def _by_iterations(row: Listed) -> tuple[bool, int]:
    return row.iterations is None, row.iterations or 0


_ORDERS: Mapping[str, Callable[[Listed], Any] | None] = {
    "recorded": None,
    "name": _by_name,
    "cost": _by_cost,
    "iterations": _by_iterations,
}
ORDERS: Sequence[str] = tuple(_ORDERS)
"""The orders that `in_order` knows."""


_Row = dict[str, Any]
"""Some fields of `Listed`."""


def _sealed(store: Store, run_id: str) -> _Row:
    try:
        quick = glimpse(str(store.path), run_id)
        attested = _attested(sorted(quick.attestations, key=start_order))
        return attested | _of_head(quick.head) | _outcome(quick.head, quick.entries(), lambda: quick.ending)
    except (NotGlimpsed, Damaged):
        return _read_with_care(store, run_id)


def _read_with_care(store: Store, run_id: str) -> _Row:
    """The same, with the problem where there is one."""
    row: _Row = {}
    try:
        row |= _attested(store.attestations(run_id))
    except (Damaged, StorageFailure) as error:
        row["problem"] = error
    run = RunDirectory(store.path / run_id)
    try:
        row |= _of_head(run.head)
        reader = run.reader()
        entries = _from_the_head(reader.entries(0, HEAD_BYTES), reader.entries)
        row |= _outcome(run.head, entries, partial(_tail, run))
    except (Damaged, StorageFailure) as error:
        row["problem"] = error
    return row


def _attested(attestations: Sequence[Mapping[str, Any]]) -> _Row:
    first = attestations[0]["started_at"] if attestations else None
    return {"recorded_at": first, "executions": len(attestations)}


def _of_head(head: Mapping[str, Any]) -> _Row:
    """What the run is."""
    return {"name": head["name"], "type": head["type"], "inputs": head["inputs"]}


def _outcome(head: Mapping[str, Any], entries: Iterator[Entry], tail: Callable[[], bytes]) -> _Row:
    """What the run came to, from its head, as little of its log as has it, and the end of its log."""
    mode, first_cost = _beginning(head, entries)
    ended = _command_end(tail()) if head["type"] == layout.COMMAND_RUN else {}
    result = head["result"] or {}
    converged = result.get("converged")
    return {
        **ended,
        "status": head["status"],
        "mode": mode,
        "iterations": head["counts"]["iterations"],
        "first_cost": first_cost,
        "best_cost": _integer(result.get("best_cost")),
        "final_cost": _integer(result.get("final_cost")),
        "converged": converged if isinstance(converged, bool) else None,
    }


def _beginning(head: Mapping[str, Any], entries: Iterator[Entry]) -> tuple[str | None, int | None]:
    """The mode and the first cost of a run."""
    mode = None
    if not head["counts"]["by_type"].keys() & {events.EXPERIMENT_START, events.ITERATION_START}:
        # Nothing of its log would tell; it may be long.
        return None, None
    for entry in entries:
        event = entry.event
        if event["event_type"] == events.EXPERIMENT_START:
            mode = _text(event.get("evaluation_mode"))
        elif event["event_type"] == events.ITERATION_START:
            return mode, _integer(event.get("total_cost"))
    return mode, None


def _from_the_head(head: Iterator[Entry], rest_from: Callable[[int], Iterator[Entry]]) -> Iterator[Entry]:
    """The events of a log, of which no more than the head is read unless more of them are asked for."""
    end = 0
    for entry in head:
        end = entry.end
        yield entry
    yield from rest_from(end)


def _tail(run: RunDirectory) -> bytes:
    size = run.head["files"][layout.EVENTS_FILE]["size"]
    return FileSource(run.path / layout.EVENTS_FILE).read(max(size - TAIL_BYTES, 0), TAIL_BYTES)


def _command_end(tail: bytes) -> _Row:
    """How a command ended, from the end of its log."""
    for line in reversed(tail.splitlines()):
        try:
            event = canonical_json.decode(line)
        except ValueError:
            # A line that begins before the tail, or damage, which verifying tells.
            return {}
        if isinstance(event, dict) and event.get("event_type") == events.COMMAND_END:
            return {"exit_status": _integer(event.get("exit_status")), "signal": _text(event.get("signal"))}
    return {}


def _unsealed(run: RunDirectory) -> _Row | None:
    """The row of a work folder, or None when it is gone."""
    row: _Row = {}
    numbers: set[int] = set()
    mode = first_cost = None
    try:
        row |= {"name": run.name, "type": run.type}
        status = run.status
        for entry in run.reader().entries():
            event: Event = entry.event
            if event["iteration"] > 0:
                numbers.add(event["iteration"])
            if event["event_type"] == events.EXPERIMENT_START:
                mode = _text(event.get("evaluation_mode"))
            elif event["event_type"] == events.ITERATION_START and first_cost is None:
                first_cost = _integer(event.get("total_cost"))
    except (Damaged, StorageFailure) as error:
        row["problem"] = error
    else:
        row |= {"status": status, "mode": mode, "iterations": len(numbers), "first_cost": first_cost}
    return row if run.path.is_dir() else None


def _shared_digits(one: str, other: str) -> int:
    shared = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        shared += 1
    return shared


def _integer(value: Any) -> int | None:
    return value if type(value) is int else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
