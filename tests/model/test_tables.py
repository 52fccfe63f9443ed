"""The compiled scenario: numbers for names, moves numbered once, what phases restart, orders as they are in force."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from sim.model.draws import key, name_code
from sim.model.durations import FAMILIES
from sim.model.jit import NEVER
from sim.model.schedule import UNLIMITED
from sim.model.tables import (
    AHEAD,
    DRAWS,
    END,
    LONGEST_EXPIRE,
    SHORTEST_EXPIRE,
    START,
    Names,
    Tables,
    absorbing,
    compile_tables,
    is_coupled,
    keyed,
)
from sim.scenario import load, loads

GOLDEN = Path(__file__).parents[1] / "golden"
DAY = 86_400_000_000

LADDER = """
schema: 1
title: A ladder with everything that is compiled
assumed: [every number]
start: 2023-01-02
horizon: 30 days
segments:
  shops: {accounts: 7, propensity: {sigma: 0.5}}
  media: {accounts: 5, audience: 100, joins: {from: 2023-01-03, to: 2023-01-05}}
violations:
  spam: {rate: {shops: 1 per day}, severity: {severe: 25%, minor: 75%}, detection: {chance: 50%, delay: 2 days}}
  alarm: {genuine: false, rate: {shops: 1 per day, media: 3 per day}, severity: {minor: 100%}, detection: {chance: 1}}
ladder:
  start: fine
  bans: [out, gone]
  strikes: {expire: 10 days}
  states:
    gone: {activity: 0}
    fine:
      on_violation: {minor: [warned, waiting], severe: out}
      exits:
        left: {to: gone, after: {exponential: {mean: 100 days}}, chance: 50%}
    warned:
      exits:
        lapsed: {to: fine, after: 2 days}
        late: {to: fine, after: {empirical: {quantiles: [1 days, 2 days, 4 days]}}}
      on_violation: {minor: warned}
    waiting:
      activity: 20%
      desk: desk
      service: {lognormal: {median: 1 days, sigma: 1}}
      outcomes: {fine: 75%, out: 25%}
    out: {activity: 0, exits: {appealed: {to: waiting, after: 2 days}}}
desks:
  desk: {reviewers: 2}
waves:
  late_order: {at: 2023-01-12, segment: shops, share: 50%, to: out}
  early_order: {at: 2023-01-06, segment: shops, count: 3, to: gone, states: [fine, warned], genuine: false}
  same_day: {at: 2023-01-12, segment: media, count: 2, to: warned}
phases:
  calm: {from: 2023-01-04, set: {ladder.states.warned.exits.lapsed.after: 5 days}}
  same: {from: 2023-01-08, in_progress: restart, set: {ladder.states.warned.exits.lapsed.after: 120 hours, ladder.strikes.expire: 4 days}}
  sharp:
    from: 2023-01-10
    in_progress: restart
    set:
      ladder.states.warned.exits.lapsed.after: 1 days
      ladder.states.out.exits.appealed.to: gone
      ladder.states.fine.exits.left.chance: 60%
      ladder.states.waiting.priority: 3
      waves.same_day.count: 4
      violations.spam.severity: {severe: 100%}
      desks.desk.reviewers: unlimited
"""


@pytest.fixture(scope="module")
def made() -> tuple[Tables, Names]:
    """The compiled ladder."""
    return compile_tables(loads(LADDER))


@pytest.fixture(scope="module")
def law(made: tuple[Tables, Names]) -> Tables:
    """Its tables."""
    return made[0]


@pytest.fixture(scope="module")
def names(made: tuple[Tables, Names]) -> Names:
    """Its names."""
    return made[1]


def numbered(names: Names) -> Mapping[str, int]:
    """Number of each state."""
    return {state: number for number, state in enumerate(names.states)}


def test_names_keep_the_order_of_the_file(names: Names) -> None:
    """Numbers follow the order in which things are written; waves that of their dates."""
    assert names.segments == ("shops", "media")
    assert names.kinds == ("spam", "alarm")
    assert names.severities == ("minor", "serious", "severe")
    assert names.states == ("gone", "fine", "warned", "waiting", "out")
    assert names.exits == (("fine", "left"), ("warned", "lapsed"), ("warned", "late"), ("out", "appealed"))
    assert names.waves == ("early_order", "late_order", "same_day")
    assert names.desks == ("desk",)


def test_constants(law: Tables) -> None:
    """End, start state, and the longest and shortest life of a strike over all phases."""
    assert law.constants[END] == 30 * DAY
    assert law.constants[START] == 1
    assert law.constants[LONGEST_EXPIRE] == 10 * DAY
    assert law.constants[SHORTEST_EXPIRE] == 4 * DAY
    assert law.strikes_expire.tolist() == [10 * DAY, 10 * DAY, 4 * DAY, 4 * DAY]
    assert law.phase_from.tolist() == [0, 2 * DAY, 6 * DAY, 8 * DAY, NEVER]
    assert law.restarts.tolist() == [0, 0, 1, 1]
    assert law.bans.tolist() == [1, 0, 0, 0, 1]


def test_strikes_that_never_expire() -> None:
    """Without `expire` the age at which strikes no longer count never comes."""
    law, _ = compile_tables(
        loads(LADDER.replace("  strikes: {expire: 10 days}\n", "").replace(", ladder.strikes.expire: 4 days", ""))
    )
    assert set(law.strikes_expire.tolist()) == {NEVER}


def test_moves_are_numbered_once(law: Tables, names: Names) -> None:
    """No triple comes twice; every number that a table holds is that of its triple; `joined` is move 0."""
    assert len(set(names.moves)) == len(names.moves)
    assert names.moves[0] == (-1, names.states.index("fine"), "joined")
    assert [cause for _, _, cause in names.moves].count("joined") == 1
    for phase in range(4):
        for (state, way), row in zip(names.exits, law.exits[phase], strict=True):
            assert names.moves[row["move"]] == (names.states.index(state), row["to"], f"exit:{way}")
        for state in range(len(names.states)):
            for severity in range(3):
                first, count = law.on_violation[phase, state, severity]
                for target in law.targets[first : first + count]:
                    assert names.moves[target["move"]] == (state, target["to"], "decision")
            row = law.states[phase, state]
            for mark in (0, 1):
                first = row["outcome_first"][mark]
                for choice in law.choices[first : first + row["outcome_count"][mark]]:
                    assert names.moves[choice["move"]] == (state, choice["to"], "served")
    for number, wave in enumerate(names.waves):
        for state, move in enumerate(law.wave_moves[number]):
            if move >= 0:
                assert names.moves[move] == (state, law.waves[number]["to"], f"wave:{wave}")


def test_moves_of_a_phase_are_known(names: Names) -> None:
    """A target that only a phase gives has its move; causes are those of the design."""
    out, gone, waiting = (names.states.index(state) for state in ("out", "gone", "waiting"))
    assert {(out, waiting, "exit:appealed"), (out, gone, "exit:appealed")} <= set(names.moves)
    kinds = {cause.partition(":")[0] for _, _, cause in names.moves}
    assert kinds == {"joined", "exit", "decision", "wave", "served", "phase"}


def test_restart_compares_values(law: Tables, names: Names) -> None:
    """Only a phase that says `restart` enters anew, and only states whose exits it changes: 120 hours are 5 days, a priority is no exit."""
    restarts = {
        (phase, names.states[state]): names.moves[move]
        for (phase, state), move in np.ndenumerate(law.states["restart"])
        if move >= 0
    }
    number = numbered(names)
    changed = ("fine", "warned", "out")
    assert restarts == {(3, state): (number[state], number[state], "phase:sharp") for state in changed}


def test_states(law: Tables, names: Names) -> None:
    """Activity, priority, exits, desk and service of each state in each phase."""
    number = numbered(names)
    waiting = law.states[:, number["waiting"]]
    assert waiting["priority"].tolist() == [0, 0, 0, 3]
    assert set(waiting["activity"]) == {0.2}
    assert set(waiting["desk"]) == {0}
    assert set(waiting["service_code"]) == {name_code("service:waiting")}
    assert set(waiting["outcome_code"]) == {name_code("outcome:waiting")}
    assert law.states["desk"][0].tolist() == [-1, -1, -1, 0, -1]
    assert law.states["exit_first"][0].tolist() == [0, 0, 1, 3, 3]
    assert law.states["exit_count"][0].tolist() == [0, 1, 2, 0, 1]
    assert law.exits["ring_code"][0].tolist() == [name_code(f"exit:{state}/{way}") for state, way in names.exits]
    assert law.exits["chance_code"][0].tolist() == [name_code(f"chance:{state}/{way}") for state, way in names.exits]
    assert law.exits["chance"][:, 0].tolist() == [0.5, 0.5, 0.5, 0.6]


def test_what_saves_work(law: Tables) -> None:
    """Fixed durations; others that are alike in all phases are drawn ahead; and the draws above which an exit comes too late."""
    assert law.exits["fixed"][0].tolist() == [-1, 2 * DAY, -1, 2 * DAY]
    assert law.exits["fixed"][:, 1].tolist() == [2 * DAY, 5 * DAY, 5 * DAY, DAY]
    assert (law.exits["ahead"] == np.array([len(AHEAD), -1, len(AHEAD) + 2, -1])).all()
    late = law.exits["too_late"][:, 2]  # quantiles at 1, 2 and 4 days; another exit rings after 2, 5, 5 and 1
    assert late == pytest.approx([0.5, 1.0, 1.0, 0.0], abs=1e-10)
    assert law.exits["too_late"][0, 0] == pytest.approx(1 - math.exp(-0.3))  # the end of the run


def test_draws_too_late_of_every_state() -> None:
    """Each state has its own exits, however they are numbered."""
    head, names = LADDER[: LADDER.index("  strikes:")], ["fine", "second", "third", "out", "gone"]
    after = "{exponential: {mean: 30 days}}"
    states = [
        f"    {name}: {{exits: {{on: {{to: {names[place - 4]}, after: {after}}}}}}}" for place, name in enumerate(names)
    ]
    law, _ = compile_tables(loads("\n".join([head + "  states:", *states])))
    assert law.exits["too_late"][0] == pytest.approx(1 - math.exp(-1.0))


def test_choices(law: Tables, names: Names) -> None:
    """Running sums in the order written in that very table; entries without a share have no row."""
    first, count = law.kinds[0, 0][["severity_first", "severity_count"]]
    rows = law.choices[first : first + count]
    assert rows["sum"].tolist() == [0.25, 1.0]
    assert [names.severities[severity] for severity in rows["to"]] == ["severe", "minor"]
    first, count = law.kinds[3, 0][["severity_first", "severity_count"]]
    assert [names.severities[severity] for severity in law.choices["to"][first : first + count]] == ["severe"]


def test_rates_are_running_sums(law: Tables) -> None:
    """Per microsecond, kinds in order, segments that a kind does not name at zero."""
    np.testing.assert_allclose(law.rates[0], np.array([[1, 2], [0, 3]]) / DAY, rtol=1e-15)
    assert law.kinds["genuine"][0].tolist() == [1, 0]
    assert law.kinds["detection"][0].tolist() == [0.5, 1.0]
    assert law.kinds["delay"][0].tolist()[1] == -1


def test_distributions_are_shared(law: Tables) -> None:
    """Equal durations have one row, whatever their unit; an empirical one points to its quantiles."""
    fixed = law.distributions[law.distributions["family"] == FAMILIES.index("fixed")]
    assert len(set(fixed["a"])) == len(fixed)
    assert law.kinds[0, 0]["delay"] == law.exits[0, 1]["after"] == law.exits[0, 3]["after"]
    assert law.exits[1, 1]["after"] == law.exits[2, 1]["after"]
    observed = law.distributions[law.exits[0, 2]["after"]]
    assert law.quantiles[observed["first"] : observed["first"] + observed["count"]].tolist() == [DAY, 2 * DAY, 4 * DAY]


def test_segments(law: Tables) -> None:
    """Sizes, codes, joins, propensity and audience."""
    assert law.segments["accounts"].tolist() == [7, 5]
    assert law.segments["code"].tolist() == [name_code("shops"), name_code("media")]
    assert law.segments["joins_from"].tolist() == [0, DAY]
    assert law.segments["joins_to"].tolist() == [0, 3 * DAY]
    assert law.segments["propensity_sigma"].tolist() == [0.5, 0]
    assert law.segments["audience"][0] == -1
    assert law.distributions["a"][law.segments["audience"][1]] == 100
    assert law.codes.tolist() == [name_code(draw) for draw in DRAWS]


def test_waves_are_those_in_force_at_their_date(law: Tables, names: Names) -> None:
    """By date, ties as written; the count of the phase in force; states named or all that are not absorbing."""
    assert law.waves["at"].tolist() == [4 * DAY, 10 * DAY, 10 * DAY]
    assert law.waves["genuine"].tolist() == [0, 1, 1]
    assert law.waves["cut"].tolist() == [0.0, 0.5, 0.0]
    assert law.waves["cut_account"].tolist() == [3, -1, 4]
    moved = [{names.states[state] for state in np.flatnonzero(row >= 0)} for row in law.wave_moves]
    assert moved == [{"fine", "warned"}, set(names.states) - {"gone"}, set(names.states) - {"gone"}]


def test_absorbing() -> None:
    """No exits, no desk, no reaction, no activity: each alone keeps a state from being absorbing."""
    states = loads(LADDER).spec.ladder.states
    assert {name for name, state in states.items() if absorbing(state)} == {"gone"}


def test_desks(law: Tables) -> None:
    """A desk that ever has a number of reviewers is limited; its staff over time says when it is unlimited."""
    assert law.desks["limited"].tolist() == [1]
    assert is_coupled(law)
    assert law.staff_from.tolist() == [0, 8 * DAY]
    assert law.staff.tolist() == [2, UNLIMITED]
    for reviewers, limited in (("unlimited", False), (0, True)):
        text = LADDER.replace("      desks.desk.reviewers: unlimited\n", "")
        changed, _ = compile_tables(loads(text).with_values({"desks.desk.reviewers": reviewers}))
        assert is_coupled(changed) is (limited and reviewers != 0)


def test_keyed(law: Tables) -> None:
    """A replication has its key and the cut-offs of its counted orders; the compiled tables stay as they were."""
    mine = keyed(law, 9, 4)
    assert mine.key.tolist() == key(9, 4).tolist()
    assert law.key.tolist() == [0, 0]
    assert law.waves["cut_account"].tolist() == [3, -1, 4]
    assert 0.0 < mine.waves["cut"][0] < 1.0
    assert mine.waves["cut"][1] == 0.5
    assert mine.waves["cut_account"][1] == -1
    assert 0 <= mine.waves["cut_account"][0] < 7
    other = keyed(law, 9, 5)
    assert other.waves["cut"][0] != mine.waves["cut"][0]


def test_scenario_without_violations_or_desks() -> None:
    """Empty tables keep their dimensions."""
    text = (
        "schema: 1\ntitle: Nothing\nassumed: [all]\nstart: 2023-01-01\nhorizon: 2 days\nsegments: {a: {accounts: 1}}\n"
    )
    law, names = compile_tables(loads(text + "ladder: {start: on, bans: [], states: {on: {activity: 0}}}\n"))
    assert law.rates.shape == (1, 1, 0)
    assert law.kinds.shape == (1, 0)
    assert law.exits.shape == (1, 0)
    assert law.wave_moves.shape == (0, 1)
    assert names.moves == ((-1, 0, "joined"),)
    assert not is_coupled(law)


@pytest.mark.parametrize("name", ["desk", "strikes", "timeline"])
def test_golden_scenarios_compile_alike_twice(name: str) -> None:
    """Compiling is a function of the scenario, and of its resolved form."""
    scenario = load(GOLDEN / f"{name}.yaml")
    first, names = compile_tables(scenario)
    second, again = compile_tables(loads(scenario.resolved_yaml()))
    assert names == again
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
