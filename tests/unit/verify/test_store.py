"""The files of a store beside its runs, as `verify_store` sees them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from exprec.recorder.format import layout
from exprec.recorder.store.store import Store
from exprec.recorder.verify import verify_store
from exprec.recorder.verify.messages import RESTORE
from tests.fixtures import runs
from tests.fixtures.events import OBSERVATION

NOWHERE = "0" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with everything that a store may have."""
    store = Store.open_or_create(tmp_path / "runs")
    sealed = runs.record(store)
    store.attest(sealed.run_id, OBSERVATION)
    store.tag("baseline", sealed.run_id)
    runs.interrupted(store)
    return store


def _found(store: Store) -> list[tuple[str | None, int | None]]:
    problems = list(verify_store(store))
    # What is wrong, then what to do.
    assert all("; " in problem.message for problem in problems)
    return [(problem.source, problem.line) for problem in problems]


def test_a_store_as_exprec_makes_it_verifies(store: Store, tmp_path: Path) -> None:
    assert _found(store) == []
    assert _found(Store.open_or_create(tmp_path / "empty")) == []


@pytest.mark.parametrize(
    "data", ["", "\n", "abcd", "abcd\n", "{id}", "{id}\r\n", "{id}\n\n", " {id}\n", "{id}\n{id}\n"]
)
def test_a_tag_is_one_line_with_an_address(store: Store, data: str) -> None:
    (run_id,) = store.run_ids()
    (store.path / "tags" / "other").write_bytes(data.replace("{id}", run_id).encode())
    assert _found(store) == [("tags/other", 1)]


def test_a_tag_that_is_no_text_and_one_of_a_great_length_do_no_harm(store: Store) -> None:
    (store.path / "tags" / "bytes").write_bytes(b"\xff\x00" * 40)
    (store.path / "tags" / "long").write_bytes(b"a" * 100_000)
    assert _found(store) == [("tags/bytes", 1), ("tags/long", 1)]
    assert all(len(problem.message) < 400 for problem in verify_store(store))


def test_a_tag_stands_for_a_run_of_the_store(store: Store) -> None:
    (store.path / "tags" / "lost").write_text(f"{NOWHERE}\n")
    (problem,) = verify_store(store)
    assert (problem.source, problem.line) == ("tags/lost", 1)
    assert NOWHERE in problem.message
    assert "exprec tag --delete" in problem.message


def test_a_tag_is_a_file(store: Store) -> None:
    (store.path / "tags" / "team").mkdir()
    (store.path / "tags" / "link").symlink_to("baseline")
    os.mkfifo(store.path / "tags" / "pipe")
    (store.path / "tags" / ".hidden").mkdir()
    assert _found(store) == [("tags/link", None), ("tags/pipe", None), ("tags/team", None)]


def test_attestations_are_of_runs_of_the_store(store: Store) -> None:
    folder = store.path / "attestations"
    (folder / NOWHERE).mkdir()
    (folder / "notes").mkdir()
    (folder / ("a" * 64)).write_bytes(b"")
    assert _found(store) == [(f"attestations/{name}", None) for name in (NOWHERE, "a" * 64, "notes")]
    (problem, *_) = verify_store(store)
    assert "belongs to a run that is not in the store" in problem.message


@pytest.mark.parametrize("name", [".gitattributes", ".gitignore"])
@pytest.mark.parametrize("text", [None, "", "# * -text /.work/\n", "*.png -text\n/.work.old/\n", "* text=auto\n"])
def test_git_is_told_what_to_leave_alone(store: Store, name: str, text: str | None) -> None:
    path = store.path / name
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    assert _found(store) == [(name, None)]


def test_git_may_be_told_more(store: Store) -> None:
    (store.path / ".gitattributes").write_text("# no line ends\r\n*   -text -diff\r\n*.svg text\n")
    (store.path / ".gitignore").write_text("*.tmp\n.work\n")
    (store.path / ".git").mkdir()
    assert _found(store) == []


@pytest.mark.parametrize("name", ["notes", ".store.json.0123abcd", "..gitignore.0123abcd", "0" * 63, "a\nb"])
def test_a_folder_that_is_no_part_of_a_store_is_found(store: Store, name: str) -> None:
    (store.path / name).mkdir()
    assert _found(store) == [(name, None)]


@pytest.mark.parametrize("name", ["README.md", ".DS_Store", "a\nb"])
def test_a_file_beside_the_runs_is_its_owners(store: Store, name: str) -> None:
    (store.path / name).touch()
    assert _found(store) == []


def test_a_draft_is_for_the_command_that_removes_it(store: Store) -> None:
    (store.path / ".store.json.0123abcd").touch()
    (problem,) = verify_store(store)
    assert "exprec gc" in problem.message


def test_a_name_that_is_no_text_is_found(store: Store) -> None:
    name = os.fsdecode(b"\xff")
    (store.path / name).mkdir()
    assert _found(store) == [(name, None)]


def test_a_run_under_another_name_is_left_to_its_verification(store: Store) -> None:
    (run_id,) = store.run_ids()
    shutil.copytree(store.path / run_id, store.path / "copy")
    assert _found(store) == []


@pytest.mark.parametrize("name", ["tags", "attestations", ".work"])
def test_a_file_in_the_place_of_a_folder_is_found(store: Store, name: str) -> None:
    shutil.rmtree(store.path / name)
    (store.path / name).touch()
    assert _found(store) == [(name, None)]


@pytest.mark.parametrize("name", [".gitattributes", ".gitignore"])
def test_a_folder_in_the_place_of_a_file_is_found(store: Store, name: str) -> None:
    (store.path / name).unlink()
    (store.path / name).mkdir()
    assert (name, None) in _found(store)


def test_the_mark_has_one_form(store: Store) -> None:
    (store.path / "store.json").write_bytes(b'{"format": 1}\r\n')
    assert _found(Store(store.path)) == [("store.json", 1)]


def test_everything_wrong_with_a_store_in_words(store: Store, tmp_path: Path) -> None:
    (run_id,) = store.run_ids()
    path = store.path
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(f"{run_id}\n")
    (path / ".gitattributes").unlink()
    (path / ".gitattributes").symlink_to(elsewhere)
    (path / ".gitignore").write_text("nothing\n")
    (path / "store.json").write_text('{ "format": 1 }')
    (path / ".store.json.0123abcd").write_text("half")
    os.mkfifo(path / "pipe")
    (path / "notes.txt").write_text("mine")
    shutil.rmtree(path / ".work")
    (path / ".work").write_text("no folder")
    (path / "tags" / "link").symlink_to(elsewhere)
    (path / "tags" / "lost").write_text(f"{NOWHERE}\n")
    (path / "tags" / "words").write_text("of a kind\n")
    (path / "attestations" / NOWHERE).mkdir()
    (path / "attestations" / "folder").mkdir()
    (path / "attestations" / ("1" * 64)).write_text("no folder")
    again = "set the tag again with `exprec tag --force`, or remove it with `exprec tag --delete`"
    said = [(problem.source, problem.path, problem.line, problem.message) for problem in verify_store(store)]
    no_text = "so git may convert line endings in runs; add it"
    assert said == [
        (".gitattributes", (), None, f"is a symbolic link, not a regular file; {RESTORE}"),
        (".store.json.0123abcd", (), None, "is an unfinished write of a process that died; remove it with `exprec gc`"),
        (".work", (), None, "is a file, not a folder; move it elsewhere"),
        ("pipe", (), None, "unexpected in the store; move it elsewhere"),
        ("store.json", (), 1, f"is not in the canonical form that exprec writes; {RESTORE}"),
        (".gitattributes", (), None, f"has no line '{layout.GIT_ATTRIBUTES.splitlines()[0]}', {no_text}"),
        (".gitignore", (), None, "has no line '/.work/', so git shows unsealed runs as new files; add it"),
        ("tags/link", (), None, "is not a regular file, so it is not a tag; move it elsewhere"),
        ("tags/lost", (), 1, f"refers to the run {NOWHERE}, which is not in the store; {again}"),
        ("tags/words", (), 1, f"must be one line with a run id, not 'of a kind'; {again}"),
        (
            f"attestations/{NOWHERE}",
            (),
            None,
            "belongs to a run that is not in the store; restore the run, or remove this folder",
        ),
        (
            f"attestations/{'1' * 64}",
            (),
            None,
            "is not a folder named by a run id; move it elsewhere",
        ),
        ("attestations/folder", (), None, "is not a folder named by a run id; move it elsewhere"),
    ]


def test_a_pipe_in_the_place_of_a_folder_is_told(store: Store) -> None:
    shutil.rmtree(store.path / ".work")
    os.mkfifo(store.path / ".work")
    (problem,) = verify_store(store)
    assert problem.message == "is a special file, not a folder; move it elsewhere"
