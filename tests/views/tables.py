"""Builds tables of a run as an engine would leave them: a small ladder with loops, consistent with each other.

The lives are drawn from multinomials, not from the law: the figures need tables that add up, not a model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

STATES = (
    "compliant",
    "warned",
    "rectifying",
    "under_review",
    "restricted",
    "banned",
    "appealing",
    "upheld",
    "left",
)
# Daily chances of moves; violations scale the ones out of "compliant".
MOVES: dict[tuple[str, str], float] = {
    ("compliant", "warned"): 0.010,
    ("compliant", "rectifying"): 0.004,
    ("compliant", "banned"): 0.0008,
    ("compliant", "left"): 0.0002,
    ("warned", "compliant"): 0.03,
    ("warned", "rectifying"): 0.02,
    ("warned", "banned"): 0.002,
    ("rectifying", "under_review"): 0.2,
    ("rectifying", "restricted"): 0.08,
    ("rectifying", "rectifying"): 0.02,
    ("rectifying", "banned"): 0.003,
    ("under_review", "compliant"): 0.6,
    ("under_review", "restricted"): 0.1,
    ("restricted", "under_review"): 0.06,
    ("restricted", "banned"): 0.03,
    ("banned", "appealing"): 0.02,
    ("appealing", "upheld"): 0.2,
    ("appealing", "compliant"): 0.05,
}


@dataclass(frozen=True)
class People:
    """A segment: its accounts, and how much likelier they violate than others."""

    accounts: int
    trouble: float = 1.0
    joins_over_days: int = 0


def tables(
    segments: Mapping[str, People],
    *,
    days: int = 90,
    runs: int = 1,
    seed: int = 1,
    wave_day: int | None = 30,
    moves: Mapping[tuple[str, str], float] = MOVES,
    states: Sequence[str] = STATES,
    start: str = "2022-06-20",
) -> dict[str, pd.DataFrame]:
    """Build `occupancy`, `bans` and `transitions` of a run on a daily grid, whose sums agree."""
    rng = np.random.default_rng(seed)
    grid = np.datetime64(start, "us") + np.arange(days + 1) * np.timedelta64(86_400_000_000, "us")
    occupancy, bans, transitions = [], [], []
    for run in range(runs):
        for segment, people in segments.items():
            inside = dict.fromkeys(states, 0)
            never = dict.fromkeys(states, 0)  # of those inside, how many were never banned
            ever = wrong = 0
            for day, time in enumerate(grid):
                goal = (
                    people.accounts
                    if not people.joins_over_days
                    else int(people.accounts * min(day / people.joins_over_days, 1))
                )
                new = goal - sum(inside.values())
                row = [run, time, segment]
                if new:
                    inside[states[0]] += new
                    never[states[0]] += new
                    transitions.append([*row, None, states[0], "joined", False, new])
                if day:
                    going: list[tuple[str, str, int, str]] = []
                    for source in states:
                        exits = [(to, p) for (a, to), p in moves.items() if a == source]
                        chances = np.array([p * (people.trouble if source == states[0] else 1) for _, p in exits])
                        chances = np.minimum(chances, 0.9 / max(len(exits), 1)) if len(exits) else chances
                        drawn = rng.multinomial(inside[source], [*chances, 1 - chances.sum()])[:-1]
                        going += [(source, to, int(n), "decision") for (to, _), n in zip(exits, drawn, strict=True)]
                    if day == wave_day and "banned" in states:
                        left = inside[states[0]] - sum(n for a, _, n, _ in going if a == states[0])
                        going.append((states[0], "banned", min(8, left), "wave:closure_order"))
                    for source, target, number, cause in going:
                        if not number:
                            continue
                        fresh = int(rng.binomial(number, never[source] / inside[source]))
                        fresh = min(max(fresh, number - inside[source] + never[source]), never[source])
                        inside[source] -= number
                        never[source] -= fresh
                        transitions.append([*row, source, target, cause, False, number])
                        inside[target] += number
                        if target == "banned":
                            ever += fresh
                            wrong += int(rng.binomial(fresh, 0.1))
                        else:
                            never[target] += fresh
                occupancy += [[*row, state, inside[state]] for state in states]
                bans.append([*row, sum(inside.values()), ever, inside.get("banned", 0), wrong])
    names = list(segments)
    return {
        "occupancy": _frame(occupancy, ["replication", "time", "segment", "state", "accounts"], names, states),
        "bans": _frame(
            bans, ["replication", "time", "segment", "joined", "ever_banned", "banned", "wrongly_banned"], names, states
        ),
        "transitions": _frame(
            transitions,
            ["replication", "time", "segment", "from_state", "to_state", "cause", "wrongful", "transitions"],
            names,
            states,
        ),
    }


def desk_table(
    reviewers: Mapping[str, int | None],
    *,
    days: int = 90,
    runs: int = 1,
    hours_step: int = 24,
    open_hours: tuple[int, int] | None = None,
    load: float = 0.9,
    seed: int = 2,
    start: str = "2022-06-20",
) -> pd.DataFrame:
    """Build a table `desks`: a queue worked off within opening hours (closed: no reviewers)."""
    rng = np.random.default_rng(seed)
    hours = np.arange(0, days * 24 + 1, hours_step)
    grid = np.datetime64(start, "us") + hours * np.timedelta64(3_600_000_000, "us")
    rows = []
    for run in range(runs):
        for desk, crew in reviewers.items():
            queue = 0
            for hour, time in zip(hours, grid, strict=True):
                is_open = open_hours is None or open_hours[0] <= hour % 24 < open_hours[1]
                here = (crew if is_open else 0) if crew is not None else None
                rush = 1.25 if 0.4 < hour / max(hours[-1], 1) < 0.55 else 1.0
                staffed = 1.0 if open_hours is None else (open_hours[1] - open_hours[0]) / 24
                arrivals = int(rng.poisson((crew or 20) * load * rush * hours_step * staffed))
                busy = queue + arrivals if here is None else min(queue + arrivals, here)
                queue = 0 if here is None else max(queue + arrivals - here * hours_step, 0)
                rows.append([run, time, desk, queue, busy, here])
    frame = pd.DataFrame(rows, columns=["replication", "time", "desk", "waiting", "busy", "reviewers"])
    frame["time"] = frame["time"].astype("datetime64[us]")
    frame["desk"] = pd.Categorical(frame["desk"], categories=list(reviewers))
    return frame.astype({"waiting": "int64", "busy": "int64", "reviewers": "Int64"})


def _frame(
    rows: list[list[object]], columns: list[str], segments: Sequence[str], states: Sequence[str]
) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=columns)
    frame["time"] = frame["time"].astype("datetime64[us]")
    frame["segment"] = pd.Categorical(frame["segment"], categories=list(segments))
    for column in ("state", "from_state", "to_state"):
        if column in frame:
            frame[column] = pd.Categorical(frame[column], categories=list(states))
    return frame
