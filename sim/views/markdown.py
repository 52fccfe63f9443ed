"""Markdown that shows texts of a scenario as they are: whatever they hold, they add no mark-up, no HTML and no column of a table."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

from rich.table import Table

_SPECIAL = re.compile(r"[\\`*\[\]|~$]|(?<!\w)_|_(?!\w)")
_OPENING = re.compile(r"^(?=[#+=:>-])|^(\d+)(?=[.)] )")


def escaped(text: str) -> str:
    """A text as one line of Markdown that reads as it was written."""
    line = html.escape(" ".join(text.split()), quote=False)
    line = _SPECIAL.sub(lambda match: "\\" + match[0], line)
    return _OPENING.sub(lambda match: (match[1] or "") + "\\", line, count=1)


def paragraphs(text: str) -> str:
    """A text of one or more lines, each a paragraph."""
    return "\n\n".join(escaped(line) for line in text.splitlines() if line.strip())


def code(text: object) -> str:
    """Names, paths and values, as they stand in a file."""
    shown = " ".join(str(text).split()).replace("`", "'").replace("|", "¦")
    return f"`{shown}`" if shown else ""


def bullets(items: Iterable[str]) -> str:
    """A list of what is Markdown already."""
    return "\n".join(f"- {item}" for item in items)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def from_terminal(shown: Table) -> str:
    """A table for terminals as one in Markdown."""
    rows = zip(*(list(column.cells) for column in shown.columns), strict=True)
    return table([str(column.header) for column in shown.columns], ([escaped(str(c)) for c in row] for row in rows))
