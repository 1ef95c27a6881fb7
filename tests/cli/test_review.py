"""The command `exprec review` in real repositories."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.cli import exprec
from tests.fixtures.experiments import experiment
from tests.fixtures.git import commit_all, git
from tests.fixtures.paths import CASTRO
from tests.fixtures.runs import run_ids

pytestmark = pytest.mark.usefixtures("git_as_it_comes")
GAME = CASTRO / "two-period.yaml"


def _run(folder: Path, *arguments: str | Path, code: int = 0) -> str:
    return exprec("run", "-q", GAME, *arguments, cwd=folder, code=code).stdout.decode().strip()


@pytest.fixture(scope="module")
def main(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a run tagged `best` on the branch main."""
    folder = tmp_path_factory.mktemp("main")
    git(folder, "init", "-q", "-b", "main")
    exprec("tag", "best", _run(folder), cwd=folder)
    commit_all(folder, "work")
    return folder


@pytest.fixture
def folder(main: Path, tmp_path: Path) -> Path:
    """A copy of the repository, on the branch feature."""
    copy = Path(shutil.copytree(main, tmp_path / "repository"))
    git(copy, "checkout", "-q", "-b", "feature")
    return copy


def _review(folder: Path, *arguments: str | Path, code: int = 0) -> tuple[str, str]:
    done = exprec("review", *arguments, cwd=folder, env={"COLUMNS": "100"}, code=code)
    assert b"Traceback" not in done.stderr
    return done.stdout.decode(), done.stderr.decode()


def _data(folder: Path, revisions: str = "main", code: int = 0) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(_review(folder, revisions, "--json", code=code)[0])
    return said


def test_what_a_branch_adds(folder: Path) -> None:
    (first,) = run_ids(folder)
    added = _run(folder, "--seed", "7")
    exprec("tag", "seven", added, cwd=folder)
    commit_all(folder, "work")
    shown, said = _review(folder, "main..feature")
    base = git(folder, "rev-parse", "main")
    lines = shown.splitlines()
    assert lines[0] == "main..feature  1 run added, 1 tag added"
    assert lines[1] == f"  against the merge base {base[:12]}, store runs; 1 run verified"
    (row,) = [line for line in lines if line.startswith(added[:8])]
    assert "completed" in row
    assert "10000→2000→2000" in row
    assert f"  seven  {added[:8]}  added" in lines
    assert first[:8] not in shown
    assert said == ""
    data = _data(folder, "main..feature")
    assert (data["ok"], data["base"], data["head"], data["merge_base"]) == (True, "main", "feature", base)
    (found,) = data["added"]
    assert (found["run_id"], found["iterations"], found["first_cost"], found["final_cost"]) == (added, 13, 10000, 2000)
    assert (found["executions"], found["problems"], found["mode"]) == (1, [], "deterministic-pairwise")


def test_only_what_the_branch_did_counts(folder: Path) -> None:
    """Later commits on main do not count as changes of the branch, in any form of the range."""
    added = _run(folder, "--seed", "7")
    commit_all(folder, "work")
    git(folder, "checkout", "-q", "main")
    _run(folder, "--seed", "8")
    commit_all(folder, "elsewhere")
    git(folder, "checkout", "-q", "feature")
    for revisions in ("main..feature", "main...feature", "main", "main..", "main...HEAD"):
        data = _data(folder, revisions)
        assert [run["run_id"] for run in data["added"]] == [added]
        assert data["removed"] == []
    assert _data(folder, "..feature")["added"] == []


def test_nothing_differs(folder: Path) -> None:
    shown, _ = _review(folder, "main")
    assert shown.splitlines()[0] == "main..HEAD  no runs or tags differ"
    assert "## ✅ exprec: no runs or tags differ" in _review(folder, "main", "--md")[0]


def test_a_tag_that_moved_comes_with_the_difference(folder: Path) -> None:
    (first,) = run_ids(folder)
    added = _run(folder, "--seed", "7")
    exprec("tag", "--force", "best", added, cwd=folder)
    commit_all(folder, "work")
    shown, _ = _review(folder, "main")
    assert f"  best  {first[:8]} → {added[:8]}  moved" in shown.splitlines()
    assert "master_seed" in shown[shown.index("Comparisons of moved tags") :]
    (tag,) = _data(folder)["tags"]
    assert (tag["tag"], tag["how"], tag["old"], tag["new"]) == ("best", "moved", first, added)
    assert tag["comparison"]["equal"] is False
    comment, _ = _review(folder, "main", "--md")
    assert "<details><summary><code>best</code>" in comment
    git(folder, "rm", "-q", "-r", f"runs/{first}")
    commit_all(folder, "the old run is gone")
    assert _data(folder)["tags"][0]["comparison"]["old"]["run_id"] == first


def test_runs_that_were_removed_or_recorded_again(folder: Path) -> None:
    (first,) = run_ids(folder)
    _run(folder)
    commit_all(folder, "work")
    shown, _ = _review(folder, "main")
    assert f"  {first[:8]}  castro-two-period  1 → 2 executions" in shown.splitlines()
    assert [run["run_id"] for run in _data(folder)["recorded_again"]] == [first]
    git(folder, "rm", "-q", "-r", "runs/attestations", f"runs/{first}", "runs/tags")
    commit_all(folder, "work")
    shown, _ = _review(folder, "main")
    assert shown.splitlines()[0] == "main..HEAD  1 run removed, 1 tag removed"
    assert f"  {first[:8]}  castro-two-period" in shown.splitlines()
    assert f"  best  {first[:8]}  removed" in shown.splitlines()


def test_a_branch_that_removes_the_whole_store(folder: Path) -> None:
    git(folder, "rm", "-q", "-r", "runs")
    git(folder, "commit", "-q", "-m", "gone")
    assert _review(folder, "main")[0].splitlines()[0] == "main..HEAD  1 run removed, 1 tag removed"


def test_same_inputs_with_different_results(folder: Path) -> None:
    """The simulator depends on something other than its inputs."""
    source = "import os\ndef costs(*_):\n    return {agent: int(os.environ['COST']) for agent in 'AB'}\n"
    (folder / "simulation.py").write_text(source, "utf-8")
    path = experiment(folder, scenario={}, simulator="simulation:costs")
    for cents in ("100", "200"):
        exprec("run", "-q", path, cwd=folder, env={"COST": cents})
    commit_all(folder, "work")
    data = _data(folder)
    (group,) = data["same_inputs"]
    assert {(run["final_cost"], run["added"]) for run in group} == {(200, True), (400, True)}
    assert all(run["shares_inputs"] for run in data["added"])
    one, other = group
    shown, _ = _review(folder, "main")
    said = f"{one['short_id']} ({one['final_cost']}) ≠ {other['short_id']} ({other['final_cost']})  two banks"
    assert f"  {said}" in shown[shown.index("Same inputs, different results") :].splitlines()
    assert sum("≠" in line for line in shown[shown.index("Runs added") :].splitlines()) == 3
    git(folder, "checkout", "-q", "-b", "third")
    (folder / "notes.txt").write_text("nothing of runs\n", "utf-8")
    commit_all(folder, "work")
    assert _data(folder, "feature..third")["same_inputs"] == []


# --- what is wrong ------------------------------------------------------------------------------------


def test_a_sealed_run_that_was_changed(folder: Path) -> None:
    (first,) = run_ids(folder)
    path = folder / "runs" / first / "events.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b'"seq":1,', b'"seq":7,'))
    commit_all(folder, "work")
    shown, _ = _review(folder, "main", code=1)
    lines = shown.splitlines()
    assert lines[0] == "main..HEAD  1 sealed run changed"
    assert "in 1 run" in lines[1]
    assert any(line.startswith(f"  HEAD:runs/{first}/events.jsonl:2: seq: must be 1, not 7") for line in lines)
    assert f"  {first[:8]}  castro-two-period  events.jsonl  does not verify" in lines
    data = _data(folder, code=1)
    assert data["ok"] is False
    assert data["changed"][0]["changed_files"] == ["events.jsonl"]
    assert data["changed"][0]["problems"][0]["file"].startswith(f"HEAD:runs/{first}/")
    comment, _ = _review(folder, "main", "--md", code=1)
    assert comment.startswith("## ❌ exprec: 1 sealed run changed\n")
    assert comment.index("### Problems") < comment.index("### Sealed runs changed")
    git(folder, "checkout", "-q", "-b", "repair")
    path.write_bytes(whole)
    commit_all(folder, "work")
    assert "repaired: verifies now" in _review(folder, "feature..repair")[0]


def test_a_run_that_does_not_verify_is_not_compared(folder: Path) -> None:
    added = _run(folder, "--seed", "7")
    exprec("tag", "--force", "best", added, cwd=folder)
    (folder / "runs" / added / "events.jsonl").write_bytes(b"{}\n" * 500)
    commit_all(folder, "work")
    data = _data(folder, code=1)
    assert data["tags"][0]["comparison"] is None
    assert data["tags"][0]["reason"] == f"the run {added[:8]} does not verify"
    (run,) = data["added"]
    assert (len(run["problems"]), run["problem_count"] > 20) == (20, True)
    shown, _ = _review(folder, "main", code=1)
    assert f"{run['problem_count'] - 20} more problems of {added[:8]}" in shown
    assert f"    not compared: the run {added[:8]} does not verify" in shown.splitlines()


def test_tag_of_a_missing_run(folder: Path) -> None:
    (first,) = run_ids(folder)
    (folder / "runs" / "tags" / "lost").write_text("../../elsewhere\n", "utf-8")
    commit_all(folder, "work")
    shown, _ = _review(folder, "main", code=1)
    assert "  HEAD:runs/tags/lost: names '../../elsewhere', which is not a run of HEAD:runs" in shown.splitlines()
    git(folder, "rm", "-q", "-r", f"runs/{first}", "runs/tags/lost")
    git(folder, "commit", "-q", "-m", "its run is gone")
    assert f"runs/tags/best: names {first}, which is not a run" in _review(folder, "main", code=1)[0]
    git(folder, "checkout", "-q", "-b", "later")
    (folder / "notes.txt").write_text("not the fault of this branch\n", "utf-8")
    commit_all(folder, "work")
    _review(folder, "feature..later")


def test_special_entries_and_missing_objects(folder: Path) -> None:
    (first,) = run_ids(folder)
    blob = git(folder, "rev-parse", "HEAD:runs/store.json")
    git(folder, "update-index", "--add", "--cacheinfo", f"120000,{blob},runs/{first}/config.json")
    git(folder, "update-index", "--add", "--cacheinfo", f"120000,{blob},runs/{'f' * 64}")
    git(folder, "commit", "-q", "-m", "links")
    shown, _ = _review(folder, "main", code=1)
    assert f"HEAD:runs/{first}/config.json: is a symbolic link, not a regular file" in shown
    assert f"HEAD:runs/{'f' * 64}: must be a folder, and is a symbolic link" in shown
    git(folder, "reset", "-q", "--hard")
    added = _run(folder, "--seed", "7")
    commit_all(folder, "work")
    events = git(folder, "rev-parse", f"HEAD:runs/{added}/config.json")
    (folder / ".git" / "objects" / events[:2] / events[2:]).unlink()
    shown, _ = _review(folder, "main", code=1)
    assert f"HEAD:runs/{added}/config.json: git cannot read the object {events}" in shown


# --- revisions and stores -----------------------------------------------------------------------------


def test_histories_without_a_common_commit(folder: Path, tmp_path: Path) -> None:
    git(folder, "checkout", "-q", "--orphan", "other")
    git(folder, "commit", "-q", "-m", "from nothing")
    assert "have no commit in common: their histories are unrelated" in _review(folder, "main", code=2)[1]
    git(folder, "checkout", "-q", "feature")
    _run(folder, "--seed", "7")
    commit_all(folder, "work")
    git(folder, "checkout", "-q", "main")
    _run(folder, "--seed", "8")
    commit_all(folder, "work")
    git(tmp_path, "clone", "-q", "--depth=1", "--no-single-branch", folder.as_uri(), "shallow")
    _, said = _review(tmp_path / "shallow", "origin/main..origin/feature", code=2)
    assert "fetch more of its history (git fetch --unshallow" in said
    git(tmp_path / "shallow", "fetch", "-q", "--unshallow")
    assert _data(tmp_path / "shallow", "origin/main..origin/feature")["ok"]


@pytest.mark.parametrize(("revisions", "unknown"), [("nope", "nope"), ("main..nope", "nope"), ("-x...main", "-x")])
def test_unknown_revisions(folder: Path, revisions: str, unknown: str) -> None:
    done = exprec("review", "--", revisions, cwd=folder, code=2)
    assert done.stderr.decode().startswith(f"exprec: '{unknown}' names no commit here")


def test_no_store_and_another_store(folder: Path, tmp_path: Path) -> None:
    assert "no exprec store here" in _review(folder, "main", "--store", "none", code=5)[1]
    (folder / "work").mkdir()
    shutil.copytree(folder / "runs", folder / "work" / "runs")
    commit_all(folder, "work")
    shown, said = _review(folder, "main")
    assert "no runs or tags differ" in shown
    assert said == "exprec: the store work/runs also differs; --store selects it\n"
    shown, said = _review(folder, "main", "--store", "work/runs")
    assert shown.startswith("main..HEAD  1 run added, 1 tag added\n")
    assert said == ""


def test_wrong_usage(folder: Path) -> None:
    assert "--md and --json" in _review(folder, "main", "--md", "--json", code=2)[1]
    assert "BASE..HEAD" in _review(folder, code=2)[1]


def test_nothing_is_written(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    _run(folder, "--seed", "7")
    commit_all(folder, "work")
    exprec("review", "main", cwd=folder, env={"TMPDIR": str(tmp_path / "temporary")})
    assert not list((tmp_path / "temporary").iterdir())
    assert git(folder, "status", "--porcelain") == ""


# --- Markdown -----------------------------------------------------------------------------------------


def test_text_of_runs_is_only_text_in_markdown(folder: Path) -> None:
    hostile = "@someone <img src=x> ![x](http://a.example) | `x` www.b.example #1 ~~x~~ c@d.example"
    path = experiment(folder, name=hostile)
    exprec("run", "-q", path, cwd=folder)
    (folder / "runs" / "tags" / "@admins").write_text("[x](http://e.example) <b>|\n", "utf-8")
    commit_all(folder, "work")
    comment, _ = _review(folder, "main", "--md", code=1)
    (row,) = [line for line in comment.splitlines() if line.startswith("| <code>") and "someone" in line]
    (header,) = [line for line in comment.splitlines() if line.startswith("| run |")]
    assert row.count("|") == header.count("|")
    outside = re.sub(r"<code>[^<`@|\[\]]*(?:<!-- -->[^<`@|\[\]]*)*</code>", "", comment)
    for text in ("@", "http", "img", "www.", "`", "<b>", "e.example"):
        assert text not in outside
    for text in ("http://", "www.b", "@", "<img", "c@d"):
        assert text not in comment
