"""What the law does at moments that few histories come to."""

from __future__ import annotations

import numpy as np
import pytest

from sim.model.account import ACCOUNT
from sim.model.events import room_for_strike
from sim.model.jit import compiled
from sim.model.tables import Tables, compile_tables
from sim.scenario import loads

DAY = 86_400_000_000
TEXT = """
schema: 1
title: Strikes that expire after ten days, and after four from the fifth day on
assumed: [every number]
start: 2023-01-02
horizon: 30 days
segments: {shops: {accounts: 1}}
violations: {spam: {rate: {shops: 1 per day}, severity: {minor: 100%}, detection: {chance: 1}}}
ladder: {start: fine, bans: [], strikes: {expire: 10 days}, states: {fine: {on_violation: {minor: fine}}}}
phases: {strict: {from: 2023-01-07, set: {ladder.strikes.expire: 4 days}}}
"""


@compiled
def _room(law: Tables, accounts: np.ndarray, strikes: np.ndarray, now: int) -> bool:
    return room_for_strike(law, accounts[0], strikes, now)


@pytest.mark.parametrize(
    ("held", "now", "room", "left"),
    [
        (2, 30, True, [0, 4]),  # there is room: nothing need be forgotten, however old
        (3, 9, False, [0, 4, 9]),
        (3, 10, True, [4, 9]),  # ten days old is too old
        (3, 14, True, [9]),
        (3, 19, True, []),
    ],
)
def test_room_for_a_strike(held: int, now: int, room: bool, left: list[int]) -> None:
    """Only where there is none, strikes are forgotten that are too old for every phase; the others move up, the oldest first."""
    law, _ = compile_tables(loads(TEXT))
    accounts, strikes = np.zeros(1, ACCOUNT), np.array([0, 4, 9]) * DAY
    accounts["held"] = held
    assert _room(law, accounts, strikes, now * DAY) is room
    assert strikes[: accounts["held"][0]].tolist() == [day * DAY for day in left]
