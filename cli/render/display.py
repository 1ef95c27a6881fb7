"""The display of an experiment: the one place that turns its events into what people read.

`run` shows events one by one as they are recorded, `show` all those of a log; both come through here.
"""

from __future__ import annotations

from rich.console import Console

from exprec.cli.render.console import print_line
from exprec.cli.render.events import closing_lines, event_lines
from exprec.recorder.events import Event
from exprec.recorder.state.protocol import ExperimentStateProvider
from exprec.recorder.verbosity import VerboseConfig


class EventDisplay:
    """Prints the events of one experiment."""

    def __init__(self, console: Console, verbose_config: VerboseConfig) -> None:
        self._console = console
        self._verbose_config = verbose_config

    def show(self, event: Event) -> None:
        """Print an event if it is selected."""
        if self._verbose_config.selects(event):
            for line in event_lines(event, self._verbose_config):
                print_line(self._console, line)

    def close(self, provider: ExperimentStateProvider) -> None:
        """Print the last line, which a run has once it is sealed."""
        if provider.is_sealed and provider.run_id is not None:
            for line in closing_lines(provider.run_id):
                print_line(self._console, line)


def display_experiment_output(
    provider: ExperimentStateProvider, console: Console, verbose_config: VerboseConfig | None = None
) -> None:
    """Print an experiment, whether it just ran or was read from a store: the bytes are the same."""
    display = EventDisplay(console, verbose_config or VerboseConfig())
    for event in provider.get_all_events():
        display.show(event)
    display.close(provider)
