"""Events are handed out by segment, account and order of happening, in parts of a given size, however they came."""

from __future__ import annotations

import numpy as np
import pytest

from sim.engines.tally import EVENT
from sim.results.events import RANGE_BITS, EventLog

ACCOUNTS = 5 << RANGE_BITS


@pytest.mark.parametrize("most", [1, 7, 1000, 10**6])
def test_in_order(most: int) -> None:
    """Beside a stable sort of everything at once: accounts of several ranges and segments, in portions of any size."""
    chance = np.random.default_rng(3)
    rows = np.zeros(5000, EVENT)
    rows["segment"] = chance.integers(0, 3, len(rows))
    rows["account"] = chance.choice([0, 1, 2**RANGE_BITS - 1, 2**RANGE_BITS, ACCOUNTS, 2**32 - 1], len(rows))
    rows["time"] = np.arange(len(rows))
    log = EventLog()
    for part in np.split(rows, [0, 1, 400, 401, 4000]):
        log.keep(part)
    parts = list(log.in_order(most))
    expected = rows[np.lexsort((rows["account"], rows["segment"]))]
    assert np.array_equal(np.concatenate(parts), expected)
    assert {len(part) for part in parts[:-1]} <= {most}
    assert 0 < len(parts[-1]) <= most
    assert list(log.in_order(most)) == [], "they are forgotten"


def test_none_of_the_first_accounts() -> None:
    """The lowest range of numbers may be any."""
    for lowest in range(4):
        rows = np.zeros(3, EVENT)
        rows["account"] = np.arange(lowest, lowest + 3) << RANGE_BITS
        log = EventLog()
        log.keep(rows)
        assert np.array_equal(np.concatenate(list(log.in_order(10))), rows)


def test_none() -> None:
    """Nothing kept is nothing handed out."""
    assert list(EventLog().in_order(10)) == []
