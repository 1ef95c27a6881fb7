"""What the README alone shows is what happens: its experiment, its Python, its run and its exit codes.

Its sessions, names, options and links are looked at with those of the other pages, in test_docs.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.fixtures.cli import exprec
from tests.fixtures.paths import ROOT

README = (ROOT / "README.md").read_text("utf-8")


def test_its_first_shell_blocks_run_an_experiment_and_the_tests() -> None:
    first, second = re.findall(r"^```sh\n(.*?)^```", README, re.S | re.M)
    assert first.splitlines()[-1] == ".venv/bin/exprec run examples/castro/two-period.yaml"
    assert second.splitlines()[-1] == ".venv/bin/python -m pytest"


def test_the_experiment_it_shows_is_valid_and_complete(tmp_path: Path) -> None:
    match = re.search(r"^```yaml\n(.*?)^```", README, re.S | re.M)
    assert match is not None
    (tmp_path / "experiment.yaml").write_text(match[1])
    scenario = ROOT / "examples" / "castro" / "two-period-scenario.yaml"
    (tmp_path / "two-period-scenario.yaml").write_bytes(scenario.read_bytes())
    assert b"ok (experiment)" in exprec("check", "experiment.yaml", cwd=tmp_path).stdout


def test_the_library_as_it_shows_it(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.S | re.M)
    (block,) = (block for block in blocks if "GenericExperimentRunner" in block)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    costs, policies = done.stdout.splitlines()
    (run_id,) = (path.name for path in (tmp_path / "runs").iterdir() if len(path.name) == 64)
    assert costs == f"2000 {run_id}"
    assert policies == "{'BANK_A': 5000, 'BANK_B': 5000}"
    assert f"{run_id[:12]}…/" in README


def test_the_exit_codes_it_names_are_those_of_the_errors() -> None:
    from exprec.recorder import errors

    codes = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.ExprecError) and kind is not errors.ExprecError
    }
    text = README[README.index("Exit codes:") :]
    named = {int(code) for code in re.findall(r"(?:Exit codes: |· )(\d+) ", text)} | {130}
    assert codes <= named
