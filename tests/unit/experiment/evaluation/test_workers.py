"""Simulations in several processes: the same results, the same errors, and nothing left behind."""

from __future__ import annotations

import asyncio
import multiprocessing
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder import errors as kinds
from exprec.recorder.diff import Difference
from exprec.recorder.errors import (
    ExperimentFailed,
    ExprecError,
    InvalidInput,
    InvalidLine,
    ModelFailure,
    Problem,
    ScriptExhausted,
    SecretFound,
    SimulationError,
    UnrecordedRequest,
    WorkerFailed,
)
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.evaluation import workers
from exprec.recorder.experiment.evaluation.simulators import SimulatorSpec
from exprec.recorder.experiment.runner import GenericExperimentRunner
from exprec.recorder.format import canonical_json
from exprec.recorder.payments import PaymentSimulator
from exprec.recorder.store.store import Store
from tests.fixtures.experiments import RANDOM_GAME, mapping, policy

NOISY = """\
import random
def costs(scenario, policies, seed):
    chance = random.Random(seed)
    return {
        agent: round(1000 * policy["parameters"]["initial_liquidity_fraction"] * chance.random())
        for agent, policy in policies.items()
    }
"""


def payments(folder: Path, **changes: Any) -> ExperimentConfig:
    sampled = {"scenario": RANDOM_GAME, "evaluation__mode": "bootstrap", "evaluation__num_samples": 5}
    return ExperimentConfig.from_mapping(mapping(**{**sampled, **changes}), folder)


def function(folder: Path, source: str, samples: int = 5, **changes: Any) -> ExperimentConfig:
    folder.mkdir(exist_ok=True)
    (folder / "simulation.py").write_text(source)
    return payments(folder, scenario={}, simulator="simulation:costs", evaluation__num_samples=samples, **changes)


def run(config: ExperimentConfig, folder: Path, jobs: int) -> str:
    """Run an experiment into a store of its own; returns the address of the run."""
    runner = GenericExperimentRunner(
        config, config_dir=folder, store=Store.open_or_create(folder / f"runs-{jobs}"), jobs=jobs
    )
    try:
        asyncio.run(runner.run())
    except ExperimentFailed:
        pass
    finally:
        assert multiprocessing.active_children() == []
    assert runner.sealed is not None
    return runner.sealed.run_id


def simulated(config: ExperimentConfig, folder: Path, policies: Any, jobs: int = 2) -> list[Any]:
    pool = workers.Workers(SimulatorSpec.of_config(config, folder), jobs)
    try:
        return list(pool.simulate(canonical_json.encode(policies), [1, 2, 3, 4]))
    finally:
        pool.close()


class TestResults:
    @pytest.mark.parametrize("kind", ["payments", "function"])
    def test_the_address_does_not_depend_on_the_number_of_processes(self, tmp_path: Path, kind: str) -> None:
        config = payments(tmp_path) if kind == "payments" else function(tmp_path, NOISY)
        assert len({run(config, tmp_path, jobs) for jobs in (1, 2, 3)}) == 1

    def test_an_experiment_may_lie_elsewhere_than_it_is_run_from(self, tmp_path: Path) -> None:
        config = function(tmp_path / "experiment", NOISY)
        other = tmp_path / "other"
        other.mkdir()
        assert run(config, other, 2) == run(config, tmp_path / "experiment", 1)

    def test_results_come_in_the_order_of_the_seeds(self, tmp_path: Path) -> None:
        source = (
            "import time\n"
            "def costs(scenario, policies, seed):\n"
            "    time.sleep(0.2 if seed == 1 else 0)\n"
            "    return {'A': seed, 'B': 0}\n"
        )
        found = simulated(function(tmp_path, source), tmp_path, {}, jobs=3)
        assert [result.agents["A"].total for result in found] == [1, 2, 3, 4]

    def test_payments_are_the_same_one_by_one(self, tmp_path: Path) -> None:
        simulator = PaymentSimulator(RANDOM_GAME)
        policies = {"A": policy(0.3), "B": policy(0.1)}
        assert list(simulator.simulate_each(policies, [1, 2, 1])) == [
            simulator.simulate(policies, seed) for seed in (1, 2, 1)
        ]

    @pytest.mark.parametrize("count", [1, 2, 3, 7, 50])
    @pytest.mark.parametrize("jobs", [1, 2, 3, 8])
    def test_each_gets_neighbouring_seeds(self, count: int, jobs: int) -> None:
        chunks = list(workers._chunks(range(count), jobs))
        assert [seed for chunk in chunks for seed in chunk] == list(range(count))
        assert len(chunks) == min(count, jobs)
        assert {len(chunk) for chunk in chunks} <= {count // len(chunks), -(-count // len(chunks))}

    @pytest.mark.parametrize("changes", [{"evaluation__num_samples": 1}, {"evaluation__mode": "deterministic"}])
    def test_for_one_sample_none_is_started(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
    ) -> None:
        monkeypatch.delattr(workers, "ProcessPoolExecutor")
        run(payments(tmp_path, **changes), tmp_path, 4)

    def test_the_old_side_is_not_simulated_twice(self, tmp_path: Path) -> None:
        source = (
            "from pathlib import Path\n"
            "def costs(scenario, policies, seed):\n"
            "    with (Path(__file__).parent / 'calls').open('a') as calls:\n"
            "        calls.write('x')\n"
            "    return {'A': 1, 'B': 1}\n"
        )
        run(function(tmp_path, source, convergence__max_iterations=1), tmp_path, 2)
        assert len((tmp_path / "calls").read_text()) == 3 * 5


class TestCancelling:
    @pytest.mark.parametrize("jobs", [1, 2])
    def test_it_is_heard_between_two_simulations(self, tmp_path: Path, jobs: int) -> None:
        source = "import time\ndef costs(*_):\n    time.sleep(0.3)\n    return {'A': 1, 'B': 1}\n"
        config = function(tmp_path, source, samples=50)
        runner = GenericExperimentRunner(config, config_dir=tmp_path, jobs=jobs)

        async def cancelled() -> None:
            task = asyncio.ensure_future(runner.run())
            # From a thread, as a signal handler does it while the loop has no chance to run anything.
            threading.Timer(0.2, task.cancel).start()
            await task

        with pytest.raises(asyncio.CancelledError):
            asyncio.run(cancelled())
        assert runner.state_provider is not None
        assert runner.state_provider.get_total_iterations() == 0
        assert multiprocessing.active_children() == []


class TestErrors:
    FAILS = (
        "import time\n"
        "def costs(scenario, policies, seed):\n"
        "    time.sleep(0.3 if seed == 1 else 0)\n"
        "    if seed > 1:\n"
        "        raise ValueError(seed)\n"
        "    return {'A': 1, 'B': 1}\n"
    )

    def test_an_error_is_the_one_of_the_first_seed_in_order(self, tmp_path: Path) -> None:
        config = function(tmp_path, self.FAILS)
        with pytest.raises(SimulationError) as raised:
            simulated(config, tmp_path, {})
        assert str(raised.value) == "simulator simulation:costs raised ValueError: 2"
        assert "line 5, in costs" in raised.value.details

    def test_a_failed_run_has_the_same_address(self, tmp_path: Path) -> None:
        source = "def costs(scenario, policies, seed):\n    return {'A': 1, 'B': 1 / (seed % 2)}\n"
        config = function(tmp_path, source)
        assert run(config, tmp_path, 1) == run(config, tmp_path, 2)

    def test_an_invalid_policy(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput) as raised:
            simulated(payments(tmp_path), tmp_path, {"A": {**policy(0.5), "payment_tree": {}}})
        assert raised.value.problems
        assert raised.value.problems[0].path[:2] == ("A", "payment_tree")
        assert str(raised.value).startswith("policies[A].payment_tree")

    def test_a_worker_that_dies_says_nothing_of_the_experiment(self, tmp_path: Path) -> None:
        source = "import os, signal\ndef costs(*_):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
        store = Store.open_or_create(tmp_path / "runs")
        runner = GenericExperimentRunner(function(tmp_path, source), config_dir=tmp_path, store=store, jobs=2)
        with pytest.raises(WorkerFailed, match="a worker process died"):
            asyncio.run(runner.run())
        assert (runner.sealed, store.run_ids()) == (None, [])
        assert list((store.path / ".work").iterdir())
        assert multiprocessing.active_children() == []

    def test_sources_that_changed_after_the_start(self, tmp_path: Path) -> None:
        config = function(tmp_path, NOISY)
        (tmp_path / "simulation.py").write_text(NOISY.replace("1000", "2000"))
        with pytest.raises(WorkerFailed, match=r"a worker process cannot load the simulator: .*not as recorded"):
            simulated(config, tmp_path, {})


PROBLEM = Problem(("a", 0), "is wrong", "a[0]", "file.yaml", 3)
EVERY_ERROR: dict[type[ExprecError], tuple[Any, ...]] = {
    kinds.ExprecError: ("text",),
    kinds.InvalidInput: ([PROBLEM, PROBLEM],),
    kinds.NotEncodable: ("field", "reason"),
    kinds.InvalidEvent: ("iteration_end", [PROBLEM]),
    kinds.SimulationError: ("text", "details", "A"),
    kinds.ExperimentFailed: ("ValueError", "text"),
    kinds.NotRecording: ("name", "reason"),
    InvalidLine: (3, "loss", "must be a number"),
    kinds.RunInProgress: ("0123456789abcdef",),
    kinds.NotAsRecorded: (Path("file"), 3, b"recorded", b"found"),
    kinds.RunNotFound: ("1234", Path("store")),
    kinds.AmbiguousRun: ("1234", ["12345", "12346"]),
    kinds.Damaged: (Path("file"), "reason", 3),
    kinds.NotVerified: ([PROBLEM, PROBLEM],),
    kinds.NotAStore: (Path("folder"), "reason"),
    kinds.StorageFailure: (Path("file"), OSError(28, "No space left on device")),
    kinds.WorkerFailed: ("text",),
    ModelFailure: ("text", 1.5),
    kinds.ModelUnavailable: ("text",),
    ScriptExhausted: ("a.jsonl", "A"),
    SecretFound: ("field", "KEY"),
    UnrecordedRequest: (
        {"iteration": 1, "agent_id": "A", "attempt": 1},
        0,
        [Difference(("messages",), "old", "new")],
        ["  messages: recorded 'old', now 'new'"],
    ),
    kinds.GitFailure: ("text",),
    kinds.ObjectUnreadable: ("1234", "reason"),
}


def _subclasses(kind: type[ExprecError]) -> set[type[ExprecError]]:
    # Only what the library raises, not what commands or tests define.
    own = {each for each in kind.__subclasses__() if each.__module__.startswith("exprec.recorder.")}
    return own.union(*map(_subclasses, own))


class TestPickling:
    def test_every_error_is_tried(self) -> None:
        # Of a run that is sealed already: no worker is left to raise it.
        assert _subclasses(ExprecError) - EVERY_ERROR.keys() == {kinds.NotAttested}

    @pytest.mark.parametrize("kind", EVERY_ERROR, ids=lambda kind: kind.__name__)
    def test_an_error_arrives_as_it_was(self, kind: type[ExprecError]) -> None:
        error = kind(*EVERY_ERROR[kind])
        back = pickle.loads(pickle.dumps(error))
        assert type(back) is kind
        assert (str(back), back.exit_code, back.args) == (str(error), error.exit_code, error.args)
        assert {**vars(back), "error": None} == {**vars(error), "error": None}
