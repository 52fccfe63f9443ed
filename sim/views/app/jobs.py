"""Long runs beside the page: one after the other, with progress, and stopped when nobody wants them any more.

A job runs in a thread of its own. It waits for room, which all sessions share, and is told to stop by its next report of progress: the report
raises, and with it the engine ends. Whoever looks at a job keeps it alive; one that nobody has looked at for `FORGOTTEN_SECONDS` stops as if told to,
so that a closed page leaves no work behind.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, Literal, TypeVar

T = TypeVar("T")
Progress = Callable[[float], None]
State = Literal["waiting", "running", "done", "failed", "stopped"]
FORGOTTEN_SECONDS = 180.0
"""Longer than the minute to which browsers slow down a page in the background."""


class StoppedError(Exception):
    """A run was stopped on purpose."""


def within(seconds: float) -> Progress:
    """Progress that stops a run which takes longer."""
    end = time.monotonic() + seconds

    def progress(share: float) -> None:
        if time.monotonic() > end:
            raise StoppedError(f"takes longer than {seconds:g} seconds")

    return progress


class Job(Generic[T]):
    """Work in a thread, from its first instant on.

    Parameters
    ----------
    work
        Called with a report of progress (share done); what it returns is the `result`.
    room
        Taken while the work runs; the job waits for it.
    forgotten_seconds
        A job at which nobody has looked for so long stops.
    """

    def __init__(
        self,
        work: Callable[[Progress], T],
        room: threading.Semaphore,
        *,
        forgotten_seconds: float = FORGOTTEN_SECONDS,
    ) -> None:
        self._work, self._room, self._patience = work, room, forgotten_seconds
        self._stop = threading.Event()
        self._seen = time.monotonic()
        self._share = 0.0
        self._state: State = "waiting"
        self.result: T | None = None
        self.error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def state(self) -> State:
        """How far it has come; who asks is interested."""
        self._seen = time.monotonic()
        return self._state

    @property
    def share(self) -> float:
        """Share of the work that is done."""
        return self._share

    def stop(self) -> None:
        """Tell it to stop; it does at its next report of progress."""
        self._stop.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        self._thread.join(timeout)

    def _check(self) -> None:
        if self._stop.is_set():
            raise StoppedError("stopped")
        if time.monotonic() - self._seen > self._patience:
            raise StoppedError("nobody has looked at it for a while")

    def _report(self, share: float) -> None:
        self._check()
        self._share = max(self._share, min(1.0, share))

    def _run(self) -> None:
        try:
            while not self._room.acquire(timeout=0.2):
                self._check()
            try:
                self._state = "running"
                self._check()
                self.result = self._work(self._report)
                self._state = "done"
            finally:
                self._room.release()
        except StoppedError:
            self._state = "stopped"
        except Exception as error:  # told to the one who looks: there is nobody else in this thread
            self.error = error
            self._state = "failed"
