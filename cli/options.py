"""Options that several commands share, with the same names, defaults and meaning everywhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from exprec.recorder.display import VerboseConfig
from exprec.recorder.errors import StorageFailure
from exprec.recorder.store import Store

_Command = TypeVar("_Command", bound=Callable[..., Any])

_SWITCHES = {
    "iterations": "the beginning of each iteration",
    "bootstrap": "evaluations over a set of seeds",
    "llm": "requests to a model",
    "policy": "accepted proposals",
    "rejections": "rejected and unusable proposals",
    "metrics": "the end of each iteration and the metrics behind decisions",
}

store_option = click.option(
    "--store",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The store.  [default: EXPREC_STORE, or ./runs]",
)

color_option = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Color the output.",
)

allow_secret_option = click.option(
    "--allow-secret",
    "allowed",
    multiple=True,
    metavar="NAME",
    help="Record this secret, or secrets of this shape, as named in the message about it. Repeatable.",
)

redact_option = click.option(
    "--redact",
    "redacts",
    is_flag=True,
    help="Record what contains a secret with placeholders [redacted:NAME:k], and seal the run as usual.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

jobs_option = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=0),
    metavar="N",
    default=1,
    show_default=True,
    help="Simulate the samples of an evaluation in N processes, 0 for one per core. The results are the same.",
)

import_option = click.option(
    "--import",
    "imports",
    is_flag=True,
    help="Import a custom simulator, which executes its module, to see whether it can be.",
)

quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print the run id only.")

pager_option = click.option("--no-pager", is_flag=True, help="Do not use a pager, however long the output is.")


class NumberRange(click.ParamType):  # type: ignore[type-arg] # not generic before click 8.4
    """A number or a range of numbers, as the first and the last."""

    name = "N[-M]"

    def __init__(self, noun: str) -> None:
        """Name what the numbers are of, with its article."""
        self._noun = noun

    def convert(
        self, value: str | tuple[int, int], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Parse the range; an empty one is an error."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([0-9]{1,18})(?:-([0-9]{1,18}))?", value)
        if match is None:
            plural = f"{self._noun.split()[1]}s"
            self.fail(f"'{value}' is not {self._noun} (3) or a range of {plural} (3-7)", param, ctx)
        first = int(match[1])
        last = int(match[2] or first)
        if last < first:
            self.fail(f"the range {value} is empty", param, ctx)
        return first, last


def display_options(command: _Command) -> _Command:
    """Add the options that select which events are displayed (see `verbose_config`), and --color."""
    defaults = VerboseConfig()
    for name, what in reversed(_SWITCHES.items()):
        state = "shown" if getattr(defaults, name) else "not shown"
        command = click.option(f"--{name}/--no-{name}", name, default=None, help=f"Show {what}.  [default: {state}]")(
            command
        )
    command = click.option(
        "-v", "--verbose", is_flag=True, help="Show everything except what a --no-... option excludes."
    )(command)
    return color_option(command)


def verbose_config(*, verbose: bool, switches: dict[str, bool | None]) -> VerboseConfig:
    """Return which events to display: the defaults, or everything with `verbose`, changed by each switch given."""
    base = VerboseConfig.all_enabled() if verbose else VerboseConfig()
    given = {name: value for name, value in switches.items() if value is not None}
    return replace(base, **given)


def open_store(path: Path) -> Store | None:
    """Open the store at `path`; None where nothing has been recorded yet: no directory, or only hidden entries in it.

    Git leaves such a directory, with `.work` alone, when it checks out a branch that has no store. Raises NotAStore,
    StorageFailure.
    """
    try:
        is_blank = not path.exists() or (path.is_dir() and all(entry.name.startswith(".") for entry in path.iterdir()))
    except OSError as error:
        raise StorageFailure(path, error) from error
    return None if is_blank else Store(path)
