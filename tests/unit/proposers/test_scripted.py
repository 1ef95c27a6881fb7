"""The scripted model: its lines in order, and everything wrong with them before anything is asked."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.errors import InvalidInput, ModelFailure, ScriptExhausted
from exprec.recorder.proposers.protocol import Answer
from exprec.recorder.proposers.scripted import ScriptedProposer
from tests.fixtures.experiments import asking, script_lines


def script(folder: Path, data: bytes) -> Path:
    path = folder / "answers.jsonl"
    path.write_bytes(data)
    return path


def proposer(folder: Path, *lines: dict[str, Any]) -> ScriptedProposer:
    return ScriptedProposer(script(folder, script_lines(lines)))


def ask(model: ScriptedProposer, agent: str = "A") -> Answer:
    return asyncio.run(model.propose(asking(agent)))


def refused(path: Path, digest: str | None = None) -> list[str]:
    with pytest.raises(InvalidInput) as raised:
        ScriptedProposer(path, digest)
    return [str(problem) for problem in raised.value.problems]


class TestAnswers:
    def test_they_come_in_the_order_of_the_lines(self, tmp_path: Path) -> None:
        model = proposer(tmp_path, {"answer": "1"}, {"answer": "2"}, {"answer": "3"})
        assert [ask(model, agent).text for agent in ("A", "B", "A")] == ["1", "2", "3"]

    def test_a_line_for_an_agent_waits_for_it(self, tmp_path: Path) -> None:
        model = proposer(
            tmp_path,
            {"agent": "B", "answer": "B1"},
            {"answer": "any"},
            {"agent": "A", "answer": "A1"},
            {"agent": "B", "answer": "B2"},
        )
        assert [ask(model, agent).text for agent in ("A", "A", "B", "B")] == ["any", "A1", "B1", "B2"]

    def test_a_document_is_sent_as_json(self, tmp_path: Path) -> None:
        model = proposer(tmp_path, {"answer": {"b": 1, "a": [0.5, None, "ä"]}})
        assert json.loads(ask(model).text or "") == {"b": 1, "a": [0.5, None, "ä"]}

    def test_text_is_sent_as_it_stands(self, tmp_path: Path) -> None:
        text = '```json\n{"a": 1}\r\n```\x00 \u2028'
        assert ask(proposer(tmp_path, {"answer": text})).text == text

    def test_usage_is_what_the_line_says_or_unknown(self, tmp_path: Path) -> None:
        figures = {"prompt_tokens": 120, "completion_tokens": 0, "latency_seconds": 2}
        model = proposer(tmp_path, {"answer": "1", **figures}, {"answer": "2"})
        assert ask(model) == Answer("1", 120, 0, 2.0)
        assert ask(model) == Answer("2", None, None, 0.0)

    def test_an_error_is_a_failure_of_the_model(self, tmp_path: Path) -> None:
        model = proposer(tmp_path, {"error": "overloaded", "latency_seconds": 3.5}, {"answer": "1"})
        with pytest.raises(ModelFailure, match=r"^overloaded$") as raised:
            ask(model)
        assert raised.value.latency_seconds == 3.5
        assert ask(model).text == "1"

    def test_where_no_line_is_left_the_script_and_the_agent_are_named(self, tmp_path: Path) -> None:
        model = proposer(tmp_path, {"agent": "B", "answer": "1"})
        with pytest.raises(ScriptExhausted, match=r"^answers\.jsonl has no answer left for A; add a line"):
            ask(model)
        assert ask(model, "B").text == "1"

    def test_it_counts_as_a_model(self) -> None:
        assert ScriptedProposer.is_model is True


class TestFiles:
    def test_empty_lines_and_line_ends_of_windows_do_not_matter(self, tmp_path: Path) -> None:
        model = ScriptedProposer(script(tmp_path, b'\xef\xbb\xbf{"answer": "1"}\r\n\r\n  \n{"answer": "2"}'))
        assert [ask(model).text, ask(model).text] == ["1", "2"]

    def test_a_script_may_be_empty(self, tmp_path: Path) -> None:
        with pytest.raises(ScriptExhausted):
            ask(ScriptedProposer(script(tmp_path, b"")))

    def test_what_changes_later_changes_nothing(self, tmp_path: Path) -> None:
        model = proposer(tmp_path, {"answer": "1"})
        script(tmp_path, b"rubbish")
        assert ask(model).text == "1"

    def test_its_digest_is_compared(self, tmp_path: Path) -> None:
        data = b'{"answer": "1"}\n'
        path, right = script(tmp_path, data), hashlib.sha256(data).hexdigest()
        assert ask(ScriptedProposer(path, right)).text == "1"
        (problem,) = refused(path, "0" * 64)
        assert problem == (
            f"{path}: is not the script this experiment was configured with (SHA-256 {right}, not {'0' * 64})"
        )

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        assert refused(tmp_path / "none.jsonl") == [f"{tmp_path}/none.jsonl: cannot be read: No such file or directory"]
        (problem,) = refused(tmp_path / "a\0b")
        assert "cannot be read: embedded null byte" in problem


BAD_LINES: dict[str, tuple[bytes, str]] = {
    "not JSON": (b'{"answer": ', "not valid JSON"),
    "not UTF-8": (b'{"answer": "\xff"}', "is not UTF-8 text"),
    "a list": (b"[]", "must be a mapping"),
    "an unknown key": (b'{"answer": "1", "agnet": "A"}', "agnet"),
    "neither answer nor error": (b'{"agent": "A"}', "answer"),
    "both": (b'{"answer": "1", "error": "x"}', "a line has an answer or an error, not both"),
    "an answer that is a number": (b'{"answer": 1}', "answer: must be"),
    "negative tokens": (b'{"answer": "1", "prompt_tokens": -1}', "prompt_tokens"),
    "tokens that are no integer": (b'{"answer": "1", "prompt_tokens": 1.0}', "prompt_tokens"),
    "tokens beyond 64 bits": (b'{"answer": "1", "prompt_tokens": 99999999999999999999}', "prompt_tokens: the integer"),
    "NaN": (b'{"answer": {"a": NaN}}', "answer.a: must be a finite number"),
    "a key twice": (b'{"answer": {"a": 1, "a": 2}}', "answer.a: duplicate key"),
    "a lone surrogate": (b'{"answer": "\\ud800"}', "answer: the string has a lone surrogate"),
    "one in an error": (b'{"error": "\\udfff"}', "error: the string has a lone surrogate"),
    "one deep inside": (b'{"answer": {"a": [{"b": "\\ud800"}]}}', "answer.a[0].b: the string has a lone surrogate"),
    "one in a key": (b'{"answer": {"\\ud800": 1}}', "has a lone surrogate"),
    "nested too deep": (b'{"answer": ' + b'{"a":' * 5000 + b"1" + b"}" * 5001, "nested deeper than 200 levels"),
}


@pytest.mark.parametrize(("line", "reason"), BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_bad_line_is_refused_with_its_number(tmp_path: Path, line: bytes, reason: str) -> None:
    path = script(tmp_path, b'{"answer": "good"}\n\n' + line + b'\n{"answer": "good"}\n')
    (problem,) = refused(path)
    assert problem.startswith(f"{path}:3: ")
    assert reason in problem


def test_all_bad_lines_are_named(tmp_path: Path) -> None:
    path = script(tmp_path, b'[]\n{"answer": "good"}\nno\n{"error": ""}\n')
    assert [problem.removeprefix(f"{path}:").partition(":")[0] for problem in refused(path)] == ["1", "3", "4"]
