"""The ledger of wrongful enforcement: who was banned wrongfully, how long accounts were wrongfully restricted, and what appeals made good.

An account is marked wrongful while the last decision or order against it was for something that broke no rule (`sim/model/README.md`).

=====================  ====================================================================================================
wrongful bans          accounts whose first ban was wrongful: table `bans`, limits as in the summary
wrongly restricted     account-days of accounts marked wrongful in states that restrict them, and in bans: the summary's
overturned             services before an appeal desk that led a wrongly banned account to a state in which it may act again
=====================  ====================================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.results.intervals import student, wilson
from sim.results.summary import WRONGED_MEASURES
from sim.scenario import Spec
from sim.views.curves import Floats, names_in


@dataclass(frozen=True)
class Entry:
    """One line: `value` with 95 % limits (NaN: not known)."""

    measure: str
    segment: str
    value: float
    low: float
    high: float
    unit: str


def appeal_states(spec: Spec) -> tuple[str, ...]:
    """States before a desk into which a ban leads."""
    states = spec.ladder.states
    behind = {way.to for ban in spec.ladder.bans for way in states[ban].exits.values()}
    return tuple(name for name in states if name in behind and states[name].desk)


def _days_entry(name: str, measure: str, segment: str, summary: pd.DataFrame) -> Entry:
    row = summary[(summary["measure"] == measure) & (summary["segment"] == segment)].iloc[0]
    return Entry(name, segment, float(row["value"]), float(row["low"]), float(row["high"]), str(row["unit"]))


def _count_entry(measure: str, segment: str, counts: Floats, trials: Floats, independent: bool) -> Entry:
    """A number of accounts with limits: over replications, or of the share among `trials`."""
    low, high = np.nan, np.nan
    if len(counts) > 1:
        low, high = student(counts.tolist())
        low = max(low, 0.0)
    elif independent and trials[0] > 0:
        low, high = (limit * trials[0] for limit in wilson(int(counts[0]), int(trials[0])))
    return Entry(measure, segment, float(counts.mean()), low, high, "accounts")


def _answers(moves: pd.DataFrame, runs: NDArray[np.int64]) -> Floats:
    """Moves in each replication."""
    counted = moves.groupby("replication")["transitions"].sum().reindex(runs, fill_value=0)
    return np.asarray(counted.to_numpy(dtype=float))


def ledger(
    spec: Spec, bans: pd.DataFrame, transitions: pd.DataFrame, summary: pd.DataFrame, *, independent: bool
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
    for segment, chosen in groups:
        ends = last[last["segment"].isin(chosen)].groupby("replication")[["joined", "wrongly_banned"]].sum()
        wrong, joined = ends["wrongly_banned"].to_numpy(dtype=float), ends["joined"].to_numpy(dtype=float)
        entries.append(_count_entry("wrongful bans", segment, wrong, joined, independent))
        for name, measure in zip(("wrongly restricted", "wrongly banned"), WRONGED_MEASURES, strict=True):
            entries.append(_days_entry(name, measure, segment, summary))
        if appeals:
            moves = transitions[transitions["segment"].isin(chosen)]
            heard = moves[moves["from_state"].isin(appeals) & (moves["cause"] == "served") & moves["wrongful"]]
            reversed_, answered = (_answers(rows, runs) for rows in (heard[heard["to_state"].isin(answers)], heard))
            entries.append(_count_entry("overturned by appeal", segment, reversed_, answered, independent))
            entries.append(_count_entry("wrongful bans upheld", segment, answered - reversed_, answered, independent))
    return entries
