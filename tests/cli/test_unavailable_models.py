"""Experiments whose model gives nothing usable: they do not converge, are left interrupted, and are resumed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from tests.fixtures.chat_server import ChatServer, Reply, refuses, says
from tests.fixtures.cli import exprec
from tests.fixtures.experiments import experiment, policy
from tests.fixtures.files import bytes_below

pytestmark = pytest.mark.usefixtures("no_api_key")
KEY = "sk-planted-0123456789"
NO_RETRY = """
from exprec.recorder.proposers import model; model._TRANSPORT_RETRIES = 0
# Latencies are content, and differ between executions.
model._elapsed = lambda seconds: 0.0
"""
QUOTA = Reply(
    json.dumps({"error": {"message": "You exceeded it", "type": "insufficient_quota", "code": None}}).encode(),
    429,
    {"Retry-After": "0", "retry-after-ms": "1"},
)
USABLE = (says(policy(0.25)), says(policy(0.2)))
WORSE = (says(policy(0.7)), says(policy(0.8)))


def asked(folder: Path, **changes: Any) -> Path:
    given = {"llm__model": "openai:small", "llm__timeout_seconds": 0.5, "convergence__max_iterations": 8, **changes}
    return experiment(folder, **given)


def interrupted(folder: Path) -> RunDirectory:
    store = Store(folder / "runs")
    assert store.run_ids() == []
    (name,) = store.work_names()
    run = RunDirectory(store.path / ".work" / name)
    assert run.status == "interrupted"
    return run


def row(folder: Path, *words: str) -> dict[str, Any]:
    (line,) = exprec("log", "--json", *words, cwd=folder).stdout.splitlines()
    value: dict[str, Any] = json.loads(line)
    return value


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (refuses(401, f"wrong key {KEY}"), "status 401: the key was refused; set a valid one, then resume the run"),
        (refuses(403), "status 403: access was refused; get access for the key, then resume the run"),
        (refuses(404), "status 404: there is no such model or endpoint; "),
        (refuses(402), "status 402: the quota is exhausted; add credit, then resume the run"),
        (QUOTA, "status 429: the quota is exhausted; add credit, then resume the run"),
    ],
    ids=["401", "403", "404", "402", "quota"],
)
def test_a_permanent_error_stops_at_once(tmp_path: Path, reply: Reply, why: str) -> None:
    path = asked(tmp_path)
    with ChatServer(reply) as server:
        done = exprec("run", path, cwd=tmp_path, env=server.environment(KEY), first=NO_RETRY, code=3)
        assert len(server.requests) == 1
    run = interrupted(tmp_path)
    assert why in done.stderr.decode()
    assert f"resume:  exprec resume {run.run_id}" in done.stderr.decode()
    assert b"proposals: 0 usable, 0 rejected, 0 failed" in done.stderr
    assert b"onverged" not in done.stdout
    assert why in run.work_head["interrupted"]
    assert list(run.exchange_reader()) == []
    assert why in exprec("show", run.run_id, cwd=tmp_path).stderr.decode()
    assert row(tmp_path)["status"] == "interrupted"
    assert KEY.encode() not in bytes_below(tmp_path / "runs") + done.stderr


@pytest.mark.fact("F4")
def test_resume_after_the_quota_came_back_reaches_the_run_id_without_an_interruption(tmp_path: Path) -> None:
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    path, later = asked(tmp_path / "whole", convergence__max_iterations=3), WORSE * 2
    with ChatServer(*USABLE, *later) as server:
        run = exprec("run", "-q", path, cwd=path.parent, env=server.environment(KEY), first=NO_RETRY)
    path = asked(tmp_path / "stopped", convergence__max_iterations=3)
    with ChatServer(*USABLE, QUOTA) as server:
        exprec("run", path, cwd=path.parent, env=server.environment(KEY), first=NO_RETRY, code=3)
        name = interrupted(path.parent).run_id
        # It is still exhausted.
        exprec("resume", name, cwd=path.parent, env=server.environment(KEY), first=NO_RETRY, code=3)
    left = interrupted(path.parent)
    assert (left.run_id, len(list(left.exchange_reader()))) == (name, 2)
    with ChatServer(*later) as server:
        environment = server.environment(KEY)
        resumed = exprec("resume", name, cwd=path.parent, env=environment, first=NO_RETRY)
        assert len(server.requests) == len(later)
    assert Store(path.parent / "runs").run_ids() == [run.stdout.decode().strip()]
    assert b"Proposals: 6 usable, 0 rejected, 0 failed\n" in resumed.stdout


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (refuses(500), "llm_error"),
        (says("too late", pause=30.0), "llm_error"),
        (says("no"), "invalid_json"),
    ],
    ids=["500", "timeout", "no policy"],
)
def test_failed_rounds_stop_and_are_counted_anew_after_a_resumption(tmp_path: Path, reply: Reply, reason: str) -> None:
    path = asked(tmp_path, llm__max_retries=0, llm__timeout_seconds=0.2 if reply.pause else 5.0)
    with ChatServer(reply) as server:
        environment = server.environment(KEY)
        done = exprec("run", path, cwd=tmp_path, env=environment, first=NO_RETRY, code=3)
        assert len(server.requests) == 6
        assert (
            f"no proposal was usable for 3 iterations in a row (llm.max_failed_rounds; the last: {reason})".encode()
            in (done.stderr)
        )
        run = interrupted(tmp_path)
        assert "for 3 iterations in a row" in run.work_head["interrupted"]
        failed = 0 if reason == "invalid_json" else 6
        assert row(tmp_path)["proposals"] == {"usable": 0, "rejected": 6 - failed, "failed": failed}
        assert (b" 6/6 " in exprec("log", cwd=tmp_path).stdout) is (failed == 6)
    # The timeout is not part of the run: the same reply would take longer.
    with ChatServer(refuses(500)) as server:
        environment = server.environment(KEY)
        exprec("resume", run.run_id, cwd=tmp_path, env=environment, first=NO_RETRY, code=3)
        assert len(server.requests) == 6
        # The last two iterations: nothing is left to ask.
        last = exprec("resume", run.run_id, cwd=tmp_path, env=environment, first=NO_RETRY)
    assert b"Stopped after 8 iterations, not converged (max_iterations)" in last.stdout
    assert row(tmp_path)["converged"] is False
    rerun = exprec("rerun", row(tmp_path)["run_id"], cwd=tmp_path)
    assert rerun.stdout.startswith(b"identical")


def test_fewer_failed_rounds_and_one_agent_that_answers(tmp_path: Path) -> None:
    path = asked(tmp_path, llm__max_failed_rounds=1, llm__max_retries=0)
    with ChatServer(*USABLE, says("no"), says(policy(0.3)), says("no")) as server:
        done = exprec("run", path, cwd=tmp_path, env=server.environment(KEY), first=NO_RETRY, code=3)
    assert b"no proposal was usable for 1 iteration in a row" in done.stderr
    assert b"proposals: 3 usable, 3 rejected, 0 failed" in done.stderr
    assert len(list(interrupted(tmp_path).exchange_reader())) == 6


def test_without_answers_nothing_converges(tmp_path: Path) -> None:
    """A stable cost shows nothing if no other policy was ever tried; the reason is recorded."""
    path = asked(tmp_path, llm__max_failed_rounds=100, convergence__stability_window=2, llm__max_retries=0)
    with ChatServer(refuses(500)) as server:
        done = exprec("run", path, cwd=tmp_path, env=server.environment(KEY), first=NO_RETRY)
    assert b"Stopped after 8 iterations, not converged (max_iterations)" in done.stdout
    assert b"Proposals: 0 usable, 0 rejected, 16 failed\n" in done.stdout
    assert b" 16/16 " in exprec("log", cwd=tmp_path).stdout
    (run_id,) = Store(tmp_path / "runs").run_ids()
    lines = (tmp_path / "runs" / run_id / "events.jsonl").read_bytes().splitlines()
    ends = [event for event in map(json.loads, lines) if event["event_type"] == "iteration_end"]
    assert {json.dumps(end["convergence"]["without_proposal"]) for end in ends} == {
        '{"A": "llm_error", "B": "llm_error"}'
    }
    assert {end["convergence"]["stable_changes"] for end in ends} == {0}
    exprec("verify", run_id, cwd=tmp_path)
