"""The compiled engine: the same lives without SimPy, on all cores.

It owns the calendar and the desks and nothing else; what happens to an account is `sim.engines.live`, as for every engine.

==============================  =====================================================================================
accounts                        how they are lived
==============================  =====================================================================================
surely idle up to the end       found by `sim.engines.idle` from one or two random words each; counted in bulk
never before a limited desk     one after the other, each from joining to the end (`_live_range`)
before a limited desk           alone up to the desk, then merged in the law's order (`sim.engines.desks`)
==============================  =====================================================================================

Work is cut into shards of consecutive accounts. Threads take shards, count them in tallies of their own, and the tallies are added up: integer sums,
so that no number of shards or threads shows.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import numpy as np

from sim.engines.idle import Tests, count_idle, flag_candidates, idle_tests
from sim.engines.live import LATER, NEEDS_LOG, NEEDS_STRIKES, finish, live, start
from sim.engines.tally import Array, Tally, add_tally, empty_like
from sim.model.account import ACCOUNT, join_time
from sim.model.jit import compiled
from sim.model.tables import END, Tables

SHARD = 1 << 22
"""Accounts of one shard, at most."""
BLOCK = 2048
"""Accounts whose random words are drawn at once."""
BUSY_PER_CALL = 1 << 15
"""Accounts lived before a thread looks up from its work: it can then be stopped, and says how far it is."""
STRIKES_AT_FIRST = 8
DONE, PAUSED = -1, -2


@compiled
def _live_range(law, tally, me, entries, strikes, tests, flags, progress, last, keep_below):  # type: ignore[no-untyped-def]
    """Live accounts of a segment, one after the other.

    `progress` holds (segment, next account, account under way or -1, first account of the block that is flagged): where to go on. Returns `DONE`,
    `PAUSED`, or why an account stopped (see `sim.engines.live`).
    """
    segment = progress[0]
    account = progress[1]
    end = law.constants[END]
    busy = 0
    while account < last:
        if progress[3] < 0 or account >= progress[3] + len(flags):
            progress[3] = account
            idle = flag_candidates(law, tests, segment, account, last, keep_below, flags)
            count_idle(law, tally, segment, idle)
            if idle == min(len(flags), last - account):
                account += idle
                progress[1] = account
                continue
        if flags[account - progress[3]] != 0:
            joins = join_time(law, segment, account)
            if joins <= end:
                if progress[2] != account:
                    entries[:] = 0
                    start(law, tally, me, entries, segment, account, joins, account < keep_below)
                    progress[2] = account
                    progress[4] = joins
                status, at = live(law, tally, me, entries, strikes, progress[4], end, False)
                if status != LATER:
                    progress[1] = account
                    progress[4] = at
                    return status
                finish(law, tally, me)
                progress[2] = -1
                busy += 1
        account += 1
        progress[1] = account
        if busy >= BUSY_PER_CALL:
            return PAUSED
    return DONE
