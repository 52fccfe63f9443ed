"""`validate --exact`: what ships as exact is held to the exact answers of the verification tests and to formulas; a bent engine is refuted.

Simulated beside exact: the limit of `hold_to_exact` itself, a false alarm in 10,000 files; about 10 runs here.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from typer.testing import CliRunner
from verification.chains import advance
from verification.queues import erlang_c
from verification.renewal import benchmark_ladder, third_strike

import sim
from sim.cli import app
from sim.experiments import exact as exact_module
from sim.experiments.exact import Exactness, binomial_z, hold_to_exact
from sim.experiments.renewal import Joining, exponentiated, propensities, renewed, share_within, solved
from sim.experiments.semi_markov import obstacles, process_of
from sim.experiments.steady_desk import Queue, queue_of
from sim.scenario import Distribution, load, loads

DAY, HOUR = 86_400_000_000, 3_600_000_000
LADDER = Path(__file__).parents[1] / "benchmarks" / "ladder.yaml"
CHAIN = """
schema: 1
title: Three states
start: 2024-01-01
horizon: 100 days
segments: {shops: {accounts: 20_000}}
violations: {spam: {rate: {shops: 0.02 per day}, severity: {minor: 75%, severe: 25%}, detection: {chance: 50%}}}
ladder:
  start: free
  states:
    free: {on_violation: {minor: warned, severe: banned}}
    warned: {activity: 50%, exits: {over: {to: free, after: {exponential: {mean: 20 days}}}}, on_violation: {minor: banned}}
    banned: {activity: 0, exits: {appealed: {to: free, after: {exponential: {mean: 50 days}}}}}
"""
DESK = """
schema: 1
title: A desk fed by many
start: 2024-01-01
horizon: 200 days
segments: {shops: {accounts: 20_000}}
violations: {spam: {rate: {shops: 0.0108 per day}, severity: {minor: 100%}, detection: {chance: 100%}}}
ladder:
  start: free
  bans: []
  states:
    free: {on_violation: {minor: review}}
    review: {activity: 0, desk: desk, service: {exponential: {mean: 1 hour}}, outcomes: {free: 100%}}
desks: {desk: {reviewers: 10}}
"""
JOINED = """
schema: 1
title: Accounts that join before a desk
start: 2024-01-01
horizon: 100 days
segments: {shops: {accounts: 43_200, joins: {from: 2024-01-01, to: 2024-07-19}}}
ladder:
  start: queue
  bans: []
  states:
    queue: {activity: 0, desk: desk, service: {exponential: {mean: 1 hour}}, outcomes: {done: 100%}}
    done: {activity: 0}
desks: {desk: {reviewers: 10}}
"""


def values(found: Exactness, measure: str) -> list[float]:
    """Exact values of a measure in the order of times."""
    return [one.exact for one in found.compared if one.measure == measure]


def test_benchmark_ladder() -> None:
    """Two fixed deadlines: 32.964 % ever banned, and every state as the delay equations of the verification tests have it."""
    found = hold_to_exact(load(LADDER), seed=1)
    assert found.verdict == "agrees"
    assert values(found, "ever banned")[-1] == pytest.approx(0.32964, abs=5e-6)
    days, shares = benchmark_ladder(365.0, 0.02)
    looks = [round(one.at / DAY / 0.02) for one in found.compared[:4] if one.at is not None]
    for state, column in (("compliant", 0), ("rectifying", 1), ("restricted", 3), ("banned", 4)):
        assert values(found, f"in {state}") == pytest.approx(shares[looks, column], abs=2e-5)
    assert days[looks[-1]] == 365.0


def test_three_states() -> None:
    """All clocks exponential: the matrix exponential of a chain written by hand; the renewal equation gives the same."""

    def moves(state: str) -> list[tuple[str, float]]:
        return {
            "free": [("warned", 0.01 * 0.75), ("banned", 0.01 * 0.25)],
            "warned": [("free", 1 / 20), ("banned", 0.5 * 0.01 * 0.75)],
            "banned": [("free", 1 / 50)],
        }[state]

    found = hold_to_exact(loads(CHAIN), seed=2)
    assert found.verdict == "agrees"
    for state in ("free", "warned", "banned"):
        known = [advance({"free": 1.0}, moves, day)[state] for day in (25.0, 50.0, 75.0, 100.0)]
        assert values(found, f"in {state}") == pytest.approx(known, abs=1e-9)
    process = process_of(loads(CHAIN).spec, "shops")
    times = [25 * DAY, 100 * DAY]
    on_a_grid = renewed(process, 1.0, Joining(0, 0), 2000, 0.05 * DAY, [500, 2000])
    assert on_a_grid == pytest.approx(exponentiated(process, 1.0, Joining(0, 0), times), abs=1e-6)
    joining = Joining(10 * DAY, 60 * DAY)
    later = renewed(process, 1.0, joining, 2000, 0.05 * DAY, [500, 2000])
    assert later == pytest.approx(exponentiated(process, 1.0, joining, times), abs=1e-6)
    assert later.sum(axis=1) == pytest.approx([0.3, 1.0])


def test_third_strike() -> None:
    """Strikes that never expire are part of the node: the third of a Poisson process, an Erlang distribution."""
    text = CHAIN[: CHAIN.index("  states:")].replace("{minor: 75%, severe: 25%}", "{severe: 100%}")
    text += "  states: {free: {on_violation: {severe: [free, free, banned]}}, banned: {activity: 0}}"
    found = hold_to_exact(loads(text), seed=3)
    assert found.verdict == "agrees"
    days = (25.0, 50.0, 75.0, 100.0)
    assert values(found, "ever banned") == pytest.approx([stats.gamma.cdf(0.01 * day, 3) for day in days], abs=1e-9)
    _, chance = third_strike(0.01, 100.0, 100.0, 0.5)
    assert values(found, "ever banned")[-1] == pytest.approx(chance[-1], abs=1e-5)


def test_chances_ties_propensity_and_joining() -> None:
    """Two exits of one instant, one that may not ring, a service without a limit, spread propensity and late accounts."""
    text = """
schema: 1
title: Many clocks
start: 2024-01-01
horizon: 80 days
segments:
  shops: {accounts: 30_000, propensity: {sigma: 1.2}}
  late: {accounts: 30_000, joins: {from: 2024-01-11, to: 2024-02-10}}
violations: {spam: {rate: {shops: 2 per month, late: 1 per month}, severity: {minor: 100%}, detection: {chance: 50%}}}
ladder:
  start: free
  bans: [closed]
  states:
    free: {on_violation: {minor: review}}
    review: {activity: 0, desk: desk, service: {triangular: {low: 1 day, mode: 2 days, high: 6 days}},
             outcomes: {free: 40%, warned: 60%}}
    warned:
      exits:
        first: {to: free, after: 8 days, chance: 50%}
        second: {to: closed, after: 8 days, chance: 40%}
        third: {to: free, after: {weibull: {shape: 2, scale: 30 days}}}
        none: {to: held, after: {empirical: {quantiles: [0 days, 0 days, 3 days, 9 days, 9 days, 20 days]}}, chance: 30%}
    held:
      exits:
        over: {to: free, after: {loglogistic: {median: 5 days, shape: 2}}}
        hour: {to: closed, after: {lognormal: {median: 9 days, sigma: 1}}}
    closed: {activity: 0}
desks: {desk: {reviewers: unlimited}}
"""
    found = hold_to_exact(loads(text), seed=4)
    assert {one.subject for one in found.compared} == {"segment shops", "segment late"}
    assert found.verdict == "agrees"
    assert found.unsolved == ()


@pytest.mark.parametrize(("text", "fewer"), [(DESK, 1), (JOINED, 0)], ids=["closed", "joined"])
def test_desk_fed_by_many(text: str, fewer: int) -> None:
    """Erlang C: the chain's shares give the formula, and the desk agrees; the averages know the empty beginning."""
    queue = queue_of(loads(text), "desk")
    assert isinstance(queue, Queue)
    assert queue.arrivals * HOUR == pytest.approx(9.0)
    assert (queue.fewer > 0.0) == (fewer == 1)
    poisson = Queue(queue.arrivals, 0.0, queue.services, queue.reviewers)
    _, shares = poisson.shares()
    assert shares[10:].sum() == pytest.approx(erlang_c(9.0, 10))
    assert poisson.average(1e9 * HOUR, waiting=True).mean == pytest.approx(9.0 * erlang_c(9.0, 10))  # type: ignore[union-attr]
    found = hold_to_exact(loads(text), seed=5)
    assert {one.measure for one in found.compared} == {
        "accounts waiting, mean",
        "reviewers busy, mean",
        "mean wait in hours",
    }
    assert found.verdict == "agrees"
    assert found.compared[1].exact == pytest.approx(9.0, rel=0.01)


def test_desk_average_of_an_empty_beginning() -> None:
    """M/M/1 with one place filled by a chain small enough for expm: mean over a run that begins empty, and its variance's order."""
    queue = Queue(2.0, 1.0, 1.5, 1)  # two sources
    moves = {0: [(1, 2.0)], 1: [(2, 1.0), (0, 1.5)], 2: [(1, 1.5)]}
    times = np.linspace(0.0, 200.0, 4001)
    waiting = [advance({0: 1.0}, lambda n: moves[n], float(t)).get(2, 0.0) for t in times]
    known = float(np.trapezoid(waiting, times)) / 200.0
    average = queue.average(200.0, waiting=True)
    assert average is not None
    assert average.mean == pytest.approx(known, rel=1e-4)
    assert queue.average(5.0, waiting=True) is None


UNSOLVED = {
    "phases": (
        {"phases.later": {"from": "2024-02-01", "set": {"violations.spam.detection.chance": "60%"}}},
        "phases change values during the run (later)",
    ),
    "waves": ({"waves.order": {"at": "2024-02-01", "segment": "shops", "share": "5%", "to": "banned"}}, "waves move accounts at a date (order)"),
    "delays": ({"violations.spam.detection.delay": "1 day"}, "decisions come after a delay"),
    "strikes": (
        {"ladder.strikes.expire": "30 days", "ladder.states.free.on_violation.minor": ["warned", "banned"]},
        "targets depend on strikes, and strikes expire",
    ),
    "hours": (
        {"desks.appeals": {"reviewers": "unlimited", "hours": {"days": "mon-fri", "from": "09:00", "to": "17:00"}},
         "ladder.states.warned": {"desk": "appeals", "service": "1 day", "outcomes": {"free": "100%"}}},
        "desk `appeals` has working hours (state `warned`)",
    ),
    "limited": (
        {"desks.appeals": {"reviewers": 3},
         "ladder.states.warned": {"desk": "appeals", "service": "1 day", "outcomes": {"free": "100%"}}},
        "accounts meet at the limited desk `appeals` (state `warned`)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", UNSOLVED)
def test_what_cannot_be_solved_says_why(name: str) -> None:
    """The feature is named, and nothing is run or compared."""
    changes, reason = UNSOLVED[name]
    scenario = loads(CHAIN).with_values(changes)
    assert any(told.startswith(reason) for told in obstacles(scenario, "shops"))
    found = hold_to_exact(scenario)
    assert found.verdict == "unsolved"
    assert reason in found.unsolved[0][1]
    assert obstacles(loads(CHAIN), "shops") == []


NOT_STEADY = {
    "phases": (
        DESK,
        {"phases.later": {"from": "2024-02-01", "set": {"violations.spam.detection.chance": "60%"}}},
        "phases change values during the run",
    ),
    "waves": (
        DESK,
        {"waves.order": {"at": "2024-02-01", "segment": "shops", "share": "5%", "to": "review"}},
        "waves move accounts at a date",
    ),
    "hours": (
        DESK,
        {"desks.desk.hours": {"days": "mon-fri", "from": "09:00", "to": "17:00"}},
        "it is not always staffed",
    ),
    "services": (DESK, {"ladder.states.review.service": "1 hour"}, "services are not of one exponential distribution"),
    "patience": (
        DESK,
        {"ladder.states.review.exits": {"tired": {"to": "free", "after": "1 day"}}},
        "accounts may give up waiting",
    ),
    "called away": (
        DESK,
        {"ladder.states.review.activity": "50%", "ladder.states.review.on_violation": {"minor": "free"}},
        "decisions may take accounts out of the queue",
    ),
    "delays": (
        DESK,
        {"violations.spam.detection.delay": "1 day"},
        "in segment `shops` decisions come after a delay, while other clocks of the account run on",
    ),
    "too few": (JOINED, {"desks.desk.reviewers": 9}, "more accounts come than it can serve"),
    "nobody": (DESK, {"violations.spam.detection.chance": "0%"}, "nobody comes"),
    "propensity": (
        DESK,
        {"segments.shops.propensity": {"sigma": 0.5}},
        "segment `shops` does not come at a steady rate",
    ),
    "clocks": (
        DESK,
        {"ladder.states.free.exits": {"turn": {"to": "review", "after": "300 days"}}},
        "in segment `shops` clocks of the start state are not exponential",
    ),
    "two rates": (
        DESK,
        {
            "segments.stalls": {"accounts": 10},
            "violations.spam.rate": {"shops": "0.0108 per day", "stalls": "0.02 per day"},
        },
        "segments come at different rates",
    ),
    "joins": (
        JOINED,
        {"segments.shops.joins": {"from": "2024-01-01", "to": "2024-02-01"}},
        "segment `shops` does not join evenly over the whole run",
    ),
    "comes back": (
        JOINED,
        {"ladder.states.done.exits": {"again": {"to": "queue", "after": "10 days"}}},
        "in segment `shops` accounts come back to it",
    ),
}


@pytest.mark.parametrize("name", NOT_STEADY)
def test_why_a_desk_is_not_solved(name: str) -> None:
    """What keeps a limited desk from being M/M/c is said in words; without it, the desk is solved."""
    text, changes, reason = NOT_STEADY[name]
    assert isinstance(queue_of(loads(text), "desk"), Queue)
    assert queue_of(loads(text).with_values(changes), "desk") == reason


def test_a_segment_that_never_comes_to_a_desk_is_no_matter() -> None:
    """The queue is that of the others."""
    more = {
        "segments.quiet": {"accounts": 500},
        "violations.spam.rate": {"shops": "0.0108 per day", "quiet": "0 per day"},
    }
    assert queue_of(loads(DESK).with_values(more), "desk") == queue_of(loads(DESK), "desk")


def test_bent_engine_is_refuted(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine whose rates are 10 % too high keeps every invariant and is refuted here."""
    honest = exact_module.replicate

    def bent(codes, *rest):  # type: ignore[no-untyped-def]
        faster = type(codes)(codes.scenario, codes.law._replace(rates=codes.law.rates * 1.1), codes.names)
        return honest(faster, *rest)

    monkeypatch.setattr(exact_module, "replicate", bent)
    for scenario in (load(LADDER), loads(DESK)):
        found = hold_to_exact(scenario, seed=6)
        assert found.verdict == "refuted"
        assert max(abs(one.z) for one in found.compared) > 2.0 * found.limit


def test_binomial_z() -> None:
    """Close to the normal score where counts are large, exact where they are small, and never refuted within what the solver may be off by."""
    assert binomial_z(50_500, 100_000, 0.5) == pytest.approx(500 / math.sqrt(25_000), abs=0.02)
    assert binomial_z(49_500, 100_000, 0.5) == pytest.approx(-500 / math.sqrt(25_000), abs=0.02)
    assert binomial_z(3, 1_000_000, 1e-7) == pytest.approx(stats.norm.isf(stats.binom.sf(2, 1_000_000, 1e-7)), abs=1e-6)
    assert binomial_z(1, 10, 0.0) == math.inf
    assert binomial_z(0, 10, 0.0) == binomial_z(10, 10, 1.0) == 0.0
    assert binomial_z(50_500, 100_000, 0.5, slack=0.006) == 0.0
    assert binomial_z(90_000, 100_000, 0.5) > 100.0


def test_distribution_functions() -> None:
    """Each family inverts the law's quantiles, from both sides of its jumps."""
    quarter = {
        Distribution("exponential", (2.0,)): -2.0 * math.log1p(-0.25),
        Distribution("uniform", (2.0, 6.0)): 3.0,
        Distribution("triangular", (0.0, 4.0, 4.0)): 2.0,
        Distribution("triangular", (0.0, 0.0, 4.0)): 4.0 - math.sqrt(12.0),
        Distribution("weibull", (2.0, 3.0)): 3.0 * math.sqrt(-math.log1p(-0.25)),
        Distribution("lognormal", (5.0, 0.5)): 5.0 * math.exp(0.5 * float(stats.norm.ppf(0.25))),
        Distribution("loglogistic", (5.0, 2.0)): 5.0 * math.sqrt(1.0 / 3.0),
        Distribution("empirical", (1.0, 2.0, 8.0)): 1.5,
    }
    for after, time in quarter.items():
        for before in (False, True):
            assert share_within(after, np.array([0.0, time, 1e9]), before=before) == pytest.approx(
                [0.0, 0.25, 1.0], abs=1e-9
            )
    times = np.array([0.0, 2.0, 3.0])
    for after, at, left in (
        (Distribution("fixed", (2.0,)), [0, 1, 1], [0, 0, 1]),
        (Distribution("triangular", (2.0, 2.0, 2.0)), [0, 1, 1], [0, 0, 1]),
        (Distribution("lognormal", (2.0, 0.0)), [0, 1, 1], [0, 0, 1]),
        (Distribution("empirical", (0.0, 0.0, 2.0, 2.0, 4.0)), [0.25, 0.75, 0.875], [0.0, 0.5, 0.875]),
        (Distribution("empirical", (2.0, 2.0)), [0, 1, 1], [0, 0, 1]),
    ):
        assert share_within(after, times).tolist() == pytest.approx(at)
        assert share_within(after, times, before=True).tolist() == pytest.approx(left)


def test_propensities_have_mean_one() -> None:
    """And solving over them gives E exp(-z r t), by integration."""
    assert sum(z * w for z, w in propensities(1.0, 16)) == pytest.approx(1.0, abs=1e-6)
    text = CHAIN.replace("accounts: 20_000", "accounts: 20_000, propensity: {sigma: 1}")
    process = process_of(loads(text).spec, "shops").absorbed(("banned", "warned"))
    shares, off = solved(process, 1.0, Joining(0, 0), [100 * DAY], 1e-6)
    root = np.linspace(-9.0, 9.0, 20_001)
    known = np.trapezoid(np.exp(-np.exp(root - 0.5)) * stats.norm.pdf(root), root)
    assert abs(shares[0, 0] - known) <= max(off[0, 0], 2e-6)


def test_verb(tmp_path: Path) -> None:
    """Table, verdict and exit code; why not; a file that is not valid is said first."""
    file = tmp_path / "chain.yaml"
    file.write_text(CHAIN)
    done = CliRunner().invoke(app, ["validate", str(file), "--exact", "--quiet", "--seed", "7"])
    assert done.exit_code == 0
    assert "agrees: 16 comparisons" in done.output
    assert "in warned" in done.output
    told = CliRunner().invoke(app, ["validate", "review_capacity_2024", "--exact", "--quiet"])
    assert told.exit_code == 0
    assert "no exact answer: phases change values" in told.output
    assert sim.load(file) == loads(CHAIN)


def test_verb_where_an_engine_is_refuted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a failure, and the exit code says so. (A limit that nothing keeps takes the place of a bent engine.)"""
    file = tmp_path / "chain.yaml"
    file.write_text(CHAIN)
    monkeypatch.setattr(Exactness, "limit", 0.001)
    done = CliRunner().invoke(app, ["validate", str(file), "--exact", "--quiet"])
    assert done.exit_code == 1
    assert "refuted" in done.output
