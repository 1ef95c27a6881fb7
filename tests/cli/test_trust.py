"""A run from elsewhere is executed only when the user says so; what this user recorded is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from exprec.recorder.store.store import Store
from tests.fixtures.cli import exprec
from tests.fixtures.experiments import experiment
from tests.fixtures.terminal import run_on_terminal

PROGRAM = 'touch executed; env | grep -v "^_=\\|^PWD=\\|^SHLVL=\\|^OLDPWD=\\|^EXPREC_EVENTS=" | sort > variables'
SIMULATOR = """
from pathlib import Path
Path(__file__).with_name("executed").touch()

def costs(scenario, policies, seed):
    return {agent: 100 for agent in policies}
"""
SECRETS = {"DEPLOY_TOKEN": "t0ps3cr3tvalue", "DATABASE_URL": "postgresql://me:hunter2secret@db/x", "PLAIN": "plain"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the sealed run of a command."""
    (tmp_path / "work").mkdir()
    exprec("run", "-q", "--name", "p", "--", "sh", "-c", PROGRAM, cwd=tmp_path / "work")
    (tmp_path / "work/executed").unlink()
    return tmp_path / "work"


@pytest.fixture
def stranger(tmp_path: Path) -> dict[str, str]:
    """The environment of a user who has recorded nothing, with secrets."""
    return {"XDG_STATE_HOME": str(tmp_path / "state"), **SECRETS}


def _run_id(folder: Path) -> str:
    (run_id,) = Store(folder / "runs").run_ids()
    return run_id


def test_a_command_recorded_here_is_executed_without_a_question_and_without_secrets(folder: Path) -> None:
    exprec("rerun", _run_id(folder), cwd=folder, env=SECRETS)
    variables = (folder / "variables").read_text()
    assert "PLAIN=plain" in variables
    assert "DEPLOY_TOKEN" not in variables
    assert "DATABASE_URL" not in variables
    exprec("rerun", "--env", "DEPLOY_TOKEN", _run_id(folder), cwd=folder, env=SECRETS)
    assert "DEPLOY_TOKEN=t0ps3cr3tvalue" in (folder / "variables").read_text()


def test_a_command_from_elsewhere_is_printed_and_not_executed(folder: Path, stranger: dict[str, str]) -> None:
    run_id = _run_id(folder)
    done = exprec("rerun", run_id[:8], cwd=folder, env=stranger, code=2)
    message = done.stderr.decode()
    assert message.startswith(f"exprec: run {run_id[:8]} was not recorded here")
    assert f"in {folder}: sh -c 'touch executed;" in message
    assert f"`exprec rerun {run_id[:8]} --trust`, or once `exprec trust {run_id[:8]}`" in message
    assert done.stdout == b""
    assert not (folder / "executed").exists()
    assert not Path(stranger["XDG_STATE_HOME"]).exists()


def test_with_trust_it_gets_a_reduced_environment(folder: Path, stranger: dict[str, str]) -> None:
    exprec("rerun", "--trust", "--env", "PLAIN", _run_id(folder), cwd=folder, env={**stranger, "LC_TIME": "C"})
    names = {line.partition("=")[0] for line in (folder / "variables").read_text().splitlines()}
    assert names <= {"PATH", "HOME", "LANG", "LC_TIME", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "PLAIN"}
    assert names >= {"PATH", "PLAIN"}
    # For once: the next time the user is asked again.
    exprec("rerun", _run_id(folder), cwd=folder, env=stranger, code=2)


def test_trust_is_declared_for_the_content_and_revoked(folder: Path, tmp_path: Path, stranger: dict[str, str]) -> None:
    run_id = _run_id(folder)
    assert b"exprec: trusted: run " in exprec("trust", run_id[:8], cwd=folder, env=stranger).stderr
    shutil.copytree(folder, tmp_path / "copy")
    for place in (folder, tmp_path / "copy"):
        exprec("rerun", run_id, cwd=place, env=stranger)
        assert (place / "executed").exists()
        assert "PLAIN" not in (place / "variables").read_text()
    exprec("trust", "--revoke", run_id, cwd=folder, env=stranger)
    exprec("rerun", run_id, cwd=folder, env=stranger, code=2)
    assert b"was not trusted" in exprec("trust", "--revoke", run_id, cwd=folder, env=stranger).stderr


def test_of_several_runs_none_is_executed_before_all_are_trusted(folder: Path, stranger: dict[str, str]) -> None:
    exprec("run", "-q", "--store", "runs", "--", "true", cwd=folder, env=stranger)
    first, second = sorted(Store(folder / "runs").run_ids(), key=lambda name: name != _named(folder, "true"))
    exprec("rerun", first, cwd=folder, env=stranger)
    exprec("rerun", second, first, cwd=folder, env=stranger, code=2)
    exprec("rerun", first, second, cwd=folder, env=stranger, code=2)
    assert not (folder / "executed").exists()


def _named(folder: Path, name: str) -> str:
    store = Store(folder / "runs")
    return next(run_id for run_id in store.run_ids() if store.run(run_id).name == name)


@pytest.mark.parametrize(("answer", "code"), [("n\n", 130), ("y\n", 0)])
def test_on_a_terminal_the_user_is_asked(folder: Path, stranger: dict[str, str], answer: str, code: int) -> None:
    typed = {"Execute it? [y/N]: ": answer}
    done = run_on_terminal("rerun", _run_id(folder), cwd=folder, env=stranger, typed=typed)
    assert f"in {folder}: sh -c 'touch executed;" in done.output
    assert done.code == code
    assert (folder / "executed").exists() == (code == 0)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The file of an experiment with a simulator of its own, and a sealed run."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "model.py").write_text(SIMULATOR)
    path = experiment(folder, simulator="model:costs", llm__model="search")
    exprec("run", "-q", path, cwd=folder)
    (folder / "executed").unlink()
    return path


def test_modules_are_imported_only_if_run_and_folder_are_trusted(own: Path, stranger: dict[str, str]) -> None:
    folder, run_id = own.parent, _run_id(own.parent)
    message = exprec("rerun", run_id, cwd=folder, env=stranger, code=2).stderr.decode()
    assert f"import from {folder}: model:costs" in message
    assert f"`exprec trust {run_id} ./`" in message
    exprec("trust", run_id, cwd=folder, env=stranger)
    exprec("rerun", run_id, cwd=folder, env=stranger, code=2)
    exprec("trust", run_id, "./", cwd=folder, env=stranger)
    assert not (folder / "executed").exists()
    exprec("rerun", run_id, cwd=folder, env=stranger)
    assert (folder / "executed").exists()


def test_a_changed_module_must_be_trusted_again(own: Path) -> None:
    folder, run_id = own.parent, _run_id(own.parent)
    exprec("rerun", run_id, cwd=folder)
    (folder / "executed").unlink()
    (folder / "helper.py").write_text("")
    exprec("rerun", run_id, cwd=folder, code=2)
    assert not (folder / "executed").exists()


def test_a_simulator_from_elsewhere_does_not_find_the_environment(own: Path, stranger: dict[str, str]) -> None:
    leak = "import os\nPath(__file__).with_name('leak').write_text(str('DEPLOY_TOKEN' in os.environ))\n"
    (own.parent / "model.py").write_text(SIMULATOR + leak)
    exprec("rerun", "--trust", _run_id(own.parent), cwd=own.parent, env=stranger, code=1)
    assert (own.parent / "leak").read_text() == "False"


def test_runs_of_exprec_alone_need_no_trust(tmp_path: Path, stranger: dict[str, str]) -> None:
    path = experiment(tmp_path, llm__model="search")
    exprec("run", "-q", path, cwd=tmp_path)
    assert exprec("rerun", _run_id(tmp_path), cwd=tmp_path, env=stranger).stdout.startswith(b"identical")


def test_an_interrupted_run_from_elsewhere_is_not_resumed(own: Path, stranger: dict[str, str]) -> None:
    folder, run_id = own.parent, _run_id(own.parent)
    work = folder / "runs/.work/0123456789abcdef"
    shutil.move(folder / "runs" / run_id, work)
    head = json.loads((work / "run.json").read_text())
    kept = {key: head[key] for key in ("format", "name", "type")}
    for name in ("run.json", "schemas.json"):
        (work / name).unlink()
    # As if it had been recorded from the folder of another module.
    work.with_suffix(".json").write_text(json.dumps({**kept, "folder": str(folder)}))
    message = exprec("resume", work.name, cwd=folder, env=stranger, code=2).stderr.decode()
    assert f"import from {folder}: model:costs" in message
    assert f"`exprec resume {work.name} --trust`" in message
    assert not (folder / "executed").exists()
    exprec("resume", "-q", "--trust", work.name, cwd=folder, env=stranger)
    assert _run_id(folder) == run_id


def test_check_and_dry_run_import_nothing_unless_told(own: Path) -> None:
    for words in (("check", own), ("run", "--dry-run", own)):
        exprec(*words, cwd=own.parent)
        assert not (own.parent / "executed").exists()
        exprec(*words, "--import", cwd=own.parent)
        assert (own.parent / "executed").exists()
        (own.parent / "executed").unlink()
    assert b"--import applies to --dry-run" in exprec("run", "--import", own, cwd=own.parent, code=2).stderr
    (own.parent / "model.py").unlink()
    assert b"there is no module model in" in exprec("check", own, cwd=own.parent, code=2).stdout
