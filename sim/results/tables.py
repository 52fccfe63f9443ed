"""From the integer tally of one replication to its tables, as pandas frames with the columns of `sim.results.columns`.

`counts_of` does the arithmetic, on arrays; `tables_of` puts names and dates to them. Who needs numbers only, ten thousand times, takes the counts.

Almost everything follows from the count of moves per grid interval: occupancy is the running sum of moves in less moves out, a queue the running sum
of entries less services started less those who left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from sim.engines.tally import Tally, bucket_middle
from sim.model.jit import Array
from sim.model.schedule import DAY_US, UNLIMITED
from sim.model.tables import Names, Tables
from sim.scenario import Scenario

HOUR_US = 3_600_000_000


@dataclass(frozen=True)
class Codes:
    """A compiled scenario with what tables need to put names and dates to numbers."""

    scenario: Scenario
    law: Tables
    names: Names

    @property
    def grid(self) -> Array:
        """Grid times in microseconds since the start: multiples of `observe`, and the end."""
        end, step = self.scenario.spec.end_us, self.scenario.spec.observe_us
        return np.append(np.arange(0, end, step, dtype=np.int64), end)

    def timestamps(self, times_us: Array) -> Array:
        """Calendar times (``datetime64[us]``) of simulated times in microseconds."""
        return np.datetime64(self.scenario.spec.start, "us") + times_us.astype("timedelta64[us]")

    @property
    def causes(self) -> tuple[str, ...]:
        """Every cause once, in the order of the moves."""
        return tuple(dict.fromkeys(cause for _, _, cause in self.names.moves))


@lru_cache(maxsize=64)
def _names(names: tuple[str, ...]) -> pd.CategoricalDtype:
    """Names as a type of columns; making one takes longer than a column of it."""
    return pd.CategoricalDtype(pd.Index(list(names), dtype=str))


def category(codes: Array, names: Sequence[str]) -> Any:
    """Categorical column from numbers; -1 is empty."""
    return pd.Categorical.from_codes(codes, dtype=_names(tuple(names)), validate=False)


BAN_COLUMNS = ("joined", "ever_banned", "banned", "wrongly_banned")
"""Counts of the table of bans."""


@dataclass(frozen=True)
class Counts:
    """Numbers of one replication, as arrays over grid times G, segments S, states X, kinds K and severities V.

    Attributes
    ----------
    tally
        What they were made from.
    moves
        (G, S, M) int64: moves in the grid interval that ends at a grid time, whatever the account's mark.
    occupancy
        (G, S, X) int64: accounts in each state.
    bans
        (G, S, 4) int64: `BAN_COLUMNS`.
    entries
        (S, X) int64.
    account_days, audience_days
        (S, X) float64.
    wronged
        (S, 2, 2) float64: days of accounts marked wrongful in states that restrict them, and in bans: sum over accounts, and sum of squares.
    violations
        (S, K, V, 2) int64: all of them, and those detected.
    waits
        For each desk its row of the table of waits.
    """

    tally: Tally
    moves: Array
    occupancy: Array
    bans: Array
    entries: Array
    account_days: Array
    audience_days: Array
    wronged: Array
    violations: Array
    waits: tuple[dict[str, float], ...]


def counts_of(tally: Tally, codes: Codes) -> Counts:
    """The arithmetic of all tables."""
    moves = tally.moves.sum(axis=3)
    occupancy = _occupancy(moves, codes.names)
    return Counts(
        tally=tally,
        moves=moves,
        occupancy=occupancy,
        bans=_bans(tally, moves, occupancy, codes),
        entries=_entries(moves, codes.names),
        account_days=_days(tally.sojourn),
        audience_days=_days(tally.audience),
        wronged=_wronged(tally),
        violations=np.stack((tally.violations.sum(axis=3), tally.violations[..., 1]), axis=3),
        waits=tuple(_wait(desk, tally, moves, codes) for desk in range(len(codes.names.desks))),
    )


def tables_of(counts: Counts, codes: Codes, replication: int) -> dict[str, pd.DataFrame]:
    """All tables of one replication but its histories."""
    tables = {
        "occupancy": _occupancy_table(counts.occupancy, codes),
        "bans": _bans_table(counts.bans, codes),
        "transitions": _transitions(counts.tally, codes),
        "states": _states(counts, codes),
        "violations": _violations(counts.violations, codes),
        "desks": _desks(counts.tally, counts.moves, codes),
        "waits": _waits_table(counts.waits, codes),
    }
    for table in tables.values():
        table.insert(0, "replication", np.int64(replication))
    return tables


def _occupancy(moves: Array, names: Names) -> Array:
    """Accounts in each state at each grid time: (G, S, X)."""
    grid, segments, _ = moves.shape
    change = np.zeros((grid, segments, len(names.states)), np.int64)
    for move, (origin, to, _) in enumerate(names.moves):
        change[:, :, to] += moves[:, :, move]
        if origin >= 0:
            change[:, :, origin] -= moves[:, :, move]
    return change.cumsum(axis=0)


def _grid_columns(codes: Codes, *sizes: int) -> list[Array]:
    """Index columns of a dense table over (grid time, ...)."""
    return [axis.ravel() for axis in np.indices((len(codes.grid), *sizes))]


def _occupancy_table(occupancy: Array, codes: Codes) -> pd.DataFrame:
    time, segment, state = _grid_columns(codes, len(codes.names.segments), len(codes.names.states))
    return pd.DataFrame(
        {
            "time": codes.timestamps(codes.grid)[time],
            "segment": category(segment, codes.names.segments),
            "state": category(state, codes.names.states),
            "accounts": occupancy.ravel(),
        }
    )


def _bans(tally: Tally, moves: Array, occupancy: Array, codes: Codes) -> Array:
    """The counts of `BAN_COLUMNS`: (G, S, 4)."""
    first_bans = tally.first_bans.cumsum(axis=0)
    joined = moves[:, :, 0].cumsum(axis=0)
    banned = occupancy[:, :, codes.law.bans != 0].sum(axis=2)
    return np.stack((joined, first_bans.sum(axis=2), banned, first_bans[:, :, 1]), axis=2)


def _bans_table(bans: Array, codes: Codes) -> pd.DataFrame:
    time, segment = _grid_columns(codes, len(codes.names.segments))
    return pd.DataFrame(
        {
            "time": codes.timestamps(codes.grid)[time],
            "segment": category(segment, codes.names.segments),
            **{column: bans[:, :, place].ravel() for place, column in enumerate(BAN_COLUMNS)},
        }
    )


def _move_columns(move: Array, codes: Codes) -> dict[str, pd.Categorical]:
    """Names of moves: from_state, to_state, cause."""
    causes = {cause: number for number, cause in enumerate(codes.causes)}
    triples = np.array([(origin, to, causes[cause]) for origin, to, cause in codes.names.moves], np.int64)
    return {
        "from_state": category(triples[move, 0], codes.names.states),
        "to_state": category(triples[move, 1], codes.names.states),
        "cause": category(triples[move, 2], codes.causes),
    }


def _transitions(tally: Tally, codes: Codes) -> pd.DataFrame:
    """Only intervals in which a move was made have a row."""
    time, segment, move, wrongful = np.nonzero(tally.moves)
    return pd.DataFrame(
        {
            "time": codes.timestamps(codes.grid)[time],
            "segment": category(segment, codes.names.segments),
            **_move_columns(move, codes),
            "wrongful": wrongful == 1,
            "transitions": tally.moves[time, segment, move, wrongful],
        }
    )


def _days(words: Array) -> Array:
    """Days in 128-bit sums of microseconds, (…, 2) uint64: exact up to the last division."""
    days = [(low + (high << 64)) / DAY_US for low, high in words.reshape(-1, 2).tolist()]
    return np.array(days, np.float64).reshape(words.shape[:-1])


def _wronged(tally: Tally) -> Array:
    """Sum over accounts of their days, and of the squares of these: (S, 2, 2) float64."""
    days = _days(tally.wronged)
    squares = (tally.wronged[..., 1, 0] + tally.wronged[..., 1, 1] * 2.0**64) / 86_400.0**2
    return np.stack((days[..., 0], squares), axis=-1)


def _entries(moves: Array, names: Names) -> Array:
    """Entries into each state: (S, X)."""
    entries = np.zeros((moves.shape[1], len(names.states)), np.int64)
    made = moves.sum(axis=0)
    for move, (_, to, _) in enumerate(names.moves):
        entries[:, to] += made[:, move]
    return entries


def _states(counts: Counts, codes: Codes) -> pd.DataFrame:
    segment, state = (axis.ravel() for axis in np.indices(counts.entries.shape))
    return pd.DataFrame(
        {
            "segment": category(segment, codes.names.segments),
            "state": category(state, codes.names.states),
            "entries": counts.entries.ravel(),
            "accounts_ever": counts.tally.ever.ravel(),
            "account_days": counts.account_days.ravel(),
            "audience_days": counts.audience_days.ravel(),
        }
    )


def _violations(violations: Array, codes: Codes) -> pd.DataFrame:
    segment, kind, severity = (axis.ravel() for axis in np.indices(violations.shape[:3]))
    genuine = np.array([v.genuine for v in codes.scenario.spec.violations.values()], bool)
    return pd.DataFrame(
        {
            "segment": category(segment, codes.names.segments),
            "kind": category(kind, codes.names.kinds),
            "severity": category(severity, codes.names.severities),
            "genuine": genuine[kind],
            "violations": violations[..., 0].ravel(),
            "detected": violations[..., 1].ravel(),
        }
    )


def _queue(desk: int, tally: Tally, moves: Array, codes: Codes) -> tuple[Array, Array, Array]:
    """Per grid interval: accounts that came before a desk, that left it unserved, and services that ended."""
    before = [number for number, row in enumerate(codes.law.states[0]) if row["desk"] == desk]
    came, left, ended = (np.zeros(len(codes.grid), np.int64) for _ in range(3))
    for move, (origin, to, cause) in enumerate(codes.names.moves):
        made = moves[:, :, move].sum(axis=1)
        if to in before:
            came += made
        if origin in before:
            if cause == "served":
                ended += made
            else:
                left += made
    return came, left, ended


def _staff(desk: int, codes: Codes) -> tuple[Array, Array]:
    row = codes.law.desks[desk]
    part = slice(row["staff_first"], row["staff_first"] + row["staff_count"])
    return codes.law.staff_from[part], codes.law.staff[part]


def _desks(tally: Tally, moves: Array, codes: Codes) -> pd.DataFrame:
    time, desk = _grid_columns(codes, len(codes.names.desks))
    waiting, busy, reviewers = (np.zeros((len(codes.grid), len(codes.names.desks)), np.int64) for _ in range(3))
    for number in range(len(codes.names.desks)):
        came, left, ended = _queue(number, tally, moves, codes)
        starts = tally.starts[:, number]
        waiting[:, number] = (came - left - starts).cumsum()
        busy[:, number] = (starts - ended).cumsum()
        begins, staff = _staff(number, codes)
        reviewers[:, number] = staff[np.searchsorted(begins, codes.grid, side="right") - 1]
    unlimited = reviewers.ravel() == UNLIMITED
    return pd.DataFrame(
        {
            "time": codes.timestamps(codes.grid)[time],
            "desk": category(desk, codes.names.desks),
            "waiting": waiting.ravel(),
            "busy": busy.ravel(),
            "reviewers": pd.arrays.IntegerArray(np.where(unlimited, 0, reviewers.ravel()), unlimited),
        }
    )


def wait_quantile(histogram: Array, share: float) -> float:
    """Wait in microseconds that the given share of those served did not exceed: the middle of its bucket, off by under 0.8 %."""
    total = int(histogram.sum())
    if total == 0:
        return float("nan")
    rank = max(1, int(np.ceil(share * total)))
    return bucket_middle(int(np.searchsorted(histogram.cumsum(), rank)))


def _wait(desk: int, tally: Tally, moves: Array, codes: Codes) -> dict[str, float]:
    """A desk's row of the table of waits."""
    _, left, _ = _queue(desk, tally, moves, codes)
    count = int(tally.starts[:, desk].sum())
    begins, staff = _staff(desk, codes)
    lengths = np.diff(np.append(begins, codes.scenario.spec.end_us))
    unlimited = bool((staff == UNLIMITED).any())
    staffed = 0 if unlimited else sum(int(n) * int(length) for n, length in zip(staff, lengths, strict=True))
    waited, worked = float(_days(tally.waited[desk])), float(_days(tally.worked[desk]))
    return {
        "served": count,
        "left": int(left.sum()),
        "mean_hours": waited * 24.0 / count if count else float("nan"),
        "p50_hours": wait_quantile(tally.waits[desk], 0.50) / HOUR_US,
        "p95_hours": wait_quantile(tally.waits[desk], 0.95) / HOUR_US,
        "p99_hours": wait_quantile(tally.waits[desk], 0.99) / HOUR_US,
        "utilisation": worked * DAY_US / staffed if staffed else float("nan"),
    }


def _waits_table(rows: Sequence[dict[str, float]], codes: Codes) -> pd.DataFrame:
    types = dict.fromkeys(("served", "left"), np.int64) | dict.fromkeys(
        ("mean_hours", "p50_hours", "p95_hours", "p99_hours", "utilisation"), np.float64
    )
    numbers = {name: np.array([row[name] for row in rows], kind) for name, kind in types.items()}
    return pd.DataFrame({"desk": category(np.arange(len(rows)), codes.names.desks), **numbers})


def histories_of(events: Array, codes: Codes, replication: int) -> pd.DataFrame:
    """Histories from rows of `sim.engines.tally.EVENT`, in the order given."""
    missing = events["strikes"] < 0
    return pd.DataFrame(
        {
            "replication": np.full(len(events), replication, np.int64),
            "segment": category(events["segment"].astype(np.int64), codes.names.segments),
            "account": events["account"].astype(np.int64),
            "time": codes.timestamps(events["time"]),
            **_move_columns(events["move"], codes),
            "kind": category(events["kind"].astype(np.int64), codes.names.kinds),
            "severity": category(events["severity"].astype(np.int64), codes.names.severities),
            "strikes": pd.arrays.IntegerArray(np.where(missing, 0, events["strikes"]).astype(np.int64), missing),
            "wrongful": events["wrongful"] == 1,
        }
    )
