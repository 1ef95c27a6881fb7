"""An experiment from its config to a sealed run in a store.

The experiment itself is `loop`; this gives it a place to be recorded and seals what it recorded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path

from exprec.recorder import events
from exprec.recorder.diagnostics.secret_guard import SecretGuard
from exprec.recorder.display.options import VerboseConfig
from exprec.recorder.errors import ExperimentFailed
from exprec.recorder.events import Event
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.loop import EXPERIMENT_TYPE, ExperimentResult, OptimizationLoop
from exprec.recorder.experiment.proposer_setup import load_proposer
from exprec.recorder.experiment.recorded import RecordedProposer, UnrecordedRequest
from exprec.recorder.proposers.protocol import Proposer
from exprec.recorder.state.provider import Listener, LiveStateProvider
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from exprec.recorder.store.work_run import Recording, Sealed


class GenericExperimentRunner:
    """Runs one experiment and seals the run; without a store it is recorded in memory only."""

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
    ) -> None:
        """Prepare to run `config`, whose files are found beside `config_dir`.

        `listener` gets each event that `verbose_config` selects (all without one) once it is recorded.
        `proposer` answers in place of the one that the config names. `secrets` are kept out of the run.
        `jobs` (1 or more) is the number of processes that simulate; it changes no result. `resumed` is an
        interrupted run of this config in the store, to go on with: what was recorded of it must come again.
        `origin` is what a new run should remember of where it came from until it is sealed.
        """
        self._config = config
        self._verbose_config = verbose_config
        self._config_dir = config_dir
        self._store = store
        self._listener = listener
        self._proposer = proposer
        self._secrets = secrets
        self._jobs = jobs
        self._resumed = resumed
        self._origin = origin
        self.state_provider: LiveStateProvider | None = None
        """The state of the experiment, from the moment it runs."""
        self.sealed: Sealed | None = None
        """The sealed run, also of an experiment that failed; None before, and without a store."""

    async def run(self) -> ExperimentResult:
        """Run, seal, and return what the experiment came to.

        Raises InvalidInput or SecretFound before anything is recorded; ExperimentFailed after the failed run was
        sealed; StorageFailure; UnrecordedRequest when a recorded proposer was not asked what it was asked then,
        which leaves no trace; NotAsRecorded when a resumed run does not come to what was recorded. Whatever else
        stops it leaves an interrupted run in the work folder of the store, and all of that a resumed one.
        """
        recording = self._recording()
        if self._resumed is not None and recording is not None:
            try:
                ended = self._sealed_late(self._resumed, recording)
            except BaseException:
                recording.close()
                raise
            if ended is not None:
                return ended
        try:
            loop = OptimizationLoop(
                self._config,
                self._config_dir,
                self._verbose_config,
                recording=recording,
                listener=self._listener,
                proposer=self._asked(),
                jobs=self._jobs,
            )
        except BaseException:
            # Nothing was recorded yet: an experiment that cannot begin leaves no trace.
            _leave(recording)
            raise
        self.state_provider = loop.state_provider
        try:
            result = await loop.run()
        except ExperimentFailed:
            self.sealed = self.state_provider.seal()
            raise
        except UnrecordedRequest:
            # A repetition that took another course is no run: there is nothing of it to keep.
            _leave(recording)
            raise
        except BaseException:
            self.state_provider.close()
            raise
        self.sealed = self.state_provider.seal()
        return result

    def _recording(self) -> Recording | None:
        if self._store is None:
            return None
        config = self._config
        if self._resumed is not None:
            return self._store.resume(self._resumed, config.name, EXPERIMENT_TYPE, self._secrets)
        return self._store.begin(config.name, EXPERIMENT_TYPE, config.resolved(), self._secrets, self._origin)

    def _sealed_late(self, run: RunDirectory, recording: Recording) -> ExperimentResult | None:
        """Seal a run that came to its end but not to its seal; None when it did not come to its end.

        It needs neither simulator nor model. Raises ExperimentFailed when that is how it ended.
        """

        def recorded() -> Iterator[Event]:
            return (entry.event for entry in run.reader().entries(0, recording.recorded_bytes))

        # The last of them; a log may be too long to be kept.
        last = deque(recorded(), maxlen=1)
        if not last or last[0]["event_type"] not in (events.EXPERIMENT_END, events.EXPERIMENT_FAILED):
            return None
        provider = self.state_provider = LiveStateProvider(
            self._config.name, EXPERIMENT_TYPE, recording=recording, listener=self._hear
        )
        for exchange in run.exchanges():
            provider.record_exchange(exchange)
        for event in recorded():
            provider.record_event(event["iteration"], event["event_type"], events.fields(event))
        self.sealed = provider.seal()
        said = events.fields(last[0])
        if last[0]["event_type"] == events.EXPERIMENT_FAILED:
            raise ExperimentFailed(said["error_type"], said["message"])
        return ExperimentResult(**said, policies=provider.get_iteration_policies(said["num_iterations"] - 1))

    def _hear(self, event: Event) -> None:
        if self._listener is not None and (self._verbose_config is None or self._verbose_config.selects(event)):
            self._listener(event)

    def _asked(self) -> Proposer | None:
        """Who answers, if not simply whom the config names: of a resumed run first the model's recorded answers."""
        if self._proposer is not None or self._resumed is None:
            return self._proposer
        proposer = load_proposer(self._config.llm, self._config_dir)
        if not proposer.is_model or self._config.llm.script is not None:
            # A computation, or a script: it gives the same answers once more, from the first on.
            return proposer
        return RecordedProposer(self._resumed.exchanges(), self._config.llm, then=proposer)


def _leave(recording: Recording | None) -> None:
    """Remove a recording of which nothing is worth keeping; one that was there before stays."""
    if recording is None:
        return
    if recording.is_resumed:
        recording.close()
    else:
        recording.discard()
