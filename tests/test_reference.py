"""The reference simulator: published answers, the conformance cases, the order of things at one instant, every feature.

The cases at one instant are worked out by hand: draws are scripted so that violations fall on whole days.
"""

import csv
import io
import math
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from random_scenarios import FEATURES, features, random_scenario
from reference import Draws, Event, Lives, events, simulate
from reference_draws import Distribution, philox4x32, quantile
from ruamel.yaml import YAML

GOLDEN = Path(__file__).parent / "golden"
DAY = 86_400_000_000
HOUR = DAY // 24
GENERATED = 40


# ------------------------------------------------------------------------------------------------------- random numbers
@pytest.mark.parametrize(
    ("counter", "key", "output"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_the_known_answers_of_random123(counter: str, key: str, output: str) -> None:
    words = [tuple(int(word, 16) for word in text.split()) for text in (counter, key, output)]
    assert philox4x32(words[0], words[1]) == words[2]


def test_uniform_numbers_stay_inside_the_open_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    for word in (0, 2**32 - 1):
        monkeypatch.setattr("reference_draws.philox4x32", lambda *_, word=word: (word,) * 4)
        assert 0 < Draws(0, 0).uniform("a", 0, "join", 0) < 1


@pytest.mark.parametrize(
    ("family", "of", "median"),
    [
        ("fixed", {"value": 3.0}, 3),
        ("exponential", {"mean": 2.0}, 2 * math.log(2)),
        ("uniform", {"low": 1.0, "high": 4.0}, 2.5),
        ("triangular", {"low": 0.0, "mode": 1.0, "high": 2.0}, 1),
        ("weibull", {"shape": 2.0, "scale": 3.0}, 3 * math.sqrt(math.log(2))),
        ("lognormal", {"median": 5.0, "sigma": 0.7}, 5),
        ("loglogistic", {"median": 6.0, "shape": 1.3}, 6),
        ("empirical", {"quantiles": [0.0, 1.0, 4.0, 9.0]}, 2.5),
    ],
)
def test_quantiles_increase_through_the_median(family: str, of: dict, median: float) -> None:
    distribution = Distribution(family, of)
    assert quantile(distribution, 0.5) == pytest.approx(median)
    grid = [quantile(distribution, u) for u in np.linspace(0.001, 0.999, 99)]
    assert grid == sorted(grid)


# ---------------------------------------------------------------------------------------------------- conformance cases
@pytest.mark.parametrize("name", ["desk", "strikes", "timeline"])
def test_conformance_cases_event_for_event(name: str) -> None:
    scenario = YAML(typ="safe").load(GOLDEN / f"{name}.yaml")
    with (GOLDEN / f"{name}.events.csv").open(newline="") as file:
        known = [[*row.values()] for row in csv.DictReader(file)]
    found = [
        [*map(str, event[:8]), "" if event.strikes is None else str(event.strikes), str(int(event.wrongful))]
        for event in events(scenario, seed=42)
    ]
    assert [row[1:] for row in found] == [row[1:] for row in known]
    assert max(abs(int(a[0]) - int(b[0])) for a, b in zip(found, known, strict=True)) <= 1


# --------------------------------------------------------------------------------------------- order at one instant
class Scripted(Draws):
    """Draws given by name; the others are one half, and violations that are not given do not happen (36 days away)."""

    def __init__(self, script: dict[tuple, float]) -> None:
        self.script = script

    def uniform(self, segment: str, account: int, name: str, occurrence: int) -> float:
        otherwise = 1 - 2**-53 if name == "violation" else 0.5
        for key in ((segment, account, name, occurrence), (account, name, occurrence)):
            if key in self.script:
                return self.script[key]
        return otherwise


def after(days: float) -> float:
    """The uniform number that makes a violation happen after so many days at one per day."""
    return -math.expm1(-days)


def world(states: dict, accounts: int = 1, delay: str = "0 days", **more: object) -> dict:
    """A Monday's scenario of 20 days: one segment, one kind of violation at one per day, always detected."""
    trading = {"rate": {"a": "1 per day"}, "severity": {"minor": "100%"}}
    return {
        "start": "2023-01-02",
        "horizon": "20 days",
        "segments": {"a": {"accounts": accounts}},
        "violations": {"trading": trading | {"detection": {"chance": "100%", "delay": delay}}},
        "ladder": {"start": "one", "states": states},
    } | more


def run(scenario: dict, script: dict[tuple, float] | None = None) -> Lives:
    return simulate(scenario, draws=Scripted(script or {}))


def told(rows: list[Event]) -> list[tuple[float, str, str]]:
    """When (days), why and where to, without the joins."""
    return [(row.time_us / DAY, row.cause, row.to_state) for row in rows if row.cause != "joined"]


def test_an_exit_precedes_a_violation_which_follows_a_microsecond_later() -> None:
    states = {
        "one": {"exits": {"moved": {"to": "two", "after": "2 days"}}, "on_violation": {"minor": "three"}},
        "two": {"on_violation": {"minor": "four"}},
        "three": {},
        "four": {},
    }
    rows = run(world(states), {(0, "violation", 0): after(2)}).events
    assert [(row.time_us, row.to_state) for row in rows] == [(0, "one"), (2 * DAY, "two"), (2 * DAY + 1, "four")]


def test_exit_decision_restart_and_wave_follow_each_other_at_one_instant() -> None:
    states = {
        "one": {"exits": {"moved": {"to": "two", "after": "3 days"}}},
        "two": {"on_violation": {"minor": "three"}, "exits": {"later": {"to": "one", "after": "9 days"}}},
        "three": {"exits": {"later": {"to": "five", "after": "9 days"}}},
        "four": {"activity": 0},
        "five": {"activity": 0},
    }
    path = "ladder.states.three.exits.later.after"
    scenario = world(
        states,
        delay="2 days",
        waves={"order": {"at": "2023-01-05", "segment": "a", "count": 1, "to": "four", "states": ["three"]}},
        phases={"change": {"from": "2023-01-05", "set": {path: "5 days"}, "in_progress": "restart"}},
    )
    assert told(run(scenario, {(0, "violation", 0): after(1)}).events) == [
        (3, "exit:moved", "two"),
        (3, "decision", "three"),
        (3, "phase:change", "three"),
        (3, "wave:order", "four"),
    ]


def test_what_falls_due_during_a_service_is_applied_after_it_in_order() -> None:
    states = {
        "one": {"exits": {"moved": {"to": "desk", "after": "1 day"}}},
        "desk": {"desk": "review", "service": "4 days", "outcomes": {"two": "100%"}},
        "two": {"exits": {"later": {"to": "one", "after": "19 days"}}, "on_violation": {"minor": "three"}},
        "three": {"on_violation": {"minor": "four"}},
        "four": {"on_violation": {"minor": "one"}},
    }
    wave = {"segment": "a", "share": "100%", "genuine": False}
    path = "ladder.states.two.exits.later.after"
    scenario = world(
        states,
        delay="3 days",
        desks={"review": {"reviewers": 1}},
        waves={
            "last": {**wave, "at": "2023-01-07", "to": "two", "states": ["four"]},
            "first": {**wave, "at": "2023-01-05", "to": "three"},
        },
        phases={"change": {"from": "2023-01-06", "set": {path: "9 days"}, "in_progress": "restart"}},
    )
    lives = run(scenario, {(0, "violation", 0): after(0.5), (0, "violation", 1): after(6)})
    assert told(lives.events) == [
        (1, "exit:moved", "desk"),
        (5, "served", "two"),
        (5, "wave:first", "three"),  # due on day 3
        (5, "decision", "four"),  # due on day 3.5
        (5, "wave:last", "two"),  # due now; the restart of day 4 is lost
        (13.5, "decision", "three"),  # the clock ran for half a day, stood still in service, ran on until day 10.5
    ]
    assert [(row.wrongful, row.strikes) for row in lives.events[3:6]] == [(True, None), (False, 1), (True, None)]
    assert lives.violations == {("a", "trading", "minor"): (2, 2)}


def test_restarts_apply_to_states_entered_at_that_instant_and_one_after_the_other() -> None:
    states = {
        "one": {"exits": {"moved": {"to": "desk", "after": "1 day"}}},
        "desk": {"desk": "review", "service": "2 days", "outcomes": {"two": "100%"}},
        "two": {"exits": {"later": {"to": "one", "after": "9 days"}}},
    }
    path, other = "ladder.states.two.exits.later.after", "ladder.states.one.exits.moved.after"
    restart = {"from": "2023-01-05", "in_progress": "restart"}
    phases = {
        "first": {**restart, "set": {path: "8 days"}},
        "second": {**restart, "set": {other: "30 days"}},  # no change to state two
        "third": {**restart, "set": {path: "7 days"}},
    }
    lives = run(world(states, desks={"review": {"reviewers": 1}}, phases=phases))
    assert told(lives.events)[1:] == [
        (3, "served", "two"),
        (3, "phase:first", "two"),
        (3, "phase:third", "two"),
        (10, "exit:later", "one"),
    ]


def test_a_queue_goes_by_priority_time_segment_and_index() -> None:
    outcomes = {"desk": "review", "service": "1 day", "outcomes": {"gone": "100%"}}
    at_last = {"to": "soon", "after": "1 day"}
    states = {
        "one": {"exits": {"x": {"to": "late", "after": "1 day", "chance": "50%"}, "y": at_last}},
        "soon": outcomes | {"priority": -1},
        "late": outcomes,
        "gone": {},
    }
    scenario = world(states, desks={"review": {"reviewers": 1}})
    scenario["segments"] = {"b": {"accounts": 2}, "a": {"accounts": 2}}
    chances = {("b", 0): 0.1, ("b", 1): 0.9, ("a", 0): 0.9, ("a", 1): 0.1}  # below one half: the late state
    lives = run(scenario, {(*who, "chance:one/x", 0): u for who, u in chances.items()})
    started = {(visit.segment, visit.account): visit.started_us // DAY for visit in lives.visits}
    assert started == {("b", 1): 1, ("a", 0): 2, ("b", 0): 3, ("a", 1): 4}


def test_running_services_finish_when_reviewers_fall_and_who_gives_up_is_not_served() -> None:
    states = {
        "one": {"exits": {"moved": {"to": "desk", "after": "1 day"}}},
        "desk": {
            "desk": "review",
            "service": "2 days",
            "exits": {"gave_up": {"to": "gone", "after": "4 days"}},
            "outcomes": {"gone": "100%"},
        },
        "gone": {},
    }
    scenario = world(
        states,
        accounts=5,
        desks={"review": {"reviewers": 2}},
        phases={"cut": {"from": "2023-01-04", "set": {"desks.review.reviewers": 1}}},
    )
    lives = run(scenario)
    days = [[None if t is None else t // DAY for t in visit[4:]] for visit in lives.visits]
    # On day 5 the reviewer is free again at the very instant at which the last two give up.
    assert days == [[1, None, 3], [1, None, 3], [3, None, 5], [None, 5, None], [None, 5, None]]


def test_working_hours_past_midnight_belong_to_the_day_they_began() -> None:
    states = {
        "one": {"exits": {"moved": {"to": "desk", "after": {"uniform": {"low": "0 hours", "high": "400 hours"}}}}},
        "desk": {"desk": "review", "service": "1 hour", "outcomes": {"gone": "100%"}},
        "gone": {},
    }
    hours = {"days": "mon-fri", "from": "22:00", "to": "06:00"}
    entered = [1, 5 * 24 + 1, 5 * 24 + 6]  # Monday and Saturday at one in the night, Saturday at six
    scenario = world(states, accounts=3, desks={"review": {"reviewers": "unlimited", "hours": hours}})
    lives = run(scenario, {(i, "exit:one/moved", 0): hour / 400 for i, hour in enumerate(entered)})
    assert [visit.started_us // HOUR for visit in lives.visits] == [22, 5 * 24 + 1, 7 * 24 + 22]


def test_a_violation_due_when_a_phase_ends_all_violations_waits_for_the_next() -> None:
    path = "violations.trading.rate.a"
    phases = {
        "truce": {"from": "2023-01-04", "set": {path: "0 per day"}},
        "over": {"from": "2023-01-09", "set": {path: "2 per week"}},
    }
    scenario = world({"one": {"on_violation": {"minor": "two"}}, "two": {}}, phases=phases)
    rows = run(scenario, {(0, "violation", 0): after(2)}).events
    assert [row.time_us for row in rows] == [0, 7 * DAY + 1]


def test_cases_take_the_worst_of_their_violations_and_strikes_expire_on_the_dot() -> None:
    targets = {"minor": ["one", "two"], "serious": ["one", "two"], "severe": ["one", "two"]}
    scenario = world({"one": {"on_violation": targets}, "two": {}}, delay="1 day")
    scenario["violations"]["trading"] |= {"genuine": False, "severity": {"serious": "50%", "minor": "50%"}}
    scenario["violations"]["fraud"] = scenario["violations"]["trading"] | {"genuine": True}
    scenario["violations"]["trading"]["rate"] = scenario["violations"]["fraud"]["rate"] = {"a": "0.5 per day"}
    scenario["ladder"]["strikes"] = {"expire": "4 days"}
    script = {(0, "violation", k): after(gap) for k, gap in enumerate([1, 0.5, 0.25, 3.25, 3])}
    script |= {(0, "kind", k): u for k, u in enumerate([0.2, 0.2, 0.8, 0.2, 0.8])}  # below one half: trading
    script |= {(0, "severity", k): u for k, u in enumerate([0.8, 0.2, 0.2, 0.2, 0.8])}  # below one half: serious
    rows = run(scenario, script).events[1:]
    found = [(row.time_us, row.kind, row.severity, row.strikes, row.wrongful, row.to_state) for row in rows]
    assert found == [
        (2 * DAY, "trading", "serious", 1, False, "one"),  # days 1, 1.5 and 1.75
        (6 * DAY, "trading", "serious", 1, True, "one"),  # the first strike is four days old
        (9 * DAY, "fraud", "minor", 2, False, "two"),
    ]


def test_a_count_takes_the_smallest_draws_and_a_wave_spares_absorbing_states() -> None:
    states = {"one": {"exits": {"left": {"to": "gone", "after": "2 days", "chance": "50%"}}}, "gone": {"activity": 0}}
    wave = {"at": "2023-01-04", "segment": "a", "count": 3, "to": "one"}
    scenario = world(states, accounts=5, waves={"order": wave})
    script = {(i, "wave:order", 0): u for i, u in enumerate([0.7, 0.7, 0.2, 0.7, 0.1])}
    script |= {(i, "chance:one/left", n): 0.9 for i in range(4) for n in range(2)} | {(4, "chance:one/left", 0): 0.1}
    moved = {row.account: row.cause for row in run(scenario, script).events if row.cause != "joined"}
    assert moved == {0: "wave:order", 2: "wave:order", 4: "exit:left"}


# ----------------------------------------------------------------------------------------------- generated scenarios
@cache
def generated(number: int) -> tuple[dict, Lives]:
    scenario = random_scenario(np.random.default_rng(number))
    return scenario, simulate(scenario, seed=number)


def test_generated_scenarios_use_every_feature_of_the_law() -> None:
    used = [features(generated(number)[0]) for number in range(GENERATED)]
    assert set().union(*used) == FEATURES


@pytest.mark.parametrize("number", range(GENERATED))
def test_lives_are_chains_of_events_in_time(number: int) -> None:
    scenario, lives = generated(number)
    assert [row for row in lives.events if row.cause == "joined"]
    for before, row in zip(lives.events, lives.events[1:], strict=False):
        if row.cause == "joined":
            assert (before.segment, before.account) != (row.segment, row.account)
        else:
            assert (before.segment, before.account, before.to_state) == (row.segment, row.account, row.from_state)
            assert before.time_us <= row.time_us
        assert (row.cause == "decision") == bool(row.kind) == bool(row.severity) == (row.strikes is not None)
    for visit in lives.visits:
        ends = (visit.started_us, visit.left_us)
        assert None in ends
        assert visit.ended_us is None or visit.started_us < visit.ended_us
    for desk, rules in scenario.get("desks", {}).items():
        if isinstance(rules["reviewers"], int) and not any("reviewers" in key for key in patched(scenario)):
            assert busiest(lives, desk) <= rules["reviewers"]


def patched(scenario: dict) -> list[str]:
    return [path for phase in scenario.get("phases", {}).values() for path in phase["set"]]


def busiest(lives: Lives, desk: str) -> int:
    """The greatest number of services at a time."""
    visits = [visit for visit in lives.visits if visit.desk == desk and visit.started_us is not None]
    changes = [(visit.started_us, 1) for visit in visits]
    changes += [(visit.ended_us, -1) for visit in visits if visit.ended_us is not None]
    return max(np.cumsum([change for _, change in sorted(changes)]), default=0)


def test_generated_lives_meet_the_rare_branches() -> None:
    met: Counter = Counter()
    for number in range(GENERATED):
        _, lives = generated(number)
        met["given up or called away"] += sum(visit.left_us is not None for visit in lives.visits)
        met["in service at the end"] += sum(visit[4:] == (visit.started_us, None, None) for visit in lives.visits)
        causes: dict[tuple, list[str]] = {}
        for row in lives.events:
            causes.setdefault((row.segment, row.account, row.time_us), []).append(row.cause.split(":")[0])
        met.update("+".join(together) for together in causes.values() if len(together) > 1)
        met.update(row.cause.split(":")[0] for row in lives.events)
    rare = {"served+decision", "served+wave", "exit+wave", "exit+phase", "phase+wave", "wave+wave", "joined+wave"}
    assert rare | {"given up or called away", "in service at the end", "phase"} <= set(met), met


def test_generated_scenarios_survive_yaml() -> None:
    for number in range(5):
        scenario, lives = generated(number)
        text = io.StringIO()
        YAML().dump(scenario, text)
        assert simulate(YAML(typ="safe").load(text.getvalue()), seed=number) == lives
