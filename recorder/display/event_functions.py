"""One function for each type of event of an optimization experiment: it prints one event of that type."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from exprec.recorder.display.console import Console
from exprec.recorder.display.event_display import display_event
from exprec.recorder.display.options import VerboseConfig
from exprec.recorder.events import Event

if TYPE_CHECKING:
    import rich.console


def _display_function(event_type: str) -> Callable[..., None]:
    def display(
        event: Event, console: Console | rich.console.Console, verbose_config: VerboseConfig | None = None
    ) -> None:
        if event["event_type"] != event_type:
            raise ValueError(f"{display.__name__} prints events of type {event_type}, not {event['event_type']}")
        display_event(event, console, verbose_config)

    display.__name__ = display.__qualname__ = f"display_{event_type}"
    display.__doc__ = f"""Print an event of type `{event_type}`, as `display_experiment_output` does.

    `console` is a console of rich, or one of exprec's own; `verbose_config` selects the details (None: all). Raises
    ValueError for an event of another type.
    """
    return display


display_experiment_start = _display_function("experiment_start")
display_iteration_start = _display_function("iteration_start")
display_bootstrap_evaluation = _display_function("bootstrap_evaluation")
display_llm_call = _display_function("llm_call")
display_policy_change = _display_function("policy_change")
display_policy_rejected = _display_function("policy_rejected")
display_experiment_end = _display_function("experiment_end")
