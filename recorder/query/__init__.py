"""Tables over many runs: the runs of a store, and what interrupted runs left in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exprec.recorder.exports import lazy_exports

if TYPE_CHECKING:
    from exprec.recorder.query.abbreviation import abbreviate_ids as abbreviate_ids
    from exprec.recorder.query.listing import list_runs as list_runs
    from exprec.recorder.query.orphans import OrphanRow as OrphanRow
    from exprec.recorder.query.orphans import list_orphans as list_orphans
    from exprec.recorder.query.orphans import read_orphan as read_orphan
    from exprec.recorder.query.run_row import DAMAGED as DAMAGED
    from exprec.recorder.query.run_row import ORDERS as ORDERS
    from exprec.recorder.query.run_row import RunRow as RunRow
    from exprec.recorder.query.run_row import select_rows as select_rows
    from exprec.recorder.query.run_row import sort_rows as sort_rows

_MODULES = {
    "DAMAGED": "run_row",
    "ORDERS": "run_row",
    "OrphanRow": "orphans",
    "RunRow": "run_row",
    "abbreviate_ids": "abbreviation",
    "list_orphans": "orphans",
    "list_runs": "listing",
    "read_orphan": "orphans",
    "select_rows": "run_row",
    "sort_rows": "run_row",
}

if not TYPE_CHECKING:
    # Lazily, because tab completion and a comparison need abbreviated run ids alone.
    __getattr__, __dir__, __all__ = lazy_exports(__name__, _MODULES)
