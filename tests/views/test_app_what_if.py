"""What-if files of the app, its samples, and where its scenarios come from."""

from __future__ import annotations

from pathlib import Path

import pytest

import sim
from sim.views.app.knobs import knobs
from sim.views.app.sample import accounts_of, check_size, fair_parts, sample
from sim.views.app.sources import bare, catalogue, of_catalogue, of_upload
from sim.views.app.what_if import WhatIf, moved, typed

SMALL = """
title: "{title}"
start: 2022-01-01
horizon: 100 days
segments: {{people: {{accounts: 500}}, "two words": {{accounts: 9_000}}}}
violations:
  spam: {{rate: {{people: 9 per year, "two words": 1 per year}}, severity: {{minor: 100%}}, detection: {{chance: {chance}}}}}
ladder: {{start: fine, states: {{fine: {{on_violation: {{minor: banned}}}}, banned: {{}}}}}}
"""


def small(title: str = "Small", chance: str = "50%") -> bytes:
    """A scenario that somebody hands in."""
    return SMALL.format(title=title, chance=chance).encode()


@pytest.mark.parametrize("name", sorted(sim.shipped()))
def test_files_say_what_sliders_say(name: str) -> None:
    """With every slider at its end, the file that is downloaded has the SHA-256 of the scenario that was drawn, whole and as a sample."""
    base = of_catalogue(name)
    assert base.sha256() == sim.load(name).sha256()
    found = knobs(base)
    what_if = WhatIf(
        base, name, moved(found, {knob.path: knob.choices[4] if knob.choices else knob.high for knob in found})
    )
    changed = what_if.scenario()
    assert len(what_if.changes) >= 10
    assert sim.loads(what_if.text()).sha256() == changed.sha256() != base.sha256()
    part = sample(base, changed, 5_000)
    assert sim.loads(what_if.text(part.changes)).sha256() == what_if.scenario(part.changes).sha256() != changed.sha256()
    assert sum(accounts_of(what_if.scenario(part.changes)).values()) == part.accounts <= 5_000


def test_a_file_beside_an_upload(tmp_path: Path) -> None:
    """A what-if of an upload extends it by its name: beside it, it loads."""
    (tmp_path / "mine.yaml").write_bytes(small("Mine: what, <b>if</b>?"))
    base = of_upload("mine.yaml", small("Mine: what, <b>if</b>?"))
    what_if = WhatIf(base, "mine.yaml", {"violations.spam.rate.two words": "3 per year"})
    (tmp_path / what_if.file_name).write_text(what_if.text(), encoding="utf-8")
    assert sim.load(tmp_path / what_if.file_name).sha256() == what_if.scenario().sha256()


def test_typed_values_are_text() -> None:
    """Lines cannot smuggle in more than one value each, and what they mean is the same in the file."""
    base = of_catalogue("wechat_2022")
    lines = (
        "ladder.strikes.expire: 60 days\n\n desks.review.reviewers: 5\nladder.states.banned.exits.appealed.chance: 3%"
    )
    what_if = WhatIf(base, "wechat_2022", typed(lines))
    assert what_if.scenario().spec.desks["review"].reviewers == 5
    assert sim.loads(what_if.text()).sha256() == what_if.scenario().sha256()
    titled = WhatIf(base, "wechat_2022", typed('title: a: "b" #c'))
    assert sim.loads(titled.text()) == titled.scenario()
    assert titled.scenario().spec.title == 'a: "b" #c'
    for line in ("ladder.strikes: {expire: 60 days}", "ladder.strikes.expire: '60 days"):
        what_if = WhatIf(base, "wechat_2022", typed(line))
        with pytest.raises(sim.ScenarioError):
            what_if.scenario()


def test_typed_faults() -> None:
    """All at once, with their lines."""
    with pytest.raises(sim.ScenarioError) as caught:
        typed("nothing\na: 1\na: 2\n: 3")
    assert [(fault.line, fault.problem) for fault in caught.value.faults] == [
        (1, "`nothing` is not a change"),
        (3, "is set twice"),
        (4, "`: 3` is not a change"),
    ]


@pytest.mark.parametrize("hostile", ["/etc/passwd", "../secret.csv", "link.csv", "secret.csv", "C:\\\\secret.csv"])
def test_uploads_read_no_observed_file(hostile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by an absolute path, one that goes up, a link in the folder of the server, or a plain name there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.csv").write_text("days\n1\n2\n", encoding="utf-8")
    (tmp_path / "link.csv").symlink_to(tmp_path / "secret.csv")
    content = small(chance=f'50%, delay: {{empirical: {{file: "{hostile}"}}}}')
    with pytest.raises(sim.ScenarioError, match="there is no folder to find"):
        of_upload("mine.yaml", content)
    (tmp_path / "mine.yaml").write_bytes(small(chance="50%, delay: {empirical: {file: secret.csv}}"))
    assert sim.load(tmp_path / "mine.yaml")  # the same file is fine where its own folder is known


@pytest.mark.parametrize(
    "hostile", ["/etc/other.yaml", "../other.yaml", "link.yaml", "other.yaml", "./other.yaml", "/etc/passwd"]
)
def test_uploads_extend_what_ships_only(hostile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shipped scenario by its name, and nothing in the folder of the server, whatever the path."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.yaml").write_bytes(small())
    (tmp_path / "link.yaml").symlink_to(tmp_path / "other.yaml")
    with pytest.raises(sim.ScenarioError, match=r"there is no file|is not a shipped scenario") as caught:
        of_upload("mine.yaml", f"extends: {hostile}\n".encode())
    assert str(tmp_path) not in str(caught.value)
    assert of_upload("mine.yaml", b"extends: wechat_2022\n") == sim.load("wechat_2022")


@pytest.mark.parametrize("source", ["catalogue", "upload"])
def test_changed_values_read_no_file(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does what is typed, or set by an upload below a scenario that ships: not even in the catalogue's own folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.csv").write_text("days\n1\n2\n", encoding="utf-8")
    path = "violations.trading.detection.delay"
    if source == "catalogue":
        what_if = WhatIf(of_catalogue("wechat_2022"), "wechat_2022", typed(f"{path}.empirical.file: secret.csv"))
        with pytest.raises(sim.ScenarioError):
            what_if.scenario()
        with pytest.raises(sim.ScenarioError, match="there is no folder"):
            what_if.base.with_values({path: {"empirical": {"file": "secret.csv"}}})
    else:
        with pytest.raises(sim.ScenarioError, match="there is no folder"):
            of_upload(
                "mine.yaml", f"extends: wechat_2022\nset: {{{path}: {{empirical: {{file: secret.csv}}}}}}".encode()
            )


def test_uploads_are_bounded() -> None:
    """Size and encoding are refused in the words of the command line."""
    with pytest.raises(sim.ScenarioError, match="at most 1,048,576 bytes"):
        of_upload("big.yaml", b"#" * (2**20 + 1))
    with pytest.raises(sim.ScenarioError, match=r"bad\.yaml:2: is not UTF-8 text; save the file as UTF-8"):
        of_upload("bad.yaml", b"title: x\n\xff\xfe")
    with pytest.raises(sim.ScenarioError, match="is not a shipped scenario"):
        of_catalogue("../scenarios/wechat_2022")


def test_names_of_uploads_hold_no_folders() -> None:
    """Only the last part of a path is shown or written anywhere."""
    assert bare("../../etc/x.yaml") == "x.yaml"
    assert bare("C:\\Users\\me\\x.yml") == "x.yml"
    assert bare("/etc/passwd") == bare(".yaml") == bare("") == "uploaded.yaml"
    base = of_catalogue("wechat_2022")
    assert WhatIf(base, "a b/../ü$.yaml", {}).file_name == "ü_what_if.yaml"
    assert WhatIf(base, "$.yaml", {}).file_name == "scenario_what_if.yaml"


def test_samples_keep_small_segments_whole() -> None:
    """Media and platforms are all in the picture of 1.1 billion accounts; where accounts meet at a desk all are cut alike."""
    base = of_catalogue("wechat_2022")
    part = sample(base, base)
    cut = base.with_values(part.changes)
    assert (part.even, part.of, part.accounts <= 100_000) == (False, 1_120_003_500, True)
    assert accounts_of(cut)["official_media"] == 3_000
    assert accounts_of(cut)["personal"] > 45_000
    limited = base.with_values({"desks.review.reviewers": 5_000})
    part = sample(base, limited)
    assert part.even
    assert part.changes["desks.review.reviewers"] == 1
    assert (
        accounts_of(base.with_values({"desks.review.reviewers": 5_000}).with_values(part.changes))["official_media"]
        == 1
    )
    whole = of_catalogue("wechat_closures_2018")
    assert sample(whole, whole).changes == {}


def test_fair_parts() -> None:
    """Small ones whole, large ones alike, never more than there is room for."""
    assert fair_parts({"a": 1_000, "b": 5, "c": 400}, 300) == {"b": 5, "c": 147, "a": 148}
    assert fair_parts({"a": 3, "b": 2}, 100) == {"a": 3, "b": 2}


def test_what_is_too_large_is_said_before_it_is_run() -> None:
    """Tables that would fill the memory, and accounts that never rest."""
    base = of_upload("small.yaml", small())
    check_size(base)
    with pytest.raises(sim.ScenarioError, match=r"makes tables of .* rows"):
        check_size(base.with_values({"observe": "100 seconds"}))
    with pytest.raises(sim.ScenarioError, match="violations of one account are too many"):
        check_size(
            base.with_values(
                {"horizon": "900 years", "observe": "1 year", "violations.spam.rate.people": "3600 per hour"}
            )
        )
    busy = base.with_values({"violations.spam.rate.people": "100 per hour"})
    assert sample(busy, base).accounts < sample(base, base).accounts == 9_500


def test_catalogue_is_what_ships() -> None:
    """Every scenario, by name."""
    assert catalogue() == sorted(sim.shipped())
