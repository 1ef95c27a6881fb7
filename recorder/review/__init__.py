"""Reviews of a branch: what it does to the runs and tags of a store."""

from __future__ import annotations

from exprec.recorder.review.branch import Branch, find_branch
from exprec.recorder.review.result import NamedRun, Review, ReviewedRun, TagChange
from exprec.recorder.review.review import review_branch

__all__ = ["Branch", "NamedRun", "Review", "ReviewedRun", "TagChange", "find_branch", "review_branch"]
