"""Memory that grows: the log of histories, remembered strikes, accounts put by before a desk. Nothing is lost, and nothing is written beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from agreement.lives import ENGINES, as_yaml, compile_text, first_difference, lived, same_tally, told

from sim.engines import compiled
from sim.engines.tally import EVENT, Tally, new_tally
from sim.experiments.replications import codes_of
from sim.model.tables import keyed
from sim.results.tables import Codes
from sim.scenario import load

TESTS = Path(__file__).parents[1]
GOLDEN = TESTS / "golden"
ROOM, BEYOND = 256, 20_000
EVERYBODY = 2**32
every_engine = pytest.mark.parametrize("engine", ENGINES)


def ladder(accounts: int, horizon: str, **changes: object) -> Codes:
    """The benchmark ladder, in which a third of the accounts moves within 30 days."""
    scenario = load(TESTS / "benchmarks" / "ladder.yaml")
    return codes_of(scenario.with_values({"segments.accounts.accounts": accounts, "horizon": horizon, **changes}))


class Watched:
    """A run with a small log in the midst of a larger block of memory, so that rows written beside it are seen and do no harm."""

    def __init__(self, codes: Codes, monkeypatch: pytest.MonkeyPatch, room: int = ROOM) -> None:
        self.block = np.zeros(room + BEYOND, EVENT)
        tally = new_tally(codes.law, codes.names, codes.scenario.spec.observe_us)
        self.tally = tally._replace(log=self.block[:room])
        self.room, self.kept, self.codes = room, list[np.ndarray](), codes
        monkeypatch.setattr(compiled, "LOG_ROOM", room)

    def run(self, engine: str, seed: int = 1) -> Tally:
        """Run on one thread, so that there is only this log."""
        options: dict[str, Any] = {"threads": 1} if engine == "compiled" else {}
        ENGINES[engine](keyed(self.codes.law, seed, 0), self.tally, EVERYBODY, self.kept.append, **options)
        return self.tally

    @property
    def events(self) -> np.ndarray:
        """What was handed on, by segment, account and order of happening."""
        events = np.concatenate([np.empty(0, EVENT), *self.kept])
        return events[np.lexsort((events["account"], events["segment"]))]

    @property
    def beside(self) -> int:
        """Rows written beside the log."""
        return int(np.count_nonzero(self.block[self.room :].view("u1").reshape(-1, EVENT.itemsize).any(axis=1)))


@every_engine
@pytest.mark.machine_code
def test_log_of_joins_has_room(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts to which nothing happens log one row each, their joining: many of them fill the log too."""
    codes = ladder(3000, "1 day", **{"violations.violation.rate.accounts": "0.001 per year"})
    watched = Watched(codes, monkeypatch)
    watched.run(engine)
    assert watched.beside == 0
    assert len(watched.events) == watched.tally.moves.sum() >= 3000


@every_engine
@pytest.mark.machine_code
def test_log_of_a_busy_ladder_has_room(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle and busy accounts in turn: every move is handed on, once."""
    codes = ladder(3000, "30 days")
    watched = Watched(codes, monkeypatch)
    watched.run(engine)
    assert watched.beside == 0
    assert len(watched.events) == watched.tally.moves.sum()
    usual, events = lived(codes, "compiled", seed=1)
    assert same_tally(watched.tally, usual) == []
    assert np.array_equal(watched.events, events)


@every_engine
@pytest.mark.parametrize("name", ["desk", "strikes", "timeline"])
def test_small_log_hands_on_the_golden_events(name: str, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log much smaller than the histories: the merge at desks flushes it too."""
    codes = compile_text((GOLDEN / f"{name}.yaml").read_text())
    watched = Watched(codes, monkeypatch)
    watched.run(engine, seed=42)
    usual, events = lived(codes, engine, seed=42)
    assert len(events) > 1.5 * ROOM
    assert len(watched.kept) > 1
    assert watched.beside == 0
    assert same_tally(watched.tally, usual) == []
    assert np.array_equal(watched.events, events)


@pytest.mark.machine_code
def test_histories_of_more_accounts_than_the_log_has_rows() -> None:
    """At its real size, on several threads: 70,000 accounts, every move kept."""
    codes = ladder(70_000, "20 days")
    tally, events = lived(codes, "compiled", seed=4, threads=2)
    assert len(events) == tally.moves.sum() > 80_000
    assert np.count_nonzero(events["move"] == 0) == 70_000


@every_engine
def test_rows_are_handed_on_in_order(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SimPy hands on rows in the order of time; the compiled engine keeps each account's own order."""
    codes = compile_text((GOLDEN / "strikes.yaml").read_text())
    watched = Watched(codes, monkeypatch)
    watched.run(engine, seed=42)
    rows = np.concatenate(watched.kept)
    if engine == "process":
        assert np.all(np.diff(rows["time"]) >= 0)
    for segment in range(2):
        for account in np.unique(rows["account"][rows["segment"] == segment]):
            own = rows[(rows["segment"] == segment) & (rows["account"] == account)]
            assert own["move"][0] == 0
            assert np.all(np.diff(own["time"]) >= 0)


@every_engine
def test_rows_handed_on_are_copies(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was handed on does not change when the log is used again."""
    watched = Watched(compile_text((GOLDEN / "strikes.yaml").read_text()), monkeypatch)
    watched.run(engine, seed=42)
    assert not any(np.shares_memory(rows, watched.block) for rows in watched.kept)
    assert all(len(rows) for rows in watched.kept)


# ---------------------------------------------------------------------------------------------------------- strikes
def repeat_offenders(desk: object) -> dict[str, Any]:
    """Accounts that get a strike every other day and remember most of them; some wait at a desk meanwhile."""
    kind = {
        "rate": {"a": "0.7 per day"},
        "severity": {"minor": "100%"},
        "detection": {"chance": "100%", "delay": "1 hour"},
    }
    review = {
        "desk": "review",
        "service": {"exponential": {"mean": "6 hours"}},
        "outcomes": {"fine": "100%"},
        "on_violation": {"minor": ["review", "fine"]},
    }
    states = {"fine": {"on_violation": {"minor": ["fine"] * 12 + ["review"]}}, "review": review, "out": {"activity": 0}}
    if desk is None:
        states["fine"] = {"on_violation": {"minor": ["fine"] * 25 + ["out"]}}
        del states["review"]
    scenario = {
        "schema": 1,
        "title": "Repeat offenders",
        "assumed": ["all"],
        "start": "2023-01-01",
        "horizon": "90 days",
        "segments": {"a": {"accounts": 30}},
        "violations": {"spam": kind},
        "ladder": {"start": "fine", "bans": [], "strikes": {"expire": "60 days"}, "states": states},
        "desks": {"review": {"reviewers": desk}},
        "waves": {"order": {"at": "2023-03-20", "segment": "a", "share": "10%", "to": "out"}},
    }
    if desk is None:
        del scenario["desks"]
    return scenario


@every_engine
@pytest.mark.parametrize("desk", [None, "unlimited", 1, 40], ids=str)
def test_strikes_beyond_the_first_room(desk: object, engine: str) -> None:
    """Up to some fifty strikes count at once: many times what an account first has room for, alone and before a desk."""
    scenario = repeat_offenders(desk)
    codes = compile_text(as_yaml(scenario))
    _, events = lived(codes, engine, seed=5)
    assert events["strikes"].max() > 25
    assert first_difference(told(codes, events), reference.events(scenario, 5)) == ""


def test_first_room_for_strikes_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for one strike or for a hundred: the same lives."""
    codes = compile_text(as_yaml(repeat_offenders(1)))
    found = []
    for room in (1, 100):
        monkeypatch.setattr(compiled, "STRIKES_AT_FIRST", room)
        found.append(lived(codes, "compiled", seed=6, shard=7))
    assert same_tally(found[0][0], found[1][0]) == []
    assert np.array_equal(found[0][1], found[1][1])


# ------------------------------------------------------------------------------------------------------------ shards
@pytest.mark.parametrize("name", ["desk", "strikes", "timeline"])
def test_shards_and_threads_do_not_show(name: str) -> None:
    """Promise 2: shards of one account, of seven, and one for all, on one to three threads, count the same."""
    codes = compile_text((GOLDEN / f"{name}.yaml").read_text())
    usual, events = lived(codes, "process", seed=9)
    for shard in (1, 7, 10**6):
        for threads in (1, 2, 3):
            tally, rows = lived(codes, "compiled", seed=9, shard=shard, threads=threads)
            assert same_tally(tally, usual) == [], (shard, threads)
            assert np.array_equal(rows, events), (shard, threads)


@pytest.mark.parametrize("together", [1, 3, 1000])
def test_accounts_before_a_desk_in_small_portions(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread looks up from its work whenever it has put by so many accounts; that does not show."""
    codes = compile_text((GOLDEN / "desk.yaml").read_text())
    usual, events = lived(codes, "process", seed=9)
    monkeypatch.setattr(compiled, "KEPT_TOGETHER", together)
    tally, rows = lived(codes, "compiled", seed=9, threads=1)
    assert same_tally(tally, usual) == []
    assert np.array_equal(rows, events)


@pytest.mark.machine_code
def test_pauses_do_not_show() -> None:
    """One shard of more busy accounts than a thread lives at a stretch, and many small ones, count the same."""
    codes = ladder(100_000, "10 days", **{"violations.violation.rate.accounts": "0.2 per day"})
    counted = []
    for shard in (100_000, 9_000):
        tally = new_tally(codes.law, codes.names, codes.scenario.spec.observe_us)
        compiled.run(keyed(codes.law, 2, 0), tally, threads=1, shard=shard)
        counted.append(tally)
    assert same_tally(*counted) == []
    assert counted[0].moves[:, :, 1:].sum() > 2 * compiled.BUSY_PER_CALL


@pytest.mark.machine_code
def test_a_long_merge_looks_up_from_its_work() -> None:
    """Progress is told within the merge; it rises to 1 and never falls."""
    scenario = load(TESTS / "benchmarks" / "desk.yaml").with_values({"segments.accounts.accounts": 40_000})
    codes = codes_of(scenario.with_values({"desks.review.reviewers": 8}))
    tally = new_tally(codes.law, codes.names, codes.scenario.spec.observe_us)
    shares: list[float] = []
    compiled.run(keyed(codes.law, 2, 0), tally, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert any(0.5 < share < 1.0 for share in shares), "the merge told nothing on its way"
    assert tally.starts.sum() > 100_000


# ----------------------------------------------------------------------------------------------------- what can fail
class StopError(Exception):
    """Raised by a test."""


def failing(rows: np.ndarray) -> None:
    """A keeper that cannot keep."""
    raise StopError


@every_engine
def test_errors_of_the_keeper_come_through(engine: str) -> None:
    """An error on the way of a history ends the run, on whatever thread it happens."""
    codes = compile_text((GOLDEN / "strikes.yaml").read_text())
    tally = new_tally(codes.law, codes.names, codes.scenario.spec.observe_us)
    with pytest.raises(StopError):
        ENGINES[engine](keyed(codes.law, 1, 0), tally, EVERYBODY, failing)


@every_engine
def test_progress_rises_to_one(engine: str) -> None:
    """Shares of the work done, in order, the last of them 1."""
    codes = compile_text((GOLDEN / "desk.yaml").read_text())
    tally = new_tally(codes.law, codes.names, codes.scenario.spec.observe_us)
    shares: list[float] = []
    tell: Callable[[float], None] = shares.append
    ENGINES[engine](keyed(codes.law, 1, 0), tally, 0, lambda rows: None, tell)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert all(0.0 <= share <= 1.0 for share in shares)
