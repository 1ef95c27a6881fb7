"""Fixtures and settings of all tests: no deadlines on a slow machine, and a summary of the injected faults."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from exprec.recorder.store.store import Store

settings.register_profile("exprec", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("exprec")

_FAULTS = "faults: "


def pytest_configure(config: pytest.Config) -> None:
    # The list of what is trusted; each process of the tests has one, and its commands use it.
    os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="exprec-state-")
    config.addinivalue_line("markers", "fact(*ids): the facts of schemas/FORMAT.md that the test checks")


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ.pop("XDG_STATE_HOME", ""), ignore_errors=True)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store in a folder of its own."""
    return Store.open_or_create(tmp_path / "runs")


@pytest.fixture(scope="module")
def no_api_key() -> Iterator[None]:
    """An environment without keys and addresses of model providers."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("OPENAI_", "ANTHROPIC_"))]:
            patch.delenv(name)
        yield


@pytest.fixture
def count_faults(record_property: Callable[[str, object], None]) -> Callable[[str, int], None]:
    """Count injected faults by their kind; the summary of the test run lists the totals."""

    def count(kind: str, number: int) -> None:
        record_property(_FAULTS + kind, number)

    return count


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counted: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport) and report.when == "call":
                for name, value in report.user_properties:
                    if name.startswith(_FAULTS) and isinstance(value, int):
                        counted[name.removeprefix(_FAULTS)] += value
    if counted:
        terminalreporter.section("faults injected")
        for kind, number in sorted(counted.items()):
            terminalreporter.line(f"{number:>8,}  {kind}")
