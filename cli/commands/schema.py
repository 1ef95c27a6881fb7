"""`exprec schema`: list the schemas of all formats, or print one."""

from __future__ import annotations

import sys

import click

from exprec import schemas
from exprec.cli.options import json_option
from exprec.cli.output.reporters import choose_reporter
from exprec.recorder.diagnostics import unknown_word
from exprec.recorder.errors import InvalidInput, Problem


@click.command()
@click.argument("name", required=False, shell_complete=lambda ctx, param, text: list(schemas.names()))
@json_option
def schema(name: str | None, as_json: bool) -> None:
    """List the schemas of all formats, or print the schema NAME.

    Without a version, NAME selects the newest one.

    \b
    Example:
      exprec schema
      exprec schema event.policy_change
    """
    if name is not None:
        sys.stdout.buffer.write(schemas.text(_full_name(name)))
    else:
        titles = {name: str(schemas.load(name).get("title", "")) for name in schemas.names()}
        choose_reporter(as_json=as_json).schemas(titles)


def _full_name(name: str) -> str:
    if name in schemas.names():
        return name
    versions = [known for known in schemas.names() if known.rpartition(".v")[0] == name]
    if not versions:
        raise InvalidInput([Problem((), unknown_word(f"schema '{name}'", name, list(schemas.names())))])
    return max(versions, key=lambda known: int(known.rpartition(".v")[2]))
