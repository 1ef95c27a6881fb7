"""The display of runs: events to lines of text, and lines onto a console that the caller chooses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exprec.recorder.exports import lazy_exports

if TYPE_CHECKING:
    from exprec.recorder.display.console import Console as Console
    from exprec.recorder.display.event_display import EventDisplay as EventDisplay
    from exprec.recorder.display.event_display import display_experiment_output as display_experiment_output
    from exprec.recorder.display.event_functions import display_bootstrap_evaluation as display_bootstrap_evaluation
    from exprec.recorder.display.event_functions import display_experiment_end as display_experiment_end
    from exprec.recorder.display.event_functions import display_experiment_start as display_experiment_start
    from exprec.recorder.display.event_functions import display_iteration_start as display_iteration_start
    from exprec.recorder.display.event_functions import display_llm_call as display_llm_call
    from exprec.recorder.display.event_functions import display_policy_change as display_policy_change
    from exprec.recorder.display.event_functions import display_policy_rejected as display_policy_rejected
    from exprec.recorder.display.options import VerboseConfig as VerboseConfig
    from exprec.recorder.display.short_values import short_cost as short_cost
    from exprec.recorder.display.short_values import short_costs as short_costs
    from exprec.recorder.display.short_values import short_number as short_number
    from exprec.recorder.display.terminal_text import Line as Line
    from exprec.recorder.display.terminal_text import Span as Span
    from exprec.recorder.display.terminal_text import cell_len as cell_len
    from exprec.recorder.display.terminal_text import count_noun as count_noun
    from exprec.recorder.display.terminal_text import crop_text as crop_text

_MODULES = {
    "Console": "console",
    "EventDisplay": "event_display",
    "Line": "terminal_text",
    "Span": "terminal_text",
    "VerboseConfig": "options",
    "cell_len": "terminal_text",
    "count_noun": "terminal_text",
    "crop_text": "terminal_text",
    "display_bootstrap_evaluation": "event_functions",
    "display_experiment_end": "event_functions",
    "display_experiment_output": "event_display",
    "display_experiment_start": "event_functions",
    "display_iteration_start": "event_functions",
    "display_llm_call": "event_functions",
    "display_policy_change": "event_functions",
    "display_policy_rejected": "event_functions",
    "short_cost": "short_values",
    "short_costs": "short_values",
    "short_number": "short_values",
}

if not TYPE_CHECKING:
    # Lazily, because every command needs VerboseConfig for its options and most display no events.
    __getattr__, __dir__, __all__ = lazy_exports(__name__, _MODULES)
