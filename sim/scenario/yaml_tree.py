"""Plain values that remember where they were written.

==============  =======================================================================
`Source`        a file (or a text, or a call of `with_values`) that values come from
`Place`         a line of a source
`Node`          a value with its place: a scalar, a mapping of nodes or a list of nodes
`Allowance`     how much may yet be read
`node_from`     plain Python values -> `Node`
`plain`         `Node` -> plain Python values, with the places where nothing is written
`resolve`       what a plain scalar of YAML 1.2 means
==============  =======================================================================

`yaml_reading` builds the tree from text; `inheritance` changes it at a path; `validation` holds it to the grammar.
"""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

MAX_DEPTH = 50
MAX_NODES = 50_000
"""Values of a scenario, aliases expanded and files of observed values read in."""
MAX_PARTS = 32_000
"""Keys and values of all files of a scenario, both ends of each mapping and list counted too; the slowest take 1.5 seconds."""

_INTEGER = re.compile(r"[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9][0-9_]*|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_WORDS = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_LONGEST_NUMBER = 60  # characters; a longer one stays text and is refused as a number


@dataclass(frozen=True)
class Source:
    """Where values come from: the name that faults show, and the folder that paths written there start from."""

    shown: str | None
    folder: Path | None


@dataclass(frozen=True)
class Place:
    """A line (from 1) of a source; later layers (`set` of a what-if, then phases) have higher ranks."""

    source: Source
    line: int | None
    rank: int = 0


class Allowance:
    """How much may yet be read, of everything that makes up one scenario together."""

    def __init__(self, most: int) -> None:
        self.left = most

    def covers(self, count: int) -> bool:
        """Take so much of it; whether there was enough."""
        self.left -= count
        return self.left >= 0


@dataclass(frozen=True)
class Node:
    """A value and its place: for an entry of a mapping the line of its key.

    Attributes
    ----------
    value
        ``None``, bool, int, float, str, a dictionary of nodes or a list of nodes (neither is ever changed).
    size, height
        Number of nodes in it, aliases expanded, and levels of nesting; both at least 1.
    """

    value: Any
    place: Place
    size: int = 1
    height: int = 1

    @property
    def mapping(self) -> dict[str, Node]:
        """The entries, or none if this is not a mapping."""
        return self.value if isinstance(self.value, dict) else {}

    def at(self, *path: str | int) -> Node | None:
        """What stands at a path below this node, if anything does."""
        node: Node | None = self
        for part in path:
            if node is None:
                return None
            if isinstance(node.value, dict):
                node = node.value.get(str(part))
            elif isinstance(node.value, list) and str(part).isdecimal() and int(part) < len(node.value):
                node = node.value[int(part)]
            else:
                return None
        return node

    def ranked(self, rank: int) -> Node:
        """The same tree as part of a later layer."""
        value = self.value
        if isinstance(value, dict):
            value = {key: child.ranked(rank) for key, child in value.items()}
        elif isinstance(value, list):
            value = [child.ranked(rank) for child in value]
        return replace(self, value=value, place=replace(self.place, rank=rank))

    def latest(self) -> Place:
        """The place of the latest layer in it (its own, if nothing in it was written later)."""
        place = self.place
        for child in self.value if isinstance(self.value, list) else self.mapping.values():
            inner = child.latest()
            if inner.rank > place.rank:
                place = inner
        return place


def branch(value: dict[str, Node] | list[Node], place: Place) -> Node:
    """A mapping or a list with its size and height counted."""
    children = list(value.values()) if isinstance(value, dict) else value
    return Node(value, place, 1 + sum(c.size for c in children), 1 + max((c.height for c in children), default=0))


def resolve(text: str) -> object:
    """What a plain scalar means in YAML 1.2 (core schema, with underscores between digits)."""
    if text in _WORDS:
        return _WORDS[text]
    if len(text) <= _LONGEST_NUMBER:
        if _INTEGER.fullmatch(text):
            digits = text.replace("_", "")
            return int(digits, 0) if digits[:2] in ("0o", "0x") else int(digits)
        if _FLOAT.fullmatch(text):
            return float(text.replace("_", ""))
    if _INFINITE.fullmatch(text):
        return math.nan if "n" in text.lower()[1:2] else math.copysign(math.inf, -1 if text[0] == "-" else 1)
    return text


def whole_characters(text: str) -> str:
    """The text with lone surrogates, which no file can hold, replaced."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def kind_of(value: object) -> str:
    """A value's kind in words: "a number", "a mapping"."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, numbers.Real):
        return "a number"
    if isinstance(value, str):
        return "text"
    return (
        "a mapping" if isinstance(value, Mapping) else "a list" if isinstance(value, Sequence) else type(value).__name__
    )


def node_from(value: object, place: Place, depth: int = 1) -> Node:
    """Plain Python values as a tree; dates become text, numpy numbers plain ones.

    Raises
    ------
    ValueError
        What cannot stand in a scenario, or nests too deeply.
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"is nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, Mapping):
        return branch({str(key): node_from(inner, place, depth + 1) for key, inner in value.items()}, place)
    if isinstance(value, (list, tuple)):
        return branch([node_from(inner, place, depth + 1) for inner in value], place)
    if isinstance(value, str) and whole_characters(value) != value:
        raise ValueError("a text holds half a character (a lone surrogate)")
    if value is None or isinstance(value, (bool, str)):
        return Node(value, place)
    if isinstance(value, numbers.Integral):
        return Node(int(value), place)
    if isinstance(value, numbers.Real):
        return Node(float(value), place)
    if isinstance(value, (datetime, date)):
        return Node(value.isoformat(), place)
    raise ValueError(f"a {type(value).__name__} cannot stand in a scenario")


def plain(node: Node) -> tuple[Any, list[tuple[str | int, ...]]]:
    """The plain values of a tree without its empty entries, and the paths of those."""
    if isinstance(node.value, dict):
        parts = [(key, plain(child)) for key, child in node.value.items() if child.value is not None]
        empty = [(key,) for key, child in node.value.items() if child.value is None]
        return {key: value for key, (value, _) in parts}, [
            *empty,
            *((key, *path) for key, (_, inner) in parts for path in inner),
        ]
    if isinstance(node.value, list):
        items = [plain(child) for child in node.value]
        return [value for value, _ in items], [
            (index, *path) for index, (value, inner) in enumerate(items) for path in ([()] if value is None else inner)
        ]
    return node.value, []
