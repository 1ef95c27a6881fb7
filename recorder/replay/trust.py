"""What executing a run again would execute, and the list of what this user recorded or trusts.

An entry of the list is bound to content: to the run id of a command, to the config of an experiment, to the modules in
a folder. A copy elsewhere is trusted too, and a change is not.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from exprec.recorder.diagnostics import visible
from exprec.recorder.errors import InvalidInput, StorageFailure
from exprec.recorder.experiment import EXPERIMENT_TYPE
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.fs import durable
from exprec.recorder.sessions import Command
from exprec.recorder.store import RunDirectory

_MODULES = (".py", ".pyc", ".so")
_MOST_FILES = 20_000


class Origin(StrEnum):
    """Why something is trusted."""

    RECORDED = "recorded"
    """This user recorded it."""
    TRUSTED = "trusted"
    """This user declared it trusted."""


@dataclass(frozen=True, slots=True)
class Execution:
    """What executing a run again executes: code that is neither exprec's nor described by the run alone."""

    keys: tuple[str, ...]
    """The entries of the list that it needs."""
    description: str
    folder: Path | None
    """The folder from which modules are imported; None for a command."""


class TrustList:
    """The entries of a user, one file each, so that processes may add to it at once."""

    def __init__(self, folder: Path | None) -> None:
        """Use the list in `folder`; None: nothing is trusted, and nothing is kept."""
        self._folder = folder

    def add(self, key: str, origin: Origin, description: str) -> None:
        """Add an entry; `description` is for people who look into the list. Raises StorageFailure."""
        if self._folder is not None and self._origin(key) is not Origin.RECORDED:
            path = self._folder / origin / key
            durable.create_folder(path.parent)
            durable.replace(path, f"{visible(description)}\n".encode())

    def remove(self, key: str) -> bool:
        """Remove an entry, whatever its origin; returns whether there was one. Raises StorageFailure."""
        paths = [] if self._folder is None else [self._folder / origin / key for origin in Origin]
        present = [path for path in paths if path.is_file()]
        for path in present:
            durable.remove(path)
        return bool(present)

    def origin(self, execution: Execution) -> Origin | None:
        """Return RECORDED if all that an execution needs was recorded by this user, None if a part is unknown."""
        origins = {self._origin(key) for key in execution.keys}
        if None in origins:
            return None
        return Origin.RECORDED if origins <= {Origin.RECORDED} else Origin.TRUSTED

    def _origin(self, key: str) -> Origin | None:
        if self._folder is None:
            return None
        return next((origin for origin in Origin if (self._folder / origin / key).is_file()), None)


def find_execution(run: RunDirectory, files: Path) -> Execution | None:
    """Return what executing this run in `files` executes; None if that is exprec alone.

    Raises Damaged, StorageFailure.
    """
    if run.type == layout.COMMAND_RUN:
        try:
            words = shlex.join(Command.of_config(run.config).argv)
        except InvalidInput:
            # The verdict gives the reason.
            return None
        return Execution((run_key(run),), f"in {files.absolute()}: {words}", None)
    simulator = run.config.get("simulator")
    if run.type != EXPERIMENT_TYPE or not isinstance(simulator, str) or ":" not in simulator:
        return None
    description = f"import from {files.absolute()}: {simulator.partition('#')[0]}"
    # Without modules, the verdict is that the simulator is missing.
    keys = (run_key(run), folder_key(files)) if any(_modules_below(files.resolve())) else (run_key(run),)
    return Execution(keys, description, files)


def find_resumption(run: RunDirectory, files: Path) -> Execution | None:
    """Return what resuming an interrupted experiment in `files` executes; None if that is exprec alone.

    A model is asked with the key of this user. Raises Damaged, StorageFailure.
    """
    found = find_execution(run, files)
    model = run.config.get("llm", {}).get("model")
    if "replayed" in run.work_head or not isinstance(model, str) or not is_live(model):
        return found
    request = f"requests to the model {model}, with your key"
    if found is None:
        return Execution((run_key(run),), request, None)
    return Execution(found.keys, f"{found.description}; {request}", found.folder)


def is_live(model: str) -> bool:
    """Return whether answers come from a model, not from a computation or a file."""
    return ":" in model and not model.startswith("scripted:")


def run_key(run: RunDirectory) -> str:
    """Return the entry of a run: an experiment is determined by its config, a command by its whole run."""
    if run.type == EXPERIMENT_TYPE:
        return config_key(run.config)
    return f"run-{run.run_id}"


def config_key(config: object) -> str:
    """Return the entry of an experiment with this configuration."""
    return f"inputs-{hashlib.sha256(canonical_json.encode(config, indent=True)).hexdigest()}"


def folder_key(folder: Path) -> str:
    """Return the entry of a folder: a digest of the Python modules in it and below. Raises StorageFailure."""
    content = hashlib.sha256()
    for path in _modules_below(folder.resolve()):
        name, data = os.fsencode(path.relative_to(folder.resolve())), _read(path)
        content.update(b"%d %d " % (len(name), len(data)) + name + data)
    return f"folder-{content.hexdigest()}"


def _modules_below(folder: Path) -> Iterator[Path]:
    """Yield the files that Python may import; not those in hidden folders, and in environments of their own."""
    count = 0
    for top, folders, files in os.walk(folder, onerror=_raise_failure):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        if "pyvenv.cfg" in files:
            folders[:] = []
        for path in (Path(top) / name for name in sorted(files) if name.endswith(_MODULES)):
            count += 1
            if count > _MOST_FILES:
                raise StorageFailure(folder, OSError(0, f"has more than {_MOST_FILES} modules; name a smaller folder"))
            if path.is_file():
                yield path


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageFailure(path, error) from error


def _raise_failure(error: OSError) -> None:
    raise StorageFailure(Path(error.filename), error)
