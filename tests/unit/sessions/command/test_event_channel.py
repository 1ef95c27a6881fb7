"""The file that a command appends its events to: whole lines, each with its number, and nothing lost in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.errors import InvalidLine
from exprec.recorder.sessions.command.event_channel import EventChannel, SentEvent


@pytest.fixture
def inbox(tmp_path: Path) -> EventChannel:
    return EventChannel(tmp_path / "events", SecretGuard({"KEY": "planted-secret"}))


def _append(inbox: EventChannel, data: bytes) -> None:
    with inbox.path.open("ab") as file:
        file.write(data)


def test_a_line_is_read_once_it_is_whole(inbox: EventChannel) -> None:
    assert list(inbox.received()) == []
    _append(inbox, b'{"event_type": "a"}\n{"event_type": "b", "iter')
    assert list(inbox.received()) == [SentEvent(1, "a", 0, {})]
    assert list(inbox.received()) == []
    _append(inbox, b'ation": 3, "x": [1]}\n')
    assert list(inbox.received()) == [SentEvent(2, "b", 3, {"x": [1]})]


def test_the_last_line_may_lack_its_newline(inbox: EventChannel) -> None:
    _append(inbox, b'{"event_type": "a"}\r\n\n  \n{"event_type": "b"}')
    assert [each.line for each in inbox.received()] == [1]
    assert list(inbox.rest()) == [SentEvent(4, "b", 0, {})]
    assert list(inbox.rest()) == []


def test_a_long_line_and_many_lines(inbox: EventChannel) -> None:
    text = "x" * 3_000_000
    _append(inbox, b'{"event_type": "a", "text": "%s"}\n' % text.encode() + b'{"event_type": "b"}\n' * 100_000)
    first, *others = inbox.received()
    assert first.fields == {"text": text}
    assert [each.line for each in others] == list(range(2, 100_002))


def test_nothing_is_altered(inbox: EventChannel) -> None:
    _append(inbox, '{"event_type": "a", "n": 18446744073709551615, "x": 1.0, "t": "é\\u2028"}\n'.encode())
    (sent,) = inbox.received()
    assert sent.fields == {"n": 18446744073709551615, "x": 1.0, "t": "é\u2028"}
    assert type(sent.fields["x"]) is float


EXPECTED = 'a line must be a JSON object such as {"event_type": "epoch", "iteration": 1, "loss": 0.3}'
NO_EVENTS: list[tuple[bytes, str]] = [
    (b"\xff", f"is not UTF-8; {EXPECTED}"),
    (b"nonsense", f"is not valid JSON: column 1: unexpected 'nonsense'; {EXPECTED}"),
    (b"\xef\xbb\xbf{}", f"is not valid JSON: column 1: unexpected '\\ufeff{{}}'; {EXPECTED}"),
    (b'{"event_type": "a"', f"is not valid JSON: column 19: unexpected the end; {EXPECTED}"),
    (b'{"event_type": "a",}', f"is not valid JSON: column 20: unexpected '}}'; {EXPECTED}"),
    (b"{'event_type': 'a'}", f"is not valid JSON: column 2: unexpected \"'event_type': 'a'}}\"; {EXPECTED}"),
    (b'{"event_type": "a\tb"}', f"is not valid JSON: column 18: unexpected '\\tb\"}}'; {EXPECTED}"),
    (b'{"event_type": "a"} {}', f"is not valid JSON: column 21: unexpected '{{}}'; {EXPECTED}"),
    (b"[" * 254 + b"]" * 254, f"is a list; {EXPECTED}"),
    (b"[" * 255 + b"]" * 255, f"is nested deeper than 254 levels; {EXPECTED}"),
    (b"[" * 100_000, f"is nested deeper than 254 levels; {EXPECTED}"),
    (b'"text"', f"is 'text'; {EXPECTED}"),
    ('"\U0001fae8\u200b"'.encode(), f"is '\U0001fae8\\u200b'; {EXPECTED}"),
    (b"9" * 5000, f"is an integer of more than 40 digits; {EXPECTED}"),
    (b"NaN", f"is nan; {EXPECTED}"),
    (b"{}", f"event_type: is missing; {EXPECTED}"),
    (b'{"event_type": 1}', "event_type: must be a string, not 1"),
    (
        b'{"event_type": "command_end"}',
        "event_type: 'command_end' is a type of exprec's own; name yours otherwise",
    ),
    (b'{"event_type": "a", "iteration": -1}', "iteration: must be an integer from 1, or 0 for none, not -1"),
    (b'{"event_type": "a", "iteration": "1"}', "iteration: must be an integer from 1, or 0 for none, not '1'"),
    (
        b'{"event_type": "a", "seq": 1}',
        "seq: is a field that exprec gives every event; name yours otherwise",
    ),
    (b'{"event_type": "a", "x": {"k": 1, "k": 2}}', "k: this key stands twice in one object"),
]
"""Lines that are not events, and the whole messages, which are recorded."""


@pytest.mark.parametrize(("line", "message"), NO_EVENTS)
def test_a_line_that_is_no_event(line: bytes, message: str, inbox: EventChannel) -> None:
    _append(inbox, b'{"event_type": "a"}\n' + line + b"\n")
    received = inbox.received()
    assert next(received).line == 1
    with pytest.raises(InvalidLine) as caught:
        next(received)
    assert str(caught.value) == f"line 2 of EXPREC_EVENTS: {message}"
    assert caught.value.line == 2


def test_the_lines_after_one_that_is_not_valid_are_read(inbox: EventChannel) -> None:
    _append(inbox, b'{"event_type": "a"}\nbad\n{"event_type": "b"}\nworse')
    read = []
    for receive in (inbox.received, inbox.received, inbox.rest, inbox.rest):
        try:
            for sent in receive():
                read.append(sent.event_type)
        except InvalidLine as error:
            read.append(f"line {error.line}")
    assert read == ["a", "line 2", "b", "line 4"]


def test_a_line_with_a_secret_is_withheld_and_erased(inbox: EventChannel) -> None:
    _append(inbox, b'{"event_type": "a"}\n{"event_type": "planted-secret"}\n{"event_type": "b"}\n')
    assert [sent.event_type for sent in inbox.received()] == ["a", "b"]
    assert inbox.withheld == [("line 2 of EXPREC_EVENTS", "KEY")]
    assert b"planted" not in inbox.path.read_bytes()
    _append(inbox, b'{"event_type": "c"}\n{"event_type": "planted-secret"}')
    assert [sent.event_type for sent in inbox.rest()] == ["c"]
    assert inbox.withheld[1] == ("line 5 of EXPREC_EVENTS", "KEY")
    assert b"planted" not in inbox.path.read_bytes()


def test_a_file_that_was_replaced(inbox: EventChannel, tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b'{"event_type": "a"}\n')
    (tmp_path / "new").rename(inbox.path)
    with pytest.raises(InvalidLine, match="another file has taken its place"):
        list(inbox.rest())


def test_a_file_that_was_removed_was_read_all_the_same(inbox: EventChannel) -> None:
    _append(inbox, b'{"event_type": "a"}\n')
    inbox.path.unlink()
    assert [each.event_type for each in inbox.rest()] == ["a"]
    inbox.close()


def test_a_line_with_a_secret_in_a_file_that_was_removed(inbox: EventChannel) -> None:
    _append(inbox, b'{"event_type": "planted-secret"}\n')
    inbox.path.unlink()
    assert list(inbox.rest()) == []
    assert len(inbox.withheld) == 1
