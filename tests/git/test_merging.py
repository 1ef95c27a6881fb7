"""Branches with any recorded runs merge; only a tag that both set to different runs conflicts."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from exprec.recorder.store.store import Store
from tests.fixtures.cli import exprec
from tests.fixtures.events import OBSERVATION
from tests.fixtures.git import git
from tests.fixtures.runs import record

Tags = Mapping[str, str]


@dataclass(frozen=True)
class Work:
    """The work on a branch: executions of numbered experiments at some second, and tags."""

    executions: tuple[tuple[int, int], ...] = ()
    tags: Mapping[str, int] = field(default_factory=dict)


EXPERIMENTS = st.integers(0, 4)
WORK = st.builds(
    Work,
    st.lists(st.tuples(EXPERIMENTS, st.integers(0, 2)), max_size=3).map(tuple),
    st.dictionaries(st.sampled_from(["best", "fig-1", "old"]), EXPERIMENTS, max_size=2),
)


def done(repository: Path, work: Work) -> None:
    """Do and commit the work on the current branch; a branch without work has no store."""
    if work != Work():
        store = Store.open_or_create(repository / "runs")
        tagged = dict.fromkeys(work.tags.values(), 0)
        for number, second in (*tagged.items(), *work.executions):
            run_id = record(store, {"name": f"experiment {number}"}).run_id
            store.attest(run_id, {**OBSERVATION, "started_at": f"2026-01-01T00:00:0{second}.000000+00:00"})
            for name in (name for name, each in work.tags.items() if each == number):
                store.tag(name, run_id, force=True)
        git(repository, "add", "-A")
    git(repository, "commit", "-q", "--allow-empty", "-m", "work")


def tags_of(repository: Path) -> Tags:
    return Store(repository / "runs").tags() if (repository / "runs" / "store.json").exists() else {}


def in_conflict(base: Tags, one: Tags, two: Tags) -> set[str]:
    """Return the tags that both branches set to different runs."""
    both = one.keys() & two.keys()
    return {name for name in both if one[name] != two[name] and base.get(name) not in (one[name], two[name])}


def together(base: Tags, one: Tags, two: Tags) -> dict[str, str]:
    """Return the tags of both branches; in a conflict, those of `two`."""
    return {**one, **{name: run_id for name, run_id in two.items() if name not in one or base.get(name) != run_id}}


def files_of(repository: Path, revision: str) -> set[str]:
    return set(git(repository, "ls-tree", "-r", "-z", "--name-only", revision).split("\0"))


def merge(repository: Path) -> set[str]:
    """Merge the branch `one` into the current one; returns the files in conflict."""
    try:
        git(repository, "merge", "-q", "-m", "both", "one")
    except subprocess.CalledProcessError:
        return set(git(repository, "diff", "--name-only", "--diff-filter=U").splitlines())
    return set()


@given(WORK, WORK, WORK)
# Both branches make the store; both come to one run, in one second and in different ones.
@example(Work(), Work(((0, 0), (0, 1), (2, 0))), Work(((0, 0), (0, 2), (1, 0))))
# Both move a tag, apart; both make one, together; and each makes one of its own.
@example(
    Work(tags={"best": 0}),
    Work(tags={"best": 1, "fig-1": 1, "mine": 1}),
    Work(tags={"best": 2, "fig-1": 1, "yours": 0}),
)
@settings(max_examples=6, deadline=None)
def test_branches_merge(base: Work, one: Work, two: Work) -> None:
    with tempfile.TemporaryDirectory() as name:
        repository = Path(name)
        git(repository, "init", "-q", "-b", "main")
        done(repository, base)
        tags = [tags_of(repository)]
        for branch, work in (("one", one), ("two", two)):
            git(repository, "checkout", "-q", "-b", branch, "main")
            done(repository, work)
            tags.append(tags_of(repository))
        conflicts = in_conflict(*tags)
        assert merge(repository) == {f"runs/tags/{name}" for name in conflicts}
        for tag in conflicts:
            git(repository, "checkout", "--ours", f"runs/tags/{tag}")
        git(repository, "add", "-A")
        git(repository, "commit", "-q", "--allow-empty", "-m", "resolved")
        # Nothing of either branch is lost, and nothing else came in.
        assert files_of(repository, "HEAD") == files_of(repository, "one") | files_of(repository, "two")
        assert tags_of(repository) == together(*tags)
        if (repository / "runs").exists():
            _verifies(repository / "runs")


def _verifies(store: Path) -> None:
    run_ids = Store(store).run_ids()
    proven = exprec("verify", "--all", "--store", store).stdout.decode().splitlines()
    assert [line.split()[:2] for line in proven] == [["ok", run_id] for run_id in run_ids]
    assert set(Store(store).tags().values()) <= set(run_ids)
    assert all(Store(store).attestations(run_id) for run_id in run_ids)
