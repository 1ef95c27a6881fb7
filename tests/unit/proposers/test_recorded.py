"""Answers from recorded exchanges: each request must have been made then, and has the answer of then."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.errors import Damaged, ModelFailure, UnrecordedRequest
from exprec.recorder.exchanges import request_fields
from exprec.recorder.experiment.config import ModelConfig
from exprec.recorder.experiment.runner import GenericExperimentRunner
from exprec.recorder.proposers.protocol import Answer, Message, ProposalRequest
from exprec.recorder.proposers.recorded import RecordedProposer
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from tests.fixtures import events
from tests.fixtures.experiments import answer, asking, runner

MODEL = ModelConfig("openai:small", temperature=0.5)
MESSAGES = (Message("system", "the rules"), Message("user", "line one\nyour cost is 5000 cents, and more\nline three"))


def exchange(index: int = 0, **changes: Any) -> dict[str, Any]:
    fields = {
        "agent_id": "A",
        "model": "openai:small",
        "settings": {"temperature": 0.5},
        "messages": [message.as_dict() for message in MESSAGES],
        "answer": f"answer {index}",
        "prompt_tokens": 7,
        "latency_seconds": 1.25,
    }
    return events.exchange(index=index, **{**fields, **changes})


def request(agent: str = "A", **changes: Any) -> ProposalRequest:
    return replace(asking(agent, messages=MESSAGES), **changes)


def ask(proposer: RecordedProposer, *requests: ProposalRequest) -> list[str | None]:
    return [asyncio.run(proposer.propose(each)).text for each in requests]


def unrecorded(exchanges: Sequence[Mapping[str, Any]], asked: ProposalRequest) -> UnrecordedRequest:
    with pytest.raises(UnrecordedRequest) as caught:
        ask(RecordedProposer(exchanges, MODEL), asked)
    return caught.value


class TestAnswers:
    def test_the_answer_is_what_came_back_then(self) -> None:
        proposer = RecordedProposer([exchange()], MODEL)
        answered = asyncio.run(proposer.propose(request()))
        assert replace(answered, http=None) == Answer("answer 0", 7, None, 1.25)
        assert proposer.is_model

    def test_a_failure_fails_again(self) -> None:
        proposer = RecordedProposer([exchange(answer=None, error="out of time")], MODEL)
        with pytest.raises(ModelFailure, match=r"^out of time$") as caught:
            ask(proposer, request())
        assert caught.value.latency_seconds == 1.25

    def test_any_order_and_each_answer_once(self) -> None:
        proposer = RecordedProposer([exchange(), exchange(1, agent_id="B"), exchange(2)], MODEL)
        assert proposer.unused == 3
        assert ask(proposer, request("B"), request(), request()) == ["answer 1", "answer 0", "answer 2"]
        assert proposer.unused == 0
        with pytest.raises(UnrecordedRequest, match="no recorded exchange is left to compare it with"):
            ask(proposer, request())


DIFFERENT: dict[str, dict[str, Any]] = {
    "agent_id": {"agent_id": "B"},
    "iteration": {"iteration": 2},
    "attempt": {"attempt": 2},
    "model": {"model": "openai:large"},
    "settings": {"settings": {"temperature": 0.5, "max_tokens": 5}},
    "messages": {"messages": [MESSAGES[0].as_dict()]},
}


@pytest.mark.parametrize("changes", DIFFERENT.values(), ids=DIFFERENT.keys())
def test_every_part_of_a_request_must_be_the_same(changes: dict[str, Any]) -> None:
    error = unrecorded([exchange(**changes)], request())
    assert error.exit_code == 1
    assert error.nearest == 0
    assert {difference.path[0] for difference in error.differences} == changes.keys()


class TestMessage:
    def test_it_says_what_was_asked_and_shows_the_surroundings_of_a_difference(self) -> None:
        other = replace(MESSAGES[1], content=MESSAGES[1].content.replace("5000", "4000"))
        error = unrecorded([exchange()], request(messages=(MESSAGES[0], other)))
        assert str(error).splitlines() == [
            "this request was not recorded: iteration 1, A, attempt 1",
            "the nearest recorded one is exchange 0; it differs in:",
            "  messages[1].content, line 2: recorded 'your cost is 5000 cents, and more', "
            "now 'your cost is 4000 cents, and more'",
        ]

    def test_a_difference_within_a_long_line(self) -> None:
        recorded, now = f"{'a' * 500}1{'b' * 500}", f"{'a' * 500}2{'b' * 500}"
        error = unrecorded(
            [exchange(messages=[Message("user", recorded).as_dict()])], request(messages=(Message("user", now),))
        )
        shown = str(error).splitlines()[-1]
        assert f"recorded '…{'a' * 16}1{'b' * 43}…', now '…{'a' * 16}2{'b' * 43}…'" in shown

    def test_a_text_that_goes_on(self) -> None:
        error = unrecorded(
            [exchange(messages=[Message("user", "same").as_dict()])],
            request(messages=(Message("user", "same and more"),)),
        )
        assert "messages[0].content: recorded 'same', now 'same and more'" in str(error)

    def test_what_only_one_side_has(self) -> None:
        error = unrecorded([exchange(settings={"max_tokens": 5})], request())
        assert str(error).splitlines()[2:] == [
            "  settings.max_tokens: recorded 5, now missing",
            "  settings.temperature: not recorded, now 0.5",
        ]

    def test_no_more_differences_than_can_be_read(self) -> None:
        settings = {f"setting_{number}": 1 for number in range(11)}
        error = unrecorded([exchange(settings={"temperature": 0.5, **settings})], request())
        assert len(str(error).splitlines()) == 11
        assert str(error).endswith("  and 3 more differences")

    def test_the_nearest_is_one_of_the_same_agent_and_time(self) -> None:
        exchanges = [
            exchange(0, agent_id="B", iteration=3, attempt=2),
            exchange(1, iteration=2, messages=[{"role": "user", "content": "something else"}]),
            exchange(2, iteration=1),
        ]
        assert unrecorded(exchanges, request(iteration=3, attempt=2)).nearest == 1


class TestRun:
    ANSWERS = (
        answer("A", 0.25, latency_seconds=0.5, prompt_tokens=3),
        {"agent": "B", "answer": "no"},
        answer("B", 0.125),
        {"agent": "A", "error": "out of time", "latency_seconds": 12.5},
        answer("B", 0.75),
    )

    def recorded(self, folder: Path) -> tuple[RunDirectory, GenericExperimentRunner, RecordedProposer]:
        """A run in a store, and a runner that repeats it in another."""
        first = runner(folder, answers=self.ANSWERS, store=Store.open_or_create(folder / "runs"), **self.CHANGES)
        asyncio.run(first.run())
        assert first.sealed is not None
        run = RunDirectory(first.sealed.path)
        again = runner(folder, answers=self.ANSWERS, store=Store.open_or_create(folder / "again"), **self.CHANGES)
        proposer = RecordedProposer(run.exchanges(), again._config.llm)
        again._proposer = proposer
        return run, again, proposer

    CHANGES: Mapping[str, Any] = {"convergence__max_iterations": 2}

    def test_the_same_address(self, tmp_path: Path) -> None:
        run, again, proposer = self.recorded(tmp_path)
        asyncio.run(again.run())
        assert again.sealed is not None
        assert again.sealed.run_id == run.run_id
        assert proposer.unused == 0

    def test_another_course_leaves_nothing(self, tmp_path: Path) -> None:
        run, again, proposer = self.recorded(tmp_path)
        assert proposer._exchanges.take(request_fields(run.exchanges()[4])) is not None
        with pytest.raises(UnrecordedRequest):
            asyncio.run(again.run())
        assert again.sealed is None
        left = {path.name for path in (tmp_path / "again").rglob("*")}
        assert left == {"store.json", ".gitattributes", ".gitignore", ".work"}

    def test_exchanges_are_read_strictly(self, tmp_path: Path) -> None:
        run, _, _ = self.recorded(tmp_path)
        assert [exchange["index"] for exchange in run.exchanges()] == [0, 1, 2, 3, 4]
        path = run.path / "exchanges.jsonl"
        data = path.read_bytes()
        for broken, line in (
            (data.replace(b'"index":2', b'"index":3'), 3),
            (data.replace(b'"iteration":2', b'"iteration":0', 1), 4),
            (b"]" + data[1:], 1),
        ):
            path.write_bytes(broken)
            with pytest.raises(Damaged) as caught:
                run.exchanges()
            assert (caught.value.path, caught.value.line) == (path, line)
        for broken in (data[:-1], data[:-1] + b" ", data + data):
            path.write_bytes(broken)
            with pytest.raises(Damaged):
                run.exchanges()
        path.unlink()
        with pytest.raises(Damaged):
            run.exchanges()

    def test_of_an_interrupted_run_the_torn_line_is_left_out(self, tmp_path: Path) -> None:
        run, _, _ = self.recorded(tmp_path)
        copy = tmp_path / "unsealed"
        copy.mkdir()
        assert RunDirectory(copy).exchanges() == []
        (copy / "exchanges.jsonl").write_bytes((run.path / "exchanges.jsonl").read_bytes()[:-9])
        assert RunDirectory(copy).exchanges() == run.exchanges()[:-1]

    def test_a_run_in_which_no_model_was_asked_has_none(self, tmp_path: Path) -> None:
        searched = runner(tmp_path, store=Store.open_or_create(tmp_path / "runs"))
        asyncio.run(searched.run())
        assert searched.sealed is not None
        assert RunDirectory(searched.sealed.path).exchanges() == []
