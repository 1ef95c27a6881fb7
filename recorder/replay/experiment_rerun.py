"""Re-execution of a recorded experiment, from its run alone: recorded responses answer the requests to models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from exprec.recorder.diff import Difference, differences
from exprec.recorder.errors import ExperimentFailed, InvalidInput
from exprec.recorder.events import Event, is_failure
from exprec.recorder.experiment import ExperimentConfig, GenericExperimentRunner
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.proposers import RecordedProposer, UnrecordedRequest
from exprec.recorder.replay.verdict import CANNOT_RUN, DIVERGED, IDENTICAL, Verdict, parting
from exprec.recorder.state import Listener
from exprec.recorder.store import RunDirectory, Store, log


async def rerun_experiment(
    run: RunDirectory, store: Store, folder: Path, *, jobs: int = 1, listener: Listener | None = None
) -> Verdict:
    """Execute a sealed run again and compare each event with the recorded one.

    The execution is recorded in `store`. A custom simulator is loaded from `folder`, in its current version.
    `listener` gets each event that is as recorded. Raises StorageFailure, Damaged, WorkerFailed.
    """
    try:
        config = _load_config(run, folder)
    except InvalidInput as error:
        return Verdict(CANNOT_RUN, 0, reasons=tuple(str(problem) for problem in error.problems))
    follower = _Follower(run, listener)
    asks = config.llm.model != "search"
    proposer = RecordedProposer(run.exchanges(), config.llm) if asks else None
    runner = GenericExperimentRunner(
        config, None, folder, store=store, listener=follower.hear, proposer=proposer, jobs=jobs
    )
    reasons = tuple(_of_another_simulator(run, config))
    try:
        await runner.run()
    except ExperimentFailed:
        # Recorded like any end, and compared like any.
        pass
    except InvalidInput as error:
        return Verdict(CANNOT_RUN, follower.count, reasons=tuple(str(problem) for problem in error.problems))
    except _Parted as parted:
        return Verdict(DIVERGED, follower.count, parted.recorded, found=parted.found, reasons=parted.reasons + reasons)
    except UnrecordedRequest as error:
        return _unanswered(error, follower, reasons)
    missing = follower.next_recorded()
    if missing is not None:
        _, ended = parting(missing.event, None)
        return Verdict(DIVERGED, follower.count, missing.event, reasons=ended + reasons)
    assert runner.sealed is not None, "an experiment that ended is sealed"
    if runner.sealed.run_id == run.run_id:
        return Verdict(IDENTICAL, follower.count)
    file, found = _first_other_file(run, RunDirectory(runner.sealed.path))
    return Verdict(DIVERGED, follower.count, file=file, found=found, reasons=("every event came again", *reasons))


class _Parted(Exception):
    """Something came that was not recorded at this place; `recorded` is None where the record had ended."""

    def __init__(self, recorded: Event | None, came: Event) -> None:
        self.recorded = recorded
        self.found, self.reasons = parting(recorded, came)
        super().__init__("an event is not the recorded one")


class _Follower:
    """Holds the events of an execution against those of a run, as they come."""

    def __init__(self, run: RunDirectory, listener: Listener | None) -> None:
        self._recorded: Iterator[log.Entry] = run.reader().entries()
        self._listener: Callable[[Event], None] | None = listener
        self.count = 0

    def next_recorded(self) -> log.Entry | None:
        """The recorded event whose turn it is; None at the end."""
        return next(self._recorded, None)

    def hear(self, event: Event) -> None:
        """Take the next event of the execution. Raises _Parted when it is not the recorded one."""
        recorded = self.next_recorded()
        if recorded is None or canonical_json.encode(event) != recorded.line:
            raise _Parted(None if recorded is None else recorded.event, event)
        self.count += 1
        if self._listener is not None:
            self._listener(event)


def _load_config(run: RunDirectory, folder: Path) -> ExperimentConfig:
    """The configuration of a run, with a custom simulator as it is in `folder` now. Raises InvalidInput."""
    value = dict(run.config)
    if isinstance(value.get("simulator"), str):
        # Without the digest, so that another version of it runs too: its differences are the question.
        value["simulator"] = value["simulator"].partition("#")[0]
    return ExperimentConfig.from_mapping(value, folder)


def _of_another_simulator(run: RunDirectory, config: ExperimentConfig) -> Iterator[str]:
    recorded = run.config.get("simulator", config.simulator)
    if recorded != config.simulator:
        yield f"the simulator is not the one of the run: recorded {recorded}, now {config.simulator}"


def _unanswered(error: UnrecordedRequest, follower: _Follower, reasons: tuple[str, ...]) -> Verdict:
    """The verdict when a model was to be asked what was not recorded."""
    recorded = follower.next_recorded()
    event = None if recorded is None else recorded.event
    if event is not None and is_failure(event):
        why = f"the run failed when it asked for an answer ({event['error_type']}), which is no answer to record"
        return Verdict(CANNOT_RUN, follower.count, event, reasons=(why, *reasons))
    asked = (
        "a model was asked what it was not asked then" if error.nearest is not None else "a model was asked once more"
    )
    return Verdict(DIVERGED, follower.count, event, layout.EXCHANGES_FILE, error.differences, (asked, *reasons))


def _first_other_file(old: RunDirectory, new: RunDirectory) -> tuple[str, tuple[Difference, ...]]:
    """The first file in which two runs with equal logs differ, in the order in which one file follows from another."""
    for name in (layout.CONFIG_FILE, layout.EXCHANGES_FILE, layout.SCHEMAS_FILE, layout.RUN_FILE):
        one, other = (_bytes(run.path / name) for run in (old, new))
        if one != other:
            return name, tuple(differences(_values(one), _values(other)))
    raise AssertionError("two addresses differ where no file does")


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _values(data: bytes) -> Any:
    """The value of an indented file, or those of the lines of a file of records."""
    try:
        return canonical_json.decode(data)
    except ValueError:
        return [canonical_json.decode(line) for line in data.splitlines()]
