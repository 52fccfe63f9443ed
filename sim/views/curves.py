"""From tables to what is drawn: sums on a grid, 95 % bands, and the few series a picture can hold.

=====================  ======================================================================
`cube`                 a table summed to (replication, time, name)
`wilson`               95 % limits of a share over accounts (Wilson 1927)
`student`              mean and 95 % limits over replications (Student 1908)
`limits_of`            share of accounts with its limits, over accounts or over replications
`leading`              which names are drawn for themselves, and which are "others"
`log_limits`           limits of a logarithmic axis
=====================  ======================================================================
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from sim.views.palette import MAX_SERIES

Floats = NDArray[np.float64]
Event = tuple[datetime | pd.Timestamp | np.datetime64, str, str]
"""Time, label, and kind: ``"phase"`` or ``"wave"``."""


Share = Literal["ever_banned", "banned", "wrongly_banned"]
SHARES: dict[str, tuple[str, str]] = {
    "ever_banned": ("Ban rate", "joined accounts ever banned"),
    "banned": ("Banned share", "joined accounts banned now"),
    "wrongly_banned": ("Wrongful ban rate", "joined accounts wrongly banned"),
}


@dataclass(frozen=True)
class Cube:
    """A column of a table, summed.

    Attributes
    ----------
    times
        Grid times, ascending (T of them).
    names
        Names in file order (K of them).
    values
        Sums, of shape (replications, T, K); 0 where the table has no row.
    """

    times: NDArray[np.datetime64]
    names: tuple[str, ...]
    values: Floats

    def drawn(self, lead: Sequence[str], rest: str | None) -> Cube:
        """Keep the names in `lead`; sum all others under the name `rest` (``None``: drop them)."""
        index = [self.names.index(name) for name in lead]
        kept = self.values[:, :, index]
        if rest is not None:
            others = [k for k, name in enumerate(self.names) if name not in set(lead)]
            kept = np.concatenate([kept, self.values[:, :, others].sum(axis=2, keepdims=True)], axis=2)
        return Cube(self.times, (*lead, *((rest,) if rest is not None else ())), kept)


def names_in(column: pd.Series) -> tuple[str, ...]:
    """Give the names of a column in file order (order of categories, else of appearance)."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return tuple(str(name) for name in column.cat.categories if str(name))
    return tuple(str(name) for name in pd.unique(column.dropna()) if str(name))


def only(table: pd.DataFrame, column: str, name: str | None) -> pd.DataFrame:
    """Keep the rows of one name; ``None`` keeps all.

    Raises
    ------
    ValueError
        When the table has no such name; names the ones there are.
    """
    if name is None:
        return table
    known = names_in(table[column])
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{column}: no {name!r} in the table. Names there are: {', '.join(known)}{hint}")
    return table[table[column] == name]


def replications(table: pd.DataFrame) -> int:
    """Count the replications of a table."""
    return int(table["replication"].nunique())


def cube(table: pd.DataFrame, value: str, column: str) -> Cube:
    """Sum a column of a table to (replication, time, name).

    Parameters
    ----------
    table
        With columns `replication`, `time`, `column` and `value`.
    value
        The column to sum.
    column
        The column of names (`segment`, `state`).
    """
    names = names_in(table[column])
    times, at_time = np.unique(table["time"].to_numpy(dtype="datetime64[us]"), return_inverse=True)
    runs, at_run = np.unique(table["replication"].to_numpy(), return_inverse=True)
    place = {name: k for k, name in enumerate(names)}
    at_name = table[column].astype(str).map(place).to_numpy(dtype=np.int64)
    values = np.zeros((len(runs), len(times), len(names)))
    np.add.at(values, (at_run, at_time, at_name), table[value].to_numpy(dtype=float))
    return Cube(times, names, values)


def wilson(banned: Floats, joined: Floats) -> tuple[Floats, Floats]:
    """Give 95 % limits of a share over accounts.

    Parameters
    ----------
    banned, joined
        Counts; where nobody has joined the limits are NaN.

    Notes
    -----
    Wilson (1927), "Probable inference, the law of succession, and statistical inference",
    J. Am. Stat. Assoc. 22, 209-212.
    """
    z = float(ndtri(0.975))
    with np.errstate(divide="ignore", invalid="ignore"):
        share = banned / joined
        centre = (share + z**2 / (2 * joined)) / (1 + z**2 / joined)
        half = z / (1 + z**2 / joined) * np.sqrt(share * (1 - share) / joined + z**2 / (4 * joined**2))
    low = np.where(banned <= 0, 0.0, centre - half)
    high = np.where(banned >= joined, 1.0, centre + half)
    unknown = joined <= 0
    return np.where(unknown, np.nan, low), np.where(unknown, np.nan, high)


def student(values: Floats) -> tuple[Floats, Floats, Floats]:
    """Give mean and 95 % limits over replications (first axis), leaving NaN out.

    Limits are NaN where fewer than two replications have a value.
    """
    known = np.isfinite(values)
    n = known.sum(axis=0)
    filled = np.where(known, values, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = filled.sum(axis=0) / n
        spread = np.sqrt((np.where(known, values - mean, 0.0) ** 2).sum(axis=0) / (n - 1))
        half = stdtrit(np.maximum(n - 1, 1), 0.975) * spread / np.sqrt(n)
    half = np.where(n >= 2, half, np.nan)
    return np.where(n > 0, mean, np.nan), mean - half, mean + half


def leading(names: Sequence[str], weights: Floats, *, most: int = MAX_SERIES) -> tuple[tuple[str, ...], int]:
    """Choose the names to draw: all, or those of most weight so that "others" still fits.

    Returns
    -------
    The chosen names in file order, and how many are left for "others".
    """
    if len(names) <= most:
        return tuple(names), 0
    heaviest = np.argsort(-weights, kind="stable")[: most - 1]
    return tuple(names[k] for k in sorted(heaviest)), len(names) - (most - 1)


def limits_of(counts: Cube, joined: Cube, coupled: bool) -> tuple[Floats, Floats, Floats, str]:
    """Give mean share and 95 % limits, each (time, name), and say what the limits are."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = counts.values / joined.values
    if len(rates) > 1:
        mean, low, high = student(rates)
        said = f"bands: 95 % over {len(rates)} replications (Student t)"
        return mean, np.clip(low, 0, 1), np.clip(high, 0, 1), said
    if coupled:
        none = np.full(rates.shape[1:], np.nan)
        return rates[0], none, none, "no bands: one replication with a limited desk"
    low, high = wilson(counts.values[0], joined.values[0])
    return rates[0], low, high, "bands: 95 % over accounts (Wilson)"


def log_limits(values: NDArray[np.float64], *, floor: float = 0.0) -> tuple[float, float]:
    """Find limits of a logarithmic axis around positive values, none below `floor`."""
    positive = values[np.isfinite(values) & (values > 0)]
    low = max(float(positive.min()), floor)
    high = float(positive.max())
    return low / 1.6, max(high * 1.6, low * 2)
