"""What a scenario says, resolved: frozen, typed, in microseconds since `start`.

Mappings keep the order of the file, cannot be changed and can be pickled. Rates are events per microsecond; chances
are 0..1; of a range `{low, best, high}` these hold `best`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Literal, TypeVar

V = TypeVar("V")


class Table(Mapping[str, V], Generic[V]):
    """A read-only mapping in the order of the file; equal to any mapping with the same entries."""

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[str, V] | Iterable[tuple[str, V]] = ()) -> None:
        self._entries: dict[str, V] = dict(entries)

    def __getitem__(self, name: str) -> V:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"Table({self._entries!r})"

    def __hash__(self) -> int:
        return hash(frozenset(self._entries.items()))

    def __reduce__(self) -> tuple[type[Table[V]], tuple[dict[str, V]]]:
        return (type(self), (self._entries,))


@dataclass(frozen=True)
class Distribution:
    """A duration (microseconds) or an audience (readers).

    Attributes
    ----------
    family
        ``fixed``, ``exponential``, ``uniform``, ``triangular``, ``weibull``, ``lognormal``, ``loglogistic`` or
        ``empirical``.
    values
        fixed (value,); exponential (mean,); uniform (low, high); triangular (low, mode, high); weibull (shape,
        scale); lognormal (median, sigma); loglogistic (median, shape); empirical (q0, ..., qn). Shapes and sigmas
        have no unit.
    """

    family: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class Segment:
    """Accounts of one sort; they join evenly between the two times (both 0: all are there from the start)."""

    accounts: int
    joins_from_us: int
    joins_to_us: int
    audience: Distribution | None
    propensity_sigma: float


@dataclass(frozen=True)
class Violation:
    """One kind of violation; `rate` has every segment, `severity` every severity; no `delay`: decided at once."""

    genuine: bool
    rate: Mapping[str, float]
    severity: Mapping[str, float]
    detection: float
    delay: Distribution | None


@dataclass(frozen=True)
class Exit:
    """A way out of a state: with `chance` it rings after the duration."""

    to: str
    after: Distribution
    chance: float


@dataclass(frozen=True)
class State:
    """A state of the ladder; `on_violation`: severities that lead somewhere, with targets by number of strikes."""

    activity: float
    exits: Mapping[str, Exit]
    on_violation: Mapping[str, tuple[str, ...]]
    desk: str | None
    priority: float
    service: Distribution | None
    outcomes_rightful: Mapping[str, float]
    outcomes_wrongful: Mapping[str, float]


@dataclass(frozen=True)
class Ladder:
    """States and how violations and time move accounts between them; ``strikes_expire_us`` ``None``: never."""

    start: str
    bans: tuple[str, ...]
    strikes_expire_us: int | None
    states: Mapping[str, State]


@dataclass(frozen=True)
class Hours:
    """Weekly hours: days on which they begin (0 = Monday), times of day; past midnight if ``to_us <= from_us``."""

    days: tuple[int, ...]
    from_us: int
    to_us: int


@dataclass(frozen=True)
class Desk:
    """Reviewers (``None``: unlimited) and their hours (``None``: always)."""

    reviewers: int | None
    hours: Hours | None


@dataclass(frozen=True)
class Wave:
    """An order at a date, for a share or a count of a segment; ``states`` ``None``: all that are not absorbing."""

    at_us: int
    segment: str
    share: float | None
    count: int | None
    to: str
    states: tuple[str, ...] | None
    genuine: bool


@dataclass(frozen=True)
class Phase:
    """What is patched from a date on; `set` as the resolved file writes it."""

    from_us: int
    set: Mapping[str, object]
    in_progress: Literal["keep", "restart"]


@dataclass(frozen=True)
class Expectation:
    """What a measure should be at a time (``None``: the end); limits as shares of 1 or plain numbers."""

    measure: str
    segment: str | None
    state: str | None
    at_us: int | None
    below: float | None
    above: float | None


@dataclass(frozen=True)
class Sweep:
    """Points of a sweep: path -> values as the resolved file writes them, all combinations; or so many samples of all ranges."""

    vary: Mapping[str, tuple[object, ...]]
    samples: int | None


@dataclass(frozen=True)
class Study:
    """What only a person can say of the study; each text may be empty."""

    aims: str
    preprocessing: str
    replications: str
    sharing: str


@dataclass(frozen=True)
class Change:
    """What a what-if file sets at a path: the value before and after, as the files write them; ``None``: not there."""

    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Derivation:
    """A what-if file: what it extends (as written), its own words (empty: those of the other), what it sets."""

    extends: str
    title: str
    purpose: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class Spec:
    """A whole scenario at one phase; times in microseconds since `start`."""

    title: str
    purpose: str
    sources: tuple[str, ...]
    assumed: tuple[str, ...]
    start: datetime
    end_us: int
    observe_us: int
    severities: tuple[str, ...]
    segments: Mapping[str, Segment]
    violations: Mapping[str, Violation]
    ladder: Ladder
    desks: Mapping[str, Desk]
    waves: Mapping[str, Wave]
    phases: Mapping[str, Phase]
    expect: tuple[Expectation, ...]
    sweep: Sweep | None
    study: Study
