"""A small recorded experiment as plain values, to be changed in one place and written to a folder."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exprec.recorder import canonical
from exprec.recorder.compare.comparison import Comparison
from exprec.recorder.compare.runs import compare_runs
from exprec.recorder.store.rundir import RunDirectory

Json = dict[str, Any]

AGENTS = ("A", "B")


def leaf(action: str = "Release") -> Json:
    return {"type": "action", "node_id": "leaf", "action": action}


def policy(fraction: float = 0.5, tree: Json | None = None) -> Json:
    return {"version": "2.0", "parameters": {"fraction": fraction}, "payment_tree": tree or leaf()}


def tree(on_true: Json) -> Json:
    condition = {"op": "<", "left": {"field": "balance"}, "right": {"value": 1.0}}
    return {"type": "condition", "condition": condition, "on_true": on_true, "on_false": leaf("Hold")}


def event(event_type: str, iteration: int, **fields: Any) -> Json:
    return {"event_type": event_type, "iteration": iteration, **fields}


def asked(iteration: int, agent: str, answer: str = "use 0.25") -> Json:
    system = {"role": "system", "content": "You run a bank.\nPay in time."}
    user = {"role": "user", "content": f"Iteration {iteration}.\nYour cost is 5000 cents."}
    return {
        "iteration": iteration,
        "agent_id": agent,
        "attempt": 1,
        "model": "scripted:a.jsonl",
        "settings": {"temperature": 0.0},
        "messages": [system, user],
        "answer": answer,
        "error": None,
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "latency_seconds": 0.5,
    }


def iteration(number: int) -> list[Json]:
    costs = {"A": 5000 - number, "B": 2000}
    decisions = []
    for agent in AGENTS:
        call = {"model": "scripted:a.jsonl", "attempt": 1, "prompt_tokens": 10, "completion_tokens": 5}
        decisions += [
            event("llm_call", number, agent_id=agent, latency_seconds=0.5, exchange=0, outcome="usable", **call),
            event(
                "policy_change",
                number,
                agent_id=agent,
                old_policy=policy(0.5 if number == 1 else 0.25),
                new_policy=policy(0.25),
                old_cost=costs[agent],
                new_cost=costs[agent] - 1,
                accepted=True,
                acceptance_reason="lowers the agent's cost by 1 cent",
                deltas=[1],
            ),
        ]
    ended = {"accepted_changes": {"A": True, "B": True}, "policies": {agent: policy(0.25) for agent in AGENTS}}
    return [
        event("iteration_start", number, total_cost=sum(costs.values()), costs_per_agent=costs),
        *decisions,
        event("iteration_end", number, costs_per_agent=dict(costs), **ended),
    ]


START = event("experiment_start", 0, experiment_name="two banks", max_iterations=3, agents=list(AGENTS))
END = event(
    "experiment_end",
    0,
    final_cost=6997,
    best_cost=6997,
    converged=False,
    convergence_reason="max_iterations",
    num_iterations=3,
)
FAILURE = event("experiment_failed", 0, error_type="SimulationError", message="division by zero")


@dataclass
class Recorded:
    """What a run consists of; `seq`, and the indices of exchanges, are put in when it is written."""

    config: Json = field(default_factory=lambda: {"name": "two banks", "llm": {"model": "scripted:a.jsonl"}})
    events: list[Json] = field(
        default_factory=lambda: copy.deepcopy([START, *(e for number in (1, 2, 3) for e in iteration(number)), END])
    )
    exchanges: list[Json] = field(
        default_factory=lambda: [asked(number, agent) for number in (1, 2, 3) for agent in AGENTS]
    )

    def find(self, event_type: str, number: int = 0, agent: str | None = None) -> Json:
        """The first event of this type, iteration and agent."""
        (found, *_) = (
            each
            for each in self.events
            if (each["event_type"], each["iteration"], each.get("agent_id")) == (event_type, number, agent)
        )
        return found

    def insert(self, after: Json, *added: Json) -> None:
        """Put events behind one of them."""
        place = next(number for number, each in enumerate(self.events) if each is after) + 1
        self.events[place:place] = added

    def written(self, folder: Path) -> RunDirectory:
        """The run as an unsealed directory."""
        folder.mkdir(parents=True)
        (folder / "config.json").write_bytes(canonical.encode(self.config, indent=True))
        calls = 0
        lines = []
        for seq, each in enumerate(self.events):
            calls += each["event_type"] == "llm_call"
            place = {"seq": seq, **({"exchange": calls - 1} if each["event_type"] == "llm_call" else {})}
            lines.append(canonical.encode({**each, **place}))
        (folder / "events.jsonl").write_bytes(b"".join(lines))
        if self.exchanges:
            asked_lines = [canonical.encode({**each, "index": index}) for index, each in enumerate(self.exchanges)]
            (folder / "exchanges.jsonl").write_bytes(b"".join(asked_lines))
        return RunDirectory(folder)


def compared(folder: Path, old: Recorded, new: Recorded, limit: int = 20) -> Comparison:
    """The comparison of two runs, written into a folder of their own."""
    return compare_runs(old.written(folder / "old"), new.written(folder / "new"), limit=limit)


KINDS = ("config", "costs", "parameters", "policies", "numbers", "texts", "events", "result")


def kinds(comparison: Comparison) -> dict[str, int]:
    """How many differences there are of each kind, without the kinds that have none."""
    counts = {kind: getattr(comparison, kind).count for kind in KINDS}
    counts["iterations"] = comparison.old_iterations.count + comparison.new_iterations.count
    counts["exchanges"] = comparison.old_exchanges + comparison.new_exchanges
    counts["latency"] = comparison.latency.calls
    return {kind: count for kind, count in counts.items() if count}


def mirrored(value: Any) -> Any:
    """A comparison for programs with the runs exchanged."""
    swapped = {"old": "new", "new": "old"}
    if isinstance(value, dict):
        names = {key: "_".join(swapped.get(word, word) for word in key.split("_")) for key in value}
        return {names[key]: mirrored(each) for key, each in value.items()}
    return [mirrored(each) for each in value] if isinstance(value, list) else value
