"""YAML, TOML and JSON documents that people write, with the line of each key."""

from exprec.recorder.documents.json_reader import InvalidJson, read_json
from exprec.recorder.documents.loader import (
    Document,
    document_of,
    parse_document,
    read_document,
    read_plain,
    read_text,
)
from exprec.recorder.documents.strict_json import find_objects, parse_json

__all__ = [
    "Document",
    "InvalidJson",
    "document_of",
    "find_objects",
    "parse_document",
    "parse_json",
    "read_document",
    "read_json",
    "read_plain",
    "read_text",
]
