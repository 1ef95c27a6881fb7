"""Everything that can be wrong with a policy document before it is compiled.

Its structure is checked against the schema `policy.v1`; here stands only what a schema cannot say. All
branches are checked, whether they will ever be taken or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from exprec.recorder.errors import KeyPath, NotEncodable, Problem
from exprec.recorder.format.canonical_json import encode
from exprec.recorder.payments.policy.expressions import operand_names, value_key
from exprec.recorder.schema.engine import key_name, problems, unknown_word

MAX_CONDITIONS = 100
"""How many conditions may stand on the way from the root of a tree to a leaf."""

_TREES = ("payment_tree", "bank_tree", "strategic_collateral_tree", "end_of_tick_collateral_tree")

Finding = tuple[KeyPath, str]
"""Where something is wrong, and what."""

_Part = tuple[KeyPath, str, Any]


def check_policy(policy: Any) -> list[Problem]:
    """Everything wrong with a policy document, each problem at its key and naming its node; empty when valid."""
    if found := encoding_problems(policy):
        return found
    found = problems(policy, "policy.v1")
    if isinstance(policy, dict):
        for path, message in _meaning_problems(policy):
            found.append(Problem(path, message, key_name(path, policy)))
    return [_with_node(problem, policy) for problem in found]


def encoding_problems(value: Any) -> list[Problem]:
    """Why JSON cannot hold a value (its first reason); what else is wrong with it is not looked for then."""
    try:
        encode(value)
    except NotEncodable as error:
        return [Problem((), error.reason, error.field)]
    return []


def _meaning_problems(policy: Mapping[str, Any]) -> Iterator[Finding]:
    for tree in _TREES:
        yield from _depth_problem(policy.get(tree), (tree,))
    yield from _node_id_problems(policy.get("payment_tree"))
    given = policy.get("parameters")
    parameters = given if isinstance(given, dict) else {}
    for path, node, _ in _nodes(policy.get("payment_tree"), ("payment_tree",)):
        for place, value in _values_of(node, path):
            yield from _value_problems(place, value, parameters)


def _depth_problem(tree: Any, root: KeyPath) -> Iterator[Finding]:
    for path, node, above in _nodes(tree, root):
        if node.get("type") == "condition" and above == MAX_CONDITIONS:
            yield path, f"the tree has more than {MAX_CONDITIONS} conditions on one path"
            return


def _node_id_problems(tree: Any) -> Iterator[Finding]:
    seen: dict[str, KeyPath] = {}
    for path, node, _ in _nodes(tree, ("payment_tree",)):
        node_id = node.get("node_id")
        if isinstance(node_id, str):
            if node_id in seen:
                yield (*path, "node_id"), f"the node_id '{node_id}' stands at {key_name(seen[node_id])} already"
            seen.setdefault(node_id, path)


def _value_problems(path: KeyPath, value: Mapping[str, Any], parameters: Mapping[str, Any]) -> Iterator[Finding]:
    key = value_key(value)
    given = value.get(key) if key else None
    if key == "param" and isinstance(given, str) and given not in parameters:
        yield (*path, "param"), f"'{given}' is an {unknown_word('parameter', given, sorted(parameters))}"
    if key == "compute" and isinstance(given, dict) and given.get("op") == "/":
        right = given.get("right")
        if isinstance(right, dict) and value_key(right) == "value" and right["value"] == 0:
            yield (*path, "compute", "right", "value"), "must not be 0, as it divides"


def _nodes(tree: Any, root: KeyPath) -> Iterator[tuple[KeyPath, Mapping[str, Any], int]]:
    """Each node with its path and the number of conditions above it, in the order of the document."""
    pending: list[tuple[KeyPath, Any, int]] = [(root, tree, 0)]
    while pending:
        path, node, above = pending.pop()
        if isinstance(node, dict):
            yield path, node, above
            if node.get("type") == "condition":
                pending.extend(((*path, branch), node.get(branch), above + 1) for branch in ("on_false", "on_true"))


def _values_of(node: Mapping[str, Any], path: KeyPath) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    """Each value in a node's condition or parameters, with its path, however deep in calculations."""
    pending: list[_Part] = []
    if node.get("type") == "condition":
        pending = [((*path, "condition"), "test", node.get("condition"))]
    elif isinstance(node.get("parameters"), dict):
        ignored = ("reason",) if node.get("action") == "Hold" else ()
        named = ((name, value) for name, value in node["parameters"].items() if name not in ignored)
        pending = [((*path, "parameters", name), "value", value) for name, value in named]
    while pending:
        place, kind, part = pending.pop()
        if not isinstance(part, dict):
            continue
        if kind == "test":
            pending.extend(_operands(place, part))
            continue
        yield place, part
        if value_key(part) == "compute" and isinstance(part["compute"], dict):
            pending.extend(_operands((*place, "compute"), part["compute"]))


def _operands(path: KeyPath, part: Mapping[str, Any]) -> Iterator[_Part]:
    """The conditions and values that a condition or calculation is made of; what is malformed has none."""
    op = part.get("op")
    tests = {"not": "condition", "and": "conditions", "or": "conditions"}
    names = (tests[op],) if isinstance(op, str) and op in tests else operand_names(op)
    kind = "value" if names == operand_names(op) else "test"
    for name in names:
        operand = part.get(name)
        if isinstance(operand, list):
            yield from (((*path, name, index), kind, item) for index, item in enumerate(operand))
        else:
            yield (*path, name), kind, operand


def _with_node(problem: Problem, policy: Any) -> Problem:
    """The problem with the id of the innermost node that it stands in, where there is one."""
    here, node_id = policy, None
    for part in problem.path:
        if isinstance(here, dict):
            here = here.get(str(part))
        elif isinstance(here, list) and isinstance(part, int):
            here = here[part]
        if isinstance(here, dict) and isinstance(here.get("node_id"), str):
            node_id = here["node_id"]
    return problem if node_id is None else replace(problem, message=f"node '{node_id}': {problem.message}")
