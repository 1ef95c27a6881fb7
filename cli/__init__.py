"""The command `exprec`, and what a program may want of it: the live display of a run that it records."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from exprec.recorder.display.display import EventDisplay
    from exprec.recorder.display.options import VerboseConfig


def live_display(
    verbose_config: VerboseConfig | None = None, stream: TextIO | None = None, *, color: bool = False
) -> EventDisplay:
    """What shows the events of a run while it is recorded: `record("train", display=live_display())`.

    It shows what the commands show by default, or what `verbose_config` selects, on stdout or another stream.
    """
    # Imported here because every command imports this package, and not every one displays events.
    from exprec.recorder.display import display

    return display.live_display(verbose_config, stream, color=color)
