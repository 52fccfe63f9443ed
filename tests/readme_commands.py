"""Prints a command of the README: ``run`` is its first code block, ``test`` its second. Each is one line."""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def commands() -> dict[str, str]:
    """The two commands that the README begins with."""
    blocks = re.findall(
        r"^```(?:sh|bash|console)\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    found = [block.strip() for block in blocks[:2]]
    if len(found) != 2 or any("\n" in command for command in found):
        raise SystemExit(f"{README}: the first two code blocks must be commands of one line each, found {found}")
    return dict(zip(("run", "test"), found, strict=True))


if __name__ == "__main__":
    print(commands()[sys.argv[1]])
