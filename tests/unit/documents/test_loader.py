"""Reading of user-written files: values, line numbers, and everything that is refused."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exprec.recorder.documents import document_of, parse_document, read_document
from exprec.recorder.errors import InvalidInput, KeyPath, Problem
from exprec.recorder.format import canonical_json
from tests.fixtures.documents import lines_of

YAML = """\
name: game          # line 1
agents:
  - id: BANK_A
    balance: 5
  - id: BANK_B

    balance: 1.5
nested: {deep: [1,
  true], empty: null}
"""
JSON = """\
{"name": "game",
 "agents": [
  {"id": "BANK_A",
   "balance": 5},
  {"id": "BANK_B",
   "balance": 1.5}],
 "nested": {"deep": [1,
    true],
  "empty": null}}
"""
TOML = '''\
name = "game"
[nested]
deep = [1,
  true]
[[agents]]
id = "BANK_A"
balance = 5
[[agents]]
id = """
BANK_B"""
balance = 1.5
'''
VALUE = {
    "name": "game",
    "agents": [{"id": "BANK_A", "balance": 5}, {"id": "BANK_B", "balance": 1.5}],
    "nested": {"deep": [1, True], "empty": None},
}


def problems_of(text: str, kind: str) -> list[tuple[int | None, str, str]]:
    with pytest.raises(InvalidInput) as caught:
        parse_document(text, f"file.{kind}", kind)
    assert all(problem.source == f"file.{kind}" for problem in caught.value.problems)
    return [(problem.line, problem.key, problem.message) for problem in caught.value.problems]


def lines_and_keys(text: str, kind: str) -> list[tuple[int | None, str]]:
    return [(line, key) for line, key, _ in problems_of(text, kind)]


def paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from paths(part, (*path, key))


class TestFormats:
    def test_yaml(self) -> None:
        document = parse_document(YAML, "a.yaml", "yaml")
        assert document.value == VALUE
        assert document.line(("name",)) == 1
        assert document.line(("agents", 0)) == 3
        assert document.line(("agents", 1, "balance")) == 7
        assert document.line(("nested", "deep", 1)) == 9
        assert document.line(("nested", "empty")) == 9

    def test_json(self) -> None:
        document = parse_document(JSON, "a.json", "json")
        assert document.value == VALUE
        assert document.line(("agents", 0)) == 3
        assert document.line(("agents", 1, "balance")) == 6
        assert document.line(("nested", "deep", 1)) == 8
        assert document.line(("nested", "empty")) == 9

    def test_toml(self) -> None:
        document = parse_document(TOML, "a.toml", "toml")
        agents = [{"id": "BANK_A", "balance": 5}, {"id": "BANK_B", "balance": 1.5}]
        assert document.value == {"name": "game", "nested": {"deep": [1, True]}, "agents": agents}
        assert document.line(("nested",)) == 2
        assert document.line(("nested", "deep", 1)) == 3
        assert document.line(("agents", 0)) == 5
        assert document.line(("agents", 1, "id")) == 9
        assert document.line(("agents", 1, "balance")) == 11

    def test_toml_names_and_tables_below_arrays(self) -> None:
        text = 'a.b = 1\n"x.y" = 2\n[[t]]\n[t.sub]\nk = 1\n[[t]]\n[t.sub] # again, of the second t\nk = 2'
        document = parse_document(text, "a.toml", "toml")
        assert document.value == {"a": {"b": 1}, "x.y": 2, "t": [{"sub": {"k": 1}}, {"sub": {"k": 2}}]}
        assert document.line(("a", "b")) == 1
        assert document.line(("x.y",)) == 2
        assert document.line(("t", 0, "sub", "k")) == 5
        assert document.line(("t", 1, "sub")) == 7
        assert document.line(("t", 1, "sub", "k")) == 8

    def test_toml_text_that_looks_like_keys(self) -> None:
        text = "a = '''\n[b]\nc = 1\n'''\nd = [\n  'x = 1', # e = 1\n  {f = 2},\n]\ng = 3\n"
        document = parse_document(text, "a.toml", "toml")
        assert document.value == {"a": "[b]\nc = 1\n", "d": ["x = 1", {"f": 2}], "g": 3}
        assert {key: document.line((key,)) for key in ("a", "d", "g")} == {"a": 1, "d": 5, "g": 9}

    def test_json_strings_that_look_like_structure(self) -> None:
        document = parse_document('{"a{\\"[,": "}],\\\\",\n"b": "\\u0041"}', "a.json", "json")
        assert document.value == {'a{"[,': "}],\\", "b": "A"}
        assert document.line(("b",)) == 2

    def test_yaml_is_1_2(self) -> None:
        document = parse_document("country: no\nswitch: on\nnumber: 0o17\nten: 010\nsign: =\n", "a.yaml", "yaml")
        assert document.value == {"country": "no", "switch": "on", "number": 15, "ten": 10, "sign": "="}

    def test_aliases_are_copied_and_keep_the_line_of_the_anchor(self) -> None:
        document = parse_document("base: &b\n  x: 1\nuse: *b\n", "a.yaml", "yaml")
        assert document.value == {"base": {"x": 1}, "use": {"x": 1}}
        assert document.line(("use", "x")) == 2

    def test_a_reused_anchor_prints_no_warning(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert parse_document("a: &x 1\nb: &x 2\nc: *x\n", "a.yaml", "yaml").value == {"a": 1, "b": 2, "c": 2}

    @pytest.mark.parametrize(("text", "kind"), [("", "yaml"), ("# only a comment\n", "yaml"), ("null", "json")])
    def test_an_empty_document_is_null(self, text: str, kind: str) -> None:
        assert parse_document(text, "a", kind).value is None


class TestDuplicateKeys:
    def test_yaml(self) -> None:
        text = "a: 1\nb: {c: 1, c: 2}\na: 2\nd:\n  - e: 1\n    e: 2\na: 3\n"
        assert lines_and_keys(text, "yaml") == [(2, "b.c"), (3, "a"), (6, "d[0].e"), (7, "a")]

    def test_json(self) -> None:
        text = '{"a": 1,\n"b": {"c": 1,\n "\\u0063": 2},\n"a": {"x": 1}, "d": [{"a": 1}],\n"a": {"x": 2}}'
        assert lines_and_keys(text, "json") == [(3, "b.c"), (4, "a"), (5, "a")]

    def test_toml(self) -> None:
        text = "a = 1\na = 2\n[b]\nc = 1\n'c' = 2\n[d]\n[b]\n"
        assert lines_and_keys(text, "toml") == [(2, "a"), (5, "b.c"), (7, "b")]

    def test_the_message_names_the_first_line(self) -> None:
        assert problems_of("x: 0\na: 1\n\na: 2\n", "yaml") == [(4, "a", "duplicate key; line 2 has it first")]


class TestRefusedValues:
    def test_yaml(self) -> None:
        text = (
            "day: 2024-01-01\nbytes: !!binary aGk=\nset: !!set {a}\ncustom: !thing 1\nnan: .nan\n"
            'big: 18446744073709551616\nhalf: "\\ud800"\nword: !!int x\nlist:\n  - .inf\n  - !other [1]\nlong: '
            + "9"
            * 5000
        )
        assert lines_and_keys(text, "yaml") == [
            (1, "day"),
            (2, "bytes"),
            (3, "set"),
            (4, "custom"),
            (5, "nan"),
            (6, "big"),
            (7, "half"),
            (8, "word"),
            (10, "list[0]"),
            (11, "list[1]"),
            (12, "long"),
        ]

    def test_json(self) -> None:
        text = (
            '{"a": NaN,\n"b": [-Infinity,\n1e999],\n"c": -9223372036854775809,\n"d": "\\udfff",\n"e": '
            + "9" * 5000
            + "}"
        )
        assert lines_and_keys(text, "json") == [(1, "a"), (2, "b[0]"), (3, "b[1]"), (4, "c"), (5, "d"), (6, "e")]

    def test_toml(self) -> None:
        text = "a = 1979-05-27\nb = 07:32:00\nc = nan\nd = 99999999999999999999\n[t]\ne = [1979-05-27T07:32:00Z]\n"
        assert lines_and_keys(text, "toml") == [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (6, "t.e[0]")]

    def test_64_bits_are_kept(self) -> None:
        text = "[18446744073709551615, -9223372036854775808]"
        for kind in ("yaml", "json"):
            assert parse_document(text, "a", kind).value == [2**64 - 1, -(2**63)]

    @pytest.mark.parametrize("key", ["1", "true", "null", "[a]", "2024-01-01"])
    def test_yaml_keys_must_be_strings(self, key: str) -> None:
        [(line, _, message)] = problems_of(f"a: 1\n? {key}\n: 2\n", "yaml")
        assert line == 2
        assert "must be a string" in message

    def test_yaml_merge_keys_are_refused_and_the_same_text_in_quotes_is_a_key(self) -> None:
        assert "merge" in problems_of("a: &a {x: 1}\nb:\n  <<: *a\n", "yaml")[0][2]
        assert parse_document("'<<': 1\n", "a.yaml", "yaml").value == {"<<": 1}

    def test_a_lone_surrogate_in_a_key(self) -> None:
        assert [line for line, _, _ in problems_of('{"a":\n {"\\ud800": 1}}', "json")] == [1]

    def test_an_alias_within_what_it_repeats(self) -> None:
        assert lines_and_keys("a:\n  - &loop [1, *loop]\n", "yaml") == [(2, "a[0][1]")]

    def test_aliases_cannot_grow_without_bound(self) -> None:
        text = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
        for here, below in zip("bcdefghi", "abcdefgh", strict=True):
            text += f"{here}: &{here} [{', '.join([f'*{below}'] * 10)}]\n"
        assert "aliases" in problems_of(text, "yaml")[0][2]


class TestNotOfItsFormat:
    @pytest.mark.parametrize(
        ("text", "kind", "line"),
        [
            ("a: 1\nb: c: d\n", "yaml", 2),
            ("a: [1,\n2", "yaml", 2),
            ("a: 1\n---\nb: 2\n", "yaml", 2),
            ("a: 1\nb: \x07\n", "yaml", 2),
            ("a: *nowhere\n", "yaml", 1),
            ('a: "\\U99999999"\n', "yaml", None),
            ("%YAML 1.1\n---\na: no\n", "yaml", None),
            ("%YAML 3.0\n---\na: no\n", "yaml", 1),
            ('{"a": 1,\n"b"}', "json", 2),
            ('{"a": 1}\n{"b": 2}', "json", 2),
            ("a = 1\nb = \n", "toml", 2),
            ("a = {b = 1, b = 2}\n", "toml", 1),
            ("a = " + "9" * 5000, "toml", None),
        ],
    )
    def test_one_problem_with_its_line(self, text: str, kind: str, line: int | None) -> None:
        [(found, key, message)] = problems_of(text, kind)
        assert (found, key) == (line, "")
        assert message.startswith(f"not valid {kind.upper()}: ")
        assert len(message) > len("not valid YAML: ")

    @pytest.mark.parametrize("kind", ["yaml", "json", "toml"])
    @pytest.mark.parametrize("depth", [250, 3000])
    def test_deep_nesting(self, kind: str, depth: int) -> None:
        nested = "[" * depth + "]" * depth
        [(_, _, message)] = problems_of(f"a = {nested}" if kind == "toml" else nested, kind)
        assert "nested deeper than 200" in message


class TestFiles:
    def write(self, path: Path, data: bytes) -> Path:
        path.write_bytes(data)
        return path

    @pytest.mark.parametrize("name", ["a.yaml", "a.yml", "A.YAML", "a.json"])
    def test_the_suffix_says_the_format(self, tmp_path: Path, name: str) -> None:
        document = read_document(self.write(tmp_path / name, b'{"a": 1}'))
        assert document.value == {"a": 1}
        assert document.source == str(tmp_path / name)

    @pytest.mark.parametrize("name", ["a.yaml", "a.json", "a.toml"])
    def test_a_byte_order_mark_is_tolerated(self, tmp_path: Path, name: str) -> None:
        text = "a = 1" if name.endswith("toml") else '{"a": 1}'
        assert read_document(self.write(tmp_path / name, text.encode("utf-8-sig"))).value == {"a": 1}

    @pytest.mark.parametrize("name", ["a.yaml", "a.json", "a.toml"])
    def test_windows_line_ends(self, tmp_path: Path, name: str) -> None:
        text = {"a.yaml": "a: 1\r\nb: 2\r\n", "a.json": '{"a": 1,\r\n"b": 2}', "a.toml": "a = 1\r\nb = 2\r\n"}[name]
        document = read_document(self.write(tmp_path / name, text.encode()))
        assert (document.value, document.line(("b",))) == ({"a": 1, "b": 2}, 2)

    def failure(self, path: Path) -> str:
        with pytest.raises(InvalidInput) as caught:
            read_document(path)
        return str(caught.value)

    def test_files_that_cannot_be_read(self, tmp_path: Path) -> None:
        text = self.write(tmp_path / "a.txt", b"a: 1")
        latin = self.write(tmp_path / "latin.yaml", "name: Zürich".encode("latin-1"))
        (tmp_path / "folder.yaml").mkdir()
        assert f"{tmp_path}/none.yaml: there is no such file" in self.failure(tmp_path / "none.yaml")
        assert f"{text}: is not named .yaml, .yml, .toml or .json" in self.failure(text)
        assert f"{latin}: is not UTF-8 text" in self.failure(latin)
        assert "folder.yaml: is a folder" in self.failure(tmp_path / "folder.yaml")
        assert "cannot be read" in self.failure(latin / "below.yaml")
        assert "cannot be read" in self.failure(Path("nul\0.yaml"))


class TestProblems:
    def test_a_key_without_a_line_goes_by_the_nearest_above(self) -> None:
        document = parse_document(YAML, "a.yaml", "yaml")
        assert document.line(("agents", 1, "missing", "deeper")) == 5
        assert document.line(("missing",)) == 1

    def test_located_below_a_key(self) -> None:
        document = parse_document("x: 1\nscenario:\n  agents:\n  - id: A\n    pool: z\n", "e.yaml", "yaml")
        [problem] = document.locate([Problem(("agents", 0, "pool"), "bad")], under=("scenario",))
        assert str(problem) == "e.yaml:5: scenario.agents[A].pool: bad"
        assert problem.path == ("scenario", "agents", 0, "pool")

    def test_a_problem_of_another_file_stays_there(self) -> None:
        foreign = Problem(("a",), "bad", "a", "other.yaml", 7)
        assert parse_document("a: 1\n", "e.yaml", "yaml").locate([foreign]) == [foreign]

    def test_every_problem_leaves_out_what_follows_from_a_refused_value(self, tmp_path: Path) -> None:
        path = tmp_path / "a.yaml"
        path.write_text("a: 1\nb: 2024-01-01\nc: 1\nc: 2\n")
        document = read_document(path)
        assert document.value == {"a": 1, "b": None, "c": 2}
        found = document.every_problem([Problem((key,), "must be something else") for key in "cba"])
        assert [(problem.line, problem.key) for problem in found] == [(1, "a"), (2, "b"), (4, "c"), (4, "c")]

    def test_a_value_made_by_a_program(self) -> None:
        document = document_of({"a": {"day": date(2024, 1, 1), 5: 1, "ok": [1]}, "big": 2**70})
        assert document.value == {"a": {"day": None, "ok": [1]}, "big": None}
        assert [(problem.source, problem.line) for problem in document.problems] == [(None, None)] * 3
        assert {problem.key for problem in document.problems} == {"a", "a.day", "big"}


MARKUP = st.text(alphabet="ab01-:.,[]{}\"'#&*!|>%=<~?@\\ \t\n\r", max_size=60)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(deadline=None, database=None, max_examples=150)
@given(text=st.text(max_size=60) | MARKUP, kind=st.sampled_from(["yaml", "json", "toml"]))
def test_any_text_is_read_or_refused(text: str, kind: str) -> None:
    try:
        document = parse_document(text, "any", kind)
    except InvalidInput:
        return
    assert canonical_json.decode(canonical_json.encode(document.value)) == document.value
    assert all(1 <= line <= len(text.splitlines()) + 1 for line in lines_of(document.lines).values())


@settings(deadline=None, database=None, max_examples=80)
@given(value=JSON_VALUES, indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
def test_every_key_of_json_has_its_line(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    document = parse_document(text, "a.json", "json")
    assert document.value == value
    lines = lines_of(document.lines)
    assert set(lines) == set(paths(value))
    for path, line in lines.items():
        if path and isinstance(path[-1], str):
            assert json.dumps(path[-1], ensure_ascii=ascii_only) in text.split("\n")[line - 1]
