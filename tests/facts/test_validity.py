"""What makes a sealed run valid: `verify`, and a reader written from the page, check each fact that F97 lists."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exprec import schemas
from exprec.recorder.format import layout
from exprec.recorder.store.store import find_run
from exprec.recorder.verify import verify_run
from tests.fixtures.cli import exprec
from tests.fixtures.damages import READER, Files, edit_document, edit_records, read_run, reseal, write_run
from tests.fixtures.files import read_json
from tests.fixtures.git import commit_all, git
from tests.fixtures.paths import ROOT
from tests.fixtures.runs import Run

ARCHIVE = ROOT / "tests" / "archive" / "v1" / "store"
ASKED, COMMAND, PROGRAM, SEARCHED = (
    (ARCHIVE / "tags" / tag).read_text("ascii").strip() for tag in ("asked", "command", "program", "search")
)
EVENTS, EXCHANGES = layout.EVENTS_FILE, layout.EXCHANGES_FILE
NOW = "now"
"""A run with model calls that this version records."""

Edit = Callable[[Files], Any]


def _verdicts(folder: Path) -> tuple[bool, bool]:
    """Return whether a run is valid, for `verify` and for the reader."""
    try:
        READER.verify(folder)
        is_valid = True
    except Exception:
        is_valid = False
    return list(verify_run(find_run(str(folder), folder.parent))) == [], is_valid


def _document(name: str, edit: Callable[[Any], Any]) -> Edit:
    return lambda files: edit_document(files, name, edit)


def _head(edit: Callable[[Any], Any]) -> Edit:
    return _document("run.json", edit)


def _events(edit: Callable[[list[Any]], Any]) -> Edit:
    return lambda files: edit_records(files, EVENTS, edit)


def _set(kind: str, **fields: Any) -> Edit:
    """Change fields of the first event of a type."""
    return _events(lambda events: next(each for each in events if each["event_type"] == kind).update(fields))


def _move(kind: str, by: int) -> Edit:
    """Move the first event of a type by some lines."""

    def move(events: list[Any]) -> None:
        at = next(number for number, each in enumerate(events) if each["event_type"] == kind)
        events.insert(at + by, events.pop(at))

    return _events(move)


def _drop(kind: str) -> Edit:
    return _events(lambda events: events.remove(next(each for each in events if each["event_type"] == kind)))


def _exchange(**fields: Any) -> Edit:
    return lambda files: edit_records(files, EXCHANGES, lambda records: records[0].update(fields))


CONTINUED: dict[str, Any] = {"exchange": 0, "same": ["model"], "first": {"messages": 2, "tools": 1}}
UNRESOLVABLE: tuple[dict[str, Any], ...] = (
    {"exchange": 1},
    {"exchange": 99},
    {"same": ["temperature"]},
    {"same": ["messages"]},
    {"first": {"messages": 3}},
    {"first": {"model": 1}},
    {"first": {"other": 1}},
)
"""Changes after which the second exchange does not say what it has from the first."""


def _continued(change: dict[str, Any]) -> Edit:
    """Give the first two exchanges requests of which the second continues the first, with a change."""
    first = {"model": "m", "messages": [1, 2], "tools": [1]}
    second = {"messages": [3], "tools": [], "other": []}

    def edit(records: list[Any]) -> None:
        records[0].update(request={"json": first})
        records[1].update(request={"json": second}, continues={**CONTINUED, **change})

    return lambda files: edit_records(files, EXCHANGES, edit)


def _bytes(name: str, old: bytes, new: bytes) -> Edit:
    def replace(files: Files) -> None:
        assert old in files[name]
        files[name] = files[name].replace(old, new, 1)

    return replace


def _schema(name: str, edit: Callable[[Any], Any]) -> Edit:
    return _document("schemas.json", lambda schemas: edit(schemas[name]))


def _rename_schema(old: str, new: str) -> Edit:
    return _document("schemas.json", lambda schemas: schemas.update({new: schemas.pop(old)}))


def _file(name: str, data: bytes | None) -> Edit:
    return lambda files: files.pop(name) if data is None else files.update({name: data})


FLOAT = "float.v1"

# The run, the change, and whether sizes and digests ("digests"), also the numbers of lines and what follows from the
# events ("all"), or nothing ("") is made to fit again.
BROKEN: dict[str, list[tuple[str, Edit, str]]] = {
    "F12": [(SEARCHED, _file(EXCHANGES, b""), "digests")],
    "F13": [
        (SEARCHED, _document("schemas.json", lambda schemas: schemas.pop("event.policy_change.v1")), "digests"),
        (PROGRAM, _document("schemas.json", lambda schemas: schemas.update({"event.more.v1": {}})), "digests"),
        (PROGRAM, _set("epoch", loss="low"), "all"),
    ],
    "F14": [(ASKED, _head(lambda head: head.update(more=1)), "digests")],
    "F15": [(ASKED, _file("notes", b""), "digests"), (ASKED, _file("config.json", None), "digests")],
    "F17": [
        (ASKED, _head(lambda head: head["files"]["config.json"].update(size=1)), ""),
        (ASKED, _head(lambda head: head["files"].pop("config.json")), ""),
    ],
    "F18": [
        (ASKED, _head(lambda head: head["counts"].update(events=99)), "digests"),
        (ASKED, _head(lambda head: head["counts"].update(exchanges=99)), "digests"),
        (ASKED, _head(lambda head: head["counts"].update(iterations=99)), "digests"),
        (ASKED, _head(lambda head: head["counts"]["by_type"].pop("iteration_end")), "digests"),
    ],
    "F19": [
        (ASKED, _drop("experiment_end"), "all"),
        (PROGRAM, _set("phase", event_type="run_end"), "all"),
        (ASKED, _head(lambda head: head.update(status="failed")), "digests"),
        (ASKED, _head(lambda head: head.update(result=None)), "digests"),
        (ASKED, _head(lambda head: head.update(failure={"error_type": "x", "message": ""})), "digests"),
    ],
    "F20": [(ASKED, _head(lambda head: head.update(inputs="0" * 64)), "")],
    "F29": [
        (ASKED, _bytes("config.json", b"{", b"\xef\xbb\xbf{"), "digests"),
        (ASKED, _bytes("config.json", b"\n}\n", b"\n}\n\n"), "digests"),
        (ASKED, _file("config.json", b"[]\n"), "digests"),
    ],
    "F30": [(ASKED, _bytes(EVENTS, b'":', b'": '), "digests")],
    "F31": [(ASKED, _file("config.json", b'{"a":1}\n'), "digests")],
    "F32": [(PROGRAM, _bytes("config.json", b"{\n", b'{\n  "~": 1,\n'), "digests")],
    "F33": [(ASKED, _bytes(EVENTS, b"experiment_end", b"experiment\\u005fend"), "digests")],
    "F34": [(PROGRAM, _file("config.json", b'{\n  "a": %s\n}\n' % text), "digests") for text in (b"1.50", b"1e-5")],
    "F35": [(PROGRAM, _file("config.json", b'{\n  "a": 18446744073709551616\n}\n'), "digests")],
    "F36": [
        (PROGRAM, _file("config.json", b'{\n  "a": NaN\n}\n'), "digests"),
        (PROGRAM, _bytes(EVENTS, b'"epoch"', b'"epoch","deep":' + b"[" * 254 + b"]" * 254), "digests"),
    ],
    "F38": [(ASKED, _bytes(EVENTS, b'"seq":0', b'"seq":0,"seq":0'), "digests")],
    "F40": [(ASKED, _events(lambda events: events[3].update(seq=4)), "digests")],
    "F41": [(PROGRAM, _events(lambda events: events[0].update(iteration=9)), "all")],
    "F46": [(ASKED, lambda files: files.update({EVENTS: files[EVENTS][:-1]}), "digests")],
    "F49": [
        (ASKED, _move("experiment_start", 2), "all"),
        (ASKED, _set("experiment_start", agents=["BANK_A", "BANK_A"]), "all"),
    ],
    "F50": [(ASKED, _move("iteration_start", 1), "all"), (SEARCHED, _drop("iteration_start"), "all")],
    "F51": [(ASKED, _move("bootstrap_evaluation", 1), "all")],
    "F55": [(SEARCHED, _drop("iteration_end"), "all"), (SEARCHED, _move("iteration_end", -1), "all")],
    "F56": [
        *[(SEARCHED, _set("experiment_end", **{key: 99}), "all") for key in ("final_cost", "best_cost")],
        (SEARCHED, _set("experiment_end", num_iterations=99), "all"),
        (NOW, _set("experiment_end", proposals={"usable": 0, "rejected": 0, "failed": 0}), "all"),
        (NOW, _set("experiment_end", best_iteration=99), "all"),
    ],
    "F58": [
        (SEARCHED, _set("policy_change", agent_id="NOBODY"), "all"),
        (SEARCHED, _drop("policy_change"), "all"),
        (SEARCHED, _set("iteration_end", convergence={"criterion": "x", "met": True}), "all"),
    ],
    "F59": [
        (ASKED, _set("llm_call", exchange=99), "all"),
        (ASKED, _exchange(latency_seconds=99.0), "digests"),
        (ASKED, _exchange(index=1), "digests"),
        *[(NOW, _set("llm_call", **{key: 99}), "all") for key in ("attempt", "prompt_tokens", "reasoning_tokens")],
        *[(NOW, _set("llm_call", **{key: "x"}), "all") for key in ("agent_id", "model", "finish_reason")],
        (NOW, _exchange(origin=None), "digests"),
        (NOW, _exchange(latency_seconds=99.0), "digests"),
    ],
    "F60": [
        (ASKED, _exchange(answer=None), "digests"),
        (ASKED, _exchange(error="refused"), "digests"),
        (NOW, _exchange(answer=None), "digests"),
    ],
    "F68": [(ASKED, _set("iteration_start", total_cost=1.0), "all")],
    "F76": [(COMMAND, _file("stdout", None), "digests"), (PROGRAM, _file("stderr", b""), "digests")],
    "F78": [(PROGRAM, _file(f"artifacts/{name}", b""), "digests") for name in (".gitx", "a\u200b", "x" * 201, "a\\b")],
    "F83": [
        (COMMAND, _set("command_end", signal="SIGTERM"), "all"),
        (COMMAND, _move("command_end", -1), "all"),
        (COMMAND, _drop("command_end"), "all"),
        (COMMAND, _head(lambda head: head.update(type="python")), "digests"),
    ],
    "F84": [(COMMAND, _set("command_end", exit_status=1), "all")],
    "F93": [
        (PROGRAM, _rename_schema("event.epoch.v1", name), "digests")
        for name in ("event.epoch.v01", "event.epoch", "event.epoch.v1.0", "Event.epoch.v1", "event.epoch.v1234567890")
    ],
    "F94": [
        (PROGRAM, _document("schemas.json", lambda schemas: schemas.pop("event.run_end.v1")), "digests"),
        (PROGRAM, _document("schemas.json", lambda all_: all_.update({"event.epoch.v2": {}})), "digests"),
        (ASKED, _rename_schema("exchange.v1", "event.exchange.v1"), "digests"),
    ],
    "F95": [
        (PROGRAM, _schema("event.v1", lambda schema: schema.update(description="another")), "digests"),
        (PROGRAM, _schema("event.v1", lambda schema: schema["properties"]["seq"].update(minimum=0.0)), "digests"),
        (PROGRAM, _schema("event.epoch.v1", lambda schema: schema.update(type="nothing")), "digests"),
    ],
    "F96": [(SEARCHED, _move("policy_change", -1), "all")],
    "F100": [
        *[(NOW, _exchange(arrival=arrival), "digests") for arrival in (1, 99)],
        (NOW, _exchange(after=1), "digests"),
    ],
    "F101": [(NOW, _continued(change), "digests") for change in UNRESOLVABLE],
    "F108": [(PROGRAM, _document("schemas.json", lambda found: found.update({FLOAT: schemas.load(FLOAT)})), "digests")],
}  # fmt: skip

UNTESTED_HERE = {"F2", "F47", "F79", "F99"}
"""Facts of F97 with tests of their own: of the name of a run, of 256 MiB, of the time that a schema may take, and of
costs."""


def _listed() -> set[str]:
    page = (ROOT / "schemas" / "FORMAT.md").read_text("utf-8")
    text = page.partition("- **F97.**")[2].partition("`exprec verify`")[0]
    found = set()
    for first, last in re.findall(r"F(\d+)(?: to F(\d+))?", text):
        found |= {f"F{number}" for number in range(int(first), int(last or first) + 1)}
    return found


@pytest.mark.fact("F97")
def test_each_listed_fact_is_tested() -> None:
    assert _listed() == BROKEN.keys() | UNTESTED_HERE


@pytest.mark.fact("F93", "F94", "F95", "F96", "F97")
@pytest.mark.parametrize(
    ("fact", "number"), [(fact, number) for fact, each in BROKEN.items() for number in range(len(each))]
)
def test_a_run_without_a_fact_is_not_valid(fact: str, number: int, asked: Run, tmp_path: Path) -> None:
    run, edit, fitted = BROKEN[fact][number]
    files = read_run(asked.folder if run == NOW else ARCHIVE / run)
    edit(files)
    run_id = reseal(files, deeply=fitted == "all", keeps_head=not fitted)
    assert _verdicts(write_run(files, tmp_path / "store", run_id)) == (False, False)


@pytest.mark.fact("F100", "F101")
def test_exchanges_as_other_programs_have_them_are_valid(asked: Run, tmp_path: Path) -> None:
    files = read_run(asked.folder)
    assert _verdicts(asked.folder) == (True, True)

    def edit(records: list[Any]) -> None:
        last = len(records) - 1
        for record in records:
            record.update(arrival=last - record["index"], after=0)

    edit_records(files, EXCHANGES, edit)
    _continued({})(files)
    assert _verdicts(write_run(files, tmp_path / "store", reseal(files, deeply=False))) == (True, True)


@pytest.mark.fact("F2", "F28")
def test_a_run_under_another_name_is_not_valid(tmp_path: Path) -> None:
    for name in ("0" * 64, "copy"):
        folder = write_run(read_run(ARCHIVE / PROGRAM), tmp_path / name / "store", name)
        assert _verdicts(folder) == (False, False)


VALID: dict[str, Edit] = {
    "a type without a schema of its own": _document("schemas.json", lambda schemas: schemas.pop("event.epoch.v1")),
    "another version of a declared type": _rename_schema("event.epoch.v1", "event.epoch.v12"),
    "any event under `event.v1`": _set("phase", event_type="unheard_of"),
    "a declared schema with other fields": _schema("event.epoch.v1", lambda schema: schema.update(title="Other")),
    "an artifact of any bytes": _file("artifacts/a/é\U0001fae8", b"\xff\r\n"),
}


@pytest.mark.fact("F93", "F94", "F95", "F97")
@pytest.mark.parametrize("edit", VALID.values(), ids=VALID.keys())
def test_what_no_fact_forbids_is_valid(edit: Edit, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    files = read_run(ARCHIVE / PROGRAM)
    edit(files)
    run_id = reseal(files, deeply="any event" in request.node.name)
    assert _verdicts(write_run(files, tmp_path / "store", run_id)) == (True, True)


@pytest.mark.fact("F25", "F26", "F27")
def test_the_executable_bit_changes_the_id_of_git_alone(tmp_path: Path) -> None:
    folder = write_run(read_run(ARCHIVE / PROGRAM), tmp_path / "runs", PROGRAM)
    (tmp_path / "runs" / ".gitattributes").write_text(layout.GIT_ATTRIBUTES)
    (tmp_path / "runs" / ".gitignore").write_text(layout.GIT_IGNORE)
    (folder / "config.json").chmod(0o755)
    git(tmp_path, "init", "-q", "--object-format=sha256")
    git(tmp_path, "config", "core.fileMode", "true")
    commit_all(tmp_path, "runs")
    assert git(tmp_path, "rev-parse", f"HEAD:runs/{PROGRAM}") != PROGRAM
    assert _verdicts(folder) == (True, True)
    done = exprec("verify", "--git", "HEAD", cwd=tmp_path, code=1)
    assert b"config.json: is executable, which gives the run another id in git" in done.stdout
    (folder / "config.json").chmod(0o644)
    commit_all(tmp_path, "modes")
    exprec("verify", "--git", "HEAD", cwd=tmp_path)
    assert git(tmp_path, "rev-parse", f"HEAD:runs/{PROGRAM}") == PROGRAM == READER.git_id(read_run(folder)).hex()
    assert read_json(folder / "run.json")["type"] == "python"
