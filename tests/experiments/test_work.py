"""Tasks give the same outcomes wherever and however often they run: by any number of workers, after a kill, on a cluster that loses a worker."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from sim.errors import RunError
from sim.experiments import cluster, work
from sim.experiments.keeping import content_of_sealed
from sim.experiments.replications import Settings, run_in_memory
from sim.experiments.resumable import REPLICATIONS, Made
from sim.experiments.work import Task, TasksFailedError, make_all, perform, run_tasks, tasks_of
from sim.results.outcome import Outcome
from sim.results.placing import NotWrittenError
from sim.results.store import unpacked
from sim.results.summary import Value
from sim.results.tables import BAN_COLUMNS
from sim.scenario import Scenario, load

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"


def golden(name: str) -> Scenario:
    """One of the golden scenarios."""
    return load(GOLDEN / f"{name}.yaml")


@cache
def some_tasks() -> tuple[Task, ...]:
    """Three scenarios, some replications each."""
    return tuple(task for name in ("desk", "strikes", "timeline") for task in tasks_of(golden(name), 3, range(4)))


@cache
def wanted() -> tuple[str, ...]:
    """Their outcomes, one after the other."""
    return tuple(perform(task, 1).to_json() for task in some_tasks())


def found(**where: Any) -> list[str]:
    """Their outcomes by a scheduler; they come in the order of the tasks."""
    done = list(run_tasks(some_tasks(), **where))
    assert [task for task, _ in done] == list(some_tasks())
    return [outcome.to_json() for _, outcome in done]


@pytest.mark.parametrize("workers", [1, 2, 5, None])
def test_workers_do_not_show(workers: int | None) -> None:
    """Any number of them gives the same outcomes, in order."""
    assert found(workers=workers) == list(wanted())


@pytest.mark.parametrize("name", ["desk", "strikes", "timeline"])
def test_outcome_is_that_of_a_run(name: str) -> None:
    """Measures and curves of a task are those of the tables of the same replication of a run."""
    run = run_in_memory(golden(name), Settings(3, 1, "auto", 0))
    outcome = perform(tasks_of(golden(name), 3, [0])[0])
    values = {(row.measure, row.segment, row.state): row.value for row in run.summary.itertuples()}
    assert {tuple(measure[:3]): value.value for measure, value in outcome.measures.items()} == pytest.approx(
        values, rel=0, abs=0, nan_ok=True
    )
    bans, occupancy = run.table("bans"), run.table("occupancy")
    assert outcome.bans.reshape(-1, 4).tolist() == bans[list(BAN_COLUMNS)].to_numpy().tolist()
    assert outcome.occupancy.ravel().tolist() == occupancy["accounts"].tolist()
    assert outcome.independent == (name != "desk")


def test_outcome_survives_its_text() -> None:
    """Values that are not numbers, too."""
    outcome = perform(some_tasks()[0], 1)
    measure = next(iter(outcome.measures))
    odd = replace(outcome, measures={**outcome.measures, measure: Value(math.nan)})
    again = Outcome.from_json(odd.to_json())
    assert math.isnan(again.measures[measure].value)
    assert again.to_json() == odd.to_json()
    assert again.bans.dtype == outcome.bans.dtype


def test_kept_outcomes_are_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept is not done again; what cannot be read is; nothing half-written stays."""
    assert found(folder=tmp_path, workers=2) == list(wanted())
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {f"{task.key}.json" for task in some_tasks()}
    half, bent, bit, another, empty = some_tasks()[:5]
    files = {task: tmp_path / f"{task.key}.json" for task in some_tasks()}
    text = files[half].read_text()
    files[half].write_text(text[: len(text) // 2])
    number = next(place for place in range(100, len(text)) if files[bent].read_text()[place] in "123")
    files[bent].write_text(files[bent].read_text()[:number] + "4" + files[bent].read_text()[number + 1 :])
    files[bit].write_bytes(bytes([files[bit].read_bytes()[0] ^ 1]) + files[bit].read_bytes()[1:])
    files[another].write_bytes(files[some_tasks()[5]].read_bytes())  # whole, but not what this task has made
    files[empty].write_bytes(b"")
    done: list[Task] = []

    def counted(task: Task, threads: int | None = None) -> Outcome:
        done.append(task)
        return perform(task, threads)

    monkeypatch.setattr(work, "perform", counted)
    assert found(folder=tmp_path) == list(wanted())
    assert sorted(task.key for task in done) == sorted(task.key for task in (half, bent, bit, another, empty))


def test_key_knows_what_decides() -> None:
    """Scenario, seed and replication have a part in the name under which an outcome is kept, the engine has none."""
    task = some_tasks()[0]
    assert replace(task, engine="process", point="other").key == task.key
    others = [replace(task, seed=4), replace(task, replication=9), replace(task, scenario=task.scenario + "\n")]
    assert len({task.key, *(other.key for other in others)}) == 4


def test_failure_names_its_point_and_loses_nothing(tmp_path: Path) -> None:
    """The others are handed on and kept; the error comes last."""
    tasks = list(some_tasks()[:4])
    tasks[1] = Task("rate=7", "schema: 1\n", 3, 17)
    tasks[2] = replace(tasks[2], seed=-1, point="seed=-1")
    shares: list[float] = []
    done: list[Task] = []
    coming = run_tasks(tasks, workers=2, folder=tmp_path, progress=shares.append)
    with pytest.raises(TasksFailedError, match="2 of the tasks failed") as caught:
        done.extend(task for task, _ in coming)
    assert done == [tasks[0], tasks[3]]
    assert "rate=7, replication 17: ScenarioError: " in str(caught.value)
    assert "seed=-1, replication 2: ValueError: seed must not be negative" in str(caught.value)
    assert [task for task, _ in caught.value.failures] == tasks[1:3]
    assert shares == [0.25, 0.5, 0.75, 1.0]
    assert len(list(tmp_path.iterdir())) == 2


def test_folder_in_the_place_of_an_outcome(tmp_path: Path) -> None:
    """It is named, with a way on; what was done before it is kept, and once it is moved away the same call goes on."""
    tasks = some_tasks()[:2]
    taken = tmp_path / f"{tasks[1].key}.json"
    taken.mkdir()
    told = re.escape(f"{taken} is a folder; move it away and give the command again")
    with pytest.raises(NotWrittenError, match=told):
        list(run_tasks(tasks, folder=tmp_path, workers=1))
    assert sorted(tmp_path.iterdir()) == sorted([taken, tmp_path / f"{tasks[0].key}.json"])
    taken.rmdir()
    assert [outcome.to_json() for _, outcome in run_tasks(tasks, folder=tmp_path)] == list(wanted()[:2])


def test_no_more_is_done_than_can_be_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first outcome is looked at, only so many others are made."""
    outcome = perform(some_tasks()[0], 1)
    done: list[Task] = []
    monkeypatch.setattr(work, "perform", lambda task, threads: done.append(task) or outcome)
    many = [replace(some_tasks()[0], replication=number) for number in range(100)]
    coming = run_tasks(many, workers=2)
    next(coming)
    time.sleep(0.1)
    assert len(done) <= 2 * work.LOOK_AHEAD
    assert len(list(coming)) == 99


def test_nothing_to_do() -> None:
    """No tasks, no outcomes."""
    assert list(run_tasks([])) == []


needs_dask = pytest.mark.skipif(find_spec("distributed") is None, reason="needs distributed (extra `cluster`)")


@needs_dask
def test_cluster_that_loses_a_worker(
    dask: tuple[str, list[subprocess.Popen[bytes]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real scheduler, two workers on loopback, one killed half-way: the same outcomes; a task that fails there is named."""
    address, workers = dask
    monkeypatch.setattr(cluster, "PATIENCE_SECONDS", 60)
    kept = tmp_path / "kept"
    seen = []
    for task, outcome in run_tasks(some_tasks(), cluster=address, folder=kept):
        seen.append((task, outcome.to_json()))
        if len(seen) == len(some_tasks()) // 3:
            workers[0].kill()
    assert seen == list(zip(some_tasks(), wanted(), strict=True))
    assert workers[0].wait() != 0
    assert len(list(kept.glob("*.json"))) == len(some_tasks())
    tasks = [some_tasks()[0], Task("rate=7", "schema: 1\n", 3, 17)]
    with pytest.raises(TasksFailedError, match=r"rate=7, replication 17: ScenarioError"):
        list(run_tasks(tasks, cluster=address))


@needs_dask
def test_no_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said where none answers."""
    monkeypatch.setattr(cluster, "PATIENCE_SECONDS", 0.3)
    with pytest.raises(RunError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1"):
        list(run_tasks(some_tasks(), cluster="tcp://127.0.0.1:1"))


def test_worker_with_other_versions() -> None:
    """Its outcomes could differ, so that it must not work."""
    mine = cluster._versions()
    assert cluster._there(len, "abc", mine) == 3
    with pytest.raises(RunError, match=r"a worker of the cluster has .* this machine has numpy 1\.0: outcomes"):
        cluster._there(len, "abc", (mine[0], "numpy 1.0", *mine[2:]))


def test_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra is named."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(RunError, match=r"enforcement-sim\[cluster\]"):
        list(run_tasks(some_tasks(), cluster="tcp://127.0.0.1:1"))


def test_kept_tables_are_those_of_their_task(tmp_path: Path) -> None:
    """One bit of a kept archive is another, in its table of contents, where no checksum of its own looks; or one task's stands for another's."""
    tasks = tasks_of(golden("desk"), 3, range(3), histories=20)

    def packed() -> list[bytes]:
        made = make_all(tasks, REPLICATIONS, folder=tmp_path, workers=1)
        return [kept.packed if isinstance(kept, Made) else content_of_sealed(kept) for _, kept in made]

    whole = packed()
    files = [tmp_path / f"{task.key}.tables" for task in tasks]
    content = bytearray(files[0].read_bytes())
    content[content.rindex(b"PK\x01\x02") + 20] ^= 8
    files[0].write_bytes(bytes(content))
    files[1].write_bytes(files[2].read_bytes())
    assert packed() == whole
    assert [content_of_sealed(file) for file in files] == whole
    outcome, parts = unpacked(files[0])
    assert outcome == perform(tasks[0], 1).to_json()
    assert {name for name, _ in parts} >= {"bans", "histories"}
