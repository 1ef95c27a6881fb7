"""Progress of a running experiment on stderr, for a terminal that does not show its events."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from exprec.recorder.diagnostics import visible
from exprec.recorder.events import Event


@contextmanager
def iteration_progress(name: str, max_iterations: int) -> Iterator[Callable[[Event], None]]:
    """Show which iteration is being worked on, until the block ends; call what is yielded with each event."""
    console = Console(stderr=True)
    with console.status(Text(visible(name))) as status:

        def update(event: Event) -> None:
            if event["iteration"]:
                status.update(Text(visible(f"{name}: iteration {event['iteration']} of at most {max_iterations}")))

        yield update
