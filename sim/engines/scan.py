"""The scan over a segment: accounts whose first event lies after the end are counted on the spot and cost no memory; the others are listed."""

from __future__ import annotations

from typing import Any

from sim.engines.tally import BUSY, Tally, interval, stayed_until
from sim.model import events
from sim.model.account import PHASE, born, is_limited, join_time, next_event
from sim.model.jit import Array, compiled, inlined
from sim.model.tables import END, START, Tables


@inlined
def is_idle(law: Tables, me: Any, entries: Array, segment: int, account: int, joins: int) -> bool:
    """Whether nothing happens to an account up to the end, beyond its joining. `me` and `entries` are scratch memory."""
    entries[:] = 0
    born(law, me, entries, segment, account, joins)
    if is_limited(law, me):
        return False
    while True:
        at, what = next_event(law, me)
        if at > law.constants[END]:
            return True
        if what != PHASE:
            return False
        events.turn_phase(law, me, at)


@inlined
def count_idle(law: Tables, tally: Tally, me: Any, segment: int, joins: int) -> None:
    """Count an account that joins and then stays in the start state."""
    place = interval(tally, joins)
    state = law.constants[START]
    tally.moves[place, segment, 0, 0] += 1
    tally.ever[segment, state] += 1
    if law.bans[state] != 0:
        tally.first_bans[place, segment, 0] += 1
    stayed_until(tally, me, state, joins, law.constants[END])


@compiled
def scan(
    law: Tables,
    tally: Tally,
    scratch: Array,
    entries: Array,
    segment: int,
    first: int,
    last: int,
    keep_below: int,
    found: Array,
) -> tuple[int, int]:
    """Go through accounts `first` to `last - 1` of a segment until `found` is full.

    Accounts below `keep_below` are listed even if they are idle: their histories are wanted. With `BUSY` so are idle ones that join later.

    Returns
    -------
    listed, next
        How many places of `found` are filled, and the account to go on with.
    """
    me = scratch[0]
    listed = 0
    account = first
    while account < last and listed < len(found):
        joins = join_time(law, segment, account)
        if joins <= law.constants[END]:
            wanted = account < keep_below or (keep_below == BUSY and joins > 0)
            if wanted or not is_idle(law, me, entries, segment, account, joins):
                found[listed] = account
                listed += 1
            else:
                count_idle(law, tally, me, segment, joins)
        account += 1
    return listed, account
