"""A reader written from FORMAT.md alone agrees with `verify` about every run of the archive, and about damaged ones."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from exprec.recorder.format import canonical_json
from exprec.recorder.store.store import find_run
from exprec.recorder.verify import verify_run
from tests.fixtures.damages import READER, Files, read_run, reseal, write_run
from tests.fixtures.paths import ROOT
from tests.fuzz.mutations import mutated

_ASKED = os.environ.get("EXPREC_DAMAGES")
DAMAGES = int(_ASKED or 1000)
"""EXPREC_DAMAGES=N tries that many new damages."""
SEED = str(SystemRandom().randrange(10**9)) if _ASKED else "1"
BATCHES = 4

RUNS = sorted(path for path in (ROOT / "tests" / "archive").glob("v*/store/*") if len(path.name) == 64)
NAMES = (
    *("notes", "run.json.orig", "stdout", "exchanges.jsonl", "deep/er", "artifacts/new", "artifacts/a/b"),
    *("artifacts/.gitx/a", "artifacts/a\\b", "artifacts/a\u200bb", "artifacts/é\U0001fae8", f"artifacts/{'x' * 201}"),
)
NUMBERS = (b"0", b"1", b"2", b"-1", b"1.0", b"1.5e-05", b"0.000015", b"1e+16", b"1e16", b"18446744073709551616")

Damage = Callable[[Files, Random], None]


def _pick(files: Files, random: Random, pattern: str = "") -> str:
    """Return the name of one of the files, of records twice as often; any name if none matches the pattern."""
    names = sorted(name for name in files if re.search(pattern, name)) or sorted(files)
    return random.choice([*names, *(name for name in names if name.endswith(".jsonl"))])


def _flip(files: Files, random: Random) -> None:
    name = _pick(files, random)
    data = bytearray(files[name] or b"\0")
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    files[name] = bytes(data)


def _truncate(files: Files, random: Random) -> None:
    name = _pick(files, random)
    lines = files[name].splitlines(keepends=True)
    kept = (
        lines[: random.randrange(len(lines) + 1)] if random.random() < 0.5 else [files[name][: -random.randint(1, 9)]]
    )
    files[name] = b"".join(kept)


def _append(files: Files, random: Random) -> None:
    name = _pick(files, random)
    files[name] += random.choice((b"\n", b" ", b"\0", b"{}\n", files[name][-200:], b"x\n"))


def _delete(files: Files, random: Random) -> None:
    del files[_pick(files, random)]


def _add(files: Files, random: Random) -> None:
    files[random.choice(NAMES)] = random.choice((b"", b"x\n", b"{}\n"))


def _rename(files: Files, random: Random) -> None:
    files[random.choice(NAMES)] = files.pop(_pick(files, random))


def _convert(files: Files, random: Random) -> None:
    name = _pick(files, random)
    files[name] = files[name].replace(b"\n", b"\r\n", random.choice((1, -1)))


def _swap(files: Files, random: Random) -> None:
    name = _pick(files, random, r"jsonl$")
    lines = files[name].splitlines(keepends=True) or [b""]
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    files[name] = b"".join(lines)


def _drop_or_repeat(files: Files, random: Random) -> None:
    name = _pick(files, random, r"jsonl$")
    lines = files[name].splitlines(keepends=True) or [b""]
    at = random.randrange(len(lines))
    lines[at : at + 1] = random.choice(([], [lines[at]] * 2))
    files[name] = b"".join(lines)


def _change_number(files: Files, random: Random) -> None:
    name = _pick(files, random, "json")
    numbers = list(re.finditer(rb"(?<![\w.\"])-?\d[\d.]*(?:e[+-]\d+)?(?![\w\"])", files[name]))
    if numbers:
        found = random.choice(numbers)
        files[name] = files[name][: found.start()] + random.choice(NUMBERS) + files[name][found.end() :]


def _change_word(files: Files, random: Random) -> None:
    name = _pick(files, random, "json")
    words = list(re.finditer(rb'"[\w.]+"|true|false|null', files[name]))
    if words:
        found, other = random.choice(words), random.choice(words)
        files[name] = files[name][: found.start()] + other[0] + files[name][found.end() :]


def _mutate(files: Files, random: Random) -> None:
    name = _pick(files, random, "json")
    files[name] = mutated(files[name], random)


def _keep(files: Files, random: Random) -> None:
    """Damage nothing."""


DAMAGE: tuple[Damage, ...] = (_flip, _truncate, _append, _delete, _add, _rename, _convert, _swap, _drop_or_repeat)
DAMAGE += (_change_number, _change_number, _change_word, _change_word, _mutate, _mutate, _keep)


def _damage(random: Random, folder: Path) -> tuple[str, Path]:
    """Write a damaged run into a store; returns what was done, and the folder of the run."""
    original = random.choice(RUNS)
    files = read_run(original)
    damages = [random.choice(DAMAGE) for _ in range(random.choice((1, 1, 1, 2)))]
    for damage in damages:
        if any(files.values()):
            damage(files, random)
    resealing = random.choice(("", "shallow", "deep", "deep"))
    run_id = original.name
    if resealing and files:
        run_id = reseal(files, deeply=resealing == "deep") or run_id
    elif random.random() < 0.02:
        run_id = random.choice(("copy", "0" * 64))
    run = write_run(files, folder, run_id)
    for name in files:
        if random.random() < 0.05:
            (run / name).chmod(0o755)
    if random.random() < 0.03:
        linked = run / _pick(files, random) if files else run / "link"
        linked.unlink(missing_ok=True)
        linked.symlink_to(ROOT / "LICENSE")
    if random.random() < 0.02:
        (run / random.choice(("artifacts", "other")) / "empty").mkdir(parents=True)
    return f"{original.name[:8]} {[each.__name__ for each in damages]} {resealing}", run


def _problem_of_reader(run: Path) -> str:
    try:
        READER.verify(run)
        for name, schema in json.loads((run / "schemas.json").read_bytes()).items():
            if name not in READER.RELEASED:
                # F95: the reader has no complete validator.
                Draft202012Validator.check_schema(schema)
    except Exception as error:
        return repr(error)
    return ""


def _problems(run: Path) -> list[str]:
    return [str(problem) for problem in verify_run(find_run(str(run), run.parent))]


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name[:8])
def test_reader_agrees_about_the_archive(run: Path) -> None:
    assert (_problem_of_reader(run), _problems(run)) == ("", [])


def test_reader_is_short_and_independent() -> None:
    text = (Path(__file__).parent / "independent_reader.py").read_text("utf-8")
    assert len(text.splitlines()) <= 190
    assert "exprec." not in re.sub(r'""".*?"""', "", text, flags=re.DOTALL)


_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
_SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
_VALUES = st.recursive(
    _SCALARS | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(_VALUES)
@example([1e-05, -1.5e-05, 9.999e-05, 0.0001, 1e-06, 1e16, 1e15, -0.0, 5e-324, 1.7976931348623157e308])
def test_reader_writes_the_same_canonical_json(value: Any) -> None:
    assert READER.write(value).encode() + b"\n" == canonical_json.encode(value)
    assert READER.write(value, "\n").encode() + b"\n" == canonical_json.encode(value, indent=True)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_reader_agrees_about_random_damages(tmp_path: Path, batch: int) -> None:
    outcomes: Counter[bool] = Counter()
    disagreements = []
    for number in range(batch, DAMAGES, BATCHES):
        name = f"{SEED}:{number}"
        done, run = _damage(Random(name), tmp_path / str(number))
        reader, verified = _problem_of_reader(run), _problems(run)
        outcomes[not verified] += 1
        if bool(reader) != bool(verified):
            disagreements.append(f"{name} {done}: reader: {reader or 'valid'}; verify: {verified[:3] or 'valid'}")
    assert disagreements == []
    # Of the damages, some harm nothing, or were made to fit again.
    assert 20 * outcomes[True] > outcomes[False] > outcomes[True]
