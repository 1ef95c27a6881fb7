"""Appending events: as exprec does it, and as nobody can do it faster in Python."""

from __future__ import annotations

import hashlib
import os
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import orjson

from benchmarks.course import decisions
from exprec.recorder import events
from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.state.provider import LiveStateProvider
from exprec.recorder.store.store import Store

SAMPLES = 9
"""With which a policy change is a line of about 300 bytes."""
_DIFFERENT = 1000


def appended(folder: str, count: int) -> dict[str, Any]:
    """Append policy changes to the log of a run in a store: checked against their schema, and read back."""
    recording = Store.open_or_create(Path(folder) / "store").begin("append", "generic", {}, SecretGuard())
    work = list(islice(cycle(decisions(_DIFFERENT, SAMPLES)), count))
    began = time.perf_counter()
    for fields in work:
        recording.events.append(events.POLICY_CHANGE, 1, fields)
    seconds = time.perf_counter() - began
    recording.close()
    return _measured(seconds, count, recording.folder / "events.jsonl")


def recorded(folder: str, count: int) -> dict[str, Any]:
    """The same by the call that the loop of an experiment makes, which looks for secrets and keeps the state."""
    # With a key to look for, as whoever asks a model has one.
    guard = SecretGuard({"API_KEY": "sk-0123456789abcdefghijklmnopqrstuvwxyz"})
    recording = Store.open_or_create(Path(folder) / "store").begin("append", "generic", {}, guard)
    provider = LiveStateProvider("append", recording=recording)
    work = list(islice(cycle(decisions(_DIFFERENT, SAMPLES)), count))
    began = time.perf_counter()
    for fields in work:
        provider.record_event(1, events.POLICY_CHANGE, fields)
    seconds = time.perf_counter() - began
    provider.close()
    return _measured(seconds, count, recording.folder / "events.jsonl")


def bare(folder: str, count: int) -> dict[str, Any]:
    """Encode and write the same lines, and nothing else: no check, no look at what was written."""
    path = Path(folder) / "bare.jsonl"
    work = [{**fields, "event_type": events.POLICY_CHANGE, "iteration": 1} for fields in decisions(_DIFFERENT, SAMPLES)]
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND)
    option = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    began = time.perf_counter()
    for seq, event in enumerate(islice(cycle(work), count)):
        event["seq"] = seq
        os.write(handle, orjson.dumps(event, option=option))
    seconds = time.perf_counter() - began
    os.close(handle)
    return _measured(seconds, count, path)


def _measured(seconds: float, count: int, path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {"seconds": seconds, "count": count, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
