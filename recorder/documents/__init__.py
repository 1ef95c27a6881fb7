"""YAML, TOML and JSON documents that people write, with the line of each key."""

from exprec.recorder.documents.json_reader import DuplicateKey, read_json, unique_object
from exprec.recorder.documents.loader import (
    Document,
    document_of,
    load_document,
    parse_document,
    read_document,
    read_plain,
    read_text,
)

__all__ = [
    "Document",
    "DuplicateKey",
    "document_of",
    "load_document",
    "parse_document",
    "read_document",
    "read_json",
    "read_plain",
    "read_text",
    "unique_object",
]
