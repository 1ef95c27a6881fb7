"""Nothing that a run, a repository or a file contains controls a terminal or hides on it; pipes get every byte."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete

from exprec.cli.main import cli
from exprec.recorder.diagnostics import visible
from exprec.recorder.events import EventTypes, common, optimization
from exprec.recorder.state.provider import LiveStateProvider
from exprec.recorder.store.store import Store
from tests.fixtures import runs
from tests.fixtures.cli import completed_values, exprec
from tests.fixtures.events import EXAMPLES, exchange
from tests.fixtures.experiments import experiment
from tests.fixtures.git import commit_all, git
from tests.fixtures.runs import sealed_run
from tests.fixtures.terminal import run_on_terminal

pytestmark = pytest.mark.usefixtures("git_as_it_comes")

SEQUENCES = {
    "clear the screen": "\x1b[2J",
    "move the cursor": "\x1b[1;1H",
    "erase the line": "\x1b[2K\x1b[1A",
    "set the title": "\x1b]0;owned\x07",
    "set the clipboard": "\x1b]52;c;AA==\x07",
    "link": "\x1b]8;;http://evil.example\x1b\\",
    "device control": "\x1bP$q q\x1b\\",
    "application command": "\x1b_command\x1b\\",
    "privacy message": "\x1b^message\x1b\\",
    "alternate screen": "\x1b[?1049h",
    "bracketed paste": "\x1b[200~rm -rf\x1b[201~",
    "query the position": "\x1b[6n",
    "query the device": "\x1b[c",
    "reset the terminal": "\x1bc",
    "character set": "\x1b(0",
    "shift out": "\x0e",
    "hide": "\x1b[8m",
    "black on black": "\x1b[30;40m",
    "C1 sequence": "\x9b2J",
    "C1 title": "\x9d0;owned\x9c",
    "next line": "\x85",
    "bell": "\x07",
    "backspace": "good\b\b\b\b",
    "delete": "\x7f",
    "overwrite": "good\rbad",
    "override": "\u202eevil\u202c",
    "isolate": "\u2066evil\u2069",
    "mark": "\u200f\u200e\u061c",
    "zero width": "\u200b\u2060\ufeff",
    "joiner": "a\u200db",
    "soft hyphen": "\xad",
    "line separator": "\u2028\u2029",
    "fillers": "\u115f\u1160\u3164\uffa0",
    "blank": "\u2800",
    "grapheme joiner": "\u034f",
    "selector": "a\ufe0fb\ufe00\U000e0100",
    "tags": "\U000e0041\U000e007f",
    "space": "\xa0\u2003\u3000",
    "private": "\ue000",
    "unassigned": "\u0378",
}
EVIL = "".join(f"<{sequence}>" for sequence in SEQUENCES.values())
OUTPUT = f"{EVIL}\n".encode() + b"<\x9b2J>\xff\n<\x1b[31mred\x1b[0m>\ttab\n" + "last ⚠\ufe0f 👩\u200d🔬".encode()
STYLES = re.compile(rb"\x1b\[(?:0|1|2|31|32|36)m")
PROGRESS = re.compile(rb"\r\d+ of \d+ runs")
EMOJI = ("⚠\ufe0f", "👩\u200d🔬")


@dataclass(frozen=True)
class Stored:
    """A folder with a store, and the names of its runs."""

    folder: Path
    command: str
    other: str
    experiment: str
    again: str
    work: str


def _record_command(store: Store, text: str, output: bytes) -> str:
    config = {"command": {"argv": ["train", text], "inputs": {}, "artifacts": ["model"]}, "strict": False, text: text}
    recording = store.begin(text, "command", config, types=EventTypes(strict=False))
    provider = LiveStateProvider(text, "command", recording=recording)
    recording.write_output("stdout", output)
    recording.write_output("stderr", output)
    source = store.path.parent / "artifact"
    source.write_bytes(output)
    recording.artifacts.add("model", source)
    source.unlink()
    provider.record_event(1, "note", {"text": text, text: 1, "agent_id": text, "nested": {text: [text]}})
    provider.record_event(0, common.COMMAND_END.event_type, {"exit_status": 1, "signal": None})
    provider.record_event(0, common.EXPERIMENT_FAILED.event_type, {"error_type": "MissingArtifact", "message": text})
    return runs.seal(provider).run_id


def _record_experiment(store: Store, text: str, *, seals: bool = True) -> str:
    provider = runs.begin(store, {"rules": 2, "name": text, text: text}, text)
    provider.record_exchange(exchange(answer=f"{{}}{text}"))
    for kind in runs.COMPLETE if seals else runs.COMPLETE[:2]:
        iteration, fields = EXAMPLES[kind]
        changes: dict[str, dict[str, Any]] = {
            optimization.EXPERIMENT_START.event_type: {"experiment_name": text, "description": f"{text}\n{text}"},
            optimization.POLICY_CHANGE.event_type: {"acceptance_reason": text},
            optimization.POLICY_REJECTED.event_type: {"validation_errors": [text]},
        }
        provider.record_event(iteration, kind, {**fields, **changes.get(kind, {})})
    if seals:
        return runs.seal(provider).run_id
    provider.close()
    return str(provider.run_id)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """A repository with hostile runs on the branch `evil`, and files that are hostile."""
    folder = tmp_path_factory.mktemp("hostile") / "work"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    store = Store.open_or_create(folder / "runs")
    other = _record_command(store, "plain", b"plain\n")
    again = _record_experiment(store, "plain")
    store.tag("best", other)
    commit_all(folder, "main")
    git(folder, "checkout", "-q", "-b", "evil")
    command, experiment = _record_command(store, EVIL, OUTPUT), _record_experiment(store, EVIL)
    store.tag("best", command, force=True)
    name = EVIL.replace("/", "")[:100]
    (store.path / "tags" / name).write_text(f"{EVIL}\n")
    damaged = Path(shutil.copytree(store.path / command, folder / "damaged"))
    (damaged / name).write_text("unexpected")
    (damaged / "events.jsonl").write_text(json.dumps({"event_type": EVIL, EVIL: EVIL}, ensure_ascii=False))
    (folder / "evil.json").write_text(json.dumps({"name": EVIL, EVIL: EVIL, "simulator": EVIL}, ensure_ascii=False))
    agents = [{"id": EVIL, "opening_balance": 1000}, {"id": "B", "opening_balance": 1000}]
    scenario = {"simulation": {"ticks_per_day": 1, "num_days": 1, "rng_seed": 1}, "agents": agents}
    (folder / "scenario.json").write_text(json.dumps(scenario))
    commit_all(folder, "evil")
    work = _record_experiment(store, EVIL, seals=False)
    return Stored(folder, command, other, experiment, again, work)


COMMANDS: dict[str, Callable[[Stored], list[str]]] = {
    "show": lambda s: ["show", s.command],
    "show -v": lambda s: ["show", "-v", s.command],
    "show without color": lambda s: ["show", "--color", "never", s.command],
    "show an event": lambda s: ["show", s.command, "--event", "note"],
    "show --json": lambda s: ["show", "--json", s.experiment],
    "show --json of a command": lambda s: ["show", "--json", s.command],
    "show an experiment": lambda s: ["show", "-v", "--color", "always", s.experiment],
    "show a log": lambda s: ["show", "-v", f"./runs/{s.experiment}/events.jsonl"],
    "show an interrupted run": lambda s: ["show", s.work],
    "show no event": lambda s: ["show", s.command, "--event", EVIL],
    "show no run": lambda _: ["show", EVIL],
    "no such command": lambda _: [EVIL],
    "log": lambda _: ["log", "--color", "always"],
    "log --json": lambda _: ["log", "--json"],
    "tag": lambda _: ["tag"],
    "diff": lambda s: ["diff", s.other, s.command],
    "diff of experiments": lambda s: ["diff", s.again, s.experiment],
    "diff --stat": lambda s: ["diff", "--stat", s.other, s.command],
    "diff --md": lambda s: ["diff", "--md", s.other, s.command],
    "diff --json": lambda s: ["diff", "--json", s.other, s.command],
    "verify": lambda _: ["verify", "./damaged"],
    "verify --all": lambda _: ["verify", "--all"],
    "verify --git": lambda _: ["verify", "--git", "evil"],
    "review": lambda _: ["review", "main..evil"],
    "review --md": lambda _: ["review", "--md", "main..evil"],
    "rerun": lambda s: ["rerun", s.command],
    "gc": lambda _: ["gc", "--dry-run"],
    "resume": lambda s: ["resume", s.work],
    "check": lambda _: ["check", "evil.json"],
    "run --dry-run": lambda _: ["run", "--dry-run", "evil.json"],
    "simulate": lambda _: ["simulate", "scenario.json"],
    "simulate --json": lambda _: ["simulate", "--json", "scenario.json"],
}


SHOWN = ("show", "show -v", "show an event", "show an experiment", "show a log", "show an interrupted run")
"""Commands whose output is wrapped, or large."""


UNQUOTED = ("verify --all", "verify --git")
"""Commands that quote no text from these runs."""


@pytest.mark.parametrize(
    ("name", "columns"), [*((name, 80) for name in COMMANDS), *((name, 120) for name in (*SHOWN, "log", "diff"))]
)
def test_a_terminal_gets_no_sequence_and_nothing_hidden(stored: Stored, name: str, columns: int) -> None:
    words = COMMANDS[name](stored)
    refusal = {"[y/N]: ": "n\n"}
    done = run_on_terminal(*words, cwd=stored.folder, columns=columns, env={"EXPREC_PAGER": "cat"}, typed=refusal)
    _assert_harmless(done.printed)
    assert "Traceback" not in done.output
    assert re.search(r"\\(x|u00)1b|92;x1b", done.output) or name in UNQUOTED


def _assert_harmless(printed: bytes) -> None:
    text = PROGRESS.sub(b"", STYLES.sub(b"", printed)).decode("utf-8").replace("\r\n", "\n")
    for emoji in EMOJI:
        text = text.replace(emoji, "")
    for what, sequence in SEQUENCES.items():
        assert sequence not in text, what
    assert visible(text, keep="\n\t", quoted=True) == text


@pytest.mark.parametrize("name", [*SHOWN, "log", "diff"])
def test_a_pager_gets_what_a_terminal_gets(stored: Stored, tmp_path: Path, name: str) -> None:
    words = COMMANDS[name](stored)
    pager = {"EXPREC_PAGER": f"cat > '{tmp_path}/paged'"}
    run_on_terminal(*words, cwd=stored.folder, env=pager)
    paged = (tmp_path / "paged").read_bytes()
    assert len(paged) > 100
    _assert_harmless(paged)


def test_what_is_seen_of_an_output(stored: Stored) -> None:
    shown = run_on_terminal("show", stored.command, cwd=stored.folder, env={"EXPREC_PAGER": "cat"}).output
    for what, sequence in SEQUENCES.items():
        # A carriage return ends a row.
        seen = visible(sequence, quoted=True).replace("\\r", "\\r\n")
        assert shown.count(f"<{seen}>") >= 2, what
    assert "<\\x9b2J>\\xff\n<\x1b[31mred\x1b[0m>\ttab\nlast ⚠\ufe0f 👩\u200d🔬\n" in shown
    plain = run_on_terminal("show", "--color", "never", stored.command, cwd=stored.folder, env={"EXPREC_PAGER": "cat"})
    assert "<\\x1b[31mred\\x1b[0m>\ttab\n" in plain.output


def test_pipes_and_raw_get_every_byte(stored: Stored) -> None:
    done = exprec("show", stored.command, cwd=stored.folder)
    assert done.stdout == OUTPUT
    assert done.stderr.startswith(OUTPUT + b"\n")
    raw = run_on_terminal("show", "--raw", stored.command, cwd=stored.folder).printed
    sent = OUTPUT.replace(b"\n", b"\r\n")
    assert raw.startswith(sent + b"\r\n" + sent + b"\r\n")


@pytest.mark.parametrize("name", ["show an event", "show an experiment", "show a log", "show --json"])
def test_raw_is_what_a_pipe_gets(stored: Stored, name: str) -> None:
    words = COMMANDS[name](stored)
    piped = exprec(*words, cwd=stored.folder, env={"COLUMNS": "80"}).stdout
    # Without color, unless it was asked for, as in a pipe.
    raw = run_on_terminal(*words, "--raw", cwd=stored.folder, columns=80, env={"NO_COLOR": "1"}).printed
    assert raw.replace(b"\r\n", b"\n") == piped
    assert "\u115f".encode() in raw


def test_only_the_streams_that_are_terminals_are_changed(stored: Stored, tmp_path: Path) -> None:
    script = tmp_path / "script"
    start = "from exprec.cli.main import main; main()"
    script.write_text(f"exec {sys.executable} -c '{start}' show {stored.command} > '{tmp_path}/stdout'\n")
    code = f"import os; os.execvp('sh', ['sh', '{script}'])"
    done = run_on_terminal(*_recorded_words(code), cwd=stored.folder)
    assert (tmp_path / "stdout").read_bytes() == OUTPUT
    _assert_harmless(done.printed)


def _recorded_words(code: str) -> Iterator[str]:
    yield from ("run", "-q", "--store", "elsewhere", "--", sys.executable, "-c", code)


def test_names_that_differ_look_different(tmp_path: Path) -> None:
    store = Store.open_or_create(tmp_path / "runs")
    names = ["a b", "a\xa0b", "ab", "a\u200bb", "a\u115fb", "a\\u115fb", "a\\\\u115fb", "⚠", "⚠\ufe0f", "\x1b", "\\x1b"]
    for number, name in enumerate(names):
        runs.record(store, {"name": name, "seed": number}, name=name)
    shown = exprec("log", cwd=tmp_path).stdout.decode().splitlines()[1:]
    assert len({line.split("  ", 1)[1].split("  ")[0] for line in shown}) == len(names)


@pytest.mark.parametrize("words", [["run"], ["run", "--dry-run"], ["show"], ["verify"], ["diff", "./none"]], ids=str)
def test_no_name_begins_a_line_of_a_message(tmp_path: Path, words: list[str]) -> None:
    """Else the name of a file or a key could add a line that looks like one of exprec."""
    Store.open_or_create(tmp_path / "runs")
    name = "./name\nexprec: forged"
    if words[0] == "run":
        (tmp_path / name).write_text(json.dumps({"key\nexprec: forged": 1, "simulator": "module\nexprec: forged"}))
    else:
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
    done = exprec(*words, name, cwd=tmp_path, code={"run": 2, "diff": 4, "verify": 1}.get(words[0], 5))
    lines = (done.stdout + done.stderr).decode().splitlines()
    assert lines
    assert not any(line.startswith("exprec: forged") for line in lines)


def test_no_name_with_a_hidden_character_is_completed(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(stored.folder)
    assert completed_values("show", "be") == ["best"]
    assert completed_values("show", "<") == ["<"]
    (stored.folder / "runs" / "tags" / "forged").write_text("\x1b[2J\u115fx\n")
    (item,) = ShellComplete(cli, {}, "exprec", "_EXPREC_COMPLETE").get_completions(["show"], "forg")
    assert (item.value, item.help) == ("forged", "\\x1b[2J\\u115fx")
    (stored.folder / "runs" / "tags" / "forged").unlink()
    assert "--raw" in completed_values("show", "--r")


def test_an_experiment_is_shown_as_it_was_printed_live(tmp_path: Path) -> None:
    file = experiment(tmp_path, name=EVIL, description=f"{EVIL}\nsecond line")
    live = run_on_terminal("run", "-v", file, cwd=tmp_path).printed
    run_id = sealed_run(tmp_path).run_id
    _assert_harmless(live)
    assert run_on_terminal("show", "-v", run_id, cwd=tmp_path, env={"EXPREC_PAGER": "cat"}).printed == live
    again = exprec("run", "-v", file, cwd=tmp_path, env={"COLUMNS": "100"}).stdout
    assert exprec("show", "-v", run_id, cwd=tmp_path, env={"COLUMNS": "100"}).stdout == again
    assert "\u115f".encode() in again
    _assert_harmless(run_on_terminal("run", "--json", file, cwd=tmp_path).printed)


def test_events_of_a_command_are_displayed_harmlessly_while_its_output_is_passed_through(tmp_path: Path) -> None:
    (tmp_path / "events").write_text(json.dumps({"event_type": "note", "text": EVIL}) + "\n")
    (tmp_path / "output").write_bytes(OUTPUT)
    program = "cat output; cat events >> $EXPREC_EVENTS"
    passed = run_on_terminal("run", "-v", "--", "sh", "-c", program, cwd=tmp_path).printed
    sent = OUTPUT.replace(b"\n", b"\r\n")
    assert passed.startswith(sent)
    _assert_harmless(passed[len(sent) :])
    for options in (["--json"], ["-q"]):
        _assert_harmless(run_on_terminal("run", *options, "--", "sh", "-c", program, cwd=tmp_path).printed)
