"""Snapshots of the events of a simulated day, at the widths of terminals, with and without color."""

from __future__ import annotations

import pytest
from syrupy.assertion import SnapshotAssertion

from exprec.cli.output.day_events import day_lines
from exprec.recorder.payments import DayEvent, PaymentSimulator
from tests.fixtures.display import print_to_text
from tests.fixtures.payments import eventful_day


@pytest.mark.parametrize("color", [False, True], ids=["plain", "color"])
@pytest.mark.parametrize("width", [40, 80, 120])
def test_every_kind_of_event(snapshot: SnapshotAssertion, width: int, color: bool) -> None:
    events: list[DayEvent] = []
    PaymentSimulator(eventful_day()).simulate({}, observer=events.append)
    assert print_to_text(*day_lines(events), width=width, color=color) == snapshot
