"""From an answer to a policy: what is read as one, what is sent back, and what is recorded of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.errors import ModelFailure, ModelUnavailable, UnrecordedRequest
from exprec.recorder.events import Event, optimization
from exprec.recorder.exchanges import call_fields
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.proposal import AnswerCheck, InvalidAnswer, ProposalSession, parse_answer
from exprec.recorder.format import canonical_json
from exprec.recorder.proposers.protocol import Answer, Message, ProposalRequest
from exprec.recorder.proposers.search import SearchProposer
from exprec.recorder.sessions import Session
from exprec.recorder.store.store import Store
from tests.fixtures.experiments import asking, costs_by_fraction, mapping, policy

GOOD = json.dumps(policy(0.25))
MESSAGES = (Message("system", "rules"), Message("user", "propose"))


UNRECORDED = UnrecordedRequest({"agent_id": "A", "iteration": 1, "attempt": 1}, None, (), ())


class Model:
    """Gives the answers in order, and keeps the requests."""

    is_model = True

    def __init__(self, *answers: str | Answer | ModelFailure) -> None:
        self._answers = list(answers)
        self.requests: list[ProposalRequest] = []

    async def propose(self, request: ProposalRequest) -> Answer:
        self.requests.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, ModelFailure):
            raise answer
        return Answer(answer) if isinstance(answer, str) else answer


class Negotiated:
    """One session with a proposer: the verdict, and what was recorded."""

    def __init__(self, folder: Path, proposer: Any, **changes: Any) -> None:
        store = Store.open_or_create(folder / "runs")
        recording = store.begin("small", "generic", {})
        self.calls: list[Event] = []
        recorded = Session("small", "generic", recording, listener=self.calls.append)
        config = ExperimentConfig.from_mapping(mapping(**changes), folder)
        self.simulator = costs_by_fraction()
        session = ProposalSession(proposer, self.simulator, config, recorded)
        self.verdict: AnswerCheck = asyncio.run(session.obtain_policy(replace(asking(messages=MESSAGES), iteration=3)))
        recorded.leave()
        file = recording.folder / "exchanges.jsonl"
        lines = file.read_bytes().splitlines() if file.exists() else []
        self.exchanges: list[dict[str, Any]] = [canonical_json.decode(line) for line in lines]


def nested(depth: int, opening: str = '{"a":', closing: str = "}") -> str:
    return opening * depth + "1" + closing * depth


def refusal(text: str) -> str:
    """Why an answer is not read."""
    with pytest.raises(InvalidAnswer) as caught:
        parse_answer(text)
    return str(caught.value)


READ: dict[str, str] = {
    "plain": '{"a": 1}',
    "blanks around it": ' \n{"a": 1}\r\n\t',
    "a fence": '```\n{"a": 1}\n```',
    "a fence that names its language": '```json\n{"a": 1}\n```\n',
    "a fence with blanks around it": '\n\n  ```json  \n\n{"a":\n1}\n\n   ```  \n\n',
    "a fence with CRLF": '```json\r\n{"a": 1}\r\n```\r\n',
    "a fence of another language": '```python\n{"a": 1}\n```',
    "a fence without an end": '```json\n{"a": 1}',
    "text before a fence": 'Here:\n```\n{"a": 1}\n```',
    "text around it": 'Given {balance} and {0}, I propose {"a": 1} because [1] is { too } much.',
    "an object of one line in a paragraph": 'So {\n  "a": 1}.\n\nDone.',
    "closing braces before it": '}} {"a": 1} }',
    "a list around it": 'As a list: [{"a": 1}]',
}


@pytest.mark.parametrize("text", READ.values(), ids=READ.keys())
def test_the_only_object_is_read_whatever_is_around_it(text: str) -> None:
    assert parse_answer(text) == {"a": 1}


def test_backticks_within_a_policy_are_text() -> None:
    value = {"description": "a ``` b\n```\n"}
    assert parse_answer(json.dumps(value)) == value
    assert parse_answer(f"```json\n{json.dumps(value)}\n```") == value


NOT_READ: dict[str, tuple[str, str]] = {
    "nothing": ("", "not valid JSON: line 1, column 1: unexpected the end"),
    "words": ("I would commit less.", "the answer has no JSON object; it begins 'I would commit less.'"),
    "an object inside one that is cut off": (
        '{"a": {"b": 1}, "c":',
        "not valid JSON: line 1, column 21: unexpected",
    ),
    "an object after one that is broken": ('{"a": x}\n{"a": 1}', "not valid JSON: line 1, column 7: unexpected 'x}"),
    "text around a broken object": ('Here:\n{"a": 1,}', "not valid JSON: line 2, column 9: unexpected '}'"),
    "a key twice in text": ('Here: {"a": 1, "a": 2}', "not valid JSON: the key 'a' stands twice in one object"),
    "deep objects in text": ("Here: " + nested(201), "nested deeper than 200 levels"),
    "braces without an object": ("{balance}", "not valid JSON: line 1, column 2: unexpected 'balance}'"),
    "an empty fence": ("```json\n```", "the answer has no JSON object; it begins '```json"),
    "two objects": (
        "Either\n{}\nor\n{}",
        "the answer must have one JSON object, but it has 2: the first at line 2, the second at line 4",
    ),
    "cut off": ('{"a":\n', "not valid JSON: line 2, column 1: unexpected the end"),
    "a comma too many": ('{"a": [1,\n2, ]}', "not valid JSON: line 2, column 4: unexpected ']}'"),
    "single quotes": ("{'a': 1}", "not valid JSON: line 1, column 2: unexpected \"'a': 1}\""),
    "a list": ("[1]", "the answer must be a JSON object, not list"),
    "a string": ('"text"', "the answer must be a JSON object, not str"),
    "null": ("null", "the answer must be a JSON object, not NoneType"),
    "a key twice": ('{"a": 1, "b": 2, "a": 1}', "not valid JSON: the key 'a' stands twice in one object"),
    "a key twice, inside": ('{"x": [{"a": 1, "a": 2}]}', "not valid JSON: the key 'a' stands twice in one object"),
    "NaN": ('{"a": NaN}', "not valid JSON: NaN is not a number that JSON has"),
    "infinity": ('{"a": [-Infinity]}', "not valid JSON: -Infinity is not a number that JSON has"),
    "deep objects": (nested(201), "nested deeper than 200 levels"),
    "deep lists": ('{"a": ' + nested(200, "[", "]") + "}", "nested deeper than 200 levels"),
    "deeper than Python goes": (nested(100_000), "nested deeper than 200 levels"),
}


@pytest.mark.parametrize(("text", "reason"), NOT_READ.values(), ids=NOT_READ.keys())
def test_anything_else_is_refused_with_the_reason(text: str, reason: str) -> None:
    assert refusal(text).startswith(reason)


def test_what_is_deep_but_not_too_deep_is_read() -> None:
    assert isinstance(parse_answer(nested(200)), dict)


def test_reasons_are_in_no_words_of_a_python_version(monkeypatch: pytest.MonkeyPatch) -> None:
    text = '{"a": [1 ,\n 2]\n, }'
    expected = refusal(text)

    parse = json.loads

    def say_as_later_versions(document: str, **options: Any) -> Any:
        if options:
            raise json.JSONDecodeError("Illegal trailing comma before end of object", document, document.rindex(","))
        return parse(document)

    monkeypatch.setattr("json.loads", say_as_later_versions)
    assert refusal(text) == expected == "not valid JSON: line 3, column 3: unexpected '}'"


def test_an_answer_of_empty_lines_is_read_in_no_time() -> None:
    for text in ("```\n" + "\n" * 200_000, "```" + " \n" * 200_000 + "```x", "\n" * 200_000, "{ " * 200_000):
        assert refusal(text)


REFUSED: dict[str, tuple[str, str, str]] = {
    "no policy": ('{"a": 1}', "invalid_policy", "payment_tree: this key is required"),
    "a fraction out of range": (json.dumps(policy(1.5)), "invalid_policy", "parameters.initial_liquidity_fraction"),
    "an integer beyond 64 bits": ('{"a": 18446744073709551616}', "invalid_policy", "beyond 64 bits"),
    "an integer of 5000 digits": ('{"a": ' + "9" * 5000 + "}", "invalid_policy", "beyond 64 bits"),
    "a number beyond floats": ('{"a": 1e999}', "invalid_policy", "a: inf is not a number that JSON has"),
    "a lone surrogate": ('{"a": "\\ud800"}', "invalid_policy", "a: the string has a lone surrogate"),
    "a key with one": ('{"\\udc00": 1}', "invalid_policy", "has a lone surrogate"),
    "a key with one twice": ('{"\\udc00": 1, "\\udc00": 1}', "invalid_json", r"the key '\udc00' stands twice"),
    "not JSON": ("no", "invalid_json", "no JSON object"),
}


@pytest.mark.parametrize(("text", "outcome", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_an_unusable_answer_is_recorded_with_its_outcome(tmp_path: Path, text: str, outcome: str, reason: str) -> None:
    done = Negotiated(tmp_path, Model(text), llm__max_retries=0)
    assert done.verdict.outcome == outcome
    assert any(reason in error for error in done.verdict.errors), done.verdict.errors
    assert [call["outcome"] for call in done.calls] == [outcome]
    assert done.exchanges[0]["answer"]["text"] == text
    assert done.simulator.calls == []


def test_a_policy_beyond_the_limits_is_a_violation_and_keeps_its_document(tmp_path: Path) -> None:
    limits = [{"name": "initial_liquidity_fraction", "param_type": "float", "min_value": 0.0, "max_value": 0.2}]
    done = Negotiated(tmp_path, Model(GOOD), llm__max_retries=0, policy_constraints={"allowed_parameters": limits})
    assert done.verdict.outcome == "constraint_violation"
    assert done.verdict.policy == policy(0.25)
    assert done.verdict.errors == ("parameters.initial_liquidity_fraction: must be at most 0.2, not 0.25",)


def test_errors_of_form_and_of_limits_are_told_together(tmp_path: Path) -> None:
    limits = {"allowed_parameters": [{"name": "urgency", "param_type": "int", "min_value": 0, "max_value": 9}]}
    text = json.dumps({"version": "2.0", "policy_id": "x", "parameters": {"urgency": 12}})
    done = Negotiated(tmp_path, Model(text), llm__max_retries=0, policy_constraints=limits)
    assert done.verdict.outcome == "invalid_policy"
    assert len(done.verdict.errors) == 2
    assert "payment_tree" in done.verdict.errors[0]
    assert done.verdict.errors[1] == "parameters.urgency: must be at most 9, not 12"


class TestRetries:
    def test_a_usable_answer_ends_it(self, tmp_path: Path) -> None:
        model = Model("no", GOOD, "never asked for")
        done = Negotiated(tmp_path, model)
        assert done.verdict == AnswerCheck("usable", policy(0.25))
        assert len(model.requests) == 2

    @pytest.mark.parametrize("retries", [0, 1, 3])
    def test_as_many_further_attempts_as_configured(self, tmp_path: Path, retries: int) -> None:
        model = Model(*["no"] * 10)
        done = Negotiated(tmp_path, model, llm__max_retries=retries)
        assert done.verdict.outcome == "invalid_json"
        assert len(model.requests) == retries + 1
        assert [call["attempt"] for call in done.calls] == list(range(1, retries + 2))

    def test_each_attempt_is_one_exchange_and_one_event_that_agree(self, tmp_path: Path) -> None:
        answers = (Answer("no", 100, 7, 0.5), Answer('{"a": 1}', None, None, 1.25), Answer(GOOD, 300, 9, 0.0))
        done = Negotiated(tmp_path, Model(*answers))
        assert [call["event_type"] for call in done.calls] == [optimization.LLM_CALL.event_type] * 3
        assert [call["outcome"] for call in done.calls] == ["invalid_json", "invalid_policy", "usable"]
        assert [exchange["answer"]["text"] for exchange in done.exchanges] == [answer.text for answer in answers]
        shared = ("agent_id", "attempt", "iteration", "model", "prompt_tokens", "completion_tokens", "latency_seconds")
        for index, (call, exchange, answer) in enumerate(zip(done.calls, done.exchanges, answers, strict=True)):
            assert call["exchange"] == exchange["index"] == index
            assert {key: call[key] for key in shared} == {key: call_fields(exchange)[key] for key in shared}
            assert (call["agent_id"], call["attempt"], call["iteration"]) == ("A", index + 1, 3)
            assert call["prompt_tokens"] == answer.prompt_tokens
            assert call["completion_tokens"] == answer.completion_tokens
            assert call["latency_seconds"] == answer.latency_seconds
            assert exchange["origin"]["error"] is None

    def test_an_unusable_answer_is_sent_back_with_everything_wrong_with_it(self, tmp_path: Path) -> None:
        model = Model("no", '{"a": 1}', GOOD)
        done = Negotiated(tmp_path, model)
        first, second, third = (asked.messages for asked in model.requests)
        assert first == MESSAGES
        assert second[:2] == MESSAGES
        assert third[:4] == second
        assert [message.role for message in third] == ["system", "user", "assistant", "user", "assistant", "user"]
        assert second[2].content == "no"
        assert "- the answer has no JSON object; it begins 'no'\n" in second[3].content
        assert third[4].content == '{"a": 1}'
        for missing in ("version", "policy_id", "payment_tree"):
            assert f"- {missing}: this key is required" in third[5].content
        assert [exchange["origin"]["messages"] for exchange in done.exchanges] == [
            [message.as_dict() for message in asked.messages] for asked in model.requests
        ]

    def test_only_the_messages_of_a_request_change(self, tmp_path: Path) -> None:
        model = Model("no", GOOD)
        Negotiated(tmp_path, model)
        first, second = model.requests
        assert (second.agent_id, second.current_policy, second.decisions, second.parameters) == (
            first.agent_id,
            first.current_policy,
            first.decisions,
            first.parameters,
        )


class TestFailures:
    def test_a_model_that_fails_ends_it(self, tmp_path: Path) -> None:
        model = Model("no", ModelFailure("out of time", 12.5), GOOD)
        done = Negotiated(tmp_path, model)
        assert done.verdict == AnswerCheck("llm_error", None, ("out of time",))
        assert len(model.requests) == 2
        assert [call["outcome"] for call in done.calls] == ["invalid_json", "llm_error"]
        assert done.calls[1]["latency_seconds"] == 12.5
        assert (done.exchanges[1]["answer"], done.exchanges[1]["origin"]["error"]) == (None, "out of time")
        assert len(done.exchanges[1]["origin"]["messages"]) == 4

    def test_a_failure_without_words_gets_some(self, tmp_path: Path) -> None:
        done = Negotiated(tmp_path, Model(ModelFailure("")))
        assert done.verdict.errors == ("the model failed and gave no reason",)

    def test_an_answer_that_cannot_be_recorded_is_a_failure_of_the_model(self, tmp_path: Path) -> None:
        done = Negotiated(tmp_path, Model(Answer("\ud800", latency_seconds=2.0)))
        assert done.verdict.outcome == "llm_error"
        assert done.exchanges[0]["answer"] is None
        assert done.exchanges[0]["origin"]["error"].startswith(
            "the answer cannot be recorded: the string has a lone surrogate"
        )
        assert done.calls[0]["latency_seconds"] == 2.0

    @pytest.mark.parametrize(
        ("error", "reason"),
        [(RuntimeError("broken"), "broken"), (KeyError(), "KeyError"), (OSError(28, "full"), "full")],
    )
    def test_any_other_error_of_a_model_is_one_too(self, tmp_path: Path, error: Exception, reason: str) -> None:
        done = Negotiated(tmp_path, Broken(error))
        assert done.verdict.outcome == "llm_error"
        assert reason in done.exchanges[0]["origin"]["error"]

    @pytest.mark.parametrize("error", [ModelUnavailable("no key"), UNRECORDED])
    def test_what_ends_the_experiment_goes_through(self, tmp_path: Path, error: Exception) -> None:
        with pytest.raises(type(error)):
            Negotiated(tmp_path, Broken(error))

    def test_an_error_of_a_computation_goes_through(self, tmp_path: Path) -> None:
        with pytest.raises(ZeroDivisionError):
            Negotiated(tmp_path, Broken(ZeroDivisionError("a defect"), is_model=False))


class Broken:
    """Raises the same error for each request."""

    def __init__(self, error: Exception, *, is_model: bool = True) -> None:
        self.is_model = is_model
        self._error = error

    async def propose(self, request: ProposalRequest) -> Answer:
        raise self._error


def test_a_computation_leaves_no_exchange(tmp_path: Path) -> None:
    done = Negotiated(tmp_path, SearchProposer())
    assert done.verdict.outcome == "usable"
    assert done.calls == []
    assert done.exchanges == []


SETTINGS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"temperature": 0.0}),
    ({"llm__temperature": 1, "llm__max_tokens": 5}, {"temperature": 1.0, "max_tokens": 5}),
    ({"llm__timeout_seconds": 1, "llm__max_retries": 0}, {"temperature": 0.0}),
]


@pytest.mark.parametrize(("changes", "expected"), SETTINGS)
def test_an_exchange_has_the_settings_that_can_change_an_answer(
    tmp_path: Path, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    done = Negotiated(tmp_path, Model(GOOD), **changes)
    assert done.exchanges[0]["origin"]["settings"] == expected
