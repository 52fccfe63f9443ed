"""The scenarios that ship: their sources, their what-ifs, and whether they do what they promise.

How a number is sourced, as the head of a base file tells its readers: the comment on its line names a tag of `sources` in
brackets or says `assumed`; or a comment that does so and begins with `all` stands beside a key around it. What is assumed is
covered by an entry of `assumed:`, which begins with the paths it is about.
"""

import datetime
import re
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

import sim
from sim.experiments.expect import check_expectations
from sim.results.intervals import wilson
from sim.views.description import mermaid
from sim.views.description import tables as described

FOLDER = Path(__file__).parents[1] / "scenarios"
FILES = sorted(FOLDER.glob("*.yaml"))
BASES = [file for file in FILES if "extends" not in YAML(typ="safe").load(file)]
WHAT_IFS = [file for file in FILES if file not in BASES]
NAME = re.compile(r"[a-z]+(_[a-z]+)*_20\d\d(_[a-z]+)*")
TAG = re.compile(r"\[([a-z0-9]+)\]")
WORDS = ("schema", "title", "purpose", "sources", "assumed", "study", "extends", "expect", "sweep")
"""Keys that hold no input of the model."""


def accounts_of(scenario):
    return sum(segment.accounts for segment in scenario.spec.segments.values())


FULL_UP_TO = 20_000_000
"""Scenarios with up to so many accounts are held to what they expect in full runs, which take seconds."""
LARGE = [file for file in FILES if accounts_of(sim.load(file)) > FULL_UP_TO]
WHOLE_UP_TO = 30_000
SHARE = 0.0005
"""Runs take this share of the segments with more than `WHOLE_UP_TO` accounts, and small segments whole: these accounts
live the same lives as in a full run (`sim/model/README.md`, Prefix)."""
PENALTIES = {"warned", "rectifying", "restricted", *(f"suspended_{days}_days" for days in (7, 14, 30)), "banned"}
PERMANENT_SHARE = (0.067, 0.505)
"""Share of WeChat's penalties that are permanent: 67,000 of 997,000 in spring 2023 over all platforms, 423 of 837 in May
2024."""

every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
every_base = pytest.mark.parametrize("file", BASES, ids=lambda file: file.stem)
every_wechat = pytest.mark.parametrize("name", [file.stem for file in FILES if file.stem.startswith("wechat_")])
every_what_if = pytest.mark.parametrize("file", WHAT_IFS, ids=lambda file: file.stem)


def numbers(node, path=(), around=()):
    """Each number in a round-trip tree of ruamel: its path, its line, and the lines of the keys around it, nearest first."""
    for key, child in node.items() if isinstance(node, dict) else enumerate(node):
        place = (*path, str(key))
        if isinstance(child, dict | list):
            outer = node.lc.key(key)[0] if isinstance(node, dict) else node.lc.item(key)[0]
            yield from numbers(child, place, (outer, *around))
        elif re.match(r"[-+.]?\d", str(child)):
            line = node.lc.value(key)[0] if isinstance(node, dict) else node.lc.item(key)[0]
            yield ".".join(place), line, around


def source_of(line, around, lines, tags):
    """The comment that holds for a number, if any."""
    for at in (line, *around):
        comment = lines[at].partition(" # ")[2]
        holds = at == line or comment.startswith("all ")
        if holds and ("assumed" in comment or set(TAG.findall(comment)) & tags):
            return comment
    return None


def is_covered(path, entry):
    """Whether an entry of `assumed:` is about a path."""
    parts = path.split(".")
    for pattern in entry.partition(": ")[0].split(" "):
        wanted = pattern.split(".")
        if len(wanted) <= len(parts) and all(map(fnmatchcase, parts, wanted)):
            return True
    return False


def unsourced(text, tags, assumed):
    """What is wrong with the sources of a file's numbers: (path, why)."""
    lines = text.splitlines()
    tree = YAML().load(text)
    faults = []
    for place, line, around in numbers(tree):
        path = place.removeprefix("set.")
        if path.split(".")[0] in WORDS:
            continue
        comment = source_of(line, around, lines, tags)
        if comment is None:
            faults.append((path, "no source"))
        elif "assumed" in comment and not any(is_covered(path, entry) for entry in assumed):
            faults.append((path, "assumed, but not listed"))
    return faults


def tags_of(sources):
    return {source.partition(": ")[0] for source in sources}


def leaves(node, path=()):
    """Path -> value of everything in plain YAML that is not a mapping."""
    if isinstance(node, dict) and node:
        return {key: value for name, child in node.items() for key, value in leaves(child, (*path, name)).items()}
    return {".".join(path): node}


def inputs(scenario):
    """Path -> value of every input of the model."""
    resolved = YAML(typ="safe").load(scenario.resolved_yaml())
    return leaves({key: value for key, value in resolved.items() if key not in WORDS})


@cache
def shortened_run(name):
    scenario = sim.load(FOLDER / f"{name}.yaml")
    if any(desk.reviewers for desk in scenario.spec.desks.values()):
        return sim.run(scenario.scaled(0.02), seed=1, histories=0)
    large = {key: segment.accounts for key, segment in scenario.spec.segments.items() if segment.accounts > WHOLE_UP_TO}
    smaller = {f"segments.{key}.accounts": round(accounts * SHARE) for key, accounts in large.items()}
    return sim.run(scenario.with_values(smaller), seed=1, histories=0)


def entries(result):
    return result.states.groupby("state", observed=True)["entries"].sum()


@every_file
def test_file_loads_by_name_and_resolves(file):
    scenario = sim.load(file.stem)
    assert scenario == sim.load(file) == sim.loads(scenario.resolved_yaml())
    assert NAME.fullmatch(file.stem)


@every_file
def test_file_tells_its_question_sources_and_assumptions(file):
    spec = sim.load(file).spec
    assert all((spec.title, spec.sources, spec.assumed, spec.expect))
    assert "?" in spec.purpose


@every_file
def test_every_number_has_its_source_or_is_assumed(file):
    spec = sim.load(file).spec
    text = file.read_text(encoding="utf-8")
    assert unsourced(text, tags_of(spec.sources), spec.assumed) == []


@every_file
def test_tags_and_sources_match(file):
    text = file.read_text(encoding="utf-8")
    used = {tag for line in text.splitlines() for tag in TAG.findall(line)}
    own = tags_of(YAML(typ="safe").load(text).get("sources", []))
    states = set(sim.load(file).spec.ladder.states)
    assert used - states <= tags_of(sim.load(file).spec.sources)
    assert own <= used


@every_base
def test_entries_of_assumed_are_about_something(file):
    scenario = sim.load(file)
    paths = inputs(scenario)
    for entry in scenario.spec.assumed:
        for pattern in entry.partition(": ")[0].split(" "):
            assert any(is_covered(path, pattern) for path in paths), pattern


def test_the_check_of_sources_sees_a_number_without_one():
    text = "start: 2022-03-01 # [paper]\nsegments: # all assumed\n  users:\n    accounts: 5\n"
    text += "desks:\n  review: # [paper] not for what is below\n    reviewers: 4\n"
    assert unsourced(text, {"paper"}, ["segments.*.accounts: guessed"]) == [("desks.review.reviewers", "no source")]
    assert ("segments.users.accounts", "assumed, but not listed") in unsourced(text, {"paper"}, ["start: guessed"])
    assert ("start", "no source") in unsourced(text, {"book"}, [])


@every_what_if
def test_what_if_differs_from_its_base_in_what_it_sets_and_nothing_else(file):
    written = YAML(typ="safe").load(file)
    base, changed = (inputs(sim.load(FOLDER / name)) for name in (written["extends"], file.name))
    differ = {path for path in base.keys() | changed.keys() if base.get(path, {}) != changed.get(path, {})}
    concerned = {path: {key for key in written["set"] if f"{path}.".startswith(f"{key}.")} for path in differ}
    assert all(concerned.values())
    assert set().union(*concerned.values()) == set(written["set"])


@every_what_if
def test_what_if_fits_on_a_screen(file):
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 24


@pytest.mark.parametrize("file", [file for file in FILES if file not in LARGE], ids=lambda file: file.stem)
def test_file_holds_what_it_expects(file):
    """As `enforcement-sim test` does it, seed 0; the files leave room enough for a few replications to decide."""
    found = check_expectations(sim.load(file.stem), max_replications=12)
    assert found.verdict == "held", found.frame.to_string()
    assert [line for line in found.frame.to_dict("records") if is_out_of_reach(line)] == []


REACH = 5.0


def is_out_of_reach(line):
    """A lone bound that what is found, or its rest to 100 %, would have to change more than fivefold to cross: it could hardly be missed.

    Of what is 0 by the rule (who comes back before anybody may), one account in twenty at most may go unseen.
    """
    if pd.notna(line["below"]) and pd.notna(line["above"]):
        return False
    if pd.notna(line["above"]):
        return 1.0 - line["above"] > REACH * (1.0 - line["value"])
    return line["below"] > (REACH * line["value"] if line["value"] > 0 else 0.05)


def test_the_check_of_bounds_sees_one_that_nothing_could_miss():
    far = {"below": 0.1, "above": float("nan"), "value": 0.01}
    assert is_out_of_reach(far)
    assert not is_out_of_reach(far | {"below": 0.03})
    assert is_out_of_reach({"below": float("nan"), "above": 0.25, "value": 0.9})
    assert not is_out_of_reach({"below": 0.03, "above": 0.001, "value": 0.01})


@every_file
def test_file_is_described(file):
    """`show`: tables, and a diagram with every state."""
    scenario = sim.load(file.stem)
    assert all(table.row_count for table in described(scenario))
    assert all(state in mermaid(scenario) for state in scenario.spec.ladder.states)


@every_file
def test_shortened_run_lives(file):
    """The compiled engine runs the scenario small, and something happens in it."""
    result = shortened_run(file.stem)
    assert result.manifest["engine"] == "compiled"
    assert result.transitions["transitions"].sum() > accounts_of(result.scenario)


@pytest.mark.parametrize("file", LARGE, ids=lambda file: file.stem)
def test_shortened_run_meets_what_the_file_expects(file):
    result = shortened_run(file.stem)
    spec = result.scenario.spec
    column = {"ban_rate": "ever_banned", "banned_share": "banned", "wrongful_ban_rate": "wrongly_banned"}
    for line in spec.expect:
        at_us = spec.end_us if line.at_us is None else line.at_us
        rows = result.bans[result.bans["time"] == spec.start + datetime.timedelta(microseconds=at_us)]
        rows = rows[rows["segment"] == line.segment] if line.segment else rows
        low, high = wilson(int(rows[column[line.measure]].sum()), int(rows["joined"].sum()))
        assert line.below is None or low < line.below, line
        assert line.above is None or high > line.above, line


@every_wechat
def test_share_of_permanent_penalties_is_of_the_published_size(name):
    counts = entries(shortened_run(name))
    share = counts["banned"] / counts[counts.index.isin(PENALTIES)].sum()
    assert PERMANENT_SHARE[0] < share < PERMANENT_SHARE[1]


@every_wechat
def test_few_rightful_bans_are_overturned(name):
    transitions = shortened_run(name).transitions
    decided = transitions[(transitions["from_state"] == "appealing") & ~transitions["wrongful"]]
    overturned = decided[decided["to_state"] != "upheld"]
    assert overturned["transitions"].sum() <= 0.1 * decided["transitions"].sum()


def test_segments_of_the_rule_are_banned_in_a_clear_order():
    bans = shortened_run("wechat_2022").bans
    last = bans[bans["time"] == bans["time"].max()].set_index("segment")
    rates = last["ever_banned"] / last["joined"]
    assert rates["nft_platforms"] > 1.3 * rates["official_media"]
    assert rates["official_media"] > 100 * rates["official_accounts"]
    assert rates["official_media"] > 100 * rates["personal"]


def test_violations_and_bans_of_platforms_change_with_the_phases():
    """Before the rule platforms keep back already, and little of what they do is found."""
    scenario = sim.load("wechat_2022")
    rates = [sum(kind.rate["nft_platforms"] for kind in law.violations.values()) for law in scenario.in_force]
    detected = [law.violations["trading"].detection for law in scenario.in_force]
    assert scenario.phase_names == ("", "distancing", "rule_3_24")
    assert rates[0] > rates[1] > rates[2]
    assert detected[0] == detected[1] < detected[2]


@pytest.mark.parametrize("what_if", ["short_deadline", "no_warning", "double_detection"])
def test_each_what_if_bans_more_than_the_rule(what_if):
    banned = [
        result.bans.loc[result.bans["time"] == result.bans["time"].max(), "ever_banned"].sum()
        for result in (shortened_run("wechat_2022"), shortened_run(f"wechat_2022_{what_if}"))
    ]
    assert banned[1] > 1.1 * banned[0]


def test_most_accounts_of_the_rule_can_be_told_idle_from_a_draw():
    """1.1 billion accounts run in seconds only while nothing but a rare violation moves them."""
    spec = sim.load("wechat_2022").spec
    personal = spec.segments["personal"]
    assert personal.accounts == 1_100_000_000
    assert (personal.joins_to_us, personal.audience, personal.propensity_sigma) == (0, None, 0.0)
    assert not spec.ladder.states[spec.ladder.start].exits
    assert all(desk.reviewers is None for desk in spec.desks.values())
    yearly = 365 * 86_400e6
    assert sum(kind.rate["personal"] for kind in spec.violations.values()) * yearly < 0.001


def test_closure_order_hits_media_that_published():
    result = shortened_run("wechat_closures_2018")
    moved = result.transitions[result.transitions["cause"] == "wave:closure_order"]
    assert set(moved["segment"]) == {"large_media"}
    assert moved["wrongful"].all()
    assert moved["transitions"].sum() >= 7  # of eight, one may be banned already
    assert result.states.loc[result.states["state"] == "banned", "audience_days"].sum() > 0
