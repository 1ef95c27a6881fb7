"""A review as Markdown of limited size for a comment on a pull request: problems first, text from runs as code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from exprec.cli.output import markdown
from exprec.cli.output.comparison import comparison_markdown
from exprec.cli.output.review.text import (
    MOST_NAMES,
    change_counts,
    cost_text,
    execution_counts,
    name_costs,
    number_text,
    shorten_text,
    verification_text,
)
from exprec.recorder.display import count_noun
from exprec.recorder.errors import Problem
from exprec.recorder.events import optimization
from exprec.recorder.query import RunRow
from exprec.recorder.review import NamedRun, Review, ReviewedRun, TagChange

_MOST_OF_A_COMPARISON = 10_000
_LONGEST_PROBLEM = 600
_COLUMNS = (
    "run",
    "name",
    "status",
    "mode",
    "iterations",
    "first → best → final",
    "converged",
    "recorded (UTC)",
    "times",
)


@dataclass(slots=True)
class _MarkdownSection:
    title: str
    items: Sequence[str]
    """Complete blocks of Markdown without a final newline."""
    noun: str
    """What an item is called in the count of those left out."""
    before: Sequence[str] = ()
    """Lines before the first item."""
    kept: list[str] = field(default_factory=list)

    def fixed(self) -> int:
        """Return the bytes of the section without its items, when some are left out."""
        return _size(self.text([""], len(self.items)))

    def wanted(self) -> int:
        return sum(_size(item) + 1 for item in self.items)

    def text(self, kept: Sequence[str], left_out: int) -> str:
        lines = [f"### {self.title}", "", *(self.before if kept else ()), *kept]
        if left_out:
            more = "more " if kept else ""
            are = "is" if left_out == 1 else "are"
            lines += [
                "",
                f"*{count_noun(left_out, f'{more}{self.noun}')} {are} left out, for the size of this comment.*",
            ]
        return "\n".join([*lines, "", ""])


def review_markdown(review: Review, max_bytes: int = markdown.COMMENT_BYTES) -> str:
    """Return a review as Markdown of at most `max_bytes` bytes of UTF-8, with the number of items left out."""
    head = _head(review)
    sections = [section for section in _sections(review) if section.items]
    left = max_bytes - _size(head) - sum(section.fixed() for section in sections)
    for number, section in enumerate(sections):
        others = sum(other.wanted() for other in sections[number + 1 :])
        # A section leaves at least half of the room to those after it, unless they need less.
        left -= _fill(section, max(left // 2, left - others))
    parts = [section.text(section.kept, len(section.items) - len(section.kept)) for section in sections]
    return "".join([head, *parts]).rstrip("\n") + "\n"


def _fill(section: _MarkdownSection, room: int) -> int:
    """Keep as many of the first items as fit into `room` bytes; returns the bytes they take."""
    taken = 0
    for item in section.items:
        size = _size(item) + 1
        if taken + size > room:
            break
        section.kept.append(item)
        taken += size
    return taken


def _head(review: Review) -> str:
    mark = "❌" if review.problem_count else "✅"
    place = f"{_code(review.base)} to {_code(review.head)}, against the merge base {_code(review.merge_base[:12])}"
    store = f", store {_code(review.store)}" if review.store else ""
    return f"## {mark} exprec: {change_counts(review)}\n\n**{verification_text(review)}** — {place}{store}\n\n"


def _sections(review: Review) -> Iterable[_MarkdownSection]:
    yield _MarkdownSection("Problems", [f"- {_problem(problem)}" for problem in _problems(review)], "problem")
    yield _MarkdownSection("Sealed runs changed", [_changed(run) for run in review.changed], "run")
    yield _MarkdownSection("Tags", [_tag(tag) for tag in review.tags], "tag")
    header = markdown.markdown_table(_COLUMNS, [])
    yield _MarkdownSection("Runs added", [_row(run) for run in review.added], "run", header)
    title = "Same inputs, different results"
    yield _MarkdownSection(
        title, [_same(runs) for runs in review.same_inputs], "group", [f"The {name_costs(review.same_inputs)}:", ""]
    )
    yield _MarkdownSection("Runs recorded again", [_again(run) for run in review.again], "run")
    yield _MarkdownSection(
        "Runs removed", [f"- {_code(run.short_id)} {_code(run.name)}" for run in review.removed], "run"
    )
    compared = [_details(tag) for tag in review.tags if tag.comparison]
    yield _MarkdownSection("Comparisons of moved tags", compared, "comparison")


def _problems(review: Review) -> Iterable[Problem]:
    yield from review.problems
    for run in review.verified:
        yield from run.problems
        more = run.problem_count - len(run.problems)
        if more:
            yield Problem((), f"{count_noun(more, 'more problem')} of {run.row.short_id}")


def _problem(problem: Problem) -> str:
    return _message(str(problem))


def _changed(run: ReviewedRun) -> str:
    how = "**does not verify**" if run.problem_count else "repaired: verifies now"
    return f"- {_code(run.row.short_id)} {_code(run.row.name)}: {_code(', '.join(run.files))} — {how}"


def _tag(tag: TagChange) -> str:
    places = [_code(short) for short in (tag.old_short, tag.new_short) if short]
    reason = f" — not compared: {_message(tag.reason)}" if tag.reason else ""
    return f"- {_code(tag.name)} {tag.how}: {' → '.join(places)}{reason}"


def _row(run: ReviewedRun) -> str:
    row = run.row
    converged = "–" if row.converged is None else "yes" if row.converged else "no"
    cells = (
        _code(row.short_id),
        _code(row.name),
        row.status if row.problem is None else "**damaged**",
        _code(row.mode or ""),
        number_text(row.iterations),
        _costs(row),
        converged,
        _code((row.recorded_at or "")[:16].replace("T", " ")),
        str(row.executions),
    )
    return f"| {' | '.join(cells)} |"


def _costs(row: RunRow) -> str:
    *costs, last = (row.first_cost, row.best_cost, row.final_cost)
    return " → ".join([*(cost_text(cost, None) for cost in costs), _cost(last, row.cost_unit)])


def _cost(cost: float | None, unit: str | None) -> str:
    text = cost_text(cost, unit)
    return text if unit in (None, optimization.CENTS) else _code(text)


def _same(runs: Sequence[NamedRun]) -> str:
    listed = ", ".join(
        f"{_code(run.short_id)} {_cost(run.final_cost, run.cost_unit)}{' (added)' if run.is_added else ''}"
        for run in runs[:MOST_NAMES]
    )
    more = len(runs) - MOST_NAMES
    return f"- {_code(runs[0].name)}: {listed}{f' and {more} more' if more > 0 else ''}"


def _again(run: ReviewedRun) -> str:
    return f"- {_code(run.row.short_id)} {_code(run.row.name)}: {execution_counts(run)}"


def _details(tag: TagChange) -> str:
    """Return a folded comparison; the blank lines make Markdown work inside the element."""
    assert tag.comparison is not None
    title = f"{_code(tag.name)}: {_code(tag.old_short)} → {_code(tag.new_short)}"
    body = comparison_markdown(tag.comparison, _MOST_OF_A_COMPARISON)
    return f"<details><summary>{title}</summary>\n\n{body.rstrip()}\n\n</details>\n"


def _code(text: str) -> str:
    # Cut before escaping, so that no escape is cut.
    return markdown.inline_code(shorten_text(text))


def _message(text: str) -> str:
    return markdown.inline_code(shorten_text(text, _LONGEST_PROBLEM, quoted=True))


def _size(text: str) -> int:
    return len(text.encode())
