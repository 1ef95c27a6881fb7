"""Changes modules of recorder/ in one place at a time, and tells which of the changes no test notices.

What a change is, mutmut says; what is known of the survivors stands in `mutation.md`. The tests are loaded once:
each change is made in a fork, which runs the tests that reach the changed line, the fastest first.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import resource
import signal
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from types import FrameType, FunctionType, ModuleType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import create_mutations

_USAGE = "usage: python -m tests.mutation MODULE... -- TEST...   (a module such as store/tree)"
_ROOT = Path(__file__).resolve().parent.parent
_RECORDER = _ROOT / "recorder"
_OPTIONS = ("-o", "addopts=", "--import-mode=importlib", "-q", "-p", "no:xdist", "-p", "no:randomly")
_JOBS = 2
_SECONDS = 300
"""The time limit for the tests of one mutant, even on a busy machine."""
_KILLED, _TIMED_OUT, _SURVIVED, _NOT_REACHED = "killed", "timed out", "survived", "not reached"


@dataclass(frozen=True)
class Mutant:
    """One change of one function."""

    module: str
    function: str
    """The qualified name in the module, such as `OrderChecker.apply`."""
    lines: frozenset[int]
    """The lines of the changed statement."""
    source: str
    """The source of the mutated module."""
    diff: str


def mutants(module: str) -> Iterator[Mutant]:
    """Yield every mutation of the functions of a module.

    Decorators, and code of classes and modules, are not mutated: they are executed before any test.
    """
    path = _RECORDER / f"{module}.py"
    source = path.read_text()
    tree, changes, _, _ = create_mutations(str(path), source)
    positions = MetadataWrapper(tree, unsafe_skip_copy=True).resolve(PositionProvider)
    parsed = ast.parse(source)
    lines = source.splitlines(keepends=True)
    for change in changes:
        start, end = positions[change.original_node].start, positions[change.original_node].end
        function, reached_by = _place(parsed, start.line)
        if not function:
            continue
        before = "".join(lines[: start.line - 1]) + lines[start.line - 1][: start.column]
        after = lines[end.line - 1][end.column :] + "".join(lines[end.line :])
        changed = before + tree.code_for_node(change.mutated_node).strip() + after
        compared = unified_diff(source.splitlines(), changed.splitlines(), n=0, lineterm="")
        diff = "\n".join(line for line in compared if not line.startswith(("---", "+++", "@@")))
        yield Mutant(module, function, reached_by, changed, f"{path.relative_to(_ROOT)}:{start.line}\n{diff}")


def _place(tree: ast.Module, line: int) -> tuple[str, frozenset[int]]:
    """The outermost function that a line is in, or "", and the lines of its statement: of one with a body, the head."""
    names: list[str] = []
    lines = range(0)
    is_function = False
    inner: Sequence[ast.stmt | ast.excepthandler] = tree.body
    while found := next((each for each in inner if each.lineno <= line <= (each.end_lineno or 0)), None):
        inner = [each for each in ast.iter_child_nodes(found) if isinstance(each, (ast.stmt, ast.excepthandler))]
        last = max(found.lineno, inner[0].lineno - 1) if inner else found.end_lineno or found.lineno
        lines = range(found.lineno, last + 1)
        if isinstance(found, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not is_function:
            names.append(found.name)
            is_function = not isinstance(found, ast.ClassDef)
    return ".".join(names) if is_function else "", frozenset(lines)


def _install(mutant: Mutant) -> None:
    """Replace the function by the mutated one wherever it was imported."""
    module = _imported(mutant.module)
    changed: dict[str, Any] = {"__name__": module.__name__}
    exec(compile(mutant.source, str(module.__file__), "exec", dont_inherit=True), changed)
    function, other = (_function(names, mutant.function) for names in (vars(module), changed))
    function.__code__ = other.__code__
    function.__defaults__ = other.__defaults__
    function.__kwdefaults__ = other.__kwdefaults__


def _imported(module: str) -> ModuleType:
    return importlib.import_module(f"exprec.recorder.{module.replace('/', '.')}")


def _function(names: Mapping[str, Any], path: str) -> FunctionType:
    first, *rest = path.split(".")
    found = names[first]
    for name in rest:
        found = inspect.getattr_static(found, name)
    found = getattr(found, "__func__", found)
    assert isinstance(found, FunctionType), path
    return found


class _Mutation:
    """A pytest plugin that runs the collected tests for each mutant that they reach."""

    def __init__(self, given: Sequence[Mutant]) -> None:
        self.results: dict[Mutant, str] = {}
        self._mutants = given
        self._files = {_imported(module).__file__: module for module in {each.module for each in given}}
        self._reached: dict[tuple[str, int], set[pytest.Item]] = defaultdict(set)
        self._seconds: dict[pytest.Item, float] = {}
        self._killers: dict[str, Counter[str]] = defaultdict(Counter)
        """By function, how often each test killed a mutant of it; those tests run first."""
        self._running: dict[int, tuple[Mutant, int]] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("the tests cannot be collected")
        for item in session.items:
            self._observe(item)
        for mutant in self._mutants:
            while len(self._running) >= _JOBS:
                self._wait()
            self._start(mutant)
        while self._running:
            self._wait()
        return True

    def _observe(self, item: pytest.Item) -> None:
        """Run a test on the original code and record the lines that it reaches."""
        reached: set[tuple[str, int]] = set()

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            module = self._files.get(frame.f_code.co_filename)
            if module is None:
                return None
            reached.add((module, frame.f_lineno))
            return trace

        threading.settrace(trace)
        sys.settrace(trace)
        try:
            reports = runtestprotocol(item, log=False, nextitem=None)
        finally:
            sys.settrace(None)
            threading.settrace(None)
        if any(report.failed for report in reports):
            _say(f"left out, because it fails: {item.nodeid}")
            return
        self._seconds[item] = sum(report.duration for report in reports)
        for place in reached:
            self._reached[place].add(item)

    def _start(self, mutant: Mutant) -> None:
        found = set().union(*(self._reached[mutant.module, line] for line in mutant.lines))
        if not found:
            self.results[mutant] = _NOT_REACHED
            return
        killers = self._killers[mutant.function]
        items = sorted(found, key=lambda item: (-killers[item.nodeid], self._seconds[item]))
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            self._run(mutant, items, writing)
        os.close(writing)
        self._running[child] = mutant, reading

    def _run(self, mutant: Mutant, items: Sequence[pytest.Item], writing: int) -> None:
        """Run the tests in a fork up to the first failure; returns the name of the failed test."""
        try:
            used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
            limit = int(used + 20 + 5 * sum(self._seconds[item] for item in items))
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
            signal.alarm(_SECONDS)
            _install(mutant)
            for item, following in zip(items, [*items[1:], None], strict=True):
                if any(report.failed for report in runtestprotocol(item, log=False, nextitem=following)):
                    os.write(writing, item.nodeid.encode())
                    os._exit(1)
            os._exit(0)
        finally:
            os._exit(1)

    def _wait(self) -> None:
        child, status = os.wait()
        if child not in self._running:
            return
        mutant, reading = self._running.pop(child)
        with os.fdopen(reading, "rb") as pipe:
            self._killers[mutant.function][pipe.read().decode()] += 1
        code = os.waitstatus_to_exitcode(status)
        self.results[mutant] = _SURVIVED if code == 0 else _TIMED_OUT if code < 0 else _KILLED


def _say(text: str) -> None:
    print(text, file=sys.__stderr__, flush=True)


def main(words: Sequence[str]) -> int:
    """Print each survivor and a table of all; returns 1 when there are survivors, 2 for wrong usage."""
    if "--" not in words or not (_RECORDER / f"{words[0]}.py").is_file():
        _say(_USAGE)
        return 2
    place = list(words).index("--")
    # mutmut and pytest read the pyproject.toml that is here.
    os.chdir(_ROOT)
    given = [mutant for module in words[:place] for mutant in mutants(module)]
    _say(f"{len(given)} mutants")
    plugin = _Mutation(given)
    pytest.main([*_OPTIONS, *words[place + 1 :]], plugins=[plugin])
    for mutant, result in plugin.results.items():
        if result in (_SURVIVED, _NOT_REACHED):
            print(f"{result}: {mutant.function}, {mutant.diff}")
    for module in words[:place]:
        counts = Counter(result for mutant, result in plugin.results.items() if mutant.module == module)
        print(f"{module}: {counts.total()} mutants, " + ", ".join(f"{counts[each]} {each}" for each in sorted(counts)))
    return int(any(result in (_SURVIVED, _NOT_REACHED) for result in plugin.results.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
