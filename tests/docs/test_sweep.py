"""The sweep example: a shell script records a program without exprec and finds its best setting."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from exprec.recorder.store.store import Store
from tests.docs.installed import copy_of, environment
from tests.fixtures.cli import exprec

BEST = "287d0f4588078ceb07ae584d404f0a0ecb92e4a66525b642dd1d2a04335ba954"
"""The run id at a rate of 11, on every machine."""


def test_the_script_records_each_rate_tags_the_best_and_compares(tmp_path: Path) -> None:
    place = copy_of("sweep", tmp_path / "sweep")
    env = environment(tmp_path)
    # From another folder: the words of the command, and with them the addresses, are the same.
    done = subprocess.run(["sweep/sweep.sh"], cwd=tmp_path, env=env, capture_output=True, check=True, timeout=100)
    said = done.stdout.decode()
    costs = {int(rate): int(cost) for rate, cost in re.findall(r"^rate (\d+)  cost (\d+)$", said, re.M)}
    assert costs == {9: 2080, 10: 960, 11: 600, 12: 1000}
    store = Store(place / "runs")
    assert len(store.run_ids()) == len(costs)
    assert store.tags() == {"best": BEST}
    assert re.search(rf"^{BEST[:8]} .* best$", said, re.M)
    assert "    -cost 2080\n" in said
    assert "    +cost 600\n" in said

    directly = subprocess.run(["./simulate.py", "--rate", "11"], cwd=place, env=env, capture_output=True, check=True)
    shown = exprec("show", "best", cwd=place, env=env)
    assert (shown.stdout, shown.stderr) == (directly.stdout, f"Run {BEST}\n".encode())
    assert exprec("rerun", "best", cwd=place, env=env).stdout.startswith(b"identical")
    assert exprec("verify", "--all", cwd=place, env=env).stderr == b"4 runs verified: no problems\n"


def test_another_version_of_the_simulation_is_another_question(tmp_path: Path) -> None:
    place = copy_of("sweep", tmp_path / "sweep")
    env = environment(tmp_path)
    recorded = ("run", "-q", "--name", "bakery-11", "--input", "simulate.py", "--", "./simulate.py", "--rate", "11")
    assert exprec(*recorded, cwd=place, env=env).stdout.decode() == f"{BEST}\n"
    program = place / "simulate.py"
    program.write_text(program.read_text().replace("SHELF = 15", "SHELF = 15  # loaves"))
    other = exprec(*recorded, cwd=place, env=env).stdout.decode().strip()
    said = exprec("diff", BEST, other, cwd=place, env=env, code=1).stdout.decode()
    assert "simulate.py" in said
    assert "cost" not in said
    assert exprec("rerun", BEST, cwd=place, env=env, code=1).stdout.startswith(b"cannot run")
