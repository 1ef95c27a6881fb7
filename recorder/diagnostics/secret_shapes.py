"""Secrets that are known by their shape alone: keys and tokens with a fixed prefix, private keys, passwords in URLs.

The table follows what the issuers document. A match counts only if its characters look drawn at random, so that
placeholders such as `sk-xxxx` and words such as `sk-learn` pass.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

_TOKEN = r"[A-Za-z0-9_-]"
_WORD = r"[A-Za-z0-9]"
_MIN_DISTINCT = 8
"""Distinct characters of a secret; placeholders have fewer."""


class Shape(NamedTuple):
    """The shape of one issuer's secrets; `start` occurs in each of them and tells where to look."""

    name: str
    start: str
    pattern: str


SHAPES = (
    Shape("openai-key", "sk-", rf"sk-(?:(?:proj|svcacct|admin)-{_TOKEN}{{32,}}|{_WORD}{{32,}})"),
    Shape("anthropic-key", "sk-", rf"sk-ant-{_TOKEN}{{32,}}"),
    Shape("openrouter-key", "sk-", rf"sk-or-{_TOKEN}{{32,}}"),
    Shape("github-token", "gh", rf"gh[pousr]_{_WORD}{{36,}}"),
    Shape("github-pat", "github_pat_", r"github_pat_\w{40,}"),
    Shape("gitlab-token", "glpat-", rf"glpat-{_TOKEN}{{20,}}"),
    Shape("aws-key", "AKIA", r"AKIA[A-Z0-9]{16}(?![A-Za-z0-9])"),
    Shape("aws-temporary-key", "ASIA", r"ASIA[A-Z0-9]{16}(?![A-Za-z0-9])"),
    Shape("slack-token", "xox", rf"xox[abeprs]-{_TOKEN}{{20,}}"),
    Shape("slack-app-token", "xapp-", rf"xapp-{_TOKEN}{{20,}}"),
    Shape("slack-webhook", "hooks.slack.com", r"hooks\.slack\.com/services/T\w{6,}/B\w{6,}/\w{20,}"),
    Shape("discord-webhook", "/api/webhooks/", rf"/api/webhooks/\d{{15,}}/{_TOKEN}{{40,}}"),
    Shape("google-key", "AIza", rf"AIza{_TOKEN}{{35}}"),
    Shape("google-oauth-token", "ya29.", rf"ya29\.{_TOKEN}{{40,}}"),
    Shape("google-client-secret", "GOCSPX-", rf"GOCSPX-{_TOKEN}{{28}}"),
    Shape("stripe-key", "k_", rf"[sr]k_(?:live|test)_{_WORD}{{20,}}"),
    Shape("stripe-webhook-secret", "whsec_", rf"whsec_{_WORD}{{24,}}"),
    Shape("sendgrid-key", "SG.", rf"SG\.{_TOKEN}{{16,}}\.{_TOKEN}{{32,}}"),
    Shape("npm-token", "npm_", rf"npm_{_WORD}{{36}}"),
    Shape("pypi-token", "pypi-", rf"pypi-AgE{_TOKEN}{{50,}}"),
    Shape("huggingface-token", "hf_", rf"hf_{_WORD}{{30,}}"),
    Shape("replicate-token", "r8_", rf"r8_{_WORD}{{37}}"),
    Shape("digitalocean-token", "_v1_", r"do[opr]_v1_[0-9a-f]{64}"),
    Shape("shopify-token", "shp", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"),
    Shape("grafana-token", "gl", rf"gl(?:sa|c)_{_WORD}{{32,}}"),
    Shape("vault-token", "hv", rf"hv[sbr]\.{_TOKEN}{{24,}}"),
    Shape("linear-key", "lin_api_", rf"lin_api_{_WORD}{{40}}"),
    Shape("groq-key", "gsk_", rf"gsk_{_WORD}{{40,}}"),
    Shape("xai-key", "xai-", rf"xai-{_WORD}{{60,}}"),
    Shape("perplexity-key", "pplx-", rf"pplx-{_WORD}{{40,}}"),
    Shape("mailgun-key", "key-", r"key-[0-9a-f]{32}(?![0-9a-f])"),
    Shape("docker-token", "dckr_", rf"dckr_(?:pat|oat)_{_TOKEN}{{27,}}"),
    Shape("sentry-token", "sntry", r"sntry[su]_[A-Za-z0-9+/=_]{60,}"),
    Shape("tailscale-key", "tskey-", rf"tskey-[a-z]+-{_WORD}{{10,}}-{_WORD}{{20,}}"),
    Shape("postman-key", "PMAK-", r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    Shape("figma-token", "figd_", rf"figd_{_TOKEN}{{40,}}"),
    Shape("age-key", "AGE-SECRET-KEY-", r"AGE-SECRET-KEY-1[A-Z0-9]{58}"),
    Shape("notion-token", "_", rf"(?:secret_{_WORD}{{43}}|ntn_{_WORD}{{40,}})"),
    Shape(
        "jwt",
        "eyJ",
        # From the beginning of a word, which must be followed by the other two: a search for the end of the token from
        # each start in a long word would take quadratic time.
        rf"(?<!{_TOKEN})(?={_TOKEN}++\.eyJ{_TOKEN}{{8,}}+\.{_TOKEN}{{10}}){_TOKEN}*?(?<!{_WORD})"
        rf"(?P<jwt>eyJ{_TOKEN}{{8,}}+\.eyJ{_TOKEN}{{8,}}+\.{_TOKEN}{{10,}})",
    ),
    Shape("private-key", "PRIVATE KEY", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"),
    Shape("url-password", "://", r"""://[^\s/:@'"<>\\]*:(?P<url>[^\s/@'"<>\\]{8,})@"""),
    Shape("authorization", "earer", r"earer\s+(?P<bearer>[A-Za-z0-9_.=+/-]{20,})"),
    Shape("basic-authorization", "asic", r"asic\s+(?P<basic>[A-Za-z0-9+/]{16,}={0,2})"),
)
"""Each pattern begins with its start if it can: the search for a constant is fast."""

LONGEST_BEGINNING = 4096
"""Bytes of a token that is held back because it may be a secret; a longer one is let through."""

_PATTERNS = tuple((shape, re.compile(shape.pattern)) for shape in SHAPES)
_INSIDE_WORDS = (
    "url-password",
    "authorization",
    "basic-authorization",
    "slack-webhook",
    "discord-webhook",
    "private-key",
)
"""Shapes that may begin within a word; any other is then a part of something longer, such as `disk-…`."""
_STARTS = re.compile("|".join(sorted({re.escape(shape.start) for shape in SHAPES if len(shape.start) > 2})))
_SHORT_STARTS = re.compile(r"gh[pousr]_|A[KS]IA|[sr]k_(?:live|test)_|gl(?:sa|c)_|hv[sbr]\.|secret_|ntn_")
_BEGINNING = re.compile(
    rf"(?:{_STARTS.pattern}|{_SHORT_STARTS.pattern})[^\s\"'<>]*\Z"
    r"|-----BEGIN [A-Z0-9 ]*-{0,5}\Z|[Bb](?:earer|asic)\s+\S*\Z"
)
_PLACEHOLDER = re.compile(r"example|placeholder|your[-_]|change.?me|redacted|x{6}|X{6}|\*{3}|\.{3}|\$\{|\{\{")

QUICK_PATTERNS = (
    r"sk-[A-Za-z0-9_-]{16}",
    r"gh[pousr]_[A-Za-z0-9]{8}",
    r"github_pat_",
    r"glpat-",
    r"A[KS]IA[A-Z0-9]{8}",
    r"xox[abeprs]-",
    r"xapp-",
    r"hooks\.slack\.com",
    r"/api/webhooks/",
    r"AIza",
    r"ya29\.",
    r"GOCSPX-",
    r"[sr]k_(?:live|test)_",
    r"whsec_",
    r"SG\.[A-Za-z0-9_-]{8}",
    r"npm_[A-Za-z0-9]{8}",
    r"pypi-AgE",
    r"hf_[A-Za-z0-9]{8}",
    r"r8_[A-Za-z0-9]{8}",
    r"do[opr]_v1_",
    r"shp(?:at|ca|pa|ss)_",
    r"gl(?:sa|c)_[A-Za-z0-9]{8}",
    r"hv[sbr]\.",
    r"lin_api_",
    r"gsk_[A-Za-z0-9]{8}",
    r"xai-[A-Za-z0-9]{8}",
    r"pplx-",
    r"key-[0-9a-f]{8}",
    r"dckr_",
    r"sntry[su]_",
    r"tskey-",
    r"PMAK-",
    r"figd_",
    r"AGE-SECRET-KEY-",
    r"(?:secret|ntn)_[A-Za-z0-9]{8}",
    r"eyJ[A-Za-z0-9_-]{8}",
    r"PRIVATE KEY",
    r"""://[^/:@'"<>]*:[^/@'"<>]{8}""",
    r"earer",
    r"asic",
)
"""What each shape begins with, without looking ahead or back: a text without all of these contains no shape."""


class Match(NamedTuple):
    """A secret that was found by its shape: the name of the shape, and the positions of its value in the text."""

    shape: str
    start: int
    end: int


ShapeSearch = Callable[[str], Iterator[Match]]


def find_shapes(text: str) -> Iterator[Match]:
    """Yield the secrets in a text that have one of the shapes, those of one shape after another."""
    # One search for each start: the search for a constant takes a hundredth of that for a pattern.
    for shape, pattern in _PATTERNS:
        if shape.start in text:
            for match in pattern.finditer(text):
                found = match.lastgroup or 0
                start = match.start(found)
                if start and text[start - 1].isalnum() and shape.name not in _INSIDE_WORDS:
                    continue
                if _is_real(shape.name, match[found], match[0]):
                    yield Match(shape.name, match.start(found), match.end(found))


def find_beginning(text: str) -> int:
    """Return where at the end of a text a secret of one of the shapes may begin, or its end."""
    match = _BEGINNING.search(text, max(0, len(text) - LONGEST_BEGINNING))
    return len(text) if match is None else match.start()


def looks_random(text: str) -> bool:
    """Return whether a token looks drawn at random: letters of both cases or with digits, few of them repeated."""
    kinds = sum(bool(re.search(pattern, text)) for pattern in ("[a-z]", "[A-Z]", "[0-9]"))
    return kinds >= 2 and len(set(text)) >= min(len(text) // 2, _MIN_DISTINCT)


def _is_real(name: str, value: str, whole: str) -> bool:
    """Whether a match is a secret and no placeholder, word or documented example."""
    if name == "private-key":
        return True
    if _PLACEHOLDER.search(value.lower() if not name.startswith("aws-") else value) or "EXAMPLE" in value:
        return False
    if name == "url-password":
        return _is_url_password(value, whole)
    if name == "basic-authorization":
        return _is_basic(value)
    return looks_random(value)


def _is_url_password(value: str, whole: str) -> bool:
    user = whole.partition("://")[2].partition(":")[0]
    return value != user and value.lower() not in ("password", "anonymous", "postgres", "username", "changeme")


def _is_basic(value: str) -> bool:
    import binascii

    try:
        decoded = binascii.a2b_base64(value)
    except ValueError:
        return False
    return b":" in decoded and all(32 <= byte < 127 for byte in decoded)
