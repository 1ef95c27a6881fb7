"""The process in which a driver runs: `python -m benchmarks.worker drivers.append:recorded '{"count": 1000}'`.

It calls one function with the given arguments and prints its result as JSON; other output of the function goes to
stderr.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import Any


def main(function: str, arguments: str) -> None:
    """Call a driver and print its result; `arguments` is a JSON object of keyword arguments."""
    module, _, name = function.partition(":")
    output = os.dup(1)
    os.dup2(2, 1)
    result: Any = getattr(import_module(f"benchmarks.{module}"), name)(**json.loads(arguments))
    with os.fdopen(output, "w", encoding="utf-8") as stream:
        json.dump(result, stream)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
