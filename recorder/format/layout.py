"""Every file name, version number and limit of the format, and what a name says about an entry of a store."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

FORMAT = 1
"""Version of the run and store formats that this package writes."""

RUN_FILE = "run.json"
CONFIG_FILE = "config.json"
EVENTS_FILE = "events.jsonl"
EXCHANGES_FILE = "exchanges.jsonl"
SCHEMAS_FILE = "schemas.json"
COMMAND_RUN = "command"
"""The `type` of the run of a command."""
PYTHON_RUN = "python"
"""The `type` of a run that a Python program recorded."""
STREAMS = ("stdout", "stderr")
"""The files with what a recorded command wrote, byte by byte; a run of another type has neither."""
ARTIFACTS_FOLDER = "artifacts"
ENVELOPE = ("seq", "event_type", "iteration")
"""The fields that exprec gives every event."""

STORE_FILE = "store.json"
WORK_FOLDER = ".work"
WORK_HEAD_SUFFIX = ".json"
WORK_DRAFT = ".draft"
"""In a work folder: artifacts that are being copied."""
WORK_EVENTS_SUFFIX = ".events"
"""Of the file beside a work folder that a recorded command appends its events to."""
ATTESTATIONS_FOLDER = "attestations"
TAGS_FOLDER = "tags"

DEFAULT_STORE = "runs"

ID_DIGITS = 64
WORK_DIGITS = 16
SHORTEST_PREFIX = 4
"""Minimum length of an abbreviated run id, in hex digits, as in git."""

MAX_ARTIFACT_BYTES = 100 * 1000 * 1000
"""Largest artifact that is taken unless a larger one is allowed: more is seldom wanted in version control."""

MAX_LINE_BYTES = 256 * 1024 * 1024
"""Longest line of a log that is read; a longer one is damage, not data."""

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**64 - 1
"""The integers that can be recorded: signed and unsigned 64-bit ones, of which orjson keeps every digit."""
MAX_DEPTH = 254
"""Most levels of arrays and objects of a value that can be recorded."""
MAX_DOCUMENT_DEPTH = 200
"""Most levels of a document that people or models write, which leaves room for the record that contains it."""
MAX_DIGITS = 40
"""Digits of an integer that are parsed or shown: more are beyond 64 bits, and Python refuses to convert very many."""

GIT_ATTRIBUTES = "* -text -ident -filter -working-tree-encoding\nevents.jsonl diff=exprec\n"
"""Makes git restore the bytes of every file unchanged, whatever the surrounding repository configures."""
GIT_IGNORE = f"!*\n/{WORK_FOLDER}/\n"
"""Makes git ignore unsealed runs, and nothing else in the store, whatever the rules of folders above it are."""
FIRST_GIT_IGNORE = f"/{WORK_FOLDER}/\n"
"""What stores of exprec 0.1 have."""

_UNPRINTABLE = (
    r"[\x00-\x1f\x7f-\xa0\xad\u061c\u180e\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000"
    r"\ud800-\uf8ff\ufeff\ufff0-\ufffb\U000e0000-\U000e00ff\U000e01f0-\U0010ffff]"
)
"""Control and format characters, separators other than the space, surrogates, and characters of private use."""
_WINDOWS_CHARACTERS = frozenset('<>:"|?*')
_WINDOWS_DEVICES = frozenset(
    (
        "con",
        "prn",
        "aux",
        "nul",
        "conin$",
        "conout$",
        *(f"{port}{digit}" for port in ("com", "lpt") for digit in "123456789¹²³"),
    )
)
_RUN_MARKERS = frozenset((RUN_FILE, EVENTS_FILE, SCHEMAS_FILE))
_LONGEST_NAME = 1000
_LONGEST_PART = 200
"""Bytes; file systems allow 255 in one component of a path."""


def work_head_path(folder: Path) -> Path:
    """Return the file beside a work folder that names the run, and is locked while the run is in progress."""
    return folder.with_name(folder.name + WORK_HEAD_SUFFIX)


def work_events_path(folder: Path) -> Path:
    """Return the file beside a work folder to which a recorded command appends its events."""
    return folder.with_name(folder.name + WORK_EVENTS_SUFFIX)


def is_work_name(text: str) -> bool:
    """Return whether the text has the form of the name of a work folder: 16 lower-case hex digits."""
    return len(text) == WORK_DIGITS and not set(text) - set("0123456789abcdef")


def is_run_id(text: str) -> bool:
    """Return whether the text has the form of a run id: 64 lower-case hex digits."""
    return len(text) == ID_DIGITS and not set(text) - set("0123456789abcdef")


def is_run(name: str, names: Collection[str]) -> bool:
    """Return whether a folder of this name, with these names in it, is a run.

    A folder named by a run id is one even if it has lost all of its files, and any other folder that holds files
    which only runs have: a copy of a run, or a run in progress.
    """
    return is_run_id(name) or not _RUN_MARKERS.isdisjoint(names)


def is_printable(text: str) -> bool:
    """Return whether a text has no character that `_UNPRINTABLE` lists, whatever version of Unicode Python has."""
    # Compiled for the first text that is not plain: it takes longer than reading a small file.
    return (text.isascii() and text.isprintable()) or re.search(_UNPRINTABLE, text) is None


def is_artifact(file: str) -> bool:
    """Return whether a file of a run, by its path in the run, is an artifact with a valid name."""
    folder, _, name = file.partition("/")
    return folder == ARTIFACTS_FOLDER and artifact_name_problem(name) is None


def artifact_name_problem(name: str) -> str | None:
    """Return why an artifact cannot have this name: a path that is valid on every system and in git, or None.

    Failed runs record these sentences, so a change of wording changes run ids.
    """
    if not is_printable(name) or "\\" in name:
        return "has a character in its name that not every system has in paths"
    if len(name.encode()) > _LONGEST_NAME:
        return f"has a name of more than {_LONGEST_NAME} bytes"
    for part in name.split("/"):
        if part in ("", ".", ".."):
            return "must be named by a relative path that stays within its folder"
        if len(part.encode()) > _LONGEST_PART:
            return f"has a part of more than {_LONGEST_PART} bytes in its name"
        if part.lower().startswith(".git"):
            # git would read such a file as its own configuration, or refuse to store it.
            return f"is named {part}, which means something to git; name it otherwise"
    return None


def portability_problem(name: str) -> str | None:
    """Return why Windows cannot have a path with slashes, or None.

    Runs of earlier versions have such names, and are valid. Failed runs record these sentences.
    """
    for part in name.split("/"):
        forbidden = next((character for character in part if character in _WINDOWS_CHARACTERS), None)
        if forbidden is not None:
            return f"has {forbidden} in its name, which Windows does not allow; name it otherwise"
        if part.endswith((".", " ")):
            return "has a part that ends in a dot or a space in its name, which Windows removes; name it otherwise"
        if part.partition(".")[0].rstrip(" ").lower() in _WINDOWS_DEVICES:
            return f"is named {part}, which is a device on Windows; name it otherwise"
    return None


def file_key(name: str) -> str:
    """Return what is equal for two names of which some system makes one file: in case, or in normalization."""
    if name.isascii():
        return name.lower()
    # Imported here because few names need it.
    from unicodedata import normalize

    return normalize("NFD", normalize("NFD", name).casefold())
