"""Whether a run and a store are what they say they are, as far as their files alone can tell.

It collects every problem, raises none and changes nothing. What a log comes to is checked in `state.verify`.
"""

from exprec.recorder.store.verify.folder import verify_store
from exprec.recorder.store.verify.lines import Listener
from exprec.recorder.store.verify.run import RunVerification

__all__ = ["Listener", "RunVerification", "verify_store"]
