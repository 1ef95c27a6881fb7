"""Runs that several tests of facts read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fixtures.experiments import write_castro_experiment, write_script
from tests.fixtures.runs import ANSWERS, Run, run_command


@pytest.fixture(scope="session", autouse=True)
def _no_forced_color() -> Iterator[None]:
    """Compare output as plain text even where the environment asks for colour."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FORCE_COLOR", raising=False)
        yield


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with the search as proposer, without a model. It converges."""
    folder = tmp_path_factory.mktemp("searched")
    return run_command(write_castro_experiment(folder), folder / "runs")


@pytest.fixture(scope="session")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of two iterations with model calls of every outcome."""
    folder = tmp_path_factory.mktemp("asked")
    path, script = write_castro_experiment(folder, max_iterations=2), write_script(folder, ANSWERS)
    return run_command(path, folder / "runs", "--model", f"scripted:{script}")


@pytest.fixture(scope="session")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of two iterations with a bootstrap of three samples and a seed given by an option."""
    folder = tmp_path_factory.mktemp("sampled")
    return run_command(write_castro_experiment(folder, max_iterations=2, samples=3), folder / "runs", "--seed", "7")


@pytest.fixture(scope="session")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that failed in its first iteration because its script has a single answer."""
    folder = tmp_path_factory.mktemp("failed")
    script = write_script(folder, ANSWERS[:1])
    return run_command(write_castro_experiment(folder), folder / "runs", "--model", f"scripted:{script}", code=3)


@pytest.fixture
def every_run(searched: Run, asked: Run, sampled: Run, failed: Run) -> tuple[Run, ...]:
    return searched, asked, sampled, failed
