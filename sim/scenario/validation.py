"""Holding a tree to the grammar, with all faults at once: pydantic's errors in our words, at the lines they are about.

What the grammar refuses is cut out and the rest read again, so that `checks` can look at everything else in the same
pass; they are told what was cut (`Reading.cut`) and keep quiet where that could be the cause.
"""

from __future__ import annotations

import copy
import types
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from sim.errors import Fault

from .inheritance import matches, path_text
from .names import allowed
from .schema import Document
from .spec import Derivation
from .units import RefusedError, shown
from .yaml_tree import Node, Place, plain

Path = tuple[str, ...]
MAX_ERRORS = 500
"""Errors of grammar that are told; a file may have a hundred thousand, and each takes time to put into words."""


@dataclass(frozen=True)
class Finding:
    """A fault at a path.

    Attributes
    ----------
    whole
        It is about everything below the path (a sum), and so about what was written there last.
    absent
        The path of what is not there; where a layer removed it, that is the line to show.
    """

    path: Path
    problem: str
    remedy: str = ""
    whole: bool = False
    absent: Path | None = None


@dataclass(frozen=True)
class Layers:
    """A tree built from a file and what was set on top of it.

    Attributes
    ----------
    tree
        The values.
    removed
        Path -> place of the `null` that removed it.
    faults
        Found while building.
    derived
        The what-if files it went through, the one nearest to the whole scenario first.
    """

    tree: Node
    removed: dict[Path, Place] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    derived: tuple[Derivation, ...] = ()

    def place(self, finding: Finding) -> Place:
        """The line that a finding is about."""
        node = self.tree
        for part in finding.path:
            below = node.at(part)
            if below is None:
                break
            node = below
        place = node.latest() if finding.whole else node.place
        for path, removal in self.removed.items():
            about = path in (finding.path, finding.absent) or (
                finding.whole and path[: len(finding.path)] == finding.path
            )
            if about and removal.rank >= place.rank:
                place = removal
        return place

    def fault(self, finding: Finding, prefix: Path = ()) -> Fault:
        """The finding as a fault with its file and line."""
        place = self.place(finding)
        return Fault(
            place.source.shown, place.line, path_text((*prefix, *finding.path)), finding.problem, finding.remedy
        )


@dataclass(frozen=True)
class Reading:
    """What of a tree the grammar accepts (``None``: too little), what was cut out, and why."""

    document: Document | None
    findings: tuple[Finding, ...]
    cut: tuple[Path, ...]

    def whole(self, *path: str) -> bool:
        """Whether nothing was cut out at, below or above a path."""
        return not any(cut[: len(path)] == path or path[: len(cut)] == cut for cut in self.cut)


def read_document(tree: Node) -> Reading:
    """Hold a tree to the grammar."""
    values, empty = plain(tree)
    findings = [
        Finding(
            tuple(map(str, path)),
            "nothing is written here",
            "write a value ({} for one with all defaults), or leave the key out",
        )
        for path in empty
    ]
    if not isinstance(values, dict):
        told = "the file is empty" if values is None else f"a scenario is a mapping of keys, found {shown(values)}"
        return Reading(None, (Finding((), told, "begin with `schema: 1`"),), ((),))
    cut, absent = [tuple(map(str, path)) for path in empty], set(empty)
    first = True
    while True:
        try:
            return Reading(Document.model_validate(values), tuple(findings), tuple(cut))
        except ValidationError as error:
            errors = error.errors(include_url=False)
        if first:
            first_errors = islice((one for one in errors if _location(one) not in absent), MAX_ERRORS)
            findings += [finding for one in first_errors for finding in _findings(one)]
        first = False
        if not _cut(values, errors, cut):
            return Reading(None, tuple(findings), tuple(cut))


_STAND_INS: dict[Path, Any] = {
    ("start",): "2000-01-01",
    ("segments", "*", "accounts"): 1,
    ("violations", "*", "rate"): {},
    ("violations", "*", "detection"): {"chance": 0},
    ("violations", "*", "detection", "chance"): 0,
    ("ladder", "states", "*", "exits", "*", "after"): "1 day",
    ("desks", "*", "reviewers"): 0,
}
"""Values that let the rest be read where a required key is missing or wrong; `checks` are told that it was cut."""


def _location(error: Any) -> tuple[str | int, ...]:
    return tuple(part for part in error["loc"] if part != "[key]")


def _cut(values: dict[str, Any], errors: list[Any], cut: list[Path]) -> bool:
    """Take out what the errors are about; False if nothing would be left.

    What a mapping cannot do without takes the mapping with it, except where there is a stand-in for it.
    """
    wanted: dict[tuple[str | int, ...], Any] = {}
    for error in reversed(errors):  # from the last to the first, so that indices of lists stay true
        location = _location(error)
        path = tuple(map(str, location))
        stand_in = next((value for pattern, value in _STAND_INS.items() if matches(path, pattern)), None)
        wanted[location[:-1] if stand_in is None and error["type"] == "missing" else location] = stand_in
    for location, stand_in in wanted.items():
        if not location:
            return False
        cut.append(tuple(map(str, location)))
        parent: Any = values
        for part in location[:-1]:
            if part not in parent if isinstance(parent, dict) else int(part) >= len(parent):
                break
            parent = parent[part]
        else:
            if stand_in is not None:
                parent[location[-1]] = copy.copy(stand_in)
            elif location[-1] in parent if isinstance(parent, dict) else int(location[-1]) < len(parent):
                del parent[location[-1]]
    return True


def _findings(error: Any) -> Iterable[Finding]:
    """A pydantic error in words an analyst can act on."""
    location = _location(error)
    path = tuple(map(str, location))
    if error["type"] == "value_error" and isinstance(error["ctx"]["error"], RefusedError):
        for below, problem, remedy in error["ctx"]["error"].parts:
            yield Finding((*path, *below), problem, remedy)
    elif error["type"] == "missing":
        yield Finding(path[:-1], f"`{path[-1]}` is missing", _wanted(location), absent=path)
    elif error["type"] == "extra_forbidden":
        keys = [field.alias or name for name, field in _model_at(location[:-1]).model_fields.items()]
        yield Finding(path, f"unexpected key `{path[-1]}`", allowed(keys, path[-1]))
    else:
        found = shown(error["input"])
        problem, remedy = _BUILT_IN.get(error["type"], lambda _: (f"{found} is refused: {error['msg']}", ""))(error)
        yield Finding(path, problem, remedy)


_BUILT_IN: dict[str, Callable[[Any], tuple[str, str]]] = {
    "model_type": lambda e: (f"found {shown(e['input'])}", "write a mapping, `{key: value}`"),
    "dict_type": lambda e: (f"found {shown(e['input'])}", "write a mapping, `{name: ...}`"),
    "list_type": lambda e: (f"found {shown(e['input'])}", "write a list, `[one, another]`"),
    "literal_error": lambda e: (f"found {shown(e['input'])}", f"allowed: {e['ctx']['expected'].replace(chr(39), '')}"),
    "too_short": lambda e: ("is empty", "write at least one"),
    "int_parsing_size": lambda e: (f"found {shown(e['input'])}", "write the version of the format, `1`"),
}


def _wanted(location: tuple[str | int, ...]) -> str:
    """What a missing key would hold."""
    model = _model_at(location[:-1])
    field = next((f for name, f in model.model_fields.items() if (f.alias or name) == location[-1]), None)
    described = f" ({field.description})" if field is not None and field.description else ""
    return f"write `{location[-1]}: ...`{described}"


def _model_at(location: tuple[str | int, ...]) -> type[BaseModel]:
    """The model of the mapping at a location."""
    kind: Any = Document
    for part in location:
        kind = _bare(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = next(f.annotation for name, f in kind.model_fields.items() if (f.alias or name) == part)
        else:
            kind = get_args(kind)[-1]
    found: type[BaseModel] = _bare(kind)
    return found


def _bare(kind: Any) -> Any:
    """A type without `Annotated` and without `| None`."""
    while get_origin(kind) in (Annotated, Union, types.UnionType):
        kind = next(arg for arg in get_args(kind) if arg is not type(None))
    return kind
