"""Exact answers for ladders whose clocks are all exponential: Markov chains in continuous time.

A chain is given by a function that says where a state leads and how often per day. States may be any hashable values, so what an
account carries along (strikes, an open case, the clocks that never ring) is simply part of the state; chains find their own states and
their generator. The state at time t has the distribution ``p(0) expm(Q t)``; where the law changes at a date, one such factor follows
another.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import numpy as np
from scipy.linalg import expm

State = Any
Moves = Callable[[State], Iterable[tuple[State, float]]]
Shares = dict[State, float]


def reachable(begin: Iterable[Hashable], moves: Moves) -> list[State]:
    """States that the chain can come to, those to begin with among them."""
    found = list(dict.fromkeys(begin))
    known = set(found)
    for state in found:  # grows while it is read
        for target, rate in moves(state):
            if rate > 0.0 and target not in known:
                known.add(target)
                found.append(target)
    return found


def generator(states: list[State], moves: Moves) -> np.ndarray:
    """Matrix Q: rates per day between states, rows that add up to 0."""
    place = {state: number for number, state in enumerate(states)}
    rates = np.zeros((len(states), len(states)))
    for state in states:
        for target, rate in moves(state):
            if rate > 0.0 and target != state:
                rates[place[state], place[target]] += rate
                rates[place[state], place[state]] -= rate
    return rates


def advance(
    shares: Mapping[State, float], moves: Moves, length: float, inflow: Mapping[State, float] | None = None
) -> Shares:
    """Shares of states after `length` days.

    `inflow` are accounts that come from outside, as a share per day: the answer to ``p' = p Q + inflow`` is that of a chain with one more state
    that never empties.
    """
    arriving = dict(inflow or {})
    states = reachable([*shares, *arriving], moves)
    rates = np.zeros((len(states) + 1, len(states) + 1))
    rates[1:, 1:] = generator(states, moves)
    for state, rate in arriving.items():
        rates[0, 1 + states.index(state)] = rate
    start = np.array([1.0, *(shares.get(state, 0.0) for state in states)])
    return dict(zip(states, (start @ expm(rates * length))[1:], strict=True))


def gathered(shares: Mapping[State, float], name: Callable[[State], str]) -> dict[str, float]:
    """Shares added up by what states are called."""
    total: dict[str, float] = {}
    for state, share in shares.items():
        total[name(state)] = total.get(name(state), 0.0) + share
    return total


def turned(shares: Mapping[State, float], turn: Callable[[State], Mapping[State, float]]) -> Shares:
    """Shares right after something that happens to everybody at one instant; `turn` tells the chances of what becomes of a state."""
    after: Shares = {}
    for state, share in shares.items():
        for target, chance in turn(state).items():
            after[target] = after.get(target, 0.0) + share * chance
    return after
