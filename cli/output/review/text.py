"""A review as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from exprec.cli.output.comparison import comparison_lines
from exprec.cli.output.listing import SAME_INPUTS, listing_lines, unit_suffix
from exprec.recorder.diagnostics import visible
from exprec.recorder.display import Line, count_noun, short_cost
from exprec.recorder.errors import Problem
from exprec.recorder.events import optimization
from exprec.recorder.review import NamedRun, Review, ReviewedRun, TagChange

MOST_NAMES = 8
"""The maximum number of runs listed on a line; the rest are counted."""

LONGEST_NAME = 80
"""The maximum number of characters of a name, or of a tag that does not hold a run id."""

_NONE = "–"


def change_counts(review: Review) -> str:
    """Return the number of runs and tags added, changed and removed; it contains no text from the runs."""
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
    parts = [f"{count_noun(number, noun)} {what}" for number, noun, what in counts if number]
    return ", ".join(parts) or "no runs or tags differ"


def verification_text(review: Review) -> str:
    """Return whether the runs of the branch verify; it contains no text from the runs."""
    if review.problem_count:
        failed = sum(run.problem_count > 0 for run in review.verified)
        where = f" in {count_noun(failed, 'run')}" if failed else ""
        return f"{count_noun(review.problem_count, 'problem')}{where}"
    number = len(review.verified)
    return f"{count_noun(number, 'run')} verified" if number else "nothing to verify"


def review_lines(review: Review) -> Iterator[Line]:
    """Yield the lines of a review for a terminal, problems first."""
    yield Line.of((f"{review.base}..{review.head}", "strong"), f"  {change_counts(review)}")
    place = f"against the merge base {review.merge_base[:12]}, store {review.store or 'at the top'}"
    yield Line.of((f"{place}; {verification_text(review)}", "quiet"), indent=2)
    sections = (
        ("Problems", _problem_lines(review)),
        ("Sealed runs changed", _changed_lines(review.changed)),
        ("Tags", _tag_lines(review.tags)),
        ("Runs added", listing_lines([run.row for run in review.added], with_tags=False) if review.added else ()),
        ("Same inputs, different results", _same_lines(review.same_inputs)),
        ("Runs recorded again", _again_lines(review.again)),
        ("Runs removed", _removed_lines(review.removed)),
        ("Comparisons of moved tags", _comparisons(review.tags)),
    )
    for title, lines in sections:
        listed = list(lines)
        if listed:
            yield from (Line(), Line.of((title, "strong")))
            # The table of runs already has the maximum width.
            yield from listed if title == "Runs added" else map(_indent_line, listed)


def _problem_lines(review: Review) -> Iterator[Line]:
    for problem in review.problems:
        yield _problem_line(problem)
    for run in review.verified:
        yield from map(_problem_line, run.problems)
        more = run.problem_count - len(run.problems)
        if more:
            yield Line.of((f"{count_noun(more, 'more problem')} of {run.row.short_id}", "quiet"))


def _problem_line(problem: Problem) -> Line:
    # Never wrapped, so that the location can be copied and followed by editors.
    return Line(((str(problem), "bad"),), whole=True)


def _changed_lines(runs: Iterable[ReviewedRun]) -> Iterator[Line]:
    for run in runs:
        how = "does not verify" if run.problem_count else "repaired: verifies now"
        style = "bad" if run.problem_count else "good"
        yield Line.of(
            (run.row.short_id, "strong"), f"  {visible(run.row.name)}  {visible(', '.join(run.files))}  ", (how, style)
        )


def _tag_lines(tags: Iterable[TagChange]) -> Iterator[Line]:
    for tag in tags:
        # A tag that was added or removed has only one run.
        old, new = shorten_text(tag.old_short), shorten_text(tag.new_short)
        places = f"{old} → {new}" if tag.how == "moved" else old or new
        yield Line.of((visible(tag.name), "agent"), f"  {places}  ", (tag.how, "quiet"))
        if tag.reason:
            yield Line.of((f"not compared: {tag.reason}", "bad"), indent=2)


def _comparisons(tags: Iterable[TagChange]) -> Iterator[Line]:
    compared = [tag for tag in tags if tag.comparison is not None]
    for number, tag in enumerate(compared):
        assert tag.comparison is not None
        if number:
            yield Line()
        yield Line.of((visible(tag.name), "agent"), f"  {shorten_text(tag.old_short)} → {shorten_text(tag.new_short)}")
        yield from map(_indent_line, comparison_lines(tag.comparison))


def _same_lines(groups: Sequence[Sequence[NamedRun]]) -> Iterator[Line]:
    for runs in groups:
        costs = (f"{run.short_id} ({cost_text(run.final_cost, run.cost_unit)})" for run in runs[:MOST_NAMES])
        shown = f" {SAME_INPUTS} ".join(costs)
        more = len(runs) - MOST_NAMES
        yield Line.of(f"{shown}{f' and {more} more' if more > 0 else ''}  {visible(runs[0].name)}")
    if groups:
        yield Line.of((f"{name_costs(groups)} in parentheses", "quiet"))


def _again_lines(runs: Iterable[ReviewedRun]) -> Iterator[Line]:
    for run in runs:
        yield Line.of((run.row.short_id, "strong"), f"  {visible(run.row.name)}  {execution_counts(run)}")


def _removed_lines(runs: Iterable[NamedRun]) -> Iterator[Line]:
    for run in runs:
        yield Line.of((run.short_id, "strong"), f"  {visible(run.name)}")


def _indent_line(line: Line) -> Line:
    return line._replace(indent=line.indent + 2) if line.spans else line


def execution_counts(run: ReviewedRun) -> str:
    """Return the number of executions before and now."""
    return f"{run.executions_before} → {count_noun(run.row.executions, 'execution')}"


def name_costs(groups: Sequence[Sequence[NamedRun]]) -> str:
    """Return what the costs of groups of runs are: those in other units have them beside them."""
    has_cents = any(run.cost_unit == optimization.CENTS for runs in groups for run in runs)
    return f"final cost in {optimization.CENTS}" if has_cents else "final cost"


def cost_text(cost: float | None, unit: str | None) -> str:
    """Return a cost with its unit unless that is cents, or a dash for None."""
    return _NONE if cost is None else short_cost(cost) + unit_suffix(unit)


def number_text(number: int | None) -> str:
    """Return a number as text, or a dash for None."""
    return _NONE if number is None else str(number)


def shorten_text(text: str, longest: int = LONGEST_NAME, *, quoted: bool = False) -> str:
    """Return the visible form of a name, or of a text in which values are `quoted`, cut to `longest` characters."""
    shown = visible(text, quoted=quoted)
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
