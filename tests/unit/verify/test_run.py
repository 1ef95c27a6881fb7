"""What verify says of a run, word by word: of its files, what its head says of them, its name and its place."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.events import common, optimization
from exprec.recorder.format import canonical_json
from exprec.recorder.store.run_directory import RunDirectory, Summary
from exprec.recorder.store.store import Store
from exprec.recorder.verify import verify_run
from exprec.recorder.verify.messages import RESTORE
from exprec.schemas import load
from tests.fixtures import runs
from tests.fixtures.events import EXAMPLES, EXCHANGE

Said = tuple[str, tuple[Any, ...], str]
ADDRESS: Said = (
    "run.json",
    (),
    f"the files have the run id #, but their folder is named #: this file or another one was changed, or the folder "
    f"was renamed; {RESTORE}",
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.open_or_create(tmp_path / "runs")
    runs.record_command(store)
    return store


def told(run: Path, *, quick: bool = False) -> list[Said]:
    """The problems: file in the run, path of the key, message; addresses and digests are shown as #."""
    found = []
    for problem in verify_run(RunDirectory(run), quick=quick):
        source = str(problem.source).removeprefix(run.name).removeprefix("/")
        found.append((source, problem.path, re.sub("[0-9a-f]{64}", "#", problem.message)))
    return found


def rewrite_head(run: Path, **changes: Callable[[Any], Any]) -> None:
    path = run / "run.json"
    head = json.loads(path.read_bytes())
    for key, change in changes.items():
        head[key] = change(head[key])
    path.write_bytes(canonical_json.encode(head, indent=True))


def instead(path: Path, make: Callable[[Path], object]) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    make(path)


def lose_output(run: Path) -> None:
    (run / "stdout").unlink()
    rewrite_head(run, files=lambda files: {name: files[name] for name in files if name != "stdout"})


def list_more(files: dict[str, Any]) -> dict[str, Any]:
    return {**files, **dict.fromkeys(("artifacts/x", "notes", "notes/a", "run.json"), files["stdout"])}


Damage = Callable[[Path], object]


def add_files(*names: str) -> Damage:
    def add(run: Path) -> None:
        for name in names:
            (run / name).parent.mkdir(exist_ok=True)
            (run / name).touch()

    return add


CASES: dict[str, tuple[Damage, list[Said]]] = {
    "a file more": (
        lambda run: (run / "more.txt").write_text("x"),
        [("more.txt", (), "unexpected in a run; move it elsewhere")],
    ),
    "files of operating systems": (
        add_files(".DS_Store", "._run.json", "artifacts/Thumbs.db", "x.DS_Store"),
        [
            (".DS_Store", (), "was not recorded; it is from macOS: delete it"),
            ("._run.json", (), "was not recorded; it is from macOS: delete it"),
            ("x.DS_Store", (), "unexpected in a run; move it elsewhere"),
            ("artifacts/Thumbs.db", (), "was not recorded; it is from Windows: delete it"),
        ],
    ),
    "a folder of an operating system": (
        add_files("artifacts/@eaDir/a"),
        [("artifacts/@eaDir/a", (), "was not recorded; it is from Synology: delete it")],
    ),
    "a file less": (
        lambda run: (run / "schemas.json").unlink(),
        [("schemas.json", (), f"is missing; {RESTORE}"), ADDRESS],
    ),
    "a folder for a file": (
        lambda run: instead(run / "config.json", Path.mkdir),
        [("config.json", (), f"is a folder, not a regular file; {RESTORE}"), ADDRESS],
    ),
    "a file for a folder": (
        lambda run: instead(run / "artifacts", Path.touch),
        [
            ("artifacts", (), f"is a file, not a folder; {RESTORE}"),
            ("artifacts/deep/er/a.b", (), f"is missing, but listed in run.json; {RESTORE}"),
            ("artifacts/model.txt", (), f"is missing, but listed in run.json; {RESTORE}"),
            ADDRESS,
        ],
    ),
    "an empty folder": (
        lambda run: (run / "artifacts" / "empty").mkdir(),
        [("artifacts/empty", (), "is an empty folder, which git does not store; remove it")],
    ),
    "what is for git": (
        lambda run: (run / "artifacts" / ".git").mkdir(),
        [
            (
                "artifacts/.git",
                (),
                "is named .git, which means something to git; name it otherwise; not a valid artifact: move it "
                "elsewhere",
            )
        ],
    ),
    "a pipe for an artifact": (
        lambda run: instead(run / "artifacts" / "model.txt", os.mkfifo),
        [("artifacts/model.txt", (), f"is a special file, not a regular file; {RESTORE}"), ADDRESS],
    ),
    "an artifact more": (
        lambda run: (run / "artifacts" / "more").touch(),
        [("artifacts/more", (), f"is not listed in run.json; {RESTORE}"), ADDRESS],
    ),
    "no output": (
        lose_output,
        [("stdout", (), f"is missing; every run of a command has it: {RESTORE}"), ADDRESS],
    ),
    "output that is gone": (
        lambda run: (run / "stdout").unlink(),
        [("stdout", (), f"is missing, but listed in run.json; {RESTORE}"), ADDRESS],
    ),
    "output of another kind of run": (
        lambda run: rewrite_head(run, type=lambda _: "python"),
        [
            ("stdout", (), "unexpected in a run of type 'python'; move it elsewhere"),
            ("stderr", (), "unexpected in a run of type 'python'; move it elsewhere"),
            ADDRESS,
            (
                "run.json",
                ("type",),
                f"is 'python': such a run cannot have a command_end, unlike this one; {RESTORE}",
            ),
        ],
    ),
    "another size": (
        lambda run: (run / "stderr").write_bytes(b"another"),
        [("stderr", (), f"has 7 bytes, but run.json records 42; {RESTORE}"), ADDRESS],
    ),
    "other bytes": (
        lambda run: (run / "stdout").write_bytes((run / "stdout").read_bytes()[::-1]),
        [("stdout", (), f"has the SHA-256 #, but run.json records #; {RESTORE}"), ADDRESS],
    ),
    "another size in the head": (
        lambda run: rewrite_head(run, files=lambda files: {**files, "stdout": {**files["stdout"], "size": 99}}),
        [
            ("run.json", ("files", "stdout", "size"), f"is 99, but the other files of the run give 24; {RESTORE}"),
            ADDRESS,
        ],
    ),
    "files that are not there in the head": (
        lambda run: rewrite_head(run, files=list_more),
        [
            ("artifacts/x", (), f"is missing, but listed in run.json; {RESTORE}"),
            ("run.json", ("files", "notes"), f"is not a file that a run can have; {RESTORE}"),
            ("run.json", ("files", "notes/a"), f"is not a file that a run can have; {RESTORE}"),
            ("run.json", ("files", "run.json"), f"is not a file that a run can have; {RESTORE}"),
            ADDRESS,
        ],
    ),
    "other inputs": (
        lambda run: rewrite_head(run, inputs=lambda _: "0" * 64),
        [("run.json", ("inputs",), f"is not the SHA-256 of config.json, #; {RESTORE}"), ADDRESS],
    ),
    "other counts": (
        lambda run: rewrite_head(run, counts=lambda counts: {**counts, "events": 9, "exchanges": 1}),
        [
            ADDRESS,
            ("run.json", ("counts", "events"), f"is 9, but the other files of the run give 7; {RESTORE}"),
            ("run.json", ("counts", "exchanges"), f"is 1, but the other files of the run give 0; {RESTORE}"),
        ],
    ),
    "other counts of types": (
        lambda run: rewrite_head(
            run, counts=lambda counts: {**counts, "by_type": {"gone": 1, "epoch": 2, "run_end": 1, "command_end": 1}}
        ),
        [
            ADDRESS,
            ("run.json", ("counts", "by_type", "gone"), f"is 1, but the other files of the run give 0; {RESTORE}"),
            ("run.json", ("counts", "by_type", "note"), f"is 0, but the other files of the run give 2; {RESTORE}"),
            ("run.json", ("counts", "by_type", "setup"), f"is 0, but the other files of the run give 1; {RESTORE}"),
        ],
    ),
    "a head that is none": (
        lambda run: rewrite_head(run, status=lambda _: "odd"),
        [("run.json", ("status",), f"must be one of 'completed', 'failed', not 'odd'; {RESTORE}"), ADDRESS],
    ),
    "no exchange": (
        lambda run: (run / "exchanges.jsonl").touch(),
        [
            ("exchanges.jsonl", (), f"is not listed in run.json; {RESTORE}"),
            ADDRESS,
            ("exchanges.jsonl", (), f"contains no exchange; a run without exchanges has no such file: {RESTORE}"),
        ],
    ),
    "a config that is none": (
        lambda run: (run / "config.json").write_bytes(b"[]\n"),
        [
            ("config.json", (), f"has 3 bytes, but run.json records 323; {RESTORE}"),
            ("run.json", ("inputs",), f"is not the SHA-256 of config.json, #; {RESTORE}"),
            ADDRESS,
            ("config.json", (), f"must be a JSON object; {RESTORE}"),
        ],
    ),
    "a newer format": (
        lambda run: rewrite_head(run, format=lambda _: 2),
        [
            (
                "run.json",
                ("format",),
                "format 2 is newer than this version of exprec supports, so nothing else of the run was checked; "
                "update exprec",
            )
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_with_a_run_in_words(run: Path, name: str) -> None:
    damage, expected = CASES[name]
    damage(run)
    assert told(run) == expected


def test_whoever_is_quick_does_not_look_into_the_files(run: Path) -> None:
    rewrite_head(run, counts=lambda counts: {**counts, "events": 9})
    (run / "exchanges.jsonl").touch()
    assert told(run, quick=True) == [("exchanges.jsonl", (), f"is not listed in run.json; {RESTORE}"), ADDRESS]


def test_the_name_of_a_run_is_its_address_within_a_store(store: Store, run: Path, tmp_path: Path) -> None:
    (store.path / "link").symlink_to(run)
    (said,) = verify_run(RunDirectory(store.path / "link"))
    assert (said.source, said.message) == (run.name, "is a symbolic link; replace it with the folder itself")
    (tmp_path / "outside").symlink_to(run)
    assert list(verify_run(RunDirectory(tmp_path / "outside"))) == []
    named = run.rename(store.path / "named")
    assert told(named) == [("", (), "is not a run id; rename the folder to the run id of its files, #")]
    other = named.rename(store.path / ("1" * 64))
    assert told(other) == [ADDRESS]
    (other / "run.json").rename(tmp_path / "run.json")
    assert told(other)[1] == ("", *ADDRESS[1:])
    (tmp_path / "run.json").rename(other / "run.json")
    assert told(other.rename(tmp_path / "copy")) == []
    (tmp_path / "copy" / "stdout").write_text("x")
    assert [message.split()[0] for _, _, message in told(tmp_path / "copy")] == ["has"]


def test_a_run_that_is_not_sealed_proves_nothing(store: Store) -> None:
    recording = store.begin("a", "b", {})
    (said,) = verify_run(RunDirectory(recording.folder))
    assert (said.source, said.path) == (f".work/{recording.folder.name}", ())
    assert said.message == "is not sealed (in progress); wait until it ends"
    recording.close()
    (said,) = verify_run(RunDirectory(recording.folder))
    assert said.message == ("is not sealed (interrupted); resume it with `exprec resume` or remove it with `exprec gc`")
    # What a killed process was copying.
    (recording.folder / ".draft").mkdir()
    assert list(verify_run(RunDirectory(recording.folder))) == [said]
    (recording.folder / "events.jsonl").unlink()
    assert [problem.message for problem in verify_run(RunDirectory(recording.folder))] == [
        f"is missing; {RESTORE}",
        said.message,
    ]


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    (said,) = verify_run(RunDirectory(tmp_path / "none"))
    assert (said.source, said.path) == (".", ())
    assert said.message.startswith("cannot be read as a folder (No such file or directory); make it readable, or ")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    (said,) = verify_run(RunDirectory(loop))
    assert (said.source, said.message.partition(";")[0]) == (
        ".",
        "cannot be read as a folder (Too many levels of symbolic links)",
    )


def asked(tmp_path: Path, **changes: Any) -> Path:
    """A run with two exchanges and a call that names the second, with these fields changed in the call."""
    recording = Store.open_or_create(tmp_path / "asked").begin("a", "b", {})
    for _ in range(2):
        recording.exchanges.append(EXCHANGE)
    call = {**EXAMPLES[optimization.LLM_CALL.event_type][1], "exchange": 1, **changes}
    recording.events.append(optimization.LLM_CALL.event_type, 1, call)
    recording.events.append(common.RUN_END.event_type, 0, {})
    counts = {
        "events": 2,
        "iterations": 1,
        "by_type": {optimization.LLM_CALL.event_type: 1, common.RUN_END.event_type: 1},
    }
    return recording.seal(Summary("completed", counts, {}, None)).path


def content(run: Path) -> list[tuple[str, int | None, str]]:
    """The problems that quick verification does not find: file, line, message."""
    quick = list(verify_run(RunDirectory(run), quick=True))
    found = [problem for problem in verify_run(RunDirectory(run)) if problem not in quick]
    return [(str(each.source).rpartition("/")[2], each.line, each.message) for each in found]


def test_exchanges_are_valid_by_their_schema(tmp_path: Path) -> None:
    run = asked(tmp_path)
    assert content(run) == []
    path = run / "exchanges.jsonl"
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second.replace(b'"attempt":1', b'"attempt":0'))
    assert [(file, line) for file, line, _ in content(run)] == [("exchanges.jsonl", 2)]
    path.write_bytes(first + second)
    schemas = run / "schemas.json"
    kept = {name: schema for name, schema in json.loads(schemas.read_bytes()).items() if name != "exchange.v2"}
    schemas.write_bytes(canonical_json.encode(kept, indent=True))
    said = f"has no schema for 'exchange', the type of the record in line 1; {RESTORE}"
    assert content(run) == [("schemas.json", None, said)]
    all_of_them = {**kept, "exchange.v2": load("exchange.v2"), "exchange.v3": {}}
    schemas.write_bytes(canonical_json.encode(all_of_them, indent=True))
    ((file, _, said),) = content(run)
    assert (file, said) == ("schemas.json", f"is unused: the run has no such record; {RESTORE}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"exchange": 2}, f"is 2, but exchanges.jsonl has 2 lines; {RESTORE}"),
        ({"agent_id": "BANK_B"}, f"is 'BANK_B', but line 2 of exchanges.jsonl has 'BANK_A'; {RESTORE}"),
        ({"attempt": 2}, f"is 2, but line 2 of exchanges.jsonl has 1; {RESTORE}"),
    ],
)
def test_a_call_says_what_its_exchange_says(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    assert content(asked(tmp_path, **changes)) == [("events.jsonl", 1, message)]


def test_of_a_log_that_is_torn_types_are_not_counted(tmp_path: Path) -> None:
    run = asked(tmp_path)
    path = run / "events.jsonl"
    path.write_bytes(path.read_bytes()[:-1])
    size = len(path.read_bytes().splitlines()[1])
    assert content(run)[0] == ("events.jsonl", 2, f"the last line is torn: {size} bytes without a newline; {RESTORE}")
    keys = [problem.key for problem in verify_run(RunDirectory(run))]
    assert "counts.events" in keys
    assert not any(key.startswith("counts.by_type") for key in keys)
