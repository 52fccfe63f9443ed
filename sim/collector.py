"""Python's search for cyclic garbage, kept out of the way of work that makes much that lasts and hardly a cycle."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """No search meanwhile: a scenario file or a run makes up to millions of small objects, which each search would look through."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def put_by() -> None:
    """Put all that there is with what lasts, unseen; the next search would else look through it, which takes seconds after a long run."""
    gc.freeze()
    gc.unfreeze()


def spare() -> None:
    """Search less often from now on, and not while leaving: a start makes a million objects that last, and searching takes a sixth of it."""
    gc.set_threshold(50_000)
    atexit.register(gc.freeze)
