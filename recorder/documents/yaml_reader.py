"""YAML 1.2 text to a value and the line of each key; duplicate keys are problems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exprec.recorder.documents.reading import BadSyntaxError, Reading, Refused
from exprec.recorder.errors import KeyPath, Problem
from exprec.recorder.format import layout

_MAX_REPEATED = 100_000
"""Maximum values repeated by aliases, of which a few can produce a huge value; no honest file repeats as many."""

_TAG = "tag:yaml.org,2002:"


def read_yaml(text: str) -> Reading:
    """Read YAML text. Raises BadSyntaxError, RecursionError."""
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

    def value(self, node: Any, path: KeyPath) -> Any:
        if len(path) > layout.MAX_DOCUMENT_DEPTH:
            raise RecursionError
        self._count(node)
        if id(node) in self._open:
            return self._refuse(path, "this alias is inside the value it repeats")
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
