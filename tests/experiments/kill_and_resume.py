"""Run by `test_resume.py` in a process of its own: verbs are killed at random moments, so many times in all, and taken up again.

Every run of a verb is a fork of this process, so that what takes long is loaded once; figures are not drawn. Prints, as JSON, how many finished tasks
the dead left behind each time, and whether the results that followed have the hashes of an undisturbed run.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

from sim import cli
from sim.experiments.folders import COMMAND, finished_tasks, tasks_folder
from sim.experiments.resumable import packed_replication
from sim.experiments.work import tasks_of
from sim.scenario import load
from sim.views import comparison, result, resuming, sweeps

SEED = 4
TASKS = {"sweep": 12, "run": 10, "compare": 10}
RATE = "violations.violation.rate.accounts=0.01 per day,0.02 per day,0.03 per day"
OPTIONS = {
    "sweep": ("--vary", RATE, "--replications", "4", "--workers", "2"),
    "run": ("--replications", str(TASKS["run"]), "--workers", "2", "--histories", "50"),
    "compare": ("other.yaml", "--replications", str(TASKS["compare"] // 2), "--workers", "2"),
}


def forked(*arguments: str) -> int:
    """A child that runs a verb quietly."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            sys.argv = ["enforcement-sim", *arguments, "--quiet"]
            cli.main()
            code = 0
        except SystemExit as stop:
            code = int(str(stop.code or 0))
        finally:
            os._exit(code)
    return child


def done(*arguments: str) -> bool:
    """Run a verb to its end."""
    _, status = os.waitpid(forked(*arguments), 0)
    return os.waitstatus_to_exitcode(status) == 0


def hashes(out: Path) -> object:
    """Hashes of all tables in a results folder."""
    return json.loads((out / "manifest.json").read_text())["tables"]


def killed(child: int, out: Path, tasks: int, seconds: float) -> int:
    """Kill a child some time after so many of its tasks are finished; says how many were."""
    begun = tasks_folder(out) / COMMAND
    while not ((begun.exists() and finished_tasks(out) >= tasks) or out.exists()):
        time.sleep(0.0005)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return finished_tasks(out)


def main(folder: Path, kills: int) -> None:
    """Kill and resume, so many times; the verbs take turns."""
    scenario = load(Path(__file__).parents[1] / "benchmarks" / "ladder.yaml")
    file = folder / "ladder.yaml"
    file.write_text(scenario.with_values({"segments.accounts.accounts": 10_000}).resolved_yaml())
    other = scenario.with_values({"segments.accounts.accounts": 10_000, RATE.partition("=")[0]: "0.02 per day"})
    (folder / "other.yaml").write_text(other.resolved_yaml())
    os.chdir(folder)
    comparison.Comparison.save_figures = lambda compared, folder: []
    sweeps.add_figures = lambda swept, folder: []
    result.add_figures = lambda folder, artist: None
    assert resuming.sweep is sweeps.sweep
    packed_replication(tasks_of(load(file), 0, [0])[0], 1)
    while threading.active_count() > 1:
        time.sleep(0.01)
    chance = random.Random(SEED)
    left: dict[str, list[int]] = {verb: [] for verb in TASKS}
    same: dict[str, list[bool]] = {verb: [] for verb in TASKS}
    for verb in TASKS:
        assert done(verb, str(file), *OPTIONS[verb], "--out", str(folder / verb))
    for number in range(kills):
        verb = tuple(TASKS)[number % len(TASKS)]
        out = folder / f"{verb}{number}"
        command = (verb, str(file), *OPTIONS[verb], "--out", str(out))
        child = forked(*command)
        left[verb].append(killed(child, out, chance.randrange(TASKS[verb]), chance.uniform(0.0, 0.02)))
        again = command if number % 2 else ("resume", str(out))
        whole = out.exists() and not finished_tasks(out)  # the kill came too late
        same[verb].append((whole or done(*again)) and hashes(out) == hashes(folder / verb))
    hidden = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    print(json.dumps({"left": left, "same": same, "hidden": hidden}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
