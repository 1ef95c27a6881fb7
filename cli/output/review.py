"""What a branch does to the runs of a store, as plain values and as lines for a terminal.

It reads nothing and decides nothing; the same as Markdown is in `review_markdown`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from exprec.cli.output.comparison import comparison_lines
from exprec.cli.output.listing import SAME_INPUTS, listing_lines
from exprec.recorder.diff.result import Comparison
from exprec.recorder.display.text import BLANK, Line, counted, line, visible
from exprec.recorder.errors import Problem
from exprec.recorder.query.listing import Listed

MOST_NAMES = 8
"""So many runs with the same inputs are named on a line; the rest is counted."""

LONGEST_NAME = 80
"""Characters shown of a name, or of what stands in a tag and is no address."""

_NONE = "–"


@dataclass(frozen=True, slots=True)
class ReviewedRun:
    """A run that the branch adds or changes, or of which it has other attestations."""

    row: Listed
    problems: tuple[Problem, ...] = ()
    """The first ones. Their source is the file as git names it."""
    problem_count: int = 0
    files: tuple[str, ...] = ()
    """The files of a sealed run that are not what they were."""
    executions_before: int = 0
    """How many executions were attested before."""

    def as_dict(self) -> dict[str, Any]:
        return {
            **self.row.as_dict(),
            "changed_files": list(self.files),
            "executions_before": self.executions_before,
            "problem_count": self.problem_count,
            "problems": [problem_dict(problem) for problem in self.problems],
        }


@dataclass(frozen=True, slots=True)
class NamedRun:
    """A run that is only named. The cost is in cents, and None where it came to none."""

    run_id: str
    short_id: str
    name: str = ""
    final_cost: int | None = None
    is_added: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "short_id": self.short_id,
            "name": self.name,
            "final_cost": self.final_cost,
            "added": self.is_added,
        }


@dataclass(frozen=True, slots=True)
class TagChange:
    """A tag that stands for another run than before. What it holds may be anything that somebody wrote."""

    name: str
    old: str | None
    """None for a new tag."""
    new: str | None
    """None for a tag that was removed."""
    old_short: str = ""
    new_short: str = ""
    comparison: Comparison | None = None
    """Of the two runs, for a tag that moved; None if one of them cannot be read."""
    reason: str = ""
    """Why they cannot be compared."""

    @property
    def how(self) -> str:
        return "added" if self.old is None else "removed" if self.new is None else "moved"

    def as_dict(self) -> dict[str, Any]:
        return {
            "tag": self.name,
            "how": self.how,
            "old": self.old,
            "new": self.new,
            "comparison": None if self.comparison is None else self.comparison.as_dict(),
            "reason": self.reason or None,
        }


@dataclass(frozen=True, slots=True)
class Review:
    """A branch against the commit at which it left another."""

    base: str
    head: str
    """Both as they were given."""
    merge_base: str
    """The id of the commit that all is compared with."""
    store: str
    """The path of the store from the top of the repository; empty at the top."""
    added: tuple[ReviewedRun, ...] = ()
    changed: tuple[ReviewedRun, ...] = ()
    """Sealed runs of which a file is not what it was. One without a problem was repaired."""
    again: tuple[ReviewedRun, ...] = ()
    """Runs of which only the attestations differ."""
    removed: tuple[NamedRun, ...] = ()
    same_inputs: tuple[tuple[NamedRun, ...], ...] = ()
    """Runs with equal inputs at several addresses, if one of them was added; those that were added first."""
    tags: tuple[TagChange, ...] = ()
    problems: tuple[Problem, ...] = ()
    """What is wrong beside the runs."""

    @property
    def verified(self) -> tuple[ReviewedRun, ...]:
        """The runs that were verified: all that the branch touches and does not remove."""
        return self.changed + self.added + self.again

    @property
    def problem_count(self) -> int:
        return len(self.problems) + sum(run.problem_count for run in self.verified)

    def as_dict(self) -> dict[str, Any]:
        return {
            "base": self.base,
            "head": self.head,
            "merge_base": self.merge_base,
            "store": self.store,
            "ok": not self.problem_count,
            "added": [run.as_dict() for run in self.added],
            "changed": [run.as_dict() for run in self.changed],
            "recorded_again": [run.as_dict() for run in self.again],
            "removed": [run.as_dict() for run in self.removed],
            "same_inputs": [[run.as_dict() for run in runs] for runs in self.same_inputs],
            "tags": [tag.as_dict() for tag in self.tags],
            "problems": [problem_dict(problem) for problem in self.problems],
        }


def problem_dict(problem: Problem) -> dict[str, Any]:
    """A problem for programs."""
    return {"file": problem.source, "line": problem.line, "key": problem.key, "message": problem.message}


def headline(review: Review) -> str:
    """What happened, in numbers: our own words only."""
    moved, new, gone = (sum(tag.how == how for tag in review.tags) for how in ("moved", "added", "removed"))
    counts = (
        (len(review.added), "run", "added"),
        (len(review.changed), "sealed run", "changed"),
        (len(review.removed), "run", "removed"),
        (len(review.again), "run", "recorded again"),
        (moved, "tag", "moved"),
        (new, "tag", "added"),
        (gone, "tag", "removed"),
    )
    said = [f"{counted(number, noun)} {what}" for number, noun, what in counts if number]
    return ", ".join(said) or "no run and no tag differs"


def verdict(review: Review) -> str:
    """Whether what the branch touches verifies: our own words only."""
    if review.problem_count:
        failed = sum(run.problem_count > 0 for run in review.verified)
        where = f" in {counted(failed, 'run')}" if failed else ""
        return f"{counted(review.problem_count, 'problem')}{where}"
    number = len(review.verified)
    return f"{counted(number, 'run')} verified" if number else "nothing to verify"


def review_lines(review: Review) -> Iterator[Line]:
    """The review for a terminal, what is wrong first."""
    yield line((f"{review.base}..{review.head}", "strong"), f"  {headline(review)}")
    place = f"against {review.merge_base[:12]}, their merge base, in the store {review.store or 'at the top'}"
    yield line((f"{place}; {verdict(review)}", "quiet"), indent=2)
    sections = (
        ("Problems", _problem_lines(review)),
        ("Sealed runs changed", _changed_lines(review.changed)),
        ("Tags", _tag_lines(review.tags)),
        ("Runs added", listing_lines([run.row for run in review.added], with_tags=False) if review.added else ()),
        ("Same inputs, other results", _same_lines(review.same_inputs)),
        ("Runs recorded again", _again_lines(review.again)),
        ("Runs removed", _removed_lines(review.removed)),
        ("What the moved tags show now", _comparisons(review.tags)),
    )
    for title, lines in sections:
        listed = list(lines)
        if listed:
            yield from (BLANK, line((title, "strong")))
            # A table is as wide as a line may be already.
            yield from listed if title == "Runs added" else map(_deeper, listed)


def _problem_lines(review: Review) -> Iterator[Line]:
    for problem in review.problems:
        yield _problem_line(problem)
    for run in review.verified:
        yield from map(_problem_line, run.problems)
        more = run.problem_count - len(run.problems)
        if more:
            yield line((f"{counted(more, 'more problem')} of {run.row.short_id}", "quiet"))


def _problem_line(problem: Problem) -> Line:
    # Never broken: editors and people take the place from it.
    return Line(((str(problem), "bad"),), whole=True)


def _changed_lines(runs: Iterable[ReviewedRun]) -> Iterator[Line]:
    for run in runs:
        how = "does not verify" if run.problem_count else "repaired: it verifies now"
        style = "bad" if run.problem_count else "good"
        yield line((run.row.short_id, "strong"), f"  {run.row.name}  {', '.join(run.files)}  ", (how, style))


def _tag_lines(tags: Iterable[TagChange]) -> Iterator[Line]:
    for tag in tags:
        # A new tag is shorter with its arrow alone; so is one that was removed.
        places = f"{tag.old_short} → {tag.new_short}" if tag.how == "moved" else tag.old_short or tag.new_short
        yield line((tag.name, "agent"), f"  {places}  ", (tag.how, "quiet"))
        if tag.reason:
            yield line((f"not compared: {tag.reason}", "bad"), indent=2)


def _comparisons(tags: Iterable[TagChange]) -> Iterator[Line]:
    compared = [tag for tag in tags if tag.comparison is not None]
    for number, tag in enumerate(compared):
        assert tag.comparison is not None
        if number:
            yield BLANK
        yield line((tag.name, "agent"), f"  {tag.old_short} → {tag.new_short}")
        yield from map(_deeper, comparison_lines(tag.comparison))


def _same_lines(groups: Sequence[Sequence[NamedRun]]) -> Iterator[Line]:
    for runs in groups:
        shown = f" {SAME_INPUTS} ".join(f"{run.short_id} ({cost(run.final_cost)})" for run in runs[:MOST_NAMES])
        more = len(runs) - MOST_NAMES
        yield line(f"{shown}{f' and {more} more' if more > 0 else ''}  {runs[0].name}")
    if groups:
        yield line(("in parentheses the final cost, in cents", "quiet"))


def _again_lines(runs: Iterable[ReviewedRun]) -> Iterator[Line]:
    for run in runs:
        yield line((run.row.short_id, "strong"), f"  {run.row.name}  {executions(run)}")


def _removed_lines(runs: Iterable[NamedRun]) -> Iterator[Line]:
    for run in runs:
        yield line((run.short_id, "strong"), f"  {run.name}")


def _deeper(each: Line) -> Line:
    return each._replace(indent=each.indent + 2) if each.spans else each


def executions(run: ReviewedRun) -> str:
    """How often it was executed, before and now: our own words only."""
    return f"{run.executions_before} → {counted(run.row.executions, 'execution')}"


def cost(cents: int | None) -> str:
    """A cost, or a dash where there is none."""
    return _NONE if cents is None else str(cents)


def shortened(text: str, longest: int = LONGEST_NAME) -> str:
    """The text, visible, with an ellipsis for what is too long."""
    shown = visible(text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
