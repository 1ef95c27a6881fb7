"""The generator and every draw from it, against values recorded from the reference engine."""

from __future__ import annotations

import math

import pytest

from exprec.recorder.payments.rng import Generator, round_half_away
from exprec.recorder.payments.scenario.arrivals import draw_day
from exprec.recorder.payments.scenario.distributions import amount_draw, priority_draw, sum_in_order, weighted_draw
from exprec.recorder.payments.scenario.scenario import compile_scenario
from tests.fixtures.payments import Json, agent, arrivals, scenario, twelve_period_game, vectors

_FIRST_OF_ONE = [5180492295206395165, 12380297144915551517, 13389498078930870103]


class _Scripted(Generator):
    """A generator whose floats are given."""

    def __init__(self, *units: float) -> None:
        super().__init__(1)
        self._units = list(units)

    def unit(self) -> float:
        return self._units.pop(0)


@pytest.mark.parametrize(
    ("seed", "outputs"),
    [
        (0, _FIRST_OF_ONE),
        (1, _FIRST_OF_ONE),
        (42, [6255019084209693600, 14430073426741505498, 14575455857230217846, 17414512882241728735]),
        (2**64 - 1, [17954947803125907456, 10373061909235543779]),
    ],
)
def test_outputs(seed: int, outputs: list[int]) -> None:
    generator = Generator(seed)
    assert [generator.bits() for _ in outputs] == outputs


def test_recorded_outputs() -> None:
    recorded = vectors("rng")
    generator, floats = Generator(42), Generator(42)
    assert [generator.bits() for _ in range(5)] == [int(output) for output in recorded["xorshift_seed42_u64"]]
    assert [floats.unit() for _ in range(5)] == recorded["next_f64"]


def test_integers() -> None:
    generator = Generator(42)
    assert [generator.integer(3, 8) for _ in range(10)] == [3, 5, 5, 4, 5, 8, 3, 8, 7, 3]


@pytest.mark.parametrize(
    ("rate", "counts"),
    [
        (0.5, [0, 2, 2, 0, 0, 1, 0, 1, 0, 1, 0, 1]),
        (2.0, [5, 1, 2, 2, 0, 2, 3, 1, 1, 4, 1, 5]),
        (8.0, [11, 7, 10, 15, 11, 7, 6, 6, 5, 9, 9, 12]),
    ],
)
def test_poisson_counts(rate: float, counts: list[int]) -> None:
    generator = Generator(42)
    assert [generator.poisson(rate) for _ in counts] == counts


def test_a_rate_of_zero_uses_no_output() -> None:
    generator = Generator(42)
    assert generator.poisson(0.0) == 0
    assert generator.bits() == 6255019084209693600


@pytest.mark.parametrize(
    ("distribution", "drawn"),
    [
        (
            {"type": "LogNormal", "mean": 10000, "std_dev": 5000},
            [("B", 4090, 3), ("C", 6419, 8), ("B", 3939, 4), ("B", 8791, 3), ("B", 6226, 4)],
        ),
        (
            {"type": "Normal", "mean": 10000, "std_dev": 2500},
            [("B", 5859, 3), ("C", 8244, 8), ("B", 5659, 4), ("B", 9909, 3), ("B", 8083, 4)],
        ),
        (
            {"type": "Normal", "mean": 1000, "std_dev": 3000},
            [("B", 1, 3), ("C", 1, 8), ("B", 1, 4), ("B", 890, 3), ("B", 1, 4)],
        ),
        (
            {"type": "Uniform", "min": 1000, "max": 20000},
            [("B", 8652, 7), ("B", 9736, 6), ("B", 16873, 5), ("B", 14049, 4), ("B", 13544, 4)],
        ),
        (
            {"type": "Exponential", "lambda": 0.0001},
            [("B", 15886, 7), ("B", 3958, 6), ("B", 1329, 5), ("B", 4902, 4), ("B", 29, 4)],
        ),
    ],
)
def test_arrivals_of_one_tick(distribution: Json, drawn: list[tuple[str, int, int]]) -> None:
    config = arrivals({"B": 1.0, "C": 0.5}, amount_distribution=distribution)
    compiled = compile_scenario(scenario(20, [agent("A", arrival_config=config), agent("B"), agent("C")]))
    first_tick = draw_day(compiled.processes, 20, 42)[0]
    assert [("ABC"[payment.receiver], payment.amount, payment.deadline) for payment in first_tick] == drawn


def test_arrivals_of_the_twelve_period_game() -> None:
    compiled = compile_scenario(twelve_period_game())
    drawn = [
        [compiled.ids[payment.sender], compiled.ids[payment.receiver], payment.amount, tick, payment.deadline]
        for tick, arrived in enumerate(draw_day(compiled.processes, 12, 42))
        for payment in arrived
    ]
    assert drawn == vectors("rng")["exp2_seed42_arrivals"]


def test_a_priority_of_zero_becomes_normal_only_where_it_is_drawn() -> None:
    config = arrivals({"B": 1.0}, rate=5.0, priority_distribution={"type": "Uniform", "min": 0, "max": 1})
    compiled = compile_scenario(scenario(9, [agent("A", arrival_config=config), agent("B")]))
    drawn = {payment.priority for arrived in draw_day(compiled.processes, 9, 1) for payment in arrived}
    assert drawn == {1, 5}


def test_candidates_are_tried_in_the_order_of_the_file() -> None:
    config = arrivals({"B": 1.0, "C": 1.0}, rate=5.0)

    def receivers(*others: str) -> list[str]:
        compiled = compile_scenario(scenario(9, [agent("A", arrival_config=config), *map(agent, others)]))
        drawn = draw_day(compiled.processes, 9, 7)
        return ["ABC"[payment.receiver] for arrived in drawn for payment in arrived]

    swapped = {"B": "C", "C": "B"}
    assert receivers("C", "B") == [swapped[receiver] for receiver in receivers("B", "C")]


def test_an_unlisted_receiver_weighs_one_and_the_senders_own_weight_nothing() -> None:
    listed = arrivals({"B": 0.5, "C": 1.0}, rate=5.0)
    unlisted = arrivals({"B": 0.5, "A": 100.0}, rate=5.0)

    def drawn(config: Json) -> list[tuple[int, int]]:
        compiled = compile_scenario(scenario(9, [agent("A", arrival_config=config), agent("B"), agent("C")]))
        return [(payment.receiver, payment.amount) for day in draw_day(compiled.processes, 9, 7) for payment in day]

    assert drawn(listed) == drawn(unlisted)
    assert {receiver for receiver, _ in drawn(listed)} == {1, 2}


@pytest.mark.parametrize(
    ("unit", "chosen"), [(0.0, 7), (0.25, 7), (0.2500001, 8), (0.75, 8), (0.76, 9), (0.9999999, 9)]
)
def test_a_choice_by_weight(unit: float, chosen: int) -> None:
    assert weighted_draw([7, 8, 9], [1, 2, 1])(_Scripted(unit)) == chosen
    distribution = {"type": "Categorical", "values": [7, 8, 9], "weights": [1, 2, 1]}
    assert priority_draw(distribution)(_Scripted(unit)) == chosen


def test_the_last_choice_stands_in_for_what_rounding_leaves() -> None:
    almost_one = 1 - 2.0**-53
    weights = [2.9, 2.0, 2.4]
    rest = almost_one * sum_in_order(weights)
    for weight in weights:
        rest -= weight
    assert rest > 0
    assert weighted_draw([1, 2, 3], weights)(_Scripted(almost_one)) == 3


@pytest.mark.parametrize(
    ("distribution", "units", "amount"),
    [
        ({"type": "Normal", "mean": 50, "std_dev": 10}, (0.0, 0.25), 1),
        ({"type": "Normal", "mean": 50, "std_dev": 10}, (0.0, 0.0), 1),
        ({"type": "LogNormal", "mean": 50, "std_dev": 10}, (0.0, 0.0), 50),
        ({"type": "LogNormal", "mean": 50, "std_dev": 10}, (0.0, 0.5), 50),
        ({"type": "LogNormal", "mean": 1e-200, "std_dev": 1.0}, (0.5, 0.5), 1),
        ({"type": "LogNormal", "mean": 1e300, "std_dev": 1e300}, (2.0**-53, 0.0), int(1e300)),
        ({"type": "Exponential", "lambda": 1.0}, (0.0,), 708),
        ({"type": "Exponential", "lambda": 1e-310}, (0.5,), 1),
        ({"type": "Exponential", "lambda": 1e6}, (0.5,), 1),
    ],
)
def test_amounts_at_the_edges_of_floating_point(distribution: Json, units: tuple[float, ...], amount: int) -> None:
    assert amount_draw(distribution)(_Scripted(*units)) == amount


@pytest.mark.parametrize(
    ("number", "rounded"),
    [(0.5, 1), (1.5, 2), (2.5, 3), (-0.5, -1), (-2.5, -3), (0.49999999999999994, 0), (-0.4, 0), (1e300, int(1e300))],
)
def test_halves_are_rounded_away_from_zero(number: float, rounded: int) -> None:
    assert round_half_away(number) == rounded


def test_sums_are_not_compensated() -> None:
    assert sum_in_order([1.0, 1e100, 1.0, -1e100]) == 0.0
    assert math.fsum([1.0, 1e100, 1.0, -1e100]) == 2.0
