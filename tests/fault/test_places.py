"""Stores in unusual places and without permissions: reading works where possible, writing fails with a message."""

from __future__ import annotations

import os
import shutil
import subprocess
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.fault.hostile import TAG, Victim, Words, made
from tests.fault.limited import assert_harmless, run_limited
from tests.fixtures.cli import CallResult
from tests.fixtures.git import git
from tests.fixtures.paths import CASTRO

Count = Callable[[str, int], None]
WIDE = os.environ.get("EXPREC_FAULTS") == "all"
TWO = CASTRO / "two-period.yaml"
AS_ANYBODY = """
import ctypes, os
if os.geteuid() == 0:
    class Sets(ctypes.Structure):
        _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (Sets * 2)()
    assert libc.capget(header, sets) == 0
    for name in ("effective", "permitted"):
        setattr(sets[0], name, getattr(sets[0], name) & ~0b1111)
    assert libc.capset(header, sets) == 0
"""
"""Root ignores permissions unless it drops the capabilities to do so."""


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Victim:
    return made(tmp_path_factory.mktemp("places") / "original")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder on another file system than that of the tests, if there is one."""
    shm = Path("/dev/shm")
    base = shm if os.access(shm, os.W_OK) else Path("/tmp")
    folder = Path(
        subprocess.run(["mktemp", "-d", "-p", base], capture_output=True, text=True, check=True).stdout.strip()
    )
    folder.chmod(0o777)
    yield folder
    subprocess.run(["chmod", "-R", "u+rwx", folder], check=False)
    subprocess.run(["rm", "-rf", folder], check=True)


def _reading(victim: Victim) -> list[Words]:
    run, other = victim.experiment.name, victim.other.name
    return [
        ["show", run],
        ["show", TAG, "--json"],
        ["show", victim.command.name],
        ["log"],
        ["log", "--json"],
        ["verify", run],
        ["diff", "--no-exit-code", run, other],
        ["diff", "--no-exit-code", "--json", run, other],
        ["tag"],
        ["check", str(TWO)],
        ["gc", "--dry-run"],
        ["show", victim.work.name],
    ]


def _writing(victim: Victim) -> list[Words]:
    return [
        ["run", "-q", str(TWO)],
        ["run", "-q", "--", "true"],
        ["tag", "new", victim.experiment.name],
        ["tag", "--delete", TAG],
        ["tag", "--force", TAG, victim.other.name],
        ["gc", "--yes"],
        ["gc", "--yes", victim.work.name],
    ]


def _fails_in_words(done: CallResult, code: int = 6) -> None:
    assert_harmless(done)
    assert done.code == code, done.report
    assert done.stderr.startswith(b"exprec: "), done.report


# --- what may not be read or written ------------------------------------------------------------------


def test_read_only_store_is_read_but_not_written(original: Victim, open_folder: Path, count_faults: Count) -> None:
    victim = original.copied(open_folder / "here")
    before = victim.snapshot()
    subprocess.run(["chmod", "-R", "a-w,a+rX", victim.folder], check=True)
    reading, writing = _reading(victim), _writing(victim)
    done = run_limited(*reading, *writing, cwd=victim.folder, first=AS_ANYBODY, env={"HOME": "/nonexistent"}).calls
    for each in done[: len(reading)]:
        assert_harmless(each)
        assert each.code == 0, each.report
    for each in done[len(reading) :]:
        _fails_in_words(each)
    subprocess.run(["chmod", "-R", "u+w", victim.folder], check=True)
    assert {path: digest for path, (_, digest) in victim.snapshot().items()} == {
        path: digest for path, (_, digest) in before.items()
    }
    assert victim.work.is_dir()
    count_faults("calls on a store that is read-only", len(done))


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111])
def test_unreadable_files_are_named(original: Victim, open_folder: Path, count_faults: Count, mode: int) -> None:
    parts = [
        *(original.experiment / name for name in ("run.json", "config.json", "events.jsonl", "schemas.json", "")),
        original.experiment / "exchanges.jsonl",
        *(original.command / "stdout", original.command / "artifacts"),
        *(original.command / "artifacts" / "model.txt", original.store, original.store / "store.json"),
        *(original.store / "tags", original.store / "tags" / TAG, original.store / "attestations"),
        *(original.store / "attestations" / original.experiment.name, original.work.parent, original.work),
        *(original.work / "events.jsonl", original.work / "config.json"),
        original.work.with_name(f"{original.work.name}.json"),
    ]
    count = 0
    for number, part in list(enumerate(parts))[mode % 3 :: 1 if WIDE else 6]:
        victim = original.copied(open_folder / str(number))
        subprocess.run(["chmod", "-R", "a+rwX", victim.folder], check=True)
        path = victim.folder / part.relative_to(original.folder)
        path.chmod(mode)
        calls = [
            *_reading(victim),
            ["verify", "--all"],
            ["rerun", victim.experiment.name],
            ["resume", victim.work.name],
        ]
        done = run_limited(*calls, *_writing(victim)[2:], cwd=victim.folder, first=AS_ANYBODY).calls
        for each in done:
            assert_harmless(each)
            assert each.code != 3, each.report
        if mode == 0 and path in (victim.experiment / "events.jsonl", victim.store / "store.json", victim.store):
            _fails_in_words(done[0])
        # What may be entered or read where a file or a folder would need both is no damage.
        with suppress(FileNotFoundError):
            path.chmod(0o777)
        count += len(done)
    count_faults("calls with permissions missing", count)


@pytest.mark.parametrize("mask", [0o077, 0o777, 0o000])
def test_a_run_is_recorded_with_any_umask_or_not_at_all(open_folder: Path, count_faults: Count, mask: int) -> None:
    first = f"{AS_ANYBODY}os.umask({mask})\n"
    (done,) = run_limited(["run", "-q", str(TWO)], cwd=open_folder, first=first).calls
    if mask == 0o777:
        # It may not even enter the store that it makes.
        _fails_in_words(done)
    else:
        assert done.code == 0, done.report
    count_faults("runs with an umask", 1)


# --- where a store may lie ----------------------------------------------------------------------------

NAMES = {
    "spaces": "a store with spaces ",
    "newline": "a\nstore",
    "hyphen": "-store",
    "hyphens": "--json",
    "NFC": unicodedata.normalize("NFC", "é store"),
    "NFD": unicodedata.normalize("NFD", "é store"),
    "wide": "店\U0001f600",
    "no text": os.fsdecode(b"store\xff\xfe"),
    "escape": "store\x1b[31m\x07",
    "long": "s" * 255,
    "quotes": "a'b\"c`$(x)",
    "markup": "[red]store[bold]",
    "percent": "%s%n{0}",
    "star": "*?[a]",
    "dot": ".store",
    "backslash": "a\\b",
}


@pytest.mark.parametrize("kind", NAMES)
def test_a_store_may_have_any_name(original: Victim, tmp_path: Path, count_faults: Count, kind: str) -> None:
    victim = original.copied(tmp_path / "copied")
    moved = victim.folder / NAMES[kind]
    victim.store.rename(moved)
    work = victim.work.name
    calls = [*_reading(victim), ["tag", "new", victim.experiment.name], ["run", "-q", str(TWO)]]
    calls.append(["gc", "--yes", work])
    done = run_limited(*calls, cwd=victim.folder, env={"EXPREC_STORE": str(moved.name)}).calls
    by_option = run_limited(
        ["log", f"--store={moved.name}"], ["show", f"{moved}/{victim.experiment.name}"], cwd=victim.folder
    )
    for each in (*done, *by_option.calls):
        assert_harmless(each)
        assert each.code == 0, each.report
    count_faults("calls on a store with an unusual name", len(done) + 2)


def test_a_store_may_lie_near_the_longest_path(original: Victim, tmp_path: Path, count_faults: Count) -> None:
    count = 0
    for spare in (0, 10, 60, 130, 200, 400):
        folder = tmp_path / str(spare)
        # What is left of the longest path is too little for some of what lies in a store.
        room = os.pathconf("/", "PC_PATH_MAX") - len(str(folder)) - spare
        parts = ["f" * 200] * (room // 201)
        deep = folder.joinpath(*parts)
        deep.mkdir(parents=True)
        last = deep / ("l" * max(1, room - len("/".join(parts)) - 2))
        calls = [["run", "-q", str(TWO)], ["log"], ["verify", "--all"], ["tag", "x", "f4040"], ["show", "f4040"]]
        done = run_limited(*calls, cwd=folder, env={"EXPREC_STORE": str(last)}).calls
        for each in done:
            assert_harmless(each)
            assert each.code in (0, 1, 4, 5, 6), each.report
        if done[0].code == 0:
            assert [each.code for each in done] == [0] * len(done), [each.report for each in done]
        count += len(done)
    count_faults("calls on a store near the longest path", count)


def test_a_store_may_be_a_link_and_lie_on_another_file_system(
    original: Victim, tmp_path: Path, open_folder: Path, count_faults: Count
) -> None:
    victim = original.copied(open_folder / "there")
    (tmp_path / "link").symlink_to(victim.store)
    calls = [*_reading(victim), ["run", "-q", str(TWO)], ["rerun", "f4040"], ["tag", "new", "f4040"], ["gc", "--yes"]]
    calls += [["verify", str(tmp_path / "link" / victim.experiment.name)]]
    done = run_limited(*calls, cwd=tmp_path, env={"EXPREC_STORE": "link"}).calls
    assert [each.code for each in done] == [0] * len(calls), [each.report for each in done if each.code]
    count_faults("calls on a store that is a link", len(done))


PARENTS: dict[str, Callable[[Path], Path]] = {
    "missing": lambda folder: folder / "none" / "of" / "these",
    "a file": lambda folder: folder / "file" / "runs",
    "itself a file": lambda folder: folder / "file",
    "a dangling link": lambda folder: folder / "dangling",
    "a circle": lambda folder: folder / "circle" / "runs",
    "a device": lambda folder: Path("/dev/null/runs"),
    "read-only": lambda folder: Path("/proc/runs"),
    "too long": lambda folder: folder / ("n" * 300),
    "far too long": lambda folder: folder / ("n" * 5000),
}


@pytest.mark.parametrize("kind", PARENTS)
def test_a_store_that_cannot_be_made_is_named(open_folder: Path, count_faults: Count, kind: str) -> None:
    (open_folder / "file").write_text("a file\n")
    (open_folder / "dangling").symlink_to("nowhere/at/all")
    (open_folder / "circle").symlink_to("circle")
    store = PARENTS[kind](open_folder)
    calls = [["run", "-q", str(TWO)], ["init"], ["log"], ["show", "abcd"], ["verify", "--all"], ["gc", "--yes"]]
    calls += [["tag", "x", "abcd"], ["tag"], ["resume", "abcd"], ["diff", "abcd", "cdef"], ["rerun", "abcd"]]
    done = run_limited(*calls, cwd=open_folder, env={"EXPREC_STORE": str(store)}).calls
    for each in done:
        assert_harmless(each)
        assert each.code in (0, 4, 5, 6), each.report
    made_one = kind in ("missing", "a dangling link")
    assert [each.code == 0 for each in done[:2]] == [made_one] * 2 or kind == "a dangling link", done[0].report
    assert (open_folder / "file").read_text() == "a file\n"
    count_faults("calls on a store that cannot be made", len(done))


def test_a_store_may_lie_in_a_worktree_of_git(original: Victim, tmp_path: Path, count_faults: Count) -> None:
    main = tmp_path / "main"
    main.mkdir()
    git(main, "init", "-q")
    shutil.copytree(original.store, main / "runs")
    git(main, "add", "-A")
    git(main, "commit", "-q", "-m", "runs")
    git(main, "worktree", "add", "-q", str(tmp_path / "tree"), "-b", "branch")
    calls: list[Words] = [
        ["verify", "--git", "HEAD"],
        ["init", "--git", "--hook"],
        ["run", "-q", str(TWO)],
        ["log"],
        ["review", "HEAD"],
        ["verify", "--staged"],
        ["rerun", "f4040"],
    ]
    done = run_limited(*calls, cwd=tmp_path / "tree").calls
    assert [each.code for each in done] == [0] * len(calls), [each.report for each in done if each.code]
    count_faults("calls in a worktree of git", len(done))


# --- what a process may be without --------------------------------------------------------------------

CLOSED = "import os, sys\nos.close({})\nsys.{} = None\n"
"""As Python finds it after `<&-`, `>&-` or `2>&-`."""


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
def test_a_stream_may_be_closed(original: Victim, tmp_path: Path, count_faults: Count, stream: str) -> None:
    victim = original.copied(tmp_path / "copied")
    calls = [*_reading(victim), ["run", str(TWO)], ["run", "--", "true"], ["show", "none"]]
    first = CLOSED.format(("stdin", "stdout", "stderr").index(stream), stream)
    for words in calls:
        (done,) = run_limited(words, cwd=victim.folder, first=first).calls
        if stream != "stderr":
            assert_harmless(done)
        assert done.code == (4 if words == calls[-1] else 0), done.report
    assert not [path for path in victim.store.rglob("*") if path.is_file() and b"Traceback" in path.read_bytes()]
    count_faults("calls with a stream closed", len(calls))


def test_a_folder_may_be_gone_and_the_environment_bare(original: Victim, tmp_path: Path, count_faults: Count) -> None:
    victim = original.copied(tmp_path / "copied")
    gone = tmp_path / "gone"
    gone.mkdir()
    first = f"import os\nos.environ.pop('HOME', None)\nos.rmdir({str(gone)!r})\n"
    environment = {"EXPREC_STORE": str(victim.store), "TMPDIR": "/nonexistent", "COLUMNS": "x", "TERM": ""}
    calls = [*_reading(victim), ["run", "-q", str(TWO)], ["show", "abcd"], ["log", "--store", "runs"], ["verify", "."]]
    count = 0
    for words in calls:
        gone.mkdir(exist_ok=True)
        (done,) = run_limited(words, cwd=gone, first=first, env=environment).calls
        assert_harmless(done)
        count += 1
        if words in _reading(victim):
            assert done.code == 0, done.report
    odd: list[tuple[dict[str, str], list[int]]] = [
        ({"TMPDIR": str(TWO)}, [0]),
        ({"TMPDIR": "\n"}, [0]),
        ({"HOME": "/dev/null", "LANG": "xx", "LC_ALL": "C", "TZ": "Nowhere/At_all"}, [0]),
        ({"EXPREC_STORE": ""}, [0]),
        ({"PATH": ""}, [0]),
    ]
    for number, (variables, codes) in enumerate(odd):
        folder = original.copied(tmp_path / str(number)).folder
        found = run_limited(["run", "-q", str(TWO)], ["log"], ["rerun", "f4040"], cwd=folder, env=variables).calls
        for each in found:
            assert_harmless(each)
            assert each.code in codes, (variables, each.report)
        count += len(found)
    count_faults("calls with a folder gone or an odd environment", count)
