"""Recording from Python: what ends up in the run, how it ends, and that nothing is lost in silence."""

# ruff: noqa: PT012, PT031, SIM117 (where an exception leaves the block of a run, the block is what is tested)

from __future__ import annotations

import asyncio
import errno
import gzip
import io
import json
import os
import signal
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import FrameType
from typing import IO, Any, ClassVar

import numpy as np
import pytest

from exprec.recorder import EventTypes, Run, record
from exprec.recorder.errors import (
    ExprecError,
    InvalidEvent,
    InvalidInput,
    NotAStore,
    NotEncodable,
    NotRecording,
    SecretFound,
    StorageFailure,
)
from exprec.recorder.events import Event
from exprec.recorder.fs import durable
from exprec.recorder.state.protocol import ExperimentStateProviderProtocol
from exprec.recorder.state.provider import DatabaseStateProvider
from exprec.recorder.store.run_directory import RunDirectory
from exprec.recorder.store.store import Store
from exprec.recorder.verify import verify_run


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own as the working folder, and no store of whoever runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EXPREC_STORE", raising=False)


def _stored(run: Run) -> RunDirectory:
    """The sealed run, which verifies."""
    found = RunDirectory(run.path)
    assert found.is_sealed
    assert found.run_id == run.id
    assert list(verify_run(found)) == []
    return found


def _events(run: Run) -> list[Event]:
    return [entry.event for entry in RunDirectory(run.path).reader().entries()]


def _interrupted(run: Run) -> list[Event]:
    """The events of the one run in the store, which is not sealed and which nobody records."""
    store = Store(run.path.parent.parent)
    assert store.run_ids() == []
    assert store.work_names() == [run.id]
    assert RunDirectory(run.path).status == "interrupted"
    return _events(run)


class TestARun:
    def test_it_is_sealed_with_everything_at_the_end_of_the_block(self) -> None:
        Path("model.json").write_text("[1, 2]")
        with record("train", config={"lr": 0.1, "layers": [8, 8]}) as run:
            work_name = run.id
            assert run.path == Path.cwd() / "runs" / ".work" / work_name
            for epoch in (1, 2):
                run.event("epoch", iteration=epoch, loss=1 / epoch)
            run.event("note", text="done")
            run.artifact("model.json")
            run.result(accuracy=0.93)
        assert run.id != work_name
        stored = _stored(run)
        assert stored.path == Path.cwd() / "runs" / run.id
        assert stored.config == {"lr": 0.1, "layers": [8, 8]}
        assert (stored.name, stored.type, stored.status) == ("train", "python", "completed")
        assert stored.head["result"] == {"accuracy": 0.93}
        assert stored.head["counts"]["by_type"] == {"epoch": 2, "note": 1, "run_end": 1}
        assert stored.head["counts"]["iterations"] == 2
        assert (stored.path / "artifacts" / "model.json").read_text() == "[1, 2]"
        assert _events(run)[0] == {"event_type": "epoch", "iteration": 1, "loss": 1.0, "seq": 0}
        assert DatabaseStateProvider(stored).get_final_result() == {"accuracy": 0.93}
        assert not list((Path.cwd() / "runs" / ".work").iterdir())

    def test_the_same_content_has_the_same_address_and_an_attestation_each(self) -> None:
        ids = set()
        for _ in range(2):
            with record("same") as run:
                run.event("epoch", iteration=1, loss=0.5)
            ids.add(run.id)
        (run_id,) = ids
        attestations = Store(Path("runs")).attestations(run_id)
        assert len(attestations) == 2
        assert attestations[0]["started_at"] <= attestations[1]["started_at"]
        assert attestations[0]["duration_seconds"] < 60

    def test_it_needs_neither_config_nor_events_nor_a_block(self) -> None:
        run = record("empty")
        run.close()
        assert _stored(run).config == {}
        assert [event["event_type"] for event in _events(run)] == ["run_end"]
        run.close()
        run.fail(ValueError("late"))
        assert _stored(run).status == "completed"

    def test_a_notebook_can_seal_it_as_failed(self) -> None:
        run = record("failing")
        run.event("epoch", iteration=1)
        run.fail(ValueError("diverged"))
        assert _stored(run).head["failure"] == {"error_type": "ValueError", "message": "diverged"}

    def test_one_that_is_never_closed_is_interrupted(self) -> None:
        run = record("abandoned")
        run.event("epoch", iteration=1)
        assert RunDirectory(run.path).status == "running"
        run._session.leave()  # as the end of the process does
        assert [event["event_type"] for event in _interrupted(run)] == ["epoch"]

    def test_the_store_is_the_one_named_or_that_of_the_environment_or_runs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EXPREC_STORE", str(tmp_path / "from environment"))
        for store, expected in ((None, "from environment"), ("named", "named"), (tmp_path / "path", "path")):
            with record("x", store=store) as run:
                pass
            assert run.path.parent == tmp_path / expected

    def test_the_program_may_change_its_folder_meanwhile(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "elsewhere").mkdir()
        with record("moving", store="here") as run:
            monkeypatch.chdir(tmp_path / "elsewhere")
            Path("there.txt").write_text("x")
            run.artifact("there.txt")
        assert _stored(run).path.parent == tmp_path / "here"

    def test_a_folder_with_something_else_is_no_store(self) -> None:
        Path("full").mkdir()
        Path("full/file").touch()
        with pytest.raises(NotAStore):
            record("x", store="full")


class TestHowItEnds:
    @pytest.mark.parametrize(
        ("error", "message"),
        [
            (ValueError("the loss is\nnan"), "the loss is\nnan"),
            (RuntimeError(), "no message"),
            (KeyboardInterrupt(), "no message"),
            (asyncio.CancelledError(), "no message"),
            (SystemExit(3), "3"),
            (SystemExit("wrong usage"), "wrong usage"),
            (OSError("lone \udcff"), "lone \\udcff"),
        ],
    )
    def test_an_exception_seals_it_as_failed_and_goes_on_up(self, error: BaseException, message: str) -> None:
        with pytest.raises(type(error)) as caught, record("failing") as run:
            run.event("epoch", iteration=1)
            run.result(accuracy=1)
            raise error
        assert caught.value is error
        stored = _stored(run)
        assert stored.status == "failed"
        assert stored.head["failure"] == {"error_type": type(error).__name__, "message": message}
        assert stored.head["result"] is None
        assert [event["event_type"] for event in _events(run)] == ["epoch", "experiment_failed"]

    @pytest.mark.parametrize("code", [None, 0])
    def test_an_exit_without_an_error_completes_it(self, code: int | None) -> None:
        with pytest.raises(SystemExit), record("exiting") as run:
            sys.exit(code)
        assert _stored(run).status == "completed"

    def test_an_error_without_a_text_does_not_keep_it_from_its_end(self) -> None:
        class Silent(Exception):
            def __str__(self) -> str:
                raise RuntimeError("no text")

        with pytest.raises(Silent), record("failing") as run:
            raise Silent
        assert _stored(run).head["failure"] == {"error_type": "Silent", "message": "no message"}

    def test_nothing_can_be_recorded_after_its_end(self) -> None:
        with record("over") as run:
            pass
        acts: list[Callable[[], None]] = [lambda: run.event("x"), lambda: run.result(a=1), lambda: run.artifact("x")]
        for act in acts:
            with pytest.raises(NotRecording, match=r"the run 'over': it has ended; begin a new one with record\(\)"):
                act()
        assert _stored(run)

    def test_it_may_be_closed_within_its_block(self) -> None:
        with record("early") as run:
            run.close()
        with pytest.raises(ValueError, match="later"), record("early", config={"n": 2}) as failing:
            failing.close()
            raise ValueError("later")
        assert _stored(run).status == _stored(failing).status == "completed"


class TestRefusals:
    """What cannot be kept is refused with the name of the field, and the log is as it was."""

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            ({"$float": "nan"}, 'an object {"$float": "nan"} means the number nan'),
            (2**64, "beyond 64 bits"),
            (Path("model.json"), "record str(path), or keep the file itself with run.artifact(path)"),
            (datetime(2026, 1, 1, tzinfo=UTC), "a datetime is not a JSON value; record str(...)"),
            ({1, 2}, "a set is not a JSON value; it has no order: record sorted(...)"),
            (b"bytes", "a bytes is not a JSON value; record .hex()"),
            (np.zeros(3), "a ndarray is not a JSON value; record .tolist()"),
            (np.datetime64("2026-01-01T00:00:00.000000000"), "a date of NumPy has no equal"),
            (np.longdouble(1) / 3, "an extended float of NumPy has no equal JSON value"),
            (np.complex128(1j), "a complex number of NumPy has no equal JSON value"),
            (Decimal("0.1"), "a Decimal is not a JSON value"),
            (1j, "a complex is not a JSON value"),
            (object(), "a object is not a JSON value"),
            ("\ud800", "lone surrogate"),
        ],
    )
    @pytest.mark.parametrize("inside", [False, True])
    def test_a_value_that_json_cannot_keep(self, value: Any, reason: str, inside: bool) -> None:
        with record("refusing") as run:
            with pytest.raises(NotEncodable) as caught:
                if inside:
                    run.event("epoch", loss={"parts": [0.5, value]})
                else:
                    run.event("epoch", loss=value)
            assert str(caught.value).startswith("loss.parts[1]: " if inside else "loss: ")
            assert reason in str(caught.value)
            run.event("epoch", loss=1)
        assert _stored(run).head["counts"]["by_type"] == {"epoch": 1, "run_end": 1}

    def test_one_that_holds_itself_or_has_keys_that_are_no_texts(self) -> None:
        loop: list[Any] = []
        loop.append(loop)
        with record("refusing") as run:
            with pytest.raises(NotEncodable, match="nested too deeply"):
                run.event("epoch", loss=loop)
            with pytest.raises(NotEncodable, match="the key 1 is not a string"):
                run.event("epoch", loss={1: np.float32(2)})

    def test_left_alone_it_fails_the_run(self) -> None:
        with pytest.raises(NotEncodable), record("failing") as run:
            run.event("epoch", iteration=1, loss=2**64)
        failure = _stored(run).head["failure"]
        assert failure["error_type"] == "NotEncodable"
        assert failure["message"].startswith("loss: the integer 18446744073709551616 is beyond 64 bits")

    @pytest.mark.parametrize("name", ["seq", "event_type"])
    def test_a_field_named_as_every_event_has_one(self, name: str) -> None:
        with record("refusing") as run:
            with pytest.raises(InvalidEvent, match=f"{name}: is a field that exprec gives every event"):
                run.event("epoch", **{name: 1})
            with pytest.raises(InvalidEvent, match=f"{name}: is a field"):
                run.result(**{name: 1})

    @pytest.mark.parametrize("kind", ["run_end", "experiment_failed", "llm_call", "iteration_end"])
    def test_a_type_of_exprecs_own(self, kind: str) -> None:
        with record("refusing") as run, pytest.raises(InvalidEvent, match="is a type of exprec's own"):
            run.event(kind)

    @pytest.mark.parametrize("kind", ["Epoch", "", 3, None])
    def test_what_is_no_type(self, kind: Any) -> None:
        with record("refusing") as run, pytest.raises(InvalidEvent, match="event_type: "):
            run.event(kind)

    @pytest.mark.parametrize("iteration", [-1, 1.0, "one", None, True])
    def test_what_is_no_iteration(self, iteration: Any) -> None:
        with record("refusing") as run, pytest.raises(InvalidEvent, match="iteration: must be"):
            run.event("epoch", iteration=iteration)

    def test_an_iteration_before_the_last(self) -> None:
        with record("refusing") as run:
            run.event("epoch", iteration=2)
            with pytest.raises(InvalidEvent, match="iteration 1 comes after iteration 2"):
                run.event("epoch", iteration=1)
            run.event("note")
            run.event("epoch", iteration=2)
        assert _stored(run).head["counts"]["events"] == 4

    def test_a_second_result_and_one_that_cannot_be_kept(self) -> None:
        with record("refusing") as run:
            with pytest.raises(NotEncodable, match="a: the integer"):
                run.result(a=2**64)
            run.result(a=np.int64(1))
            with pytest.raises(InvalidEvent, match="the result was given already"):
                run.result(a=2)
        assert _stored(run).head["result"] == {"a": 1}

    @pytest.mark.parametrize(
        ("name", "config", "message"),
        [
            ("", {}, "name: must be a text"),
            (3, {}, "name: must be a text"),
            ("x", [1], "config: must be a dict, not a list"),
            ("x", {"data": Path("a")}, "config.data: a .*Path is not a JSON value; record str"),
            ("x", {"a": [2**64]}, r"config.a\[0\]: the integer"),
            ("x", {3: 1}, "config: the key 3 is not a string"),
        ],
    )
    def test_a_name_or_config_that_cannot_be_used_begins_no_run(self, name: Any, config: Any, message: str) -> None:
        with pytest.raises(ExprecError, match=message):
            record(name, config=config)
        assert not Path("runs").exists() or not Store(Path("runs")).work_names()


class TestValues:
    @pytest.mark.parametrize(
        ("value", "kept"),
        [
            (np.float32(0.1), 0.10000000149011612),
            (np.float64(0.1), 0.1),
            (np.float16(0.1), 0.0999755859375),
            (np.int8(-3), -3),
            (np.uint64(2**64 - 1), 2**64 - 1),
            (np.bool_(True), True),
            (np.str_("text"), "text"),
            (np.array(2.5), 2.5),
            ((1, (2, np.int64(3))), [1, [2, 3]]),
            ({"a": [np.float32(0.5)], "b": None}, {"a": [0.5], "b": None}),
        ],
    )
    def test_a_numpy_scalar_is_kept_as_the_value_that_equals_it(self, value: Any, kept: Any) -> None:
        with record("numpy", config={"value": value}) as run:
            run.event("epoch", iteration=np.int64(1), value=value)  # type: ignore[arg-type]
        (event, _) = _events(run)
        assert event["value"] == kept
        assert type(event["value"]) is type(kept)
        assert _stored(run).config == {"value": kept}

    def test_the_caller_may_change_afterwards_what_was_recorded(self) -> None:
        kept: dict[str, Any] = {"values": [1]}
        with record("copies", config=kept) as run:
            run.event("epoch", **kept)
            run.result(**kept)
            kept["values"].append(2)
        assert _events(run)[0]["values"] == _stored(run).head["result"]["values"] == [1]


class TestSchemas:
    SCHEMA: ClassVar = {"properties": {"loss": {"type": "number"}}, "required": ["loss"], "additionalProperties": False}

    def test_a_folder_or_a_mapping_declares_types_and_the_run_keeps_them(self, tmp_path: Path) -> None:
        (tmp_path / "schemas").mkdir()
        (tmp_path / "schemas" / "epoch.schema.json").write_text(json.dumps(self.SCHEMA))
        ids = set()
        types = EventTypes({"epoch": self.SCHEMA})
        for schemas in ("schemas", tmp_path / "schemas", {"epoch": self.SCHEMA}, types):
            with record("declared", schemas=schemas) as run:
                run.event("epoch", iteration=1, loss=np.float64(0.5))
                with pytest.raises(InvalidEvent, match="event epoch: loss: must be a number, not 'low'"):
                    run.event("epoch", iteration=1, loss="low")
                with pytest.raises(InvalidEvent, match="did you mean 'epoch'"):
                    run.event("epohc", loss=1)
            ids.add(run.id)
            assert set(_stored(run).schemas) == {"event.epoch.v1", "event.run_end.v1"}
        assert len(ids) == 1

    def test_undeclared_types_are_taken_if_not_strict(self) -> None:
        with record("open", schemas={"epoch": self.SCHEMA}, strict=False) as run:
            run.event("other", anything=[1])
        assert set(_stored(run).schemas) == {"event.v1", "event.run_end.v1"}
        with record("closed", strict=True) as run, pytest.raises(InvalidEvent, match="declare it by a schema"):
            run.event("epoch")

    @pytest.mark.parametrize("schemas", ["missing", {"epoch": {"type": 3}}, [1], 3])
    def test_schemas_that_cannot_be_used_begin_no_run(self, schemas: Any) -> None:
        with pytest.raises(InvalidInput):
            record("x", schemas=schemas)
        assert not Path("runs").exists()

    def test_an_event_that_breaks_its_schema_fails_the_run_with_the_name_of_the_field(self) -> None:
        with pytest.raises(InvalidEvent), record("failing", schemas={"epoch": self.SCHEMA}) as run:
            run.event("epoch", iteration=1, los=0.3)
        failure = _stored(run).head["failure"]
        assert failure["error_type"] == "InvalidEvent"
        assert "los: unknown key; did you mean 'loss'?" in failure["message"]


class Figure:
    """What a figure of matplotlib has."""

    def savefig(self, path: str) -> None:
        """Not called."""


class TestArtifacts:
    def test_they_are_kept_as_they_are_at_the_call(self, tmp_path: Path) -> None:
        Path("out").mkdir()
        Path("out/model.bin").write_bytes(b"\x00\xff")
        (tmp_path / "plot.svg").write_text("<svg/>")
        with record("artifacts") as run:
            run.artifact("out/model.bin")
            run.artifact(Path("./out/model.bin"), name="best/model.bin")
            run.artifact(tmp_path / "plot.svg")
            Path("out/model.bin").write_bytes(b"later")
        stored = _stored(run)
        files = {name: (stored.path / name).read_bytes() for name in stored.head["files"] if "artifacts" in name}
        assert files == {
            "artifacts/best/model.bin": b"\x00\xff",
            "artifacts/out/model.bin": b"\x00\xff",
            "artifacts/plot.svg": b"<svg/>",
        }

    @pytest.mark.parametrize(
        ("path", "name", "message"),
        [
            ("missing", None, "the artifact 'missing' cannot be kept: there is no such file"),
            (".", "folder", "contains the store"),
            ("empty", None, "the artifact 'empty' cannot be kept: it is a folder without files"),
            ("a\0b", "zero", "the artifact 'zero' cannot be kept: there is no such file"),
            ("file", "Taken", "'Taken' and 'taken' are one name on some systems"),
            ("file", "aux.txt", "the artifact 'aux.txt' is named aux.txt, which is a device on Windows"),
            (b"file", None, "an artifact must be a path, not bytes"),
            (io.BytesIO(b"data"), "data", "an artifact must be a path, not an open file"),
            (Figure(), "plot", r"an artifact must be a path, not a figure; save it with \.savefig"),
            (5, None, "an artifact must be a path, not a value of type int"),
            ("file", 5, "the name of an artifact must be a path, not a value of type int"),
            ("big", None, "the artifact 'big' has 11 bytes, and 10 are the most"),
            ("../file", None, "must be named by a relative path"),
            ("file", "/file", "must be named by a relative path"),
            ("file", ".git/config", "means something to git"),
            ("file", "taken/below", "'taken' is a file among the artifacts; give it another name"),
        ],
    )
    def test_what_cannot_be_one_is_refused_and_the_run_goes_on(
        self, tmp_path: Path, path: Any, name: Any, message: str
    ) -> None:
        Path("empty").mkdir()
        Path("big").write_bytes(b"x" * 11)
        Path("file").write_bytes(b"x" * 10)
        with record("artifacts", artifact_limit=10) as run:
            run.artifact("file", name="taken")
            with pytest.raises(InvalidInput, match=message):
                run.artifact(path, name=name)
        assert [file for file in _stored(run).head["files"] if "artifacts" in file] == ["artifacts/taken"]

    def test_one_that_cannot_be_written_whole_leaves_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("model").write_bytes(b"x" * 100)

        original = os.write

        def full(handle: int, data: bytes) -> int:
            if data == b"x" * 90:
                raise OSError(errno.ENOSPC, "No space left on device")
            return original(handle, data[:10] if data == b"x" * 100 else data)

        monkeypatch.setattr("exprec.recorder.fs.durable.os.write", full)
        with pytest.raises(StorageFailure, match="No space left"), record("artifacts") as run:
            run.artifact("model", name="a/b/model")
        assert not (run.path / "artifacts").exists()
        assert _interrupted(run) == []


class TestSecrets:
    def test_an_artifact_with_one_in_it_is_withheld(self) -> None:
        Path("model").write_bytes(b"x" * 1_048_570 + b"another-one-4711" + b"y" * 10)
        with record("kept out", secrets={"MINE": "another-one-4711"}) as run:
            with pytest.warns(UserWarning, match="the artifact 'model' contains the value of MINE"):
                run.artifact("model")
            assert not (run.path / "artifacts").exists()
        assert not (run.path / "artifacts").exists()
        assert _stored(run).head["failure"]["error_type"] == "SecretFound"

    def test_those_of_the_environment_are_kept_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SERVICE_TOKEN", "s3cret-value-0815")
        with record("quiet") as run:
            with pytest.warns(UserWarning, match="event note: text contains the value of SERVICE_TOKEN"):
                run.event("note", text="it is s3cret-value-0815")
            with pytest.warns(UserWarning, match="the result: text"):
                run.result(text="s3cret-value-0815")
            run.event("note", text="harmless")
        message = _stored(run).head["failure"]["message"]
        assert "event note: text contains the value of SERVICE_TOKEN, the result: text that of" in message
        assert [event["event_type"] for event in _events(run)] == ["note", "experiment_failed"]
        with pytest.raises(ValueError, match="s3cret"), record("failing") as failed:
            raise ValueError("cannot log in with s3cret-value-0815")
        assert _stored(failed).head["failure"]["message"] == "cannot log in with <SERVICE_TOKEN>"
        with pytest.raises(SecretFound):
            record("telling", config={"a": "s3cret-value-0815"})
        assert not any(b"s3cret" in path.read_bytes() for path in Path("runs").rglob("*") if path.is_file())
        assert _stored(run)

    def test_declared_schemas_are_searched(self) -> None:
        schema = {"type": "object", "description": "uses another-one-4711"}
        with pytest.raises(SecretFound, match=r"the schema .*: description contains the value of MINE"):
            record("declared", schemas={"note": schema}, secrets={"MINE": "another-one-4711"})
        assert list(Path("runs/.work").iterdir()) == []

    @pytest.mark.parametrize("name", ["model.zip", "model.gz"])
    def test_members_of_compressed_artifacts_are_searched(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        if name.endswith("zip"):
            with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("a/b.txt", "x" * 100_000 + "another-one-4711")
        else:
            Path(name).write_bytes(gzip.compress(b"x" * 100_000 + b"another-one-4711"))
        with record("packed", secrets={"MINE": "another-one-4711"}) as run:
            monkeypatch.setattr("exprec.recorder.fs.durable.write_pieces", lambda *_: pytest.fail("nothing is copied"))
            with pytest.warns(UserWarning, match=f"in the artifact '{name}' contains the value of MINE"):
                run.artifact(name)
            assert not (run.path / "artifacts").exists()

    def test_a_compressed_artifact_that_changes_after_it_was_searched(self, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("model.gz").write_bytes(gzip.compress(b"harmless", mtime=0))

        def change(file: IO[bytes]) -> Iterator[tuple[str, Iterator[bytes]]]:
            patch.undo()
            Path("model.gz").write_bytes(gzip.compress(b"another-one-4711"))
            return iter(())

        with record("packed", store=Path("runs").absolute(), secrets={"MINE": "another-one-4711"}) as run:
            with monkeypatch.context() as patch:
                patch.setattr("exprec.recorder.store.artifacts.read_members", change)
                with pytest.warns(UserWarning, match="in the artifact 'model.gz' contains the value of MINE"):
                    run.artifact("model.gz")
            assert not (run.path / "artifacts").exists()

    def test_redacting(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ids = []
        for value in ("s3cret-value-0815", "another value & more/4711"):
            monkeypatch.setenv("SERVICE_TOKEN", value)
            Path("notes.txt").write_text(f"token: {value}\n")
            with pytest.warns(UserWarning, match="contained the value of SERVICE_TOKEN") as caught:
                with record("quiet", config={"token": value}, redact=True) as run:
                    run.event("note", text=f"it is {value}")
                    run.event("note", text="harmless")
                    run.artifact("notes.txt")
                    run.result(text=value)
            fields = [str(warning.message).partition(" contained")[0] for warning in caught]
            artifact = "the artifact 'notes.txt' line 1"
            assert fields == ["config.json: token", "event note: text", artifact, "the result: text"]
            stored = _stored(run)
            assert stored.head["status"] == "completed"
            assert stored.config == {"token": "[redacted:SERVICE_TOKEN:1]"}
            assert stored.head["result"] == {"text": "[redacted:SERVICE_TOKEN:1]"}
            assert (stored.path / "artifacts/notes.txt").read_text() == "token: [redacted:SERVICE_TOKEN:1]\n"
            assert not any(value.encode() in path.read_bytes() for path in Path("runs").rglob("*") if path.is_file())
            ids.append(run.id)
        assert ids[0] == ids[1]

    def test_redacting_a_failure(self) -> None:
        with pytest.raises(ValueError, match="another"), pytest.warns(UserWarning, match="event experiment_failed"):
            with record("failing", secrets={"MINE": "another-one-4711"}, redact=True) as run:
                raise ValueError("cannot log in with another-one-4711")
        assert _stored(run).head["failure"]["message"] == "cannot log in with [redacted:MINE:1]"

    def test_others_can_be_named_in_their_place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SERVICE_TOKEN", "s3cret-value-0815")
        with record("other", secrets={"mine": "another-one-4711"}) as run:
            run.event("note", text="s3cret-value-0815")
            with pytest.warns(UserWarning, match="mine"):
                run.event("note", text="another-one-4711")
        assert _stored(run)


class TestAFullDisk:
    """A recorder that fails fails the experiment."""

    def _fill(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def append(file: durable.AppendOnlyFile, data: bytes) -> int:
            raise StorageFailure(file.path, OSError(errno.ENOSPC, "No space left on device"))

        monkeypatch.setattr(durable.AppendOnlyFile, "append", append)

    def test_the_error_goes_up_and_nothing_is_sealed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(StorageFailure, match="No space left"), record("full") as run:
            run.event("epoch", iteration=1)
            self._fill(monkeypatch)
            run.event("epoch", iteration=2)
        assert [event["iteration"] for event in _interrupted(run)] == [1]

    def test_who_catches_it_is_told_again_and_at_the_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(StorageFailure, match="No space left"), record("full") as run:
            run.event("epoch", iteration=1)
            with monkeypatch.context() as full:
                self._fill(full)
                with pytest.raises(StorageFailure):
                    run.event("epoch", iteration=2)
            # Room or not by now: an event is missing.
            acts: list[Callable[[], None]] = [lambda: run.event("epoch", iteration=3), lambda: run.result(a=1)]
            for act in acts:
                with pytest.raises(StorageFailure, match="No space left"):
                    act()
        assert [event["iteration"] for event in _interrupted(run)] == [1]
        with pytest.raises(StorageFailure, match="No space left"):
            run.close()

    def test_an_exception_in_the_block_is_told_as_well(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(StorageFailure) as caught, record("full") as run:
            self._fill(monkeypatch)
            raise ValueError("diverged")
        assert isinstance(caught.value.__context__, ValueError)
        assert _interrupted(run) == []

    def test_a_seal_that_fails_leaves_the_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(draft: Path, final: Path) -> bool:
            raise StorageFailure(final, OSError(errno.ENOSPC, "No space left on device"))

        monkeypatch.setattr("exprec.recorder.fs.durable.publish_folder", refuse)
        with pytest.raises(StorageFailure), record("full") as run:
            run.event("epoch", iteration=1)
        assert [event["event_type"] for event in _interrupted(run)] == ["epoch", "run_end"]


class Shown:
    """A display that keeps what it was given."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.events: list[Event] = []
        self.opened = 0
        self.closed: list[str | None] = []
        self.error = error

    def open(self, provider: ExperimentStateProviderProtocol) -> None:
        assert not provider.is_sealed
        self.opened += 1

    def show(self, event: Event) -> None:
        self.events.append(event)
        if self.error is not None:
            raise self.error

    def close(self, provider: ExperimentStateProviderProtocol) -> None:
        assert provider.is_sealed
        self.closed.append(provider.run_id)


class TestDisplay:
    def test_it_is_given_every_event_as_recorded_and_the_sealed_run(self) -> None:
        display = Shown()
        with record("shown", display=display) as run:
            run.event("epoch", iteration=1, loss=np.float32(0.5))
        assert display.opened == 1
        assert display.events == _events(run)
        assert display.closed == [run.id]
        with pytest.raises(ValueError, match="no"), record("failing", display=display) as failing:
            raise ValueError("no")
        assert display.closed == [run.id, failing.id]

    def test_one_that_nobody_reads_any_more_does_not_end_the_run(self) -> None:
        display = Shown(BrokenPipeError(errno.EPIPE, "Broken pipe"))
        with pytest.warns(UserWarning, match=r"the display of the run stopped \(Broken pipe\)"):
            with record("unread", display=display) as run:
                run.event("epoch", iteration=1)
                run.event("epoch", iteration=2)
        assert len(display.events) == 1
        assert _stored(run).head["counts"]["iterations"] == 2

    def test_an_error_of_its_own_goes_up_and_what_was_recorded_stays(self) -> None:
        display = Shown(ZeroDivisionError("in the display"))
        with pytest.raises(ZeroDivisionError), record("wrong", display=display) as run:
            run.event("epoch", iteration=1)
        stored = _stored(run)
        assert stored.head["counts"]["by_type"] == {"epoch": 1, "experiment_failed": 1}
        assert stored.status == "failed"

    def test_one_that_records_is_refused(self) -> None:
        class Recording(Shown):
            def show(self, event: Event) -> None:
                run.event("shown")

        with pytest.raises(NotRecording, match="do not record from a display or a signal handler"):
            with record("wrong", display=Recording()) as run:
                run.event("epoch", iteration=1)
        assert _stored(run).status == "failed"


class TestAtOnce:
    def test_threads_share_a_run(self) -> None:
        display = Shown()
        count, threads = 200, 8
        with record("threads", display=display) as run:
            started = threading.Barrier(threads)

            def work(thread: int) -> None:
                started.wait()
                for number in range(count):
                    run.event("step", thread=thread, number=number)

            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(work, range(threads)))
        recorded = [event for event in _events(run) if event["event_type"] == "step"]
        assert [event["seq"] for event in recorded] == list(range(count * threads))
        for thread in range(threads):
            assert [event["number"] for event in recorded if event["thread"] == thread] == list(range(count))
        assert display.events[:-1] == recorded
        assert _stored(run)

    def test_one_thread_may_end_it_while_others_record(self) -> None:
        reported: list[int] = []
        run = record("ended")
        begun = threading.Event()

        def work() -> None:
            for number in range(1_000_000):
                try:
                    run.event("step", number=number)
                except NotRecording:
                    return
                reported.append(number)
                begun.set()

        thread = threading.Thread(target=work)
        thread.start()
        begun.wait()
        run.close()
        thread.join()
        assert [event["number"] for event in _events(run)[:-1]] == reported
        assert _stored(run)

    def test_coroutines_share_a_run(self) -> None:
        async def main() -> Run:
            with record("coroutines") as run:

                async def work(task: int) -> None:
                    for number in range(20):
                        run.event("step", task=task, number=number)
                        await asyncio.sleep(0)

                await asyncio.gather(*map(work, range(5)))
            return run

        run = asyncio.run(main())
        assert _stored(run).head["counts"]["by_type"]["step"] == 100

    def test_several_runs_are_recorded_at_the_same_time(self) -> None:
        with record("one") as one, record("two") as two:
            one.event("epoch", iteration=1)
            two.event("epoch", iteration=5)
        assert _stored(one).run_id != _stored(two).run_id

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
    @pytest.mark.filterwarnings("ignore:This process")
    def test_a_forked_process_is_refused_and_the_run_stays_that_of_its_parent(self) -> None:
        told = Path("told")
        with record("forked") as run:
            run.event("epoch", iteration=1)
            child = os.fork()
            if child == 0:
                said = []
                acts: list[Callable[[], None]] = [lambda: run.event("x"), run.close, lambda: run.fail(ValueError())]
                for act in acts:
                    try:
                        act()
                    except NotRecording as error:
                        said.append(str(error))
                try:
                    with run:
                        raise ValueError("in the child")
                except ValueError as error:
                    said.append(str(error))
                told.write_text("\n".join(said))
                os._exit(0)
            os.waitpid(child, 0)
            run.event("epoch", iteration=2)
        refused = "the run 'forked': this process was forked from the one that records"
        lines = told.read_text().splitlines()
        assert [refused in line for line in lines] == [True, True, True, False]
        assert lines[-1] == "in the child"
        assert _stored(run).head["counts"]["iterations"] == 2


class TestInterruptions:
    def test_ctrl_c_at_any_moment_seals_a_run_that_verifies_and_has_what_was_reported(self) -> None:
        """Also between the byte in the file and the return of the call."""
        for moment in range(30):
            reported = 0
            before = signal.signal(signal.SIGALRM, _interrupt)
            try:
                with record(f"interrupted {moment}") as run:
                    signal.setitimer(signal.ITIMER_REAL, 0.001 + moment / 20_000)
                    while True:
                        run.event("step", number=reported)
                        reported += 1
            except KeyboardInterrupt:
                pass
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)
            stored = _stored(run)
            assert stored.status == "failed"
            steps = stored.head["counts"]["by_type"].get("step", 0)
            assert steps in (reported, reported + 1)

    @pytest.mark.parametrize("place", ["before", "after"])
    def test_what_is_whole_in_the_file_was_recorded(self, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """An interruption right before or after the bytes are written, of which the process knows nothing."""
        original = os.write
        display = Shown()

        def write(handle: int, data: bytes) -> int:
            if b'"event_type":"fatal"' in data:
                if place == "after":
                    original(handle, data)
                raise KeyboardInterrupt
            return original(handle, data)

        monkeypatch.setattr("exprec.recorder.fs.durable.os.write", write)
        with record("interrupted", display=display) as run:
            run.event("epoch", iteration=1)
            with pytest.raises(KeyboardInterrupt):
                run.event("fatal", iteration=2, loss=0.5)
            run.event("epoch", iteration=3)
        kinds = ["epoch", "fatal", "epoch", "run_end"] if place == "after" else ["epoch", "epoch", "run_end"]
        assert [event["event_type"] for event in _events(run)] == kinds
        assert display.events == _events(run)
        assert display.closed == [run.id]
        assert _stored(run)

    def test_half_a_line_is_taken_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        original = os.write

        def write(handle: int, data: bytes) -> int:
            if b'"event_type":"fatal"' in data:
                original(handle, data[:10])
                raise KeyboardInterrupt
            return original(handle, data)

        monkeypatch.setattr("exprec.recorder.fs.durable.os.write", write)
        with pytest.raises(KeyboardInterrupt), record("interrupted") as run:
            run.event("epoch", iteration=1)
            run.event("fatal", iteration=2)
        assert [event["event_type"] for event in _events(run)] == ["epoch", "experiment_failed"]
        assert _stored(run)

    def test_a_signal_handler_that_records_is_refused_and_the_run_goes_on(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = os.write
        refused: list[str] = []

        def handler() -> None:
            try:
                run.event("signal")
            except NotRecording as error:
                refused.append(str(error))

        def write(handle: int, data: bytes) -> int:
            if b'"event_type":"epoch"' in data:
                handler()
            return original(handle, data)

        monkeypatch.setattr("exprec.recorder.fs.durable.os.write", write)
        with record("signalled") as run:
            run.event("epoch", iteration=1)
        assert len(refused) == 1
        assert [event["event_type"] for event in _events(run)] == ["epoch", "run_end"]
        assert _stored(run)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Ctrl-C, in the block; before it and behind it there is nothing to interrupt."""
    while frame is not None:
        if frame.f_code.co_name in ("__exit__", "record", "_verify"):
            return
        frame = frame.f_back
    raise KeyboardInterrupt


def test_an_event_costs_little_more_than_writing_its_bytes() -> None:
    """A guard against a mistake that makes it slow (a scan of the log, a sync for each event), not a benchmark."""
    with record("fast") as run:
        fields = {f"field_{number:02}": number / 7 for number in range(10)}
        began = time.perf_counter()
        for step in range(1, 2001):
            run.event("step", iteration=step, **fields)
        assert (time.perf_counter() - began) / 2000 < 0.001
    assert _stored(run)


def test_a_secret_that_the_program_sets_after_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LATE_TOKEN", raising=False)
    with record("late") as run:
        run.event("note", text="harmless")
        monkeypatch.setenv("LATE_TOKEN", "s3cret-value-0815")
        with pytest.warns(UserWarning, match="LATE_TOKEN"):
            run.event("note", text="s3cret-value-0815")
