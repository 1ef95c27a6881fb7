"""Which events a reader wants to see.

It decides what is shown, never what is recorded: the log has every event whatever is selected here.
"""

from __future__ import annotations

from dataclasses import dataclass

from exprec.recorder import events
from exprec.recorder.events import Event


@dataclass(frozen=True, slots=True)
class VerboseConfig:
    """One switch for each kind of event; what has no switch (start, end, failure) is always shown."""

    iterations: bool = True
    """The beginning of each iteration with its total cost."""
    bootstrap: bool = True
    """Evaluations on a set of seeds."""
    llm: bool = False
    """Every request to a model."""
    policy: bool = True
    """Proposals that were accepted."""
    rejections: bool = True
    """Proposals that were not, for their cost or because they could not be used."""
    metrics: bool = False
    """The end of each iteration, and the figures behind decisions and evaluations."""

    @classmethod
    def all_enabled(cls) -> VerboseConfig:
        return cls(llm=True, metrics=True)

    def selects(self, event: Event) -> bool:
        """Whether this event is shown."""
        match event["event_type"]:
            case events.ITERATION_START:
                return self.iterations
            case events.BOOTSTRAP_EVALUATION:
                return self.bootstrap
            case events.LLM_CALL:
                return self.llm
            case events.POLICY_CHANGE:
                return self.policy if event.get("accepted") else self.rejections
            case events.POLICY_REJECTED:
                return self.rejections
            case events.ITERATION_END:
                return self.metrics
            case _:
                return True
