"""`search` is never worse than as many random policies: a part by default, all with EXPREC_SEARCH=1000 policies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.search_games import Contest, compare, games

_POLICIES = int(os.environ.get("EXPREC_SEARCH", "100"))
_NAMES = ("two-period", "three-period", "inventory", "batching")
_SLOW_NAMES = ("twelve-period",) if "EXPREC_SEARCH" in os.environ else ()


@pytest.mark.parametrize("name", [*_NAMES, *_SLOW_NAMES])
def test_search_is_cheaper_than_the_best_of_as_many_random_policies(name: str, tmp_path: Path) -> None:
    (game,) = (each for each in games(tmp_path) if each.name == name)
    contest = Contest(game)
    for score in compare(contest.searched(), contest.drawn(_POLICIES)):
        assert score.cost <= score.median
        assert score.beaten <= (0.5 if score.budget < 10 else 0.25)
