"""`exprec show`: a log without its run, empty selections, and shell completion."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from exprec.recorder.state.provider import LiveStateProvider
from exprec.recorder.store.store import Store
from tests.fixtures.cli import completed_values, exprec
from tests.fixtures.events import EVENT_TYPES, OTHER_TYPES
from tests.fixtures.paths import ROOT
from tests.fixtures.runs import OUTPUT, record_command, sealed_run

EXPERIMENT = ROOT / "tests" / "data" / "every_event.yaml"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("show")
    exprec("run", "-q", EXPERIMENT, cwd=folder)
    return folder


def _shown(folder: Path, *arguments: str | Path, code: int = 0) -> tuple[str, str]:
    done = exprec("show", *arguments, cwd=folder, code=code)
    return done.stdout.decode(), done.stderr.decode()


@pytest.mark.parametrize("switches", [[], ["-v"], ["-v", "--iteration", "1"], ["--json"]], ids=" ".join)
def test_a_log_alone_is_shown_as_that_of_its_run(folder: Path, switches: list[str]) -> None:
    run = sealed_run(folder).folder
    shutil.copy(run / "events.jsonl", folder / "any name")
    whole, _ = _shown(folder, run.name, *switches)
    expected = whole.removesuffix(f"Run {run.name}\n")
    assert _shown(folder, "./any name", *switches) == (expected, "")
    assert _shown(folder, run / "events.jsonl", *switches) == (expected, "")
    # Nothing of a store is asked for, even where one is broken.
    (folder / "runs" / "store.json").write_bytes(b"{")
    assert _shown(folder, folder / "any name", *switches) == (expected, "")
    assert _shown(folder, "./any name", *switches) == (expected, "")


def test_a_damaged_log_is_shown_up_to_its_damage(folder: Path) -> None:
    log = sealed_run(folder).read("events.jsonl")
    lines = log.splitlines(keepends=True)
    (folder / "x.jsonl").write_bytes(b"".join(lines[:3]))
    begins, _ = _shown(folder, "./x.jsonl", "-v")
    (folder / "x.jsonl").write_bytes(b"".join([*lines[:3], b"{" + lines[3], *lines[4:]]))
    out, err = _shown(folder, "./x.jsonl", "-v", code=5)
    assert out == begins
    assert err.startswith("exprec: x.jsonl:4: not JSON")
    (folder / "x.jsonl").write_bytes(b"".join([*lines[:3], lines[3][:-1]]))
    out, err = _shown(folder, "./x.jsonl", "-v", code=5)
    assert out == begins
    assert f"x.jsonl:4: the last line is torn: {len(lines[3]) - 1} bytes" in err
    (folder / "x.jsonl").write_bytes(b"")
    assert _shown(folder, "./x.jsonl") == ("", "")


def test_a_name_in_the_store_goes_before_a_file(folder: Path) -> None:
    run = sealed_run(folder).folder
    exprec("tag", "best", run.name, cwd=folder)
    (folder / "best").write_bytes(b"no log\n")
    assert _shown(folder, "best") == _shown(folder, run.name)
    assert "best:1: not JSON" in _shown(folder, "./best", code=5)[1]
    assert "no run 'worst'" in _shown(folder, "worst", code=4)[1]


def test_an_empty_selection_says_what_there_is(folder: Path) -> None:
    run = sealed_run(folder).run_id
    out, err = _shown(folder, run, "--event", "llm\x1b")
    assert out == ""
    assert err.startswith("exprec: no event of type 'llm\\x1b'; the run has bootstrap_evaluation, experiment_end, ")
    assert _shown(folder, run, "--agent", "ME") == (
        "",
        "exprec: no event of agent 'ME'; the run has events of BANK_A, BANK_B\n",
    )
    assert "no event of iteration 9; the last iteration is 3" in _shown(folder, run, "--iteration", "9", "--json")[1]
    mixed = _shown(folder, run, "--event", "experiment_start", "--agent", "BANK_A")
    assert mixed == ("", "exprec: no event matches all of the filters\n")


@pytest.mark.parametrize(("event_type", "switch"), [("llm_call", "llm"), ("iteration_end", "metrics")])
def test_events_that_are_asked_for_by_type_are_shown(folder: Path, event_type: str, switch: str) -> None:
    run = sealed_run(folder).run_id
    out, _ = _shown(folder, run, "--event", event_type)
    assert out
    assert out == _shown(folder, run, "--event", event_type, f"--{switch}")[0]
    assert _shown(folder, run, "--event", event_type, f"--no-{switch}") == ("", "")


def test_the_shell_completes_event_types_and_agents(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run = sealed_run(folder).folder
    monkeypatch.chdir(folder)
    monkeypatch.delenv("EXPREC_STORE", raising=False)
    assert completed_values("show", "--event", "experiment_") == [
        "experiment_start",
        "experiment_end",
        "experiment_failed",
    ]
    assert completed_values("show", run.name, "--event", "experiment_") == [
        "experiment_end",
        "experiment_start",
    ]
    assert completed_values("show", run.name, "--agent", "") == ["BANK_A", "BANK_B"]
    assert completed_values("show", run.name, "--agent", "BANK_B") == ["BANK_B"]
    assert completed_values("show", "--agent", "") == []
    (run / "run.json").write_bytes(b"{")
    assert completed_values("show", run.name, "--event", "") == [*EVENT_TYPES, *OTHER_TYPES]
    assert completed_values("show", run.name, "--agent", "") == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_the_output_of_a_command_must_be_whole(tmp_path: Path, stream: str, damage: str) -> None:
    run = record_command(Store.open_or_create(tmp_path / "runs")).path
    if damage == "cut":
        (run / stream).write_bytes(OUTPUT[stream][:-1])
    else:
        (run / stream).unlink()
    out, err = _shown(tmp_path, run.name, code=5)
    assert out == ""
    assert f"/{stream}: " in err
    assert "Run " not in err


def test_output_is_shown_even_if_an_artifact_is_lost(tmp_path: Path) -> None:
    run = record_command(Store.open_or_create(tmp_path / "runs")).path
    shutil.rmtree(run / "artifacts")
    assert _shown(tmp_path, run.name)[0] == OUTPUT["stdout"].decode()


def test_interrupted_command_is_shown_up_to_its_interruption(tmp_path: Path) -> None:
    recording = Store.open_or_create(tmp_path / "runs").begin("train", "command", {})
    provider = LiveStateProvider("train", "command", recording=recording)
    assert _shown(tmp_path, recording.folder.name)[0] == ""
    recording.write_output("stdout", b"so far")
    recording.write_output("stderr", b"a warning")
    provider.close()
    out, err = _shown(tmp_path, recording.folder.name)
    assert out == "so far"
    comment = "exprec: run not sealed (interrupted); this is what has been recorded\n"
    assert err == f"a warning\n{comment}"


def test_a_damaged_line_of_a_declared_type_is_only_text(tmp_path: Path) -> None:
    """An event is shown even if its template is invalid."""
    run = record_command(Store.open_or_create(tmp_path / "runs")).path
    path = run / "schemas.json"
    for wrong in (b'"{"', b"7", b'"{loss!r}"', b'"{loss.__class__:s}"'):
        text = path.read_bytes()
        path.write_bytes(text.replace(b'"epoch {iteration}: loss {loss:.3f}"', wrong))
        assert _shown(tmp_path, run.name, "--event", "epoch")[0] == "epoch 1  loss 2.0\nepoch 2  loss 1.33333\n"
        path.write_bytes(text)
    path.write_bytes(b"[]\n")
    assert "schemas.json: must be a JSON object" in _shown(tmp_path, run.name, "--event", "epoch", code=5)[1]
    assert _shown(tmp_path, run.name)[0] == OUTPUT["stdout"].decode()
