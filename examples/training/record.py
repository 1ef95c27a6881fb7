"""The same training, recorded through the Python API, with a type of event of its own and the weights kept."""

from __future__ import annotations

from pathlib import Path

from train import save, settings, train

from exprec.cli import live_display
from exprec.recorder import record

SCHEMAS = Path(__file__).with_name("schemas")


def main() -> None:
    asked = settings()
    with record("training", config=asked, schemas=SCHEMAS, display=live_display()) as run:
        for epoch, (figures, weights) in enumerate(train(**asked), 1):
            run.event("epoch", iteration=epoch, **figures)
            save(weights)
        run.artifact("weights.json")
        run.result(**figures)


if __name__ == "__main__":
    main()
