"""Which values are secrets: those of variables named like one, of `.env`, `~/.netrc` and `~/.aws/credentials`.

A name decides together with the value, because `KEY=production` is harmless: words of configurations, placeholders,
identifiers and numbers are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from exprec import schemas

MAX_FILE_BYTES = 1024 * 1024
"""A larger file of secrets is not read."""


def _words(text: str) -> list[str]:
    return text.split()


_WORD_BORDER = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
_SECRET_WORD = re.compile(
    r"(?:.*(?:TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|APIKEY|ACCESSKEY|SECRETKEY|PRIVATEKEY|AUTHKEY|SSHKEY)S?"
    r"|PAT|[A-Z]*PWD|(?!BY|COM|TRES|SUR|UNDER|OVER)[A-Z]*PASS|O?AUTH|AUTHORIZATION|COOKIES?|JWT|WEBHOOKS?|CREDS?|KEYS?"
    r"|CONNECTIONSTRING|CONNSTR)"
)
_CONNECTION = re.compile(r"CONN(?:ECTION)?_?STR(?:ING)?", re.IGNORECASE)
_HARMLESS_BEFORE = frozenset(
    _words(
        """
        PRIMARY FOREIGN SORT CACHE PARTITION PUBLIC INDEX GROUP SHARD ROW OBJECT RANGE HASH FEATURE LABEL JOIN DICT
        METRIC CONFIG TRANSLATION PATH S3 SORTING EOS BOS PAD UNK SEP CLS MASK STOP START END EOT SPECIAL IMAGE NUM
        MAX MIN HOT FINGERPRINT GPG PGP
        """
    )
)
"""Words before KEY or TOKEN in names of harmless values."""
_HARMLESS_LAST = frozenset(
    _words(
        """
        TYPE METHOD SOCK FILE PATH DIR NAME HOST PORT MODE ALGORITHM ALG LENGTH SIZE COUNT LIMIT TTL EXPIRY EXPIRES
        TIMEOUT VERSION FORMAT PREFIX SUFFIX HEADER PROVIDER ENABLED REGION ISSUER AUDIENCE POLICY ROTATION DATE ID
        LAYOUT
        """
    )
)
"""Last words of names of what describes a secret; such a value must look drawn at random."""
_WORKING_FOLDERS = ("PWD", "OLDPWD")
_NAMES_A_URL = re.compile(r"(?:^|_)(?:URL|URI|DSN|PROXY|ENDPOINT)S?$")
_WORDS = re.compile(r"[A-Za-z]+(?:[_. -][A-Za-z]+)*")
_NUMBER = re.compile(r"[0-9]{1,15}")
_NUMBERS = re.compile(r"[0-9]{1,4}")
_IDENTIFIER = re.compile(r"[a-z][a-z0-9]*(?:[._/][a-z0-9]+)+")
_PLACEHOLDER = re.compile(r"<.*>|\[.*\]|\{\{.*\}\}|\$.*|([^0-9])\1*|[*.xX-]+", re.DOTALL)
_FINGERPRINT = re.compile(r"(?:0x)?[0-9A-Fa-f ]{16,60}")
_PART = re.compile(r"[A-Za-z0-9]+")
_PLAIN_USER = re.compile(r"[A-Za-z][A-Za-z._-]*[0-9]{0,4}")
_ASSIGNMENT = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=\s*(.*)")
_COMMON_WORDS = frozenset(
    _words(
        """
        a account additional all an and anonymous api app application auth authentication bearer branch build
        business by cache change changeme config ctrl customer data date debian db default department deploy dev
        development disabled docker dummy enabled endoftext environment event example false first from gevent here
        highland hmac id is install internal key latest linux local localhost login lower macos main master me
        metadata my name needed no node none north not null of off ok on order page park pass password pip
        placeholder please postgres premium price prod product production project public python read readonly real
        region release replace required root run same secret service session set shared shift site sk staging stable
        standard storage strict string sub system test tests testing text time timestamp title token train true type
        ubuntu undefined unknown unset update us user username value version web west windows with write www you
        your yes
        """
    )
)
"""A value of these words alone is harmless: names of environments, identifiers, placeholders."""
_LONG_DIGITS = 8
_LONG_PART = 10
_SHORTEST_PART = 16
"""Characters of a part of a value, such as a cookie, that is searched for by itself."""


def find_secrets(
    environment: Mapping[str, str], *, home: Path | None = None, folder: Path | None = None
) -> dict[str, str]:
    """Return the secrets in an environment and in the files of a user, by the name of their source.

    The files are `.env` in `folder`, `.netrc` and `.aws/credentials` in `home`. A file that cannot be read has none.
    """
    found = dict(_of_variables(environment))
    if folder is not None:
        named = {
            f"{name} in .env": value for name, value in _of_variables(_assignments(read_small_file(folder / ".env")))
        }
        found = {**named, **found}
    if home is not None:
        found.update(_of_netrc(read_small_file(home / ".netrc")))
        found.update(_of_aws(read_small_file(home / ".aws" / "credentials")))
    return found


def _of_variables(variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in variables.items():
        value = value.strip()
        if names_secret(name) and name not in _WORKING_FOLDERS:
            parts = dict.fromkeys((value, *_parts(value)))
            secrets = [part for part in parts if is_secret(name, part)]
            for number, part in enumerate(secrets):
                yield name if number == 0 else f"part {number} of {name}", part
        elif _NAMES_A_URL.search(name.upper()):
            yield from _of_url(name, value)


def names_secret(name: str) -> bool:
    """Return whether the value of a variable of this name may be a secret."""
    words = _split_name(name)
    return any(_SECRET_WORD.fullmatch(word) for word in words) or _CONNECTION.search(name) is not None


def is_secret(name: str, value: str) -> bool:
    """Return whether the value of a variable that is named like a secret is one."""
    if _is_ordinary(value):
        return False
    words = _split_name(name)
    if "WEBHOOK" in name.upper() or _CONNECTION.search(name):
        return True
    for before, word in zip(["", *words], words, strict=False):
        if before in _HARMLESS_BEFORE and word in ("KEY", "KEYS", "TOKEN", "TOKENS"):
            return before in ("GPG", "PGP") and _FINGERPRINT.fullmatch(value) is None
    if words[-1] in _HARMLESS_LAST:
        return _looks_random(value)
    is_key = any(word in ("KEY", "KEYS") for word in words)
    return not (is_key and _IDENTIFIER.fullmatch(value))


def _split_name(name: str) -> list[str]:
    return [word.upper() for word in _WORD_BORDER.split(name) if word] or [""]


def _is_ordinary(value: str) -> bool:
    """Whether a value is harmless under any name."""
    if not value or _PLACEHOLDER.fullmatch(value) or _NUMBER.fullmatch(value) or _is_common(value):
        return True
    if _WORDS.fullmatch(value):
        return any(value.encode() in schemas.text(name) for name in schemas.names())
    try:
        return "/" in value and Path(value).expanduser().exists()
    except (OSError, RuntimeError, ValueError):
        return False


def _is_common(value: str) -> bool:
    parts = [word for part in _PART.findall(value) for word in re.findall(r"[A-Za-z]+|[0-9]+", part)]
    return all(word.lower() in _COMMON_WORDS or _NUMBERS.fullmatch(word) for word in parts)


def _looks_random(value: str) -> bool:
    """Whether a part of a value mixes letters with digits, or has many digits."""
    return any(
        len(part) >= _LONG_PART and re.search("[0-9]", part) and re.search("[A-Za-z]", part)
        for part in _PART.findall(value)
    ) or bool(re.search(rf"[0-9]{{{_LONG_DIGITS},}}", value) and re.search("[A-Za-z]", value))


def _parts(value: str) -> Iterator[str]:
    """Yield the parts of a value that are secrets by themselves: of a header, a cookie, a connection string, JSON."""
    kind, _, credential = value.partition(" ")
    if kind.lower() in ("bearer", "basic", "token", "apikey") and credential:
        yield credential.strip()
    elif value.startswith("{"):
        yield from _parts_of_json(value)
    elif ";" in value:
        for pair in value.split(";"):
            part = pair.partition("=")[2].strip()
            if len(part) >= _SHORTEST_PART and _looks_random(part):
                yield part
    elif "://" in value:
        yield from (secret for _, secret in _of_url("", value))


def _parts_of_json(value: str) -> Iterator[str]:
    try:
        document = json.loads(value, strict=False)
    except (ValueError, RecursionError):
        return
    if isinstance(document, dict):
        named: dict[str, Any] = {name: part for name, part in document.items() if isinstance(part, str)}
        yield from (part for name, part in named.items() if names_secret(name) and is_secret(name, part))


def _of_url(name: str, value: str) -> Iterator[tuple[str, str]]:
    from urllib.parse import unquote, urlsplit

    try:
        parts = urlsplit(value)
        secret, user = parts.password, parts.username
    except ValueError:
        return
    if not secret and user and not _PLAIN_USER.fullmatch(user):
        secret = user
    if secret and not _is_ordinary(secret):
        yield f"the password in {name}", unquote(secret)
        yield f"the password in {name}, as it stands there", secret


def _assignments(text: str) -> dict[str, str]:
    """Return the variables of a `.env` file."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _ASSIGNMENT.fullmatch(line)
        if match is not None:
            value = match[2].strip()
            quoted = re.match(r"""(["'])(.*)\1""", value)
            found[match[1]] = quoted[2] if quoted else re.sub(r"\s#.*", "", value)
    return found


def _of_netrc(text: str) -> Iterator[tuple[str, str]]:
    words = text.split()
    machine = ""
    for word, value in pairwise(words):
        if word == "machine":
            machine = value
        elif word == "password" and not _is_ordinary(value):
            yield f"the password of {machine} in ~/.netrc", value


def _of_aws(text: str) -> Iterator[tuple[str, str]]:
    section = ""
    for line in text.splitlines():
        if line.strip().startswith("["):
            section = line.strip()
        name, _, value = (part.strip() for part in line.partition("="))
        if value and names_secret(name) and is_secret(name, value):
            yield f"{name} of {section} in ~/.aws/credentials", value


def read_small_file(path: Path) -> str:
    """Return the text of a file; empty for one that cannot be read, is large, or is not a regular file."""
    try:
        if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
            return ""
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
