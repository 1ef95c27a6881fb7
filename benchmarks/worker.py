"""The process that a loop is measured in: `python -m benchmarks.worker loops.append:recorded '{"count": 1000}'`.

It calls one function with these arguments and prints what it returns as JSON; what else the function prints goes
to stderr.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import Any


def main(place: str, arguments: str) -> None:
    module, _, name = place.partition(":")
    answers = os.dup(1)
    os.dup2(2, 1)
    answer: Any = getattr(import_module(f"benchmarks.{module}"), name)(**json.loads(arguments))
    with os.fdopen(answers, "w", encoding="utf-8") as stream:
        json.dump(answer, stream)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
