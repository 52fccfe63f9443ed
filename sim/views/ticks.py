"""Numbers and dates on axes: shares as percent, accounts as counts, simulated time as dates; percent ticks show as many digits as they differ by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.ticker import (
    AutoLocator,
    Formatter,
    FuncFormatter,
    Locator,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
)
from numpy.typing import NDArray

from sim.views.words import count, percent


class PercentTicks(Formatter):
    """Percent ticks with the decimals by which neighbouring ticks differ.

    Parameters
    ----------
    log
        Ticks of a logarithmic axis: every tick has its own number of digits.
    """

    def __init__(self, *, log: bool = False) -> None:
        self.log = log

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Write one tick."""
        return percent(x)

    def format_ticks(self, values: Sequence[float] | NDArray[np.float64]) -> list[str]:
        """Write all ticks of an axis."""
        shares = np.asarray(values, dtype=float)
        if self.log or len(shares) < 2:
            return [percent(share) for share in shares]
        step = 100.0 * float(np.min(np.diff(np.unique(shares)), initial=np.inf))
        if not np.isfinite(step) or step <= 0:
            return [percent(share) for share in shares]
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        if abs(step * 10**decimals - round(step * 10**decimals)) > 1e-6:
            decimals += 1
        return [percent(share, decimals) for share in shares]


class CountTicks(Formatter):
    """Ticks of a number of accounts or reviewers."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Write one tick."""
        return count(x)


def _log_locator(low: float, high: float) -> Locator:
    """Tick every decade, or 1-3 or 1-2-5 where there are few of them."""
    decades = math.log10(high / low) if low > 0 and high > low else 0.0
    subs = (1.0,) if decades > 4 else (1.0, 3.0) if decades > 2 else (1.0, 2.0, 5.0)
    return LogLocator(base=10, subs=subs, numticks=11)


def days_axis(ax: Axes, days: NDArray[np.float64], *, log: bool = False) -> None:
    """Give the x axis the limits of some days; a logarithmic one begins at the first of them above 0, and its ticks are plain numbers."""
    last = float(days.max()) or 1.0
    if not log:
        ax.set_xlim(0.0, last)
        return
    first = float(days[days > 0].min())
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(base=10, subs=(1.0,) if last > 100 * first else (1.0, 3.0)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(first, last)


def value_axis(ax: Axes, *, shares: bool, log: bool = False, limits: tuple[float, float] = (0.0, 1.0)) -> None:
    """Give the y axis its scale, limits and ticks.

    Parameters
    ----------
    ax
        Axes to change.
    shares
        Shares (0..1) written as percent; otherwise counts.
    log
        A logarithmic scale; zeros are not drawn on it.
    limits
        Lower and upper limit; the lower one is positive on a logarithmic scale.
    """
    if log:
        ax.set_yscale("log", nonpositive="mask")
        ax.yaxis.set_major_locator(_log_locator(*limits))
        ax.yaxis.set_minor_locator(NullLocator())
    else:
        ax.set_yscale("linear")
        ax.yaxis.set_major_locator(AutoLocator() if shares else MaxNLocator(nbins=6, integer=True))
    ax.set_ylim(*limits)
    ax.yaxis.set_major_formatter(PercentTicks(log=log) if shares else CountTicks())
    ax.yaxis.set_minor_formatter(NullFormatter())


def days_of(time: datetime | np.datetime64) -> float:
    """Give a time as matplotlib counts it on a calendar axis, in days."""
    return float(date2num(np.datetime64(pd.Timestamp(time), "us")))  # type: ignore[no-untyped-call]


def time_axis(ax: Axes, times: NDArray[np.datetime64]) -> None:
    """Make x a calendar axis over the grid; one grid time alone gets a day around it."""
    first, last = days_of(times[0]), days_of(times[-1])
    if last <= first:
        ax.set_xlim(first - 0.5, last + 0.5)
        ax.set_xticks([first], [str(times[0].astype("datetime64[m]")).replace("T", " ")])
        return
    locator = AutoDateLocator(minticks=3, maxticks=8, tz="UTC")  # type: ignore[no-untyped-call]
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz="UTC"))  # type: ignore[no-untyped-call]
    ax.set_xlim(first, last)
