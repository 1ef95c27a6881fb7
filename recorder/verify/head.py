"""run.json, the head of a run, against the schema and against the other files of the run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exprec.recorder.diagnostics import show_value
from exprec.recorder.errors import KeyPath
from exprec.recorder.events import common
from exprec.recorder.format import canonical_json, layout
from exprec.recorder.state import Reducer
from exprec.recorder.verify.documents import JsonDocument, read_run_document
from exprec.recorder.verify.files import REQUIRED, RUN_FILES, ReadFile, RunFiles
from exprec.recorder.verify.messages import MOVE, RESTORE, stray, value_problem, with_advice
from exprec.recorder.verify.schemas import explain_failure, released_schema


class Head:
    """A run.json that is valid by its schema, and the checks that compare it with the rest of the run."""

    def __init__(self, document: JsonDocument, files: RunFiles) -> None:
        self.value: Mapping[str, Any] = document.value
        self._document = document
        self._files = files
        self._problems = files.problems

    def check_streams(self) -> None:
        """The output of a command: a run of a command has both streams, any other run has neither."""
        is_expected = self.value["type"] == layout.COMMAND_RUN
        for name in layout.STREAMS:
            if is_expected and name not in self.value["files"] and name not in self._files.checked:
                self._problems.add(name, f"is missing; every run of a command has it: {RESTORE}")
            elif name in self._files.checked and not is_expected:
                self._problems.add(name, f"unexpected in a run of type {show_value(self.value['type'])}; {MOVE}")
                # One problem is enough for it.
                del self._files.checked[name]

    def check_digests(self) -> None:
        """Every file against the recorded size and SHA-256."""
        recorded = self.value["files"]
        for name in sorted(recorded.keys() | (self._files.checked.keys() - {layout.RUN_FILE})):
            if name not in recorded:
                self._report_unlisted(name)
            elif name == layout.RUN_FILE or not (name in RUN_FILES or layout.is_artifact(name)):
                self._report(("files", name), "is not a file that a run can have")
            else:
                self._check_digest(name, recorded[name], self._files.checked.get(name))
        config = self._files.checked.get(layout.CONFIG_FILE)
        if config is not None and config.digest.sha256 != self.value["inputs"]:
            self._report(("inputs",), f"is not the SHA-256 of {layout.CONFIG_FILE}, {config.digest.sha256}")

    def _report_unlisted(self, name: str) -> None:
        message = stray(name)
        self._problems.add(name, message or f"is not listed in {layout.RUN_FILE}; {RESTORE}")
        if message is not None:
            # Without it, the files may well have the run id of their folder.
            del self._files.checked[name]

    def _check_digest(self, name: str, recorded: Mapping[str, Any], file: ReadFile | None) -> None:
        if file is None:
            # If there is something under this name, that was reported.
            if name not in REQUIRED and not self._files.location.files.exists(name):
                self._problems.add(name, f"is missing, but listed in {layout.RUN_FILE}; {RESTORE}")
            return
        digest = file.digest
        if digest.sha256 == recorded["sha256"]:
            if digest.size != recorded["size"]:
                self._report_difference(("files", name, "size"), recorded["size"], digest.size)
        elif digest.size != recorded["size"]:
            recorded_as = f"{layout.RUN_FILE} records {recorded['size']}"
            self._problems.add(name, f"has {digest.size} bytes, but {recorded_as}; {RESTORE}")
        else:
            recorded_as = f"{layout.RUN_FILE} records {recorded['sha256']}"
            self._problems.add(name, f"has the SHA-256 {digest.sha256}, but {recorded_as}; {RESTORE}")

    def check_counts(self, *, events: int, exchanges: int, by_type: Mapping[str, int] | None) -> None:
        """Compare the recorded numbers of records with those of the files; `by_type`: None if not all are valid."""
        recorded = self.value["counts"]
        for key, counted in (("events", events), ("exchanges", exchanges)):
            if recorded[key] != counted:
                self._report_difference(("counts", key), recorded[key], counted)
        if by_type is None:
            return
        for kind in sorted(recorded["by_type"].keys() | by_type.keys()):
            expected, counted = recorded["by_type"].get(kind, 0), by_type.get(kind, 0)
            if expected != counted:
                self._report_difference(("counts", "by_type", kind), expected, counted)

    def check_outcome(self, state: Reducer) -> None:
        """The type, number of iterations, status, result and failure against those that the events add up to."""
        outcome = state.summary()
        is_expected = self.value["type"] == layout.COMMAND_RUN
        if bool(state.counts[common.COMMAND_END.event_type]) != is_expected:
            needed = "must have" if is_expected else "cannot have"
            message = f"is {show_value(self.value['type'])}: such a run {needed} a command_end, unlike this one"
            self._report(("type",), message)
        recorded, iterations = self.value["counts"]["iterations"], outcome.counts["iterations"]
        if recorded != iterations:
            self._report_difference(("counts", "iterations"), recorded, iterations)
        if self.value["status"] != outcome.status:
            self._report_difference(("status",), self.value["status"], outcome.status)
        self._compare_fields("result", self.value["result"], outcome.result)
        self._compare_fields("failure", self.value["failure"], outcome.failure)

    def _compare_fields(self, key: str, recorded: Mapping[str, Any] | None, logged: Mapping[str, Any] | None) -> None:
        if recorded is None or logged is None:
            if recorded is not logged:
                self._report_difference((key,), recorded, logged)
            return
        for field in sorted(recorded.keys() | logged.keys()):
            # By their bytes, because 1, 1.0 and True are equal in Python.
            one, other = ({field: fields[field]} if field in fields else {} for fields in (recorded, logged))
            if canonical_json.encode(one) != canonical_json.encode(other):
                self._report_difference((key, field), recorded.get(field), logged.get(field))

    def _report_difference(self, path: KeyPath, recorded: Any, computed: Any) -> None:
        self._report(path, f"is {show_value(recorded)}, but the other files of the run give {show_value(computed)}")

    def _report(self, path: KeyPath, message: str) -> None:
        self._problems.extend(self._document.located([with_advice(value_problem(path, message))]))


def read_head(files: RunFiles) -> Head | None:
    """Parse run.json; None unless it is valid by its schema."""
    document = read_run_document(layout.RUN_FILE, files)
    if document is None:
        return None
    invalid = explain_failure(released_schema("run.v1"), document.value)
    files.problems.extend(document.located(map(with_advice, invalid)))
    return None if invalid else Head(document, files)
