"""The result of a verification."""

from __future__ import annotations

from typing import Any, NamedTuple

from exprec.recorder.errors import Problem


class VerificationResult(NamedTuple):
    """What is wrong with a run, or with a file of a store beside the runs."""

    path: str
    """The folder or file as the user can open it, or as git names it."""
    problems: tuple[Problem, ...]
    run: str | None = None
    """The run id, or the name of the folder of a run that does not verify; None for a file beside the runs."""
    events: int | None = None
    """The number of events of a run that verifies."""

    @property
    def ok(self) -> bool:
        """Whether it verifies."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form of the result."""
        return {
            "run": self.run,
            "path": self.path,
            "ok": self.ok,
            "events": self.events,
            "problems": [problem.as_dict() for problem in self.problems],
        }
