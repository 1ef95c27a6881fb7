"""`exprec rerun`: identical, diverged with the first event and field, or why it cannot run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from exprec.recorder.store.store import Store
from tests.fixtures.chat_server import ChatServer, says
from tests.fixtures.cli import exprec
from tests.fixtures.experiments import experiment, policy
from tests.fixtures.files import files_below
from tests.fixtures.git import git
from tests.fixtures.paths import CASTRO

SIMULATOR = """
def costs(scenario, policies, seed):
    return {agent: int(1000 * policy["parameters"]["initial_liquidity_fraction"]) + %s
            for agent, policy in policies.items()}
"""

ONE_CENT_MORE = """
from dataclasses import replace
from exprec.recorder.payments.simulator import PaymentSimulator
simulated = PaymentSimulator._run

def dearer(self, in_force, seed):
    outcome = simulated(self, in_force, seed)
    agents = {name: replace(agent, total=agent.total + (name == "BANK_B")) for name, agent in outcome.agents.items()}
    return replace(outcome, agents=agents)

PaymentSimulator._run = dearer
"""

NO_NETWORK = """
import socket

def refuse(*_, **__):
    raise AssertionError("the network was used")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = socket.create_connection = refuse
"""


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed run in a store, without its experiment file."""
    store = tmp_path_factory.mktemp("search") / "runs"
    exprec("run", "-q", CASTRO / "two-period.yaml", "--store", store)
    (run_id,) = Store(store).run_ids()
    return store / run_id


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed, sealed run with a model whose server no longer exists."""
    folder = tmp_path_factory.mktemp("asked")
    path = experiment(folder, llm__model="openai:small", llm__max_retries=1, convergence__max_iterations=3)
    replies = [says(policy(0.25)), says("no policy"), *[says(policy(0.25 / step)) for step in range(2, 8)]]
    with ChatServer(*replies) as server:
        exprec("run", "-q", path, "--store", folder / "work" / "runs", env=server.environment("sk-planted-0123456789"))
    git(folder / "work", "init", "-q")
    git(folder / "work", "add", "-A")
    git(folder / "work", "commit", "-q", "-m", "a run")
    (run_id,) = Store(folder / "work" / "runs").run_ids()
    return folder / "work" / "runs" / run_id


def _copied(run: Path, folder: Path) -> Path:
    """Copy the run to a store of its own."""
    shutil.copytree(run.parent, folder / "runs")
    return folder / "runs" / run.name


def test_identical_adds_an_attestation_and_nothing_else(tmp_path: Path, search: Path) -> None:
    run = _copied(search, tmp_path)
    before = files_below(tmp_path / "runs")
    done = exprec("rerun", run.name[:6], cwd=tmp_path)
    count = len((run / "events.jsonl").read_bytes().splitlines())
    assert done.stdout.decode() == f"identical  {run.name[:8]}  castro-two-period  {count} events, same run id\n"
    after = files_below(tmp_path / "runs")
    assert before.items() <= after.items()
    (added,) = after.keys() - before.keys()
    assert Path(added).parent == Path("attestations", run.name)
    assert json.loads(after[added])["run"] == run.name
    exprec("verify", "--all", cwd=tmp_path)


def test_a_run_without_a_store_is_executed_and_not_attested(tmp_path: Path, search: Path) -> None:
    shutil.copytree(search, tmp_path / "copy")
    done = exprec("rerun", "./copy", cwd=tmp_path)
    assert done.stdout.startswith(b"identical")
    assert b"is not in a store" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_a_run_of_a_model_without_network_or_key_from_a_fresh_clone(tmp_path: Path, asked: Path) -> None:
    git(tmp_path, "clone", "-q", str(asked.parent.parent), "clone")
    done = exprec("rerun", asked.name, cwd=tmp_path / "clone", first=NO_NETWORK)
    assert done.stdout.startswith(b"identical")
    exchanges = (asked / "exchanges.jsonl").read_bytes()
    assert exchanges.count(b"\n") == 7, "there was something to replay"


def test_the_same_in_a_network_namespace_of_its_own(tmp_path: Path, asked: Path) -> None:
    isolated = next((words for words in (["unshare", "-n"], ["unshare", "-rn"]) if _works(words)), None)
    if isolated is None:
        pytest.skip("this system has no network namespaces for this user")
    git(tmp_path, "clone", "-q", str(asked.parent.parent), "clone")
    command = [sys.executable, "-c", "from exprec.cli.main import main; main()", "rerun", "--json", asked.name]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "EXPREC_"))}
    done = subprocess.run([*isolated, *command], cwd=tmp_path / "clone", env=kept, capture_output=True, check=True)
    assert json.loads(done.stdout)["verdict"] == "identical"


def _works(words: list[str]) -> bool:
    try:
        return subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.parametrize("kind", ["search", "asked"])
def test_a_simulator_that_is_dearer_by_one_cent(
    kind: str, tmp_path: Path, search: Path, request: pytest.FixtureRequest
) -> None:
    run: Path = request.getfixturevalue(kind)
    patch = ONE_CENT_MORE if kind == "search" else ONE_CENT_MORE.replace("BANK_B", "B")
    agent = "BANK_B" if kind == "search" else "B"
    done = exprec("rerun", run, cwd=tmp_path, code=1, first=patch)
    first, *rest = done.stdout.decode().splitlines()
    assert first.startswith(f"diverged  {run.name[:8]}  ")
    assert first.endswith("at event 1 (iteration_start, iteration 1); 1 event reproduced before it")
    assert rest == [f"  costs_per_agent.{agent}: recorded 5000, now 5001", "  total_cost: recorded 10000, now 10001"]
    said = json.loads(exprec("rerun", "--json", run, cwd=tmp_path, code=1, first=patch).stdout)
    assert said["event"] == {"seq": 1, "event_type": "iteration_start", "iteration": 1}
    assert said["differences"][0] == {"field": f"costs_per_agent.{agent}", "recorded": 5000, "now": 5001}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sealed run with a user simulator."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "model.py").write_text(SIMULATOR % "100")
    path = experiment(folder, simulator="model:costs", llm__model="search", convergence__max_iterations=6)
    exprec("run", "-q", path, "--store", folder / "runs")
    (run_id,) = Store(folder / "runs").run_ids()
    return folder / "runs" / run_id


def test_user_simulator_is_found_at_its_current_location(tmp_path: Path, own: Path) -> None:
    done = exprec("rerun", own, cwd=tmp_path, code=1)
    assert done.stdout.startswith(b"cannot run  " + own.name[:8].encode())
    assert b"there is no module model in" in done.stdout
    assert exprec("rerun", own, "--files", own.parent.parent, cwd=tmp_path).stdout.startswith(b"identical")


def test_changed_user_simulator_is_named(tmp_path: Path, own: Path) -> None:
    (tmp_path / "model.py").write_text(SIMULATOR % "101")
    lines = exprec("rerun", "--trust", own, cwd=tmp_path, code=1).stdout.decode().splitlines()
    assert "at event 1 (iteration_start, iteration 1)" in lines[0]
    assert lines[1].startswith("  the simulator has changed: recorded model:costs#sha256=")
    assert lines[2] == "  costs_per_agent.A: recorded 600, now 601"


def test_changed_user_simulator_with_the_same_result_is_named(tmp_path: Path, own: Path) -> None:
    (tmp_path / "model.py").write_text(SIMULATOR % "(99 + 1)")
    lines = exprec("rerun", "--trust", own, cwd=tmp_path, code=1).stdout.decode().splitlines()
    assert lines[0].endswith("in config.json")
    assert lines[1] == "  all events are identical"
    assert lines[3].startswith("  simulator: recorded '…el:costs#sha256=")


def test_a_failed_run_fails_again_in_the_same_way(tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("def costs(scenario, policies, seed):\n    return {'A': 1, 'B': 1 / 0}\n")
    path = experiment(tmp_path, simulator="model:costs", llm__model="search")
    exprec("run", "-q", path, cwd=tmp_path, code=3)
    (run_id,) = Store(tmp_path / "runs").run_ids()
    assert exprec("rerun", run_id, cwd=tmp_path).stdout.startswith(b"identical")


def test_run_that_failed_for_lack_of_an_answer_cannot_run(tmp_path: Path) -> None:
    path = experiment(tmp_path, answers=[])
    exprec("run", "-q", path, cwd=tmp_path, code=3)
    (run_id,) = Store(tmp_path / "runs").run_ids()
    said = exprec("rerun", run_id, cwd=tmp_path, code=1).stdout.decode()
    assert said.startswith(f"cannot run  {run_id[:8]}")
    assert "the run failed when it called a model (ScriptExhausted); there is no response to replay" in said


def test_all_given_runs_are_executed(tmp_path: Path, search: Path, own: Path) -> None:
    lines = exprec("rerun", own, search, cwd=tmp_path, code=1).stdout.decode().splitlines()
    assert [line.split("  ")[0] for line in lines if not line.startswith("  ")] == ["cannot run", "identical"]


def test_runs_that_cannot_be_executed_again(tmp_path: Path, search: Path) -> None:
    run = _copied(search, tmp_path)
    assert b"no run 'nosuch'" in exprec("rerun", "nosuch", cwd=tmp_path, code=4).stderr
    with (run / "events.jsonl").open("r+b") as file:
        file.write(b'{"accepted_')
    damaged = exprec("rerun", run.name, cwd=tmp_path, code=5).stderr
    assert b"events.jsonl" in damaged
    work = tmp_path / "runs" / ".work" / "0123456789abcdef"
    shutil.copytree(search, work)
    assert b"exprec resume" in exprec("rerun", work.name, cwd=tmp_path, code=2).stderr


def test_verdict_is_printed_even_if_the_store_is_read_only(tmp_path: Path, search: Path) -> None:
    _copied(search, tmp_path)
    shutil.rmtree(tmp_path / "runs" / "attestations")
    (tmp_path / "runs" / "attestations").write_text("in the way")
    done = exprec("rerun", search.name, cwd=tmp_path)
    assert done.stdout.startswith(b"identical")
    assert b"the execution record could not be written" in done.stderr
