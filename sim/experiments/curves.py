"""Differences over time of the ban rate and the wrongful ban rate between two scenarios, with 95 % limits."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from sim.experiments.paired import Sample
from sim.experiments.work import BAN_CURVES
from sim.model.jit import NEVER, Array
from sim.results.intervals import paired_shares, student
from sim.results.outcome import Outcome
from sim.results.tables import Codes

CURVES = ("measure", "segment", "time", "a", "b", "difference", "low", "high")
SHARES = {"ban_rate": "ever_banned", "wrongful_ban_rate": "wrongly_banned"}
"""Measures that have a curve, and the count behind each."""


def common_segments(a: Codes, b: Codes) -> list[str]:
    """Segments that both scenarios have, and ``""`` for all accounts together where a scenario has several."""
    both = [name for name in a.names.segments if name in b.names.segments]
    return ["", *both] if max(len(a.names.segments), len(b.names.segments)) > 1 else both


def _rates(outcomes: Sequence[Outcome], codes: Codes, column: str, segment: str) -> Array:
    """Share of joined accounts, (replications, grid times)."""
    bans = np.stack([each.bans for each in outcomes])
    if segment:
        bans = bans[:, :, [codes.names.segments.index(segment)]]
    counts, joined = (bans[..., BAN_CURVES.index(name)].sum(axis=2) for name in (column, "joined"))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(counts / joined, dtype=np.float64)


def replication_curves(a: Codes, b: Codes, of_a: Sequence[Outcome], of_b: Sequence[Outcome]) -> pd.DataFrame:
    """Mean differences by grid time, with Student limits over replications; without limits for one replication."""
    parts = []
    for measure, column in SHARES.items():
        for segment in common_segments(a, b):
            mine, theirs = _rates(of_a, a, column, segment), _rates(of_b, b, column, segment)
            changes = theirs - mine
            limits = (
                np.array([student(row) for row in changes.T]) if len(of_a) > 1 else np.full((len(a.grid), 2), math.nan)
            )
            parts.append(
                pd.DataFrame(
                    {
                        "measure": measure,
                        "segment": segment,
                        "time": a.timestamps(a.grid),
                        "a": mine.mean(axis=0),
                        "b": theirs.mean(axis=0),
                        "difference": changes.mean(axis=0),
                        "low": limits[:, 0],
                        "high": limits[:, 1],
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def _only(times: Array, other: Array, grid: Array) -> Array:
    """Accounts that by each grid time have the event of `times` and not that of `other`."""
    before = times < other
    begins = np.bincount(np.searchsorted(grid, times[before]), minlength=len(grid) + 1)
    ends = np.bincount(np.searchsorted(grid, other[before]), minlength=len(grid) + 1)
    return np.asarray((begins - ends).cumsum()[: len(grid)])


def sample_curves(sample: Sample, codes: Codes, curves: pd.DataFrame, joined: Array) -> pd.DataFrame:
    """The same curves with limits from the accounts, each compared with itself.

    Parameters
    ----------
    joined
        (G, S): accounts of each segment of A that have joined by each grid time.
    """
    pairs, grid = sample.pairs, codes.grid
    bans = [lives.first_bans(pairs.words) for lives in (pairs.a, pairs.b)]
    curves = curves.copy()
    for measure in SHARES:
        times = [when if measure == "ban_rate" else np.where(wrong, when, NEVER) for when, wrong in bans]
        for segment in dict.fromkeys(curves["segment"]):
            parts = sample.parts(segment)
            if not parts:
                continue
            mine, theirs = (
                each[np.isin(pairs.segments, [sample.segment_of(name) for name in parts])] for each in times
            )
            trials = joined[:, [codes.names.segments.index(name) for name in parts]].sum(axis=1)
            low, high = paired_shares(_only(mine, theirs, grid), _only(theirs, mine, grid), trials)
            rows = (curves["measure"] == measure) & (curves["segment"] == segment)
            curves.loc[rows, "low"], curves.loc[rows, "high"] = low, high
    return curves
