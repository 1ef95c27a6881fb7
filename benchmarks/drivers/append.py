"""Drivers that append events: with exprec, and with a bare encode and write as the lower bound."""

from __future__ import annotations

import hashlib
import os
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import orjson

from benchmarks.workload import policy_changes
from exprec.recorder.diagnostics import SecretGuard
from exprec.recorder.events import optimization
from exprec.recorder.state import LiveStateProvider
from exprec.recorder.store import Store

SAMPLES = 9
"""Number of samples with which a policy change is a line of about 300 bytes."""
_DISTINCT_EVENTS = 1000


def appended(folder: str, count: int) -> dict[str, Any]:
    """Append policy changes to the log of a run: validated by their schema and read back."""
    recording = Store.open_or_create(Path(folder) / "store").begin("append", "generic", {}, SecretGuard())
    work = list(islice(cycle(policy_changes(_DISTINCT_EVENTS, SAMPLES)), count))
    began = time.perf_counter()
    for fields in work:
        recording.events.append(optimization.POLICY_CHANGE.event_type, 1, fields)
    seconds = time.perf_counter() - began
    recording.close()
    return _result(seconds, count, recording.folder / "events.jsonl")


def recorded(folder: str, count: int) -> dict[str, Any]:
    """Append the same events as an experiment does, with the secret guard and the reducer."""
    # A key to scan for, as in every experiment that calls a model.
    guard = SecretGuard({"API_KEY": "sk-0123456789abcdefghijklmnopqrstuvwxyz"})
    recording = Store.open_or_create(Path(folder) / "store").begin("append", "generic", {}, guard)
    provider = LiveStateProvider("append", recording=recording)
    work = list(islice(cycle(policy_changes(_DISTINCT_EVENTS, SAMPLES)), count))
    began = time.perf_counter()
    for fields in work:
        provider.record_event(1, optimization.POLICY_CHANGE.event_type, fields)
    seconds = time.perf_counter() - began
    provider.close()
    return _result(seconds, count, recording.folder / "events.jsonl")


def bare(folder: str, count: int) -> dict[str, Any]:
    """Encode and write the same lines without validation and without reading back."""
    path = Path(folder) / "bare.jsonl"
    work = [
        {**fields, "event_type": optimization.POLICY_CHANGE.event_type, "iteration": 1}
        for fields in policy_changes(_DISTINCT_EVENTS, SAMPLES)
    ]
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND)
    option = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
    began = time.perf_counter()
    for seq, event in enumerate(islice(cycle(work), count)):
        event["seq"] = seq
        os.write(handle, orjson.dumps(event, option=option))
    seconds = time.perf_counter() - began
    os.close(handle)
    return _result(seconds, count, path)


def _result(seconds: float, count: int, path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {"seconds": seconds, "count": count, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
