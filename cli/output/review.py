"""A review as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from exprec.cli.output.comparison import comparison_lines
from exprec.cli.output.listing import SAME_INPUTS, listing_lines
from exprec.recorder.diagnostics import visible
from exprec.recorder.display import Line, count_noun
from exprec.recorder.errors import Problem
from exprec.recorder.review import NamedRun, Review, ReviewedRun, TagChange

MOST_NAMES = 8
"""So many runs with the same inputs are named on a line; the rest is count_noun."""

LONGEST_NAME = 80
"""Characters shown of a name, or of what stands in a tag and is no address."""

_NONE = "–"


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
    said = [f"{count_noun(number, noun)} {what}" for number, noun, what in counts if number]
    return ", ".join(said) or "no run and no tag differs"


def verdict(review: Review) -> str:
    """Whether what the branch touches verifies: our own words only."""
    if review.problem_count:
        failed = sum(run.problem_count > 0 for run in review.verified)
        where = f" in {count_noun(failed, 'run')}" if failed else ""
        return f"{count_noun(review.problem_count, 'problem')}{where}"
    number = len(review.verified)
    return f"{count_noun(number, 'run')} verified" if number else "nothing to verify"


def review_lines(review: Review) -> Iterator[Line]:
    """The review for a terminal, what is wrong first."""
    yield Line.of((f"{review.base}..{review.head}", "strong"), f"  {headline(review)}")
    place = f"against {review.merge_base[:12]}, their merge base, in the store {review.store or 'at the top'}"
    yield Line.of((f"{place}; {verdict(review)}", "quiet"), indent=2)
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
            yield from (Line(), Line.of((title, "strong")))
            # A table is as wide as a line may be already.
            yield from listed if title == "Runs added" else map(_deeper, listed)


def _problem_lines(review: Review) -> Iterator[Line]:
    for problem in review.problems:
        yield _problem_line(problem)
    for run in review.verified:
        yield from map(_problem_line, run.problems)
        more = run.problem_count - len(run.problems)
        if more:
            yield Line.of((f"{count_noun(more, 'more problem')} of {run.row.short_id}", "quiet"))


def _problem_line(problem: Problem) -> Line:
    # Never broken: editors and people take the place from it.
    return Line(((str(problem), "bad"),), whole=True)


def _changed_lines(runs: Iterable[ReviewedRun]) -> Iterator[Line]:
    for run in runs:
        how = "does not verify" if run.problem_count else "repaired: it verifies now"
        style = "bad" if run.problem_count else "good"
        yield Line.of((run.row.short_id, "strong"), f"  {run.row.name}  {', '.join(run.files)}  ", (how, style))


def _tag_lines(tags: Iterable[TagChange]) -> Iterator[Line]:
    for tag in tags:
        # A new tag is shorter with its arrow alone; so is one that was removed.
        old, new = shortened(tag.old_short), shortened(tag.new_short)
        places = f"{old} → {new}" if tag.how == "moved" else old or new
        yield Line.of((tag.name, "agent"), f"  {places}  ", (tag.how, "quiet"))
        if tag.reason:
            yield Line.of((f"not compared: {tag.reason}", "bad"), indent=2)


def _comparisons(tags: Iterable[TagChange]) -> Iterator[Line]:
    compared = [tag for tag in tags if tag.comparison is not None]
    for number, tag in enumerate(compared):
        assert tag.comparison is not None
        if number:
            yield Line()
        yield Line.of((tag.name, "agent"), f"  {shortened(tag.old_short)} → {shortened(tag.new_short)}")
        yield from map(_deeper, comparison_lines(tag.comparison))


def _same_lines(groups: Sequence[Sequence[NamedRun]]) -> Iterator[Line]:
    for runs in groups:
        shown = f" {SAME_INPUTS} ".join(f"{run.short_id} ({cost(run.final_cost)})" for run in runs[:MOST_NAMES])
        more = len(runs) - MOST_NAMES
        yield Line.of(f"{shown}{f' and {more} more' if more > 0 else ''}  {runs[0].name}")
    if groups:
        yield Line.of(("in parentheses the final cost, in cents", "quiet"))


def _again_lines(runs: Iterable[ReviewedRun]) -> Iterator[Line]:
    for run in runs:
        yield Line.of((run.row.short_id, "strong"), f"  {run.row.name}  {executions(run)}")


def _removed_lines(runs: Iterable[NamedRun]) -> Iterator[Line]:
    for run in runs:
        yield Line.of((run.short_id, "strong"), f"  {run.name}")


def _deeper(each: Line) -> Line:
    return each._replace(indent=each.indent + 2) if each.spans else each


def executions(run: ReviewedRun) -> str:
    """How often it was executed, before and now: our own words only."""
    return f"{run.executions_before} → {count_noun(run.row.executions, 'execution')}"


def cost(cents: int | None) -> str:
    """A cost, or a dash where there is none."""
    return _NONE if cents is None else str(cents)


def shortened(text: str, longest: int = LONGEST_NAME) -> str:
    """The text, visible, with an ellipsis for what is too long."""
    shown = visible(text)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
