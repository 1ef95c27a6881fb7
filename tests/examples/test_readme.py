"""What the README shows is what happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT, exprec

README = (ROOT / "README.md").read_text("utf-8")


def test_the_excerpt_is_real_output(tmp_path: Path) -> None:
    match = re.search(r"^```text\n\$ exprec run (\S+)\n(.*?)^```", README, re.S | re.M)
    assert match is not None
    shown = match[2].splitlines()
    real = exprec("run", ROOT / match[1], cwd=tmp_path).stdout.decode().splitlines()
    cut = shown.index("...")
    assert shown[:cut] == real[:cut]
    assert shown[cut + 1 :] == [line for line in real[-3:] if line]
    (run_id,) = (path.name for path in (tmp_path / "runs").iterdir() if len(path.name) == 64)
    assert f"{run_id[:12]}…/" in README


def test_the_experiment_it_shows_is_valid_and_complete(tmp_path: Path) -> None:
    match = re.search(r"^```yaml\n(.*?)^```", README, re.S | re.M)
    assert match is not None
    (tmp_path / "experiment.yaml").write_text(match[1])
    scenario = ROOT / "examples" / "castro" / "two-period-scenario.yaml"
    (tmp_path / "two-period-scenario.yaml").write_bytes(scenario.read_bytes())
    assert b"ok (experiment)" in exprec("check", "experiment.yaml", cwd=tmp_path).stdout


def _python_blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", README, re.S | re.M)


def test_the_library_as_it_shows_it(tmp_path: Path) -> None:
    (block,) = (block for block in _python_blocks() if "GenericExperimentRunner" in block)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    costs, policies = done.stdout.splitlines()
    (run_id,) = (path.name for path in (tmp_path / "runs").iterdir() if len(path.name) == 64)
    assert costs == f"2000 {run_id}"
    assert policies == "{'BANK_A': 5000, 'BANK_B': 5000}"


def test_the_simulator_it_shows_is_optimised(tmp_path: Path) -> None:
    (block,) = (block for block in _python_blocks() if "def evaluate" in block)
    (tmp_path / "bowl.py").write_text(block)
    (tmp_path / "experiment.yaml").write_text(
        """
name: bowl
simulator: bowl:evaluate
scenario: {}
optimized_agents: [ONE]
evaluation: {mode: deterministic, ticks: 1}
convergence: {max_iterations: 25, stability_window: 8}
llm: {model: search}
policy_constraints:
  allowed_parameters: [{name: x, param_type: float, min_value: 0.0, max_value: 1.0}]
"""
    )
    last = exprec("run", "experiment.yaml", cwd=tmp_path).stdout.decode()
    assert "final cost 0, best cost 0" in last


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
