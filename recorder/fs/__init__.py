"""The file system: `durable`, the only module that writes to disk, and safe reading."""

from exprec.recorder.fs import durable
from exprec.recorder.fs.safe_read import (
    EntryKind,
    check_folders,
    file_names,
    kind_of,
    plain_size,
    read_pieces,
    read_whole,
    visible_names,
    walk_files,
)

__all__ = [
    "EntryKind",
    "check_folders",
    "durable",
    "file_names",
    "kind_of",
    "plain_size",
    "read_pieces",
    "read_whole",
    "visible_names",
    "walk_files",
]
