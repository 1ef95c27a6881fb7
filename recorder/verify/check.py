"""Whether a run is what it says it is: its files, the order of its events, and what they come to.

The checks that need the files alone are in `store.verify`. Nothing is changed, and nothing raised.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from exprec.recorder.errors import Problem
from exprec.recorder.format import canonical_json
from exprec.recorder.store import RunDirectory
from exprec.recorder.verify.order import Course
from exprec.recorder.verify.run import RunVerification


def verify(run: RunDirectory, *, quick: bool = False) -> Iterator[Problem]:
    """Everything wrong with a run, as it is found; nothing when it verifies.

    A file of a problem is named from the store, or from the run where no store is around it. With
    `quick` only sizes, digests and the address are checked. That a run is not sealed is a problem too.
    """
    course = Course()
    check = RunVerification(run.path, quick=quick, listener=course.apply)
    yield from check.problems()
    # After a line that is no event, what the others come to says nothing.
    if check.head is not None and check.is_complete:
        yield from _compare(check, check.head, course)


def _compare(check: RunVerification, head: dict[str, Any], course: Course) -> Iterator[Problem]:
    """The head against what the log came to."""
    if head["counts"]["iterations"] != course.iterations:
        yield check.problem_in_head(("counts", "iterations"), head["counts"]["iterations"], course.iterations)
    if head["status"] != course.status:
        yield check.problem_in_head(("status",), head["status"], course.status)
    result = course.result if course.status == "completed" else None
    for key, found in (("result", result), ("failure", course.failure)):
        said = head[key]
        if said is None or found is None:
            if said is not found:
                yield check.problem_in_head((key,), said, found)
            continue
        for field in sorted(said.keys() | found.keys()):
            # By their bytes, because Python holds 1, 1.0 and true for equal.
            one, other = ({field: part[field]} if field in part else {} for part in (said, found))
            if canonical_json.encode(one) != canonical_json.encode(other):
                yield check.problem_in_head((key, field), said.get(field), found.get(field))
