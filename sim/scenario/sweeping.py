"""The `sweep:` section: what it may vary, each value held to the grammar and to all checks as if a what-if file had set it.

Values are tried one by one, so that a fault is told at its line when the file is loaded; what several of them do together is seen when the
sweep makes its points. The section says nothing about what happens to accounts: points are made without it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from sim.errors import Fault

from .files import inlined
from .inheritance import PathRefusedError, graft, overlaps, parts_of, path_text
from .phases import MAX_CHECKED, TOO_MANY, Stretch, all_findings, checked
from .quantities import MAX_POINTS
from .validation import Finding, Layers, read_document
from .writing import plain_document, value_at
from .yaml_tree import MAX_NODES, Allowance, Node, plain

MAX_VALUES = 1_000
"""Values of all paths together: each is checked when the file is loaded."""
_RANK = 2_000_000  # above what files and phases have set

Axes = dict[str, list[Any]]


def axes_of(base: Stretch) -> tuple[Axes, list[Fault]]:
    """Path -> values as the resolved file writes them, and the faults of the section."""
    section = base.layers.tree.at("sweep", "vary")
    document = base.reading.document
    if section is None or document is None or document.sweep is None or document.sweep.vary is None:
        return {}, []
    # without what the grammar has cut out: paths beside which nothing is written
    varied = {path: listed.value for path, listed in section.mapping.items() if path in document.sweep.vary}
    lengths = [len(nodes) for nodes in varied.values()]
    faults = [base.layers.fault(finding) for finding in _size(lengths, base.layers.tree.size, len(document.phases))]
    if faults:
        return {}, faults
    axes: Axes = {}
    allowance = Allowance(MAX_NODES)
    known = {(finding.path, finding.problem) for finding in all_findings(base)}
    for outer, inner in overlaps(varied):
        told = Finding(("sweep", "vary", inner), f"is varied twice, here and in `{outer}`", "vary it once")
        faults.append(base.layers.fault(told))
    for path, nodes in varied.items():
        axes[path] = []
        for node in nodes:
            value, found = _tried(base, path, node, allowance)
            new = [finding for finding in found if (finding.path, finding.problem) not in known]
            if not found and value in axes[path]:
                new = [Finding(tuple(path.split(".")), f"has the value `{_shown(value)}` twice", "give it once")]
            axes[path].append(value)
            place = node.place
            for finding in new:
                at = path_text(("sweep", "vary", *finding.path))
                faults.append(Fault(place.source.shown, place.line, at, finding.problem, finding.remedy))
    return axes, faults


def _size(lengths: list[int], size: int, phases: int) -> Iterator[Finding]:
    """Too many values of all paths, or points, or too many values of a scenario of so many values and phases."""
    if sum(lengths) > MAX_VALUES:
        yield Finding(("sweep", "vary"), f"gives {sum(lengths):,} values", f"at most {MAX_VALUES:,} together")
    elif math.prod(lengths) > MAX_POINTS:
        yield Finding(("sweep", "vary"), f"makes {math.prod(lengths):,} points", f"at most {MAX_POINTS:,}")
    elif checked(sum(lengths) + phases, size) > MAX_CHECKED:
        told = f"makes {sum(lengths):,} variants of {size:,} values"
        remedy = f"{TOO_MANY}: vary fewer in the file, and the others with --vary"
        yield Finding(("sweep", "vary"), told, remedy)


def _tried(base: Stretch, path: str, node: Node, allowance: Allowance) -> tuple[Any, list[Finding]]:
    """A value in its canonical form, and what is wrong with the scenario that has it."""
    keys = tuple(path.split("."))
    if keys[0] in ("sweep", "expect", "extends", "set"):
        return None, [Finding(keys, f"`{keys[0]}` cannot be varied", "vary what decides the lives of accounts")]
    try:
        tree, unread = inlined(graft(base.layers.tree, path, node.ranked(_RANK)), allowance)
    except PathRefusedError as refused:
        return None, [Finding(keys, refused.problem, refused.remedy)]
    if unread:
        return None, [Finding(keys, fault.problem, fault.remedy) for fault in unread]
    reading = read_document(tree)
    told = all_findings(Stretch("", 0, Layers(tree), reading))
    if told or reading.document is None:
        return None, told
    if keys[0] != "phases":
        try:
            return value_at(plain_document(reading.document), path), []
        except (KeyError, IndexError):
            return None, [Finding(keys, "cannot be varied by itself", f"vary `{path_text(keys[:-1])}` as a whole")]
    placed = tree.at(*parts_of(tree, path))
    return (None if placed is None else plain(placed)[0]), []


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)
