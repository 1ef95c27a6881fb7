"""`python -m tests.fuzz TARGET [options of libFuzzer]`: look for faults by the branches that inputs reach.

It needs the extra `fuzz`. What is found is written to a file whose name is printed; the corpus is not changed.
"""

from __future__ import annotations

import shlex
import signal
import sys
from random import Random

import atheris

with atheris.instrument_imports(include=["exprec"]):
    # All that a target may import later, so that it is instrumented too.
    from tests.fixtures.fork_server import load_command
    from tests.fuzz import targets

    load_command()

from tests.fuzz.mutations import mutated
from tests.fuzz.seeds import PREFIXES, corpus, seeds


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in targets.TARGETS:
        usage = "usage: python -m tests.fuzz TARGET [-runs=N] [-max_total_time=SECONDS]"
        sys.exit(f"{usage}\ntargets: {' '.join(targets.TARGETS)}")
    known = [*seeds(name), *corpus(name)]
    first = list(known)

    def fuzz(data: bytes) -> None:
        # An empty corpus begins with nothing: what is known comes first, instead.
        targets.call(name, first.pop() if first else data)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.3:
            return bytes(atheris.Mutate(data, max_size))[:max_size]
        base = data if len(data) > 8 and random.random() < 0.8 else random.choice(known)
        return mutated(base, random, others=known, prefix=PREFIXES.get(name, 0))[:max_size]

    options = [f"-max_len={targets.LARGEST}", "-rss_limit_mb=3000", "-timeout=30", *sys.argv[2:]]
    # To merge and to minimise, libFuzzer hands what it calls its program to a shell.
    program = f"{shlex.quote(sys.executable)} -m tests.fuzz {name}"
    atheris.Setup([program, *options], fuzz, custom_mutator=mutate)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
