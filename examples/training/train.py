"""A classifier of points, trained by gradient descent: logistic regression, in the standard library alone.

It prints a line an epoch and writes its weights to a file. Where EXPREC_EVENTS names a file, each epoch goes there
too, as a line of JSON; that is all it knows of exprec.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
from collections.abc import Iterator
from pathlib import Path

DIGITS = 6
"""What leaves this program is rounded: the last bits of `math.exp` are not the same in every C library, and with them
every machine would have addresses of its own."""


def points(count: int, seed: int) -> list[tuple[tuple[float, float, float], int]]:
    """Points of the plane, each with a 1 for the bias, and the class of each; one in ten has the wrong one."""
    # Only random(): it alone is promised to give the same numbers in every version of Python.
    chance = random.Random(seed).random
    placed = [(1.0, 2 * chance() - 1, 2 * chance() - 1) for _ in range(count)]
    return [(point, int((point[1] > 2 * point[2]) != (chance() < 0.1))) for point in placed]


def train(lr: float, epochs: int, seed: int) -> Iterator[tuple[dict[str, float], list[float]]]:
    """The figures of each epoch, and the weights after it."""
    data = points(200, seed)
    weights = [0.0, 0.0, 0.0]
    for _ in range(epochs):
        errors = [_probability(weights, point) - label for point, label in data]
        for i in range(len(weights)):
            slopes = (error * point[i] for error, (point, _) in zip(errors, data, strict=True))
            weights[i] -= lr * math.fsum(slopes) / len(data)
        judged = [(_probability(weights, point), label) for point, label in data]
        loss = -math.fsum(math.log(p if label else 1 - p) for p, label in judged) / len(data)
        right = sum((p > 0.5) == bool(label) for p, label in judged)
        yield {"loss": round(loss, DIGITS), "accuracy": right / len(data)}, [round(w, DIGITS) for w in weights]


def _probability(weights: list[float], point: tuple[float, ...]) -> float:
    return 1 / (1 + math.exp(-math.fsum(w * x for w, x in zip(weights, point, strict=True))))


def settings() -> dict[str, float | int]:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lr", type=float, default=0.1, help="the learning rate")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1, help="of the points")
    return vars(parser.parse_args())


def save(weights: list[float]) -> None:
    """Write the weights to the file that is kept of the training."""
    Path("weights.json").write_text(json.dumps(weights) + "\n")


def main() -> None:
    events = Path(os.environ.get("EXPREC_EVENTS", os.devnull))
    for epoch, (figures, weights) in enumerate(train(**settings()), 1):
        print(f"epoch {epoch}: loss {figures['loss']:.4f}, accuracy {figures['accuracy']:.1%}", flush=True)
        with events.open("a") as file:
            print(json.dumps({"event_type": "epoch", "iteration": epoch, **figures}), file=file)
        save(weights)


if __name__ == "__main__":
    main()
