"""Where the command `exprec` starts: it answers what needs no command, and has all else done by `main`.

It parses nothing, and imports nothing that takes time: click alone takes longer than Python itself needs to start.
"""

from __future__ import annotations

import gc
import os
import sys

from exprec.recorder.version import VERSION


def main() -> None:
    """Run the command of this process and exit with its code."""
    if sys.argv[1:] == ["--version"]:
        try:
            # Not through a buffer, in which it would stay when it cannot be written.
            os.write(1, f"exprec {VERSION}\n".encode())
        except OSError:
            # What cannot be written is told by the other way, which tries again.
            pass
        else:
            return
    # What is imported stays to the end. To look through all of it for what could go, again and again and at the end
    # once more, takes longer than to show a small run.
    gc.disable()
    from exprec.cli import main as commands

    gc.freeze()
    gc.enable()
    try:
        commands.main()
    finally:
        gc.freeze()
