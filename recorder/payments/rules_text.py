"""The rules of the game as text for a proposer of policies: settlement, costs, and the form of a policy.

The text is part of prompts, which are recorded: a change of one byte changes run ids. It contains only what is common
knowledge, never the balance, the payments or the policy of one bank.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exprec import schemas
from exprec.recorder.payments.policy import FIELDS

_FORM = """\
A policy is a JSON object:
{"version": "2.0", "policy_id": "any name", "parameters": {NAME: number, ...}, "payment_tree": NODE}
- parameters.initial_liquidity_fraction, from 0 to 1: the part of your liquidity pool that you commit for \
the whole day.
- payment_tree is gone through in every tick for each payment that waits with you, from the root to one action.
- NODE is {"type": "action", "node_id": unique name, "action": "Release" or "Hold"}, or
  {"type": "action", "node_id": unique name, "action": "Split", "parameters": {"num_splits": VALUE}}, which releases \
the payment in at least 2 parts, or
  {"type": "condition", "node_id": unique name, "condition": TEST, "on_true": NODE, "on_false": NODE}.
- TEST is {"op": "==" "!=" "<" "<=" ">" or ">=", "left": VALUE, "right": VALUE}, or
  {"op": "and" or "or", "conditions": [TEST, ...]}, or {"op": "not", "condition": TEST}.
- VALUE is {"field": NAME}, {"param": NAME}, {"value": number}, or {"compute": {"op": "+" "-" "*" or "/", \
"left": VALUE, "right": VALUE}}. A NAME after "param" is one of your parameters; the fields are listed below.
For example, this commits a tenth of the pool and holds what is not due in the next tick:
{"version": "2.0", "policy_id": "patient", "parameters": {"initial_liquidity_fraction": 0.1}, \
"payment_tree": {"type": "condition", "node_id": "due", "condition": {"op": "<=", "left": {"field": \
"ticks_to_deadline"}, "right": {"value": 1}}, "on_true": {"type": "action", "node_id": "pay", "action": \
"Release"}, "on_false": {"type": "action", "node_id": "wait", "action": "Hold"}}}"""


def describe_rules(scenario: Mapping[str, Any]) -> str:
    """Return the rules of a valid scenario and the form of a policy as text; costs are in cents."""
    ticks = scenario["simulation"]["ticks_per_day"]
    credit = (
        "What you receive can be used from the next tick on."
        if scenario.get("deferred_crediting", False)
        else "What you receive can be used at once."
    )
    lines = [
        f"Banks owe each other payments during a day of {ticks} ticks, numbered from 0. A payment settles in "
        "full or not at all, and only from the liquidity its sender has: its balance, the liquidity committed at "
        f"the start of the day, and its overdraft limit. {credit} A released payment that cannot settle waits "
        "in a common queue and settles as soon as its sender can pay; a held one waits with you and is decided about "
        f"again in the next tick.{_describe_lsm(scenario)} What others pay you can pay others in turn: the less you "
        "commit, the more you depend on what comes in, and when.",
        "## Your costs, in cents",
        *_describe_costs(scenario.get("cost_rates") or {}),
        "Your total is their sum. The balance is what you hold at the end of the day, and no cost.",
        "## The form of a policy",
        _FORM,
        f"Fields, in cents and in ticks, 1 for yes and 0 for no: {', '.join(_field_names())}.",
    ]
    return "\n".join(lines)


def _describe_lsm(scenario: Mapping[str, Any]) -> str:
    config = scenario.get("lsm_config") or {}
    kinds = {"enable_bilateral": "between two banks", "enable_cycles": "around a circle of banks"}
    properties = schemas.load("scenario.v1")["properties"]["lsm_config"]["properties"]
    enabled = [words for key, words in kinds.items() if config.get(key, properties[key].get("default"))]
    if not enabled:
        return ""
    return f" Payments in the common queue that offset each other {' or '.join(enabled)} settle together."


def _describe_costs(config: Mapping[str, Any]) -> list[str]:
    known = schemas.load("scenario.v1")["properties"]["cost_rates"]["properties"]
    rates = {key: config.get(key, schema.get("default")) for key, schema in known.items()}
    rates["eod_penalty"] = config.get("eod_penalty", rates["eod_penalty_per_transaction"])
    return [
        f"- opportunity: {rates['liquidity_cost_per_tick_bps']} basis points (hundredths of a percent) of the "
        "committed liquidity in every tick, whether it is used or not",
        f"- delay: {rates['delay_cost_per_tick_per_cent']} cents in every tick for each cent of a payment of yours "
        f"that waits, held or released; {rates['overdue_delay_multiplier']} times that once its deadline has passed",
        f"- liquidity: {rates['overdraft_bps_per_tick']} basis points of a negative balance in every tick",
        f"- penalty: {_describe_penalty(rates['deadline_penalty'])} for each payment of yours that passes its deadline "
        f"unsettled, and {_describe_penalty(rates['eod_penalty'])} more for each that is unsettled at the end of the "
        "day",
        f"- split: {rates['split_friction_cost']} cents for every part of a split payment after the first",
    ]


def _describe_penalty(penalty: Any) -> str:
    if isinstance(penalty, Mapping):
        if penalty["mode"] == "rate":
            return f"{penalty['bps_per_event']} basis points of its amount"
        penalty = penalty["amount"]
    return f"{penalty} cents"


def _field_names() -> list[str]:
    return sorted(FIELDS)
