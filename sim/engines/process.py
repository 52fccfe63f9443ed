"""The SimPy engine: the law on SimPy's own calendar, one process per account that has anything to do.

===============================  ================================================================================
the law                          SimPy
===============================  ================================================================================
"Clock"                          ``Environment.now`` in integer microseconds
an account                       `_Run.life`, a process that sleeps until the account's next event
a desk                           `Desk`, a resource with the law's queue order
"Order at one instant"           priorities of the calendar: `ACCOUNTS`, then `STAFF`, then each desk from `DESKS` on
===============================  ================================================================================

What happens to an account at an instant is `sim.engines.live`, the same compiled functions that every engine calls.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator
from typing import Any, cast

import numpy as np
import simpy
from simpy.events import NORMAL, Event, Timeout
from simpy.resources.base import BaseResource, Put

from sim.collector import paused, put_by
from sim.engines.live import LATER, NEEDS_LOG, NEEDS_STRIKES, finish, live, start
from sim.engines.scan import scan
from sim.engines.tally import Tally, is_logged, served
from sim.model.account import ACCOUNT, is_limited, join_time
from sim.model.events import begin_service
from sim.model.jit import Array, compiled, entry_point
from sim.model.tables import END, Tables

ACCOUNTS, STAFF, DESKS = NORMAL, NORMAL + 1, NORMAL + 2
SCAN_CHUNK = 1 << 20
STRIKES_AT_FIRST = 4
PROGRESS_STEPS = 200


@compiled
def _join(
    law: Tables,
    tally: Tally,
    accounts: Array,
    entries: Array,
    slot: int,
    segment: int,
    account: int,
    joins: int,
    logged: bool,
) -> None:
    start(law, tally, accounts[slot], entries[slot], segment, account, joins, logged)


@compiled
def _live(
    law: Tables, tally: Tally, accounts: Array, entries: Array, strikes: Array, slot: int, now: int
) -> tuple[int, int, bool, int, int]:
    me = accounts[slot]
    status, at = live(law, tally, me, entries[slot], strikes[slot], now, now, False)
    return status, at, is_limited(law, me), me.state, me.entered


@compiled
def _serve(law: Tables, tally: Tally, accounts: Array, entries: Array, slot: int, now: int) -> int:
    me = accounts[slot]
    ends = begin_service(law, me, entries[slot], now)
    served(law, tally, me, now, ends)
    return ends


@compiled
def _join_times(law: Tables, segments: Array, accounts: Array, joins: Array) -> None:
    for i in range(len(accounts)):
        joins[i] = join_time(law, segments[i], accounts[i])


@compiled
def _finish(law: Tables, tally: Tally, accounts: Array) -> None:
    for slot in range(len(accounts)):
        finish(law, tally, accounts[slot])


class Turn(Put):  # type: ignore[type-arg,unused-ignore]
    """A place in the queue of a desk; it happens when the service starts, with the time at which the service will end."""

    def __init__(self, desk: Desk, slot: int, order: tuple[int, int, int]) -> None:
        self.slot = slot
        self.order = order
        self.left = False
        super().__init__(desk)


class _Queue(list[Any]):
    """Heap of turns by (priority in force, time of entry, segment, account)."""

    def __init__(self) -> None:
        super().__init__()
        self.priority: Callable[[int], float] = lambda slot: 0.0

    def append(self, turn: Turn) -> None:
        heapq.heappush(self, (self.priority(turn.slot), turn.order, turn))

    def next(self) -> Turn | None:
        """Take the first turn whose account still waits."""
        while self:
            turn: Turn = heapq.heappop(self)[2]
            if not turn.left:
                return turn
        return None

    def renew(self) -> None:
        """Order the queue by the priorities that are in force now."""
        self[:] = [(self.priority(turn.slot), turn.order, turn) for _, _, turn in self if not turn.left]
        heapq.heapify(self)


class Desk(BaseResource):  # type: ignore[type-arg,unused-ignore]
    """A limited desk: serves in the law's order, at the end of an instant, as many accounts as it has reviewers."""

    PutQueue = _Queue
    put_queue: _Queue

    def __init__(
        self, env: simpy.Environment, number: int, serve: Callable[[int], int], priority: Callable[[int], float]
    ):
        super().__init__(env, capacity=1)
        self.number = number
        self.serve = serve
        self.reviewers = 0
        self.busy = 0
        self.called = False
        self.put_queue.priority = priority

    def release(self) -> None:
        """A reviewer has ended a service."""
        self.busy -= 1
        self._trigger_put(None)

    def staff(self, reviewers: int) -> None:
        """The number of reviewers, or the priorities of those who wait, may have changed; running services finish first."""
        self.reviewers = reviewers
        self.put_queue.renew()
        self._trigger_put(None)

    def _trigger_put(self, get_event: Any) -> None:
        """Serve at the end of this instant, after all accounts, all changes of staff and the desks written before this one."""
        if not self.called:
            self.called = True
            last = Event(self._env)
            last._ok = True
            last._value = None
            last.callbacks = [self._serve_all]
            self._env.schedule(last, DESKS + self.number)  # type: ignore[arg-type]

    def _serve_all(self, _: Event) -> None:
        self.called = False
        while self.busy < self.reviewers and (turn := self.put_queue.next()) is not None:
            self.busy += 1
            turn.succeed(self.serve(turn.slot))


class _Run:
    """One replication in the making."""

    def __init__(self, law: Tables, tally: Tally, keep_below: int, keep: Callable[[Array], None]) -> None:
        self.law = law
        self.tally = tally
        self.keep_below = keep_below
        self.keep = keep
        self.env = simpy.Environment(0)
        self.end = int(law.constants[END])
        self.desks = [Desk(self.env, number, self.serve, self.priority) for number in range(len(law.desks))]

    def populate(self) -> None:
        """Find the accounts that have anything to do, in order, and give them memory."""
        states = self.law.states.shape[1]
        scratch, entries, found = np.zeros(1, ACCOUNT), np.zeros(states, np.uint32), np.empty(SCAN_CHUNK, np.int64)
        numbers: list[Array] = []
        segments: list[Array] = []
        for segment, row in enumerate(self.law.segments):
            account, last = 0, int(row["accounts"])
            while account < last:
                listed, account = scan(
                    self.law, self.tally, scratch, entries, segment, account, last, self.keep_below, found
                )
                numbers.append(found[:listed].copy())
                segments.append(np.full(listed, segment))
        self.numbers, self.segments = np.concatenate(numbers), np.concatenate(segments)
        busy = len(self.numbers)
        self.joins = np.zeros(busy, np.int64)
        _join_times(self.law, self.segments, self.numbers, self.joins)
        self.accounts: Array = np.zeros(busy, ACCOUNT)
        self.entries: Array = np.zeros((busy, states), np.uint32)
        self.strikes: Array = np.zeros((busy, STRIKES_AT_FIRST), np.int64)
        memory = (self.law, self.tally, self.accounts, self.entries)
        self.join = entry_point(_join, *memory, 0, 0, 0, 0, False)
        self.live_one = entry_point(_live, *memory, self.strikes, 0, 0)
        self.serve_one = entry_point(_serve, *memory, 0, 0)

    def flush(self) -> None:
        """Hand on what the log holds."""
        filled = int(self.tally.logged[0])
        if filled:
            self.keep(self.tally.log[:filled].copy())
        self.tally.logged[0] = 0

    def priority(self, slot: int) -> float:
        """Priority, in the phase now in force, of the state in which an account waits."""
        phase = int(np.searchsorted(self.law.phase_from, self.env.now, side="right")) - 1
        return float(self.law.states["priority"][phase, self.accounts["state"][slot]])

    def serve(self, slot: int) -> int:
        """Start a service; returns when it ends."""
        return int(self.serve_one(self.law, self.tally, self.accounts, self.entries, slot, self.env.now))

    def advance(self, slot: int) -> tuple[int, bool, int, int]:
        """Live an account through this instant: time of its next event, whether it waits at a limited desk, its state, since when."""
        while True:
            status, at, limited, state, entered = self.live_one(
                self.law, self.tally, self.accounts, self.entries, self.strikes, slot, self.env.now
            )
            if status == LATER:
                return at, limited, state, entered
            if status == NEEDS_LOG:
                self.flush()
            elif status == NEEDS_STRIKES:
                self.strikes = np.concatenate((self.strikes, np.zeros_like(self.strikes)), axis=1)

    def life(self, slot: int, segment: int, account: int, joins: int) -> Generator[Event, Any, None]:
        """Process of one account."""
        env, end, advance = self.env, self.end, self.advance
        if joins > 0:
            yield Timeout(env, joins)
        if self.tally.logged[0] + 1 >= len(self.tally.log):
            self.flush()
        logged = bool(is_logged(account, self.keep_below))
        self.join(self.law, self.tally, self.accounts, self.entries, slot, segment, account, joins, logged)
        at, limited, state, entered = advance(slot)
        while True:
            if limited:
                at, limited, state, entered = yield from self.wait(slot, at, state, entered)
            elif at > end:
                return
            else:
                yield Timeout(env, at - env.now)
                at, limited, state, entered = advance(slot)

    def wait(self, slot: int, at: int, state: int, entered: int) -> Generator[Event, Any, tuple[int, bool, int, int]]:
        """Wait before a limited desk until the account is served or moved: what `advance` says after that."""
        env = self.env
        desk = self.desks[self.law.states["desk"][0, state]]
        entries = self.entries[slot, state]
        order = (entered, int(self.accounts["segment"][slot]), int(self.accounts["account"][slot]))
        turn = Turn(desk, slot, order)
        while True:
            if at > self.end:
                yield turn
            else:
                yield turn | Timeout(env, at - env.now)
            if turn.triggered:
                yield Timeout(env, cast(int, turn.value) - env.now)
                after = self.advance(slot)
                desk.release()
                return after
            after = self.advance(slot)
            at = after[0]
            if after[2] != state or self.entries[slot, state] != entries:
                turn.left = True
                return after

    def timetable(self, desk: Desk) -> Generator[Event, Any, None]:
        """Process of a desk's staff: wakes when reviewers or priorities may change."""
        row = self.law.desks[desk.number]
        begins = self.law.staff_from[row["staff_first"] : row["staff_first"] + row["staff_count"]]
        reviewers = self.law.staff[row["staff_first"] : row["staff_first"] + row["staff_count"]]
        for time in sorted({*begins.tolist(), *self.law.phase_from[:-1].tolist()}):
            if time > self.end:
                return
            wake = Event(self.env)
            wake._ok = True
            wake._value = None
            self.env.schedule(wake, STAFF, time - self.env.now)  # type: ignore[arg-type]
            yield wake
            desk.staff(int(reviewers[np.searchsorted(begins, time, side="right") - 1]))

    def run(self, progress: Callable[[float], None]) -> None:
        """Run the replication to its end; `progress` is told the share of simulated time that has passed."""
        self.populate()
        for desk in self.desks:
            if self.law.desks["limited"][desk.number]:
                self.env.process(self.timetable(desk))
        for slot, row in enumerate(
            zip(self.segments.tolist(), self.numbers.tolist(), self.joins.tolist(), strict=True)
        ):
            self.env.process(self.life(slot, *row))
        for part in range(1, PROGRESS_STEPS + 1):
            until = self.end * part // PROGRESS_STEPS + 1
            if until > self.env.now:
                self.env.run(until)
            progress(part / PROGRESS_STEPS)
        _finish(self.law, self.tally, self.accounts)
        self.flush()


def run(
    law: Tables,
    tally: Tally,
    keep_below: int = 0,
    keep: Callable[[Array], None] = lambda rows: None,
    progress: Callable[[float], None] = lambda share: None,
) -> None:
    """Run one replication on SimPy's calendar.

    Parameters
    ----------
    law
        Tables of the scenario, `sim.model.tables.keyed` for the replication.
    tally
        Where everything is counted; an empty one of `sim.engines.tally.new_tally`.
    keep_below
        The histories of accounts with an index below this are kept; with `sim.engines.tally.BUSY` those of all accounts that anything may happen to.
    keep
        Called with arrays of `sim.engines.tally.EVENT` rows, in order of time.
    progress
        Called now and then with the share of simulated time that has passed.
    """
    with paused():
        try:
            _Run(law, tally, keep_below, keep).run(progress)
        finally:  # an interrupt must not wait
            put_by()
