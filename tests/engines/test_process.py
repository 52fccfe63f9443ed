"""The SimPy engine as a guest in a Python process: the garbage collector, its clock, its desks."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from agreement.lives import ENGINES, as_yaml, compile_text, first_difference, lived, same_tally, told

from sim.collector import paused
from sim.engines import process
from sim.engines.tally import new_tally
from sim.model.tables import keyed

GOLDEN = Path(__file__).parents[1] / "golden"
STRIKES = (GOLDEN / "strikes.yaml").read_text()


@pytest.fixture(autouse=True)
def _collector() -> Iterator[None]:
    """Leave the collector as it was."""
    was = gc.isenabled()
    yield
    (gc.enable if was else gc.disable)()


@pytest.mark.parametrize("enabled", [True, False])
def test_collector_is_as_it_was(enabled: bool) -> None:
    """It is off within and afterwards as before, after errors too."""
    (gc.enable if enabled else gc.disable)()
    with paused():
        assert not gc.isenabled()
    assert gc.isenabled() is enabled
    with pytest.raises(ZeroDivisionError), paused():
        1 / 0  # noqa: B018
    assert gc.isenabled() is enabled


def test_a_run_restores_the_collector() -> None:
    """Off while the run lasts, on again after it, and after a run that fails."""
    codes = compile_text(STRIKES)
    gc.enable()
    seen: list[bool] = []

    def look(share: float) -> None:
        seen.append(gc.isenabled())

    for keep, error in ((lambda rows: None, None), (lambda rows: 1 / 0, ZeroDivisionError)):
        tally = new_tally(codes.law, codes.names, codes.scenario.spec.observe_us)
        if error is None:
            process.run(keyed(codes.law, 0, 0), tally, 2**32, keep, look)
        else:
            with pytest.raises(error):
                process.run(keyed(codes.law, 0, 0), tally, 2**32, keep, look)
        assert gc.isenabled()
    assert set(seen) == {False}


def test_small_chunks_of_the_scan_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Accounts with anything to do are listed in portions; their size changes nothing."""
    codes = compile_text((GOLDEN / "timeline.yaml").read_text())
    usual, events = lived(codes, "process", seed=3)
    monkeypatch.setattr(process, "SCAN_CHUNK", 3)
    tally, rows = lived(codes, "process", seed=3)
    assert same_tally(usual, tally) == []
    assert np.array_equal(events, rows)


def desk_world(reviewers: object, **more: object) -> dict[str, Any]:
    """Six accounts before a desk from the start."""
    states = {
        "on": {"activity": 0, "desk": "d", "service": "1 day", "outcomes": {"off": "100%"}},
        "off": {"activity": 0},
        "moved": {"activity": 0},
    }
    world = {"schema": 1, "title": "Desk", "assumed": ["all"], "start": "2023-01-02", "horizon": "20 days"}
    ladder = {"start": "on", "bans": [], "states": states}
    wave = {"order": {"at": "2023-01-05", "segment": "a", "share": "100%", "to": "moved"}}
    violations: dict[str, Any] = {}
    return world | {
        "segments": {"a": {"accounts": 6}},
        "violations": violations,
        "ladder": ladder,
        "desks": {"d": {"reviewers": reviewers}},
        "waves": wave,
        **more,
    }


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("reviewers", [0, 1, 2, 6, "unlimited"])
def test_services_in_order(reviewers: object, engine: str) -> None:
    """A day each, by account index, until an order moves those who still wait; those in service at that instant are moved after it."""
    scenario = desk_world(reviewers)
    codes = compile_text(as_yaml(scenario))
    _, events = lived(codes, engine, seed=0)
    assert first_difference(told(codes, events), reference.events(scenario, 0), slack_us=0) == ""


@pytest.mark.parametrize("engine", ENGINES)
def test_staff_by_phases_and_hours(engine: str) -> None:
    """Reviewers come and go while services run; those finish first."""
    hours = {"days": "mon-fri", "from": "22:00", "to": "06:00"}
    phases = {
        "fewer": {"from": "2023-01-03T23:30", "set": {"desks.d.reviewers": 1}},
        "none": {"from": "2023-01-04", "set": {"desks.d.reviewers": 0}},
        "many": {"from": "2023-01-04T12:00", "set": {"desks.d.reviewers": "unlimited"}},
    }
    scenario = desk_world(3, desks={"d": {"reviewers": 3, "hours": hours}}, phases=phases)
    codes = compile_text(as_yaml(scenario))
    _, events = lived(codes, engine, seed=0)
    assert first_difference(told(codes, events), reference.events(scenario, 0), slack_us=0) == ""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("reviewers", [6, "unlimited"])
def test_a_service_that_never_ends_holds_its_account(reviewers: object, engine: str) -> None:
    """A service drawn longer than any run, from time 0 on: its account is held, and no order moves it."""
    scenario = desk_world(reviewers)
    scenario["ladder"]["states"]["on"]["service"] = {"loglogistic": {"median": "100 years", "shape": 0.1}}
    codes = compile_text(as_yaml(scenario))
    _, events = lived(codes, engine, seed=3)
    assert first_difference(told(codes, events), reference.events(scenario, 3)) == ""


@pytest.mark.parametrize("engine", ENGINES)
def test_two_phases_of_one_instant_restart_what_each_has_changed(engine: str) -> None:
    """One after the other, in the order of the file: the clocks of a state begin anew for each that touches its exits."""
    states = {
        "on": {"exits": {"over": {"to": "off", "after": {"uniform": {"low": "3 days", "high": "9 days"}}}}},
        "off": {"exits": {"back": {"to": "on", "after": {"uniform": {"low": "1 day", "high": "2 days"}}}}},
        "moved": {"activity": 0},
    }
    changes = {
        "first": {"ladder.states.on.exits.over.after.uniform.high": "8 days"},
        "second": {"ladder.states.off.exits.back.after.uniform.high": "3 days"},
        "third": {"ladder.states.on.exits.over.after.uniform.high": "7 days"},
    }
    phases = {name: {"from": "2023-01-06", "in_progress": "restart", "set": change} for name, change in changes.items()}
    ladder = {"start": "on", "bans": [], "states": states}
    wave = {"order": {"at": "2023-01-20", "segment": "a", "share": "100%", "to": "moved"}}
    scenario = desk_world(1, ladder=ladder, phases=phases, waves=wave)
    del scenario["desks"]
    codes = compile_text(as_yaml(scenario))
    _, events = lived(codes, engine, seed=3)
    found = told(codes, events)
    assert first_difference(found, reference.events(scenario, 3)) == ""
    begun = Counter(event.cause for event in found)
    assert begun["phase:first"] == begun["phase:third"] > begun["phase:second"] > 0
    assert begun["phase:first"] + begun["phase:second"] == 6
