"""Snapshots of the display, at every width, with and without colour."""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path

import pytest
from rich.console import Console as RichConsole
from syrupy.assertion import SnapshotAssertion

from exprec.cli import live_display
from exprec.recorder.display import VerboseConfig, display_experiment_output
from exprec.recorder.events import EventTypes
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.loop import OptimizationLoop
from exprec.recorder.state.provider import DatabaseStateProvider, LiveStateProvider
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from tests.fixtures.display import display_to_text
from tests.fixtures.events import EXAMPLES
from tests.fixtures.paths import CASTRO, ROOT
from tests.fixtures.runs import seal


def _ran(name: str) -> LiveStateProvider:
    path = (CASTRO if name.startswith("two") else ROOT / "tests" / "data") / name
    loop = OptimizationLoop(ExperimentConfig.load(path), path.parent)
    asyncio.run(loop.run())
    return loop.state_provider


@pytest.mark.parametrize("color", [False, True], ids=["plain", "color"])
@pytest.mark.parametrize("width", [60, 100, 200])
def test_everything(snapshot: SnapshotAssertion, width: int, color: bool) -> None:
    shown = display_to_text(_ran("every_event.yaml"), VerboseConfig.all_enabled(), color=color, width=width)
    assert shown == snapshot


def test_the_default_selection_of_the_first_example(snapshot: SnapshotAssertion) -> None:
    assert display_to_text(_ran("two-period.yaml"), VerboseConfig(), color=False, width=80) == snapshot


@pytest.mark.parametrize("event_type", EXAMPLES)
def test_each_event_type(snapshot: SnapshotAssertion, event_type: str) -> None:
    provider = LiveStateProvider("two banks")
    provider.record_event(EXAMPLES[event_type][0], event_type, EXAMPLES[event_type][1])
    assert display_to_text(provider, VerboseConfig.all_enabled(), color=False, width=80) == snapshot


EPOCH = {
    "x-exprec-display": "epoch {iteration:>3}  loss {loss:.4f}  accuracy {accuracy:.1%}  {note}{part.missing}",
    "properties": {"loss": {"type": "number"}},
}


def _of_a_program(store: Store) -> LiveStateProvider:
    """Record a run with declared events, other events with values of every kind, and a result."""
    types = EventTypes({"epoch": EPOCH}, strict=False)
    recording = store.begin("training", "python", {}, types=types)
    provider = LiveStateProvider("training", "python", recording=recording)
    values = {"flag": True, "none": None, "words": "two words", "word": "adam", "digits": "007", "says": "true"}
    provider.record_event(0, "setup", values | {"long": "x" * 100, "nested": {"list": [1, 0.1 + 0.2, {}]}})
    for number in (1, 20):
        provider.record_event(
            number, "batch", {"loss": 1 / (3 * number), "large": 12345678.9, "tiny": 1e-7, "n": 10**9}
        )
        note = {1: "plain", 20: "[bold]\x1b[31m\u202e" + "y" * 250}[number]
        provider.record_event(number, "epoch", {"loss": 1 / number, "accuracy": 1 - 1 / (9 * number), "note": note})
    provider.record_event(20, "epoch", {"loss": 0, "accuracy": "good"})
    provider.record_event(0, "run_end", {"accuracy": 0.9944444444, "weights": "w.bin"})
    return provider


@pytest.mark.parametrize("color", [False, True], ids=["plain", "color"])
@pytest.mark.parametrize("width", [60, 100])
def test_declared_and_undeclared_types(tmp_path: Path, snapshot: SnapshotAssertion, width: int, color: bool) -> None:
    provider = _of_a_program(Store.open_or_create(tmp_path / "runs"))
    shown = display_to_text(provider, VerboseConfig(), color=color, width=width)
    assert shown == snapshot
    sealed = seal(provider)
    address = f"Run {sealed.run_id}\n".replace(
        sealed.run_id, f"\x1b[1m{sealed.run_id}\x1b[0m" if color else sealed.run_id
    )
    for each in (provider, DatabaseStateProvider(RunDirectory(sealed.path))):
        assert display_to_text(each, VerboseConfig(), color=color, width=width) == shown + address


def test_a_stored_run_without_its_schemas_is_shown_in_the_generic_form(tmp_path: Path) -> None:
    provider = _of_a_program(Store.open_or_create(tmp_path / "runs"))
    folder = RunDirectory(next((tmp_path / "runs" / ".work").glob("*/")))
    shown = display_to_text(DatabaseStateProvider(folder), VerboseConfig(), color=False, width=100)
    assert "epoch 1  accuracy 0.888889  loss 1.0  note plain\n" in shown
    provider.close()


@pytest.mark.parametrize("end", [(0, None), (3, None), (None, "SIGKILL"), (None, None)], ids=str)
def test_the_end_of_a_command(snapshot: SnapshotAssertion, end: tuple[int | None, str | None]) -> None:
    provider = LiveStateProvider("command", "command")
    provider.record_event(0, "command_end", {"exit_status": end[0], "signal": end[1]})
    if end == (0, None):
        provider.record_event(0, "run_end", {})
    else:
        provider.record_event(0, "experiment_failed", {"error_type": "ExitStatus", "message": "how it ended"})
    assert display_to_text(provider, VerboseConfig(), color=False, width=80) == snapshot


def test_a_console_of_rich_gets_the_text_and_keeps_it() -> None:
    provider = _ran("every_event.yaml")
    console = RichConsole(file=io.StringIO(), width=60, record=True, force_terminal=True)
    display_experiment_output(provider, console, VerboseConfig.all_enabled())
    shown = display_to_text(provider, VerboseConfig.all_enabled(), color=False, width=60)
    assert isinstance(console.file, io.StringIO)
    colored = console.file.getvalue()
    assert "\x1b[1mevery event\x1b[0m\n" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == shown
    assert console.export_text() == shown


def test_the_live_display_of_a_program(tmp_path: Path) -> None:
    stream = io.StringIO()
    display = live_display(stream=stream)
    recording = Store.open_or_create(tmp_path / "runs").begin(
        "training", "python", {}, types=EventTypes({"epoch": EPOCH})
    )
    provider = LiveStateProvider("training", "python", recording=recording, listener=display.show)
    display.open(provider)
    provider.record_event(1, "epoch", {"loss": 0.5, "accuracy": 0.25, "note": "", "part": {"missing": "."}})
    assert stream.getvalue() == "epoch   1  loss 0.5000  accuracy 25.0%  .\n"
    provider.record_event(0, "run_end", {})
    sealed = seal(provider)
    display.close(provider)
    assert stream.getvalue().splitlines()[1:] == ["Completed", f"Run {sealed.run_id}"]
    stored = DatabaseStateProvider(RunDirectory(sealed.path))
    assert stream.getvalue() == display_to_text(stored, VerboseConfig(), color=False, width=80)
