"""What exprec needs: its dependencies, what its extras install, and the command to type for it.

Messages advise the requirements themselves, never exprec with an extra: that would need to be known from where exprec
was installed, and on the package index the name `exprec` belongs to another project.
"""

from __future__ import annotations

import re
import shlex
import sys

DEPENDENCIES = (
    "click>=8.1",
    "jsonschema>=4.20",
    "jsonschema-rs>=0.52",
    "orjson>=3.11.7",
    "rich>=14.3.3",
    "ruamel.yaml>=0.18",
)
"""The requirements of every command, as in pyproject.toml."""

EXTRAS = {
    "llm": ("pydantic-ai-slim[openai,anthropic]>=2.60",),
}
"""The requirements of each extra that commands need, as in pyproject.toml."""


def install_extra(extra: str) -> str:
    """Return the command that installs what an extra needs, wherever exprec was installed from."""
    return install_command(*EXTRAS[extra])


def install_command(*requirements: str) -> str:
    """Return the command that installs these requirements."""
    return shlex.join(["pip", "install", *requirements])


def describe_unmet() -> str | None:
    """Return a message about every dependency that is missing or too old; None if there is none.

    It takes longer than a short command: call it only where something has failed.
    """
    unmet = {requirement: fact for requirement in DEPENDENCIES if (fact := _unmet_fact(requirement)) is not None}
    if not unmet:
        return None
    facts = ", ".join(f"{requirement} is required, but {fact}" for requirement, fact in unmet.items())
    return f"{facts}; install it with: {_install_here(*unmet)}"


def unmet_dependency(package: str) -> ImportError:
    """Return the error of a module that finds by a trial that a package is too old."""
    return ImportError(describe_unmet() or f"{package} does not do what exprec needs")


def _unmet_fact(requirement: str) -> str | None:
    # Imported here because the import takes longer than a short command.
    from importlib.metadata import PackageNotFoundError, version

    parts = re.fullmatch(r"([\w.-]+)>=([\d.]+)", requirement)
    assert parts is not None, requirement
    try:
        installed = version(parts[1])
    except PackageNotFoundError:
        return "it is not installed"
    return None if _numbers(installed) >= _numbers(parts[2]) else f"{installed} is installed"


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version for comparison: (3, 11) for 3.11.0rc1, and no zeros at the end."""
    release = re.match(r"[\d.]*\d", version)
    numbers = [int(number) for number in release[0].split(".")] if release else []
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _install_here(*requirements: str) -> str:
    """The command that installs into this environment, which need not be the active one, nor have pip."""
    from importlib.util import find_spec

    if find_spec("pip") is None:
        return shlex.join(["uv", "pip", "install", "--python", sys.executable, *requirements])
    return shlex.join([sys.executable, "-m", *shlex.split(install_command(*requirements))])
