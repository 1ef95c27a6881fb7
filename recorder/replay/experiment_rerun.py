"""Re-execution of a recorded experiment, from its run alone: recorded responses answer the requests to models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.errors import ExperimentFailed, InvalidInput, UnrecordedRequest
from exprec.recorder.events import Event, is_failure
from exprec.recorder.experiment import ExperimentConfig, GenericExperimentRunner, describe_other_rules
from exprec.recorder.format import layout
from exprec.recorder.proposers import RecordedProposer
from exprec.recorder.replay.divergence import Diverged, EventFollower, compare_files
from exprec.recorder.replay.verdict import ReplayOutcome, Verdict
from exprec.recorder.state import Listener
from exprec.recorder.store import RunDirectory, Store


async def rerun_experiment(
    run: RunDirectory,
    store: Store,
    folder: Path,
    *,
    jobs: int = 1,
    listener: Listener | None = None,
    secrets: SecretGuard | None = None,
) -> Verdict:
    """Execute a sealed run again and compare each event with the recorded one.

    The execution is recorded in `store`. A custom simulator is loaded from `folder`, in its current version.
    `listener` gets each event that is as recorded. `secrets` are redacted as they were in the run.

    Raises StorageFailure, Damaged, WorkerFailed.
    """
    other_rules = describe_other_rules(run.config)
    if other_rules is not None:
        return Verdict.cannot_run([other_rules])
    try:
        config = _load_config(run, folder)
    except InvalidInput as error:
        return Verdict.cannot_run(error.problems)
    reasons = tuple(_simulator_changes(run, config))
    follower = EventFollower(run.reader().entries())

    def follow(event: Event) -> None:
        follower.follow(event)
        if listener is not None:
            listener(event)

    proposer = RecordedProposer(run.exchange_reader(), config.llm) if config.llm.model != "search" else None
    runner = GenericExperimentRunner(
        config, None, folder, store=store, listener=follow, proposer=proposer, secrets=secrets, jobs=jobs
    )
    try:
        # A failure is recorded like any other end, and compared like any other.
        with suppress(ExperimentFailed):
            await runner.run()
        follower.finish()
    except InvalidInput as error:
        return Verdict.cannot_run(error.problems, follower.identical_events)
    except Diverged as diverged:
        return diverged.verdict.with_reasons(reasons)
    except UnrecordedRequest as error:
        return _unrecorded_request(error, follower).with_reasons(reasons)
    assert runner.sealed is not None, "an experiment that ended is sealed"
    if runner.sealed.run_id == run.run_id:
        return Verdict.identical(follower.identical_events)
    verdict = compare_files(run, RunDirectory(runner.sealed.path), follower.identical_events)
    return verdict.with_reasons(["all events are identical", *reasons])


def _load_config(run: RunDirectory, folder: Path) -> ExperimentConfig:
    """Return the configuration of a run, with a custom simulator as it is in `folder`. Raises InvalidInput."""
    value = dict(run.config)
    if isinstance(value.get("simulator"), str):
        # Without its digest, so that another version is executed too: the verdict shows how its results differ.
        value["simulator"] = value["simulator"].partition("#")[0]
    return ExperimentConfig.from_mapping(value, folder)


def _simulator_changes(run: RunDirectory, config: ExperimentConfig) -> Iterator[str]:
    recorded = run.config.get("simulator", config.simulator)
    if recorded != config.simulator:
        yield f"the simulator has changed: recorded {recorded}, now {config.simulator}"


def _unrecorded_request(error: UnrecordedRequest, follower: EventFollower) -> Verdict:
    """Return the verdict on an execution that made a request to a model which has no recorded response."""
    event = follower.next_recorded()
    if event is not None and is_failure(event):
        reason = f"the run failed when it called a model ({event['error_type']}); there is no response to replay"
        return Verdict(ReplayOutcome.CANNOT_RUN, follower.identical_events, event, reasons=(reason,))
    if error.nearest is None:
        reason = "there is one more request to a model than recorded"
    else:
        reason = "a request to a model is not one of the recorded ones"
    return Verdict(
        ReplayOutcome.DIVERGED,
        follower.identical_events,
        event,
        layout.EXCHANGES_FILE,
        error.differences,
        (reason,),
    )
