"""The options that several commands share, so that they have the same names, defaults and meaning.

What the options do is up to the commands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from exprec.recorder.verbosity import VerboseConfig

_Command = TypeVar("_Command", bound=Callable[..., Any])

_SWITCHES = {
    "iterations": "the beginning of each iteration",
    "bootstrap": "evaluations on a set of seeds",
    "llm": "requests to a model",
    "policy": "accepted proposals",
    "rejections": "proposals that were not accepted",
    "metrics": "the end of each iteration and the figures behind decisions",
}

store_option = click.option(
    "--store",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The store.  [default: EXPREC_STORE, or ./runs]",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def display_options(command: _Command) -> _Command:
    """The switches that select what is displayed, and colour; see `verbose_config`."""
    defaults = VerboseConfig()
    for name, what in reversed(_SWITCHES.items()):
        state = "shown" if getattr(defaults, name) else "not shown"
        command = click.option(f"--{name}/--no-{name}", name, default=None, help=f"Show {what}.  [default: {state}]")(
            command
        )
    command = click.option(
        "-v", "--verbose", is_flag=True, help="Show everything, except what a --no-... switch leaves out."
    )(command)
    return click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        help="Colour the output.",
    )(command)


def verbose_config(*, verbose: bool, switches: dict[str, bool | None]) -> VerboseConfig:
    """What to display: the defaults, or all with `verbose`, and above that each switch that was given."""
    base = VerboseConfig.all_enabled() if verbose else VerboseConfig()
    given = {name: value for name, value in switches.items() if value is not None}
    return replace(base, **given)
