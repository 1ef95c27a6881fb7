"""Validation of policy documents: the schema `policy.v1`, then the rules that a schema cannot express.

Both branches of every condition are checked, reachable or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from exprec.recorder.diagnostics import key_name, unknown_word
from exprec.recorder.errors import KeyPath, NotEncodable, Problem
from exprec.recorder.format import canonical_json
from exprec.recorder.payments.policy.expressions import operand_names, value_key
from exprec.recorder.schema import find_problems

MAX_CONDITIONS = 100
"""Maximum number of conditions on a path from the root of a tree to a leaf."""

_TREES = ("payment_tree", "bank_tree", "strategic_collateral_tree", "end_of_tick_collateral_tree")

Finding = tuple[KeyPath, str]
"""The path of a faulty value and the message."""


class _Node(NamedTuple):
    """A node of a tree, its path, and the number of conditions above it."""

    path: KeyPath
    node: Mapping[str, Any]
    depth: int


class _Expression(NamedTuple):
    """A condition or a value within a node, and its path."""

    path: KeyPath
    is_condition: bool
    expression: Any


def check_policy(policy: Any) -> list[Problem]:
    """Return every problem of a policy document, with its key and the id of its node; empty if it is valid."""
    if unencodable := encoding_problems(policy):
        return unencodable
    structure = find_problems(policy, "policy.v1")
    findings = _semantic_findings(policy) if isinstance(policy, dict) else ()
    semantics = [Problem(path, message, key_name(path, policy)) for path, message in findings]
    return [_name_node(problem, policy) for problem in (*structure, *semantics)]


def encoding_problems(value: Any) -> list[Problem]:
    """Return the first reason why a value has no canonical JSON, as a list of at most one problem."""
    try:
        canonical_json.encode(value)
    except NotEncodable as error:
        return [Problem((), error.reason, error.field)]
    return []


def _semantic_findings(policy: Mapping[str, Any]) -> Iterator[Finding]:
    for tree in _TREES:
        yield from _depth_findings(policy.get(tree), (tree,))
    yield from _node_id_findings(policy.get("payment_tree"))
    declared = policy.get("parameters")
    parameters = declared if isinstance(declared, dict) else {}
    for node in _walk_nodes(policy.get("payment_tree"), ("payment_tree",)):
        for path, value in _walk_values(node):
            yield from _value_findings(path, value, parameters)


def _depth_findings(tree: Any, root: KeyPath) -> Iterator[Finding]:
    for path, node, depth in _walk_nodes(tree, root):
        if node.get("type") == "condition" and depth == MAX_CONDITIONS:
            yield path, f"the tree has more than {MAX_CONDITIONS} conditions on one path"
            return


def _node_id_findings(tree: Any) -> Iterator[Finding]:
    seen: dict[str, KeyPath] = {}
    for path, node, _ in _walk_nodes(tree, ("payment_tree",)):
        node_id = node.get("node_id")
        if isinstance(node_id, str):
            if node_id in seen:
                yield (*path, "node_id"), f"the node_id '{node_id}' stands at {key_name(seen[node_id])} already"
            seen.setdefault(node_id, path)


def _value_findings(path: KeyPath, value: Mapping[str, Any], parameters: Mapping[str, Any]) -> Iterator[Finding]:
    key = value_key(value)
    content = value.get(key) if key else None
    if key == "param" and isinstance(content, str) and content not in parameters:
        yield (*path, "param"), f"'{content}' is an {unknown_word('parameter', content, sorted(parameters))}"
    if key == "compute" and isinstance(content, dict) and content.get("op") == "/":
        right = content.get("right")
        if isinstance(right, dict) and value_key(right) == "value" and right["value"] == 0:
            yield (*path, "compute", "right", "value"), "must not be 0, as it divides"


def _walk_nodes(tree: Any, root: KeyPath) -> Iterator[_Node]:
    """Yield the nodes of a tree in document order."""
    pending: list[tuple[KeyPath, Any, int]] = [(root, tree, 0)]
    while pending:
        path, node, depth = pending.pop()
        if isinstance(node, dict):
            yield _Node(path, node, depth)
            if node.get("type") == "condition":
                pending.extend(((*path, branch), node.get(branch), depth + 1) for branch in ("on_false", "on_true"))


def _walk_values(node: _Node) -> Iterator[tuple[KeyPath, Mapping[str, Any]]]:
    """Yield each value in the condition or the parameters of a node, nested ones included, with its path."""
    pending: list[_Expression] = []
    parameters = node.node.get("parameters")
    if node.node.get("type") == "condition":
        pending = [_Expression((*node.path, "condition"), True, node.node.get("condition"))]
    elif isinstance(parameters, dict):
        ignored = ("reason",) if node.node.get("action") == "Hold" else ()
        used = ((name, value) for name, value in parameters.items() if name not in ignored)
        pending = [_Expression((*node.path, "parameters", name), False, value) for name, value in used]
    while pending:
        path, is_condition, expression = pending.pop()
        if not isinstance(expression, dict):
            continue
        if is_condition:
            pending.extend(_operands(path, expression))
            continue
        yield path, expression
        if value_key(expression) == "compute" and isinstance(expression["compute"], dict):
            pending.extend(_operands((*path, "compute"), expression["compute"]))


def _operands(path: KeyPath, expression: Mapping[str, Any]) -> Iterator[_Expression]:
    """Yield the operands of a condition or calculation; a malformed one has no operands."""
    op = expression.get("op")
    logical = {"not": "condition", "and": "conditions", "or": "conditions"}
    is_logical = isinstance(op, str) and op in logical
    for name in (logical[op],) if isinstance(op, str) and is_logical else operand_names(op):
        operand = expression.get(name)
        if isinstance(operand, list):
            yield from (_Expression((*path, name, index), is_logical, item) for index, item in enumerate(operand))
        else:
            yield _Expression((*path, name), is_logical, operand)


def _name_node(problem: Problem, policy: Any) -> Problem:
    """Prefix the message with the id of the innermost node that contains the problem, if there is one."""
    value, node_id = policy, None
    for step in problem.path:
        if isinstance(value, dict):
            value = value.get(str(step))
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step]
        if isinstance(value, dict) and isinstance(value.get("node_id"), str):
            node_id = value["node_id"]
    return problem if node_id is None else replace(problem, message=f"node '{node_id}': {problem.message}")
