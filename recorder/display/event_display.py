"""The display of events: the one place that turns events into what people read, live and from a log."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from exprec.recorder.display.console import Console
from exprec.recorder.display.event_lines import NO_LINES, closing_lines, event_lines, unknown_lines
from exprec.recorder.display.options import VerboseConfig
from exprec.recorder.events import EVENT_SPECS, Event
from exprec.recorder.schema import DisplayTemplate
from exprec.recorder.state import ExperimentStateProviderProtocol

if TYPE_CHECKING:
    import rich.console


class EventDisplay:
    """Prints the events of one run."""

    def __init__(self, console: Console, verbose_config: VerboseConfig) -> None:
        self._console = console
        self._verbose_config = verbose_config
        self._get_templates: Callable[[], Mapping[str, DisplayTemplate]] = dict
        self._templates: Mapping[str, DisplayTemplate] | None = None

    def open(self, provider: ExperimentStateProviderProtocol) -> None:
        """Use the display templates of the declared event types of a run; without them events get a generic form."""
        self._get_templates = provider.get_display_templates
        self._templates = None

    def show(self, event: Event) -> None:
        """Print an event if it is selected, and flush. Raises Damaged if the schemas of a stored run are lost."""
        self._console.file.write(self._text(event))
        self._console.file.flush()

    def show_all(self, events: Iterable[Event]) -> None:
        """Print the selected ones of many events, and flush. Raises as `show`."""
        self._console.print_texts(map(self._text, events))

    def show_run(self, provider: ExperimentStateProviderProtocol) -> None:
        """Print the selected events of a run so far, without its last line (see `close`). Raises as `show`."""
        self.open(provider)
        self.show_all(provider.get_all_events())

    def _text(self, event: Event) -> str:
        config = self._verbose_config
        if not config.selects(event):
            return ""
        lines = event_lines(event, config, self._template(event["event_type"]))
        try:
            return self._console.render(lines)
        except NO_LINES:
            return self._console.render(unknown_lines(event))

    def close(self, provider: ExperimentStateProviderProtocol) -> None:
        """Print the last line of a sealed run, its run id, and flush."""
        if provider.is_sealed and provider.run_id is not None:
            self._console.print_lines(closing_lines(provider.run_id))
        else:
            self._console.file.flush()

    def _template(self, event_type: str) -> DisplayTemplate | None:
        if event_type in EVENT_SPECS:
            return None
        if self._templates is None:
            # Looked up for the first event of a declared type: a run with only built-in types needs no schemas.
            self._templates = self._get_templates()
        return self._templates.get(event_type)


def display_experiment_output(
    provider: ExperimentStateProviderProtocol,
    console: Console | rich.console.Console,
    verbose_config: VerboseConfig | None = None,
) -> None:
    """Print a run, whether it has just been recorded or is read from a store: the bytes are the same.

    Args:
        provider: The state of the run.
        console: A console of rich, in its width and with its colors; or one of exprec's own.
        verbose_config: The events to print; None: those that `exprec run` prints.

    Raises Damaged, StorageFailure where a stored run cannot be read.
    """
    ours = _our_console(console)
    display = EventDisplay(ours, verbose_config or VerboseConfig())
    display.show_run(provider)
    display.close(provider)


def display_event(
    event: Event, console: Console | rich.console.Console, verbose_config: VerboseConfig | None = None
) -> None:
    """Print one event, selected or not, in the detail that `verbose_config` asks for (None: all)."""
    lines = event_lines(event, verbose_config or VerboseConfig.all_enabled())
    _our_console(console).print_lines(lines)


def _our_console(console: Console | rich.console.Console) -> Console:
    if isinstance(console, Console):
        return console
    return Console(_RichStream(console), console.width, color=True, shows_invisible=console.is_terminal)


class _RichStream:
    """Prints text on a console of rich, which decides about colors and may record it."""

    def __init__(self, console: rich.console.Console) -> None:
        self._console = console

    def write(self, text: str) -> None:
        # Imported here because most programs have no console of rich.
        from rich.text import Text

        self._console.print(Text.from_ansi(text.removesuffix("\n")), soft_wrap=True, highlight=False)

    def flush(self) -> None:
        """Do nothing: rich flushes what it prints."""
