"""Files: reading them within limits, the shipped catalogue, chains of `extends`, and observed durations in CSV files.

A path written in a scenario stays in the folder of the file it is written in, symbolic links followed; only a shipped
scenario can be named from anywhere.
"""

from __future__ import annotations

import csv
import stat
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from sim.errors import NOT_UTF8, RENAME, Fault, is_utf8

from .families import EMPIRICAL, MAX_QUANTILES
from .inheritance import PathRefusedError, derivation, graft, overlaps, parts_of, path_text
from .names import allowed, nearest
from .units import UNITS_US, RefusedError, amount_of, canonical, duration, shown
from .validation import Layers
from .yaml_reading import parse
from .yaml_tree import MAX_NODES, MAX_PARTS, Allowance, Node, Place, Source, branch

MAX_BYTES = 2**20
MAX_WORDS = 200_000
"""Of a scenario and what it extends, comments counted too: what stands between spaces."""
MAX_CHAIN = 20
MAX_SET = 2_000
"""Paths that one file sets: each takes a copy of what is around it."""
_WHAT_IF_KEYS = ("schema", "title", "purpose", "sources", "assumed", "study", "extends", "set", "expect", "sweep")


def shipped() -> dict[str, Path]:
    """The scenarios that come with the package: name -> file, by name.

    Returns
    -------
    dict
        Name -> file, in the order of the names.
    """
    packaged = Path(__file__).resolve().parents[1] / "_scenarios"
    folder = packaged if packaged.is_dir() else Path(__file__).resolve().parents[2] / "scenarios"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def read_text(path: Path, shown_as: str) -> str | Fault:
    """The text of a regular file of at most 1 MiB in UTF-8, of a name in UTF-8."""
    if not is_utf8(path):
        return Fault(shown_as, None, "", NOT_UTF8, RENAME)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            return Fault(shown_as, None, "", "is not a file", "name a .yaml file, or a shipped scenario")
        if status.st_size > MAX_BYTES:
            return Fault(
                shown_as, None, "", f"has {status.st_size:,} bytes", f"a file has at most {MAX_BYTES:,} bytes (1 MiB)"
            )
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        return Fault(
            shown_as,
            None,
            "",
            f"cannot be read: {getattr(error, 'strerror', None) or error}",
            "name a file that is there",
        )
    return decoded(content, shown_as)


def decoded(content: bytes, shown_as: str | None) -> str | Fault:
    """The text of a file's content, if it is UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return Fault(shown_as, line, "", "is not UTF-8 text", "save the file as UTF-8")


def inside(folder: Path | None, name: str) -> Path | None:
    """The file of that name beside or below a folder; ``None`` if it would leave the folder (links followed)."""
    if folder is None:
        return None
    try:
        root, path = folder.resolve(), (folder / name).resolve()
    except (OSError, ValueError, RuntimeError):
        return None
    return path if path.is_relative_to(root) and path != root else None


def layers(text: str, source: Source, path: Path | None) -> Layers | tuple[Fault, ...]:
    """A scenario's text with everything it extends; a tuple of faults if it cannot be built at all."""
    chain: list[Node] = []
    faults: list[Fault] = []
    seen = {path.resolve(): source.shown} if path is not None else {}
    allowance, bytes_left, words_left = Allowance(MAX_PARTS), Allowance(MAX_BYTES), Allowance(MAX_WORDS)
    while True:
        told = _too_much(text, bytes_left, words_left)
        if told is not None:
            return (*faults, Fault(source.shown, None, "", *told))
        node, found = parse(text, source, allowance)
        faults += found
        if node is None:
            return tuple(faults) or (Fault(source.shown, None, "", "the file is empty", "begin with `schema: 1`"),)
        chain.append(node)
        if "extends" not in node.mapping:
            break
        base = _base(node.mapping["extends"], len(chain), seen)
        if isinstance(base, Fault):
            return (*faults, *_what_if_faults(node), base)
        read = read_text(base, str(base))
        if isinstance(read, Fault):
            return (*faults, replace(read, path="extends", line=node.mapping["extends"].place.line, file=source.shown))
        text, source = read, Source(_beside(base, node.mapping["extends"]), base.parent)
        seen[base.resolve()] = source.shown
    tree, removed = chain[-1], dict[tuple[str, ...], Place]()
    if "set" in tree.mapping:
        place = tree.mapping["set"].place
        faults.append(
            Fault(
                place.source.shown,
                place.line,
                "set",
                "stands without `extends`",
                "say what it changes, or write the values where they belong",
            )
        )
        tree = branch({key: value for key, value in tree.mapping.items() if key != "set"}, tree.place)
    derived = []
    for rank, what_if in enumerate(reversed(chain[:-1]), 1):
        faults += _what_if_faults(what_if)
        derived.append(derivation(tree, what_if))
        tree, gone, found = _extended(tree, what_if.ranked(rank))
        removed |= gone
        faults += found
    return Layers(tree, removed, tuple(faults), tuple(derived))


def _too_much(text: str, bytes_left: Allowance, words_left: Allowance) -> tuple[str, str] | None:
    """Why a text is not even looked at: it and those before it would take too long to read."""
    if not words_left.covers(len(text.split())):
        return f"makes more than {MAX_WORDS:,} words", "a scenario and what it extends have no more: say less"
    if not bytes_left.covers(len(text.encode("utf-8", "replace"))):
        return (
            f"makes more than {MAX_BYTES:,} bytes with what extends it",
            "a scenario and what it extends have at most 1 MiB",
        )
    return None


def _beside(base: Path, extends: Node) -> str:
    """How faults show a base: as its neighbour was shown."""
    shown_as, folder = extends.place.source.shown, extends.place.source.folder
    if shown_as is None or folder is None or not str(extends.value).endswith((".yaml", ".yml")):
        return str(base)
    return str(Path(shown_as).parent / str(extends.value))


def _base(extends: Node, depth: int, seen: dict[Path, str | None]) -> Path | Fault:
    """The file that `extends` names."""
    source, name, catalogue = extends.place.source, extends.value, shipped()
    beside = sorted(p.name for p in source.folder.glob("*.y*ml")) if source.folder is not None else []

    def refuse(problem: str, remedy: str) -> Fault:
        return Fault(source.shown, extends.place.line, "extends", problem, remedy)

    plainly = "extend a file beside this one, or a shipped scenario by its name"
    near = nearest(str(name), [*beside, *catalogue])
    remedy = f"did you mean `{near}`? {plainly}" if near else plainly
    if not isinstance(name, str) or not name:
        return refuse(f"{shown(name)} is not a file", remedy)
    if name.endswith((".yaml", ".yml")):
        path = inside(source.folder, name)
        if source.folder is not None and path is None:
            return refuse(
                f"`{name}` leaves the folder of this file",
                plainly,
            )
        if path is None or not path.is_file():
            return refuse(f"there is no file `{name}` here", remedy)
    elif name in catalogue:
        path = catalogue[name]
    else:
        return refuse(f"`{name}` is not a shipped scenario", remedy)
    if path.resolve() in seen:
        steps = [*(Path(str(step)).name for step in seen.values()), path.name]
        return refuse(f"files extend each other in a loop: {' -> '.join(steps)}", "let one of them be whole")
    if depth >= MAX_CHAIN:
        return refuse(f"is the {depth}th file of a chain", f"a chain has at most {MAX_CHAIN} files")
    return path


def _what_if_faults(node: Node) -> Iterable[Fault]:
    for key, entry in node.mapping.items():
        if key not in _WHAT_IF_KEYS:
            yield Fault(
                entry.place.source.shown,
                entry.place.line,
                key,
                f"`{key}` stands beside `extends`",
                f"write `set: {{{key}: ...}}`; beside `extends`: {', '.join(_WHAT_IF_KEYS)}",
            )


def _extended(base: Node, what_if: Node) -> tuple[Node, dict[tuple[str, ...], Place], list[Fault]]:
    """A base with what a what-if file says: its own words first, then `set` in the order written."""
    own = {
        key: value for key, value in what_if.mapping.items() if key in _WHAT_IF_KEYS and key not in ("extends", "set")
    }
    for key in ("sources", "assumed"):
        if (
            key in own
            and key in base.mapping
            and isinstance(own[key].value, list)
            and isinstance(base.mapping[key].value, list)
        ):
            own[key] = branch([*base.mapping[key].value, *own[key].value], own[key].place)
    if "study" in own and "study" in base.mapping and isinstance(own["study"].value, dict):
        own["study"] = branch({**base.mapping["study"].mapping, **own["study"].mapping}, own["study"].place)
    tree = branch({**base.mapping, **own}, what_if.place)
    patches = what_if.mapping.get("set")
    if patches is None:
        return tree, {}, []
    if not isinstance(patches.value, dict):
        return (
            tree,
            {},
            [
                Fault(
                    patches.place.source.shown,
                    patches.place.line,
                    "set",
                    f"found {shown(patches.value)}",
                    "write `set: {path: value}`",
                )
            ],
        )
    if len(patches.mapping) > MAX_SET:
        place, told = patches.place, f"sets {len(patches.mapping):,} paths"
        return (
            tree,
            {},
            [Fault(place.source.shown, place.line, "set", told, f"at most {MAX_SET:,}: write a whole scenario")],
        )
    return change(tree, patches, "set.")


def change(tree: Node, patches: Node, prefix: str = "") -> tuple[Node, dict[tuple[str, ...], Place], list[Fault]]:
    """A tree with the values of a `set` at their paths (null removes); what was removed; the paths refused."""
    removed: dict[tuple[str, ...], Place] = {}
    faults = []
    twice = {inner: outer for outer, inner in overlaps(patches.mapping)}
    for path, value in patches.mapping.items():
        told: tuple[str, str] | None = None
        if path in twice:
            told = (f"is set twice, here and in `{twice[path]}`", "set it once")
        else:
            try:
                parts = parts_of(tree, path)
                tree = graft(tree, path, None if value.value is None else value)
                if value.value is None:
                    removed[parts] = value.place
            except PathRefusedError as refused:
                told = (refused.problem, refused.remedy)
        if told:
            faults.append(Fault(value.place.source.shown, value.place.line, prefix + path, *told))
    return tree, removed, faults


def inlined(node: Node, allowance: Allowance, path: tuple[str, ...] = ()) -> tuple[Node, list[Fault]]:
    """A tree with `empirical: {file: ...}` replaced by the quantiles that the file holds, in phases too, as far as the allowance of values goes."""
    if isinstance(node.value, list) or not isinstance(node.value, dict) or not node.value:
        return node, []
    faults: list[Fault] = []
    entries: dict[str, Node] = {}
    changed = False
    for key, child in node.value.items():
        keys = (*path, *key.split("."))
        if keys[-2:] == (EMPIRICAL, "file"):
            changed = True
            values, found = _observed(child, path_text((*path, key)), allowance)
            faults += found
            entries[key[: -len("file")] + "quantiles"] = values
        else:
            entries[key], found = inlined(child, allowance, keys)
            changed |= entries[key] is not child
            faults += found
    return (branch(entries, node.place) if changed else node), faults


def _observed(node: Node, path: str, allowance: Allowance) -> tuple[Node, list[Fault]]:
    """The values of a CSV file, sorted, as a list of quantiles."""
    source, name = node.place.source, node.value
    least, most = (0, 1) if "audience" in path.split(".") else ("0 days", "1 day")
    stand_in = branch([replace(node, value=least), replace(node, value=most)], node.place)

    def refuse(problem: str, remedy: str) -> tuple[Node, list[Fault]]:
        return stand_in, [Fault(source.shown, node.place.line, path, problem, remedy)]

    if allowance.left < 0:
        return stand_in, []  # told before
    if not isinstance(name, str) or not name:
        return refuse(f"{shown(name)} is not a file", "name a CSV file beside the scenario")
    file = inside(source.folder, name)
    if file is None:
        return refuse(
            f"`{name}` leaves the folder of this file" if source.folder else f"there is no folder to find `{name}` in",
            "name a CSV file beside the scenario",
        )
    if not file.is_file():
        beside = sorted(p.name for p in source.folder.glob("*.csv")) if source.folder else []
        return refuse(f"there is no file `{name}` here", allowed(beside, name, what="there are"))
    shown_as = str(Path(source.shown).parent / name) if source.shown else name
    text = read_text(file, shown_as)
    if isinstance(text, Fault):
        return stand_in, [text]
    values, faults = _column(text, shown_as)
    if not allowance.covers(len(values)):
        return refuse(f"makes more than {MAX_NODES:,} values together with the others", "thin the observed values")
    return (stand_in if faults else branch([replace(node, value=value) for value in values], node.place)), faults


def _column(text: str, shown_as: str) -> tuple[list[str | float], list[Fault]]:
    """The sorted values of a CSV text with one column: a header that is a unit, `duration`, or `readers`."""

    def refuse(line: int, problem: str, remedy: str) -> Fault:
        return Fault(shown_as, line, "", problem, remedy)

    units = [unit + "s" for unit in UNITS_US]
    reader = csv.reader(text.splitlines())
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        return [], [refuse(reader.line_num, f"is not CSV: {error}", "write one column, its header a unit")]
    header = rows[0][1][0].strip() if rows else ""
    unit = header.casefold().removesuffix("s")
    if unit not in UNITS_US and header not in ("duration", "readers"):
        return [], [
            refuse(
                rows[0][0] if rows else 1,
                f"the header {shown(header)} is not a unit",
                allowed([*units, "duration", "readers"], header),
            )
        ]
    if not 2 <= len(rows) - 1 <= MAX_QUANTILES:
        return [], [
            refuse(1, f"holds {len(rows) - 1:,} values", f"2 to {MAX_QUANTILES:,}; thin a longer file to its quantiles")
        ]
    found: list[tuple[float, str | float]] = []
    faults: list[Fault] = []
    for line, row in rows:
        try:
            if len(row) != 1:
                raise RefusedError(f"has {len(row)} columns", "write one column")
            if (line, row) != rows[0]:
                found.append(_cell(row[0], unit, header))
        except RefusedError as refused:
            faults.append(refuse(line, *refused.parts[0][1:]))
    if len(faults) > 10:
        faults[10:] = [refuse(rows[-1][0], f"and {len(faults) - 10} more lines", "mend them too")]
    return [value for _, value in sorted(found, key=lambda pair: pair[0])], faults


def _cell(text: str, unit: str, header: str) -> tuple[float, str | float]:
    """A value to sort by, and the text that the scenario would write."""
    if header == "duration":
        measured = duration(text)
        return measured.value, measured.text
    amount = amount_of(text, "write a number")
    if header == "readers":
        return float(amount), float(amount)
    measured = duration(f"{canonical(amount)} {unit}s")
    return measured.value, measured.text
