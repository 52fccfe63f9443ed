"""What must be true of the numbers of any run, whatever the scenario: checked at the end of every replication, before a table is made of them.

Occupancy, queues and most of the tables follow from one count, that of moves. A fault in it would be in all of them, and they would agree. So moves
are held to what is counted apart from them, in other arrays and at other places of the code:

=================================  =====================================================  =================================================
invariant                          what is compared                                       counted apart?
=================================  =====================================================  =================================================
`counts fit`                       every counter with its room                            -
`accounts are conserved`           joined with the scenario; states with joined           joined: yes (the file); the rest: no (both moves)
`moves agree with occupancy`       occupancy with moves, added up in another way          no: guards the tables, not the engine
`account-days add up`              time in states with moves; readers with both           yes: microseconds against moves, exact or bounded
`ever banned never falls`          first bans with moves into bans, and `ever`            yes: first bans, moves, `ever`
`accounts were in their states`    accounts ever in a state with entries and occupancy    yes: `ever` against moves
`every service has an arrival`     services, waits and work with moves and with time      yes: starts, histogram, two sums of time, moves
`violations come before decisions` violations with moves by decision and with the file    yes: violations against moves and the file
`orders are carried out`           moves by waves with their dates, groups and counts     yes: moves against the file
=================================  =====================================================  =================================================

**Account-days, exactly.** A move counted at grid time g[i] was made in (g[i-1], g[i]], to the microsecond. So the time that those who entered a state
have left until the end is known up to the width of the interval, and so is the time of those who left; the time spent in the state lies between
(the least of the former less the most of the latter) and the reverse. Where all accounts are there from the start, a segment's states hold together
exactly accounts x duration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from sim.engines.tally import SUB_BUCKETS, TOP_BIT
from sim.model.jit import Array
from sim.model.schedule import UNLIMITED
from sim.results.ledger import Ledger, Numbers, whole
from sim.results.tables import Codes, Counts
from sim.scenario import Distribution

MOST_COUNTED = 2**53
"""No count may reach this: up to here doubles are exact, and no sum of counts in the tables can wrap."""
MOST_READERS = 10**15
"""Largest audience of an account (law, "Population")."""


def _fits(it: Numbers, ledger: Ledger) -> None:
    for name in ("moves", "first_bans", "ever", "violations", "starts", "waits"):
        counted = getattr(it.tally, name)
        least = int(counted.min(initial=0))
        ledger.require(least >= 0, lambda name=name, least=least: f"a count of {name} is {least:,}")
        total = float(counted.sum(dtype=np.float64))
        ledger.require(
            total < MOST_COUNTED,
            lambda name=name, total=total: f"{total:.6g} {name} do not fit; at most {MOST_COUNTED:,}",
        )
    for name in ("sojourn", "audience", "wronged", "waited", "worked"):
        high = getattr(it.tally, name)[..., 1]
        ledger.require(high < TOP_BIT, lambda *place, name=name: f"the sum of {name} does not fit its 128 bits")


def _conserved(it: Numbers, ledger: Ledger) -> None:
    occupancy, joined = it.counts.occupancy, it.counts.bans[:, :, 0]
    held = occupancy.sum(axis=2)
    ledger.require(
        held == joined,
        lambda g, s: f"{it.where(s, time=g)}: states hold {held[g, s]:,} accounts, {joined[g, s]:,} have joined",
    )
    ledger.require(occupancy >= 0, lambda g, s, x: f"{it.where(s, time=g, state=x)}: {occupancy[g, s, x]:,} accounts")
    made = it.tally.moves[:, :, 0].sum(axis=2).cumsum(axis=0)
    segments = it.codes.scenario.spec.segments.values()
    there = np.array([segment.accounts for segment in segments], np.int64)
    begins = np.array([segment.joins_from_us for segment in segments], np.int64)
    ends = np.array([segment.joins_to_us for segment in segments], np.int64)
    grid = it.codes.grid[:, None]
    ledger.require(
        (made <= there) & ((grid >= begins) | (made == 0)) & ((grid < ends) | (made == there)) & (made == joined),
        lambda g, s: (
            f"{it.where(s, time=g)}: {made[g, s]:,} of {there[s]:,} accounts have joined, the tables say {joined[g, s]:,}"
        ),
    )


def _agrees(it: Numbers, ledger: Ledger) -> None:
    moves = it.counts.moves
    change = it.by_state(moves, it.to) - it.by_state(moves, it.origin)
    found = np.diff(it.counts.occupancy, axis=0, prepend=0)
    ledger.require(
        found == change,
        lambda g, s, x: (
            f"{it.where(s, time=g, state=x)}: occupancy changes by {found[g, s, x]:,}, moves in less moves out are {change[g, s, x]:,}"
        ),
    )


def _adds_up(it: Numbers, ledger: Ledger) -> None:
    moves = it.counts.moves
    changing = it.origin != it.to
    least, most = it.time_left(moves)
    into = [it.by_state(part[..., changing], it.to[changing]) for part in (least, most)]
    out = [it.by_state(part[..., changing], it.origin[changing]) for part in (least, most)]
    spent = whole(it.tally.sojourn)
    low, high = into[0] - out[1], into[1] - out[0]
    ledger.require(
        (low <= spent) & (spent <= high),
        lambda s, x: (
            f"{it.where(s, state=x)}: {spent[s, x]:,} microseconds were spent in it, moves allow {low[s, x]:,} to {high[s, x]:,}"
        ),
    )
    total, begin, until = spent.sum(axis=1), least[:, 0], most[:, 0]
    ledger.require(
        (begin <= total) & (total <= until),
        lambda s: (
            f"{it.where(s)}: states hold {total[s]:,} microseconds, those who joined have {begin[s]:,} to {until[s]:,}"
        ),
    )
    readers = whole(it.tally.audience)
    audiences = [_readers(segment.audience) for segment in it.codes.scenario.spec.segments.values()]
    few, many = (np.array([pair[side] for pair in audiences], object)[:, None] * spent for side in (0, 1))
    ledger.require(
        (few <= readers) & (readers <= many),
        lambda s, x: (
            f"{it.where(s, state=x)}: {readers[s, x]:,} reader-microseconds; allowed: {few[s, x]:,} to {many[s, x]:,}"
        ),
    )


def _readers(audience: Distribution | None) -> tuple[int, int]:
    """Fewest and most readers that an account can have."""
    if audience is None:
        return 0, 0
    if audience.family in ("fixed", "uniform", "triangular", "empirical"):
        return min(round(audience.values[0]), MOST_READERS), min(round(audience.values[-1]), MOST_READERS)
    return 0, MOST_READERS


def _bans_hold(it: Numbers, ledger: Ledger) -> None:
    joined, ever, banned, wrongly = np.moveaxis(it.counts.bans, 2, 0)
    told = lambda g, s: (  # noqa: E731
        f"{it.where(s, time=g)}: {joined[g, s]:,} joined, {ever[g, s]:,} ever banned, {banned[g, s]:,} banned, "
        f"{wrongly[g, s]:,} wrongly banned"
    )
    ledger.require((np.diff(ever, axis=0, prepend=0) >= 0) & (np.diff(wrongly, axis=0, prepend=0) >= 0), told)
    ledger.require((wrongly >= 0) & (wrongly <= ever) & (banned >= 0) & (banned <= ever) & (ever <= joined), told)
    bans = it.codes.law.bans != 0
    outside = (it.origin < 0) | ~bans[it.origin]
    first, entries = it.tally.first_bans, it.tally.moves[:, :, bans[it.to] & outside].sum(axis=2)
    ledger.require(
        first <= entries,
        lambda g, s, w: f"{it.where(s, time=g)}: {first[g, s, w]:,} first bans, {entries[g, s, w]:,} moves into a ban",
    )
    at_end, ever_in = ever[-1], it.tally.ever[:, bans]
    least, most = ever_in.max(axis=1, initial=0), ever_in.sum(axis=1)
    ledger.require(
        (least <= at_end) & (at_end <= most),
        lambda s: f"{it.where(s)}: {at_end[s]:,} accounts ever banned, their states say {least[s]:,} to {most[s]:,}",
    )


def _were_there(it: Numbers, ledger: Ledger) -> None:
    ever, moves = it.tally.ever, it.counts.moves.sum(axis=0)
    entries, joined = it.by_state(moves, it.to), moves[:, :1]
    most = it.counts.occupancy.max(axis=0)
    start = np.arange(ever.shape[1]) == it.to[0]
    ledger.require(
        (ever <= np.minimum(entries, joined))
        & (ever >= most)
        & ((ever > 0) == (entries > 0))
        & (~start | (ever == joined)),
        lambda s, x: (
            f"{it.where(s, state=x)}: {ever[s, x]:,} accounts were ever in it, of {joined[s, 0]:,} that joined, with {entries[s, x]:,} "
            f"entries and {most[s, x]:,} at once"
        ),
    )


def bucket_edges(bucket: int) -> tuple[int, int]:
    """Shortest and longest wait, in microseconds, that `sim.engines.tally.wait_bucket` puts into a bucket."""
    if bucket == 0:
        return 0, 0
    octave, part = divmod(bucket - 1, SUB_BUCKETS)
    low, high = (-(-(edge << octave) // SUB_BUCKETS) for edge in (part, part + 1))
    return (1 << octave) + low, (1 << octave) + high - 1


def _serves(it: Numbers, ledger: Ledger) -> None:
    served = it.caused("served")
    made = it.counts.moves.sum(axis=1)
    desks = it.codes.law.states["desk"][0]
    for number, name in enumerate(it.codes.names.desks):
        before = desks == number
        left = (it.origin >= 0) & before[it.origin]
        came, gone, ended = (made[:, which].sum(axis=1) for which in (before[it.to], left & ~served, left & served))
        starts = it.tally.starts[:, number]
        waiting, busy = (came - gone - starts).cumsum(), (starts - ended).cumsum()
        staff = _most_reviewers(it.codes, number)
        ledger.require(
            (waiting >= 0) & (busy >= 0) & (busy <= staff),
            lambda g, name=name, waiting=waiting, busy=busy, staff=staff: (
                f"desk `{name}`, {it.where(time=g)}: {waiting[g]:,} wait, {busy[g]:,} are served, there were at most {staff[g]:,} reviewers"
            ),
        )
        all_served = int(gone.sum()) == 0 and int(waiting[-1]) == 0
        _desk_times(it, ledger, number, (starts, ended), whole(it.tally.sojourn)[:, before].sum(), exact=all_served)


def _most_reviewers(codes: Codes, desk: int) -> Array:
    """(G,) most reviewers that there were up to a grid time: a service goes on when its reviewer is gone."""
    row = codes.law.desks[desk]
    part = slice(row["staff_first"], row["staff_first"] + row["staff_count"])
    most = np.maximum.accumulate(codes.law.staff[part])
    found = most[np.searchsorted(codes.law.staff_from[part], codes.grid, side="right") - 1]
    return np.where(found == UNLIMITED, np.iinfo(np.int64).max, found)


def _desk_times(
    it: Numbers, ledger: Ledger, desk: int, services: tuple[Array, Array], there: int, *, exact: bool
) -> None:
    """Hold a desk's sums of time to each other; `there` is the time that accounts spent before it, `exact` if all of them were served."""
    name, histogram = it.codes.names.desks[desk], it.tally.waits[desk]
    starts, count = int(services[0].sum()), int(histogram.sum())
    ledger.require(
        starts == count, lambda: f"desk `{name}`: {starts:,} services were started, {count:,} waits ended in one"
    )
    buckets = np.flatnonzero(histogram).tolist()
    low, high = (sum(int(histogram[b]) * bucket_edges(b)[side] for b in buckets) for side in (0, 1))
    waited, worked = int(whole(it.tally.waited[desk])), int(whole(it.tally.worked[desk]))
    ledger.require(
        low <= waited <= high,
        lambda: f"desk `{name}`: {waited:,} microseconds waited, the histogram of waits allows {low:,} to {high:,}",
    )
    (begun_least, begun_most), (ended_least, ended_most) = (it.time_left(part) for part in services)
    least, most = begun_least - ended_most, begun_most - ended_least
    ledger.require(
        least <= worked <= most,
        lambda: (
            f"desk `{name}`: {worked:,} microseconds worked, starts and ends of services allow {least:,} to {most:,}"
        ),
    )
    ledger.require(
        waited + worked == there if exact else waited + worked <= there,
        lambda: (
            f"desk `{name}`: {waited:,} microseconds waited and {worked:,} worked, accounts were there for {there:,}"
        ),
    )


def _violates(it: Numbers, ledger: Ledger) -> None:
    missed, detected = it.tally.violations[..., 0], it.tally.violations[..., 1]
    every = it.counts.violations[..., 0]
    told = lambda s, k, v: (  # noqa: E731
        f"{it.where(s)}, {it.codes.names.kinds[k]}, {it.codes.names.severities[v]}: {every[s, k, v]:,} violations, "
        f"{missed[s, k, v]:,} missed and {detected[s, k, v]:,} detected"
    )
    ledger.require((detected <= every) & (detected + missed == every), told)
    laws = [spec.violations.values() for spec in it.codes.scenario.in_force]
    names = it.codes.names
    chances = np.array([[kind.detection for kind in law] for law in laws]).reshape(len(laws), 1, len(names.kinds), 1)
    rates = np.array([[[kind.rate[g] for kind in law] for g in names.segments] for law in laws])
    tables = np.array([[[kind.severity.get(v, 0.0) for v in names.severities] for kind in law] for law in laws])
    may = (rates.max(axis=0)[..., None] > 0.0) & (tables.reshape(len(laws), *every.shape[1:]).max(axis=0) > 0.0)
    ledger.require((may | (every == 0)), told)
    ledger.require(
        ((chances.max(axis=0) > 0.0) | (detected == 0)) & ((chances.min(axis=0) < 1.0) | (missed == 0)), told
    )
    genuine = np.array([kind.genuine for kind in it.codes.scenario.spec.violations.values()], bool)
    cases = np.stack([detected[:, which].sum(axis=(1, 2)) for which in (genuine, ~genuine)], axis=1)
    decided = it.tally.moves[:, :, it.caused("decision")].sum(axis=(0, 2))
    ledger.require(
        decided <= cases,
        lambda s, w: (
            f"{it.where(s)}: {decided[s, w]:,} moves by {('rightful', 'wrongful')[w]} decisions, {cases[s, w]:,} violations that could lead to them"
        ),
    )


def _ordered(it: Numbers, ledger: Ledger) -> None:
    grid, names = it.codes.grid, it.codes.names
    for name, wave in it.codes.scenario.spec.waves.items():
        made = it.tally.moves[:, :, it.caused(f"wave:{name}")].sum(axis=(2, 3))
        segment = names.segments.index(wave.segment)
        placed = (np.arange(len(names.segments)) == segment) & (
            np.searchsorted(grid, wave.at_us) <= np.arange(len(grid))[:, None]
        )
        ledger.require(
            placed | (made == 0),
            lambda g, s, name=name, made=made: (
                f"{it.where(s, time=g)}: order `{name}` moves {made[g, s]:,}, before its date or elsewhere"
            ),
        )
        total = int(made.sum())
        most = (
            it.codes.scenario.spec.segments[wave.segment].accounts if wave.count is None else _most_hit(it.codes, name)
        )
        ledger.require(
            total <= most,
            lambda name=name, total=total, most=most: f"order `{name}` moves {total:,}, at most {most:,} are hit",
        )


def _most_hit(codes: Codes, wave: str) -> int:
    return max(spec.waves[wave].count or 0 for spec in codes.scenario.in_force)


INVARIANTS: Mapping[str, Callable[[Numbers, Ledger], None]] = {
    "counts fit": _fits,
    "accounts are conserved": _conserved,
    "moves agree with occupancy": _agrees,
    "account-days add up": _adds_up,
    "ever banned never falls": _bans_hold,
    "accounts were in their states": _were_there,
    "every service has an arrival": _serves,
    "violations come before decisions": _violates,
    "orders are carried out": _ordered,
}
"""What is checked, in this order: later ones rely on counts that fit."""


def check(counts: Counts, codes: Codes) -> dict[str, int]:
    """Check the numbers of a replication.

    Returns
    -------
    comparisons
        How many numbers were compared for each of `INVARIANTS`.

    Raises
    ------
    InvariantError
        One does not hold: which, where, and the numbers.
    """
    numbers, found = Numbers(counts, codes), {}
    for name, holds in INVARIANTS.items():
        ledger = Ledger(name)
        holds(numbers, ledger)
        found[name] = ledger.comparisons
    return found


def told(comparisons: Iterable[Mapping[str, int]]) -> dict[str, Any]:
    """What a manifest says of the checks of several replications: all held, and how many numbers were compared in each."""
    total: dict[str, int] = dict.fromkeys(INVARIANTS, 0)
    for found in comparisons:
        for name, count in found.items():
            total[name] += count
    return {"held": True, "comparisons": total}
