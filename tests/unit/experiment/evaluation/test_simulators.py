"""Simulators of the user's: how they are imported, what they are given, and what they may return."""

from __future__ import annotations

import asyncio
import json
import os
import py_compile
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest

from exprec.recorder.display import VerboseConfig
from exprec.recorder.errors import ExperimentFailed, InvalidInput, SimulationError
from exprec.recorder.events import optimization
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.evaluation.evaluator import Simulator
from exprec.recorder.experiment.evaluation.simulators import UserSimulator, load_simulator
from exprec.recorder.experiment.loop import OptimizationResult
from exprec.recorder.experiment.runner import GenericExperimentRunner
from exprec.recorder.state.provider import LiveStateProvider
from exprec.recorder.store.store import Store
from tests.fixtures.display import display_to_text
from tests.fixtures.experiments import mapping, of_type, policy

BOWL = '''\
def costs(scenario, policies, seed):
    """The nearer to the bottom of the bowl, the cheaper."""
    found = {}
    for agent, policy in policies.items():
        x, y = (policy["parameters"][name] for name in ("x", "y"))
        found[agent] = round(1000 * ((x - scenario["x"]) ** 2 + (y - scenario["y"]) ** 2)) + scenario["least"]
    return found
'''
XY = {
    "allowed_parameters": [
        {"name": "x", "param_type": "float", "min_value": 0, "max_value": 10},
        {"name": "y", "param_type": "int", "min_value": -20, "max_value": 20},
    ]
}
BOTTOM = {"x": 3.0, "y": 7, "least": 500}
ONE = "def costs(scenario, policies, seed):\n    return {agent: 1 for agent in policies}\n"


@pytest.fixture(autouse=True)
def _surroundings() -> Iterator[None]:
    """Whatever a test imports, nothing of it is left behind."""
    path, finders, modules = sys.path[:], sys.meta_path[:], dict(sys.modules)
    yield
    assert (sys.path, sys.meta_path) == (path, finders)
    for name in ("simulation", "helper", "cli", "schemas", "recorder", "numpy"):
        assert sys.modules.get(name) is modules.get(name)


def written(folder: Path, source: str, **files: str) -> Path:
    """A folder with the module `simulation` and others; `pack_init` is pack/__init__.py, `pack_x` pack/x.py."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {"simulation": source, **files}.items():
        path = folder / f"{name.replace('_', '/').replace('/init', '/__init__')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def load(folder: Path, **changes: Any) -> ExperimentConfig:
    given = {"simulator": "simulation:costs", "scenario": {}, **changes}
    return ExperimentConfig.from_mapping(mapping(**given), folder)


def loaded(folder: Path, **changes: Any) -> UserSimulator:
    simulator = load_simulator(load(folder, **changes), folder)
    assert isinstance(simulator, UserSimulator)
    return simulator


def simulated(folder: Path, **changes: Any) -> dict[str, float]:
    """What one simulation costs each agent."""
    (result,) = loaded(folder, **changes).simulate_each({"A": policy(0.5), "B": policy(0.25)}, [7])
    assert (result.arrivals, result.settled) == (0, 0)
    return {agent: costs.total for agent, costs in result.agents.items()}


def refused(folder: Path, **changes: Any) -> str:
    with pytest.raises(InvalidInput) as raised:
        load(folder, **changes)
    (problem,) = raised.value.problems
    assert problem.key == "simulator"
    return problem.message


def stopped(folder: Path, **changes: Any) -> SimulationError:
    with pytest.raises(SimulationError) as raised:
        simulated(folder, **changes)
    return raised.value


def ran(config: ExperimentConfig, folder: Path) -> tuple[OptimizationResult, LiveStateProvider]:
    runner = GenericExperimentRunner(config, config_dir=folder)
    result = asyncio.run(runner.run())
    assert runner.state_provider is not None
    return result, runner.state_provider


class TestOptimising:
    @pytest.mark.parametrize("mode", ["deterministic", "bootstrap"])
    def test_a_search_finds_the_bottom_of_a_bowl(self, tmp_path: Path, mode: str) -> None:
        config = load(
            written(tmp_path, BOWL),
            scenario=BOTTOM,
            policy_constraints=XY,
            optimized_agents=["A"],
            evaluation__mode=mode,
            convergence={"max_iterations": 45, "stability_window": 45},
        )
        result, provider = ran(config, tmp_path)
        assert result.final_cost == result.best_cost == 500
        assert result.policies["A"]["parameters"] == {"x": 3.0, "y": 7}
        assert provider.get_iteration_costs(0) == {"A": 1000 * (2**2 + 7**2) + 500}
        assert {change["accepted"] for change in of_type(provider, optimization.POLICY_CHANGE.event_type)} == {
            True,
            False,
        }

    def test_every_agent_pays_for_its_own_policy(self, tmp_path: Path) -> None:
        config = load(written(tmp_path, BOWL), scenario=BOTTOM, policy_constraints=XY, convergence__max_iterations=2)
        _, provider = ran(config, tmp_path)
        (first, second) = of_type(provider, optimization.POLICY_CHANGE.event_type)[:2]
        assert (first["agent_id"], second["agent_id"]) == ("A", "B")
        assert first["old_cost"] == second["old_cost"] == 53500

    def test_nothing_is_said_of_payments_where_there_are_none(self, tmp_path: Path) -> None:
        config = load(written(tmp_path, ONE), evaluation__mode="bootstrap", convergence__max_iterations=2)
        _, provider = ran(config, tmp_path)
        for evaluation in of_type(provider, optimization.BOOTSTRAP_EVALUATION.event_type):
            assert {frozenset(each) for each in evaluation["seed_results"]} == {
                frozenset(("seed", "cost", "costs_per_agent"))
            }
        shown = display_to_text(provider, VerboseConfig.all_enabled())
        assert "10 samples  mean 2  deviation 0\n" in shown
        assert "cost 2  A 1  B 1\n" in shown
        assert "settled" not in shown
        assert "payment_tree" not in str(list(provider.get_all_events()))


class TestWhatItIsGiven:
    def test_scenario_policies_and_seed(self, tmp_path: Path) -> None:
        source = (
            "def costs(scenario, policies, seed):\n"
            "    assert seed == 7 and list(policies) == ['A', 'B'] and scenario == {'deep': {'list': [1]}}\n"
            "    return {agent: round(100 * policy['parameters']['initial_liquidity_fraction'])"
            " for agent, policy in policies.items()}\n"
        )
        assert simulated(written(tmp_path, source), scenario={"deep": {"list": [1]}}) == {"A": 50, "B": 25}

    def test_it_cannot_change_the_experiment(self, tmp_path: Path) -> None:
        source = (
            "def costs(scenario, policies, seed):\n"
            "    scenario['list'].append(1)\n"
            "    scenario['new'] = 1\n"
            "    before = policies['A']['parameters'].pop('initial_liquidity_fraction')\n"
            "    return {'A': len(scenario['list']), 'B': int(before * 100)}\n"
        )
        config = load(written(tmp_path, source), scenario={"list": []})
        simulator: Simulator = load_simulator(config, tmp_path)
        policies = {"A": policy(0.5), "B": policy(0.5)}
        results = list(simulator.simulate_each(policies, [1, 2]))
        assert [{agent: each.total for agent, each in result.agents.items()} for result in results] == [
            {"A": 1, "B": 50}
        ] * 2
        assert config.scenario == {"list": []}
        assert policies["A"] == policy(0.5)

    def test_policies_come_in_one_order_whoever_gives_them(self, tmp_path: Path) -> None:
        source = "def costs(scenario, policies, seed):\n    return {a: i for i, a in enumerate(policies)}\n"
        simulator = loaded(written(tmp_path, source), optimized_agents=["B", "A"])
        for agents in ("AB", "BA"):
            (result,) = simulator.simulate_each({agent: policy(0.5) for agent in agents}, [1])
            assert {agent: costs.total for agent, costs in result.agents.items()} == {"A": 0, "B": 1}

    def test_what_it_prints_is_not_on_stdout(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        source = "print('imported')\ndef costs(*_):\n    print('called')\n    return {'A': 1, 'B': 2}\n"
        simulated(written(tmp_path, source))
        captured = capsys.readouterr()
        assert (captured.out, captured.err) == ("", "imported\ncalled\n")


class TestWhatItReturns:
    @pytest.mark.parametrize(
        ("returned", "message"),
        [
            ("None", "must return a mapping of agents to costs in cents, not null"),
            ("[1, 2]", "must return a mapping of agents to costs in cents, not a list"),
            ("object()", "must return a mapping of agents to costs in cents, not a value of type object"),
            ("{'A': 1}", "agent 'B', simulator simulation:costs: has no cost in what it returned"),
            (
                "{'A': 1.0, 'B': 1}",
                "agent 'A', simulator simulation:costs: its cost must be an integer number of cents",
            ),
            ("{'A': True, 'B': 1}", "its cost must be an integer number of cents, not true"),
            ("{'A': 1, 'B': None}", "agent 'B', simulator simulation:costs: its cost must be an integer"),
            ("{'A': 1, 'B': '5'}", "not '5'"),
            ("{'A': 1, 'B': float('nan')}", "not nan"),
            ("{'A': 1.5, 'B': 1}", "not 1.5; `costs: {type: number}` in the experiment allows fractions"),
            ("{'A': 1, 'B': __import__('fractions').Fraction(1)}", "not a value of type Fraction"),
            ("{'A': 1, 'B': 2 ** 63}", "its cost is beyond 64 bits"),
            ("{'A': 1, 'B': 10 ** 5000}", "its cost is beyond 64 bits"),
            ("10 ** 5000", "must return a mapping"),
        ],
    )
    def test_anything_but_integers_is_refused(self, tmp_path: Path, returned: str, message: str) -> None:
        source = f"def costs(scenario, policies, seed):\n    return {returned}\n"
        error = stopped(written(tmp_path, source))
        assert message in str(error)
        named = [agent for agent in "AB" if str(error).startswith(f"agent '{agent}', ")]
        assert error.agent == (named[0] if named else None)

    def test_any_mapping_will_do_and_others_need_not_be_in_it(self, tmp_path: Path) -> None:
        source = (
            "from types import MappingProxyType\n"
            "def costs(*_):\n    return MappingProxyType({'B': -2, 'A': 1, 'C': 'x'})\n"
        )
        assert simulated(written(tmp_path, source)) == {"A": 1, "B": -2}

    def test_a_callable_object_in_a_package(self, tmp_path: Path) -> None:
        source = "class Model:\n    @staticmethod\n    def costs(*_):\n        return {'A': 3, 'B': 4}\n"
        folder = written(tmp_path, "", pack_init="", pack_deep__model=source)
        assert simulated(folder, simulator="pack.deep.model:Model.costs") == {"A": 3, "B": 4}


class TestExceptions:
    @pytest.mark.parametrize(
        ("statement", "text"),
        [
            ("raise ValueError('no such bank')", "ValueError: no such bank"),
            ("raise KeyError", "KeyError"),
            ("raise SystemExit(3)", "SystemExit: 3"),
            ("raise type('Odd', (BaseException,), {})('odd')", "Odd: odd"),
            ("open(__file__ + '.csv')", "No such file or directory: 'simulation.py.csv'"),
            (
                "raise ValueError('see ~/data/x.csv, /tmp/y and http://a.org/b/c, 1/2/3')",
                "see x.csv, y and http://a.org/b/c",
            ),
            ("raise ValueError(repr(object()))", "<object object at 0x…>"),
            ("raise ValueError(chr(0xd800))", r"\ud800"),
            ("costs(scenario, policies, seed)", "RecursionError: maximum recursion depth exceeded"),
        ],
    )
    def test_they_are_told_in_words_that_are_the_same_everywhere(
        self, tmp_path: Path, statement: str, text: str
    ) -> None:
        message = str(stopped(written(tmp_path, f"def costs(scenario, policies, seed):\n    {statement}\n")))
        assert message.startswith("simulator simulation:costs raised ")
        assert text in message
        assert str(tmp_path) not in message

    def test_the_traceback_is_of_the_users_code(self, tmp_path: Path) -> None:
        source = "import helper\ndef costs(*_):\n    return helper.fail()\n"
        helper = "def fail():\n    raise ValueError('it is wrong')\n"
        details = stopped(written(tmp_path, source, helper=helper)).details
        assert details.startswith(f'Traceback (most recent call last):\n  File "{tmp_path}/simulation.py", line 3')
        assert "in fail" in details
        assert "usercode" not in details

    def test_one_in_an_evaluation_fails_the_experiment(self, tmp_path: Path) -> None:
        source = "def costs(scenario, policies, seed):\n    return {'A': 1 / 0, 'B': open(__file__)}\n"
        store = Store.open_or_create(tmp_path / "runs")
        config = load(written(tmp_path / "experiment", source))
        runner = GenericExperimentRunner(config, config_dir=tmp_path, store=store)
        with pytest.raises(ExperimentFailed):
            asyncio.run(runner.run())
        assert runner.sealed is not None
        content = b"".join(path.read_bytes() for path in runner.sealed.path.iterdir())
        assert b"simulator simulation:costs raised ZeroDivisionError: division by zero" in content
        assert str(tmp_path).encode() not in content
        assert b"Traceback" not in content

    def test_one_in_a_trial_rejects_the_proposal(self, tmp_path: Path) -> None:
        source = (
            "def costs(scenario, policies, seed):\n"
            "    if policies['B']['parameters']['initial_liquidity_fraction'] < 0.5:\n"
            "        raise ValueError('B has too little')\n"
            "    return {'A': 1, 'B': 1}\n"
        )
        _, provider = ran(load(written(tmp_path, source), convergence__max_iterations=2), tmp_path)
        rejected = of_type(provider, optimization.POLICY_REJECTED.event_type)[0]
        assert (rejected["agent_id"], rejected["rejection_reason"]) == ("B", "simulation_error")
        assert rejected["validation_errors"] == ["simulator simulation:costs raised ValueError: B has too little"]


class TestImport:
    @pytest.mark.parametrize("name", ["cli", "schemas", "recorder", "numpy", "click", "rich", "exprec", "statistics"])
    def test_modules_with_any_name(self, tmp_path: Path, name: str) -> None:
        source = (
            f"import {name}\nfrom {name} import part\ndef costs(*_):\n    return {{'A': {name}.ONE, 'B': part.two()}}\n"
        )
        parts = {f"{name}_init": "ONE = 1\n", f"{name}_part": "def two():\n    return 2\n"}
        before = sys.modules.get(name)
        assert simulated(written(tmp_path, source, **parts)) == {"A": 1, "B": 2}
        assert sys.modules.get(name) is before

    def test_a_module_that_is_loaded_already_is_not_confused_with_one_in_the_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = ModuleType("helper")
        monkeypatch.setitem(sys.modules, "helper", other)
        source = "import helper, sys\ndef costs(*_):\n    return {'A': helper.ONE, 'B': sys.modules['helper'].ONE}\n"
        assert simulated(written(tmp_path, source, helper="ONE = 1\n")) == {"A": 1, "B": 1}
        assert sys.modules["helper"] is other

    def test_a_folder_named_like_a_package_of_others(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # A package without __init__, of which another part is loaded already.
        (tmp_path / "site" / "shared").mkdir(parents=True)
        (tmp_path / "site" / "shared" / "theirs.py").write_text("")
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        import_module("shared.theirs")
        before = {name: module for name, module in sys.modules.items() if name.startswith("shared")}
        source = "import shared.part\ndef costs(*_):\n    return {'A': shared.part.ONE, 'B': 1}\n"
        assert simulated(written(tmp_path / "experiment", source, shared_part="ONE = 1\n")) == {"A": 1, "B": 1}
        assert {name: module for name, module in sys.modules.items() if name.startswith("shared")} == before

    def test_two_experiments_have_their_own_modules(self, tmp_path: Path) -> None:
        source = "import helper\ndef costs(*_):\n    return dict.fromkeys('AB', helper.VALUE)\n"
        first, second = (
            loaded(written(tmp_path / str(value), source, helper=f"VALUE = {value}\n")) for value in (1, 2)
        )
        for _ in range(2):
            for simulator, value in ((first, 1), (second, 2)):
                (result,) = simulator.simulate_each({}, [1])
                assert result.agents["A"].total == value

    def test_from_any_working_directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = written(tmp_path / "experiment", ONE)
        monkeypatch.chdir(tmp_path)
        config = load(Path("experiment"))
        monkeypatch.chdir("/")
        (result,) = load_simulator(config, Path("experiment")).simulate_each({"A": {}, "B": {}}, [1])
        assert result.agents["A"].total == 1
        assert load(folder) == config

    def test_nothing_is_written_and_no_stale_bytecode_is_run(self, tmp_path: Path) -> None:
        folder = written(tmp_path, ONE.replace("1", "2"))
        py_compile.compile(str(folder / "simulation.py"), doraise=True)
        stamp = (folder / "simulation.py").stat()
        (folder / "simulation.py").write_text(ONE)
        os.utime(folder / "simulation.py", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        assert simulated(folder) == {"A": 1, "B": 1}
        shutil.rmtree(folder / "__pycache__")
        simulated(folder)
        assert [path.name for path in folder.iterdir()] == ["simulation.py"]

    def test_what_is_imported_while_it_runs_would_be_no_part_of_the_inputs(self, tmp_path: Path) -> None:
        source = "def costs(*_):\n    import helper\n    return {'A': 1, 'B': 1}\n"
        message = str(stopped(written(tmp_path, source, helper="")))
        assert "ImportError: helper would be loaded while the simulator runs; import it at the top" in message

    @pytest.mark.parametrize(
        ("source", "name", "message"),
        [
            (ONE, "simulation", "must be payments or module:callable, not 'simulation'"),
            (ONE, "simulation:", "must be payments or module:callable"),
            (ONE, "simulation.py:costs()", "must be payments or module:callable"),
            (ONE, "../simulation:costs", "must be payments or module:callable"),
            (ONE, "simulation:costs#sha256=12", "must be payments or module:callable"),
            (ONE, "simulations:costs", "there is no module simulations in {folder}"),
            (ONE, "json:dumps", "there is no module json in {folder}"),
            (ONE, "simulation.inner:costs", "cannot import simulation.inner from {folder}: ModuleNotFoundError: "),
            (ONE, "simulation:cost", "simulation.py has no cost"),
            (ONE, "simulation:costs.more", "simulation.py has no costs.more"),
            ("costs = 5", "simulation:costs", "costs in simulation.py is a int, which cannot be called"),
            ("import nosuch", "simulation:costs", "No module named 'nosuch' (simulation.py, line 1)"),
            ("\n1/0", "simulation:costs", "ZeroDivisionError: division by zero (simulation.py, line 2)"),
            ("import sys\nsys.exit(1)", "simulation:costs", "SystemExit: 1 (simulation.py, line 2)"),
            ("def costs(:", "simulation:costs", "SyntaxError: invalid syntax (simulation.py, line 1)"),
            ("import helper", "simulation:costs", "ValueError: in helper (helper.py, line 1)"),
            ("# \0", "simulation:costs", "cannot import simulation from {folder}: "),
        ],
    )
    def test_what_cannot_be_imported(self, tmp_path: Path, source: str, name: str, message: str) -> None:
        folder = written(tmp_path, source, helper="raise ValueError('in helper')\n")
        assert message.format(folder=folder) in refused(folder, simulator=name)

    def test_the_file_of_the_experiment_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "experiment.json"
        path.write_text(json.dumps(mapping(simulator="nosuch:costs"), indent=1))
        with pytest.raises(InvalidInput) as raised:
            ExperimentConfig.load(path)
        line = path.read_text().splitlines().index(' "simulator": "nosuch:costs"') + 1
        assert f"{path}:{line}: simulator: there is no module nosuch in {tmp_path}" in str(raised.value)


class TestDigest:
    SOURCE = "import helper\nimport pack.inner\ndef costs(*_):\n    return {'A': 1, 'B': 1}\n"
    FILES: ClassVar = {"helper": "", "pack_init": "", "pack_inner": "", "pack_unused": "", "unused": ""}

    def name(self, folder: Path, **changes: str) -> str:
        return load(written(folder, **{"source": self.SOURCE, **self.FILES, **changes})).simulator

    def test_it_stands_for_the_sources_of_what_was_loaded_from_the_folder(self, tmp_path: Path) -> None:
        name = self.name(tmp_path / "first")
        assert name.startswith("simulation:costs#sha256=")
        assert len(name) == len("simulation:costs#sha256=") + 64
        assert self.name(tmp_path / "other" / "folder") == name
        assert self.name(tmp_path / "unused", unused="x = 1", pack_unused="y = 1") == name
        changed = {
            self.name(tmp_path / key, **{key: text})
            for key, text in {
                "helper": "# 1",
                "pack_init": "# 1",
                "pack_inner": "# 1",
                "source": f"{self.SOURCE}# 1",
            }.items()
        }
        assert len(changed | {name}) == 5

    def test_it_is_in_the_inputs_which_load_again(self, tmp_path: Path) -> None:
        config = load(written(tmp_path, self.SOURCE, **self.FILES))
        resolved = config.to_dict()
        assert resolved["simulator"] == config.simulator
        assert str(tmp_path) not in json.dumps(resolved)
        again = ExperimentConfig.from_mapping(resolved, tmp_path)
        assert again == config
        assert again.to_dict() == resolved
        assert ran(again, tmp_path)[0].best_cost == 2

    def test_other_sources_than_recorded(self, tmp_path: Path) -> None:
        name = self.name(tmp_path)
        (tmp_path / "helper.py").write_text("x = 1\n")
        message = refused(tmp_path, simulator=name)
        files = "helper.py, pack/__init__.py, pack/inner.py, simulation.py"
        assert f"{files} in {tmp_path}: not as recorded" in message
        assert f"recorded {name[-64:]}" in message

    def test_it_can_be_read_but_not_run_where_the_module_is_not(self, tmp_path: Path) -> None:
        resolved = load(written(tmp_path / "first", ONE)).to_dict()
        empty = tmp_path / "empty"
        empty.mkdir()
        config = ExperimentConfig.from_mapping(resolved, empty)
        assert config.to_dict() == resolved
        runner = GenericExperimentRunner(config, config_dir=empty, store=Store.open_or_create(tmp_path / "runs"))
        with pytest.raises(InvalidInput, match="simulator: there is no module simulation in "):
            asyncio.run(runner.run())
        assert list((tmp_path / "runs" / ".work").iterdir()) == []
        assert ran(config, tmp_path / "first")[0].best_cost == 2


class TestPoliciesAndRules:
    def test_without_parameters_a_start_has_the_one_that_a_search_changes(self, tmp_path: Path) -> None:
        start = loaded(written(tmp_path, ONE)).starting_policy("A")
        assert start == {"parameters": {"initial_liquidity_fraction": 0.5}}

    def test_with_parameters_it_has_each_of_them(self, tmp_path: Path) -> None:
        allowed = [
            {"name": "both", "param_type": "float", "min_value": 1, "max_value": 4},
            {"name": "whole", "param_type": "int", "min_value": -3, "max_value": 0},
            {"name": "above", "param_type": "float", "min_value": 3},
            {"name": "below", "param_type": "int", "max_value": -3},
            {"name": "free", "param_type": "int"},
            {"name": "huge", "param_type": "float", "min_value": -1.7e308, "max_value": 1.7e308},
            {"name": "word", "param_type": "enum", "allowed_values": ["slow", "fast"]},
        ]
        simulator = loaded(written(tmp_path, ONE), policy_constraints={"allowed_parameters": allowed})
        assert simulator.starting_policy("A")["parameters"] == {
            "both": 2.5,
            "whole": -2,
            "above": 3.0,
            "below": -3,
            "free": 0,
            "huge": 0.0,
            "word": "slow",
        }

    def test_a_policy_in_the_scenario_is_taken_as_it_stands(self, tmp_path: Path) -> None:
        scenario = {"agents": [{"id": "A", "policy": {"rule": "mine"}}, {"id": "B", "policy": "a name"}]}
        simulator = loaded(written(tmp_path, ONE), scenario=scenario)
        assert simulator.starting_policy("A") == {"rule": "mine"}
        assert simulator.starting_policy("B")["parameters"] == {"initial_liquidity_fraction": 0.5}

    def test_any_object_is_a_policy(self, tmp_path: Path) -> None:
        simulator = loaded(written(tmp_path, ONE))
        assert simulator.check_policy({"anything": [1, {}]}) == []
        assert [str(problem) for problem in simulator.check_policy([])] == [
            "a policy must be a JSON object, not a list"
        ]
        assert simulator.check_policy({"x": float("inf")}) != []

    def test_parameters_out_of_bounds_are_refused(self, tmp_path: Path) -> None:
        answers = tmp_path / "answers.jsonl"
        answers.write_text(json.dumps({"answer": {"parameters": {"x": 11, "y": 1}}}) + "\n")
        config = load(
            written(tmp_path, BOWL),
            scenario=BOTTOM,
            policy_constraints=XY,
            optimized_agents=["A"],
            llm={"model": "scripted:answers.jsonl", "max_retries": 0},
            convergence__max_iterations=1,
        )
        (rejected,) = of_type(ran(config, tmp_path)[1], optimization.POLICY_REJECTED.event_type)
        assert rejected["validation_errors"] == ["parameters.x: must be at most 10.0, not 11"]

    def test_its_docstring_is_what_a_model_is_told(self, tmp_path: Path) -> None:
        assert loaded(written(tmp_path, BOWL)).rules == "The nearer to the bottom of the bowl, the cheaper."
        assert "computes from the policies" in loaded(written(tmp_path, ONE)).rules
