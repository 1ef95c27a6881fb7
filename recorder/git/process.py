"""The one place that starts git, so that no repository can have programs started by it.

A configuration (that of a bare repository inside a clone, or of an unpacked archive) may name programs: monitors of the
file system, hooks, filters, pagers, transports. None of the commands that exprec runs needs one, so all are off, and
git gets only those variables that say which repository and whose configuration it is.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import IO

_OPTIONS = (
    "--no-pager",
    "--no-optional-locks",
    # What is committed counts, not what `git replace` shows in its place.
    "--no-replace-objects",
)

_SETTINGS = {
    "safe.bareRepository": "explicit",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.pager": "cat",
    "core.alternateRefsCommand": "false",
    "protocol.allow": "never",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "log.showSignature": "false",
}

_VARIABLES = {
    # The installation of git, and the configuration of the user.
    *("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "GIT_EXEC_PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR"),
    *("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_PARAMETERS"),
    *("USER", "LOGNAME", "EMAIL"),
    *("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"),
    # The repository, as git names it to its hooks, and where it looks for one.
    *("GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_NAMESPACE"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH", "GIT_SHALLOW_FILE"),
    *("GIT_CEILING_DIRECTORIES", "GIT_DISCOVERY_ACROSS_FILESYSTEM"),
}
_NUMBERED = ("GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_")

_FIXED = {
    # A missing object of a partial clone is reported, not fetched. Older versions of git obey the protocols alone.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_TERMINAL_PROMPT": "0",
    # `git status` would write the index anew, under a lock that another git could meet.
    "GIT_OPTIONAL_LOCKS": "0",
    # Messages are read for "fatal:".
    "LC_ALL": "C",
}

Stream = int | IO[bytes]


def start_git(
    folder: Path,
    *arguments: str,
    stdin: Stream = subprocess.DEVNULL,
    stdout: Stream = subprocess.PIPE,
    stderr: Stream = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Start git in `folder`, without any program that a repository could name. Raises OSError."""
    settings = [word for key, value in _SETTINGS.items() for word in ("-c", f"{key}={value}")]
    command = ["git", "-C", str(folder), *_OPTIONS, *settings, *arguments]
    return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, env=_environment())


def run_git(
    folder: Path, *arguments: str, data: bytes = b"", timeout: float | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run git in `folder` with `data` as its stdin, and return its exit code and output.

    Raises OSError if it cannot be started, TimeoutError after `timeout` seconds.
    """
    with start_git(folder, *arguments, stdin=subprocess.PIPE) as process:
        try:
            stdout, stderr = process.communicate(data, timeout=timeout)
        except BaseException as error:
            process.kill()
            if isinstance(error, subprocess.TimeoutExpired):
                raise TimeoutError(f"git {arguments[0]} took more than {timeout} seconds") from None
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def names_repository() -> bool:
    """Whether variables say which repository git uses, or where it does not look for one."""
    return bool(os.environ.keys() & {"GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_CEILING_DIRECTORIES"})


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name in _VARIABLES or name.startswith(_NUMBERED)}
    return kept | _FIXED
