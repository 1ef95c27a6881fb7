"""The architecture rules: imports go down, rooms are small and used by their exports, each effect has one module.

A room is a folder of recorder/ or cli/. Exceptions below are of rooms that do not follow a rule yet; a test fails as
soon as one of them is no longer needed, so the lists can only shrink.
"""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.fixtures.paths import ROOT
from tests.fixtures.public_names import OF_THE_PLAN

# From the top down. A room imports itself and the rooms of the lines below; rooms of one line do not import each other.
ROOMS: tuple[tuple[str, ...], ...] = (
    ("cli",),
    ("recorder.replay",),
    ("recorder.experiment",),
    ("recorder.sessions", "recorder.display"),
    ("recorder.proposers",),
    ("recorder.payments", "recorder.review"),
    ("recorder.diff",),
    ("recorder.verify", "recorder.query", "recorder.git"),
    ("recorder.state",),
    ("recorder.store",),
    ("recorder.exchanges",),
    ("recorder.events",),
    ("recorder.schema",),
    ("recorder.documents",),
    ("recorder.diagnostics",),
    ("recorder.format", "recorder.fs"),
    ("recorder.errors", "recorder.version", "recorder.exports"),
    ("recorder.requirements",),
    ("schemas",),
)

SOURCES = sorted(path for folder in ("recorder", "cli", "schemas") for path in (ROOT / folder).rglob("*.py"))
PACKAGES = sorted(path.parent for path in SOURCES if path.name == "__init__.py" and "schemas" not in path.parts)

# Rooms with too many modules.
TOO_LARGE: set[str] = set()
# Rooms of which others still import something that is not among the exports (`__all__`) of the room.
WITHOUT_BORDER: set[str] = set()

MODULES_OF_A_ROOM = 12
EXPORTS_OF_A_ROOM = 10
PUBLIC_NAMES = 25


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _room(module: str) -> tuple[int, str] | None:
    for level, rooms in enumerate(ROOMS):
        for room in rooms:
            if module == room or module.startswith(room + "."):
                return level, room
    return None


class Import(NamedTuple):
    """An import statement of one name: `from module import name`, or `import module`."""

    module: str
    name: str = ""


def _import_statements(path: Path) -> Iterator[Import]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            assert node.level == 0, f"{path}: relative import"
            yield from (Import(node.module, alias.name) for alias in node.names)


def _imports(path: Path) -> Iterator[str]:
    for module, name in _import_statements(path):
        yield module
        if name:
            yield f"{module}.{name}"


def _upward_imports(path: Path) -> list[str]:
    room = _room(_module(path))
    assert room is not None, f"{_module(path)} belongs to no room: give it one"
    targets = {name: _room(name.removeprefix("exprec.")) for name in _imports(path) if name.startswith("exprec.")}
    return [name for name, target in targets.items() if target and target[1] != room[1] and target[0] <= room[0]]


# The packages themselves: `recorder` offers the public names of every layer, `cli` is empty.
@pytest.mark.parametrize("path", [p for p in SOURCES if _module(p) != "recorder"], ids=_module)
def test_imports_go_down_only(path: Path) -> None:
    upwards = _upward_imports(path)
    assert upwards == [], f"{_module(path)} imports rooms that are not below it"


@pytest.mark.parametrize("package", PACKAGES, ids=_module)
def test_room_has_at_most_twelve_modules(package: Path) -> None:
    room = _module(package)
    modules = sorted(path.stem for path in package.glob("*.py") if path.name != "__init__.py")
    if room == "cli.commands":  # one module a command
        return
    if room in TOO_LARGE:
        assert len(modules) > MODULES_OF_A_ROOM, f"{room} is small enough; remove it from TOO_LARGE"
    else:
        assert len(modules) <= MODULES_OF_A_ROOM, f"{room} has {len(modules)} modules: {' '.join(modules)}"


@pytest.mark.parametrize("package", PACKAGES, ids=_module)
def test_room_exports_few_names(package: Path) -> None:
    room = _module(package)
    exports = _exports(room) - OF_THE_PLAN
    limit = PUBLIC_NAMES if room == "recorder" else EXPORTS_OF_A_ROOM
    assert len(exports) <= limit, f"{room} exports {len(exports)} names: {' '.join(sorted(exports))}"


def _exports(room: str) -> set[str]:
    return set(getattr(import_module(f"exprec.{room}"), "__all__", ()))


def _entered_room(importer: str, module: str) -> str | None:
    """Return the outermost room that `importer` is outside of and `module` lies in, None inside one room.

    A sub-room may use all of its parent room; the parent uses the sub-room by its exports.
    """
    if not module.startswith("recorder."):
        return None
    rooms = [_module(package) for package in PACKAGES if _module(package) not in ("recorder", "cli")]
    around = [room for room in rooms if module == room or module.startswith(room + ".")]
    return next((room for room in sorted(around) if importer != room and not importer.startswith(room + ".")), None)


def _border_crossings() -> Iterator[tuple[str, str]]:
    """Yield every import that passes by the exports of a room: the room, and a description of the import."""
    for path in SOURCES:
        importer = _module(path)
        # recorder/__init__.py and the rooms' own __init__.py name submodules to export them.
        for module, name in _import_statements(path) if importer != "recorder" else ():
            target = module.removeprefix("exprec.")
            if (f"{target}.{name}") in map(_module, PACKAGES):
                target, name = f"{target}.{name}", ""
            room = _entered_room(importer, target)
            if room is not None and (target != room or (name and name not in _exports(room))):
                yield room, f"{importer} imports {name} from {target}"


def test_rooms_are_imported_by_their_exports_only() -> None:
    crossings: dict[str, list[str]] = {}
    for room, description in _border_crossings():
        crossings.setdefault(room, []).append(description)
    new = [text for room in sorted(crossings.keys() - WITHOUT_BORDER) for text in crossings[room]]
    assert new == [], "import from the room's __init__, and list the name in its __all__"
    clean = sorted(WITHOUT_BORDER - crossings.keys())
    assert clean == [], "these rooms are used by their exports only; remove them from WITHOUT_BORDER"


@pytest.mark.parametrize("path", [p for p in SOURCES if p.parent.name != "commands"], ids=_module)
def test_no_module_is_named_like_a_builtin_or_a_standard_module(path: Path) -> None:
    if not path.stem.startswith("__"):
        assert path.stem not in {*dir(builtins), *sys.stdlib_module_names}


ONLY_IN: dict[str, tuple[str, ...]] = {
    "click": ("cli",),
    "ruamel": ("recorder.documents.yaml_reader", "recorder.documents.bounded_yaml"),
    "orjson": ("recorder.format.canonical_json", "schemas"),
    "time": ("cli.terminal", "recorder.sessions.provenance"),
    "datetime": ("recorder.sessions.provenance",),
    "random": (),
    "secrets": ("recorder.fs.durable",),
    "socket": ("recorder.sessions.provenance",),
    # recorder.git.repository names the types of processes that recorder.git.process starts.
    "subprocess": ("recorder.git.process", "recorder.git.repository", "cli.pager", "recorder.sessions.command"),
    "shutil": ("recorder.fs.durable", "cli.terminal"),
    "tempfile": ("recorder.replay", "recorder.git"),
    "fcntl": ("recorder.fs.durable",),
}


@pytest.mark.parametrize("path", SOURCES, ids=_module)
def test_each_effect_has_its_module(path: Path) -> None:
    module = _module(path)
    for name in _imports(path):
        allowed = ONLY_IN.get(name.partition(".")[0])
        # A type for an annotation is no effect: the displays name rich's console.
        if allowed is not None and not any(module == room or module.startswith(room + ".") for room in allowed):
            pytest.fail(f"{module} imports {name}; only {', '.join(allowed) or 'nothing'} may")


@pytest.mark.parametrize("path", SOURCES, ids=_module)
def test_git_is_started_by_one_module(path: Path) -> None:
    if _module(path) == "recorder.git.process":
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.List | ast.Tuple) and node.elts and isinstance(node.elts[0], ast.Constant):
            assert node.elts[0].value != "git", f"{_module(path)}:{node.lineno} starts git"


@pytest.mark.parametrize("path", [p for p in SOURCES if _module(p).startswith("cli")], ids=_module)
def test_messages_are_printed_by_one_module(path: Path) -> None:
    """Messages quote names and values from runs and files; `print_message` makes them harmless for a terminal."""
    if _module(path) == "cli.screen":
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("click.echo", "click.secho") and node.args:
            to_stderr = any(keyword.arg in ("err", "file") for keyword in node.keywords)
            assert not to_stderr, f"{_module(path)}:{node.lineno} prints a message; use cli.screen.print_message"


WRITER = "recorder.fs.durable"
WRITES = {"write_text", "write_bytes", "mkdir", "unlink", "rename", "replace", "rmdir", "touch", "symlink_to", "chmod"}


@pytest.mark.parametrize("path", [p for p in SOURCES if _module(p).startswith("recorder")], ids=_module)
def test_only_fs_writes_to_disk(path: Path) -> None:
    if _module(path) == WRITER:
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITES:
            # str.replace and dataclasses.replace take two arguments or no path; Path.replace takes one.
            is_text = node.func.attr == "replace" and len(node.args) >= 2
            is_files = isinstance(node.func.value, ast.Name) and node.func.value.id == "durable"
            assert is_text or is_files, f"{_module(path)}:{node.lineno} writes with {node.func.attr}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("open", "print"):
            pytest.fail(f"{_module(path)}:{node.lineno} calls {node.func.id}")
