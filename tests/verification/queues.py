"""Exact answers for desks: queues in their steady state, with times in units of the caller, and the path of a queue with known services."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable

import numpy as np


def erlang_c(load: float, reviewers: int) -> float:
    """Chance to wait in M/M/c with an offered load of ``arrivals x mean service`` (Erlang 1917), by the recursion of Erlang's B formula."""
    blocked = 1.0
    for servers in range(1, reviewers + 1):
        blocked = load * blocked / (servers + load * blocked)
    return blocked / (1.0 - load / reviewers * (1.0 - blocked))


def pollaczek_khinchine(arrivals: float, mean: float, square: float) -> float:
    """Mean wait in M/G/1; `square` is the second moment of a service (Pollaczek 1930, Khinchine 1932)."""
    return arrivals * square / 2.0 / (1.0 - arrivals * mean)


def cobham(arrivals: Iterable[float], means: Iterable[float], squares: Iterable[float]) -> list[float]:
    """Mean waits by class, most urgent first, in M/G/1 where services are not interrupted (Cobham 1954)."""
    classes = list(zip(arrivals, means, squares, strict=True))
    residual = sum(rate * square for rate, _, square in classes) / 2.0
    waits, load = [], 0.0
    for rate, mean, _ in classes:
        before, load = load, load + rate * mean
        waits.append(residual / (1.0 - before) / (1.0 - load))
    return waits


def erlang_a(arrivals: float, service: float, patience: float, reviewers: int) -> tuple[float, float, float]:
    """M/M/c with exponential patience of mean `patience` (Palm 1957): a birth and death process.

    Returns
    -------
    chance to wait, share of arrivals that give up, mean number waiting
    """
    weights = [1.0]
    for there in range(1, 4_000):
        leave = min(there, reviewers) / service + max(there - reviewers, 0) / patience
        weights.append(weights[-1] * arrivals / leave)
    shares = np.array(weights) / math.fsum(weights)
    waiting = float(np.maximum(np.arange(len(shares)) - reviewers, 0) @ shares)
    return float(shares[reviewers:].sum()), waiting / patience / arrivals, waiting


def spread_of_mean_wait(load: float, reviewers: int, length: float) -> float:
    """Coefficient of variation of the time average of the number waiting in M/M/c, over a `length` of so many mean services.

    A birth and death process with rates b and shares p has the asymptotic variance
    ``2 sum over n of (sum up to n of p (f - mean f))^2 / (b p)`` for the average of f (Whitt 1992, Oper. Res. 40(2)).
    """
    there = np.arange(reviewers + math.ceil(45.0 / -math.log(load / reviewers)))
    weights = np.cumsum(np.append(0.0, np.log(load) - np.log(np.minimum(there[1:], reviewers))))
    shares = np.exp(weights - weights.max())
    shares /= shares.sum()
    waiting = np.maximum(there - reviewers, 0)
    mean = float(waiting @ shares)
    below = np.cumsum(shares * (waiting - mean))
    variance = 2.0 * float((below**2 / (load * shares))[:-1].sum())
    return math.sqrt(variance / length) / mean


def service_starts(entered: np.ndarray, service: int, reviewers: int) -> np.ndarray:
    """Starts of equal services, in order of entry, by the recursion of Kiefer and Wolfowitz (1955): each takes the reviewer who is free first."""
    free = [0] * reviewers
    starts = np.empty(len(entered), np.int64)
    for number, time in enumerate(np.sort(entered).tolist()):
        starts[number] = max(time, heapq.heappop(free))
        heapq.heappush(free, starts[number] + service)
    return starts
