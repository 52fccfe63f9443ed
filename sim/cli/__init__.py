"""The command line: parse, call, print. Heavy modules are imported by the verb that needs them.

`common` holds what verbs share; the other modules hold the verbs, listed in the order of `VERBS`.
"""

from __future__ import annotations

import os
import sys
import threading
from _thread import interrupt_main
from collections.abc import Iterator
from io import TextIOWrapper
from typing import Any, NoReturn

from sim.cli import calibrate, files, fitting, resuming, running, serving, what_if
from sim.cli.common import BAD_INPUT, FAILED, INTERRUPTED, NO_READER, app
from sim.collector import spare
from sim.errors import ResultsError, RunError, ScenarioError

__all__ = ["app", "calibrate", "files", "fitting", "main", "resuming", "running", "serving", "what_if"]

VERBS = (
    *("run", "compare", "sweep", "sensitivity", "calibrate", "fit", "test", "reproduce", "resume"),
    *("list", "show", "validate", "schema", "app", "bench"),
)
"""The order in which `--help` tells of them."""
app.registered_commands.sort(key=lambda verb: VERBS.index(str(verb.name or getattr(verb.callback, "__name__", ""))))


def _told_all() -> None:
    """Run the verb and see to it that what it printed has left; who reads it may have gone (`| head`), which is no failure of ours."""
    try:
        try:
            app()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        _no_reader()
    except SystemExit as stop:
        met = list(_behind(stop))  # by the libraries that parse and print
        if any(isinstance(each, BrokenPipeError) for each in met):
            _no_reader()
        if any(isinstance(each, KeyboardInterrupt) for each in met):
            raise KeyboardInterrupt from stop
        raise


def _behind(error: BaseException) -> Iterator[BaseException]:
    """What was being handled when an error was raised, and what when that was."""
    while (context := error.__context__) is not None:
        yield context
        error = context


def _no_reader() -> NoReturn:
    """Leave quietly, with the exit code of programs that such a signal ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else the interpreter tries once more
    sys.exit(NO_READER)


_dropped = threading.Event()
"""Set when an interrupt fell into a callback from the compiler of machine code: Python drops it there, and the compiler may stumble over that."""


def _ask_again(unheard: Any) -> None:
    """Interrupt once more if an interrupt was dropped; all else that cannot be raised is told as ever."""
    if issubclass(unheard.exc_type, KeyboardInterrupt):
        _dropped.set()
        threading.Timer(0.05, interrupt_main).start()
    else:
        sys.__unraisablehook__(unheard)


def main() -> None:
    """Entry point: errors become one message on stderr and an exit code."""
    spare()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that has no sign for ± is told its number
    sys.unraisablehook = _ask_again
    try:
        try:
            _told_all()
        except Exception as error:
            if _dropped.is_set():
                raise KeyboardInterrupt from error
            raise
    except ScenarioError as error:
        print(error, file=sys.stderr)
        sys.exit(BAD_INPUT)
    except ResultsError as error:
        print(error, file=sys.stderr)
        sys.exit(BAD_INPUT)
    except (RunError, OSError, MemoryError, OverflowError) as error:
        print(f"failed: {str(error) or type(error).__name__}", file=sys.stderr)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr, flush=True)
        sys.exit(INTERRUPTED)
