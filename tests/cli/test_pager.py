"""Long output on a terminal goes through a pager, unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from exprec.recorder.format import canonical_json
from tests.fixtures.cli import exprec
from tests.fixtures.paths import ROOT
from tests.fixtures.runs import sealed_run
from tests.fixtures.terminal import run_on_terminal

EXPERIMENT = ROOT / "tests" / "data" / "every_event.yaml"
COUNT = 3000


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of one run, and a log that exceeds the capacity of a pipe."""
    folder = tmp_path_factory.mktemp("pager")
    exprec("run", "-q", EXPERIMENT, cwd=folder)
    fields = {"event_type": "iteration_start", "total_cost": 1, "costs_per_agent": {"AN_AGENT": 1}}
    lines = [canonical_json.encode({**fields, "seq": seq, "iteration": seq + 1}) for seq in range(COUNT)]
    (folder / "long.jsonl").write_bytes(b"".join(lines))
    return folder


def _script(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("columns", [60, 132])
def test_the_pager_gets_the_bytes_of_a_plain_terminal(recorded: Path, tmp_path: Path, columns: int) -> None:
    arguments = ("show", sealed_run(recorded).run_id, "-v")
    plain = run_on_terminal(*arguments, "--no-pager", cwd=recorded, columns=columns)
    pager = {"EXPREC_PAGER": f"cat > '{tmp_path}/paged'"}
    paged = run_on_terminal(*arguments, cwd=recorded, columns=columns, env=pager)
    assert (paged.code, paged.output) == (0, "")
    assert (tmp_path / "paged").read_text("utf-8") == plain.output
    assert "\x1b[" in plain.output
    wide = exprec(*arguments, "--color", "always", cwd=recorded, env={"COLUMNS": str(columns)})
    assert wide.stdout.decode() == plain.output


def test_which_pager(recorded: Path, tmp_path: Path) -> None:
    _script(tmp_path, "less", 'echo "less LESS=$LESS LV=$LV LESSCHARSET=$LESSCHARSET"')
    one, two = _script(tmp_path, "one", "echo one $1"), _script(tmp_path, "two", "echo two")

    def shown(**env: str) -> str:
        env = {"PATH": f"{tmp_path}:/usr/bin:/bin", **env}
        return run_on_terminal("log", cwd=recorded, env=env).output

    assert shown() == "less LESS=FRX LV=-c LESSCHARSET=utf-8\n"
    assert shown(LESS="-S", LV="") == "less LESS=-S LV= LESSCHARSET=utf-8\n"
    assert shown(PAGER=str(two)) == "two\n"
    assert shown(PAGER=str(two), EXPREC_PAGER=f"{one} 'a  b'") == "one a b\n"


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (["--no-pager"], {}),
        (["--json"], {}),
        ([], {"EXPREC_PAGER": ""}),
        ([], {"EXPREC_PAGER": "cat"}),
        ([], {"TERM": "dumb"}),
        ([], {"EXPREC_PAGER": "a-pager-that-is-not-there"}),
        ([], {"EXPREC_PAGER": "'unbalanced"}),
    ],
    ids=str,
)
def test_no_pager(recorded: Path, tmp_path: Path, arguments: list[str], env: dict[str, str]) -> None:
    pager = _script(tmp_path, "pager", f"touch '{tmp_path}/started'; cat")
    env = {"PAGER": str(pager), "EXPREC_PAGER": str(pager), **env}
    for command in (["show", sealed_run(recorded).run_id], ["log"]):
        done = run_on_terminal(*command, *arguments, cwd=recorded, env=env)
        assert done.code == 0
        assert done.output.count("\n") >= 1
        assert "exprec:" not in done.output
    assert not (tmp_path / "started").exists()


def test_no_pager_without_a_terminal(recorded: Path, tmp_path: Path) -> None:
    pager = _script(tmp_path, "pager", f"touch '{tmp_path}/started'")
    done = exprec("show", sealed_run(recorded).run_id, cwd=recorded, env={"EXPREC_PAGER": str(pager)})
    assert done.stdout.count(b"\n") > 1
    assert not (tmp_path / "started").exists()


def test_failing_pager_is_reported(recorded: Path) -> None:
    done = run_on_terminal("log", cwd=recorded, env={"EXPREC_PAGER": "X=1 a-pager-that-is-not-there"})
    assert done.code == 0
    assert "could not be started; --no-pager prints without one" in done.output


@pytest.mark.parametrize("pager", ["head -n 1", "true", "false"])
def test_leaving_the_pager_early_is_no_error(recorded: Path, pager: str) -> None:
    done = run_on_terminal("show", "./long.jsonl", cwd=recorded, env={"EXPREC_PAGER": pager})
    assert done.code == 0
    assert done.output == ("\n" if pager.startswith("head") else "")


def test_interrupt_goes_to_the_pager(recorded: Path, tmp_path: Path) -> None:
    """All of the log is shown although Ctrl-C arrives while most of it is still to be written."""
    wait = "trap 'touch got' INT; printf ready; while [ ! -e got ]; do sleep 0.02; done; grep -c Iteration"
    pager = _script(tmp_path, "pager", f"cd '{tmp_path}'; {wait}")
    done = run_on_terminal(
        "show", "./long.jsonl", cwd=recorded, env={"EXPREC_PAGER": str(pager)}, typed={"ready": "\x03"}
    )
    assert done.code == 0
    assert done.output.splitlines()[-1].endswith(str(COUNT))
    assert "interrupted" not in done.output


def test_messages_follow_the_pager(recorded: Path, tmp_path: Path) -> None:
    pager = {"EXPREC_PAGER": str(_script(tmp_path, "pager", "cat >/dev/null; echo the pager has ended"))}
    (tmp_path / "torn.jsonl").write_bytes((recorded / "long.jsonl").read_bytes()[:-9])
    done = run_on_terminal("show", tmp_path / "torn.jsonl", cwd=recorded, env=pager)
    assert done.code == 5
    first, second = done.output.splitlines()
    assert first == "the pager has ended"
    assert "the last line is torn" in second
    done = run_on_terminal("show", sealed_run(recorded).run_id, "--event", "no_such", cwd=recorded, env=pager)
    assert (done.code, done.output.splitlines()[0]) == (0, "the pager has ended")
    assert "no event of type 'no_such'" in done.output
