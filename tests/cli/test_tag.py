"""The command `exprec tag`, and shell completion of tags."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.fixtures.cli import complete_words, exprec
from tests.fixtures.paths import CASTRO
from tests.fixtures.runs import run_ids

TWO = CASTRO / "two-period.yaml"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tag")
    for seed in ("1", "2"):
        exprec("run", "-q", TWO, "--seed", seed, cwd=folder)
    return folder


def _tags(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (folder / "runs" / "tags").glob("*")}


def test_a_tag_names_a_run_everywhere(folder: Path) -> None:
    first, second = run_ids(folder)
    assert exprec("tag", "best", first[:6], cwd=folder).stdout.decode() == f"best {first}\n"
    assert _tags(folder) == {"best": f"{first}\n"}
    assert exprec("show", "best", cwd=folder).stdout == exprec("show", first, cwd=folder).stdout
    exprec("tag", "also", "best", cwd=folder)
    exprec("tag", "by-path", f"runs/{second}", cwd=folder)
    assert exprec("tag", cwd=folder).stdout.decode() == f"also     {first}\nbest     {first}\nby-path  {second}\n"
    rows = [json.loads(line) for line in exprec("tag", "--json", cwd=folder).stdout.splitlines()]
    assert rows[0] == {"tag": "also", "run_id": first, "found": True}
    assert len(rows) == 3


def test_a_tag_of_another_run_is_moved_by_force_alone(folder: Path) -> None:
    first, second = run_ids(folder)
    exprec("tag", "best", first, cwd=folder)
    exprec("tag", "best", first, cwd=folder)
    done = exprec("tag", "best", second, cwd=folder, code=2)
    assert f"tag 'best' already refers to '{first}'; use --force" in done.stderr.decode()
    assert _tags(folder) == {"best": f"{first}\n"}
    assert f"was '{first}'" in exprec("tag", "--force", "best", second, cwd=folder).stderr.decode()
    assert _tags(folder) == {"best": f"{second}\n"}


def test_a_tag_is_removed_and_its_run_stays(folder: Path) -> None:
    first, second = run_ids(folder)
    exprec("tag", "best", first, cwd=folder)
    assert f"was '{first}'" in exprec("tag", "--delete", "best", cwd=folder).stderr.decode()
    assert _tags(folder) == {}
    assert run_ids(folder) == [first, second]
    assert b"no tag 'best'" in exprec("tag", "--delete", "best", cwd=folder, code=4).stderr
    assert exprec("tag", cwd=folder).stdout == b""


def test_bad_names_and_missing_runs(folder: Path) -> None:
    first, _ = run_ids(folder)
    said = exprec("tag", "cafe", first, cwd=folder, code=2).stderr.decode()
    assert "4 or more hex digits are a prefix of a run id" in said
    exprec("tag", "a/b", first, cwd=folder, code=2)
    exprec("tag", "best", "0" * 64, cwd=folder, code=4)
    exprec("tag", "best", first, "--store", "elsewhere", cwd=folder, code=4)
    assert not (folder / "runs" / "tags").exists()
    assert not (folder / "elsewhere").exists()


@pytest.mark.parametrize(
    "arguments", [["best"], ["--delete"], ["--force"], ["--json", "a", "b"], ["--delete", "a", "b"]]
)
def test_wrong_usage(recorded: Path, arguments: list[str]) -> None:
    exprec("tag", *arguments, cwd=recorded, code=2)


def test_only_a_sealed_run_of_the_store_is_tagged(folder: Path) -> None:
    first, _ = run_ids(folder)
    work = folder / "runs" / ".work" / "0123456789abcdef"
    shutil.copytree(folder / "runs" / first, work)
    done = exprec("tag", "best", work.name, cwd=folder, code=2)
    assert f"{work.name} is not sealed (interrupted)" in done.stderr.decode()
    shutil.move(folder / "runs" / first, folder / "copy")
    exprec("tag", "best", "copy", cwd=folder, code=4)


def test_tag_of_a_missing_run_is_reported(folder: Path) -> None:
    (folder / "runs" / "tags").mkdir()
    (folder / "runs" / "tags" / "gone").write_text("0" * 64 + "\n")
    (folder / "runs" / "tags" / "torn").write_bytes(b"\xff\x1b[2J")
    done = exprec("tag", cwd=folder)
    assert b"\x1b" not in done.stdout + done.stderr
    assert f"the tag 'gone' refers to '{'0' * 64}', which is not a run of the store runs" in done.stderr.decode()
    assert [json.loads(line)["found"] for line in exprec("tag", "--json", cwd=folder).stdout.splitlines()] == [
        False
    ] * 2


def test_the_shell_completes_tags_and_short_ids(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = run_ids(folder)
    exprec("tag", "best", second, cwd=folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("EXPREC_STORE", raising=False)
    tag, one, two = ("plain", "best"), ("plain", first[:8]), ("plain", second[:8])
    assert complete_words("show", "") == [tag, one, two]
    assert complete_words("show", first[:5]) == [one]
    assert complete_words("show", first[:20]) == [("plain", first)]
    assert complete_words("tag", "be") == [tag]
    assert complete_words("tag", "new", second[:4]) == [two]
    assert complete_words("show", "--store", str(folder / "runs"), "b") == [tag]
    assert complete_words("show", "--store", "elsewhere", "") == [("dir", "")]
    (folder / "runs" / "store.json").write_bytes(b"{")
    assert complete_words("show", "b") == [("dir", "b")]
    assert complete_words("tag", "b") == []
    assert capfd.readouterr() == ("", "")
