"""The execution records of a run: each is named by its digest, valid by its schema, and belongs to the run."""

from __future__ import annotations

from exprec.recorder.diagnostics import show_value
from exprec.recorder.errors import Damaged, Problem
from exprec.recorder.format import layout
from exprec.recorder.store import FileTree
from exprec.recorder.verify.documents import read_document
from exprec.recorder.verify.files import NotRead, RunFiles, read_file
from exprec.recorder.verify.location import RunProblems
from exprec.recorder.verify.messages import RESTORE, unreadable, value_problem, with_advice
from exprec.recorder.verify.schemas import explain_failure, released_schema


def check_attestations(files: RunFiles, *, quick: bool) -> None:
    """Check the execution records of a sealed run in a store; if `quick`, their digests only."""
    store, run_id, problems = files.location.store, files.location.name, files.problems
    if store is None or not files.location.is_sealed:
        return
    folder = f"{layout.ATTESTATIONS_FOLDER}/{run_id}"
    try:
        names = store.names(folder)
    except FileNotFoundError:
        return
    except Damaged as error:
        problems.extend([Problem((), f"{error.reason}; {RESTORE}", source=layout.ATTESTATIONS_FOLDER)])
        return
    except OSError as error:
        problems.extend([Problem((), unreadable(error, as_a="a folder"), source=folder)])
        return
    for name in names:
        if not name.startswith("."):
            _check_record(store, f"{folder}/{name}", run_id, problems, quick=quick)


def _check_record(store: FileTree, source: str, run_id: str, problems: RunProblems, *, quick: bool) -> None:
    file = read_file(store, source)
    if isinstance(file, NotRead):
        problems.extend([Problem((), file.message, source=source)])
        return
    if source.rpartition("/")[2] != f"{file.digest.sha256}.json":
        message = f"is not named by the SHA-256 of its bytes, {file.digest.sha256}; {RESTORE}"
        problems.extend([Problem((), message, source=source)])
    document = None if quick else read_document(file, source, problems)
    if document is None:
        return
    invalid = explain_failure(released_schema("attestation.v1"), document.value)
    recorded = document.value.get("run") if isinstance(document.value, dict) else None
    if isinstance(recorded, str) and recorded != run_id:
        invalid.append(value_problem(("run",), f"is {show_value(recorded)}, but the file belongs to the run {run_id}"))
    problems.extend(document.located(map(with_advice, invalid)))
