"""All runs of a store as rows. No log of a sealed run is read whole, and nothing is verified."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from exprec.recorder.errors import Damaged, StorageFailure
from exprec.recorder.events import common, optimization
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.query.abbreviation import abbreviate_ids
from exprec.recorder.query.index import HEAD_BYTES, TAIL_BYTES, NoSummary, SummaryReader
from exprec.recorder.query.run_row import RunRow
from exprec.recorder.state import Reducer
from exprec.recorder.store import RunDirectory, Store, StoreReader, log

_Fields = dict[str, Any]
"""Some fields of a RunRow, by name."""


def list_runs(store: StoreReader, only: str | None = None) -> list[RunRow]:
    """Return a row for every run of a store, sealed or not, in no particular order; with `only`, for that sealed run.

    The row of a run that cannot be read has a `problem`. Raises StorageFailure when the store itself cannot be read.
    """
    work_names = store.work_names() if only is None else []
    run_ids = store.run_ids() if only is None else [only]
    shorts = abbreviate_ids(work_names + run_ids)
    tags: dict[str, list[str]] = {}
    for tag, run_id in store.tags().items():
        tags.setdefault(run_id, []).append(tag)
    reader = _open_summaries(store)
    rows = [
        RunRow(run_id, True, shorts[run_id], tags=tuple(tags.get(run_id, ())), **_sealed_fields(store, reader, run_id))
        for run_id in run_ids
    ]
    for name in work_names:
        fields = _unsealed_fields(RunDirectory(store.files.subtree(f"{layout.WORK_FOLDER}/{name}")))
        if fields is not None:
            rows.append(RunRow(name, False, shorts[name], **fields))
    counts = Counter(row.inputs for row in rows)
    return [row._replace(shares_inputs=True) if row.inputs and counts[row.inputs] > 1 else row for row in rows]


def _open_summaries(store: StoreReader) -> SummaryReader | None:
    """The reader of fast summaries of a store; None for one that is not on disk, or whose folders are not as usual."""
    try:
        return SummaryReader(store.path) if isinstance(store, Store) else None
    except NoSummary:
        return None


def _sealed_fields(store: StoreReader, reader: SummaryReader | None, run_id: str) -> _Fields:
    """The row of a sealed run, by its fast summary if that suffices."""
    if reader is None:
        return _checked_fields(store, run_id)
    try:
        summary = reader.read(run_id)
        executions = _execution_fields(store.sort_attestations(summary.attestations))
        return executions | _result_fields(summary.head, summary.entries(), lambda: summary.ending)
    except (NoSummary, Damaged):
        return _checked_fields(store, run_id)


def _checked_fields(store: StoreReader, run_id: str) -> _Fields:
    """The same with all checks, and with the problem if there is one."""
    fields: _Fields = {}
    try:
        fields |= _execution_fields(store.attestations(run_id))
    except (Damaged, StorageFailure) as error:
        fields["problem"] = error
    run = store.run(run_id)
    try:
        fields |= _identity_fields(run.head)
        reader = run.reader()
        entries = _continue_after(reader.entries(0, HEAD_BYTES), reader.entries)
        fields |= _result_fields(run.head, entries, partial(_read_tail, run))
    except (Damaged, StorageFailure) as error:
        fields["problem"] = error
    return fields


def _execution_fields(attestations: Sequence[Mapping[str, Any]]) -> _Fields:
    first = attestations[0]["started_at"] if attestations else None
    return {"recorded_at": first, "executions": len(attestations)}


def _identity_fields(head: Mapping[str, Any]) -> _Fields:
    return {"name": head["name"], "type": head["type"], "inputs": head["inputs"]}


def _result_fields(head: Mapping[str, Any], entries: Iterator[log.Entry], tail: Callable[[], bytes]) -> _Fields:
    """What a run is and its result: from its head, the beginning of its log, and for a command the end of its log."""
    start = _reduce_start(head, entries)
    result = head["result"] or {}
    converged = result.get("converged")
    return {
        **_identity_fields(head),
        **(_command_fields(tail()) if head["type"] == layout.COMMAND_RUN else {}),
        "status": head["status"],
        "mode": _string(start.info.get("evaluation_mode")),
        "iterations": head["counts"]["iterations"],
        "first_cost": start.first_cost,
        "best_cost": optimization.read_cost(result.get("best_cost"), start.info),
        "final_cost": optimization.read_cost(result.get("final_cost"), start.info),
        "cost_unit": optimization.cost_unit(start.info) if start.info else None,
        "converged": converged if isinstance(converged, bool) else None,
        "proposals": _proposals(result.get("proposals")),
    }


def _proposals(value: Any) -> dict[str, int] | None:
    """The numbers of proposals, if there were any; a later version may have counted otherwise."""
    keys = optimization.PROPOSAL_COUNTS
    if not isinstance(value, Mapping) or any(type(value.get(key)) is not int for key in keys):
        return None
    return {key: value[key] for key in keys} if any(value.values()) else None


def _reduce_start(head: Mapping[str, Any], entries: Iterator[log.Entry]) -> Reducer:
    """The state of a run after its first `iteration_start`."""
    state = Reducer()
    if head["counts"]["by_type"].keys() & {
        optimization.EXPERIMENT_START.event_type,
        optimization.ITERATION_START.event_type,
    }:
        for entry in entries:
            state.apply(entry)
            if entry.event["event_type"] == optimization.ITERATION_START.event_type:
                break
    # Any other log may be long, and has nothing for a row.
    return state


def _continue_after(
    beginning: Iterator[log.Entry], rest_from: Callable[[int], Iterator[log.Entry]]
) -> Iterator[log.Entry]:
    """The events of a log; more than its beginning is read only when they are asked for."""
    end = 0
    for entry in beginning:
        end = entry.end
        yield entry
    yield from rest_from(end)


def _read_tail(run: RunDirectory) -> bytes:
    size = run.head["files"][layout.EVENTS_FILE]["size"]
    return run.files.open(layout.EVENTS_FILE).read(max(size - TAIL_BYTES, 0), TAIL_BYTES)


def _command_fields(tail: bytes) -> _Fields:
    """How a command ended, from the end of its log."""
    for line in reversed(tail.splitlines()):
        try:
            event = canonical_json.decode(line)
        except ValueError:
            # A line that begins before the tail, or damage, which verification reports.
            return {}
        if isinstance(event, dict) and event.get("event_type") == common.COMMAND_END.event_type:
            return {"exit_status": _integer(event.get("exit_status")), "signal": _string(event.get("signal"))}
    return {}


def _unsealed_fields(run: RunDirectory) -> _Fields | None:
    """The row of a run in a work folder, or None when that has been sealed or removed."""
    fields: _Fields = {}
    state = Reducer(keeps_iterations=False)
    try:
        fields |= {"name": run.name, "type": run.type}
        status = run.status
        state.apply_all(run.reader().entries())
    except (Damaged, StorageFailure) as error:
        fields["problem"] = error
    else:
        mode = _string(state.info.get("evaluation_mode"))
        iterations, first_cost = state.iteration_count, state.first_cost
        fields |= {"status": status, "mode": mode, "iterations": iterations, "first_cost": first_cost}
        fields |= {"cost_unit": optimization.cost_unit(state.info)} if state.info else {}
        fields["proposals"] = _proposals(state.proposals)
    return fields if os.path.lexists(run.path) else None


def _integer(value: Any) -> int | None:
    return value if type(value) is int else None


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None
