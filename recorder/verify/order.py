"""What FORMAT promises of the order of events, and of the figures at the end of an experiment.

It holds a log to the promises of those types of events that are in it, and demands none of them: an experiment
may have nothing to do with iterations or costs. Of the events it keeps no more than figures.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exprec.recorder.diagnostics import show_value
from exprec.recorder.errors import Problem
from exprec.recorder.events import TERMINAL_TYPES, Event, common, event_fields, is_failure, optimization


class Course:
    """The course of an experiment, as far as its events came."""

    def __init__(self) -> None:
        self.iterations = 0
        """How many have begun."""
        self.result: dict[str, Any] | None = None
        self.failure: dict[str, Any] | None = None
        self._found: list[Problem] = []
        """What is wrong with the last event."""
        self._line = 0
        self._previous = ""
        """The type of the event before."""
        self._end_line = 0
        """Where the last event stands, once it was there."""
        self._iteration = _Iteration(0, 0)
        self._agents: list[str] | None = None
        """The agents in their order, where a known `experiment_start` gives it."""
        self._starts = 0
        """The number of the last `iteration_start`; so too of `iteration_end`."""
        self._ends = 0
        self._last: _Total | None = None
        self._best: _Total | None = None
        self._failed_command: str | None = None
        """How the command ended, unless it did so well."""
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

    @property
    def status(self) -> str:
        """The status that the events give the run: `completed` or `failed`."""
        return "completed" if self.result is not None and self.failure is None else "failed"

    def apply(self, event: Event, is_known: bool) -> list[Problem]:
        """Take one more event, valid by its schema, into account; tells what is wrong with where it stands.

        `is_known` says whether this version knows the schema; else nothing is expected of the event itself.
        """
        kind: str = event["event_type"]
        self._line += 1
        if self._found:
            self._found = []
        self._place(event)
        rule = self._rules.get(kind) if is_known else None
        if rule is not None:
            rule(event)
        if kind in TERMINAL_TYPES:
            self._end_line = self._line
            if is_failure(event):
                self.failure = event_fields(event)
            else:
                self.result = event_fields(event)
        self._previous = kind
        return self._found

    def _say(self, key: str, message: str) -> None:
        self._found.append(Problem(tuple(key.split(".")), message, key))

    def _place(self, event: Event) -> None:
        """The iteration that an event belongs to, and what closed before it."""
        if self._end_line:
            self._say("event_type", f"stands after line {self._end_line}, which has the last event of the experiment")
            # One event too many is one problem, not one for each after it.
            self._end_line = 0
        if self._previous == common.COMMAND_END.event_type and event["event_type"] not in TERMINAL_TYPES:
            self._say("event_type", "stands after command_end, which only the last event follows")
        iteration = event["iteration"]
        if iteration == 0:
            return
        if iteration != self._iteration.number:
            self._iteration = _Iteration(iteration, self._line)
            self.iterations += 1
        elif self._iteration.end_line:
            line = self._iteration.end_line
            self._say("iteration", f"{iteration} came to its end with the iteration_end in line {line}")

    def _experiment_start(self, event: Event) -> None:
        if self._line > 1:
            self._say("event_type", "experiment_start must be the first event")
        agents: list[str] = event["agents"]
        self._agents = agents if len(set(agents)) == len(agents) else None

    def _iteration_start(self, event: Event) -> None:
        number = event["iteration"]
        if self._iteration.first_line != self._line:
            first = self._iteration.first_line
            self._say("event_type", f"iteration_start must be the first event of iteration {number}, not line {first}")
        if number != self._starts + 1:
            self._say("iteration", f"must be {self._starts + 1}, not {number}: iterations count up by one")
        self._starts = number
        self._last = _Total(event["total_cost"], self._line)
        if self._best is None or self._last.cost < self._best.cost:
            self._best = self._last

    def _bootstrap_evaluation(self, event: Event) -> None:
        self._opened(event)
        if self._starts and self._previous != optimization.ITERATION_START.event_type:
            self._say("event_type", "bootstrap_evaluation must be the next event after iteration_start")

    def _llm_call(self, event: Event) -> None:
        self._opened(event)
        self._turn(event["agent_id"])
        self._iteration.asked = event["agent_id"]

    def _decision(self, event: Event) -> None:
        self._opened(event)
        self._turn(event["agent_id"])
        self._iteration.turn += event["agent_id"] in (self._agents or ())
        self._iteration.asked = None

    def _opened(self, event: Event) -> None:
        """In a log with `iteration_start`, every iteration begins with it."""
        if self._starts and self._iteration.first_line == self._line:
            self._say("event_type", f"iteration {event['iteration']} must begin with iteration_start")

    def _turn(self, agent: str) -> None:
        """The agents stand in their order, each with its calls and one decision."""
        agents, turn = self._agents, self._iteration.turn
        if agents is None:
            return
        if agent not in agents:
            self._say("agent_id", f"{show_value(agent)} is none of the agents in experiment_start")
            return
        self._iteration.turn = agents.index(agent)
        if turn >= len(agents):
            self._say("agent_id", f"{show_value(agent)} acts after every agent had its decision in this iteration")
        elif agents[turn] != agent:
            self._say("agent_id", f"{show_value(agent)} acts where it is the turn of {show_value(agents[turn])}")

    def _iteration_end(self, event: Event) -> None:
        self._opened(event)
        if self._starts:
            if self._ends + 1 != self._starts:
                self._say("iteration", f"iteration {self._starts - 1} has no iteration_end")
            self._ends = self._starts
        iteration = self._iteration
        iteration.end_line = self._line
        if self._agents is None:
            return
        if iteration.asked is not None:
            self._say("event_type", f"{show_value(iteration.asked)} was asked and has no decision in this iteration")
        elif 0 < iteration.turn < len(self._agents):
            self._say("event_type", f"{show_value(self._agents[iteration.turn])} has no decision in this iteration")
        elif iteration.turn and event.get("convergence", {}).get("met"):
            self._say("convergence.met", "is true, but the agents went on to propose")

    def _experiment_end(self, event: Event) -> None:
        if self._ends and self._ends != self._starts:
            self._say("event_type", f"iteration {self._starts} has no iteration_end")
        if self.iterations and event["num_iterations"] != self.iterations:
            self._say("num_iterations", f"is {event['num_iterations']}, but {self.iterations} iterations began")
        for key, total, which in (("final_cost", self._last, "last"), ("best_cost", self._best, "lowest")):
            if total is not None and event[key] != total.cost:
                self._say(key, f"is {event[key]}, but the {which} total_cost is {total.cost}, in line {total.line}")

    def _command_end(self, event: Event) -> None:
        status, signal = event["exit_status"], event["signal"]
        if status != 0:
            how = f"exited with {status}" if status is not None else f"was ended by {signal}" if signal else "never ran"
            self._failed_command = f"in line {self._line} the command {how}"
        if status is not None and signal is not None:
            self._say("signal", f"is {show_value(signal)}, but the command exited with {status}")

    def _run_end(self, _: Event) -> None:
        if self._failed_command is not None:
            self._say("event_type", f"is run_end, but {self._failed_command}: the last event must be experiment_failed")


class _Iteration:
    """One iteration: its number, the line of its first event, and how far it came."""

    __slots__ = ("asked", "end_line", "first_line", "number", "turn")

    def __init__(self, number: int, first_line: int) -> None:
        self.number = number
        self.first_line = first_line
        self.end_line = 0
        self.turn = 0
        """The position of the agent whose decision is next."""
        self.asked: str | None = None
        """The agent that was asked since the last decision."""


class _Total:
    """A total cost in cents, and the line that has it."""

    __slots__ = ("cost", "line")

    def __init__(self, cost: int, line: int) -> None:
        self.cost = cost
        self.line = line
