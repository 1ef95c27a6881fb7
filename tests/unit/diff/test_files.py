"""The files of runs that exprec did not write: what differs is told by name, size and line, whatever their bytes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.diff.result import DiffResult, FileChange
from exprec.recorder.diff.runs import diff
from exprec.recorder.errors import Damaged
from exprec.recorder.format import canonical_json
from exprec.recorder.state.provider import LiveStateProvider
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from tests.fixtures.diffs import mirrored
from tests.fixtures.runs import seal

Files = dict[str, bytes]


def _recorded(store: Path, files: Files, *, sealed: bool = True) -> RunDirectory:
    """A run with these files: `stdout`, `stderr`, and artifacts under any other name."""
    recording = Store.open_or_create(store).begin("files", "command", {})
    provider = LiveStateProvider("files", "command", recording=recording)
    for stream in ("stdout", "stderr"):
        recording.write_output(stream, files.get(stream, b""))
    for name in files.keys() - {"stdout", "stderr"}:
        (store.parent / "source").write_bytes(files[name])
        recording.artifacts.add(name, store.parent / "source")
    provider.record_event(0, "command_end", {"exit_status": 0, "signal": None})
    provider.record_event(0, "run_end", {})
    if not sealed:
        provider.close()
        return RunDirectory(recording.folder)
    result = seal(provider)
    return RunDirectory(result.path)


def _compared(folder: Path, old: Files, new: Files, *, sealed: bool = True, limit: int = 20) -> DiffResult:
    one, other = (
        _recorded(folder / name / "runs", files, sealed=sealed) for name, files in (("old", old), ("new", new))
    )
    return diff(one, other, limit=limit)


@pytest.fixture(autouse=True)
def _folders(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()


def _only(found: tuple[FileChange, ...]) -> FileChange:
    (change,) = found
    return change


def _lines(change: FileChange) -> list[tuple[int, int, tuple[str, ...], tuple[str, ...]]]:
    return [(hunk.old_line, hunk.new_line, hunk.old, hunk.new) for hunk in change.hunks.items]


@pytest.mark.parametrize("sealed", [True, False])
def test_equal_files_are_no_difference(tmp_path: Path, sealed: bool) -> None:
    files = {"stdout": b"out\n", "stderr": b"\xff", "deep/model": b"\0" * 5}
    comparison = _compared(tmp_path, files, files, sealed=sealed)
    assert comparison.is_equal
    assert (comparison.files.outputs.count, comparison.files.artifacts.count) == (0, 0)


@pytest.mark.parametrize("sealed", [True, False])
def test_each_kind_of_difference(tmp_path: Path, sealed: bool) -> None:
    old = {"stdout": b"one\ntwo\nthree\n", "a/gone": b"1", "same": b"s", "binary": b"\0\1", "text": b"a\nb"}
    new = {"stdout": b"one\n2\nthree\n", "a/new": b"22", "same": b"s", "binary": b"\0\2\3", "text": b"a\nc"}
    comparison = _compared(tmp_path, old, new, sealed=sealed)
    output = _only(comparison.files.outputs.items)
    assert (output.name, output.old_size, output.new_size) == ("stdout", 14, 12)
    assert _lines(output) == [(2, 2, ("two",), ("2",))]
    found = {each.name: each for each in comparison.files.artifacts.items}
    assert list(found) == ["a/gone", "a/new", "binary", "text"]
    sizes: dict[str, Any] = {name: (each.old_size, each.new_size, each.is_text) for name, each in found.items()}
    assert sizes == {
        "a/gone": (1, None, False),
        "a/new": (None, 2, False),
        "binary": (2, 3, False),
        "text": (3, 3, True),
    }
    assert comparison.has_differences


def test_a_newline_at_the_end_is_a_difference_and_no_line_more(tmp_path: Path) -> None:
    change = _only(_compared(tmp_path, {"stdout": b"a\n"}, {"stdout": b"a"}).files.outputs.items)
    assert _lines(change) == [(2, 2, ("",), ())]


def test_as_many_lines_are_compared_one_by_one_however_many(tmp_path: Path) -> None:
    lines = [b"line %d" % number for number in range(5000)]
    changed = [b"other" if number in (10, 11, 4000) else line for number, line in enumerate(lines)]
    change = _only(
        _compared(tmp_path, {"stdout": b"\n".join(lines)}, {"stdout": b"\n".join(changed)}).files.outputs.items
    )
    assert [(line, len(old)) for line, _, old, _ in _lines(change)] == [(11, 2), (4001, 1)]


@pytest.mark.parametrize("place", [0, 1_048_575, 1_048_576, 1_500_000, 2_999_999])
def test_of_large_texts_the_first_difference_is_told(tmp_path: Path, place: int) -> None:
    data = "é23456789\n".encode() * 300_000
    changed = bytearray(data)
    # Never the newline or a half of the first character.
    at = place - place % 11 + 5
    changed[at] = ord("X")
    changed[-2] = ord("Y")
    change = _only(_compared(tmp_path, {"stdout": data}, {"stdout": bytes(changed)}).files.outputs.items)
    assert (change.is_large, change.is_text) == (True, True)
    line = data.count(b"\n", 0, at) + 1
    assert _lines(change)[0] == (line, line, ("é23456789",), ("é234X6789",))


def test_of_large_files_that_are_no_text_the_sizes_are_told(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(2_000_000)
    change = _only(_compared(tmp_path, {"x": data}, {"x": data[:-1]}).files.artifacts.items)
    assert (change.is_large, change.is_text, change.hunks.count) == (True, False, 0)


def test_no_more_is_listed_than_was_asked_for(tmp_path: Path) -> None:
    old = {f"file {number}": b"1\n\n1\n\n1" for number in range(5)}
    comparison = _compared(tmp_path, old, dict.fromkeys(old, b"2\n\n2\n\n2"), limit=2)
    assert (comparison.files.artifacts.count, len(comparison.files.artifacts.items)) == (5, 2)
    change = comparison.files.artifacts.items[0]
    assert (change.hunks.count, len(change.hunks.items)) == (3, 2)


def test_exchanging_the_runs_exchanges_old_and_new(tmp_path: Path) -> None:
    old = _recorded(tmp_path / "old" / "runs", {"stdout": b"a\nb\nc\nx\n", "one": b"1", "both": b"a\nb\na\n"})
    new = _recorded(tmp_path / "new" / "runs", {"stdout": b"b\na\nc\ny\n", "two": b"2", "both": b"b\na\nb\n"})
    assert mirrored(diff(old, new).as_dict()) == diff(new, old).as_dict()


@pytest.mark.parametrize("name", ["stdout", "artifacts/model"])
def test_a_file_that_is_gone_is_damage(tmp_path: Path, name: str) -> None:
    old, new = (
        _recorded(tmp_path / each / "runs", {"stdout": each.encode(), "model": b"m"}) for each in ("old", "new")
    )
    (old.path / name).unlink()
    with pytest.raises(Damaged, match=name):
        diff(old, new)


def test_a_forged_head_leads_to_no_file_elsewhere(tmp_path: Path) -> None:
    run = _recorded(tmp_path / "old" / "runs", {"stdout": b"out"})
    path = run.path / "run.json"
    (tmp_path / "private").write_bytes(b"private")
    head = canonical_json.decode(path.read_bytes())
    head["files"]["artifacts/../../../../private"] = {"sha256": "0" * 64, "size": 7}
    path.write_bytes(canonical_json.encode(head, indent=True))
    assert list(RunDirectory(run.path).other_files()) == ["stderr", "stdout"]
