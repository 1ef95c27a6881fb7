"""Comparison of two runs, and of any two JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exprec.recorder.exports import lazy_exports

if TYPE_CHECKING:
    from exprec.recorder.diff import result as result
    from exprec.recorder.diff.json_values import ABSENT as ABSENT
    from exprec.recorder.diff.json_values import Difference as Difference
    from exprec.recorder.diff.json_values import difference_lines as difference_lines
    from exprec.recorder.diff.json_values import differences as differences
    from exprec.recorder.diff.result import DiffResult as DiffResult
    from exprec.recorder.diff.runs import DEFAULT_LIMIT as DEFAULT_LIMIT
    from exprec.recorder.diff.runs import diff as diff
else:
    # Lazily, because `exprec show` needs no more than `differences`.
    __getattr__, __dir__, __all__ = lazy_exports(
        __name__,
        {
            "ABSENT": "json_values",
            "DEFAULT_LIMIT": "runs",
            "DiffResult": "result",
            "Difference": "json_values",
            "diff": "runs",
            "difference_lines": "json_values",
            "differences": "json_values",
            "result": "",
        },
    )
