"""Placeholders in place of secrets: in values, in output wherever it is cut, and of every encoding."""

from __future__ import annotations

import base64
import json
import random
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings, strategies

from exprec.recorder.diagnostics import SecretGuard, secret_forms
from exprec.recorder.errors import SecretFound
from exprec.recorder.format import canonical_json
from exprec.recorder.sessions.known_secrets import find_secrets
from tests.fixtures.secret_corpus import SecretCase, negatives, positives

ONE, OTHER = "sk-planted-0123456789", 'a/b&c <wi> "th" é-42'
TOKEN = "ghp_" + "aB3dE6gH9j" * 4


def guard(**secrets: str) -> SecretGuard:
    return SecretGuard(secrets, has_shapes=True, redacts=True)


def redacted(value: Any, **secrets: str) -> Any:
    return guard(**secrets).admit("record", value)


ENCODINGS: dict[str, Any] = {
    "plain": lambda text: text,
    "json": json.dumps,
    "json in json": lambda text: json.dumps(json.dumps({"key": text})),
    "percent": lambda text: f"https://example.org/?q={quote(text, safe='')}&r=1",
    "percent, each": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "html": lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;"),
    "html numbers": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "escapes": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "hex": lambda text: text.encode().hex(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "basic": lambda text: base64.b64encode(f"ada:{text}".encode()).decode(),
    "base64 within": lambda text: base64.b64encode(f"12{text}, and more".encode()).decode(),
    "utf-16": lambda text: "\0".join(text) + "\0",
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_the_whole_of_an_encoded_secret_is_replaced_whatever_its_value(name: str) -> None:
    encode = ENCODINGS[name]
    texts = [redacted(f"before {encode(value)}; after", KEY=value) for value in (ONE, OTHER, OTHER + "z")]
    assert len(set(texts)) == 1
    assert texts[0].startswith("before ")
    assert texts[0].endswith(" after")
    assert "[redacted:KEY:1]" in texts[0].replace("\0", "")


@settings(max_examples=200, deadline=None)
@given(strategies.text(alphabet='\\%&#;u0x41\0a/"nd83e', max_size=40))
def test_places_of_decoded_characters(text: str) -> None:
    decoded = list(secret_forms.decode_with_places(text))
    assert [part for part, _ in decoded] == list(secret_forms.decoded_texts(text))
    for part, places in decoded:
        assert len(places) == len(part) + 1
        assert places == sorted(places)
        assert places[-1] == len(text)


def test_numbers_are_those_of_values_by_their_first_occurrence() -> None:
    kept = guard(ONE=ONE, TWO=OTHER)
    first = kept.admit("record", {"b": f"{OTHER} {ONE}", "a": TOKEN, "c": base64.b64encode(ONE.encode()).decode()})
    assert first == {
        "a": "[redacted:github-token:1]",
        "b": "[redacted:TWO:2] [redacted:ONE:3]",
        "c": "[redacted:ONE:3]",
    }
    assert kept.admit("record", [TOKEN, TOKEN + "x"]) == ["[redacted:github-token:1]", "[redacted:github-token:4]"]
    assert kept.hits[:2] == (("record: a", "github-token"), ("record: b", "TWO"))
    assert kept.admit("record", "none") == "none"


def test_keys_and_numbers() -> None:
    assert redacted({ONE: {"x": 1234567890123456}}, KEY=ONE, PIN="1234567890123456") == {
        "[redacted:KEY:1]": {"x": "[redacted:PIN:2]"}
    }
    for value in ("0-secret-0815", "z-secret-0815"):
        changed = redacted({value: "another-one-4711", "m": TOKEN}, KEY=value, MORE="another-one-4711")
        assert changed == {
            "m": "[redacted:github-token:1]",
            "[redacted:KEY:2]": "[redacted:MORE:3]",
        }, "numbers do not depend on the value"


def test_what_cannot_have_placeholders_is_refused() -> None:
    with pytest.raises(SecretFound, match="record: a key contains the value of KEY"):
        redacted({ONE: 1, base64.b64encode(ONE.encode()).decode(): 2}, KEY=ONE)
    with pytest.raises(SecretFound):
        redacted([[12345678, 9]], KEY="12345678,9")
    kept = guard(KEY=ONE)
    found = SecretFound("record", "KEY")
    with pytest.raises(SecretFound):
        kept.replace(found, ONE, lambda value: value == ONE)
    assert kept.hits == ()
    with pytest.raises(SecretFound):
        SecretGuard({"KEY": ONE}).admit("record", ONE)


@pytest.mark.parametrize(
    "name", ["the password in DB_URL", "aws_secret_access_key of [work] in ~/.aws/credentials", "X\udcff"]
)
def test_names_of_sources_are_of_plain_characters(name: str) -> None:
    text = redacted(f"a {ONE}", **{name: ONE})
    assert re.fullmatch(r"a \[redacted:[A-Za-z0-9_.-]+:1\]", text)
    assert redacted(text, **{name: ONE}) == text


KEY = "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize("secrets", [True, False], ids=["known", "shape"])
def test_a_secret_of_several_lines_has_one_placeholder(secrets: bool) -> None:
    texts = set()
    for lines in (
        ["MIIEvQIBADANBgkqhkiG9w0B", "c2hvcnQ="],
        ["MIIEvQIBADANBgkqhkiG9w0C", "AQEFAASCBKcwggSjAgEAAoIB", "eA=="],
    ):
        key = KEY.format("\n".join(lines))
        known = {"SSH_KEY": key} if secrets else {}
        for text in (key, json.dumps(key), key.replace("\n", "\n   ")):
            texts.add(redacted(f"<{text}>", **known).replace('"', ""))
            scan = guard(**known).scan_lines()
            pieces = [text.encode()[start : start + 7] for start in range(0, len(text), 7)]
            data = b"".join(scan.passed(piece) for piece in [b"one\n<", *pieces, b">\ntwo\n"]) + scan.rest()
            assert scan.found is None
            assert data.decode().replace('"', "") in {f"one\n{kept}\ntwo\n" for kept in texts}
    assert len({re.sub(r"[A-Za-z_-]+:1", "NAME:1", text) for text in texts}) == 1


def test_a_private_key_without_an_end_is_withheld() -> None:
    scan = guard().scan_lines()
    data = b"one\n-----BEGIN PRIVATE KEY-----\n" + b"MIIEvQIBADANBgkqhkiG9w0B\n" * 4000
    assert b"".join(scan.passed(data[at : at + 1000]) for at in range(0, len(data), 1000)) + scan.rest() == b"one\n"
    assert (scan.found, scan.line) == ("private-key", 2)


def _guard(case: SecretCase, folder: Path) -> SecretGuard:
    case.write_files(folder)
    secrets = find_secrets(case.environment, home=folder / "home", folder=folder)
    return SecretGuard(secrets, has_shapes=True, redacts=True)


def test_every_secret_of_the_corpus_is_replaced(tmp_path: Path) -> None:
    for number, case in enumerate(positives()):
        kept = _guard(case, tmp_path / str(number))
        value = kept.admit("record", {"event_type": "note", "text": case.text})
        assert "[redacted:" in value["text"].replace("\0", ""), case
        kept.check("record", canonical_json.encode(value), value)
        for size in (5, 10**6):
            scan, data = _guard(case, tmp_path / str(number)).scan_lines(), case.text.encode()
            written = b"".join(scan.passed(data[at : at + size]) for at in range(0, len(data), size)) + scan.rest()
            assert scan.found is None, case
            assert written.decode() == value["text"], case


def test_what_contains_no_secret_is_not_changed(tmp_path: Path) -> None:
    for number, case in enumerate(negatives()):
        kept = _guard(case, tmp_path / str(number))
        assert kept.admit("record", case.text) == case.text
        scan = kept.scan_lines()
        assert scan.passed(case.text.encode()) + scan.rest() == case.text.encode()


@pytest.mark.parametrize("seed", range(60))
def test_output_is_redacted_wherever_it_is_cut(seed: int) -> None:
    chance = random.Random(seed)
    parts = [
        ONE,
        base64.b64encode(f"u:{ONE}".encode()).decode(),
        " ",
        "\n",
        "xyz",
        "sk-",
        ONE[:-1] + " ",
        "\udcff",
        "é",
    ]
    text = "".join(chance.choices(parts, k=30))
    data = text.encode("utf-8", "surrogateescape")
    whole = guard(KEY=ONE).scan_lines()
    expected = whole.passed(data) + whole.rest()
    places = sorted(chance.choices(range(len(data) + 1), k=chance.randrange(12)))
    scan = guard(KEY=ONE).scan_lines()
    pieces = [data[first:last] for first, last in zip([0, *places], [*places, len(data)], strict=True)]
    assert b"".join(map(scan.passed, pieces)) + scan.rest() == expected
    assert ONE.encode() not in expected


def test_placeholders_of_a_recorded_text_keep_their_numbers() -> None:
    kept = guard(ONE=ONE, TWO=OTHER)
    kept.reserve('{"text":"[redacted:TWO:1] and [redacted:github-token:2]"}')
    assert kept.admit("record", f"{ONE} {OTHER}") == "[redacted:ONE:3] [redacted:TWO:1]"
    assert SecretGuard.has_placeholder("x[redacted:TWO:1]")
    assert not SecretGuard.has_placeholder("[redacted:TWO]")


def test_the_password_in_a_url_is_one_secret_however_it_is_encoded() -> None:
    texts = set()
    for encoded, plain in (("p%40ss%2Fword-0815", "p@ss/word-0815"), ("plain-word-0815", "plain-word-0815")):
        secrets = find_secrets({"DB_URL": f"postgresql://ada:{encoded}@localhost/db"})
        texts.add(redacted(f"{plain} and postgresql://ada:{encoded}@localhost/db", **secrets))
    mark = "[redacted:the-password-in-DB_URL:1]"
    assert texts == {f"{mark} and postgresql://ada:{mark}@localhost/db"}
