"""Whether a run is what it says it is: its files, and what its log comes to.

The checks that need the files alone are in `store.verify`. Nothing is changed, and nothing raised.
"""

from __future__ import annotations

from collections.abc import Iterator

from exprec.recorder.errors import Problem
from exprec.recorder.state.fold import Fold
from exprec.recorder.store.log import Entry
from exprec.recorder.store.rundir import RunDirectory
from exprec.recorder.store.verify import RunVerification


def verify(run: RunDirectory, *, quick: bool = False) -> Iterator[Problem]:
    """Everything wrong with a run, as it is found; nothing when it verifies.

    A file of a problem is named from the store, or from the run where no store is around it. With
    `quick` only sizes, digests and the address are checked. That a run is not sealed is a problem too.
    """
    fold = Fold()

    def apply(entry: Entry) -> Iterator[Problem]:
        try:
            fold.apply(entry)
        except (KeyError, TypeError, AttributeError) as error:
            # Valid by a schema that this version does not know.
            yield Problem((), f"this version of exprec cannot read the event ({type(error).__name__}); update exprec")

    check = RunVerification(run.path, quick=quick, listener=apply)
    yield from check.problems()
    # After a line that is no event, what the others come to says nothing.
    if check.head is not None and check.is_complete:
        yield from _compare(check, fold)


def _compare(check: RunVerification, fold: Fold) -> Iterator[Problem]:
    """The head against the fold of the log."""
    assert check.head is not None
    found = fold.summary()
    said_iterations, iterations = check.head["counts"]["iterations"], found.counts["iterations"]
    if said_iterations != iterations:
        yield check.problem_in_head("counts.iterations", said_iterations, iterations)
    if check.head["status"] != found.status:
        yield check.problem_in_head("status", check.head["status"], found.status)
    for key, folded in (("result", found.result), ("failure", found.failure)):
        said = check.head[key]
        if said == folded:
            continue
        if said is None or folded is None:
            yield check.problem_in_head(key, said, folded)
            continue
        for field in sorted(said.keys() | folded.keys()):
            if said.get(field) != folded.get(field):
                yield check.problem_in_head(f"{key}.{field}", said.get(field), folded.get(field))
