"""Appending figures with other trackers, each used as its own manual does and kept in files."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable
from typing import Any


def sacred(folder: str, count: int) -> dict[str, Any]:
    """Sacred: `log_scalar` with a FileStorageObserver, up to the moment at which its file has the figures.

    The call itself keeps a figure in memory; a heartbeat writes them all, every ten seconds and at the end of a run.
    """
    return _sacred(folder, count, beats_after=count)


def sacred_at_once(folder: str, count: int) -> dict[str, Any]:
    """The same with a heartbeat after each figure, which is then as safe as an event of exprec."""
    return _sacred(folder, count, beats_after=1)


def _sacred(folder: str, count: int, beats_after: int) -> dict[str, Any]:
    from sacred import Experiment
    from sacred.observers import FileStorageObserver

    experiment = Experiment("benchmark", save_git_info=False)
    experiment.observers.append(FileStorageObserver(folder))
    measured: dict[str, Any] = {}

    def main(_run: Any) -> None:
        def step(number: int) -> None:
            _run.log_scalar("loss", 1.0 / number, number)
            if number % beats_after == 0:
                _run._emit_heartbeat()

        measured.update(_timed(step, count))

    logging.disable()
    experiment.main(main)
    experiment.run()
    return measured


def mlflow(folder: str, count: int) -> dict[str, Any]:
    """MLflow: `log_metric` into a SQLite database."""
    import mlflow

    logging.disable()
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    with mlflow.start_run():
        # The first figure of a run opens what the others find open.
        mlflow.log_metric("loss", 1.0, step=0)
        return _timed(lambda step: mlflow.log_metric("loss", 1.0 / step, step=step), count)


def dvclive(folder: str, count: int) -> dict[str, Any]:
    """DVCLive: `log_metric` and `next_step`."""
    from dvclive import Live

    logging.disable()
    warnings.simplefilter("ignore")
    os.chdir(folder)

    with Live() as live:

        def step(number: int) -> None:
            live.log_metric("loss", 1.0 / number)
            live.next_step()

        return _timed(step, count)


def _timed(step: Callable[[int], None], count: int) -> dict[str, Any]:
    began = time.perf_counter()
    for number in range(1, count + 1):
        step(number)
    return {"seconds": time.perf_counter() - began, "count": count}
