"""Record experiments, programs and commands; read, compare, verify and re-execute what was recorded.

    import exprec

    with exprec.record("train", config={"lr": 0.1}) as run:
        run.event("epoch", iteration=1, loss=0.31)

The public names are those of `exprec.recorder`, `diff` and `verify`; each is imported on first use. Errors are in
`exprec.recorder.errors`.
"""

from __future__ import annotations

import os
from importlib import import_module

if not os.path.isdir(f"{__path__[0]}/recorder"):  # noqa: PTH112 - pathlib doubles the import time
    # In the root of a checkout, this folder hides the installed package, which has the subpackages.
    from pkgutil import extend_path

    __path__ = extend_path(__path__, __name__)

from exprec import recorder
from exprec.recorder import version
from exprec.recorder.exports import TYPE_CHECKING

__version__ = version.VERSION

if TYPE_CHECKING:
    from typing import Any

    from exprec.recorder import *  # noqa: F403
    from exprec.recorder.diff import diff as diff
    from exprec.recorder.verify import verify as verify
else:
    # Named like their rooms: `exprec.recorder.diff` is the package, `exprec.diff` the function in it.
    _ROOM_FUNCTIONS = ("diff", "verify")
    __all__ = [*recorder.__all__, *_ROOM_FUNCTIONS, "__version__"]

    def __getattr__(name: str) -> Any:
        if name in _ROOM_FUNCTIONS:
            return getattr(import_module(f"{recorder.__name__}.{name}"), name)
        if name not in recorder.__all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(recorder, name)

    def __dir__() -> list[str]:
        return __all__
