"""Run by `test_work.py` in a process of its own: tasks are killed at random moments and taken up again.

Every run is a fork of this process, so that what takes long is loaded once. Prints, as JSON, how many outcomes the dead left behind each time, and
whether the run that followed gave the outcomes of an undisturbed one.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

from sim.experiments.work import perform, run_tasks, tasks_of
from sim.scenario import load

TASKS = 12
TIMES = 20
SEED = 4


def hashed(folder: Path | None) -> str:
    """Hash of all outcomes of a small sweep, by two workers."""
    found = hashlib.sha256()
    for task, outcome in run_tasks(tasks(), workers=2, folder=folder):
        found.update(f"{task.point} {task.replication} {outcome.to_json()}".encode())
    return found.hexdigest()


def tasks() -> list:
    """Three points, four replications each."""
    base = load(Path(__file__).parents[1] / "benchmarks" / "ladder.yaml").with_values(
        {"segments.accounts.accounts": 10_000}
    )
    points = [base.with_values({"violations.violation.rate.accounts": f"0.0{n} per day"}) for n in (1, 2, 3)]
    return [task for point in points for task in tasks_of(point, 0, range(TASKS // len(points)))]


def forked(folder: Path | None, pipe: int) -> int:
    """A child that writes the hash of its run into a pipe."""
    child = os.fork()
    if child == 0:
        try:
            os.write(pipe, hashed(folder).encode())
        finally:
            os._exit(0)
    return child


def told_by(folder: Path | None) -> str:
    """The hash that a child finds, undisturbed."""
    reading, writing = os.pipe()
    child = forked(folder, writing)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        return pipe.read()


def main(folder: Path) -> None:
    """Kill and resume, so many times."""
    perform(tasks()[0], 1)
    while threading.active_count() > 1:
        time.sleep(0.01)
    chance = random.Random(SEED)
    wanted = told_by(None)
    left, same = [], []
    for number in range(TIMES):
        kept = folder / str(number)
        kept.mkdir()
        enough = chance.randrange(TASKS)
        child = forked(kept, os.open(os.devnull, os.O_WRONLY))
        while len(list(kept.glob("*.json"))) < enough:
            time.sleep(0.0005)
        time.sleep(chance.uniform(0.0, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        left.append(len(list(kept.glob("*.json"))))
        same.append(told_by(kept) == wanted != "")
    print(json.dumps({"left": left, "same": same}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
