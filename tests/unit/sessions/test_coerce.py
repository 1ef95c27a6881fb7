"""Coercion: what equals a JSON value is recorded as it, and every other kind of value is refused with advice."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import time
import uuid
from collections import ChainMap, Counter, OrderedDict, UserDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from exprec.recorder import Run, record
from exprec.recorder.errors import NotEncodable
from exprec.recorder.sessions.coerce import coerce_value
from exprec.recorder.state.provider import DatabaseStateProvider
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from exprec.recorder.verify import verify_run


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EXPREC_STORE", raising=False)


class Size(tuple[int, ...]):
    """As torch.Size."""


class Tensor:
    """What torch has of a tensor: a shape, `item`, and conversions that work with one element."""

    def __init__(self, value: Any, shape: tuple[int, ...] = ()) -> None:
        self._value, self.shape, self.dtype = value, Size(shape), "torch.float32"

    def item(self) -> Any:
        if self._value is None:
            raise RuntimeError("Tensor.item() cannot be called on meta tensors")
        return self._value

    def tolist(self) -> Any:
        return [self._value]

    def __index__(self) -> int:
        return int(self._value)

    def __float__(self) -> float:
        return float(self._value)


class Whole:
    """An integer of some other library: it equals a number, and is one where an index is asked for."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value

    def __eq__(self, other: object) -> bool:
        return self.value == other

    def __hash__(self) -> int:
        return hash(self.value)


class Real:
    """A float of some other library, with more digits than a double if `rest` is not 0."""

    def __init__(self, value: float, rest: float = 0) -> None:
        self.value, self.rest = value, rest

    def __float__(self) -> float:
        return self.value

    def __eq__(self, other: object) -> bool:
        return self.rest == 0 and self.value == other

    def __hash__(self) -> int:
        return hash(self.value)


class Name(str):
    __slots__ = ()


class Level(enum.IntEnum):
    HIGH = 3


class Colour(enum.Enum):
    RED = "red"


class Shout(enum.StrEnum):
    HEY = "hey"


@dataclasses.dataclass
class Settings:
    rate: float = 0.1


Point = namedtuple("Point", "x y")


class Masked(dict[str, Any]):
    """A mapping that does not equal the dict of its items."""

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = None


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (Counter("aab"), {"a": 2, "b": 1}),
        (UserDict(a=1), {"a": 1}),
        (MappingProxyType({"a": np.int64(1)}), {"a": 1}),
        (ChainMap({"a": 1}, {"b": 2}), {"a": 1, "b": 2}),
        ({Name("a"): 1, np.str_("b"): 2}, {"a": 1, "b": 2}),
        (OrderedDict(inner=OrderedDict(a=(1, 2))), {"inner": {"a": [1, 2]}}),
        (Size((2, 3)), [2, 3]),
        (Tensor(0.25), 0.25),
        (Tensor(True), True),
        (Tensor(7), 7),
        (Whole(5), 5),
        (Real(0.5), 0.5),
        (Name("x"), "x"),
        (Level.HIGH, 3),
        (Shout.HEY, "hey"),
        (np.int64(-(2**63)), -(2**63)),
        (np.array(3), 3),
    ],
)
def test_what_equals_a_json_value_is_recorded_as_it(value: Any, kept: Any) -> None:
    with record("taken", config={"value": value}) as run:
        run.event("epoch", value=value)
        run.result(value=value)
    stored = RunDirectory(run.path)
    assert list(verify_run(stored)) == []
    found = [stored.config["value"], stored.head["result"]["value"]]
    found.append(next(DatabaseStateProvider(stored).get_all_events())["value"])
    assert found == [kept] * 3
    assert {type(each) for each in found} == {type(kept)}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (2**64, "the integer 18446744073709551616 is beyond 64 bits; record str(...)"),
        (-(2**63) - 1, "is beyond 64 bits; record str(...)"),
        (Whole(2**64), "is beyond 64 bits; record str(...)"),
        (Decimal("0.1"), "a Decimal is not a JSON value; record str(...), which keeps every digit, or float(...)"),
        (Decimal("0.5"), "a Decimal is not a JSON value; record str(...)"),
        (Fraction(1, 2), "a Fraction is not a JSON value; record str(...)"),
        (Colour.RED, "a Colour is not a JSON value; record its .value or its .name"),
        (Settings(), "a Settings is not a JSON value; record dataclasses.asdict(...)"),
        (Settings, "a type is not a JSON value; record the text"),
        (uuid.UUID(int=1), "a UUID is not a JSON value; record str(...), and only"),
        (datetime.datetime(2026, 1, 1), "a datetime is not a JSON value; record str(...), and only"),
        (datetime.date(2026, 1, 1), "a date is not a JSON value; record str(...), and only"),
        (datetime.time(1), "a time is not a JSON value; record str(...), and only"),
        (datetime.timedelta(1), "a timedelta is not a JSON value; record str(...), and only"),
        ({1, 2}, "a set is not a JSON value; it has no order: record sorted(...)"),
        (frozenset((1,)), "a frozenset is not a JSON value; it has no order"),
        (np.zeros(3), "a ndarray is not a JSON value; record .tolist()"),
        (np.zeros((1,)), "a ndarray is not a JSON value; record .tolist()"),
        (Tensor(1, (1,)), "a Tensor is not a JSON value; record .tolist()"),
        (Tensor(1j), "a scalar of this type has no equal JSON value; convert it as you mean it"),
        (Tensor(None), "a scalar of this type has no equal JSON value"),
        (Real(0.5, rest=1e-20), "a Real is not a JSON value; record the text"),
        (b"x", "a bytes is not a JSON value; record .hex()"),
        (PurePosixPath("a"), "a PurePosixPath is not a JSON value; record str(path)"),
        (1j, "a complex is not a JSON value; record [value.real, value.imag]"),
        (Point(1, 2), "a Point is not a JSON value; record ._asdict(), or list(...)"),
        (range(3), "a range is not a JSON value; record list(...)"),
        (deque([1]), "a deque is not a JSON value; record list(...)"),
        (len, "a builtin_function_or_method is not a JSON value; record the text"),
        (Masked(a=1), "a Masked is not a JSON value; record the dict that you mean"),
        ("\ud800", "lone surrogate, which UTF-8 cannot hold; record text.encode("),
    ],
    ids=lambda value: None if isinstance(value, str) else type(value).__name__,
)
def test_what_has_no_equal_json_value_is_refused_with_advice(value: Any, reason: str) -> None:
    with pytest.raises(NotEncodable) as caught:
        coerce_value({"parts": [0.5, value]})
    assert caught.value.field == "parts[1]"
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", [1, 1.5, None, True, (1, 2), np.int64(1), Colour.RED])
def test_a_mapping_with_a_key_that_is_not_text_is_refused_with_advice(key: Any) -> None:
    for mapping in ({key: 1}, OrderedDict({key: 1})):
        with pytest.raises(NotEncodable, match=r"^loss: .*is not a string; record \{str\(key\): value, ...\}"):
            coerce_value({"loss": mapping})


def test_a_numpy_integer_is_taken_wherever_a_number_is(tmp_path: Path) -> None:
    (tmp_path / "model").write_bytes(b"12345")
    limit: Any = np.int64(5)
    with record("numpy", {"seed": np.int64(1), "layers": [np.int64(2)]}, artifact_limit=limit) as run:
        for step in np.arange(1, 4):
            run.event(np.str_("step"), iteration=step, batch={"size": step})  # type: ignore[arg-type]
        run.artifact("model")
        run.result(best=np.int64(3), losses={"last": np.float32(0.5)})
    stored = RunDirectory(run.path)
    assert list(verify_run(stored)) == []
    assert [event["iteration"] for event in DatabaseStateProvider(stored).get_all_events()] == [1, 2, 3, 0]
    assert (stored.config, stored.head["result"]) == (
        {"seed": 1, "layers": [2]},
        {"best": 3, "losses": {"last": 0.5}},
    )


def test_scalars_of_torch_are_taken_and_its_arrays_are_not() -> None:
    torch = pytest.importorskip("torch")
    assert coerce_value([torch.tensor(0.5), torch.tensor(3), torch.zeros(2, 3).shape]) == [0.5, 3, [2, 3]]
    with pytest.raises(NotEncodable, match=r"record \.tolist\(\)"):
        coerce_value(torch.zeros(2))


class TestAfterARefusal:
    """An error of the recorder that the program catches leaves the run as it was, and usable."""

    @staticmethod
    def _refused(act: Callable[[Run], None]) -> RunDirectory:
        with record("usable", {"a": 1}) as run:
            run.event("epoch", iteration=1, loss=1.0)
            with pytest.raises(Exception) as caught:  # noqa: PT011 (each place has its own error)
                act(run)
            assert not isinstance(caught.value, AttributeError)
            run.event("epoch", iteration=2, loss=0.5)
            Path("kept.txt").write_text("kept")
            run.artifact("kept.txt")
            run.result(loss=0.5)
        stored = RunDirectory(run.path)
        assert list(verify_run(stored)) == []
        return stored

    @pytest.mark.parametrize(
        "act",
        [
            lambda run: run.event("epoch", iteration=1, loss={1, 2}),
            lambda run: run.event("epoch", iteration=1, loss=2**70),
            lambda run: run.event("run_end"),
            lambda run: run.event("epoch", iteration=0.5),
            lambda run: run.event("epoch", iteration=10**30),
            lambda run: run.event("epoch", iteration=Colour.RED),
            lambda run: run.event(Colour.RED),
            lambda run: run.result(loss=Decimal(1)),
            lambda run: run.result(seq=1),
            lambda run: run.artifact("missing.txt"),
            lambda run: run.artifact("."),
            lambda run: run.artifact("kept\0.txt"),
            lambda run: run.artifact(3),
            lambda run: run.artifact(Path("usable.py"), name="../x"),
            lambda run: record("", {}),
        ],
    )
    def test_the_run_is_the_same_as_without_it(self, act: Callable[[Run], None]) -> None:
        assert self._refused(act).run_id == self._refused(lambda run: run.event("Epoch")).run_id

    def test_a_config_that_is_refused_leaves_nothing_and_the_next_run_is_recorded(self) -> None:
        with pytest.raises(NotEncodable, match=r"config.when: a date is not a JSON value; record str"):
            record("config", {"when": datetime.date(2026, 1, 1)})
        with record("config", {"when": "2026-01-01"}) as run:
            run.event("epoch")
        store = Store(run.path.parent)
        assert (len(store.run_ids()), store.work_names()) == (1, [])

    def test_a_time_struct_is_a_list_as_every_plain_tuple(self) -> None:
        assert coerce_value(time.gmtime(0))[:3] == [1970, 1, 1]
