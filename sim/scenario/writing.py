"""The resolved form of a scenario: everything written out, in one canonical text.

Defaults, inherited values and observed quantiles are written out, ranges and phases are kept, and numbers and units
are canonical. Reading the text gives the same scenario, and writing that the same text, so that its SHA-256 stands
for what the scenario says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from . import schema
from .families import EMPIRICAL, Variable
from .fields import UNLIMITED
from .inheritance import path_text
from .quantities import RANGE_KEYS, Quantity, Range
from .resolving import bans_of
from .schema import Document
from .yaml_tree import resolve

WIDTH = 110
_PLAIN_NAME = re.compile(r"[^\W\d][\w -]*")
_OLD_BOOLEANS = ("y", "n", "yes", "no", "on", "off")  # other readers still take these of YAML 1.1 for booleans
_PLAIN_PATH = re.compile(r"[^\W\d][\w -]*(\.[\w][\w -]*)*")


class Written(str):
    """Canonical text of a quantity or a date: needs no quotes."""

    __slots__ = ()


def plain_document(document: Document) -> dict[str, Any]:
    """The document as plain values with every default; quantities are `Written` or `Range`.

    The values of a phase's `set` and those that a sweep varies are left out: `loading` knows what they are in force.
    """
    parts: dict[str, Any] = {"schema": document.schema_, "title": document.title, "purpose": document.purpose}
    parts |= {
        "sources": list(document.sources),
        "assumed": list(document.assumed),
    }
    told = {key: text for key, text in document.study.model_dump().items() if text}
    parts |= {"study": told} if told else {}
    parts["start"] = Written(document.start.text)
    if document.end is not None:
        parts["end"] = Written(document.end.text)
    elif document.horizon is not None:
        parts["horizon"] = Written(document.horizon.text)
    parts |= {"observe": Written(document.observe.text), "severities": list(document.severities)}
    parts["segments"] = {name: _segment(segment) for name, segment in document.segments.items()}
    parts["violations"] = {name: _violation(kind, document) for name, kind in document.violations.items()}
    parts["ladder"] = _ladder(document.ladder)
    parts["desks"] = {name: _desk(desk) for name, desk in document.desks.items()}
    parts["waves"] = {name: _wave(wave) for name, wave in document.waves.items()}
    parts["phases"] = {
        name: {"from": Written(phase.from_.text), "set": {}, "in_progress": phase.in_progress}
        for name, phase in document.phases.items()
    }
    parts["expect"] = [_expectation(expectation) for expectation in document.expect]
    if document.sweep is not None:
        samples = document.sweep.samples
        parts["sweep"] = {"vary": {}} if samples is None else {"samples": Written(samples.text)}
    return parts


def value_at(plain: Any, path: str) -> Any:
    """What stands at a path of plain values."""
    for part in path.split(".") if path else ():
        plain = plain[int(part)] if isinstance(plain, list) else plain[part]
    return plain


def _quantity(quantity: Quantity) -> Written | Range:
    return quantity if isinstance(quantity, Range) else Written(quantity.text)


def _quantities(table: Mapping[str, Quantity]) -> dict[str, Any]:
    return {name: _quantity(quantity) for name, quantity in table.items()}


def _variable(variable: Variable) -> Any:
    if variable.family == "fixed":
        return _quantity(variable.parameters[0][1])
    if variable.family == EMPIRICAL:
        return {EMPIRICAL: {"quantiles": [_quantity(quantity) for _, quantity in variable.parameters]}}
    return {variable.family: _quantities(dict(variable.parameters))}


def _segment(segment: schema.Segment) -> dict[str, Any]:
    parts: dict[str, Any] = {"accounts": _quantity(segment.accounts)}
    if segment.joins is not None:
        parts["joins"] = {"from": Written(segment.joins.from_.text), "to": Written(segment.joins.to.text)}
    if segment.audience is not None:
        parts["audience"] = _variable(segment.audience)
    return parts | {"propensity": {"sigma": _quantity(segment.propensity.sigma)}}


def _violation(kind: schema.Violation, document: Document) -> dict[str, Any]:
    return {
        "genuine": kind.genuine,
        "rate": {
            name: _quantity(kind.rate[name]) if name in kind.rate else Written("0 per year")
            for name in document.segments
        },
        "severity": {
            **_quantities(kind.severity),
            **{name: Written("0%") for name in document.severities if name not in kind.severity},
        },
        "detection": {"chance": _quantity(kind.detection.chance), "delay": _variable(kind.detection.delay)},
    }


def _ladder(ladder: schema.Ladder) -> dict[str, Any]:
    expire = ladder.strikes.expire
    return {
        "start": ladder.start,
        "bans": list(bans_of(ladder)),
        "strikes": {} if expire is None else {"expire": _quantity(expire)},
        "states": {name: _state(state) for name, state in ladder.states.items()},
    }


def _state(state: schema.State) -> dict[str, Any]:
    parts: dict[str, Any] = {"activity": _quantity(state.activity)}
    parts["exits"] = {
        name: {"to": way.to, "after": _variable(way.after), "chance": _quantity(way.chance)}
        for name, way in state.exits.items()
    }
    parts["on_violation"] = {
        severity: list(targets.states) if targets.listed else targets.states[0]
        for severity, targets in state.on_violation.items()
    }
    if state.desk is not None:
        parts |= {"desk": state.desk, "priority": Written("0") if state.priority is None else _quantity(state.priority)}
    if state.service is not None:
        parts["service"] = _variable(state.service)
    if state.outcomes is not None:
        rightful, wrongful = _quantities(state.outcomes.rightful), _quantities(state.outcomes.wrongful)
        parts["outcomes"] = {"rightful": rightful, "wrongful": wrongful} if state.outcomes.split else rightful
    return parts


def _desk(desk: schema.Desk) -> dict[str, Any]:
    parts: dict[str, Any] = {"reviewers": UNLIMITED if desk.reviewers is None else _quantity(desk.reviewers)}
    if desk.hours is not None:
        days = desk.hours.days.text
        parts["hours"] = {
            "days": days if isinstance(days, str) else list(days),
            "from": desk.hours.from_.text,
            "to": desk.hours.to.text,
        }
    return parts


def _wave(wave: schema.Wave) -> dict[str, Any]:
    parts: dict[str, Any] = {"at": Written(wave.at.text), "segment": wave.segment}
    parts |= {"share": _quantity(wave.share)} if wave.share is not None else {}
    parts |= {"count": _quantity(wave.count)} if wave.count is not None else {}
    parts["to"] = wave.to
    parts |= {"states": list(wave.states)} if wave.states is not None else {}
    return parts | {"genuine": wave.genuine}


def _expectation(expectation: schema.Expectation) -> dict[str, Any]:
    parts: dict[str, Any] = {"measure": expectation.measure}
    parts |= {
        key: value
        for key, value in (("segment", expectation.segment), ("state", expectation.state))
        if value is not None
    }
    parts["at"] = "end" if expectation.at is None else Written(expectation.at.text)
    limits = (("below", expectation.below), ("above", expectation.above))
    return parts | {key: Written(limit.text) for key, limit in limits if limit is not None}


def leaves_in(value: Any, path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Path -> what stands there, of everything in plain values that has no parts; a range has none."""
    if not isinstance(value, (dict, list)):
        return {path_text(path): value}
    children = value.items() if isinstance(value, dict) else enumerate(value)
    return {at: found for key, child in children for at, found in leaves_in(child, (*path, str(key))).items()}


def extent(value: Any) -> tuple[int, int]:
    """How many keys and values plain values make when written out, brackets counted too, and how many characters their texts have."""
    if isinstance(value, Range):
        return 2 + 2 * len(RANGE_KEYS), sum(map(len, value.text))
    if not isinstance(value, (dict, list)):
        return 1, len(value) if isinstance(value, str) else 0
    keys, children = (list(value), list(value.values())) if isinstance(value, dict) else ([], value)
    found = [extent(child) for child in children]
    return 2 + len(keys) + sum(parts for parts, _ in found), sum(map(len, keys)) + sum(length for _, length in found)


def without_ranges(value: Any) -> Any:
    """Plain values of built-in types, ranges as mappings of their texts."""
    if isinstance(value, Range):
        return dict(zip(RANGE_KEYS, value.text, strict=True))
    if isinstance(value, dict):
        return {key: without_ranges(child) for key, child in value.items()}
    if isinstance(value, list):
        return [without_ranges(child) for child in value]
    return str(value) if isinstance(value, str) else value


def yaml_text(parts: Mapping[str, Any]) -> str:
    """Plain values as YAML: blocks where there is much to say, one line where it fits."""
    return "\n".join(_block(parts, 0)) + "\n"


def _block(value: Any, indent: int) -> list[str]:
    lines = []
    margin = " " * indent
    entries = (
        [(f"{_scalar(key, _PLAIN_PATH)}:", child) for key, child in value.items()]
        if isinstance(value, Mapping)
        else [("-", child) for child in value]
    )
    for head, child in entries:
        flow = _flow(child)
        container = isinstance(child, (Mapping, list)) and bool(child)
        if container and (
            len(margin) + len(head) + 1 + len(flow) > WIDTH or (indent == 0 and isinstance(child, Mapping))
        ):
            lines += [margin + head, *_block(child, indent + 2)]
        else:
            lines.append(f"{margin}{head} {flow}")
    return lines


def _flow(value: Any) -> str:
    if isinstance(value, Range):
        return _flow({key: Written(text) for key, text in zip(RANGE_KEYS, value.text, strict=True)})
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_scalar(key, _PLAIN_PATH)}: {_flow(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(child) for child in value) + "]"
    return _scalar(value, _PLAIN_NAME)


def _scalar(value: Any, as_is: re.Pattern[str]) -> str:
    if isinstance(value, Written):
        return str(value)
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return repr(value)
    if (
        as_is.fullmatch(value)
        and value.casefold() not in _OLD_BOOLEANS
        and not value.endswith(" ")
        and isinstance(resolve(value), str)
    ):
        return value
    return "".join(c if c.isprintable() else _escaped(c) for c in json.dumps(value, ensure_ascii=False))


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def plain_at(plain: dict[str, Any], path: str) -> Any:
    """What stands at a path of the document or of a phase's `set`."""
    parts = path.split(".", 3)
    if len(parts) < 4 or (parts[0], parts[2]) != ("phases", "set"):
        return value_at(plain, path)
    patches, rest = plain["phases"][parts[1]]["set"], parts[3]
    key = next(key for key in patches if rest == key or rest.startswith(f"{key}."))
    return value_at(patches[key], rest[len(key) + 1 :])
