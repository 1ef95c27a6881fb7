"""A command that is interrupted while it starts prints one line, whatever it is importing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.cli import exprec, inherited_environment

INTERRUPT_AT = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
"""


@pytest.mark.parametrize("module", ["exprec.cli.main", "click", "exprec.cli.commands.log", "exprec.recorder.query"])
def test_one_line_is_printed(module: str, tmp_path: Path) -> None:
    done = exprec("log", cwd=tmp_path, first=INTERRUPT_AT.format(module=module), code=130)
    assert (done.stdout, done.stderr.strip()) == (b"", b"exprec: interrupted")


def test_the_signal_may_be_ignored(tmp_path: Path) -> None:
    """So starts a shell the commands of a script that are in the background."""
    first = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + INTERRUPT_AT.format(module="click")
    exprec("schema", "event.v1", cwd=tmp_path, first=first, code=0)


def test_a_program_that_imports_the_package_keeps_its_handlers() -> None:
    check = "import signal, exprec.cli, exprec.cli.__main__, exprec.cli.main, exprec.recorder\n" + (
        "assert signal.getsignal(signal.SIGINT) is signal.default_int_handler"
    )
    subprocess.run([sys.executable, "-c", check], env=inherited_environment(), check=True)
