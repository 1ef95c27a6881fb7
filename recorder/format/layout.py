"""Every file name, version number and limit of the format, each in this one place.

It holds no behaviour. What the files contain is told in schemas/FORMAT.md.
"""

FORMAT = 1
"""Version of the run and store formats that this package writes."""

RUN_FILE = "run.json"
CONFIG_FILE = "config.json"
EVENTS_FILE = "events.jsonl"
EXCHANGES_FILE = "exchanges.jsonl"
SCHEMAS_FILE = "schemas.json"
COMMAND_RUN = "command"
"""The `type` of the run of a command."""
PYTHON_RUN = "python"
"""The `type` of a run that a Python program recorded."""
STREAMS = ("stdout", "stderr")
"""The files with what a recorded command wrote, byte by byte; a run of another type has neither."""
ARTIFACTS_FOLDER = "artifacts"

STORE_FILE = "store.json"
WORK_FOLDER = ".work"
WORK_HEAD_SUFFIX = ".json"
WORK_EVENTS_SUFFIX = ".events"
"""Of the file beside a work folder that a recorded command appends its events to."""
ATTESTATIONS_FOLDER = "attestations"
TAGS_FOLDER = "tags"

DEFAULT_STORE = "runs"

ID_DIGITS = 64
SHORTEST_PREFIX = 4
"""Fewest hex digits that stand for a run id, as in git."""

MAX_ARTIFACT_BYTES = 100 * 1000 * 1000
"""Largest artifact that is taken unless a larger one is allowed: more is seldom wanted in version control."""

MAX_LINE_BYTES = 256 * 1024 * 1024
"""Longest line of a log that is read; a longer one is damage, not data."""

GIT_ATTRIBUTES = "* -text -ident -filter -working-tree-encoding\nevents.jsonl diff=exprec\n"
"""git shall give back the bytes of every file as they were, whatever holds for the repository around the store."""
GIT_IGNORE = f"/{WORK_FOLDER}/\n"
