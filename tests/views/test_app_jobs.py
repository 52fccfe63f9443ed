"""Long runs of the app: progress, stopping, room, and those that are forgotten."""

from __future__ import annotations

import threading
import time

import pytest

from sim.experiments.replications import Settings, run_in_memory
from sim.views.app.jobs import Job, Progress, StoppedError, within
from sim.views.app.picture import draw
from sim.views.app.sources import of_catalogue

PATIENCE = 30.0


def wait_for(job: Job[int], *states: str) -> str:
    """Look at a job until it has one of some states."""
    end = time.monotonic() + PATIENCE
    while job.state not in states and time.monotonic() < end:
        time.sleep(0.01)
    return job.state


def endless(progress: Progress) -> int:
    """Work that ends only by being told to."""
    while True:
        progress(0.25)
        time.sleep(0.005)


def test_a_job_comes_to_its_end() -> None:
    """Its result is there, and its room is free."""
    room = threading.Semaphore(1)
    job = Job(lambda progress: [progress(0.5), 7][1], room)
    assert wait_for(job, "done") == "done"
    assert (job.result, job.share, job.error) == (7, 0.5, None)
    assert room.acquire(blocking=False)


def test_a_job_stops_when_told() -> None:
    """At its next report; one that waits stops too, without ever having run."""
    room = threading.Semaphore(1)
    first, second = Job(endless, room), Job(endless, room)
    assert wait_for(first, "running") == "running"
    assert second.state == "waiting"
    second.stop()
    assert wait_for(second, "stopped") == "stopped"
    assert first.share == 0.25
    first.stop()
    assert wait_for(first, "stopped") == "stopped"
    assert room.acquire(blocking=False)


def test_a_forgotten_job_stops() -> None:
    """A page that was closed leaves no work behind; one that is watched goes on."""
    room = threading.Semaphore(2)
    forgotten, watched = Job(endless, room, forgotten_seconds=0.3), Job(endless, room, forgotten_seconds=0.3)
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        assert watched.state in ("waiting", "running")
        time.sleep(0.02)
    forgotten.join(PATIENCE)
    assert forgotten.state == "stopped"
    watched.stop()


def test_a_failure_is_told() -> None:
    """And frees the room."""
    room = threading.Semaphore(1)
    job: Job[int] = Job(lambda progress: 1 // 0, room)
    assert wait_for(job, "failed") == "failed"
    assert isinstance(job.error, ZeroDivisionError)
    assert room.acquire(blocking=False)


def test_engines_stop() -> None:
    """A run of 1.1 billion accounts ends within seconds of being told, whichever of its parts is under way."""
    base = of_catalogue("wechat_2022")
    run_in_memory(base.scaled(1e-5), Settings(1))  # compiled
    other = base.with_values({"ladder.states.rectifying.exits.deadline.after": "3 days"})
    for part in (0.02, 0.3, 0.55, 0.8):
        told = []

        def progress(share: float, part: float = part, told: list[float] = told) -> None:
            if share >= part:
                told.append(time.monotonic())
                raise StoppedError

        with pytest.raises(StoppedError):
            draw(base, other, 1, progress)
        assert time.monotonic() - told[0] < 5.0


def test_time_is_bounded() -> None:
    """What takes longer than it may is stopped."""
    progress = within(0.05)
    progress(0.1)
    time.sleep(0.1)
    with pytest.raises(StoppedError, match=r"longer than 0\.05 seconds"):
        progress(0.2)
