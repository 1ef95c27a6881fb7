"""What the names of files and folders say: run ids, runs, artifacts."""

from __future__ import annotations

import hashlib

import pytest

from exprec.recorder.format import layout

RUN_ID = "0123456789abcdef" * 4


def test_a_run_id_is_64_small_hex_digits() -> None:
    assert layout.is_run_id(RUN_ID)
    for text in ("", "0" * 63, "0" * 65, "0" * 63 + "g", "A" * 64, "X" * 64):
        assert not layout.is_run_id(text)


@pytest.mark.parametrize("name", ["run.json", "events.jsonl", "schemas.json"])
def test_a_folder_with_a_file_of_runs_is_a_run(name: str) -> None:
    assert layout.is_run("copy", ["config.json", name])
    assert not layout.is_run("copy", [f"{name}.bak"])


def test_a_folder_named_by_a_run_id_is_a_run_without_any_file() -> None:
    assert layout.is_run(RUN_ID, [])
    assert not layout.is_run("notes", ["config.json", "stdout"])


def test_an_artifact_is_a_file_in_its_folder_with_a_valid_name() -> None:
    assert layout.is_artifact("artifacts/a/b.txt")
    for file in ("artifacts", "artifacts/", "artifacts/../run.json", "stdout", "a/artifacts/b"):
        assert not layout.is_artifact(file)


@pytest.mark.parametrize(
    "name",
    [
        "model.json",
        "out/model.json",
        "a b/ü.txt",
        "\U0001fae8\u0378",
        "x" * 200,
        "x/" * 499 + "xx",
        "gitignore",
        "...",
    ],
)
def test_names_that_an_artifact_can_have(name: str) -> None:
    assert layout.artifact_name_problem(name) is None


def test_whether_a_character_is_printable_depends_on_no_version_of_unicode() -> None:
    table = bytes(layout.is_printable(chr(code)) for code in range(0x110000))
    assert sum(table) == 909_172
    assert hashlib.sha256(table).hexdigest() == "c922c65cbca9311ab256330db6b8a21266df36ece6b2048415d333a2aacbbd6e"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "must be named by a relative path"),
        ("/etc/passwd", "must be named by a relative path"),
        ("a//b", "must be named by a relative path"),
        ("a/", "must be named by a relative path"),
        ("./a", "must be named by a relative path"),
        ("a/../../b", "must be named by a relative path"),
        ("a\\b", "a character in its name"),
        ("a\nb", "a character in its name"),
        ("a\0b", "a character in its name"),
        ("a\xa0b", "a character in its name"),
        ("a\u200bb", "a character in its name"),
        ("a\ue000b", "a character in its name"),
        ("a\U000e0001b", "a character in its name"),
        ("\x1b[31m", "a character in its name"),
        ("\udcff", "a character in its name"),
        ("x" * 201, "a part of more than 200 bytes"),
        ("ü" * 101, "a part of more than 200 bytes"),
        ("x/" * 500 + "x", "a name of more than 1000 bytes"),
        (".git", "means something to git"),
        ("a/.GitAttributes", "means something to git"),
        (".gitignore/a", "means something to git"),
    ],
)
def test_names_that_none_can_have(name: str, reason: str) -> None:
    assert reason in (layout.artifact_name_problem(name) or "")
