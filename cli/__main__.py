"""The entry point of `exprec` and of `python -m exprec.cli`: prints the version itself, calls `main` for the rest.

It imports nothing that takes time: importing click alone takes longer than Python needs to start.
"""

from __future__ import annotations

import gc
import os
import sys

from exprec.recorder.exports import IMPORT_FAILURES
from exprec.recorder.version import VERSION

_NOT_INSTALLED = 2


def main() -> None:
    """Run the command of this process and exit with its code."""
    if sys.argv[1:] == ["--version"]:
        try:
            # Unbuffered: a buffered text could fail to be written at exit, when the exit code is settled.
            os.write(1, f"exprec {VERSION}\n".encode())
        except OSError:
            # The command below tries again and reports the error.
            pass
        else:
            return
    # Imported modules stay alive until the process ends. Searching them for garbage, repeatedly and once more at exit,
    # takes longer than showing a small run.
    gc.disable()
    try:
        from exprec.cli import main as commands

        gc.freeze()
        gc.enable()
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


if __name__ == "__main__":
    main()
