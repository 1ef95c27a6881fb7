"""Links, pipes and devices at every place of a store: no command hangs, or reads or writes outside the store."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fault.hostile import PLACES, TAG, Victim, Words, made
from tests.fault.limited import assert_harmless, run_limited
from tests.fixtures.paths import CASTRO

TWO = CASTRO / "two-period.yaml"
WIDE = os.environ.get("EXPREC_FAULTS") == "all"
Count = Callable[[str, int], None]

_AUDIT = """
import os, sys
from exprec.recorder import record
from exprec.recorder.errors import ExprecError

OUTSIDE = os.path.realpath({outside!r})

def hear(event, arguments):
    if event not in ("open", "os.scandir", "os.listdir", "os.remove", "os.rename", "os.rmdir", "shutil.rmtree"):
        return
    path = arguments[0]
    if not isinstance(path, (str, bytes, os.PathLike)):
        return
    path = os.path.abspath(os.fsdecode(path))
    follows = event in ("os.scandir", "os.listdir") or (event == "open" and not arguments[2] & os.O_NOFOLLOW)
    folder, name = os.path.split(path)
    real = os.path.realpath(path if follows else folder)
    if real == OUTSIDE or real.startswith(OUTSIDE + os.sep):
        raise AssertionError(f"{{event}} {{arguments}}")

sys.addaudithook(hear)
try:
    with record("recorded", store={store!r}, secrets={{}}) as run:
        run.event("step", iteration=1, value=1)
except (ExprecError, OSError) as error:
    print("record():", type(error).__name__, file=sys.stderr)
"""
"""Fails for each file that is opened, listed or removed outside of the store; then a program records a run."""


def _symlink(path: Path, outside: Path) -> None:
    path.symlink_to(outside / path.name)


def _hard_link(path: Path, outside: Path) -> None:
    os.link(outside / path.name, path)


def _fifo(path: Path, _: Path) -> None:
    os.mkfifo(path)


def _device(path: Path, _: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        path.symlink_to("/dev/zero")


def _loop(path: Path, _: Path) -> None:
    path.symlink_to(path.name)


KINDS: dict[str, Callable[[Path, Path], None]] = {
    "symlink": _symlink,
    "hard link": _hard_link,
    "FIFO": _fifo,
    "device": _device,
    "loop": _loop,
}
FOLDERS = (".work", ".work/<name>", "tags", "attestations", "attestations/<run id>")
"""Where `gc` looks."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    return made(tmp_path_factory.mktemp("special") / "original")


def _commands(victim: Victim, number: int) -> list[Words]:
    """List every command that reads or writes a store, those that remove something in either order."""
    run = victim.command.name if number % 2 else victim.experiment.name
    calls = [
        ["show", "--no-pager", run],
        ["show", "--no-pager", "--json", TAG],
        ["show", "--no-pager", victim.work.name],
    ]
    calls += [["log", "--no-pager"], ["log", "--json"], ["diff", "--no-pager", run, victim.other.name]]
    calls += [["verify", run], ["verify", "--all"], ["verify", "--quick", str(victim.store / run)], ["tag"]]
    calls += [["gc", "--dry-run"], ["gc", "--dry-run", victim.work.name], ["rerun", run]]
    writing = [["tag", TAG, run, "--force"], ["tag", "another", run], ["tag", "--delete", TAG]]
    writing += [["resume", "-q", victim.work.name], ["gc", "--yes", victim.work.name], ["gc", "--yes"]]
    calls += writing[:: 1 if number % 2 else -1]
    calls += [["run", "-q", str(TWO)], ["run", "-q", "--", "true"], ["init"], ["verify", "--all", "--json"]]
    return calls


def _contents(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path.relative_to(folder)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.fact("F15")
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_command_hangs_or_leaves_the_store(
    original: Victim, tmp_path: Path, count_faults: Count, kind: str, place: str
) -> None:
    number = [*PLACES].index(place) + [*KINDS].index(kind)
    if not WIDE and number % 5:
        pytest.skip("one of five by default")
    victim = original.copied(tmp_path / "copied")
    path, outside = PLACES[place](victim), tmp_path / "outside"
    outside.mkdir()
    if path.exists():
        path.rename(outside / path.name)
    else:
        (outside / path.name).write_bytes(b"")
    if kind == "hard link" and (outside / path.name).is_dir():
        pytest.skip("folders have no hard links")
    KINDS[kind](path, outside)
    before = _contents(outside)
    first = _AUDIT.format(outside=str(outside), store=str(victim.store))
    done = run_limited(
        *_commands(victim, number), cwd=victim.folder, env={"EXPREC_STORE": str(victim.store)}, first=first
    ).calls
    for each in done:
        assert_harmless(each)
    assert _contents(outside) == before
    if place in FOLDERS:
        collected = [each for each in done if each.words[:2] == ("gc", "--yes") and len(each.words) == 2]
        assert [each.code for each in collected] == [5], collected[0].report
        assert path.name.encode() in collected[0].stderr, collected[0].report
    count_faults(f"calls on a store with a {kind} in it", len(done))
