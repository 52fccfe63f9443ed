"""What can go wrong, in words an analyst can act on.

=================  ==========================================================================
`Fault`            one thing that is wrong in a scenario file: where, what, and what would do
`ScenarioError`    every fault of a scenario at once
`ResultsError`     a results folder is missing, broken or in the way
`RunError`         a run could not be carried to its end
`InvariantError`   a run came to its end with numbers that cannot be
=================  ==========================================================================

The library raises these; only the command line turns them into exit codes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

NOT_UTF8 = "has a name that is not UTF-8"
RENAME = "rename it (or set PYTHONUTF8=1, if it looks right elsewhere)"


def is_utf8(path: str | os.PathLike[str]) -> bool:
    """Whether the name of a file or a folder is text, which a manifest can hold; systems allow any bytes."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True)
class Fault:
    """One fault of a scenario.

    Attributes
    ----------
    file, line
        Where it stands; ``None`` for text without a file, and for faults of a whole file.
    path
        The dotted path of the key, as in ``set:``; empty for the file as a whole.
    problem
        What was found.
    remedy
        What is allowed, and the nearest valid name where there is one.
    """

    file: str | None
    line: int | None
    path: str
    problem: str
    remedy: str = ""

    def __str__(self) -> str:
        place = self.file or "<scenario>"
        if self.line is not None:
            place = f"{place}:{self.line}"
        told = ": ".join(part for part in (place, self.path, self.problem) if part)
        return f"{told}; {self.remedy}" if self.remedy else told


class ScenarioError(Exception):
    """A scenario that cannot be run: all its faults, one a line."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class ResultsError(Exception):
    """A results folder is missing, broken or in the way."""


class RunError(Exception):
    """A run could not be carried to its end."""


class InvariantError(RunError):
    """Numbers of a run contradict each other or the scenario: the program is at fault, not the file. Nothing is written."""
