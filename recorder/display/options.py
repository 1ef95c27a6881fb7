"""The choice of events to display; it never decides what is recorded."""

from __future__ import annotations

from dataclasses import dataclass

from exprec.recorder import events
from exprec.recorder.events import Event


@dataclass(frozen=True, slots=True)
class VerboseConfig:
    """One switch for each kind of event; kinds without a switch (start, end, failure) are always shown."""

    iterations: bool = True
    """The beginning of each iteration with its total cost."""
    bootstrap: bool = True
    """Evaluations over a set of seeds."""
    llm: bool = False
    """Requests to a model."""
    policy: bool = True
    """Accepted proposals."""
    rejections: bool = True
    """Proposals that were rejected for their cost, or unusable."""
    metrics: bool = False
    """The end of each iteration, and the metrics behind decisions and evaluations."""

    @classmethod
    def all_enabled(cls) -> VerboseConfig:
        """Return the choice of everything."""
        return cls(llm=True, metrics=True)

    def selects(self, event: Event) -> bool:
        """Return whether an event is shown."""
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
"""The switch of each event type with exactly one."""
