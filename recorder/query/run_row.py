"""A run as a row of a listing; selecting and sorting rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from exprec.recorder.errors import ExprecError

DAMAGED = "damaged"
"""The status of a run that cannot be read."""


class RunRow(NamedTuple):
    """One run. None for what is not recorded (yet)."""

    run_id: str
    """The run id; of a run that is not sealed the name of its work folder."""
    is_sealed: bool
    short_id: str = ""
    name: str = ""
    type: str | None = None
    status: str = DAMAGED
    """`completed`, `failed`, `interrupted`, `running` or `damaged`."""
    mode: str | None = None
    iterations: int | None = None
    first_cost: float | None = None
    """An integer, or a float if the costs of the experiment are numbers; likewise the other two."""
    best_cost: float | None = None
    final_cost: float | None = None
    cost_unit: str | None = None
    """The unit of the costs of an experiment, `cents` unless it has another."""
    converged: bool | None = None
    proposals: dict[str, int] | None = None
    """Of an experiment, the number of proposals that were `usable`, `rejected` for what they are, `failed` to come."""
    exit_status: int | None = None
    """The exit status of a recorded command."""
    signal: str | None = None
    """The signal that ended a recorded command, such as SIGKILL."""
    tags: tuple[str, ...] = ()
    recorded_at: str | None = None
    """The start of the first execution by the execution records: UTC, ISO 8601."""
    executions: int = 0
    """The number of execution records."""
    inputs: str | None = None
    """The SHA-256 of config.json."""
    shares_inputs: bool = False
    """Whether another run in the store has the same inputs, and so a different result."""
    problem: ExprecError | None = None
    """Why the run could not be read, or not completely."""

    def as_dict(self) -> dict[str, Any]:
        """Return the row as JSON values; the problem as its message."""
        return {
            "run_id": self.run_id,
            "sealed": self.is_sealed,
            "short_id": self.short_id,
            "name": self.name,
            "type": self.type,
            "status": self.status,
            "mode": self.mode,
            "iterations": self.iterations,
            "first_cost": self.first_cost,
            "best_cost": self.best_cost,
            "final_cost": self.final_cost,
            "cost_unit": self.cost_unit,
            "converged": self.converged,
            "proposals": self.proposals,
            "exit_status": self.exit_status,
            "signal": self.signal,
            "tags": list(self.tags),
            "recorded_at": self.recorded_at,
            "executions": self.executions,
            "inputs": self.inputs,
            "shares_inputs": self.shares_inputs,
            "problem": None if self.problem is None else str(self.problem),
        }


def select_rows(
    rows: Iterable[RunRow], *, name: str | None = None, tag: str | None = None, status: str | None = None
) -> list[RunRow]:
    """Return the rows that pass all filters that are given.

    `name` is contained in the name of the run, ignoring case; `tag` matches one of its tags, with the wildcards `*`
    and `?`; `status` is its status.
    """
    wanted = None if name is None else name.casefold()
    return [
        row
        for row in rows
        if (wanted is None or wanted in row.name.casefold())
        and (tag is None or any(fnmatchcase(own, tag) for own in row.tags))
        and (status is None or row.status == status)
    ]


def sort_rows(rows: Iterable[RunRow], by: str = "recorded") -> list[RunRow]:
    """Return the rows in the given order.

    Orders: `recorded` (unsealed runs first, then newest first), `name`, `cost` (lowest final cost first), `iterations`
    (fewest first).
    Rows without the value come last. Rows with equal values are sorted newest first, then by run id.
    """
    newest_first = sorted(sorted(rows, key=lambda row: row.run_id), key=_by_time, reverse=True)
    # A stable sort in reverse keeps equal rows in their order: by run id.
    key = _ORDERS[by]
    return newest_first if key is None else sorted(newest_first, key=key)


def _by_time(row: RunRow) -> tuple[bool, str]:
    return not row.is_sealed, row.recorded_at or ""


def _by_name(row: RunRow) -> tuple[bool, tuple[str, str]]:
    return not row.name, (row.name.casefold(), row.name)


def _by_cost(row: RunRow) -> tuple[bool, float]:
    return row.final_cost is None, row.final_cost or 0


def _by_iterations(row: RunRow) -> tuple[bool, int]:
    return row.iterations is None, row.iterations or 0


_ORDERS: Mapping[str, Callable[[RunRow], Any] | None] = {
    "recorded": None,
    "name": _by_name,
    "cost": _by_cost,
    "iterations": _by_iterations,
}
ORDERS: Sequence[str] = tuple(_ORDERS)
"""The values of `by` that `sort_rows` takes."""
