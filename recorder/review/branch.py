"""The two ends of a branch, and the store in both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from exprec.recorder.errors import NotAStore
from exprec.recorder.git.repository import GitFailure, Repository
from exprec.recorder.git.source import CommittedStore, find_store, repository_of, store_folders


@dataclass(frozen=True, slots=True)
class Branch:
    """A store at the head of a branch and at the commit where the branch left another."""

    repository: Repository
    base: str
    head: str
    merge_base: str
    old: CommittedStore
    new: CommittedStore
    others: tuple[str, ...]
    """The paths of other stores that the branch changes too."""


def find_branch(revisions: str, store: Path, *, is_given: bool) -> Branch:
    """The branch that `BASE..HEAD`, `BASE...HEAD` or `BASE` (up to HEAD) names, and the store in it.

    Raises GitFailure, NotAStore.
    """
    repository, path = repository_of(store)
    base, head = _ends(revisions)
    merge_base = _merge_base(repository, base, head)
    label = merge_base[:12]
    before, after = repository.tree(merge_base), repository.tree(repository.commit(head))
    try:
        path = find_store(head, path, after, is_given=is_given).path
    except NotAStore as missing:
        # A branch may remove a store.
        try:
            path = find_store(label, path, before, is_given=is_given).path
        except NotAStore:
            raise missing from None
    others = sorted(
        other
        for other in {*store_folders(before), *store_folders(after)} - {path}
        if before.get(other) != after.get(other)
    )
    old, new = CommittedStore(label, path, before), CommittedStore(head, path, after)
    return Branch(repository, base, head, merge_base, old, new, tuple(others))


def _ends(revisions: str) -> tuple[str, str]:
    base, dots, head = revisions.partition("...")
    if not dots:
        base, _, head = revisions.partition("..")
    return base or "HEAD", head or "HEAD"


def _merge_base(repository: Repository, base: str, head: str) -> str:
    found = repository.merge_base(repository.commit(base), repository.commit(head))
    if found is None and repository.is_shallow():
        raise GitFailure(
            f"'{base}' and '{head}' have no commit in common in this shallow clone; fetch more of its history "
            "(git fetch --unshallow; in GitHub Actions, fetch-depth: 0 for actions/checkout)"
        )
    if found is None:
        raise GitFailure(
            f"'{base}' and '{head}' have no commit in common: their histories are unrelated, and there is nothing to "
            "compare with; `exprec verify --git` verifies what is committed in one of them"
        )
    return found
