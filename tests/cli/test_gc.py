"""The command `exprec gc`."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from exprec.cli.output.results import Garbage
from exprec.cli.output.text_reporter import TextReporter, format_age, format_size
from exprec.recorder.query import OrphanRow
from exprec.recorder.store.garbage import Orphan
from exprec.recorder.store.store import Store
from tests.fixtures import runs
from tests.fixtures.cli import completed_values, exprec
from tests.fixtures.terminal import run_on_terminal


@pytest.fixture
def work(store: Store) -> Path:
    """The work folder of the only interrupted run, in a store with a sealed run."""
    runs.record(store)
    return runs.interrupted(store)


def _older(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    for each in [*path.rglob("*"), path]:
        os.utime(each, (then, then))


def _listed(store: Store, *arguments: str) -> list[dict[str, Any]]:
    done = exprec("gc", "--json", "--store", store.path, *arguments)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_nothing_is_removed_without_a_terminal(store: Store, work: Path) -> None:
    _older(work, 7200)
    done = exprec("gc", "--store", store.path, code=2)
    header, line = done.stdout.decode().splitlines()
    assert header.split()[:2] == ["interrupted", "run"]
    assert line.split()[:6] == [work.name, "two", "banks", "1", "2", "0"]
    assert line.endswith("2 hours ago")
    assert done.stderr.decode() == "exprec: nothing was removed; use --yes to remove 1 interrupted run\n"
    assert work.is_dir()


def test_yes_removes_and_says_so(store: Store, work: Path) -> None:
    sealed = store.run_ids()
    size = next(iter(_listed(store, "--dry-run")))["size"]
    done = exprec("gc", "--yes", "--store", store.path)
    assert done.stderr.decode() == f"exprec: removed 1 interrupted run ({size} B)\n"
    assert list((store.path / ".work").iterdir()) == []
    assert store.run_ids() == sealed
    done = exprec("gc", "--store", store.path)
    assert (done.stdout, done.stderr) == (b"", f"exprec: nothing to remove in the store {store.path}\n".encode())


@pytest.mark.parametrize(
    ("typed", "code", "end"),
    [("y\r", 0, "removed 1 interrupted run"), ("\r", 0, "nothing was removed"), ("\x03", 130, "interrupted")],
    ids=["yes", "enter", "interrupt"],
)
def test_on_a_terminal_it_asks(store: Store, work: Path, typed: str, code: int, end: str) -> None:
    question = "Remove 1 interrupted run? [y/N]: "
    done = run_on_terminal("gc", "--store", store.path, cwd=store.path, typed={question: typed})
    assert done.code == code
    assert work.name in done.output
    comment = "`exprec resume NAME` resumes an interrupted experiment; removal cannot be undone.\n"
    assert comment + question in done.output
    assert done.output.splitlines()[-1].startswith(f"exprec: {end}")
    assert work.exists() == (typed != "y\r")


def test_a_dry_run_and_json(store: Store, work: Path) -> None:
    exprec("gc", "--dry-run", "--store", store.path)
    (row,) = _listed(store, "--dry-run")
    assert (row["kind"], row["name"], row["experiment"], row["removed"]) == ("run", work.name, "two banks", False)
    assert (row["iterations"], row["events"], row["exchanges"]) == (1, 2, 0)
    assert work.is_dir()
    assert [row["removed"] for row in _listed(store, "--yes")] == [True]
    assert not work.exists()


@pytest.mark.parametrize("arguments", [["--json"], ["--yes", "--dry-run"], ["--keep-days", "-1"]], ids=" ".join)
def test_wrong_usage(store: Store, work: Path, arguments: list[str]) -> None:
    exprec("gc", *arguments, "--store", store.path, code=2)
    assert work.is_dir()


def test_names_select_only_interrupted_runs(store: Store, work: Path) -> None:
    other = runs.interrupted(store)
    (store.path / ".store.json.0123abcd").write_bytes(b"")
    _older(store.path / ".store.json.0123abcd", 7200)
    exprec("gc", "--yes", work.name[:8], work.name, "--store", store.path)
    assert not work.exists()
    assert [row["name"] for row in _listed(store, "--dry-run")] == [other.name, ".store.json.0123abcd"]
    (sealed,) = store.run_ids()
    assert b"gc removes interrupted runs only" in exprec("gc", "-y", sealed, "--store", store.path, code=2).stderr
    assert b"no run '0123'" in exprec("gc", "-y", "0123", "--store", store.path, code=4).stderr
    provider = runs.begin(store)
    name = runs.work_folder(provider, store).name
    done = exprec("gc", "-y", other.name, name, "--store", store.path, code=2)
    assert f"the run {name} is in progress" in done.stderr.decode()
    provider.close()
    assert other.is_dir()
    assert store.run_ids() == [sealed]


def test_recent_garbage_is_kept(store: Store) -> None:
    begun = store.path / ".work" / "0000000000000001"
    begun.mkdir()
    done = exprec("gc", "--store", store.path)
    assert done.stderr == b"exprec: kept 1 interrupted run: written too recently\n"
    _older(begun, 3600)
    exprec("gc", "--yes", "--store", store.path)
    assert not begun.exists()


def test_recent_runs_can_be_kept(store: Store, work: Path) -> None:
    older = runs.interrupted(store)
    _older(work, 3.5 * 86400)
    _older(older, 4.5 * 86400)
    assert [row["name"] for row in _listed(store, "--yes", "--keep-days", "4")] == [older.name]
    assert work.is_dir()


def test_empty_store_has_no_garbage(tmp_path: Path) -> None:
    done = exprec("gc", cwd=tmp_path)
    assert (done.stdout, done.stderr) == (b"", b"exprec: nothing to remove in the store runs\n")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "thesis.tex").write_text("mine")
    exprec("gc", "--yes", cwd=tmp_path, code=5)
    assert (tmp_path / "runs" / "thesis.tex").exists()


def test_the_shell_completes_names_of_interrupted_runs(
    store: Store, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPREC_STORE", str(store.path))
    assert completed_values("gc", work.name[:3]) == [work.name]


def test_sizes_and_ages_in_words() -> None:
    sizes = {0: "0 B", 999: "999 B", 1000: "1.0 kB", 45_249: "45.2 kB", 999_949: "999.9 kB", 999_951: "1.0 MB"}
    assert {size: format_size(size) for size in sizes} == sizes
    assert format_size(7_300_000_000_000) == "7300.0 GB"
    ages = {0.0: "just now", 59.9: "just now", 60.0: "1 minute ago", 7199.0: "1 hour ago", 2.5e6: "28 days ago"}
    assert {age: format_age(age) for age in ages} == ages


def test_names_are_harmless_and_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        OrphanRow(Orphan(Path(".work/1"), 1, 0.0, is_run=True), experiment="決済\x1b[2J"),
        OrphanRow(Orphan(Path(".work/2"), 1, 0.0, is_run=True)),
        OrphanRow(Orphan(Path("tags/.a\x1b.0123abcd"), 1, 0.0)),
    ]
    TextReporter().garbage_found([Garbage(row, age=0.0) for row in found])
    header, one, two, file = capsys.readouterr().out.splitlines()
    assert "決済\\x1b[2J" in one
    assert "–" in two
    assert header.index("last") == one.index("just") + 2 == two.index("just")
    assert file == "tags/.a\\x1b.0123abcd  1 B, left by a crash"


def test_a_run_of_another_machine_is_kept_for_a_day(store: Store) -> None:
    work = runs.interrupted(store)
    head = work.with_name(f"{work.name}.json")
    known = json.loads(head.read_bytes())
    head.write_text(json.dumps({**known, "host": "another", "boot": "another"}))
    done = exprec("gc", "--yes", "--store", store.path)
    assert b"kept 1 interrupted run" in done.stderr
    assert work.is_dir()
    for same in ({"host": socket.gethostname(), "boot": "earlier"}, known):
        head.write_text(json.dumps({**known, "host": "another", "boot": "another", **same}))
        assert (len(_listed(store, "--dry-run")) == 1) == (same is not known)
    _older(work, 90_000)
    exprec("gc", "--yes", "--store", store.path)
    assert not work.exists()


def test_a_link_is_named_and_nothing_is_removed(store: Store, tmp_path: Path) -> None:
    work = runs.interrupted(store)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("mine")
    link = store.path / ".work" / "0123456789abcdef"
    link.symlink_to(tmp_path / "thesis")
    done = exprec("gc", "--yes", "--store", store.path, code=5)
    assert f"{link}: must be a folder, and is a symbolic link".encode() in done.stderr
    assert work.is_dir()
    assert (tmp_path / "thesis" / "thesis.tex").read_text() == "mine"
