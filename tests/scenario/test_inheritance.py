"""What-if files: chains of `extends`, what `set` does at a path, and the same rules in `with_values`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sim.errors import ScenarioError
from sim.scenario import Scenario, load, loads, shipped

BASE = (Path(__file__).parent.parent / "invalid" / "unit_base.yaml").read_text(encoding="utf-8")
DAY = 86_400_000_000
Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")

    def write(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def base() -> Scenario:
    return loads(BASE)


def test_a_chain_adds_up(write: Write) -> None:
    write(
        "one.yaml",
        "extends: base.yaml\ntitle: One\nsources: [a]\nset: {ladder.states.warned.exits.lapsed.after: 3 days}\n",
    )
    two = load(write("two.yaml", "extends: one.yaml\nsources: [b]\nset: {segments.media.accounts: 7}\n"))
    assert two.name == "two"
    assert two.spec.title == "One"
    assert two.spec.sources == ("a", "b")
    assert two.spec.segments["media"].accounts == 7
    assert two.spec.ladder.states["warned"].exits["lapsed"].after.values == (3 * DAY,)


def test_a_what_if_without_set_is_its_base(write: Write, base: Scenario) -> None:
    assert load(write("same.yaml", "extends: base.yaml\n")) == base


def test_the_sweep_is_inherited_replaced_or_removed(write: Write) -> None:
    write("swept.yaml", BASE + "sweep: {vary: {violations.trading.detection.chance: [10%, 0.2]}}\n")
    assert load(write("a.yaml", "extends: swept.yaml\n")) == load(
        write("swept.yaml", BASE + "sweep: {vary: {violations.trading.detection.chance: [10%, 20%]}}\n")
    )
    kept = load(write("b.yaml", "extends: swept.yaml\nset: {segments.media.accounts: 7}\n")).spec.sweep
    assert kept is not None
    assert kept.vary == {"violations.trading.detection.chance": ("10%", "20%")}
    other = load(write("c.yaml", "extends: swept.yaml\nsweep: {samples: 1_6}\n")).spec.sweep
    assert other is not None
    assert (dict(other.vary), other.samples) == ({}, 16)
    assert load(write("d.yaml", "extends: swept.yaml\nset: {sweep: null}\n")) == loads(BASE)
    with pytest.raises(
        ScenarioError, match=r"swept.yaml:29: sweep.vary.violations.trading.detection.chance: there is no `trading`"
    ) as told:
        load(write("e.yaml", "extends: swept.yaml\nset: {violations.trading: null}\n"))
    assert told.value.faults


def test_files_below_the_folder_can_be_extended(write: Write) -> None:
    write("below/whole.yaml", BASE)
    assert load(write("above.yaml", "extends: below/whole.yaml\n")).spec.title == "A small ladder"


def test_a_shipped_scenario_can_be_extended_from_anywhere(write: Write) -> None:
    name = next(iter(shipped()))
    assert load(write("mine.yaml", f"extends: {name}\n")) == load(name)
    assert loads(f"extends: {name}\ntitle: Mine\n").spec.title == "Mine"


def test_texts_extend_files_of_the_folder_given(tmp_path: Path, write: Write, base: Scenario) -> None:
    assert loads("extends: base.yaml\n", folder=tmp_path) == base
    with pytest.raises(ScenarioError, match="there is no file"):
        loads("extends: base.yaml\n")


def test_a_chain_has_an_end(write: Write) -> None:
    write("link0.yaml", "extends: base.yaml\n")
    for n in range(1, 25):
        write(f"link{n}.yaml", f"extends: link{n - 1}.yaml\n")
    assert load(write("short.yaml", "extends: link10.yaml\n")).spec.title == "A small ladder"
    with pytest.raises(ScenarioError, match="a chain has at most 20 files"):
        load(write("long.yaml", "extends: link24.yaml\n"))


def test_a_file_that_extends_itself_is_a_loop(write: Write) -> None:
    with pytest.raises(ScenarioError, match="in a loop"):
        load(write("self.yaml", "extends: self.yaml\n"))


def test_observed_files_are_found_beside_the_file_that_names_them(write: Write) -> None:
    write("below/days.csv", "days\n1\n2\n")
    write("below/whole.yaml", BASE.replace("20 minutes", "{empirical: {file: days.csv}}"))
    scenario = load(write("above.yaml", "extends: below/whole.yaml\n"))
    service = scenario.spec.ladder.states["under_review"].service
    assert service is not None
    assert service.values == (DAY, 2 * DAY)
    write("weeks.csv", "weeks\n1\n2\n")
    path = "ladder.states.under_review.service.empirical.file"
    scenario = load(write("other.yaml", f"extends: below/whole.yaml\nset: {{{path}: weeks.csv}}\n"))
    service = scenario.spec.ladder.states["under_review"].service
    assert service is not None
    assert service.values == (7 * DAY, 14 * DAY)


def test_whole_sections_inner_values_and_list_entries_can_be_set(base: Scenario) -> None:
    changed = base.with_values(
        {
            "violations.trading.severity": {"minor": 1},
            "ladder.states.compliant.on_violation.minor": ["warned", "banned"],
            "segments.shops.propensity.sigma": 0.5,
            "ladder.strikes.expire": "90 days",
            "waves.order": {"at": "2023-02-01", "segment": "media", "count": 3, "to": "banned"},
        }
    )
    assert changed.spec.violations["trading"].severity == {"minor": 1, "serious": 0, "severe": 0}
    assert changed.spec.segments["shops"].propensity_sigma == 0.5
    assert changed.spec.ladder.strikes_expire_us == 90 * DAY
    assert changed.spec.waves["order"].count == 3
    entry = changed.with_values({"ladder.states.compliant.on_violation.minor.1": "under_review"})
    assert entry.spec.ladder.states["compliant"].on_violation["minor"] == ("warned", "under_review")
    fewer = changed.with_values({"ladder.states.compliant.on_violation.minor.1": None})
    assert fewer.spec.ladder.states["compliant"].on_violation["minor"] == ("warned",)
    with pytest.raises(ScenarioError, match="is a list and has no entry `2`; entries: 0 to 1"):
        changed.with_values({"ladder.states.compliant.on_violation.minor.2": "banned"})


def test_none_removes(base: Scenario) -> None:
    changed = base.with_values({"violations.trading.rate.media": None, "ladder.states.compliant.on_violation.minor": None,
                                "ladder.states.warned": None})  # fmt: skip
    assert list(changed.spec.ladder.states) == ["compliant", "under_review", "banned"]
    assert changed.spec.violations["trading"].rate["media"] == 0


def test_of_keys_that_exclude_each_other_the_one_that_is_set_stays(base: Scenario) -> None:
    assert base.with_values({"end": "2023-01-11"}).spec.end_us == 10 * DAY
    wave = {"at": "2023-02-01", "segment": "media", "count": 3, "to": "banned"}
    changed = base.with_values({"waves.order": wave}).with_values({"waves.order.share": "5%"})
    assert (changed.spec.waves["order"].count, changed.spec.waves["order"].share) == (None, 0.05)
    after = "ladder.states.warned.exits.lapsed.after"
    changed = base.with_values({after: {"exponential": {"mean": "3 days"}}})
    changed = changed.with_values({f"{after}.uniform": {"low": "1 day", "high": "2 days"}})
    assert changed.spec.ladder.states["warned"].exits["lapsed"].after.family == "uniform"
    changed = changed.with_values({f"{after}.uniform.high": "3 days"})
    assert changed.spec.ladder.states["warned"].exits["lapsed"].after.values == (DAY, 3 * DAY)


def test_phases_can_be_changed_by_the_path_of_what_they_set(base: Scenario) -> None:
    path = "violations.trading.detection.chance"
    phased = base.with_values({"phases.strict": {"from": "2023-02-01", "set": {path: "60%"}}})
    changed = phased.with_values({f"phases.strict.set.{path}": "70%", "phases.strict.in_progress": "restart"})
    assert changed.in_force[1].violations["trading"].detection == 0.7
    assert changed.phase_restart == (False, True)
    added = phased.with_values({"phases.strict.set.desks.review.reviewers": 9})
    assert added.in_force[1].desks["review"].reviewers == 9
    assert phased.with_values({"phases.strict": None}) == base


def test_faults_of_values_are_told_at_their_paths(base: Scenario) -> None:
    with pytest.raises(ScenarioError) as caught:
        base.with_values({"segments.media.acounts": 3, "desks.reviw.reviewers": 3, "start": "soon"})
    assert [(fault.file, fault.line, fault.path) for fault in caught.value.faults] == [
        ("<set>", None, "desks.reviw.reviewers"),
        ("<set>", None, "start"),
        ("<set>", None, "segments.media.acounts"),
    ]
    with pytest.raises(ScenarioError, match="cannot stand in a scenario"):
        base.with_values({"title": object()})


def test_the_first_scenario_is_not_changed(base: Scenario) -> None:
    text = base.resolved_yaml()
    base.with_values({"segments.media.accounts": 3})
    base.scaled(0.1)
    assert base.resolved_yaml() == text
