"""The command line: parse, call, print. Heavy modules are imported by the verb that needs them.

`common` holds what verbs share; `files`, `running`, `what_if` and `fitting` the verbs, which are listed in the order in which they are imported here.
"""

from __future__ import annotations

import sys

from sim.cli import files, fitting, running, what_if
from sim.cli.common import BAD_INPUT, FAILED, INTERRUPTED, app
from sim.errors import ResultsError, RunError, ScenarioError

__all__ = ["app", "files", "fitting", "main", "running", "what_if"]


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
