"""What invariants are held to: the numbers of a replication with their places in words, exact sums, and a ledger of comparisons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sim.engines.tally import Tally
from sim.errors import InvariantError
from sim.model.jit import Array
from sim.results.tables import Codes, Counts


@dataclass(frozen=True)
class Numbers:
    """Numbers of one replication, and what several invariants make of them."""

    counts: Counts
    codes: Codes

    @property
    def tally(self) -> Tally:
        return self.counts.tally

    @cached_property
    def origin(self) -> Array:
        """(M,) state that a move leaves; -1 where an account joins."""
        return np.array([origin for origin, _, _ in self.codes.names.moves], np.int64)

    @cached_property
    def to(self) -> Array:
        """(M,) state that a move leads to."""
        return np.array([to for _, to, _ in self.codes.names.moves], np.int64)

    def caused(self, cause: str) -> Array:
        """(M,) whether it is the cause of the move."""
        return np.array([told == cause for _, _, told in self.codes.names.moves], bool)

    def where(self, segment: int | None = None, *, time: int | None = None, state: int | None = None) -> str:
        """A place in words."""
        told = [] if segment is None else [f"segment `{self.codes.names.segments[segment]}`"]
        if state is not None:
            told.append(f"state `{self.codes.names.states[state]}`")
        if time is not None:
            told.append(f"at {self.codes.timestamps(self.codes.grid)[time]}")
        return ", ".join(told)

    def by_state(self, values: Array, state: Array) -> Array:
        """Sum (…, M) over the moves of each state: (…, X)."""
        total = np.zeros((*values.shape[:-1], len(self.codes.names.states)), values.dtype)
        order = np.argsort(state, kind="stable")
        order = order[state[order] >= 0]
        if len(order):
            found, first = np.unique(state[order], return_index=True)
            total[..., found] = np.add.reduceat(values[..., order], first, axis=-1)
        return total

    def time_left(self, counted: Array) -> tuple[Array, Array]:
        """Least and most microseconds that lie between events, counted by grid time (G, …), and the end: exact integers (…)."""
        end, step = self.codes.scenario.spec.end_us, self.codes.scenario.spec.observe_us
        last = len(counted) - 1
        total = counted.sum(axis=0).astype(object)
        at_start, at_end = counted[0].astype(object), counted[-1].astype(object)
        index = np.arange(len(counted), dtype=np.int64)
        high, low = counted >> 27, counted & ((1 << 27) - 1)  # so that no sum of products wraps
        weighted = np.tensordot(index, high, 1).astype(object) * (1 << 27)
        weighted += np.tensordot(index, low, 1).astype(object)
        least = end * (total - at_end) - step * (weighted - last * at_end)
        most = end * at_start + (end - 1) * (total - at_start) - step * (weighted - (total - at_start))
        return least, most


def whole(words: Array) -> Array:
    """128-bit sums (…, 2) as Python's integers (…)."""
    total: Array = words[..., 0].astype(object) + words[..., 1].astype(object) * (1 << 64)
    return total


class Ledger:
    """Compares, counts comparisons, and raises at the first that fails."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.comparisons = 0

    def require(self, holds: Any, tell: Callable[..., str]) -> None:
        """Require every entry of an array to be true; `tell` is told the place of the first that is not."""
        held = np.asarray(holds, bool)
        self.comparisons += held.size
        if not held.all():
            place = [int(axis) for axis in np.argwhere(~held)[0]]
            raise InvariantError(
                f"the numbers of this run cannot be right, and nothing is written: {self.name} does not hold: {tell(*place)}. "
                "This is a fault of the program, not of the scenario; please report it with the scenario and the seed"
            )
