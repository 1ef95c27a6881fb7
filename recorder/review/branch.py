"""The two ends of a branch, and the store in both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from exprec.recorder.errors import GitFailure, NotAStore
from exprec.recorder.git import Repository, TreeIndex, find_repository, find_store_folder, store_folders


@dataclass(frozen=True, slots=True)
class Branch:
    """The head of a branch and its merge base, and the store that both have in one folder."""

    repository: Repository
    base: str
    head: str
    """Both as the user gave them."""
    merge_base: str
    """The id of the commit where the branch left the base."""
    folder: str
    """The path of the store from the top of the repository; empty for the top."""
    old: TreeIndex
    """The entries of the merge base."""
    new: TreeIndex
    """The entries of the head."""

    @property
    def old_label(self) -> str:
        """What the merge base is called in names of files."""
        return self.merge_base[:12]

    def other_stores(self) -> list[str]:
        """Return the folders of other stores that the branch changes too, sorted."""
        old, new = self.old.entries, self.new.entries
        folders = {*store_folders(old), *store_folders(new)} - {self.folder}
        return sorted(folder for folder in folders if old.get(folder) != new.get(folder))


def find_branch(revisions: str, store: Path, *, is_given: bool) -> Branch:
    """Find the branch `BASE..HEAD`, `BASE...HEAD` or `BASE` (up to HEAD), and the store in it.

    Raises GitFailure, NotAStore.
    """
    repository, folder = find_repository(store)
    base, head = _ends(revisions)
    merge_base = _merge_base(repository, base, head)
    old, new = TreeIndex(repository.tree(merge_base)), TreeIndex(repository.tree(repository.commit(head)))
    try:
        folder = find_store_folder(head, folder, new, is_given=is_given)
    except NotAStore as missing:
        # A branch may remove a store.
        try:
            folder = find_store_folder(merge_base[:12], folder, old, is_given=is_given)
        except NotAStore:
            raise missing from None
    return Branch(repository, base, head, merge_base, folder, old, new)


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
