"""Where a run lies: its folder, the store around it, and how its files are called in a problem.

It reads no file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from exprec.recorder.format import layout


@dataclass(frozen=True, slots=True)
class Place:
    """A folder, the store around it, and whether a run there should be sealed."""

    folder: Path
    store: Path | None
    is_sealed: bool

    @classmethod
    def of(cls, path: Path) -> Place:
        """Return the location of the files of a run or store."""
        try:
            folder = path.resolve()
        except (OSError, RuntimeError):
            # A link to itself.
            folder = path.absolute()
        is_sealed = folder.parent.name != layout.WORK_FOLDER
        store = folder.parent if is_sealed else folder.parent.parent
        return cls(folder, store if (store / layout.STORE_FILE).exists() else None, is_sealed)

    def source(self, file: str = "") -> str:
        """How a file of the run is called in a problem: from the store, or from the run where there is no store."""
        name = self.folder.name if self.is_sealed else f"{layout.WORK_FOLDER}/{self.folder.name}"
        return "/".join(part for part in (name if self.store else "", file) if part) or "."
