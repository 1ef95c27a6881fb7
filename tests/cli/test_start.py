"""The entry point: the version is printed without loading a command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exprec.cli.main import cli
from tests.fixtures.cli import make_runner

START = "from exprec.cli.__main__ import main; main()"
LOADED = "import sys; print(sorted({'click', 'orjson', 'rich', 'jsonschema_rs'} & sys.modules.keys()))"


def _started(*arguments: str, after: str = "", stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[bytes]:
    call = [sys.executable, "-c", f"{START}\n{after}", *arguments]
    return subprocess.run(call, stdout=stdout, stderr=subprocess.PIPE, check=False)


def test_version_is_printed_without_importing_anything() -> None:
    done = _started("--version", after=LOADED)
    assert done.stdout.decode() == f"{make_runner().invoke(cli, ['--version']).output}[]\n"
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_version_that_cannot_be_written_is_an_error() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        done = _started("--version", stdout=full)
    finally:
        os.close(full)
    assert (done.returncode, done.stderr.count(b"\n")) == (6, 1)
    assert done.stderr.startswith(b"exprec: cannot write the output: No space left")


def test_all_else_is_a_command() -> None:
    done = _started("schema", "store.v1", "--version")
    assert (done.returncode, b"No such option" in done.stderr) == (2, True)
    assert b"Usage: " in _started("--help").stdout
