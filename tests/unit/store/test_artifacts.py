"""Which files and folders a run keeps, and that each is kept as it was at one moment."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.errors import InvalidInput, SecretFound, StorageFailure
from exprec.recorder.format import layout
from exprec.recorder.fs import durable
from exprec.recorder.store import artifacts
from exprec.recorder.store.artifacts import Artifacts

SECRET = "s3cret-value-0815"
GUARD = SecretGuard({"KEY": SECRET})
Keep = Callable[..., tuple[str, ...]]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / ".work" / "0123456789abcdef"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def keep(work: Path) -> Keep:
    return Artifacts(work, work.parent.parent, GUARD).add


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def files(folder: Path) -> dict[str, bytes]:
    """Return the content of each file below a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def write(path: str, data: bytes = b"data") -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(data)
    return Path(path)


def refusal(keep: Keep, *arguments: Any) -> str:
    with pytest.raises(InvalidInput) as raised:
        keep(*arguments)
    return str(raised.value)


def test_a_folder_is_kept_as_the_tree_under_its_name(keep: Keep, work: Path) -> None:
    write("out/a", b"1")
    write("out/deep/er/b", b"2")
    Path("out/empty").mkdir()
    assert keep("made/out", Path("out")) == ()
    assert files(work) == {"artifacts/made/out/a": b"1", "artifacts/made/out/deep/er/b": b"2"}
    assert not [path for path in work.rglob("*") if path.is_dir() and not any(path.iterdir())], "git keeps none"


def test_of_the_same_name_the_last_one_counts(keep: Keep, work: Path) -> None:
    for content in (b"1", b"22", b"3"):
        keep("best.ckpt", write("best.ckpt", content))
        keep("steps", write("steps/" + content.decode()).parent)
        shutil.rmtree("steps")
    assert files(work) == {"artifacts/best.ckpt": b"3", "artifacts/steps/3": b"data"}


def test_an_artifact_that_cannot_be_replaced_stays(keep: Keep, work: Path) -> None:
    keep("a", write("a"))
    assert "there is no such file" in refusal(keep, "a", Path("missing"))
    with pytest.raises(SecretFound):
        keep("a", write("b", SECRET.encode()))
    assert files(work) == {"artifacts/a": b"data"}


def test_a_folder_and_a_file_do_not_replace_each_other(keep: Keep, work: Path) -> None:
    keep("a", write("x/y").parent)
    assert "'a' is a folder among the artifacts; give it another name" in refusal(keep, "a", Path("x/y"))
    keep("b", Path("x/y"))
    assert "'b' is a file among the artifacts; give it another name" in refusal(keep, "b", Path("x"))
    assert files(work) == {"artifacts/a/y": b"data", "artifacts/b": b"data"}


def test_what_a_run_has_already_counts_after_it_was_opened_again(keep: Keep, work: Path) -> None:
    keep("dir/a", write("a"))
    again = Artifacts(work, work.parent.parent, GUARD).add
    assert "'Dir' and 'dir' are one name on some systems" in refusal(again, "Dir/b", Path("a"))


def test_links_are_followed_and_a_loop_is_refused(keep: Keep, work: Path) -> None:
    write("elsewhere/b", b"2")
    write("out/a", b"1")
    Path("out/link").symlink_to("a")
    Path("out/folder").symlink_to(Path("elsewhere").absolute())
    keep("out", Path("out"))
    assert files(work / "artifacts") == {"out/a": b"1", "out/folder/b": b"2", "out/link": b"1"}
    Path("out/loop").symlink_to(".")
    assert refusal(keep, "out", Path("out")) == (
        "the artifact 'out/loop' cannot be kept: it is a link to itself or to a folder that contains it"
    )


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "cannot be kept: there is no such file"),
        (lambda path: path.symlink_to("missing"), "cannot be kept: there is no such file"),
        (lambda path: path.symlink_to(path.name), "cannot be kept: it is a link to itself"),
        (os.mkfifo, "cannot be kept: it is a special file"),
        (lambda path: socket.socket(socket.AF_UNIX).bind(str(path)), "cannot be kept: it is a special file"),
    ],
)
def test_what_is_missing_or_special_is_named_and_the_rest_of_a_folder_is_kept(
    make: Callable[[Path], None], reason: str, keep: Keep, work: Path
) -> None:
    make(Path("it"))
    assert refusal(keep, "it", Path("it")).startswith(f"the artifact 'it' {reason}")
    write("out/whole")
    if os.path.lexists("it"):
        make(Path("out/it"))
        make(Path("out/other"))
        message = refusal(keep, "out", Path("out"))
        assert message.startswith(f"the artifact 'out/it' {reason}")
        assert message.endswith(" (1 other file of it cannot be kept either)")
        assert files(work) == {"artifacts/out/whole": b"data"}


@pytest.mark.parametrize(
    ("number", "reason"), [(13, "permissions"), (5, "file system reports an error"), (2, "no such")]
)
def test_what_cannot_be_read_is_a_missing_artifact(
    number: int, reason: str, keep: Keep, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, path = os.open, write("secret/a")

    def refuse(name: Any, *arguments: Any, **options: Any) -> int:
        if name == path:
            raise OSError(number, "in words of the system")
        return original(name, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    message = refusal(keep, "a", path)
    assert reason in message
    assert "words of the system" not in message
    keep("b", write("b"))
    assert files(work) == {"artifacts/b": b"data"}


def test_a_file_that_cannot_be_read_to_its_end_is_a_missing_artifact(
    keep: Keep, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pieces(_: object) -> Iterator[bytes]:
        yield b"half"
        raise artifacts._Refused("cannot be read: its file system reports an error")

    monkeypatch.setattr(artifacts, "_pieces", pieces)
    assert "cannot be read" in refusal(keep, "a", write("a"))
    assert files(work) == {}


def _changing(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object], times: int) -> list[int]:
    """Change a file after each of the first readings of its first piece."""
    original, readings = artifacts._pieces, [0]

    def pieces(file: Any) -> Iterator[bytes]:
        for piece in original(file):
            yield piece
            if piece and readings[0] < times:
                readings[0] += 1
                change()

    monkeypatch.setattr(artifacts, "_pieces", pieces)
    monkeypatch.setattr(artifacts, "_CHUNK_BYTES", 4)
    return readings


def test_a_file_that_changes_while_it_is_copied_is_copied_again(
    keep: Keep, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("a", b"old old old ")
    readings = _changing(monkeypatch, lambda: path.write_bytes(b"new new new "), 1)
    keep("a", path)
    assert readings == [1]
    assert files(work) == {"artifacts/a": b"new new new "}


@pytest.mark.parametrize(
    "change",
    [
        lambda: os.truncate("a", 5),
        lambda: write("a", b"longer than before"),
        lambda: write("a", os.urandom(6).hex().encode()),
    ],
    ids=["shrinks", "grows", "is overwritten"],
)
def test_a_file_that_never_rests_is_refused(
    change: Callable[[], object], keep: Keep, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("a", b"old old old ")

    def begin_again() -> None:
        if path.stat().st_size != 12:
            write("a", b"old old old ")
        change()

    _changing(monkeypatch, begin_again, 99)
    message = refusal(keep, "a", path)
    assert message == "the artifact 'a' changed while it was copied; keep it once it is complete"
    assert files(work) == {}


def test_a_change_in_the_same_tick_of_the_clock_is_noticed(
    keep: Keep, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without a pause, the file system gives both contents the same time.
    path = write("a", b"old old old ")
    first = path.stat().st_mtime_ns
    readings = _changing(monkeypatch, lambda: path.write_bytes(b"new new new "), 1)
    keep("a", path)
    assert readings == [1]
    assert path.stat().st_mtime_ns > first
    assert files(work) == {"artifacts/a": b"new new new "}


def test_a_file_above_the_limit_names_the_option(keep: Keep, work: Path) -> None:
    keep("a", write("a", b"123"), 3)
    assert refusal(keep, "b", Path("a"), 2) == (
        "the artifact 'b' has 3 bytes, and 2 are the most; "
        "raise --artifact-limit (in Python: artifact_limit), or record its SHA-256 instead"
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [("a/Model", "a/model"), ("caf\u00e9", "cafe\u0301"), ("Stra\u00dfe", "STRASSE"), ("D/x", "d/y")],
)
def test_a_name_that_is_the_same_file_elsewhere_is_refused(first: str, second: str, keep: Keep, work: Path) -> None:
    source = write("source")
    keep(first, source)
    assert "are one name on some systems; give it another name" in refusal(keep, second, source)
    assert files(work / "artifacts") == {first: b"data"}
    # In one folder too, where the file system has both.
    write(f"out/{first}")
    write(f"out/{second}")
    if len(files(Path("out"))) == 2:
        assert "are one name on some systems" in refusal(keep, "out", Path("out"))


@pytest.mark.parametrize("name", ["a:b", "con", "x/Aux.txt", "dot.", "space /x", "what?", "lpt1.log"])
def test_a_file_in_a_folder_that_windows_cannot_have_is_refused(name: str, keep: Keep, work: Path) -> None:
    write(f"out/{name}")
    write("out/good")
    assert "Windows" in refusal(keep, "out", Path("out"))
    assert files(work / "artifacts") == {"out/good": b"data"}


def test_a_folder_around_the_store_is_refused(keep: Keep, work: Path, tmp_path: Path) -> None:
    assert "it contains the store; name a folder beside it" in refusal(keep, "all", tmp_path)
    assert files(work) == {}


def test_a_secret_in_a_folder_withholds_its_file_alone(keep: Keep, work: Path) -> None:
    write("out/a", SECRET.encode())
    write("out/b")
    with pytest.raises(SecretFound, match="the artifact 'out/a' contains the value of KEY"):
        keep("out", Path("out"))
    assert files(work) == {"artifacts/out/b": b"data"}


def test_of_a_folder_what_the_command_did_not_write_is_left_out(keep: Keep, work: Path) -> None:
    write("out/old")
    assert "was there before" in refusal(keep, "out", Path("out"), 9, lambda path: False)
    write("out/new")
    assert keep("out", Path("out"), 9, lambda path: path.name == "new") == ("out/old",)
    assert files(work / "artifacts") == {"out/new": b"data"}


class TestClones:
    """Large files share their blocks with the copy, where the file system can."""

    @pytest.fixture(autouse=True)
    def clones(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """Let the ioctl copy, as no file system of the tests shares blocks; returns the copied sizes."""
        sizes: list[int] = []

        def clone(target: int, request: int, source: int) -> None:
            assert request == 0x40049409
            data = os.pread(source, 1 << 24, 0)
            os.pwrite(target, data, 0)
            sizes.append(len(data))

        monkeypatch.setattr(fcntl, "ioctl", clone)
        monkeypatch.setattr(artifacts, "CLONED_BYTES", 8)
        return sizes

    def test_a_large_file_is_cloned(self, keep: Keep, work: Path, clones: list[int]) -> None:
        keep("small", write("a", b"1234567"))
        keep("large", write("a", b"12345678"))
        assert clones == [8]
        assert files(work / "artifacts") == {"large": b"12345678", "small": b"1234567"}
        assert (work / "artifacts/large").stat().st_mode == (work / "artifacts/small").stat().st_mode

    def test_a_secret_is_found_before_the_clone_has_a_name(
        self, keep: Keep, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "link", lambda *_, **__: pytest.fail("it has a name"))
        with pytest.raises(SecretFound):
            keep("a", write("a", f"x{SECRET}".encode()))
        with zipfile.ZipFile("z.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("member", SECRET)
        with pytest.raises(SecretFound, match="'member' in the artifact 'z'"):
            keep("z", Path("z.zip"))
        assert files(work) == {}

    def test_what_is_redacted_is_not_cloned(self, work: Path) -> None:
        guard = SecretGuard({"KEY": SECRET}, redacts=True)
        Artifacts(work, work.parent.parent, guard).add("a", write("a", f"{SECRET}\n".encode()))
        assert files(work / "artifacts") == {"a": b"[redacted:KEY:1]\n"}

    def test_a_file_that_changes_after_it_was_cloned_is_copied_again(
        self, keep: Keep, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = write("a", b"old old old ")
        readings = _changing(monkeypatch, lambda: path.write_bytes(b"new new new "), 1)
        keep("a", path)
        assert readings == [1]
        assert files(work / "artifacts") == {"a": b"new new new "}

    @pytest.mark.parametrize("call", ["ioctl", "link"])
    def test_a_file_system_that_cannot_clone_copies(
        self, call: str, keep: Keep, work: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr(fcntl if call == "ioctl" else os, call, refuse)
        keep("a", write("a", b"12345678"))
        assert files(work / "artifacts") == {"a": b"12345678"}

    def test_a_system_without_unnamed_files_copies(
        self, keep: Keep, work: Path, monkeypatch: pytest.MonkeyPatch, clones: list[int]
    ) -> None:
        monkeypatch.setattr(durable, "_UNNAMED", os.O_DIRECTORY)
        keep("a", write("a", b"12345678"))
        assert clones == []
        assert files(work / "artifacts") == {"a": b"12345678"}


def test_an_interrupted_copy_is_removed_at_the_seal(keep: Keep, work: Path) -> None:
    write(f"runs/.work/{work.name}/{layout.WORK_DRAFT}/0/half")
    Artifacts(work, work.parent.parent, GUARD).clean()
    assert list(work.iterdir()) == []


def test_what_the_machine_lacks_is_no_missing_artifact(keep: Keep, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> int:
        raise OSError(24, "Too many open files")

    path = write("a")
    monkeypatch.setattr(artifacts, "FileIO", refuse)
    with pytest.raises(StorageFailure, match="Too many open files") as raised:
        keep("a", path)
    assert raised.value.path == path


def test_a_folder_that_cannot_be_listed_is_named_and_the_rest_is_kept(
    keep: Keep, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("out/a")
    write("out/closed/b")
    scandir = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert refusal(keep, "out", Path("out")) == (
        "the artifact 'out/closed' cannot be read: its permissions do not allow it"
    )
    monkeypatch.undo()
    assert files(work / "artifacts") == {"out/a": b"data"}
