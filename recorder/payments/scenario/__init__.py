"""Scenarios of the payment simulator: agents, cost rates, random arrivals, scheduled events."""

from exprec.recorder.payments.scenario.arrivals import draw_day
from exprec.recorder.payments.scenario.checks import check_scenario
from exprec.recorder.payments.scenario.distributions import sum_in_order
from exprec.recorder.payments.scenario.scenario import Scenario, compile_scenario
from exprec.recorder.payments.scenario.schedule import Adjustment, Transfer

__all__ = ["Adjustment", "Scenario", "Transfer", "check_scenario", "compile_scenario", "draw_day", "sum_in_order"]
