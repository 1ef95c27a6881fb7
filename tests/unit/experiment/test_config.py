"""Experiment files: what loads, what is refused and where, and what becomes of it in config.json."""

from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exprec import schemas
from exprec.recorder.errors import InvalidInput
from exprec.recorder.experiment.config import AcceptanceConfig, ConvergenceConfig, EvaluationConfig, ExperimentConfig
from exprec.recorder.format import canonical_json
from exprec.recorder.schema import find_problems
from tests.fixtures import experiments

SCENARIO: dict[str, Any] = {
    "simulation": {"ticks_per_day": 2, "num_days": 1, "rng_seed": 42},
    "agents": [{"id": "BANK_A", "opening_balance": 100}, {"id": "BANK_B", "opening_balance": 100}],
}
MINIMAL: dict[str, Any] = {
    "name": "minimal",
    "scenario": SCENARIO,
    "optimized_agents": ["BANK_A"],
    "evaluation": {"ticks": 2},
    "convergence": {},
    "llm": {"model": "search"},
}
EXAMPLES = Path(__file__).parents[3] / "examples" / "castro"


def changed(**changes: Any) -> dict[str, Any]:
    """The minimal experiment with these changes (see `tests.fixtures.experiments.changed`)."""
    return experiments.changed(MINIMAL, changes)


def load(tmp_path: Path, **changes: Any) -> ExperimentConfig:
    return ExperimentConfig.from_mapping(changed(**changes), tmp_path)


def refused(tmp_path: Path, **changes: Any) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        load(tmp_path, **changes)
    return {problem.key: problem.message for problem in caught.value.problems}


def write_yaml(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


class TestDefaults:
    def test_a_minimal_experiment(self, tmp_path: Path) -> None:
        config = load(tmp_path)
        assert (config.name, config.description, config.simulator, config.master_seed) == (
            "minimal",
            "",
            "payments",
            42,
        )
        assert config.optimized_agents == ("BANK_A",)
        assert config.evaluation == EvaluationConfig(ticks=2)
        assert config.convergence == ConvergenceConfig()
        assert (config.llm.model, config.llm.display_name, config.llm.script) == ("search", "search", None)
        assert (config.policy_constraints, config.prompt_customization) == (None, {})
        assert (config.output_directory, config.warnings) == (None, ())

    def test_the_dataclasses_have_the_defaults_of_the_schema(self, tmp_path: Path) -> None:
        keys = schemas.load("experiment.v2")["properties"]

        def defaults(section: dict[str, Any]) -> dict[str, Any]:
            return {key: sub["default"] for key, sub in section["properties"].items() if "default" in sub}

        config = load(tmp_path)
        for section, default in (
            ("evaluation", config.evaluation),
            ("convergence", config.convergence),
            ("llm", config.llm),
        ):
            for key, expected in defaults(keys[section]).items():
                if key != "improvement_threshold":
                    assert getattr(default, key) == expected, key
        acceptance = defaults(keys["evaluation"]["properties"]["acceptance"])
        assert AcceptanceConfig(**acceptance) == AcceptanceConfig()
        assert keys["master_seed"]["default"] == config.master_seed
        assert keys["simulator"]["default"] == config.simulator

    def test_empty_sections(self, tmp_path: Path) -> None:
        empty = {"convergence": None, "policy_constraints": None, "prompt_customization": None, "output": None}
        assert load(tmp_path, **empty) == load(tmp_path)

    def test_deterministic_has_two_names(self, tmp_path: Path) -> None:
        short, long = (load(tmp_path, evaluation__mode=mode) for mode in ("deterministic", "deterministic-pairwise"))
        assert short.evaluation.mode == "deterministic-pairwise"
        assert short == long

    def test_every_key_is_described(self) -> None:
        def check(schema: Any, name: str) -> None:
            for key, sub in schema.get("properties", {}).items():
                assert sub.get("description"), f"{name}.{key}"
                check(sub, f"{name}.{key}")
                check(sub.get("items", {}), f"{name}.{key}[]")

        check(schemas.load("experiment.v2"), "")


ORIGIN_STYLE = """\
# Every key that the older files know
name: exp1
description: "Two periods"
scenario: ./scenario.yaml
evaluation:
  mode: deterministic
  num_samples: 50
  ticks: 2
  acceptance:
    require_statistical_significance: false
    max_coefficient_of_variation: null
convergence:
  max_iterations: 25
  stability_threshold: 0.05
  stability_window: 5
  improvement_threshold: 0.01
  cv_threshold: 0.03
  regret_threshold: 0.1
llm:
  model: "openai:gpt-5.2"
  temperature: 0.5
  max_retries: 3
  timeout_seconds: 900
  reasoning_effort: "high"
  thinking_budget: 2000
  reasoning_summary: detailed
  max_tokens: 30000
  thinking_config: {include_thoughts: true}
  system_prompt: |
    You are an expert.
policy_constraints:
  allowed_parameters:
    - name: initial_liquidity_fraction
      param_type: float
      min_value: 0
      max_value: 1.0
      description: "Fraction"
    - {name: urgency, param_type: int, min_value: 0, max_value: 20}
    - {name: level, param_type: enum, allowed_values: [1, 2]}
  allowed_fields:
    - balance
    - posted_collateral
  allowed_actions:
    payment_tree: [Release, Hold]
    bank_tree: [NoAction]
    collateral_tree: [PostCollateral]
  lsm_enabled: false
prompt_customization:
  all: Be brief.
  BANK_A: You owe much.
optimized_agents:
  - BANK_B
  - BANK_A
output:
  directory: results
  database: exp1.db
  verbose: true
master_seed: 7
"""


@pytest.fixture
def origin_style(tmp_path: Path) -> Path:
    (tmp_path / "scenario.yaml").write_text(json.dumps(SCENARIO))
    return write_yaml(tmp_path / "exp1.yaml", ORIGIN_STYLE)


class TestOriginStyle:
    def test_every_key(self, origin_style: Path) -> None:
        config = ExperimentConfig.load(origin_style)
        assert config.scenario == SCENARIO
        assert config.optimized_agents == ("BANK_B", "BANK_A")
        assert config.evaluation.mode == "deterministic-pairwise"
        assert config.convergence.max_iterations == 25
        assert config.llm.thinking_config == {"include_thoughts": True}
        assert config.llm.system_prompt == "You are an expert.\n"
        assert config.policy_constraints is not None
        fraction, urgency, level = config.policy_constraints.allowed_parameters or ()
        assert (fraction.min_value, type(fraction.min_value)) == (0.0, float)
        assert (urgency.max_value, type(urgency.max_value)) == (20, int)
        assert level.allowed_values == (1, 2)
        assert not config.policy_constraints.lsm_enabled
        assert config.output_directory == "results"
        assert config.master_seed == 7

    def test_warnings(self, origin_style: Path) -> None:
        def place(text: str) -> str:
            return f"{origin_style}:{ORIGIN_STYLE.split(text)[0].count(chr(10)) + 1}"

        constraints, without = "policy_constraints", "has no effect, because exprec has no such"
        assert ExperimentConfig.load(origin_style).warnings == (
            f"{place('improvement_threshold')}: convergence.improvement_threshold: has no effect",
            f"{place('output:')}: output: database and verbose have no effect, because runs are stored in files",
            f"{place('- posted')}: {constraints}.allowed_fields[1]: 'posted_collateral' {without} field",
            f"{place('collateral_tree')}: {constraints}.allowed_actions.collateral_tree: 'collateral_tree' "
            f"{without} tree; did you mean 'strategic_collateral_tree'?",
        )

    def test_a_slip_in_an_allowed_name_is_pointed_out(self, tmp_path: Path) -> None:
        constraints = {"allowed_fields": ["ballance"], "allowed_actions": {"payment_tree": ["Relase", "Hold"]}}
        field, action = load(tmp_path, policy_constraints=constraints).warnings
        assert field.endswith("did you mean 'balance'?")
        assert action.endswith("did you mean 'Release'?")

    def test_every_name_that_policies_use_is_known(self, tmp_path: Path) -> None:
        actions = {"payment_tree": ["Release", "ReleaseWithCredit", "Hold", "Split"], "bank_tree": ["NoAction"]}
        collateral = {
            "strategic_collateral_tree": ["HoldCollateral"],
            "end_of_tick_collateral_tree": ["HoldCollateral"],
        }
        fields = ["balance", "ticks_to_deadline", "is_eod_rush"]
        constraints = {"allowed_fields": fields, "allowed_actions": {**actions, **collateral}}
        assert load(tmp_path, policy_constraints=constraints).warnings == ()


class TestFormats:
    def test_the_same_experiment_in_three_formats(self, tmp_path: Path) -> None:
        (tmp_path / "scenario.json").write_text(json.dumps(SCENARIO))
        content = changed(
            scenario="scenario.json", policy_constraints__allowed_fields=["balance"], evaluation__num_samples=3
        )
        (tmp_path / "a.json").write_text(json.dumps(content))
        write_yaml(
            tmp_path / "a.yaml",
            "name: minimal\nscenario: scenario.json\noptimized_agents: [BANK_A]\n"
            "evaluation: {ticks: 2, num_samples: 3}\nconvergence:\nllm: {model: search}\n"
            "policy_constraints: {allowed_fields: [balance]}\n",
        )
        (tmp_path / "a.toml").write_text(
            'name = "minimal"\nscenario = "scenario.json"\noptimized_agents = ["BANK_A"]\n[evaluation]\nticks = 2\n'
            'num_samples = 3\n[convergence]\n[llm]\nmodel = "search"\n'
            '[policy_constraints]\nallowed_fields = ["balance"]\n'
        )
        configs = [ExperimentConfig.load(tmp_path / f"a.{suffix}") for suffix in ("json", "yaml", "toml")]
        assert configs[0] == configs[1] == configs[2]

    @pytest.mark.parametrize("name", ["two-period", "three-period"])
    def test_the_examples_load_without_a_warning(self, name: str) -> None:
        config = ExperimentConfig.load(EXAMPLES / f"{name}.yaml")
        assert config.name == f"castro-{name}"
        assert config.warnings == ()
        assert config.llm.model == "search"
        assert (config.convergence.max_iterations, config.master_seed) == (25, 42)


MISTAKES = """\
name: ""
scenario: scenario.yaml
master_seed: 1.5
optimized_agents:
  - BANK_A
  - BANK_X
evaluation:
  mode: bootstrp
  ticks: 3
  ticks: 4
convergence:
  max_iteration: 5
llm:
  model: gpt
  temperature: 2024-01-01
policy_constraints:
  allowed_parameters:
    - name: a
      param_type: float
      min_value: 2
      max_value: 1
prompt_customization:
  BANK_C: text
"""


class TestProblems:
    def test_every_mistake_is_a_problem_with_its_line(self, tmp_path: Path) -> None:
        (tmp_path / "scenario.yaml").write_text(json.dumps(SCENARIO))
        path = write_yaml(tmp_path / "e.yaml", MISTAKES)
        with pytest.raises(InvalidInput) as caught:
            ExperimentConfig.load(path)
        assert [(problem.line, problem.key) for problem in caught.value.problems] == [
            (1, "name"),
            (3, "master_seed"),
            (6, "optimized_agents[1]"),
            (8, "evaluation.mode"),
            (10, "evaluation.ticks"),
            (10, "evaluation.ticks"),
            (12, "convergence.max_iteration"),
            (14, "llm.model"),
            (15, "llm.temperature"),
            (21, "policy_constraints.allowed_parameters[0].max_value"),
            (23, "prompt_customization.BANK_C"),
        ]
        assert all(problem.source == str(path) for problem in caught.value.problems)

    def test_demands_that_cannot_be_met_are_problems_with_their_lines(self, tmp_path: Path) -> None:
        (tmp_path / "scenario.yaml").write_text(json.dumps(SCENARIO))
        text = MISTAKES.replace(
            "  mode: bootstrp\n",
            "  mode: deterministic\n  acceptance:\n    require_statistical_significance: true\n"
            "    max_coefficient_of_variation: 0.5\n    min_settlement_rate: 1.5\n",
        )
        with pytest.raises(InvalidInput) as caught:
            ExperimentConfig.load(write_yaml(tmp_path / "e.yaml", text))
        found = [(problem.line, problem.key.rpartition(".")[2]) for problem in caught.value.problems]
        assert found == [
            (1, "name"),
            (3, "master_seed"),
            (6, "optimized_agents[1]"),
            (10, "require_statistical_significance"),
            (11, "max_coefficient_of_variation"),
            (12, "min_settlement_rate"),
            (14, "ticks"),
            (14, "ticks"),
            (16, "max_iteration"),
            (18, "model"),
            (19, "temperature"),
            (25, "max_value"),
            (27, "BANK_C"),
        ]

    def test_problems_of_the_scenario_carry_its_file_and_lines(self, tmp_path: Path) -> None:
        write_yaml(
            tmp_path / "s.yaml",
            "simulation: {ticks_per_day: 2, num_days: 1, rng_seed: 1}\n"
            "agents:\n- id: BANK_A\n  opening_balanse: 1\n  opening_balance: 1\n  opening_balance: 2\n",
        )
        path = write_yaml(tmp_path / "e.yaml", json.dumps(changed(scenario="s.yaml", llm__model="gpt"), indent=1))
        with pytest.raises(InvalidInput) as caught:
            ExperimentConfig.load(path)
        first, *rest = caught.value.problems
        assert (first.source, first.key) == (str(path), "llm.model")
        assert [(problem.source, problem.line, problem.key) for problem in rest] == [
            (str(tmp_path / "s.yaml"), 4, "agents[BANK_A].opening_balanse"),
            (str(tmp_path / "s.yaml"), 6, "agents[BANK_A].opening_balance"),
        ]

    def test_problems_of_an_inline_scenario_carry_its_keys_and_lines(self, tmp_path: Path) -> None:
        scenario = copy.deepcopy(SCENARIO)
        scenario["agents"][1]["opening_balance"] = "much"
        path = write_yaml(tmp_path / "e.json", json.dumps(changed(scenario=scenario), indent=1))
        with pytest.raises(InvalidInput) as caught:
            ExperimentConfig.load(path)
        [problem] = caught.value.problems
        assert problem.key == "scenario.agents[BANK_B].opening_balance"
        assert problem.line is not None
        assert "much" in path.read_text().splitlines()[problem.line - 1]

    def test_a_mapping_has_keys_but_no_lines(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput) as caught:
            load(tmp_path, llm__model=5)
        assert [str(problem) for problem in caught.value.problems] == ["llm.model: must be a string, not 5"]

    @pytest.mark.parametrize("key", list(MINIMAL))
    def test_required_keys(self, tmp_path: Path, key: str) -> None:
        assert refused(tmp_path, **{key: ...})[key] == "this key is required and missing"

    @pytest.mark.parametrize(
        "key",
        [
            "nam",
            "evaluation__tiks",
            "evaluation__acceptance__min_rate",
            "convergence__window",
            "llm__modell",
            "policy_constraints__allowed_field",
            "output__folder",
        ],
    )
    def test_unknown_keys_at_every_level(self, tmp_path: Path, key: str) -> None:
        assert refused(tmp_path, **{key: 1})[key.replace("__", ".")].startswith("unknown key")

    def test_unknown_keys_of_a_parameter(self, tmp_path: Path) -> None:
        parameter = {"name": "a", "param_type": "int", "min": 1}
        [(key, message)] = refused(tmp_path, policy_constraints={"allowed_parameters": [parameter]}).items()
        assert key == "policy_constraints.allowed_parameters[0].min"
        assert "min_value" in message

    def test_a_near_key_is_suggested(self, tmp_path: Path) -> None:
        assert "did you mean 'stability_window'?" in refused(tmp_path, convergence={"stabilty_window": 3}).popitem()[1]

    def test_constraints_of_older_files_name_their_successor(self, tmp_path: Path) -> None:
        assert "policy_constraints" in refused(tmp_path, constraints="castro.constraints")["constraints"]
        # and it is not offered to those who misspell another key
        assert "constraints," not in refused(tmp_path, nam="x")["nam"].replace("policy_constraints,", "")

    @pytest.mark.parametrize("value", [None, [], "text", 5, {}])
    def test_documents_that_are_no_experiment(self, tmp_path: Path, value: Any) -> None:
        path = write_yaml(tmp_path / "e.json", json.dumps(value))
        with pytest.raises(InvalidInput) as caught:
            ExperimentConfig.load(path)
        assert all(problem.source == str(path) for problem in caught.value.problems)

    def test_ticks_other_than_the_scenario_s(self, tmp_path: Path) -> None:
        message = refused(tmp_path, evaluation__ticks=12)["evaluation.ticks"]
        assert "is 12" in message
        assert "ticks_per_day of the scenario is 2" in message

    def test_agents(self, tmp_path: Path) -> None:
        message = refused(tmp_path, optimized_agents=["BANK_A", "BANK_C"])["optimized_agents[1]"]
        assert "BANK_C" in message
        assert "(known: BANK_A, BANK_B)" in message
        assert "optimized_agents" in refused(tmp_path, optimized_agents=[])
        assert "twice" in refused(tmp_path, optimized_agents=["BANK_A", "BANK_A"])["optimized_agents"]
        assert "(known: all, BANK_A, BANK_B)" in refused(tmp_path, prompt_customization={"BANK": ""}).popitem()[1]

    @pytest.mark.parametrize(
        ("parameter", "key"),
        [
            ({"param_type": "int", "min_value": 3, "max_value": 2}, "max_value"),
            ({"param_type": "int", "min_value": 0.5}, "min_value"),
            ({"param_type": "enum"}, "allowed_values"),
            ({"param_type": "enum", "allowed_values": []}, "allowed_values"),
            ({"param_type": "enum", "allowed_values": [1], "max_value": 2}, "max_value"),
            ({"param_type": "float", "allowed_values": [1]}, "allowed_values"),
            ({"param_type": "number"}, "param_type"),
            ({"param_type": "float", "min_value": True}, "min_value"),
        ],
    )
    def test_bounds(self, tmp_path: Path, parameter: dict[str, Any], key: str) -> None:
        constraints = {"allowed_parameters": [{"name": "a", **parameter}]}
        assert list(refused(tmp_path, policy_constraints=constraints)) == [
            f"policy_constraints.allowed_parameters[0].{key}"
        ]

    def test_a_parameter_listed_twice(self, tmp_path: Path) -> None:
        parameters = [{"name": "a", "param_type": "int"}] * 2
        assert list(refused(tmp_path, policy_constraints={"allowed_parameters": parameters})) == [
            "policy_constraints.allowed_parameters[1].name"
        ]

    @pytest.mark.parametrize(
        ("key", "value"), [("require_statistical_significance", True), ("max_coefficient_of_variation", 0.5)]
    )
    @pytest.mark.parametrize(
        ("changes", "found"),
        [
            ({"mode": "deterministic"}, "the mode is deterministic"),
            ({"mode": "deterministic-pairwise", "num_samples": 50}, "the mode is deterministic-pairwise"),
            ({"num_samples": 1}, "evaluation.num_samples is 1"),
            ({"mode": "bootstrap", "num_samples": None}, "evaluation.num_samples is null"),
        ],
    )
    def test_what_one_simulation_cannot_show_is_not_to_be_demanded(
        self, tmp_path: Path, key: str, value: Any, changes: dict[str, Any], found: str
    ) -> None:
        evaluation = {"ticks": 2, "acceptance": {key: value}, **changes}
        [(name, message)] = refused(tmp_path, evaluation=evaluation).items()
        assert name == f"evaluation.acceptance.{key}"
        assert message == (
            "takes evaluation.mode bootstrap and evaluation.num_samples of 2 or more, "
            f"but {found}: a single simulation shows no deviation"
        )

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("require_statistical_significance", True),
            ("max_coefficient_of_variation", 0.5),
            ("min_settlement_rate", 0),
        ],
    )
    def test_where_everything_is_accepted_nothing_is_to_be_demanded(self, tmp_path: Path, key: str, value: Any) -> None:
        evaluation = {"ticks": 2, "mode": "deterministic-temporal", "acceptance": {key: value}}
        [(name, message)] = refused(tmp_path, evaluation=evaluation).items()
        assert name == f"evaluation.acceptance.{key}"
        assert "accepts every valid proposal; leave it out" in message

    @pytest.mark.parametrize("mode", ["bootstrap", "deterministic", "deterministic-temporal"])
    @pytest.mark.parametrize(
        "acceptance",
        [
            None,
            {},
            {
                "require_statistical_significance": False,
                "max_coefficient_of_variation": None,
                "min_settlement_rate": None,
            },
        ],
    )
    def test_no_demand_is_none_in_every_mode(
        self, tmp_path: Path, mode: str, acceptance: dict[str, Any] | None
    ) -> None:
        config = load(tmp_path, evaluation={"ticks": 2, "mode": mode, "acceptance": acceptance, "num_samples": 1})
        assert config.evaluation.acceptance == AcceptanceConfig()

    def test_demands_that_can_be_met(self, tmp_path: Path) -> None:
        demands = {
            "require_statistical_significance": True,
            "max_coefficient_of_variation": 1,
            "min_settlement_rate": 0.95,
        }
        config = load(tmp_path, evaluation__num_samples=2, evaluation__acceptance=demands)
        assert config.evaluation.acceptance == AcceptanceConfig(True, 1.0, 0.95)
        assert config.to_dict()["evaluation"]["acceptance"] == demands
        floor = {"min_settlement_rate": 0.95}
        single = load(tmp_path, evaluation__mode="deterministic", evaluation__acceptance=floor)
        assert single.evaluation.acceptance.min_settlement_rate == 0.95

    def test_a_mode_that_is_none_is_the_only_problem(self, tmp_path: Path) -> None:
        evaluation = {"ticks": 2, "mode": "bootstrp", "acceptance": {"require_statistical_significance": True}}
        assert list(refused(tmp_path, evaluation=evaluation)) == ["evaluation.mode"]

    def test_the_search_is_warned_of_where_everything_is_accepted(self, tmp_path: Path) -> None:
        [warning] = load(tmp_path, evaluation__mode="deterministic-temporal").warnings
        assert warning.startswith("llm.model: the search learns from what is accepted alone")
        asked = load(tmp_path, evaluation__mode="deterministic-temporal", llm__model="openai:gpt-5")
        assert asked.warnings == ()

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("master_seed", 2**64),
            ("evaluation__num_samples", 0),
            ("evaluation__ticks", 2.0),
            ("convergence__max_iterations", 0),
            ("convergence__cv_threshold", float("nan")),
            ("llm__temperature", float("inf")),
            ("llm__max_retries", -1),
            ("description", None),
        ],
    )
    def test_values_out_of_range(self, tmp_path: Path, key: str, value: Any) -> None:
        assert list(refused(tmp_path, **{key: value})) == [key.replace("__", ".")]


class TestFilesBeside:
    def test_the_scenario_is_looked_for_beside_the_experiment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "experiments"
        folder.mkdir()
        (tmp_path / "scenario.json").write_text(json.dumps(SCENARIO))
        path = write_yaml(folder / "e.json", json.dumps(changed(scenario="../scenario.json")))
        monkeypatch.chdir(tmp_path)
        assert ExperimentConfig.load(path.relative_to(tmp_path)).scenario == SCENARIO

    def test_content_counts_and_not_path(self, tmp_path: Path) -> None:
        (tmp_path / "scenario.json").write_text(json.dumps(SCENARIO))
        assert load(tmp_path, scenario="scenario.json") == load(tmp_path)

    def test_a_scenario_that_is_not_there(self, tmp_path: Path) -> None:
        problems = refused(tmp_path, scenario="none.yaml", llm__model="gpt")
        assert "none.yaml: there is no such file" in problems["scenario"]
        assert "llm.model" in problems

    def test_a_scenario_that_is_not_yaml(self, tmp_path: Path) -> None:
        write_yaml(tmp_path / "s.yaml", "a: 1\nb: c: d\n")
        with pytest.raises(InvalidInput) as caught:
            load(tmp_path, scenario="s.yaml")
        [problem] = caught.value.problems
        assert (problem.source, problem.line) == (str(tmp_path / "s.yaml"), 2)

    def test_system_prompt_file(self, tmp_path: Path) -> None:
        (tmp_path / "prompt.md").write_text("Süß.\n")
        config = load(tmp_path, llm__system_prompt_file="prompt.md")
        assert config == load(tmp_path, llm__system_prompt="Süß.\n")
        assert "no such file" in refused(tmp_path, llm__system_prompt_file="none.md")["llm.system_prompt_file"]
        both = refused(tmp_path, llm__system_prompt_file="prompt.md", llm__system_prompt="x")
        assert list(both) == ["llm.system_prompt_file"]


class TestModels:
    @pytest.mark.parametrize("model", ["openai:gpt-5.2", "anthropic:claude-sonnet-4-5", "google-gla:gemini-2.5-pro"])
    def test_language_models(self, tmp_path: Path, model: str) -> None:
        config = load(tmp_path, llm__model=model)
        assert (config.llm.model, config.llm.display_name, config.llm.script) == (model, model, None)

    @pytest.mark.parametrize("model", ["gpt", "", ":name", "openai:", "scripted:", "searching", "openai: gpt"])
    def test_names_that_are_none(self, tmp_path: Path, model: str) -> None:
        assert list(refused(tmp_path, llm__model=model)) == ["llm.model"]

    def test_a_script_is_known_by_name_and_content(self, tmp_path: Path) -> None:
        folder = tmp_path / "answers"
        folder.mkdir()
        (folder / "a.jsonl").write_bytes(b'{"answer": {}}\n')
        digest = hashlib.sha256(b'{"answer": {}}\n').hexdigest()
        for name in ("answers/a.jsonl", str(folder / "a.jsonl")):
            llm = load(tmp_path, llm__model=f"scripted:{name}").llm
            assert llm.model == f"scripted:a.jsonl#sha256={digest}"
            assert llm.display_name == "scripted:a.jsonl"
            assert (llm.script, llm.script_digest) == (folder / "a.jsonl", digest)

    def test_a_recorded_script_needs_not_be_there(self, tmp_path: Path) -> None:
        name = f"scripted:a.jsonl#sha256={'0' * 64}"
        llm = load(tmp_path, llm__model=name).llm
        assert (llm.model, llm.script, llm.script_digest) == (name, tmp_path / "a.jsonl", "0" * 64)

    def test_a_missing_script(self, tmp_path: Path) -> None:
        assert "none.jsonl" in refused(tmp_path, llm__model="scripted:none.jsonl")["llm.model"]
        assert "llm.model" in refused(tmp_path, llm__model="scripted:a\0b")


class TestOverrides:
    def test_seed_and_model(self, tmp_path: Path) -> None:
        path = write_yaml(tmp_path / "e.json", json.dumps(changed(llm__model="scripted:none.jsonl")))
        config = ExperimentConfig.load(path, seed=0, model="openai:gpt-5.2")
        assert (config.master_seed, config.llm.model) == (0, "openai:gpt-5.2")

    def test_a_seed_beyond_64_bits(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput) as caught:
            ExperimentConfig.from_mapping(MINIMAL, tmp_path, seed=2**70)
        assert str(caught.value).startswith("command line: master_seed: must be at most")

    def test_a_script_given_beside_the_file_is_looked_for_from_the_working_directory(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "here").mkdir()
        (tmp_path / "here" / "a.jsonl").write_text("")
        monkeypatch.chdir(tmp_path / "here")
        path = write_yaml(tmp_path / "e.json", json.dumps(MINIMAL))
        assert ExperimentConfig.load(path, model="scripted:a.jsonl").llm.script == Path("a.jsonl")

    def test_a_model_that_is_none_is_not_blamed_on_the_file(self, tmp_path: Path) -> None:
        path = write_yaml(tmp_path / "e.json", json.dumps(MINIMAL))
        for model in ("gpt", "", "scripted:none.jsonl"):
            with pytest.raises(InvalidInput) as caught:
                ExperimentConfig.load(path, model=model)
            [problem] = caught.value.problems
            assert (problem.source, problem.line, problem.key) == ("command line", None, "llm.model")


class TestResolved:
    def test_the_minimal_experiment(self, tmp_path: Path) -> None:
        assert load(tmp_path).to_dict() == {
            "rules": 2,
            "name": "minimal",
            "description": "",
            "scenario": SCENARIO,
            "simulator": "payments",
            "master_seed": 42,
            "optimized_agents": ["BANK_A"],
            "evaluation": {
                "mode": "bootstrap",
                "num_samples": 10,
                "ticks": 2,
                "acceptance": {"require_statistical_significance": False},
            },
            "convergence": {
                "max_iterations": 50,
                "stability_threshold": 0.05,
                "stability_window": 5,
                "cv_threshold": 0.03,
                "regret_threshold": 0.1,
            },
            "llm": {"model": "search", "temperature": 0.0, "max_retries": 3},
        }

    def test_it_is_an_experiment_that_resolves_to_itself(self, origin_style: Path, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").write_text("{}")
        (tmp_path / "empty").mkdir()
        script = f"scripted:{tmp_path}/a.jsonl"
        for config in (
            load(tmp_path),
            load(tmp_path, evaluation__num_samples=None, policy_constraints={}),
            load(tmp_path, policy_constraints={"allowed_parameters": [], "allowed_fields": [], "allowed_actions": {}}),
            load(tmp_path, llm__model=script),
            ExperimentConfig.load(origin_style),
        ):
            resolved = config.to_dict()
            assert find_problems(resolved, "experiment.v2") == []
            again = ExperimentConfig.from_mapping(
                canonical_json.decode(canonical_json.encode(resolved)), tmp_path / "empty"
            )
            assert canonical_json.encode(again.to_dict()) == canonical_json.encode(resolved)
            assert again.policy_constraints == config.policy_constraints
            assert str(tmp_path).encode() not in canonical_json.encode(resolved)

    def test_an_experiment_has_no_rules(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput) as caught:
            load(tmp_path, rules=2)
        assert [str(problem) for problem in caught.value.problems] == [
            "rules: is for the config.json of a run, and not for an experiment; leave it out"
        ]

    @pytest.mark.parametrize("rules", [1, 3])
    def test_a_recorded_experiment_of_other_rules_is_refused(self, tmp_path: Path, rules: int) -> None:
        recorded = load(tmp_path).to_dict() | {"rules": rules}
        with pytest.raises(InvalidInput, match=f"rules: this version of exprec has rules 2, not {rules}; leave it out"):
            ExperimentConfig.from_mapping(recorded, tmp_path)

    @pytest.mark.parametrize("limit", [0, 7])
    def test_the_limit_of_the_history_is_recorded_unless_it_is_the_default(self, tmp_path: Path, limit: int) -> None:
        assert "history_limit" not in load(tmp_path, llm__history_limit=20).to_dict()["llm"]
        assert load(tmp_path).llm.history_limit == 20
        resolved = load(tmp_path, llm__history_limit=limit).to_dict()
        assert resolved["llm"]["history_limit"] == limit

    def test_what_cannot_change_a_result_is_left_out(self, tmp_path: Path) -> None:
        plain = load(tmp_path).to_dict()
        same = load(
            tmp_path,
            output={"directory": "x", "verbose": True},
            llm__timeout_seconds=9,
            convergence__improvement_threshold=0.5,
            llm__reasoning_effort=None,
        )
        assert same.to_dict() == plain

    def test_samples_count_only_in_a_bootstrap(self, tmp_path: Path) -> None:
        one, other = (load(tmp_path, evaluation__mode="deterministic", evaluation__num_samples=n) for n in (5, 50))
        assert one.to_dict() == other.to_dict()

    def test_1_and_1_0_are_one_setting(self, tmp_path: Path) -> None:
        whole = load(tmp_path, llm__temperature=1, convergence__cv_threshold=1).to_dict()
        point = load(tmp_path, llm__temperature=1.0, convergence__cv_threshold=1.0).to_dict()
        assert canonical_json.encode(whole) == canonical_json.encode(point)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("name", "other"),
            ("master_seed", 43),
            ("evaluation__num_samples", None),
            ("convergence__regret_threshold", 0.2),
            ("llm__max_tokens", 5),
            ("llm__system_prompt", ""),
            ("policy_constraints__lsm_enabled", False),
            ("prompt_customization__all", "x"),
        ],
    )
    def test_what_can_change_a_result_is_in_it(self, tmp_path: Path, key: str, value: Any) -> None:
        resolved = load(tmp_path, **{key: value}).to_dict()
        assert resolved != load(tmp_path).to_dict()
        for part in key.split("__"):
            resolved = resolved[part]
        assert resolved == value

    def test_changing_it_does_not_change_the_configuration(self, tmp_path: Path) -> None:
        config = load(tmp_path, llm__thinking_config={"deep": [1]})
        config.to_dict()["scenario"]["agents"].clear()
        config.to_dict()["llm"]["thinking_config"]["deep"].append(2)
        assert config.scenario == SCENARIO
        assert config.llm.thinking_config == {"deep": [1]}


KEYS = st.sampled_from([*MINIMAL, "policy_constraints", "allowed_parameters", "param_type", "model", "ticks", "agents"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None, database=None, max_examples=60)
@given(changes=st.dictionaries(KEYS, ANYTHING, max_size=3))
def test_any_value_is_loaded_or_refused(changes: dict[str, Any]) -> None:
    try:
        config = ExperimentConfig.from_mapping({**MINIMAL, **changes}, Path("/nowhere"))
    except InvalidInput:
        return
    assert ExperimentConfig.from_mapping(config.to_dict(), Path()).to_dict() == config.to_dict()


class TestOtherSimulators:
    """What an experiment may be whose simulator is a function of the user's."""

    @pytest.fixture(autouse=True)
    def _module(self, tmp_path: Path) -> None:
        (tmp_path / "mine.py").write_text("def costs(scenario, policies, seed):\n    return {}\n")

    def load(self, tmp_path: Path, **changes: Any) -> ExperimentConfig:
        return load(tmp_path, simulator="mine:costs", **changes)

    def refused(self, tmp_path: Path, **changes: Any) -> dict[str, str]:
        return refused(tmp_path, simulator="mine:costs", **changes)

    @pytest.mark.parametrize("scenario", [{}, {"anything": [1, {"b": None}]}, {"agents": "some"}, {"simulation": 3}])
    def test_any_mapping_is_a_scenario(self, tmp_path: Path, scenario: dict[str, Any]) -> None:
        config = self.load(tmp_path, scenario=scenario, optimized_agents=["X"], prompt_customization={"X": "y"})
        assert config.to_dict()["scenario"] == scenario
        (tmp_path / "scenario.json").write_text(json.dumps(scenario))
        assert self.load(tmp_path, scenario="scenario.json").scenario == scenario
        assert refused(tmp_path, scenario=scenario)

    def test_and_nothing_else(self, tmp_path: Path) -> None:
        values: list[Any] = [None, [], "text"]
        for number, value in enumerate(values):
            (tmp_path / f"{number}.json").write_text(json.dumps(value))
            with pytest.raises(InvalidInput) as caught:
                self.load(tmp_path, scenario=f"{number}.json")
            assert str(caught.value) == f"{tmp_path / f'{number}.json'}:1: must be a mapping of keys to values"
        assert "scenario" in self.refused(tmp_path, scenario=5)

    def test_agents_are_looked_for_where_the_scenario_lists_them(self, tmp_path: Path) -> None:
        agents = [{"id": "X"}, {"id": "Y"}]
        assert self.load(tmp_path, scenario={"agents": agents}, optimized_agents=["Y"]).optimized_agents == ("Y",)
        message = self.refused(tmp_path, scenario={"agents": agents}, optimized_agents=["Z"])["optimized_agents[0]"]
        assert "(known: X, Y)" in message
        without: list[Any] = [[*agents, {}], [*agents, "Z"], [], {"X": {}}]
        for unknown in without:
            assert self.load(tmp_path, scenario={"agents": unknown}, optimized_agents=["Z"]).name == "minimal"
        customization = self.refused(tmp_path, scenario={}, prompt_customization={"BANK": "x"})
        assert "(known: all, BANK_A)" in customization["prompt_customization.BANK"]

    def test_ticks_are_compared_where_the_scenario_has_them(self, tmp_path: Path) -> None:
        assert self.load(tmp_path, scenario={}, evaluation__ticks=99).evaluation.ticks == 99
        scenario = {"simulation": {"ticks_per_day": 3}}
        assert "is 2" in self.refused(tmp_path, scenario=scenario)["evaluation.ticks"]

    def test_there_are_no_payments_that_could_settle(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput) as caught:
            self.load(tmp_path, scenario={}, evaluation__acceptance__min_settlement_rate=0.9)
        assert "evaluation.acceptance.min_settlement_rate: only the simulator payments has payments" in str(
            caught.value
        )
        assert self.load(tmp_path, scenario={}, evaluation__acceptance__min_settlement_rate=None).scenario == {}

    def test_names_that_only_payments_knows_are_not_judged(self, tmp_path: Path) -> None:
        constraints = {"allowed_fields": ["anything"], "allowed_actions": {"my_tree": ["Act"]}}
        assert self.load(tmp_path, scenario={}, policy_constraints=constraints).warnings == ()
        assert len(load(tmp_path, policy_constraints=constraints).warnings) == 2

    def test_payments_by_name(self, tmp_path: Path) -> None:
        assert load(tmp_path, simulator="payments") == load(tmp_path)
        assert load(tmp_path, simulator="payments").function is None

    def test_further_mistakes_are_reported_with_that_of_the_simulator(self, tmp_path: Path) -> None:
        assert set(refused(tmp_path, simulator="nosuch:costs", scenario={}, llm__model="gpt")) == {
            "simulator",
            "llm.model",
        }
