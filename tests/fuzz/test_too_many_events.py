"""What would take hours is said before it starts; what is merely large is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import sim
from sim.errors import ScenarioError
from sim.experiments.estimate import check_events, expected_events
from sim.experiments.replications import Settings, codes_of, replicate

LADDER = Path(__file__).parents[1] / "benchmarks" / "ladder.yaml"
LOOP = """
start: 2022-01-01
horizon: 1 year
segments: {media: {accounts: 1}}
ladder:
  start: here
  states:
    here: {exits: {on: {to: there, after: 1 microsecond}}}
    there: {exits: {back: {to: here, after: 1 microsecond}}}
"""


def test_a_ladder_that_loops_every_microsecond_is_refused_before_it_runs() -> None:
    loop = sim.loads(LOOP)
    assert 3.1e13 < expected_events(loop).events < np.e * 3.2e13  # a year has 3.15e13 microseconds
    with pytest.raises(ScenarioError, match=r"may make up to 8\.[0-9] × 10\^13 events.*--force"):
        sim.run(loop)
    with pytest.raises(ScenarioError, match="may make up to"):
        sim.compare(loop, loop)
    check_events([loop], force=True)


def test_rates_that_make_a_million_million_events_are_refused() -> None:
    busy = sim.load(LADDER).with_values(
        {"segments.accounts.accounts": 4_000_000_000, "violations.violation.rate.accounts": "1 per day"}
    )
    idle = busy.with_values({"ladder.states.compliant.on_violation": {"severe": "banned"},
                             "violations.violation.severity": {"minor": "100%"},
                             "ladder.states.restricted": None, "ladder.states.rectifying": None,
                             "waves.closing": {"at": "1 day", "segment": "accounts", "count": 0, "to": "banned"}})  # fmt: skip
    assert expected_events(idle).events > 1e12
    with pytest.raises(ScenarioError, match="10\\^12"):
        check_events([idle])


def test_a_billion_accounts_for_ten_years_and_all_that_ships_pass() -> None:
    large = sim.load(LADDER).with_values({"segments.accounts.accounts": 1_000_000_000, "horizon": "10 years"})
    check_events([large, *map(sim.load, sim.shipped())])


@pytest.mark.parametrize("name", ["facebook_2022", "twitch_2025", "traffic_fines_2009", "youtube_strikes_2024"])
def test_the_bound_holds_and_is_not_far_above(name: str) -> None:
    scenario = sim.load(name)
    scenario = scenario.scaled(20_000 / max(20_000, sum(s.accounts for s in scenario.spec.segments.values())))
    tally, _ = replicate(codes_of(scenario), Settings(histories=0), 0)
    made = tally.moves[:, :, 1:].sum() + tally.starts.sum() + tally.violations.sum()
    assert made < expected_events(scenario).events < 5 * made
