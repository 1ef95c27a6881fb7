"""The records of a run, line by line: canonical, numbered, valid by their schemas, and consistent with each other."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from exprec.recorder.diagnostics import show_value
from exprec.recorder.errors import NotEncodable, Problem, StorageFailure
from exprec.recorder.events import EVENT_SPECS, Event, exchange_index
from exprec.recorder.exchanges import EXCHANGE_SCHEMA, ConsistencyChecker, call_fields, record_schema
from exprec.recorder.format import ByteSource, LineTooLong, canonical_json, layout, read_lines
from exprec.recorder.state import Reducer
from exprec.recorder.store import log
from exprec.recorder.verify.documents import explain_form
from exprec.recorder.verify.files import RunFiles
from exprec.recorder.verify.messages import RESTORE, unreadable, value_problem, with_advice
from exprec.recorder.verify.order import OrderChecker
from exprec.recorder.verify.schemas import EXCHANGE, EmbeddedSchemas, Schema, explain_failure, released_schema

_MOST_PROBLEMS = 1000
"""Problems reported of a file; with more of them the file as a whole is lost."""

_WITH_EXCHANGE = frozenset(event_type for event_type, spec in EVENT_SPECS.items() if spec.exchange_field is not None)
"""The event types that refer to an exchange."""


class LineChecker(Protocol):
    """Checks the lines of a file of records in their order."""

    def check_line(self, line: bytes, start: int, number: int) -> list[Problem]:
        """Return what is wrong with a line: its bytes, its offset in the file, its number from 1."""
        ...


def check_lines(name: str, checker: LineChecker, files: RunFiles) -> bool:
    """Check every line of a file of records; returns whether the file was read to its end."""
    file = files.checked.get(name)
    if file is None or file.records is None:
        return False
    number = count = 0
    try:
        for batch in read_lines(file.records):
            start = batch.start
            for line in batch.lines:
                number += 1
                problems = checker.check_line(line, start, number)
                start += len(line)
                for problem in problems:
                    located = problem if problem.source else replace(with_advice(problem), line=number)
                    files.problems.add_in(name, located)
                count += len(problems)
                if count > _MOST_PROBLEMS:
                    message = f"more than {_MOST_PROBLEMS} problems so far; the lines after this one were not checked"
                    files.problems.add_in(name, Problem((), message, line=number))
                    return False
            if batch.torn_bytes:
                message = f"the last line is torn: {batch.torn_bytes} bytes without a newline"
                files.problems.add_in(name, replace(with_advice(Problem((), message)), line=number + 1))
                return False
    except LineTooLong as error:
        files.problems.add_in(name, replace(with_advice(Problem((), str(error))), line=number + 1))
        return False
    except StorageFailure as error:
        files.problems.add(name, unreadable(error))
        return False
    return True


def check_exchanges(files: RunFiles, schemas: EmbeddedSchemas) -> ExchangeChecker:
    """Check all exchanges of a run."""
    file = files.checked.get(layout.EXCHANGES_FILE)
    exchanges = ExchangeChecker(None if file is None else file.records, schemas)
    is_read = check_lines(layout.EXCHANGES_FILE, exchanges, files)
    gap = exchanges.find_gap() if is_read else None
    if gap is not None:
        files.problems.add(layout.EXCHANGES_FILE, f"{gap}; {RESTORE}")
    if file is not None and not exchanges.count:
        message = f"contains no exchange; a run without exchanges has no such file: {RESTORE}"
        files.problems.add(layout.EXCHANGES_FILE, message)
    return exchanges


def check_events(files: RunFiles, schemas: EmbeddedSchemas, exchanges: ExchangeChecker) -> EventChecker:
    """Check all events of a run, whose exchanges were checked before."""
    checker = EventChecker(schemas, exchanges)
    if not check_lines(layout.EVENTS_FILE, checker, files):
        checker.is_complete = False
    return checker


def parse_line(line: bytes) -> tuple[dict[str, Any] | None, Problem | None]:
    """Return the record of a line, None if it has none, and what is wrong with the bytes of the line."""
    try:
        value = canonical_json.decode(line)
    except ValueError as error:
        return None, Problem((), f"not JSON ({error})")
    if type(value) is not dict or not value:
        return None, Problem((), "not a JSON object with fields")
    if canonical_json.is_canonical(line, value):
        return value, None
    try:
        canonical_json.encode(value)
    except NotEncodable as error:
        return None, Problem((), f"not JSON that exprec writes ({error.reason})")
    return value, explain_form(line, value)


@dataclass(slots=True)
class _Sequence:
    """The numbers of the records so far."""

    key: str
    """The field with the number of a record: it counts up by one, from 0."""
    count: int = 0
    """Lines so far."""
    expected: int = 0

    def skip(self) -> None:
        """Count a line without a record."""
        self.count += 1
        self.expected += 1

    def check(self, record: Mapping[str, Any]) -> list[Problem]:
        """Count a record, and return what is wrong with its number."""
        number, expected = record.get(self.key), self.expected
        self.count += 1
        self.expected = expected + 1
        if number == expected and type(number) is int:
            return []
        if type(number) is int:
            # Continue from what is there: one lost line is one problem, not one for each line after it.
            self.expected = number + 1
        message = f"must be {expected}, not {show_value(number)}: a line was lost, added or moved"
        return [value_problem((self.key,), message)]


class ExchangeChecker:
    """Checks the exchanges of a run; `record` reads one of them again."""

    def __init__(self, source: ByteSource | None, schemas: EmbeddedSchemas) -> None:
        """`source`: the open file, or None if it cannot be read."""
        self._source = source
        self._schemas = schemas
        self._sequence = _Sequence("index")
        self._ends = array("Q", [0])
        self._consistency = ConsistencyChecker()
        self._is_consistent = True
        """Whether every exchange so far is one that `_consistency` has checked and found right."""

    @property
    def count(self) -> int:
        """The number of lines so far."""
        return self._sequence.count

    def check_line(self, line: bytes, start: int, number: int) -> list[Problem]:
        """See `LineChecker`."""
        exchange, problem = parse_line(line)
        found = [] if problem is None else [problem]
        self._ends.append(start + len(line))
        if exchange is None:
            self._sequence.skip()
            self._is_consistent = False
            return found
        found += self._sequence.check(exchange)
        schema = self._schemas.schema(EXCHANGE, is_event=False)
        if schema is None:
            return found + self._schemas.report_missing(EXCHANGE, number, is_event=False)
        invalid = explain_failure(schema, exchange)
        if schema.is_known and not invalid and not found:
            invalid = list(self._check_consistency(exchange, schema))
        self._is_consistent = self._is_consistent and not found and not invalid
        return found + invalid

    def find_gap(self) -> str | None:
        """Return what is missing among the ranks of the requests; None if nothing is, or after other problems."""
        return self._consistency.find_gap() if self._is_consistent else None

    def _check_consistency(self, exchange: dict[str, Any], schema: Schema) -> Iterator[Problem]:
        if schema.name != EXCHANGE_SCHEMA:
            if (exchange["answer"] is None) == (exchange["error"] is None):
                yield value_problem(("answer",), "and error: exactly one of the two must be null")
            return

        def exchange_at(index: int) -> dict[str, Any] | None:
            record = self.record(index)
            return record if record is not None and schema.is_valid(record) else None

        for field, message in self._consistency.check(exchange, exchange_at):
            yield value_problem((field,), message)

    def call_fields(self, index: int) -> dict[str, Any]:
        """Return what a call that names an exchange must repeat of it, as far as the exchange has it."""
        exchange = self.record(index) or {}
        if record_schema(exchange) != EXCHANGE_SCHEMA:
            return exchange
        # What is wrong with it has been reported.
        return call_fields(exchange) if released_schema(EXCHANGE_SCHEMA).is_valid(exchange) else {}

    def record(self, index: int) -> dict[str, Any] | None:
        """Return an exchange, None if the line has none or cannot be read again."""
        start, end = self._ends[index : index + 2]
        try:
            line = self._source.read(start, end - start) if self._source is not None else b""
        except StorageFailure:
            return None
        return parse_line(line)[0]


class EventChecker:
    """Checks the events of a run, one by one and in their order; `state` is what they add up to."""

    def __init__(self, schemas: EmbeddedSchemas, exchanges: ExchangeChecker) -> None:
        self.state = Reducer(keeps_iterations=False)
        """The state after the events up to the first line that is not a valid event."""
        self.is_complete = True
        """Whether every line so far is a valid event, and so part of `state`."""
        self.has_floats = False
        """Whether a line so far has a float that JSON cannot hold; looked for only if the run says that it has some."""
        self._order = OrderChecker(self.state)
        self._schemas = schemas
        self._exchanges = exchanges
        self._sequence = _Sequence("seq")
        self._iteration = 0

    @property
    def count(self) -> int:
        """The number of lines so far."""
        return self._sequence.count

    def check_line(self, line: bytes, start: int, number: int) -> list[Problem]:
        """See `LineChecker`."""
        event, problem = parse_line(line)
        if self._schemas.has_floats and not self.has_floats:
            self.has_floats = canonical_json.has_float_form(line)
        if event is None:
            self.is_complete = False
            self._sequence.skip()
            return [] if problem is None else [problem]
        iteration, kind = event.get("iteration"), event.get("event_type")
        found = self._sequence.check(event)
        if iteration != self._iteration or type(iteration) is not int:
            found += self._check_iteration(iteration)
        schema = self._schemas.schema(kind, is_event=True) if isinstance(kind, str) else None
        if schema is None or kind in _WITH_EXCHANGE or not schema.is_valid(event):
            found += self._check_type(event, schema, number)
        if found:
            self.is_complete = False
        elif self.is_complete:
            self.state.apply(log.new_entry((event, line, start)))
            found = self._order.check(event, is_known=schema is not None and schema.is_known)
        return found if problem is None else [problem, *found]

    def _check_type(self, event: Event, schema: Schema | None, number: int) -> list[Problem]:
        """Check an event by its type: by its schema, and with the exchange that it names."""
        kind = event.get("event_type")
        if not isinstance(kind, str):
            return [value_problem(("event_type",), f"must be a string, not {show_value(kind)}")]
        if schema is None:
            found = self._schemas.report_missing(kind, number, is_event=True)
        else:
            found = explain_failure(schema, event)
        if exchange_index(event) is not None:
            found += self._check_reference(event)
        return found

    def _check_iteration(self, iteration: Any) -> list[Problem]:
        if type(iteration) is not int or iteration < 0:
            return [value_problem(("iteration",), f"must be a non-negative integer, not {show_value(iteration)}")]
        if 0 < iteration < self._iteration:
            return [value_problem(("iteration",), f"{iteration} comes after iteration {self._iteration}")]
        self._iteration = iteration or self._iteration
        return []

    def _check_reference(self, event: Event) -> Iterator[Problem]:
        """The exchange that a call names exists, and is of the same call."""
        index, count = exchange_index(event), self._exchanges.count
        if type(index) is not int:
            return
        if not 0 <= index < count:
            yield value_problem(("exchange",), f"is {index}, but {layout.EXCHANGES_FILE} has {count} lines")
            return
        exchange = self._exchanges.call_fields(index)
        shared = sorted(event.keys() & exchange.keys())
        # By their bytes, because 1, 1.0 and True are equal in Python; all at once first, because most are equal.
        if canonical_json.encode([event[key] for key in shared]) == canonical_json.encode(
            [exchange[key] for key in shared]
        ):
            return
        for key in shared:
            if canonical_json.encode(event[key]) != canonical_json.encode(exchange[key]):
                shown, other = show_value(event[key]), show_value(exchange[key])
                yield value_problem((key,), f"is {shown}, but line {index + 1} of {layout.EXCHANGES_FILE} has {other}")
