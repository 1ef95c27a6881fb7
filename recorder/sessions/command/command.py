"""What is asked when a command is recorded: its words, the files it reads and those it makes, as `config.json` has it.

It runs nothing. Files are named by their paths relative to the folder that the command runs in.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from exprec.recorder.diagnostics import show_value
from exprec.recorder.errors import InvalidInput, Problem, StorageFailure
from exprec.recorder.format import has_surrogate, layout
from exprec.recorder.format.hashing import sha256_of

_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Input:
    """A file that a command reads, as it was before: 64 hex digits, and bytes."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Command:
    """A command to record."""

    argv: tuple[str, ...]
    inputs: Mapping[str, Input]
    artifacts: tuple[str, ...]
    artifact_limit: int | None = None
    """The size of the largest artifact in bytes; None: what holds for every run."""
    given_name: str | None = None

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
    ) -> Command:
        """A command that is to run in `folder`, with the paths of its files as they were typed there.

        Raises InvalidInput for an input that is not there and for what no run can hold; StorageFailure.
        """
        problems = [_text_problem(each, "argument") for each in argv] + [_text_problem(name or "", "name")]
        read = [_relative(each, folder) for each in inputs]
        made = [_relative(each, folder) for each in artifacts]
        problems += [_text_problem(each, "input") or _input_problem(each, folder) for each in read]
        problems += [_artifact_problem(each) for each in made]
        found = [Problem((), each) for each in problems if each is not None]
        if found:
            raise InvalidInput(found)
        digests = {each: _digest(folder / each) for each in sorted(set(read))}
        return cls(tuple(argv), digests, tuple(sorted(set(made))), artifact_limit, name)

    @classmethod
    def of_config(cls, config: Mapping[str, Any]) -> Command:
        """The command of a recorded run. Raises InvalidInput for a config that has none."""
        said = config.get("command")
        try:
            assert isinstance(said, dict)
            argv, artifacts = (tuple(map(_text, said[key])) for key in ("argv", "artifacts"))
            inputs = {name: Input(_text(each["sha256"]), int(each["size"])) for name, each in said["inputs"].items()}
            limit = said.get("artifact_limit")
            if not argv or any(layout.artifact_name_problem(name) for name in artifacts):
                raise ValueError
            return cls(argv, inputs, artifacts, None if limit is None else int(limit), config.get("name"))
        except (AssertionError, AttributeError, KeyError, TypeError, ValueError):
            message = f"{layout.CONFIG_FILE} has no command that can be executed"
            raise InvalidInput([Problem((), message)]) from None

    @property
    def name(self) -> str:
        """What the run is called: as was said, else the words of the command, as far as there is room."""
        if self.given_name is not None:
            return self.given_name
        words = " ".join(shlex.join(self.argv).split())
        return words if len(words) <= _LONGEST_NAME else f"{words[: _LONGEST_NAME - 1]}…"

    def as_config(self, *, strict: bool) -> dict[str, Any]:
        """The content of `config.json`; `strict` says whether events of undeclared types are refused."""
        limit = {} if self.artifact_limit is None else {"artifact_limit": self.artifact_limit}
        command = {
            "argv": list(self.argv),
            "inputs": {name: {"sha256": each.sha256, "size": each.size} for name, each in self.inputs.items()},
            "artifacts": list(self.artifacts),
            **limit,
        }
        return {
            "command": command,
            "strict": strict,
            **({} if self.given_name is None else {"name": self.given_name}),
        }

    def changed_inputs(self, folder: Path) -> list[str]:
        """What is to say of each input that is not in `folder` as it was recorded. Raises StorageFailure."""
        said = []
        for name, recorded in self.inputs.items():
            problem = _input_problem(name, folder)
            if problem is None and _digest(folder / name) != recorded:
                problem = f"the input {show_value(name)} is another one than was recorded, by its SHA-256"
            if problem is not None:
                said.append(problem)
        return said


def _relative(path: str, folder: Path) -> str:
    return PurePath(os.path.relpath(folder / path, folder)).as_posix()


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _text_problem(text: str, what: str) -> str | None:
    """Why a text that was typed cannot be kept, if so: a command line may hold any bytes."""
    if has_surrogate(text):
        return f"the {what} {text!a} is not UTF-8, and a run holds text; name it otherwise"
    return None


def _input_problem(name: str, folder: Path) -> str | None:
    path = folder / name
    try:
        if path.is_file():
            return None
        is_there = path.exists()
    except OSError as error:
        raise StorageFailure(path, error) from error
    if is_there:
        return f"the input {show_value(name)} is no file; name the files in it"
    return f"the input {show_value(name)} is not there"


def _artifact_problem(name: str) -> str | None:
    problem = _text_problem(name, "artifact") or layout.artifact_name_problem(name)
    return problem and (problem if problem.startswith("the ") else f"the artifact {show_value(name)} {problem}")


def _digest(path: Path) -> Input:
    try:
        return Input(sha256_of(path), path.stat().st_size)
    except OSError as error:
        raise StorageFailure(path, error) from error
