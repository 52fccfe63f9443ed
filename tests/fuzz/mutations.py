"""Scenario files gone wrong: bytes, lines and trees of good files, changed at random.

Every case is made from its number alone, so that a failure can be made again: `python tests/fuzz/worker.py lines --only 1234`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any

from sim.scenario import shipped
from sim.scenario.yaml_reading import parse
from sim.scenario.yaml_tree import Node, Source, branch, node_from

TESTS = Path(__file__).parent.parent
BAD = tuple(sorted((TESTS / "invalid").glob("*.yaml")))
SMALL = (
    TESTS / "invalid" / "unit_base.yaml",
    *sorted((TESTS / "golden").glob("*.yaml")),
    *sorted((TESTS / "benchmarks").glob("*.yaml")),
    TESTS / "scenario" / "every_feature.yaml",
)
GOOD = (*SMALL, *shipped().values())

ODD: tuple[str, ...] = (
    *(".nan", "nan", ".inf", "-.inf", "1e400", "-1", "0", "1e-320", "1e308", "99999999999999999999999", "9" * 59, "9" * 70),
    *("1_000", "0x1F", "0o17", "+1", "1.", ".5", "_1", "1__0", "1e5", "1e999", "٣", "१ day", "100.0000000001%", "-0%", "%"),
    *("-3 days", "0 seconds", "1 microsecond", "0.1 us", "1e30 years", "10000 years", "7 m", "5 fortnights", "days", "7d"),
    *("nan days", "inf days", "1e-300 days", "per day", "3 per", "1e-300 per year", "1e9 per hour", "nan per day", "4 per year"),
    *("2022-02-30", "9999-12-31", "0001-01-01", "0000-01-01", "2022-06-20T25:00", "2022-06-20 12:00Z", "end", "unlimited"),
    *("24:00", "25:00", "mon-fri", "fri-mon-sun", "mon,,tue", "[mon, [tue]]", "true", "false", "yes", "~", "null", "{}", "[]"),
    *("[[]]", "{a: {}}", "{low: 1, best: 2, high: 3}", "{low: 1 day, best: 2 days}", "{high: 1, low: 2, best: 0}", "[1, x, null]"),
    *("{exponential: {mean: 1 day}}", "{exponential: 3}", "{empirical: {quantiles: [1, 2]}}", "{empirical: {file: x.csv}}"),
    *("{empirical: {file: ../../pyproject.toml}}", "{lognormal: {median: 1e-9 us, sigma: 20}}", "{uniform: {low: 3 days, high: 3 days}}"),
    "!!python/object/apply:os.system [x]",
    *("!!binary aGk=", "!!str 3", "!!int x", "!!float .inf", "!x y", "! 3", "!!map {}", "!!set {a}"),
    *("*a", "&a x", "&a [*a]", "<<", "? x", "- x", "|", ">", "'", '"', '"\\ud800"', '"\\x00"', '"\\U0010FFFF"', "\u2028", "\ufeff", "@", "`"),
    *("banned", "compliant", "media", "minor", "schema: 1", "a" * 200, "a.b", "a/b", "../x.yaml", "/etc/passwd", "é", "e\u0301", " "),
)  # fmt: skip
"""What may be put in the place of a value."""
CHUNKS = (
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",
    b"\n",
    b"\r",
    b"\t",
    b": ",
    b"- ",
    b"{",
    b"}",
    b"[",
    b"]",
    b"&a ",
    b"*a",
    b"#",
    b"---\n",
    b"...\n",
    b"%YAML 1.1\n",
)
NAMES = (
    "a",
    "banned",
    "compliant",
    "media",
    "minor",
    "",
    "0",
    "a.b",
    "to",
    "after",
    "low",
    "rate",
    "set",
    "extends",
    "x" * 101,
)


@lru_cache(maxsize=64)
def content(path: Path) -> bytes:
    return path.read_bytes()


def pick_file(rng: Random) -> Path:
    """A file, small ones more often than large ones; some have a fault already."""
    files = BAD if rng.random() < 0.3 else GOOD
    return rng.choices(files, [1 / (300 + len(content(path))) for path in files])[0]


def mutated_bytes(rng: Random) -> bytes:
    """A file with bytes flipped, cut, doubled, put in, or with the end of another file."""
    text = bytearray(content(pick_file(rng)))
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at = rng.randrange(len(text) + 1)
        to = min(len(text), at + rng.choice((1, 2, 10, 200)))
        match rng.randrange(7):
            case 0 if at < len(text):
                text[at] ^= 1 << rng.randrange(8)
            case 1:
                del text[at:to]
            case 2:
                text[at:at] = text[at:to]
            case 3:
                text[at:at] = rng.choice(CHUNKS)
            case 4:
                text[at:at] = rng.randbytes(rng.randrange(1, 5))
            case 5:
                text[at:at] = rng.choice(ODD).encode()
            case _ if rng.random() < 0.2:
                other = content(rng.choice(SMALL))
                text[at:] = other[rng.randrange(len(other) + 1) :]
    return bytes(text)


def mutated_lines(rng: Random) -> bytes:
    """A file with lines taken out, doubled, swapped or indented otherwise, and odd values, tags and anchors in them."""
    lines = content(pick_file(rng)).decode("utf-8").splitlines()
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at, other = rng.randrange(len(lines) or 1), rng.randrange(len(lines) or 1)
        if not lines:
            break
        match rng.randrange(8):
            case 0:
                del lines[at]
            case 1:
                lines.insert(other, lines[at])
            case 2:
                lines[at], lines[other] = lines[other], lines[at]
            case 3:
                lines[at] = lines[at][1:] if rng.random() < 0.5 else rng.choice((" ", "  ", "\t", "- ")) + lines[at]
            case _:
                lines[at] = _odd_value(rng, lines[at])
    return rng.choice(("\n", "\n", "\n", "\r\n", "\r")).join(lines).encode("utf-8", "surrogatepass")


def _odd_value(rng: Random, line: str) -> str:
    """A line with one of its values replaced, or something written before it."""
    marks = [at for at in range(len(line)) if line[at : at + 2] in (": ", ", ", "- ")] or [0]
    at = rng.choice(marks) + 2
    rest = line[at:]
    ends = [rest.index(sign) for sign in ",}]#" if sign in rest]
    odd = rng.choice(ODD)
    return line[:at] + (odd + rest[min(ends, default=len(rest)) :] if rng.random() < 0.8 else f"{odd} {rest}")


@lru_cache(maxsize=64)
def tree_of(path: Path) -> Node:
    """The tree of a good file, as if it stood in the folder of its file."""
    node, _ = parse(content(path).decode("utf-8"), Source("case.yaml", path.parent))
    return Node({}, node_from({}, _place(path)).place) if node is None else node


def _place(path: Path) -> Any:
    from sim.scenario.yaml_tree import Place

    return Place(Source("case.yaml", path.parent), 1)


def whole_trees() -> list[Path]:
    """Files that extend no other."""
    return [path for path in GOOD if not tree_of(path).mapping.keys() & {"extends", "set"}]


@lru_cache(maxsize=1)
def _whole() -> tuple[list[Path], list[float]]:
    paths = whole_trees()
    return paths, [1 / (300 + tree_of(path).size) for path in paths]


def mutated_tree(rng: Random) -> Node:
    """The tree of a file with parts taken out, doubled, moved, retyped or replaced; every part keeps its line."""
    paths, weights = _whole()
    tree = tree_of(rng.choices(paths, weights)[0])
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        tree = _changed(rng, tree, _some_part(rng, tree))
    return tree


def _places(node: Node) -> list[tuple[str | int, Node]]:
    if isinstance(node.value, dict):
        return list(node.value.items())
    return list(enumerate(node.value)) if isinstance(node.value, list) else []


def _some_part(rng: Random, tree: Node) -> Node:
    """A part from anywhere, each level down with the same chance."""
    node = tree
    while (places := _places(node)) and rng.random() < 0.85:
        node = rng.choice(places)[1]
    return node


def _changed(rng: Random, node: Node, other: Node) -> Node:
    """The tree with one change at a random depth."""
    places = _places(node)
    if not places or rng.random() < 0.12:
        return _replaced(rng, node, other)
    key, child = rng.choice(places)
    change: Node | None = None if rng.random() < 0.12 else _changed(rng, child, other)
    entries: Any = dict(places)
    if rng.random() < 0.12 and isinstance(node.value, dict):
        name = rng.choice((*NAMES, *node.mapping))
        entries[name] = child
    elif change is None:
        del entries[key]
    else:
        entries[key] = change
    return branch(entries if isinstance(node.value, dict) else list(entries.values()), node.place)


def _replaced(rng: Random, node: Node, other: Node) -> Node:
    makers: tuple[Callable[[], Any], ...] = (
        lambda: rng.choice(ODD),
        lambda: rng.choice((None, True, 0, -1, 10**30, 1.5, float("1e300"), [], {}, "", 2**63, 1e-320)),
        lambda: [replace(other, place=node.place)] * rng.choice((1, 2, 50)),
        lambda: {rng.choice(NAMES): other},
        lambda: other.value,
    )
    made = rng.choice(makers)()
    if isinstance(made, (dict, list)):
        return branch(made, node.place)
    return replace(node, value=made, size=1, height=1)


FAMILIES: dict[str, Callable[[Random], bytes | Node]] = {
    "bytes": mutated_bytes,
    "lines": mutated_lines,
    "tree": mutated_tree,
}


def case(family: str, number: int) -> bytes | Node:
    """The case of a number."""
    return FAMILIES[family](Random(f"{family} {number}"))
