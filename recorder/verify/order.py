"""The rules of FORMAT.md for the order of events, and for the numbers at the end of an experiment.

A log must follow the rules of the event types that it has, and need not have any of them: an experiment may have
neither iterations nor costs.
"""

from __future__ import annotations

from collections.abc import Callable

from exprec.recorder.diagnostics import show_value
from exprec.recorder.errors import Problem
from exprec.recorder.events import TERMINAL_TYPES, Event, common, optimization
from exprec.recorder.state import Reducer


class OrderChecker:
    """Checks events against the rules of order, one by one. Its memory does not grow with the events."""

    def __init__(self, state: Reducer) -> None:
        """`state` is that of the same log; it has each event before the checker does."""
        self._state = state
        self._problems: list[Problem] = []
        """Of the event that is being checked."""
        self._line = 0
        self._previous = ""
        """The type of the event before."""
        self._end_line = 0
        """The line of the last event of the experiment, 0 until it comes."""
        self._iteration = _Iteration(0, 0)
        self._agents: list[str] | None = None
        """The agents in their order, if a known `experiment_start` lists them."""
        self._starts = 0
        """The number of the last `iteration_start`."""
        self._ends = 0
        """The number of the last `iteration_end`."""
        self._last: _Total | None = None
        self._best: _Total | None = None
        self._cost_types = optimization.CostTypes()
        self._failed_command: str | None = None
        """How the command failed, None if it succeeded."""
        self._rules: dict[str, Callable[[Event], None]] = {
            optimization.EXPERIMENT_START.event_type: self._experiment_start,
            optimization.ITERATION_START.event_type: self._iteration_start,
            optimization.BOOTSTRAP_EVALUATION.event_type: self._bootstrap_evaluation,
            optimization.LLM_CALL.event_type: self._llm_call,
            optimization.POLICY_CHANGE.event_type: self._decision,
            optimization.POLICY_REJECTED.event_type: self._decision,
            optimization.ITERATION_END.event_type: self._iteration_end,
            optimization.EXPERIMENT_END.event_type: self._experiment_end,
            common.COMMAND_END.event_type: self._command_end,
            common.RUN_END.event_type: self._run_end,
        }

    def check(self, event: Event, *, is_known: bool) -> list[Problem]:
        """Return what is wrong with the position of the next event, which is valid by its schema.

        `is_known` is whether this version knows that schema; otherwise no rule of the event's type applies.
        """
        kind: str = event["event_type"]
        self._line += 1
        if self._problems:
            self._problems = []
        self._check_position(event)
        if is_known and kind in optimization.CostTypes.event_types:
            self._problems += self._cost_types.check(event)
        rule = self._rules.get(kind) if is_known else None
        if rule is not None:
            rule(event)
        if kind in TERMINAL_TYPES:
            self._end_line = self._line
        self._previous = kind
        return self._problems

    def _report(self, key: str, message: str) -> None:
        self._problems.append(Problem(tuple(key.split(".")), message, key))

    def _check_position(self, event: Event) -> None:
        """Events end with a terminal one, and iterations with their `iteration_end`."""
        if self._end_line:
            self._report("event_type", f"comes after line {self._end_line}, which ends the experiment")
            # One event too many is one problem, not one for each after it.
            self._end_line = 0
        if self._previous == common.COMMAND_END.event_type and event["event_type"] not in TERMINAL_TYPES:
            self._report("event_type", "comes after command_end, which only the last event may follow")
        iteration = event["iteration"]
        if iteration == 0:
            return
        if iteration != self._iteration.number:
            self._iteration = _Iteration(iteration, self._line)
        elif self._iteration.end_line:
            line = self._iteration.end_line
            self._report("iteration", f"iteration {iteration} ended with the iteration_end in line {line}")

    def _experiment_start(self, event: Event) -> None:
        if self._line > 1:
            self._report("event_type", "experiment_start must be the first event")
        agents: list[str] = event["agents"]
        if len(set(agents)) < len(agents):
            self._report("agents", "lists an agent twice")
        else:
            self._agents = agents

    def _iteration_start(self, event: Event) -> None:
        number = event["iteration"]
        if self._iteration.first_line != self._line:
            first = self._iteration.first_line
            self._report(
                "event_type", f"iteration_start must be the first event of iteration {number}, not line {first}"
            )
        if number != self._starts + 1:
            self._report("iteration", f"must be {self._starts + 1}, not {number}: iterations count up by one")
        self._starts = number
        self._last = _Total(event["total_cost"], self._line)
        if self._best is None or self._last.cost < self._best.cost:
            self._best = self._last

    def _bootstrap_evaluation(self, event: Event) -> None:
        self._check_start(event)
        if self._starts and self._previous != optimization.ITERATION_START.event_type:
            self._report("event_type", "bootstrap_evaluation must be the next event after iteration_start")

    def _llm_call(self, event: Event) -> None:
        self._check_start(event)
        self._check_turn(event["agent_id"])
        self._iteration.called_agent = event["agent_id"]

    def _decision(self, event: Event) -> None:
        self._check_start(event)
        self._check_turn(event["agent_id"])
        self._iteration.turn += event["agent_id"] in (self._agents or ())
        self._iteration.called_agent = None

    def _check_start(self, event: Event) -> None:
        """If iterations begin with `iteration_start`, all of them do."""
        if self._starts and self._iteration.first_line == self._line:
            self._report("event_type", f"iteration {event['iteration']} must begin with iteration_start")

    def _check_turn(self, agent: str) -> None:
        """Agents take turns in their order, each with its calls and one decision."""
        agents, turn = self._agents, self._iteration.turn
        if agents is None or (turn < len(agents) and agents[turn] == agent):
            return
        if agent not in agents:
            self._report("agent_id", f"{show_value(agent)} is not among the agents of experiment_start")
            return
        self._iteration.turn = agents.index(agent)
        if turn >= len(agents):
            self._report("agent_id", f"{show_value(agent)} acts after all agents have decided in this iteration")
        else:
            expected, actual = show_value(agents[turn]), show_value(agent)
            self._report("agent_id", f"out of turn: expected agent {expected}, got {actual}")

    def _iteration_end(self, event: Event) -> None:
        self._check_start(event)
        if self._starts:
            if self._ends + 1 != self._starts:
                self._report("iteration", f"iteration {self._starts - 1} has no iteration_end")
            self._ends = self._starts
        iteration = self._iteration
        iteration.end_line = self._line
        if self._agents is None:
            return
        if iteration.called_agent is not None:
            self._report(
                "event_type", f"{show_value(iteration.called_agent)} has a model call and no decision in this iteration"
            )
        elif 0 < iteration.turn < len(self._agents):
            self._report("event_type", f"{show_value(self._agents[iteration.turn])} has no decision in this iteration")
        elif iteration.turn and event.get("convergence", {}).get("met"):
            self._report("convergence.met", "is true, but agents proposed policies in this iteration")

    def _experiment_end(self, event: Event) -> None:
        if self._ends and self._ends != self._starts:
            self._report("event_type", f"iteration {self._starts} has no iteration_end")
        iterations = self._state.iteration_count
        if iterations and event["num_iterations"] != iterations:
            self._report("num_iterations", f"is {event['num_iterations']}, but {iterations} iterations began")
        for key, total, which in (("final_cost", self._last, "last"), ("best_cost", self._best, "lowest")):
            if total is not None and event[key] != total.cost:
                self._report(key, f"is {event[key]}, but the {which} total_cost is {total.cost}, in line {total.line}")
        self._check_proposals(event)
        if iterations and event.get("best_iteration", 1) > iterations:
            self._report("best_iteration", f"is {event['best_iteration']}, but {iterations} iterations began")

    def _check_proposals(self, event: Event) -> None:
        for key, count in event.get("proposals", {}).items():
            counted = self._state.proposals[key]
            if count != counted:
                self._report(f"proposals.{key}", f"is {count}, but the log has {counted}")

    def _command_end(self, event: Event) -> None:
        status, signal = event["exit_status"], event["signal"]
        if status != 0:
            how = (
                f"exited with {status}"
                if status is not None
                else f"was terminated by {signal}"
                if signal
                else "never ran"
            )
            self._failed_command = f"in line {self._line} the command {how}"
        if status is not None and signal is not None:
            self._report("signal", f"is {show_value(signal)}, but the command exited with {status}")

    def _run_end(self, _: Event) -> None:
        if self._failed_command is not None:
            self._report(
                "event_type", f"is run_end, but {self._failed_command}: the last event must be experiment_failed"
            )


class _Iteration:
    """The progress of one iteration: its number, the line of its first event, and the agent that decides next."""

    __slots__ = ("called_agent", "end_line", "first_line", "number", "turn")

    def __init__(self, number: int, first_line: int) -> None:
        self.number = number
        self.first_line = first_line
        self.end_line = 0
        self.turn = 0
        """The position of the agent that decides next."""
        self.called_agent: str | None = None
        """The agent that was called since the last decision."""


class _Total:
    """A total cost, and the line that has it."""

    __slots__ = ("cost", "line")

    def __init__(self, cost: float, line: int) -> None:
        self.cost = cost
        self.line = line
