"""The entry point of `exprec` and of `python -m exprec.cli`: prints the version itself, calls `main` for the rest.

It imports nothing that takes time: importing click alone takes longer than Python needs to start.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from types import FrameType

_NOT_INSTALLED = 2
_INTERRUPTED = 130


def main() -> None:
    """Run the command of this process and exit with its code."""
    # Ignored, as for a job in the background of a script, it stays so.
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_default:
        signal.signal(signal.SIGINT, _stop)
    if sys.argv[1:] == ["--version"] and _print_version():
        return
    # Imported modules stay alive until the process ends. Searching them for garbage, repeatedly and once more at exit,
    # takes longer than showing a small run.
    gc.disable()
    from exprec.recorder.exports import IMPORT_FAILURES

    try:
        from exprec.cli import main as commands

        gc.freeze()
        gc.enable()
        if is_default:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        commands.main()
    except IMPORT_FAILURES:
        from exprec.recorder.requirements import describe_unmet

        unmet = describe_unmet()
        if unmet is None:
            raise
        print(f"exprec: {unmet}", file=sys.stderr)
        sys.exit(_NOT_INSTALLED)
    finally:
        gc.freeze()


def _print_version() -> bool:
    """Print the version; returns whether it could be written. The command tries again and reports the error."""
    from exprec.recorder.version import VERSION

    try:
        # Unbuffered: a buffered text could fail to be written at exit, when the exit code is settled.
        os.write(1, f"exprec {VERSION}\n".encode())
    except OSError:
        return False
    return True


def _stop(_signal: int, _frame: FrameType | None) -> None:
    """End this process, in which nothing has begun: an exception could come out of any import as something else."""
    os.write(2, b"\nexprec: interrupted\n")
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()
