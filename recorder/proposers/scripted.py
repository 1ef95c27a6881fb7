"""The proposer that answers from a file; its answers are checked, retried and recorded like those of a model."""

from __future__ import annotations

import hashlib
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from exprec.recorder.documents import parse_document, read_plain
from exprec.recorder.errors import InvalidInput, ModelFailure, Problem, ScriptExhausted
from exprec.recorder.format import canonical_json
from exprec.recorder.proposers.protocol import Answer, ProposalRequest
from exprec.recorder.schema import find_problems


class _Line(NamedTuple):
    position: int
    value: dict[str, Any]


class ScriptedProposer:
    """Answers in the order of the lines of a JSON Lines file; a line with an agent answers that agent only."""

    is_model = True

    def __init__(self, script: Path, digest: str | None = None) -> None:
        """Read the answers.

        Raises:
            InvalidInput: A line is invalid, or `digest` (the SHA-256 of the file in hex) differs; names file and line.
        """
        self._name = script.name
        self._by_agent: dict[str | None, deque[_Line]] = {}
        """The unused lines of each agent, and under None those of any."""
        for position, line in enumerate(_read(script, digest)):
            self._by_agent.setdefault(line.get("agent"), deque()).append(_Line(position, line))

    async def propose(self, request: ProposalRequest) -> Answer:
        """The next answer for the agent. Raises ModelFailure for a scripted error, ScriptExhausted."""
        line = self._take(request.agent_id)
        latency = float(line.get("latency_seconds", 0.0))
        if "error" in line:
            raise ModelFailure(line["error"], latency)
        answer = line["answer"]
        text = answer if isinstance(answer, str) else canonical_json.encode(answer).decode()
        return Answer(text, line.get("prompt_tokens"), line.get("completion_tokens"), latency)

    def _take(self, agent_id: str) -> dict[str, Any]:
        queues = [self._by_agent[key] for key in (agent_id, None) if self._by_agent.get(key)]
        if not queues:
            raise ScriptExhausted(self._name, agent_id)
        return min(queues, key=lambda queue: queue[0].position).popleft().value


def _read(script: Path, digest: str | None) -> list[dict[str, Any]]:
    try:
        data = read_plain(script)
    except (OSError, ValueError) as error:
        # ValueError: a NUL in the path.
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidInput([Problem((), f"cannot be read: {reason}", source=str(script))]) from error
    found = hashlib.sha256(data).hexdigest()
    if digest is not None and found != digest:
        message = f"is not the script this experiment was configured with (SHA-256 {found}, not {digest})"
        raise InvalidInput([Problem((), message, source=str(script))])
    lines: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for number, text in enumerate(data.split(b"\n"), start=1):
        if not text.strip():
            continue
        try:
            line = parse_document(text.decode("utf-8-sig"), str(script), "json").value
        except UnicodeDecodeError:
            problems.append(Problem((), "is not UTF-8 text", source=str(script), line=number))
            continue
        except InvalidInput as error:
            problems += [replace(problem, line=number) for problem in error.problems]
            continue
        for problem in find_problems(line, "scripted_answer.v1"):
            problems.append(replace(problem, source=str(script), line=number))
        lines.append(line)
    if problems:
        raise InvalidInput(problems)
    return lines
