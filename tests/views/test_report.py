"""Reports hold the numbers of the tables, run nothing that a scenario says, fetch nothing and stay small."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import altair as alt
import markupsafe
import numpy as np
import pandas as pd
import pytest
from report_scenario import HARM, SEGMENT, TITLE, nasty
from views.tables import People, tables

import sim
from sim.model.tables import restricted_states
from sim.views import words
from sim.views.curves import names_in
from sim.views.report.ladder import in_order, ladder_of
from sim.views.report.ledger import ledger, ledger_changes, remarks
from sim.views.report.page import as_json, chart_of, charts_script
from sim.views.report.run import run_page
from sim.views.stress import checklist

MOST_BYTES = 3_000_000


def numbers_of(page: str) -> dict[str, Any]:
    """The JSON that lies in a page."""
    (text,) = re.findall(r'<script type="application/json" id="numbers">(.*?)</script>', page, flags=re.S)
    return json.loads(text)


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text of its title, headings and table heads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def result() -> sim.Result:
    return sim.run(nasty(), seed=3, histories=None)


@pytest.fixture(scope="module")
def page(result: sim.Result, tmp_path_factory: pytest.TempPathFactory) -> str:
    return result.save_report(tmp_path_factory.mktemp("report") / "report.html").read_text(encoding="utf-8")


def test_numbers_are_those_of_the_summary(result: sim.Result, page: str) -> None:
    told = pd.DataFrame(numbers_of(page)["summary"])
    for column in ("value", "low", "high"):
        np.testing.assert_array_equal(told[column].astype(float), result.summary[column])
    rate = result.summary.query("measure == 'ban_rate' and segment == ''")["value"].item()
    assert f'data-value="{rate!r}"' in page


def test_curves_are_those_of_the_tables(result: sim.Result, page: str) -> None:
    numbers = numbers_of(page)["charts"]
    rows = max(numbers["ban_rate"]["rows"].values(), key=lambda columns: len(columns["time"]))
    bans = result.bans
    for place, name in enumerate(names_in(bans["segment"])):
        own = bans[bans["segment"] == name]
        np.testing.assert_allclose(rows[f"v0_{place}"], own["ever_banned"] / own["joined"], rtol=1e-8)
    stamps = bans[bans["segment"] == SEGMENT]["time"].to_numpy(dtype="datetime64[ms]").astype(np.int64)
    assert rows["time"] == stamps.tolist()
    sums = numbers["occupancy"]["sums"]
    occupancy = result.occupancy
    states = next(p["value"] for p in numbers["occupancy"]["spec"]["params"] if p["name"] == "series_names")
    for segment, counts in zip(sums["segments"], sums["counts"], strict=True):
        for state, column in zip(states, counts, strict=True):
            own = occupancy[(occupancy["segment"] == segment) & (occupancy["state"] == state)]
            assert column == own["accounts"].tolist()


def wrongful_days(result: sim.Result, segment: str, states: tuple[str, ...]) -> np.ndarray:
    """Days that each account of a segment was in some states while marked wrongful, from whole histories."""
    end = np.datetime64(result.bans["time"].max())
    histories = result.histories[result.histories["segment"] == segment]
    found = []
    for _, life in histories.groupby("account"):
        until = np.append(life["time"].to_numpy()[1:], end)
        inside = life["to_state"].isin(states).to_numpy() & life["wrongful"].to_numpy()
        found.append((until - life["time"].to_numpy())[inside].sum() / np.timedelta64(86_400_000_000, "us"))
    return np.array(found, float)


def test_the_ledger_holds_what_histories_tell(result: sim.Result) -> None:
    spec = result.scenario.spec
    entries = ledger(spec, result.bans, result.transitions, result.summary, independent=False)
    found = {(entry.measure, entry.segment): entry for entry in entries}
    lives = result.histories
    for segment in spec.segments:
        own = lives[lives["segment"] == segment]
        first = own[own["to_state"] == "deactivated"].groupby("account").head(1)
        assert found["wrongful bans", segment].value == first["wrongful"].sum() > 0
        heard = own[(own["from_state"] == "appeal_review") & (own["cause"] == "served") & own["wrongful"]]
        assert found["overturned by appeal", segment].value == (heard["to_state"] == "healthy").sum() > 0
        assert found["wrongful bans upheld", segment].value == (heard["to_state"] == "final").sum()
        banned = wrongful_days(result, segment, spec.ladder.bans)
        assert found["wrongly banned", segment].value == pytest.approx(banned.sum())
        assert banned.sum() > 0
        restricted = wrongful_days(result, segment, restricted_states(spec.ladder))
        assert found["wrongly restricted", segment].value == pytest.approx(restricted.sum())
        assert restricted.sum() > 0


def held(page: str) -> list[tuple[str, dict[str, str | None]]]:
    """Elements of a page, after a look at what no report has."""
    elements = Elements(page).found
    assert len([tag for tag, _ in elements if tag == "script"]) == 3
    assert not [tag for tag, _ in elements if tag == "img"]
    assert not [name for _, attributes in elements for name in attributes if name.startswith("on")]
    return elements


def test_text_of_a_scenario_stays_text(page: str) -> None:
    held(page)
    assert "<script>alert(1)" not in page
    assert str(markupsafe.escape(TITLE)) in page
    assert page.count(str(markupsafe.escape(HARM))) == 6  # purpose, assumed, sources: each once more in the checklist


def summary_of(result: sim.Result, names: Iterable[str]) -> pd.DataFrame:
    """The summary, with the rows of one segment again for each name."""
    summary, first = result.summary, next(iter(result.scenario.spec.segments))
    own = summary[summary["segment"] == first]
    return pd.concat([summary[summary["segment"] == ""], *(own.assign(segment=name) for name in names)])


def test_names_stay_text(result: sim.Result) -> None:
    """Names cannot hold such letters today; the page does not rely on it."""
    named = tables({HARM: People(500), "plain": People(500)}, days=10, wave_day=None)
    rest = {"desks": result.desks, "waits": result.waits, "summary": summary_of(result, (HARM, "plain"))}
    page = run_page(result.scenario, result.manifest, {**named, **rest})
    held(page)
    assert HARM not in page
    assert page.count(str(markupsafe.escape(HARM))) > 3


def test_json_cannot_end_its_script() -> None:
    text = as_json({"</script><!--": ["\u2028&"]})
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"</script><!--": ["\u2028&"]}


def test_a_page_asks_for_nothing(page: str) -> None:
    elements = Elements(page)
    for tag, attributes in elements.found:
        assert tag not in ("link", "iframe", "object", "embed", "base")
        for name in ("src", "href", "srcset", "action", "data"):
            value = attributes.get(name)
            followed = ("https://doi.org/",) if tag == "a" else ()  # a link asks for nothing until it is clicked
            assert value is None or value.startswith(("#", "data:", *followed)), (tag, name, value)
    policies = [attributes["content"] for tag, attributes in elements.found if "http-equiv" in attributes]
    assert policies[0].startswith("default-src 'none'")
    assert "unsafe-inline" not in policies[0].split("style-src")[0]
    assert "</script" not in charts_script()
    style = re.findall(r"<style>(.*?)</style>", page, flags=re.S)[0]
    assert "url(" not in style
    assert "@import" not in style


def test_the_checklist_tells_of_the_run(page: str, result: sim.Result) -> None:
    """All items in order; what a person has still to say is marked, and what Markdown means is HTML."""
    section = page[page.index('<section id="checklist"') : page.index("</main>")]
    items = re.findall(r"<details( class=.missing.)?><summary>([\d.]+) ", section)
    expected = checklist(result.scenario, result.manifest)
    assert [number for _, number in items] == [item.number for item in expected]
    assert [bool(mark) for mark, _ in items] == [bool(item.missing) for item in expected]
    assert f"Seed: <code>{result.manifest['seed']}</code>" in section
    assert "OF A RUN" not in section
    assert "| --- |" not in section
    assert section.count("<table>") == section.count("</table></div>") > 5


def test_headings_come_in_order(page: str) -> None:
    levels = [int(tag[1]) for tag, _ in Elements(page).found if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_ten_years_and_fifty_segments_stay_small(result: sim.Result) -> None:
    people = {f"segment_{k}": People(1000) for k in range(50)}
    many = tables(people, days=2, wave_day=1)
    times = np.datetime64("2022-06-20", "us") + np.arange(3651) * np.timedelta64(1, "D")

    def stretched(table: pd.DataFrame) -> pd.DataFrame:
        """The last day of a table, again and again."""
        last = table[table["time"] == table["time"].max()]
        again = pd.concat([last] * len(times), ignore_index=True)
        return again.assign(time=np.repeat(times, len(last)))

    long = {name: stretched(many[name]) for name in ("bans", "occupancy")}
    page = run_page(
        result.scenario,
        result.manifest,
        {
            **long,
            "transitions": many["transitions"],
            "desks": result.desks,
            "waits": result.waits,
            "summary": summary_of(result, people),
        },
    )
    assert len(page.encode()) < MOST_BYTES
    assert "400 of 3,651 points" in page


def counts_in(ladder: str) -> list[str]:
    """Numbers beside the arrows of a drawn ladder."""
    return re.findall(r'class="traffic">([^<]+)<', ladder)


@pytest.fixture(scope="module")
def held_to_each_other(tmp_path_factory: pytest.TempPathFactory) -> tuple[sim.Comparison, str]:
    """A comparison of two replications with one what-if, and its report."""
    base, out = nasty(), tmp_path_factory.mktemp("comparison") / "out"
    other = base.with_values({"ladder.states.plan_due.exits.overdue.after": "1 days", "title": HARM})
    found = sim.compare(base, other, seed=3, replications=2, out=out)
    return found, (out / "report.html").read_text(encoding="utf-8")


def test_a_comparison_shows_both_ladders(held_to_each_other: tuple[sim.Comparison, str]) -> None:
    """Each with the traffic of its own runs; arrows, states, flows and desks of both are there."""
    found, page = held_to_each_other
    drawn = re.findall(r'<svg role="img".*?</svg>', page, re.S)
    assert len(drawn) == 2
    for scenario, text in zip(found.scenarios, drawn, strict=True):
        run = sim.run(scenario, seed=3, replications=2, histories=0)
        own = ladder_of(run.transitions)
        assert own is not None
        assert counts_in(text) == [ribbon.count for ribbon in own.ribbons]
    assert counts_in(drawn[0]) != counts_in(drawn[1])
    ids = [attributes["id"] for _, attributes in Elements(page).found if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert set(numbers_of(page)["charts"]) >= {"rates_1", "difference_1", "states_1", "flows_1"}
    assert "desk mean wait reviewers" in page


def test_a_comparison_runs_nothing_that_its_scenarios_say(held_to_each_other: tuple[sim.Comparison, str]) -> None:
    """Title of the what-if, names of segments and rules."""
    _, page = held_to_each_other
    held(page)
    assert HARM not in page
    assert str(markupsafe.escape(HARM)) in page


def test_ledgers_beside_each_other_hold_those_of_the_runs(held_to_each_other: tuple[sim.Comparison, str]) -> None:
    """Every line of a run's ledger, in A and in B, and the difference with its limits over replications."""
    found, page = held_to_each_other
    moves = [found.transitions[found.transitions["scenario"] == name] for name in found.names]
    rows = ledger_changes(
        (found.scenarios[0].spec, found.scenarios[1].spec), found.differences, (moves[0], moves[1])
    ).set_index(["measure", "segment"])
    for side, scenario in zip("ab", found.scenarios, strict=True):
        run = sim.run(scenario, seed=3, replications=2, histories=0)
        told = ledger(scenario.spec, run.bans, run.transitions, run.summary, independent=False)
        values = {(entry.measure, entry.segment): entry.value for entry in told}
        for segment in ("", "sellers", SEGMENT):
            for measure, name in (
                ("overturned by appeal", "overturned by appeal"),
                ("wrongful bans upheld", "wrongful bans upheld"),
                ("wrongly_restricted_days", "wrongly restricted"),
                ("wrongly_banned_days", "wrongly banned"),
            ):
                assert rows.loc[(measure, segment), side] == pytest.approx(values[name, segment]), (measure, segment)
    overturned = rows.loc[("overturned by appeal", "")]
    assert overturned["low"] < overturned["difference"] < overturned["high"]
    assert f'data-value="{float(overturned["a"])!r}"' in page


SMALL = """
schema: 1
start: 2022-01-01
horizon: 90 days
segments: {only: {accounts: 200}}
violations:
  spam: {rate: {only: 6 per year}, severity: {serious: 100%}, detection: {chance: 90%}}
ladder:
  start: free
  states:
    free: {on_violation: {serious: banned}}
    banned: {activity: 0}
"""


def test_a_ledger_without_wrongs_says_so(tmp_path: Path) -> None:
    """One segment, nothing wrongful, no appeals: zeros that are explained, no line of appeals, and nobody "all together" beside the only one."""
    scenario = sim.loads(SMALL, name="small")
    run = sim.run(scenario, seed=1, histories=0)
    entries = ledger(scenario.spec, run.bans, run.transitions, run.summary, independent=True)
    assert [(entry.measure, entry.segment, entry.value) for entry in entries] == [
        ("wrongful bans", "only", 0.0),
        ("wrongly restricted", "only", 0.0),
        ("wrongly banned", "only", 0.0),
    ]
    assert entries[0].high > 0  # none of 200 is not none of all there could be
    page = run.save_report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "nobody can be wronged" in page
    assert "no appeal is heard" in page
    assert "<h1>small</h1>" in page  # it has no title
    assert len(remarks(nasty().spec)) == 0
    assert "counts as a ban" in remarks(scenario.with_values({"ladder.bans": []}).spec)[-1]


def test_a_ladder_of_many_points_tells_from_how_many_to_how_many() -> None:
    """Numbers of points where fewest and most moved; where they are the same, one number."""
    rows = [("a", "b", 20.0, 10.0, 30.0), ("b", "a", 5.0, 5.0, 5.0), ("", "a", 100.0, 100.0, 100.0)]
    table = pd.DataFrame(rows, columns=["from_state", "to_state", "transitions", "least", "most"])
    made = ladder_of(in_order(table.assign(replication=0), ("b", "a")))
    assert made is not None
    assert {ribbon.count for ribbon in made.ribbons} == {"10 to 30", "5"}
    assert [block.name for block in made.blocks] == ["b", "a"]
    assert made.left < -made.half_block  # room for the numbers on the left


def test_a_sweep_shows_ladder_desks_ledger_and_curves(tmp_path: Path) -> None:
    """With the numbers of its table, and the curves of its points."""
    path = "ladder.states.plan_due.exits.overdue.after"
    swept = sim.sweep(nasty(), {path: ["1 days", "3 days"]}, seed=1, out=tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    held(page)
    assert len(re.findall(r'<svg role="img"', page)) == 1
    rows = swept.traffic[(swept.traffic["from_state"] == "plan_due") & (swept.traffic["to_state"] == "deactivated")]
    least, most = (words.count(rows[end].item()) for end in ("least", "most"))
    assert f"{least} to {most}" in counts_in(page)
    for measure in ("wrongly_banned_days", "desk_mean_wait", "wrongful_ban_rate"):
        values = swept.table[swept.table["measure"] == measure]["value"].dropna()
        assert len(values) > 1
        assert all(f'data-value="{value!r}"' in page for value in values.tolist()), measure
    chart = numbers_of(page)["charts"]["over_time"]
    curves = next(iter(chart["rows"].values()))
    names = next(p["value"] for p in chart["spec"]["params"] if p["name"] == "series_names")
    assert names == ["1 days", "3 days"]
    own = swept.curves[swept.curves["point"] == 1]["ban_rate"]
    np.testing.assert_allclose(curves["v0_1"], own, rtol=1e-8)


@pytest.mark.parametrize("kind", ["compare", "sweep"])
def test_other_experiments_leave_a_report(kind: str, tmp_path: Path) -> None:
    scenario = sim.load(Path(__file__).parents[1] / "golden" / "desk.yaml")
    path = "ladder.states.plan_due.exits.overdue.after"
    if kind == "compare":
        found = sim.compare(scenario, scenario.with_values({path: "2 days"}), seed=1, out=tmp_path / "out")
        expected = found.differences.query("measure == 'ban_rate' and segment == ''")["difference"].item()
    else:
        swept = sim.sweep(scenario, {path: ["2 days", "3 days"]}, seed=1, out=tmp_path / "out")
        expected = swept.of("ban_rate")["value"].iloc[1]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    values = [float(text) for text in re.findall(r'data-value="([^"]+)"', page)]
    assert expected in values
    assert page.count("<summary>6.1 ") == 1
    assert len(page.encode()) < MOST_BYTES


def test_a_chart_of_many_points() -> None:
    """A sweep of ten thousand has more rows than Altair takes unasked."""
    rows = pd.DataFrame({"x": range(10_000), "y": range(10_000)})
    chart = chart_of("many", "Many", alt.Chart(rows).mark_point().encode(x="x:Q", y="y:Q"))
    assert [len(columns["x"]) for columns in chart.rows.values()] == [10_000]


@pytest.mark.parametrize(
    "text", ["a b", "ladder.states.rectifying.exits", "x" * 30, "a\nb" * 12, "<b>.<i>._:&" * 4, ""]
)
def test_long_words_may_end_a_line_and_stay_the_same_text(text: str) -> None:
    """Places to break are put between parts of paths; every letter stays, and none becomes markup."""
    from sim.views.report.page import _breakable

    made = str(_breakable(text))
    assert html.unescape(made.replace("<wbr>", "")) == text
    assert "<" not in made.replace("<wbr>", "")
    assert ("<wbr>" in made) == (text.startswith(("ladder", "<b>")))
