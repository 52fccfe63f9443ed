"""The ledger of wrongful enforcement: who was banned wrongfully, how long accounts were wrongfully restricted, and what appeals made good.

An account is marked wrongful while the last decision or order against it was for something that broke no rule (`sim/model/README.md`).

====================  =====================================================================================================
wrongful bans         accounts whose first ban was wrongful: table `bans`, limits as in the summary
account-days          accounts marked wrongful in a state, over time: moves in less moves out, between grid times along a line
overturned            services before an appeal desk that led a wrongly banned account to a state in which it may act again
====================  =====================================================================================================

Tables tell an account's mark after a move. Only decisions and waves change it, so all other moves tell it before the move too. Where a decision or
wave leads out of a restricted state, the mark before it is not in the tables: then account-days have a lower and an upper value, as if all such
moves, or none, had been of accounts marked wrongful.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.results.intervals import student, wilson
from sim.scenario import Spec
from sim.views.curves import Floats, names_in

DAY = np.timedelta64(86_400_000_000, "us")


@dataclass(frozen=True)
class Entry:
    """One line: `value` with 95 % limits (NaN: not known), and the values it must lie between whatever chance did (NaN: it is exact)."""

    measure: str
    segment: str
    value: float
    low: float
    high: float
    at_least: float
    at_most: float
    unit: str


def appeal_states(spec: Spec) -> tuple[str, ...]:
    """States before a desk into which a ban leads."""
    states = spec.ladder.states
    behind = {way.to for ban in spec.ladder.bans for way in states[ban].exits.values()}
    return tuple(name for name in states if name in behind and states[name].desk)


def _restricted(spec: Spec) -> tuple[str, ...]:
    states = spec.ladder.states
    return tuple(name for name in states if states[name].activity < 1.0 and name not in spec.ladder.bans)


def _over_time(rows: pd.DataFrame, runs: NDArray[np.int64], times: NDArray[np.datetime64]) -> Floats:
    """Moves so far, (replication, time)."""
    moved = np.zeros((len(runs), len(times)))
    at = np.searchsorted(times, rows["time"].to_numpy(dtype="datetime64[us]"))
    np.add.at(moved, (np.searchsorted(runs, rows["replication"]), at), rows["transitions"].to_numpy(dtype=float))
    return moved.cumsum(axis=1)


def wrongful_days(moves: pd.DataFrame, occupancy: pd.DataFrame, states: tuple[str, ...]) -> tuple[Floats, Floats]:
    """Account-days in some states of accounts marked wrongful: the least and the most they can have been, by replication."""
    times = np.unique(occupancy["time"].to_numpy(dtype="datetime64[us]"))
    runs = np.unique(occupancy["replication"].to_numpy())
    least, most = np.zeros((len(runs), len(times))), np.zeros((len(runs), len(times)))
    for state in states:
        here = occupancy[occupancy["state"] == state]
        held = np.zeros((len(runs), len(times)))
        at = np.searchsorted(times, here["time"].to_numpy(dtype="datetime64[us]"))
        np.add.at(held, (np.searchsorted(runs, here["replication"]), at), here["accounts"].to_numpy(dtype=float))
        out, cause = moves[moves["from_state"] == state], moves["cause"].astype(str)
        decided = out[cause.loc[out.index].str.startswith(("decision", "wave:"))]
        kept = out.drop(decided.index)
        came = _over_time(moves[(moves["to_state"] == state) & moves["wrongful"]], runs, times)
        upper = came - _over_time(kept[kept["wrongful"]], runs, times)
        least += np.clip(upper - _over_time(decided, runs, times), 0.0, held)
        most += np.clip(upper, 0.0, held)
    days = np.diff(times) / DAY
    return tuple(((each[:, 1:] + each[:, :-1]) / 2 * days).sum(axis=1) for each in (least, most))


def _days_entry(measure: str, segment: str, least: Floats, most: Floats) -> Entry:
    value = float((least.mean() + most.mean()) / 2)
    exact = bool(np.allclose(least, most))
    low, high = (student(least.tolist())[0], student(most.tolist())[1]) if len(least) > 1 else (np.nan, np.nan)
    bounds = (np.nan, np.nan) if exact else (float(least.mean()), float(most.mean()))
    return Entry(measure, segment, value, max(low, 0.0) if low == low else low, high, *bounds, "account-days")


def _count_entry(measure: str, segment: str, counts: Floats, trials: Floats, independent: bool) -> Entry:
    """A number of accounts with limits: over replications, or of the share among `trials`."""
    low, high = np.nan, np.nan
    if len(counts) > 1:
        low, high = student(counts.tolist())
        low = max(low, 0.0)
    elif independent and trials[0] > 0:
        low, high = (limit * trials[0] for limit in wilson(int(counts[0]), int(trials[0])))
    return Entry(measure, segment, float(counts.mean()), low, high, np.nan, np.nan, "accounts")


def _answers(moves: pd.DataFrame, runs: NDArray[np.int64]) -> Floats:
    """Moves in each replication."""
    counted = moves.groupby("replication")["transitions"].sum().reindex(runs, fill_value=0)
    return np.asarray(counted.to_numpy(dtype=float))


def _days_of(
    spec: Spec, segment: str, transitions: pd.DataFrame, occupancy: pd.DataFrame
) -> dict[str, tuple[Floats, Floats]]:
    """Wrongful account-days of a segment in restricted states and in bans."""
    moves, held = transitions[transitions["segment"] == segment], occupancy[occupancy["segment"] == segment]
    groups = {"wrongly restricted": _restricted(spec), "wrongly banned": spec.ladder.bans}
    return {measure: wrongful_days(moves, held, states) for measure, states in groups.items()}


def ledger(
    spec: Spec, bans: pd.DataFrame, transitions: pd.DataFrame, occupancy: pd.DataFrame, *, independent: bool
) -> list[Entry]:
    """The lines of the ledger: each measure by segment, and of all together first where there are several.

    Parameters
    ----------
    independent
        Whether accounts never meet, so that limits over the accounts of a single replication are honest.
    """
    names = names_in(bans["segment"])
    groups = (
        [("", names), *((name, (name,)) for name in names)] if len(names) > 1 else [(name, (name,)) for name in names]
    )
    appeals, free = appeal_states(spec), {name for name, state in spec.ladder.states.items() if state.activity > 0}
    answers = free - set(spec.ladder.bans)
    runs = np.unique(bans["replication"].to_numpy())
    entries: list[Entry] = []
    last = bans[bans["time"] == bans["time"].max()]
    days = {name: _days_of(spec, name, transitions, occupancy) for name in names}
    for segment, chosen in groups:
        ends = last[last["segment"].isin(chosen)].groupby("replication")[["joined", "wrongly_banned"]].sum()
        wrong, joined = ends["wrongly_banned"].to_numpy(dtype=float), ends["joined"].to_numpy(dtype=float)
        entries.append(_count_entry("wrongful bans", segment, wrong, joined, independent))
        for measure in ("wrongly restricted", "wrongly banned"):
            least, most = (sum(days[name][measure][end] for name in chosen) for end in (0, 1))
            entries.append(_days_entry(measure, segment, np.asarray(least), np.asarray(most)))
        if appeals:
            moves = transitions[transitions["segment"].isin(chosen)]
            heard = moves[moves["from_state"].isin(appeals) & (moves["cause"] == "served") & moves["wrongful"]]
            reversed_, answered = (_answers(rows, runs) for rows in (heard[heard["to_state"].isin(answers)], heard))
            entries.append(_count_entry("overturned by appeal", segment, reversed_, answered, independent))
            entries.append(_count_entry("wrongful bans upheld", segment, answered - reversed_, answered, independent))
    return entries
