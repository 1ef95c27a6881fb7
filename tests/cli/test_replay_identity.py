"""Run and show print the same bytes: for every switch, width, colour, locale, time zone and hash seed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.cli import exprec
from tests.fixtures.paths import CASTRO, ROOT

EXPERIMENT = ROOT / "tests" / "data" / "every_event.yaml"
"""A small experiment with model calls, rejections and a bootstrap, so that every switch shows something."""

SWITCHES = ["iterations", "bootstrap", "llm", "policy", "rejections", "metrics"]
SELECTIONS: list[list[str]] = [
    [],
    ["-v"],
    *[[f"--{name}"] for name in SWITCHES],
    *[[f"--no-{name}"] for name in SWITCHES],
    ["-v", "--no-policy", "--no-rejections"],
    [f"--no-{name}" for name in SWITCHES],
]
ENVIRONMENTS: list[dict[str, str]] = [
    {"COLUMNS": "60"},
    {"COLUMNS": "100"},
    {"COLUMNS": "200"},
    {"TZ": "Asia/Tokyo", "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"TZ": "America/Lima", "LANG": "tr_TR.UTF-8", "PYTHONHASHSEED": "1"},
    {"PYTHONHASHSEED": "4711", "PYTHONIOENCODING": "latin-1"},
    {"TERM": "dumb"},
    {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLORTERM": "truecolor"},
    {"NO_COLOR": "1", "FORCE_COLOR": "1"},
]


def _address(output: bytes) -> str:
    return output.decode().splitlines()[-1].split()[-1]


@pytest.mark.parametrize("selection", SELECTIONS, ids=" ".join)
def test_every_switch(tmp_path: Path, selection: list[str]) -> None:
    ran = exprec("run", EXPERIMENT, *selection, cwd=tmp_path).stdout
    assert exprec("show", _address(ran)[:8], *selection, cwd=tmp_path).stdout == ran


@pytest.mark.parametrize("color", ["always", "never"])
@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda env: " ".join(f"{k}={v}" for k, v in env.items()))
def test_every_environment(tmp_path: Path, environment: dict[str, str], color: str) -> None:
    arguments = ["-v", "--color", color]
    ran = exprec("run", EXPERIMENT, *arguments, cwd=tmp_path, env=environment).stdout
    (run_id,) = _sealed(tmp_path)
    assert exprec("show", run_id, *arguments, cwd=tmp_path, env=environment).stdout == ran
    assert (b"\x1b[" in ran) == (color == "always")
    width = int(environment.get("COLUMNS", "80"))
    plain = re.sub(rb"\x1b\[[0-9;]*m", b"", ran).decode()
    # The address is never broken: its line is the only one that may be wider.
    assert all(len(line) <= width for line in plain.splitlines() if run_id not in line)


def test_colour_follows_the_environment_when_it_is_not_chosen(tmp_path: Path) -> None:
    run_id = exprec("run", "-q", EXPERIMENT, cwd=tmp_path).stdout.decode().strip()

    def show(**environment: str) -> bytes:
        return exprec("show", run_id, cwd=tmp_path, env=environment).stdout

    assert b"\x1b[" not in show()
    assert b"\x1b[" in show(FORCE_COLOR="1")
    assert b"\x1b[" not in show(FORCE_COLOR="1", NO_COLOR="1")


def test_the_same_bytes_whatever_the_machine(tmp_path: Path) -> None:
    """Two folders, hash seeds, time zones and locales give one run id and one display."""
    outputs = set()
    for name, environment in (
        ("one", {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LANG": "C"}),
        ("two and a space", {"PYTHONHASHSEED": "2", "TZ": "America/Lima", "LANG": "de_DE.UTF-8"}),
    ):
        folder = tmp_path / name
        folder.mkdir()
        for path in CASTRO.glob("two-period*"):
            (folder / path.name).write_bytes(path.read_bytes())
        outputs.add(exprec("run", "two-period.yaml", cwd=folder, env=environment).stdout)
    assert len(outputs) == 1


def test_json_prints_the_lines_of_the_log(tmp_path: Path) -> None:
    ran = exprec("run", EXPERIMENT, "--json", cwd=tmp_path)
    (run_id,) = _sealed(tmp_path)
    assert ran.stderr.decode().splitlines()[-1] == run_id
    log = (tmp_path / "runs" / run_id / "events.jsonl").read_bytes()
    assert ran.stdout == log
    assert exprec("show", run_id, "--json", cwd=tmp_path).stdout == log
    picked = exprec("show", run_id, "--json", "--iteration", "1", "--agent", "BANK_A", cwd=tmp_path).stdout
    lines = log.splitlines(keepends=True)
    assert picked == b"".join(line for line in lines if b'"iteration":1,' in line and b'"agent_id":"BANK_A"' in line)
    assert 0 < len(picked) < len(log)


def test_quiet_prints_only_the_run_id(tmp_path: Path) -> None:
    ran = exprec("run", "-q", EXPERIMENT, cwd=tmp_path)
    (run_id,) = _sealed(tmp_path)
    assert ran.stdout.decode() == run_id + "\n"
    assert ran.stderr == b""


def test_selections_show_a_part(tmp_path: Path) -> None:
    run_id = exprec("run", "-q", EXPERIMENT, cwd=tmp_path).stdout.decode().strip()
    whole = exprec("show", run_id, "-v", cwd=tmp_path).stdout.decode()
    second = exprec("show", run_id, "-v", "--iteration", "2-2", cwd=tmp_path).stdout.decode()
    assert "Iteration 2" in second
    assert "Iteration 1" not in second
    assert second in whole
    wide = {"COLUMNS": "200"}
    calls = exprec("show", run_id, "--llm", "--event", "llm_call", cwd=tmp_path, env=wide).stdout.decode().splitlines()
    assert calls
    assert all("asked scripted:" in line for line in calls)
    assert exprec("show", run_id, "--agent", "NOBODY", cwd=tmp_path).stdout == b""


def _sealed(folder: Path) -> Iterator[str]:
    return (path.name for path in (folder / "runs").iterdir() if len(path.name) == 64)


CHILD = r"""
import os, sys
out, err = sys.stdout.buffer, sys.stderr.buffer
with open(os.environ["EXPREC_EVENTS"], "a") as events:
    events.write('{"event_type":"epoch","iteration":1,"loss":0.5,"text":"[bold]\\u001b[31m"}\n')
    events.write('{"event_type":"note","values":[1,{"a":0.30000000000000004}]}\n')
out.write(b"\x1b[1mbold\x1b[0m 10%\r100%\n\xff\xfe\x00" + b"line\n" * 3 + sys.argv[2].encode())
err.write(b"warning \xff" + sys.argv[2].encode())
sys.exit(int(sys.argv[1]))
"""
SCHEMA = '{"x-exprec-display": "epoch {iteration}: {loss:.2f} {text}", "required": ["loss"]}'


@pytest.mark.parametrize("selection", [[], ["-v"], ["-v", "--color", "always"], ["--metrics"]], ids=" ".join)
@pytest.mark.parametrize(("status", "end"), [(0, "\n"), (3, ""), (0, "x" * 3_000_000)], ids=["well", "badly", "long"])
def test_a_command(tmp_path: Path, status: int, end: str, selection: list[str]) -> None:
    (tmp_path / "child.py").write_text(CHILD, "utf-8")
    (tmp_path / "types").mkdir()
    (tmp_path / "types" / "epoch.schema.json").write_text(SCHEMA, "utf-8")
    options = ["--schemas", "types", "--no-strict", *selection, "--", sys.executable, "child.py"]
    # What the system takes as one argument has a limit.
    program = f"import runpy, sys; sys.argv[1:] = ['{status}', {end[:1]!r} * {len(end)}]; runpy.run_path('child.py')"
    ran = exprec("run", *options[:-1], "-c", program, cwd=tmp_path, code=status)
    (run_id,) = _sealed(tmp_path)
    shown = exprec("show", run_id, *selection, cwd=tmp_path)
    assert (shown.stdout, shown.stderr) == (ran.stdout, ran.stderr)
    out = b"\x1b[1mbold\x1b[0m 10%\r100%\n\xff\xfe\x00" + b"line\n" * 3 + end.encode()
    assert shown.stdout.startswith(out)
    assert shown.stderr.endswith(f"\nRun {run_id}\n".encode())
    events = re.sub(rb"\x1b\[[0-9;]*m", b"", shown.stdout[len(out) :]).decode().splitlines()
    if "-v" not in selection:
        assert events == []
    else:
        # In lines of their own, after output that ended in the middle of one.
        first = [""] if end.strip() else []
        expected = [*first, r"epoch 1: 0.50 [bold]\x1b[31m", 'note  values [1,{"a":0.3}]', f"Exit status {status}"]
        assert events[: len(expected)] == expected


def test_the_events_of_a_command_alone(tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(CHILD, "utf-8")
    exprec("run", "--", sys.executable, "child.py", "0", "", cwd=tmp_path)
    (run_id,) = _sealed(tmp_path)
    log = (tmp_path / "runs" / run_id / "events.jsonl").read_bytes()
    assert exprec("show", run_id, "--json", cwd=tmp_path).stdout == log
    shown = exprec("show", run_id, "--event", "note", cwd=tmp_path)
    assert (shown.stdout, shown.stderr) == (b'note  values [1,{"a":0.3}]\n', b"")
    assert exprec("show", run_id, "--iteration", "1", cwd=tmp_path).stdout.startswith(b"epoch 1  loss 0.5  text")


def test_a_command_that_cannot_be_started_is_commented_on_again(tmp_path: Path) -> None:
    ran = exprec("run", "--", "no-such-command", cwd=tmp_path, code=127)
    (run_id,) = _sealed(tmp_path)
    shown = exprec("show", run_id, cwd=tmp_path)
    assert (shown.stdout, shown.stderr) == (ran.stdout, ran.stderr) == (b"", ran.stderr)
    assert b"no-such-command" in shown.stderr
