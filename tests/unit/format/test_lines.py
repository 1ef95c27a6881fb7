"""Lines are read whole, however the bytes arrive; what is torn, too long or zero is told apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exprec.recorder.format import LineBatch, LineSplitter, LineTooLong, layout, lines, read_lines


class Memory:
    """A source that gives at most `most` bytes at a time."""

    def __init__(self, data: bytes, most: int = 1 << 30) -> None:
        self.data, self.most = data, most
        self.sizes: list[int] = []

    def read(self, offset: int, size: int) -> bytes:
        self.sizes.append(size)
        return self.data[offset : offset + min(size, self.most)]


def _read(source: Memory, start: int = 0, stop: int | None = None, *, ends_at_zero: bool = False) -> LineBatch:
    """All batches as one, in which each must follow the one before."""
    batches = list(read_lines(source, start, stop, ends_at_zero=ends_at_zero))
    position = start
    for batch in batches[:-1]:
        assert batch.lines
        assert batch.torn_bytes == 0
        assert batch.start == position
        position += sum(map(len, batch.lines))
    last = batches[-1]
    assert (last.start, last.lines) == (position, [])
    return LineBatch(start, [line for batch in batches for line in batch.lines], last.torn_bytes)


@given(
    st.lists(st.sampled_from([b"", b"a", b"\r", b"\x0b\x85", b"long" * 9])), st.binary(max_size=9), st.integers(1, 50)
)
def test_lines_do_not_depend_on_the_size_of_the_chunks(parts: list[bytes], rest: bytes, most: int) -> None:
    rest = rest.replace(b"\n", b"")
    expected = [part + b"\n" for part in parts]
    data = b"".join(expected) + rest
    assert _read(Memory(data, most)) == LineBatch(0, expected, len(rest))


@given(st.lists(st.binary(max_size=9)), st.integers(0, 20), st.integers(0, 60))
def test_a_range_ends_at_its_last_newline(parts: list[bytes], start: int, stop: int) -> None:
    data = b"\n".join(parts)
    part = data[start : max(start, stop)]
    end = part.rfind(b"\n") + 1
    found = _read(Memory(data, 4), start, stop)
    assert (b"".join(found.lines), found.torn_bytes) == (part[:end], len(part) - end)


@pytest.mark.parametrize("most", [1, 2, 7, 100])
@pytest.mark.parametrize("rest", [b"\0", b"x\0\n", b"\0\nb\n\0", b"\0" * 40, b"torn", b""])
def test_lines_end_before_one_with_a_zero_byte(rest: bytes, most: int) -> None:
    data = b"a\nb\n" + rest
    assert _read(Memory(data, most), ends_at_zero=True) == LineBatch(0, [b"a\n", b"b\n"], len(rest))


@pytest.mark.parametrize("most", [1, 3, 8, 100])
@pytest.mark.parametrize("ending", [b"\n", b""])
def test_a_line_may_be_as_long_as_the_limit(monkeypatch: pytest.MonkeyPatch, most: int, ending: bytes) -> None:
    monkeypatch.setattr(layout, "MAX_LINE_BYTES", 8)
    fits = Memory(b"a\n" + b"x" * 8 + ending, most)
    assert _read(fits).torn_bytes == (0 if ending else 8)
    with pytest.raises(LineTooLong, match="a line of more than 8 bytes") as raised:
        _read(Memory(b"a\n" + b"x" * 9 + ending, min(most, 8)))
    assert raised.value.start == 2


def test_a_long_line_is_read_in_pieces_of_one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "CHUNK_BYTES", 40)
    monkeypatch.setattr(layout, "MAX_LINE_BYTES", 100)
    source = Memory(b"x" * 100)
    assert _read(source).torn_bytes == 100
    assert source.sizes == [40, 40, 40, 40]


def test_a_splitter_keeps_what_is_not_whole_yet() -> None:
    splitter = LineSplitter(5)
    assert (splitter.feed(b"a\nb"), splitter.start, splitter.rest) == ([b"a\n"], 7, b"b")
    assert (splitter.feed(b""), splitter.start, splitter.rest) == ([], 7, b"b")
    assert (splitter.feed(b"\n\n"), splitter.start, splitter.rest) == ([b"b\n", b"\n"], 10, b"")
