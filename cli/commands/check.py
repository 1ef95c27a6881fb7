"""`exprec check`: validate the files of a user and list every problem."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from exprec.cli.options import import_option
from exprec.cli.output.reporters import choose_reporter
from exprec.cli.output.results import CheckedFile
from exprec.cli.screen import print_message
from exprec.recorder.display import count_noun
from exprec.recorder.documents import Document, read_document
from exprec.recorder.errors import InvalidInput


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@import_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per file, one per line.")
@click.pass_context
def check(context: click.Context, files: tuple[Path, ...], imports: bool, as_json: bool) -> None:
    """Validate experiments, scenarios and policies without running them.

    A custom simulator must be there; only with --import it is imported, which executes its module.

    Every problem of every file is listed as `file:line: key: what is wrong`. The content of a file decides what it
    is: a policy has a payment_tree, a scenario has simulation or agents, everything else is an experiment.

    Exit code 0 if all files are valid, else 2.

    \b
    Example:
      exprec check experiment.yaml
      exprec check --json examples/castro/*.yaml policy.json
    """
    reporter = choose_reporter(as_json=as_json)
    checked = []
    for file in files:
        checked.append(_check_file(file, imports=imports))
        reporter.checked_file(checked[-1])
    _print_summary(checked)
    if any(file.problems for file in checked):
        context.exit(InvalidInput.exit_code)


def _check_file(file: Path, *, imports: bool) -> CheckedFile:
    try:
        document = read_document(file)
    except InvalidInput as error:
        return CheckedFile(str(file), None, error.problems)
    kind = _document_kind(document.value)
    try:
        warnings = _check_document(document, kind, file.parent, imports=imports)
    except InvalidInput as error:
        return CheckedFile(str(file), kind, error.problems)
    return CheckedFile(str(file), kind, warnings=warnings)


def _document_kind(value: Any) -> str:
    keys = value if isinstance(value, dict) else {}
    if "payment_tree" in keys:
        return "policy"
    return "scenario" if "simulation" in keys or "agents" in keys else "experiment"


def _check_document(document: Document, kind: str, folder: Path, *, imports: bool) -> Sequence[str]:
    """Return the warnings about a valid document. Raises InvalidInput with every problem of an invalid one."""
    if kind == "experiment":
        from exprec.recorder.experiment import ExperimentConfig

        return ExperimentConfig.from_document(document, folder, imports=imports).warnings
    from exprec.recorder.payments import check_policy, check_scenario

    found = check_policy(document.value) if kind == "policy" else check_scenario(document.value)
    problems = document.every_problem(found)
    if problems:
        raise InvalidInput(problems)
    return ()


def _print_summary(checked: Sequence[CheckedFile]) -> None:
    invalid = sum(1 for file in checked if file.problems)
    problems = sum(len(file.problems) for file in checked)
    outcome = f"{count_noun(problems, 'problem')} in {count_noun(invalid, 'file')}" if problems else "no problems"
    print_message(f"{count_noun(len(checked), 'file')} checked: {outcome}")
