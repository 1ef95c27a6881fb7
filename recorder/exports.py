"""Lazy exports of a package (PEP 562)."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
"""Type checkers take it for True. Importing `typing` for it would double the time that `exprec --version` takes."""
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    LazyExports = tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]


IMPORT_FAILURES = (ImportError, AttributeError, TypeError)
"""What an import raises if a dependency is missing, or is another version than the module was written for."""


def lazy_exports(package: str, modules: Mapping[str, str]) -> LazyExports:
    """Return `__getattr__, __dir__, __all__` of a package, which import its exports on first use.

    `modules` maps each exported name to the submodule that defines it (`{"Store": "store"}`); a name mapped to ""
    is a submodule itself. Use it where importing all of a package would slow the start of commands that need a part
    of it; the package imports the same names under `TYPE_CHECKING` for type checkers.
    """

    def get_export(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            if not modules[name]:
                return import_module(f"{package}.{name}")
            return getattr(import_module(f"{package}.{modules[name]}"), name)
        except IMPORT_FAILURES:
            from exprec.recorder.requirements import describe_unmet

            unmet = describe_unmet()
            if unmet is None:
                raise
            raise ImportError(unmet) from None

    exported = sorted(modules)
    return get_export, lambda: exported, exported
