"""Review desks in their steady state: Erlang C, Pollaczek-Khinchine, Cobham, Erlang A, M/G/infinity, and one path to the microsecond.

Threshold: |z| below `verification.exact.z_limit()`, 5.16: a false-alarm rate of 1e-4 for the whole folder, by Bonferroni over 400 comparisons.
Seeds: 1 to 11 in the order of the comparisons: under one seed the same accounts would join at the same shares of the horizon.
Waits of one run depend on each other, so that a comparison is made over independent replications: Student's t for shares of time, a
gamma distribution with the spread that theory gives for mean waits, which are skewed.

Accounts join evenly over ten times the horizon: those who join within it are a thinned sample, close to a Poisson process (over one
relaxation time of the queue the variance of their number is short of Poisson's by half a percent at most). Every run starts with an empty desk; what
is measured begins after `WARM_UP` of the horizon: more than three relaxation times, ``(sqrt(c) - sqrt(load))^-2`` in heavy traffic (Blanc
and van Doorn 1986).
"""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import sim
from verification.exact import Comparison, disagreements, multinomial, normal, replicated, run, skewed
from verification.queues import cobham, erlang_a, erlang_c, pollaczek_khinchine, service_starts, spread_of_mean_wait

SPARE = 10
"""Horizons over which accounts join."""
WARM_UP, COOL_DOWN = 0.4, 0.12
"""Shares of the horizon at its beginning and end in which entries are not measured."""
SAFETY = 1.5
"""Factor on the theoretical spread of mean waits, for what the gamma distribution does not know of their skewness."""


def date(day: float) -> str:
    return str((pd.Timestamp("2023-01-01") + pd.Timedelta(days=day)).date())


def queue(
    arrivals: float, horizon: int, states: str, reviewers: int | str, start: str = "queue", observe: str = "1 hour"
) -> str:
    """A scenario in which accounts join at a rate per hour for `horizon` days."""
    accounts = round(arrivals * 24 * horizon * SPARE)
    return f"""
schema: 1
title: A desk
start: 2023-01-01
horizon: {horizon} days
observe: {observe}
segments:
  arrivals: {{accounts: {accounts}, joins: {{from: 2023-01-01, to: {date(horizon * SPARE)}}}}}
ladder:
  start: {start}
  bans: []
  states:
{states}
    done: {{activity: 0}}
desks:
  review: {{reviewers: {reviewers}}}
"""


def waiting_room(service: str, name: str = "queue", more: str = "") -> str:
    return f"""
    {name}:
      activity: 0
      desk: review
      service: {service}
      outcomes: {{done: 100%}}
      {more}"""


def systems(result: sim.Result, state: str) -> pd.DataFrame:
    """Hours between entering a state before a desk and leaving it by service, of those that entered in the measured part of the horizon."""
    rows, horizon = result.histories, result.scenario.spec.end_us
    keys = ["replication", "account"]
    inside = rows[rows["to_state"] == state].set_index(keys)["time"]
    since = (inside - pd.Timestamp(result.scenario.spec.start)) / pd.Timedelta(microseconds=horizon)
    measured = inside[(since >= WARM_UP) & (since < 1.0 - COOL_DOWN)]
    served = rows[(rows["from_state"] == state) & (rows["cause"] == "served")].set_index(keys)["time"]
    hours = (served.reindex(measured.index) - measured) / pd.Timedelta(hours=1)
    assert hours.notna().all(), "someone who entered before the cool-down was not served"
    return hours.rename("hours").reset_index()


def mean_wait(
    what: str, result: sim.Result, exact: float, service: float, spread: float, state: str = "queue"
) -> Comparison:
    """Compare hours from entry to the start of service: the time in the system less the mean service."""
    waits = systems(result, state).groupby("replication")["hours"].mean() - service
    return skewed(what, waits, exact, SAFETY * spread)


def measured_hours(days: int) -> float:
    return 24.0 * days * (1.0 - WARM_UP - COOL_DOWN)


def measured_desk(result: sim.Result) -> pd.DataFrame:
    """The desk at the grid times after the warm-up."""
    since = (result.desks["time"] - pd.Timestamp(result.scenario.spec.start)) / pd.Timedelta(
        microseconds=result.scenario.spec.end_us
    )
    return result.desks[since >= WARM_UP]


def all_busy(what: str, result: sim.Result, exact: float) -> Comparison:
    """Compare the share of time in which every reviewer is busy: what arrivals of a Poisson process see."""
    desk = measured_desk(result)
    return replicated(what, (desk["busy"] == desk["reviewers"]).groupby(desk["replication"]).mean(), exact)


ERLANG_C = [  # seed; arrivals, reviewers, P(wait), mean wait; days, replications
    (1, 2, 3, 0.444444, 0.444444, 30, 30),
    (2, 9, 10, 0.668732, 0.668732, 36, 20),
    (3, 18, 20, 0.550769, 0.275385, 14, 20),
    (4, 95, 100, 0.506457, 0.101291, 6, 15),
]
EXPONENTIAL = "{exponential: {mean: 1 hour}}"


def erlang_c_comparisons(result: sim.Result, chance: float, wait: float, spread: float) -> Iterator[Comparison]:
    yield mean_wait("mean wait in hours", result, wait, 1.0, spread)
    yield all_busy("share of time all are busy", result, chance)


@pytest.mark.parametrize(("seed", "arrivals", "reviewers", "chance", "wait", "days", "replications"), ERLANG_C)
def test_erlang_c(engine, verify, seed, arrivals, reviewers, chance, wait, days, replications):
    """M/M/c, service rate 1 per hour: the formula gives the published table to its digits, and the desk agrees with both columns.

    Arrivals of a Poisson process see time averages (Wolff 1982), so that the chance to wait is the share of time in which all are busy.
    """
    assert erlang_c(arrivals, reviewers) == pytest.approx(chance, abs=5.1e-7)
    assert erlang_c(arrivals, reviewers) / (reviewers - arrivals) == pytest.approx(wait, abs=5.1e-7)
    text = queue(arrivals, days, waiting_room(EXPONENTIAL), reviewers)
    result = run(text, engine, seed=seed, replications=replications, histories=None)
    spread = spread_of_mean_wait(arrivals, reviewers, measured_hours(days))
    verify(erlang_c_comparisons(result, chance, wait, spread))


def test_of_the_test_services_that_are_too_long(engine):
    """With services 10 % too long the comparison with the first row of the table fails."""
    seed, arrivals, reviewers, chance, wait, days, replications = ERLANG_C[0]
    bent = queue(arrivals, days, waiting_room("{exponential: {mean: 1.1 hours}}"), reviewers)
    result = run(bent, engine, seed, replications=replications, histories=None)
    spread = spread_of_mean_wait(arrivals, reviewers, measured_hours(days))
    assert disagreements(erlang_c_comparisons(result, chance, wait, spread))


SERVICES = {  # seed; mean and second moment in hours; P(wait) is the load
    "fixed": (5, "1 hour", 1.0, 1.0),
    "uniform": (6, "{uniform: {low: 0.2 hours, high: 1.8 hours}}", 1.0, 1.0 + 1.6**2 / 12.0),
    "weibull": (7, "{weibull: {shape: 2, scale: 1 hour}}", math.gamma(1.5), math.gamma(2.0)),
}


@pytest.mark.parametrize(("seed", "service", "mean", "square"), SERVICES.values(), ids=SERVICES)
def test_pollaczek_khinchine(engine, verify, seed, service, mean, square):
    """M/G/1 with 0.7 arrivals per hour: mean wait ``arrivals E[S^2] / 2 / (1 - load)``; M/D/1 is its first case; the desk is busy for the load."""
    result = run(queue(0.7, 60, waiting_room(service), 1), engine, seed, replications=24, histories=None)
    exact = pollaczek_khinchine(0.7, mean, square)
    spread = spread_of_mean_wait(0.7 * mean, 1, measured_hours(60) / mean)  # exponential services vary more than these
    verify(
        [
            mean_wait("mean wait in hours", result, exact, mean, spread),
            all_busy("share of time busy", result, 0.7 * mean),
        ]
    )


CLASSES = """
    sorting:
      activity: 0
      exits:
        urgent: {to: urgent, after: 1 second, chance: 30%}
        common: {to: common, after: 1 second, chance: 60%}
        slow: {to: slow, after: 1 second}
"""


def test_cobham(engine, verify):
    """M/G/1 with three priorities, none of which interrupts a service: Cobham's waits.

    A Poisson process sorted by independent draws is three Poisson processes with 30, 42 and 28 % of its rate.
    """
    rooms = [
        waiting_room("{exponential: {mean: 0.5 hours}}", "slow", "priority: 7.5"),
        waiting_room("1 hour", "urgent", "priority: -1"),
        waiting_room("{uniform: {low: 0 hours, high: 1 hour}}", "common"),
    ]
    text = queue(1.2, 60, CLASSES + "".join(rooms), 1, start="sorting")
    result = run(text, engine, seed=8, replications=20, histories=None)
    rates, means = (0.36, 0.504, 0.336), (1.0, 0.5, 0.5)
    load = float(np.dot(rates, means))
    exact = cobham(rates, means, (1.0, 1.0 / 3.0, 0.5))
    spread = spread_of_mean_wait(load, 1, measured_hours(60) * 1.2 / load)  # that of one class that stands for all
    verify(
        [
            mean_wait(f"mean wait in hours, {state}", result, wait, mean, spread, state)
            for state, wait, mean in zip(("urgent", "common", "slow"), exact, means, strict=True)
        ]
    )


def test_erlang_a(engine, verify):
    """M/M/2 with patience: who waits longer than an exponential time gives up. Chance to wait, share that gives up, number waiting (Palm 1957)."""
    chance, gives_up, waiting = erlang_a(2.4, 1.0, 1.5, 2)
    patience = "exits: {gave_up: {to: gone, after: {exponential: {mean: 1.5 hours}}}}"
    states = waiting_room(EXPONENTIAL, more=patience) + "\n    gone: {activity: 0}"
    result = run(queue(2.4, 30, states, 2), engine, seed=9, replications=24)
    desk, waits = measured_desk(result), result.waits
    verify(
        [
            all_busy("share of time all are busy", result, chance),
            replicated("number waiting", desk.groupby("replication")["waiting"].mean(), waiting),
            replicated("share that gives up", waits["left"] / (waits["left"] + waits["served"]), gives_up),
        ]
    )


def test_a_path_with_three_reviewers(engine, verify):
    """G/D/3 in order of entry: with equal services every start follows from the entries alone (Kiefer and Wolfowitz 1955), to the microsecond.

    So do all numbers in the table of waits; quantiles are the middles of buckets at most 1/64 wide.
    """
    result = run(queue(3.6, 100, waiting_room("45 minutes"), 3), engine, seed=10, histories=None)
    rows = result.histories
    entered = rows[rows["cause"] == "joined"]["time"].to_numpy().astype("datetime64[us]").astype(np.int64)
    ends = rows[rows["cause"] == "served"]["time"].to_numpy().astype("datetime64[us]").astype(np.int64)
    entered, service = np.sort(entered), 45 * 60 * 1_000_000
    starts = service_starts(entered, service, 3)
    end = np.datetime64(result.scenario.spec.start, "us").astype(np.int64) + result.scenario.spec.end_us
    begun = starts <= end
    waits = (starts - entered)[begun] / 3.6e9
    table = result.waits.iloc[0]
    assert len(ends) > 8_000
    verify(
        [
            normal(
                "services that end elsewhere",
                int((np.sort(ends) != np.sort(starts[starts + service <= end] + service)).sum()),
                0,
                0.0,
            ),
            normal("services started", int(table["served"]), len(waits), 0.0),
            normal("mean wait", table["mean_hours"], waits.mean(), 1e-12),
            normal(
                "share of the staffed time",
                table["utilisation"],
                (np.minimum(starts + service, end) - starts)[begun].sum() / 3 / result.scenario.spec.end_us,
                1e-12,
            ),
        ]
        + [
            normal(
                f"quantile {share} of waits, within 0.8 %",
                abs(table[f"p{share}_hours"] / np.quantile(waits, share / 100, method="inverted_cdf") - 1) < 0.008,
                True,
                0.0,
            )
            for share in (95, 99)
        ]
    )


def test_unlimited_desk(engine, verify):
    """M/G/infinity: the number in service is Poisson with mean ``arrivals E[S]`` (Takács 1962), whatever the law of S, and nobody waits.

    Services end within six hours, so that counts eight hours apart are independent.
    """
    text = queue(
        4.0,
        500,
        waiting_room("{triangular: {low: 1 hour, mode: 2 hours, high: 6 hours}}"),
        "unlimited",
        observe="8 hours",
    )
    result = run(text, engine, seed=11)
    desk = result.desks.iloc[1:]
    counts = np.bincount(np.minimum(desk["busy"], 30), minlength=31)
    chances = stats.poisson.pmf(np.arange(30), 4.0 * 3.0)
    verify(
        [
            multinomial("number in service", counts.tolist(), [*chances, 1.0 - chances.sum()]),
            normal("mean number in service", desk["busy"].mean(), 12.0, math.sqrt(12.0 / len(desk))),
            normal("longest queue", int(desk["waiting"].max()), 0, 0.0),
            normal("mean wait", float(result.waits["mean_hours"].iloc[0]), 0.0, 0.0),
        ]
    )
