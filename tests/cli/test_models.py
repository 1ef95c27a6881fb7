"""`exprec run` with a language model: what is recorded, replayed, refused and kept secret."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.proposers import model
from exprec.recorder.store.store import Store
from tests.fixtures.chat_server import ChatServer, environment_without_server, refuses, says
from tests.fixtures.cli import exprec
from tests.fixtures.experiments import experiment, of_type, policy, ran
from tests.fixtures.files import bytes_below, names_below

pytestmark = pytest.mark.usefixtures("no_api_key")
KEY = "sk-planted-0123456789"
LIMITS = [{"name": "initial_liquidity_fraction", "param_type": "float", "min_value": 0.0, "max_value": 0.9}]
CHANGES: dict[str, Any] = {
    "llm__model": "openai:small",
    "llm__max_retries": 1,
    "llm__timeout_seconds": 0.5,
    "llm__max_tokens": 500,
    "llm__reasoning_effort": "low",
    "convergence__max_iterations": 4,
    "policy_constraints": {"allowed_parameters": LIMITS},
}
REPLIES = (
    says(policy(0.25), {"prompt_tokens": 900, "completion_tokens": 60}),
    *(says("I would commit less."), says(policy(0.25))),
    *(says(policy(0.95)), says(policy(0.2))),
    *(refuses(429), says(policy(0.3))),
    *[refuses(500)] * 2,
    *[says("too late", pause=30.0)] * 2,
    refuses(400, f"wrong key {KEY}"),
    *[says(None, {"prompt_tokens": 800, "completion_tokens": 50})] * 2,
)
OUTCOMES = [
    *((1, "A", "usable"), (1, "B", "invalid_json"), (1, "B", "usable")),
    *((2, "A", "constraint_violation"), (2, "A", "usable"), (2, "B", "usable")),
    *((3, "A", "llm_error"), (3, "B", "llm_error")),
    *((4, "A", "llm_error"), *[(4, "B", "empty")] * 2),
]
ERRORS = [
    "the model's endpoint answered with status 500",
    "the model did not answer within 0.5 seconds",
    "the model's endpoint answered with status 400",
]
WITHOUT_EXTRA = "import sys; sys.modules.update(dict.fromkeys(['pydantic_ai', 'openai', 'anthropic']))"
"""Makes the extra unavailable in a process."""
ONE_RETRY = "from exprec.recorder.proposers import model; model._TRANSPORT_RETRIES = 1"
"""Limits a process to one retry instead of three, because the delays before them grow."""


@dataclass(frozen=True)
class Recorded:
    """A run with every kind of answer of a model; its server no longer exists."""

    folder: Path
    experiment: Path
    store: Path
    run_id: str
    done: subprocess.CompletedProcess[bytes]
    requests: list[dict[str, Any]]

    def lines(self, name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.store / self.run_id / name).read_bytes().splitlines()]


@pytest.fixture(scope="module")
def recorded(no_api_key: None, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("recorded")
    path, store = experiment(folder, **CHANGES), folder / "runs"
    with ChatServer(*REPLIES) as server:
        environment = {**server.environment(KEY), "PYTHONWARNINGS": "always::ResourceWarning"}
        done = exprec("run", path, "--store", store, env=environment, first=ONE_RETRY)
    (run_id,) = Store(store).run_ids()
    return Recorded(folder, path, store, run_id, done, server.requests)


def replayed(recorded: Recorded, path: Path, *more: str, code: int = 0) -> subprocess.CompletedProcess[bytes]:
    return exprec("run", "--replay-exchanges", recorded.run_id[:8], path, "--store", recorded.store, *more, code=code)


class TestRecording:
    def test_run_continues_whatever_the_model_does(self, recorded: Recorded) -> None:
        calls = [event for event in recorded.lines("events.jsonl") if event["event_type"] == "llm_call"]
        assert [(call["iteration"], call["agent_id"], call["outcome"]) for call in calls] == OUTCOMES
        assert recorded.lines("events.jsonl")[-1]["event_type"] == "experiment_end"
        assert len(recorded.requests) == len(REPLIES)

    def test_every_exchange_is_recorded(self, recorded: Recorded) -> None:
        exchanges = recorded.lines("exchanges.jsonl")
        assert len(exchanges) == len(OUTCOMES)
        assert [error for each in exchanges if (error := each["origin"]["error"]) is not None] == ERRORS
        assert {json.dumps(exchange["origin"]["settings"], sort_keys=True) for exchange in exchanges} == {
            '{"max_tokens": 500, "reasoning_effort": "low", "temperature": 0.0}'
        }
        first, _, corrected = exchanges[:3]
        assert json.loads(first["answer"]["text"]) == policy(0.25)
        assert (first["usage"]["input_tokens"], first["usage"]["output_tokens"]) == (900, 60)
        assert first["latency_seconds"] > 0
        assert [message["role"] for message in corrected["origin"]["messages"]] == [
            "system",
            "user",
            "assistant",
            "user",
        ]
        timed_out = next(exchange for exchange in exchanges if exchange["origin"]["error"] == ERRORS[1])
        assert timed_out["latency_seconds"] >= 1
        assert (timed_out["end"], timed_out["response"]) == ("client", None)
        (withheld,) = (each for each in exchanges if each["origin"]["error"] == ERRORS[2])
        assert (withheld["end"], withheld["response"]) == ("whole", None), "its body has the key"
        assert (exchanges[-1]["answer"]["text"], exchanges[-1]["usage"]["input_tokens"]) == (None, 800)

    def test_what_was_sent_is_what_is_recorded(self, recorded: Recorded) -> None:
        sent = [request["messages"] for request in recorded.requests]
        for exchange in recorded.lines("exchanges.jsonl"):
            assert exchange["origin"]["messages"] in sent
            assert (exchange["method"], exchange["path"]) == ("POST", "/v1/chat/completions")
            assert {**exchange["request"]["json"], "headers": ..., "path": ...} in [
                {**request, "headers": ..., "path": ...} for request in recorded.requests
            ]
        for request in recorded.requests:
            assert request["temperature"] == 0.0
            assert request["reasoning_effort"] == "low"
            assert request.get("max_completion_tokens", request.get("max_tokens")) == 500

    def test_nothing_stray_is_printed_and_everything_is_closed(self, recorded: Recorded) -> None:
        assert recorded.done.stderr == b""

    def test_neither_key_nor_url_is_recorded_or_printed(self, recorded: Recorded) -> None:
        for data in (bytes_below(recorded.store), recorded.done.stdout, recorded.done.stderr):
            assert KEY.encode() not in data
            assert b"127.0.0.1" not in data


class TestReplay:
    def test_same_run_id_without_server_key_or_extra(self, recorded: Recorded) -> None:
        arguments = ("--replay-exchanges", recorded.run_id, recorded.experiment, "--store", recorded.store)
        done = exprec("run", *arguments, first=WITHOUT_EXTRA)
        assert done.stdout == recorded.done.stdout
        assert b"with the same run id" in done.stderr
        assert Store(recorded.store).run_ids().count(recorded.run_id) == 1

    def test_into_another_store_from_the_path_of_a_run(self, recorded: Recorded, tmp_path: Path) -> None:
        run = recorded.store / recorded.run_id
        done = exprec("run", "-q", "--replay-exchanges", run, run / "config.json", "--store", tmp_path / "other")
        assert done.stdout.decode().strip() == recorded.run_id
        assert (tmp_path / "other" / recorded.run_id / "exchanges.jsonl").is_file()

    def test_a_request_that_was_not_recorded_leaves_nothing(self, recorded: Recorded, tmp_path: Path) -> None:
        path = experiment(tmp_path, **CHANGES, prompt_customization={"B": "Be bold."})
        before = names_below(recorded.store)
        done = replayed(recorded, path, code=1)
        assert names_below(recorded.store) == before
        said = done.stderr.decode().splitlines()
        assert said[:2] == [
            "exprec: this request was not recorded: iteration 1, B, attempt 1",
            "the nearest recorded one is exchange 1; it differs in:",
        ]
        assert said[2].startswith("  messages[1].content, line ")
        assert said[2].endswith("now '## Further guidance'")
        assert len(said) == 3

    def test_another_model_is_named(self, recorded: Recorded) -> None:
        done = replayed(recorded, recorded.experiment, "--model", "openai:large", code=1)
        assert b"  model: recorded 'openai:small', now 'openai:large'" in done.stderr

    def test_unused_recorded_requests_are_counted(self, recorded: Recorded, tmp_path: Path) -> None:
        path = experiment(tmp_path, **{**CHANGES, "convergence__max_iterations": 2})
        done = replayed(recorded, path, "-q")
        assert b"exprec: 5 recorded exchanges were not used\n" in done.stderr
        assert done.stdout.decode().strip() in Store(recorded.store).run_ids()

    def test_a_run_without_exchanges(self, tmp_path: Path) -> None:
        path = experiment(tmp_path)
        run_id = exprec("run", "-q", path, cwd=tmp_path).stdout.decode().strip()
        done = exprec("run", "--replay-exchanges", run_id, path, cwd=tmp_path, code=2)
        assert b"has no exchanges to replay: it made no requests to a model" in done.stderr
        exprec("run", "--replay-exchanges", "abcd", path, cwd=tmp_path, code=4)

    def test_a_damaged_exchange_names_file_and_line(self, recorded: Recorded, tmp_path: Path) -> None:
        copy = tmp_path / "copy"
        copy.mkdir()
        for path in (recorded.store / recorded.run_id).iterdir():
            (copy / path.name).write_bytes(path.read_bytes())
        data = (copy / "exchanges.jsonl").read_bytes()
        (copy / "exchanges.jsonl").write_bytes(data.replace(b'"attempt":2', b'"attempt":0', 1))
        done = exprec("run", "--replay-exchanges", copy, recorded.experiment, cwd=tmp_path, code=5)
        assert b"copy/exchanges.jsonl:3: origin.attempt: " in done.stderr


def test_unreachable_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # In this process, where nothing is tried again and so nothing waited for.
    monkeypatch.setattr(model, "_TRANSPORT_RETRIES", 0)
    for name, value in environment_without_server(KEY).items():
        monkeypatch.setenv(name, value)
    provider = ran(tmp_path, **{**CHANGES, "convergence__max_iterations": 2})
    rejections = of_type(provider, "policy_rejected")
    assert len(rejections) == 4
    for event in rejections:
        assert event["validation_errors"] == ["the model's endpoint cannot be reached"]
    assert provider.get_final_result() is not None


@pytest.mark.parametrize("display", ["-v", "--json"])
def test_key_in_an_answer_is_not_recorded_or_printed(tmp_path: Path, display: str) -> None:
    path = experiment(tmp_path, **CHANGES)
    with ChatServer(says(policy(0.25)), says(f"My key is {KEY}.")) as server:
        done = exprec("run", path, display, cwd=tmp_path, env=server.environment(KEY), code=3)
    for data in (bytes_below(tmp_path / "runs"), done.stdout, done.stderr):
        assert KEY.encode() not in data
    (run_id,) = Store(tmp_path / "runs").run_ids()
    assert list((tmp_path / "runs" / ".work").iterdir()) == []
    head = json.loads((tmp_path / "runs" / run_id / "run.json").read_bytes())
    assert (head["status"], head["failure"]["error_type"]) == ("failed", "SecretFound")
    assert b"exchange: answer.text contains the value of OPENAI_API_KEY" in done.stderr
    assert b"Traceback" not in done.stderr


class TestWhatCannotBegin:
    def refused(self, tmp_path: Path, *arguments: str, env: dict[str, str] | None = None, **changes: Any) -> str:
        path = experiment(tmp_path, **{**CHANGES, **changes})
        done = exprec("run", path, *arguments, cwd=tmp_path, env=env, code=2)
        assert done.stdout == b""
        assert b"Traceback" not in done.stderr
        assert names_below(tmp_path) == {"experiment.json"}
        return done.stderr.decode()

    def test_missing_extra_is_named(self, tmp_path: Path) -> None:
        path = experiment(tmp_path, **CHANGES)
        done = exprec("run", path, "--store", tmp_path / "runs", code=2, first=WITHOUT_EXTRA)
        assert done.stdout == b""
        assert done.stderr.decode() == (
            "exprec: llm.model: 'openai:small' needs a package that is not installed: "
            "pip install 'pydantic-ai-slim[openai,anthropic]>=2.60'; --model search needs neither a package nor a key\n"
        )
        assert names_below(tmp_path) == {"experiment.json"}

    def test_missing_key_is_named(self, tmp_path: Path) -> None:
        assert self.refused(tmp_path) == (
            "exprec: llm.model: 'openai:small' needs the environment variable OPENAI_API_KEY, which is not set; "
            "--model search needs neither a package nor a key\n"
        )

    def test_a_setting_that_the_provider_does_not_know_is_named(self, tmp_path: Path) -> None:
        said = self.refused(tmp_path, env={"OPENAI_API_KEY": KEY}, llm__thinking_budget=2000)
        assert said.startswith("exprec: llm.thinking_budget: the provider 'openai' does not know this setting")

    @pytest.mark.parametrize("arguments", [(), ("--dry-run", "--json")])
    def test_a_secret_in_the_experiment(self, tmp_path: Path, arguments: tuple[str, ...]) -> None:
        said = self.refused(tmp_path, *arguments, env={"MY_TOKEN": KEY}, llm__system_prompt=f"You are {KEY}.")
        assert "experiment.json: llm.system_prompt contains the value of MY_TOKEN; it was not written" in said
        assert KEY not in said

    def test_a_secret_that_an_error_would_quote(self, tmp_path: Path) -> None:
        said = self.refused(tmp_path, env={"MY_TOKEN": KEY}, master_seed=KEY)
        assert KEY not in said
        assert "<MY_TOKEN>" in said
