"""Invariants hold on runs of every feature, and each fails on a tally bent as a fault of an engine would bend it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from agreement.lives import as_yaml, compile_text
from random_scenarios import FEATURES, features, random_scenario

import sim
from sim.engines.tally import SUB_BUCKETS, Tally, wait_bucket
from sim.errors import InvariantError, RunError
from sim.experiments import replications, work
from sim.experiments.replications import Settings, replicate
from sim.results.invariants import INVARIANTS, bucket_edges, check
from sim.results.ledger import Ledger, Numbers
from sim.results.outcome import Outcome, outcome_of
from sim.results.tables import Codes, Counts, counts_of

RANDOM_SCENARIOS = 120
TEXT = """
schema: 1
title: Something of everything
start: 2024-01-01
horizon: 60 days
segments:
  shops: {accounts: 400, audience: 50}
  media: {accounts: 300, audience: {lognormal: {median: 100, sigma: 1}}, joins: {from: 2024-01-11, to: 2024-02-10}}
violations:
  spam:
    rate: {shops: 4 per month, media: 3 per month}
    severity: {minor: 60%, severe: 40%}
    detection: {chance: 80%, delay: 1 day}
  hidden: {rate: {shops: 1 per month}, severity: {minor: 100%}, detection: {chance: 0%}}
  plain: {rate: {shops: 1 per month}, severity: {minor: 100%}, detection: {chance: 100%}}
  alarm: {genuine: false, rate: {shops: 1 per month, media: 1 per month}, severity: {severe: 100%}, detection: {chance: 50%}}
ladder:
  start: free
  bans: [banned, closed]
  states:
    free: {on_violation: {minor: review, severe: banned}}
    review: {activity: 0, desk: desk, service: {exponential: {mean: 2 hours}}, outcomes: {free: 50%, banned: 50%},
             exits: {forgotten: {to: free, after: 6 hours}}}
    appeal: {activity: 0, desk: appeals, service: 1 day, outcomes: {free: 30%, closed: 70%}}
    banned: {activity: 0, exits: {appealed: {to: appeal, after: {exponential: {mean: 4 days}}}}}
    closed: {activity: 0}
desks:
  desk: {reviewers: 3}
  appeals: {reviewers: 50}
waves:
  order: {at: 2024-02-01, segment: media, count: 40, to: closed, genuine: false}
"""
FREE, REVIEW, APPEAL, BANNED, CLOSED = range(5)
SHOPS, MEDIA = range(2)
DESK, APPEALS = range(2)
SPAM, HIDDEN, PLAIN, ALARM = range(4)
Bend = Callable[[Tally, Codes], None]


@pytest.fixture(scope="module")
def codes() -> Codes:
    """The scenario, compiled."""
    return compile_text(TEXT)


@pytest.fixture
def tally(codes: Codes) -> Tally:
    """Its numbers, to be bent."""
    return replicate(codes, Settings(seed=1, histories=0), 0)[0]


def move(codes: Codes, origin: int, to: int, cause: str) -> int:
    """Number of a move."""
    return codes.names.moves.index((origin, to, cause))


def busiest(tally: Tally, segment: int, number: int) -> tuple[int, int, int, int]:
    """Place of the largest count of a move."""
    place, mark = np.unravel_index(tally.moves[:, segment, number].argmax(), (len(tally.moves), 2))
    assert tally.moves[place, segment, number, mark] > 0
    return int(place), segment, number, int(mark)


# ---------------------------------------------------------------------------------------------------------------- bends
def lose_a_move(tally: Tally, codes: Codes) -> None:
    tally.moves[busiest(tally, SHOPS, move(codes, FREE, REVIEW, "decision"))] -= 1


def lose_an_account(tally: Tally, codes: Codes) -> None:
    tally.moves[busiest(tally, MEDIA, 0)] -= 1


def join_too_early(tally: Tally, codes: Codes) -> None:
    tally.moves[busiest(tally, MEDIA, 0)] -= 1
    tally.moves[3, MEDIA, 0, 0] += 1


def leave_an_empty_state(tally: Tally, codes: Codes) -> None:
    tally.moves[1, MEDIA, move(codes, FREE, BANNED, "decision"), 0] += 1


def misplace_a_move(tally: Tally, codes: Codes) -> None:
    place, *rest = busiest(tally, SHOPS, move(codes, BANNED, APPEAL, "exit:appealed"))
    tally.moves[(place, *rest)] -= 1
    tally.moves[(min(place + 20, 60), *rest)] += 1


def count_too_many(tally: Tally, codes: Codes) -> None:
    tally.waits[DESK, 0] = 2**53


def count_below_nothing(tally: Tally, codes: Codes) -> None:
    tally.violations[SHOPS, SPAM, 0, 0] = -1


def wrap_a_sum(tally: Tally, codes: Codes) -> None:
    tally.audience[MEDIA, FREE, 1] = np.uint64(2**63)


def forget_time(tally: Tally, codes: Codes) -> None:
    tally.sojourn[SHOPS, FREE, 0] -= np.uint64(1)


def give_time_to_another_state(tally: Tally, codes: Codes) -> None:
    """By more than the accounts who moved could make up for; the segment's total stays right."""
    much = np.uint64(86_400_000_000 * 2_000)
    tally.sojourn[SHOPS, BANNED, 0] -= much
    tally.sojourn[SHOPS, CLOSED, 0] += much


def lose_a_carry(tally: Tally, codes: Codes) -> None:
    tally.sojourn[SHOPS, CLOSED, 1] += np.uint64(1)


def lose_readers(tally: Tally, codes: Codes) -> None:
    tally.audience[SHOPS, FREE, 0] -= np.uint64(1)


def find_readers(tally: Tally, codes: Codes) -> None:
    tally.audience[SHOPS, FREE, 0] += np.uint64(1)


def ban_twice(tally: Tally, codes: Codes) -> None:
    """An account counted again at each ban."""
    tally.first_bans[...] = tally.moves[:, :, [to in (BANNED, CLOSED) for _, to, _ in codes.names.moves]].sum(axis=2)


def ban_unseen(tally: Tally, codes: Codes) -> None:
    tally.first_bans[...] = 0


def ban_before_the_move(tally: Tally, codes: Codes) -> None:
    place = int(tally.first_bans[:, SHOPS, 0].argmax())
    tally.first_bans[place, SHOPS, 0] -= 1
    tally.first_bans[0, SHOPS, 0] += 1


def ban_by_the_wrong_mark(tally: Tally, codes: Codes) -> None:
    place = int(tally.first_bans[:, SHOPS, 0].argmax())
    tally.first_bans[place, SHOPS, 1] += tally.first_bans[place, SHOPS, 0]
    tally.first_bans[place, SHOPS, 0] = 0


def be_nowhere(tally: Tally, codes: Codes) -> None:
    tally.ever[SHOPS, REVIEW] = 0


def be_everywhere(tally: Tally, codes: Codes) -> None:
    tally.ever[MEDIA, REVIEW] = 301


def start_elsewhere(tally: Tally, codes: Codes) -> None:
    tally.ever[SHOPS, FREE] -= 1


def start_elsewhere_late(tally: Tally, codes: Codes) -> None:
    """Where not all are there at once, so that the most at a time say nothing of it."""
    tally.ever[MEDIA, FREE] -= 1


def serve_nobody(tally: Tally, codes: Codes) -> None:
    tally.starts[0, APPEALS] += 1
    tally.waits[APPEALS, 0] += 1


def serve_unseen(tally: Tally, codes: Codes) -> None:
    place = int(tally.starts[:, DESK].argmax())
    tally.starts[place, DESK] -= 1


def serve_by_too_many(tally: Tally, codes: Codes) -> None:
    """Whoever comes is served at once."""
    came = tally.moves[:, :, [to == REVIEW for _, to, _ in codes.names.moves]].sum(axis=(1, 2, 3))
    tally.starts[:, DESK] = came
    tally.waits[DESK] = 0
    tally.waits[DESK, 0] = came.sum()


def wait_longer(tally: Tally, codes: Codes) -> None:
    tally.waited[DESK, 0] *= np.uint64(2)


def work_longer(tally: Tally, codes: Codes) -> None:
    tally.worked[APPEALS, 0] += np.uint64(86_400_000_000 * 400)


def work_a_little_longer(tally: Tally, codes: Codes) -> None:
    """Within what intervals allow; but not with the waits."""
    whole = tally.sojourn[:, REVIEW, 0].sum() - tally.waited[DESK, 0]
    tally.worked[DESK, 0] = whole + np.uint64(1)


def find_what_cannot_be_found(tally: Tally, codes: Codes) -> None:
    tally.violations[SHOPS, HIDDEN, 0] = tally.violations[SHOPS, HIDDEN, 0, ::-1]


def miss_what_cannot_be_missed(tally: Tally, codes: Codes) -> None:
    tally.violations[SHOPS, PLAIN, 0] = tally.violations[SHOPS, PLAIN, 0, ::-1]


def violate_without_a_rate(tally: Tally, codes: Codes) -> None:
    tally.violations[MEDIA, HIDDEN, 0, 0] = 1


def violate_without_a_severity(tally: Tally, codes: Codes) -> None:
    tally.violations[SHOPS, ALARM, 0, 0] = 1


def decide_without_a_case(tally: Tally, codes: Codes) -> None:
    tally.violations[MEDIA, SPAM, :, 1] = 1


def decide_wrongly(tally: Tally, codes: Codes) -> None:
    tally.violations[:, ALARM, :, 0] += tally.violations[:, ALARM, :, 1]
    tally.violations[:, ALARM, :, 1] = 0


def order_too_early(tally: Tally, codes: Codes) -> None:
    place, *rest = busiest(tally, MEDIA, move(codes, FREE, CLOSED, "wave:order"))
    tally.moves[(place, *rest)] -= 1
    tally.moves[(place - 1, *rest)] += 1


BENT: tuple[tuple[Bend, set[str]], ...] = (
    (count_too_many, {"counts fit"}),
    (count_below_nothing, {"counts fit"}),
    (wrap_a_sum, {"counts fit"}),
    (lose_an_account, {"accounts are conserved"}),
    (join_too_early, {"accounts are conserved"}),
    (leave_an_empty_state, {"accounts are conserved"}),
    (lose_a_move, {"every service has an arrival"}),
    (misplace_a_move, {"every service has an arrival"}),
    (forget_time, {"account-days add up"}),
    (give_time_to_another_state, {"account-days add up"}),
    (lose_a_carry, {"account-days add up"}),
    (lose_readers, {"account-days add up"}),
    (find_readers, {"account-days add up"}),
    (ban_twice, {"ever banned never falls"}),
    (ban_unseen, {"ever banned never falls"}),
    (ban_before_the_move, {"ever banned never falls"}),
    (ban_by_the_wrong_mark, {"ever banned never falls"}),
    (be_nowhere, {"accounts were in their states"}),
    (be_everywhere, {"accounts were in their states"}),
    (start_elsewhere, {"accounts were in their states"}),
    (start_elsewhere_late, {"accounts were in their states"}),
    (serve_nobody, {"every service has an arrival"}),
    (serve_unseen, {"every service has an arrival"}),
    (serve_by_too_many, {"every service has an arrival"}),
    (wait_longer, {"every service has an arrival"}),
    (work_longer, {"every service has an arrival"}),
    (work_a_little_longer, {"every service has an arrival"}),
    (find_what_cannot_be_found, {"violations come before decisions"}),
    (miss_what_cannot_be_missed, {"violations come before decisions"}),
    (violate_without_a_rate, {"violations come before decisions"}),
    (violate_without_a_severity, {"violations come before decisions"}),
    (decide_without_a_case, {"violations come before decisions"}),
    (decide_wrongly, {"violations come before decisions"}),
    (order_too_early, {"orders are carried out"}),
)


def failing(counts: Counts, codes: Codes) -> set[str]:
    """Invariants that do not hold."""
    found = set()
    for name, holds in INVARIANTS.items():
        try:
            holds(Numbers(counts, codes), Ledger(name))
        except InvariantError:
            found.add(name)
    return found


@pytest.mark.parametrize(("bend", "expected"), BENT, ids=[bend.__name__ for bend, _ in BENT])
def test_bent_tally(bend: Bend, expected: set[str], tally: Tally, codes: Codes) -> None:
    """The unbent tally holds; the bent one fails where it must, with the name of the invariant and numbers."""
    check(counts_of(tally, codes), codes)
    bend(tally, codes)
    counts = counts_of(tally, codes)
    assert expected <= failing(counts, codes)
    with pytest.raises(InvariantError, match=r"does not hold: .*\d.*report it with the scenario and the seed"):
        outcome_of(counts, codes)


def test_more_are_served_than_there_are_reviewers(tally: Tally, codes: Codes) -> None:
    """It is this that is told, and not what else does not hold."""
    serve_by_too_many(tally, codes)
    with pytest.raises(InvariantError, match=r"desk `desk`, .* there were at most 3 reviewers"):
        check(counts_of(tally, codes), codes)


def test_time_left_where_the_last_interval_is_shorter() -> None:
    """The end of the run is no multiple of `observe`: bounds by hand."""
    codes = compile_text(TEXT.replace("horizon: 60 days", "horizon: 60 days\nobserve: 7 days"))
    counted = np.arange(1, len(codes.grid) + 1)[:, None] ** 2
    least, most = Numbers(None, codes).time_left(counted)  # type: ignore[arg-type]
    grid, end = codes.grid.tolist(), codes.scenario.spec.end_us
    assert grid[-1] - grid[-2] < grid[1]
    after = [0, *(at + 1 for at in grid[:-1])]
    assert least[0] == sum(int(n) * (end - at) for n, at in zip(counted[:, 0], grid, strict=True))
    assert most[0] == sum(int(n) * (end - at) for n, at in zip(counted[:, 0], after, strict=True))


def test_bent_tables(tally: Tally, codes: Codes) -> None:
    """A fault in the tables: accounts put into another state, accounts lost, a curve of bans that falls."""
    counts = counts_of(tally, codes)
    moved, lost, falling = counts.occupancy.copy(), counts.occupancy.copy(), counts.bans.copy()
    moved[7, SHOPS, [FREE, BANNED]] += [1, -1]
    lost[7, SHOPS, FREE] -= 1
    falling[30, SHOPS, 1] = falling[29, SHOPS, 1] - 1
    assert failing(replace(counts, occupancy=moved), codes) == {"moves agree with occupancy"}
    assert {"moves agree with occupancy", "accounts are conserved"} <= failing(replace(counts, occupancy=lost), codes)
    assert failing(replace(counts, bans=falling), codes) == {"ever banned never falls"}


def test_all_served_leaves_no_time_over() -> None:
    """Where all who came to a desk have been served, waiting and work fill the time that was spent there: not a microsecond less."""
    text = "\n".join(line for line in TEXT.split("\nwaves:")[0].split("\n") if "forgotten" not in line)
    codes = compile_text(text.replace("banned: 50%},", "banned: 50%}}"))
    tally = replicate(codes, Settings(seed=1, histories=0), 0)[0]
    check(counts_of(tally, codes), codes)
    spent, done = tally.sojourn[:, APPEAL, 0].sum(), tally.waited[APPEALS, 0] + tally.worked[APPEALS, 0]
    assert spent == done, "none is at the desk when the run ends"
    tally.worked[APPEALS, 0] -= np.uint64(1)
    assert failing(counts_of(tally, codes), codes) == {"every service has an arrival"}


def test_the_first_state_may_stand_before_a_desk() -> None:
    """Accounts that leave it are seen to leave the desk."""
    codes = compile_text("""
start: 2024-01-01
horizon: 30 days
segments: {all: {accounts: 200}}
ladder:
  start: entry
  states:
    entry: {desk: desk, service: {exponential: {mean: 1 hour}}, outcomes: {in: 100%}, exits: {gone: {to: out, after: 2 days}}}
    in: {}
    out: {}
desks: {desk: {reviewers: 3}}
""")
    tally = replicate(codes, Settings(seed=1, histories=0), 0)[0]
    assert tally.starts.sum() > 0
    assert set(check(counts_of(tally, codes), codes)) == set(INVARIANTS)


def test_an_order_that_hits_none_moves_none() -> None:
    """One account moved by it is one too many."""
    one, none = (compile_text(TEXT.replace("count: 40", f"count: {count}")) for count in (1, 0))
    ordered = [cause == "wave:order" for _, _, cause in one.names.moves]
    lives = (replicate(one, Settings(seed=seed, histories=0), 0)[0] for seed in range(20))
    tally = next(each for each in lives if each.moves[:, :, ordered].sum() == 1)  # it may hit one that has yet to join
    check(counts_of(tally, one), one)
    assert failing(counts_of(tally, none), none) == {"orders are carried out"}


def test_the_largest_audience_holds() -> None:
    """Half of these accounts have as many readers as the law allows, 10^15."""
    codes = compile_text("""
start: 2024-01-01
horizon: 1 day
segments: {all: {accounts: 50, audience: {lognormal: {median: 10000000000, sigma: 20}}}}
ladder: {start: s, states: {s: {}}}
""")
    tally = replicate(codes, Settings(seed=1, histories=0), 0)[0]
    counts = counts_of(tally, codes)
    assert set(check(counts, codes)) == set(INVARIANTS)
    assert counts.audience_days.sum() > 10 * 10**15


def test_squares_of_wrongful_days_pass_64_bits(tally: Tally, codes: Codes) -> None:
    """Sums of squares are of seconds, in two words."""
    tally.wronged[SHOPS, 1, 1] = (86_400**2, 3)
    assert counts_of(tally, codes).wronged[SHOPS, 1, 1] == pytest.approx(1 + 3 * 2.0**64 / 86_400**2, rel=1e-15)


def test_message_names_place_and_numbers(tally: Tally, codes: Codes) -> None:
    """Which invariant, which segment, when, and the numbers that contradict each other."""
    lose_an_account(tally, codes)
    told = "accounts are conserved does not hold: segment `media`, at 2024-02-10T00:00:00.000000: 299 of 300 accounts"
    with pytest.raises(InvariantError, match=told):
        check(counts_of(tally, codes), codes)


@pytest.mark.parametrize("first", range(0, RANDOM_SCENARIOS, 20))
def test_random_scenarios(first: int) -> None:
    """All hold on random scenarios, by either engine."""
    for seed in range(first, first + 20):
        codes = compile_text(as_yaml(random_scenario(np.random.default_rng(seed))))
        for engine in ("compiled", "process"):
            tally, _ = replicate(codes, Settings(seed=seed, engine=engine, histories=0), seed % 3)  # type: ignore[arg-type]
            found = check(counts_of(tally, codes), codes)
            assert set(found) == set(INVARIANTS)
            assert all(found[name] > 0 for name in list(INVARIANTS)[:6]), f"scenario {seed}"


def test_random_scenarios_use_every_feature() -> None:
    """What holds above holds for every feature of the law."""
    used: set[str] = set()
    for seed in range(RANDOM_SCENARIOS):
        used |= features(random_scenario(np.random.default_rng(seed)))
    assert used == set(FEATURES)


def test_time_left_is_exact_however_many() -> None:
    """Bounds of the time left, against Python's integers, for counts whose products pass 64 bits."""
    codes = compile_text(TEXT)
    numbers = Numbers(None, codes)  # type: ignore[arg-type]
    counted = np.random.default_rng(0).integers(0, 2**52 // 61, (61, 2))
    grid, end = codes.grid.tolist(), codes.scenario.spec.end_us
    least, most = numbers.time_left(counted)
    for column in range(2):
        count = counted[:, column].tolist()
        assert least[column] == sum(n * (end - at) for n, at in zip(count, grid, strict=True))
        after = [0, *(at + 1 for at in grid[:-1])]
        assert most[column] == sum(n * (end - at) for n, at in zip(count, after, strict=True))
    assert least.max() > 2**63


def test_bucket_edges() -> None:
    """The edges of a bucket are the shortest and longest waits that are put into it; buckets that hold no wait have none."""
    for bucket in (0, *range(1 + 6 * SUB_BUCKETS, 1 + 56 * SUB_BUCKETS, 37)):
        low, high = bucket_edges(bucket)
        assert low <= high
        assert wait_bucket(low) == wait_bucket(high) == bucket
        assert wait_bucket(high + 1) > bucket
        assert low == 0 or wait_bucket(low - 1) < bucket
    for wait in range(1, 200):
        low, high = bucket_edges(wait_bucket(wait))
        assert low <= wait <= high


def test_manifest_tells(tmp_path: Path) -> None:
    """The manifest of a run tells what was checked, over all replications."""
    sim.run(sim.loads(TEXT), 1, replications=2, out=tmp_path / "out")
    told = json.loads((tmp_path / "out" / "manifest.json").read_text())["invariants"]
    one = sim.run(sim.loads(TEXT), 1).manifest["invariants"]
    assert told["held"] is True
    assert told["comparisons"] == {name: 2 * one["comparisons"][name] for name in INVARIANTS}
    assert min(told["comparisons"].values()) > 0


def test_outcome_keeps_what_was_checked(tally: Tally, codes: Codes) -> None:
    """Through its text, too: replications come back from other processes."""
    outcome = outcome_of(counts_of(tally, codes), codes)
    assert Outcome.from_json(outcome.to_json()).checked == outcome.checked
    assert set(outcome.checked) == set(INVARIANTS)


def test_run_that_cannot_be_right_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that loses time: the run ends in an error and leaves no folder; so does a task of an experiment."""
    honest = replications.compiled.run

    def bent(law, tally, *rest, **options):  # type: ignore[no-untyped-def]
        honest(law, tally, *rest, **options)
        tally.sojourn[0, 0, 0] -= np.uint64(1)

    monkeypatch.setattr(replications.compiled, "run", bent)
    with pytest.raises(RunError, match="account-days add up"):
        sim.run(sim.loads(TEXT), 1, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(work.TasksFailedError, match="account-days add up"):
        list(work.run_tasks(work.tasks_of(sim.loads(TEXT), 1, [0])))
