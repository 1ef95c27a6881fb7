"""The composer of ruamel.yaml, which ends at what would take it too much time or memory.

Import it where it is used: importing ruamel.yaml takes longer than a short command runs.
"""

from __future__ import annotations

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent, NodeEvent
from ruamel.yaml.parser import Parser
from ruamel.yaml.scanner import Scanner

from exprec.recorder.documents.reading import BadSyntaxError
from exprec.recorder.format import layout

MAX_NODES = 200_000
"""Maximum keys and values in a document: four seconds, and 240 MB."""

_LONGEST_TAG = 1000
"""Characters; ruamel.yaml decodes a tag in quadratic time."""


def bounded_yaml() -> YAML:
    """Return a reader of safe YAML, which raises BadSyntaxError for a large document, RecursionError for a deep one."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Parser = _BoundedParser
    yaml.Scanner = _BoundedScanner
    yaml.composer.warn_double_anchors = False
    return yaml


class _BoundedParser(Parser):
    nodes = depth = 0

    def get_event(self) -> Any:
        event = super().get_event()
        self.nodes += isinstance(event, NodeEvent)
        self.depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if self.nodes > MAX_NODES:
            raise BadSyntaxError(f"it has more than {MAX_NODES} keys and values; write it as JSON, or split it")
        if self.depth > layout.MAX_DOCUMENT_DEPTH + 1:
            raise RecursionError
        return event


class _BoundedScanner(Scanner):
    # Before the parser, because the scanner reads ahead, and looks at each open bracket for each token.
    def fetch_flow_collection_start(self, *arguments: Any, **named: Any) -> None:
        if self.flow_level > layout.MAX_DOCUMENT_DEPTH:
            raise RecursionError
        super().fetch_flow_collection_start(*arguments, **named)

    def scan_tag(self) -> Any:
        start = self.reader.index
        line = self.reader.line + 1
        token = super().scan_tag()
        if self.reader.index - start > _LONGEST_TAG:
            raise BadSyntaxError(f"a tag has more than {_LONGEST_TAG} characters", line)
        return token
