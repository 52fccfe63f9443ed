"""What the law does at moments that few histories come to."""

from __future__ import annotations

import math

import numpy as np
import pytest
from reference_draws import Draws

from sim.model.account import ACCOUNT, STAYED, UNDRAWN, aim, catch_up, enter
from sim.model.events import restart, room_for_strike, turn_phase
from sim.model.jit import NEVER, compiled
from sim.model.tables import Tables, compile_tables, keyed
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


def test_room_among_many_strikes() -> None:
    """Three hundred strikes of one day leave no room while they count, and all of it thereafter."""
    law, _ = compile_tables(loads(TEXT))
    accounts, strikes = np.zeros(1, ACCOUNT), np.arange(300)
    accounts["held"] = 300
    assert _room(law, accounts, strikes, DAY) is False
    assert accounts["held"][0] == 300
    assert _room(law, accounts, strikes, 11 * DAY) is True
    assert accounts["held"][0] == 0


@compiled
def _turn(law: Tables, accounts: np.ndarray, now: int) -> None:
    turn_phase(law, accounts[0], now)


@pytest.mark.parametrize(
    ("rate", "to_go", "due", "left", "then"),
    [
        (2, 2.0, 5, 2.0, 5),  # it is due now and stays due, whatever the phase makes of the rate
        (0, 2.0, 5, 0.0, None),  # nothing is left to violate: it waits, with nothing to go
        (2, 2.5, 5.5, 0.5, 5.25),  # half a unit of hazard is left, at two a day
        (0, 2.5, 5.5, 0.5, None),  # it waits with what is left
        (1, 2.5, 5.5, 2.5, 5.5),  # a phase that changes nothing leaves the clock alone
    ],
)
def test_a_violation_as_a_phase_comes(rate: int, to_go: float, due: float, left: float, then: float | None) -> None:
    """A clock that was set on the third day and has run at one a day until the fifth, when the phase comes into force."""
    change = f"set: {{violations.spam.rate.shops: {rate} per day}}"
    law, _ = compile_tables(loads(TEXT.replace("set: {ladder.strikes.expire: 4 days}", change)))
    accounts = np.zeros(1, ACCOUNT)
    accounts["propensity"], accounts["hazard"], accounts["since"] = 1.0, 1.0 / DAY, 3 * DAY
    accounts["to_go"], accounts["violation_at"], accounts["seldom_at"] = to_go, due * DAY, DAY
    _turn(law, accounts, 5 * DAY)
    assert accounts["phase"][0] == 1
    assert accounts["seldom_at"][0] == 0
    assert accounts["to_go"][0] == left
    assert accounts["violation_at"][0] == (NEVER if then is None else then * DAY)


@compiled
def _at_once(law: Tables, accounts: np.ndarray, entries: np.ndarray, now: int, moves: np.ndarray) -> None:
    me = accounts[0]
    enter(law, me, entries, 0, 0)
    catch_up(law, me, now)
    for turn in range(len(moves)):
        moves[turn] = restart(law, me, entries, now) if me.restart_at == now else STAYED - 1


def test_phases_of_one_instant_restart_in_turn() -> None:
    """Three phases of one date, of which the first and the last enter accounts anew: two moves, in their order, and no third."""
    ladder, phases = TEXT.split("phases:")
    there = "violation: {minor: fine}, exits: {leaves: {to: gone, after: 20 days}}}, gone: {activity: 0}}}"
    ladder = ladder.replace("violation: {minor: fine}}}}", there)
    change = "set: {{ladder.states.fine.exits.leaves.after: {} days}}"
    phases = "\n".join(
        f"  {name}: {{from: 2023-01-07, in_progress: {mode}, {change.format(days)}}}"
        for name, mode, days in (("one", "restart", 19), ("two", "keep", 18), ("three", "restart", 17))
    )
    law, names = compile_tables(loads(f"{ladder}phases:\n{phases}\n"))
    accounts, entries, moves = np.zeros(1, ACCOUNT), np.zeros(2, np.int64), np.zeros(3, np.int64)
    accounts["restart_at"] = NEVER
    _at_once(law, accounts, entries, 5 * DAY, moves)
    assert [names.moves[move] for move in moves[:2]] == [(0, 0, "phase:one"), (0, 0, "phase:three")]
    assert moves[2] == STAYED - 1
    assert entries.tolist() == [3, 0]
    assert accounts["phase"][0] == 3
    assert accounts["exit_at"][0] == (5 + 17) * DAY


@compiled
def _enter(law: Tables, accounts: np.ndarray, entries: np.ndarray, now: int) -> None:
    enter(law, accounts[0], entries, 0, now)


def test_draws_made_ahead_are_taken() -> None:
    """An account takes its own, of the right entry, as long as there are some; the exit that rings first wins."""
    there = "exits: {one: {to: fine, after: {exponential: {mean: 1 day}}}, other: {to: fine, after: {exponential: {mean: 1 day}}}}}}}"
    law, _ = compile_tables(loads(TEXT.partition("phases:")[0].replace("}}}}", "}, " + there)))
    first, second = law.exits["ahead"][0]
    ahead, depth = np.zeros((len(law.depth), 2, 3)), np.zeros_like(law.depth)
    ahead[first, :, 1], ahead[second, :, 1], depth[[first, second]] = (7, 30), (40, 5), 2
    law = law._replace(ahead=ahead, depth=depth)
    accounts, entries = np.zeros(1, ACCOUNT), np.zeros(1, np.int64)
    accounts["lane"] = 1
    found = []
    for now in (100, 200, 300):
        _enter(law, accounts, entries, now)
        found.append((int(accounts["exit"][0]), int(accounts["exit_at"][0])))
    assert found[:2] == [(0, 107), (1, 205)]
    assert found[2][1] > 1_000_000  # no more are ready: it is drawn, about a day


@compiled
def _aim(law: Tables, accounts: np.ndarray) -> None:
    aim(law, accounts[0], 0)


def test_violations_made_ahead_are_taken() -> None:
    """As many as are ready, however many there are of other draws; the next one has the draw of its number."""
    law = keyed(compile_tables(loads(TEXT))[0], 5, 2)
    ahead, depth = np.zeros((len(law.depth), 4, 3)), np.full_like(law.depth, 4)
    ahead[0, :2, 1], depth[0] = (0.25, 0.75), 2
    law = law._replace(ahead=ahead, depth=depth)
    accounts = np.zeros(1, ACCOUNT)
    accounts["lane"], accounts["propensity"] = 1, 1.0
    found = []
    for number in range(3):
        accounts["violation"], accounts["to_go"] = number, UNDRAWN
        _aim(law, accounts)
        found.append(float(accounts["to_go"][0]))
    drawn = -math.log1p(-Draws(5, 2).uniform("shops", 0, "violation", 2))
    assert found == [0.25, 0.75, pytest.approx(drawn, rel=1e-15)]
