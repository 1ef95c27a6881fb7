"""Import of a function from the folder of an experiment, isolated from other modules, with a digest of its sources."""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery as machinery
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from exprec.recorder.format import escape_surrogates
from exprec.recorder.sessions import error_text

_NAME = re.compile(r"(?P<module>[^:#]+):(?P<attribute>[^:#]+)(?:#sha256=(?P<digest>[0-9a-f]{64}))?")

# A path as it appears in a message, up to its last part; neither a URL nor a fraction is one.
_FOLDERS = re.compile(r"(?<![\w/:.~])~?/(?:[^\s/'\"<>:,;()]+/)+(?=[^\s/'\"<>:,;()])")


class NotImportable(Exception):
    """A function cannot be imported; `is_absent` tells whether its module is missing in the folder."""

    def __init__(self, reason: str, *, is_absent: bool = False) -> None:
        self.is_absent = is_absent
        super().__init__(reason)


class UserFunction:
    """A function of the user. Call it in one thread at a time.

    `name` is `module:callable`. `digest` is the SHA-256 in hex of the sources of all modules that its import loaded
    from the folder: of their relative paths and their bytes, sorted. `folder` is absolute.
    """

    def __init__(self, name: str, digest: str, function: Callable[..., Any], scope: _ModuleScope) -> None:
        self.name = name
        self.digest = digest
        self.folder = Path(scope.folder)
        self._function = function
        self._scope = scope

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of its modules in the folder."""
        return tuple(self.folder / name for name in self._scope.files)

    @property
    def docstring(self) -> str | None:
        """The docstring of the function without indentation, or None."""
        import inspect

        text = inspect.getdoc(self._function)
        return escape_surrogates(text).strip() or None if isinstance(text, str) else None

    def __call__(self, *arguments: Any) -> Any:
        """Call the function; its stdout goes to stderr, and what it raises is raised."""
        with self._scope.entered():
            return self._function(*arguments)


def split_name(name: str) -> tuple[str, str, str | None] | None:
    """Module, callable and digest, None if absent, of `module:callable#sha256=<hex>`; None for any other name."""
    found = _NAME.fullmatch(name)
    if found is None or not all(part.isidentifier() for key in (1, 2) for part in found[key].split(".")):
        return None
    return found["module"], found["attribute"], found["digest"]


def find_module(name: str, folder: Path) -> None:
    """Raise NotImportable if the folder does not have the module of a function; nothing is imported."""
    module_name = name.partition(":")[0]
    if not _ModuleScope(folder).has(module_name):
        raise NotImportable(f"there is no module {module_name} in {folder}", is_absent=True)


def load_function(name: str, folder: Path) -> UserFunction:
    """Import a function from the folder, and from no other place in sys.path.

    Afterwards, sys.path and sys.modules are as before, except for modules from elsewhere that it imported. Raises
    NotImportable, also when the name has a digest that is not that of the sources.
    """
    parts = split_name(name)
    assert parts is not None, "the name was checked"
    module_name, attribute, expected = parts
    scope = _ModuleScope(folder)
    if not scope.has(module_name):
        raise NotImportable(f"there is no module {module_name} in {folder}", is_absent=True)
    with scope.entered():
        try:
            function: Any = importlib.import_module(module_name)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise NotImportable(_import_failure(error, module_name, scope.folder)) from error
    for part in attribute.split("."):
        if not hasattr(function, part):
            raise NotImportable(f"{scope.file_of(module_name)} has no {attribute}")
        function = getattr(function, part)
    if not callable(function):
        reason = f"is a {type(function).__name__}, which cannot be called"
        raise NotImportable(f"{attribute} in {scope.file_of(module_name)} {reason}")
    digest = scope.seal()
    if expected is not None and digest != expected:
        files = ", ".join(scope.files)
        raise NotImportable(f"{files} in {folder}: not as recorded: SHA-256 {digest}, recorded {expected}")
    return UserFunction(f"{module_name}:{attribute}", digest, function, scope)


def describe_exception(error: BaseException) -> str:
    """Type and message of an exception, without folders and addresses, so that they are equal on every machine."""
    text = _FOLDERS.sub("", error_text(error, empty=""))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def traceback_within(folder: Path, error: BaseException) -> str:
    """The traceback of an exception as Python prints it, without the frames before those in the folder."""
    trace = error.__traceback__
    while trace is not None and not trace.tb_frame.f_code.co_filename.startswith(str(folder) + os.sep):
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace))


class _ModuleScope:
    """The import system of the modules of one folder, which see that folder first, and each other."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder.absolute())
        self._finder = _FolderFinder(self.folder)
        self._modules: dict[str, ModuleType] = {}
        self._hides = tuple(_module_names_in(self.folder))

    @property
    def files(self) -> list[str]:
        """The files of the modules that were loaded from the folder, relative to it, sorted."""
        return sorted(self._finder.sources)

    def has(self, module: str) -> bool:
        """Whether the folder contains this module, or at least its outermost package."""
        finder = machinery.FileFinder(self.folder, *_LOADERS)
        return finder.find_spec(module.partition(".")[0]) is not None

    def file_of(self, module: str) -> str:
        """The file of a loaded module relative to the folder; its name if it has none."""
        file = getattr(self._modules.get(module), "__file__", None)
        return os.path.relpath(file, self.folder) if file else module

    def seal(self) -> str:
        """Refuse to load further modules from the folder; returns the digest of those that were loaded."""
        self._finder.is_sealed = True
        digest = hashlib.sha256()
        for file, source in sorted(self._finder.sources.items()):
            digest.update(b"%d %s %d\n" % (len(os.fsencode(file)), os.fsencode(file), len(source)))
            digest.update(source)
        return digest.hexdigest()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """A context in which the modules of the folder can be imported; afterwards they are removed."""
        path, hidden = sys.path[:], self._taken_out()
        before = frozenset() if self._finder.is_sealed else frozenset(sys.modules)
        sys.modules.update(self._modules)
        sys.path.insert(0, self.folder)
        # After the finders of built-in modules and before the finder of files, as for a script in this folder.
        place = sys.meta_path.index(machinery.PathFinder) if machinery.PathFinder in sys.meta_path else 0
        sys.meta_path.insert(place, self._finder)
        try:
            with redirect_stdout(sys.stderr):
                yield
        finally:
            if self._finder in sys.meta_path:
                sys.meta_path.remove(self._finder)
            sys.path[:] = path
            self._keep_own(before)
            sys.modules.update(hidden)

    def _taken_out(self) -> dict[str, ModuleType]:
        """Remove from sys.modules the modules from elsewhere that have the name of one in the folder."""
        loaded = [name for name in self._hides if name in sys.modules]
        if not loaded:
            return {}
        return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in loaded}

    def _keep_own(self, before: frozenset[str]) -> None:
        """Remove the modules of the folder from sys.modules, and remember them; those in `before` are others."""
        if not self._finder.is_sealed:
            # This finder does not find packages without __init__, but their modules.
            own = {name.partition(".")[0] for name in self._finder.names}
            added = {name: module for name, module in sys.modules.items() if name not in before}
            self._modules = {name: module for name, module in added.items() if name.partition(".")[0] in own}
        for name in self._modules:
            sys.modules.pop(name, None)


class _FolderFinder(MetaPathFinder):
    """Finds modules in a folder and below, and keeps the sources of each."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.sources: dict[str, bytes] = {}
        self.names: list[str] = []
        self.is_sealed = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> machinery.ModuleSpec | None:
        """The spec of a module, if a place to search is in the folder and contains it."""
        for place in sys.path if path is None else path:
            if place != self._folder and not place.startswith(self._folder + os.sep):
                continue
            spec = machinery.FileFinder(place, *_LOADERS).find_spec(fullname)
            # A folder without __init__ is a package only if no other of this name exists: left to Python's finder.
            if spec is None or spec.loader is None or spec.origin is None:
                continue
            if self.is_sealed:
                reason = "would be loaded while the simulator runs; import it at the top of a module"
                raise ImportError(f"{fullname} {reason}, so that its source is part of the inputs", name=fullname)
            self._keep(fullname, spec)
            return spec
        return None

    def _keep(self, name: str, spec: machinery.ModuleSpec) -> None:
        assert spec.origin is not None
        source = Path(spec.origin).read_bytes()
        self.sources[Path(os.path.relpath(spec.origin, self._folder)).as_posix()] = source
        self.names.append(name)
        if isinstance(spec.loader, machinery.SourceFileLoader):
            spec.loader = _KeptSourceLoader(name, spec.origin, source)


class _KeptSourceLoader(machinery.SourceFileLoader):
    """Executes the bytes that are digested; compiled files, which may be stale, are neither read nor written."""

    def __init__(self, name: str, path: str, source: bytes) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType | None:
        """The code of the module. Raises SyntaxError."""
        code: CodeType = self.source_to_code(self._source, self.path)
        return code


_LOADERS: tuple[Any, ...] = (
    (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES),
    (machinery.SourceFileLoader, machinery.SOURCE_SUFFIXES),
    (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES),
)


def _module_names_in(folder: str) -> Iterator[str]:
    """The modules and packages in a folder that hide others of the same name."""
    finder = machinery.FileFinder(folder, *_LOADERS)
    try:
        entries = sorted({entry.name.partition(".")[0] for entry in Path(folder).iterdir()})
    except OSError:
        return
    for name in entries:
        if not name.isidentifier() or name.startswith("__") or name in sys.builtin_module_names:
            continue
        spec = finder.find_spec(name)
        if spec is not None and spec.loader is not None and machinery.FrozenImporter.find_spec(name) is None:
            yield name


def _import_failure(error: BaseException, module: str, folder: str) -> str:
    text = escape_surrogates(str(error))
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    # A SyntaxError already names its file and line.
    frames = [] if isinstance(error, SyntaxError) else traceback.extract_tb(error.__traceback__)
    places = [frame for frame in frames if frame.filename.startswith(folder + os.sep)]
    where = f" ({os.path.relpath(places[-1].filename, folder)}, line {places[-1].lineno})" if places else ""
    return f"cannot import {module} from {folder}: {reason}{where}"
