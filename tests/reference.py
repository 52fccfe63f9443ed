"""A second, naive simulator of the law, written from `sim/model/README.md` alone: what the engines are checked against.

It shares no code with the package. Where the package compiles tables, this module keeps dictionaries and walks from
instant to instant: at each it does everything that happens to accounts (service end, exit, violation, decision, phase
restart, wave), then lets every desk start services. Read it beside `sim/model/README.md`:

========================  =====================================================
rule of `sim/model/README.md`         where
========================  =====================================================
Random numbers             module `reference_draws`
the scenario's values      module `reference_scenario`
Population                 `Simulation.populate`
Violations, Cases          `Simulation.violate`, `stretch`, `decide`
States                     `Simulation.enter`
Desks                      `Simulation.serve`, `end_service`, `openings`
Waves, Phases              `Simulation.orders`, `restart`
Order at one instant       `Simulation.live`, `run`
========================  =====================================================

Times are integer microseconds since the scenario's `start`, rates are per microsecond.
"""

import heapq
import math
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any, NamedTuple

from reference_draws import Draws, choose, duration_us, quantile, running_total
from reference_scenario import DAY, Wave, calendar_time, distribution, microseconds, moment_us, number, read_stretches
from scipy.special import ndtri

NO_CASE = ("", "", None)  # kind, severity and strikes of what is no decision


class Event(NamedTuple):
    """One transition of one account; `wrongful` is its mark afterwards, `kind` to `strikes` are of decisions only."""

    time_us: int
    segment: str
    account: int
    from_state: str
    to_state: str
    cause: str
    kind: str
    severity: str
    strikes: int | None
    wrongful: bool


class Visit(NamedTuple):
    """One stay of an account before a desk: it is served (`started_us`, `ended_us`) or goes unserved (`left_us`)."""

    desk: str
    segment: str
    account: int
    entered_us: int
    started_us: int | None
    left_us: int | None
    ended_us: int | None


@dataclass(frozen=True)
class Lives:
    """Everything that happened: events and visits by (segment, account, order of happening), counts of violations."""

    events: list[Event]
    violations: dict[tuple[str, str, str], tuple[int, int]]  # (segment, kind, severity) -> (violations, detected)
    visits: list[Visit]
    audience: dict[tuple[str, int], int]  # (segment, account) -> readers, 0 where the segment has no audience


@dataclass
class Case:
    """An open case: when it is decided, its worst violation (the first among equals), whether all were false alarms."""

    due_us: int
    kind: str
    severity: str
    wrongful: bool


@dataclass(eq=False)
class Account:
    """One account and its clocks; a clock that does not run is None."""

    place: int  # in the order of segments, then index
    segment: str
    index: int
    joins_us: int = 0
    propensity: float = 1.0
    state: str = ""
    entered_us: int = -1
    entries: Counter = field(default_factory=Counter)
    exit_us: int | None = None
    exit_name: str = ""
    exit_to: str = ""
    violations: int = 0  # how many happened so far: the number k of the next
    to_go: float = 0.0  # hazard still to be integrated until violation k
    since_us: int = 0  # start of the present stretch of constant hazard
    hazard: float = 0.0
    violation_us: int | None = None
    case: Case | None = None
    strikes: list[int] = field(default_factory=list)
    wrongful: bool = False
    service_us: int | None = None  # end of the running service
    outcomes: dict[bool, dict[str, float]] = field(default_factory=dict)  # in force when the service started
    held: list[tuple[int, str, Wave]] = field(default_factory=list)  # waves that fell into the service
    rows: list[Event] = field(default_factory=list)
    visits: list[dict[str, Any]] = field(default_factory=list)


class Simulation:
    """The lives of all accounts of one scenario, seed and replication."""

    def __init__(self, scenario: dict, draws: Draws) -> None:
        self.scenario, self.draws = scenario, draws
        self.start = calendar_time(scenario["start"])
        horizon = scenario.get("horizon")
        self.end_us = round(microseconds(horizon)) if horizon else moment_us(scenario["end"], self.start)
        self.severities = scenario.get("severities", ["minor", "serious", "severe"])
        self.stretches = read_stretches(scenario, self.start)
        self.law = self.stretches[0].law
        self.accounts: list[Account] = []
        self.audience: dict[tuple[str, int], int] = {}
        self.violations: dict[tuple[str, str, str], list[int]] = {}
        self.waiting: dict[str, list[Account]] = {desk: [] for desk in self.law.desks}
        self.busy: Counter = Counter()
        self.populate()

    def draw(self, account: Account, name: str, occurrence: int) -> float:
        return self.draws.uniform(account.segment, account.index, name, occurrence)

    def populate(self) -> None:
        for name, segment in self.scenario["segments"].items():
            joins = segment.get("joins")
            first, last = (moment_us(joins[e], self.start) for e in ("from", "to")) if joins else (0, 0)
            sigma = number(segment["propensity"]["sigma"]) if "propensity" in segment else 0.0
            readers = distribution(segment.get("audience", 0), number)
            for index in range(round(number(segment["accounts"]))):
                account = Account(len(self.accounts), name, index)
                account.joins_us = round(first + self.draw(account, "join", 0) * (last - first))
                if sigma:
                    u = self.draw(account, "propensity", 0)
                    account.propensity = math.exp(sigma * float(ndtri(u)) - sigma**2 / 2)
                self.audience[name, index] = round(quantile(readers, self.draw(account, "audience", 0)))
                self.accounts.append(account)

    def openings(self) -> list[int]:
        """When a desk with working hours opens, by any law of the scenario."""
        midnight = -moment_us(datetime.combine(self.start.date(), time()), self.start)
        all_hours = [desk.hours for stretch in self.stretches for desk in stretch.law.desks.values() if desk.hours]
        days = range(self.end_us // DAY + 2)
        return [day * DAY + hours.from_us - midnight for hours in all_hours for day in days]

    def run(self) -> Lives:
        phases = {stretch.from_us for stretch in self.stretches[1:]}
        waves = {wave.at_us for wave in self.law.waves.values()}
        self.calendar = [(account.joins_us, account.place) for account in self.accounts]
        self.calendar += [(t, -1) for t in {*phases, *waves, *self.openings()}]
        self.calendar = [entry for entry in self.calendar if entry[0] >= 0]
        heapq.heapify(self.calendar)
        while self.calendar and self.calendar[0][0] <= self.end_us:
            t = self.calendar[0][0]
            due = set()
            while self.calendar and self.calendar[0][0] == t:
                due.add(heapq.heappop(self.calendar)[1])
            if t in phases or t in waves:
                due = {*range(len(self.accounts))}
            self.instant(t, [self.accounts[place] for place in sorted(due - {-1})])
        return self.lives()

    def instant(self, t: int, due: list[Account]) -> None:
        """All that happens at `t`: first to accounts, then the staff changes, then the desks start services."""
        self.law = [stretch for stretch in self.stretches if stretch.from_us <= t][-1].law
        starting = [i for i, stretch in enumerate(self.stretches) if stretch.from_us == t]
        orders = self.orders(t)
        for account in due:
            if account.joins_us <= t:
                self.live(account, t, starting, [(name, wave) for name, wave, hit in orders if account.place in hit])
        started = [account for desk in self.law.desks for account in self.serve(desk, t)]
        for account in due + started:
            self.schedule(account)

    def schedule(self, account: Account) -> None:
        """Note when something next falls due for an account (old notes do no harm: nothing is due then)."""
        clocks = [account.exit_us, account.violation_us, account.case and account.case.due_us]
        for t in clocks if account.service_us is None else [account.service_us]:
            if t is not None:
                heapq.heappush(self.calendar, (t, account.place))

    # --------------------------------------------------------------------------------------- one account, one instant
    def live(self, account: Account, t: int, starting: list[int], orders: list[tuple[str, Wave]]) -> None:
        """All that happens to one account at `t`, in the law's order."""
        if not account.state:
            self.begin_violation_clock(account)
            self.enter(account, t, self.scenario["ladder"]["start"], "joined")
        if account.service_us is not None:
            if account.service_us > t:
                account.held += [(t, name, wave) for name, wave in orders]
                return
            self.end_service(account, t)
        if account.exit_us == t:
            self.enter(account, t, account.exit_to, f"exit:{account.exit_name}")
        if account.violation_us == t:
            self.violate(account, t)
        if account.case and account.case.due_us == t:
            self.decide(account, t)
        for i in starting:
            self.restart(account, t, i)
        if starting:
            self.stretch(account, t)
        for name, wave in orders:
            self.obey(account, t, name, wave)

    def enter(self, account: Account, t: int, to: str, cause: str, case: tuple[str, str, int | None] = NO_CASE) -> None:
        """Move an account into a state (perhaps the one it is in) and draw the clocks of its exits."""
        who = account.segment, account.index
        account.rows.append(Event(t, *who, account.state, to, cause, *case, account.wrongful))
        for queue in self.waiting.values():
            if account in queue:
                queue.remove(account)
                account.visits[-1]["left_us"] = t
        state, earlier = self.law.states[to], account.entries[to]
        account.state, account.entered_us = to, t
        account.entries[to] += 1
        account.exit_us = None
        for name, leaving in state.exits.items():
            if leaving.chance < 1 and not self.draw(account, f"chance:{to}/{name}", earlier) < leaving.chance:
                continue
            rings_us = t + duration_us(leaving.after, self.draw(account, f"exit:{to}/{name}", earlier))
            if account.exit_us is None or rings_us < account.exit_us:
                account.exit_us, account.exit_name, account.exit_to = rings_us, name, leaving.to
        if state.desk:
            self.waiting[state.desk].append(account)
            account.visits.append({"desk": state.desk, "entered_us": t})
        self.stretch(account, t)

    # ------------------------------------------------------------------------------------------- violations and cases
    def begin_violation_clock(self, account: Account) -> None:
        account.to_go = -math.log1p(-self.draw(account, "violation", account.violations))

    def rates(self, account: Account) -> dict[str, float]:
        return {name: kind.rate.get(account.segment, 0.0) for name, kind in self.law.kinds.items()}

    def stop_violation_clock(self, account: Account, t: int) -> None:
        account.to_go = max(account.to_go - account.hazard * (t - account.since_us), 0.0)
        account.since_us, account.hazard, account.violation_us = t, 0.0, None

    def stretch(self, account: Account, t: int) -> None:
        """End the stretch of constant hazard at `t` and begin the next, by the state and the law as they now are."""
        self.stop_violation_clock(account, t)
        activity = self.law.states[account.state].activity
        account.hazard = account.propensity * activity * running_total(self.rates(account).values())
        if account.hazard > 0:
            account.violation_us = t + max(1, round(account.to_go / account.hazard))

    def violate(self, account: Account, t: int) -> None:
        rates, k = self.rates(account), account.violations
        if running_total(rates.values()) == 0:  # a phase that begins at this very instant ended all violations
            account.to_go = account.hazard = 0.0
            return
        name = choose(rates, self.draw(account, "kind", k))
        kind = self.law.kinds[name]
        severity = choose(kind.severity, self.draw(account, "severity", k))
        detected = self.draw(account, "detection", k) < kind.detection
        count = self.violations.setdefault((account.segment, name, severity), [0, 0])
        count[0] += 1
        count[1] += detected
        account.violations += 1
        account.hazard = 0.0  # the old stretch is over: nothing of it counts for the next violation
        self.begin_violation_clock(account)
        self.stretch(account, t)
        if not detected:
            return
        if account.case is None:
            delay_us = 0 if kind.delay is None else duration_us(kind.delay, self.draw(account, "delay", k))
            account.case = Case(t + delay_us, name, severity, not kind.genuine)
            return
        account.case.wrongful = account.case.wrongful and not kind.genuine
        if self.severities.index(severity) > self.severities.index(account.case.severity):
            account.case.kind, account.case.severity = name, severity

    def decide(self, account: Account, t: int) -> None:
        case, account.case = account.case, None
        targets = self.law.states[account.state].on_violation.get(case.severity)
        if not targets:
            return
        account.strikes.append(t)
        strikes = sum(t - strike_us < self.law.expire_us for strike_us in account.strikes)
        account.wrongful = case.wrongful
        to = targets[min(strikes, len(targets)) - 1]
        self.enter(account, t, to, "decision", (case.kind, case.severity, strikes))

    # ---------------------------------------------------------------------------------------------------------- desks
    def capacity(self, desk: str, t: int) -> float:
        """How many may be in service at `t`: the reviewers during working hours, nobody outside them."""
        reviewers, hours = self.law.desks[desk]
        if hours is None:
            return reviewers
        now = self.start + timedelta(microseconds=t)
        weekday, of_day = now.weekday(), moment_us(now, datetime.combine(now.date(), time()))
        if hours.from_us < hours.to_us:
            is_open = weekday in hours.days and hours.from_us <= of_day < hours.to_us
        else:  # past midnight: the evening of a working day, or the morning after one
            evening = weekday in hours.days and of_day >= hours.from_us
            morning = (weekday - 1) % 7 in hours.days and of_day < hours.to_us
            is_open = evening or morning
        return reviewers if is_open else 0

    def serve(self, desk: str, t: int) -> list[Account]:
        """Start as many services as the desk can at `t`, and say whose."""

        def turn(account: Account) -> tuple[float, int, int]:
            return self.law.states[account.state].priority, account.entered_us, account.place

        started = []
        free = self.capacity(desk, t) - self.busy[desk] if self.waiting[desk] else 0
        for account in sorted(self.waiting[desk], key=turn):
            if len(started) >= free:
                break
            self.waiting[desk].remove(account)
            self.busy[desk] += 1
            state, earlier = self.law.states[account.state], account.entries[account.state] - 1
            account.service_us = t + duration_us(state.service, self.draw(account, f"service:{account.state}", earlier))
            account.outcomes = state.outcomes
            account.exit_us = None
            self.stop_violation_clock(account, t)
            account.visits[-1]["started_us"] = t
            started.append(account)
        return started

    def end_service(self, account: Account, t: int) -> None:
        """End a service, draw its outcome and apply what fell due meanwhile."""
        self.busy[account.visits[-1]["desk"]] -= 1
        account.visits[-1]["ended_us"] = t
        account.service_us = None
        u = self.draw(account, f"outcome:{account.state}", account.entries[account.state] - 1)
        self.enter(account, t, choose(account.outcomes[account.wrongful], u), "served")
        fell_due = [(due_us, 1, order, held) for order, (due_us, *held) in enumerate(account.held)]
        if account.case and account.case.due_us < t:
            fell_due.append((account.case.due_us, 0, 0, None))
        account.held = []
        for _, _, _, held in sorted(fell_due, key=lambda due: due[:3]):
            if held is None:
                self.decide(account, t)
            else:
                self.obey(account, t, *held)

    # ----------------------------------------------------------------------------------------------- waves and phases
    def orders(self, t: int) -> list[tuple[str, Wave, set[int]]]:
        """The waves of this instant, each with the places of the accounts it hits."""
        orders = []
        for name, wave in self.law.waves.items():
            if wave.at_us != t:
                continue
            group = [account for account in self.accounts if account.segment == wave.segment]
            by_draw = sorted((self.draw(account, f"wave:{name}", 0), account.place) for account in group)
            chosen = (
                by_draw[: wave.count] if wave.count is not None else [one for one in by_draw if one[0] < wave.share]
            )
            hit = {place for _, place in chosen}
            states = wave.states or [state for state, rules in self.law.states.items() if not rules.absorbing]
            orders.append((name, wave._replace(states=states), hit))
        return orders

    def obey(self, account: Account, t: int, name: str, wave: Wave) -> None:
        if account.state in wave.states:
            account.wrongful = not wave.genuine
            self.enter(account, t, wave.to, f"wave:{name}")

    def restart(self, account: Account, t: int, i: int) -> None:
        """Enter an account anew if phase `i` restarts clocks and changes the exits of its state."""
        before, phase = self.stretches[i - 1], self.stretches[i]
        if phase.restart and before.law.states[account.state].exits != phase.law.states[account.state].exits:
            self.enter(account, t, account.state, f"phase:{phase.phase}")

    def lives(self) -> Lives:
        nothing = dict.fromkeys(("started_us", "left_us", "ended_us"))
        visits = [
            Visit(**{**nothing, **visit, "segment": account.segment, "account": account.index})
            for account in self.accounts
            for visit in account.visits
        ]
        counts = {key: (happened, detected) for key, (happened, detected) in self.violations.items()}
        return Lives([row for account in self.accounts for row in account.rows], counts, visits, self.audience)


def simulate(scenario: dict, seed: int = 0, replication: int = 0, draws: Draws | None = None) -> Lives:
    """Run one whole scenario (a dictionary as YAML gives it, no `extends`); `draws` replaces the random numbers."""
    return Simulation(scenario, draws or Draws(seed, replication)).run()


def events(scenario: dict, seed: int = 0, replication: int = 0) -> list[Event]:
    """Every transition of every account, by segment in file order, account and order of happening."""
    return simulate(scenario, seed, replication).events
