"""How deeply values may be nested by a schema whose references multiply, and that no others are asked about."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from exprec import schemas
from exprec.recorder.errors import InvalidEvent, InvalidInput
from exprec.recorder.events import EventTypes
from exprec.recorder.schema.complexity import MAX_EVALUATIONS, MAX_PER_INNER_VALUE, ComplexityBound, bound_complexity
from exprec.recorder.schema.untrusted import MAX_EXPLAINED, BoundedValidator, UntrustedValidator
from exprec.recorder.store.log import EventLog
from tests.fixtures.cli import exprec
from tests.fixtures.paths import ROOT

_MULTIPLY = "references within references multiply on each level"
_BINARY = {"properties": {"left": {"$ref": "#/$defs/tree"}, "right": {"$ref": "#/$defs/tree"}}}
_TOO_DEEP = f"event step: tree: is nested 7 levels deep, and its schema can be asked about 6: {_MULTIPLY}"


def _expressions(alternatives: int) -> Any:
    """Of a type with an expression: a number, or one of so many operations on two expressions."""
    operations = [
        {
            "type": "object",
            "required": ["op", "left", "right"],
            "properties": {
                "op": {"const": f"o{n}"},
                "left": {"$ref": "#/$defs/expression"},
                "right": {"$ref": "#/$defs/expression"},
            },
            "additionalProperties": False,
        }
        for n in range(alternatives)
    ]
    whole = {"anyOf": [{"type": "number"}, *operations]}
    return {"$defs": {"expression": whole}, "properties": {"tree": {"$ref": "#/$defs/expression"}}}


def _tree(deep: int, leaf: Any = 1, operation: str = "o1") -> Any:
    if not deep:
        return leaf
    return {"op": operation, "left": _tree(deep - 1, leaf, operation), "right": _tree(deep - 1, leaf, operation)}


def _bound(schema: Any) -> ComplexityBound:
    # Parts that Python holds as one would count as one.
    return bound_complexity(json.loads(json.dumps(schema)))


def _log(alternatives: int = 10) -> EventLog:
    return EventLog(types=EventTypes({"step": _expressions(alternatives)}))


def _refusal(log: EventLog, **fields: Any) -> str:
    with pytest.raises(InvalidEvent) as caught:
        log.append("step", 0, fields)
    return str(caught.value)


class TestDepth:
    @pytest.mark.parametrize(
        ("alternatives", "deep"), [(2, 17), (3, 11), (5, 8), (10, 6), (20, 4), (30, 4), (100, 3), (300, 3)]
    )
    def test_the_more_alternatives_the_less_deep(self, alternatives: int, deep: int) -> None:
        bound = _bound(_expressions(alternatives))
        assert bound.max_depth == deep
        assert alternatives**deep > MAX_PER_INNER_VALUE >= alternatives ** (deep - 1)
        # The reference, the whole, numbers and each of the operations.
        in_all = [(alternatives + 3) * alternatives**level for level in range(deep)]
        assert bound.evaluations == (1, *in_all)

    def test_one_of_no_use_is_refused(self) -> None:
        with pytest.raises(InvalidInput) as caught:
            EventTypes({"step": _expressions(400)})
        assert str(caught.value) == (
            "step: the schema is too complex: nested references evaluate a subschema more than 100000 times for a "
            "value inside one that is nested 3 levels deep; expand the references, or check such values in your program"
        )

    def test_one_that_multiplies_on_a_few_levels_only_takes_any_depth(self) -> None:
        some = {"allOf": [{"additionalProperties": {"$ref": "#/$defs/any"}}] * 40}
        schema = {
            "$defs": {"some": some, "any": {}},
            "allOf": [{"additionalProperties": {"$ref": "#/$defs/some"}}] * 40,
        }
        assert _bound(schema) == ComplexityBound((41, 1680, 3200, 0, 0, 0), None, is_constant=False)
        assert _bound(schema).find_excess(json.loads('{"a":' * 200 + "1" + "}" * 200)) is None

    def test_without_references_that_multiply_nothing_is_counted(self) -> None:
        types = EventTypes({"step": {"properties": {"tree": {"$ref": "#/$defs/tree"}}, "$defs": {"tree": _BINARY}}})
        found = types.check("step")
        assert found is not None
        assert type(found[1]) is UntrustedValidator

    def test_exprecs_own_schemas_need_no_look_at_values_but_that_of_policies(self) -> None:
        growing = [name for name in schemas.names() if not bound_complexity(schemas.load(name)).is_constant]
        assert growing == ["policy.v1"]
        assert _bound(schemas.load("policy.v1")).max_depth == 32

    def test_the_policies_of_this_project_could_be_checked_by_a_declared_schema(self) -> None:
        bound = _bound(schemas.load("policy.v1"))
        count = 0
        for path in sorted((ROOT / "tests" / "data" / "vectors").glob("*.json")):
            pending = [json.loads(path.read_bytes())]
            while pending:
                value = pending.pop()
                if isinstance(value, dict) and "payment_tree" in value:
                    assert bound.find_excess(value) is None
                    count += 1
                pending += value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
        assert count > 10


class TestRecording:
    @pytest.mark.parametrize("deep", range(6))
    def test_trees_are_checked_to_five_levels_of_ten_alternatives(self, deep: int) -> None:
        log = _log()
        assert log.append("step", 0, {"tree": _tree(deep, 1, "o9")}).event["tree"] == _tree(deep, 1, "o9")
        assert _refusal(log, tree=_tree(deep, "x")).startswith("event step: tree: ")

    def test_a_deeper_one_is_refused_with_field_depth_and_limit(self) -> None:
        assert _refusal(_log(), plain=1, tree=_tree(6)) == _TOO_DEEP
        assert _refusal(_log(), other=[[[[[[1]]]]]]) == _TOO_DEEP.replace("tree", "other")

    def test_it_is_never_handed_to_the_engine(self) -> None:
        bound = _bound(_expressions(10))
        checked = BoundedValidator(_expressions(10), bound)
        with mock.patch.object(checked, "_verdict") as engine:
            assert not checked.is_valid({"tree": _tree(6)})
            assert len(checked.problems({"tree": _tree(6)})) == 1
            assert engine.mock_calls == []
            checked.is_valid({"tree": _tree(5)})
            assert engine.mock_calls

    def test_too_many_values_on_levels_that_are_asked_often_are_refused(self) -> None:
        lists = {"anyOf": [{"items": {"$ref": "#/$defs/lists"}}] * 50}
        schema = {"$defs": {"lists": lists}, "properties": {"a": {"$ref": "#/$defs/lists"}}}
        log = EventLog(types=EventTypes({"step": schema}))
        assert log.append("step", 0, {"a": [[1] * 700]})
        times = f"{_bound(schema).evaluations_for({'a': [[1] * 900], 'seq': 0, 'iteration': 0, 'event_type': ''}):,}"
        assert _refusal(log, a=[[1] * 900]) == (
            f"event step: has too many values on 3 levels, about which its schema asks up to {times} times "
            f"(100,000,000 is the limit): {_MULTIPLY}"
        )

    def test_of_a_tree_with_many_evaluations_only_the_field_is_told(self) -> None:
        problem = "is not valid by its schema, which has too many alternatives within each other to say why"
        assert _bound(_expressions(10)).evaluations_for({"tree": _tree(3)}) > MAX_EXPLAINED
        assert _refusal(_log(), plain=1, tree=_tree(3, "x")) == f"event step: tree: {problem}"
        types = EventTypes({"step": {**_expressions(10), "required": ["name"]}})
        assert _refusal(EventLog(types=types), tree=_tree(3)) == f"event step: {problem}"
        assert _refusal(_log(), tree="x") == "event step: tree: 'x' is none of what its schema allows"


def test_the_limits_leave_room_for_a_full_tree() -> None:
    bound = _bound(_expressions(10))
    assert bound.evaluations_for({"tree": _tree(5)}) < MAX_EVALUATIONS


_CHILD = """
import json, os
tree = 1
for _ in range({deep}):
    tree = {{"op": "o1", "left": tree, "right": 1}}
with open(os.environ["EXPREC_EVENTS"], "a") as events:
    events.write(json.dumps({{"event_type": "step", "tree": tree}}) + "\\n")
"""


def test_a_command_and_its_run_are_told_of_a_value_that_is_nested_too_deeply(tmp_path: Path) -> None:
    (tmp_path / "types").mkdir()
    (tmp_path / "types" / "step.schema.json").write_text(json.dumps(_expressions(10)))
    (tmp_path / "deep.py").write_text(_CHILD.format(deep=6))
    (tmp_path / "child.py").write_text(_CHILD.format(deep=5))
    words = ("run", "--schemas", "types", "--", sys.executable)
    refused = exprec(*words, "deep.py", cwd=tmp_path, code=3).stderr.decode()
    assert _TOO_DEEP.removeprefix("event step: ") in refused
    exprec(*words, "child.py", cwd=tmp_path)
    assert len(list((tmp_path / "runs").glob("*/run.json"))) == 2
    exprec("verify", "--all", cwd=tmp_path)
