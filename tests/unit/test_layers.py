"""The layers hold: imports go down only, and each effect has its one module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fixtures.support import ROOT

# From the top down. A room imports itself and the rooms of the lines below; those of one line are strangers.
ROOMS: tuple[tuple[str, ...], ...] = (
    ("cli",),
    ("recorder.experiment",),
    ("recorder.sessions", "recorder.display"),
    ("recorder.proposers", "recorder.payments", "recorder.replay"),
    ("recorder.diff",),
    ("recorder.verify", "recorder.query", "recorder.git"),
    ("recorder.state",),
    ("recorder.store",),
    ("recorder.events",),
    ("recorder.schema",),
    ("recorder.documents",),
    ("recorder.diagnostics",),
    ("recorder.format", "recorder.fs"),
    ("recorder.errors", "recorder.version", "recorder.exports"),
    ("schemas",),
)

SOURCES = sorted(path for folder in ("recorder", "cli", "schemas") for path in (ROOT / folder).rglob("*.py"))


# Modules that still import upwards; each goes with the change that gives its code the right room.
UPWARDS = {
    "recorder.documents.loader",
    "recorder.documents.parsers",
    "recorder.format.hashing",
    "recorder.fs.safe_read",
    "recorder.git.branch",
    "recorder.git.source",
    "recorder.schema.event_types",
    "recorder.schema.messages",
}


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _room(module: str) -> tuple[int, str] | None:
    for level, rooms in enumerate(ROOMS):
        for room in rooms:
            if module == room or module.startswith(room + "."):
                return level, room
    return None


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, f"{path}: relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


# The packages themselves: `recorder` offers the public names of every layer, `cli` is empty.
@pytest.mark.parametrize("path", [p for p in SOURCES if _module(p) != "recorder"], ids=_module)
def test_imports_go_down_only(path: Path) -> None:
    room = _room(_module(path))
    assert room is not None, f"{_module(path)} belongs to no room: give it one"
    for name in _imports(path):
        target = _room(name.removeprefix("exprec.")) if name.startswith("exprec.") else None
        if target is not None and target[1] != room[1] and _module(path) not in UPWARDS:
            assert target[0] > room[0], f"{_module(path)} imports {name}, which is not below it"


ONLY_IN: dict[str, tuple[str, ...]] = {
    "rich": ("recorder.display", "cli.output"),
    "click": ("cli",),
    "ruamel": ("recorder.documents.parsers",),
    "orjson": ("recorder.format.canonical_json", "schemas"),
    "time": ("cli.terminal", "recorder.sessions.provenance"),
    "datetime": ("recorder.sessions.provenance",),
    "random": (),
    "secrets": ("recorder.fs.durable",),
    "socket": ("recorder.sessions.provenance",),
    "subprocess": ("recorder.git", "cli.pager", "recorder.sessions.provenance", "recorder.sessions.command"),
    "shutil": ("recorder.fs.durable", "recorder.display.console"),
    "tempfile": ("cli.commands.rerun", "recorder.git"),
    "fcntl": ("recorder.fs.durable",),
}


@pytest.mark.parametrize("path", SOURCES, ids=_module)
def test_each_effect_has_its_place(path: Path) -> None:
    module = _module(path)
    for name in _imports(path):
        allowed = ONLY_IN.get(name.partition(".")[0])
        # A type for an annotation is no effect: the displays name rich's console.
        if allowed is not None and not any(module == room or module.startswith(room + ".") for room in allowed):
            pytest.fail(f"{module} imports {name}; only {', '.join(allowed) or 'nothing'} may")


# The one writer, and modules that are to use it.
WRITERS = {"recorder.fs.durable", "recorder.git.source", "recorder.git.setup"}
WRITES = {"write_text", "write_bytes", "mkdir", "unlink", "rename", "replace", "rmdir", "touch", "symlink_to", "chmod"}


@pytest.mark.parametrize("path", [p for p in SOURCES if _module(p).startswith("recorder")], ids=_module)
def test_only_files_writes_to_disk(path: Path) -> None:
    if _module(path) in WRITERS:
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
            # str.replace and dataclasses.replace take two arguments or none of a path; Path.replace takes one.
            is_text = node.func.attr == "replace" and len(node.args) >= 2
            is_files = isinstance(node.func.value, ast.Name) and node.func.value.id == "durable"
            assert is_text or is_files, f"{_module(path)}:{node.lineno} writes with {node.func.attr}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("open", "print"):
            pytest.fail(f"{_module(path)}:{node.lineno} calls {node.func.id}")
