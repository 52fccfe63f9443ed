"""From YAML text to a tree of values with their lines.

The text is read as a stream of events (ruamel.yaml's YAML 1.2 parser), never as Python objects: no tag can construct
anything, nesting is counted rather than recursed into, and what aliases expand to is counted before it is expanded.
Scalars follow the YAML 1.2 core schema, so `2022-06-20` and `09:00` are text and `yes` is not a boolean; underscores
may group the digits of a number. Merge keys (`<<`), which YAML 1.2 does not have, are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from sim.errors import Fault

from .yaml_tree import (
    MAX_DEPTH,
    MAX_NODES,
    MAX_PARTS,
    Allowance,
    Node,
    Place,
    Source,
    branch,
    kind_of,
    resolve,
    whole_characters,
)

MAX_DIRECTIVES = 100
MAX_FAULTS = 500
_DIRECTIVES = re.compile(r"^%", re.MULTILINE)
_CORE_TYPES = {"str": str, "int": int, "float": float, "bool": bool, "null": type(None), "map": dict, "seq": list}
_CORE_TAGS = {f"tag:yaml.org,2002:{name}": kind for name, kind in _CORE_TYPES.items()}


@dataclass
class _Open:
    """A mapping or list whose end has not been read."""

    anchor: str | None
    place: Place
    value: dict[str, Node] | list[Node]
    key: tuple[str | None, Place] | None = None  # the key whose value comes next (its name is None: drop the value)

    @property
    def wants_key(self) -> bool:
        return isinstance(self.value, dict) and self.key is None


class _TooMuchError(Exception):
    """The text is too long, nests too deeply, expands to too many nodes or has too many faults."""

    def __init__(self, line: int, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.line, self.problem, self.remedy = line, problem, remedy


class _Builder:
    """Builds the tree from events, keeping what is open on a stack of its own."""

    def __init__(self, source: Source, allowance: Allowance) -> None:
        self.source, self.allowance = source, allowance
        self.faults: list[Fault] = []
        self.root: Node | None = None
        self.stack: list[_Open] = []
        self.anchors: dict[str, Node | None] = {}
        self.size = 0
        self.documents = 0
        self.skipping = 0  # depth within a key that is not a scalar

    def fault(self, line: int, problem: str, remedy: str, key: str | None = None) -> None:
        parts = []
        for level in self.stack:
            if isinstance(level.value, list):
                parts.append(str(len(level.value)))
            elif level.key is not None:
                parts.append(level.key[0] or "")
        path = ".".join([*parts, key] if key is not None else parts)
        self.faults.append(Fault(self.source.shown, line, path, problem, remedy))
        if len(self.faults) == MAX_FAULTS:
            raise _TooMuchError(line, f"has more than {MAX_FAULTS} faults up to here", "mend these first")

    def read(self, event: Event) -> None:
        line = event.start_mark.line + 1
        if not self.allowance.covers(1):
            problem = f"is the end of {MAX_PARTS:,} keys and values, brackets counted too"
            raise _TooMuchError(
                line,
                problem,
                "a scenario and what it extends have no more; thin observed values, or put them into a CSV file",
            )
        if isinstance(event, ScalarEvent) and (text := whole_characters(event.value)) != event.value:
            event.value = text
            self.fault(line, "holds half a character (a lone surrogate)", "write the whole character")
        if self.skipping:
            self.skipping += isinstance(event, (MappingStartEvent, SequenceStartEvent))
            self.skipping -= isinstance(event, (MappingEndEvent, SequenceEndEvent))
            if not self.skipping:
                self.stack[-1].key = (None, Place(self.source, line))
        elif isinstance(event, DocumentStartEvent):
            self.documents += 1
            if self.documents == 2:
                self.fault(line, "begins a second document", "keep one scenario to a file")
            if event.version and tuple(event.version) != (1, 2):
                self.fault(line, "is written in another YAML than 1.2", "leave out the %YAML line")
        elif self.documents == 1:
            self._content(event, line)

    def _content(self, event: Event, line: int) -> None:
        place = Place(self.source, line)
        if isinstance(event, ScalarEvent):
            if self.stack and self.stack[-1].wants_key:
                self._key(event, line)
            else:
                self._finish(Node(self._scalar(event, line), place), event.anchor)
        elif isinstance(event, (MappingStartEvent, SequenceStartEvent)):
            if self.stack and self.stack[-1].wants_key:
                self.fault(line, "has a key that is not a plain name", "keys are text")
                self.skipping = 1
                return
            kind: type = dict if isinstance(event, MappingStartEvent) else list
            self._tag(event, line, kind)
            if event.anchor:
                self.anchors[event.anchor] = None
            self.stack.append(_Open(event.anchor, place, kind()))
            if len(self.stack) > MAX_DEPTH:
                raise _TooMuchError(line, f"is nested more than {MAX_DEPTH} levels deep", "no scenario needs that")
        elif isinstance(event, (MappingEndEvent, SequenceEndEvent)):
            level = self.stack.pop()
            self._finish(branch(level.value, level.place), level.anchor, counted=True)
        elif isinstance(event, AliasEvent):
            self._alias(event, line)

    def _key(self, event: ScalarEvent, line: int) -> None:
        level, text = self.stack[-1], event.value
        assert isinstance(level.value, dict)
        level.key = (text, Place(self.source, line))
        if event.implicit[0] and text == "<<":
            level.key = None
            self.fault(
                line, "merge keys are not part of YAML 1.2", "write the values out, or use `extends` and `set`", "<<"
            )
            level.key = (None, Place(self.source, line))
        elif event.implicit[0] and not isinstance(resolve(text), str):
            level.key = None
            self.fault(
                line, f"the key `{text}` reads as {kind_of(resolve(text))}", f'write it in quotes: "{text}"', text
            )
            level.key = (text, Place(self.source, line))
        if text in level.value:
            level.key = None
            first = level.value[text].place.line
            self.fault(line, f"`{text}` is written twice", f"keep one; the first is in line {first}", text)
            level.key = (None, Place(self.source, line))

    def _scalar(self, event: ScalarEvent, line: int) -> object:
        tag = self._tag(event, line, None)
        if event.tag in (None, "!") or tag is None:
            return resolve(event.value) if event.implicit[0] or (event.tag and event.style is None) else event.value
        if tag is str:
            return event.value
        value = resolve(event.value)
        if not isinstance(value, tag) and not (tag is float and type(value) is int):
            self.fault(line, f"`{event.value[:40]}` is not what its tag says", "leave the tag out")
        return value

    def _tag(self, event: Any, line: int, kind: type | None) -> type | None:
        """The Python type of an explicit tag of the YAML core; others are faults."""
        if event.tag in (None, "!"):
            return None
        known = _CORE_TAGS.get(str(event.tag))
        scalar = known not in (None, dict, list)
        if known is None or (kind is None) != scalar or (kind is not None and known is not kind):
            self.fault(
                line,
                f"has the tag `{event.tag}`",
                "leave it out: a scenario is plain values, and nothing in it is executed",
            )
            return None
        return known

    def _alias(self, event: AliasEvent, line: int) -> None:
        node = self.anchors.get(event.anchor, None)
        if node is None:
            open_yet = event.anchor in self.anchors
            told = (
                "stands for something that contains it" if open_yet else "stands for nothing: there is no such anchor"
            )
            self.fault(line, f"`*{event.anchor}` {told}", "write the values out")
            node = Node("", Place(self.source, line))
        if self.stack and self.stack[-1].wants_key:
            self.fault(line, "has an alias as a key", "write the name out")
            self.stack[-1].key = (None, Place(self.source, line))
            return
        if len(self.stack) + node.height > MAX_DEPTH:
            raise _TooMuchError(line, f"aliases nest more than {MAX_DEPTH} levels deep", "write the values out")
        self.size += node.size - 1
        self._finish(node, None)

    def _finish(self, node: Node, anchor: str | None, *, counted: bool = False) -> None:
        """Hand a complete value to what is open around it."""
        self.size += 1
        if self.size > MAX_NODES:
            raise _TooMuchError(
                node.place.line or 1, f"expands to more than {MAX_NODES:,} values", "write fewer, or fewer aliases"
            )
        if anchor:
            self.anchors[anchor] = node
        if not self.stack:
            self.root = node
            return
        level = self.stack[-1]
        if isinstance(level.value, list):
            level.value.append(replace(node, place=Place(self.source, node.place.line)))
        elif level.key is not None:
            name, place = level.key
            level.key = None
            if name is not None:
                level.value[name] = replace(node, place=place)


def parse(text: str, source: Source, allowance: Allowance | None = None) -> tuple[Node | None, list[Fault]]:
    """Read YAML text; what can be read is returned even if there are faults, unless the text is not YAML at all.

    Parameters
    ----------
    allowance
        What is left of `MAX_PARTS` for this text, if others belong to it.
    """
    if len(_DIRECTIVES.findall(text)) > MAX_DIRECTIVES:
        told = f"has more than {MAX_DIRECTIVES} lines that begin with a percent sign"
        return None, [Fault(source.shown, 1, "", told, "leave out the %YAML and %TAG lines")]
    builder = _Builder(source, Allowance(MAX_PARTS) if allowance is None else allowance)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.read(event)
    except _TooMuchError as much:
        return None, [*builder.faults, Fault(source.shown, much.line, "", much.problem, much.remedy)]
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        told = " ".join(part for part in (error.context, error.problem) if part)
        line = None if mark is None else mark.line + 1
        return None, [
            *builder.faults,
            Fault(source.shown, line, "", f"is not YAML: {told}", "mend the line, or the one above it"),
        ]
    except ReaderError as error:
        code = error.character if isinstance(error.character, int) else ord(error.character)
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else None
        return None, [
            Fault(
                source.shown,
                line,
                "",
                f"has a character that YAML does not allow (U+{code:04X})",
                "remove it",
            )
        ]
    except (YAMLError, ValueError, AssertionError, IndexError, TypeError, AttributeError, RecursionError) as error:
        return None, [
            *builder.faults,
            Fault(source.shown, None, "", f"is not YAML: {error or type(error).__name__}", "mend it"),
        ]
    return builder.root, builder.faults
