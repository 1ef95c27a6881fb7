"""The guard that keeps secrets out of a run, and what it takes for one."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies

from exprec.recorder.diagnostics import SecretGuard, secret_forms, secret_shapes
from exprec.recorder.diagnostics.secret_filter import SecretFilter
from exprec.recorder.errors import ExperimentFailed, Problem, SecretFound
from exprec.recorder.experiment.config import ExperimentConfig
from exprec.recorder.experiment.runner import GenericExperimentRunner
from exprec.recorder.format import canonical_json
from exprec.recorder.proposers import RecordedProposer
from exprec.recorder.proposers.protocol import Answer, ProposalRequest
from exprec.recorder.sessions.provenance import known_secrets
from exprec.recorder.store.run_directory import RunDirectory, Summary
from exprec.recorder.store.store import Store
from tests.fixtures.experiments import FakeAgent, FakeResult, FakeSimulator, experiment, policy
from tests.fixtures.files import bytes_below

SECRET = "planted-0123456789"
GUARD = SecretGuard({"MY_KEY": SECRET})
SHAPE_FILTER = SecretFilter((), has_shapes=True)


def check(value: Any, guard: SecretGuard = GUARD) -> None:
    guard.check("record", canonical_json.encode(value), value)


class TestGuard:
    @pytest.mark.parametrize(
        ("value", "field"),
        [
            ({"a": {"b": [0, f"x{SECRET}y"]}}, "record: a.b[1]"),
            ({"a": {SECRET: SECRET}}, "record: a key of a"),
            ({SECRET: 1}, "record: a key"),
            (SECRET, "record"),
        ],
    )
    def test_the_field_is_named_and_not_the_value(self, value: Any, field: str) -> None:
        with pytest.raises(SecretFound) as caught:
            check(value)
        assert str(caught.value).startswith(f"{field} contains the value of MY_KEY")
        assert SECRET not in str(caught.value)

    @pytest.mark.parametrize("value", [{"a": SECRET[:-1]}, {"a": [SECRET[:9], SECRET[9:]]}, {}, None, 1.5])
    def test_anything_else_goes_through(self, value: Any) -> None:
        check(value)

    @pytest.mark.parametrize("secret", ['quote"inside', "back\\slash\\", "tab\tinside", "schlüssel", "\U0001f511" * 8])
    def test_characters_that_are_escaped(self, secret: str) -> None:
        guard = SecretGuard({"MY_KEY": secret})
        once = json.dumps({"key": secret})
        for text in (secret, once, json.dumps({"key": secret}, ensure_ascii=False)):
            with pytest.raises(SecretFound):
                check({"answer": f"here: {text}"}, guard)

    def test_a_secret_that_is_a_number(self) -> None:
        with pytest.raises(SecretFound, match=r"^record contains the value of PIN"):
            check({"cost": 1234567890123456}, SecretGuard({"PIN": "1234567890123456"}))

    def test_what_is_too_short_or_no_text_is_no_secret(self) -> None:
        check({"a": "1234567"}, SecretGuard({"SHORT": "1234567", "BYTES": "\udcff" * 9}))

    def test_redacting(self) -> None:
        secret = 'a"' + SECRET
        text = f"{secret} and {json.dumps(secret)}"
        assert SecretGuard({"MY_KEY": secret}).redacted(text) == '<MY_KEY> and "<MY_KEY>"'
        assert GUARD.redacted("nothing") == "nothing"


SECRETS = [
    ("OPENAI_API_KEY", SECRET),
    ("GITHUB_TOKEN", SECRET),
    ("client_secret", SECRET),
    ("PGPASSWORD", SECRET),
    ("DB_PASSWD_FILE", SECRET),
    ("APIKEY", SECRET),
    ("AWS_CREDENTIALS", SECRET),
    ("MY_KEY", "supersecret"),
    ("MY_KEY", "correct-horse-battery-staple"),
    ("MY_KEY", "/not/a/file/but+base64="),
    ("MY_KEY", "1" * 16),
]
INNOCENT = [
    ("OPENAI_MODEL", SECRET),
    ("TOKENIZERS_PARALLELISM", SECRET),
    ("KEYBOARD_LAYOUT", SECRET),
    ("PASSWORD", "password"),
    ("PASSWORD", "PASSWORD"),
    ("API_KEY", "localhost"),
    ("SORT_KEY", "payment_tree"),
    ("SORT_KEY", "initial_liquidity_fraction"),
    ("MAX_TOKENS", "16384000"),
    ("SSH_KEY", __file__),
    ("SSH_KEY", str(Path(__file__).parent)),
    ("OPENAI_BASE_URL", "http://localhost:8080/v1/planted"),
    ("OPENAI_BASE_URL", "http://[broken"),
    ("MY_KEY", ""),
]


class TestEnvironment:
    @pytest.fixture(autouse=True)
    def _empty(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in known_secrets():
            monkeypatch.delenv(name.split()[-1], raising=False)
        monkeypatch.setattr("os.environ", {})

    @pytest.mark.parametrize(("name", "value"), SECRETS)
    def test_what_is_taken_for_a_secret(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
        monkeypatch.setattr("os.environ", {name: f"{value}\n"})
        assert known_secrets() == {name: value}

    @pytest.mark.parametrize(("name", "value"), INNOCENT)
    def test_what_is_not(self, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
        monkeypatch.setattr("os.environ", {name: value})
        SecretGuard(known_secrets()).check("record", canonical_json.encode(value), value)

    @pytest.mark.parametrize("name", ["OPENAI_BASE_URL", "https_proxy", "DATABASE_URL", "SENTRY_DSN"])
    @pytest.mark.parametrize("user", ["someone:planted%2F0123@", "planted%2F0123@"], ids=["password", "user"])
    def test_the_password_in_an_address(self, monkeypatch: pytest.MonkeyPatch, name: str, user: str) -> None:
        monkeypatch.setattr("os.environ", {name: f"https://{user}example.org:8080/v1"})
        guard = SecretGuard(known_secrets())
        check({"a": "https://someone@example.org:8080/v1"}, guard)
        for form in ("planted/0123", "planted%2F0123"):
            with pytest.raises(SecretFound, match=f"the password in {name}"):
                check({"a": form}, guard)

    def test_bytes_that_are_no_text_stop_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.environ", {"MY_KEY": "\udcff\udcfe" * 8})
        check({"a": "b"}, SecretGuard(known_secrets()))


class Says:
    """A model that always answers the same."""

    is_model = True

    def __init__(self, answer: str) -> None:
        self._answer = answer
        self.requests: list[ProposalRequest] = []

    async def propose(self, request: ProposalRequest) -> Answer:
        self.requests.append(request)
        return Answer(self._answer)


def prepared(
    folder: Path, answer: str = "no", *, model: Says | None = None, guard: SecretGuard = GUARD, **changes: Any
) -> tuple[GenericExperimentRunner, Path]:
    store = folder / "runs"
    config = ExperimentConfig.load(experiment(folder, **changes))
    return (
        GenericExperimentRunner(
            config, config_dir=folder, store=Store.open_or_create(store), proposer=model or Says(answer), secrets=guard
        ),
        store,
    )


def failed(runner: GenericExperimentRunner, store: Path) -> Mapping[str, Any]:
    """Run an experiment that fails; what its sealed head says of the failure."""
    with pytest.raises(ExperimentFailed) as caught:
        asyncio.run(runner.run())
    assert SECRET not in str(caught.value)
    assert runner.sealed is not None
    assert SECRET.encode() not in bytes_below(store)
    head = json.loads((runner.sealed.path / "run.json").read_bytes())
    assert head["status"] == "failed"
    failure: dict[str, Any] = head["failure"]
    assert failure["message"] in str(caught.value)
    return failure


class TestRun:
    @pytest.mark.parametrize("changes", [{"description": f"uses {SECRET}"}, {"name": SECRET}])
    def test_a_secret_in_the_experiment_leaves_nothing(self, tmp_path: Path, changes: dict[str, Any]) -> None:
        runner, store = prepared(tmp_path, **changes)
        with pytest.raises(SecretFound, match=f"^config.json: {next(iter(changes))} contains"):
            asyncio.run(runner.run())
        assert list((store / ".work").iterdir()) == []
        assert SECRET.encode() not in bytes_below(store)

    @pytest.mark.parametrize(
        "answer", [f"I use {SECRET}.", json.dumps(policy(0.25, policy_id=SECRET)), json.dumps({SECRET: 1})]
    )
    def test_a_secret_in_an_answer(self, tmp_path: Path, answer: str) -> None:
        assert failed(*prepared(tmp_path, answer)) == {
            "error_type": "SecretFound",
            "message": "exchange: answer.text contains the value of MY_KEY; it was not written (if that is no secret, "
            "use --allow-secret 'MY_KEY')",
        }

    def test_a_secret_in_the_text_of_an_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def result(policies: Any, seed: int) -> FakeResult:
            raise RuntimeError(f"cannot connect with {SECRET}")

        simulator = FakeSimulator(result)
        monkeypatch.setattr("exprec.recorder.experiment.loop.load_simulator", lambda *_, **__: simulator)
        runner, store = prepared(tmp_path)
        assert failed(runner, store)["message"].startswith("event experiment_failed: message contains the value of")

    def test_a_request_with_a_secret_is_not_sent(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        simulator = FakeSimulator(lambda policies, seed: FakeResult({"A": FakeAgent(1), "B": FakeAgent(1)}))
        monkeypatch.setattr(simulator, "check_policy", lambda value: [Problem((), f"the database {SECRET} is away")])
        monkeypatch.setattr("exprec.recorder.experiment.loop.load_simulator", lambda *_, **__: simulator)
        model = Says(json.dumps(policy(0.25)))
        runner, store = prepared(tmp_path, model=model)
        message = failed(runner, store)["message"]
        assert message.startswith("request: messages[3].content contains the value of MY_KEY; it was not sent")
        assert len(model.requests) == 1
        assert runner.sealed is not None
        assert len(RunDirectory(runner.sealed.path).exchanges()) == 1, "what was recorded before is kept"

    def test_an_event_with_a_secret_ends_an_experiment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        simulator = FakeSimulator(lambda policies, seed: FakeResult({"A": FakeAgent(1), "B": FakeAgent(1)}))
        monkeypatch.setattr(simulator, "starting_policy", lambda *_: policy(0.5, policy_id=SECRET))
        monkeypatch.setattr("exprec.recorder.experiment.loop.load_simulator", lambda *_, **__: simulator)
        searching = Says(json.dumps(policy(0.25)))
        searching.is_model = False
        runner, store = prepared(tmp_path, model=searching)
        message = failed(runner, store)["message"]
        assert message.startswith("event policy_change: old_policy.policy_id contains the value of MY_KEY; it was not")
        assert runner.sealed is not None
        kinds = [entry.event["event_type"] for entry in RunDirectory(runner.sealed.path).reader().entries()]
        assert kinds == ["experiment_start", "iteration_start", "experiment_failed"], "what was recorded is kept"

    def test_the_name_of_a_run(self, tmp_path: Path) -> None:
        store = Store.open_or_create(tmp_path / "runs")
        with pytest.raises(SecretFound, match=r"^run.json: name contains"):
            store.begin(SECRET, "generic", {}, GUARD)
        assert list((store.path / ".work").iterdir()) == []

    def test_the_head_of_a_run(self, tmp_path: Path) -> None:
        store = Store.open_or_create(tmp_path / "runs")
        recording = store.begin("name", "generic", {}, GUARD)
        with pytest.raises(SecretFound, match=r"^run.json: failure.message contains"):
            recording.seal(Summary("failed", {}, None, {"message": SECRET}))
        recording.close()
        assert SECRET.encode() not in bytes_below(store.path)

    def test_a_digest_is_no_secret(self, tmp_path: Path) -> None:
        store = Store.open_or_create(tmp_path / "runs")
        digest = hashlib.sha256(b"{}\n").hexdigest()
        recording = store.begin("name", "generic", {}, SecretGuard({"GPG_KEY": digest[:40]}))
        recording.events.append("experiment_failed", 0, {"error_type": "E", "message": "m"})
        recording.seal(Summary("failed", {"events": 1, "iterations": 0, "events_by_type": {}}, None, None))


def test_an_experiment_with_placeholders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = []
    for number, secret in enumerate((SECRET, "another-secret-of-another-length")):
        simulator = FakeSimulator(lambda policies, seed: FakeResult({"A": FakeAgent(1), "B": FakeAgent(1)}))
        problem = Problem((), f"the database {secret} is away")
        monkeypatch.setattr(simulator, "check_policy", lambda value, problem=problem: [problem])
        monkeypatch.setattr("exprec.recorder.experiment.loop.load_simulator", lambda *_, s=simulator, **__: s)
        model = Says(json.dumps(policy(0.25, policy_id=secret)))
        guard = SecretGuard({"MY_KEY": secret}, redacts=True)
        folder = tmp_path / str(number)
        folder.mkdir()
        runner, store = prepared(folder, model=model, guard=guard)
        asyncio.run(runner.run())
        assert runner.sealed is not None
        assert secret.encode() not in bytes_below(store)
        told = [message.content for request in model.requests for message in request.messages]
        assert any("the database [redacted:MY_KEY:1] is away" in content for content in told)
        assert not any(secret in content for content in told)
        assert ("exchange: answer.text", "MY_KEY") in guard.hits
        ids.append(runner.sealed.run_id)
    assert ids[0] == ids[1]


class Stops(Says):
    """A model that is interrupted at its third request."""

    async def propose(self, request: ProposalRequest) -> Answer:
        if len(self.requests) == 2:
            raise KeyboardInterrupt
        return await super().propose(request)


def test_a_resumed_experiment_with_placeholders(tmp_path: Path) -> None:
    answer = json.dumps(policy(0.25, policy_id=f"{SECRET} or another-secret-77"))
    secrets = {"MY_KEY": SECRET, "OTHER": "another-secret-77"}
    ids = []
    for model in (Says(answer), Stops(answer)):
        folder = tmp_path / type(model).__name__
        folder.mkdir()
        runner, store = prepared(folder, model=model, guard=SecretGuard(secrets, redacts=True))
        if isinstance(model, Stops):
            with pytest.raises(KeyboardInterrupt):
                asyncio.run(runner.run())
            work = next(path for path in (store / ".work").iterdir() if path.is_dir())
            config = ExperimentConfig.from_mapping(RunDirectory(work).config, folder)
            runner = GenericExperimentRunner(
                config,
                config_dir=folder,
                store=Store(store),
                proposer=RecordedProposer(RunDirectory(work).exchanges(), config.llm, then=Says(answer)),
                secrets=SecretGuard(secrets, redacts=True),
                resumed=RunDirectory(work),
            )
        asyncio.run(runner.run())
        assert runner.sealed is not None
        ids.append(runner.sealed.run_id)
    assert ids[0] == ids[1]


class TestAllowed:
    def test_by_name_of_secret_or_shape_and_by_digest(self) -> None:
        token = "ghp_" + "aB3dE6gH9jK2mN5pQ8sT1vW4xY7zA0cD3fG6"
        for secrets, allowed in (
            ({"MY_KEY": SECRET}, ["MY_KEY"]),
            ({"the password in DB_URL": SECRET}, ["DB_URL"]),
            ({"MY_KEY": SECRET}, [hashlib.sha256(SECRET.encode()).hexdigest()]),
        ):
            check({"a": SECRET}, SecretGuard(secrets, allowed=allowed))
            with pytest.raises(SecretFound):
                check({"a": SECRET}, SecretGuard(secrets, allowed=["OTHER"]))
        for allowed in (["github-token"], [hashlib.sha256(token.encode()).hexdigest()]):
            check({"a": token}, SecretGuard(has_shapes=True, allowed=allowed))
        with pytest.raises(SecretFound, match="github-token"):
            check({"a": token}, SecretGuard(has_shapes=True))


def test_every_hit_is_named() -> None:
    guard = SecretGuard({"ONE": SECRET, "TWO": "another-secret-77"})
    with pytest.raises(SecretFound) as caught:
        check({"a": SECRET, "b": ["another-secret-77"]}, guard)
    assert caught.value.hits == (("record: a", "ONE"), ("record: b[0]", "TWO"))


def test_a_record_that_differs_in_digits_from_one_without_a_secret() -> None:
    guard = SecretGuard({"PIN": "1234567890123456", "KEY": "a1b2c3d4e5f6g7h8"})
    check({"cost": 1, "id": "a9b9c9d9e9f9g9h9"}, guard)
    for value in ({"cost": 1234567890123456, "id": ""}, {"cost": 2, "id": "a1b2c3d4e5f6g7h8"}):
        with pytest.raises(SecretFound):
            check(value, guard)


def test_a_secret_that_is_set_later() -> None:
    changes: list[dict[str, str]] = []
    guard = SecretGuard(renew=lambda: changes.pop() if changes else None)
    assert guard.has_any
    check({"a": SECRET}, guard)
    changes.append({"NEW": SECRET})
    with pytest.raises(SecretFound, match="NEW"):
        check({"a": SECRET}, guard)


def test_no_quick_test_misses_a_secret_of_any_characters() -> None:
    chance = random.Random(4)
    characters = [chr(code) for code in range(32, 127)] + list("\n\té\u2028\U0001f511")
    for _ in range(100):
        secret = "".join(chance.choices(characters, k=chance.randrange(12, 40)))
        guard = SecretGuard({"MY_KEY": secret})
        for form in secret_forms.encoded_forms(secret):
            with pytest.raises(SecretFound):
                check({"a": f"in {form} here"}, guard)


@settings(max_examples=60, deadline=None)
@given(strategies.sampled_from(secret_shapes.SHAPES).flatmap(lambda shape: strategies.from_regex(shape.pattern)))
def test_the_quick_test_misses_no_shape(text: str) -> None:
    assert not list(secret_shapes.find_shapes(text)) or SHAPE_FILTER.suspects_plain(text)


def test_more_secrets_than_the_quick_test_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError

    monkeypatch.setattr("jsonschema_rs.validator_for", refuse)
    with pytest.raises(SecretFound):
        check({"a": SECRET}, SecretGuard({"MY_KEY": SECRET}))
