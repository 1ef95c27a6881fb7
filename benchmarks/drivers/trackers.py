"""Drivers that append metrics with other trackers, used as their manuals show, with storage in files."""

from __future__ import annotations

import logging
import os
import time
import warnings
from collections.abc import Callable
from typing import Any


def sacred(folder: str, count: int) -> dict[str, Any]:
    """Sacred: `log_scalar` with a FileStorageObserver, until the values are in its file.

    The call itself keeps a value in memory; a heartbeat writes all values every ten seconds and at the end of a run.
    """
    return _sacred(folder, count, beats_after=count)


def sacred_at_once(folder: str, count: int) -> dict[str, Any]:
    """Sacred with a heartbeat after each value, which is then as durable as an event of exprec."""
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

        measured.update(_time_steps(step, count))

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
        # The first metric of a run opens the database.
        mlflow.log_metric("loss", 1.0, step=0)
        return _time_steps(lambda step: mlflow.log_metric("loss", 1.0 / step, step=step), count)


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

        return _time_steps(step, count)


def _time_steps(step: Callable[[int], None], count: int) -> dict[str, Any]:
    began = time.perf_counter()
    for number in range(1, count + 1):
        step(number)
    return {"seconds": time.perf_counter() - began, "count": count}
