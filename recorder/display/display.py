"""The display of an experiment: the one place that turns its events into what people read.

`run` shows events one by one as they are recorded, `show` all those of a log; both come through here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from exprec.recorder.display.console import Console, print_line, print_texts, rendered
from exprec.recorder.display.event_lines import NO_LINES, closing_lines, event_lines, unknown_lines
from exprec.recorder.display.options import VerboseConfig
from exprec.recorder.events import OWN_TYPES, Event
from exprec.recorder.schema.display_template import Template
from exprec.recorder.schema.event_types import template_of
from exprec.recorder.state.protocol import ExperimentStateProvider

if TYPE_CHECKING:
    import rich.console


class EventDisplay:
    """Prints the events of one experiment."""

    def __init__(self, console: Console, verbose_config: VerboseConfig) -> None:
        self._console = console
        self._verbose_config = verbose_config
        self._schemas: Callable[[], Mapping[str, Any]] = dict
        self._templates: dict[str, Template | None] = {}

    def open(self, provider: ExperimentStateProvider) -> None:
        """Take the lines by which events of declared types are shown from an experiment; without it they have none."""
        self._schemas = provider.get_event_schemas
        self._templates.clear()

    def show(self, event: Event) -> None:
        """Print an event if it is selected. Raises Damaged when a stored experiment has lost its schemas."""
        self._console.file.write(self._text(event))

    def show_all(self, events: Iterable[Event]) -> None:
        """Print those of many events that are selected, and flush them. Raises as `show` does."""
        print_texts(self._console, map(self._text, events))

    def _text(self, event: Event) -> str:
        config, console = self._verbose_config, self._console
        if not config.selects(event):
            return ""
        lines = event_lines(event, config, self._template(event["event_type"]))
        try:
            return rendered(lines, console.width, color=console.color)
        except NO_LINES:
            return rendered(unknown_lines(event), console.width, color=console.color)

    def close(self, provider: ExperimentStateProvider) -> None:
        """Print the last line, which a run has once it is sealed."""
        if provider.is_sealed and provider.run_id is not None:
            for line in closing_lines(provider.run_id):
                print_line(self._console, line)
        self._console.file.flush()

    def _template(self, event_type: str) -> Template | None:
        if event_type in OWN_TYPES:
            return None
        if event_type not in self._templates:
            # Looked up when the first of them comes: an experiment of exprec's own types needs no schema to be shown.
            self._templates[event_type] = template_of(self._schemas().get(f"event.{event_type}.v1"))
        return self._templates[event_type]


class LiveDisplay(EventDisplay):
    """Shows each event at once, whatever stands between the program and its reader."""

    def show(self, event: Event) -> None:
        super().show(event)
        self._console.file.flush()


def display_experiment_output(
    provider: ExperimentStateProvider,
    console: Console | rich.console.Console,
    verbose_config: VerboseConfig | None = None,
) -> None:
    """Print an experiment, whether it just ran or was read from a store: the bytes are the same.

    A console of rich, which a program may have, gets the text alone.
    """
    ours = console if isinstance(console, Console) else Console(_RichStream(console), console.width, color=False)
    display_events(provider, ours, verbose_config or VerboseConfig()).close(provider)


class _RichStream:
    """The text of a console of rich, of which it may keep a record."""

    def __init__(self, console: rich.console.Console) -> None:
        self._console = console

    def write(self, text: str) -> None:
        self._console.out(text, end="", highlight=False)

    def flush(self) -> None:
        """Nothing to do: it flushes what it prints."""


def display_events(provider: ExperimentStateProvider, console: Console, verbose_config: VerboseConfig) -> EventDisplay:
    """Print the events of an experiment, without the last line; returns what they were printed with."""
    display = EventDisplay(console, verbose_config)
    display.open(provider)
    display.show_all(provider.get_all_events())
    return display
