"""What is recorded of the requests to a model over HTTP, and what never is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.fixtures.chat_server import ChatServer, refuses, says
from tests.fixtures.cli import exprec
from tests.fixtures.experiments import experiment, policy
from tests.fixtures.files import bytes_below
from tests.fixtures.runs import sealed_run

pytestmark = pytest.mark.usefixtures("no_api_key")
KEY = "sk-planted-0123456789"
KEPT = {"x-request-id": "req-1", "X-RateLimit-Limit-Tokens": "5"}
DROPPED = {"Set-Cookie": "c=1", "openai-organization": "acme-1"}


@pytest.mark.fact("F102")
def test_an_attempt_is_one_exchange_without_what_is_secret(tmp_path: Path) -> None:
    path = experiment(tmp_path, llm__model="openai:small", convergence__max_iterations=1)
    answered = dataclasses.replace(says(policy(0.25)), headers={**KEPT, **DROPPED})
    with ChatServer(refuses(429), answered, refuses(400, f"wrong key {KEY}"), refuses(400)) as server:
        environment = server.environment(KEY)
        exprec("run", path, cwd=tmp_path, env=environment)
        assert len(server.requests) == 3
    first, second = sealed_run(tmp_path).exchanges
    assert (first["provider"], first["model"]) == ("openai", "small")
    assert (first["method"], first["path"], first["headers"]) == ("POST", "/v1/chat/completions", {})
    assert first["request"]["json"]["messages"] == first["origin"]["messages"]
    assert first["response"] == {
        "status": 200,
        "headers": {"content-type": "application/json", **{name.lower(): value for name, value in KEPT.items()}},
        "text": answered.body.decode(),
    }
    assert 0 <= first["first_byte_seconds"] <= first["latency_seconds"]
    assert (second["end"], second["response"], second["answer"]) == ("whole", None, None)
    assert second["origin"]["error"] == "the model's endpoint answered with status 400"
    for absent in (KEY, *DROPPED.values(), "authorization", "127.0.0.1"):
        assert absent.encode() not in bytes_below(tmp_path / "runs" / sealed_run(tmp_path).run_id)
    exprec("verify", "--all", cwd=tmp_path)
