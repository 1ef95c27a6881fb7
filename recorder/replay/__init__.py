"""Execution of recorded runs again, and the verdict on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exprec.recorder.exports import lazy_exports

if TYPE_CHECKING:
    from exprec.recorder.replay import trust as trust
    from exprec.recorder.replay.messages import event_name as event_name
    from exprec.recorder.replay.messages import line_difference_text as line_difference_text
    from exprec.recorder.replay.reexecution import RerunResult as RerunResult
    from exprec.recorder.replay.reexecution import check_sealed as check_sealed
    from exprec.recorder.replay.reexecution import execute_again as execute_again
    from exprec.recorder.replay.reexecution import rerun as rerun
    from exprec.recorder.replay.verdict import ReplayOutcome as ReplayOutcome
    from exprec.recorder.replay.verdict import Verdict as Verdict
else:
    # Lazily, because `exprec resume` needs the messages only.
    __getattr__, __dir__, __all__ = lazy_exports(
        __name__,
        {
            "ReplayOutcome": "verdict",
            "RerunResult": "reexecution",
            "Verdict": "verdict",
            "check_sealed": "reexecution",
            "event_name": "messages",
            "execute_again": "reexecution",
            "line_difference_text": "messages",
            "rerun": "reexecution",
            "trust": "",
        },
    )
