"""Kaplan-Meier, Aalen-Johansen and first entries: by hand, against lifelines and scikit-survival, and their standard errors against simulation.

Simulation: 2,000 samples of 150 accounts. The ratio of the mean standard error to the standard deviation of the estimates has a standard error of
1.6 %; it has to be within 8 % of 1. All seeds are fixed.
"""

from __future__ import annotations

import lifelines
import numpy as np
import pandas as pd
import pytest
from sksurv.nonparametric import cumulative_incidence_competing_risks

import sim
from sim.errors import ResultsError
from sim.results.estimators import aalen_johansen, first_entry, kaplan_meier
from sim.results.spells import CENSORED, DAY_US, Spells, spells_of, spells_of_run


def histories(*rows: tuple[str, float, str | None]) -> pd.DataFrame:
    """Histories from rows of account, day, state."""
    return pd.DataFrame(rows, columns=["account", "time", "state"])


def competing(days: np.ndarray, cause: np.ndarray, end: float) -> Spells:
    """Accounts that start in ``on`` and leave it for ``c1``, ``c2``, or (cause 0) are censored."""
    count = len(days)
    began = pd.DataFrame({"account": range(count), "time": 0.0, "state": "on"})
    states = np.where(cause == 0, None, np.char.add("c", cause.astype(str)).astype(object))
    return spells_of(pd.concat([began, pd.DataFrame({"account": range(count), "time": days, "state": states})]), end)


def draw(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Days in steps of a quarter, so that there are ties, and causes 0 (censored), 1, 2."""
    clocks = np.stack([rng.exponential(9, count), rng.exponential(5, count), rng.weibull(1.5, count) * 8])
    return np.ceil(clocks.min(axis=0) * 4) / 4, clocks.argmin(axis=0)


def test_kaplan_meier_by_hand() -> None:
    """Five durations 1, 2, 2, 3+, 4: survival 4/5, 2/5, 0 and Greenwood's sums 1/20, 1/20 + 2/8."""
    curve = kaplan_meier([1, 2, 2, 3, 4], [True, True, True, False, True])
    assert curve.times.tolist() == [1, 2, 4]
    assert curve.survival == pytest.approx([0.8, 0.4, 0.0])
    assert curve.standard_error == pytest.approx([0.8 * (1 / 20) ** 0.5, 0.4 * (1 / 20 + 2 / 8) ** 0.5, 0.0])
    assert curve.at([0.5, 1, 2.5, 9]) == pytest.approx([1, 0.8, 0.4, 0])
    assert curve.quantile(np.array([0.1, 0.2, 0.6, 1.0])).tolist() == [1, 1, 2, 4]


def test_curves_are_told_apart_by_themselves() -> None:
    """Two that say the same are two; each can be a key."""
    one, other = (kaplan_meier([1, 2], [True, False]) for _ in range(2))
    assert one != other
    assert {one: "first", other: "second"}[other] == "second"


def test_spells_by_hand() -> None:
    """Rows in any order; a row without a state ends an account, the end of observation ends the others and hides what is later."""
    found = spells_of(
        histories(("b", 2, "x"), ("a", 1, "x"), ("a", 4, "y"), ("b", 3, "y"), ("b", 5, None), ("a", 9, "x")), end=6.0
    )
    assert found.states == ("x", "y")
    assert (found.entered_us / DAY_US).tolist() == [2, 3, 1, 4]
    assert (found.left_us / DAY_US).tolist() == [3, 5, 4, 6]
    assert found.next.tolist() == [1, CENSORED, 1, CENSORED]
    assert (found.since_joining().entered_us / DAY_US).tolist() == [0, 1, 0, 3]


def test_visits_and_stays_of_no_length() -> None:
    """The second entry into a state is its second visit; of entries at one time the last is where the account stays."""
    found = spells_of(histories(("a", 0, "x"), ("a", 0, "y"), ("a", 1, "x"), ("a", 1, "y"), ("a", 2, "x")), end=3.0)
    assert found.visit.tolist() == [1, 1, 2, 2, 3]
    settled = found.settled()
    assert [found.states[k] for k in settled.state] == ["y", "y", "x"]
    assert settled.next.tolist() == [1, 0, CENSORED]


@pytest.mark.parametrize(
    ("rows", "end", "told"),
    [
        ([("a", 5.0, "x")], 1.0, "no rows up to"),
        ([("a", 0.0, "x"), ("a", 1.0, None), ("a", 2.0, "y")], None, "rows after the one without a state"),
        ([], None, "no rows"),
        ([("a", 0.0, "x")], pd.Timestamp("2020-01-01"), "of the kind of the times"),
    ],
)
def test_histories_that_are_refused(rows: list[tuple[str, float, str]], end: object, told: str) -> None:
    """What cannot be read says why."""
    with pytest.raises(ResultsError, match=told):
        spells_of(histories(*rows), end)  # type: ignore[arg-type]


def test_aalen_johansen_by_hand() -> None:
    """Four accounts, ties, a way back and censoring: the products of I + dA, fraction by fraction."""
    spells = spells_of(
        histories(
            *(("a", 0, "x"), ("a", 1, "y"), ("a", 2, "x")),
            *(("b", 0, "x"), ("b", 1, "z")),
            *(("c", 0, "x"), ("c", 1.5, None)),
            *(("d", 0, "x"), ("d", 3, "y")),
        ),
        end=4.0,
    )
    found = aalen_johansen(spells)
    shares, errors = found.at(np.array([0, 1, 2, 3]) * DAY_US)
    assert found.states == ("x", "y", "z")
    assert shares[0] == pytest.approx([1, 0, 0])
    assert shares[1] == pytest.approx([1 / 2, 1 / 4, 1 / 4])
    assert shares[2] == pytest.approx([3 / 4, 0, 1 / 4])
    assert shares[3] == pytest.approx([3 / 8, 3 / 8, 1 / 4])
    assert errors[1] ** 2 == pytest.approx([1 / 2 * 1 / 2 / 4, 1 / 4 * 3 / 4 / 4, 1 / 4 * 3 / 4 / 4])
    # at 3 one of two in x goes on: half of (x's variance, which is z's) and (3/4)^2 * 1/2 * 1/2 / 2 of its own
    assert errors[3, 0] ** 2 == pytest.approx(3 / 64 / 4 + 9 / 16 / 8)


def test_shares_to_begin_with_by_hand() -> None:
    """Moves count from the shares that are given: who begins elsewhere is not moved by what happens where nobody is."""
    spells = spells_of(
        histories(
            *(("a", 0, "x"), ("a", 1, "y"), ("a", 2, "x")),
            *(("b", 0, "x"), ("b", 1, "z")),
            *(("d", 0, "x"), ("d", 3, "y")),
        ),
        end=4.0,
    )
    shares, errors = aalen_johansen(spells, initial=np.array([0.0, 1.0, 0.0])).at(np.array([0, 1, 2, 3]) * DAY_US)
    assert shares.tolist() == [[0, 1, 0], [0, 1, 0], [1, 0, 0], [1 / 2, 1 / 2, 0]]
    assert errors[:3].max() == 0.0
    assert errors[3] ** 2 == pytest.approx([1 / 2 * 1 / 2 / 2, 1 / 2 * 1 / 2 / 2, 0])


def test_nothing_can_be_estimated_from_nothing() -> None:
    """No spells, and histories without what they need, are told."""
    some = spells_of(histories(("a", 0, "x")), end=1.0)
    nothing = some.where(np.zeros(1, bool))
    with pytest.raises(ResultsError, match="no spells"):
        aalen_johansen(nothing)
    with pytest.raises(ResultsError, match="no column time, state; needed: account, time, state"):
        spells_of(pd.DataFrame({"account": ["a"]}))


def test_late_entry() -> None:
    """On the calendar an account is at risk from its joining on, and not at that very instant."""
    spells = spells_of(histories(("a", 0, "x"), ("a", 2, "y"), ("b", 1, "x"), ("c", 2, "x"), ("c", 3, "y")), end=4.0)
    shares, _ = aalen_johansen(spells).at(np.array([2, 3]) * DAY_US)
    assert shares[:, 0] == pytest.approx([1 / 2, 1 / 4])
    entry, exits = np.array([0.0, 1, 2]), np.array([2.0, 4, 3])
    assert kaplan_meier(exits, [True, False, True], entry).survival == pytest.approx([1 / 2, 1 / 4])
    fitter = lifelines.KaplanMeierFitter().fit([2.0, 4, 3], [1, 0, 1], entry=entry)
    assert fitter.survival_function_at_times([2, 3]).to_numpy()[1] == pytest.approx(1 / 4)


def test_kaplan_meier_agrees_with_lifelines() -> None:
    """Survival and its error, with ties and censoring."""
    days, cause = draw(np.random.default_rng(1), 500)
    own = kaplan_meier(days, cause > 0)
    other = lifelines.KaplanMeierFitter().fit(days, cause > 0)
    assert own.survival == pytest.approx(other.survival_function_at_times(own.times).to_numpy(), abs=1e-12)
    variance = other._cumulative_sq_.reindex(own.times).to_numpy().ravel() * own.survival**2
    assert own.standard_error[:-1] ** 2 == pytest.approx(variance[:-1], rel=1e-9)


def test_cumulative_incidence_agrees_with_scikit_survival() -> None:
    """Both causes, with ties; standard errors within 1 % of Aalen's where there are none."""
    rng = np.random.default_rng(2)
    days, cause = draw(rng, 400)
    own = aalen_johansen(competing(days, cause, end=1e4))
    times, incidence = cumulative_incidence_competing_risks(cause, days)
    shares, _ = own.at(np.rint(times * DAY_US))
    for k in (1, 2):
        assert shares[:, own.states.index(f"c{k}")] == pytest.approx(incidence[k], abs=1e-12)
    single = days + rng.random(400) * 0.2
    own = aalen_johansen(competing(single, cause, end=1e4))
    with np.errstate(all="ignore"):  # its last time has nobody left
        times, incidence, limits = cumulative_incidence_competing_risks(
            cause, single, conf_type="log-log", var_type="Aalen", conf_level=0.95
        )
    early = times < 6
    for k in (1, 2):
        place = own.states.index(f"c{k}")
        values, errors = own.at(np.rint(times * DAY_US))
        value, error = values[early, place], errors[early, place]
        with np.errstate(all="ignore"):
            other = np.log(np.log(limits[k, 1][early]) / np.log(limits[k, 0][early])) / (-2 * 1.959964)
            own_theta = error / (value * np.abs(np.log(value)))
        known = np.isfinite(other) & (value > 0.02)
        assert known.sum() > 20
        assert own_theta[known] == pytest.approx(other[known], rel=0.01)


def test_aalen_johansen_agrees_with_lifelines() -> None:
    """The same curve and the same variance where nothing is tied (lifelines shakes ties apart)."""
    rng = np.random.default_rng(3)
    days, cause = draw(rng, 300)
    days = days + rng.random(300) * 0.2
    other = lifelines.AalenJohansenFitter().fit(days, cause, event_of_interest=1)
    own = aalen_johansen(competing(days, cause, end=1e4))
    at = other.cumulative_density_.index.to_numpy()[1:]
    shares, errors = own.at(np.rint(at * DAY_US))
    place = own.states.index("c1")
    assert shares[:, place] == pytest.approx(other.cumulative_density_.to_numpy().ravel()[1:], abs=1e-9)
    early = at < 6
    assert errors[early, place] ** 2 == pytest.approx(other.variance_.to_numpy().ravel()[1:][early], rel=1e-6)


def test_greenwood_is_the_binomial_where_all_is_seen() -> None:
    """Without censoring shares are those counted, and their errors those of a count, exactly, however many happen at one time."""
    days, cause = draw(np.random.default_rng(5), 300)
    cause = np.maximum(cause, 1)
    own = aalen_johansen(competing(days, cause, end=1e4))
    at = np.array([0.25, 1.0, 2.5, 5.0, 9.0])
    shares, errors = own.at(np.rint(at * DAY_US))
    for k in (1, 2):
        counted = ((days[:, None] <= at) & (cause[:, None] == k)).mean(axis=0)
        place = own.states.index(f"c{k}")
        assert shares[:, place] == pytest.approx(counted, abs=1e-12)
        assert errors[:, place] == pytest.approx(np.sqrt(counted * (1 - counted) / 300), abs=1e-12)


def test_standard_errors_are_the_spread_of_estimates() -> None:
    """A chain with a way back, censored at random times: standard errors against the spread over samples, a bend of a tenth is seen."""
    rng = np.random.default_rng(4)
    at = np.array([2.0, 5.0]) * DAY_US
    values, errors = [], []
    for _ in range(2_000):
        count = 150
        first, second, third = (rng.exponential(mean, count) for mean in (3, 2, 6))
        stop = np.minimum(rng.exponential(12, count), 8.0)
        rows = np.stack([np.zeros(count), first, first + second, first + second + third])
        names = np.array(["x", "y", "x", "z"], dtype=object)
        seen = rows <= stop
        table = pd.DataFrame(
            {
                "account": np.tile(np.arange(count), 4)[seen.ravel()],
                "time": rows.ravel()[seen.ravel()],
                "state": np.repeat(names, count)[seen.ravel()],
            }
        )
        closing = pd.DataFrame({"account": np.arange(count), "time": stop, "state": None})
        share, error = aalen_johansen(spells_of(pd.concat([table, closing]), end=100.0)).at(at)
        values.append(share)
        errors.append(error)
    ratio = np.mean(errors, axis=0) / np.std(values, axis=0)
    assert ratio == pytest.approx(np.ones((2, 3)), abs=0.08)
    assert 1.1 * ratio != pytest.approx(np.ones((2, 3)), abs=0.08)


def test_first_entry_is_kaplan_meier_without_competitors() -> None:
    """First ban of a simulated ladder, bans with a way out, against closed accounts; without competitors it is Kaplan and Meier's."""
    text = """
schema: 1
start: 2022-01-01
horizon: 60 days
segments: {a: {accounts: 400, joins: {from: 2022-01-01, to: 2022-01-20}}, b: {accounts: 100}}
ladder:
  start: free
  states:
    free:
      exits:
        ban: {to: banned, after: {exponential: {mean: 30 days}}}
        close: {to: closed, after: {exponential: {mean: 60 days}}}
    banned: {exits: {over: {to: free, after: 7 days}}}
    closed: {activity: 0}
"""
    result = sim.run(sim.loads(text), seed=1, histories=None)
    end = pd.Timestamp("2022-03-02")
    spells = spells_of_run(result.histories, end)
    assert len(np.unique(spells.account)) == 500
    assert spells.segments == ("a", "b")
    own = first_entry(spells.since_joining(), ["banned"], competing=["closed"])
    first = (
        result.histories[result.histories["to_state"] != "free"].groupby(["segment", "account"], observed=True).first()
    )
    joined = result.histories[result.histories["cause"] == "joined"].set_index(["segment", "account"])["time"]
    days = ((first["time"].reindex(joined.index).fillna(end) - joined) / pd.Timedelta(days=1)).to_numpy()
    cause = first["to_state"].astype(str).map({"banned": 1, "closed": 2}).reindex(joined.index).fillna(0).to_numpy(int)
    times, incidence = cumulative_incidence_competing_risks(cause, days)
    shares, _ = own.at(np.rint(times * DAY_US))
    assert shares[:, 1] == pytest.approx(incidence[1], abs=1e-12)
    alone = first_entry(spells.since_joining(), ["banned"])
    observed = ((end - joined) / pd.Timedelta(days=1)).to_numpy()
    curve = kaplan_meier(np.where(cause == 1, days, observed), cause == 1)
    assert alone.at(np.rint(curve.times * DAY_US))[0][:, 1] == pytest.approx(1 - curve.survival, abs=1e-12)
    with pytest.raises(ResultsError, match="allowed, once each: free, banned, closed"):
        first_entry(spells, ["gone"])


def test_one_state_has_no_moves() -> None:
    """Shares of accounts that never move stay what they were."""
    found = aalen_johansen(spells_of(histories(("a", 0, "x"), ("b", 0, "x")), end=9.0))
    assert found.at(5 * DAY_US)[0] == pytest.approx([1.0])
    assert found.observed_until() == 0
