"""The events of a replication, put in order: by segment, account and order of happening.

An engine hands them on as they happen, which is in no order but each account's own. To sort tens of millions at once takes several times their
memory. So they are put by in ranges of accounts as they come, and each range is sorted, handed on and forgotten when its turn comes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sim.engines.tally import EVENT
from sim.model.jit import Array

RANGE_BITS = 14
"""A range has so many accounts, as a power of two: some hundred thousand events of a busy ladder."""


class EventLog:
    """Events of one replication: an engine gives them to `keep`, `in_order` hands them out."""

    def __init__(self) -> None:
        self._ranges: dict[int, list[Array]] = {}

    def keep(self, rows: Array) -> None:
        """Put by some rows of `sim.engines.tally.EVENT`; those of an account come in the order in which they happened."""
        ranges = (rows["segment"].astype(np.int64) << 32 | rows["account"]) >> RANGE_BITS
        order = np.argsort(ranges, kind="stable")
        firsts = np.flatnonzero(np.diff(ranges[order], prepend=-1))
        for number, part in zip(ranges[order[firsts]].tolist(), np.split(rows[order], firsts)[1:], strict=True):
            self._ranges.setdefault(number, []).append(part)

    def in_order(self, most: int) -> Iterator[Array]:
        """Rows in order, in parts of `most` rows and what is left over; a range is forgotten when it is handed out."""
        waiting: list[Array] = []
        for number in sorted(self._ranges):
            rows = np.concatenate(self._ranges.pop(number))
            waiting.append(rows[np.lexsort((rows["account"], rows["segment"]))])
            del rows
            if sum(map(len, waiting)) >= most:
                waiting = [np.concatenate(waiting)]
                whole = len(waiting[0]) // most * most
                for first in range(0, whole, most):
                    yield waiting[0][first : first + most]
                waiting = [waiting[0][whole:].copy()]
        rest = np.concatenate([np.empty(0, EVENT), *waiting])
        if len(rest):
            yield rest
