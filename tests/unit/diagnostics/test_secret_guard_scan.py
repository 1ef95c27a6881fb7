"""A secret is found in bytes that come in pieces, wherever these are cut; what is harmless comes through unchanged."""

from __future__ import annotations

import random

import pytest

from exprec.recorder.diagnostics import SecretGuard

SECRET = "sk-planted-0123456789"


def _passed(pieces: list[bytes], secrets: dict[str, str]) -> tuple[bytes, str | None]:
    scan = SecretGuard(secrets).scan()
    kept = b"".join(scan.passed(piece) for piece in pieces)
    return kept + scan.rest(), scan.found


def _cut(data: bytes, chance: random.Random) -> list[bytes]:
    places = sorted(chance.choices(range(len(data) + 1), k=chance.randrange(12)))
    return [data[first:last] for first, last in zip([0, *places], [*places, len(data)], strict=True)]


@pytest.mark.parametrize("seed", range(200))
def test_wherever_it_is_cut(seed: int) -> None:
    chance = random.Random(seed)
    before = bytes(chance.choices(b"sk-plantedX\n\x00", k=chance.randrange(60)))
    kept, found = _passed(_cut(before + SECRET.encode() + b" and more", chance), {"KEY": SECRET})
    assert found == "KEY"
    # A few bytes of it may be through when nothing tells yet that they begin it.
    assert kept.startswith(before)
    assert len(kept) - len(before) < 4


@pytest.mark.parametrize("seed", range(200))
def test_what_has_no_secret_comes_through_whole(seed: int) -> None:
    chance = random.Random(seed)
    data = b"".join(chance.choices([SECRET[:-1].encode(), SECRET[1:].encode(), b"sk-", b"x", b"\n", b"\xff"], k=20))
    if SECRET.encode() in data:
        pytest.skip("by chance it is there")
    assert _passed(_cut(data, chance), {"KEY": SECRET, "OTHER": "another-secret"}) == (data, None)


def test_only_what_may_become_a_secret_waits() -> None:
    scan = SecretGuard({"KEY": SECRET}).scan()
    assert scan.passed(b"Proceed? [y/n] ") == b"Proceed? [y/n] "
    assert scan.passed(b"tasks") == b"tasks", "a letter is no beginning"
    assert scan.passed(b" sk-pla") == b" "
    assert scan.passed(b"in") == b"sk-plain"
    assert scan.passed(b"sk-plan") == b""
    assert scan.rest() == b"sk-plan"


def test_a_secret_as_it_stands_in_json() -> None:
    assert _passed([b'{"key": "a\\"b\\u00e9cret-words"}'], {"KEY": 'a"bécret-words'})[1] == "KEY"
    assert _passed(['a"bécret-words'.encode()], {"KEY": 'a"bécret-words'})[1] == "KEY"


def test_the_first_of_several_secrets_is_named() -> None:
    assert _passed([b"one-secret! two-secret!"], {"TWO": "two-secret!", "ONE": "one-secret!"}) == (b"", "ONE")


def test_nothing_is_let_through_after_a_secret() -> None:
    scan = SecretGuard({"KEY": SECRET}).scan()
    assert scan.passed(b"a " + SECRET.encode() + b" b") == b"a "
    assert scan.passed(b"more") == scan.rest() == b""


def _recorded(pieces: list[bytes], secrets: dict[str, str]) -> tuple[bytes, str | None, int]:
    scan = SecretGuard(secrets, has_shapes=True).scan_lines()
    kept = b"".join(scan.passed(piece) for piece in pieces) + scan.rest()
    return kept, scan.found, scan.line


@pytest.mark.parametrize("seed", range(100))
def test_lines_before_a_secret_are_recorded_wherever_they_are_cut(seed: int) -> None:
    chance = random.Random(seed)
    lines = [bytes(chance.choices(b"sk-plantedX\x00 ", k=chance.randrange(30))) + b"\n" for _ in range(9)]
    number = chance.randrange(9)
    lines[number] = b"the key is " + SECRET.encode() + b" or so\n"
    pieces = _cut(b"".join(lines), chance)
    assert _recorded(pieces, {"KEY": SECRET}) == (b"".join(lines[:number]), "KEY", number + 1)


@pytest.mark.parametrize("seed", range(100))
def test_lines_without_a_secret_are_recorded_whole(seed: int) -> None:
    chance = random.Random(seed)
    data = b"".join(chance.choices([SECRET[:-1].encode(), b"sk-", b"x" * 70_000, b"\n", b"\xff", b"ab\n"], k=20))
    secrets = {"KEY": SECRET, "OTHER": "ab\nsk-another-secret"}
    assert _recorded(_cut(data, chance), secrets) == (data, None, data.count(b"\n") + 1)


@pytest.mark.parametrize("size", [1, 3, 10**6])
def test_a_secret_of_several_lines(size: int) -> None:
    secret = "ab\ncd ef\ngh"
    data = f"one\nx {secret}\nlast\n".encode()
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert _recorded(pieces, {"KEY": secret}) == (b"one\n", "KEY", 2)


def test_a_line_waits_for_its_end_but_not_for_ever() -> None:
    scan = SecretGuard({"KEY": SECRET}).scan_lines()
    assert scan.passed(b"one\ntwo") == b"one\n"
    assert scan.passed(b" three\nfour") == b"two three\n"
    long = b"x" * 70_000
    assert scan.passed(long) == b"four" + long
    assert scan.passed(b" sk-planted") == b""
    assert scan.rest() == b" sk-planted"
