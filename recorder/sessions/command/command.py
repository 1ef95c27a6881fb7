"""A command to record: its argv, its input files and its artifacts, as in `config.json`.

Artifacts are named by their paths relative to the folder that the command runs in, inputs by the paths as given.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from exprec.recorder.diagnostics import show_value
from exprec.recorder.errors import InvalidInput, Problem, StorageFailure
from exprec.recorder.format import has_surrogate, hashing, layout
from exprec.recorder.fs import read_pieces

FAIL, MARK, DROP = ON_BAD_EVENT = ("fail", "mark", "drop")
"""What an event that cannot be recorded does to its run: it fails, its result says so, or nothing."""

_LONGEST_NAME = 60
_PLAIN = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")


@dataclass(frozen=True, slots=True)
class Input:
    """An input file as it was before the command ran: its SHA-256 in hex, and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Command:
    """A command to record, or a recorded one."""

    argv: tuple[str, ...]
    inputs: Mapping[str, Input]
    artifacts: tuple[str, ...]
    artifact_limit: int | None = None
    """The size of the largest artifact in bytes; None: the limit of every run."""
    given_name: str | None = None
    on_bad_event: str = FAIL
    """What an event that cannot be recorded does to the run, one of ON_BAD_EVENT."""

    @classmethod
    def described(
        cls,
        argv: Sequence[str],
        folder: Path,
        *,
        inputs: Iterable[str] = (),
        artifacts: Iterable[str] = (),
        artifact_limit: int | None = None,
        name: str | None = None,
        on_bad_event: str = FAIL,
    ) -> Command:
        """Describe a command that is to run in `folder`; `inputs` and `artifacts` are paths from there.

        Raises InvalidInput when an input is missing, or when something cannot be recorded; StorageFailure.
        """
        problems = [_text_problem(argument, "argument") for argument in argv] + [_text_problem(name or "", "name")]
        input_names = [_input_name(path) for path in inputs]
        artifact_names = [_relative_name(path, folder) for path in artifacts]
        problems += [_text_problem(path, "input") or _input_problem(path, folder) for path in input_names]
        problems += [_artifact_problem(path) for path in artifact_names]
        problems += _name_collisions(sorted(set(artifact_names)))
        found = [Problem((), message) for message in problems if message is not None]
        if found:
            raise InvalidInput(found)
        digests = {path: _read_digest(folder / path) for path in sorted(set(input_names))}
        return cls(tuple(argv), digests, tuple(sorted(set(artifact_names))), artifact_limit, name, on_bad_event)

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> Command:
        """The command of a recorded run. Raises InvalidInput when the config has no valid command."""
        recorded = config.get("command")
        try:
            assert isinstance(recorded, dict)
            argv, artifacts = (tuple(map(_check_text, recorded[key])) for key in ("argv", "artifacts"))
            inputs = {
                name: Input(_check_text(digest["sha256"]), int(digest["size"]))
                for name, digest in recorded["inputs"].items()
            }
            limit, on_bad_event = recorded.get("artifact_limit"), recorded.get("on_bad_event", FAIL)
            if (
                not argv
                or on_bad_event not in ON_BAD_EVENT
                or any(layout.artifact_name_problem(name) for name in artifacts)
            ):
                raise ValueError
            limit = None if limit is None else int(limit)
            return cls(argv, inputs, artifacts, limit, config.get("name"), on_bad_event)
        except (AssertionError, AttributeError, KeyError, TypeError, ValueError):
            message = f"{layout.CONFIG_FILE} contains no valid command"
            raise InvalidInput([Problem((), message)]) from None

    @property
    def name(self) -> str:
        """The name of the run: the given one, else the command line, truncated."""
        if self.given_name is not None:
            return self.given_name
        line = " ".join(" ".join(map(_quote_argument, self.argv)).split())
        return line if len(line) <= _LONGEST_NAME else f"{line[: _LONGEST_NAME - 1]}…"

    def as_config(self, *, strict: bool) -> dict[str, Any]:
        """The content of `config.json`; `strict` tells whether events of undeclared types are refused."""
        limit = {} if self.artifact_limit is None else {"artifact_limit": self.artifact_limit}
        command = {
            "argv": list(self.argv),
            "inputs": {name: {"sha256": digest.sha256, "size": digest.size} for name, digest in self.inputs.items()},
            "artifacts": list(self.artifacts),
            **limit,
            **({} if self.on_bad_event == FAIL else {"on_bad_event": self.on_bad_event}),
        }
        return {
            "command": command,
            "strict": strict,
            **({} if self.given_name is None else {"name": self.given_name}),
        }

    def files(self, folder: Path) -> list[Path]:
        """The files that the command is made of, as far as the command line tells: its program, and its inputs.

        The program is the first word, and the first argument that names a file: the script of an interpreter.
        """
        script = next((word for word in self.argv[1:] if _is_file(folder / word)), None)
        program = [self.argv[0]] if _is_file(folder / self.argv[0]) else []
        return [folder / name for name in (*program, *([] if script is None else [script]), *self.inputs)]

    def changed_inputs(self, folder: Path) -> list[str]:
        """A message for each input that is missing or has changed in `folder`. Raises StorageFailure."""
        messages = []
        for name, recorded in self.inputs.items():
            problem = _input_problem(name, folder)
            if problem is None and _read_digest(folder / name) != recorded:
                problem = f"the input {show_value(name)} has changed since it was recorded (its SHA-256 differs)"
            if problem is not None:
                messages.append(problem)
        return messages


def _quote_argument(argument: str) -> str:
    """Return an argument as a shell reads it. The name of a run is content, so this never changes."""
    return argument if _PLAIN.fullmatch(argument) else "'{}'".format(argument.replace("'", "'\"'\"'"))


def _input_name(path: str) -> str:
    """The name of an input: the path as it is given, which is the same in every folder."""
    return PurePath(os.path.normpath(path)).as_posix()


def _relative_name(path: str, folder: Path) -> str:
    return PurePath(os.path.relpath(folder / path, folder)).as_posix()


def _check_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _text_problem(text: str, what: str) -> str | None:
    """Why a text of the command line, which may be any bytes, cannot be recorded; None if it can."""
    if has_surrogate(text):
        return f"the {what} {text!a} is not UTF-8 and cannot be recorded; use another name"
    return None


def _is_file(path: Path) -> bool:
    """Whether an argument, such as the program text of `python -c`, names a file."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _input_problem(name: str, folder: Path) -> str | None:
    path = folder / name
    try:
        if path.is_file():
            return None
        is_there = path.exists()
    except OSError as error:
        raise StorageFailure(path, error) from error
    if is_there:
        return f"the input {show_value(name)} is not a regular file; name the files in it"
    return f"the input {show_value(name)} does not exist"


def _artifact_problem(name: str) -> str | None:
    problem = _text_problem(name, "artifact") or layout.artifact_name_problem(name) or layout.portability_problem(name)
    return problem and (problem if problem.startswith("the ") else f"the artifact {show_value(name)} {problem}")


def _name_collisions(names: Iterable[str]) -> Iterator[str]:
    """A message for each artifact of which some system makes the file, or the folder, of one before."""
    known: dict[str, tuple[str, str]] = {}
    for name in names:
        parts = name.split("/")
        for path in ("/".join(parts[: count + 1]) for count in range(len(parts))):
            other, whole = known.setdefault(layout.file_key(path), (path, name))
            if other != path:
                same = "one file" if path == name and other == whole else "in one folder"
                yield (
                    f"the artifacts {show_value(whole)} and {show_value(name)} are {same} on some systems; "
                    "give one another name"
                )
                break


def _read_digest(path: Path) -> Input:
    try:
        return Input(hashing.sha256_hex(read_pieces(path)), path.stat().st_size)
    except OSError as error:
        raise StorageFailure(path, error) from error
