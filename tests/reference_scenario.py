"""Reading a scenario for the reference simulator: from a dictionary as YAML gives it to one `Law` per stretch of time.

It takes one whole scenario (no `extends`, no `set` at the top), trusts that it is valid, reads `{low, best, high}` as
`best`, times as integer microseconds since `start` and rates per microsecond. Phases accumulate: each patches what was
in force before it.
"""

import copy
import math
import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple

from reference_draws import Distribution

DAY = 86_400_000_000
UNITS = {"microsecond": 1, "millisecond": 1_000, "second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000}
UNITS |= {"day": DAY, "week": 7 * DAY, "month": 30 * DAY, "year": 365 * DAY}
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def best(value: Any) -> Any:
    """A `{low, best, high}` range counts as its `best`."""
    return value["best"] if isinstance(value, dict) and set(value) == {"low", "best", "high"} else value


def number(value: Any) -> float:
    """A number or a percentage."""
    value = best(value)
    if isinstance(value, str):
        value = value.replace("_", "").strip()
        return float(value[:-1]) / 100 if value.endswith("%") else float(value)
    return float(value)


def microseconds(value: Any) -> float:
    """A duration with its unit, such as `90 minutes`."""
    amount, unit = re.fullmatch(r"\s*([-+.\w]+)\s+([a-z]+?)s?\s*", best(value)).groups()
    return number(amount) * UNITS[unit]


def rate_per_us(value: Any) -> float:
    """A rate such as `4 per year`."""
    amount, unit = re.fullmatch(r"\s*([-+.\w]+)\s+per\s+(\w+)\s*", best(value)).groups()
    return number(amount) / UNITS[unit]


def distribution(value: Any, read: Any = microseconds) -> Distribution:
    """A fixed value or `{family: parameters}`; `read` reads what has the unit of the quantity."""
    value = best(value)
    if not isinstance(value, dict):
        return Distribution("fixed", {"value": read(value)})
    [(family, of)] = value.items()
    if family == "empirical":
        return Distribution(family, {"quantiles": [read(q) for q in of["quantiles"]]})
    return Distribution(family, {name: (number if name in ("shape", "sigma") else read)(v) for name, v in of.items()})


def calendar_time(value: Any) -> datetime:
    """A date (its midnight) or a date and time."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value if isinstance(value, datetime) else datetime.combine(value, time())


def moment_us(value: Any, start: datetime) -> int:
    """Microseconds from `start` to a date."""
    return (calendar_time(value) - start) // timedelta(microseconds=1)


class Exit(NamedTuple):
    """A way out of a state: it rings after its duration, if it rings at all."""

    to: str
    after: Distribution
    chance: float


@dataclass(frozen=True)
class State:
    """The values of one state."""

    activity: float
    exits: dict[str, Exit]
    on_violation: dict[str, list[str]]
    desk: str | None
    priority: float
    service: Distribution | None
    outcomes: dict[bool, dict[str, float]]  # by the account's mark: wrongful?

    @property
    def absorbing(self) -> bool:
        return not self.exits and self.desk is None and not self.on_violation and self.activity == 0


@dataclass(frozen=True)
class Kind:
    """The values of one kind of violation; `rate` by segment, per microsecond; no `delay`: decided at once."""

    genuine: bool
    rate: dict[str, float]
    severity: dict[str, float]
    detection: float
    delay: Distribution | None


class Hours(NamedTuple):
    """Weekly working hours: weekdays (0 is Monday) and times of day; past midnight where `to_us <= from_us`."""

    days: set[int]
    from_us: int
    to_us: int


class Desk(NamedTuple):
    """The staff of a desk."""

    reviewers: float  # infinity: unlimited
    hours: Hours | None


class Wave(NamedTuple):
    """An order: whom it may hit, when, and where it moves them (no `states`: from all that are not absorbing)."""

    at_us: int
    segment: str
    share: float | None
    count: int | None
    to: str
    states: list[str] | None
    genuine: bool


@dataclass(frozen=True)
class Law:
    """What is in force between one phase's start and the next."""

    kinds: dict[str, Kind]
    expire_us: float
    states: dict[str, State]
    desks: dict[str, Desk]
    waves: dict[str, Wave]


def read_state(written: dict) -> State:
    tables = written.get("outcomes", {})
    if not isinstance(tables.get("rightful"), dict):
        tables = {"rightful": tables, "wrongful": tables}
    outcomes = {mark == "wrongful": {to: number(p) for to, p in table.items()} for mark, table in tables.items()}
    exits = {
        name: Exit(e["to"], distribution(e["after"]), number(e.get("chance", 1)))
        for name, e in (written.get("exits") or {}).items()
    }
    on_violation = {
        severity: to if isinstance(to, list) else [to] for severity, to in (written.get("on_violation") or {}).items()
    }
    service = distribution(written["service"]) if "service" in written else None
    desk, priority = written.get("desk"), number(written.get("priority", 0))
    return State(number(written.get("activity", 1)), exits, on_violation, desk, priority, service, outcomes)


def read_kind(written: dict) -> Kind:
    rate = {segment: rate_per_us(value) for segment, value in written["rate"].items()}
    severity = {name: number(p) for name, p in written["severity"].items()}
    delay = distribution(written["detection"]["delay"]) if "delay" in written["detection"] else None
    if delay == Distribution("fixed", {"value": 0}):
        delay = None
    return Kind(written.get("genuine", True), rate, severity, number(written["detection"]["chance"]), delay)


def read_hours(written: dict) -> Hours:
    """`days` is `mon-fri`, a single day, or several of these (a list, or with commas)."""
    days: set[int] = set()
    for part in written["days"] if isinstance(written["days"], list) else written["days"].split(","):
        first, last = ([*part.strip().split("-")] * 2)[:2]
        i, j = WEEKDAYS.index(first[:3]), WEEKDAYS.index(last[:3])
        days |= {(i + step) % 7 for step in range((j - i) % 7 + 1)}
    from_us, to_us = (
        sum(int(n) * unit for n, unit in zip(written[end].split(":"), (3_600_000_000, 60_000_000), strict=True))
        for end in ("from", "to")
    )
    return Hours(days, from_us, to_us)


def read_law(scenario: dict, start: datetime) -> Law:
    """The values of one whole scenario dictionary (phases already applied)."""
    desks = {
        name: Desk(
            math.inf if best(desk["reviewers"]) == "unlimited" else number(desk["reviewers"]),
            read_hours(desk["hours"]) if "hours" in desk else None,
        )
        for name, desk in scenario.get("desks", {}).items()
    }
    waves = {
        name: Wave(
            moment_us(wave["at"], start),
            wave["segment"],
            number(wave["share"]) if "share" in wave else None,
            round(number(wave["count"])) if "count" in wave else None,
            wave["to"],
            wave.get("states"),
            wave.get("genuine", True),
        )
        for name, wave in scenario.get("waves", {}).items()
    }
    strikes = scenario["ladder"].get("strikes", {})
    return Law(
        {name: read_kind(kind) for name, kind in scenario.get("violations", {}).items()},
        round(microseconds(strikes["expire"])) if "expire" in strikes else math.inf,
        {name: read_state(state or {}) for name, state in scenario["ladder"]["states"].items()},
        desks,
        waves,
    )


class Stretch(NamedTuple):
    """A law and when it comes into force; `restart` says whether accounts in changed states are entered anew."""

    from_us: float
    phase: str
    restart: bool
    law: Law


def read_stretches(scenario: dict, start: datetime) -> list[Stretch]:
    """The first law and one for each later phase; each phase patches what was in force before it."""
    current = copy.deepcopy(scenario)
    stretches = [Stretch(-math.inf, "", False, read_law(current, start))]
    phases = [(moment_us(phase["from"], start), name, phase) for name, phase in scenario.get("phases", {}).items()]
    for from_us, name, phase in sorted(phases, key=lambda p: p[0]):
        for path, value in phase["set"].items():
            *parents, leaf = path.split(".")
            place = current
            for parent in parents:
                place = place[parent]
            place[leaf] = copy.deepcopy(value)
        law = read_law(current, start)
        if from_us <= 0:
            stretches = [Stretch(-math.inf, "", False, law)]
        else:
            stretches.append(Stretch(from_us, name, phase.get("in_progress", "keep") == "restart", law))
    return stretches
