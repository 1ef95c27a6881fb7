"""`exprec run` of an experiment: the store, the messages and the exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exprec.recorder.format import canonical_json
from exprec.recorder.schema import find_problems
from exprec.recorder.store.store import Store
from tests.fixtures.cli import exprec
from tests.fixtures.files import files_and_times
from tests.fixtures.git import git, git_tree_id
from tests.fixtures.paths import CASTRO, ROOT
from tests.fixtures.runs import run_ids

TWO = CASTRO / "two-period.yaml"
EVERY = ROOT / "tests" / "data" / "every_event.yaml"


def test_last_line_has_the_run_id_that_git_computes(tmp_path: Path) -> None:
    last = exprec("run", TWO, cwd=tmp_path).stdout.decode().splitlines()[-1]
    (run_id,) = run_ids(tmp_path)
    assert last == f"Run {run_id}"
    assert git_tree_id(tmp_path / "runs" / run_id) == run_id


def test_in_a_sha256_repository_the_run_is_its_own_tree(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--object-format=sha256", ".")
    git(tmp_path, "config", "core.autocrlf", "true")
    run_id = exprec("run", "-q", TWO, cwd=tmp_path).stdout.decode().strip()
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "runs")
    assert git(tmp_path, "rev-parse", f"HEAD:runs/{run_id}") == run_id
    assert ".work" not in git(tmp_path, "ls-files")


def test_a_second_execution_is_evidence_and_changes_nothing(tmp_path: Path) -> None:
    run_id = exprec("run", "-q", TWO, cwd=tmp_path).stdout.decode().strip()
    store = Store(tmp_path / "runs")
    before = files_and_times(store.path / run_id)
    again = exprec("run", "-q", TWO, cwd=tmp_path, env={"TZ": "Asia/Tokyo", "PYTHONHASHSEED": "9"})
    assert again.stdout.decode().strip() == run_id
    assert b"execution 2 with the same run id" in again.stderr
    assert files_and_times(store.path / run_id) == before
    attestations = store.attestations(run_id)
    assert len(attestations) == 2
    for attestation in attestations:
        assert find_problems(attestation, "attestation.v1") == []
        assert attestation["run"] == run_id
        assert attestation["exprec"]


def test_content_has_no_trace_of_the_machine(tmp_path: Path) -> None:
    run_id = exprec("run", "-q", EVERY, cwd=tmp_path).stdout.decode().strip()
    content = b"".join(path.read_bytes() for path in (tmp_path / "runs" / run_id).iterdir())
    for trace in (str(tmp_path), str(ROOT), os.uname().nodename, sys.version.split()[0]):
        assert trace.encode() not in content


def test_recorded_config_gives_the_same_run_id(tmp_path: Path) -> None:
    run_id = exprec("run", "-q", TWO, cwd=tmp_path).stdout.decode().strip()
    config = tmp_path / "runs" / run_id / "config.json"
    assert exprec("run", "-q", config, cwd=tmp_path).stdout.decode().strip() == run_id


def test_seed_and_model_options_override_the_experiment(tmp_path: Path) -> None:
    first = exprec("run", "-q", TWO, cwd=tmp_path).stdout.decode().strip()
    seeded = exprec("run", "-q", TWO, "--seed", "7", cwd=tmp_path).stdout.decode().strip()
    assert first != seeded
    assert json.loads((tmp_path / "runs" / seeded / "config.json").read_bytes())["master_seed"] == 7
    searched = exprec("run", EVERY, "--model", "search", cwd=tmp_path).stdout.decode()
    assert "model search" in searched


@pytest.mark.parametrize("how", ["option", "environment", "experiment", "default"])
def test_where_the_store_is(tmp_path: Path, how: str) -> None:
    experiment = tmp_path / "two-period.yaml"
    text = TWO.read_text()
    if how != "default":
        text += "\noutput: {directory: configured}\n"
    experiment.write_text(text)
    (tmp_path / "two-period-scenario.yaml").write_bytes((CASTRO / "two-period-scenario.yaml").read_bytes())
    arguments = ["--store", "chosen"] if how == "option" else []
    environment = {"EXPREC_STORE": "surroundings"} if how in ("option", "environment") else {}
    exprec("run", "-q", experiment, *arguments, cwd=tmp_path, env=environment)
    expected = {"option": "chosen", "environment": "surroundings", "experiment": "configured", "default": "runs"}
    assert run_ids(tmp_path, expected[how])
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [expected[how]]


def test_a_dry_run_checks_and_touches_nothing(tmp_path: Path) -> None:
    done = exprec("run", "--dry-run", TWO, cwd=tmp_path)
    assert b"valid; nothing was run" in done.stdout
    assert list(tmp_path.iterdir()) == []
    as_json = exprec("run", "--dry-run", "--json", TWO, cwd=tmp_path).stdout
    run_id = exprec("run", "-q", TWO, cwd=tmp_path).stdout.decode().strip()
    recorded = (tmp_path / "runs" / run_id / "config.json").read_bytes()
    assert canonical_json.decode(as_json) == canonical_json.decode(recorded)


def test_a_dry_run_finds_what_a_run_would_fail_on(tmp_path: Path) -> None:
    for arguments in ([], ["--dry-run"]):
        done = exprec("run", TWO, "--model", "openai:gpt-5", *arguments, cwd=tmp_path, code=2)
        assert b"llm.model" in done.stderr
        assert b"--model search" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_config_with_mistakes_lists_them_all_and_leaves_no_store(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("name: x\nevaluation: {ticks: two}\nconvergence: {max_iteration: 3}\nllm: {model: 3}\n")
    done = exprec("run", path, cwd=tmp_path, code=2)
    lines = done.stderr.decode().splitlines()
    assert any(line.startswith(f"exprec: {path}:") or line.startswith(f"{path}:") for line in lines)
    for key in ("scenario", "optimized_agents", "evaluation.ticks", "convergence.max_iteration", "llm.model"):
        assert any(f" {key}: " in line for line in lines), (key, lines)
    assert done.stdout == b""
    assert [path.name for path in tmp_path.iterdir()] == ["bad.yaml"]


def test_a_failed_experiment_is_sealed_and_exits_3(tmp_path: Path) -> None:
    answers = tmp_path / "none.jsonl"
    answers.write_bytes(b"")
    done = exprec("run", TWO, "--model", f"scripted:{answers}", cwd=tmp_path, code=3)
    (run_id,) = run_ids(tmp_path)
    assert done.stdout.decode().splitlines()[-1] == f"Run {run_id}"
    assert b"Failed: ScriptExhausted: none.jsonl has no answer left for BANK_A" in done.stdout
    assert b"the experiment failed: ScriptExhausted" in done.stderr
    assert exprec("show", run_id, cwd=tmp_path).stdout == done.stdout
    head = json.loads((tmp_path / "runs" / run_id / "run.json").read_bytes())
    assert (head["status"], head["result"]) == ("failed", None)


def test_folder_that_is_not_a_store_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "thesis.tex").write_text("mine")
    done = exprec("run", TWO, cwd=tmp_path, code=5)
    assert b"is not an exprec store and is not empty" in done.stderr
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["thesis.tex"]


def test_a_store_that_cannot_be_written_exits_6(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = exprec("run", TWO, "--store", tmp_path / "file" / "runs", cwd=tmp_path, code=6)
    assert b"Not a directory" in done.stderr


def test_output_that_cannot_be_written_exits_6(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    run_id = exprec("run", "-q", TWO, cwd=tmp_path).stdout.decode().strip()
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from exprec.cli.main import main; main()", "show", run_id],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert done.returncode == 6
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr


def test_run_id_is_printed_even_if_the_attestation_fails(tmp_path: Path) -> None:
    Store.open_or_create(tmp_path / "runs")
    (tmp_path / "runs" / "attestations").write_text("in the way")
    done = exprec("run", "-q", TWO, cwd=tmp_path, code=5)
    assert done.stdout.decode().split() == run_ids(tmp_path)
    assert b"attestations: must be a folder, and is a file" in done.stderr


def test_an_experiment_outlives_a_full_disk_behind_its_output(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", "from exprec.cli.main import main; main()", "run", str(TWO)],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    (run_id,) = run_ids(tmp_path)
    assert done.returncode == 6
    assert b"No space left on device; the experiment continues" in done.stderr
    assert f"the run is sealed: {run_id}" in done.stderr.decode()
    assert json.loads((tmp_path / "runs" / run_id / "run.json").read_bytes())["status"] == "completed"


def test_an_experiment_outlives_the_reader_of_its_output(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "from exprec.cli.main import main; main()", "run", "-v", str(TWO)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    said = process.stderr.read()
    assert process.wait(timeout=60) == 0
    assert b"stdout was closed by its reader; the experiment continues" in said
    assert f"the run is sealed: {run_ids(tmp_path)[0]}" in said.decode()
    assert b"Traceback" not in said
    (run_id,) = run_ids(tmp_path)
    assert json.loads((tmp_path / "runs" / run_id / "run.json").read_bytes())["status"] == "completed"


def test_show_survives_a_reader_that_goes(tmp_path: Path) -> None:
    run_id = exprec("run", "-q", TWO, cwd=tmp_path).stdout.decode().strip()
    command = f'"{sys.executable}" -c "from exprec.cli.main import main; main()" show -v {run_id} | head -1'
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout == b"castro-two-period\n"
    assert done.stderr == b""


def test_an_interrupt_says_what_is_left(tmp_path: Path) -> None:
    experiment = tmp_path / "long.yaml"
    experiment.write_text(
        TWO.read_text()
        .replace("max_iterations: 25", "max_iterations: 1000000")
        .replace("stability_window: 5", "stability_window: 1000000")
        .replace("scenario: two-period-scenario.yaml", f"scenario: {CASTRO / 'two-period-scenario.yaml'}")
    )
    process = subprocess.Popen(
        [sys.executable, "-c", "from exprec.cli.main import main; main()", "run", str(experiment)],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    for _ in range(30):
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest, said = process.communicate(timeout=60)
    assert process.returncode == 130, (rest[-500:], said)
    (work,) = (path.name for path in (tmp_path / "runs" / ".work").iterdir() if path.is_dir())
    assert f"exprec show {work}" in said.decode()
    assert b"Traceback" not in said
    shown = exprec("show", work, cwd=tmp_path)
    assert shown.stdout.startswith(b"castro-two-period\n")
    assert b"interrupted" in shown.stderr


NOT_FOUND = [("show", "nothing"), ("show", "0" * 64), ("show", "abc")]


@pytest.mark.parametrize("arguments", NOT_FOUND, ids=" ".join)
def test_missing_run_exits_4(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = exprec(*arguments, cwd=tmp_path, code=4)
    assert f"no run '{arguments[1]}' in the store runs".encode() in done.stderr


def test_a_damaged_log_exits_5_naming_file_and_line(tmp_path: Path) -> None:
    run_id = exprec("run", "-q", TWO, cwd=tmp_path).stdout.decode().strip()
    log = tmp_path / "runs" / run_id / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    lines[3] = b"{" + b" " * (len(lines[3]) - 2) + b"\n"
    log.write_bytes(b"".join(lines))
    done = exprec("show", run_id, cwd=tmp_path, code=5)
    assert f"{log.relative_to(tmp_path)}:4: not JSON".encode() in done.stderr
    assert b"Traceback" not in done.stderr


USAGE = [
    ["run"],
    ["run", str(TWO), "-q", "--json"],
    ["run", str(TWO), "--seed", "-1"],
    ["run", "missing.yaml"],
    ["show"],
    ["show", "abcd", "--iteration", "x"],
    ["show", "abcd", "--iteration", "5-2"],
    ["nonsense"],
    ["schema", "event.policy_chnge"],
]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_wrong_usage_exits_2_without_a_traceback(tmp_path: Path, arguments: list[str]) -> None:
    done = exprec(*arguments, cwd=tmp_path, code=2)
    assert done.stderr
    assert b"Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["run", "show", "check", "simulate", "schema"])
def test_help_has_an_example(tmp_path: Path, command: str) -> None:
    text = exprec(command, "--help", cwd=tmp_path).stdout.decode()
    assert "Example" in text
    assert f"exprec {command}" in text


def test_schemas_are_listed_and_printed(tmp_path: Path) -> None:
    listed = exprec("schema", cwd=tmp_path).stdout.decode()
    assert "event.policy_change.v1 " in listed
    assert "event.policy_change.v2 " in listed
    named = {entry["name"] for entry in json.loads(exprec("schema", "--json", cwd=tmp_path).stdout)}
    assert {line.split()[0] for line in listed.splitlines()} == named
    printed = exprec("schema", "event.policy_change", cwd=tmp_path).stdout
    assert printed == (ROOT / "schemas" / "event.policy_change.v2.schema.json").read_bytes()


def test_the_version_is_the_installed_one(tmp_path: Path) -> None:
    from importlib.metadata import version

    assert exprec("--version", cwd=tmp_path).stdout.decode() == f"exprec {version('exprec-store')}\n"


@pytest.mark.parametrize("words", [["run", "-q", str(TWO)], ["run", "-q", "--", "true"]], ids=["experiment", "command"])
def test_an_attestation_that_cannot_be_written_leaves_a_sealed_run(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "elsewhere").mkdir()
    Store.open_or_create(tmp_path / "runs")
    (tmp_path / "runs" / "attestations").symlink_to(tmp_path / "elsewhere")
    done = exprec(*words, cwd=tmp_path, code=5)
    (run_id,) = run_ids(tmp_path)
    assert done.stdout.decode() == f"{run_id}\n"
    assert f"the run {run_id} is sealed, but its execution records are incomplete".encode() in done.stderr
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_work_head_has_the_host_and_its_boot(tmp_path: Path) -> None:
    seen = "import json, os, pathlib; head = pathlib.Path(os.environ['EXPREC_EVENTS']).with_suffix('.json'); "
    code = f"{seen} print(sorted(json.loads(head.read_text())))"
    done = exprec("run", "--", sys.executable, "-c", code, cwd=tmp_path)
    assert b"['boot', 'format', 'host', 'name', 'type']" in done.stdout
