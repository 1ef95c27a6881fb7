"""The rows of a list of runs: what is read, in which order they stand, and how little it takes."""

from __future__ import annotations

import os
from typing import Any

import pytest

from exprec.cli.output.listing import listing_lines
from exprec.recorder.errors import Damaged, InvalidInput, RunNotFound
from exprec.recorder.events import EventTypes, common, optimization
from exprec.recorder.query import RunRow, abbreviate_ids, list_runs, select_rows, sort_rows
from exprec.recorder.state.provider import LiveStateProvider
from exprec.recorder.store.log import LogReader
from exprec.recorder.store.store import Store
from tests.fixtures.events import EXAMPLES, OBSERVATION
from tests.fixtures.runs import seal


def begin(store: Store, name: str, first_cost: int, **start: Any) -> LiveStateProvider:
    provider = LiveStateProvider(name, recording=store.begin(name, "generic", {"name": name}))
    provider.record_event(
        0, optimization.EXPERIMENT_START.event_type, {**EXAMPLES[optimization.EXPERIMENT_START.event_type][1], **start}
    )
    costs = {"total_cost": first_cost, "costs_per_agent": {"A": first_cost}}
    provider.record_event(
        1, optimization.ITERATION_START.event_type, {**EXAMPLES[optimization.ITERATION_START.event_type][1], **costs}
    )
    return provider


def record(store: Store, name: str = "a", first_cost: int = 900, final_cost: int = 500, **start: Any) -> str:
    provider = begin(store, name, first_cost, **start)
    provider.set_final_result(final_cost, final_cost - 1, True, "stable")
    sealed = seal(provider)
    return sealed.run_id


def row(run_id: str, **more: Any) -> RunRow:
    return RunRow(run_id, **{"is_sealed": True, "status": "completed", **more})


def cut_digits(store: Store, run_id: str, digits: int) -> None:
    """Remove so many bytes from the end of a log."""
    log = store.path / run_id / "events.jsonl"
    log.write_bytes(log.read_bytes()[:-digits])


def test_a_row_has_what_the_run_came_to(store: Store) -> None:
    run_id = record(store, "two banks", 900, 500, evaluation_mode="deterministic-pairwise")
    store.attest(run_id, {**OBSERVATION, "started_at": "2026-01-02T00:00:00+00:00"})
    store.attest(run_id, OBSERVATION)
    store.tag("b", run_id)
    store.tag("a", run_id)
    (found,) = list_runs(store)
    assert found.as_dict() == {
        "run_id": run_id,
        "sealed": True,
        "short_id": run_id[:8],
        "name": "two banks",
        "type": "generic",
        "status": "completed",
        "mode": "deterministic-pairwise",
        "iterations": 1,
        "first_cost": 900,
        "best_cost": 499,
        "final_cost": 500,
        "cost_unit": "cents",
        "converged": True,
        "proposals": None,
        "exit_status": None,
        "signal": None,
        "tags": ["a", "b"],
        "recorded_at": OBSERVATION["started_at"],
        "executions": 2,
        "inputs": found.inputs,
        "shares_inputs": False,
        "problem": None,
    }


def test_equal_inputs_with_unequal_results_are_marked(store: Store) -> None:
    first, second, other = record(store, "a", 900), record(store, "a", 901), record(store, "b")
    marked = {each.run_id: each.shares_inputs for each in list_runs(store)}
    assert marked == {first: True, second: True, other: False}


def test_a_first_event_longer_than_the_head_is_read_whole(store: Store) -> None:
    record(store, description="x" * 100_000, evaluation_mode="bootstrap")
    (found,) = list_runs(store)
    assert (found.mode, found.first_cost) == ("bootstrap", 900)


def test_only_the_head_of_a_log_is_decoded(store: Store) -> None:
    run_id = record(store)
    log = store.path / run_id / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    lines[-1] = b"#" * (len(lines[-1]) - 1) + b"\n"
    log.write_bytes(b"".join(lines))
    (found,) = list_runs(store)
    assert (found.status, found.final_cost, found.problem) == ("completed", 500, None)


def test_runs_in_progress_and_interrupted_runs_are_listed(store: Store) -> None:
    running, interrupted = begin(store, "r", 700), begin(store, "i", 800)
    interrupted.close()
    found = {each.name: each for each in list_runs(store)}
    assert {name: each.status for name, each in found.items()} == {"r": "running", "i": "interrupted"}
    assert found["r"].run_id == running.run_id
    assert (found["i"].first_cost, found["i"].iterations, found["i"].final_cost) == (800, 1, None)
    running.close()


@pytest.mark.parametrize("damage", ["no head", "head", "newer", "log", "attestation", "work head"])
def test_a_damaged_run_is_a_row_among_others(store: Store, damage: str) -> None:
    good, bad = record(store, "good"), record(store, "bad")
    path = store.attest(bad, OBSERVATION)
    if damage == "no head":
        # Without run.json in it, a folder is not sealed, but it stands where sealed runs do.
        (store.path / bad / "run.json").unlink()
    elif damage == "head":
        (store.path / bad / "run.json").write_bytes(b"{")
    elif damage == "newer":
        (store.path / bad / "run.json").write_bytes(b'{"format":2}')
    elif damage == "log":
        cut_digits(store, bad, 5)
    elif damage == "attestation":
        path.write_bytes(b"<<<<<<< ours\n")
    else:
        begun = begin(store, "x", 1)
        begun.close()
        bad = str(begun.run_id)
        (store.path / ".work" / f"{bad}.json").write_bytes(b"{")
    found = {each.run_id: each for each in list_runs(store)}
    assert found[good].problem is None
    assert isinstance(found[bad].problem, Damaged)
    assert found[bad].status == ("completed" if damage == "attestation" else "damaged")
    assert found[good].status == "completed"


def test_a_run_that_cannot_be_read_is_a_row_too(store: Store) -> None:
    run_id = record(store)
    head = store.path / run_id / "run.json"
    head.unlink()
    head.mkdir()
    (head / "x").touch()
    (found,) = list_runs(store)
    assert isinstance(found.problem, Damaged)
    assert "must be a file, and is a folder" in str(found.problem)


def test_an_empty_store_has_no_rows(store: Store) -> None:
    assert list_runs(store) == []


def test_short_ids_are_unique_and_no_shorter_than_eight_digits() -> None:
    assert abbreviate_ids(["a" * 64]) == {"a" * 64: "a" * 8}
    near = ["ab" * 32, "ab" * 10 + "c" * 44, "0" * 64]
    shorts = abbreviate_ids(near)
    assert shorts == {near[0]: "ab" * 10 + "a", near[1]: "ab" * 10 + "c", near[2]: "0" * 8}
    assert abbreviate_ids([]) == {}


def ids(rows: list[RunRow]) -> str:
    return "".join(each.run_id for each in rows)


def test_the_order_is_the_same_whatever_the_input_was() -> None:
    rows = [
        row("a", recorded_at="2026-01-01", name="x", final_cost=5, iterations=2),
        row("b", recorded_at="2026-01-03", name="X", final_cost=5, iterations=1),
        row("c", recorded_at="2026-01-01", name="b", final_cost=-1, iterations=2),
        row("d", name="", final_cost=None),
        row("w", is_sealed=False, name="x", iterations=9),
    ]
    for given in (rows, rows[::-1]):
        assert ids(sort_rows(given)) == "wbacd"
        assert ids(sort_rows(given, "name")) == "cbwad"
        assert ids(sort_rows(given, "cost")) == "cbawd"
        assert ids(sort_rows(given, "iterations")) == "bacwd"


def test_what_is_selected() -> None:
    rows = [row("a", name="Castro two", tags=("fig-1", "old")), row("b", name="other", status="failed")]
    assert ids(select_rows(rows)) == "ab"
    assert ids(select_rows(rows, name="CASTRO")) == "a"
    assert ids(select_rows(rows, tag="fig-*")) == "a"
    assert ids(select_rows(rows, tag="fig")) == ""
    assert ids(select_rows(rows, status="failed")) == "b"
    assert ids(select_rows(rows, name="castro", status="failed")) == ""


def test_lines_of_the_table_are_aligned_cut_and_harmless() -> None:
    from rich.cells import cell_len

    rows = [
        row("0" * 64, short_id="00000000", name="決済" * 30, recorded_at="2026-01-01T10:20:30", tags=("t",)),
        row("1" * 64, short_id="11111111", name="\x1bred\u202e", first_cost=10**9, mode="deterministic-temporal"),
    ]
    header, *lines = ["".join(text for text, _ in line.spans) for line in listing_lines(rows)]
    assert all(line.whole for line in listing_lines(rows))
    column = cell_len(header[: header.index("status")])
    for line in lines:
        assert cell_len(line[: line.index("completed")]) == column
        assert cell_len(line.rstrip()) <= 110
    assert "決…  " in lines[0] or "済…  " in lines[0]
    assert "2026-01-01 10:20" in lines[0]
    assert "\\x1bred\\u202e" in lines[1]
    assert " temporal " in lines[1]


NO_TAGS = ["", ".", "..", ".a", "-a", "a b", "a/b", "é", "a\n", "abcd", "2024", "CAFE", "0" * 64, "x" * 101]


@pytest.mark.parametrize("name", NO_TAGS)
def test_names_that_no_tag_can_have(store: Store, name: str) -> None:
    run_id = record(store)
    with pytest.raises(InvalidInput, match="cannot be a tag"):
        store.tag(name, run_id)
    assert not (store.path / "tags").exists()


@pytest.mark.parametrize("name", ["v1", "fig-2.a_b", "_x", "abc", "2024-01", "x" * 100])
def test_a_tag_is_one_line_with_the_full_address(store: Store, name: str) -> None:
    run_id = record(store)
    assert store.tag(name, run_id) is None
    assert (store.path / "tags" / name).read_bytes() == f"{run_id}\n".encode()
    assert os.listdir(store.path / "tags") == [name]
    assert store.resolve(name).run_id == run_id
    assert store.untag(name) == run_id
    assert store.untag(name) is None
    assert store.tags() == {}


def test_a_tag_is_not_moved_by_mistake(store: Store) -> None:
    first, second = record(store, "a"), record(store, "b")
    store.tag("best", first)
    assert store.tag("best", first) == first
    with pytest.raises(InvalidInput, match=f"already refers to '{first}'; use --force"):
        store.tag("best", second)
    assert store.tags() == {"best": first}
    assert store.tag("best", second, force=True) == first
    assert store.tags() == {"best": second}
    for no_run in ("0" * 64, "..", first[:8]):
        with pytest.raises(RunNotFound):
            store.tag("none", no_run)


def test_a_tag_cannot_be_removed_by_a_path(store: Store) -> None:
    (store.path / "tags").mkdir()
    assert store.untag("../store.json") is None
    assert (store.path / "store.json").exists()


@pytest.mark.parametrize(
    ("status", "signal", "shown"), [(0, None, "exit 0"), (3, None, "exit 3"), (None, "SIGKILL", "SIGKILL")]
)
def test_a_command_is_listed_with_how_it_ended(
    store: Store, status: int | None, signal: str | None, shown: str
) -> None:
    provider = LiveStateProvider("train", "command", recording=store.begin("train", "command", {}))
    provider.record_event(0, common.COMMAND_END.event_type, {"exit_status": status, "signal": signal})
    if status == 0:
        provider.record_event(0, common.RUN_END.event_type, {})
    else:
        provider.record_event(0, common.EXPERIMENT_FAILED.event_type, {"error_type": "Signal", "message": "x" * 10_000})
    provider.seal()
    (found,) = list_runs(store)
    assert (found.type, found.exit_status, found.signal, found.mode) == ("command", status, signal, None)
    header, line = ("".join(text for text, _ in line.spans) for line in listing_lines([found]))
    assert line[header.index("mode") :].split("  ")[0] == shown
    assert "→" not in line


def test_of_a_long_log_without_costs_only_the_head_is_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = LiveStateProvider(
        "loop", "python", recording=store.begin("loop", "python", {}, types=EventTypes(strict=False))
    )
    for number in range(1, 100):
        provider.record_event(number, "epoch", {"loss": 1 / number})
    provider.record_event(0, common.RUN_END.event_type, {"loss": 0.01, "converged": True})
    provider.seal()
    monkeypatch.setattr(LogReader, "entries", lambda *_: pytest.fail("the log was read"))
    (found,) = list_runs(store)
    assert (found.iterations, found.first_cost, found.final_cost, found.problem) == (99, None, None, None)


def test_an_interrupted_run_is_a_row_with_what_came_so_far(store: Store) -> None:
    provider = begin(store, "i", 800, evaluation_mode="bootstrap")
    costs = {"total_cost": 700, "costs_per_agent": {"A": 700}}
    provider.record_event(
        5, optimization.ITERATION_START.event_type, {**EXAMPLES[optimization.ITERATION_START.event_type][1], **costs}
    )
    provider.close()
    (found,) = list_runs(store)
    assert (found.run_id, found.is_sealed, found.status) == (provider.run_id, False, "interrupted")
    assert (found.mode, found.iterations, found.first_cost, found.tags) == ("bootstrap", 2, 800, ())


def test_figures_of_another_kind_are_none(store: Store) -> None:
    provider = LiveStateProvider("training", recording=store.begin("training", "python", {}))
    provider.record_end({"best_cost": 1.5, "final_cost": True, "converged": 1})
    provider.seal()
    (found,) = list_runs(store)
    assert (found.status, found.best_cost, found.final_cost, found.converged) == ("completed", None, None, None)


def test_a_problem_is_told_to_programs_in_words(store: Store) -> None:
    (store.path / record(store) / "run.json").write_text("{")
    (found,) = list_runs(store)
    assert found.problem is not None
    assert found.as_dict()["problem"] == str(found.problem)
    assert "run.json: not JSON" in str(found.problem)
