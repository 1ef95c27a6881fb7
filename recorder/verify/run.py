"""The verification of a run, step by step."""

from __future__ import annotations

from collections.abc import Iterator

from exprec.recorder.errors import Problem
from exprec.recorder.events import TERMINAL_TYPES
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.store import RunDirectory
from exprec.recorder.verify.attestations import check_attestations
from exprec.recorder.verify.documents import is_newer_format, read_run_document
from exprec.recorder.verify.files import RunFiles
from exprec.recorder.verify.head import Head, read_head
from exprec.recorder.verify.location import RunLocation
from exprec.recorder.verify.messages import RESTORE, with_advice
from exprec.recorder.verify.records import EventChecker, ExchangeChecker, check_events, check_exchanges
from exprec.recorder.verify.schemas import EmbeddedSchemas, read_schemas


def verify(run: RunDirectory, *, quick: bool = False) -> list[Problem]:
    """Return everything wrong with a run; an empty list if it verifies.

        exprec.verify(exprec.find_run("baseline", "runs")) == []

    Args:
        run: A run, as `find_run` returns it. That it is not sealed is a problem.
        quick: Check sizes, digests and the run id only.

    Nothing is changed, and damage raises nothing: it is listed. The file in a problem is named from the store, or from
    the run outside of a store.
    """
    return list(verify_run(run, quick=quick))


def verify_run(run: RunDirectory, *, quick: bool = False) -> Iterator[Problem]:
    """Yield everything wrong with a run, step by step; nothing if it verifies.

    A file in a problem is named from the store, or from the run outside of a store. With `quick` only
    sizes, digests and the run id are checked. A run that is not sealed is a problem too. Nothing is changed or raised,
    each file is opened at most once, and memory does not grow with the events.
    """
    files = RunFiles(RunLocation.of(run.files))
    log = None

    # 1. The run is a folder, not a link to one, in a format that this version knows.
    names = files.list_names()
    if names is None or is_newer_format(files):
        yield from files.problems.take()
        return
    # 2. It has the files of a run and no others; each is a regular file that can be read.
    files.check_names(names)
    # 3. It is sealed, and run.json is canonical and valid by its schema.
    head = read_head(files) if files.location.is_sealed else None
    if not files.location.is_sealed:
        _report_unsealed(files)
    # 4. The files are those that run.json lists, with these sizes and digests.
    if head is not None:
        head.check_streams()
        head.check_digests()
    # 5. The name of the folder is the run id of the files.
    files.check_run_id()
    yield from files.problems.take()
    if not quick:
        # 6. config.json and schemas.json are canonical, and the schemas usable.
        _check_config(files)
        schemas = read_schemas(files)
        # 7. Exchanges are canonical, numbered and valid by their schema.
        exchanges = check_exchanges(files, schemas)
        yield from files.problems.take()
        # 8. Events are too, and in an order that the format allows; a call names its exchange.
        log = check_events(files, schemas, exchanges)
        # 9. Every embedded schema is used, and run.json has the numbers of records.
        _check_counts(files, head, schemas, exchanges, log)
        yield from files.problems.take()
    # 10. Execution records are named by their digests, valid by their schema, and of this run.
    check_attestations(files, quick=quick)
    # 11. The last event ends the run, and run.json has the outcome that the events add up to.
    if head is not None and log is not None and log.is_complete:
        _check_end(files, log)
        head.check_outcome(log.state)
    yield from files.problems.take()


def _report_unsealed(files: RunFiles) -> None:
    if files.location.is_in_progress():
        files.problems.add("", "is not sealed (in progress); wait until it ends")
    else:
        advice = "resume it with `exprec resume` or remove it with `exprec gc`"
        files.problems.add("", f"is not sealed (interrupted); {advice}")


def _check_config(files: RunFiles) -> None:
    config = read_run_document(layout.CONFIG_FILE, files)
    if config is not None and not isinstance(config.value, dict):
        files.problems.add(layout.CONFIG_FILE, f"must be a JSON object; {RESTORE}")


def _check_end(files: RunFiles, log: EventChecker) -> None:
    if not log.state.has_ended:
        ends = ", ".join(sorted(TERMINAL_TYPES))
        problem = Problem((), f"the log has no end: its last event must be one of {ends}", line=log.count or None)
        files.problems.add_in(layout.EVENTS_FILE, with_advice(problem))


def _check_counts(
    files: RunFiles, head: Head | None, schemas: EmbeddedSchemas, exchanges: ExchangeChecker, log: EventChecker
) -> None:
    if files.unreadable & {layout.EVENTS_FILE, layout.EXCHANGES_FILE}:
        return
    if schemas.document is not None:
        config = files.checked.get(layout.CONFIG_FILE)
        # A config that cannot be read may have one.
        in_config = config is None or config.content is None or canonical_json.has_float_form(config.content)
        unused = schemas.find_unused(has_exchanges=exchanges.count > 0, has_floats=in_config or log.has_floats)
        files.problems.extend(schemas.document.located(unused))
    if head is not None:
        by_type = log.state.counts if log.is_complete else None
        head.check_counts(events=log.count, exchanges=exchanges.count, by_type=by_type)
