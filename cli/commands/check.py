"""`exprec check`: validate the files of a user and list every problem."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from exprec.recorder.diagnostics import visible
from exprec.recorder.display import count_noun
from exprec.recorder.documents.loader import Document, read_document
from exprec.recorder.errors import InvalidInput, Problem


@dataclass(frozen=True, slots=True)
class Report:
    """The problems and warnings of one file; `kind` is None if it cannot be read."""

    file: str
    kind: str | None
    problems: Sequence[Problem] = ()
    warnings: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the value as plain JSON types."""
        return {
            "file": self.file,
            "kind": self.kind,
            "ok": not self.problems,
            "problems": [problem.as_dict() for problem in self.problems],
            "warnings": list(self.warnings),
        }


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per file, one per line.")
@click.pass_context
def check(context: click.Context, files: tuple[Path, ...], as_json: bool) -> None:
    """Validate experiments, scenarios and policies without running them.

    A custom simulator is imported, to see whether it can be.

    Every problem of every file is listed as `file:line: key: what is wrong`. The content of a file decides what it
    is: a policy has a payment_tree, a scenario has simulation or agents, everything else is an experiment.

    Exit code 0 if all files are valid, else 2.

    \b
    Example:
      exprec check experiment.yaml
      exprec check --json examples/castro/*.yaml policy.json
    """
    reports = []
    for file in files:
        report = _report(file)
        reports.append(report)
        if as_json:
            _show_json(report)
        else:
            _show(report)
    _show_summary(reports)
    if any(report.problems for report in reports):
        context.exit(InvalidInput.exit_code)


def _report(file: Path) -> Report:
    try:
        document = read_document(file)
    except InvalidInput as error:
        return Report(str(file), None, error.problems)
    kind = _kind(document.value)
    try:
        warnings = _check(document, kind, file.parent)
    except InvalidInput as error:
        return Report(str(file), kind, error.problems)
    return Report(str(file), kind, warnings=warnings)


def _kind(value: Any) -> str:
    keys = value if isinstance(value, dict) else {}
    if "payment_tree" in keys:
        return "policy"
    return "scenario" if "simulation" in keys or "agents" in keys else "experiment"


def _check(document: Document, kind: str, folder: Path) -> Sequence[str]:
    """Return the warnings about a valid document. Raises InvalidInput with every problem of an invalid one."""
    if kind == "experiment":
        from exprec.recorder.experiment.config import ExperimentConfig

        return ExperimentConfig.from_document(document, folder).warnings
    from exprec.recorder.payments import check_policy, check_scenario

    found = check_policy(document.value) if kind == "policy" else check_scenario(document.value)
    problems = document.every_problem(found)
    if problems:
        raise InvalidInput(problems)
    return ()


def _show(report: Report) -> None:
    for problem in report.problems:
        click.echo(visible(str(problem)))
    for warning in report.warnings:
        click.echo(f"warning: {visible(warning)}", err=True)
    if not report.problems:
        click.echo(f"{visible(report.file)}: ok ({report.kind})")


def _show_json(report: Report) -> None:
    # ASCII: a file name need not be valid text.
    click.echo(json.dumps(report.as_dict(), sort_keys=True))


def _show_summary(reports: Sequence[Report]) -> None:
    invalid = sum(1 for report in reports if report.problems)
    problems = sum(len(report.problems) for report in reports)
    outcome = f"{count_noun(problems, 'problem')} in {count_noun(invalid, 'file')}" if problems else "no problems"
    click.echo(f"{count_noun(len(reports), 'file')} checked: {outcome}", err=True)
