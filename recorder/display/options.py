"""The choice of events to display; it never decides what is recorded."""

from __future__ import annotations

from dataclasses import dataclass

from exprec.recorder.events import EVENT_SPECS, Event


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
        spec = EVENT_SPECS.get(event["event_type"])
        if spec is None or spec.switch is None:
            return True
        switch = spec.switch
        if spec.rejected_switch is not None and not event.get("accepted"):
            switch = spec.rejected_switch
        return getattr(self, switch) is True
