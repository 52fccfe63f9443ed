"""What each scenario of the catalogue says about its platform, beside the `expect:` of its file: published facts, and ladders held to their wording.

What all files have in common is in ``test_scenarios``. Seeds are 1, and 0 for the pair of Facebook; bounds are wide against chance: nothing here
fails for a seed with a chance above 1e-4.
"""

import datetime
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

import sim

DAY = datetime.timedelta(days=1)
PENALTIES = ("warned", "suspended_7_days", "suspended_14_days", "suspended_30_days", "banned")


@cache
def ran(name):
    return sim.run(sim.load(name), seed=1, histories=0)


def measure(result, name, segment="", state=""):
    table = result.summary
    found = table[(table["measure"] == name) & (table["segment"] == segment) & (table["state"] == state)]
    assert len(found) == 1
    return float(found["value"].iloc[0])


def moves(result, **columns):
    """How many moves there are with these values of columns."""
    table = result.transitions
    for column, value in columns.items():
        table = table[table[column] == value]
    return int(table["transitions"].sum())


# Facebook


@cache
def reform():
    return sim.compare("facebook_2022", "facebook_2023", seed=0)


@pytest.mark.parametrize("segment", ["", "occasional", "persistent"])
def test_reform_saves_restricted_days(segment):
    """The effect on restricted account-days is stated with limits, and they exclude none."""
    table = reform().differences
    found = table[(table["measure"] == "restricted_days") & (table["segment"] == segment)].iloc[0]
    assert found["low"] < found["difference"] < found["high"] < 0
    assert found["difference"] == pytest.approx(found["b"] - found["a"])
    assert found["narrower"] > 1


def test_the_effect_is_the_one_that_is_told():
    """The figures in the catalogue's page are those of the comparison."""
    table = reform().differences
    found = table[(table["measure"] == "restricted_days") & (table["segment"] == "")].iloc[0]
    saved, least, most, before = (abs(found[column]) / 1e6 for column in ("difference", "high", "low", "a"))
    told = (
        f"saves {saved:.2f} million ({least:.2f} to {most:.2f} million) of {before:.1f} million restricted account-days"
    )
    page = (Path(__file__).parents[1] / "scenarios" / "README.md").read_text(encoding="utf-8")
    assert told in " ".join(page.split())


def test_reform_limits_features_instead():
    """What strikes two to six bring in place of being barred is not counted among the restricted days, and is told apart."""
    table = reform().differences.set_index(["measure", "segment", "state"])
    limited = table.loc[("account_days", "", "features_limited")]
    assert limited["low"] > 0
    barred = [f"barred_{length}" for length in ("1_day", "3_days", "7_days", "30_days")]
    total = sum(table.loc[("account_days", "", state), "difference"] for state in barred)
    assert total == pytest.approx(table.loc[("restricted_days", "", ""), "difference"])


def test_reform_changes_nothing_before_its_day():
    """Both files are the same world, draw for draw, until 23 February 2023."""
    day = datetime.datetime(2023, 2, 23)
    occupancy = [sim.run(scenario, seed=1, histories=0).occupancy for scenario in reform().scenarios]
    before = [table[table["time"] < day].reset_index(drop=True) for table in occupancy]
    pd.testing.assert_frame_equal(*before)
    after = [table[table["time"] > day + 30 * DAY]["accounts"].to_numpy() for table in occupancy]
    assert (after[0] != after[1]).any()


# YouTube


def strikes_by_the_rule(events):
    """State that each decision on a channel should have led to, by the wording of the rule: a warning first, then strikes, which last 90 days.

    A warning of somebody who was trained lasts 90 days too; then the next violation is a first one again, unless there has been a strike.
    """
    strikes, warned_at, trained = [], None, False
    for event in events:
        if event.cause == "exit:trained":
            trained = True
        if event.cause != "decision":
            continue
        if event.severity == "severe":
            yield event, "terminated"
            return
        lapsed = trained and not strikes and event.time - warned_at >= 90 * DAY
        if warned_at is None or lapsed:
            warned_at, trained = event.time, False
            yield event, "warned"
            continue
        strikes.append(event.time)
        counted = sum(event.time - time < 90 * DAY for time in strikes)
        yield event, {1: "frozen_1_week", 2: "frozen_2_weeks"}.get(counted, "terminated")
        if counted > 2:
            return


def test_strikes_expire_one_by_one():
    """The ladder, which counts decisions, says what the rule says, which counts strikes: 20 violations a year, so that every case comes up."""
    busy = {"segments.channels": {"accounts": 2_000}, "violations.upload.rate.channels": "20 per year"}
    result = sim.run(sim.load("youtube_strikes_2024").with_values(busy), seed=1, histories=None)
    rows = result.histories
    rows = rows[rows["segment"] == "channels"].sort_values(["account", "time"], kind="stable")
    seen = set()
    for _, events in rows.groupby("account"):
        for event, expected in strikes_by_the_rule(events.itertuples()):
            assert event.to_state == expected, events
            seen.add((event.from_state, event.to_state, event.strikes))
    assert {(state, "frozen_2_weeks", 2) for state in ("after_first_strike", "after_second_strike")} <= seen
    assert {("after_first_strike", "frozen_2_weeks", 3), ("after_second_strike", "terminated", 3)} <= seen
    assert {("trained", "warned", 1), ("trained", "frozen_1_week", 2), ("warned", "frozen_1_week", 1)} <= seen


def test_few_who_are_warned_are_found_again():
    """94 of 100 creators with a first strike never got a second (2019, when the first violation was a strike)."""
    result = ran("youtube_strikes_2024")
    again, warned = (measure(result, "ever_share", "channels", state) for state in ("frozen_1_week", "warned"))
    assert 0.03 < again / warned < 0.09


# Twitch


def test_expiry_saves_accounts_from_indefinite_suspension():
    pair = [sim.load(name).scaled(0.1) for name in ("twitch_2025", "twitch_2025_no_expiry")]
    table = sim.compare(*pair, seed=1).differences
    for name in ("ban_rate", "wrongful_ban_rate"):
        found = table[(table["measure"] == name) & (table["segment"] == "regular")].iloc[0]
        assert found["low"] > 0


def test_who_was_suspended_before_the_change_stays_so():
    """Requests come six months after suspensions that came after the change, and not before."""
    table = ran("twitch_2025").transitions
    asked = table[(table["cause"] == "exit:asks_back") & (table["transitions"] > 0)]
    assert asked["time"].min() >= datetime.datetime(2025, 2, 20) + 180 * DAY


# Twitter, Amazon, WeChat


def test_as_many_posts_on_covid_are_acted_on_as_were():
    """8,493 posts in the ten months before the rule are some 10,000 a year."""
    assert 5_000 < measure(ran("twitter_covid_2021"), "detected_violations") < 20_000


def test_three_appeals_of_ten_bring_sellers_back():
    """30 % of appeals were granted in the EU."""
    result = ran("amazon_sellers_2024")
    granted, refused = (moves(result, from_state="appealing", to_state=state) for state in ("noted", "closed"))
    assert 0.25 < granted / (granted + refused) < 0.35


def test_slow_sellers_lose_their_shops():
    """72 hours cost more sellers their shop than the review of their plans does."""
    result = ran("amazon_sellers_2024")
    late = moves(result, cause="exit:deadline")
    assert late > moves(result, from_state="plan_review", to_state="deactivated") > 0


def test_one_penalty_in_eight_for_plagiarism_is_permanent():
    """46 of 357 in August 2014, 12.9 %."""
    table = ran("wechat_plagiarism_2015").states
    entries = table.groupby("state", observed=True)["entries"].sum()
    assert 0.09 < entries["banned"] / entries[list(PENALTIES)].sum() < 0.17


# Review desk


def test_waits_at_the_desk_are_spread_as_published():
    """TikTok, 2023: 90 % within 2 hours, 96 % within 8, 99 % within 24: the 95th percentile lies between 2 and 8 hours, the 99th between 8 and 24."""
    waits = ran("review_capacity_2024").waits.iloc[0]
    assert 2 < waits["p95_hours"] < 8 < waits["p99_hours"] < 24


def test_a_day_of_surge_takes_days_to_read():
    """The backlog grows for a day and is gone within a week; with a fifth more reviewers it is gone sooner."""
    base = sim.load("review_capacity_2024").scaled(0.1)
    longer = {}
    for reviewers in (5, 6):
        desks = sim.run(base.with_values({"desks.review.reviewers": reviewers}), seed=1, histories=0).desks
        longer[reviewers] = int((desks["waiting"] > 100).sum())
    assert 24 < longer[6] < longer[5] < 7 * 24
