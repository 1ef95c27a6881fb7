"""The proposer that asks a model, against a server on loopback: what is sent, what comes back, how it fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from exprec.recorder.errors import InvalidInput, ModelFailure, ModelUnavailable
from exprec.recorder.proposers import model
from exprec.recorder.proposers.model import ModelProposer
from exprec.recorder.proposers.protocol import Answer, Message
from tests.fixtures.chat_server import ChatServer, Reply, contents, environment_without_server, refuses, says
from tests.fixtures.experiments import asking

pytestmark = pytest.mark.usefixtures("no_api_key")
KEY = "sk-planted-0123456789"
MESSAGES = (
    Message("system", "rules"),
    Message("user", "propose"),
    Message("assistant", "not JSON"),
    Message("user", "again"),
)


class Asked:
    """One request to a model on a server with these replies: the answer or the failure, and what was sent."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *replies: Reply,
        settings: Mapping[str, Any] | None = None,
        seconds: float = 5.0,
        times: int = 1,
    ) -> None:
        self.answers: list[Answer] = []
        self.failure: ModelFailure | ModelUnavailable | None = None
        with ChatServer(*replies) as server:
            for name, value in server.environment(KEY).items():
                monkeypatch.setenv(name, value)
            proposer = ModelProposer("openai:small", settings or {}, seconds)
            try:
                for _ in range(times):
                    self.answers.append(asyncio.run(proposer.propose(asking(messages=MESSAGES))))
            except (ModelFailure, ModelUnavailable) as failure:
                self.failure = failure
        self.requests = server.requests

    def reason(self) -> str:
        assert self.failure is not None, self.answers
        return str(self.failure)


class TestWhatIsSentAndComesBack:
    def test_the_messages_go_as_they_are_and_the_text_comes_as_it_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = Asked(monkeypatch, says(" {}\n", {"prompt_tokens": 11, "completion_tokens": 3}, pause=0.05))
        (answer,) = asked.answers
        assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == (" {}\n", 11, 3)
        assert 0.05 <= answer.latency_seconds < 5
        assert answer.latency_seconds == round(answer.latency_seconds, 3)
        assert contents(asked.requests) == [[(message.role, message.content) for message in MESSAGES]]
        (request,) = asked.requests
        assert request["path"] == "/v1/chat/completions"
        assert request["model"] == "small"
        assert request["headers"]["authorization"] == f"Bearer {KEY}"

    def test_a_server_that_counts_no_tokens(self, monkeypatch: pytest.MonkeyPatch) -> None:
        (answer,) = Asked(monkeypatch, says("x")).answers
        assert (answer.prompt_tokens, answer.completion_tokens) == (None, None)

    def test_one_proposer_can_be_asked_in_several_event_loops(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert [answer.text for answer in Asked(monkeypatch, says("x"), times=3).answers] == ["x"] * 3

    def test_settings_reach_the_wire(self, monkeypatch: pytest.MonkeyPatch) -> None:
        settings = {"temperature": 0.5, "max_tokens": 99, "reasoning_effort": "low", "reasoning_summary": "auto"}
        (request,) = Asked(monkeypatch, says("x"), settings=settings).requests
        assert request["temperature"] == 0.5
        assert request.get("max_completion_tokens", request.get("max_tokens")) == 99
        assert request["reasoning_effort"] == "low"

    def test_settings_that_were_not_given_are_not_sent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        (request,) = Asked(monkeypatch, says("x")).requests
        assert not request.keys() & {"temperature", "max_completion_tokens", "max_tokens", "reasoning_effort"}

    def test_the_protocol_of_anthropic(self, monkeypatch: pytest.MonkeyPatch) -> None:
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "small",
            "content": [{"type": "text", "text": "{}"}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 11, "output_tokens": 3},
        }
        with ChatServer(refuses(529), Reply(json.dumps(message).encode())) as server:
            for name, value in server.environment(KEY).items():
                monkeypatch.setenv(name.replace("OPENAI", "ANTHROPIC"), value.removesuffix("/v1"))
            proposer = ModelProposer("anthropic:small", {"temperature": 0.0, "max_tokens": 99}, 5.0)
            answer = asyncio.run(proposer.propose(asking(messages=MESSAGES)))
        assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == ("{}", 11, 3)
        assert (answer.finish_reason, answer.model) == ("end_turn", "small")
        assert answer.http is not None
        assert answer.http["path"].startswith("/v1/messages")
        assert "anthropic-version" in answer.http["headers"]
        assert answer.http["response"]["text"] == json.dumps(message)
        assert len(server.requests) == 2
        request = server.requests[-1]
        assert request["path"].startswith("/v1/messages")
        assert (request["temperature"], request["max_tokens"]) == (0.0, 99)
        assert [message["role"] for message in request["messages"]] == ["user", "assistant", "user"]
        assert "rules" in json.dumps(request["system"])


class TestFailures:
    def test_a_rate_limit_is_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = Asked(monkeypatch, refuses(429), refuses(503), says("x"))
        assert [answer.text for answer in asked.answers] == ["x"]
        assert len(asked.requests) == 3

    def test_a_server_error_throughout(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = Asked(monkeypatch, refuses(500))
        assert asked.reason() == "the model's endpoint answered with status 500"
        assert len(asked.requests) == 4

    @pytest.mark.parametrize(
        ("status", "reason"),
        [
            (
                401,
                "the model's endpoint answered with status 401: the key was refused; set a valid one, "
                "then resume the run",
            ),
            (
                404,
                "the model's endpoint answered with status 404: there is no such model or endpoint; make it available, "
                "or correct the URL, then resume the run",
            ),
            (400, "the model's endpoint answered with status 400"),
        ],
    )
    def test_a_refusal_is_not_repeated(self, monkeypatch: pytest.MonkeyPatch, status: int, reason: str) -> None:
        asked = Asked(monkeypatch, refuses(status))
        assert asked.reason() == reason
        assert len(asked.requests) == 1

    def test_a_timeout_is_repeated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(model, "_TRANSPORT_RETRIES", 1)
        asked = Asked(monkeypatch, says("x", pause=5.0), seconds=0.3)
        assert asked.reason() == "the model did not answer within 0.3 seconds"
        assert len(asked.requests) == 2
        assert asked.failure is not None
        assert isinstance(asked.failure, ModelFailure)
        assert 0.6 <= asked.failure.latency_seconds < 5

    def test_an_endpoint_that_never_comes_to_an_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(model, "_TRANSPORT_RETRIES", 0)
        monkeypatch.setattr(model, "_LONGEST_WAIT_SECONDS", -4.7)
        asked = Asked(monkeypatch, says("x", pause=5.0))
        assert asked.reason() == "the model did not answer within 5 seconds"

    def test_nobody_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(model, "_TRANSPORT_RETRIES", 0)
        for name, value in environment_without_server(KEY).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(ModelFailure, match=r"^the model's endpoint cannot be reached$"):
            asyncio.run(ModelProposer("openai:small", {}, 1.0).propose(asking(messages=MESSAGES)))

    @pytest.mark.parametrize(
        "body", [b"<html>", b"{}", b"[]", b"null", b'{"choices": []}', b'{"choices": [{"index": "x"}]}', b"\xff"]
    )
    def test_an_answer_that_is_none(self, monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
        assert Asked(monkeypatch, Reply(body)).reason().startswith("the model's answer cannot be used (")

    @pytest.mark.parametrize("content", [None, ""])
    def test_an_answer_without_text(self, monkeypatch: pytest.MonkeyPatch, content: str | None) -> None:
        (answer,) = Asked(monkeypatch, says(content, {"prompt_tokens": 11, "completion_tokens": 3})).answers
        assert not answer.text
        assert answer.fault == ("empty", "the answer is empty")
        assert answer.usage["input_tokens"] == 11

    @pytest.mark.parametrize(
        "reply",
        [refuses(401, f"wrong key {KEY}"), Reply(KEY.encode()), Reply(b'{"choices": "' + KEY.encode() + b'"}')],
        ids=["refused", "no JSON", "no answer"],
    )
    def test_no_reason_has_the_key_or_the_address(self, monkeypatch: pytest.MonkeyPatch, reply: Reply) -> None:
        reason = Asked(monkeypatch, reply).reason()
        assert KEY not in reason
        assert "127.0.0.1" not in reason
        assert "Bearer" not in reason

    def test_whatever_else_a_client_raises_is_recorded_by_its_kind_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def broken(*_: Any, **__: Any) -> None:
            raise LookupError(f"Authorization: Bearer {KEY}")

        monkeypatch.setattr("pydantic_ai.direct.model_request", broken)
        assert Asked(monkeypatch, says("x")).reason() == "the model's client failed (LookupError)"


def refused(name: str, settings: Mapping[str, Any] | None = None) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        ModelProposer(name, settings or {}, 1.0)
    return [str(problem) for problem in caught.value.problems]


class TestWhatCannotBegin:
    @pytest.mark.parametrize(
        ("name", "variable"), [("openai:small", "OPENAI_API_KEY"), ("anthropic:small", "ANTHROPIC_API_KEY")]
    )
    @pytest.mark.parametrize("value", [None, ""], ids=["absent", "empty"])
    def test_a_key_that_is_not_set_is_named(
        self, monkeypatch: pytest.MonkeyPatch, name: str, variable: str, value: str | None
    ) -> None:
        if value is not None:
            monkeypatch.setenv(variable, value)
        assert refused(name) == [
            f"llm.model: '{name}' needs the environment variable {variable}, which is not set; "
            "--model search needs neither a package nor a key"
        ]

    def test_the_package_of_another_provider_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(name: str) -> None:
            raise ImportError('Please install `groq`: `pip install "pydantic-ai-slim[groq]"`')

        monkeypatch.setattr("pydantic_ai.models.infer_model", missing)
        (problem,) = refused("groq:small")
        assert "pip install 'pydantic-ai-slim[groq]'" in problem

    @pytest.mark.parametrize("name", ["nonsense:small", "small", ":"])
    def test_an_unknown_model(self, name: str) -> None:
        (problem,) = refused(name)
        assert problem.startswith(f"llm.model: '{name}' is not the name of a model; write PROVIDER:NAME")

    def test_an_address_that_is_none_is_not_quoted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", "http://user:planted-password\x01@")
        (problem,) = refused("openai:small")
        assert "the settings of its provider in the environment are not valid" in problem
        assert "planted" not in problem

    def test_settings_that_the_provider_does_not_know_are_named_before_the_key(self) -> None:
        problems = refused("openai:small", {"temperature": 0.0, "thinking_budget": 5, "thinking_config": {}})
        assert [problem.partition(": ")[0] for problem in problems] == ["llm.thinking_budget", "llm.thinking_config"]
        assert "does not know this setting; leave it out (known: temperature, max_tokens, reasoning_" in problems[0]
        assert len(refused("other:small", {"reasoning_effort": "low"})) == 1


THINKING: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"thinking_budget": 2000}, {"anthropic_thinking": {"type": "enabled", "budget_tokens": 2000}}),
    ({"thinking_config": {"type": "adaptive"}}, {"anthropic_thinking": {"type": "adaptive"}}),
    (
        {"thinking_config": {"type": "disabled"}},
        {"anthropic_thinking": {"type": "disabled"}, "temperature": 0.0},
    ),
    ({}, {"temperature": 0.0}),
]


@pytest.mark.parametrize(("settings", "expected"), THINKING)
def test_a_model_of_anthropic_that_thinks_is_sent_no_temperature(
    settings: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert model._provider_settings("anthropic:small", {"temperature": 0.0, **settings}) == expected
