"""tests/unit mirrors recorder/ and cli/: the tests of a module are `test_<module>.py` in the folder of its room.

More tests of a module are in `test_<module>_<aspect>.py`, tests of several modules in `test_<room>_<aspect>.py`.
"""

from __future__ import annotations

from pathlib import Path

from tests.fixtures.paths import ROOT

UNIT = ROOT / "tests" / "unit"


def _tested_names(folder: Path) -> set[str]:
    """Return what the tests in this folder of tests/unit may be named after: the room and its modules."""
    relative = folder.relative_to(UNIT)
    room = ROOT / relative if relative.parts[:1] == ("cli",) else ROOT / "recorder" / relative
    return {path.stem for path in room.glob("*.py")} - {"__init__"} | {room.name for _ in room.glob("__init__.py")}


def _has_module(test: Path) -> bool:
    subject = test.stem.removeprefix("test_")
    return any(subject == name or subject.startswith(f"{name}_") for name in _tested_names(test.parent))


def test_each_unit_test_mirrors_a_module() -> None:
    # Tests at the top of tests/unit concern the project as a whole.
    tests = [path for path in UNIT.rglob("test_*.py") if path.parent != UNIT]
    astray = sorted(str(path.relative_to(ROOT)) for path in tests if not _has_module(path))
    assert astray == [], "no room or module of this name in the folder of the same path"
