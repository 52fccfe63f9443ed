"""Traffic: how often each move of the ladder was made, in experiments that keep no tables of their runs.

==============  ===========================================================================================
`moves_of`      replications of one scenario: a row for each replication, segment, move and mark
`Traffic`       many points, as they come in: each way from state to state, least and most among the points
`Curves`        many points: the ban rate over time at some of them
==============  ===========================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import pandas as pd

from sim.results.outcome import Moved, Outcome
from sim.results.tables import BAN_COLUMNS
from sim.scenario import Spec

MOVES = ("replication", *Moved._fields, "transitions")
"""Columns of `moves_of`; `from_state` is empty for accounts that joined."""
TRAFFIC = ("from_state", "to_state", "transitions", "least", "most")
"""Columns of `Traffic.table`."""
CURVES = ("point", "time", "ban_rate")
"""Columns of `Curves.table`."""
MOST_CURVES = 12
"""Points of which curves are kept."""


def moves_of(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """Moves of some replications; those that none made have no row."""
    rows = [(number, *moved, count) for number, each in enumerate(outcomes) for moved, count in each.moves.items()]
    return pd.DataFrame(rows, columns=list(MOVES)).astype({"transitions": "int64", "replication": "int64"})


class Traffic:
    """Moves from state to state at many points, of which only mean, least and most are kept."""

    def __init__(self) -> None:
        self._points = 0
        self._seen: dict[tuple[str, str], list[float]] = {}

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Take the replications of one more point, of all segments together."""
        here: dict[tuple[str, str], float] = {}
        for each in outcomes:
            for moved, count in each.moves.items():
                way = (moved.from_state, moved.to_state)
                here[way] = here.get(way, 0.0) + count / len(outcomes)
        for way in here.keys() | self._seen.keys():
            before = self._seen.setdefault(way, [0.0, 0.0 if self._points else math.inf, 0.0])
            moves = here.get(way, 0.0)
            self._seen[way] = [before[0] + moves, min(before[1], moves), max(before[2], moves)]
        self._points += 1

    @property
    def table(self) -> pd.DataFrame:
        """A row for each way (`TRAFFIC`): mean over the points, and what it is at the points where it is least and most."""
        rows = [(*way, total / self._points, low, high) for way, (total, low, high) in sorted(self._seen.items())]
        return pd.DataFrame(rows, columns=list(TRAFFIC))


class Curves:
    """Ban rate of all accounts over time, mean over replications, at `MOST_CURVES` of so many points: the first, the last, and evenly between."""

    def __init__(self, points: int) -> None:
        self._kept = set(np.linspace(0, points - 1, min(points, MOST_CURVES)).round().astype(int).tolist())
        self._parts: list[pd.DataFrame] = []

    def add(self, point: int, outcomes: Sequence[Outcome], spec: Spec) -> None:
        """Take the replications of a point."""
        if point not in self._kept:
            return
        bans = np.stack([each.bans.sum(axis=1) for each in outcomes])
        banned, joined = (bans[..., BAN_COLUMNS.index(name)] for name in ("ever_banned", "joined"))
        rates = np.where(joined > 0, banned / np.maximum(joined, 1), math.nan).mean(axis=0)
        times = [min(place * spec.observe_us, spec.end_us) for place in range(len(rates))]
        stamps = pd.DatetimeIndex([spec.start + timedelta(microseconds=time) for time in times]).as_unit("us")
        self._parts.append(pd.DataFrame({"point": point, "time": stamps, "ban_rate": rates}, columns=list(CURVES)))

    @property
    def table(self) -> pd.DataFrame:
        """A row for each point and grid time (`CURVES`)."""
        return pd.concat(self._parts, ignore_index=True)
