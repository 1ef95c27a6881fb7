"""Verify finds every kind of damage to every file of a sealed run and names the file."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from exprec import schemas
from exprec.cli.main import cli
from exprec.recorder.errors import Problem
from exprec.recorder.format import canonical_json
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from exprec.recorder.verify import verify_run
from exprec.recorder.verify.messages import RESTORE
from exprec.recorder.verify.schemas import is_released
from tests.fault.hostile import readdressed, resealed
from tests.fixtures import runs
from tests.fixtures.cli import exprec, make_runner
from tests.fixtures.experiments import write_script
from tests.fixtures.files import read_json, read_json_lines
from tests.fixtures.paths import CASTRO, ROOT

EVERY = ROOT / "tests" / "data" / "every_event.yaml"
FILES = ("run.json", "config.json", "events.jsonl", "exchanges.jsonl", "schemas.json")
KINDS = ("asked", "searched", "failed", "command")
"""Runs with exchanges, without any, failed after three of them, and of a command with artifacts."""

Damage = Callable[[Path], int | None]
"""Changes one file; returns the line that verify must name, or None if it cannot know one."""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of one run for each kind of run."""
    folder = tmp_path_factory.mktemp("damage")
    script = write_script(folder, runs.ANSWERS[:3])
    runs.run_command(EVERY, folder / "asked", "-q")
    runs.run_command(CASTRO / "two-period.yaml", folder / "searched", "-q")
    runs.run_command(CASTRO / "two-period.yaml", folder / "failed", "-q", "--model", f"scripted:{script}", code=3)
    runs.record_command(Store.open_or_create(folder / "command"))
    return folder


def _files(run: Path) -> list[str]:
    """Return the paths of the files of a run, relative to it."""
    return sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())


def _copied(recorded: Path, kind: str, folder: Path) -> Path:
    """Copy the store of a run; returns the folder of the run in the copy."""
    store = Path(shutil.copytree(recorded / kind, folder))
    (run_id,) = Store(store).run_ids()
    return store / run_id


@pytest.fixture
def run(recorded: Path, tmp_path: Path) -> Path:
    """The folder of the run with exchanges, in a copy of its store."""
    return _copied(recorded, "asked", tmp_path / "runs")


def _verify(*arguments: str | Path) -> Result:
    done = make_runner().invoke(cli, ["verify", *map(str, arguments)])
    # Anything but an exit on purpose is a traceback.
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return done


def _problems(path: Path, *options: str) -> list[dict[str, Any]]:
    """Return the problems of a run that must not verify."""
    done = _verify(path, "--json", *options)
    assert done.exit_code == 1, (done.exit_code, done.output)
    problems: list[dict[str, Any]] = json.loads(done.stdout)["problems"]
    assert problems
    return problems


@dataclass(frozen=True)
class Rewrite:
    """Damage to the bytes of a file."""

    change: Callable[[bytes], bytes]
    line: Callable[[bytes], int] | None = None
    """The damaged line, computed from the damaged bytes."""
    in_log_only: bool = True
    """Whether verify can name the line only where each line is a record."""

    def __call__(self, path: Path) -> int | None:
        before = path.read_bytes()
        after = self.change(before)
        assert after != before, "the damage changes nothing"
        path.write_bytes(after)
        return None if self.line is None or (self.in_log_only and path.suffix != ".jsonl") else self.line(after)


def _flip_bit(position: float, data: bytes) -> bytes:
    at = int(position * (len(data) - 1))
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _edit_lines(edit: Callable[[list[bytes]], list[bytes]]) -> Callable[[bytes], bytes]:
    return lambda data: b"".join(edit(data.splitlines(keepends=True)))


def _first_unequal_pair(lines: list[bytes]) -> int:
    return next(number for number in range(1, len(lines)) if lines[number] != lines[number + 1])


def _swap_lines(lines: list[bytes]) -> list[bytes]:
    at = _first_unequal_pair(lines)
    return [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]


def _swap_in(path: Path) -> int | None:
    at = _first_unequal_pair(path.read_bytes().splitlines(keepends=True))
    return Rewrite(_edit_lines(_swap_lines), lambda _: at + 1)(path)


def _change_number(path: Path) -> int | None:
    """Add 1 to the last integer and write the file as exprec does: only digests can tell."""
    indented = path.suffix == ".json"
    values = [read_json(path)] if indented else read_json_lines(path)
    if not any(_add_to_last_integer(value) for value in reversed(values)):
        pytest.fail(f"{path.name} has no integer")
    return Rewrite(lambda _: b"".join(canonical_json.encode(value, indent=indented) for value in values))(path)


def _add_to_last_integer(value: Any) -> bool:
    items = list(value.items() if isinstance(value, dict) else enumerate(value))
    for key, part in reversed(items):
        if type(part) is int:
            value[key] += 1
            return True
        if isinstance(part, dict | list) and _add_to_last_integer(part):
            return True
    return False


def _make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _make_link(path: Path) -> None:
    run = next((folder for folder in path.parents if (folder / "run.json").exists()), path.parent)
    path.rename(run.parent / "elsewhere")
    path.symlink_to(run.parent / "elsewhere")


DEEP = b"[" * 100_000 + b"]" * 100_000 + b"\n"
LESS_DEEP = b'{"a":' * 900 + b"1" + b"}" * 900 + b"\n"
"""Deeper than exprec writes, not too deep for the parser."""
HUGE = b'{"seq":' + b"9" * 5000 + b',"index":' + b"9" * 30 + b"}\n"

DAMAGES: dict[str, Damage] = {
    **{
        f"flip a bit at {position}": Rewrite(partial(_flip_bit, position))
        for position in (0.0, 0.1, 0.33, 0.5, 0.77, 0.9, 1.0)
    },
    "truncate": Rewrite(lambda data: data[:-10], lambda after: after.count(b"\n") + 1),
    "empty": Rewrite(lambda _: b""),
    "append a byte": Rewrite(lambda data: data + b" ", lambda after: after.count(b"\n") + 1, in_log_only=False),
    "append a line": Rewrite(lambda data: data + b"\n", lambda after: after.count(b"\n"), in_log_only=False),
    "delete": Path.unlink,
    "convert line ends": Rewrite(lambda data: data.replace(b"\n", b"\r\n"), lambda _: 1, in_log_only=False),
    "swap lines": _swap_in,
    "repeat a line": Rewrite(_edit_lines(lambda lines: [*lines[:2], lines[1], *lines[2:]]), lambda _: 3),
    "lose a line": Rewrite(_edit_lines(lambda lines: [*lines[:1], *lines[2:]]), lambda _: 2),
    "change a number": _change_number,
    "folder in its place": _make_folder,
    "link in its place": _make_link,
    "nest too deeply": Rewrite(lambda data: DEEP + data, lambda _: 1),
    "nest deeply": Rewrite(lambda _: LESS_DEEP, lambda _: 1),
    "huge integer": Rewrite(lambda data: HUGE + data, lambda _: 1),
    "not UTF-8": Rewrite(lambda data: data.replace(b'"', b'"\xff\xfe', 1), lambda _: 1),
    "another type": Rewrite(lambda _: b'["not", 1, {}]\n', lambda _: 1),
    "key twice": Rewrite(lambda data: data.replace(b"{", b'{"zz":1,"zz":1,', 1), lambda _: 1, in_log_only=False),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_found_and_the_file_named(recorded: Path, tmp_path: Path, kind: str, damage: Damage) -> None:
    run = _copied(recorded, kind, tmp_path / "runs")
    for name in _files(run):
        path, file = run / name, f"{run.name}/{name}"
        before = path.read_bytes()
        line = damage(path)
        for options in ([], ["--quick"]):
            found = [problem for problem in _problems(run, *options) if problem["file"] == file]
            assert found, f"{file} is not named"
            assert all(problem["message"] for problem in found)
            # Of the bytes of others, only the digest can tell.
            if line is not None and name in FILES and not options:
                assert line in [problem["line"] for problem in found]
        _undo(path, before)
    assert _verify(run).exit_code == 0


def _undo(path: Path, data: bytes) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.write_bytes(data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["notes.txt", "Run.json", "events.jsonl~", "stdin"])
def test_extra_file_is_found_in_any_run(recorded: Path, tmp_path: Path, kind: str, name: str) -> None:
    run = _copied(recorded, kind, tmp_path / "runs")
    (run / name).write_bytes(b"")
    assert [problem["file"] for problem in _problems(run)] == [f"{run.name}/{name}"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["0" * 64, "copy"])
def test_renamed_run_is_found_in_any_run(recorded: Path, tmp_path: Path, kind: str, name: str) -> None:
    run = _copied(recorded, kind, tmp_path / "runs")
    renamed = run.rename(run.with_name(name))
    assert {problem["file"].split("/")[0] for problem in _problems(renamed)} == {name}


@pytest.fixture
def command(recorded: Path, tmp_path: Path) -> Path:
    """The folder of the run of a command, in a copy of its store."""
    return _copied(recorded, "command", tmp_path / "command")


@pytest.mark.parametrize("name", ["more.txt", "deep/more.txt", "new/folder/more.txt"])
def test_extra_artifact_is_found(command: Path, name: str) -> None:
    path = command / "artifacts" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"more")
    files = [problem["file"] for problem in _problems(command)]
    # The address is another one too.
    assert files == [f"{command.name}/artifacts/{name}", f"{command.name}/run.json"]


@pytest.mark.parametrize("name", [".gitignore", "deep/.gitattributes", "a\\b", "a\nb", os.fsdecode(b"\xff"), ".Git/x"])
def test_invalid_artifact_name_is_found(command: Path, name: str) -> None:
    path = command / "artifacts" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    (problem,) = _problems(command)
    assert problem["message"].endswith("move it elsewhere")


def test_nesting_of_folders_is_limited(command: Path) -> None:
    here = os.getcwd()
    try:
        os.chdir(command / "artifacts")
        for _ in range(600):
            os.mkdir("f" * 9)
            os.chdir("f" * 9)
    finally:
        os.chdir(here)
    (problem,) = _problems(command)
    assert "more than 1000 bytes" in problem["message"]


@pytest.mark.parametrize("name", ["artifacts/empty", "artifacts/deep/empty"])
def test_an_empty_folder_of_artifacts_is_found(command: Path, name: str) -> None:
    (command / name).mkdir()
    (problem,) = _problems(command)
    assert problem["file"] == f"{command.name}/{name}"
    assert "is an empty folder" in problem["message"]


@pytest.mark.parametrize("name", ["artifacts", "artifacts/deep"])
def test_link_instead_of_an_artifact_folder_is_found(command: Path, name: str) -> None:
    (command / name).rename(command.parent / "elsewhere")
    (command / name).symlink_to(command.parent / "elsewhere")
    assert any(
        problem["file"] == f"{command.name}/{name}" and "a symbolic link" in problem["message"]
        for problem in _problems(command)
    )


def test_file_instead_of_the_artifact_folder_is_found(run: Path) -> None:
    (run / "artifacts").write_bytes(b"")
    (problem,) = _problems(run)
    assert problem["message"].startswith("is a file, not a folder")


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_output_file_in_an_experiment_is_found(run: Path, command: Path, name: str) -> None:
    (run / name).write_bytes(b"")
    (problem,) = _problems(run)
    assert problem["file"] == f"{run.name}/{name}"
    assert "unexpected in a run of type 'generic'" in problem["message"]


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_missing_output_file_of_a_command_is_found(command: Path, name: str) -> None:
    (command / name).unlink()
    head = read_json(command / "run.json")
    del head["files"][name]
    (command / "run.json").write_bytes(canonical_json.encode(head, indent=True))
    (problem,) = _problems(resealed(command))
    assert problem["file"].endswith(f"/{name}")
    assert "every run of a command has it" in problem["message"]


def test_invalid_artifact_path_in_the_head_is_found(command: Path) -> None:
    head = read_json(command / "run.json")
    head["files"]["artifacts/../stdout"] = head["files"]["stdout"]
    (command / "run.json").write_bytes(canonical_json.encode(head, indent=True))
    command = resealed(command)
    (problem,) = _problems(command)
    assert "is not a file that a run can have" in problem["message"]
    line = (command / "run.json").read_text("utf-8").splitlines()[problem["line"] - 1]
    assert line.strip().startswith('"artifacts/../stdout"')


def test_declared_event_is_checked_against_its_schema(command: Path) -> None:
    line = _change_event(command, "epoch", loss="low")
    (problem,) = _problems(resealed(command))
    assert (problem["line"], problem["message"]) == (line, f"does not match its schema event.epoch.v1; {RESTORE}")


def test_missing_schema_is_found_at_the_first_line_that_needs_it(command: Path) -> None:
    path = command / "schemas.json"
    value = read_json(path)
    del value["event.v1"]
    path.write_bytes(canonical_json.encode(value, indent=True))
    found = [problem["message"].partition(";")[0] for problem in _problems(resealed(command))]
    assert found == [
        "has no schema for 'setup', the type of the record in line 1",
        "has no schema for 'note', the type of the record in line 3",
    ]


def test_failed_command_cannot_have_a_completed_run(command: Path) -> None:
    line = _change_event(command, "command_end", exit_status=3)
    (problem,) = _problems(resealed(command))
    assert problem["line"] == line + 1
    assert "the command exited with 3" in problem["message"]


def test_only_the_end_follows_the_end_of_the_command(command: Path) -> None:
    path = command / "events.jsonl"
    log = read_json_lines(path)
    log[-3], log[-2] = {**log[-2], "seq": log[-3]["seq"]}, {**log[-3], "seq": log[-2]["seq"]}
    path.write_bytes(b"".join(map(canonical_json.encode, log)))
    (problem,) = _problems(resealed(command))
    assert problem["line"] == len(log) - 1
    assert "comes after command_end" in problem["message"]


def test_file_modes_are_ignored(run: Path) -> None:
    for path in run.iterdir():
        path.chmod(0o755)
    assert _verify(run).exit_code == 0


@pytest.mark.parametrize("name", [".DS_Store", "run.json~", "a\nb"])
def test_extra_file_is_found(run: Path, name: str) -> None:
    (run / name).write_bytes(b"")
    assert [problem["file"] for problem in _problems(run)] == [f"{run.name}/{name}"]


def test_extra_folder_and_undecodable_name_are_found(run: Path) -> None:
    (run / "folder").mkdir()
    (run / os.fsdecode(b"\xff")).write_bytes(b"")
    assert len(_problems(run)) == 2
    assert _verify(run).exit_code == 1


@pytest.mark.parametrize("name", ["0" * 64, "copy"])
def test_renamed_run_is_found(run: Path, name: str) -> None:
    renamed = run.rename(run.with_name(name))
    (problem,) = _problems(renamed)
    assert problem["file"].split("/")[0] == name
    assert run.name in problem["message"]
    done = _verify("--all", "--store", run.parent)
    assert done.exit_code == 1
    assert name in done.stdout


def _change_event(run: Path, kind: str, /, **changed: Any) -> int:
    """Change fields of the first event of a type; returns its line."""
    path = run / "events.jsonl"
    log = read_json_lines(path)
    number, event = next((i, event) for i, event in enumerate(log) if event["event_type"] == kind)
    log[number] = {**event, **changed}
    Rewrite(lambda _: b"".join(map(canonical_json.encode, log)))(path)
    return number + 1


def test_a_forged_final_cost_is_found_in_the_log_and_in_the_head(run: Path) -> None:
    line = _change_event(run, "experiment_end", final_cost=1)
    in_log, in_head = _problems(resealed(run))
    assert (in_log["file"].split("/")[1], in_log["line"], in_log["key"]) == ("events.jsonl", line, "final_cost")
    assert (in_head["file"].split("/")[1], in_head["key"]) == ("run.json", "result.final_cost")
    assert "give 1" in in_head["message"]


@pytest.mark.parametrize(
    ("event_type", "changed", "key"),
    [
        ("iteration_start", {"total_cost": "many"}, "total_cost"),
        ("iteration_start", {"total_cost": 1.0}, "total_cost"),
        ("iteration_start", {"iteration": -1}, "iteration"),
        ("iteration_start", {"iteration": 1.0}, "iteration"),
        ("iteration_end", {"more": 1}, "more"),
        ("llm_call", {"exchange": 10_000}, "exchange"),
        ("llm_call", {"exchange": 1}, "agent_id"),
        ("llm_call", {"exchange": -1}, "exchange"),
        ("llm_call", {"agent_id": "NOBODY"}, "agent_id"),
        ("policy_change", {"seq": 3.0}, "seq"),
        ("policy_change", {"event_type": None}, "event_type"),
    ],
)
def test_a_forged_event_is_found_with_its_line(run: Path, event_type: str, changed: dict[str, Any], key: str) -> None:
    line = _change_event(run, event_type, **changed)
    found = {(problem["file"].split("/")[1], problem["line"], problem["key"]) for problem in _problems(resealed(run))}
    assert ("events.jsonl", line, key) in found


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (("counts", "events"), 1),
        (("counts", "iterations"), 99),
        (("counts", "exchanges"), 0),
        (("counts", "by_type", "llm_call"), 1),
        (("counts", "by_type", "no_such_type"), 1),
        (("result", "final_cost"), 1),
        (("result",), None),
        (("failure",), {"error_type": "A", "message": "b"}),
        (("status",), "failed"),
        (("status",), "other"),
        (("inputs",), "0" * 64),
        (("files", "config.json", "size"), -1),
        (("files", "../../etc/passwd"), {"sha256": "0" * 64, "size": 1}),
        (("files", "run.json"), {"sha256": "0" * 64, "size": 1}),
        (("format",), 2),
        (("format",), 1.0),
        (("more",), 1),
    ],
)
def test_a_forged_head_is_found_with_its_key(run: Path, key: tuple[str, ...], value: Any) -> None:
    path = run / "run.json"
    head = read_json(path)
    part = head
    for name in key[:-1]:
        part = part[name]
    part[key[-1]] = value
    path.write_bytes(canonical_json.encode(head, indent=True))
    lines = path.read_bytes().decode().splitlines()
    problems = _problems(readdressed(run))
    found = [problem for problem in problems if problem["file"].endswith("/run.json") and key[0] in problem["key"]]
    assert found, problems
    for problem in found:
        assert any(f'"{name}"' in lines[problem["line"] - 1] for name in (*key, *problem["key"].split(".")))


OTHER_RUNS = {
    "config.json": r".*",
    "events.jsonl": r"""
        experiment_start.(max_iterations|num_samples)
        |iteration_start.costs_per_agent.*
        |bootstrap_evaluation.(seed_results.*|mean_cost|std_cost)
        |policy_change.(old_cost|new_cost|deltas|old_policy.*|new_policy.*)
        |policy_rejected.proposed_policy.*
        |iteration_end.(costs_per_agent.*|policies.*|convergence.*)
        |epoch.loss
        |setup.iteration|note.values.*
    """,
    "schemas.json": r"event.epoch.v1.*",
    "exchanges.jsonl": r"origin\.settings.*",
}
"""The numbers of a run that stand in it once: with another one it is another run, and nothing is wrong with it.

Every other number is redundant. `seq`, `index` and `iteration` follow from the lines around, what an `llm_call` shares
with its exchange stands in both, the figures at the end follow from the log and stand in `run.json` again, and
schemas of exprec never change.
"""

Leaf = tuple[str | int, ...]


def _numbers(value: Any, path: Leaf = ()) -> Iterator[Leaf]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        if type(part) in (int, float):
            yield (*path, key)
        yield from _numbers(part, (*path, key))


def _pattern(record: dict[str, Any], leaf: Leaf) -> str:
    """Return the kind of a number: its path without list indices, and its event type."""
    return ".".join(str(part) for part in (record.get("event_type"), *leaf) if part is not None and type(part) is str)


def _forged(values: list[dict[str, Any]], line: int, leaf: Leaf) -> list[dict[str, Any]]:
    """Return the records of a file with one number replaced by another valid one."""
    values = copy.deepcopy(values)
    part: Any = values[line]
    for key in leaf[:-1]:
        part = part[key]
    number = part[leaf[-1]]
    part[leaf[-1]] = number + 1 if type(number) is int else number / 2 or 0.5
    return values


def _follows(values: list[dict[str, Any]], line: int) -> bool:
    """Whether the total of an `iteration_start` is the last or the lowest: these two stand at the end again."""
    totals = [value["total_cost"] for value in values if value.get("event_type") == "iteration_start"]
    total, ended = values[line]["total_cost"], values[-1]["event_type"] == "experiment_end"
    is_last = not any(value["event_type"] == "iteration_start" for value in values[line + 1 :])
    return ended and (is_last or (total == min(totals) and totals.count(total) == 1))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", KINDS)
def test_changed_number_is_found_or_makes_another_run(recorded: Path, tmp_path: Path, kind: str, name: str) -> None:
    """Change the first and the last number of each kind, and recompute the digests and the run id."""
    run = _copied(recorded, kind, tmp_path / "runs")
    path = run / name
    if not path.exists():
        assert (kind, name) in (("searched", "exchanges.jsonl"), ("command", "exchanges.jsonl"))
        return
    original = {each: (run / each).read_bytes() for each in _files(run)}
    values = read_json_lines(path) if path.suffix == ".jsonl" else [read_json(path)]
    places: dict[str, list[tuple[int, Leaf]]] = {}
    for line, value in enumerate(values):
        for leaf in _numbers(value):
            places.setdefault(_pattern(value, leaf), []).append((line, leaf))
    assert places
    for pattern, found in places.items():
        for line, leaf in {found[0], found[-1]}:
            forged = _forged(values, line, leaf)
            path = run / name
            path.write_bytes(b"".join(canonical_json.encode(value, indent=path.suffix == ".json") for value in forged))
            run = readdressed(run) if name == "run.json" else resealed(run)
            problems = list(verify_run(RunDirectory(run)))
            is_other = re.fullmatch(OTHER_RUNS.get(name, ""), pattern, re.VERBOSE)
            if is_other or (pattern == "iteration_start.total_cost" and not _follows(values, line)):
                assert problems == [], (pattern, line)
            elif (kind, leaf) == ("command", ("iteration",)):
                # No event says where an iteration begins, so that the next line is named or the number of iterations,
                # and the last event of one could be the first of the next.
                assert problems or pattern == "note.iteration"
            else:
                assert any(_names(problem, name, line, leaf) for problem in problems), (pattern, line, problems)
            for each, data in original.items():
                (run / each).write_bytes(data)


def _names(problem: Problem, name: str, line: int, leaf: Leaf) -> bool:
    """Whether a problem leads to a number: to its line, that of its key, or from what it contradicts."""
    file = (problem.source or "").split("/")[1]
    if f"line {line + 1}" in problem.message and name.endswith(".jsonl"):
        return True
    if problem.key == f"result.{leaf[0]}":
        # The result in the head is that of the last event.
        return True
    is_here = problem.line == line + 1 if name.endswith(".jsonl") else str(leaf[0]) in problem.key
    return file == name and is_here and problem.line is not None


HOSTILE: dict[str, Any] = {
    "no schema": {"type": "nothing"},
    "no object": [1],
    "true": True,
    "null": None,
    "remote": {"$ref": "http://127.0.0.1:9/schema.json"},
    "file": {"$ref": "file:///etc/passwd"},
    "to itself": {"$ref": "#"},
    "nowhere": {"$ref": "#/$defs/nowhere"},
    "slow pattern": {"properties": {"event_type": {"pattern": "^(_|[a-z]+)*(?=x)$"}}},
    "bad pattern": {"properties": {"event_type": {"pattern": "("}}},
    "odd properties": {"properties": 3},
    "other draft": {"$schema": "http://example.org/none"},
    "admits anything": {},
}


@pytest.mark.parametrize("schema", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("name", ["event.llm_call.v2", "event.llm_call.v7", "exchange.v2", "other"])
def test_a_hostile_schema_does_no_harm(run: Path, name: str, schema: Any) -> None:
    path = run / "schemas.json"
    path.write_bytes(canonical_json.encode({**read_json(path), name: schema}, indent=True))
    problems = _problems(resealed(run))
    assert any(problem["file"].endswith("/schemas.json") and problem["key"] == name for problem in problems) or (
        name.endswith("v7")
    )


def test_missing_and_unused_schemas_are_found(run: Path) -> None:
    path = run / "schemas.json"
    embedded = read_json(path)
    embedded["event.experiment_failed.v1"] = {}
    del embedded["event.llm_call.v2"], embedded["exchange.v2"]
    path.write_bytes(canonical_json.encode(embedded, indent=True))
    found = [problem["message"] for problem in _problems(resealed(run)) if problem["file"].endswith("/schemas.json")]
    assert sum("has no schema for" in message for message in found) == 2
    assert sum("is unused" in message for message in found) == 1


@pytest.mark.parametrize("depth", [3, 300, 990])
def test_head_of_a_newer_format_is_not_checked_further(run: Path, depth: int) -> None:
    (run / "run.json").write_bytes(b'{"a":' + b"[" * depth + b"]" * depth + b',"format":2}\n')
    (problem,) = _problems(run)
    assert (problem["file"], problem["key"]) == (f"{run.name}/run.json", "format")


def test_damage_in_several_files_is_found_at_once(run: Path) -> None:
    for name in FILES:
        DAMAGES["append a byte"](run / name)
    found = {problem["file"] for problem in _problems(run)}
    assert found == {f"{run.name}/{name}" for name in FILES}


def test_decreasing_iterations_are_found(run: Path) -> None:
    line = _change_event(run, "iteration_start", iteration=2**63)
    found = [(problem["line"], problem["message"]) for problem in _problems(resealed(run))]
    assert any(number == line + 1 and "comes after iteration" in message for number, message in found)


@pytest.mark.parametrize("left", [(), ("schemas.json",), ("config.json",)])
def test_nearly_empty_run_is_damaged_rather_than_missing(run: Path, left: tuple[str, ...]) -> None:
    for name in FILES:
        if name not in left:
            (run / name).unlink()
    for reference in (str(run), run.name):
        done = _verify(reference, "--store", run.parent)
        assert done.exit_code == 1
        assert f"{run.name}/run.json: is missing" in done.stdout


def test_lost_line_is_reported_once(run: Path) -> None:
    DAMAGES["lose a line"](run / "events.jsonl")
    assert len([problem for problem in _problems(run) if problem["key"] == "seq"]) == 1


@pytest.mark.parametrize("name", FILES)
def test_duplicate_key_is_named(run: Path, name: str) -> None:
    line = DAMAGES["key twice"](run / name)
    found = [
        problem for problem in _problems(run) if problem["key"] == "zz" and "duplicate key 'zz'" in problem["message"]
    ]
    assert [problem["line"] for problem in found] == [line]


def test_duplicate_key_is_named_at_any_depth(run: Path) -> None:
    log = run / "events.jsonl"
    Rewrite(lambda data: data.replace(b'"costs_per_agent":{', b'"costs_per_agent":{"BANK_A":1,', 1))(log)
    head = run / "run.json"
    Rewrite(lambda data: data.replace(b'    "sha256"', b'    "size": 1,\n      "sha256"', 1))(head)
    number = next(i for i, line in enumerate(head.read_bytes().splitlines(), 1) if b'"size"' in line)
    found = [(problem["line"], problem["key"]) for problem in _problems(run) if "duplicate key" in problem["message"]]
    assert found == [(number + 2, "files.config.json.size"), (2, "costs_per_agent.BANK_A")]


def _has_line_of_key(problem: dict[str, Any], path: Path) -> bool:
    return f'"{problem["key"]}"' in path.read_text("utf-8").splitlines()[problem["line"] - 1]


def test_wrong_fields_of_an_attestation_have_their_line(run: Path) -> None:
    (path,) = (run.parent / "attestations" / run.name).iterdir()
    value = {**read_json(path), "duration_seconds": "long", "run": "0" * 64, "more": 1}
    path.write_bytes(canonical_json.encode(value, indent=True))
    found = [problem for problem in _problems(run) if problem["key"]]
    assert {problem["key"] for problem in found} == {"duration_seconds", "more", "run"}
    assert all(_has_line_of_key(problem, path) for problem in found if problem["key"] in value)


def test_wrong_schemas_have_their_line(run: Path) -> None:
    path = run / "schemas.json"
    path.write_bytes(canonical_json.encode({**read_json(path), "event.llm_call.v1": {}, "other": {}}, indent=True))
    run = resealed(run)
    found = _problems(run)
    assert {problem["key"] for problem in found} == {"event.llm_call.v1", "other"}
    assert all(_has_line_of_key(problem, run / path.name) for problem in found)


def _change_run(path: Path) -> None:
    value = {**read_json(path), "run": "0" * 64}
    path.write_bytes(canonical_json.encode(value, indent=True))
    path.rename(path.with_name(f"{hashlib.sha256(path.read_bytes()).hexdigest()}.json"))


@pytest.mark.parametrize(
    "damage",
    [
        *(DAMAGES[name] for name in ("flip a bit at 0.5", "truncate", "empty", "append a byte", "convert line ends")),
        *(DAMAGES[name] for name in ("folder in its place", "link in its place", "not UTF-8")),
        _change_run,
    ],
)
def test_a_damaged_attestation_is_found(run: Path, damage: Callable[[Path], Any]) -> None:
    folder = run.parent / "attestations" / run.name
    (path,) = folder.iterdir()
    damage(path)
    problems = _problems(run)
    assert {problem["file"] for problem in problems} <= {
        f"attestations/{run.name}/{entry.name}" for entry in folder.iterdir()
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_read_is_named(run: Path, name: str) -> None:
    (run / name).chmod(0)
    assert f"{run.name}/{name}" in [problem["file"] for problem in _problems(run)]


def test_a_fifo_does_not_block(run: Path) -> None:
    (run / "events.jsonl").unlink()
    os.mkfifo(run / "events.jsonl")
    assert any("a special file" in problem["message"] for problem in _problems(run))


@pytest.mark.parametrize("name", FILES)
def test_deep_nesting_is_found_in_a_process_of_its_own(run: Path, name: str) -> None:
    DAMAGES["nest deeply"](run / name)
    done = exprec("verify", run, code=1)
    assert f"{run / name}:".encode() in done.stdout
    assert b"Traceback" not in done.stderr


def test_an_embedded_schema_is_compared_by_its_bytes() -> None:
    released = schemas.load("store.v1")
    changed = {**released, "additionalProperties": 0}
    assert changed == released, "Python holds 0 and false for equal"
    assert is_released("store.v1", dict(released))
    assert not is_released("store.v1", changed)
