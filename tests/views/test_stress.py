"""The STRESS-DES checklist: every item is there, says what the scenario and the manifest say, and tells what is left to say."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

import sim
from sim import cli
from sim.errors import ResultsError
from sim.views import stress, stress_run
from sim.views.markdown import escaped

ROOT = Path(__file__).parents[2]
BARE = ROOT / "tests" / "golden" / "desk.yaml"
TIMELINE = ROOT / "tests" / "golden" / "timeline.yaml"
EVERY_FEATURE = ROOT / "tests" / "scenario" / "every_feature.yaml"
NUMBERS = (
    *("1.1", "1.2", "1.3", "2.1", "2.2", "2.3", "2.4", "2.5.1", "2.5.2", "2.5.3", "2.5.4", "2.5.5"),
    *("3.1", "3.2", "3.3", "3.4", "4.1", "4.2", "4.3", "5.1", "5.2", "5.3", "5.4", "6.1"),
)
"""The items of Monks et al. (2019), table of STRESS-DES; copied here by hand."""
MANIFEST: dict[str, Any] = {
    "scenario": {},
    "seed": 4711,
    "replications": 37,
    "engine": "process",
    "versions": {"python": "3.99.1"},
    "platform": "a machine of <one's> own",
    "wall_seconds": 12.345,
    "written": "2024-05-01",
}


def items_of(source: Any, manifest: dict[str, Any] | None = None) -> dict[str, stress.Item]:
    scenario = source if isinstance(source, sim.Scenario) else sim.load(source)
    return {item.number: item for item in stress.checklist(scenario, manifest)}


def printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> tuple[int, str, str]:
    with monkeypatch.context() as patched:
        patched.setattr(sys, "argv", ["enforcement-sim", "show", *arguments])
        try:
            cli.main()
            code: object = 0
        except SystemExit as stop:
            code = stop.code
    told = capsys.readouterr()
    return int(str(code or 0)), told.out, told.err


@pytest.mark.parametrize("source", ["wechat_2022", BARE, TIMELINE, EVERY_FEATURE], ids=str)
def test_every_item_is_there_once_in_order_and_says_something(source: Any) -> None:
    items = items_of(source)
    assert tuple(items) == NUMBERS
    assert all(item.text.strip() and item.title == stress.TITLES[item.number] for item in items.values())
    headings = re.findall(r"^### ([\d.]+) ", stress.to_markdown(sim.load(source), items.values()), re.MULTILINE)
    assert tuple(headings) == NUMBERS


@pytest.mark.parametrize("name", sorted(sim.shipped()))
def test_scenarios_that_ship_leave_nothing_to_say(name: str) -> None:
    items = items_of(name)
    assert stress.missing_lines(items.values()) == []
    assert "TO SAY" not in stress.to_markdown(sim.load(name), items.values())


@pytest.mark.parametrize("key", stress.TO_SAY)
def test_what_is_not_said_is_marked_where_it_belongs(key: str) -> None:
    full = sim.load("wechat_2022")
    items = items_of(full.with_values({key: [] if key in ("sources", "assumed") else " "}))
    (left,) = [item for item in items.values() if item.missing]
    assert left.missing == (key,)
    assert "**TO SAY:**" in left.text
    assert f"`{key}`" in left.text
    where = {"purpose": "1.1", "sources": "3.1", "assumed": "3.4", "study.aims": "1.3", "study.preprocessing": "3.2"}
    assert left.number == {**where, "study.replications": "4.3", "study.sharing": "6.1"}[key]


CHANGES: dict[str, tuple[object, dict[str, str]]] = {
    "purpose": ("Who pays?", {"1.1": "Who pays?"}),
    "study.aims": ("See what 12 do", {"1.3": "See what 12 do"}),
    "study.preprocessing": ("Outliers left out", {"3.2": "Outliers left out"}),
    "study.replications": ("Fifty, for limits of 1 %", {"4.3": "Fifty, for limits of 1 %"}),
    "study.sharing": ("On paper only", {"6.1": "On paper only"}),
    "sources": (["a paper of 1987"], {"3.1": "a paper of 1987"}),
    "assumed": (["desks: all of it"], {"3.4": "desks: all of it"}),
    "end": ("2023-07-04", {"4.1": "2023-07-04", "4.2": "490 days, from 2022-03-01 to 2023-07-04"}),
    "observe": ("34 hours", {"1.2": "1.417 days, 337 times"}),
    "expect": ([{"measure": "ban_rate", "below": "7%"}], {"1.2": "`ban_rate` of all segments at the end: below 7 %"}),
    "segments.personal.accounts": (1_234_567, {"2.5.1": "1,234,567", "3.3": "`1234567`"}),
    "segments.nft_platforms.propensity.sigma": (0.77, {"2.5.1": "sigma 0.77"}),
    "violations.trading.detection.delay": ("41 hours", {"2.5.2": "1.708 days", "3.3": "`41 hours`"}),
    "ladder.strikes.expire": ("77 days", {"2.2": "77 days", "2.4": "77 days", "3.3": "`77 days`"}),
    "ladder.states.restricted.exits.deadline.after": ("29 days", {"2.2": "29 days", "2.5.2": "29 days", "3.3": "`29 days`"}),
    "ladder.states.restricted.exits.rectified.chance": (
        {"low": "11%", "best": "22%", "high": "33%"},
        {"2.2": "22 %", "3.3": "`22%` | `11% to 33%`"},
    ),
    "desks.review.reviewers": (173, {"2.5.3": "173", "3.3": "`173`", "4.3": "none, because accounts meet", "3.4": "only in the queues"}),
    "ladder.states.appealing.priority": (-3, {"2.5.4": "| -3 |"}),
    "phases.rule_3_24.from": ("2022-06-21", {"2.3": "from 2022-06-21 on"}),
    "phases.rule_3_24.set.violations.content.detection.chance": ("26.5%", {"2.3": "`26.5%`", "3.3": "`26.5%`"}),
    "waves.order": (
        {"at": "2022-08-09", "segment": "official_media", "count": 19, "to": "banned"},
        {"2.5.2": "on 2022-08-09: 19 accounts of `official_media`", "2.4": "Orders:"},
    ),
}  # fmt: skip
"""Path -> a value, and what the items that tell of it then say (which nothing said before)."""


@pytest.mark.parametrize("path", CHANGES)
def test_items_say_what_the_scenario_says(path: str) -> None:
    value, expected = CHANGES[path]
    before = sim.load("wechat_2022")
    after = items_of(before.with_values({path: value}))
    for number, text in expected.items():
        assert text not in items_of(before)[number].text, number
        assert text in after[number].text, number


def test_inputs_are_complete() -> None:
    """3.3 has every value of the resolved form; the number of rows is counted from the file itself."""
    text = items_of(BARE)["3.3"].text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    paths = [line.split("`")[1] for line in rows]
    assert len(paths) == len(set(paths))
    plain = sim.load(BARE).resolved_yaml()
    for number in re.findall(r"\b\d+(?:\.\d+)?(?:%| (?:days?|hours?|minutes|per \w+))", plain.partition("\nstart:")[2]):
        assert any(number in row for row in rows), number
    assert {path.split(".")[0] for path in paths} >= {"start", "segments", "violations", "ladder", "desks", "observe"}


def test_a_what_if_tells_what_it_changes_and_why() -> None:
    items = items_of("wechat_2022_no_warning")
    assert (
        "| `ladder.states.compliant.on_violation.minor` | `[warned, rectifying]` | `rectifying` |" in items["2.3"].text
    )
    assert re.search(r"\| `ladder\.states\.warned` \| `\{.*30 days.*\}` \| removed \|", items["2.3"].text)
    assert "what-if of `wechat_2022.yaml`" in items["1.3"].text
    assert "Does a first warning save accounts" in items["1.3"].text
    assert "not derived from another" in items_of("wechat_2022")["2.3"].text


def test_texts_of_a_study_are_inherited_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("extends: wechat_2022\nstudy: {aims: mine}\n")
    mine, base = sim.load(file).spec.study, sim.load("wechat_2022").spec.study
    assert mine.aims == "mine"
    assert (mine.preprocessing, mine.replications, mine.sharing) == (
        base.preprocessing,
        base.replications,
        base.sharing,
    )


def test_a_study_decides_nothing_but_is_kept(tmp_path: Path) -> None:
    bare = sim.load(BARE)
    said = bare.with_values({"study.aims": "to see"})
    assert sim.loads(said.resolved_yaml()).spec.study.aims == "to see"
    assert "study" not in bare.resolved_yaml()
    assert (said.spec.ladder, said.spec.segments) == (bare.spec.ladder, bare.spec.segments)


def test_items_of_a_run_come_from_its_manifest() -> None:
    without, told = items_of(BARE), items_of(BARE, MANIFEST)
    for number, text in {"4.3": "`37`", "5.1": "3.99.1", "5.2": "`4711`", "5.3": "`process`", "5.4": "12.345"}.items():
        assert text in told[number].text, number
        assert text not in without[number].text, number
        assert "OF A RUN" not in told[number].text, number
    assert {number for number, item in without.items() if "OF A RUN" in item.text} == {"4.3", "5.2", "5.3", "5.4"}


def test_a_sweep_tells_its_design() -> None:
    told = items_of(BARE, {**MANIFEST, "experiment": "sweep", "axes": {"desks.triage.reviewers": [1, 2]}, "points": 2})
    assert "(`sweep`): `axes`: `desks.triage.reviewers = 1, 2`; `points`: `2`" in told["1.3"].text


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("vary: {desks.triage.reviewers: [3, 5]}", "every combination of `desks.triage.reviewers` = `3`, `5`."),
        ("samples: 64", "64 points that fill all ranges evenly."),
    ],
)
def test_a_sweep_of_the_file_is_an_aim_and_no_input(section: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = sim.load(BARE).resolved_yaml() + f"sweep: {{{section}}}\n"
    monkeypatch.setattr(sim.Scenario, "resolved_yaml", lambda self: text)
    items = items_of(BARE)
    assert f"the file's own sweep runs {said}" in items["1.3"].text
    assert "sweep" not in items["3.3"].text


def test_a_manifest_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(ResultsError, match="cannot be read"):
        items_of(BARE, {**MANIFEST, "scenario": {"what_ifs": [{"extends": "x"}]}})


def test_the_order_at_one_instant_is_that_of_the_law() -> None:
    law = (ROOT / "sim" / "model" / "README.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (\d) \| (.*) \|$", law.partition("## Order at one instant")[2].partition("\n## ")[0], re.MULTILINE
    )
    assert len(rows) == len(stress_run.ORDER)
    assert all(text.startswith(said) for (_, text), said in zip(rows, stress_run.ORDER, strict=True))


def test_outputs_are_those_of_the_summary() -> None:
    assert set(sim.run(sim.load(EVERY_FEATURE).scaled(1e-6)).summary["measure"]) == set(stress.OUTPUTS)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("a | b\n\n# c", "a \\| b # c"),
        ("# no heading", "\\# no heading"),
        ("1. no list", "1\\. no list"),
        ("3.5 of 4", "3.5 of 4"),
        ("*not* _strong_ a_b `x` [y](z)", "\\*not\\* \\_strong\\_ a_b \\`x\\` \\[y\\](z)"),
    ],
)
def test_texts_add_no_markup(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_no_text_of_a_scenario_becomes_html() -> None:
    evil = "<script>alert(1)</script> | `x` \n\n</td>"
    keys = ("title", "purpose", "study.aims", "study.preprocessing", "study.replications", "study.sharing")
    scenario = sim.load(BARE).with_values({**dict.fromkeys(keys, evil), "sources": [evil], "assumed": [evil]})
    written = stress.to_markdown(scenario, stress.checklist(scenario, MANIFEST))
    assert "<script" not in written
    assert "</td" not in written
    assert written.count("&lt;script&gt;") == 8


def test_strict_fails_on_a_bare_scenario(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = printed(monkeypatch, capsys, str(BARE), "--stress", "--strict")
    assert code == 1
    assert out.startswith("# STRESS-DES checklist: ")
    for key in ("study.aims", "study.preprocessing", "study.replications", "study.sharing"):
        assert f"`{key}`" in err
    assert printed(monkeypatch, capsys, str(BARE), "--stress")[0] == 0
    code, _, err = printed(monkeypatch, capsys, str(BARE), "--strict")
    assert code == 2
    assert "--stress" in err


def test_strict_passes_on_a_run_of_a_shipped_what_if(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    sim.run(sim.load("wechat_2022_short_deadline").scaled(1e-5), seed=99, out=folder)
    code, out, err = printed(monkeypatch, capsys, str(folder), "--stress", "--strict")
    assert (code, err) == (0, "")
    assert "Seed: `99`." in out
    assert "OF A RUN" not in out
    assert "| `{low: 3 days, best: 7 days, high: 15 days}` | `3 days` |" in out
    code, out, _ = printed(monkeypatch, capsys, str(folder), "--resolved")
    assert out == sim.load("wechat_2022_short_deadline").scaled(1e-5).resolved_yaml()
