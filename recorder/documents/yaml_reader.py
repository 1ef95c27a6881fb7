"""YAML 1.2 text to a value and the line of each key; duplicate keys are problems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exprec.recorder.diagnostics import cut_text, show_value
from exprec.recorder.documents.reading import BadSyntaxError, Lines, Reading, Refused
from exprec.recorder.errors import KeyPath, Problem
from exprec.recorder.format import layout

_MAX_REPEATED = 100_000
"""Maximum values repeated by aliases, of which a few can produce a huge value; no honest file repeats as many."""

_LONGEST_TAG = 60
"""Characters of a tag in a message."""

_TAG = "tag:yaml.org,2002:"


def read_yaml(text: str) -> Reading:
    """Read YAML text. Raises BadSyntaxError, RecursionError."""
    from ruamel.yaml.error import MarkedYAMLError
    from ruamel.yaml.reader import ReaderError

    from exprec.recorder.documents.bounded_yaml import bounded_yaml

    yaml = bounded_yaml()
    try:
        root = yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = ", ".join(part for part in (error.context, error.problem) if part)
        raise BadSyntaxError(message, mark.line + 1 if mark else None) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise BadSyntaxError(f"the character U+{ord(text[error.position]):04X} is not allowed", line) from None
    except (BadSyntaxError, RecursionError):
        raise
    except Exception as error:
        # On some malformed escapes and directives ruamel.yaml raises what Python raised to it.
        raise BadSyntaxError(str(error) or type(error).__name__) from None
    if yaml.resolver.processing_version != (1, 2):
        raise BadSyntaxError("the file asks for YAML 1.1, in which words like 'no' are not text; exprec reads YAML 1.2")
    walk = _YamlWalk(yaml.constructor)
    if root is not None:
        walk.reading.lines.line = root.start_mark.line + 1
        walk.reading.value = walk.value(root, (), walk.reading.lines)
    return walk.reading


class _YamlWalk:
    """Converts composed YAML nodes to values, and collects lines and problems."""

    def __init__(self, constructor: Any) -> None:
        self.reading = Reading()
        self._scalars: dict[str, Callable[[Any], Any]] = {
            f"{_TAG}str": lambda node: node.value,
            f"{_TAG}value": lambda node: node.value,
            f"{_TAG}null": lambda _: None,
            f"{_TAG}bool": constructor.construct_yaml_bool,
            f"{_TAG}int": lambda node: (
                layout.MAX_INTEGER + 1 if len(node.value) > layout.MAX_DIGITS else constructor.construct_yaml_int(node)
            ),
            f"{_TAG}float": constructor.construct_yaml_float,
        }
        self._open: set[int] = set()
        self._known: set[int] = set()
        self._repeated = 0

    def value(self, node: Any, path: KeyPath, lines: Lines) -> Any:
        """Return the value of a node; `lines` are those of the value."""
        if len(path) > layout.MAX_DOCUMENT_DEPTH:
            raise RecursionError
        self._count(node)
        if id(node) in self._open:
            return self._refuse(path, "this alias is inside the value it repeats")
        if node.id == "scalar":
            return self._scalar(node, path)
        if str(node.tag) not in (f"{_TAG}map", f"{_TAG}seq"):
            return self._refuse(
                path, f"the tag {cut_text(str(node.tag), _LONGEST_TAG)} is not supported; use plain mappings and lists"
            )
        self._open.add(id(node))
        try:
            return self._mapping(node, path, lines) if node.id == "mapping" else self._sequence(node, path, lines)
        finally:
            self._open.remove(id(node))

    def _count(self, node: Any) -> None:
        self._repeated += id(node) in self._known
        self._known.add(id(node))
        if self._repeated > _MAX_REPEATED:
            raise BadSyntaxError(f"its aliases repeat more than {_MAX_REPEATED} values")

    def _sequence(self, node: Any, path: KeyPath, lines: Lines) -> list[Any]:
        for index, item in enumerate(node.value):
            lines.add(index, item.start_mark.line + 1, replace=True)
        return [
            self.value(item, (*path, index), _inner_lines(item, lines, index)) for index, item in enumerate(node.value)
        ]

    def _mapping(self, node: Any, path: KeyPath, lines: Lines) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        seen: dict[str, int] = {}
        for key, part in node.value:
            line = key.start_mark.line + 1
            if reason := _reason_against_key(key):
                self.reading.problems.append(Problem(path, reason, line=line))
                continue
            inner: KeyPath = (*path, key.value)
            if key.value in seen:
                self.reading.duplicate_key(inner, line, seen[key.value])
            seen.setdefault(key.value, line)
            lines.add(key.value, line, replace=True)
            mapping[key.value] = self.value(part, inner, _inner_lines(part, lines, key.value))
        return mapping

    def _scalar(self, node: Any, path: KeyPath) -> Any:
        construct = self._scalars.get(str(node.tag))
        if construct is None:
            kind = cut_text(str(node.tag).removeprefix(_TAG), _LONGEST_TAG)
            return self._refuse(
                path, f"{show_value(node.value)} is a {kind} in YAML, which has no JSON equivalent; quote it"
            )
        try:
            return construct(node)
        except (ValueError, KeyError, IndexError):
            return self._refuse(path, f"{show_value(node.value)} is not a {str(node.tag).removeprefix(_TAG)}")

    def _refuse(self, path: KeyPath, message: str) -> Refused:
        self.reading.problems.append(Problem(path, message))
        return Refused()


def _inner_lines(node: Any, lines: Lines, key: str | int) -> Lines:
    """Return the lines of a node under a key; a scalar has none but its own."""
    return lines if node.id == "scalar" else lines.open(key)


def _reason_against_key(node: Any) -> str | None:
    if str(node.tag) == f"{_TAG}merge":
        return "merge keys (<<) are not part of YAML 1.2; write the keys out"
    if node.id == "scalar" and str(node.tag) in (f"{_TAG}str", f"{_TAG}value"):
        return None
    if node.id == "scalar":
        return f"a key must be a string, not {show_value(node.value)}; write it in quotes"
    return f"a key must be a string, not a {node.id}"
