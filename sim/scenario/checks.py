"""What the grammar cannot see: names that must exist, tables that add up, dates in order, states that nothing reaches.

Each check takes a `View`, a scenario at one phase, and tells what it finds. Names are looked up among all that the
file writes, so that a name whose definition has a fault of its own is not reported as unknown as well.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from zlib import crc32

from .measures import MEASURES
from .names import allowed
from .quantities import Quantity, corners
from .schema import Document, Expectation, State, Wave
from .units import UNITS_US
from .validation import Finding, Path, Reading
from .yaml_tree import Node

MAX_GRID_POINTS = 100_000
MAX_FINDINGS = 500
MAX_HORIZON_YEARS = 1_000
TOLERANCE = 1e-9  # of a table's sum
SEGMENTS: Path = ("segments",)
STATES: Path = ("ladder", "states")
OWN_DRAWS = ("join", "audience", "propensity", "violation", "kind", "severity", "detection", "delay")


@dataclass(frozen=True)
class View:
    """A scenario at one phase, and what its file names."""

    document: Document
    reading: Reading
    tree: Node

    def names(self, *path: str) -> Collection[str]:
        """The names written in a mapping of the file."""
        node = self.tree.at(*path)
        return node.mapping.keys() if node is not None else ()

    @property
    def severities(self) -> Collection[str]:
        """Severities as far as they are text, with those the grammar accepted."""
        node = self.tree.at("severities")
        written = (
            [item.value for item in node.value if isinstance(item.value, str)]
            if node is not None and isinstance(node.value, list)
            else []
        )
        return tuple(dict.fromkeys((*written, *self.document.severities)))


def findings(view: View) -> list[Finding]:
    """What is wrong with a scenario at one phase, except states that nothing reaches; the first `MAX_FINDINGS`."""
    return list(islice((finding for check in CHECKS for finding in check(view)), MAX_FINDINGS))


def end_us(document: Document) -> int | None:
    """The end in microseconds since `start`, if the file says it."""
    if document.end is not None:
        return document.end.after(_start(document))
    return round(document.horizon.value) if document.horizon is not None else None


def _start(document: Document) -> datetime:
    assert document.start.date is not None
    return document.start.date


def _unknown(name: str, names: Collection[str], what: str, path: Path, home: Path = ()) -> Iterator[Finding]:
    """A name that is not among those of its kind; `home` is where it would be defined."""
    if name not in names:
        remedy = allowed(names, name, what="there are")
        yield Finding(path, f"`{name}` is not {what}", remedy, absent=(*home, name) if home else None)


def _segment(view: View, name: str, path: Path) -> Iterator[Finding]:
    return _unknown(name, view.names(*SEGMENTS), "a segment", path, SEGMENTS)


def _state(view: View, name: str, path: Path) -> Iterator[Finding]:
    return _unknown(name, view.names(*STATES), "a state", path, STATES)


def _sum(view: View, table: Mapping[str, Quantity], path: Path) -> Iterator[Finding]:
    total = math.fsum(quantity.value for quantity in table.values())
    if abs(total - 1) > TOLERANCE and view.reading.whole(*path):
        yield Finding(path, f"the chances add up to {_percent(total)}", "they add up to 100%", whole=True)


def _percent(value: float) -> str:
    text = f"{value * 100:.10g}"
    return f"{value * 100!r}%" if text == "100" else f"{text}%"


def _calendar(view: View) -> Iterator[Finding]:
    document, whole = view.document, view.reading.whole
    if document.end is not None and document.horizon is not None:
        yield Finding(("horizon",), "stands beside `end`", "write one of the two")
        return
    end = end_us(document)
    if not (whole("start") and whole("end") and whole("horizon")):
        return
    if end is None:
        yield Finding((), "the scenario has no end", "write `end: <date>` or `horizon: 365 days`")
        return
    key = "end" if document.end is not None else "horizon"
    told = f"`{(document.end or document.horizon or document.start).text}`"
    if end <= 0:
        yield Finding((key,), f"{told} is not after `start`", "the run ends after it starts", whole=True)
    elif end > MAX_HORIZON_YEARS * UNITS_US["year"]:
        yield Finding((key,), f"{told} is too far from `start`", f"a run has at most {MAX_HORIZON_YEARS:,} years")
    elif (datetime.max - _start(document)) // timedelta(microseconds=1) < end:
        yield Finding((key,), f"{told} is after the year 9999", "start earlier")
    elif (points := 1 - (-end // max(1, round(document.observe.value)))) > MAX_GRID_POINTS and whole("observe"):
        yield Finding(
            ("observe",),
            f"`{document.observe.text}` gives a grid of {points:,} times",
            f"at most {MAX_GRID_POINTS:,}: observe less often",
            whole=True,
        )


def _collisions(view: View) -> Iterator[Finding]:
    """Names whose CRC-32 is the same would share their random numbers (`sim/model/README.md`, Random numbers)."""
    yield from _same_crc((segment, ("segments", segment)) for segment in view.document.segments)
    draws: list[tuple[str, Path]] = [(name, ()) for name in OWN_DRAWS]
    for name, state in view.document.ladder.states.items():
        path: Path = ("ladder", "states", name)
        draws += [(f"{draw}:{name}", path) for draw in ("service", "outcome")]
        draws += [(f"{draw}:{name}/{way}", (*path, "exits", way)) for way in state.exits for draw in ("chance", "exit")]
    draws += [(f"wave:{name}", ("waves", name)) for name in view.document.waves]
    yield from _same_crc(draws)


def _same_crc(named: Iterable[tuple[str, Path]]) -> Iterator[Finding]:
    seen: dict[int, str] = {}
    for name, path in named:
        other = seen.setdefault(crc32(name.encode()), name)
        if other != name:
            yield Finding(
                path,
                f"`{name}` and `{other}` have the same CRC-32 and would share random numbers",
                "rename one of them",
            )


def _severities(view: View) -> Iterator[Finding]:
    seen: set[str] = set()
    for index, name in enumerate(view.document.severities):
        if name in seen:
            yield Finding(
                ("severities", str(index)), f"`{name}` is named twice", "name each severity once, mildest first"
            )
        seen.add(name)


def _segments(view: View) -> Iterator[Finding]:
    start = _start(view.document)
    for name, segment in view.document.segments.items():
        if segment.joins is None or not view.reading.whole("start"):
            continue
        path = ("segments", name, "joins")
        first, last = segment.joins.from_, segment.joins.to
        if first.after(start) < 0:
            yield Finding((*path, "from"), f"`{first.text}` is before `start`", "accounts join at `start` or later")
        if last.after(start) < first.after(start):
            yield Finding((*path, "to"), f"`{last.text}` is before `from`", "the last account joins after the first")


def _violations(view: View) -> Iterator[Finding]:
    for name, kind in view.document.violations.items():
        path = ("violations", name)
        for segment in kind.rate:
            yield from _segment(view, segment, (*path, "rate", segment))
        for severity in kind.severity:
            yield from _unknown(severity, view.severities, "a severity", (*path, "severity", severity))
        yield from _sum(view, kind.severity, (*path, "severity"))


def _ladder(view: View) -> Iterator[Finding]:
    ladder = view.document.ladder
    yield from _state(view, ladder.start, ("ladder", "start"))
    seen: set[str] = set()
    for index, ban in enumerate(ladder.bans or ()):
        yield from _state(view, ban, ("ladder", "bans", str(index)))
        if ban in seen:
            yield Finding(("ladder", "bans", str(index)), f"`{ban}` is named twice", "name each state once")
        seen.add(ban)
    for name, state in ladder.states.items():
        path = ("ladder", "states", name)
        for way, leads in state.exits.items():
            yield from _state(view, leads.to, (*path, "exits", way, "to"))
        for severity, targets in state.on_violation.items():
            yield from _unknown(severity, view.severities, "a severity", (*path, "on_violation", severity))
            for index, target in enumerate(targets.states):
                below = (str(index),) if targets.listed else ()
                yield from _state(view, target, (*path, "on_violation", severity, *below))
        yield from _at_desk(view, state, path)


def _at_desk(view: View, state: State, path: Path) -> Iterator[Finding]:
    """A state before a desk has `service` and `outcomes`; only such a state has them."""
    present = {"service": state.service, "outcomes": state.outcomes, "priority": state.priority}
    if state.desk is not None:
        yield from _unknown(state.desk, view.names("desks"), "a desk", (*path, "desk"), ("desks",))
        for key in ("service", "outcomes"):
            if present[key] is None and view.reading.whole(*path, key):
                told = f"stands before a desk but has no `{key}`"
                yield Finding(path, told, "a state with a `desk` has `service` and `outcomes`", absent=(*path, key))
    elif view.reading.whole(*path, "desk"):
        for key, value in present.items():
            if value is not None:
                yield Finding(
                    (*path, key), "stands in a state without a `desk`", f"name the `desk`, or leave `{key}` out"
                )
    if state.outcomes is None:
        return
    tables = (
        {"rightful": state.outcomes.rightful, "wrongful": state.outcomes.wrongful}
        if state.outcomes.split
        else {"": state.outcomes.rightful}
    )
    for mark, table in tables.items():
        at = (*path, "outcomes", mark) if mark else (*path, "outcomes")
        for target in table:
            yield from _state(view, target, (*at, target))
        yield from _sum(view, table, at)


def _desks(view: View) -> Iterator[Finding]:
    used = {state.desk for state in view.document.ladder.states.values() if state.desk is not None}
    all_known = view.reading.whole("ladder", "states") and used <= set(view.names("desks"))
    for name, desk in view.document.desks.items():
        if name not in used and all_known:
            yield Finding(("desks", name), "nothing uses this desk", "let a state name it as its `desk`, or remove it")
        hours = desk.hours
        if hours is not None and hours.from_.value == hours.to.value:
            yield Finding(
                ("desks", name, "hours"),
                "begin and end at the same time",
                'for the whole day write from "00:00" to "24:00"',
            )
        elif hours is not None and hours.from_.text == "24:00":
            yield Finding(
                ("desks", name, "hours", "from"), "begin at the end of the day", 'write "00:00" of the next day'
            )


def _waves(view: View) -> Iterator[Finding]:
    for name, wave in view.document.waves.items():
        path = ("waves", name)
        if wave.at.after(_start(view.document)) < 0 and view.reading.whole("start"):
            yield Finding((*path, "at"), f"`{wave.at.text}` is before `start`", "a wave comes at `start` or later")
        yield from _segment(view, wave.segment, (*path, "segment"))
        yield from _state(view, wave.to, (*path, "to"))
        for index, state in enumerate(wave.states or ()):
            yield from _state(view, state, (*path, "states", str(index)))
        yield from _hit(view, wave, path)


def _hit(view: View, wave: Wave, path: Path) -> Iterator[Finding]:
    if wave.share is not None and wave.count is not None:
        yield Finding(path, "has both `share` and `count`", "write one of the two")
    elif wave.share is None and wave.count is None:
        if view.reading.whole(*path):
            yield Finding(path, "has neither `share` nor `count`", "write `share: 30%` or `count: 8`")
    elif (
        wave.count is not None
        and wave.segment in view.document.segments
        and view.reading.whole("segments", wave.segment, "accounts")
    ):
        accounts = view.document.segments[wave.segment].accounts
        if corners(wave.count)[1] > corners(accounts)[0]:
            many, few = corners(wave.count)[1], corners(accounts)[0]
            told = f"{many:,.0f} is more than the accounts of `{wave.segment}`"
            yield Finding((*path, "count"), told, f"at most {few:,.0f}")


def _expect(view: View) -> Iterator[Finding]:
    end = end_us(view.document)
    for index, expectation in enumerate(view.document.expect):
        path = ("expect", str(index))
        yield from _measured(view, expectation, path)
        if expectation.at is not None and end is not None and view.reading.whole("start"):
            at = expectation.at.after(_start(view.document))
            if not 0 <= at <= end:
                told = f"`{expectation.at.text}` is not within the run"
                yield Finding((*path, "at"), told, "a time from `start` to the end", whole=True)
        below, above = expectation.below, expectation.above
        if below is None and above is None and view.reading.whole(*path):
            yield Finding(path, "expects nothing", "write `below: 2%` or `above: 1%`")
        if below is not None and above is not None and above.value >= below.value:
            yield Finding((*path, "above"), f"`{above.text}` is not less than `below`", "above < below")


def _measured(view: View, expectation: Expectation, path: Path) -> Iterator[Finding]:
    """What an expectation is of: a measure, a segment, a state for measures of one."""
    if expectation.segment is not None:
        yield from _segment(view, expectation.segment, (*path, "segment"))
    if expectation.state is not None:
        yield from _state(view, expectation.state, (*path, "state"))
    measure = MEASURES.get(expectation.measure)
    if measure is None:
        yield from _unknown(expectation.measure, tuple(MEASURES), "a measure", (*path, "measure"))
    elif measure.of_state and expectation.state is None:
        yield Finding(path, f"`{expectation.measure}` is of one state", "write `state: ...`")
    elif not measure.of_state and expectation.state is not None:
        yield Finding((*path, "state"), f"`{expectation.measure}` is not of one state", "leave `state` out")


def _sweep(view: View) -> Iterator[Finding]:
    sweep = view.document.sweep
    if sweep is None or not view.reading.whole("sweep"):
        return
    if sweep.vary is not None and sweep.samples is not None:
        yield Finding(("sweep",), "has both `vary` and `samples`", "write one of the two")
    elif sweep.vary is None and sweep.samples is None:
        yield Finding(("sweep",), "has neither `vary` nor `samples`", "write `vary: {path: [values]}` or `samples: 64`")


CHECKS: tuple[Callable[[View], Iterator[Finding]], ...] = (
    _calendar,
    _collisions,
    _severities,
    _segments,
    _violations,
    _ladder,
    _desks,
    _waves,
    _expect,
    _sweep,
)


def names_no_state(path: str, problem: str) -> bool:
    """Whether a fault is that the ladder or a wave names a state that does not exist: other states are then not told as unreached."""
    return problem.endswith("is not a state") and not path.startswith("expect.")


def unreached(views: list[View]) -> list[Finding]:
    """States that no account can come to, by any exit, violation, outcome or wave of any phase; every state that is named must exist."""
    if not all(view.reading.whole(section) for view in views for section in ("ladder", "waves", "phases")):
        return []
    leads: dict[str, set[str]] = {}
    reached = {wave.to for view in views for wave in view.document.waves.values()} | {views[0].document.ladder.start}
    for view in views:
        for name, state in view.document.ladder.states.items():
            targets = {way.to for way in state.exits.values()} | {
                to for targets in state.on_violation.values() for to in targets.states
            }
            if state.outcomes is not None:
                targets |= {*state.outcomes.rightful, *state.outcomes.wrongful}
            leads.setdefault(name, set()).update(targets)
    frontier = list(reached)
    while frontier:
        new = leads.get(frontier.pop(), set()) - reached
        reached |= new
        frontier += new
    return [
        Finding(
            ("ladder", "states", name),
            "no account can come to this state",
            "let an exit, a violation, an outcome or a wave lead to it, or remove it",
        )
        for name in views[0].document.ladder.states
        if name not in reached
    ]
