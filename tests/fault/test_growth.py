"""Every reader: twice the input takes at most 2.3 times the time and the memory, however the input grows."""

from __future__ import annotations

import base64
import gc
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from exprec.cli.output.audit import audit_lines
from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.diff import diff, differences
from exprec.recorder.diff.config import config_differences
from exprec.recorder.diff.text import text_hunks
from exprec.recorder.display import Console, EventDisplay, VerboseConfig
from exprec.recorder.documents import parse_document
from exprec.recorder.events import EventTypes
from exprec.recorder.exchanges import RecordedExchanges, request_fields
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.proposal import check_answer
from exprec.recorder.format import canonical_json, hashing
from exprec.recorder.git.git_store import GitStore, store_folders
from exprec.recorder.git.git_tree import TreeIndex
from exprec.recorder.git.repository import Entry
from exprec.recorder.payments import check_policy, check_scenario
from exprec.recorder.payments.policy import compile_policy
from exprec.recorder.proposers.scripted import ScriptedProposer
from exprec.recorder.query import list_runs
from exprec.recorder.replay.divergence import compare_files
from exprec.recorder.sessions.command.event_channel import EventChannel
from exprec.recorder.sessions.known_secrets import find_secrets
from exprec.recorder.state import audit_exchanges
from exprec.recorder.state.provider import StoredStateProvider
from exprec.recorder.store.archive_members import read_members
from exprec.recorder.store.file_tree import FileSource
from exprec.recorder.store.log import EventLog, ExchangeReader, LogReader
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from exprec.recorder.verify import verify_run, verify_store
from tests.fault.growth import Growing, excess_memory, excess_time
from tests.fixtures.events import EXAMPLES, numbered_exchange
from tests.fixtures.experiments import GAME, bank, mapping, payment, policy

WIDE = os.environ.get("EXPREC_FAULTS") == "all"
"""Whether memory is measured for every input; otherwise for every sixth."""

Make = Callable[[int, Path], Any]
Json = dict[str, Any]


def _text(make: Callable[[int], str]) -> Make:
    return lambda size, _: make(size)


def _value(make: Callable[[int], Any]) -> Make:
    return lambda size, _: make(size)


def _joined(size: int, form: str, separator: str = "") -> str:
    """Return texts with the number of each in place of `#`."""
    return separator.join(form.replace("#", str(number)) for number in range(size))


# --- documents that people write ----------------------------------------------------------------------

_TOML: dict[str, Callable[[int], str]] = {
    "keys": lambda n: _joined(n, "k# = 1\n"),
    "tables": lambda n: _joined(n, "[t#]\na = 1\n"),
    "arrays of tables": lambda n: "[[t]]\n[[t.u]]\n" * n,
    "duplicate keys": lambda n: "k = 1\n" * n,
    "keys in a deep table": lambda n: f"[{'.'.join('a' * 150)}]\n" + _joined(n, "k# = 1\n"),
    "an unclosed string": lambda n: 'a = "' + '\\"' * n * 4,
    "an unclosed string that ends in a backslash": lambda n: 'a = "' + '\\"' * n * 4 + "\\",
    "an unclosed text": lambda n: 'a = """' + '\\" ' * n * 4,
    "an unclosed literal text": lambda n: "a = '''" + "'' " * n * 4,
    "quotes": lambda n: '"\n' * n,
    "a list": lambda n: f"a = [{'1,' * n}]",
    "an inline table": lambda n: f"a = {{{_joined(n, 'k#=1', ', ')}}}",
    "brackets": lambda n: "[" * n * 4,
}
_JSON: dict[str, Callable[[int], str]] = {
    "keys": lambda n: f"{{{_joined(n, json.dumps('k#') + ':1', ',')}}}",
    "duplicate keys": lambda n: f"{{{_joined(n, json.dumps('k') + ':1', ',')}}}",
    "items": lambda n: f"[{_joined(n, '1', ',')}]",
    "items of a deep list": lambda n: "[" * 190 + _joined(n, "1", ",") + "]" * 190,
    "integers beyond 64 bits": lambda n: f"[{_joined(n, '9' * 30, ',')}]",
    "a long key around invalid values": lambda n: f'{{"{"k" * n * 10}":[{_joined(n, "9" * 30, ",")}]}}',
    "an unclosed string": lambda n: '["' + '\\"' * n * 4,
    "brackets": lambda n: "[" * n * 4,
    "digits": lambda n: "1" * n * 4,
}
_YAML: dict[str, Callable[[int], str]] = {
    "keys": lambda n: _joined(n, "k#: 1\n"),
    "duplicate keys": lambda n: "k: 1\n" * n,
    "a flow list": lambda n: f"[{'1,' * n}]",
    "a deep flow list": lambda n: "[" * 190 + "1," * n + "]" * 190,
    "a block list": lambda n: "- 1\n" * n,
    "a tag of exclamation marks": lambda n: "!" * n * 20,
    "tags": lambda n: "- !!str a\n" * n,
    "anchors": lambda n: _joined(n, "- &a# 1\n"),
    "aliases": lambda n: "- &a [1]\n" + "- *a\n" * n,
    "brackets": lambda n: "[" * n * 4,
    "a text": lambda n: "a: |\n" + " x\n" * n * 4,
    "a folded text": lambda n: "a: >\n x\n" + "\n" * n * 4 + " y\n",
    "quoted words": lambda n: 'a: "' + "x\n " * n * 4 + '"',
    "comments": lambda n: "# x\n" * n * 4,
    "directives": lambda n: _joined(n, "%TAG !a#! x\n") + "---\na",
    "digits": lambda n: "1_" * n * 4,
}


def _documents() -> Iterator[Growing]:
    for kind, texts, size in (("toml", _TOML, 500), ("json", _JSON, 800), ("yaml", _YAML, 120)):
        for growth, make in texts.items():

            def read(text: str, kind: str = kind) -> object:
                return parse_document(text, f"grown.{kind}", kind)

            yield Growing(kind.upper(), growth, _text(make), read, size)


# --- experiments, scenarios, policies, scripts and answers --------------------------------------------


def _scenario(agents: int, payments: list[Json]) -> Json:
    return {**GAME, "agents": [bank(f"B{number}") for number in range(agents)], "scenario_events": payments}


def _tree(size: int) -> Json:
    """Return a balanced tree of conditions."""
    if size < 2:
        return {"type": "action", "node_id": f"a{size}", "action": "Release"}
    condition = {"op": ">", "left": {"field": "balance"}, "right": {"value": size}}
    half = _tree(size // 2)
    return {"type": "condition", "node_id": f"c{size}", "condition": condition, "on_true": half, "on_false": half}


def _script(size: int, folder: Path) -> Path:
    path = folder / "answers.jsonl"
    path.write_text("".join(f'{{"agent":"A{number}","answer":"x"}}\n' for number in reversed(range(size))))
    return path


def _answer_all(path: Path) -> None:
    proposer = ScriptedProposer(path)
    for number in range(len(path.read_bytes().splitlines())):
        proposer._take(f"A{number}")


def _config(value: Json) -> object:
    return ExperimentConfig.from_mapping(value, Path())


def _check_answer(text: str) -> object:
    return check_answer(text, lambda value: [str(each) for each in check_policy(value)], lambda _: [])


def _inputs() -> Iterator[Growing]:
    known = [payment(0, f"B{number}", "B0", 1) for number in range(1, 40)]
    scenarios: dict[str, Callable[[int], Json]] = {
        "agents": lambda n: _scenario(n, known),
        "payments of many agents": lambda n: _scenario(n, [payment(0, f"B{i}", "B0", 1) for i in range(1, n)]),
        "payments of unknown agents": lambda n: _scenario(250, [payment(0, f"X{i}", "Y", 1) for i in range(n)]),
        "invalid payments": lambda n: _scenario(n, [payment(-1, f"B{i}", "B0", -1) for i in range(n)]),
        "duplicate agents": lambda n: {**GAME, "agents": [bank("A") for _ in range(n)]},
    }
    for growth, make in scenarios.items():
        yield Growing("scenario", growth, _value(make), check_scenario, 30)
    yield Growing("experiment", "payments", _value(lambda n: mapping(scenario=_scenario(n, known))), _config, 100)
    yield Growing(
        "experiment", "unknown keys", _value(lambda n: mapping(**{f"x{i}": 1 for i in range(n)})), _config, 100
    )
    policies: dict[str, Callable[[int], Json]] = {
        "nodes of a tree": lambda n: policy(0.5, _tree(n)),
        "parameters": lambda n: policy(0.5, parameters={f"p{i}": 0.5 for i in range(n)}),
        "unknown keys": lambda n: {**policy(0.5), **{f"x{i}": 1 for i in range(n)}},
    }
    for growth, make in policies.items():
        yield Growing("policy", growth, _value(make), check_policy, 64)
    yield Growing("policy", "compiled nodes", _value(lambda n: policy(0.5, _tree(n))), compile_policy, 64)
    yield Growing("script of answers", "lines in reverse", _script, _answer_all, 500)
    answers: dict[str, Callable[[int], str]] = {
        "duplicate keys": lambda n: f'{{{_joined(n, json.dumps("k#") + ":1,")}"k0":1}}',
        "empty lines": lambda n: "```json\n" + "\n \t" * n + "\n",
        "objects": lambda n: '{"a": 1} ' * n,
        "objects that are cut off": lambda n: '{"a": ' * n,
        "braces in prose": lambda n: "{ {a} { " * n,
        "brackets in an object in prose": lambda n: 'x {"a": ' + "[1," * min(n, 190) + "1," * n,
        "a long key around long integers": lambda n: f'{{"{"k" * n}":[{_joined(n // 8, "9" * 30, ",")}]}}',
    }
    for growth, make_text in answers.items():
        yield Growing("answer of a model", growth, _text(make_text), _check_answer)


# --- declared event types -----------------------------------------------------------------------------

_Declared = tuple[Json, Json]
"""The schema of an event type, and the fields of an event."""


def _append(declared: _Declared) -> None:
    schema, fields = declared
    EventLog(types=EventTypes({"epoch": schema})).append("epoch", 1, fields)


def _names(size: int) -> list[str]:
    return [f"p{number}" for number in range(size)]


def _schemas() -> Iterator[Growing]:
    closed = {"properties": {"loss": {"type": "number"}}, "additionalProperties": False}
    made: dict[str, tuple[int, Callable[[int], _Declared]]] = {
        "properties": (200, lambda n: ({"properties": {name: {"type": "number"} for name in _names(n)}}, {"p1": 1})),
        "missing fields": (100, lambda n: ({"required": _names(n)}, {})),
        "unknown fields": (100, lambda n: (closed, dict.fromkeys(_names(n), 1))),
        "unknown fields of many": (
            1000,
            lambda n: (
                {"properties": {f"{name}x": {} for name in _names(n)}, "additionalProperties": False},
                dict.fromkeys(_names(n), 1),
            ),
        ),
        "allowed values": (500, lambda n: ({"properties": {"a": {"enum": _names(n)}}}, {"a": "x"})),
        "alternatives": (50, lambda n: ({"anyOf": [{"required": [name]} for name in _names(n)]}, {"a": 1})),
        "references": (
            50,
            lambda n: (
                {
                    "$defs": {name: {"type": "number"} for name in _names(n)},
                    "properties": {name: {"$ref": f"#/$defs/{name}"} for name in _names(n)},
                },
                {"p0": "x"},
            ),
        ),
        # A shorter chain takes quadratic time and memory, up to the limit of the complexity of a schema.
        "references in a chain": (
            1500,
            lambda n: (
                {
                    "$defs": {name: {"$ref": f"#/$defs/p{number + 1}"} for number, name in enumerate(_names(n))}
                    | {f"p{n}": {"type": "number"}},
                    "properties": {"p0": {"$ref": "#/$defs/p0"}},
                },
                {"p0": "x"},
            ),
        ),
        "unique objects": (
            500,
            lambda n: ({"properties": {"a": {"uniqueItems": True}}}, {"a": [{"b": number} for number in range(n)]}),
        ),
        "invalid items": (
            50,
            lambda n: ({"properties": {"a": {"items": {"type": "string"}}}}, {"a": list(range(n))}),
        ),
        "items under a long key": (
            50,
            lambda n: (
                {"additionalProperties": {"items": {"type": "string"}}},
                {"k" * n * 100: list(range(n))},
            ),
        ),
        "patterns": (
            20,
            lambda n: ({"patternProperties": {f"^{name}$": {"type": "string"} for name in _names(n)}}, {"p0": 1}),
        ),
    }
    for growth, (size, make) in made.items():
        yield Growing("declared type", growth, _value(make), _append, size)


# --- what a command sends -----------------------------------------------------------------------------


def _receive(path: Path) -> None:
    channel = EventChannel(path.with_name(f"{path.name}.events"), SecretGuard({"A_KEY": "s3cret-value"}))
    try:
        channel.path.write_bytes(path.read_bytes())
        for _ in channel.received():
            pass
        for _ in channel.rest():
            pass
    finally:
        channel.close()
        channel.path.unlink()


def _sent(make: Callable[[int], str]) -> Make:
    def write(size: int, folder: Path) -> Path:
        path = folder / "sent"
        path.write_text(make(size))
        return path

    return write


def _channel() -> Iterator[Growing]:
    texts: dict[str, Callable[[int], str]] = {
        "lines": lambda n: '{"event_type":"epoch","loss":0.5}\n' * n,
        "empty lines": lambda n: "\n" * n,
        "one line": lambda n: f'{{"event_type":"epoch","text":"{"x" * 40 * n}"}}\n',
        "one line without an end": lambda n: "x" * 40 * n,
        "fields": lambda n: f'{{"event_type":"epoch",{_joined(n, json.dumps("f#") + ":1", ",")}}}\n',
        "duplicate fields": lambda n: f'{{{_joined(n, json.dumps("f#") + ":1,")}"f0":1}}\n',
        "lines with a secret": lambda n: '{"event_type":"epoch","text":"s3cret-value"}\n' * (n // 4),
    }
    for growth, make in texts.items():
        yield Growing("event channel", growth, _sent(make), _receive, 1000)


# --- what is recorded ---------------------------------------------------------------------------------


def _event(seq: int, **fields: Any) -> bytes:
    return canonical_json.encode({"seq": seq, "event_type": "epoch", "iteration": 1, **fields})


def _log(size: int, folder: Path, **fields: Any) -> Path:
    path = folder / "events.jsonl"
    path.write_bytes(b"".join(_event(seq, loss=seq, **fields) for seq in range(size)))
    return path


def _read_log(path: Path) -> None:
    for _ in LogReader(FileSource(path), path).entries():
        pass


def _exchange_lines(size: int, folder: Path) -> Path:
    path = folder / "exchanges.jsonl"
    messages = [{"role": "user", "content": "x" * 2000}]
    with path.open("wb") as file:
        for index in range(size):
            file.write(canonical_json.encode(numbered_exchange(index, iteration=index + 1, messages=messages)))
    return path


def _take_all(path: Path) -> None:
    reader = ExchangeReader(FileSource(path), path)
    recorded = RecordedExchanges(reader)
    for index in reversed(range(len(recorded))):
        assert recorded.take(request_fields(reader[index])) is not None


def _audit_all(path: Path) -> None:
    call = {"event_type": "llm_call", "iteration": 1, "agent_id": "A", "outcome": "invalid_json"}
    events = ({**call, "exchange": number} for number in range(path.read_bytes().count(b"\n")))
    exchanges = audit_exchanges(ExchangeReader(FileSource(path), path), events)
    Console(io.StringIO(), 80, color=False).print_lines(audit_lines(exchanges))


def _display(*, color: bool) -> Callable[[Json], object]:
    def show(event: Json) -> None:
        EventDisplay(Console(io.StringIO(), 80, color), VerboseConfig()).show(event)

    return show


def _shown(**fields: Any) -> Json:
    return {"seq": 0, "event_type": "epoch", "iteration": 1, **fields}


def _recorded() -> Iterator[Growing]:
    yield Growing("event log", "events", _log, _read_log, 1000, flat=True)
    yield Growing("event log", "an event", lambda n, folder: _log(1, folder, text="x" * n * 50), _read_log, 1000)
    yield Growing("exchanges", "exchanges, taken in reverse", _exchange_lines, _take_all, 100)
    yield Growing("audit", "exchanges", _exchange_lines, _audit_all, 100)
    events: dict[str, Callable[[int], Json]] = {
        "fields": lambda n: _shown(**{f"f{number}": number for number in range(n)}),
        "fields of wide characters": lambda n: _shown(**{f"f{number}": "世 é" for number in range(n)}),
        "spaces in a name": lambda n: _shown(**{"a" + " " * n * 10 + "b": 1}),
        "spaces in a type": lambda n: _shown(event_type=" " * n * 10),
        "words in a name": lambda n: _shown(**{"世 " * n: 1}),
        "control characters": lambda n: _shown(**{"\x1b" * n: 1}),
        "a list": lambda n: _shown(items=[0.5] * n),
    }
    for growth, make in events.items():
        for color in (False, True):
            name = f"{growth}{' in color' if color else ''}"
            yield Growing("show", name, _value(make), _display(color=color), 1500)


# --- runs and stores ----------------------------------------------------------------------------------


def _run(folder: Path, log: bytes, **files: bytes) -> Path:
    """Write a run with this log and a head that lists its files, under the run id of these files."""
    content = {"config.json": b"{}\n", "events.jsonl": log, "schemas.json": b"{}\n", **files}
    listed = {name: {"sha256": hashing.sha256_hex((data,)), "size": len(data)} for name, data in content.items()}
    counts = {"events": log.count(b"\n"), "exchanges": 0, "iterations": 0, "by_type": {}}
    content["run.json"] = canonical_json.encode(
        {
            "counts": counts,
            "failure": None,
            "files": listed,
            "format": 1,
            "inputs": listed["config.json"]["sha256"],
            "name": "grown",
            "result": {},
            "status": "completed",
            "type": "python",
        },
        indent=True,
    )
    run_id = hashing.tree_id({name: hashing.blob_id(data) for name, data in content.items()})
    for name, data in content.items():
        path = folder / run_id / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder / run_id


def _store(folder: Path) -> Path:
    folder.joinpath("store.json").write_bytes(b'{"format":1}\n')
    return folder


def _many_runs(size: int, folder: Path) -> Path:
    _store(folder)
    (folder / "tags").mkdir()
    for number in range(size):
        run = _run(folder, _event(0, n=number))
        (folder / "tags" / f"t{number}").write_text(f"{run.name}\n")
    return folder


def _many_records(size: int, folder: Path) -> Path:
    run = _run(_store(folder), _event(0))
    records = folder / "attestations" / run.name
    records.mkdir(parents=True)
    for number in range(size):
        (records / f"{number:064x}.json").write_bytes(b"{}\n")
    return run


def _verify(run: Path) -> None:
    for _ in verify_run(RunDirectory(run)):
        pass


def _resolve_all(path: Path) -> None:
    store = Store(path)
    names = store.run_ids()
    for reference in (names[0][:8], "t0", "no such run"):
        store.resolve(reference)


def _ask_all(run: Path) -> None:
    provider = StoredStateProvider(RunDirectory(run))
    provider.get_run_metadata()
    for index in range(provider.get_total_iterations()):
        provider.get_iteration_costs(index)
        provider.get_iteration_events(index)


def _iterations(size: int, folder: Path) -> Path:
    kind = "iteration_start"
    fields = EXAMPLES[kind][1]
    lines = (
        canonical_json.encode({**fields, "seq": number, "event_type": kind, "iteration": number + 1})
        for number in range(size)
    )
    return _run(folder, b"".join(lines))


def _logged(log: Callable[[int], bytes]) -> Make:
    return lambda size, folder: _run(folder, log(size))


def _artifacts(size: int, folder: Path) -> Path:
    return _run(folder, b"", **{f"artifacts/a{number}": b"x" for number in range(size)})


def _embedded(size: int, folder: Path) -> Path:
    schemas: Json = {f"event.t{number}.v1": {} for number in range(size)}
    return _run(folder, b"", **{"schemas.json": canonical_json.encode(schemas, indent=True)})


def _runs() -> Iterator[Growing]:
    logs: dict[str, tuple[int, Callable[[int], bytes]]] = {
        "events": (500, lambda n: b"".join(_event(seq) for seq in range(n))),
        "invalid events": (200, lambda n: b"[]\n" * n),
        "lines that are not canonical": (200, lambda n: b'{"a": 1}\n' * n),
        "keys of a line that is not canonical": (
            500,
            lambda n: f"{{{_joined(n, json.dumps('k') + ':1', ',')}}}\n".encode(),
        ),
        "zero bytes": (5000, lambda n: b"\0" * n * 20),
    }
    for growth, (size, log) in logs.items():
        yield Growing("verify", growth, _logged(log), _verify, size)
    yield Growing("verify", "artifacts", _artifacts, _verify, 30)
    yield Growing("verify", "embedded schemas", _embedded, _verify, 30)
    yield Growing("verify", "execution records", _many_records, _verify, 50)
    yield Growing("verify", "a store of many runs and tags", _many_runs, lambda path: [*verify_store(Store(path))], 30)
    yield Growing("store", "runs and tags, resolved", _many_runs, _resolve_all, 30)
    yield Growing("store", "runs and tags, listed", _many_runs, lambda path: list_runs(Store(path)), 20)
    yield Growing("state provider", "iterations", _iterations, _ask_all, 100)


# --- comparisons --------------------------------------------------------------------------------------


def _pair(change: Callable[[int, int], bytes | None]) -> Make:
    """Two runs: the second has what `change` makes of each event of the first, by its number and the size."""

    def make(size: int, folder: Path) -> tuple[Path, Path]:
        lines = [change(number, size) for number in range(size)]
        other = [line for line in lines if line is not None]
        return (
            _run(folder / "old", b"".join(_event(seq, loss=seq) for seq in range(size))),
            _run(folder / "new", b"".join(line.replace(b"SEQ", b"%d" % seq) for seq, line in enumerate(other))),
        )

    return make


def _other(number: int, **fields: Any) -> bytes:
    return (
        canonical_json.encode({"event_type": "epoch", "iteration": 1, "loss": number, **fields})[:-2] + b',"seq":SEQ}\n'
    )


def _diff(runs: tuple[Path, Path]) -> object:
    return diff(*map(RunDirectory, runs)).as_dict()


def _diffs() -> Iterator[Growing]:
    changes: dict[str, Callable[[int, int], bytes | None]] = {
        "events, all of which differ": lambda i, _: _other(i + 1),
        "events, one of which is missing": lambda i, n: None if i == n // 2 else _other(i),
        "events, every other one of which is missing": lambda i, _: None if i % 2 else _other(i),
        "events of other iterations": lambda i, _: _other(i, iteration=i + 1),
        "events of other agents": lambda i, _: _other(i, agent_id=f"A{i}"),
    }
    for growth, change in changes.items():
        yield Growing("diff", growth, _pair(change), _diff, 300)
    values: dict[str, Callable[[int], tuple[Any, Any]]] = {
        "keys": lambda n: (dict.fromkeys(_names(n), 1), dict.fromkeys(_names(n), 2)),
        "items": lambda n: ([1] * n, [2] * n),
        "named items": lambda n: ([{"id": name} for name in _names(n)], [{"id": name} for name in _names(n)[::-1]]),
    }
    for growth, make in values.items():
        yield Growing("diff of values", growth, _value(make), lambda pair: differences(*pair), 2000)
        yield Growing("diff of configs", growth, _value(make), lambda pair: [*config_differences(*pair)], 1000)
    texts: dict[str, Callable[[int], tuple[str, str]]] = {
        "lines, all of which differ": lambda n: ("a\n" * n, "b\n" * n),
        "lines, one of which is missing": lambda n: (_joined(n, "#\n"), _joined(n, "#\n").replace("7\n", "", 1)),
        "a line": lambda n: ("a" * n * 10, "a" * n * 10 + "b"),
    }
    for growth, make_text in texts.items():
        yield Growing("diff of texts", growth, _value(make_text), lambda pair: text_hunks(*pair), 4000)
    yield Growing("rerun", "files that differ", _pair(lambda i, _: _other(i + 1)), _compare_files, 100)


def _compare_files(runs: tuple[Path, Path]) -> object:
    old, new = map(RunDirectory, runs)
    return compare_files(old, new, 0)


# --- git ----------------------------------------------------------------------------------------------


def _entries(size: int) -> dict[str, Entry]:
    folders = [f"{number:064x}" for number in range(size)]
    files = [f"runs/{folder}/{name}" for folder in folders for name in ("run.json", "events.jsonl", "artifacts/a/b")]
    return {"runs/store.json": Entry("100644", "0" * 40), **{file: Entry("100644", "0" * 40) for file in files}}


def _read_entries(entries: dict[str, Entry]) -> None:
    for folder in store_folders(entries):
        store = GitStore("HEAD", folder, TreeIndex(entries), cast(Any, SimpleNamespace()))
        for name in store.run_names():
            store.entries(name)
            store.attestation_entries(name)
            for _ in store.check_entries(name):
                pass


def _git() -> Iterator[Growing]:
    yield Growing("git", "runs in a revision", _value(_entries), _read_entries, 100)


# --- secrets ------------------------------------------------------------------------------------------

_GUARD = SecretGuard({"A_KEY": "s3cret-value-0123"}, has_shapes=True)
_REDACTING = SecretGuard({"A_KEY": "s3cret-value-0123"}, redacts=True)
_TOKEN = "ghp_0a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R"


def _search(value: Any) -> None:
    _GUARD.check("event", canonical_json.encode(value), value)


def _scan(text: str) -> None:
    data, scan = text.encode(), _GUARD.scan()
    for start in range(0, len(data), 4096):
        scan.passed(data[start : start + 4096])


def _secrets() -> Iterator[Growing]:
    texts: dict[str, Callable[[int], str]] = {
        "words": lambda n: "word " * n,
        "beginnings of a token": lambda n: "eyJ" * n,
        "beginnings of a key": lambda n: "-----BEGIN A " * n,
        "beginnings of URLs": lambda n: "://a:" * n,
        "secrets": lambda n: f"{_TOKEN} " * (n // 10),
        "escapes": lambda n: "\\u0041" * n,
        "percents": lambda n: "%41" * n,
    }
    for growth, make in texts.items():
        for place, read in (("record", _search), ("stream", _scan), ("message", _GUARD.redacted)):
            yield Growing("secret guard", f"{growth} in a {place}", _text(make), read, 200)
    yield Growing("secret guard", "base64 before and after secrets, redacted", _text(_base64), _REDACTING.redacted, 200)
    yield Growing(
        "secret guard",
        "secrets under a long key",
        _value(lambda n: {"k" * n * 20: [_TOKEN] * (n // 10)}),
        _search,
        200,
    )
    yield Growing("files of secrets", "variables in .env", _env_file, lambda path: find_secrets({}, folder=path), 200)
    yield Growing("compressed artifact", "members of a zip file", _zip_file, _read_members, 400)


def _base64(size: int) -> str:
    encoded = base64.b64encode(b"x s3cret-value-0123 and more").decode()
    return f"{'a' * size}! {encoded} " * 2


def _env_file(size: int, folder: Path) -> Path:
    (folder / ".env").write_text(_joined(size, "A#_TOKEN=0a1b2c3d4e5f#\n"))
    return folder


def _zip_file(size: int, folder: Path) -> Path:
    path = folder / "grown.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(size):
            archive.writestr(str(number), b"x")
    return path


def _read_members(path: Path) -> None:
    with path.open("rb") as file:
        for _, pieces in read_members(file):
            for _ in pieces:
                pass


CASES = [
    *_documents(),
    *_inputs(),
    *_schemas(),
    *_channel(),
    *_recorded(),
    *_runs(),
    *_diffs(),
    *_git(),
    *_secrets(),
]


@pytest.fixture(autouse=True)
def small_heap() -> Iterator[None]:
    """Leave the objects of the tests before out of the collections between measurements: they took most of the time."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_time_grows_with_the_input(case: Growing, tmp_path: Path) -> None:
    assert excess_time(case, tmp_path) is None


@pytest.mark.parametrize("case", CASES if WIDE else CASES[::6], ids=str)
def test_memory_grows_with_the_input(case: Growing, tmp_path: Path) -> None:
    assert excess_memory(case, tmp_path) is None


def test_a_quadratic_reader_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def count_pairs(size: int) -> int:
        return sum(1 for _ in range(size * size))

    monkeypatch.setattr("tests.fault.growth.ATTEMPTS", 1)
    monkeypatch.setattr("tests.fault.growth.ENLARGEMENTS", (1, 2))
    excess = excess_time(Growing("pairs", "items", _value(lambda size: size), count_pairs, 200), tmp_path)
    assert excess is not None
    assert "for 8 times the input" in excess


def test_a_reader_that_keeps_pairs_is_found(tmp_path: Path) -> None:
    def keep_pairs(size: int) -> int:
        return len([None] * size * size)

    excess = excess_memory(Growing("pairs", "items", _value(lambda size: size), keep_pairs, 200), tmp_path)
    assert excess is not None
    assert "more than 2.3 times" in excess
