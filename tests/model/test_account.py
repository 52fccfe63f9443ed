"""What an account is born with, of the draws that the law names."""

from __future__ import annotations

import math

import pytest
from reference_draws import Draws
from scipy.special import ndtri

from sim.model.account import audience_of
from sim.model.tables import Tables, compile_tables, keyed
from sim.scenario import loads

TEXT = """
schema: 1
title: Segments without readers, with as many each, and with a distribution of them
assumed: [every number]
start: 2023-01-02
horizon: 10 days
segments:
  shops: {accounts: 20}
  groups: {accounts: 20, audience: 700}
  media: {accounts: 20, audience: {lognormal: {median: 20_000, sigma: 1.5}}}
  observed: {accounts: 20, audience: {empirical: {quantiles: [3, 40, 5_000]}}}
ladder: {start: there, bans: [], states: {there: {activity: 0}}}
"""


@pytest.fixture(scope="module")
def law() -> Tables:
    """The segments in one replication."""
    return keyed(compile_tables(loads(TEXT))[0], 5, 2)


def test_readers_are_those_of_the_law(law: Tables) -> None:
    """None without an audience, the number that is given, or the quantile at the draw `audience`, occurrence 0, as a whole number."""
    draws = {name: [Draws(5, 2).uniform(name, i, "audience", 0) for i in range(20)] for name in ("media", "observed")}
    media = [round(20_000 * math.exp(1.5 * ndtri(u))) for u in draws["media"]]
    observed = [round(3 + 74 * u if u < 0.5 else 40 + 9920 * (u - 0.5)) for u in draws["observed"]]
    found = [[audience_of(law, segment, account) for account in range(20)] for segment in range(4)]
    assert found == [[0] * 20, [700] * 20, media, observed]
    assert len(set(media)) == len(set(observed)) == 20
