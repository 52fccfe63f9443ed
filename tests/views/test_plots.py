"""The figures say what the tables say: lines, bands, marks, widths and words, read back from what is drawn."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.text import Text
from scipy import stats
from views.tables import STATES, People, desk_table, tables

from sim.results import intervals
from sim.views import plots
from sim.views.curves import leading, student, wilson
from sim.views.flow_layout import arrange, links_of
from sim.views.marks import rows_of
from sim.views.scales import broken
from sim.views.ticks import PercentTicks
from sim.views.words import count, ems, percent, shorten, wrapped

Tables = Mapping[str, pd.DataFrame]
SMALL = {"creators": People(5000), "shops": People(2000, 0.5), "newcomers": People(3000, 1.5, joins_over_days=20)}
EVENTS = (
    (pd.Timestamp("2022-07-10"), "closure_order", "wave"),
    (pd.Timestamp("2022-07-11"), "crackdown", "phase"),
    (pd.Timestamp("2022-07-12"), "second order", "wave"),
    (pd.Timestamp("2030-01-01"), "never", "phase"),
)


@pytest.fixture(scope="module")
def single() -> Tables:
    return tables(SMALL, days=40)


@pytest.fixture(scope="module")
def several() -> Tables:
    return tables(SMALL, days=40, runs=5)


def labelled(ax: Axes, label: str) -> list:
    return [artist for artist in ax.get_children() if artist.get_label() == label]


def line(ax: Axes, label: str):
    (found,) = labelled(ax, label)
    return found


def band_of(ax: Axes, name: str) -> tuple[np.ndarray, np.ndarray]:
    (band,) = labelled(ax, f"_band:{name}")
    assert isinstance(band, PolyCollection)
    corners = band.get_paths()[0].vertices
    edges = pd.DataFrame(corners, columns=["x", "y"]).groupby("x")["y"]
    return edges.min().to_numpy(), edges.max().to_numpy()


def column(bans: pd.DataFrame, segment: str, name: str) -> np.ndarray:
    """Give a column of one segment as (replication, time)."""
    return bans[bans["segment"] == segment].pivot(index="replication", columns="time", values=name).to_numpy(float)


def legend_names(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


# --- ban rate ---------------------------------------------------------------------------------------------------


def test_ban_rate_draws_the_table_with_wilson_limits(single: Tables) -> None:
    ax = plots.ban_rate(single["bans"], log=False)
    for segment in ("creators", "shops"):
        banned, joined = (column(single["bans"], segment, name)[0] for name in ("ever_banned", "joined"))
        drawn = line(ax, segment)
        np.testing.assert_allclose(drawn.get_ydata(), banned / joined)
        np.testing.assert_array_equal(drawn.get_xdata(), np.unique(single["bans"]["time"].to_numpy()))
        low, high = band_of(ax, segment)
        limits = [
            stats.binomtest(int(k), int(n)).proportion_ci(0.95, "wilson") for k, n in zip(banned, joined, strict=True)
        ]
        np.testing.assert_allclose(low, [limit.low for limit in limits], atol=1e-12)
        np.testing.assert_allclose(high, [limit.high for limit in limits], atol=1e-12)
    assert "bands: 95 % over accounts (Wilson)" in legend_names(ax)


def test_ban_rate_draws_student_limits_over_replications(several: Tables) -> None:
    ax = plots.ban_rate(several["bans"], share="banned", log=False)
    rates = column(several["bans"], "creators", "banned") / column(several["bans"], "creators", "joined")
    np.testing.assert_allclose(line(ax, "creators").get_ydata(), rates.mean(axis=0))
    with np.errstate(invalid="ignore"):
        low, high = stats.t.interval(0.95, len(rates) - 1, rates.mean(axis=0), stats.sem(rates, axis=0))
    known = np.isfinite(low)  # where all replications agree scipy gives NaN
    drawn_low, drawn_high = band_of(ax, "creators")
    np.testing.assert_allclose(drawn_low[known], np.maximum(low[known], 0), atol=1e-12)
    np.testing.assert_allclose(drawn_high[known], high[known], atol=1e-12)
    assert "bands: 95 % over 5 replications (Student t)" in legend_names(ax)


def test_array_limits_are_those_of_the_summary() -> None:
    counts, trials = np.array([0.0, 3, 10, 0]), np.array([10.0, 10, 10, 0])
    expected = [intervals.wilson(int(k), int(n)) for k, n in zip(counts, trials, strict=True)]
    np.testing.assert_allclose(np.transpose(wilson(counts, trials)), expected)
    values = np.random.default_rng(5).normal(size=(6, 3))
    _, low, high = student(values)
    np.testing.assert_allclose(np.transpose([low, high]), [intervals.student(list(part)) for part in values.T])


def test_a_limited_desk_leaves_one_replication_without_limits(single: Tables) -> None:
    ax = plots.ban_rate(single["bans"], coupled=True)
    assert not [artist for artist in ax.collections if isinstance(artist, PolyCollection)]
    assert "no bands: one replication with a limited desk" in legend_names(ax)


def test_a_segment_nobody_has_joined_yet_has_no_rate(single: Tables) -> None:
    drawn = line(plots.ban_rate(single["bans"]), "newcomers").get_ydata()
    assert np.isnan(drawn[0])
    assert np.isfinite(drawn[1:]).all()


def test_rates_of_different_magnitude_make_the_axis_logarithmic(single: Tables) -> None:
    far = tables({"personal": People(1_100_000_000, 1e-4), "crypto_media": People(3000)}, days=40)
    assert plots.ban_rate(far["bans"]).get_yscale() == "log"
    assert plots.ban_rate(far["bans"], log=False).get_yscale() == "linear"
    assert plots.ban_rate(single["bans"]).get_yscale() == "linear"


def test_many_segments_leave_a_pool_of_others() -> None:
    bans = tables({f"s{k:02d}": People(200 + 10 * k, 3) for k in range(30)}, days=20)["bans"]
    ax = plots.ban_rate(bans, log=False)
    others = "others (19 segments, pooled)"
    assert others in legend_names(ax)
    shown = [name for name in legend_names(ax) if name.startswith("s")]
    assert len(shown) == 11
    assert shown == sorted(shown)
    rest = bans[~bans["segment"].isin(shown)].groupby("time")[["ever_banned", "joined"]].sum()
    np.testing.assert_allclose(line(ax, others).get_ydata(), rest["ever_banned"] / rest["joined"])
    assert plots.ban_rate(bans, segments=["s00", "s01"]).get_legend() is not None
    assert len(plots.ban_rate(bans, segments=["s00", "s01"]).get_lines()) == 2


def test_unknown_names_are_refused_with_the_known_ones(single: Tables) -> None:
    with pytest.raises(ValueError, match=r"no 'creator' .* creators, shops, newcomers; did you mean 'creators'"):
        plots.ban_rate(single["bans"], segments=["creator"])
    with pytest.raises(ValueError, match="ever_banned, banned, wrongly_banned"):
        plots.ban_rate(single["bans"], share="all")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="share, count"):
        plots.states_over_time(single["occupancy"], style="log")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="segment: no 'x'"):
        plots.flows(single["transitions"], segment="x")
    with pytest.raises(ValueError, match="phase, wave"):
        plots.ban_rate(single["bans"], events=[(pd.Timestamp("2022-07-01"), "x", "order")])


# --- events -----------------------------------------------------------------------------------------------------


def test_events_stand_at_their_dates_and_labels_do_not_overlap(single: Tables) -> None:
    ax = plots.ban_rate(single["bans"], events=EVENTS)
    for time, label, _ in EVENTS[:3]:
        (mark,) = labelled(ax, f"_event:{label}")
        assert mpl.dates.num2date(mark.get_xdata()[0]).replace(tzinfo=None) == time.to_pydatetime()
    assert not labelled(ax, "_event:never")
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts if str(text.get_label()).startswith("_label:")]
    assert len(boxes) == 3
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[k + 1 :])
    assert all(a.x0 >= 0 and a.x1 <= ax.figure.bbox.x1 for a in boxes)
    assert not any(box.overlaps(ax.title.get_window_extent()) for box in boxes)
    assert {"▸ phase starts", "▾ waves"} <= set(legend_names(ax))


def test_events_too_many_to_label_are_counted(single: Tables) -> None:
    start = pd.Timestamp("2022-06-20")
    daily = [(start + pd.Timedelta(days=day), f"order of day {day}", "wave") for day in range(41)]
    ax = plots.states_over_time(single["occupancy"], events=daily)
    ax.figure.draw_without_rendering()
    texts = [text for text in ax.texts if str(text.get_label()).startswith("_label:")]
    boxes = [text.get_window_extent() for text in texts]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[k + 1 :])
    assert f"▾ waves ({len(texts)} of 41 labelled)" in legend_names(ax)
    assert len([artist for artist in ax.lines if str(artist.get_label()).startswith("_event:")]) == 41


def test_rows_keep_later_labels_lower() -> None:
    assert rows_of([0, 10, 200], [50, 60, 250]) == [1, 0, 0]
    assert rows_of([0, 0, 0], [9, 9, 9], most=2) == [0, 1, None]


# --- states -----------------------------------------------------------------------------------------------------


def test_states_are_stacked_shares_that_fill_the_axis(single: Tables) -> None:
    ax = plots.states_over_time(single["occupancy"], segment="creators")
    layers = [artist for artist in ax.collections if isinstance(artist, PolyCollection)]
    table = single["occupancy"].query("segment == 'creators'").pivot(index="time", columns="state", values="accounts")
    used = [state for state in STATES if table[state].any()]
    assert [layer.get_label() for layer in layers] == used
    shares = table[used].div(table.sum(axis=1), axis=0).cumsum(axis=1)
    for layer, state in zip(layers, used, strict=True):
        edges = pd.DataFrame(layer.get_paths()[0].vertices, columns=["x", "y"]).groupby("x")["y"].max()
        np.testing.assert_allclose(edges, shares[state], atol=1e-12)
    assert ax.get_ylim() == (0, 1)


def test_rare_states_are_lines_on_a_logarithmic_axis() -> None:
    far = tables({"personal": People(1_100_000_000, 1e-4)}, days=40)
    ax = plots.states_over_time(far["occupancy"])
    assert ax.get_yscale() == "log"
    assert ax.get_ylabel() == "accounts, logarithmic"
    table = far["occupancy"].pivot(index="time", columns="state", values="accounts")
    drawn = line(ax, "banned").get_ydata()
    np.testing.assert_allclose(np.nan_to_num(drawn), table["banned"])
    assert np.isnan(drawn[0])
    stacked = plots.states_over_time(far["occupancy"], log=False)
    assert stacked.get_yscale() == "linear"
    assert plots.states_over_time(far["occupancy"], log=True, style="share").get_ylabel().startswith("share")


def test_counts_are_means_over_replications(several: Tables) -> None:
    ax = plots.states_over_time(several["occupancy"], style="count", log=True)
    total = several["occupancy"].groupby(["replication", "time", "state"], observed=True)["accounts"].sum()
    mean = total.groupby(["time", "state"], observed=True).mean().unstack("state")
    np.testing.assert_allclose(np.nan_to_num(line(ax, "warned").get_ydata()), mean["warned"])


@pytest.mark.parametrize("number", [30, 200])
def test_many_states_leave_others(number: int) -> None:
    names = tuple(f"step_{k:03d}" for k in range(number))
    moves = dict.fromkeys(pairwise(names), 0.4)
    made = tables({"all": People(100_000)}, days=number, moves=moves, states=names)
    ax = plots.states_over_time(made["occupancy"])
    assert len([name for name in legend_names(ax) if name.startswith("step_")]) == 11
    assert any(name.startswith("others (") for name in legend_names(ax))
    links = links_of(made["transitions"])
    assert len(links.states) == 12
    assert links.others == links.states[-1]
    assert links.others in words(plots.flows(made["transitions"]).figure)


# --- flows ------------------------------------------------------------------------------------------------------


def expected_moves(transitions: pd.DataFrame) -> pd.Series:
    moved = transitions.dropna(subset=["from_state"])
    return moved.groupby(["from_state", "to_state"], observed=True)["transitions"].sum()


def test_ribbons_are_as_wide_as_their_moves(several: Tables) -> None:
    ax = plots.flows(several["transitions"])
    expected = expected_moves(several["transitions"]) / 5
    widths = {}
    for patch in ax.patches:
        if isinstance(patch, PathPatch):
            corners = patch.get_path().vertices
            assert corners[0, 0] == corners[-1, 0]  # both at the block it leaves
            widths[str(patch.get_label()).removeprefix("_flow:")] = abs(corners[0, 1] - corners[-1, 1])
    assert set(widths) == {f"{a}→{b}" for a, b in expected.index}
    drawn = np.array([widths[f"{a}→{b}"] for a, b in expected.index])
    np.testing.assert_allclose(drawn / drawn.sum(), expected / expected.sum(), rtol=1e-9)
    assert ax.get_aspect() == 1.0
    for (a, b), moves in expected.items():
        assert line(ax, f"_count:{a}→{b}").get_text() == count(moves)


def test_up_is_left_down_is_right_and_joining_is_no_ribbon(single: Tables) -> None:
    links = links_of(single["transitions"], "creators")
    assert links.joined == {"compliant": 5000}
    place = {name: k for k, name in enumerate(links.states)}
    drawing = arrange(links)
    assert {r.side for r in drawing.ribbons if place[r.target] > place[r.source]} == {1}
    assert {r.side for r in drawing.ribbons if place[r.target] <= place[r.source]} == {-1}
    assert ("rectifying", "rectifying") in links.moves
    assert drawing.left + drawing.right <= 6.5
    for ribbon in drawing.ribbons:  # every port within its block
        for name, height in ((ribbon.source, ribbon.leaves), (ribbon.target, ribbon.arrives)):
            block = drawing.blocks[place[name]]
            assert block.top <= height - ribbon.width / 2
            assert height + ribbon.width / 2 <= block.top + block.height


def test_ports_and_lanes_do_not_overlap(single: Tables) -> None:
    drawing = arrange(links_of(single["transitions"]))
    for side in (1, -1):
        ends = sorted((y, r.width) for r in drawing.ribbons if r.side == side for y in (r.leaves, r.arrives))
        assert all(b - a >= (v + w) / 2 for (a, v), (b, w) in pairwise(ends))
        own = [r for r in drawing.ribbons if r.side == side]
        for k, r in enumerate(own):
            for s in own[k + 1 :]:
                apart = abs(r.lane - s.lane) >= (r.width + s.width) / 2
                low, high = (
                    max(min(r.leaves, r.arrives), min(s.leaves, s.arrives)),
                    min(max(r.leaves, r.arrives), max(s.leaves, s.arrives)),
                )
                assert apart or low > high


def test_counts_beside_the_blocks_do_not_overlap(single: Tables) -> None:
    ax = plots.flows(single["transitions"])
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts if str(text.get_label()).startswith("_count:")]
    assert not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[k + 1 :])


def test_empty_from_state_may_be_text(single: Tables) -> None:
    written = single["transitions"].copy()
    written["from_state"] = written["from_state"].astype(object).fillna("")
    assert links_of(written).moves.keys() == links_of(single["transitions"]).moves.keys()


# --- time to ban ------------------------------------------------------------------------------------------------


def test_cumulative_share_of_first_bans_with_median_and_quartiles(several: Tables) -> None:
    ax = plots.time_to_ban(several["bans"], events=EVENTS)
    pooled = column(several["bans"], "shops", "ever_banned").sum(axis=0)
    times = np.unique(several["bans"]["time"].to_numpy())
    np.testing.assert_allclose(line(ax, "shops").get_ydata(), pooled / pooled[-1])
    for level in (0.25, 0.5, 0.75):
        dot = line(ax, f"_quantile {level:g}:shops")
        reached = np.flatnonzero(pooled >= level * pooled[-1])[0]
        assert dot.get_xdata()[0] == times[reached]
        assert dot.get_ydata()[0] == pytest.approx(pooled[reached] / pooled[-1])
    assert any("shops: median 2022-0" in name for name in legend_names(ax))


def test_many_segments_are_rows() -> None:
    bans = tables({f"s{k:02d}": People(300, 3) for k in range(30)}, days=20)["bans"]
    ax = plots.time_to_ban(bans)
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert len(names) == 25
    assert names[-1].startswith("others (6 segments)")
    segment = names[3].split(",")[0]
    banned = column(bans, segment, "ever_banned")[0]
    times = np.unique(bans["time"].to_numpy())
    reached = [times[np.flatnonzero(banned >= level * banned[-1])[0]] for level in (0.25, 0.75)]
    assert list(line(ax, f"_quartiles:{segment}").get_xdata()) == reached


# --- desks ------------------------------------------------------------------------------------------------------


def test_desk_load_draws_waiting_left_and_reviewers_right() -> None:
    desks = desk_table({"review": 12, "appeals": None}, days=30)
    ax = plots.desk_load(desks, desk="review")
    right = next(other for other in ax.figure.axes if other is not ax)
    table = desks[desks["desk"] == "review"]
    np.testing.assert_array_equal(line(ax, "waiting").get_ydata(), table["waiting"])
    np.testing.assert_array_equal(line(right, "busy").get_ydata(), table["busy"])
    np.testing.assert_array_equal(line(right, "reviewers").get_ydata(), table["reviewers"].astype(int))
    unlimited = plots.desk_load(desks, desk="appeals")
    right = next(other for other in unlimited.figure.axes if other is not unlimited)
    assert not labelled(right, "reviewers")
    assert "unlimited" in unlimited.get_title(loc="left")
    assert "review" in plots.desk_load(desks).get_title(loc="left")


def test_a_daily_saw_tooth_becomes_daily_means_and_extremes() -> None:
    desks = desk_table({"review": 5}, days=200, hours_step=6, open_hours=(9, 18))
    ax = plots.desk_load(desks)
    ended = (desks["time"] - pd.Timedelta(microseconds=1)).clip(lower=desks["time"].iloc[0])
    daily = desks.groupby(ended.dt.floor("D"))["waiting"]
    np.testing.assert_allclose(line(ax, "waiting").get_ydata(), daily.mean())
    low, high = band_of(ax, "waiting")
    np.testing.assert_allclose(low, daily.min())
    np.testing.assert_allclose(high, daily.max())
    right = next(other for other in ax.figure.axes if other is not ax)
    assert set(line(right, "reviewers").get_ydata()) == {5}


def test_many_desks_say_which_are_left_out() -> None:
    figure = plots.desk_panels(desk_table({f"desk_{k}": 3 + k for k in range(8)}, days=10))
    assert sum("Load of desk" in word for word in words(figure)) == 6
    assert any("2 desks with fewer waiting are not drawn" in word for word in words(figure))


# --- what there is not ------------------------------------------------------------------------------------------


def test_nothing_to_draw_is_said() -> None:
    quiet = tables({"creators": People(100, 0.0)}, days=10, wave_day=None)
    assert "no bans" in words(plots.ban_rate(quiet["bans"]).figure)
    assert "no bans" in words(plots.time_to_ban(quiet["bans"]).figure)
    assert "no moves between states" in words(plots.flows(quiet["transitions"]).figure)
    nothing = {name: table.iloc[:0] for name, table in quiet.items()}
    assert "no accounts" in words(plots.ban_rate(nothing["bans"]).figure)
    assert "no bans" in words(plots.time_to_ban(nothing["bans"]).figure)
    assert "no accounts" in words(plots.states_over_time(nothing["occupancy"]).figure)
    assert "no moves between states" in words(plots.flows(nothing["transitions"]).figure)
    assert "no desks" in words(plots.desk_load(desk_table({"a": 1}, days=1).iloc[:0]).figure)


def test_one_grid_time_is_drawn(tmp_path: Path) -> None:
    moment = {**tables(SMALL, days=0), "desks": desk_table({"review": 3}, days=0)}
    moment["bans"].loc[0, "ever_banned"] = 40
    assert len(plots.save_all(moment, tmp_path, title="one")) == 10
    ax = plots.ban_rate(moment["bans"])
    assert line(ax, "creators").get_marker() == "o"


# --- words and numbers ------------------------------------------------------------------------------------------


def test_names_of_users_are_shown_as_written() -> None:
    odd = {"$a$ and $b": People(500, 3), "_hidden": People(500, 3)}
    made = tables(odd, days=20)
    for ax in (plots.ban_rate(made["bans"], events=[(pd.Timestamp("2022-06-25"), "$x^2$", "wave")]),):
        assert {"$a$ and $b", "_hidden"} <= set(legend_names(ax))
        for text in ax.figure.findobj(Text):
            if "$" in text.get_text():
                assert not text.get_parse_math()
        ax.figure.draw_without_rendering()
    assert any("$a$" in name for name in legend_names(plots.time_to_ban(made["bans"])))


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (1, "100 %"), (0.123456, "12.3 %"), (1e-6, "0.0001 %"), (2.5e-5, "0.0025 %"), (1e-9, "10⁻⁷ %")],
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text


def test_percent_ticks_have_as_many_digits_as_they_differ_by() -> None:
    assert PercentTicks().format_ticks([0, 5e-7, 1e-6]) == ["0 %", "0.00005 %", "0.00010 %"]
    assert PercentTicks().format_ticks([0, 0.25, 0.5]) == ["0 %", "25 %", "50 %"]
    assert PercentTicks().format_ticks([0, 0.025, 0.05]) == ["0 %", "2.5 %", "5.0 %"]
    assert PercentTicks().format_ticks([0.25, 0.25]) == ["25 %", "25 %"]
    assert PercentTicks()(0.25) == "25 %"


def test_paths_are_broken_into_three_lines() -> None:
    """At their points; what does not fit is left out in front."""
    assert broken("ladder.start", 20) == "ladder.start"
    assert broken("ladder.states.warned.exits", 13) == "ladder.\nstates.\nwarned.exits"
    assert broken("ladder.states.plan_due.exits.overdue.after", 13) == "… plan_due.\nexits.\noverdue.after"


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.2, "0.2"), (17, "17"), (999_499, "999,499"), (2_500_000, "2.5 M"), (1.1e9, "1.1 bn"), (12.5, "12.5")],
)
def test_count(number: float, text: str) -> None:
    assert count(number) == text


def test_titles_wrap_and_long_names_are_cut() -> None:
    text = wrapped("a rule on virtual currency " * 6, 6.0, 10)
    assert all(ems(row) <= 6.0 * 72 / 10 for row in text.split("\n"))
    assert 2 <= len(text.split("\n")) <= 4
    chinese = wrapped("微信公众平台第三条规则" * 8, 6.0, 10)
    assert all(ems(row) <= 6.0 * 72 / 10 for row in chinese.split("\n"))
    assert wrapped("word " * 400, 6.0, 10).endswith("…")
    assert shorten("x" * 60).endswith("…")
    assert shorten("short") == "short"


def test_leading_keeps_file_order_and_room_for_others() -> None:
    assert leading(["a", "b", "c"], np.array([1.0, 3, 2]), most=3) == (("a", "b", "c"), 0)
    assert leading(["a", "b", "c", "d"], np.array([1.0, 3, 2, 3]), most=3) == (("b", "d"), 2)


# --- files ------------------------------------------------------------------------------------------------------


def settings() -> dict[str, str]:
    return {key: str(value) for key, value in mpl.rcParams.items()}


def test_save_all_writes_the_same_files_again_and_leaves_no_trace(tmp_path: Path, single: Tables) -> None:
    made = {**single, "desks": desk_table({"review": 4, "appeals": None}, days=40)}
    before, title = settings(), "What $5 and $10 would do: a long title that has to wrap " * 2
    with mpl.rc_context({"font.size": 30, "axes.grid": False, "svg.hashsalt": None}):
        first = plots.save_all(made, tmp_path / "a" / "figures", title=title, events=EVENTS)
    second = plots.save_all(made, tmp_path / "b", title=title, events=EVENTS)
    names = ["ban_rate", "states_over_time", "flows", "time_to_ban", "desk_load"]
    assert [path.name for path in first] == [name + suffix for name in names for suffix in (".png", ".svg")]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    svg = (tmp_path / "b" / "ban_rate.svg").read_text(encoding="utf-8")
    assert "$5" in svg
    assert "dc:date" not in svg
    assert "no bands: one replication with a limited desk" in svg
    assert settings() == before
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()


def test_save_all_draws_what_there_is(tmp_path: Path, single: Tables) -> None:
    written = plots.save_all({"bans": single["bans"]}, tmp_path, title="x")
    assert [path.stem for path in written] == ["ban_rate", "ban_rate", "time_to_ban", "time_to_ban"]
    written = plots.save_all({"occupancy": single["occupancy"]}, tmp_path, title="x")
    assert [path.stem for path in written] == ["states_over_time", "states_over_time"]


def test_chinese_names_neither_crash_nor_warn(tmp_path: Path) -> None:
    states = ("合规", "警告", "封禁")
    moves = {("合规", "警告"): 0.05, ("警告", "合规"): 0.04, ("警告", "封禁"): 0.01}
    made = tables({"加密媒体": People(500)}, days=10, moves=moves, states=states)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.save_all(
            made, tmp_path, title="微信公众平台规则", events=[(pd.Timestamp("2022-06-25"), "关闭令", "wave")]
        )
    assert "警告" in (tmp_path / "flows.svg").read_text(encoding="utf-8")


def test_figures_draw_on_given_axes(single: Tables) -> None:
    figure = Figure(figsize=(10, 8))
    grid = figure.subplots(2, 2)
    assert plots.ban_rate(single["bans"], events=EVENTS, ax=grid[0, 0]) is grid[0, 0]
    assert plots.states_over_time(single["occupancy"], ax=grid[0, 1]) is grid[0, 1]
    assert plots.flows(single["transitions"], ax=grid[1, 0]) is grid[1, 0]
    assert plots.time_to_ban(single["bans"], ax=grid[1, 1]) is grid[1, 1]
    assert tuple(figure.get_size_inches()) == (10, 8)


def test_letters_are_at_least_eight_points(single: Tables) -> None:
    for draw, name in ((plots.ban_rate, "bans"), (plots.states_over_time, "occupancy"), (plots.flows, "transitions")):
        figure = draw(single[name]).figure
        figure.draw_without_rendering()
        assert figure.get_figwidth() == 6.5
        assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 8
