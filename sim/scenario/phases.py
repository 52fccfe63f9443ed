"""Phases: what each may patch, and the scenario as it stands in each stretch between their dates.

Phases accumulate: each patches what was in force before it, in the order of their dates (ties: the order written). A
phase's scenario is held to the grammar and to all checks like any other; a fault that it brings in is told at the
line of the phase.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sim.errors import Fault

from .checks import View, findings
from .inheritance import PathRefusedError, graft, matches, overlaps, path_text
from .names import allowed
from .quantities import RANGE_KEYS
from .validation import Finding, Layers, Path, Reading, read_document
from .yaml_tree import Node, branch

MAX_PHASES = 1_000
MAX_CHECKED = 150_000
"""Values of a scenario, times the variants of it that are checked (`checked`); that takes less than two seconds."""
_READING = 5  # what it takes to read a scenario, in checks of a variant
TOO_MANY = f"at most {MAX_CHECKED:,} values in all, reading them counted {_READING} times"
_FIRST_RANK = 1_000_000  # above the layers of any chain of files

TABLES: tuple[Path, ...] = (
    ("violations", "*", "severity", "*"),
    ("ladder", "states", "*", "outcomes", "*"),
    ("ladder", "states", "*", "outcomes", "rightful", "*"),
    ("ladder", "states", "*", "outcomes", "wrongful", "*"),
)
"""Paths of the entries of tables that add up to 1."""

_PATCHABLE: tuple[tuple[Path, tuple[str, ...]], ...] = (
    (("violations", "*"), ("rate", "severity", "detection")),
    (("ladder",), ("strikes",)),
    (("ladder", "states", "*"), ("activity", "exits", "on_violation", "priority", "service", "outcomes")),
    (("desks", "*"), ("reviewers", "hours")),
    (("waves", "*"), ("share", "count", "to", "genuine")),
)
_SECTIONS = ("violations", "ladder", "desks", "waves")


def checked(variants: int, size: int) -> int:
    """How much checking a scenario of so many values takes that has so many variants: phases, and values of a sweep."""
    return (variants + _READING) * size


@dataclass(frozen=True)
class Stretch:
    """The scenario from a phase's date on.

    Attributes
    ----------
    phase
        The phase's name; empty for the scenario without phases.
    from_us
        Microseconds since `start`; may be negative.
    layers, reading
        The patched tree, and what the grammar makes of it.
    """

    phase: str
    from_us: int
    layers: Layers
    reading: Reading

    @property
    def view(self) -> View | None:
        """For the checks; ``None`` if the grammar refuses too much."""
        document = self.reading.document
        return View(document, self.reading, self.layers.tree) if document is not None else None


def stretches(base: Stretch) -> Iterator[tuple[Stretch, list[Fault]]]:
    """The stretches after the base in the order of their dates, each with the faults that its phase brings in."""
    document = base.reading.document
    if document is None or document.start.date is None:
        return
    start = document.start.date
    dated = [(phase.from_.after(start), name) for name, phase in document.phases.items()]
    known = {(f.path, f.problem) for f in all_findings(base)}
    layers = base.layers
    in_order = sorted(dated, key=lambda pair: pair[0])
    for nth, (from_us, name) in enumerate(in_order):
        patches = base.layers.tree.at("phases", name, "set")
        assert patches is not None
        tree, faults = _patched(layers.tree, name, patches, _FIRST_RANK + nth)
        layers = Layers(tree, layers.removed, layers.faults)
        stretch = Stretch(name, from_us, layers, read_document(tree))
        new = [finding for finding in all_findings(stretch) if (finding.path, finding.problem) not in known]
        known |= {(finding.path, finding.problem) for finding in new}
        for finding in new:
            place = layers.place(finding)
            late = place.rank >= _FIRST_RANK
            phase, place = (in_order[place.rank - _FIRST_RANK][1], place) if late else (name, patches.place)
            path = path_text(("phases", phase, "set", *finding.path))
            faults.append(Fault(place.source.shown, place.line, path, finding.problem, finding.remedy))
        yield stretch, faults


def all_findings(stretch: Stretch) -> list[Finding]:
    """What the grammar and the checks say of a stretch."""
    view = stretch.view
    return [*stretch.reading.findings, *(findings(view) if view is not None else ())]


def _patched(tree: Node, name: str, patches: Node, rank: int) -> tuple[Node, list[Fault]]:
    """A tree with a phase's `set`, and the paths that a phase may not patch or that lead nowhere."""
    found = []
    twice = {inner: outer for outer, inner in overlaps(patches.mapping)}
    for path, value in patches.mapping.items():
        if value.value is None:
            continue  # told as a value that is not written
        told = _refused(tree, tuple(path.split(".")), value)
        if path in twice:
            told = (f"is set twice, here and in `{twice[path]}`", "set it once")
        if told is None:
            try:
                tree = graft(tree, path, _in_order(tree, path, value.ranked(rank)))
                told = _part_of_a_range_table(tree, tuple(path.split(".")))
            except PathRefusedError as refused:
                told = (refused.problem, refused.remedy)
        if told is not None:
            found.append(
                Fault(value.place.source.shown, value.place.line, path_text(("phases", name, "set", path)), *told)
            )
    return tree, found


def _refused(tree: Node, path: Path, value: Node) -> tuple[str, str] | None:
    """Why a phase may not patch a path: names, dates and all that is not patchable are the same at all times."""
    if path[0] not in _SECTIONS:
        return f"a phase may not change `{path[0]}`", allowed(
            _SECTIONS, path[0], what="it may change numbers, durations, chances and targets in"
        )
    for pattern, keys in _PATCHABLE:
        if len(path) > len(pattern) and matches(path[: len(pattern)], pattern) and path[len(pattern)] in keys:
            break
    else:
        sections = [
            (pattern, keys)
            for pattern, keys in _PATCHABLE
            if pattern[0] == path[0] and matches(path[: len(pattern)], pattern[: len(path)])
        ]
        pattern, keys = max(sections, key=lambda pair: len(pair[0]), default=((path[0],), ()))
        found = path[len(pattern)] if len(path) > len(pattern) else None
        told = f"a phase may not change `{found}`" if found else f"a phase may not change `{'.'.join(path)}` as a whole"
        return told, allowed(keys, found, what=f"below `{'.'.join(pattern)}` it may change")
    around = tree.at(*path[:-1])
    if around is not None and set(around.mapping) == set(RANGE_KEYS):
        return f"a phase may not change `{path[-1]}` of a range", f"set `{path_text(path[:-1])}` as a whole"
    if matches(path[:2], ("ladder", "states")) and len(path) >= 4 and path[3] == "exits":
        exits = tree.at(*path[:4])
        here = set(exits.mapping) if exits is not None else set()
        named = {path[4]} if len(path) > 4 else set(value.mapping)
        new, gone = sorted(named - here), sorted(here - named) if len(path) == 4 else []
        if new:
            return f"a phase may not add the exit `{new[0]}`", allowed(here, new[0], what="there are")
        if gone:
            return f"a phase may not remove the exit `{gone[0]}`", "give it `chance: 0%`"
    return None


def _in_order(tree: Node, path: str, value: Node) -> Node:
    """Exits patched as a whole keep their order: ties between them are settled by it."""
    old = tree.at(*path.split("."))
    if path.split(".")[-1] != "exits" or old is None or set(old.mapping) != set(value.mapping):
        return value
    return branch({name: value.mapping[name] for name in old.mapping}, value.place)


def _part_of_a_range_table(tree: Node, path: Path) -> tuple[str, str] | None:
    """Draws scale a table with ranges to add up to 1; a phase that patches part of it leaves no table to scale."""
    for pattern in TABLES:
        table = tree.at(*path[: len(pattern) - 1])
        entries = table.mapping.values() if table is not None and matches(path[: len(pattern)], pattern) else ()
        if any(set(entry.mapping) == set(RANGE_KEYS) for entry in entries):
            return "is part of a table with ranges", f"set `{path_text(path[: len(pattern) - 1])}` as a whole"
    return None
