"""The command line of exprec, and the live display that a recording program can use."""

from __future__ import annotations

from exprec.recorder.exports import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

    from exprec.recorder.display import EventDisplay, VerboseConfig


def live_display(
    verbose_config: VerboseConfig | None = None, stream: TextIO | None = None, *, color: bool = False
) -> EventDisplay:
    """Return a display that prints events while they are recorded: `record("train", display=live_display())`.

    It prints what `exprec run` prints by default, or what `verbose_config` selects, to stdout or to `stream`.
    """
    # Imported here because every command imports this package, and most do not display events.
    import sys

    from exprec.cli.terminal import make_console
    from exprec.recorder.display import EventDisplay, VerboseConfig

    return EventDisplay(make_console(stream or sys.stdout, color=color), verbose_config or VerboseConfig())
