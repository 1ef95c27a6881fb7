"""The diff of two run directories: config, log, exchanges, files and result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exprec.recorder.diff.align import NEW, OLD
from exprec.recorder.diff.collector import collect_differences
from exprec.recorder.diff.config import config_differences
from exprec.recorder.diff.events import compare_logs
from exprec.recorder.diff.exchanges import compare_exchanges
from exprec.recorder.diff.files import compare_files
from exprec.recorder.diff.json_values import differences
from exprec.recorder.diff.result import DiffResult, Side
from exprec.recorder.errors import Damaged
from exprec.recorder.events import EVENT_SPECS, Event, event_fields, optimization
from exprec.recorder.query import abbreviate_ids
from exprec.recorder.store import RunDirectory

DEFAULT_LIMIT = 20


def diff(old: RunDirectory, new: RunDirectory, *, limit: int = DEFAULT_LIMIT) -> DiffResult:
    """Compare two runs and return what differs from the old one to the new one.

    Two sealed runs with the same run id are equal without being read. Memory grows with the limit and with the events
    that one iteration of one run alone has, not with the length of the logs.

        diff(find_run("baseline", "runs"), find_run("latest", "runs")).is_equal

    Args:
        old: A run, sealed or not, as `find_run` returns it.
        new: The run to compare with it.
        limit: How many differences of each kind, and of each series and event, are listed; all are counted.

    Raises:
        Damaged: One of the runs is damaged; the error names file and line.
        StorageFailure: One of the runs cannot be read.
    """
    short_old, short_new = _short_ids(old, new)
    if _is_same(old, new):
        return DiffResult(_side(old, short_old, {}), _side(new, short_new, {}), limit, is_same_run=True)
    try:
        config = collect_differences(config_differences(old.config, new.config), limit).truncated()
        has_other_config = config.count > 0
        log, ends = compare_logs(old, new, limit, has_other_config=has_other_config)
        exchanges = compare_exchanges(old, new, limit, has_other_config=has_other_config)
        files = compare_files(old, new, limit)
        before, after = _side(old, short_old, ends[OLD]), _side(new, short_new, ends[NEW])
        result = collect_differences(differences(_result(before), _result(after)), limit).truncated()
    except RecursionError:
        message = f"this run, or {old.path}, contains a value nested too deeply for exprec to have written it"
        raise Damaged(new.path, message) from None
    return DiffResult(before, after, limit, config=config, log=log, exchanges=exchanges, files=files, result=result)


def _is_same(old: RunDirectory, new: RunDirectory) -> bool:
    if old.path.resolve() == new.path.resolve():
        return True
    return old.is_sealed and new.is_sealed and old.run_id == new.run_id


def _short_ids(old: RunDirectory, new: RunDirectory) -> tuple[str, str]:
    names = abbreviate_ids((old.run_id, new.run_id))
    # The name of a folder that exprec did not name stays whole.
    first, second = (names[run.run_id] if run.is_sealed or run.is_work else run.run_id for run in (old, new))
    return first, second


def _side(run: RunDirectory, short_id: str, ends: Mapping[str, Event]) -> Side:
    """Describe a run; `ends` are the last events of its log, from which the result of an unsealed run is taken."""
    if run.is_sealed:
        result, failure = run.head["result"], run.head["failure"]
    else:
        result, failure = _fields_of_end(ends, "result"), _fields_of_end(ends, "failure")
    configured = run.config.get("name")
    name = run.name or (configured if isinstance(configured, str) else "")
    final_cost = optimization.read_cost((result or {}).get("final_cost"), run.config)
    unit = optimization.cost_unit(run.config)
    return Side(run.run_id, short_id, run.is_sealed, name, run.type, run.status, result, failure, final_cost, unit)


def _fields_of_end(ends: Mapping[str, Event], outcome: str) -> dict[str, Any] | None:
    # `run_end` is the last kind: it is preferred in a log with two ends, which no valid log has.
    types = (event_type for event_type in reversed(EVENT_SPECS) if EVENT_SPECS[event_type].outcome == outcome)
    return next((event_fields(ends[event_type]) for event_type in types if event_type in ends), None)


def _result(side: Side) -> dict[str, Any]:
    return {"status": side.status, "result": side.result, "failure": side.failure}
