"""The ledger of wrongful enforcement: who was banned wrongfully, how long accounts were wrongfully restricted, and what appeals made good.

An account is marked wrongful while the last decision or order against it was for something that broke no rule (`sim/model/README.md`).

=====================  ====================================================================================================
wrongful bans          accounts whose first ban was wrongful: table `bans`, limits as in the summary
wrongly restricted     account-days of accounts marked wrongful in states that restrict them, and in bans: the summary's
overturned             services before an appeal desk that led a wrongly banned account to a state in which it may act again
=====================  ====================================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
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


def _appeals(spec: Spec, moves: pd.DataFrame, runs: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Appeals against wrongful bans in each replication: those that succeeded, and all that were answered."""
    free = {name for name, state in spec.ladder.states.items() if state.activity > 0} - set(spec.ladder.bans)
    heard = moves[moves["from_state"].isin(appeal_states(spec)) & (moves["cause"] == "served") & moves["wrongful"]]
    return _answers(heard[heard["to_state"].isin(free)], runs), _answers(heard, runs)


def remarks(spec: Spec) -> list[str]:
    """What a ledger of a scenario cannot hold, and why, in words."""
    told = []
    alarms = [name for name, kind in spec.violations.items() if not kind.genuine]
    if not alarms and all(wave.genuine for wave in spec.waves.values()):
        told.append(
            "No kind of violation and no order of this scenario is wrongful (genuine: false), so that nobody can be wronged: the zeros below follow "
            "from that."
        )
    if not spec.ladder.bans:
        told.append("No state of this ladder counts as a ban.")
    elif not appeal_states(spec):
        told.append("No ban of this ladder leads to a desk, so that no appeal is heard.")
    return told


def _groups(names: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
    """All segments together first, where there are several, then each."""
    each: list[tuple[str, tuple[str, ...]]] = [(name, (name,)) for name in names]
    return [("", tuple(names)), *each] if len(names) > 1 else each


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
    runs = np.unique(bans["replication"].to_numpy())
    entries: list[Entry] = []
    last = bans[bans["time"] == bans["time"].max()]
    for segment, chosen in _groups(names):
        ends = last[last["segment"].isin(chosen)].groupby("replication")[["joined", "wrongly_banned"]].sum()
        wrong, joined = ends["wrongly_banned"].to_numpy(dtype=float), ends["joined"].to_numpy(dtype=float)
        entries.append(_count_entry("wrongful bans", segment, wrong, joined, independent))
        for name, measure in zip(("wrongly restricted", "wrongly banned"), WRONGED_MEASURES, strict=True):
            entries.append(_days_entry(name, measure, segment, summary))
        if appeal_states(spec):
            reversed_, answered = _appeals(spec, transitions[transitions["segment"].isin(chosen)], runs)
            entries.append(_count_entry("overturned by appeal", segment, reversed_, answered, independent))
            entries.append(_count_entry("wrongful bans upheld", segment, answered - reversed_, answered, independent))
    return entries


def ledger_changes(
    specs: tuple[Spec, Spec], differences: pd.DataFrame, moves: tuple[pd.DataFrame, pd.DataFrame]
) -> pd.DataFrame:
    """The ledgers of two scenarios beside each other: rows as of a comparison's `differences`, by segment.

    Parameters
    ----------
    specs
        A and B.
    differences
        Of B from A.
    moves
        Of A and B over the whole run (`sim.experiments.traffic.MOVES`).
    """
    names = list(dict.fromkeys(name for spec in specs for name in spec.segments))
    runs = np.unique(np.concatenate([each["replication"].to_numpy() for each in moves]))
    parts = []
    for segment, chosen in _groups(names):
        rows = differences[differences["segment"] == segment]
        parts.append(rows[rows["measure"].isin(("wrongful_ban_rate", *WRONGED_MEASURES))])
        if any(appeal_states(spec) for spec in specs):
            counts = [
                _appeals(spec, each[each["segment"].isin(chosen)], runs)
                for spec, each in zip(specs, moves, strict=True)
            ]
            (won_a, all_a), (won_b, all_b) = counts
            overturned = _change("overturned by appeal", segment, won_a, won_b)
            parts.append(
                pd.DataFrame([overturned, _change("wrongful bans upheld", segment, all_a - won_a, all_b - won_b)])
            )
    return pd.concat(parts, ignore_index=True)


def _change(measure: str, segment: str, a: Floats, b: Floats) -> dict[str, object]:
    """A row of two numbers of accounts, with limits of their difference over replications."""
    low, high = student((b - a).tolist())
    means = {"a": a.mean(), "b": b.mean(), "difference": (b - a).mean()}
    named = {"measure": measure, "segment": segment, "state": "", "unit": "accounts"}
    return {**named, **means, "low": low, "high": high, "narrower": np.nan}
