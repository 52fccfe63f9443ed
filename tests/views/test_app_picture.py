"""Pictures of the app hold the numbers of `sim.run` and `sim.compare`, and so do the tables that it hands out."""

from __future__ import annotations

import io
import re
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

import sim
from sim.views.app.panels import PANELS, Asked
from sim.views.app.picture import (
    ALL,
    HEADLINES,
    Picture,
    Pictures,
    desk_lines,
    draw,
    flip_lines,
    headlines,
    percent,
    points,
)
from sim.views.app.sample import Sample, words_of
from sim.views.app.sources import of_catalogue
from sim.views.app.taking import archive, comparison_report, report
from sim.views.app.what_if import WhatIf
from sim.views.report.comparison import RATES as REPORTED
from sim.views.report.run import HEADLINES as COLUMNS

DEADLINE = {"ladder.states.rectifying.exits.deadline.after": "3 days"}
MOST = 20_000


def drawn(changes: dict[str, str]) -> tuple[WhatIf, Picture]:
    """A picture of a small sample of rule 3.24."""
    what_if = WhatIf(of_catalogue("wechat_2022"), "wechat_2022", changes)
    return what_if, draw(what_if.base, what_if.scenario(), 1, lambda share: None, most=MOST)


@pytest.fixture(scope="module")
def short() -> tuple[WhatIf, Picture]:
    """With a deadline of three days."""
    return drawn(DEADLINE)


def test_numbers_are_those_of_a_run(short: tuple[WhatIf, Picture], tmp_path: Path) -> None:
    """The what-if file of the sample, run by itself, gives every table and every number of the headlines."""
    what_if, picture = short
    file = tmp_path / "x.yaml"
    file.write_text(what_if.text(picture.sample.changes), encoding="utf-8")
    run = sim.run(str(file), seed=1)
    for name in ("occupancy", "bans", "transitions", "desks", "histories"):
        pd.testing.assert_frame_equal(getattr(run, name), picture.what_if.tables[name])
    for measure in HEADLINES:
        rows = run.summary[(run.summary["measure"] == measure) & (run.summary["segment"] != "")]
        shown = headlines(picture, measure, changed=True)
        assert list(shown["segment"]) == list(rows["segment"]) == list(what_if.base.spec.segments)
        assert list(shown["what-if"]) == [percent(value) for value in rows["value"]]
    assert list(headlines(picture, "ban_rate", changed=True)["what-if"]) != list(
        headlines(picture, "ban_rate", changed=True)["baseline"]
    )


def test_the_baseline_is_that_of_a_run(short: tuple[WhatIf, Picture]) -> None:
    """With its own limits where nothing was moved."""
    what_if, picture = short
    run = sim.run(what_if.base.with_values(picture.sample.changes), seed=1)
    shown = headlines(picture, "ban_rate", changed=False)
    row = run.summary.query("measure == 'ban_rate' and segment == 'nft_platforms'").iloc[0]
    assert list(shown.iloc[-1]) == [
        "nft_platforms",
        percent(row["value"]),
        f"{percent(row['low'])} to {percent(row['high'])}",
    ]


def test_differences_are_those_of_compare(short: tuple[WhatIf, Picture]) -> None:
    """Paired, with limits, and the accounts that end differently."""
    what_if, picture = short
    cut = picture.sample.changes
    compared = sim.compare(what_if.base.with_values(cut), what_if.scenario(cut), seed=1)
    pd.testing.assert_frame_equal(compared.differences, picture.compared.differences)
    shown = headlines(picture, "ban_rate", changed=True).set_index("segment").loc["nft_platforms"]
    row = compared.differences.query("measure == 'ban_rate' and segment == 'nft_platforms'").iloc[0]
    assert shown["difference, points"] == points(row["difference"])
    assert shown["95 % limits"] == f"{points(row['low'])} to {points(row['high'])}"
    flips = flip_lines(picture)
    assert set(flips["first rule that differs"]) == {"ladder.states.rectifying.exits.deadline"}


def test_sums_over_segments_cut_unevenly_are_not_shown(short: tuple[WhatIf, Picture]) -> None:
    """They would be of no population; where all are cut alike they are shown."""
    assert ALL not in set(headlines(short[1], "ban_rate", changed=True)["segment"])
    _, picture = drawn({"desks.review.reviewers": "50000000"})
    assert picture.sample.even
    assert ALL in set(headlines(picture, "ban_rate", changed=True)["segment"])
    assert set(desk_lines(picture).index) == {"review", "appeals"}


@pytest.mark.parametrize("changed", [True, False])
@pytest.mark.parametrize("view", PANELS)
def test_every_view_can_be_drawn(view: str, changed: bool, short: tuple[WhatIf, Picture]) -> None:
    """Each has a heading; charts are Vega-Lite, of both runs where something was moved."""
    for measure in HEADLINES:
        drawings = list(PANELS[view](short[1], Asked(measure, "nft_platforms", False, changed)))
        assert all(drawing.heading for drawing in drawings)
        charts = [drawing.chart.to_dict() for drawing in drawings if drawing.chart is not None]
        assert charts or not changed
        texts = [str(chart) for chart in charts]
        if view != "Differences":
            assert all(("what-if" in text) == changed for text in texts)


def test_what_a_sample_is_of_is_said() -> None:
    """All, an even share, or large segments cut; numbers that are not known are a dash."""
    assert words_of(Sample({}, 1200, 1200, True)) == "All 1,200 accounts."
    assert words_of(Sample({}, 20, 1200, True)).startswith("20 of 1,200 accounts: every segment cut by the same share.")
    assert "small segments whole, large ones cut" in words_of(Sample({}, 20, 1200, False))
    assert (points(float("nan")), points(0.0), points(0.0123)) == ("–", "0", "+1.23")


def test_a_scenario_without_desks() -> None:
    """Says so instead of an empty chart."""
    base = sim.loads(
        "{start: 2022-01-01, horizon: 9 days, segments: {a: {accounts: 9}}, ladder: {start: x, states: {x: {}}}}"
    )
    picture = draw(base, base, 0, lambda share: None, most=MOST)
    told = [list(PANELS[view](picture, Asked("ban_rate", ALL, False, False))) for view in PANELS]
    assert [drawing.heading for drawing in told[3]] == ["This scenario has no desks."]
    assert [drawing.heading for drawing in told[4]] == ["Nothing has been moved: there is no difference."]


def test_the_archive_holds_results_folders(short: tuple[WhatIf, Picture], tmp_path: Path) -> None:
    """Both runs open again and hold the tables of the picture, as Parquet and CSV."""
    with zipfile.ZipFile(io.BytesIO(archive(short[1]))) as file:
        assert all(not Path(name).is_absolute() and ".." not in name for name in file.namelist())
        file.extractall(tmp_path)
    for folder, run in (("baseline", short[1].baseline), ("what_if", short[1].what_if)):
        opened = sim.open(tmp_path / folder)
        assert opened.scenario.sha256() == run.scenario.sha256()
        pd.testing.assert_frame_equal(opened.bans, run.tables["bans"], check_categorical=False)
        assert (tmp_path / folder / "bans.csv").is_file()
        assert opened.manifest["command"] == ["enforcement-sim", "run", "scenario.resolved.yaml", "--seed", "1"]
    assert len(pd.read_csv(tmp_path / "differences.csv")) == len(short[1].compared.differences)
    assert sim.reproduce(tmp_path / "what_if").identical


def cells(page: str, caption: str, row: str) -> list[float]:
    """Numbers of a row of one of a page's tables."""
    table = page[page.index(f"<caption><span>{caption}") :]
    table = table[: table.index("</table>")]
    line = next(line for line in table.splitlines() if f">{row}</t" in line)
    return [float(text) for text in re.findall(r'data-value="([^"]+)"', line)]


def test_reports_tell_the_numbers_of_the_page(short: tuple[WhatIf, Picture]) -> None:
    """The what-if's, and the comparison's with its differences; both say of which accounts, and how to make the same."""
    _, picture = short
    page, held = report(picture, "x.yaml").decode(), comparison_report(picture).decode()
    for number, (measure, _) in enumerate(COLUMNS):
        for line in headlines(picture, measure, changed=True).to_dict("records"):
            assert percent(cells(page, "Shares of the accounts", line["segment"])[number]) == line["what-if"]
            shown = [line["baseline"], line["what-if"], line["difference, points"]]
            rows = cells_of_difference(held, REPORTED[measure], line["segment"])
            assert [percent(rows[0]), percent(rows[1]), points(rows[2])] == shown
    assert "enforcement-sim run x.yaml --seed 1" in page
    assert "enforcement-sim compare baseline/scenario.resolved.yaml what_if/scenario.resolved.yaml --seed 1" in held
    for text in (page, held):
        assert f'<p class="facts">{words_of(picture.sample)}</p>' in text
        assert "streamlit" not in text
        assert str(Path.cwd()) not in text
    assert "what-if (B) held to baseline (A)" in held


def cells_of_difference(page: str, measure: str, segment: str) -> list[float]:
    """Numbers of a row of the table of differences."""
    table = page[page.index("<caption><span>At the end of the run: what-if (B)") :]
    row = next(line for line in table.splitlines() if f">{measure}</th><td>{segment}</td>" in line)
    return [float(text) for text in re.findall(r'data-value="([^"]+)"', row)]


def test_a_picture_is_drawn_once(short: tuple[WhatIf, Picture]) -> None:
    """Ten who ask at once have it drawn by one of them; the oldest is forgotten; what fails is tried again."""
    what_if, picture = short
    kept, drawings = Pictures(most=1), []
    other = what_if.scenario()

    def slowly() -> Picture:
        drawings.append(threading.get_ident())
        time.sleep(0.2)
        return picture

    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(lambda _: kept.get(what_if.base, other, 1, slowly), range(10)))
    assert all(each is picture for each in found)
    assert len(drawings) == 1
    with pytest.raises(ZeroDivisionError):
        kept.get(what_if.base, other, 2, lambda: 1 // 0)  # type: ignore[arg-type, return-value]
    kept.get(what_if.base, other, 2, slowly)
    assert len(drawings) == 2
    kept.get(what_if.base, other, 1, slowly)
    assert len(drawings) == 3


def test_nothing_moved_is_one_run() -> None:
    """Baseline and what-if are then the same, and so are the accounts that end differently: none."""
    _, picture = drawn({})
    assert picture.what_if is picture.baseline
    assert not picture.compared.flips["ends_differently"].any()
