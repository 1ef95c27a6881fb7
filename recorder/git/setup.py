"""Git integration of a clone: a textconv driver that shows logs as text, and a pre-commit hook that verifies runs.

Both are in the configuration and the hooks of the clone, which git does not commit. Functions return what they changed.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from exprec.recorder.errors import StorageFailure
from exprec.recorder.fs import durable
from exprec.recorder.git.repository import Repository

NEW, CHANGED, PRESENT, FOREIGN = "new", "changed", "present", "foreign"
"""Results of a change: created, replaced, unchanged because it was right, unchanged because it is the user's."""

HOOK_LINE = "exprec verify --staged"

_DRIVER = "diff.exprec"
_CACHE = "refs/notes/textconv/exprec"
_HOOK = "pre-commit"
_MARK = "# Written by `exprec init --hook`, which replaces this file."
_NOT_RENDERED = "(damaged here: git diff --no-textconv shows the lines themselves)"
_COLUMNS = 79
"""80 with the sign of a diff before each line; fixed, because git caches the output for all terminals."""


class GitSetup(Repository):
    """A repository whose configuration and hooks are changed."""

    def show_logs(self, program: str) -> str:
        """Make `git diff` and `git log -p` show logs by `program` (an exprec); return NEW, CHANGED or PRESENT.

        Raises:
            GitFailure: The configuration cannot be written.
        """
        # git commits to its cache: without a committer identity it would show no diff at all.
        can_commit = self._run("var", "GIT_COMMITTER_IDENT").returncode == 0
        cached = "true" if can_commit else "false"
        wanted = {f"{_DRIVER}.textconv": _textconv(program), f"{_DRIVER}.cachetextconv": cached}
        present = {key: self._configured(key) for key in wanted}
        for key, value in wanted.items():
            self._text("config", "--local", key, value)
        # The cache of git may contain the output of another version of exprec.
        self._run("update-ref", "-d", _CACHE)
        return PRESENT if present == wanted else CHANGED if present[f"{_DRIVER}.textconv"] else NEW

    def verify_commits(self, program: str) -> tuple[Path, str]:
        """Install the hook that lets `program` (an exprec) verify what is staged before each commit.

        Returns the file of the hook and what became of it. A hook that is not ours stays as it is. Raises
        GitFailure, StorageFailure.
        """
        path = self._hooks_folder() / _HOOK
        found, wanted = _bytes_of(path), _hook(program).encode()
        if found is not None and _MARK.encode() not in found:
            return path, PRESENT if _verifies(found) else FOREIGN
        if found == wanted and os.access(path, os.X_OK):
            return path, PRESENT
        durable.create_folder(path.parent)
        durable.replace(path, wanted, is_executable=True)
        return path, NEW if found is None else CHANGED

    def _hooks_folder(self) -> Path:
        # From the top of the work tree, because a relative core.hooksPath counts from there.
        top = Path(self._line("rev-parse", "--show-toplevel"))
        # The last value is that with which exprec starts git: no hooks.
        *configured, _ = self._text("config", "--type=path", "-z", "--get-all", "core.hooksPath").split("\0")[:-1]
        if configured:
            return top / configured[-1]
        return top / GitSetup(top)._line("rev-parse", "--git-common-dir") / "hooks"

    def _configured(self, key: str) -> str | None:
        done = self._run("config", "--local", "--get", key)
        return os.fsdecode(done.stdout).removesuffix("\n") if done.returncode == 0 else None

    def _line(self, *arguments: str) -> str:
        return self._text(*arguments).removesuffix("\n")


def _textconv(program: str) -> str:
    """The shell command to which git adds the path of a log.

    It never fails, because git then shows nothing of the whole diff: a damaged log is shown up to its damage, and
    as it stands where there is no exprec.
    """
    show = f'COLUMNS={_COLUMNS} "$e" show --no-pager --color never -v "$1"'
    gone = """echo "exprec is gone; run 'exprec init --git' where it is installed" >&2; cat "$1\""""
    damaged = f'case $? in 5) echo "{_NOT_RENDERED}";; *) cat "$1";; esac'
    choice = _choice("e", program)
    # A name without a slash would be looked up in a store.
    path = 'case "$1" in */*) ;; *) set -- "./$1";; esac'
    return f'f() {{ {path}; {choice}; if command -v "$e" >/dev/null; then {show} || {damaged}; else {gone}; fi; }}; f'


def _hook(program: str) -> str:
    return f"""#!/bin/sh
{_MARK}
{_choice("exprec", program)}
if ! command -v "$exprec" >/dev/null; then
  echo "pre-commit: exprec is gone; run 'exprec init --hook' where it is installed, or commit with --no-verify" >&2
  exit 1
fi
exec "$exprec" verify --staged
"""


def _verifies(hook: bytes) -> bool:
    lines = (line.strip() for line in hook.splitlines())
    return any(b"exprec" in line and b"verify --staged" in line and not line.startswith(b"#") for line in lines)


def _choice(variable: str, program: str) -> str:
    """Let a shell variable be the program, or whatever exprec is on the PATH once that is gone."""
    return f'{variable}={shlex.quote(program)}; test -x "${variable}" || {variable}=exprec'


def _bytes_of(path: Path) -> bytes | None:
    """Return the content of a hook, or None; empty for a dangling link."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b"" if path.is_symlink() else None
    except OSError as error:
        raise StorageFailure(path, error) from error
