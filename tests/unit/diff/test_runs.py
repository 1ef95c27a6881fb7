"""The comparison of two runs: each difference is reported as what it is, and as nothing else."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.diff.json_values import ABSENT, Difference
from exprec.recorder.diff.result import EventPosition
from exprec.recorder.diff.runs import diff
from exprec.recorder.errors import Damaged
from exprec.recorder.store.run_directory import RunDirectory
from tests.fixtures.diffs import (
    END,
    FAILURE,
    Recorded,
    compared,
    event,
    iteration,
    kinds,
    leaf,
    mirrored,
    policy,
    tree,
)


@pytest.fixture
def old() -> Recorded:
    return Recorded()


@pytest.fixture
def new() -> Recorded:
    return Recorded()


def test_equal_content_is_equal(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    comparison = compared(tmp_path, old, new)
    assert comparison.is_equal
    assert kinds(comparison) == {}
    assert comparison.log.divergence is None


def test_one_cost(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    for kind in ("iteration_start", "iteration_end"):
        new.find(kind, 2)["costs_per_agent"]["A"] = 4000
    new.find("iteration_start", 2)["total_cost"] = 6000
    comparison = compared(tmp_path, old, new)
    assert kinds(comparison) == {"costs": 2}
    total, agent = comparison.log.costs.items
    assert (total.agent, [tuple(point) for point in total.points.items]) == (None, [(2, 0, 6998, 6000)])
    assert (agent.agent, [tuple(point) for point in agent.points.items]) == ("A", [(2, 0, 4998, 4000)])
    divergence = comparison.log.divergence
    assert divergence is not None
    assert divergence.old == divergence.new == EventPosition(7, 2, "iteration_start", None)
    assert divergence.difference == Difference(("total_cost",), 6998, 6000)


def test_a_cost_that_only_the_end_of_an_iteration_has_is_no_repetition(
    tmp_path: Path, old: Recorded, new: Recorded
) -> None:
    new.find("iteration_end", 2)["costs_per_agent"]["A"] = 4000
    comparison = compared(tmp_path, old, new)
    assert kinds(comparison) == {"events": 1}
    (change,) = comparison.events.items
    assert (change.event_type, change.iteration) == ("iteration_end", 2)
    assert change.fields.items == (Difference(("costs_per_agent", "A"), 4998, 4000),)


def test_one_parameter_of_a_policy_that_came_into_force(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    new.find("policy_change", 1, "A")["new_policy"] = policy(0.3)
    for number in (1, 2):
        new.find("iteration_end", number)["policies"]["A"] = policy(0.3)
    new.find("policy_change", 2, "A")["old_policy"] = policy(0.3)
    new.find("policy_change", 2, "A")["new_policy"] = policy(0.3)
    new.find("policy_change", 3, "A")["old_policy"] = policy(0.3)
    comparison = compared(tmp_path, old, new)
    assert kinds(comparison) == {"parameters": 1}
    (series,) = comparison.log.parameters.items
    assert (series.agent, series.path) == ("A", ("fraction",))
    assert [tuple(point) for point in series.points.items] == [(1, 0, 0.25, 0.3), (2, 0, 0.25, 0.3)]


def test_policies_that_differ_from_the_start(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    new.find("policy_change", 1, "A")["old_policy"] = policy(0.4)
    comparison = compared(tmp_path, old, new)
    assert kinds(comparison) == {"parameters": 1}
    assert tuple(comparison.log.parameters.items[0].points.items[0]) == (0, 0, 0.5, 0.4)


def test_a_policy_before_that_was_not_in_force(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    new.find("policy_change", 2, "A")["old_policy"] = policy(0.4)
    comparison = compared(tmp_path, old, new)
    assert kinds(comparison) == {"events": 1}
    (found,) = comparison.events.items[0].fields.items
    assert found == Difference(("old_policy", "parameters", "fraction"), 0.25, 0.4)


def test_a_proposal_that_was_not_accepted(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    new.find("policy_change", 2, "A")["new_policy"] = policy(0.75)
    comparison = compared(tmp_path, old, new)
    assert kinds(comparison) == {"events": 1}
    (change,) = comparison.events.items
    assert (change.iteration, change.event_type, change.agent) == (2, "policy_change", "A")
    assert change.fields.items == (Difference(("new_policy", "parameters", "fraction"), 0.25, 0.75),)


def test_one_node_of_a_tree_is_named_by_its_path_for_as_long_as_it_differs(
    tmp_path: Path, old: Recorded, new: Recorded
) -> None:
    for side, node in ((old, leaf("Release")), (new, leaf("Hold"))):
        for number in (2, 3):
            side.find("iteration_end", number)["policies"]["B"] = policy(0.25, tree(node))
            side.find("policy_change", number, "B")["new_policy"] = policy(0.25, tree(node))
        side.find("policy_change", 3, "B")["old_policy"] = policy(0.25, tree(node))
    comparison = compared(tmp_path, old, new)
    assert kinds(comparison) == {"policies": 1}
    (change,) = comparison.log.policies.items
    assert (change.agent, change.first, change.last) == ("B", 2, 3)
    assert change.difference == Difference(("payment_tree", "on_true", "action"), "Release", "Hold")


def test_a_node_of_another_kind_differs_as_a_whole(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    new.find("iteration_end", 3)["policies"]["B"] = policy(0.25, tree(leaf()))
    new.find("policy_change", 3, "B")["new_policy"] = policy(0.25, tree(leaf()))
    (change,) = compared(tmp_path, old, new).log.policies.items
    assert change.difference == Difference(("payment_tree",), leaf(), tree(leaf()))


def test_one_more_iteration(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    new.insert(new.find("iteration_end", 3), *iteration(4), *iteration(5))
    new.exchanges += [{**new.exchanges[0], "iteration": 4}]
    new.events[-1] = {**END, "num_iterations": 5}
    comparison = compared(tmp_path, old, new)
    assert kinds(comparison) == {"iterations": 1, "exchanges": 1, "result": 1}
    assert comparison.log.new_iterations.items == ((4, 5),)
    assert comparison.log.divergence is not None
    assert comparison.log.divergence.old == EventPosition(19, 0, "experiment_end", None)
    assert comparison.log.divergence.new == EventPosition(19, 4, "iteration_start", None)
    assert comparison.result.items == (Difference(("result", "num_iterations"), 3, 5),)


def test_an_iteration_that_is_missing_in_the_middle(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    new.events = [each for each in new.events if each["iteration"] != 2]
    comparison = compared(tmp_path, old, new)
    assert kinds(comparison) == {"iterations": 1}
    assert comparison.log.old_iterations.items == ((2, 2),)


def test_one_config_key_is_not_reported_again_where_the_log_repeats_it(
    tmp_path: Path, old: Recorded, new: Recorded
) -> None:
    new.config["convergence"] = {"max_iterations": 4}
    new.find("experiment_start")["max_iterations"] = 4
    comparison = compared(tmp_path, old, new)
    assert kinds(comparison) == {"config": 1}
    assert comparison.config.items == (Difference(("convergence",), ABSENT, {"max_iterations": 4}),)
    assert comparison.log.divergence is None


def test_another_start_of_the_same_config_is_reported(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    new.find("experiment_start")["max_iterations"] = 4
    comparison = compared(tmp_path, old, new)
    assert kinds(comparison) == {"events": 1}
    assert comparison.log.divergence is not None


def test_one_word_of_a_prompt_is_reported_once(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    for exchange in new.exchanges:
        exchange["messages"] = copy.deepcopy(exchange["messages"])
        exchange["messages"][0]["content"] = "You run a bank.\nPay on time."
    comparison = compared(tmp_path, old, new)
    assert kinds(comparison) == {"texts": 6}
    (text,) = comparison.exchanges.texts.items
    assert (text.iteration, text.agent, text.attempt, text.field, text.role) == (1, "A", 1, "messages[0]", "system")
    assert text.repeated == 5
    (hunk,) = text.hunks
    assert (hunk.old, hunk.new) == (("Pay in time.",), ("Pay on time.",))
    assert (hunk.before, hunk.after, hunk.old_line) == (("You run a bank.",), (), 2)


def test_an_answer_and_an_error_in_the_place_of_one(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    new.exchanges[1]["answer"] = "use 0.5"
    new.exchanges[2] |= {"answer": None, "error": "too many requests"}
    comparison = compared(tmp_path, old, new)
    assert kinds(comparison) == {"texts": 3}
    assert [(text.field, text.hunks[0].old, text.hunks[0].new) for text in comparison.exchanges.texts.items] == [
        ("answer", ("use 0.25",), ("use 0.5",)),
        ("answer", ("use 0.25",), ()),
        ("error", (), ("too many requests",)),
    ]


def test_settings_and_roles_are_no_texts(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    new.exchanges[0]["settings"] = {"temperature": 0}
    new.exchanges[0]["messages"][1]["role"] = "assistant"
    comparison = compared(tmp_path, old, new)
    assert kinds(comparison) == {"events": 1}
    (change,) = comparison.events.items
    assert (change.event_type, change.agent) == ("exchange", "A")
    assert change.fields.items == (
        Difference(("messages", 1, "role"), "user", "assistant"),
        Difference(("settings", "temperature"), 0.0, 0),
    )


def test_latency_is_a_sum_and_no_divergence(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    for number, exchange in ((1, 0), (2, 2)):
        new.find("llm_call", number, "A")["latency_seconds"] = 0.75
        new.exchanges[exchange]["latency_seconds"] = 0.75
    comparison = compared(tmp_path, old, new)
    assert kinds(comparison) == {"latency": 2}
    assert (comparison.log.latency.old_seconds, comparison.log.latency.new_seconds) == (1.0, 1.5)
    assert comparison.log.divergence is None
    assert not comparison.is_equal


def test_failed_and_completed(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    new.events[-1] = dict(FAILURE)
    comparison = compared(tmp_path, old, new)
    assert kinds(comparison) == {"result": 2}
    assert {difference.path for difference in comparison.result.items} == {("result",), ("failure",)}
    assert comparison.new.failure == {"error_type": "SimulationError", "message": "division by zero"}


def test_an_event_more_shifts_nothing(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    call = new.find("llm_call", 1, "A")
    new.insert(call, {**call, "attempt": 2, "outcome": "invalid_json"})
    comparison = compared(tmp_path, old, new)
    assert kinds(comparison) == {"events": 1}
    (change,) = comparison.events.items
    assert (change.event_type, change.ordinal, change.old_seq, change.new_seq) == ("llm_call", 1, None, 3)
    assert comparison.log.divergence is not None
    assert comparison.log.divergence.old == EventPosition(3, 1, "policy_change", "A")
    assert comparison.log.divergence.new == EventPosition(3, 1, "llm_call", "A")


def test_numbers_of_unknown_events_are_series(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    for side, loss in ((old, 0.5), (new, 0.25)):
        for number in (1, 2, 3):
            end = side.find("iteration_end", number)
            fields = {"step": number, "note": "x" if side is old or number < 3 else "y", "done": number == 3}
            side.insert(end, event("epoch", number, loss=loss / number, **fields))
    comparison = compared(tmp_path, old, new)
    assert kinds(comparison) == {"numbers": 1, "events": 1}
    (series,) = comparison.log.metrics.items
    assert (series.event_type, series.agent, series.path) == ("epoch", None, ("loss",))
    assert [(point.iteration, point.old, point.new) for point in series.points.items] == [
        (1, 0.5, 0.25),
        (2, 0.25, 0.125),
        (3, 0.5 / 3, 0.25 / 3),
    ]
    assert comparison.events.items[0].fields.items == (Difference(("note",), "x", "y"),)


def test_a_number_of_another_type_differs(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    for side, value in ((old, 1), (new, 1.0)):
        side.insert(side.find("iteration_end", 1), event("epoch", 1, loss=value, flag=value))
    (flag, loss) = compared(tmp_path, old, new).log.metrics.items
    assert [repr(point.new) for point in (*flag.points.items, *loss.points.items)] == ["1.0", "1.0"]
    comparison = compared(tmp_path / "bool", _with_flag(1), _with_flag(True))
    assert kinds(comparison) == {"events": 1}


def _with_flag(flag: Any) -> Recorded:
    recorded = Recorded()
    recorded.insert(recorded.find("iteration_end", 1), event("epoch", 1, flag=flag))
    return recorded


def test_what_is_listed_has_a_limit_and_the_rest_is_counted(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    for number in (1, 2, 3):
        for agent in ("A", "B"):
            new.find("policy_change", number, agent)["accepted"] = False
    comparison = compared(tmp_path, old, new, limit=2)
    assert (len(comparison.events.items), comparison.events.count, comparison.events.more) == (2, 6, 4)


def test_a_run_that_was_cut_off(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    cut = new.events.index(new.find("llm_call", 2, "B"))
    new.events, new.exchanges = new.events[:cut], new.exchanges[:3]
    comparison = compared(tmp_path, old, new)
    assert kinds(comparison) == {"events": 3, "iterations": 1, "exchanges": 3, "result": 1}
    assert comparison.log.old_iterations.items == ((3, 3),)
    assert [(change.event_type, change.new_seq) for change in comparison.events.items] == [
        ("llm_call", None),
        ("policy_change", None),
        ("iteration_end", None),
    ]
    assert comparison.log.divergence is not None
    assert comparison.log.divergence.new is None


def test_a_torn_last_line_is_no_difference(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    directories = [side.written(tmp_path / name) for name, side in (("old", old), ("new", new))]
    with (directories[1].path / "events.jsonl").open("ab") as log:
        log.write(b'{"seq"')
    assert diff(*directories).is_equal


@pytest.mark.parametrize(("file", "line"), [("events.jsonl", 5), ("exchanges.jsonl", 2)])
def test_damage_is_named_with_its_line(tmp_path: Path, old: Recorded, new: Recorded, file: str, line: int) -> None:
    directories = [side.written(tmp_path / name) for name, side in (("old", old), ("new", new))]
    path = directories[1].path / file
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[: line - 1], b"{]\n", *lines[line:]]))
    with pytest.raises(Damaged) as caught:
        diff(*directories)
    assert (caught.value.path, caught.value.line) == (path, line)


def test_the_same_folder_is_equal_without_being_read(tmp_path: Path) -> None:
    run = Recorded().written(tmp_path / "run")
    (run.path / "events.jsonl").write_bytes(b"damaged")
    assert diff(run, RunDirectory(tmp_path / "run" / ".." / "run")).is_equal


def test_exchanging_the_runs_exchanges_old_and_new(tmp_path: Path, old: Recorded, new: Recorded) -> None:
    new.insert(new.find("iteration_end", 3), *iteration(4))
    new.exchanges[1]["answer"] = "a\nb\nc\na"
    old.exchanges[1]["answer"] = "c\na\nb"
    new.config["name"] = "other"
    new.find("iteration_end", 2)["policies"]["C"] = policy()
    old.insert(old.find("llm_call", 2, "A"), event("epoch", 2, loss=1))
    forth, back = compared(tmp_path / "forth", old, new), compared(tmp_path / "back", new, old)
    assert mirrored(forth.as_dict() | {"old": {}, "new": {}}) == back.as_dict() | {"old": {}, "new": {}}


def _loop(rate: float, epochs: int = 4, **result: Any) -> Recorded:
    """A training loop with events of its own types."""
    logged = [
        event("epoch", number, loss=rate / number, metrics={"f1": 1 - rate / number, "n": 7}, values=[rate, 1])
        for number in range(1, epochs + 1)
    ]
    return Recorded({"rate": rate}, [*logged, event("run_end", 0, **result)], [])


def test_numbers_of_a_training_loop_are_series_and_its_end_a_result(tmp_path: Path) -> None:
    comparison = compared(tmp_path, _loop(0.5, accuracy=0.75, name="a"), _loop(0.25, accuracy=0.875, name="b"))
    assert kinds(comparison) == {"config": 1, "numbers": 2, "events": 4, "result": 2}
    loss, nested = comparison.log.metrics.items
    assert (loss.path, nested.path) == (("loss",), ("metrics", "f1"))
    assert [tuple(point) for point in loss.points.items][:2] == [(1, 0, 0.5, 0.25), (2, 0, 0.25, 0.125)]
    # The items of a list are no curve.
    assert comparison.events.items[0].fields.items == (Difference(("values", 0), 0.5, 0.25),)
    assert [each.path for each in comparison.result.items] == [("result", "accuracy"), ("result", "name")]


def test_how_a_command_ended_is_no_curve(tmp_path: Path) -> None:
    ends = [event("command_end", 0, exit_status=status, signal=None) for status in (0, 3)]
    failure = event("experiment_failed", 0, error_type="ExitStatus", message="exit status 3")
    old, new = Recorded({}, [ends[0], event("run_end", 0)], []), Recorded({}, [ends[1], failure], [])
    comparison = compared(tmp_path, old, new)
    assert kinds(comparison) == {"events": 1, "result": 2}
    assert comparison.events.items[0].fields.items == (Difference(("exit_status",), 0, 3),)
