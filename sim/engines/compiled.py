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

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from sim.engines.ahead import fill, note_use, plan, uses
from sim.engines.desks import MERGED, finish_all, invite, merge, new_crowd
from sim.engines.idle import Tests, count_idle, flag_candidates, idle_tests
from sim.engines.live import AT_DESK, LATER, NEEDS_LOG, NEEDS_STRIKES, finish, live, start
from sim.engines.tally import LOG_ROOM, Tally, add_tally, empty_like, is_logged, log_is_full
from sim.model.account import ACCOUNT, is_limited, join_time
from sim.model.jit import Array, compiled, inlined, use_widest_vectors
from sim.model.tables import END, Tables, is_coupled
from sim.processors import cores

Keep = Callable[[Array], None]

SHARD = 1 << 22
"""Accounts of one shard, at most."""
BLOCK = 1024
"""Accounts whose random words are drawn at once."""
PILOT = 1024
"""Accounts of a shard that are lived before it is decided which draws to make ahead."""
BUSY_PER_CALL = 1 << 15
"""Accounts lived before a thread looks up from its work: it can then be stopped, and says how far it is."""
KEPT_TOGETHER = 1 << 18
"""Accounts before a limited desk that a thread keeps in one piece: so much memory goes back to the system when it is let go."""
STRIKES_AT_FIRST = 4
DONE, PAUSED = -1, -2
SEGMENT, ACCOUNT_NEXT, UNDER_WAY, REACHED, BLOCK_FIRST, KEPT = range(6)
"""Where a shard is: its segment; the next account; whether that one is under way (1) or put by (2), and at what time; the first account whose
flags are drawn; accounts put by."""


@compiled
def _live_range(
    law: Tables,
    tally: Tally,
    me: Any,
    entries: Array,
    strikes: Array,
    tests: Tests,
    flags: Array,
    progress: Array,
    used: Array,
    last: int,
    keep_below: int,
    kept: _Kept,
) -> int:
    """Live accounts of a segment, one after the other, each up to its end or up to a limited desk.

    `progress` says where to go on: see `_Shard`. Accounts that come before a limited desk are put into `kept`.

    Returns
    -------
    status
        `DONE`, `PAUSED`, or why an account stopped (`sim.engines.live`).
    """
    use_widest_vectors()
    segment = progress[SEGMENT]
    account = progress[ACCOUNT_NEXT]
    end = law.constants[END]
    busy = 0
    while account < last:
        if account >= progress[BLOCK_FIRST] + len(flags):
            progress[BLOCK_FIRST] = account
            idle = flag_candidates(law, tests, segment, account, last, keep_below, flags)
            count_idle(law, tally, segment, idle)
            if idle == min(len(flags), last - account):
                account += idle
                progress[ACCOUNT_NEXT] = account
                continue
            if law.ahead.shape[1] > 0:
                fill(law, segment, account)
        if flags[account - progress[BLOCK_FIRST]] != 0:
            joins = join_time(law, segment, account)
            if joins <= end:
                if progress[UNDER_WAY] == 0:
                    if is_logged(account, keep_below) and log_is_full(tally):
                        return NEEDS_LOG
                    for state in range(len(entries)):
                        entries[state] = 0
                    me.lane = account - progress[BLOCK_FIRST]
                    start(law, tally, me, entries, segment, account, joins, is_logged(account, keep_below))
                    progress[UNDER_WAY] = 1
                    progress[REACHED] = joins
                    if is_limited(law, me):
                        _keep(kept, me, entries, strikes, progress, joins)
                if progress[UNDER_WAY] == 1:
                    status, at = live(law, tally, me, entries, strikes, progress[REACHED], end, True)
                    if status == AT_DESK:
                        _keep(kept, me, entries, strikes, progress, at)
                    elif status == LATER:
                        finish(law, tally, me)
                    else:
                        progress[REACHED] = at
                        return status
                if law.ahead.shape[1] == 0:
                    note_use(law, me, entries, used)
                progress[UNDER_WAY] = 0
                busy += 1
        account += 1
        progress[ACCOUNT_NEXT] = account
        if busy >= BUSY_PER_CALL or progress[KEPT] >= len(kept.at):
            return PAUSED
    return DONE


@inlined
def _keep(kept: _Kept, me: Any, entries: Array, strikes: Array, progress: Array, at: int) -> None:
    """Remember an account that has come before a limited desk at time `at`."""
    place = progress[KEPT]
    kept.accounts[place] = me
    for state in range(len(entries)):
        kept.entries[place, state] = entries[state]
    for strike in range(me.held):
        kept.strikes[place, strike] = strikes[strike]
    kept.at[place] = at
    progress[KEPT] = place + 1
    progress[UNDER_WAY] = 2


class _Kept(NamedTuple):
    """Accounts that have come before a limited desk, and when."""

    accounts: Array
    entries: Array
    strikes: Array
    at: Array


def _new_kept(rows: int, states: int, strikes: int) -> _Kept:
    return _Kept(
        np.zeros(rows, ACCOUNT),
        np.zeros((rows, states), np.uint32),
        np.zeros((rows, strikes), np.int64),
        np.zeros(rows, np.int64),
    )


def _join_kept(parts: list[_Kept], states: int) -> _Kept:
    """One table of all, as wide as the widest memory of strikes. Each part is let go when it has been copied, so that all is not in memory twice."""
    width = max((part.strikes.shape[1] for part in parts), default=STRIKES_AT_FIRST)
    whole = _new_kept(sum(len(part.at) for part in parts), states, width)
    first = 0
    parts.reverse()
    while parts:
        part = parts.pop()
        last = first + len(part.at)
        whole.accounts[first:last] = part.accounts
        whole.entries[first:last] = part.entries
        whole.strikes[first:last, : part.strikes.shape[1]] = part.strikes
        whole.at[first:last] = part.at
        first = last
    return whole


def widened(strikes: Array, width: int) -> Array:
    """Memory of strikes with room for `width` of them."""
    room = width - strikes.shape[1]
    return strikes if room <= 0 else np.pad(strikes, ((0, 0), (0, room)))


class _Shard:
    """Consecutive accounts of one segment, being lived by one thread; `work` does some and says whether that was all."""

    def __init__(
        self, law: Tables, segment: int, first: int, last: int, keep_below: int, tests: Tests, coupled: bool
    ) -> None:
        self.law = law
        self.first, self.last, self.keep_below, self.tests = first, last, keep_below, tests
        self.pilot_last, self.used = min(first + PILOT, last), uses(law)
        states = law.states.shape[1]
        self.me = np.zeros(1, ACCOUNT)
        self.entries = np.zeros(states, np.uint32)
        self.strikes = np.zeros(STRIKES_AT_FIRST, np.int64)
        self.flags = np.zeros(BLOCK, np.uint8)
        self.progress = np.array([segment, first, 0, 0, -BLOCK, 0], np.int64)
        self.kept = _new_kept(min(KEPT_TOGETHER, last - first) if coupled else 1, states, STRIKES_AT_FIRST)
        self.full: list[_Kept] = []

    def work(self, tally: Tally, keep: Keep) -> int:
        """Live some accounts; returns how many are left."""
        piloting = int(self.progress[ACCOUNT_NEXT]) < self.pilot_last
        status = _live_range(
            self.law,
            tally,
            self.me[0],
            self.entries,
            self.strikes,
            self.tests,
            self.flags,
            self.progress,
            self.used,
            self.pilot_last if piloting else self.last,
            self.keep_below,
            self.kept,
        )
        self._put_by()
        if status == NEEDS_STRIKES:
            width = 2 * len(self.strikes)
            self.strikes = widened(self.strikes[None, :], width)[0]
            self.kept = self.kept._replace(strikes=widened(self.kept.strikes, width))
        elif status == NEEDS_LOG or tally.logged[0] > LOG_ROOM // 2:
            flush(tally, keep)
        if piloting and status == DONE:
            depth = plan(self.law, self.used, self.pilot_last - self.first)
            self.law = self.law._replace(ahead=np.zeros((len(depth), int(depth.max(initial=0)), BLOCK)), depth=depth)
            self.progress[BLOCK_FIRST] = -BLOCK
        return self.last - int(self.progress[ACCOUNT_NEXT])

    def _put_by(self) -> None:
        """Put the accounts before a desk with the others when there is no room for more, or no more come."""
        count, room = int(self.progress[KEPT]), len(self.kept.at)
        ended = self.progress[ACCOUNT_NEXT] == self.last
        if count == room:
            self.full.append(self.kept)
        elif ended and count > 0:
            self.full.append(_Kept(*(part[:count].copy() for part in self.kept)))
        if count == room or ended:
            _, states = self.kept.entries.shape
            self.kept = _new_kept(0 if ended else room, states, self.kept.strikes.shape[1])
            self.progress[KEPT] = 0


def flush(tally: Tally, keep: Keep) -> None:
    """Hand on what the log holds."""
    filled = int(tally.logged[0])
    if filled:
        keep(tally.log[:filled].copy())
    tally.logged[0] = 0


@dataclass
class _Team:
    """Threads that live the shards of a replication, with a tally each."""

    total: Tally
    keep: Keep
    progress: Callable[[int], None]
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def guarded(self, rows: Array) -> None:
        with self.lock:
            self.keep(rows)

    def live(self, shards: Iterator[tuple[int, _Shard]], tally: Tally) -> list[tuple[int, _Shard]]:
        """Take shards until there are none, or until told to stop; those that hold accounts before a desk are returned."""
        met: list[tuple[int, _Shard]] = []
        while not self.stop.is_set():
            with self.lock:
                taken = next(shards, None)
            if taken is None:
                break
            number, shard = taken
            left = shard.last - int(shard.progress[ACCOUNT_NEXT])
            while left and not self.stop.is_set():
                now_left = shard.work(tally, self.guarded)
                with self.lock:
                    self.progress(left - now_left)
                left = now_left
            if shard.full:
                met.append((number, shard))
        flush(tally, self.guarded)
        return met

    def run(self, shards: Iterator[_Shard], threads: int) -> list[_Shard]:
        """Live all shards; the ones that hold accounts before a desk come back in order."""
        numbered = enumerate(shards)
        if threads == 1 and threading.current_thread() is not threading.main_thread():  # which alone hears interrupts
            return [shard for _, shard in self.live(numbered, self.total)]
        tallies = [self.total, *(empty_like(self.total) for _ in range(threads - 1))]
        pool = ThreadPoolExecutor(threads)
        try:
            futures = [pool.submit(self.live, numbered, tally) for tally in tallies]
            waiting: set[Future[list[tuple[int, _Shard]]]] = set(futures)
            while waiting:
                ended, waiting = wait(waiting, timeout=0.2, return_when=FIRST_EXCEPTION)
                for future in ended:
                    future.result()
        finally:  # an interrupt must not wait for a thread that is compiling
            self.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
        for tally in tallies[1:]:
            add_tally(self.total, tally)
        met = [each for future in futures for each in future.result()]
        return [shard for _, shard in sorted(met, key=lambda each: each[0])]


def _shards(law: Tables, keep_below: int, size: int, coupled: bool) -> Iterator[_Shard]:
    for segment, row in enumerate(law.segments):
        tests = idle_tests(law, segment)
        for first in range(0, int(row["accounts"]), size):
            yield _Shard(law, segment, first, min(first + size, int(row["accounts"])), keep_below, tests, coupled)


def _merge(law: Tables, tally: Tally, shards: list[_Shard], keep: Keep, progress: Callable[[float], None]) -> None:
    """Merge the accounts that meet at desks; `progress` is told the share of simulated time that has passed."""
    parts = [part for shard in shards for part in shard.full]
    for shard in shards:
        shard.full.clear()
    kept = _join_kept(parts, law.states.shape[1])
    crowd = new_crowd(law, kept.accounts, kept.entries, kept.strikes)
    invite(crowd, kept.at)
    reached = np.zeros(2, np.int64)
    while (status := merge(law, tally, crowd, reached)) != MERGED:
        if status == NEEDS_STRIKES:
            crowd = crowd._replace(strikes=widened(crowd.strikes, 2 * crowd.strikes.shape[1]))
        if tally.logged[0] > LOG_ROOM // 2:
            flush(tally, keep)
        progress(int(reached[0]) / max(1, int(law.constants[END])))
    finish_all(law, tally, crowd.accounts)
    flush(tally, keep)


def run(
    law: Tables,
    tally: Tally,
    keep_below: int = 0,
    keep: Keep = lambda rows: None,
    progress: Callable[[float], None] = lambda share: None,
    *,
    threads: int | None = None,
    shard: int | None = None,
) -> None:
    """Run one replication.

    Parameters
    ----------
    law, tally, keep_below, keep, progress
        As for `sim.engines.process.run`; histories come in no order but each account's own.
    threads
        How many; by default as many as there are processors this process may use.
    shard
        Accounts of a shard, at most; any number gives the same tables.
    """
    coupled = is_coupled(law)
    total = int(law.segments["accounts"].sum())
    threads = threads or cores()
    size = shard or max(1, min(SHARD, -(-total // (4 * threads))))
    share = 0.5 if coupled else 1.0
    lived = 0

    def count(accounts: int) -> None:
        nonlocal lived
        lived += accounts
        progress(share * lived / total)

    met = _Team(tally, keep, count).run(_shards(law, keep_below, size, coupled), threads)
    if coupled:
        _merge(law, tally, met, keep, lambda passed: progress(share + (1.0 - share) * passed))
    progress(1.0)
