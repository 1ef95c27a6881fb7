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
        kind = event["event_type"]
        if kind == events.POLICY_CHANGE:
            return self.policy if event.get("accepted") else self.rejections
        switch = _SWITCHES.get(kind)
        return switch is None or getattr(self, switch) is True


_SWITCHES = {
    events.ITERATION_START: "iterations",
    events.BOOTSTRAP_EVALUATION: "bootstrap",
    events.LLM_CALL: "llm",
    events.POLICY_REJECTED: "rejections",
    events.ITERATION_END: "metrics",
}
"""The switch of each type that has one of its own."""
