"""Names a scenario gives to things, and words for what is allowed where a name is wrong."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable
from itertools import islice

LONGEST_NAME = 100
LISTED = 20  # names told in a message
COMPARED = (
    300  # names that a wrong one is compared with: each takes some microseconds, and a file may have thousands of both
)

NAME_RULE = "a name is made of letters, digits, `_`, `-` and spaces inside"
NAME_PATTERN = r"^[^\s./:](?:[^./:]*[^\s./:])?$"  # for editors; `name_fault` decides


def name_fault(name: str) -> str | None:
    """What is wrong with a name, or ``None``: letters and digits of any script, `_`, `-`, spaces inside."""
    if not name:
        return "the name is empty"
    if len(name) > LONGEST_NAME:
        return f"the name has more than {LONGEST_NAME} characters"
    if name != name.strip(" "):
        return f"the name `{name}` begins or ends with a space"
    for character in name:
        if character not in "_- " and unicodedata.category(character)[0] not in "LMN":
            return (
                f"the name `{name}` contains `{character}`"
                if character.isprintable()
                else "the name has an invisible character"
            )
    if unicodedata.normalize("NFC", name) != name:
        return f"the name `{name}` is not in Unicode's composed form (NFC), so that another can look the same"
    return None


def nearest(name: str, allowed: Iterable[str]) -> str | None:
    """The allowed name most like the one found, if one is like it."""
    names = list(islice(allowed, COMPARED))
    found = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if not found:
        by_fold = {known.casefold(): known for known in names}
        found = [by_fold[near] for near in difflib.get_close_matches(name.casefold(), by_fold, n=1, cutoff=0.6)]
    return found[0] if found else None


def allowed(names: Iterable[str], found: str | None = None, *, what: str = "allowed") -> str:
    """A remedy: "did you mean `x`? allowed: x, y, z"."""
    known = list(names)
    near = nearest(found, known) if found is not None else None
    listed = ", ".join(known[:LISTED]) + (f" and {len(known) - LISTED} more" if len(known) > LISTED else "")
    told = f"{what}: {listed}" if known else f"{what}: none"
    return f"did you mean `{near}`? {told}" if near else told
