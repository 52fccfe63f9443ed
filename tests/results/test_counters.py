"""Overflow of a counter is an error: every counter that there is, at the largest number that it may hold and one beyond.

==================================  ============================================================================================
counter                             what keeps it from wrapping unseen
==================================  ============================================================================================
counts of a tally, 64 bits          adding tallies raises (`tests/engines/test_tally.py`); beyond 2^53 `counts fit` does not hold
sums of a tally, 128 bits           beyond 2^127 `counts fit` does not hold
bulk count of idle accounts         is at most the accounts of a segment, and goes into counts of the tally
numbers in rows of the log          wider than what a file can name, and than the accounts that it may have
violations of an account, 32 bits   the one that brings them back to 0 counts for 2^60
entries of an account, 32 bits      an account that is back at 0 has entered for the first time again, which `ever` tells
==================================  ============================================================================================
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement.lives import compile_text

from sim.engines import compiled, process
from sim.engines.idle import count_idle
from sim.engines.tally import EVENT, Tally, new_tally
from sim.errors import InvariantError, ScenarioError
from sim.experiments.replications import Settings, replicate
from sim.model.account import ACCOUNT
from sim.model.tables import END, START, keyed
from sim.results.invariants import MOST_COUNTED, check
from sim.results.tables import Codes, counts_of
from sim.scenario import load, loads
from sim.scenario.yaml_tree import MAX_PARTS

DESK = Path(__file__).parents[1] / "golden" / "desk.yaml"
COUNTS = ("moves", "first_bans", "ever", "violations", "starts", "waits")
SUMS = ("sojourn", "audience", "wronged", "waited", "worked")
NO_COUNTERS = ("grid", "per_grid", "decided", "log", "logged")
"""What a tally is for, and the log, which an engine empties in time (`tests/engines/test_room.py`)."""
ROUND = """
start: 2024-01-01
horizon: 10 days
segments: {a: {accounts: 3}}
ladder:
  start: here
  states:
    here: {exits: {on: {to: there, after: 1 hour}}}
    there: {exits: {back: {to: here, after: 1 hour}}}
"""


@pytest.fixture(scope="module")
def codes() -> Codes:
    return compile_text(DESK.read_text(encoding="utf-8"))


@pytest.fixture
def tally(codes: Codes) -> Tally:
    """Sound numbers, to be bent."""
    made = replicate(codes, Settings(seed=1, histories=0), 0)[0]
    check(counts_of(made, codes), codes)
    return made


def test_every_counter_is_looked_at() -> None:
    """A new field of a tally is a counter, with a row in the tests below, or told to be none."""
    assert sorted((*COUNTS, *SUMS, *NO_COUNTERS)) == sorted(Tally._fields)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("number", [MOST_COUNTED, 2**63 - 1, -1, -(2**63)])
def test_a_count_that_does_not_fit(name: str, number: int, tally: Tally, codes: Codes) -> None:
    """Too large for the tables, or wrapped by 64 bits already."""
    getattr(tally, name).flat[0] = number
    with pytest.raises(InvariantError, match=rf"counts fit does not hold: .*{name}"):
        check(counts_of(tally, codes), codes)


@pytest.mark.parametrize("name", COUNTS)
def test_counts_that_fit_one_by_one_but_not_together(name: str, tally: Tally, codes: Codes) -> None:
    """The tables add them up."""
    getattr(tally, name).flat[:2] = MOST_COUNTED // 2
    with pytest.raises(InvariantError, match=rf"counts fit does not hold: .*{name} do not fit"):
        check(counts_of(tally, codes), codes)


@pytest.mark.parametrize("name", SUMS)
def test_a_sum_that_does_not_fit(name: str, tally: Tally, codes: Codes) -> None:
    """Half of what 128 bits hold is too much: so a sum is seen long before it could wrap."""
    getattr(tally, name)[..., 1].flat[-1] = np.uint64(2**63)
    with pytest.raises(InvariantError, match=f"counts fit does not hold: the sum of {name} does not fit"):
        check(counts_of(tally, codes), codes)


def test_idle_accounts_in_bulk() -> None:
    """As many as a segment may have, for as long as a run may last: exact in 128 bits, and no count wraps. One account more is refused."""
    most = 2**32 - 1
    text = (
        f"start: 2024-01-01\nhorizon: 1000 years\nobserve: 100 years\nsegments: {{a: {{accounts: {most}}}}}\n"
        "ladder: {start: s, states: {s: {}}}\n"
    )
    codes = compile_text(text)
    law, tally = codes.law, new_tally(codes.law, codes.names, codes.scenario.spec.observe_us)
    for part in (most // 2, most - most // 2):
        count_idle(law, tally, 0, part)
    low, high = tally.sojourn[0, int(law.constants[START])].tolist()
    assert low + (high << 64) == most * int(law.constants[END]) > 2**64
    assert tally.moves.sum() == tally.ever.sum() == most
    check(counts_of(tally, codes), codes)
    with pytest.raises(ScenarioError, match=r"segments\.a\.accounts"):
        loads(text.replace(str(most), str(most + 1)))


def test_rows_of_the_log_hold_whatever_a_file_may_name() -> None:
    """Each named thing is a key and a value at least, of the parts that a file may have; a segment has less than 2^32 accounts."""
    named = MAX_PARTS // 2
    for field in ("segment", "kind", "severity"):
        assert np.iinfo(EVENT[field]).max >= named, field
    assert np.iinfo(EVENT["account"]).max == 2**32 - 1
    for field in ("strikes", "move"):
        assert (
            np.iinfo(EVENT[field]).max == 2**31 - 1
        )  # eight bytes of memory a strike, and more a move, are gone long before
    assert np.iinfo(ACCOUNT["account"]).max == np.iinfo(ACCOUNT["entered"]).max == 2**63 - 1


@pytest.mark.parametrize("bend", [0, 2**32 - 100])
def test_an_account_enters_a_state_more_often_than_is_counted(bend: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its draws would come again. On a run in which an account is near 2^32 entries, after an honest first one."""
    codes = compile_text(ROUND)
    populate, runs = process._Run.populate, list[Any]()
    monkeypatch.setattr(process._Run, "populate", lambda run: (populate(run), runs.append(run)))

    def bent(share: float) -> None:
        if share == 0.5:
            runs[0].entries[0, 0] += bend

    tally = new_tally(codes.law, codes.names, codes.scenario.spec.observe_us)
    process.run(keyed(codes.law, 1, 0), tally, progress=bent)
    if bend == 0:
        check(counts_of(tally, codes), codes)
        return
    with pytest.raises(
        InvariantError, match=r"accounts were in their states does not hold: .*4 accounts were ever in it, of 3"
    ):
        check(counts_of(tally, codes), codes)


@pytest.mark.parametrize("bend", [0, 2**32 - 100])
def test_an_account_violates_more_often_than_is_counted(bend: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its draws would come again. On a run in which an account is near 2^32 violations, after an honest first one."""
    text = ROUND.replace(
        "ladder:", "violations: {v: {rate: {a: 1 per hour}, severity: {minor: 1}, detection: {chance: 0}}}\nladder:"
    )
    codes = compile_text(text)
    populate, runs = process._Run.populate, list[Any]()
    monkeypatch.setattr(process._Run, "populate", lambda run: (populate(run), runs.append(run)))

    def bent(share: float) -> None:
        if share == 0.5:
            runs[0].accounts["violation"][0] = bend or runs[0].accounts["violation"][0]

    tally = new_tally(codes.law, codes.names, codes.scenario.spec.observe_us)
    process.run(keyed(codes.law, 1, 0), tally, progress=bent)
    assert 500 < tally.violations.sum() % 2**60 < 950
    if bend == 0:
        check(counts_of(tally, codes), codes)
        return
    with pytest.raises(InvariantError, match=r"counts fit does not hold: .*violations"):
        check(counts_of(tally, codes), codes)


def test_strikes_take_memory_and_then_an_error() -> None:
    """Room for strikes doubles; what does not fit memory is an error of its own, not a shorter list."""
    with pytest.raises((MemoryError, ValueError)):
        compiled.widened(np.zeros((1, 4), np.int64), 2**60)


def test_longest_run_fits_its_words() -> None:
    """A thousand years: squares of their seconds, added up over as many accounts as there may be, stay below 2^127."""
    longest = load(DESK).with_values({"horizon": "1000 years", "observe": "100 years"})
    assert (longest.spec.end_us // 1_000_000) ** 2 * (2**32 - 1) < 2**127
    with pytest.raises(ScenarioError, match="at most 1,000 years"):
        longest.with_values({"horizon": "1001 years"})
