"""What an experiment's `simulator` names, made ready to evaluate policies.

How a simulator works is its own business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exprec.recorder.errors import Problem
from exprec.recorder.optimize.config import ExperimentConfig
from exprec.recorder.payments import PaymentSimulator, check_policy
from exprec.recorder.payments.briefing import rules


class Payments(PaymentSimulator):
    """The built-in payment system, with what a proposer must know of it."""

    def __init__(self, scenario: Mapping[str, Any]) -> None:
        super().__init__(scenario)
        self.rules = rules(scenario)
        """The game and the form of a policy, in words."""

    def check_policy(self, policy: Any) -> list[Problem]:
        """Everything wrong with a policy document; empty when it can be simulated."""
        return check_policy(policy)


def load_simulator(config: ExperimentConfig) -> Payments:
    """The simulator of an experiment. Raises InvalidInput for a scenario that it cannot simulate."""
    return Payments(config.scenario)
