"""One function for each type of event of an optimization experiment: it prints one event of that type."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from exprec.recorder.display.console import Console
from exprec.recorder.display.event_display import display_event
from exprec.recorder.display.options import VerboseConfig
from exprec.recorder.events import Event, EventSpec, optimization

if TYPE_CHECKING:
    import rich.console


def _display_function(spec: EventSpec[Any]) -> Callable[..., None]:
    event_type = spec.event_type

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


display_experiment_start = _display_function(optimization.EXPERIMENT_START)
display_iteration_start = _display_function(optimization.ITERATION_START)
display_bootstrap_evaluation = _display_function(optimization.BOOTSTRAP_EVALUATION)
display_llm_call = _display_function(optimization.LLM_CALL)
display_policy_change = _display_function(optimization.POLICY_CHANGE)
display_policy_rejected = _display_function(optimization.POLICY_REJECTED)
display_experiment_end = _display_function(optimization.EXPERIMENT_END)
