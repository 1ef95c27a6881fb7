"""Parsers of JSON, TOML and YAML text: values, the line of each key, and duplicate keys."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from exprec.recorder.diagnostics import key_name
from exprec.recorder.errors import KeyPath, Problem

MAX_DEPTH = 200
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**64 - 1
# A few aliases can expand to a huge value; this many values is far more than any honest file repeats.
_MAX_REPEATED = 100_000
# Longer digit strings are beyond 64 bits anyway, and Python refuses to convert very long ones.
_MAX_DIGITS = 40

Lines = dict[KeyPath, int]


class BadSyntaxError(Exception):
    """The text is not of its format, at a line where that is known; or `problems` say it in detail."""

    def __init__(self, message: str, line: int | None = None, problems: Sequence[Problem] = ()) -> None:
        self.line, self.problems = line, problems
        super().__init__(message)


@dataclass(slots=True)
class Reading:
    """What a format's reader found: a value, not yet of JSON types only, lines, and problems so far."""

    value: Any = None
    lines: Lines = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def key(self, path: KeyPath, line: int, seen: dict[str, int]) -> None:
        """Note the key at the end of `path`; `seen` holds the keys of its mapping and their lines."""
        name = str(path[-1])
        if name in seen:
            self.problems.append(Problem(path, f"this key stands twice; line {seen[name]} has it first", line=line))
        else:
            seen[name] = line
        self.lines[path] = line


class Refused:
    """Placeholder for a refused value, which is later replaced by null."""


# --- JSON ---------------------------------------------------------------------------------------------

_JSON_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],]|[^\s{}\[\],:"]+', re.DOTALL)


def read_json(text: str) -> Reading:
    """Read JSON text; raise BadSyntaxError if it is not JSON."""
    try:
        value = json.loads(text, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise BadSyntaxError(error.msg, error.lineno) from None
    reading = Reading(value)
    _scan_json(text, reading)
    return reading


def _integer(digits: str) -> int:
    return int(digits[:_MAX_DIGITS])


def _scan_json(text: str, reading: Reading) -> None:
    """The line of every key and item. Relies on the text being JSON: it only has to follow the nesting."""
    parents: list[tuple[KeyPath, dict[str, int] | None]] = []
    here: KeyPath = ()
    expects_key = False
    line, counted = 1, 0
    for token in _JSON_TOKEN.finditer(text):
        line += text.count("\n", counted, token.start())
        counted = token.start()
        keys = parents[-1][1] if parents else None
        match token[0]:
            case "{" | "[" as bracket:
                reading.lines.setdefault(here, line)
                expects_key = bracket == "{"
                parents.append((here, {} if expects_key else None))
                here = here if expects_key else (*here, 0)
            case "}" | "]":
                here, _ = parents.pop()
                expects_key = False
            case ",":
                expects_key = keys is not None
                here = here if keys is not None else (*here[:-1], int(here[-1]) + 1)
            case name if expects_key and keys is not None:
                here = (*parents[-1][0], json.loads(name))
                reading.key(here, line, keys)
                expects_key = False
            case _:
                reading.lines.setdefault(here, line)


# --- TOML ---------------------------------------------------------------------------------------------

_TOML_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})' + r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\\n])*"' + r"|'[^'\n]*'|#[^\n]*|\n|[\[\]{}=.]|[^\s\[\]{}=.#\"']+|.",
    re.DOTALL,
)
_TOML_LINE = re.compile(r" \(at line (\d+), column \d+\)$")


def read_toml(text: str) -> Reading:
    """Read TOML text; raise BadSyntaxError if it is not TOML."""
    reading = Reading(lines={(): 1})
    _scan_toml(text, reading)
    try:
        reading.value = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # tomllib stops at the first duplicate key; the scan has them all.
        if reading.problems and str(error).startswith("Cannot"):
            located = [replace(problem, key=key_name(problem.path)) for problem in reading.problems]
            raise BadSyntaxError("", problems=located) from None
        place = _TOML_LINE.search(str(error))
        raise BadSyntaxError(_TOML_LINE.sub("", str(error)), int(place[1]) if place else None) from None
    except ValueError:
        # Python refuses to convert thousands of digits.
        raise BadSyntaxError("an integer is beyond 64 bits") from None
    return reading


def _scan_toml(text: str, reading: Reading) -> None:
    """The line of every table header and `key =`; keys inside a value go by the key that it belongs to."""
    table: KeyPath = ()
    arrays: dict[KeyPath, int] = {}
    seen: dict[KeyPath, dict[str, int]] = {}

    def note(path: KeyPath, line: int) -> None:
        reading.key(path, line, seen.setdefault(path[:-1], {}))

    for words, is_header, line in _toml_statements(text):
        names = [_toml_name(word) for word in words if word not in (".", "[", "]")]
        if not names:
            continue
        if len(names) > MAX_DEPTH:
            # tomllib takes memory with the square of them.
            raise RecursionError
        if not is_header:
            note((*table, *names), line)
            continue
        table = (*_in_arrays(names[:-1], arrays), names[-1])
        if words[:2] == ["[", "["]:
            arrays[table] = arrays.get(table, -1) + 1
            reading.lines.setdefault(table, line)
            table = (*table, arrays[table])
            reading.lines[table] = line
        else:
            table = _in_arrays(names, arrays)
            note(table, line)


def _toml_statements(text: str) -> Iterator[tuple[list[str], bool, int]]:
    """The words before each `=`, or of each header; whether it is a header; its line."""
    words: list[str] = []
    line = start = 1
    depth, in_value = 0, False
    for token in _TOML_TOKEN.finditer(text):
        word = token[0]
        if word == "\n" and depth <= 0:
            if words and words[0] == "[":
                yield words, True, start
            words, depth, in_value = [], 0, False
        elif in_value:
            depth += (word in "[{") - (word in "]}")
        elif word == "=":
            yield words, False, start
            words, in_value = [], True
        elif not word.isspace() and not word.startswith("#"):
            start = start if words else line
            words.append(word)
        line += word.count("\n")
    if words and words[0] == "[":
        yield words, True, start


def _toml_name(word: str) -> str:
    if word[0] not in "\"'":
        return word
    try:
        return str(tomllib.loads(f"name = {word}")["name"])
    except tomllib.TOMLDecodeError:
        return word


def _in_arrays(names: Sequence[str], arrays: dict[KeyPath, int]) -> KeyPath:
    """Return the path of a dotted name, in which an array of tables means its last table."""
    path: KeyPath = ()
    for name in names:
        path = (*path, name)
        if path in arrays:
            path = (*path, arrays[path])
    return path


# --- YAML ---------------------------------------------------------------------------------------------

_TAG = "tag:yaml.org,2002:"


def read_yaml(text: str) -> Reading:
    """Read YAML 1.2 text; raise BadSyntaxError if it is not YAML."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.reader import ReaderError

    yaml = YAML(typ="safe", pure=True)
    yaml.composer.warn_double_anchors = False
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = ", ".join(part for part in (error.context, error.problem) if part)
        raise BadSyntaxError(message, mark.line + 1 if mark else None) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise BadSyntaxError(f"the character U+{ord(text[error.position]):04X} is not allowed", line) from None
    except RecursionError:
        raise
    except Exception as error:
        # On some malformed escapes and directives ruamel.yaml raises what Python raised to it.
        raise BadSyntaxError(str(error) or type(error).__name__) from None
    if yaml.resolver.processing_version != (1, 2):
        raise BadSyntaxError("the file asks for YAML 1.1, in which words like 'no' are not text; exprec reads YAML 1.2")
    walk = _YamlWalk(yaml.constructor)
    if root is not None:
        walk.reading.lines[()] = root.start_mark.line + 1
        walk.reading.value = walk.value(root, ())
    return walk.reading


class _YamlWalk:
    """Composed YAML nodes to values, collecting lines and problems on the way."""

    def __init__(self, constructor: Any) -> None:
        self.reading = Reading()
        self._scalars: dict[str, Callable[[Any], Any]] = {
            f"{_TAG}str": lambda node: node.value,
            f"{_TAG}value": lambda node: node.value,
            f"{_TAG}null": lambda _: None,
            f"{_TAG}bool": constructor.construct_yaml_bool,
            f"{_TAG}int": lambda node: (
                MAX_INTEGER + 1 if len(node.value) > _MAX_DIGITS else constructor.construct_yaml_int(node)
            ),
            f"{_TAG}float": constructor.construct_yaml_float,
        }
        self._open: set[int] = set()
        self._known: set[int] = set()
        self._repeated = 0

    def value(self, node: Any, path: KeyPath) -> Any:
        if len(path) > MAX_DEPTH:
            raise RecursionError
        self._count(node)
        if id(node) in self._open:
            return self._refuse(path, "this alias stands inside the value it repeats")
        if node.id == "scalar":
            return self._scalar(node, path)
        if str(node.tag) not in (f"{_TAG}map", f"{_TAG}seq"):
            return self._refuse(path, f"the tag {node.tag} is not supported; use plain mappings and lists")
        self._open.add(id(node))
        try:
            return self._mapping(node, path) if node.id == "mapping" else self._sequence(node, path)
        finally:
            self._open.remove(id(node))

    def _count(self, node: Any) -> None:
        self._repeated += id(node) in self._known
        self._known.add(id(node))
        if self._repeated > _MAX_REPEATED:
            raise BadSyntaxError(f"its aliases repeat more than {_MAX_REPEATED} values")

    def _sequence(self, node: Any, path: KeyPath) -> list[Any]:
        for index, item in enumerate(node.value):
            self.reading.lines[(*path, index)] = item.start_mark.line + 1
        return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]

    def _mapping(self, node: Any, path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        seen: dict[str, int] = {}
        for key, part in node.value:
            line = key.start_mark.line + 1
            if reason := _reason_against_key(key):
                self.reading.problems.append(Problem(path, reason, line=line))
                continue
            self.reading.key((*path, key.value), line, seen)
            mapping[key.value] = self.value(part, (*path, key.value))
        return mapping

    def _scalar(self, node: Any, path: KeyPath) -> Any:
        construct = self._scalars.get(str(node.tag))
        if construct is None:
            kind = str(node.tag).removeprefix(_TAG)
            return self._refuse(path, f"{node.value!r} is a {kind} in YAML, which has no JSON equivalent; quote it")
        try:
            return construct(node)
        except (ValueError, KeyError, IndexError):
            return self._refuse(path, f"{node.value!r} is not a {str(node.tag).removeprefix(_TAG)}")

    def _refuse(self, path: KeyPath, message: str) -> Refused:
        self.reading.problems.append(Problem(path, message))
        return Refused()


def _reason_against_key(node: Any) -> str | None:
    if str(node.tag) == f"{_TAG}merge":
        return "merge keys (<<) are not part of YAML 1.2; write the keys out"
    if node.id == "scalar" and str(node.tag) in (f"{_TAG}str", f"{_TAG}value"):
        return None
    if node.id == "scalar":
        return f"a key must be a string, not {node.value!r}; write it in quotes"
    return f"a key must be a string, not a {node.id}"
