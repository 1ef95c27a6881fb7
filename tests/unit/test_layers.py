"""The layers hold: imports go down only, and each effect has its one module."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT

# From the top down; a layer may import itself and what stands below it. Rooms of one layer that are
# apart in the tuple are strangers to each other.
LAYERS: tuple[tuple[str, ...], ...] = (
    (
        "cli.start",
        "cli.main",
        "cli.run",
        "cli.run_command",
        "cli.run_experiment",
        "cli.resume",
        "cli.rerun",
        "cli.execution",
        "cli.show",
        "cli.log",
        "cli.diff",
        "cli.init",
        "cli.gc",
        "cli.tag",
        "cli.verify",
        "cli.review",
        "cli.git",
        "cli.check",
        "cli.simulate",
        "cli.schema",
        "cli.options",
        "cli.pager",
        "cli.environment",
    ),
    ("cli.render",),
    ("recorder.optimize", "recorder.command", "recorder.python"),
    ("recorder.observation",),
    ("recorder.proposers", "recorder.payments", "recorder.compare"),
    ("recorder.state",),
    ("recorder.store",),
    (
        "recorder.bounded",
        "recorder.canonical",
        "recorder.declared",
        "recorder.documents",
        "recorder.errors",
        "recorder.events",
        "recorder.expansion",
        "recorder.explanation",
        "recorder.files",
        "recorder.format",
        "recorder.plain",
        "recorder.readers",
        "recorder.secrets",
        "recorder.template",
        "recorder.validation",
        "recorder.verbosity",
        "recorder.version",
    ),
    ("schemas",),
)
STRANGERS = (2, 4)
"""The layers whose rooms do not know each other."""

SOURCES = sorted(path for folder in ("recorder", "cli", "schemas") for path in (ROOT / folder).rglob("*.py"))


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _place(module: str) -> tuple[int, str] | None:
    for level, rooms in enumerate(LAYERS):
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
@pytest.mark.parametrize("path", [p for p in SOURCES if _module(p) not in ("recorder", "cli")], ids=_module)
def test_imports_go_down_only(path: Path) -> None:
    place = _place(_module(path))
    assert place is not None, f"{_module(path)} belongs to no layer: give it one"
    for name in _imports(path):
        target = _place(name.removeprefix("exprec.")) if name.startswith("exprec.") else None
        if target is None:
            continue
        assert target[0] >= place[0], f"{_module(path)} imports {name}, which stands above it"
        if target[0] == place[0] and place[0] in STRANGERS:
            assert target[1] == place[1], f"{_module(path)} imports {name}, a stranger"


ONLY_IN: dict[str, tuple[str, ...]] = {
    "rich": ("cli.render",),
    "click": ("cli",),
    "ruamel": ("recorder.readers",),
    "orjson": ("recorder.canonical", "schemas"),
    "time": ("cli.environment", "recorder.observation"),
    "datetime": ("recorder.observation",),
    "random": (),
    "secrets": ("recorder.files",),
    "socket": ("recorder.observation",),
    "subprocess": ("cli.git", "cli.pager", "recorder.observation", "recorder.command"),
    "shutil": ("recorder.files", "cli.render.console"),
    "tempfile": ("cli.rerun", "cli.git"),
    "fcntl": ("recorder.files",),
}


@pytest.mark.parametrize("path", SOURCES, ids=_module)
def test_each_effect_has_its_place(path: Path) -> None:
    module = _module(path)
    for name in _imports(path):
        allowed = ONLY_IN.get(name.partition(".")[0])
        # A type for an annotation is no effect: the displays name rich's console.
        if allowed is not None and not any(module == room or module.startswith(room + ".") for room in allowed):
            pytest.fail(f"{module} imports {name}; only {', '.join(allowed) or 'nothing'} may")


WRITES = {"write_text", "write_bytes", "mkdir", "unlink", "rename", "replace", "rmdir", "touch", "symlink_to", "chmod"}


@pytest.mark.parametrize("path", [p for p in SOURCES if _module(p).startswith("recorder")], ids=_module)
def test_only_files_writes_to_disk(path: Path) -> None:
    if _module(path) == "recorder.files":
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
            # str.replace and dataclasses.replace take two arguments or none of a path; Path.replace takes one.
            is_text = node.func.attr == "replace" and len(node.args) >= 2
            is_files = isinstance(node.func.value, ast.Name) and node.func.value.id == "files"
            assert is_text or is_files, f"{_module(path)}:{node.lineno} writes with {node.func.attr}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("open", "print"):
            pytest.fail(f"{_module(path)}:{node.lineno} calls {node.func.id}")
