"""Whatever is done to a sealed run, verify finds it and names the file: every file and every kind of damage."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from exprec import schemas
from exprec.cli.main import cli
from exprec.recorder import canonical
from exprec.recorder.store.store import Store
from exprec.recorder.store.tree import folder_id
from exprec.recorder.store.verify import _is_released
from tests.support import ROOT, exprec
from tests.unit.format import runs

EVERY = ROOT / "tests" / "data" / "every_event.yaml"
FILES = ("run.json", "config.json", "events.jsonl", "exchanges.jsonl", "schemas.json")

Damage = Callable[[Path], int | None]
"""Changes one file; returns the line that verify must name in it, where it can know one."""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one run that has exchanges."""
    store = tmp_path_factory.mktemp("damage") / "runs"
    runs.run_command(EVERY, store, "-q")
    return store


@pytest.fixture
def run(recorded: Path, tmp_path: Path) -> Path:
    """The folder of the run, in a copy of the store."""
    store = Path(shutil.copytree(recorded, tmp_path / "runs"))
    (run_id,) = Store(store).run_ids()
    return store / run_id


def _verify(*arguments: str | Path) -> Result:
    done = CliRunner().invoke(cli, ["verify", *map(str, arguments)])
    # Anything but an exit on purpose is a traceback.
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
    return done


def _problems(path: Path, *options: str) -> list[dict[str, Any]]:
    """The problems of a run that must not verify."""
    done = _verify(path, "--json", *options)
    assert done.exit_code == 1, (done.exit_code, done.output)
    problems: list[dict[str, Any]] = json.loads(done.stdout)["problems"]
    assert problems
    return problems


def _rewrite(path: Path, change: Callable[[bytes], bytes]) -> None:
    before = path.read_bytes()
    after = change(before)
    assert after != before, "the damage changes nothing"
    path.write_bytes(after)


def _flip(position: float) -> Damage:
    def damage(path: Path) -> int | None:
        data = bytearray(path.read_bytes())
        at = int(position * (len(data) - 1))
        data[at] ^= 1
        _rewrite(path, lambda _: bytes(data))
        return None

    return damage


def _truncate(path: Path) -> int | None:
    _rewrite(path, lambda data: data[:-10])
    # The torn line is the last one.
    return path.read_bytes().count(b"\n") + 1 if path.suffix == ".jsonl" else None


def _empty(path: Path) -> int | None:
    _rewrite(path, lambda _: b"")
    return None


def _append(path: Path) -> int | None:
    _rewrite(path, lambda data: data + b" ")
    return path.read_bytes().count(b"\n") + 1


def _append_line(path: Path) -> int | None:
    _rewrite(path, lambda data: data + b"\n")
    return path.read_bytes().count(b"\n")


def _delete(path: Path) -> int | None:
    path.unlink()
    return None


def _convert_line_ends(path: Path) -> int | None:
    _rewrite(path, lambda data: data.replace(b"\n", b"\r\n"))
    return 1


def _swap_lines(path: Path) -> int | None:
    lines = path.read_bytes().splitlines(keepends=True)
    if lines[1] == lines[2]:
        pytest.skip("the two lines are equal: to swap them changes nothing")
    lines[1], lines[2] = lines[2], lines[1]
    _rewrite(path, lambda _: b"".join(lines))
    return 2 if path.suffix == ".jsonl" else None


def _repeat_line(path: Path) -> int | None:
    lines = path.read_bytes().splitlines(keepends=True)
    _rewrite(path, lambda _: b"".join([*lines[:2], lines[1], *lines[2:]]))
    return 3 if path.suffix == ".jsonl" else None


def _lose_line(path: Path) -> int | None:
    lines = path.read_bytes().splitlines(keepends=True)
    _rewrite(path, lambda _: b"".join([*lines[:1], *lines[2:]]))
    return 2 if path.suffix == ".jsonl" else None


def _change_number(path: Path) -> int | None:
    """Add 1 to the last integer and write the file as exprec would: only digests can tell."""
    indented = path.suffix == ".json"
    values = [json.loads(path.read_bytes())] if indented else runs.lines(path)
    if not any(_add_to_last_integer(value) for value in reversed(values)):
        pytest.fail(f"{path.name} has no integer")
    _rewrite(path, lambda _: b"".join(canonical.encode(value, indent=indented) for value in values))
    return None


def _add_to_last_integer(value: Any) -> bool:
    items = list(value.items() if isinstance(value, dict) else enumerate(value))
    for key, part in reversed(items):
        if type(part) is int:
            value[key] += 1
            return True
        if isinstance(part, dict | list) and _add_to_last_integer(part):
            return True
    return False


def _make_folder(path: Path) -> int | None:
    path.unlink()
    path.mkdir()
    return None


def _make_link(path: Path) -> int | None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")
    return None


def _make_executable(path: Path) -> int | None:
    path.chmod(0o755)
    return None


def _nest(path: Path) -> int | None:
    _rewrite(path, lambda data: b"[" * 100_000 + b"]" * 100_000 + b"\n" + data)
    return 1 if path.suffix == ".jsonl" else None


def _nest_less(path: Path) -> int | None:
    """Deeper than exprec writes, not too deep for the parser."""
    _rewrite(path, lambda data: b'{"a":' * 900 + b"1" + b"}" * 900 + b"\n")
    return 1 if path.suffix == ".jsonl" else None


def _huge_integer(path: Path) -> int | None:
    _rewrite(path, lambda data: b'{"seq":' + b"9" * 5000 + b',"index":' + b"9" * 30 + b"}\n" + data)
    return 1 if path.suffix == ".jsonl" else None


def _not_utf8(path: Path) -> int | None:
    _rewrite(path, lambda data: data.replace(b'"', b'"\xff\xfe', 1))
    return 1 if path.suffix == ".jsonl" else None


def _another_type(path: Path) -> int | None:
    _rewrite(path, lambda _: b'["not", 1, {}]\n')
    return 1 if path.suffix == ".jsonl" else None


def _twice_the_key(path: Path) -> int | None:
    _rewrite(path, lambda data: data.replace(b"{", b'{"zz":1,"zz":1,', 1))
    return 1


DAMAGES: dict[str, Damage] = {
    **{f"flip a bit at {position}": _flip(position) for position in (0.0, 0.1, 0.33, 0.5, 0.77, 0.9, 1.0)},
    "truncate": _truncate,
    "empty": _empty,
    "append a byte": _append,
    "append a line": _append_line,
    "delete": _delete,
    "convert line ends": _convert_line_ends,
    "swap lines": _swap_lines,
    "repeat a line": _repeat_line,
    "lose a line": _lose_line,
    "change a number": _change_number,
    "folder in its place": _make_folder,
    "link in its place": _make_link,
    "executable": _make_executable,
    "nest too deeply": _nest,
    "nest deeply": _nest_less,
    "huge integer": _huge_integer,
    "not UTF-8": _not_utf8,
    "another type": _another_type,
    "key twice": _twice_the_key,
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_damage_is_found_and_the_file_named(run: Path, name: str, damage: Damage) -> None:
    line = damage(run / name)
    file = f"{run.name}/{name}"
    for options in ([], ["--quick"]):
        found = [problem for problem in _problems(run, *options) if problem["file"] == file]
        assert found, "the file is not named"
        assert all(problem["message"] for problem in found)
        if line is not None and not options:
            assert line in [problem["line"] for problem in found]


@pytest.mark.parametrize("name", ["notes.txt", ".DS_Store", "Run.json", "run.json~", "a\nb"])
def test_a_file_more_is_found(run: Path, name: str) -> None:
    (run / name).write_bytes(b"")
    assert [problem["file"] for problem in _problems(run)] == [f"{run.name}/{name}"]


def test_a_folder_more_and_a_name_that_is_no_text_are_found(run: Path) -> None:
    (run / "folder").mkdir()
    (run / os.fsdecode(b"\xff")).write_bytes(b"")
    assert len(_problems(run)) == 2
    assert _verify(run).exit_code == 1


@pytest.mark.parametrize("name", ["0" * 64, "copy"])
def test_another_name_is_found(run: Path, name: str) -> None:
    renamed = run.rename(run.with_name(name))
    (problem,) = _problems(renamed)
    assert problem["file"].split("/")[0] == name
    assert run.name in problem["message"]
    done = _verify("--all", "--store", run.parent)
    assert done.exit_code == 1
    assert name in done.stdout


def _resealed(run: Path) -> Path:
    """Make the digests and the name right again, as somebody who forges a run would."""
    path = run / "run.json"
    head = runs.load(path)
    for name in head["files"]:
        data = (run / name).read_bytes()
        head["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    head["inputs"] = head["files"]["config.json"]["sha256"]
    path.write_bytes(canonical.encode(head, indent=True))
    return run.rename(run.with_name(folder_id(run)))


def _change_event(run: Path, kind: str, /, **changed: Any) -> int:
    """Change fields of the first event of a type; returns its line."""
    path = run / "events.jsonl"
    log = runs.lines(path)
    number, event = next((i, event) for i, event in enumerate(log) if event["event_type"] == kind)
    log[number] = {**event, **changed}
    _rewrite(path, lambda _: b"".join(map(canonical.encode, log)))
    return number + 1


def test_a_forged_final_cost_is_found_by_the_fold(run: Path) -> None:
    _change_event(run, "experiment_end", final_cost=1)
    (problem,) = _problems(_resealed(run))
    assert problem["file"].endswith("/run.json")
    assert problem["key"] == "result.final_cost"
    assert "come to 1" in problem["message"]


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
    found = {(problem["file"].split("/")[1], problem["line"], problem["key"]) for problem in _problems(_resealed(run))}
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
    head = runs.load(path)
    part = head
    for name in key[:-1]:
        part = part[name]
    part[key[-1]] = value
    path.write_bytes(canonical.encode(head, indent=True))
    problems = _problems(run.rename(run.with_name(folder_id(run))))
    assert any(problem["file"].endswith("/run.json") and key[0] in problem["key"] for problem in problems), problems


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
@pytest.mark.parametrize("name", ["event.llm_call.v1", "event.llm_call.v7", "exchange.v1", "other"])
def test_a_hostile_schema_does_no_harm(run: Path, name: str, schema: Any) -> None:
    path = run / "schemas.json"
    path.write_bytes(canonical.encode({**runs.load(path), name: schema}, indent=True))
    problems = _problems(_resealed(run))
    assert any(problem["file"].endswith("/schemas.json") and problem["key"] == name for problem in problems) or (
        name.endswith("v7")
    )


def test_a_schema_that_is_missing_and_one_too_many_are_found(run: Path) -> None:
    path = run / "schemas.json"
    embedded = runs.load(path)
    embedded["event.experiment_failed.v1"] = {}
    del embedded["event.llm_call.v1"], embedded["exchange.v1"]
    path.write_bytes(canonical.encode(embedded, indent=True))
    found = [problem["message"] for problem in _problems(_resealed(run)) if problem["file"].endswith("/schemas.json")]
    assert sum("has no schema of" in message for message in found) == 2
    assert sum("is needed by no line" in message for message in found) == 1


def test_damage_in_several_files_is_found_at_once(run: Path) -> None:
    for name in FILES:
        _append(run / name)
    found = {problem["file"] for problem in _problems(run)}
    assert found == {f"{run.name}/{name}" for name in FILES}


def test_iterations_that_go_down_are_found(run: Path) -> None:
    line = _change_event(run, "iteration_start", iteration=2**63)
    found = [(problem["line"], problem["message"]) for problem in _problems(_resealed(run))]
    assert any(number == line + 1 and "comes after iteration" in message for number, message in found)


@pytest.mark.parametrize("left", [(), ("schemas.json",), ("config.json",)])
def test_a_folder_that_lost_nearly_all_is_no_run_that_is_not_found(run: Path, left: tuple[str, ...]) -> None:
    for name in FILES:
        if name not in left:
            (run / name).unlink()
    for reference in (str(run), run.name):
        done = _verify(reference, "--store", run.parent)
        assert done.exit_code == 1
        assert f"{run.name}/run.json: is missing" in done.stdout


def test_a_lost_line_is_one_gap_not_many(run: Path) -> None:
    _lose_line(run / "events.jsonl")
    assert len([problem for problem in _problems(run) if problem["key"] == "seq"]) == 1


def _change_run(path: Path) -> None:
    value = {**runs.load(path), "run": "0" * 64}
    path.write_bytes(canonical.encode(value, indent=True))
    path.rename(path.with_name(f"{hashlib.sha256(path.read_bytes()).hexdigest()}.json"))


@pytest.mark.parametrize(
    "damage",
    [_flip(0.5), _truncate, _empty, _append, _convert_line_ends, _make_folder, _make_link, _not_utf8, _change_run],
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
    assert any("no plain file" in problem["message"] for problem in _problems(run))


@pytest.mark.parametrize("name", FILES)
def test_in_a_process_of_its_own(run: Path, name: str) -> None:
    _nest_less(run / name)
    done = exprec("verify", run, code=1)
    assert f"{run / name}:".encode() in done.stdout
    assert b"Traceback" not in done.stderr


def test_an_embedded_schema_is_compared_by_its_bytes() -> None:
    released = schemas.load("store.v1")
    changed = {**released, "additionalProperties": 0}
    assert changed == released, "Python holds 0 and false for equal"
    assert _is_released("store.v1", dict(released))
    assert not _is_released("store.v1", changed)
