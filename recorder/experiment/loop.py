"""The optimization loop: evaluate, record, check convergence, let each agent propose, accept or reject."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from exprec.recorder.display import VerboseConfig, count_noun
from exprec.recorder.errors import (
    ExperimentFailed,
    ModelUnavailable,
    NotAsRecorded,
    SecretFound,
    SimulationError,
    StorageFailure,
    UnrecordedRequest,
    WorkerFailed,
)
from exprec.recorder.events import common, optimization
from exprec.recorder.experiment.acceptance import Decision, accept_as_proposed, decide_acceptance
from exprec.recorder.experiment.best_policies import EvaluatedPolicies
from exprec.recorder.experiment.config import CostsConfig, ExperimentConfig
from exprec.recorder.experiment.config_checks import PAYMENTS
from exprec.recorder.experiment.constraints import search_space
from exprec.recorder.experiment.convergence import (
    MAX_ITERATIONS,
    TEMPORAL,
    Convergence,
    Point,
    assess_convergence,
    committed_fractions,
)
from exprec.recorder.experiment.evaluation import (
    Evaluation,
    Evaluator,
    Payments,
    SimulatorSpec,
    UserSimulator,
    Workers,
    load_simulator,
)
from exprec.recorder.experiment.listener import listener_errors, shielded_listener
from exprec.recorder.experiment.prompts import Attempt, SampleDay, notable_samples, request_messages
from exprec.recorder.experiment.proposal import SIMULATION_ERROR, USABLE, AnswerCheck, ProposalSession
from exprec.recorder.experiment.stats import Cost, cost_deviation, mean_cost
from exprec.recorder.proposers import ClientProposer, Message, PolicyClient, ProposalRequest, Proposer, load_proposer
from exprec.recorder.sessions import Session, error_text
from exprec.recorder.state import Listener, LiveStateProvider
from exprec.recorder.store import WorkRun

EXPERIMENT_TYPE = "generic"


@dataclass(frozen=True, slots=True)
class OptimizationResult:
    """The result of an experiment that ran to its end."""

    final_cost: Cost
    """The total cost of the last iteration, in the unit of costs of the experiment (by default cents)."""
    best_cost: Cost
    """The lowest total cost of any iteration."""
    converged: bool
    convergence_reason: str
    """The convergence criterion that was met, or `max_iterations`."""
    num_iterations: int
    policies: Mapping[str, Mapping[str, Any]]
    """The current policies at the end, by agent."""


ExperimentResult = OptimizationResult
"""The name of exprec 0.1."""


@dataclass(frozen=True, slots=True)
class PreparedExperiment:
    """An experiment whose simulator and proposer are loaded: everything that must be there before it can begin."""

    config: ExperimentConfig
    config_dir: Path
    simulator: Payments | UserSimulator
    proposer: Proposer
    starting_policies: Mapping[str, Mapping[str, Any]]
    """By agent, in the order of optimization."""


def prepare_experiment(
    config: ExperimentConfig, config_dir: Path, proposer: Proposer | None = None
) -> PreparedExperiment:
    """Load the simulator of an experiment, and its proposer unless `proposer` takes its place.

    Raises InvalidInput when one of them cannot be loaded, or cannot do what the experiment asks for.
    """
    simulator = load_simulator(config, config_dir)
    return PreparedExperiment(
        config,
        config_dir,
        simulator,
        proposer or load_proposer(config.llm, config_dir),
        _starting_policies(simulator, config),
    )


def _starting_policies(simulator: Payments | UserSimulator, config: ExperimentConfig) -> dict[str, Mapping[str, Any]]:
    given = config.starting_policies
    return {agent: simulator.starting_policy(agent, given.get(agent)) for agent in config.optimized_agents}


class OptimizationLoop:
    """The optimization of one experiment, from its first evaluation to its result; `run` it once.

    In each iteration the current policies are evaluated, and each optimized agent proposes one policy, which is
    accepted or rejected.
    """

    def __init__(
        self,
        config: ExperimentConfig,
        config_dir: Path | None = None,
        verbose_config: VerboseConfig | None = None,
        run_id: str | None = None,
        *,
        recording: WorkRun | None = None,
        listener: Listener | None = None,
        proposer: Proposer | None = None,
        jobs: int = 1,
        prepared: PreparedExperiment | None = None,
        session: Session | None = None,
    ) -> None:
        """Make an experiment ready to run.

        Args:
            config: The experiment.
            config_dir: The folder in which the files are found that the config names; None: the working directory.
            verbose_config: The events that `listener` gets; None: all.
            run_id: The name of the run until it is sealed; None: the name of its work folder.
            recording: The run in progress to record into; None: the run is kept in memory.
            listener: Called with each event right after it was recorded.
            proposer: Answers in place of the proposer that the config names. If it is a model, whatever it raises is
                recorded as a failed request, and the experiment continues.
            jobs: The number of processes (1 or more) that simulate samples. It changes no result.
            prepared: The same experiment with its simulator and proposer loaded already.
            session: The session to record into, in place of `recording`, `listener` and `run_id`; its listener is
                a `shielded_listener`.

        A client assigned to `_llm_client` before `run` answers in place of every other proposer; the proposer that
        the config names is loaded by `run` if it is needed, and so is the key of a model.

        Raises:
            InvalidInput: The simulator cannot be loaded.
        """
        config_dir = config_dir or Path()
        simulator = prepared.simulator if prepared else load_simulator(config, config_dir)
        self._llm_client: PolicyClient | None = None
        self._proposer = prepared.proposer if prepared else proposer
        self._simulator = simulator
        self._config_dir = config_dir
        self._config = config
        self._rules = simulator.rules
        self._has_payments = config.simulator == PAYMENTS
        self._workers = Workers(SimulatorSpec.of_config(config, config_dir), jobs) if jobs > 1 else None
        self._evaluator = Evaluator(simulator, config, self._workers.simulate if self._workers else None)
        self._starting = prepared.starting_policies if prepared else _starting_policies(simulator, config)
        self._policies: dict[str, Mapping[str, Any]] = dict(self._starting)
        self._evaluated = self._policies
        """The policies of the last evaluation, which are no longer current once a proposal is accepted."""
        self._all_evaluated = EvaluatedPolicies()
        self._history: dict[str, list[Attempt]] = {agent: [] for agent in config.optimized_agents}
        self._points: list[Point] = []
        self._without_proposal: dict[str, str] = {}
        """The agents that got no usable proposal in the last iteration, and why."""
        self._exploring: list[str] = []
        """The agents whose proposer had values left that it must try first, in the last iteration."""
        self._failed_rounds = 0
        """The last iterations in a row in which no agent got one, since the start or the resumption."""
        if session is None:
            heard = shielded_listener(listener, verbose_config)
            session = Session(
                config.name, EXPERIMENT_TYPE, recording, listener=heard, run_id=run_id, config=config.to_dict()
            )
        self._session = session
        self._state_provider = session.provider

    @property
    def state_provider(self) -> LiveStateProvider:
        """The state of the experiment while it runs and afterwards."""
        return self._state_provider

    async def run(self) -> OptimizationResult:
        """Run the experiment to its end and return its result.

        Raises:
            InvalidInput: The proposer that the config names cannot be loaded; nothing is recorded.
            ExperimentFailed: The experiment failed; the failure is recorded.
            StorageFailure: Nothing can be recorded any more.
            UnrecordedRequest, NotAsRecorded: The experiment diverged from the recorded run that it repeats.
            WorkerFailed: A process that simulates died or cannot load the simulator; this is not recorded.
            ModelUnavailable: The model will not answer, or has given nothing usable for `llm.max_failed_rounds`
                iterations; the experiment can be resumed.

        What the listener raises is raised as it is, and not recorded as a failure of the experiment.
        """
        proposals = ProposalSession(self._load_proposer(), self._simulator, self._config, self._session)
        with listener_errors():
            try:
                return await self._run(proposals)
            except (StorageFailure, NotAsRecorded, UnrecordedRequest, WorkerFailed, ModelUnavailable):
                raise
            except Exception as error:
                try:
                    raise self._fail(type(error).__name__, error_text(error)) from error
                except SecretFound as found:
                    # The failure is recorded all the same; the error with the secret in it is not shown.
                    raise self._fail(type(found).__name__, str(found)) from None
            finally:
                if self._workers is not None:
                    self._workers.close()

    async def _run(self, proposals: ProposalSession) -> OptimizationResult:
        self._record_start()
        reason = None
        iteration = 0
        while reason is None:
            # Lets the task be cancelled between two iterations, because nothing else here has to wait.
            await asyncio.sleep(0)
            iteration += 1
            evaluation = self._evaluate(iteration)
            convergence = self._assess()
            reason = convergence.reason
            accepted = dict.fromkeys(self._config.optimized_agents, False)
            self._without_proposal, self._exploring = {}, []
            if reason is None:
                for agent in self._config.optimized_agents:
                    accepted[agent] = await self._optimize(proposals, agent, iteration, evaluation)
            self._count_failed_round(proposals)
            self.state_provider.record_iteration(
                iteration - 1,
                evaluation.costs_per_agent,
                accepted,
                self._policies,
                convergence.as_dict() | self._reservations(),
            )
            if iteration == self._config.convergence.max_iterations:
                break
            self._stop_failing()
        totals = [point.total for point in self._points]
        converged, final, lowest = reason is not None, totals[-1], min(totals)
        reason = reason or MAX_ITERATIONS
        best = self._all_evaluated.find_best(self._evaluator, iteration, self._evaluated, evaluation)
        if best is not None:
            self.state_provider.set_best_policies(best.as_dict())
        self.state_provider.set_final_result(final, lowest, converged, reason)
        return OptimizationResult(final, lowest, converged, reason, iteration, dict(self._policies))

    def _reservations(self) -> dict[str, Any]:
        """Return why stable costs of the next iteration would not show convergence, as fields of `convergence`."""
        found = {"without_proposal": self._without_proposal, "exploring": self._exploring}
        return {key: value for key, value in found.items() if value}

    def _count_failed_round(self, proposals: ProposalSession) -> None:
        """Count an iteration in which a model gave nothing usable, unless it repeats a recorded one."""
        is_failed = len(self._without_proposal) == len(self._config.optimized_agents)
        is_live = proposals.asks_model and not self._session.is_repeating
        self._failed_rounds = self._failed_rounds + 1 if is_failed and is_live else 0

    def _stop_failing(self) -> None:
        """Stop an experiment whose model gives nothing usable. Raises ModelUnavailable."""
        if self._failed_rounds < self._config.llm.max_failed_rounds:
            return
        reasons = ", ".join(sorted(set(self._without_proposal.values())))
        count = count_noun(self._failed_rounds, "iteration")
        raise ModelUnavailable(
            f"no proposal was usable for {count} in a row (llm.max_failed_rounds; the last: {reasons}); see why "
            "with `exprec show --llm --rejections`, correct the cause, then resume the run"
        )

    def _load_proposer(self) -> Proposer:
        if self._llm_client is not None:
            return ClientProposer(self._llm_client)
        return self._proposer or load_proposer(self._config.llm, self._config_dir)

    def _fail(self, error_type: str, message: str) -> ExperimentFailed:
        """Record that the experiment failed. Raises SecretFound when the message contains a secret."""
        message = self._session.admit(f"event {common.EXPERIMENT_FAILED.event_type}", {"message": message})["message"]
        self.state_provider.record_failure(error_type, message)
        return ExperimentFailed(error_type, message)

    def _record_start(self) -> None:
        config = self._config
        self.state_provider.record_event(
            0,
            optimization.EXPERIMENT_START.event_type,
            {
                "experiment_name": config.name,
                "description": config.description,
                "max_iterations": config.convergence.max_iterations,
                "num_samples": config.evaluation.num_samples if config.evaluation.mode == "bootstrap" else None,
                "evaluation_mode": config.evaluation.mode,
                "model": config.llm.display_name,
                "agents": list(config.optimized_agents),
                **({} if config.costs == CostsConfig() else {"costs": asdict(config.costs)}),
            },
        )

    def _evaluate(self, iteration: int) -> Evaluation:
        """Evaluate the current policies and record their costs."""
        self._evaluated = dict(self._policies)
        self._all_evaluated.add(iteration, self._evaluated)
        evaluation = self._evaluator.evaluate(self._evaluated, iteration)
        fractions = committed_fractions(self._policies, is_payments=self._has_payments)
        self._points.append(
            Point(
                evaluation.total_cost,
                fractions,
                is_evidence=not self._without_proposal,
                is_exploring=bool(self._exploring),
            )
        )
        self.state_provider.record_event(
            iteration,
            optimization.ITERATION_START.event_type,
            {"total_cost": evaluation.total_cost, "costs_per_agent": evaluation.costs_per_agent},
        )
        if self._config.evaluation.mode == "bootstrap":
            self.state_provider.record_event(
                iteration,
                optimization.BOOTSTRAP_EVALUATION.event_type,
                _bootstrap_fields(evaluation, has_payments=self._has_payments),
            )
        return evaluation

    def _assess(self) -> Convergence:
        """Assess convergence after the evaluations so far."""
        return assess_convergence(self._config.evaluation.mode, self._points, self._config.convergence)

    async def _optimize(self, proposals: ProposalSession, agent: str, iteration: int, evaluation: Evaluation) -> bool:
        """Let one agent propose one policy; returns whether it was accepted."""
        history = self._history[agent]
        policy = self._policies[agent]
        request = ProposalRequest(
            agent_id=agent,
            iteration=iteration,
            messages=self._messages(proposals, agent, evaluation),
            starting_policy=self._starting[agent],
            current_policy=policy,
            decisions=tuple(attempt.accepted for attempt in history),
            history=tuple(map(asdict, history)),
            parameters=search_space(self._config.policy_constraints),
        )
        check = await proposals.obtain_policy(request)
        if check.is_exploring:
            self._exploring.append(agent)
        if check.outcome != USABLE or check.policy is None:
            attempt = self._reject(agent, iteration, check)
        else:
            attempt = self._try_policy(agent, iteration, check.policy)
        history.append(attempt)
        return attempt.accepted

    def _messages(self, proposals: ProposalSession, agent: str, evaluation: Evaluation) -> tuple[Message, ...]:
        """The request to a model; a computation reads none."""
        if not proposals.reads_messages:
            return ()
        policy, history = self._policies[agent], self._history[agent]
        days = tuple(self._observed_days(agent, evaluation))
        return request_messages(self._config, self._rules, agent, policy, evaluation, history, days)

    def _observed_days(self, agent: str, evaluation: Evaluation) -> Iterator[SampleDay]:
        """Simulate some days of an evaluation once more, and yield what the agent observes of them."""
        if not isinstance(self._simulator, Payments):
            return
        for sample in notable_samples(evaluation, agent):
            seed = evaluation.samples[sample].seed
            yield SampleDay(sample, self._simulator.describe_day(self._evaluated, seed, agent))

    def _try_policy(self, agent: str, iteration: int, proposed: dict[str, Any]) -> Attempt:
        """Compare a proposal with the current policy on the same seeds; replace that only if it is accepted."""
        old_policy = self._policies[agent]
        old_costs = self._evaluator.evaluate(self._policies, iteration, agent).costs(agent)
        try:
            trial = self._evaluator.evaluate({**self._policies, agent: proposed}, iteration, agent)
        except SimulationError as error:
            attempt = self._reject(agent, iteration, AnswerCheck(SIMULATION_ERROR, proposed, (str(error),)))
            # It may have happened in another agent's policy, which this agent must not learn about.
            return attempt if error.agent == agent else replace(attempt, reason=SIMULATION_ERROR)
        decision = self._decide(agent, old_costs, trial)
        self.state_provider.record_event(
            iteration,
            optimization.POLICY_CHANGE.event_type,
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
        costs = {"cost": decision.new_cost, "current_cost": decision.old_cost}
        return Attempt(iteration, proposed, accepted=decision.accepted, reason=decision.reason, **costs)

    def _decide(self, agent: str, old_costs: list[Cost], trial: Evaluation) -> Decision:
        """Decide on a proposal, from the agent's costs without it (`old_costs`) and the trial with it."""
        new_costs = trial.costs(agent)
        if self._config.evaluation.mode == TEMPORAL:
            return accept_as_proposed(old_costs, new_costs, self._config.costs.unit)
        settled = sum(sample.result.settled for sample in trial.samples)
        arrived = sum(sample.result.arrivals for sample in trial.samples)
        return decide_acceptance(
            old_costs,
            new_costs,
            self._config.evaluation.acceptance,
            settled=settled,
            arrived=arrived,
            unit=self._config.costs.unit,
        )

    def _reject(self, agent: str, iteration: int, check: AnswerCheck) -> Attempt:
        """Record that a proposal is rejected without a comparison."""
        self._without_proposal[agent] = check.outcome
        self.state_provider.record_event(
            iteration,
            optimization.POLICY_REJECTED.event_type,
            {
                "agent_id": agent,
                "proposed_policy": check.policy,
                "rejection_reason": check.outcome,
                "validation_errors": list(check.errors),
            },
        )
        return Attempt(iteration, check.policy, None, False, f"{check.outcome}: {'; '.join(check.errors)}")


def _bootstrap_fields(evaluation: Evaluation, *, has_payments: bool) -> dict[str, Any]:
    """The fields of a `bootstrap_evaluation` event."""
    totals = evaluation.sample_totals
    return {
        "seed_results": [
            {
                "seed": sample.seed,
                "cost": total,
                **(sample.settlement if has_payments else {}),
                "costs_per_agent": {agent: sample.cost(agent) for agent in evaluation.agents},
            }
            for sample, total in zip(evaluation.samples, totals, strict=True)
        ],
        "mean_cost": mean_cost(totals),
        "std_cost": cost_deviation(totals),
    }
