"""Hostile runs and files: every command ends soon, stays small, reports the problem and does no harm."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.errors import InvalidInput
from exprec.recorder.events import EventTypes
from exprec.recorder.schema.complexity import MAX_EVALUATIONS, MIN_DEPTH, TooComplex, bound_complexity
from tests.fault.hostile import (
    CONTROLS,
    PLACES,
    TAG,
    Place,
    Victim,
    Words,
    made,
    places,
    readdressed,
    readdressed_with_size,
    records,
    resealed,
    with_controls,
    write,
)
from tests.fault.limited import CPU_SECONDS, assert_harmless, run_limited
from tests.fixtures.cli import CallResult
from tests.fixtures.files import read_json
from tests.fixtures.terminal import run_on_terminal

WIDE = os.environ.get("EXPREC_FAULTS") == "all"
Count = Callable[[str, int], None]
Attack = Callable[[Victim], None]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    return made(tmp_path_factory.mktemp("hostile") / "original")


@pytest.fixture
def victim(original: Victim, tmp_path: Path) -> Victim:
    return original.copied(tmp_path / "copied")


def _suffered(victim: Victim, calls: list[Words], **options: Any) -> list[CallResult]:
    """Run the commands; fails if one exhausts time or memory, prints control characters or writes outside the store."""
    before = victim.snapshot()
    done = run_limited(*calls, cwd=victim.folder, **options).calls
    for each in done:
        assert_harmless(each)
    assert victim.snapshot() == before, "something was written outside of the store, or to a run"
    return list(done)


# --- what a terminal obeys ----------------------------------------------------------------------------


def _sampled(found: list[Any], every: int, first: int = 0) -> list[Any]:
    """Return all items, or by default every N-th, with a varying first one."""
    return found if WIDE else found[first % every :: every]


@pytest.mark.parametrize("name", ["run.json", "config.json", "events.jsonl", "exchanges.jsonl", "schemas.json"])
@pytest.mark.parametrize("kind", ["experiment", "command", "work"])
def test_control_characters_in_strings_do_not_reach_the_terminal(
    original: Victim, tmp_path: Path, count_faults: Count, kind: str, name: str
) -> None:
    if not (getattr(original, kind) / name).exists():
        return
    values = records(getattr(original, kind) / name)
    found: list[Place] = places(values)
    if name == "schemas.json":
        # exprec's own are compared by their bytes.
        found = [place for place in found if len(place.path) == 1 or "epoch" in str(place.path[0])]
    count = 0
    for number, place in enumerate(_sampled(found, 16)):
        victim = original.copied(tmp_path / str(number))
        run: Path = getattr(victim, kind)
        write(run / name, with_controls(values, place))
        if kind != "work":
            run = readdressed(run) if name == "run.json" else resealed(run)
        done = _suffered_on_terminal(victim, _sampled(victim.commands(run), 4, number))
        count += len(done)
    count_faults("calls on runs with control characters in a string", count)


def _suffered_on_terminal(victim: Victim, calls: list[Words]) -> list[CallResult]:
    """As `_suffered`; but what a program reads is the log as it is."""
    before = victim.snapshot()
    done = run_limited(*calls, cwd=victim.folder).calls
    for each in done:
        is_log = each.words[0] == "show" and "--json" in each.words
        assert_harmless(CallResult(each.words, each.code, b"", each.stderr) if is_log else each)
    assert victim.snapshot() == before
    return list(done)


def test_the_lines_of_a_log_reach_a_terminal_as_equal_json(victim: Victim) -> None:
    path = victim.experiment / "events.jsonl"
    values = records(path)
    values[0]["description"] = f"é {CONTROLS} \U0001f600"
    write(path, values)
    run = resealed(victim.experiment)
    shown = run_on_terminal(
        "show", "--json", "--no-pager", run.name, "--event", "experiment_start", cwd=victim.folder
    ).output
    assert json.loads(shown) == values[0]
    assert all(char.isprintable() for char in shown.strip())
    assert "é" in shown


@pytest.mark.parametrize("where", ["tag", "run", "attestation", "artifact", "file", "work", "experiment"])
def test_control_characters_in_file_names_do_not_reach_the_terminal(
    victim: Victim, count_faults: Count, where: str
) -> None:
    name = CONTROLS.replace("/", "").replace("\0", "")
    more: list[Words] = []
    if where == "tag":
        (victim.store / "tags" / name).write_text(f"{victim.experiment.name}\n")
    elif where == "run":
        victim.other.rename(victim.store / name)
    elif where == "attestation":
        (victim.store / "attestations" / victim.experiment.name / name).write_text("{}")
    elif where == "artifact":
        (victim.command / "artifacts" / name).write_text("")
    elif where == "file":
        (victim.experiment / name).write_text("")
    elif where == "work":
        victim.work.with_name(f"{victim.work.name}.json").rename(victim.work.with_name(f"{name}.json"))
        victim.work.rename(victim.work.with_name(name))
        more = [["resume", name], ["gc", "--dry-run", name], ["show", name]]
    else:
        path = victim.folder / f"{name}.yaml"
        path.write_text("name: [")
        more = [["check", str(path)], ["run", str(path)], ["simulate", str(path)], ["check", "--json", str(path)]]
    calls = [*_sampled(victim.commands(victim.experiment, victim.command), 3, len(where)), *more]
    count_faults("calls on files with control characters in their name", len(_suffered(victim, calls)))


# --- names that lead elsewhere ------------------------------------------------------------------------

NAMES = [
    "../secret",
    "/etc/passwd",
    "a/../../secret",
    "..",
    ".",
    "",
    "a\0b",
    "a\nb",
    "n" * 5000,
    ".git/x",
    "\ud800",
]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:20]))
def test_no_name_in_a_run_leads_out_of_it(victim: Victim, count_faults: Count, name: str) -> None:
    (victim.folder / "secret").write_text("the secret\n")
    (victim.store / "secret").write_text("the secret\n")
    head = read_json(victim.command / "run.json")
    for file in (name, f"artifacts/{name}", f"artifacts/deep/{name}"):
        head["files"][file] = {"sha256": "0" * 64, "size": 11}
    data = json.dumps(head, indent=2, sort_keys=True) + "\n"
    (victim.command / "run.json").write_text(data)
    (victim.store / "tags" / TAG).write_text(f"{name}\n".encode("utf-8", "backslashreplace").decode())
    work_head = victim.work.with_name(f"{victim.work.name}.json")
    work_head.write_text(json.dumps({**json.loads(work_head.read_bytes()), "replayed": name, "folder": name}))
    run = readdressed(victim.command)
    refused = [["tag", name, victim.experiment.name], ["show", name], ["tag", "--delete", name], ["gc", "--yes", name]]
    # A NUL and a lone surrogate cannot be given to a program.
    given = [] if {"\0", "\ud800"} & {*name} else refused
    done = _suffered(victim, [*_sampled(victim.commands(run, TAG), 3, len(name)), *given])
    assert not any(b"the secret" in each.stdout + each.stderr for each in done)
    assert [each.code for each in done[len(done) - len(given) :]] in ([], [2, 4, 4, 4], [2, 5, 4, 4])
    count_faults("calls with names that lead elsewhere", len(done))


# --- what is no file ----------------------------------------------------------------------------------


def _fifo(path: Path, _: Victim) -> None:
    os.mkfifo(path)


def _socket(path: Path, _: Victim) -> None:
    # Its name may be longer than that of a socket can be.
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


def _link(target: str) -> Callable[[Path, Victim], None]:
    return lambda path, _: path.symlink_to(target)


def _link_outside(path: Path, victim: Victim) -> None:
    (victim.folder / "secret").write_text("the secret\n")
    path.symlink_to(victim.folder / "secret")


def _folder(path: Path, _: Victim) -> None:
    path.mkdir()


NO_FILES: dict[str, Callable[[Path, Victim], None]] = {
    "fifo": _fifo,
    "socket": _socket,
    "zero": _link("/dev/zero"),
    "tty": _link("/dev/tty"),
    "itself": _link("run.json"),
    "dangling": _link("nowhere"),
    "outside": _link_outside,
    "folder": _folder,
}
FILES = {
    "run.json": PLACES["<run id>/run.json"],
    "config.json": PLACES["<run id>/config.json"],
    "events.jsonl": PLACES["<run id>/events.jsonl"],
    "exchanges.jsonl": PLACES["<run id>/exchanges.jsonl"],
    "schemas.json": PLACES["<run id>/schemas.json"],
    "stdout": PLACES["<run id>/stdout"],
    "artifact": PLACES["<run id>/artifacts/model.txt"],
    "artifacts": PLACES["<run id>/artifacts"],
    "work events": PLACES[".work/<name>/events.jsonl"],
    "work config": PLACES[".work/<name>/config.json"],
    "work exchanges": PLACES[".work/<name>/exchanges.jsonl"],
    "work head": PLACES[".work/<name>.json"],
    "work folder": PLACES[".work/<name>"],
    "attestation": PLACES["attestations/<run id>/<digest>.json"],
    "attestations": PLACES["attestations"],
    "tag": PLACES["tags/<tag>"],
    "tags": PLACES["tags"],
    "store.json": PLACES["store.json"],
    ".gitattributes": PLACES[".gitattributes"],
    "run": PLACES["<run id>"],
}


RUN_FILES = ("run.json", "config.json", "events.jsonl", "exchanges.jsonl", "schemas.json")


@pytest.mark.fact("F15")
@pytest.mark.parametrize("kind", NO_FILES)
def test_special_files_do_not_block(original: Victim, tmp_path: Path, count_faults: Count, kind: str) -> None:
    count = 0
    for number, (name, where) in _sampled(list(enumerate(FILES.items())), 6, list(NO_FILES).index(kind)):
        victim = original.copied(tmp_path / str(number))
        path = where(victim)
        if path.is_dir():
            path.rename(victim.folder / "moved")
        else:
            path.unlink(missing_ok=True)
        NO_FILES[kind](path, victim)
        run = victim.command if victim.command in (path, *path.parents) else victim.experiment
        renamed = run.rename(run.with_name("copy")) if number % 2 and run.is_dir() and not run.is_symlink() else run
        calls = [["verify", str(renamed)], *_sampled(victim.commands(renamed, TAG), 5, number + len(kind))]
        done = _suffered(victim, calls, env={"EXPREC_STORE": str(victim.store)})
        assert not any(b"the secret" in each.stdout + each.stderr for each in done), name
        if name in (*RUN_FILES, "stdout", "artifact", "artifacts"):
            verdict = next(each for each in done if each.words[0] == "verify")
            assert verdict.code in (1, 4, 5), verdict.report
        count += len(done)
    count_faults("calls on pipes, sockets, devices, links and folders in the place of files", count)


def test_folders_in_a_run_may_be_deeper_than_the_stack_of_python(victim: Victim, count_faults: Count) -> None:
    here = os.getcwd()
    os.chdir(victim.command / "artifacts")
    try:
        for _ in range(1800):
            os.mkdir("f")
            os.chdir("f")
        Path("file").touch()
    finally:
        os.chdir(here)
    copied = victim.store / "copy"
    calls = victim.commands(victim.command)
    done = run_limited(*calls, cwd=victim.folder).calls
    calls = victim.commands(victim.command.rename(copied))
    done = (*done, *run_limited(*calls, cwd=victim.folder).calls)
    # pytest would remove them by recursion.
    subprocess.run(["rm", "-rf", str(copied)], check=True)
    for each in done:
        assert_harmless(each)
    count_faults("calls on deep folders", len(done))


# --- what is too much ---------------------------------------------------------------------------------

GIGABYTE = 2**30 if WIDE else 300_000_000
"""Sparse; by default just more than a line may have."""
_DEEP = 100_000
_DEEP_OBJECT = b'{"a":' * _DEEP + b"1" + b"}" * _DEEP


def _line(*, ends: bool) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with path.open("r+b") as file:
            file.truncate(GIGABYTE)
            if ends:
                file.seek(0, 2)
                file.write(b"\n")

    return damage


def _content(data: bytes, *, alone: bool = False) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        path.write_bytes(data + (b"" if alone else path.read_bytes()))

    return damage


TOO_MUCH: dict[str, Callable[[Path], None]] = {
    "a line without an end": _line(ends=False),
    "a line with an end": _line(ends=True),
    "lists within lists": _content(b"[" * _DEEP + b"]" * _DEEP + b"\n"),
    "objects within objects": _content(_DEEP_OBJECT + b"\n"),
    "open objects": _content(b'{"a":' * _DEEP),
    "digits": _content(b'{"seq":' + b"9" * 10_000 + b',"index":1}\n'),
    "fractions": _content(b'{"seq":0.' + b"9" * 10_000 + b"}\n"),
    "exponents": _content(b'{"seq":1e99999,"index":1e-99999,"format":1e400}\n'),
    "only digits": _content(b"9" * 10_000, alone=True),
    "newlines": _content(b"\n" * (100_000_000 if WIDE else 300_000), alone=True),
    "backslashes": _content(b'"' + b"\\" * 1_000_001, alone=True),
    "a long text": _content(b'{"seq":"' + b"x" * 2_000_000 + b'"}\n'),
    "nothing": _content(b"", alone=True),
}
BESIDE = ["store.json", "tag", "attestation", "work events", "work config", "work head", ".gitattributes"]


@pytest.mark.parametrize("kind", TOO_MUCH)
def test_files_of_a_run_do_not_exhaust_time_or_memory(
    original: Victim, tmp_path: Path, count_faults: Count, kind: str
) -> None:
    count = 0
    first = list(TOO_MUCH).index(kind)
    for number, name in enumerate(_sampled([*RUN_FILES, *BESIDE], 12 if kind.startswith("a line") else 4, first + 3)):
        victim = original.copied(tmp_path / str(number))
        path = FILES[name](victim)
        TOO_MUCH[kind](path)
        size = path.stat().st_size
        run = victim.experiment
        if run in path.parents and name != "run.json":
            # So that not the size alone tells.
            run = readdressed_with_size(run, path) if kind.startswith("a line") else resealed(run)
        # Each hashes the whole line.
        calls = _sampled([["verify", "--quick", run.name], *victim.commands(run, TAG)], 8, number)
        # Any of them may read or hash all of it, which takes less than two seconds for a gigabyte.
        cpu = CPU_SECONDS + (1 + len(calls)) * size // 500_000_000
        count += len(_suffered(victim, [["verify", run.name], *calls], cpu=cpu))
        if kind.startswith("a line"):
            path.unlink(missing_ok=True)
    count_faults("calls on lines, depths and numbers beyond all measure", count)


_BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 100))
DOCUMENTS: dict[str, bytes] = {
    "nested.yaml": b"[" * 10_000,
    "nested-objects.yaml": b"{a: " * 5_000,
    "nested-lists.yaml": b"- " * _DEEP,
    "nested.json": b"[" * _DEEP + b"]" * _DEEP,
    "nested-objects.json": _DEEP_OBJECT,
    "nested.toml": b"a = " + b"[" * _DEEP,
    "dotted.toml": b"a" + b".a" * _DEEP + b" = 1",
    "tables.toml": b"[a" + b".a" * _DEEP + b"]",
    "laughs.yaml": _BOMB.encode(),
    "laughing.yaml": b"a: &a [*a]\n",
    "digits.yaml": b"name: " + b"9" * 10_000,
    "digits.json": b'{"name": ' + b"9" * 10_000 + b"}",
    "digits.toml": b"name = " + b"9" * 10_000,
    "exponents.yaml": b"name: 1e99999\nseed: 1.0e+999999999999\n",
    "exponents.json": b'{"name": 1e99999, "seed": -1e999999999999}',
    "exponents.toml": b"name = 1e99999\n",
    "hex.yaml": b"name: 0x" + b"f" * 100_000,
    "newlines.yaml": b"\n" * 300_000,
    "newlines.json": b"\n" * 300_000,
    "newlines.toml": b"\n" * 300_000,
    "controls.yaml": CONTROLS.encode(),
    "controls.json": json.dumps({CONTROLS: CONTROLS}).encode(),
    "controls.toml": f"{json.dumps(CONTROLS)} = {json.dumps(CONTROLS)}\n".encode(),
    "surrogates.json": b'{"name": "\\ud800", "\\udc00": 1}',
    "tags.yaml": b"name: !!python/object/apply:os.system ['touch harmed']\n",
    "unclosed.toml": b"a = '''" + b"''" * 300_000,
    "unclosed.json": b'"' + b"\\" * 300_001,
    "empty.yaml": b"",
    "nothing.json": b"",
}
LARGE_DOCUMENTS = ("large.yaml", "large.json", "large.toml")


def _documents(folder: Path) -> list[Path]:
    """All of them as files in a folder, with some that are sparse, and some that are none."""
    for name, data in DOCUMENTS.items():
        (folder / name).write_bytes(data)
    for name in LARGE_DOCUMENTS:
        with (folder / name).open("wb") as file:
            file.truncate(2**30)
    (folder / "zero.yaml").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.yaml")
    (folder / "folder.yaml").mkdir()
    return [folder / name for name in (*DOCUMENTS, *LARGE_DOCUMENTS, "zero.yaml", "pipe.yaml", "folder.yaml")]


def test_input_files_do_not_exhaust_time_or_memory(victim: Victim, count_faults: Count) -> None:
    calls: list[Words] = []
    for path in map(str, _documents(victim.folder)):
        calls += [["check", "--json", path], ["run", path], ["simulate", path]]
    done = _suffered(victim, [["check", *calls[-1][1:]], *_sampled(calls, 8)])
    assert not {each.words for each in done if each.code != 2}
    assert not (victim.folder / "harmed").exists()
    count_faults("calls on files that are no documents", len(done))


def test_the_files_that_an_experiment_names_may_be_anything(victim: Victim, count_faults: Count) -> None:
    calls: list[Words] = []
    for path in _documents(victim.folder):
        for key, name in (
            ("model", f"scripted:{path.name}"),
            ("system_prompt_file", path.name),
            ("scenario", path.name),
        ):
            file = victim.folder / f"{path.name}-{key}.json"
            llm = {"model": "search"} if key == "scenario" else {"model": "search", key: name}
            scenario = name if key == "scenario" else "none.yaml"
            file.write_text(json.dumps({"name": "x", "scenario": scenario, "llm": llm}))
            calls.append(["check", str(file)])
    done = _suffered(victim, _sampled(calls, 4))
    assert {each.code for each in done} == {2}
    count_faults("calls on experiments that name files that are no documents", len(done))


def test_batch_lines_do_not_exhaust_time_or_memory(victim: Victim, count_faults: Count) -> None:
    lines = [
        b'{"scenario":' + b"[" * _DEEP + b"]" * _DEEP + b"}",
        b'{"scenario":' + b"9" * 10_000 + b"}",
        b'{"scenario":{},"seed":1e99999}',
        json.dumps({"scenario": {CONTROLS: CONTROLS}, CONTROLS: 1}).encode(),
        b'{"scenario":"\\ud800"}',
        b"\xff\xfe",
        b"\0" * 100_000,
    ]
    (done,) = _suffered(victim, [["simulate", "--batch", "-"]], stdin=b"\n".join(lines) + b"\n" * 100_000)
    assert [json.loads(line).keys() for line in done.stdout.splitlines()] == [{"error"}] * len(lines)
    count_faults("lines of a batch that are none", len(lines))


# --- schemas that were made to harm -------------------------------------------------------------------


def _fan_out(deep: int, keyword: str = "allOf") -> Any:
    definitions = {f"a{n}": {keyword: [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(deep)}
    return {"$defs": {**definitions, f"a{deep}": {"type": "object"}}, "$ref": "#/$defs/a0"}


def _unevaluated(deep: int) -> Any:
    parts = {f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}], "unevaluatedProperties": True} for n in range(deep)}
    return {"$defs": {**parts, f"a{deep}": {}}, "$ref": "#/$defs/a0"}


UNBOUNDED: dict[str, Any] = {
    "fan-out of allOf": _fan_out(60),
    "fan-out of anyOf": _fan_out(60, "anyOf"),
    "fan-out of oneOf": _fan_out(60, "oneOf"),
    "fan-out of unevaluatedProperties": _unevaluated(60),
    "to itself": {"$ref": "#"},
    "in a circle": {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"not": {"$ref": "#/$defs/a"}}}, "$ref": "#/$defs/a"},
    "by an anchor": {"$defs": {"x": {"$anchor": "q", "allOf": [{"$ref": "#q"}]}}, "$ref": "#q"},
    "by its own address": {"$id": "exprec:x", "anyOf": [{"$ref": "exprec:x"}]},
    "an inner address": {"$defs": {"x": {"$id": "http://127.0.0.1/x", "$ref": "#"}}, "$ref": "#/$defs/x"},
    "a long chain": {"$defs": {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(3000)}, "$ref": "#/$defs/a0"},
}


def _fan_out_below(alternatives: int, deep: int, *, keyword: str = "allOf") -> Any:
    """One that refers to another part on each level: for a circle the engine remembers what it asked."""
    parts = {
        f"a{n}": {keyword: [{"additionalProperties": {"$ref": f"#/$defs/a{n + 1}"}}] * alternatives}
        for n in range(deep)
    }
    return {"$defs": {**parts, f"a{deep}": {}}, "properties": {"a": {"$ref": "#/$defs/a0"}}}


GROWING: dict[str, Any] = {
    "fan-out in the value": {"properties": {"a": {"$ref": "#"}}, "patternProperties": {"a": {"$ref": "#"}}},
    "fan-out of items": {"items": {"$ref": "#"}, "contains": {"$ref": "#"}, "properties": {"a": {"$ref": "#"}}},
    "fan-out of alternatives": {"anyOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]},
    "two on each level": _fan_out_below(2, 60),
    "ten on each level": _fan_out_below(10, 60),
    "thirty on each level": _fan_out_below(30, 60),
    "ten that fail": _fan_out_below(10, 60, keyword="oneOf"),
}
"""Of these a value may be nested only so deep."""
BOUNDED: dict[str, Any] = {
    "a tree": {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}, "items": {"type": "number"}},
    "any value": {"anyOf": [{"items": {"$ref": "#"}}, {"additionalProperties": {"$ref": "#"}}, {"type": "number"}]},
    "a list": {"properties": {"next": {"$ref": "#"}}},
    "alternatives": {
        "$defs": {"m": {"type": "integer"}},
        "oneOf": [{"properties": {"m": {"$ref": "#/$defs/m"}}}] * 300,
    },
    "many fields": {"properties": {f"a{n}": {"type": "integer"} for n in range(3000)}},
}
SLOW: dict[str, Any] = {
    "slow pattern": {"properties": {"text": {"pattern": "^(a+)+$"}}},
    "slow alternatives": {"properties": {"text": {"pattern": "^(a|a|aa)*b(x?){50}$"}}},
    "a large pattern": {"properties": {"text": {"pattern": "((a{900}){900}){900}"}}},
    "looking ahead": {"properties": {"text": {"pattern": "^(_|[a-z]+)*(?=x)$"}}},
    "a huge enum": {"properties": {"text": {"enum": [str(n) for n in range(30_000)]}}},
    "remote": {"$ref": "http://127.0.0.1:9/schema.json"},
    "remote schema": {"$schema": "https://example.org/schema", "type": "object"},
    "remote id": {"$id": "http://127.0.0.1:9/x/", "properties": {"text": {"$ref": "other.json"}}},
    "a file": {"$ref": "file:///etc/passwd"},
    "a relative file": {"$ref": "run.json"},
    "the schema of schemas": {"$ref": "https://json-schema.org/draft/2020-12/schema"},
    "nested": json.loads("[" * 900 + "]" * 900),
    "nested schemas": json.loads('{"not":' * 600 + "{}" + "}" * 600),
    "no schema": [1, 2],
    "controls": {"properties": {CONTROLS: {"const": CONTROLS}}, "required": [CONTROLS], "title": CONTROLS},
    "display": {"x-exprec-display": CONTROLS},
    "display of everything": {"x-exprec-display": "{text:>99}" * 45},
}
TRUE_OF_THE_EVENTS = ("slow pattern", "the schema of schemas", "display of everything")
"""Of these, what the events are: as the schema of their type each is as good as any other."""
_AUDIT = """
import sys
def hear(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind", "socket.sendto", "socket.gethostbyname"):
        raise AssertionError(f"{event} {arguments}")
    if event.startswith(("urllib.", "http.", "ftplib.")) or (event == "open" and arguments[0] == "/etc/passwd"):
        raise AssertionError(f"{event} {arguments}")
sys.addaudithook(hear)
"""
"""Nothing connects, asks for a name, or opens a file that a schema names."""


@pytest.mark.parametrize("name", ["event.epoch.v1", "event.epoch.v99", "event.v1", "format.v99", "other\x1b[31m"])
def test_embedded_schemas_do_no_harm(original: Victim, tmp_path: Path, count_faults: Count, name: str) -> None:
    count = 0
    for number, (kind, schema) in _sampled(list(enumerate({**UNBOUNDED, **GROWING, **SLOW}.items())), 6, len(name)):
        victim = original.copied(tmp_path / str(number))
        log = records(victim.command / "events.jsonl")
        for event in log:
            if event["event_type"] == "epoch":
                event["text"] = "a" * 5000
                event["a"] = _nested(100)
        write(victim.command / "events.jsonl", log)
        path = victim.command / "schemas.json"
        path.write_bytes(json.dumps({**read_json(path), name: schema}, indent=2, sort_keys=True).encode() + b"\n")
        run = resealed(victim.command)
        calls = [["verify", run.name], *_sampled(victim.commands(run), 6, number)]
        done = _suffered(victim, calls, first=_AUDIT)
        is_fine = name == "event.epoch.v1" and kind in TRUE_OF_THE_EVENTS
        assert done[0].code == (0 if is_fine else 1), done[0].report
        if kind in UNBOUNDED and name.startswith("event"):
            assert b"is not a usable schema" in done[0].stdout, done[0].report
        if kind in GROWING and name == "event.epoch.v99":
            assert b"is nested 101 levels deep, and its schema can be asked about" in done[0].stdout, done[0].report
        count += len(done)
    count_faults("calls on runs with schemas made to harm", count)


def _nested(deep: int) -> Any:
    value: Any = 1
    for _ in range(deep):
        value = {"a": value}
    return value


@pytest.mark.parametrize("kind", UNBOUNDED)
def test_schema_of_unbounded_complexity_is_refused_before_use(kind: str) -> None:
    with pytest.raises(TooComplex):
        bound_complexity(UNBOUNDED[kind])
    with pytest.raises(InvalidInput):
        EventTypes({"epoch": UNBOUNDED[kind]})


@pytest.mark.parametrize("kind", BOUNDED)
def test_schema_of_bounded_complexity_is_accepted(kind: str) -> None:
    assert bound_complexity(BOUNDED[kind]).is_constant


@pytest.mark.parametrize("kind", GROWING)
def test_validation_time_is_bounded_for_any_value(victim: Victim, kind: str) -> None:
    bound = bound_complexity(json.loads(json.dumps(GROWING[kind])))
    assert bound.max_depth is not None
    assert bound.max_depth >= MIN_DEPTH
    log = records(victim.command / "events.jsonl")
    (first, *_) = (event for event in log if event["event_type"] == "epoch")
    # As wide as it may be on each level, and one level too deep.
    widest = [_widest(bound.evaluations[depth], depth) for depth in range(1, bound.max_depth + 1)]
    for event in log:
        if event["event_type"] == "epoch":
            event["a"] = {"a": 1}
    for number, value in enumerate([*widest, _nested(bound.max_depth)]):
        log.insert(number + log.index(first), {**first, "a": value})
    for number, event in enumerate(log):
        event["seq"] = number
    write(victim.command / "events.jsonl", log)
    path = victim.command / "schemas.json"
    embedded = {**read_json(path), "event.epoch.v1": GROWING[kind]}
    path.write_bytes(json.dumps(embedded, indent=2, sort_keys=True).encode() + b"\n")
    calls = [["verify", resealed(victim.command).name]]
    (done,) = run_limited(*calls, cwd=victim.folder, cpu=2 + len(widest)).calls
    said = done.stdout.decode()
    refused = f"a: is nested {bound.max_depth + 1} levels deep, and its schema can be asked about"
    assert said.count(refused) == 1, done.report
    assert f"{refused} {bound.max_depth}: references within references multiply on each level" in said
    assert "too many values" not in said


def _widest(times: int, depth: int) -> Any:
    """A field with as many values on its last level as may be there when each is asked about so often."""
    value: Any = {str(n): 1 for n in range(max(1, min(MAX_EVALUATIONS // 2 // times, 5_000)))}
    for _ in range(depth - 2):
        value = {"a": value}
    return value if depth > 1 else 1
