"""Paths into a scenario, and the one way to change a value at a path: for `set`, for phases and for `with_values`.

A path is the keys from the top, with dots between them (`ladder.states.rectifying.exits.deadline.after`); an index
from 0 stands for an entry of a list. Below `phases.<name>.set` one key may itself be a path. The parent of what is
set must be there, so that a misspelt path is refused rather than added; sections that are empty by default count as
being there. Of keys that exclude each other the one that is set takes the other's place (`horizon` and `end`, `share`
and `count`, families of a distribution, `quantiles` and `file`).
"""

from __future__ import annotations

from collections.abc import Iterable

from .families import EMPIRICAL, FAMILIES
from .names import allowed
from .quantities import RANGE_KEYS
from .spec import Change, Derivation
from .units import shown
from .yaml_tree import MAX_DEPTH, MAX_NODES, Node, branch

Path = tuple[str, ...]

_GROWN: tuple[Path, ...] = (
    ("desks",),
    ("waves",),
    ("phases",),
    ("violations",),
    ("ladder", "strikes"),
    ("ladder", "states", "*", "exits"),
    ("ladder", "states", "*", "on_violation"),
    ("segments", "*", "propensity"),
    ("study",),
)
_VARIABLES = ("after", "delay", "service", "audience")


class PathRefusedError(Exception):
    """A path that leads nowhere, or a value that cannot stand there."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem, self.remedy = problem, remedy


def path_text(path: Iterable[str | int]) -> str:
    """The path as a file writes it."""
    return ".".join(str(part) for part in path)


def parts_of(root: Node, path: str) -> Path:
    """The keys a path goes through; below `phases.<name>.set` the key that is a path stays whole."""
    parts = path.split(".")
    if len(parts) > 3 and parts[0] == "phases" and parts[2] == "set":
        rest = ".".join(parts[3:])
        patches = root.at(*parts[:3])
        keys = [key for key in (patches.mapping if patches else ()) if rest == key or rest.startswith(key + ".")]
        key = max(keys, key=len, default=rest)
        return (*parts[:3], key, *(rest[len(key) + 1 :].split(".") if len(rest) > len(key) else ()))
    return tuple(parts)


def matches(path: Path, pattern: Path) -> bool:
    """Whether a path is the pattern's, `*` standing for any name."""
    return len(path) == len(pattern) and all(want in ("*", part) for part, want in zip(path, pattern, strict=True))


def graft(root: Node, path: str, value: Node | None) -> Node:
    """The tree with `value` at `path`; ``None`` removes what is there.

    Raises
    ------
    PathRefusedError
        The parent of the path, or what is to be removed, is not there; the tree would nest too deeply.
    """
    if not path or "" in path.split("."):
        raise PathRefusedError(
            f"{shown(path)} is not a path", "write keys with dots between them, as in `segments.personal.accounts`"
        )
    parts = parts_of(root, path)
    changed = _changed(root, parts, (), value)
    if changed.height > MAX_DEPTH + 10 or changed.size > MAX_NODES:
        raise PathRefusedError("makes the scenario too large", f"at most {MAX_NODES:,} values, {MAX_DEPTH} levels deep")
    return changed


def _changed(node: Node, rest: Path, above: Path, value: Node | None) -> Node:
    key, below = rest[0], rest[1:]
    if isinstance(node.value, list):
        return _changed_list(node, rest, above, value)
    if not isinstance(node.value, dict):
        raise PathRefusedError(
            f"`{path_text(above)}` is {shown(node.value)} and has no parts", f"set `{path_text(above)}` as a whole"
        )
    entries = dict(node.value)
    if below:
        child = entries.get(key)
        if child is None and any(matches((*above, key), pattern) for pattern in _GROWN):
            child = Node({}, (value or node).place)
        if child is None:
            raise PathRefusedError(*_nothing_at(node, key, above))
        entries[key] = _changed(child, below, (*above, key), value)
    elif value is None:
        if key not in entries:
            raise PathRefusedError(*_nothing_at(node, key, above))
        del entries[key]
    else:
        entries = _placed(entries, key, value, above)
    return branch(entries, node.place)


def _changed_list(node: Node, rest: Path, above: Path, value: Node | None) -> Node:
    key, below = rest[0], rest[1:]
    items = list(node.value)
    if not key.isdecimal() or int(key) >= len(items):
        last = f"0 to {len(items) - 1}" if items else "none, the list is empty"
        raise PathRefusedError(f"`{path_text(above)}` is a list and has no entry `{key}`", f"entries: {last}")
    index = int(key)
    if below:
        items[index] = _changed(items[index], below, (*above, key), value)
    elif value is None:
        del items[index]
    else:
        items[index] = value
    return branch(items, node.place)


def _placed(entries: dict[str, Node], key: str, value: Node, above: Path) -> dict[str, Node]:
    """The entries with one set, in the place of one that it excludes."""
    gone = _excluded(key, above) & set(entries)
    if key in entries or not gone:
        return {name: node for name, node in {**entries, key: value}.items() if name not in gone}
    first = next(name for name in entries if name in gone)
    return {
        (key if name == first else name): (value if name == first else node)
        for name, node in entries.items()
        if name == first or name not in gone
    }


def _excluded(key: str, above: Path) -> set[str]:
    """Keys beside `key` that cannot stand with it."""
    if not above:
        return {"end": {"horizon"}, "horizon": {"end"}}.get(key, set())
    if matches(above, ("waves", "*")):
        return {"share": {"count"}, "count": {"share"}}.get(key, set())
    if above[-1] == EMPIRICAL:
        return {"quantiles": {"file"}, "file": {"quantiles"}}.get(key, set())
    families = {*FAMILIES, EMPIRICAL}
    return (families | set(RANGE_KEYS)) - {key} if above[-1] in _VARIABLES and key in families else set()


def _nothing_at(node: Node, key: str, above: Path) -> tuple[str, str]:
    where = f" in `{path_text(above)}`" if above else " at the top"
    return f"there is no `{key}`{where}", allowed(node.mapping, key, what="there are")


def derivation(base: Node, what_if: Node) -> Derivation:
    """What a what-if file says about the tree that it extends, before it is applied."""
    patches = what_if.mapping.get("set", Node({}, what_if.place)).mapping
    changes = [(path, base.at(*parts_of(base, path)), value) for path, value in patches.items()]
    title, purpose = (str(what_if.mapping[key].value) if key in what_if.mapping else "" for key in ("title", "purpose"))
    return Derivation(
        extends=str(what_if.mapping["extends"].value),
        title=title,
        purpose=purpose,
        changes=tuple(Change(path, _written(before), _written(after)) for path, before, after in changes),
    )


def _written(node: Node | None) -> str | None:
    """A value in one line, about as its file writes it; ``None`` where there is none."""
    if node is None or node.value is None:
        return None
    if isinstance(node.value, dict):
        return "{" + ", ".join(f"{key}: {_written(child)}" for key, child in node.value.items()) + "}"
    if isinstance(node.value, list):
        return "[" + ", ".join(str(_written(child)) for child in node.value) + "]"
    return str(node.value).lower() if isinstance(node.value, bool) else str(node.value)


def overlaps(paths: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of paths of one `set` of which the first contains the second."""
    ordered = sorted(tuple(path.split(".")) for path in paths)
    found, outer = [], ordered[0] if ordered else ()
    for path in ordered[1:]:
        if path[: len(outer)] == outer:
            found.append((path_text(outer), path_text(path)))
        else:
            outer = path
    return found
