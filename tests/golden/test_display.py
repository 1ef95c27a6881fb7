"""The display, frozen: what an experiment looks like at every width, with and without colour."""

from __future__ import annotations

import asyncio
import io

import pytest
from syrupy.assertion import SnapshotAssertion

from exprec.cli.render.console import make_console
from exprec.cli.render.display import display_experiment_output
from exprec.recorder import events
from exprec.recorder.optimize.config import ExperimentConfig
from exprec.recorder.optimize.loop import OptimizationLoop
from exprec.recorder.state.provider import LiveStateProvider
from exprec.recorder.verbosity import VerboseConfig
from tests.event_examples import EXAMPLES
from tests.support import CASTRO, ROOT


def _ran(name: str) -> LiveStateProvider:
    path = (CASTRO if name.startswith("two") else ROOT / "tests" / "data") / name
    loop = OptimizationLoop(ExperimentConfig.load(path), path.parent)
    asyncio.run(loop.run())
    return loop.state_provider


def _displayed(provider: LiveStateProvider, config: VerboseConfig, *, color: bool, width: int) -> str:
    stream = io.StringIO()
    display_experiment_output(provider, make_console(stream, color=color, width=width), config)
    return stream.getvalue()


@pytest.mark.parametrize("color", [False, True], ids=["plain", "color"])
@pytest.mark.parametrize("width", [60, 100, 200])
def test_everything(snapshot: SnapshotAssertion, width: int, color: bool) -> None:
    shown = _displayed(_ran("every_event.yaml"), VerboseConfig.all_enabled(), color=color, width=width)
    assert shown == snapshot


def test_the_default_selection_of_the_first_example(snapshot: SnapshotAssertion) -> None:
    assert _displayed(_ran("two-period.yaml"), VerboseConfig(), color=False, width=80) == snapshot


@pytest.mark.parametrize("event_type", events.EVENT_TYPES)
def test_each_event_type(snapshot: SnapshotAssertion, event_type: str) -> None:
    provider = LiveStateProvider("two banks")
    provider.record_event(EXAMPLES[event_type][0], event_type, EXAMPLES[event_type][1])
    assert _displayed(provider, VerboseConfig.all_enabled(), color=False, width=80) == snapshot
