"""Two run directories to their comparison: config, log, exchanges, result and all other files.

What differs in a log, in what models were asked or in a file is found in `logs`, `exchanges` and `files`; nothing
here prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from exprec.recorder import events
from exprec.recorder.diff.align import paired
from exprec.recorder.diff.collector import Kept, weight
from exprec.recorder.diff.config import config_differences
from exprec.recorder.diff.equal_runs import SideBySide
from exprec.recorder.diff.events import LogComparison
from exprec.recorder.diff.exchanges import ExchangeComparison
from exprec.recorder.diff.files import compare_files
from exprec.recorder.diff.json_values import Difference, differences
from exprec.recorder.diff.result import Comparison, EventChange, Listed, Side
from exprec.recorder.errors import Damaged
from exprec.recorder.events import Event
from exprec.recorder.format import layout
from exprec.recorder.query import abbreviate_ids
from exprec.recorder.store.run_directory import RunDirectory

DEFAULT_LIMIT = 20
"""So many differences of a kind are listed, and of each series and event; the rest is counted."""


def compare_runs(old: RunDirectory, new: RunDirectory, *, limit: int = DEFAULT_LIMIT) -> Comparison:
    """What differs from the old run to the new one, of each kind at most `limit` differences.

    Each may be sealed or not. Two sealed runs with the same address are equal, and neither log is read. Memory
    grows with the limit, and with what one iteration has that the other run has elsewhere, not with the logs.
    Raises Damaged, naming file and line, StorageFailure.
    """
    if _is_same(old, new):
        before, after = (_side(run, {}, short) for run, short in zip((old, new), _short_ids(old, new), strict=True))
        return Comparison(before, after, limit, is_same_address=True)
    try:
        return _compared(old, new, limit)
    except RecursionError:
        message = f"this run, or {old.path}, has a value nested more deeply than exprec ever writes"
        raise Damaged(new.path, message) from None


def _compared(old: RunDirectory, new: RunDirectory, limit: int) -> Comparison:
    config = _listed(config_differences(old.config, new.config), limit)
    log = LogComparison(limit, has_other_config=config.count > 0)
    logs = SideBySide(old, new)
    log.run(paired(logs.old(), logs.new(), logs))
    exchanges = ExchangeComparison(limit, has_other_config=config.count > 0)
    exchanges.run(*(run.exchange_reader().exchanges() for run in (old, new)))
    files = compare_files(old, new, limit)
    before, after = (
        _side(run, ends, short) for run, ends, short in zip((old, new), log.ends, _short_ids(old, new), strict=True)
    )
    return Comparison(
        before,
        after,
        limit,
        config=config,
        divergence=log.divergence,
        old_iterations=log.iterations[0].listed(),
        new_iterations=log.iterations[1].listed(),
        costs=log.costs.listed(),
        numbers=log.numbers.listed(),
        parameters=log.parameters.listed(),
        policies=log.policies.listed(),
        texts=exchanges.texts(),
        old_exchanges=exchanges.only_old,
        new_exchanges=exchanges.only_new,
        events=_both(exchanges.events.listed(), log.events.listed(), limit),
        outputs=files.outputs,
        artifacts=files.artifacts,
        result=_listed(differences(_outcome(before), _outcome(after)), limit),
        latency=log.latency,
        files=_files(old, new),
    )


def _is_same(old: RunDirectory, new: RunDirectory) -> bool:
    if old.path.resolve() == new.path.resolve():
        return True
    return old.is_sealed and new.is_sealed and old.run_id == new.run_id


def _short_ids(old: RunDirectory, new: RunDirectory) -> tuple[str, str]:
    names = abbreviate_ids((old.run_id, new.run_id))
    # The name of a folder that somebody else named stays whole.
    first, second = (
        names[run.run_id] if run.is_sealed or run.path.resolve().parent.name == layout.WORK_FOLDER else run.run_id
        for run in (old, new)
    )
    return first, second


def _side(run: RunDirectory, ends: Mapping[str, Event], short_id: str) -> Side:
    """What the run is; what it came to from its head, or from its log where there is none."""
    if run.is_sealed:
        result, failure = run.head["result"], run.head["failure"]
    else:
        result, failure = (
            events.fields(ends[kind]) if kind in ends else None for kind in (_end(ends), events.EXPERIMENT_FAILED)
        )
    asked = run.config.get("name")
    name = run.name or (asked if isinstance(asked, str) else "")
    return Side(run.run_id, short_id, run.is_sealed, name, run.type, run.status, result, failure)


def _end(ends: Mapping[str, Event]) -> str:
    return events.RUN_END if events.RUN_END in ends else events.EXPERIMENT_END


def _outcome(side: Side) -> dict[str, Any]:
    return {"status": side.status, "result": side.result, "failure": side.failure}


def _files(old: RunDirectory, new: RunDirectory) -> tuple[str, ...]:
    if not (old.is_sealed and new.is_sealed):
        return ()
    before, after = old.head["files"], new.head["files"]
    return tuple(name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name))


def _listed(found: Iterable[Difference], limit: int) -> Listed[Difference]:
    kept: Kept[Difference] = Kept(limit)
    for difference in found:
        kept.add(difference, weight(difference))
    return kept.listed()


def _both(first: Listed[EventChange], second: Listed[EventChange], limit: int) -> Listed[EventChange]:
    return Listed((*first.items, *second.items)[:limit], first.count + second.count)
