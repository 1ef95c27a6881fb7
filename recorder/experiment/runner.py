"""Runs an experiment from its config to a sealed run in a store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.display import VerboseConfig
from exprec.recorder.errors import ExperimentFailed, ModelUnavailable, UnrecordedRequest
from exprec.recorder.events import Event, event_fields, is_failure
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.listener import listener_errors, shielded_listener
from exprec.recorder.experiment.loop import (
    EXPERIMENT_TYPE,
    OptimizationLoop,
    OptimizationResult,
    PreparedExperiment,
    prepare_experiment,
)
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.proposers import Proposer, RecordedProposer, load_proposer
from exprec.recorder.sessions import RunOutcome, Session
from exprec.recorder.state import Listener, LiveStateProvider
from exprec.recorder.store import RunDirectory, Sealed, Store


class GenericExperimentRunner:
    """Runs one experiment and seals the run.

    It is recorded in `store`, else in the `output.directory` that the config names; without either, in memory only.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        verbose_config: VerboseConfig | None = None,
        config_dir: Path = Path(),
        *,
        store: Store | None = None,
        listener: Listener | None = None,
        proposer: Proposer | None = None,
        secrets: SecretGuard | None = None,
        jobs: int = 1,
        resumed: RunDirectory | None = None,
        origin: Mapping[str, str] | None = None,
        prepared: PreparedExperiment | None = None,
    ) -> None:
        """Describe the execution; nothing is loaded or recorded yet.

        Args:
            config: The experiment.
            verbose_config: The events that `listener` gets; None: all.
            config_dir: The folder in which the files are found that the config names.
            store: Where the run is recorded; None: the store in the `output.directory` of the config, which is created
                when the experiment begins; without one, in memory.
            listener: Called with each event right after it was recorded.
            proposer: Answers in place of the proposer that the config names. If it is a model, whatever it raises is
                recorded as a failed request, and the experiment continues.
            secrets: The values that must not enter the run.
            jobs: The number of processes (1 or more) that simulate samples. It changes no result.
            resumed: An interrupted run of this config in `store`: it is continued where it was cut off, and what
                was recorded of it must be recorded again, byte for byte.
            origin: Where a new run comes from, kept until it is sealed, for a resumption.
            prepared: The same experiment with its simulator and proposer loaded already, for a new run.
        """
        self._config = config
        self._config_dir = config_dir
        self._store = store
        self._listener = shielded_listener(listener, verbose_config)
        self._proposer = proposer
        self._secrets = secrets
        self._jobs = jobs
        self._resumed = resumed
        self._origin = origin
        self._prepared = prepared
        self._session: Session | None = None

    @property
    def state_provider(self) -> LiveStateProvider | None:
        """The state of the experiment; None before it began."""
        return None if self._session is None else self._session.provider

    @property
    def _run_id(self) -> str | None:
        """The run id once the run is sealed, before the name of its work folder; None before it began."""
        return None if self._session is None else self._session.provider.run_id

    @property
    def sealed(self) -> Sealed | None:
        """The sealed run, also of an experiment that failed; None before the seal, and without a store."""
        return None if self._session is None else self._session.sealed

    @property
    def outcome(self) -> RunOutcome | None:
        """What became of the run, also after an error; None before it began, and without a store."""
        return None if self._session is None else self._session.outcome

    def attest(self, observation: Mapping[str, object]) -> int:
        """Add the execution record of the sealed run; returns the number of its executions. Raises NotAttested."""
        assert self._session is not None, "the experiment ran"
        return self._session.attest(observation)

    async def run(self) -> OptimizationResult:
        """Run the experiment, seal the run, and return the result of the experiment.

        Raises:
            InvalidInput, NotEncodable, SecretFound: The experiment cannot begin; nothing is recorded.
            ExperimentFailed: The experiment failed; the run is sealed with the status `failed`.
            UnrecordedRequest: A recorded proposer got a request that was not recorded; a new run is removed.
            NotAsRecorded: A resumed run diverged from what was recorded of it.
            RunInProgress: Another process records the run to resume.
            StorageFailure, Damaged: The store cannot be written or read.
            WorkerFailed: A process that simulates died or cannot load the simulator.
            ModelUnavailable: The model will not answer; the run is left interrupted with the reason, to be resumed.

        Everything else that stops the experiment, and what the listener raises, leaves an interrupted run in the
        store; a resumed run stays as it was.
        """
        with listener_errors():
            if self._store is not None and self._resumed is not None:
                return await self._resume(self._store, self._resumed)
            prepared = self._prepared or prepare_experiment(self._config, self._config_dir, self._proposer)
            self._session = self._begin()
            return await self._execute(self._session, prepared)

    def _begin(self) -> Session:
        config = self._config
        if self._secrets is not None:
            # Refused also if secrets are redacted: the recorded config is what a repetition executes.
            resolved = config.to_dict()
            self._secrets.check(layout.CONFIG_FILE, canonical_json.encode(resolved), resolved)
        if self._store is None and config.output_directory is not None:
            self._store = Store.open_or_create(Path(config.output_directory))
        if self._store is None:
            return Session(config.name, EXPERIMENT_TYPE, listener=self._listener, config=config.to_dict())
        return Session.begin(
            self._store,
            config.name,
            EXPERIMENT_TYPE,
            config.to_dict(),
            secrets=self._secrets,
            origin=self._origin,
            listener=self._listener,
        )

    async def _resume(self, store: Store, run: RunDirectory) -> OptimizationResult:
        session = self._session = Session.resume(
            store, run, self._config.name, EXPERIMENT_TYPE, secrets=self._secrets, listener=self._listener
        )
        try:
            end = session.recorded_end()
            if end is not None:
                return _seal_late(session, end)
            prepared = self._prepared or prepare_experiment(
                self._config, self._config_dir, self._resuming_proposer(run)
            )
        except BaseException:
            session.leave()
            raise
        return await self._execute(session, prepared)

    async def _execute(self, session: Session, prepared: PreparedExperiment) -> OptimizationResult:
        loop = OptimizationLoop(self._config, self._config_dir, jobs=self._jobs, prepared=prepared, session=session)
        try:
            result = await loop.run()
        except ExperimentFailed:
            session.seal()
            raise
        except UnrecordedRequest:
            # A repetition that diverged is not a run: nothing of it is worth keeping.
            session.discard()
            raise
        except ModelUnavailable as error:
            session.leave(str(error))
            raise
        except BaseException:
            session.leave()
            raise
        session.seal()
        return result

    def _resuming_proposer(self, run: RunDirectory) -> Proposer:
        """The proposer of a resumed run: a model's recorded answers come first."""
        if self._proposer is not None:
            return self._proposer
        proposer = load_proposer(self._config.llm, self._config_dir)
        if not proposer.is_model or self._config.llm.script is not None:
            # A computation or a script gives the same answers again, from the first on.
            return proposer
        return RecordedProposer(run.exchange_reader(), self._config.llm, then=proposer)


def _seal_late(session: Session, end: Event) -> OptimizationResult:
    """Seal a run that was cut off between its last event and its seal; this needs neither simulator nor model.

    Raises ExperimentFailed when the experiment had failed.
    """
    session.record_again()
    session.seal()
    recorded = event_fields(end)
    if is_failure(end):
        raise ExperimentFailed(recorded["error_type"], recorded["message"])
    policies = session.provider.get_iteration_policies(recorded["num_iterations"] - 1)
    names = {each.name for each in fields(OptimizationResult)} & recorded.keys()
    return OptimizationResult(**{name: recorded[name] for name in names}, policies=policies)
