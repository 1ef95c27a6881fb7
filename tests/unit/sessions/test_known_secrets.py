"""Which values are secrets, and the corpus of texts that contain one or only look so."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.errors import SecretFound
from exprec.recorder.format import canonical_json
from exprec.recorder.sessions import provenance
from exprec.recorder.sessions.known_secrets import find_secrets
from tests.fixtures.secret_corpus import SecretCase, negatives, positives

MOST_MISSED = 0
MOST_FALSE_ALARMS = 0
FEWEST_CASES = 200
VALUE = "q8Zr2mWc7Lx0Tn5B"


def _guard(case: SecretCase, folder: Path) -> SecretGuard:
    case.write_files(folder)
    secrets = find_secrets(case.environment, home=folder / "home", folder=folder)
    return SecretGuard(secrets, has_shapes=True)


def _stops_event(guard: SecretGuard, text: str) -> bool:
    value = {"event_type": "note", "text": text}
    try:
        guard.check("event note", canonical_json.encode(value), value)
    except SecretFound as found:
        return {field for field, _ in found.hits} == {"event note: text"}
    return False


def _stops_output(guard: SecretGuard, text: str, size: int) -> bool:
    scan, data = guard.scan(), text.encode()
    for start in range(0, len(data), size):
        scan.passed(data[start : start + size])
    return scan.found is not None


def _count_stopped(cases: Sequence[SecretCase], folder: Path) -> tuple[int, int, int]:
    """How many texts are stopped in an event, in output, and in output of which 5 bytes are read at a time."""
    counts = [0, 0, 0]
    for number, case in enumerate(cases):
        guard = _guard(case, folder / str(number))
        counts[0] += _stops_event(guard, case.text)
        counts[1] += _stops_output(guard, case.text, 10**6)
        counts[2] += _stops_output(guard, case.text, 5)
    return counts[0], counts[1], counts[2]


def test_secrets_of_the_corpus_that_are_missed(tmp_path: Path) -> None:
    cases = positives()
    assert len(cases) >= FEWEST_CASES
    assert all(len(cases) - found <= MOST_MISSED for found in _count_stopped(cases, tmp_path))


def test_false_alarms_of_the_corpus(tmp_path: Path) -> None:
    cases = negatives()
    assert len(cases) >= FEWEST_CASES
    assert all(found <= MOST_FALSE_ALARMS for found in _count_stopped(cases, tmp_path))


@pytest.mark.parametrize(
    "name",
    [
        "GH_PAT",
        "DB_PASS",
        "DB_PWD",
        "NPM_AUTH",
        "AUTHORIZATION",
        "COOKIE",
        "JWT",
        "SLACK_WEBHOOK_URL",
        "X_CONNECTION_STRING",
    ],
)
def test_names_of_secrets(name: str) -> None:
    assert find_secrets({name: VALUE}) == {name: VALUE}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MONKEY", "production"),
        ("KEY", "production"),
        ("PRIMARY_KEY", "customer_id"),
        ("EOS_TOKEN", "<|endoftext|>"),
        ("CACHE_KEY", "python-3.11"),
        ("GPG_KEY", "A035C8C19219BA821ECEA86B64E628F8D684696D"),
        ("DATABASE_URL", "postgresql://postgres@localhost/db"),
        ("PWD", f"/{VALUE}"),
    ],
)
def test_harmless_values(name: str, value: str) -> None:
    assert find_secrets({name: value}) == {}


def test_secrets_of_files(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".env").write_text(f"export A_TOKEN='{VALUE}1' \nB=2\n")
    (tmp_path / ".netrc").write_text(f"machine example.org login ada password {VALUE}2\n")
    (tmp_path / ".aws" / "credentials").write_text(f"[work]\naws_secret_access_key = {VALUE}3\n")
    assert find_secrets({}, home=tmp_path, folder=tmp_path) == {
        "A_TOKEN in .env": f"{VALUE}1",
        "the password of example.org in ~/.netrc": f"{VALUE}2",
        "aws_secret_access_key of [work] in ~/.aws/credentials": f"{VALUE}3",
    }


def test_files_that_cannot_be_read_have_none(tmp_path: Path) -> None:
    (tmp_path / ".netrc").mkdir()
    (tmp_path / ".env").write_bytes(b"A_TOKEN=" + b"x1Y" * 10**6)
    assert find_secrets({}, home=tmp_path, folder=tmp_path) == {}


def test_a_pipe_in_place_of_the_allowed_secrets_allows_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo(provenance.ALLOWED_FILE)
    assert provenance._allowed_digests() == []
    os.unlink(provenance.ALLOWED_FILE)
    Path(provenance.ALLOWED_FILE).write_text(f"{'AB' * 32} the key of the test server\nnot a digest\n")
    assert provenance._allowed_digests() == ["ab" * 32]
