"""The order of events without a store around them: the line, the key and the words of every problem."""

from __future__ import annotations

from typing import Any

import pytest

from exprec.recorder.events import common, optimization
from exprec.recorder.state.reducer import Reducer
from exprec.recorder.store.log import Entry
from exprec.recorder.verify.order import OrderChecker
from tests.fixtures.events import ASK, END, EXAMPLES, FAILED, OPEN, SAMPLES, START

CHANGE, CLOSE = optimization.POLICY_CHANGE.event_type, optimization.ITERATION_END.event_type
COMMAND, RUN = common.COMMAND_END.event_type, common.RUN_END.event_type
OWN = "measurement"
A, B = {"agent_id": "BANK_A"}, {"agent_id": "BANK_B"}

Step = tuple[str, int, dict[str, Any]]


def step(kind: str, iteration: int = 0, **changes: Any) -> Step:
    return kind, iteration, {**EXAMPLES.get(kind, (0, {}))[1], **changes}


def found(*steps: Step) -> list[tuple[int, str, str]]:
    """Line, key and message of each problem, in order. The paths of the keys are those of the fields."""
    state, problems = Reducer(keeps_iterations=False), []
    order = OrderChecker(state)
    for line, (kind, iteration, fields) in enumerate(steps, 1):
        event = {"event_type": kind, "iteration": iteration, **fields}
        state.apply(Entry(event, b"", 0))
        for problem in order.check(event, is_known=kind in EXAMPLES):
            assert ".".join(map(str, problem.path)) == problem.key
            at: Any = event
            for part in problem.path:
                at = at[part]
            problems.append((line, problem.key, problem.message))
    return problems


BEFORE = (step(START), step(OPEN, 1))
CASES: dict[str, tuple[tuple[Step, ...], list[tuple[int, str, str]]]] = {
    "a second start": (
        (step(START), step(OWN), step(START)),
        [(3, "event_type", "experiment_start must be the first event")],
    ),
    "iteration_start is not first": (
        (step(OWN), step(OWN, 1), step(OPEN, 1)),
        [(3, "event_type", "iteration_start must be the first event of iteration 1, not line 2")],
    ),
    "an iteration is left out": (
        (step(OPEN, 1), step(OPEN, 3), step(OPEN, 4)),
        [(2, "iteration", "must be 2, not 3: iterations count up by one")],
    ),
    "samples after something else": (
        (*BEFORE, step(OWN, 1), step(SAMPLES, 1)),
        [(4, "event_type", "bootstrap_evaluation must be the next event after iteration_start")],
    ),
    "a call without iteration_start": (
        (*BEFORE, step(ASK, 2, **A)),
        [(3, "event_type", "iteration 2 must begin with iteration_start")],
    ),
    "a decision without iteration_start": (
        (*BEFORE, step(CHANGE, 2, **A), step(CHANGE, 2, **B)),
        [(3, "event_type", "iteration 2 must begin with iteration_start")],
    ),
    "an end without iteration_start": (
        (step(OPEN, 1), step(CLOSE, 1), step(CLOSE, 2)),
        [
            (3, "event_type", "iteration 2 must begin with iteration_start"),
            (3, "iteration", "iteration 0 has no iteration_end"),
        ],
    ),
    "iterations begin with iteration_start from the first on": (
        (step(CHANGE, 1), step(OPEN, 2), step(CHANGE, 2), step(OPEN, 3)),
        [(2, "iteration", "must be 1, not 2: iterations count up by one")],
    ),
    "an agent that is not in the experiment": (
        (*BEFORE, step(ASK, 1, agent_id="BANK_C")),
        [(3, "agent_id", "'BANK_C' is not among the agents of experiment_start")],
    ),
    "a turn too many": (
        (*BEFORE, step(CHANGE, 1, **A), step(CHANGE, 1, **B), step(ASK, 1, **A)),
        [(5, "agent_id", "'BANK_A' acts after all agents have decided in this iteration")],
    ),
    "the turn of another": (
        (*BEFORE, step(ASK, 1, **B)),
        [(3, "agent_id", "out of turn: expected agent 'BANK_A', got 'BANK_B'")],
    ),
    "asked without a decision": (
        (*BEFORE, step(ASK, 1, **A), step(CLOSE, 1)),
        [(4, "event_type", "'BANK_A' has a model call and no decision in this iteration")],
    ),
    "no decision of the last": (
        (*BEFORE, step(CHANGE, 1, **A), step(CLOSE, 1)),
        [(4, "event_type", "'BANK_B' has no decision in this iteration")],
    ),
    "proposals after it converged": (
        (*BEFORE, step(CHANGE, 1, **A), step(CHANGE, 1, **B), step(CLOSE, 1, convergence={"met": True})),
        [(5, "convergence.met", "is true, but agents proposed policies in this iteration")],
    ),
    "an iteration that does not end": (
        (step(OPEN, 1), step(CLOSE, 1), step(OPEN, 2), step(OPEN, 3), step(CLOSE, 3)),
        [(5, "iteration", "iteration 2 has no iteration_end")],
    ),
    "the last iteration does not end": (
        (step(OPEN, 1), step(CLOSE, 1), step(OPEN, 2), step(END, num_iterations=2)),
        [(4, "event_type", "iteration 2 has no iteration_end")],
    ),
    "an iteration goes on after its end": (
        (step(OPEN, 1), step(CLOSE, 1), step(OWN), step(OWN, 1)),
        [(4, "iteration", "iteration 1 ended with the iteration_end in line 2")],
    ),
    "the lowest cost is named where it was first": (
        (step(OPEN, 1, total_cost=5), step(OPEN, 2, total_cost=5), step(END, num_iterations=2, final_cost=5)),
        [(3, "best_cost", "is 7000, but the lowest total_cost is 5, in line 1")],
    ),
    "events after the end": (
        (step(RUN), step(OWN), step(OWN)),
        [(2, "event_type", "comes after line 1, which ends the experiment")],
    ),
    "an event after the end of a command": (
        (step(COMMAND), step(OWN), step(RUN)),
        [(2, "event_type", "comes after command_end, which only the last event may follow")],
    ),
    "a command that failed": (
        (step(OWN), step(COMMAND, exit_status=3), step(RUN)),
        [(3, "event_type", "is run_end, but in line 2 the command exited with 3: %s")],
    ),
    "a command that was ended": (
        (step(COMMAND, exit_status=None, signal="SIGKILL"), step(RUN)),
        [(2, "event_type", "is run_end, but in line 1 the command was terminated by SIGKILL: %s")],
    ),
    "a command that never ran": (
        (step(COMMAND, exit_status=None), step(RUN)),
        [(2, "event_type", "is run_end, but in line 1 the command never ran: %s")],
    ),
    "a status and a signal": (
        (step(COMMAND, signal="SIGTERM"), step(RUN)),
        [(1, "signal", "is 'SIGTERM', but the command exited with 0")],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_said_once_where_it_stands(name: str) -> None:
    steps, expected = CASES[name]
    failed = "the last event must be experiment_failed"
    assert found(*steps) == [(line, key, said.replace("%s", failed)) for line, key, said in expected]


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param((step(COMMAND), step(RUN)), id="a command that did well"),
        pytest.param((step(COMMAND, exit_status=1), step(FAILED)), id="a command that failed"),
        pytest.param((step(COMMAND, exit_status=None, signal="SIGKILL"), step(FAILED)), id="one that was ended"),
        pytest.param((step(COMMAND), step(FAILED)), id="a failure after a command that did well"),
        pytest.param(
            (*BEFORE, step(CHANGE, 1, **A), step(CHANGE, 1, **B), step(CLOSE, 1, convergence={})),
            id="a convergence that nobody knows",
        ),
        pytest.param((*BEFORE, step(CLOSE, 1, convergence={"met": True})), id="it converged, and nobody proposed"),
        pytest.param(
            (step(START), step(OPEN, 1), step(CHANGE, 1, **A), step(CHANGE, 1, **B), ("iteration_end", 1, {})),
            id="no convergence",
        ),
    ],
)
def test_what_may_be_is_no_problem(steps: tuple[Step, ...]) -> None:
    assert found(*steps) == []
