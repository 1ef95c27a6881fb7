"""One valid example of the fields of every event type, of an exchange and of an observation of an execution."""

from __future__ import annotations

from typing import Any

from exprec.recorder import events

EXAMPLES: dict[str, tuple[int, dict[str, Any]]] = {
    events.EXPERIMENT_START: (
        0,
        {
            "experiment_name": "two banks",
            "description": "",
            "max_iterations": 25,
            "num_samples": None,
            "evaluation_mode": "deterministic-pairwise",
            "model": "search",
            "agents": ["BANK_A", "BANK_B"],
        },
    ),
    events.ITERATION_START: (1, {"total_cost": 7000, "costs_per_agent": {"BANK_A": 5000, "BANK_B": 2000}}),
    events.BOOTSTRAP_EVALUATION: (
        1,
        {
            "seed_results": [
                {
                    "seed": 58745492,
                    "cost": 7000,
                    "settled": 9,
                    "total": 10,
                    "settlement_rate": 0.9,
                    "costs_per_agent": {"BANK_A": 5000, "BANK_B": 2000},
                }
            ],
            "mean_cost": 7000,
            "std_cost": 0,
        },
    ),
    events.LLM_CALL: (
        1,
        {
            "agent_id": "BANK_A",
            "model": "scripted:answers.jsonl",
            "attempt": 1,
            "prompt_tokens": 120,
            "completion_tokens": None,
            "latency_seconds": 0.25,
            "exchange": 0,
            "outcome": "usable",
        },
    ),
    events.POLICY_CHANGE: (
        1,
        {
            "agent_id": "BANK_A",
            "old_policy": {"parameters": {"initial_liquidity_fraction": 0.5}},
            "new_policy": {"parameters": {"initial_liquidity_fraction": 0.25}},
            "old_cost": 5000,
            "new_cost": 2500,
            "accepted": True,
            "acceptance_reason": "lowers the agent's cost by 2500 cents",
            "deltas": [2500],
        },
    ),
    events.POLICY_REJECTED: (
        1,
        {
            "agent_id": "BANK_B",
            "proposed_policy": None,
            "rejection_reason": "invalid_json",
            "validation_errors": ["not valid JSON"],
        },
    ),
    events.ITERATION_END: (
        1,
        {
            "costs_per_agent": {"BANK_A": 5000, "BANK_B": 2000},
            "accepted_changes": {"BANK_A": True, "BANK_B": False},
            "policies": {"BANK_A": {"version": "2.0"}, "BANK_B": {"version": "2.0"}},
            "convergence": {
                "criterion": "bootstrap_stability",
                "met": False,
                "coefficient_of_variation": 0.0125,
                "trend_s": 4,
                "trend_p": 0.462433,
                "regret": 0.0,
            },
        },
    ),
    events.EXPERIMENT_END: (
        0,
        {
            "final_cost": 7000,
            "best_cost": 7000,
            "converged": False,
            "convergence_reason": "max_iterations",
            "num_iterations": 1,
        },
    ),
    events.EXPERIMENT_FAILED: (0, {"error_type": "SimulationError", "message": "division by zero"}),
    events.COMMAND_END: (0, {"exit_status": 0, "signal": None}),
    events.RUN_END: (0, {"accuracy": 0.9, "epochs": 3}),
}

EXCHANGE: dict[str, Any] = {
    "iteration": 1,
    "agent_id": "BANK_A",
    "attempt": 1,
    "model": "scripted:answers.jsonl",
    "settings": {"temperature": 0.0},
    "messages": [{"role": "user", "content": "Propose."}],
    "answer": "{}",
    "error": None,
    "prompt_tokens": 120,
    "completion_tokens": None,
    "latency_seconds": 0.25,
}

OBSERVATION: dict[str, Any] = {
    "started_at": "2026-01-01T00:00:00.000000+00:00",
    "duration_seconds": 1.5,
    "user": "ada",
    "host": None,
    "exprec": "0.1.0",
    "python": "3.11.7",
    "platform": "Linux x86_64",
    "git_commit": None,
    "git_dirty": None,
}


def full_event(event_type: str, seq: int = 0) -> dict[str, Any]:
    """The example of a type with its envelope."""
    iteration, fields = EXAMPLES[event_type]
    return {"seq": seq, "event_type": event_type, "iteration": iteration, **fields}
