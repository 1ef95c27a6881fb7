"""An experiment from its config to a sealed run in a store.

The experiment itself is `loop`; this gives it a place to be recorded and seals what it recorded.
"""

from __future__ import annotations

from pathlib import Path

from exprec.recorder.errors import ExperimentFailed, ExprecError
from exprec.recorder.optimize.config import ExperimentConfig
from exprec.recorder.optimize.loop import EXPERIMENT_TYPE, ExperimentResult, OptimizationLoop
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
    ) -> None:
        """`listener` gets each event that `verbose_config` selects (all without one) once it is recorded."""
        self._config = config
        self._verbose_config = verbose_config
        self._config_dir = config_dir
        self._store = store
        self._listener = listener
        self.state_provider: LiveStateProvider | None = None
        """The state of the experiment, from the moment it runs."""
        self.sealed: Sealed | None = None
        """The sealed run, also of an experiment that failed; None before, and without a store."""

    async def run(self) -> ExperimentResult:
        """Run, seal, and return what the experiment came to.

        Raises InvalidInput before anything is recorded; ExperimentFailed after the failed run was sealed;
        StorageFailure. Whatever else stops it leaves an interrupted run in the work folder of the store.
        """
        recording = None
        if self._store is not None:
            recording = self._store.begin(self._config.name, EXPERIMENT_TYPE, self._config.resolved())
        try:
            loop = OptimizationLoop(
                self._config,
                self._config_dir,
                self._verbose_config,
                recording=recording,
                listener=self._listener,
            )
        except ExprecError:
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
        except BaseException:
            self.state_provider.close()
            raise
        self.sealed = self.state_provider.seal()
        return result
