"""What was observed of executions of a run: each file named by its digest, of its form, and of this run.

Whether the run itself is what it says is told elsewhere.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

from exprec.recorder.diagnostics import show_value
from exprec.recorder.errors import Problem
from exprec.recorder.format import layout
from exprec.recorder.fs.digests import digest_of
from exprec.recorder.verify.documents import read_indented
from exprec.recorder.verify.messages import RESTORE, at, kind_of, to_restore, unreadable
from exprec.recorder.verify.schemas import explained, released


def problems_in_attestations(store: Path, run_id: str, *, quick: bool) -> Iterator[Problem]:
    """Everything wrong with the attestations of a run, named from the store; with `quick` of their digests alone."""
    folder = store / layout.ATTESTATIONS_FOLDER / run_id
    prefix = f"{layout.ATTESTATIONS_FOLDER}/{run_id}"
    try:
        names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    except FileNotFoundError:
        return
    except OSError as error:
        yield Problem((), unreadable(error, a="a folder"), source=prefix)
        return
    for name in names:
        yield from _problems(folder / name, f"{prefix}/{name}", run_id, quick=quick)


def _problems(path: Path, source: str, run_id: str, *, quick: bool) -> Iterator[Problem]:
    try:
        mode = path.lstat().st_mode
        if not stat.S_ISREG(mode):
            yield Problem((), f"must be a file, and is {kind_of(mode)}; {RESTORE}", source=source)
            return
        sha256 = digest_of(path).sha256
    except OSError as error:
        yield Problem((), unreadable(error), source=source)
        return
    if path.name != f"{sha256}.json":
        yield Problem((), f"is not named by the SHA-256 of its bytes, {sha256}; {RESTORE}", source=source)
    if quick:
        return
    file = yield from read_indented(path, source)
    if file is None:
        return
    found = explained(released("attestation.v1"), file.value)
    said = file.value.get("run") if isinstance(file.value, dict) else None
    if isinstance(said, str) and said != run_id:
        found.append(at(("run",), f"is {show_value(said)}, and the file lies with the run {run_id}"))
    yield from file.located(map(to_restore, found))
