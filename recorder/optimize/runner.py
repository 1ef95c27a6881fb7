"""An experiment from its config to a sealed run in a store.

The experiment itself is `loop`; this gives it a place to be recorded and seals what it recorded.
"""

from __future__ import annotations

from pathlib import Path

from exprec.recorder.errors import ExperimentFailed
from exprec.recorder.optimize.config import ExperimentConfig
from exprec.recorder.optimize.loop import EXPERIMENT_TYPE, ExperimentResult, OptimizationLoop
from exprec.recorder.optimize.recorded import UnrecordedRequest
from exprec.recorder.proposers.protocol import Proposer
from exprec.recorder.secrets import SecretGuard
from exprec.recorder.state.provider import Listener, LiveStateProvider
from exprec.recorder.store.recording import Sealed
from exprec.recorder.store.store import Store
from exprec.recorder.verbosity import VerboseConfig


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
    ) -> None:
        """Prepare to run `config`, whose files are found beside `config_dir`.

        `listener` gets each event that `verbose_config` selects (all without one) once it is recorded.
        `proposer` answers in place of the one that the config names. `secrets` are kept out of the run.
        `jobs` (1 or more) is the number of processes that simulate; it changes no result.
        """
        self._config = config
        self._verbose_config = verbose_config
        self._config_dir = config_dir
        self._store = store
        self._listener = listener
        self._proposer = proposer
        self._secrets = secrets
        self._jobs = jobs
        self.state_provider: LiveStateProvider | None = None
        """The state of the experiment, from the moment it runs."""
        self.sealed: Sealed | None = None
        """The sealed run, also of an experiment that failed; None before, and without a store."""

    async def run(self) -> ExperimentResult:
        """Run, seal, and return what the experiment came to.

        Raises InvalidInput or SecretFound before anything is recorded; ExperimentFailed after the failed run was
        sealed; StorageFailure; UnrecordedRequest when a recorded proposer was not asked what it was asked then,
        which leaves no trace. Whatever else stops it leaves an interrupted run in the work folder of the store.
        """
        recording = None
        if self._store is not None:
            recording = self._store.begin(self._config.name, EXPERIMENT_TYPE, self._config.resolved(), self._secrets)
        try:
            loop = OptimizationLoop(
                self._config,
                self._config_dir,
                self._verbose_config,
                recording=recording,
                listener=self._listener,
                proposer=self._proposer,
                jobs=self._jobs,
            )
        except BaseException:
            # Nothing was recorded yet: an experiment that cannot begin leaves no trace.
            if recording is not None:
                recording.discard()
            raise
        self.state_provider = loop.state_provider
        try:
            result = await loop.run()
        except ExperimentFailed:
            self.sealed = self.state_provider.seal()
            raise
        except UnrecordedRequest:
            # A repetition that took another course is no run: there is nothing of it to keep.
            if recording is not None:
                recording.discard()
            raise
        except BaseException:
            self.state_provider.close()
            raise
        self.sealed = self.state_provider.seal()
        return result
