"""Baseline and what-if run side by side on the same accounts, and what is to be read from them."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import pandas as pd

from sim.experiments.compare import Compared, compare_scenarios
from sim.experiments.estimate import check_events
from sim.experiments.replications import Collected, Settings, run_in_memory
from sim.scenario import Scenario
from sim.views.app.sample import Sample, check_size, sample

MOST_EVENTS = 1 << 21
"""Events that are held to compare lives one by one; with more of them, the first accounts of each segment are compared."""
HEADLINES = {"ban_rate": "ever banned", "wrongful_ban_rate": "wrongly banned", "banned_share": "banned at the end"}
MOST_FLIPS = 10
DESK_MEASURES = {
    "desk_served": "served",
    "desk_mean_wait": "mean wait",
    "desk_p95_wait": "95 % wait less than",
    "desk_utilisation": "utilisation",
}
ALL = "all accounts"
MOST_PICTURES = 12
"""Pictures that all sessions together keep."""
SEED = 1
"""Of the first picture."""

Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Picture:
    """Two runs of the same accounts, and their differences; equal to none but itself.

    Attributes
    ----------
    sample
        The accounts, of how many.
    baseline, what_if
        The runs, as `enforcement-sim run` makes them.
    compared
        Paired differences, as `enforcement-sim compare` makes them.
    """

    sample: Sample
    baseline: Collected
    what_if: Collected
    compared: Compared


def draw(base: Scenario, other: Scenario, seed: int, progress: Progress, *, most: int | None = None) -> Picture:
    """Run both and compare them.

    Parameters
    ----------
    base, other
        Baseline and what-if, both whole.
    most
        Accounts of the sample; none: all accounts.
    progress
        Told the share that is done; what it raises ends the runs.

    Raises
    ------
    ScenarioError
        They are too large for the app (`sim.views.app.sample.check_size`), or would make more events than `sim.experiments.estimate.LIMIT`.
    """
    for scenario in (base, other):
        check_size(scenario)
    total = sum(segment.accounts for segment in base.spec.segments.values())
    part = Sample({}, total, total, True) if most is None else sample(base, other, most)
    a, b = (scenario.with_values(part.changes) if part.changes else scenario for scenario in (base, other))
    check_events((a, b), otherwise="use `enforcement-sim run` with --force")
    settings = Settings(seed)
    first = run_in_memory(a, settings, lambda share: progress(0.25 * share))
    same = a.sha256() == b.sha256()
    second = first if same else run_in_memory(b, settings, lambda share: progress(0.25 + 0.25 * share))
    compared = compare_scenarios(
        [a, b], seed=seed, progress=lambda share: progress(0.5 + 0.5 * share), most_rows=MOST_EVENTS
    )
    return Picture(part, first, second, compared)


class Pictures:
    """The latest pictures, by what their scenarios say and the seed. Who asks for one that is being drawn waits for it."""

    def __init__(self, most: int = MOST_PICTURES) -> None:
        self._most = most
        self._kept: OrderedDict[tuple[str, str, int], Picture] = OrderedDict()
        self._under_way: dict[tuple[str, str, int], threading.Lock] = {}
        self._guard = threading.Lock()

    def get(self, base: Scenario, other: Scenario, seed: int, made: Callable[[], Picture]) -> Picture:
        """The picture of two scenarios; `made` draws it if it is not there, and what it raises is raised."""
        key = (base.sha256(), other.sha256(), seed)
        with self._guard:
            turn = self._under_way.setdefault(key, threading.Lock())
        with turn:
            with self._guard:
                found = self._kept.get(key)
            if found is None:
                found = made()
            with self._guard:
                self._kept[key] = found
                self._kept.move_to_end(key)
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
                self._under_way = {each: lock for each, lock in self._under_way.items() if lock.locked()}
            return found


@cache
def pictures() -> Pictures:
    """Those that all sessions of this process share."""
    return Pictures()


def _rows(picture: Picture, measures: Iterable[str]) -> pd.DataFrame:
    """Rows of differences; sums over segments that are cut to different shares mean nothing and are left out."""
    rows = picture.compared.differences
    rows = rows[rows["measure"].isin(list(measures))]
    return rows if picture.sample.even else rows[(rows["segment"] != "") | rows["measure"].isin(list(DESK_MEASURES))]


def percent(share: float) -> str:
    """A share in percent, three digits of it."""
    return "–" if math.isnan(share) else f"{100.0 * share:.3g} %"


def points(difference: float) -> str:
    """A difference of shares in points of a percent."""
    if math.isnan(difference):
        return "–"
    return "0" if difference == 0 else f"{100.0 * difference:+.3g}"


def _between(low: float, high: float) -> str:
    return "–" if math.isnan(low) else f"{points(low)} to {points(high)}"


def headlines(picture: Picture, measure: str, *, changed: bool) -> pd.DataFrame:
    """A measure by segment as text: baseline, what-if, paired difference and its limits; where nothing is changed the baseline and its own."""
    if not changed:
        rows = picture.baseline.summary
        rows = rows[(rows["measure"] == measure) & ((rows["segment"] != "") | picture.sample.even)]
        return pd.DataFrame(
            [
                {
                    "segment": row["segment"] or ALL,
                    "baseline": percent(row["value"]),
                    "95 % limits": "–"
                    if math.isnan(row["low"])
                    else f"{percent(row['low'])} to {percent(row['high'])}",
                }
                for row in rows.to_dict("records")
            ]
        )
    return pd.DataFrame(
        [
            {
                "segment": row["segment"] or ALL,
                "baseline": percent(row["a"]),
                "what-if": percent(row["b"]),
                "difference, points": points(row["difference"]),
                "95 % limits": _between(row["low"], row["high"]),
            }
            for row in _rows(picture, [measure]).to_dict("records")
        ]
    )


def desk_lines(picture: Picture) -> pd.DataFrame:
    """What desks did: baseline and what-if, as text."""
    units = {"accounts": "{:,.0f}", "hours": "{:.3g} h", "share": "{:.1%}"}
    found = [
        {
            "desk": row["state"],
            "measure": DESK_MEASURES[row["measure"]],
            "baseline": "–" if math.isnan(row["a"]) else units[row["unit"]].format(row["a"]),
            "what-if": "–" if math.isnan(row["b"]) else units[row["unit"]].format(row["b"]),
        }
        for row in _rows(picture, DESK_MEASURES).to_dict("records")
    ]
    return pd.DataFrame(found).set_index("desk")


def flip_lines(picture: Picture) -> pd.DataFrame:
    """The most frequent ways in which accounts end differently, as text."""
    table = picture.compared.flips
    table = table[table["ends_differently"]].head(MOST_FLIPS)
    words = {"fate_a": "baseline ends", "fate_b": "what-if ends", "rule": "first rule that differs"}
    return table[["segment", *words, "accounts"]].astype(str).rename(columns=words).set_index("segment")
