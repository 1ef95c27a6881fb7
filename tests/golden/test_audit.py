"""Snapshots of the audit of exchanges, at the widths of terminals, with and without color, and into a pipe."""

from __future__ import annotations

import io
import sys

import pytest
from syrupy.assertion import SnapshotAssertion

from exprec.cli.output.audit import audit_lines
from exprec.recorder.display import Console
from tests.fixtures.display import print_to_text
from tests.fixtures.exchanges import audited_iterations


@pytest.mark.parametrize("color", [False, True], ids=["plain", "color"])
@pytest.mark.parametrize("width", [80, 120])
def test_every_outcome(snapshot: SnapshotAssertion, width: int, color: bool) -> None:
    assert print_to_text(*audit_lines(audited_iterations()), width=width, color=color) == snapshot


def test_every_outcome_on_a_terminal(snapshot: SnapshotAssertion) -> None:
    stream = io.StringIO()
    Console(stream, 80, color=False, shows_invisible=True).print_lines(audit_lines(audited_iterations()))
    assert stream.getvalue() == snapshot


def test_every_outcome_in_a_pipe(snapshot: SnapshotAssertion) -> None:
    stream = io.StringIO()
    Console(stream, sys.maxsize, color=False).print_lines(audit_lines(audited_iterations()))
    assert stream.getvalue() == snapshot
