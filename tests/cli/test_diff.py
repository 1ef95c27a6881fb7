"""The command `exprec diff`."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from exprec.recorder.store.store import Store
from tests.fixtures.cli import exprec
from tests.fixtures.diffs import Recorded, mirrored
from tests.fixtures.experiments import write_castro_experiment
from tests.fixtures.paths import CASTRO, ROOT

TWO = CASTRO / "two-period.yaml"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of tagged runs: a game, one with a lower limit, one that failed, and two with a model."""
    folder = tmp_path_factory.mktemp("diff")
    (folder / "none.jsonl").write_bytes(b"")
    for name in ("every_event.yaml", "every_event.answers.jsonl"):
        shutil.copy(ROOT / "tests" / "data" / name, folder)
    short = write_castro_experiment(folder, max_iterations=7)
    _run(folder, "base", TWO)
    _run(folder, "short", short)
    _run(folder, "failed", TWO, "--model", "scripted:none.jsonl", code=3)
    _run(folder, "first", "every_event.yaml")
    script = folder / "every_event.answers.jsonl"
    script.write_bytes(
        script.read_bytes().replace(b'initial_liquidity_fraction\\": 0.25', b'initial_liquidity_fraction\\": 0.3')
    )
    _run(folder, "second", "every_event.yaml")
    return folder


def _run(folder: Path, tag: str, *arguments: str | Path, code: int = 0) -> None:
    known = set(Store(folder / "runs").run_ids()) if (folder / "runs").exists() else set()
    exprec("run", "-q", *arguments, cwd=folder, code=code)
    store = Store(folder / "runs")
    (run_id,) = set(store.run_ids()) - known
    store.tag(tag, run_id)


def _diff(folder: Path, *arguments: str | Path, code: int = 1) -> str:
    done = exprec("diff", *arguments, cwd=folder, code=code, env={"COLUMNS": "100"})
    assert done.stderr == b""
    return done.stdout.decode()


def _json(folder: Path, *arguments: str | Path, code: int = 1) -> dict[str, Any]:
    found = json.loads(_diff(folder, "--json", *arguments, code=code))
    assert isinstance(found, dict)
    return found


def _sections(shown: str) -> list[str]:
    return [line.partition(":")[0] for line in shown.splitlines() if line and not line.startswith((" ", "A  ", "B "))]


def test_a_run_does_not_differ_from_itself_or_a_copy(folder: Path) -> None:
    run_id = Store(folder / "runs").tags()["base"]
    copy = shutil.copytree(folder / "runs" / run_id, folder / "sent by mail")
    for names in (("base", "base"), (run_id[:6], run_id), ("base", copy), (copy, folder / "runs" / run_id)):
        assert _diff(folder, *names, code=0) == ""
        assert _diff(folder, "--stat", *names, code=0) == ""
    assert _json(folder, "base", "base", code=0)["equal"] is True
    assert "No differences" in _diff(folder, "--md", "base", "base", code=0)


def test_equal_run_ids_suffice(folder: Path) -> None:
    path = folder / "runs" / Store(folder / "runs").tags()["base"] / "events.jsonl"
    path.write_bytes(b"damaged")
    assert _diff(folder, "base", "base", code=0) == ""


def test_shorter_experiment_has_no_divergence_but_ends_earlier(recorded: Path) -> None:
    shown = _diff(recorded, "base", "short")
    assert _sections(shown) == ["Config", "First divergence", "Only in one run", "Result"]
    for part in (
        "  convergence.max_iterations 25 → 7\n",
        "  A: seq 29, iteration 8, iteration_start\n",
        "  B: seq 29, experiment_end\n",
        "  A: iterations 8 to 13\n",
        "  final cost  2000 → 2500  500 cents more (+25.0 %): worse\n",
        "  converged true → false\n",
    ):
        assert part in shown
    back = _diff(recorded, "short", "base")
    assert "  final cost  2500 → 2000  500 cents less (-20.0 %): better\n" in back
    assert "  B: iterations 8 to 13\n" in back


def test_changed_answer_is_shown_from_the_request_to_the_result(recorded: Path) -> None:
    shown = _diff(recorded, "first", "second")
    assert _sections(shown) == [
        "Config",
        "First divergence",
        "Cost in cents at the start of an iteration",
        "initial_liquidity_fraction at the end of an iteration (0",
        "Model requests and responses",
        "Other differences",
        "Result",
    ]
    assert "     2 to 3  4500 → 5000  +500  2500 → 3000  +500\n" in shown
    assert '    +…ty_fraction": 0.3}, "payment_tree"' in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_stat_is_a_line_a_kind(recorded: Path) -> None:
    lines = _diff(recorded, "--stat", "first", "second").splitlines()
    assert lines[0].startswith("A  ")
    assert lines[2] == "B ends with 500 cents more (+11.1 %): worse"
    assert [line.split("  ")[0] for line in lines[3:]] == [
        "config",
        "diverged",
        "costs",
        "parameters",
        "model texts",
        "events",
        "result",
    ]
    assert "iteration 1, policy_change of BANK_A: new_cost 2500 → 3000" in lines[4]


def test_json_is_mirrored_and_has_the_keys_that_help_names(recorded: Path) -> None:
    forth = _json(recorded, "first", "second")
    assert forth["equal"] is False
    assert mirrored(_json(recorded, "second", "first")) == forth
    for key in set(forth) - {"limit"}:
        assert f"`{key}`" in exprec("diff", "--help").stdout.decode()
    assert list(forth) == sorted(forth)
    points = forth["costs"]["listed"][0]["points"]["listed"]
    assert points == [{"iteration": number, "new": 5000, "old": 4500, "ordinal": 0} for number in (2, 3)]


def test_the_limit_is_for_each_kind(recorded: Path) -> None:
    found = _json(recorded, "--limit", "2", "first", "second")
    assert (found["limit"], found["events"]["count"], len(found["events"]["listed"])) == (2, 4, 2)
    assert "  and 2 more\n" in _diff(recorded, "--limit", "2", "first", "second")


def test_markdown_has_tables_and_blocks_of_differences(recorded: Path) -> None:
    shown = _diff(recorded, "--md", "first", "second")
    assert "| 2 to 3 | 4500 → 5000  +500 | 2500 → 3000  +500 |\n" in shown
    assert "diff\n@@ line 2 @@\n" in shown
    assert "- B ends with **500 cents more (+11.1 %): worse**\n" in shown


def test_failed_and_completed(recorded: Path) -> None:
    shown = _diff(recorded, "base", "failed")
    assert "status 'completed' → 'failed'" in shown
    assert "failure none → ScriptExhausted: none.jsonl has no answer left for BANK_A" in shown
    assert "result final cost 2000, best cost 2000 → none" in shown


def test_a_run_that_is_not_sealed(folder: Path) -> None:
    store = folder / "runs"
    source = store / Store(store).tags()["base"]
    work = store / ".work" / "0123456789abcdef"
    work.mkdir(parents=True)
    shutil.copy(source / "config.json", work)
    lines = (source / "events.jsonl").read_bytes().splitlines(keepends=True)
    (work / "events.jsonl").write_bytes(b"".join(lines[:10]) + b'{"acc')
    shown = _diff(folder, "base", "01234567")
    assert "B  01234567  " in shown
    assert "interrupted, not sealed" in shown
    assert "  B: ends before seq 10\n" in shown
    assert "  A: iterations 4 to 13\n" in shown
    assert "Cost in cents" not in shown


@pytest.mark.parametrize("file", ["events.jsonl", "exchanges.jsonl"])
def test_a_damaged_run_is_named_with_file_and_line(folder: Path, file: str) -> None:
    path = folder / "runs" / Store(folder / "runs").tags()["second"] / file
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"x" * (len(lines[1]) - 1) + b"\n", *lines[2:]]))
    done = exprec("diff", "first", "second", cwd=folder, code=5)
    assert done.stdout == b""
    assert f"/{file}:2: not JSON" in done.stderr.decode()
    (path.parent / "config.json").unlink()
    assert b"config.json: the file is missing" in exprec("diff", "second", "first", cwd=folder, code=5).stderr


def test_a_folder_that_is_not_what_its_name_says(folder: Path) -> None:
    shutil.copytree(folder / "runs" / Store(folder / "runs").tags()["base"], folder / "runs" / ("f" * 64))
    assert "contents are equal except run.json" in _diff(folder, "base", "ffff")
    assert "contents are equal except" in _diff(folder, "--stat", "base", "ffff")
    assert _json(folder, "base", "ffff")["equal"] is False


def test_requests_that_one_run_alone_made(tmp_path: Path) -> None:
    old, new = Recorded(), Recorded()
    del old.exchanges[-1], new.exchanges[-2:]
    for name, side in (("old", old), ("new", new)):
        side.written(tmp_path / name)
    assert "Only in one run" in _diff(tmp_path, "./old", "./new")
    assert "only in A  1 request to a model" in _diff(tmp_path, "--stat", "./old", "./new")


def test_hostile_text_is_shown_and_does_nothing(tmp_path: Path) -> None:
    old, new = Recorded(), Recorded()
    evil = "\x1b[2J\u202e[red]x[/red] |`</code>@all\n# x"
    new.config["name"] = evil
    new.config[evil] = 1
    for side, text in ((old, "harmless"), (new, evil)):
        side.insert(
            side.find("iteration_end", 1),
            {"event_type": evil, "iteration": 1, "agent_id": evil, evil: len(text), "text": text},
        )
    new.exchanges[0]["answer"] = f"```\n{evil}\n~~~"
    new.find("iteration_end", 2)["policies"][evil] = evil
    new.find("policy_change", 1, "A")["acceptance_reason"] = evil
    for name, side in (("old", old), ("new", new)):
        side.written(tmp_path / name)
    shown = _diff(tmp_path, "./old", "./new", "--color", "never")
    assert "\\x1b[2J\\u202e[red]x[/red] |`</code>@all\\n# x" in shown
    markdown = _diff(tmp_path, "--md", "./old", "./new")
    for output in (shown, markdown, _diff(tmp_path, "--stat", "./old", "./new")):
        assert "\x1b" not in output
        assert "\u202e" not in output
    outside: list[str] = []
    inside: list[str] = []
    for number, part in enumerate(re.split(r"^`{3,}.*$", markdown, flags=re.MULTILINE)):
        (inside if number % 2 else outside).append(part)
    assert any("</code>@all" in part for part in inside)
    for part in outside:
        assert part.count("<code>") == part.count("</code>")
        assert not re.search(r"@|\[red\]|^# ", part, flags=re.MULTILINE)


def test_different_latencies_are_summed(tmp_path: Path) -> None:
    old, new = Recorded(), Recorded()
    for number in (1, 2, 3):
        new.find("llm_call", number, "A")["latency_seconds"] = 2.5
    for name, side in (("old", old), ("new", new)):
        side.written(tmp_path / name)
    shown = _diff(tmp_path, "./old", "./new")
    assert shown.endswith("\n\nLatency: differs in 3 calls, 1.5 s → 7.5 s in total\n")
    assert "First divergence" not in shown


def test_events_of_other_types_are_a_table(tmp_path: Path) -> None:
    old, new = Recorded(), Recorded()
    for side, scale in ((old, 1.0), (new, 0.5)):
        for number in (1, 2, 3):
            epoch = {
                "event_type": "epoch",
                "iteration": number,
                "loss": scale / number,
                "step": 1 if number < 3 else scale,
            }
            side.insert(side.find("iteration_end", number), epoch)
        side.written(tmp_path / ("old" if side is old else "new"))
    table = _diff(tmp_path, "./old", "./new").partition("epoch by iteration (0: outside)\n")[2].splitlines()
    assert [line.split() for line in table[:3]] == [
        ["iteration", "loss", "step"],
        ["1", "1.0", "→", "0.5", "-0.5", "="],
        ["2", "0.5", "→", "0.25", "-0.25", "="],
    ]
    assert table[3].split()[-4:] == ["1.0", "→", "0.5", "-0.5"]


def test_exit_codes_and_wrong_usage(recorded: Path) -> None:
    assert _diff(recorded, "--no-exit-code", "base", "short", code=0) == _diff(recorded, "base", "short")
    exprec("diff", "base", "nothing", cwd=recorded, code=4)
    stat_limit = ["base", "short", "--stat", "--limit", "3"]
    for wrong in (["base"], ["base", "short", "--stat", "--json"], ["base", "short", "--limit", "0"], stat_limit):
        assert b"Traceback" not in exprec("diff", *wrong, cwd=recorded, code=2).stderr


def test_colour_follows_the_option(recorded: Path) -> None:
    assert "\x1b[" not in _diff(recorded, "base", "short")
    coloured = _diff(recorded, "base", "short", "--color", "always")
    assert "\x1b[31m25\x1b[0m" in coloured


TRAIN = """
import json, os, sys
rate, epochs = float(sys.argv[1]), int(sys.argv[2])
with open(os.environ["EXPREC_EVENTS"], "a") as events:
    for epoch in range(1, epochs + 1):
        loss = 0.31 / epoch if rate == 0.1 else 0.29 / epoch
        print(f"epoch {epoch}: {loss:.3f}")
        events.write(json.dumps({"event_type": "epoch", "iteration": epoch, "loss": loss, "left": 5 - epoch}) + chr(10))
print("trained", len(open("data.csv").read()), "\\r\\x1b[31m")
with open("model.txt", "w") as model:
    model.write(f"bias 0\\nrate {rate}\\n")
"""


def test_two_settings_of_a_training_loop(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TRAIN)
    for name, data, words in (("a", "1,2", ["0.1", "3"]), ("b", "1,2,3", ["0.2", "4"])):
        (tmp_path / "data.csv").write_text(data)
        options = ("-q", "--name", "train", "--input", "data.csv", "--artifact", "model.txt")
        exprec("run", *options, "--", sys.executable, "train.py", *words, cwd=tmp_path)
        store = Store(tmp_path / "runs")
        (run_id,) = set(store.run_ids()) - set(store.tags().values())
        store.tag(name, run_id)
    shown = _diff(tmp_path, "a", "b")
    digests = [hashlib.sha256(data).hexdigest()[:12] for data in (b"1,2", b"1,2,3")]
    for expected in (
        "  command.argv[2] '0.1' → '0.2'\n",
        "  command.argv[3] '3' → '4'\n",
        f"  command.inputs.data.csv.sha256 {digests[0]}… → {digests[1]}…\n",
        "B: iteration 4\n",
        "  iteration                             loss\n          1      0.31 →      0.29      -0.02\n",
        "    -epoch 1: 0.310\n",
        "    +epoch 4: 0.072\n",
        r"    -trained 3 \r\x1b[31m",
        "Artifacts: 1 file\n  model.txt  different content, 16 bytes\n",
        "    @@ line 2 @@\n     bias 0\n    -rate 0.1\n    +rate 0.2\n",
    ):
        assert expected in shown, shown
    assert "\x1b" not in shown
    found = _json(tmp_path, "a", "b")
    assert [found[kind]["count"] for kind in ("config", "numbers", "outputs", "artifacts")] == [4, 1, 1, 1]
    stat = _diff(tmp_path, "--stat", "a", "b").splitlines()
    assert [line.split() for line in stat if line.startswith(("output", "artifacts"))] == [
        ["output", "1", "stream"],
        ["artifacts", "1", "file"],
    ]
    assert "```diff" in _diff(tmp_path, "--md", "a", "b")
