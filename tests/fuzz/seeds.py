"""Valid inputs for each target, from recorded runs and examples, as the start of mutations."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from exprec.recorder.format import layout
from tests.fixtures.experiments import EXPERIMENT, GAME, RANDOM_GAME, policy
from tests.fixtures.paths import ROOT
from tests.fuzz.targets import ARCHIVE, CALLS, FILES, FORGED, RUNS

CORPUS = ROOT / "tests" / "fuzz" / "corpus"
LARGEST_CORPUS = 200_000
"""The limit of the corpus in bytes: every clone has all of it."""
PREFIXES = {"config": 1, "check": 1, "run": 1, "command": 2, "arguments": 1}
"""The number of leading bytes of an input that choose what is done with the rest."""

_DATA = ROOT / "tests" / "data"
_YAML = b"""# comment
name: &anchor "two banks"
list: [1, 2.5, -0.0, 1e16, null, true, 0x1F, 0o17, .inf]
block: |
  text
folded: >-
  more
  text
alias: *anchor
nested: {a: {b: {c: [~, '', "\\u00e9", 2001-01-01]}}}
? complex
: value
"""
_TOML = b"""# comment
name = "two banks"
dotted.key.of = 'literal'
list = [1, 2.5, 1e16, true, 0x1F, "a\\u00e9", \"\"\"more
lines\"\"\"]
[table."quoted key"]
inline = {a = 1, b.c = 2}
[[array]]
x = 1
[[array]]
x = 2
[array.sub]
y = -0.0
"""
_TOML_EXPERIMENT = b"""name = "x"
optimized_agents = ["A"]
[scenario]
[evaluation]
mode = "bootstrap"
ticks = 2
[llm]
model = "search"
"""
_SCHEMA = """{
"title": "An epoch",
"x-exprec-display": "epoch {iteration:>3} {loss:.4f} {part.n} {{}}",
"type": "object",
"properties": {
  "loss": {"type": ["number", "null"], "minimum": 0, "multipleOf": 0.5},
  "text": {"$ref": "#/$defs/text"},
  "part": {"anyOf": [
    {"type": "object", "patternProperties": {"^n$": {"items": {"type": "integer"}}}},
    {"const": 1}
  ]}
},
"$defs": {"text": {"type": "string", "pattern": "^[a-zé]*$", "maxLength": 20}},
"required": ["loss"],
"additionalProperties": false,
"dependentRequired": {"part": ["text"]}
}"""
_TREE = """{
"type": "condition", "node_id": "c", "description": "d",
"condition": {"op": "and", "conditions": [
  {"op": ">", "left": {"field": "balance"},
   "right": {"compute": {"op": "*", "left": {"param": "x"}, "right": {"value": 2}}}},
  {"op": "not", "condition": {
   "op": "<=",
   "left": {"compute": {"op": "max", "values": [{"value": 1}, {"field": "amount"}]}},
   "right": {"compute": {"op": "/", "left": {"value": 1.0}, "right": {"field": "ticks_to_deadline"}}}}}
]},
"on_true": {"type": "action", "node_id": "a", "action": "Split", "parameters": {"num_splits": {"value": 2}}},
"on_false": {"type": "action", "node_id": "b", "action": "Hold", "parameters": {"reason": {"value": "wait"}}}
}"""
_PARAMETERS = {"x": 1.0, "initial_liquidity_fraction": 0.5}


def corpus(target: str) -> list[bytes]:
    """Return the corpus of a target: inputs that once revealed a fault or a branch."""
    return [path.read_bytes() for path in sorted((CORPUS / target).glob("*"))]


def seeds(target: str) -> list[bytes]:
    """Return valid inputs for a target."""
    return list(_SEEDS[target]())


def _dumped(*values: object) -> list[bytes]:
    return [json.dumps(value, ensure_ascii=False).encode() for value in values]


def _jsons() -> list[bytes]:
    twice = b'{"a": {"b": [1, -0.0, 1e400, "\\u00e9\\ud83d\\ude00"], "a": 1}, "a": 2}'
    return [*_dumped(EXPERIMENT), _SCHEMA.encode(), twice]


def _tomls() -> list[bytes]:
    return [_TOML, _TOML + b"z = inf\nwhen = 2001-01-01T00:00:00Z\n"]


def _yamls() -> list[bytes]:
    return [_YAML, (_DATA / "every_event.yaml").read_bytes()]


def _configs() -> Iterator[bytes]:
    scripted = (_DATA / "every_event.yaml").read_bytes()
    yield b"\0" + scripted.replace(b"scripted:every_event.answers.jsonl", b"search")
    yield b"\0" + (ROOT / "examples" / "castro" / "two-period.yaml").read_bytes()
    yield b"\1" + _dumped(EXPERIMENT)[0]
    yield b"\2" + _TOML_EXPERIMENT


def _tree_policy() -> dict[str, Any]:
    return {**policy(0.5, json.loads(_TREE)), "parameters": _PARAMETERS}


def _scenarios() -> list[bytes]:
    agents = [{**each, "policy": _tree_policy()} for each in RANDOM_GAME["agents"]]
    return _dumped(GAME, RANDOM_GAME, {**RANDOM_GAME, "agents": agents})


def _policies() -> list[bytes]:
    return _dumped(policy(0.5), _tree_policy())


def _scripts() -> list[bytes]:
    return [(_DATA / "every_event.answers.jsonl").read_bytes()]


def _answers() -> list[bytes]:
    return [*_policies(), b'```json\n{"version": "2.0"}\n```', b"I would rather not"]


def _schemas() -> list[bytes]:
    return [_SCHEMA.encode(), b"{}", b"true"]


def _templates() -> list[bytes]:
    every_form = b"epoch {iteration:>3}: {{{loss:+.3e}}} {n:,d} {part.n} {text:^9.2}"
    event = b'{"loss": 1e300, "n": 18446744073709551615, "part": {"n": [null]}}'
    return [every_form + b"\n" + event, b'{a:%}{a:<99,.99f}{a:d}{a:g}\n{"a": -0.0}']


def _sent() -> list[bytes]:
    epoch = b'{"event_type":"epoch","iteration":1,"loss":0.5}\n\n'
    note = b'{"event_type":"note","text":"\\u00e9","a":[{"b":1e300}]}\n{"event_type":"x"}'
    return [epoch + note, b'{"event_type":"epoch","loss":1e400}\n{"event_ty']


def _of_run(name: str, file: str) -> bytes:
    address = (ARCHIVE / "store" / layout.TAGS_FOLDER / name).read_text("ascii").strip()
    path = ARCHIVE / "store" / address / file
    return path.read_bytes() if path.exists() else b""


def _events() -> list[bytes]:
    return [_of_run(name, layout.EVENTS_FILE)[:12000] for name in RUNS]


def _exchanges() -> list[bytes]:
    return [b"".join(_of_run("asked", layout.EXCHANGES_FILE).splitlines(keepends=True)[:2])]


def _runs() -> Iterator[bytes]:
    choices = len(RUNS) * len(FILES)
    for number in range(choices):
        content = _of_run(RUNS[number % len(RUNS)], FILES[number // len(RUNS)])
        yield bytes([number]) + content
        if content:
            # The same choice with a forged head: most readers look at the size first.
            yield bytes([number + (FORGED // choices + 1) * choices]) + content


def _commands() -> Iterator[bytes]:
    for number, data in enumerate(_runs()):
        yield bytes([number % len(CALLS)]) + data


def _stores() -> list[bytes]:
    return [b'{"format":1}\n']


def _tags() -> list[bytes]:
    return [(ARCHIVE / "store" / layout.TAGS_FOLDER / "asked").read_bytes(), b"0" * 64 + b"\n"]


def _attestations() -> list[bytes]:
    paths = sorted((ARCHIVE / "store" / layout.ATTESTATIONS_FOLDER).glob("*/*.json"))
    return [path.read_bytes() for path in paths[:1]]


def _works() -> Iterator[bytes]:
    for head in sorted((ARCHIVE / "work").glob("*.json")):
        yield head.read_bytes() + b"\0" + (head.with_suffix("") / layout.EVENTS_FILE).read_bytes()


def _checked() -> Iterator[bytes]:
    yield from _configs()
    for data in (*_policies(), *_scenarios()):
        yield b"\1" + data


def _words() -> list[bytes]:
    calls = (
        b"\0asked --iteration 1-2",
        b"\1--name x --limit 3",
        b"\2--all --quick",
        b"\3asked failed --json",
        b"\5event.v1",
        b"\6a asked",
    )
    return [call.replace(b" ", b"\0") for call in calls]


_SEEDS: dict[str, Callable[[], Iterable[bytes]]] = {
    "json": _jsons,
    "toml": _tomls,
    "yaml": _yamls,
    "config": _configs,
    "policy": _policies,
    "scenario": _scenarios,
    "script": _scripts,
    "answer": _answers,
    "schema": _schemas,
    "template": _templates,
    "inbox": _sent,
    "event": _events,
    "exchanges": _exchanges,
    "run": _runs,
    "store": _stores,
    "tag": _tags,
    "attestation": _attestations,
    "work": _works,
    "command": _commands,
    "check": _checked,
    "arguments": _words,
}
