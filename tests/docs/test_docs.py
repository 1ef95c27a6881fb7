"""What README, docs/ and the examples show is what happens: sessions are typed again, options and links looked up.

How a page is written so that this can be done is told in CONTRIBUTING.md. What only the README has, its Python and
its experiment, is held to the truth in test_readme.
"""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import pytest

from exprec.cli.main import cli
from tests.docs.installed import copy_of, environment
from tests.fixtures.cli import START, exprec
from tests.fixtures.paths import ROOT

README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*/README.md"))
LEFT_OUT = "..."
CTRL_C = "^C"
HOME = "/home/ada/study"
"""The folder of the user in the pages."""
FASTER = "import time; _sleep = time.sleep; time.sleep = lambda seconds: _sleep(seconds / 20)"
"""Makes the slow simulator of the pages fast without changing its bytes, which are hashed into the run id."""
COMMANDS = cli.list_commands(click.Context(cli))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.S | re.M)
_NAMED = re.compile(r"`([\w./-]+)`:\n\n\Z")
_VARIES = [
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:\+00:00|Z)?"), "<time>"),
    (re.compile(r"\b[0-9a-f]{12}\b"), "<commit>"),
    (
        re.compile(r'^( +"(?:duration_seconds|exprec|git_\w+|host|platform|python|started_at|user)": ).*'),
        r"\1<observed>",
    ),
]


@dataclass(frozen=True)
class Command:
    """A command line, the output on the page, and the exit code, 0 unless shown."""

    line: str
    shown: tuple[str, ...]
    code: int = 0


@dataclass(frozen=True)
class Written:
    """A file that the page asks to write."""

    name: str
    text: str


def steps_of(page: str) -> Iterator[Command | Written]:
    """Yield the steps of a page, in order."""
    for block in _FENCE.finditer(page):
        named = _NAMED.search(page[: block.start()])
        if block[1] == "console":
            yield from _commands(block[2])
        elif named and block[1] != "text":
            yield Written(named[1], block[2])


def _commands(block: str) -> list[Command]:
    commands: list[Command] = []
    for entry in re.split(r"^\$ ", block, flags=re.M)[1:]:
        line, *shown = entry.splitlines()
        if line == "echo $?":
            commands[-1] = replace(commands[-1], code=int(shown[0]))
        else:
            commands.append(Command(line, tuple(shown)))
    assert block.startswith("$ ")
    return commands


class Reader:
    """Executes the steps of a page in a folder with the examples only, or in a copy of an example for its page."""

    def __init__(self, page: Path, place: Path) -> None:
        self.folder = place / "study"
        if page in EXAMPLES:
            copy_of(page.parent.name, self.folder)
        else:
            copy_of("", self.folder / "examples")
        self._environment = environment(place)
        self._waits = False
        self._names: dict[str, str] = {}
        """The random name of an interrupted run on the page, and the actual one."""

    def do(self, step: Command | Written) -> None:
        if isinstance(step, Written):
            (self.folder / step.name).parent.mkdir(exist_ok=True)
            (self.folder / step.name).write_text(step.text, "utf-8")
            self._waits |= "time.sleep(" in step.text
        elif "jq" not in step.line or shutil.which("jq"):
            self._type(replace(step, line=self._here(step.line)))

    def _type(self, command: Command) -> None:
        if CTRL_C in command.shown:
            out, errors = self._until_ctrl_c(command)
        elif re.search(r"[|>$;*&]", command.line) or not command.line.startswith("exprec "):
            out, errors = self._in_shell(command.line, command.code), ""
        else:
            _, *words = shlex.split(command.line)
            waits = self._waits and words[0] in ("run", "resume", "rerun")
            done = exprec(
                *words, cwd=self.folder, env=self._environment, code=command.code, first=FASTER if waits else ""
            )
            out, errors = done.stdout.decode(), done.stderr.decode()
        shown = [self._as_compared(self._here(line)) for line in command.shown if line != CTRL_C]
        real = [[self._as_compared(line) for line in text.splitlines()] for text in (out, errors)]
        assert _matches(shown, *real), f"$ {command.line}\n{out}{errors}"

    def _in_shell(self, line: str, code: int) -> str:
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, (line, done.returncode, done.stdout.decode())
        return done.stdout.decode()

    def _until_ctrl_c(self, command: Command) -> tuple[str, str]:
        """Press Ctrl-C after the line that precedes it on the page, and remember the name of the run."""
        awaited = command.shown[command.shown.index(CTRL_C) - 1]
        start = [sys.executable, "-c", f"{FASTER}; {START}", *shlex.split(command.line)[1:]]
        with subprocess.Popen(
            start,
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        ) as process:
            assert process.stdout is not None
            seen = ""
            while not seen.endswith(f"{awaited}\n"):
                line = process.stdout.readline()
                assert line, f"{awaited!r} never appeared"
                seen += line
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        assert process.returncode == command.code
        on_page, here = (re.findall(r"resume ([0-9a-f]{16})", text)[0] for text in ("\n".join(command.shown), errors))
        self._names |= {on_page: here, on_page[:8]: here[:8]}
        return seen, errors

    def _here(self, text: str) -> str:
        for on_page, here in self._names.items():
            text = text.replace(on_page, here)
        return text

    def _as_compared(self, line: str) -> str:
        """Return the line without the parts that vary between executions."""
        line = line.replace(str(self.folder), HOME)
        if any(name in line for name in self._names.values()):
            # How far it came when it was interrupted is a matter of milliseconds.
            return " ".join(re.sub(r"\d[\d.]*", "#", word) for word in line.split())
        for pattern, instead in _VARIES:
            line = pattern.sub(instead, line)
        return line.rstrip()


def _matches(shown: Sequence[str], out: Sequence[str], errors: Sequence[str]) -> bool:
    """Return whether these lines are this output with messages between its lines, as on a terminal."""
    messages, rest = list(errors), []
    for line in shown:
        if messages and line == messages[0]:
            del messages[0]
        else:
            rest.append(line)
    pattern = "".join(
        r"(?:.*\n)+"
        if line == LEFT_OUT
        else re.escape(line.removesuffix(LEFT_OUT)) + ".*" * line.endswith(LEFT_OUT) + r"\n"
        for line in rest
    )
    return not messages and re.fullmatch(pattern, "".join(f"{line}\n" for line in out)) is not None


def _name(page: Path) -> str:
    return page.parent.name if page in EXAMPLES else page.stem


@pytest.mark.parametrize("page", [*PAGES, *EXAMPLES], ids=_name)
def test_the_sessions_are_real(page: Path, tmp_path: Path) -> None:
    if page.parent.name == "node" and shutil.which("node") is None:
        pytest.skip("node is not installed")
    reader = Reader(page, tmp_path)
    for step in steps_of(page.read_text("utf-8")):
        reader.do(step)


@pytest.mark.parametrize(
    ("shown", "is_real"),
    [
        (["a", "exprec: m", "b", "c"], True),
        (["exprec: m", "a", "...", "c"], True),
        (["exprec: m", "a", "..."], True),
        (["exprec: m", "a", "b...", "..."], True),
        (["exprec: m", "a", "c"], False),
        (["exprec: m", "a", "b", "...", "c"], False),
        (["exprec: m", "a", "x...", "c"], False),
        (["exprec: other", "a", "b", "c"], False),
        (["a", "b", "c"], False),
        (["..."], False),
    ],
)
def test_what_a_session_shows_is_compared(shown: list[str], is_real: bool) -> None:
    assert _matches(shown, ["a", "b", "c"], ["exprec: m"]) == is_real


def test_the_table_names_every_command_and_no_other() -> None:
    named = re.findall(r"^\| `exprec (\w+)", README.read_text("utf-8"), re.M)
    assert sorted(named) == sorted(COMMANDS)


@pytest.mark.parametrize("page", [*PAGES, *EXAMPLES], ids=_name)
def test_every_option_it_names_exists(page: Path) -> None:
    unknown = [
        f"{command or 'exprec'} {option}"
        for command, option in _options_in(page.read_text("utf-8"))
        if option not in (_options_of(command) if command else set().union(*map(_options_of, COMMANDS)))
    ]
    assert unknown == []


def _options_in(page: str) -> Iterator[tuple[str, str]]:
    """Yield every long option in code with the command before it, or None."""
    code = [line for block in _FENCE.finditer(page) if block[1] != "sh" for line in block[2].splitlines()]
    for span in [*code, *re.findall(r"`([^`\n]+)`", _FENCE.sub("", page))]:
        for called in re.split(r"[|;&]|\$\(", span):
            # What follows on `--` are the words of another command.
            before, _, after = called.partition(" -- ")[0].rpartition("exprec ")
            options = re.findall(r"(?<!\S)--[a-z][a-z-]+", after)
            if before or called.startswith("exprec ") or re.match(r"--?\w", span):
                command = after.split()[0] if after.split()[0] in COMMANDS else ""
                yield from ((command, option) for option in options)


def _options_of(name: str) -> set[str]:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    return {"--help", *(option for each in command.params for option in (*each.opts, *each.secondary_opts))}


@pytest.mark.parametrize("page", [*PAGES, *EXAMPLES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"], ids=_name)
def test_links_have_targets(page: Path) -> None:
    for target, heading in re.findall(r"\]\((?!\w+:)([^)#]*)#?([^)]*)\)", page.read_text("utf-8")):
        there = page.parent / target if target else page
        assert there.exists(), target
        assert not heading or heading in _anchors(there), heading


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", page.read_text("utf-8")), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_contributing_shows_every_room() -> None:
    tree = next(
        block[2] for block in _FENCE.finditer((ROOT / "CONTRIBUTING.md").read_text("utf-8")) if "cli/" in block[2]
    )
    rooms = {path.parent.name for top in ("cli", "recorder") for path in (ROOT / top).rglob("__init__.py")}
    assert [room for room in sorted(rooms) if f"{room}/" not in tree] == []


def test_the_readme_leads_to_every_page() -> None:
    assert {f"docs/{page.name}" for page in PAGES[1:]} <= set(re.findall(r"\]\(([^)#]+)", README.read_text("utf-8")))
