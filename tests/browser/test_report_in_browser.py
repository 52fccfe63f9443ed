"""Reports in a browser: they open from disk with the network off, tell the numbers of the tables, and every control can be reached by keyboard."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser.conftest import SERIOUS
from report_scenario import HARM, SEGMENT, TITLE, nasty

import sim

CONTROLS = "a[href], input, summary, .scroll, pre"
Open = Callable[[Path], Any]


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> sim.Result:
    return sim.run(nasty(), seed=3, replications=3, histories=0, out=tmp_path_factory.mktemp("run") / "out")


@pytest.fixture(scope="module")
def report(result: sim.Result, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return result.save_report(tmp_path_factory.mktemp("report") / "report.html")


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = nasty()
    other = base.with_values({"ladder.states.plan_due.exits.overdue.after": "2 days"})
    out = tmp_path_factory.mktemp("comparison") / "out"
    sim.compare(base, other, seed=1, replications=2, out=out)
    return out / "report.html"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sweep") / "out"
    path = "ladder.states.plan_due.exits.overdue.after"
    sim.sweep(nasty(), {path: ["2 days", "3 days"], "desks.reviewers.reviewers": [1, 2]}, seed=1, out=out)
    return out / "report.html"


@pytest.fixture
def opened(chromium: Any) -> Iterator[Open]:
    """Opens a file with the network off; afterwards nothing was asked for, nothing failed and no dialog came up."""
    context = chromium.new_context(viewport={"width": 1100, "height": 900})
    context.set_offline(True)
    asked: list[str] = []
    faults: list[str] = []

    def open_page(file: Path) -> Any:
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: (faults.append(dialog.message), dialog.dismiss()))
        page.goto(file.as_uri())
        figures = page.locator("figure[data-chart]").count()
        page.wait_for_function(f"document.querySelectorAll('figure[data-drawn]').length === {figures}")
        return page

    yield open_page
    context.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert faults == []


def settle(page: Any, chart: str) -> None:
    """Wait until a chart is drawn as its controls say."""
    page.evaluate("async name => { await new Promise(done => setTimeout(done, 0)); await charts[name].drawn; }", chart)


def curves(page: Any, chart: str) -> int:
    """Lines of a chart that are there."""
    return int(page.locator(f"#chart-{chart} .plot .mark-line path[d]").count())


def test_title_is_text_and_nothing_runs(report: Path, opened: Open) -> None:
    page = opened(report)
    assert page.locator("h1").inner_text() == TITLE
    assert HARM in page.locator("#question").inner_text()
    assert page.locator("img").count() == 0


def test_other_scripts_are_refused(report: Path, chromium: Any, tmp_path: Path) -> None:
    """A test of the policy: a script that got into a page would not run."""
    bad = tmp_path / "bad.html"
    text = report.read_text(encoding="utf-8")
    bad.write_text(text.replace("</main>", "<script>window.ran = true</script></main>"), encoding="utf-8")
    page = chromium.new_page()
    page.goto(bad.as_uri())
    assert page.evaluate("window.ran") is None
    assert page.evaluate("typeof vegaEmbed") == "function"
    page.close()


def test_a_segment_can_be_switched_off_and_on(report: Path, opened: Open) -> None:
    page = opened(report)
    assert curves(page, "ban_rate") == 2
    box = page.locator("#chart-ban_rate label", has_text=SEGMENT).locator("input")
    box.uncheck()
    settle(page, "ban_rate")
    assert curves(page, "ban_rate") == 1
    assert SEGMENT not in page.locator("#chart-ban_rate output").inner_text()
    box.check()
    settle(page, "ban_rate")
    assert curves(page, "ban_rate") == 2


def test_states_of_the_segments_chosen_are_summed(report: Path, result: sim.Result, opened: Open) -> None:
    page = opened(report)
    figure = page.locator("#chart-occupancy")
    figure.locator("fieldset", has_text="Segments").locator("label", has_text="sellers").locator("input").uncheck()
    settle(page, "occupancy")
    last = result.occupancy[result.occupancy["time"] == result.occupancy["time"].max()]
    own = (
        last[(last["segment"] == SEGMENT) & (last["state"] == "final")].groupby("replication")["accounts"].sum().mean()
    )
    told = re.search(r"final ([\d,.]+)", figure.locator("output").inner_text())
    assert told is not None
    assert float(told[1]) == pytest.approx(own, rel=1e-5)


def test_a_hovered_value_is_that_of_the_table(report: Path, result: sim.Result, opened: Open) -> None:
    page = opened(report)
    plot = page.locator("#chart-ban_rate svg.marks")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.5 * box["height"], steps=3)
    tooltip = page.locator("#vg-tooltip-element.visible")
    tooltip.wait_for(timeout=5000)
    cells = dict(
        zip(tooltip.locator("td.key").all_inner_texts(), tooltip.locator("td.value").all_inner_texts(), strict=True)
    )
    bans = result.bans[result.bans["time"] == cells["date"]]
    assert len(bans) == 6, cells
    for segment in ("sellers", SEGMENT):
        own = bans[bans["segment"] == segment]
        told = float(cells[segment].split("%")[0]) / 100
        assert told == pytest.approx((own["ever_banned"] / own["joined"]).mean(), rel=1e-3)


def test_the_slider_tells_the_numbers_of_the_table(report: Path, result: sim.Result, opened: Open) -> None:
    page = opened(report)
    slider = page.locator("#at-ban_rate")
    slider.focus()
    page.keyboard.press("End")
    text = page.locator("#chart-ban_rate output").inner_text()
    value = result.summary.query("measure == 'ban_rate' and segment == 'sellers'")["value"].item()
    told = re.search(r"sellers ([\d.]+)%", text)
    assert told is not None
    assert float(told[1]) / 100 == pytest.approx(value, rel=1e-3)
    page.keyboard.press("ArrowLeft")
    assert page.locator("#chart-ban_rate output").inner_text() != text


def test_the_scale_can_be_logarithmic(report: Path, opened: Open) -> None:
    page = opened(report)
    scale = "charts.ban_rate.view.scale('y').type"
    assert page.evaluate(scale) == "linear"
    page.locator("#chart-ban_rate input[value=log]").check()
    settle(page, "ban_rate")
    assert page.evaluate(scale) == "log"
    assert curves(page, "ban_rate") == 2


@pytest.mark.parametrize("kind", ["report", "comparison", "sweep"])
def test_axe_finds_nothing_serious(kind: str, request: pytest.FixtureRequest, opened: Open, axe: str) -> None:
    page = opened(request.getfixturevalue(kind))
    page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    told = [(each["id"], each["nodes"][0]["html"][:200]) for each in found["violations"] if each["impact"] in SERIOUS]
    assert told == []


@pytest.mark.parametrize("kind", ["report", "comparison"])
def test_the_keyboard_reaches_every_control(kind: str, request: pytest.FixtureRequest, opened: Open) -> None:
    """Tab goes through all controls in the order of the page; of radio buttons it stops at the chosen one, arrows reach the others."""
    page = opened(request.getfixturevalue(kind))
    stops = page.evaluate(
        """selector => [...document.querySelectorAll(selector)]
            .filter(each => each.checkVisibility() && !(each.type === 'radio' && !each.checked))
            .map((each, k) => { each.dataset.stop = k; return k; }).length""",
        CONTROLS,
    )
    reached = []
    for _ in range(stops):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.dataset.stop"))
    assert reached == [str(k) for k in range(stops)]
    outlines = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outlines != "none"


def test_a_phone_needs_no_scrolling_sideways(report: Path, chromium: Any) -> None:
    page = chromium.new_page(viewport={"width": 360, "height": 740})
    page.goto(report.as_uri())
    page.wait_for_function("document.querySelectorAll('figure[data-drawn]').length > 2")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.close()


@pytest.mark.parametrize("kind", ["report", "comparison", "sweep"])
def test_no_table_and_no_number_beside_a_bar_is_cut(kind: str, request: pytest.FixtureRequest, chromium: Any) -> None:
    """On a desk and on a phone: tables that lie open show all their rows, and captions and the numbers of the flows are within the window."""
    for width in (1280, 360):
        page = chromium.new_page(viewport={"width": width, "height": 740})
        page.goto(request.getfixturevalue(kind).as_uri())
        figures = page.locator("figure[data-chart]").count()
        page.wait_for_function(f"document.querySelectorAll('figure[data-drawn]').length === {figures}")
        cut = page.evaluate(
            """() => [...document.querySelectorAll('.scroll:not(.long)')]
                .filter(each => each.checkVisibility() && each.scrollHeight > each.clientHeight + 1).map(each => each.ariaLabel)"""
        )
        outside = page.evaluate(
            """() => [...document.querySelectorAll('caption span, .mark-text text')]
                .filter(each => each.checkVisibility() && each.getBoundingClientRect().right > innerWidth).map(each => each.textContent)"""
        )
        page.close()
        assert (cut, outside) == ([], [])


def test_paper_shows_what_is_folded_on_the_screen(report: Path, opened: Open) -> None:
    """Printed, the checklist is open, no chart is wider than the paper, and no heading has nothing under it; afterwards the page is as it was."""
    page = opened(report)
    page.set_viewport_size({"width": 680, "height": 960})  # the width of A4 within its margins
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("#checklist .said").first.is_visible()
    assert not page.locator("#h-measures").is_visible()
    assert page.locator("#h-ledger").is_visible()
    wide = page.evaluate(
        "() => [...document.querySelectorAll('figure svg')].map(each => each.getBoundingClientRect().right)"
    )
    assert wide
    assert max(wide) <= 680
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("#checklist details[open]").count() == 0
