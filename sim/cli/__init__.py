"""The command line: parse, call, print. Heavy modules are imported by the verb that needs them.

`common` holds what verbs share; the other modules hold the verbs, listed in the order of `VERBS`.
"""

from __future__ import annotations

import sys

from sim.cli import calibrate, files, fitting, resuming, running, serving, what_if
from sim.cli.common import BAD_INPUT, FAILED, INTERRUPTED, app
from sim.errors import ResultsError, RunError, ScenarioError

__all__ = ["app", "calibrate", "files", "fitting", "main", "resuming", "running", "serving", "what_if"]

VERBS = (
    *("run", "compare", "sweep", "sensitivity", "calibrate", "fit", "test", "reproduce", "resume"),
    *("list", "show", "validate", "schema", "app", "bench"),
)
"""The order in which `--help` tells of them."""
app.registered_commands.sort(key=lambda verb: VERBS.index(str(verb.name or getattr(verb.callback, "__name__", ""))))


def main() -> None:
    """Entry point: errors become one message on stderr and an exit code."""
    try:
        app()
    except ScenarioError as error:
        print(error, file=sys.stderr)
        sys.exit(BAD_INPUT)
    except ResultsError as error:
        print(error, file=sys.stderr)
        sys.exit(BAD_INPUT)
    except (RunError, OSError, MemoryError, OverflowError) as error:
        print(f"failed: {error}", file=sys.stderr)
        sys.exit(FAILED)
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr, flush=True)
        sys.exit(INTERRUPTED)
