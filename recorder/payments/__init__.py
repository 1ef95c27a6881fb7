"""The payment simulator: a real-time gross settlement (RTGS) system over one business day.

Banks ("agents") pay each other under policies, which are decision trees. The model and every rounding follow the
SimCash engine (MIT), commit b97854b1; results equal its results to the cent. Money is an integer number of cents, time
is an integer number of ticks, rates are basis points (1 bp = 1/10,000) per tick unless a name says otherwise.
"""

from exprec.recorder.payments.observation import DayEvent
from exprec.recorder.payments.policy import (
    DEFAULT_LIQUIDITY_FRACTION,
    LIQUIDITY_FRACTION,
    check_policy,
    default_policy,
)
from exprec.recorder.payments.result import AgentResult, SimulationResult
from exprec.recorder.payments.rules_text import describe_rules
from exprec.recorder.payments.scenario import check_scenario
from exprec.recorder.payments.simulator import PaymentSimulator

__all__ = [
    "DEFAULT_LIQUIDITY_FRACTION",
    "LIQUIDITY_FRACTION",
    "AgentResult",
    "DayEvent",
    "PaymentSimulator",
    "SimulationResult",
    "check_policy",
    "check_scenario",
    "default_policy",
    "describe_rules",
]
