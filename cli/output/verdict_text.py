"""The verdict on a run that was executed again, as lines."""

from __future__ import annotations

from collections.abc import Iterator

from exprec.recorder.diagnostics import visible
from exprec.recorder.diff import difference_lines
from exprec.recorder.display import count_noun
from exprec.recorder.format import layout
from exprec.recorder.replay import ReplayOutcome, RerunResult, Verdict, event_name


def verdict_lines(result: RerunResult) -> Iterator[str]:
    """Yield a line with the verdict, then the reasons and the differences at the first divergence."""
    verdict = result.verdict
    outcome = verdict.outcome.replace("_", " ")
    yield f"{outcome}  {result.run_id[:8]}  {visible(result.name)}  {_reproduced_part(verdict)}"
    for reason in verdict.reasons:
        yield f"  {visible(reason, quoted=True)}"
    for line in difference_lines(verdict.differences):
        yield visible(line, quoted=True)


def _reproduced_part(verdict: Verdict) -> str:
    same = count_noun(verdict.identical_events, "event")
    if verdict.is_identical:
        return f"{same}, same run id"
    if verdict.outcome is ReplayOutcome.CANNOT_RUN:
        return f"after {same} reproduced" if verdict.identical_events else "nothing was executed"
    if verdict.event is not None:
        return f"at {visible(event_name(verdict.event))}; {same} reproduced before it"
    if verdict.file == layout.EVENTS_FILE:
        return f"after the last of {same}"
    return f"in {verdict.file}"
