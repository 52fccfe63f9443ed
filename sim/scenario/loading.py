"""Loading: from a file, a text or a shipped name to a `Scenario`, or to all its faults at once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from sim.collector import paused
from sim.errors import Fault, ScenarioError

from .checks import findings, names_no_state, unreached
from .drawing import drawing
from .files import MAX_BYTES, change, decoded, inlined, layers, read_text, shipped
from .names import allowed
from .phases import MAX_CHECKED, MAX_PHASES, TOO_MANY, Stretch, checked, stretches
from .quantities import Range
from .resolving import spec_of
from .scaling import scaling
from .schema import Document
from .spec import Derivation, Spec
from .sweeping import Axes, axes_of
from .validation import Finding, Layers, read_document
from .writing import extent, leaves_in, plain_at, plain_document, value_at, without_ranges, yaml_text
from .yaml_tree import MAX_NODES, MAX_PARTS, Allowance, Place, Source, branch, node_from

_PER_PART, _PER_CHARACTER = 30, 6  # bytes in the resolved form, at most: indentation and marks; an escape


@dataclass(frozen=True, eq=False)
class Scenario:
    """A scenario without faults. Two are equal if they say the same, whatever their names and files.

    Attributes
    ----------
    name, file
        The file's stem (or the name given to a text), and the file if there is one.
    spec
        What the file says, phases apart.
    in_force
        The law in each stretch of time: element 0 from time 0 on (phases that start at or before `start` included),
        then one element for each later phase in the order of their dates.
    phase_starts, phase_names, phase_restart
        For each stretch: its first microsecond, its phase's name (empty for element 0), and whether accounts in
        changed states are entered anew.
    """

    name: str
    file: Path | None
    spec: Spec = field(repr=False)
    in_force: tuple[Spec, ...] = field(repr=False)
    phase_starts: tuple[int, ...]
    phase_names: tuple[str, ...]
    phase_restart: tuple[bool, ...]
    _layers: Layers = field(repr=False)
    _plain: dict[str, Any] = field(repr=False)
    _document: Document = field(repr=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scenario) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    @property
    def derived(self) -> tuple[Derivation, ...]:
        """The what-if files between a whole scenario and this one, in that order; none for a whole file or a resolved text."""
        return self._layers.derived

    @cached_property
    def _text(self) -> str:
        return yaml_text(self._plain)

    def with_values(self, changes: Mapping[str, object]) -> Scenario:
        """The scenario with values set at paths, by the rules of a file's `set:`.

        Parameters
        ----------
        changes
            Dotted path -> value as a file writes it, with its unit (``"3 days"``); ``None`` removes what is there.

        Returns
        -------
        Scenario
            Another one; this one stays as it is.

        Raises
        ------
        ScenarioError
            A path leads nowhere, or the changed scenario has faults.
        """
        tree = self._layers.tree
        place = Place(Source("<set>", tree.place.source.folder), None, tree.latest().rank + 1)
        try:
            patches = branch({path: node_from(value, place) for path, value in changes.items()}, place)
        except ValueError as error:
            raise ScenarioError(
                [Fault("<set>", None, "", str(error), "write text, numbers, lists and mappings")]
            ) from None
        tree, removed, faults = change(tree, patches)
        built = Layers(tree, {**self._layers.removed, **removed}, tuple(faults), self._layers.derived)
        return assemble(built, self.name, self.file)

    def scaled(self, share: float | Mapping[str, float]) -> Scenario:
        """The first `share` of every segment, or of each segment its own share.

        Reviewers of limited desks and counts of waves shrink by the same share. All are rounded up, so that every
        segment keeps at least one account.

        Parameters
        ----------
        share
            Above 0 and at most 1; or segment -> share, 1 for those not named.

        Returns
        -------
        Scenario
            The smaller one, whose accounts live as they do in the whole.

        Raises
        ------
        ValueError
            A share is not above 0 and at most 1; or segments have shares of their own, but meet at a limited desk.
        """
        return self.with_values(self.scaling(share))

    def scaling(self, share: float | Mapping[str, float]) -> dict[str, object]:
        """What `scaled` changes.

        Parameters
        ----------
        share
            As for `scaled`.

        Returns
        -------
        dict
            Path -> value, as `with_values` and the `set:` of a file take it.

        Raises
        ------
        ValueError
            As for `scaled`.
        """
        return scaling(self._document, self._plain, share)

    def values(self) -> dict[str, Any]:
        """Path (as for `with_values`) -> what stands there in the resolved form, of everything without parts, phases included.

        Quantities are their canonical text, or a `Range`.
        """
        found = leaves_in({key: value for key, value in self._plain.items() if key not in ("phases", "sweep")})
        for name, phase in self._plain["phases"].items():
            found[f"phases.{name}.from"] = phase["from"]
            for path, value in phase["set"].items():
                found |= leaves_in(value, ("phases", name, "set", path))
        return found

    def ranges(self) -> dict[str, Range]:
        """Path (as for `with_values`) -> range of everything that is not known for sure, phases included."""
        return {path: value for path, value in self.values().items() if isinstance(value, Range)}

    def drawn(self, values: Mapping[str, float]) -> Scenario:
        """The scenario with a number in place of some of its ranges, such as a draw from each.

        A table of chances (severities, outcomes) in which a range stood is scaled so that it adds up to 1 again.

        Parameters
        ----------
        values
            Path of a range -> value on the range's own scale (microseconds, events per microsecond, shares of 1, or
            plain).

        Returns
        -------
        Scenario
            With ranges only where no value is given.

        Raises
        ------
        ScenarioError
            A path is not one of a range, or the values make a scenario with faults.
        """
        return self.with_values(self.changes_at(values))

    def changes_at(self, values: Mapping[str, float]) -> dict[str, object]:
        """What `drawn` sets.

        Parameters
        ----------
        values
            As for `drawn`.

        Returns
        -------
        dict
            Path -> value as a file writes it, with the other entries of tables that are scaled.

        Raises
        ------
        ScenarioError
            A path is not one of a range.
        """
        return drawing(self._plain, self.ranges(), values)

    def value(self, path: str) -> object:
        """What stands at a path.

        Parameters
        ----------
        path
            As for `with_values`.

        Returns
        -------
        object
            As the resolved form writes it, of a range the best value; ``None`` where nothing stands.
        """
        try:
            return without_ranges(plain_at(self._plain, path))
        except (KeyError, IndexError, ValueError, TypeError, StopIteration):
            return None

    def resolved_yaml(self) -> str:
        """The scenario with every default and inherited value written out; `loads` of it gives an equal scenario."""
        return self._text

    def sha256(self) -> str:
        """SHA-256 of `resolved_yaml`, in hexadecimal."""
        return hashlib.sha256(self._text.encode()).hexdigest()


@paused()
def load(source: str | os.PathLike[str]) -> Scenario:
    """Load a scenario file, or a shipped scenario by its name.

    Parameters
    ----------
    source
        A file, or the name of a scenario that ships.

    Returns
    -------
    Scenario
        Checked, and frozen.

    Raises
    ------
    ScenarioError
        With every fault of the file.
    """
    path = Path(source)
    catalogue = shipped()
    if isinstance(source, str) and source in catalogue:
        path = catalogue[source]
    elif not path.exists() and path.suffix not in (".yaml", ".yml"):
        remedy = allowed(catalogue, str(source), what="shipped scenarios")
        raise ScenarioError([Fault(str(source), None, "", "is neither a file nor a shipped scenario", remedy)])
    text = read_text(path, str(path))
    if isinstance(text, Fault):
        raise ScenarioError([text])
    return _loaded(layers(text, Source(str(path), path.parent), path), path.stem, path)


@paused()
def loads(text: str | bytes, *, folder: Path | None = None, name: str = "<text>") -> Scenario:
    """Load a scenario from text, or from the content of a file.

    Parameters
    ----------
    text
        YAML; bytes are read as UTF-8.
    folder
        Where files that it names, with `extends` or as observed values, are looked for. Without one no such file is read, wherever it may be: what
        others hand in can then name scenarios that ship, and nothing else.
    name
        Of the scenario, and of its file in messages.

    Returns
    -------
    Scenario
        Checked, and frozen.

    Raises
    ------
    ScenarioError
        With every fault of the text.
    """
    shown = None if name == "<text>" else name
    if (len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "replace"))) > MAX_BYTES:
        raise ScenarioError(
            [Fault(shown, None, "", "is too long", f"a scenario has at most {MAX_BYTES:,} bytes (1 MiB)")]
        )
    read = decoded(text, shown) if isinstance(text, bytes) else text
    if isinstance(read, Fault):
        raise ScenarioError([read])
    return _loaded(layers(read, Source(shown, folder), None), name, None)


def _loaded(built: Layers | tuple[Fault, ...], name: str, file: Path | None) -> Scenario:
    if isinstance(built, tuple):
        raise ScenarioError(_sorted(built))
    return assemble(built, name, file)


def assemble(built: Layers, name: str, file: Path | None) -> Scenario:
    """A scenario from its values, if they have no fault."""
    if built.tree.size > MAX_NODES:
        problem = f"has {built.tree.size:,} values with all that it extends"
        raise ScenarioError([built.fault(Finding((), problem, f"at most {MAX_NODES:,}: say less"))])
    tree, faults = inlined(built.tree, Allowance(MAX_NODES - built.tree.size))
    built = replace(built, tree=tree, faults=(*built.faults, *faults))
    base = Stretch("", 0, built, read_document(tree))
    found = [*built.faults, *_base_faults(base)]
    later: list[Stretch] = []
    phases = tree.at("phases")
    if phases is not None and len(phases.mapping) > MAX_PHASES:
        raise ScenarioError([built.fault(Finding(("phases",), "are too many", f"at most {MAX_PHASES:,}"))])
    if phases is not None and phases.mapping and checked(len(phases.mapping), tree.size) > MAX_CHECKED:
        problem = f"make {len(phases.mapping):,} variants of {tree.size:,} values"
        remedy = f"{TOO_MANY}: fewer phases, or a smaller scenario"
        raise ScenarioError([*_sorted(built.faults), built.fault(Finding(("phases",), problem, remedy))])
    for stretch, told in stretches(base):
        later.append(stretch)
        found += told
    axes, told = axes_of(base)
    found += told
    views = [stretch.view for stretch in (base, *later)]
    complete = [view for view in views if view is not None]
    if len(complete) == len(views) and not any(names_no_state(fault.path, fault.problem) for fault in found):
        found += [built.fault(finding) for finding in unreached(complete)]
    if found:
        raise ScenarioError(_sorted(found))
    return _scenario(name, file, base, later, axes)


def _base_faults(base: Stretch) -> Iterable[Fault]:
    view = base.view
    told = [*base.reading.findings, *(findings(view) if view is not None else ())]
    return [base.layers.fault(finding) for finding in told]


def _sorted(faults: Iterable[Fault]) -> list[Fault]:
    """Each fault once, by file and line; the file loaded first comes first."""
    unique = list(dict.fromkeys(faults))
    files = list(dict.fromkeys(fault.file for fault in unique))
    return sorted(unique, key=lambda fault: (files.index(fault.file), fault.line or 0))


def _scenario(name: str, file: Path | None, base: Stretch, later: list[Stretch], axes: Axes) -> Scenario:
    document = _document(base)
    plain = plain_document(document)
    for stretch in later:
        after = plain_document(_document(stretch))
        patches = base.layers.tree.at("phases", stretch.phase, "set")
        assert patches is not None
        plain["phases"][stretch.phase]["set"] = {path: value_at(after, path) for path in patches.mapping}
    if axes:
        plain["sweep"]["vary"] = axes
    sets = {phase: without_ranges(entry["set"]) for phase, entry in plain["phases"].items()}
    specs = [spec_of(_document(stretch), sets, without_ranges(axes)) for stretch in (base, *later)]
    folded = sum(stretch.from_us <= 0 for stretch in later)
    late = later[folded:]
    scenario = Scenario(
        name=name,
        file=file,
        spec=specs[0],
        in_force=tuple(specs[folded:]),
        phase_starts=(0, *(stretch.from_us for stretch in late)),
        phase_names=("", *(stretch.phase for stretch in late)),
        phase_restart=(False, *(document.phases[stretch.phase].in_progress == "restart" for stretch in late)),
        _layers=base.layers,
        _plain=plain,
        _document=document,
    )
    _check_written(scenario)
    return scenario


def _check_written(scenario: Scenario) -> None:
    """Refuse what could not be read again once it is written out, with what it extends and all defaults."""
    told = ""
    parts, characters = extent(scenario._plain)
    if parts > MAX_PARTS:
        told = f"has {parts:,} keys and values when written out, brackets counted too"
    elif (_PER_PART * parts + _PER_CHARACTER * characters) > MAX_BYTES < len(scenario.resolved_yaml().encode()):
        told = "is over 1 MiB when written out"
    if told:
        remedy = f"at most {MAX_PARTS:,} and 1 MiB: say less, or thin the observed values"
        raise ScenarioError([scenario._layers.fault(Finding((), told, remedy))])


def _document(stretch: Stretch) -> Document:
    assert stretch.reading.document is not None
    return stretch.reading.document
