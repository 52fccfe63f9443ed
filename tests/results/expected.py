"""The tables of a run worked out anew, slowly, from the events and visits of the naive reference simulator."""

from __future__ import annotations

import bisect
import math
from collections import Counter, defaultdict
from datetime import timedelta
from typing import Any

import pandas as pd
import reference
from reference import Draws, Lives, Simulation

from sim.scenario import Spec

DAY = 86_400_000_000
QUARTER = DAY // 96
HOUR = DAY // 24
Rows = list[tuple[Any, ...]]


class Expected:
    """Tables of one replication as lists of rows, without the column `replication`."""

    def __init__(self, scenario: dict[str, Any], spec: Spec, seed: int, replication: int = 0) -> None:
        self.scenario, self.spec = scenario, spec
        self.simulation = Simulation(scenario, Draws(seed, replication))
        self.lives: Lives = reference.simulate(scenario, seed, replication)
        self.end = spec.end_us
        self.grid = [*range(0, self.end, spec.observe_us), self.end]
        self.segments, self.states = list(spec.segments), list(spec.ladder.states)
        self.stays = self._stays()

    def time(self, at: int) -> pd.Timestamp:
        """Calendar time."""
        return pd.Timestamp(self.spec.start + timedelta(microseconds=at))

    def _stays(self) -> list[tuple[str, int, str, int, int]]:
        """Every stay in a state: segment, account, state, from, to."""
        stays = []
        for number, event in enumerate(self.lives.events):
            later = self.lives.events[number + 1] if number + 1 < len(self.lives.events) else None
            same = later is not None and (later.segment, later.account) == (event.segment, event.account)
            until = later.time_us if later is not None and same else self.end
            stays.append((event.segment, event.account, event.to_state, event.time_us, until))
        return stays

    def occupancy(self) -> Rows:
        """Accounts in each state at each grid time: an observation sees every event up to and including it."""
        found = []
        for at in self.grid:
            last: dict[tuple[str, int], str] = {}
            for event in self.lives.events:
                if event.time_us <= at:
                    last[event.segment, event.account] = event.to_state
            held = Counter((segment, state) for (segment, _), state in last.items())
            found += [(self.time(at), g, x, held[g, x]) for g in self.segments for x in self.states]
        return found

    def bans(self) -> Rows:
        """Joined, ever banned, banned, wrongly banned at each grid time."""
        bans, found = self.spec.ladder.bans, []
        for at in self.grid:
            for segment in self.segments:
                state: dict[int, str] = {}
                first: dict[int, bool] = {}
                for event in self.lives.events:
                    if event.segment == segment and event.time_us <= at:
                        state[event.account] = event.to_state
                        if event.to_state in bans:
                            first.setdefault(event.account, event.wrongful)
                now = sum(name in bans for name in state.values())
                found.append((self.time(at), segment, len(state), len(first), now, sum(first.values())))
        return found

    def transitions(self) -> dict[tuple[Any, ...], int]:
        """Moves by the grid time that first sees them."""
        found: Counter[tuple[Any, ...]] = Counter()
        for event in self.lives.events:
            at = self.time(self.grid[bisect.bisect_left(self.grid, event.time_us)])
            found[at, event.segment, event.from_state, event.to_state, event.cause, event.wrongful] += 1
        return dict(found)

    def state_sums(self) -> Rows:
        """Entries, accounts ever, account-days and reader-days of each state."""
        entries: Counter[tuple[str, str]] = Counter()
        ever: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        days: Counter[tuple[str, str]] = Counter()
        readers: Counter[tuple[str, str]] = Counter()
        for segment, account, state, since, until in self.stays:
            entries[segment, state] += 1
            ever[segment, state].add(account)
            days[segment, state] += until - since
            readers[segment, state] += (until - since) * self.lives.audience[segment, account]
        keys = [(g, x) for g in self.segments for x in self.states]
        return [(*k, entries[k], len(ever[k]), days[k] / DAY, readers[k] / DAY) for k in keys]

    def violations(self) -> Rows:
        """Violations and those detected by kind and severity."""
        return [
            (g, kind, severity, rules.genuine, *self.lives.violations.get((g, kind, severity), (0, 0)))
            for g in self.segments
            for kind, rules in self.spec.violations.items()
            for severity in self.spec.severities
        ]

    def capacity(self, desk: str, at: int) -> float:
        """Reviewers on duty."""
        self.simulation.law = [stretch for stretch in self.simulation.stretches if stretch.from_us <= at][-1].law
        return self.simulation.capacity(desk, at)

    def desks(self) -> Rows:
        """Waiting, busy and reviewers (``None``: unlimited) at each grid time."""
        found = []
        for at in self.grid:
            for desk in self.spec.desks:
                visits = [visit for visit in self.lives.visits if visit.desk == desk and visit.entered_us <= at]
                started = [visit for visit in visits if visit.started_us is not None and visit.started_us <= at]
                left = sum(visit.left_us is not None and visit.left_us <= at for visit in visits)
                ended = sum(visit.ended_us is not None and visit.ended_us <= at for visit in started)
                staff = self.capacity(desk, at)
                reviewers = None if math.isinf(staff) else int(staff)
                found.append((self.time(at), desk, len(visits) - len(started) - left, len(started) - ended, reviewers))
        return found

    def waits(self, desk: str) -> dict[str, float]:
        """Served, left, waits in hours and utilisation of one desk."""
        visits = [visit for visit in self.lives.visits if visit.desk == desk]
        served = [visit for visit in visits if visit.started_us is not None]
        waited = sorted(visit.started_us - visit.entered_us for visit in served if visit.started_us is not None)
        found: dict[str, float] = {
            "served": len(served),
            "left": sum(visit.left_us is not None for visit in visits),
            "mean_hours": sum(waited) / len(waited) / HOUR if waited else math.nan,
        }
        for percent in (50, 95, 99):
            rank = -(-percent * len(waited) // 100)
            found[f"p{percent}_hours"] = waited[rank - 1] / HOUR if waited else math.nan
        worked = sum(
            (self.end if visit.ended_us is None else visit.ended_us) - visit.started_us
            for visit in served
            if visit.started_us is not None
        )
        quarters = [min(QUARTER, self.end - at) * self.capacity(desk, at) for at in range(0, self.end, QUARTER)]
        staffed = sum(part for part in quarters if part == part)
        found["utilisation"] = math.nan if math.isinf(staffed) or staffed == 0 else worked / staffed
        return found
