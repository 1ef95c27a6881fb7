"""The example in Node.js, which sends its events as lines of JSON."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from tests.docs.installed import copy_of
from tests.fixtures.cli import exprec

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")

ADDRESS = "66bd0ae9f974e81c7a3465657ff84cc27cc8e6bc18a6a3decb0273f5c4232c69"
"""The run id for the first seed, on every machine and with every version of Node.js."""
ASKED = ("--schemas", "schemas", "--input", "life.mjs", "--artifact", "last.txt")
FIRST = b"generation 1: 33 alive, 14 born, 53 died\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return copy_of("node", tmp_path / "node")


def run(place: Path, env: dict[str, str], seed: str, *, code: int = 0) -> RunDirectory:
    done = exprec("run", "-q", *ASKED, "--", "node", "life.mjs", "--seed", seed, cwd=place, env=env, code=code)
    return Store(place / "runs").resolve(done.stdout.decode().strip())


def test_its_events_picture_and_output_are_recorded(place: Path, env: dict[str, str]) -> None:
    life = run(place, env, "1")
    assert life.run_id == ADDRESS
    live = exprec("run", *ASKED, "--", "node", "life.mjs", "--seed", "1", cwd=place, env=env)
    shown = exprec("show", ADDRESS, cwd=place, env=env)
    assert (shown.stdout, shown.stderr) == (live.stdout, live.stderr)
    directly = subprocess.run(["node", "life.mjs"], cwd=place, env=env, capture_output=True, check=True)
    assert shown.stdout == directly.stdout
    assert (life.path / "artifacts" / "last.txt").read_bytes() == (place / "last.txt").read_bytes()
    assert exprec("show", ADDRESS, "--event", "generation", "--iteration", "1", cwd=place, env=env).stdout == FIRST
    assert exprec("rerun", ADDRESS, cwd=place, env=env).stdout.startswith(b"identical")
    exprec("verify", ADDRESS, cwd=place, env=env)


def test_two_seeds_differ_by_generation(place: Path, env: dict[str, str]) -> None:
    one, other = (run(place, env, seed).run_id for seed in ("1", "2"))
    said = exprec("diff", one, other, cwd=place, env=env, code=1).stdout.decode()
    (first,) = (line.split() for line in said.splitlines() if line.split()[:2] == ["1", "33"])
    assert first[1:] == ["33", "→", "29", "-4", "14", "→", "13", "-1", "53", "→", "62", "+9"]


def test_an_event_that_breaks_its_schema_stops_it(place: Path, env: dict[str, str]) -> None:
    program = place / "life.mjs"
    program.write_text(program.read_text().replace("alive: count(", "alive: -count("))
    failed = run(place, env, "1", code=3)
    assert failed.head["status"] == "failed"
    assert "alive: must be at least 0" in failed.head["failure"]["message"]
    exprec("verify", failed.run_id, cwd=place, env=env)
