"""The listener of an experiment: which events it gets, and how its errors leave the experiment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from exprec.recorder.display import VerboseConfig
from exprec.recorder.events import Event
from exprec.recorder.state import Listener


class _ListenerStopped(BaseException):
    """Carries an error of the listener out of an experiment.

    It does not derive from Exception, so that no `except Exception` on its way takes it for a failed experiment.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error
        super().__init__(error)


def shielded_listener(listener: Listener | None, selection: VerboseConfig | None = None) -> Listener | None:
    """A listener that gets the events of `selection` (None: all), for use within `listener_errors`."""
    if listener is None:
        return None

    def hear(event: Event) -> None:
        if selection is not None and not selection.selects(event):
            return
        try:
            listener(event)
        except Exception as error:
            raise _ListenerStopped(error) from error

    return hear


@contextmanager
def listener_errors() -> Iterator[None]:
    """Raise within this block what a shielded listener raised, as the listener raised it."""
    try:
        yield
    except _ListenerStopped as stopped:
        error = stopped.error
    else:
        return
    raise error
