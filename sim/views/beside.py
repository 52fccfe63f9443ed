"""The figures of a run, drawn by a second process beside this one.

To fetch matplotlib and draw takes as long as all else that a small run does, and keeps one processor busy. So where there are two, a second process
gets ready to draw while this one lives the run, and draws while this one writes the report. It decides when the figures are there and never which: if
it is late, or fails for whatever reason, they are drawn here as if it had never been.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from sim.collector import spare
from sim.processors import cores

if TYPE_CHECKING:
    import pandas as pd

    Event = tuple[pd.Timestamp, str, str]

FIGURES = "figures"
PATIENCE = 1.0
"""Seconds in which the second process may clear up."""
_CHILD = "from sim.views.beside import draw; draw()"


class Artist:
    """A second process that draws the figures of one run, if `workers` and the machine allow for two; a context, at whose end it is gone."""

    def __init__(self, workers: int | None = None) -> None:
        self._wanted = min(cores(), workers or 2) > 1 and bool(sys.executable)
        self._process: subprocess.Popen[bytes] | None = None
        self._figures: Path | None = None

    def __enter__(self) -> Artist:
        if self._wanted:
            with suppress(OSError):  # no process to be had: then none is used
                self._process = subprocess.Popen(
                    # -P: it is not to import what lies in the user's folder
                    [sys.executable, "-P", "-c", _CHILD],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
        return self

    def begin(self, folder: Path, title: str, events: Iterable[Event]) -> None:
        """Have figures drawn of a results folder that has its tables; `title` and `events` as `sim.views.plots.save_all` has them."""
        self._figures = folder / FIGURES
        if self._process is not None and self._process.stdin is not None:
            dated = [(at.isoformat(), label, kind) for at, label, kind in events]
            with suppress(OSError):  # it has died
                self._process.stdin.write(json.dumps((str(folder.absolute()), title, dated)).encode() + b"\n")
                self._process.stdin.flush()

    def done(self) -> bool:
        """Whether all of them are drawn. Waits for an artist that has begun; one that is still getting ready is stopped."""
        begun = self._figures is not None and self._figures.is_dir()
        drawn = begun and self._process is not None and self._process.wait() == 0
        self.stop()
        return drawn

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process, so that it writes no more."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.communicate(timeout=PATIENCE)
            except (OSError, subprocess.TimeoutExpired):
                self._process.kill()
                with suppress(OSError):
                    self._process.communicate()
            self._process = None


def draw() -> None:
    """What the second process does: get ready, wait until it is told what to draw, draw. It ends when the first one does."""
    # in order, and not at once: what matplotlib has put into a temporary folder is cleared away
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    spare()

    import pandas as pd

    from sim.results.store import Stored
    from sim.views import plots

    if not (told := sys.stdin.readline()):
        return
    threading.Thread(target=_end_with_the_first, daemon=True).start()
    folder, title, dated = json.loads(told)
    events = [(pd.Timestamp(at), label, kind) for at, label, kind in dated]
    source = Stored(Path(folder))
    plots.save_all(
        {name: source.table(name) for name in plots.TABLES}, Path(folder, FIGURES), title=title, events=events
    )


def _end_with_the_first() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)
