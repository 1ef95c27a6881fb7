"""The payment simulator: banks that settle payments during a day, after the reference engine (SimCash, MIT).

It knows nothing of experiments, stores or displays.
"""

from exprec.recorder.payments.policy.checks import check_policy
from exprec.recorder.payments.result import AgentOutcome, Outcome
from exprec.recorder.payments.scenario.checks import check_scenario
from exprec.recorder.payments.simulator import PaymentSimulator

__all__ = ["AgentOutcome", "Outcome", "PaymentSimulator", "check_policy", "check_scenario"]
