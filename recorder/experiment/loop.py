"""The optimisation loop: evaluate, record, check convergence, let each agent propose, accept or reject.

It decides the order of things; how each is done is told in the modules beside this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from exprec.recorder import events
from exprec.recorder.diagnostics.secret_guard import SecretFound
from exprec.recorder.display.options import VerboseConfig
from exprec.recorder.errors import ExperimentFailed, NotAsRecorded, SimulationError, StorageFailure, WorkerFailed
from exprec.recorder.events import Event
from exprec.recorder.experiment.acceptance import Decision, accept_as_proposed, decide
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.config_checks import PAYMENTS
from exprec.recorder.experiment.convergence import (
    MAX_ITERATIONS,
    TEMPORAL,
    Convergence,
    Fractions,
    assess,
    committed_fractions,
)
from exprec.recorder.experiment.evaluation.evaluator import Evaluation, Evaluator, truncated_deviation, truncated_mean
from exprec.recorder.experiment.evaluation.simulators import Recipe, load_simulator
from exprec.recorder.experiment.evaluation.workers import Workers
from exprec.recorder.experiment.prompts import Attempt, request_messages
from exprec.recorder.experiment.proposal import SIMULATION_ERROR, USABLE, Negotiation, Verdict
from exprec.recorder.experiment.proposer_setup import load_proposer, search_space
from exprec.recorder.experiment.recorded import UnrecordedRequest
from exprec.recorder.proposers.protocol import ProposalRequest, Proposer
from exprec.recorder.state.provider import Listener, LiveStateProvider
from exprec.recorder.store.work_run import Recording

EXPERIMENT_TYPE = "generic"


@dataclass(frozen=True, slots=True)
class ExperimentResult:
    """What an experiment came to; costs in cents."""

    final_cost: int
    best_cost: int
    converged: bool
    convergence_reason: str
    num_iterations: int
    policies: Mapping[str, Mapping[str, Any]]
    """The policies in force at the end, by agent."""


class OptimizationLoop:
    """One experiment, run once."""

    def __init__(
        self,
        config: ExperimentConfig,
        config_dir: Path,
        verbose_config: VerboseConfig | None = None,
        run_id: str | None = None,
        *,
        recording: Recording | None = None,
        listener: Listener | None = None,
        proposer: Proposer | None = None,
        jobs: int = 1,
    ) -> None:
        """Make an experiment ready to run.

        Files that the config names are found beside `config_dir`. Events go into `recording`, or into
        memory without one. `listener` gets each event after it was recorded: all of them, or those that
        `verbose_config` selects. `proposer` answers in place of the one that the config names.
        `jobs` (1 or more) is the number of processes that simulate the samples of an evaluation; it changes
        no result. Raises InvalidInput.
        """
        self._config = config
        self._listener = listener
        self._verbose_config = verbose_config
        self._listener_error: Exception | None = None
        simulator = load_simulator(config, config_dir)
        proposer = proposer or load_proposer(config.llm, config_dir)
        self._rules = simulator.rules
        self._workers = Workers(Recipe.of(config, config_dir), jobs) if jobs > 1 else None
        self._evaluator = Evaluator(simulator, config, self._workers.simulate if self._workers else None)
        self._starting = {agent: simulator.starting_policy(agent) for agent in config.optimized_agents}
        self._policies: dict[str, Mapping[str, Any]] = dict(self._starting)
        self._history: dict[str, list[Attempt]] = {agent: [] for agent in config.optimized_agents}
        self._totals: list[int] = []
        self._fractions: list[Fractions] = []
        self.state_provider = LiveStateProvider(
            config.name, EXPERIMENT_TYPE, run_id, recording=recording, listener=self._hear
        )
        self._negotiation = Negotiation(proposer, simulator, config, self.state_provider)

    async def run(self) -> ExperimentResult:
        """Run to the end and return what it came to.

        Raises ExperimentFailed once the failure is recorded; StorageFailure when nothing can be recorded;
        UnrecordedRequest or NotAsRecorded when it was to follow a recorded run and took another course; and
        WorkerFailed and whatever the listener raises, which are no failures of the experiment and not recorded as such.
        """
        try:
            return await self._run()
        except (StorageFailure, NotAsRecorded, UnrecordedRequest, WorkerFailed):
            raise
        except Exception as error:
            if error is self._listener_error:
                raise
            try:
                raise self._fail(type(error).__name__, _message(error)) from error
            except SecretFound as found:
                # The failure is recorded all the same, and nobody is shown the error with the secret in it.
                raise self._fail(type(found).__name__, str(found)) from None
        finally:
            if self._workers is not None:
                self._workers.close()

    async def _run(self) -> ExperimentResult:
        self._record_start()
        reason = None
        iteration = 0
        while reason is None:
            # Lets whoever runs this loop cancel it between two iterations: nothing else here may wait.
            await asyncio.sleep(0)
            iteration += 1
            evaluation = self._evaluate(iteration)
            convergence = self._assess()
            reason = convergence.reason
            accepted = dict.fromkeys(self._config.optimized_agents, False)
            if reason is None:
                for agent in self._config.optimized_agents:
                    accepted[agent] = await self._optimize(agent, iteration, evaluation)
            self.state_provider.record_iteration(
                iteration, evaluation.costs_per_agent, accepted, self._policies, convergence.as_dict()
            )
            if iteration == self._config.convergence.max_iterations:
                break
        converged, final, best = reason is not None, self._totals[-1], min(self._totals)
        reason = reason or MAX_ITERATIONS
        self.state_provider.record_final_result(final, best, converged, reason)
        return ExperimentResult(final, best, converged, reason, iteration, dict(self._policies))

    def _fail(self, error_type: str, message: str) -> ExperimentFailed:
        """Record that the experiment failed. Raises SecretFound when that is not to be recorded in these words."""
        self.state_provider.record_failure(error_type, message)
        return ExperimentFailed(error_type, message)

    def _record_start(self) -> None:
        config = self._config
        self.state_provider.record_event(
            0,
            events.EXPERIMENT_START,
            {
                "experiment_name": config.name,
                "description": config.description,
                "max_iterations": config.convergence.max_iterations,
                "num_samples": config.evaluation.num_samples if config.evaluation.mode == "bootstrap" else None,
                "evaluation_mode": config.evaluation.mode,
                "model": config.llm.display_name,
                "agents": list(config.optimized_agents),
            },
        )

    def _evaluate(self, iteration: int) -> Evaluation:
        """Evaluate the policies in force and record what they cost."""
        evaluation = self._evaluator.evaluate(self._policies, iteration)
        self._totals.append(evaluation.total_cost)
        self._fractions.append(committed_fractions(self._policies, is_payments=self._config.simulator == PAYMENTS))
        self.state_provider.record_event(
            iteration,
            events.ITERATION_START,
            {"total_cost": evaluation.total_cost, "costs_per_agent": evaluation.costs_per_agent},
        )
        if self._config.evaluation.mode == "bootstrap":
            self.state_provider.record_event(iteration, events.BOOTSTRAP_EVALUATION, _bootstrap_fields(evaluation))
        return evaluation

    def _assess(self) -> Convergence:
        """Where the experiment stands after the evaluations so far."""
        return assess(self._config.evaluation.mode, self._totals, self._fractions, self._config.convergence)

    async def _optimize(self, agent: str, iteration: int, evaluation: Evaluation) -> bool:
        """Let one agent propose once; returns whether that was accepted."""
        history = self._history[agent]
        policy = self._policies[agent]
        request = ProposalRequest(
            agent_id=agent,
            iteration=iteration,
            messages=request_messages(self._config, self._rules, agent, policy, evaluation, history),
            starting_policy=self._starting[agent],
            current_policy=policy,
            decisions=tuple(attempt.accepted for attempt in history),
            parameters=search_space(self._config.policy_constraints),
        )
        verdict = await self._negotiation.obtain(request)
        if verdict.outcome != USABLE or verdict.policy is None:
            attempt = self._reject(agent, iteration, verdict)
        else:
            attempt = self._try(agent, iteration, verdict.policy)
        history.append(attempt)
        return attempt.accepted

    def _try(self, agent: str, iteration: int, proposed: dict[str, Any]) -> Attempt:
        """Compare a proposal with the policy in force on the same seeds; it is in force only if it is accepted."""
        old_policy = self._policies[agent]
        old_costs = self._evaluator.evaluate(self._policies, iteration, agent).costs(agent)
        try:
            trial = self._evaluator.evaluate({**self._policies, agent: proposed}, iteration, agent)
        except SimulationError as error:
            attempt = self._reject(agent, iteration, Verdict(SIMULATION_ERROR, proposed, (str(error),)))
            # It may have happened in another agent's policy, of which this one must not be told.
            return attempt if error.agent == agent else replace(attempt, reason=SIMULATION_ERROR)
        decision = self._decide(agent, old_costs, trial)
        self.state_provider.record_event(
            iteration,
            events.POLICY_CHANGE,
            {
                "agent_id": agent,
                "old_policy": old_policy,
                "new_policy": proposed,
                "old_cost": decision.old_cost,
                "new_cost": decision.new_cost,
                "accepted": decision.accepted,
                "acceptance_reason": decision.reason,
                "deltas": list(decision.deltas),
            },
        )
        if decision.accepted:
            self._policies[agent] = proposed
        return Attempt(iteration, proposed, decision.new_cost, decision.accepted, decision.reason)

    def _decide(self, agent: str, old_costs: list[int], trial: Evaluation) -> Decision:
        """What becomes of a proposal that cost the agent `old_costs` (cents) without it and `trial` with it."""
        new_costs = trial.costs(agent)
        if self._config.evaluation.mode == TEMPORAL:
            return accept_as_proposed(old_costs, new_costs)
        settled = sum(sample.result.settled for sample in trial.samples)
        arrived = sum(sample.result.arrivals for sample in trial.samples)
        return decide(old_costs, new_costs, self._config.evaluation.acceptance, settled=settled, arrived=arrived)

    def _hear(self, event: Event) -> None:
        """Hand an event to the listener if it is selected, and remember what the listener raised."""
        if self._listener is None or (self._verbose_config is not None and not self._verbose_config.selects(event)):
            return
        try:
            self._listener(event)
        except Exception as error:
            self._listener_error = error
            raise

    def _reject(self, agent: str, iteration: int, verdict: Verdict) -> Attempt:
        self.state_provider.record_event(
            iteration,
            events.POLICY_REJECTED,
            {
                "agent_id": agent,
                "proposed_policy": verdict.policy,
                "rejection_reason": verdict.outcome,
                "validation_errors": list(verdict.errors),
            },
        )
        return Attempt(iteration, verdict.policy, None, False, f"{verdict.outcome}: {'; '.join(verdict.errors)}")


def _bootstrap_fields(evaluation: Evaluation) -> dict[str, Any]:
    totals = evaluation.sample_totals
    return {
        "seed_results": [
            {
                "seed": sample.seed,
                "cost": total,
                "settled": sample.result.settled,
                "total": sample.result.arrivals,
                "settlement_rate": sample.settlement_rate,
                "costs_per_agent": {agent: sample.cost(agent) for agent in evaluation.agents},
            }
            for sample, total in zip(evaluation.samples, totals, strict=True)
        ],
        "mean_cost": truncated_mean(totals),
        "std_cost": truncated_deviation(totals),
    }


def _message(error: Exception) -> str:
    """What is recorded of an error: its text, with what UTF-8 cannot hold written out."""
    return (str(error) or "no message").encode(errors="backslashreplace").decode()
