"""Answers without a policy: what the provider says beside the text is recorded, shown, and told to the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.fixtures.chat_server import ChatServer, Reply, completes, refuses, says
from tests.fixtures.cli import exprec
from tests.fixtures.experiments import experiment, policy
from tests.fixtures.runs import SealedRun, sealed_run

pytestmark = pytest.mark.usefixtures("no_api_key")
FIRST = """
from exprec.recorder.proposers import model; model._TRANSPORT_RETRIES = 0
# Latencies are content, and differ between executions.
model._elapsed = lambda seconds: 0.0
"""
USAGE = {
    "prompt_tokens": 900,
    "completion_tokens": 64,
    "total_tokens": 964,
    "prompt_tokens_details": {"cached_tokens": 512},
    "completion_tokens_details": {"reasoning_tokens": 48},
}
TOKENS = {"input_tokens": 900, "cached_tokens": 512, "output_tokens": 64, "reasoning_tokens": 48}
CALL = {"id": "call_1", "type": "function", "function": {"name": "submit", "arguments": '{"x": 1}'}}
CALLED = {"id": "call_1", "name": "submit", "arguments": '{"x": 1}'}


class Case(NamedTuple):
    """A reply, what its exchange has as the answer beside the defaults, and what the model is told."""

    reply: Reply
    outcome: str
    answer: dict[str, Any]
    told: str


CUT = '{"version": "2.0", "policy_'
CASES = {
    "length": Case(
        completes({"content": CUT}, "length", usage=USAGE),
        "length",
        {"text": CUT, "finish_reason": "length"},
        "the answer was cut off at the length limit; answer more briefly",
    ),
    "length without text": Case(
        completes({}, "length", usage=USAGE),
        "length",
        {"finish_reason": "length"},
        "the answer was cut off at the length limit; answer more briefly",
    ),
    "refusal": Case(
        completes({"refusal": "I cannot help with banks."}, usage=USAGE),
        "refusal",
        {"refusal": "I cannot help with banks."},
        "the answer is a refusal: 'I cannot help with banks.'",
    ),
    "content filter": Case(
        completes({"content": ""}, "content_filter", usage=USAGE),
        "content_filter",
        {"finish_reason": "content_filter"},
        "the answer was stopped by the content filter of the provider",
    ),
    "tool call": Case(
        completes({"tool_calls": [CALL]}, "tool_calls", usage=USAGE),
        "tool_call",
        {"tool_calls": [CALLED], "finish_reason": "tool_calls"},
        "the answer calls the tool 'submit', but there are no tools; answer with text",
    ),
    "empty": Case(
        completes({}, usage=USAGE), "empty", {"finish_reason": "stop"}, "the answer is empty"
    ),
}  # fmt: skip


def asked(folder: Path, **changes: Any) -> Path:
    given = {"llm__model": "openai:small", "llm__max_retries": 1, "convergence__max_iterations": 1, **changes}
    return experiment(folder, **given)


def executed(folder: Path, *replies: Reply, code: int = 0, **changes: Any) -> tuple[list[str], list[dict[str, Any]]]:
    """The last lines on stderr, and the requests."""
    with ChatServer(*replies) as server:
        done = exprec("run", asked(folder, **changes), cwd=folder, env=server.environment(), first=FIRST, code=code)
    return done.stderr.decode().splitlines(), server.requests


def row(folder: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(exprec("log", "--json", cwd=folder).stdout)
    return value


def calls_shown(folder: Path, run: SealedRun) -> str:
    """What `show --llm` prints, in one line."""
    return " ".join(exprec("show", run.run_id, "--llm", cwd=folder).stdout.decode().split())


def check_rerun(folder: Path, run: SealedRun) -> None:
    assert exprec("rerun", run.run_id, cwd=folder).stdout.startswith(b"identical")
    exprec("verify", run.run_id, cwd=folder)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_the_provider_says_is_kept_and_told(tmp_path: Path, case: Case) -> None:
    _, requests = executed(tmp_path, case.reply, says(policy(0.25)), case.reply)
    run = sealed_run(tmp_path)
    first, usable, rejected, again = run.exchanges
    nothing: dict[str, Any] = {"text": None, "tool_calls": [], "refusal": None, "finish_reason": None}
    assert first["answer"] == {**nothing, "model": "small", **case.answer}
    assert first["usage"] == again["usage"] == TOKENS
    assert (first["end"], first["response"]["text"]) == ("whole", case.reply.body.decode())
    assert (usable["answer"]["finish_reason"], usable["usage"]) == ("stop", None)
    calls = run.of_type("llm_call")
    assert [call["outcome"] for call in calls] == [case.outcome, "usable", case.outcome, case.outcome]
    assert (calls[0]["cached_tokens"], calls[0]["reasoning_tokens"]) == (512, 48)
    (decision,) = run.of_type("policy_rejected")
    assert (decision["rejection_reason"], decision["validation_errors"]) == (case.outcome, [case.told])
    last = requests[1]["messages"][-1]["content"]
    opening = "This" if case.answer.get("text") else "Your last answer"
    assert last.startswith(f"{opening} cannot be used:\n- {case.told}\n")
    assert [message["role"] for message in requests[1]["messages"]].count("assistant") == (opening == "This")
    assert (rejected["origin"]["attempt"], again["origin"]["attempt"]) == (1, 2)
    shown = calls_shown(tmp_path, run)
    assert (
        f"A asked openai:small, attempt 1: {case.outcome}, 900 + 64 tokens (512 cached, 48 reasoning), 0.0 s" in shown
    )
    assert row(tmp_path)["proposals"] == {"usable": 1, "rejected": 1, "failed": 0}
    check_rerun(tmp_path, run)


@pytest.mark.parametrize("case", [CASES["length"], CASES["empty"]], ids=["length", "empty"])
def test_without_any_policy_the_experiment_is_left_interrupted(tmp_path: Path, case: Case) -> None:
    changes = {"llm__max_retries": 0, "llm__max_failed_rounds": 1, "convergence__max_iterations": 4}
    errors, _ = executed(tmp_path, case.reply, code=3, **changes)
    said = "\n".join(errors)
    assert f"no proposal was usable for 1 iteration in a row (llm.max_failed_rounds; the last: {case.outcome})" in said
    assert "resume:  exprec resume " in said
    assert row(tmp_path)["status"] == "interrupted"
    assert row(tmp_path)["proposals"] == {"usable": 0, "rejected": 2, "failed": 0}


def test_a_policy_that_is_whole_is_used_whatever_the_provider_says(tmp_path: Path) -> None:
    text = json.dumps(policy(0.25))
    executed(tmp_path, completes({"content": text}, "length"), completes({"content": f"So:\n{text}\nDone."}, "stop"))
    assert [call["outcome"] for call in sealed_run(tmp_path).of_type("llm_call")] == ["usable", "usable"]


def test_two_snapshots_behind_one_alias(tmp_path: Path) -> None:
    text = json.dumps(policy(0.25))
    models = ("small-2026-01-01", "small-2026-06-01")
    executed(tmp_path, *(completes({"content": text}, model=model) for model in models))
    run = sealed_run(tmp_path)
    assert [(each["model"], each["answer"]["model"]) for each in run.exchanges] == [("small", each) for each in models]
    assert [call["answering_model"] for call in run.of_type("llm_call")] == [*models]
    shown = calls_shown(tmp_path, run)
    assert "A asked openai:small (small-2026-01-01 answered), attempt 1: usable, 0.0 s" in shown
    assert "B asked openai:small (small-2026-06-01 answered), attempt 1: usable, 0.0 s" in shown
    check_rerun(tmp_path, run)
    other = tmp_path / "other"
    other.mkdir()
    executed(other, *(completes({"content": text}, model=models[0]) for _ in models))
    done = exprec("diff", run.folder, sealed_run(other).folder, cwd=tmp_path, code=1)
    assert "answering_model" in done.stdout.decode()


def test_the_tokens_of_an_answer_that_the_client_cannot_use_are_kept(tmp_path: Path) -> None:
    executed(tmp_path, Reply(json.dumps({"choices": "none", "usage": USAGE}).encode()))
    run = sealed_run(tmp_path)
    first = run.exchanges[0]
    assert (first["answer"], first["usage"], first["response"]["status"]) == (None, TOKENS, 200)
    assert first["origin"]["error"].startswith("the model's ")
    assert run.of_type("llm_call")[0]["completion_tokens"] == 64
    check_rerun(tmp_path, run)


@pytest.mark.parametrize(
    ("reply", "end", "status"),
    [
        (refuses(500), "whole", 500),
        (refuses(429), "whole", 429),
        (says("too late", pause=30.0), "client", None),
    ],
    ids=["500", "429", "timeout"],
)
def test_a_failed_request_is_recorded_as_it_ended(tmp_path: Path, reply: Reply, end: str, status: int | None) -> None:
    executed(tmp_path, says(policy(0.25)), reply, llm__timeout_seconds=0.5)
    run = sealed_run(tmp_path)
    failed = run.exchanges[1]
    assert (failed["end"], failed["answer"], failed["usage"]) == (end, None, None)
    assert (failed["response"] or {}).get("status") == status
    assert failed["request"]["json"]["model"] == "small"
    assert run.of_type("llm_call")[1]["outcome"] == "llm_error"
    assert row(tmp_path)["proposals"] == {"usable": 1, "rejected": 0, "failed": 1}
    check_rerun(tmp_path, run)
