"""Canonical JSON in the files that exprec writes."""

from __future__ import annotations

import datetime
import json
import random
import re
import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.errors import ExprecError, NotEncodable
from exprec.recorder.events import optimization
from exprec.recorder.format import canonical_json
from exprec.recorder.store.store import Store
from tests.fixtures.cli import exprec
from tests.fixtures.events import EXAMPLES
from tests.fixtures.experiments import policy, write_castro_experiment, write_script
from tests.fixtures.runs import Run, begin, interrupted, record, run_command, work_folder


def _config_text(store: Store, config: dict[str, Any]) -> str:
    """Return the text of config.json of a run with this config."""
    return (record(store, config).path / "config.json").read_bytes().decode()


def _plain(value: Any, indent: int | None) -> bytes:
    separators = (",", ": ") if indent else (",", ":")
    text = json.dumps(value, indent=indent, separators=separators, sort_keys=True, ensure_ascii=False)
    return text.encode() + b"\n"


@pytest.mark.fact("F29")
def test_all_text_is_utf_8_and_ends_with_one_newline(every_run: tuple[Run, ...], store: Store) -> None:
    record(store, {"name": "zwei Bänke \U0001f3e6"})
    interrupted(store)
    files = [path for root in (store.path, *(run.store for run in every_run)) for path in root.rglob("*")]
    files = [path for path in files if path.is_file()]
    assert len(files) > 30
    for path in files:
        data = path.read_bytes()
        assert not data.startswith(b"\xef\xbb\xbf")
        assert data.endswith(b"\n"), path
        assert not data.endswith(b"\n\n"), path
        assert b"\r" not in data
        data.decode("utf-8")
    assert any("zwei Bänke \U0001f3e6".encode() in path.read_bytes() for path in files)


@pytest.mark.fact("F30")
def test_a_line_is_compact(every_run: tuple[Run, ...], store: Store) -> None:
    left = interrupted(store)
    files = [left.with_name(left.name + ".json"), store.path / "store.json"]
    files += [path for run in every_run for path in run.folder.glob("*.jsonl")]
    assert len(files) == 8
    for path in files:
        for line in path.read_bytes().splitlines(keepends=True):
            assert line == _plain(json.loads(line), None)


@pytest.mark.fact("F31")
def test_files_for_people_are_indented(every_run: tuple[Run, ...], store: Store) -> None:
    files = [path for run in every_run for path in (*run.folder.glob("*.json"), *run.attestations)]
    assert len(files) == 16
    for path in files:
        data = path.read_bytes()
        assert data == _plain(json.loads(data), 2)
    config = {"nothing": {}, "none": [], "some": [1, {"deep": [2]}]}
    assert _config_text(store, config) == (
        "{\n"
        '  "none": [],\n'
        '  "nothing": {},\n'
        '  "some": [\n    1,\n    {\n      "deep": [\n        2\n      ]\n    }\n  ]\n'
        "}\n"
    )


@pytest.mark.fact("F32")
def test_keys_are_sorted_by_code_point(store: Store) -> None:
    # In UTF-16 the last two would be the other way round, and without regard to case the first two.
    keys = ["Z", "a", "a.b", "ab", "é", "\uffff", "\U00010000"]
    shuffled = random.Random(1).sample(keys, len(keys))
    assert shuffled != keys
    sealed = record(store, {"outer": dict.fromkeys(shuffled, 0), **dict.fromkeys(shuffled, 0)})
    pairs = json.loads((sealed.path / "config.json").read_bytes(), object_pairs_hook=list)
    assert [key for key, _ in pairs] == sorted([*keys, "outer"], key=str.encode)
    assert [key for key, _ in dict(pairs)["outer"]] == keys == sorted(keys)


@pytest.mark.fact("F33")
def test_only_required_characters_are_escaped(store: Store) -> None:
    named = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
    controls = [chr(code) for code in range(0x20) if chr(code) not in named]
    kept = ["/", "\x7f", "\x80", "é", "\u2028", "<", "'", "\uffff", "\U0001f3e6"]
    expected = {**named, **{char: f"\\u{ord(char):04x}" for char in controls}, **{char: char for char in kept}}
    text = _config_text(store, {"x": list(expected)})
    assert [line.strip().rstrip(",") for line in text.split("\n")[2:-3]] == [f'"{part}"' for part in expected.values()]


@pytest.mark.fact("F34")
def test_numbers_with_a_fraction_have_the_fewest_digits(store: Store) -> None:
    texts = {
        1.0: "1.0",
        -0.0: "-0.0",
        0.1: "0.1",
        0.1 + 0.2: "0.30000000000000004",
        100.0: "100.0",
        1e-5: "0.00001",
        0.000015: "0.000015",
        9.5e-6: "9.5e-6",
        1e-7: "1e-7",
        9999999999999998.0: "9999999999999998.0",
        1e16: "1e+16",
        1.5e300: "1.5e+300",
        5e-324: "5e-324",
    }
    written = _config_text(store, {"x": list(texts)}).split("\n")[2:-3]
    assert [line.strip().rstrip(",") for line in written] == list(texts.values())


@pytest.mark.fact("F34")
def test_numbers_have_the_shortest_digits_that_round_trip() -> None:
    chance = random.Random(2)
    for _ in range(500):
        (value,) = struct.unpack("<d", chance.randbytes(8))
        if value != value or abs(value) == float("inf"):
            continue
        text = canonical_json.encode(value).decode().strip()
        assert float(text) == value
        digits = len(re.sub(r"e.*|\D", "", text).strip("0"))
        assert digits == 1 or float(f"{value:.{digits - 2}e}") != value


@pytest.mark.fact("F35")
def test_integers_keep_every_digit_or_are_refused(store: Store) -> None:
    kept = [0, -1, 2**53 + 1, 2**64 - 1, -(2**63)]
    written = _config_text(store, {"x": kept}).split("\n")[2:-3]
    assert [line.strip().rstrip(",") for line in written] == [str(value) for value in kept]
    for value in (2**64, -(2**63) - 1):
        with pytest.raises(NotEncodable, match=str(value)):
            begin(store, {"x": value})


def _nested(levels: int) -> Any:
    value: Any = 0
    for level in range(levels):
        value = [value] if level % 2 else {"x": value}
    return value


REFUSED: dict[str, Any] = {
    "not a number": float("nan"),
    "infinity": float("inf"),
    "minus infinity": float("-inf"),
    "a lone surrogate": "a\ud800",
    "a lone surrogate in a key": {"\udfff": 1},
    "a key that is an integer": {1: 1},
    "a key that is null": {None: 1},
    "bytes": b"x",
    "a date": datetime.date(2026, 1, 1),
    "a decimal": Decimal(1),
    "a set": {1},
}


@pytest.mark.fact("F36", "F37")
@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED.keys())
def test_value_without_exact_representation_is_refused_with_its_field(store: Store, value: Any) -> None:
    with pytest.raises(NotEncodable, match=r"^outer\[1\]\.inner: "):
        store.begin("two banks", "generic", {"outer": [0, {"inner": value}]})
    assert list((store.path / ".work").iterdir()) == []
    provider = begin(store)
    log = work_folder(provider, store) / "events.jsonl"
    iteration, fields = EXAMPLES[optimization.POLICY_CHANGE.event_type]
    provider.record_event(iteration, optimization.POLICY_CHANGE.event_type, fields)
    before = log.read_bytes()
    with pytest.raises(NotEncodable, match=r"^new_policy\.parameters: "):
        provider.record_event(
            iteration, optimization.POLICY_CHANGE.event_type, {**fields, "new_policy": {"parameters": value}}
        )
    assert log.read_bytes() == before
    provider.close()


@pytest.mark.fact("F36")
def test_nesting_has_a_limit() -> None:
    assert json.loads(canonical_json.encode(_nested(254))) == _nested(254)
    for levels in (255, 400, 5000):
        with pytest.raises(ExprecError, match="too deeply"):
            canonical_json.encode(_nested(levels))


@pytest.mark.fact("F38")
def test_no_object_has_a_duplicate_key(every_run: tuple[Run, ...]) -> None:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(pairs) == len(dict(pairs))
        return dict(pairs)

    for run in every_run:
        for path in run.folder.iterdir():
            data = path.read_bytes()
            for part in data.splitlines() if path.suffix == ".jsonl" else [data]:
                json.loads(part, object_pairs_hook=unique)


@pytest.mark.fact("F38")
def test_duplicate_key_in_a_foreign_file_is_an_error(searched: Run, tmp_path: Path) -> None:
    doubled = tmp_path / "doubled.json"
    config = (searched.folder / "config.json").read_text("utf-8")
    doubled.write_text(config.replace('"master_seed": 42,', '"master_seed": 42,\n  "master_seed": 42,'), "utf-8")
    assert b"master_seed" in exprec("run", doubled, "--store", tmp_path / "none", code=2).stderr
    answer = json.dumps(policy(0.25)).replace('"version": "2.0"', '"version": "2.0", "version": "2.0"')
    file = write_castro_experiment(tmp_path, max_iterations=1)
    script = write_script(tmp_path, [{"answer": answer}] * 8)
    run = run_command(file, tmp_path / "runs", "--model", f"scripted:{script}")
    assert {event["outcome"] for event in run.of_type("llm_call")} == {"invalid_json"}
    assert "twice" in run.of_type("policy_rejected")[0]["validation_errors"][0]
