"""What is asked of a command: the config that it comes to, and back; and what a crash of its record leaves."""

from __future__ import annotations

import os
import shlex
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exprec.recorder.errors import InvalidInput
from exprec.recorder.events import EventTypes
from exprec.recorder.format import layout
from exprec.recorder.sessions.command.command import Command, Input
from exprec.recorder.store.garbage import find_orphans
from exprec.recorder.store.store import Store


def test_a_config_gives_the_command_back(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"x")
    command = Command.described(
        ["a", "b c"], tmp_path, inputs=["in"], artifacts=["out/x", "out/x"], artifact_limit=5, name="n"
    )
    assert command.artifacts == ("out/x",)
    assert Command.of_config(command.as_config(strict=True)) == command
    assert command.changed_inputs(tmp_path) == []


@pytest.mark.parametrize(
    "said",
    [
        None,
        {},
        {"argv": [], "inputs": {}, "artifacts": []},
        {"argv": [1], "inputs": {}, "artifacts": []},
        {"argv": ["a"], "inputs": [], "artifacts": []},
        {"argv": ["a"], "inputs": {"x": {"sha256": 1, "size": 1}}, "artifacts": []},
        {"argv": ["a"], "inputs": {}, "artifacts": ["../../home"]},
        {"argv": ["a"], "inputs": {}, "artifacts": [], "artifact_limit": "much"},
    ],
)
def test_a_config_without_a_command(said: Any) -> None:
    with pytest.raises(InvalidInput, match=r"config\.json contains no valid command"):
        Command.of_config({"command": said})


def test_every_problem_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as caught:
        Command.described(["\udcff"], tmp_path, inputs=["none"], artifacts=[".git/x", "a\nb"])
    assert len(caught.value.problems) == 4


@given(st.lists(st.text(max_size=8), min_size=1, max_size=5))
def test_the_name_is_the_command_line_as_a_shell_reads_it(argv: list[str]) -> None:
    line = " ".join(shlex.join(argv).split())
    assert Command(tuple(argv), {}, ()).name == (line if len(line) <= 60 else f"{line[:59]}…")


def test_inputs_that_changed(tmp_path: Path) -> None:
    (tmp_path / "same").write_bytes(b"x")
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    inputs = {"same": Input(digest, 1), "gone": Input(digest, 1)}
    assert Command(("a",), inputs, ()).changed_inputs(tmp_path) == ["the input 'gone' does not exist"]
    (tmp_path / "same").write_bytes(b"y")
    (other, _) = Command(("a",), inputs, ()).changed_inputs(tmp_path)
    assert other == "the input 'same' has changed since it was recorded (its SHA-256 differs)"


def test_the_files_of_a_command_are_its_program_and_its_inputs(tmp_path: Path) -> None:
    for name in ("program", "script.py", "data.csv", "in"):
        (tmp_path / name).touch()

    def files(*argv: str) -> list[str]:
        command = Command.described(argv, tmp_path, inputs=["in"])
        return [path.relative_to(tmp_path).as_posix() for path in command.files(tmp_path)]

    assert files("./program", "-v", "data.csv") == ["program", "data.csv", "in"]
    assert files("python", "-u", "script.py", "data.csv") == ["script.py", "in"]
    assert files("sh", "-c", "x" * 100_000, "", "\n") == ["in"]


def test_the_types_of_a_run_from_what_it_embeds() -> None:
    schema = {"properties": {"n": {"type": "integer"}}, "required": ["n"], "x-exprec-display": "n {n}"}
    declared = EventTypes({"step": schema, "open": {}}, strict=True)
    again = EventTypes.recorded({**declared.schemas, "event.run_end.v1": {}}, strict=True)
    assert again.schemas == declared.schemas
    assert again.is_strict
    assert EventTypes.recorded({}, strict=False).check("anything") is not None


def test_a_crash_leaves_the_events_and_gc_removes_them(tmp_path: Path) -> None:
    store = Store.open_or_create(tmp_path / "runs")
    recording = store.begin("n", "command", {})
    layout.work_events_path(recording.folder).write_bytes(b"12345")
    assert find_orphans(store) == [], "it is in progress"
    recording.close()
    (found,) = find_orphans(store)
    assert found.size == 5 + sum(path.stat().st_size for path in recording.folder.iterdir())
    layout.work_events_path(recording.folder).write_bytes(b"123456")
    assert not found.remove(), "something was sent since"
    (found,) = find_orphans(store)
    assert found.remove()
    assert not list((store.path / ".work").iterdir())


def test_events_that_were_sent_after_the_seal(tmp_path: Path) -> None:
    store = Store.open_or_create(tmp_path / "runs")
    path = layout.work_events_path(store.path / ".work" / "0123456789abcdef")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"late")
    os.utime(path, (time.time() - 7200,) * 2)
    (found,) = find_orphans(store)
    assert (found.path, found.is_run, found.size) == (path, False, 4)
    assert found.remove()
