"""Prints the time and the memory that large work takes: ``python tests/benchmarks/load.py [part …]``.

Parts: ``accounts`` (a billion of them for ten years), ``replications`` (1,000), ``histories`` (all of 50 million events), ``sweep`` (10,000 points),
``states`` (200, in 50 segments), ``queue`` (10 million before a desk). All by default. Each is a command in a process of its own, as a user would
give it, figures and report included; the exit code says whether one of them failed or took over 4 GiB.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from memory import peak_of

from sim.scenario import load

HERE = Path(__file__).parent
MOST_MIB = 4 << 10
ENTRY = "from sim.cli import main; main()"

DECADE = """
schema: 1
title: WeChat's rule 3.24 for a billion accounts and ten years
extends: wechat_2022
set:
  end: 2032-03-01
  segments.personal.accounts: 979_996_500
"""
"""With the 20,003,500 accounts of the other segments they are a billion."""

QUEUE = """
schema: 1
title: Ten million accounts before one reviewer
assumed: [every number]
start: 2023-01-01
horizon: 30 days
segments:
  accounts: {accounts: 10_000_000}
violations:
  violation:
    rate: {accounts: 1 per day}
    severity: {minor: 100%}
    detection: {chance: 100%}
ladder:
  start: compliant
  bans: [banned]
  states:
    compliant:
      on_violation: {minor: under_review}
    under_review:
      activity: 0
      desk: review
      service: {exponential: {mean: 2 hours}}
      outcomes: {banned: 50%, compliant: 50%}
    banned: {activity: 0}
desks:
  review: {reviewers: 20}
"""


def wide_ladder(states: int, segments: int, accounts: int) -> str:
    """A scenario of so many segments, and a ladder of so many steps, each of which is left upwards by a violation and downwards by time."""
    names = [f"step_{number:03}" for number in range(states - 1)]
    lines = [
        "schema: 1",
        f"title: {states} states and {segments} segments",
        "assumed: [every number]",
        "start: 2023-01-01",
        "horizon: 365 days",
        "segments:",
        *(f"  segment_{number:02}: {{accounts: {accounts}}}" for number in range(segments)),
        "violations:",
        "  violation:",
        f"    rate: {{{', '.join(f'segment_{number:02}: {number + 1} per month' for number in range(segments))}}}",
        "    severity: {minor: 100%}",
        "    detection: {chance: 100%}",
        "ladder:",
        f"  start: {names[0]}",
        "  bans: [banned]",
        "  states:",
    ]
    for name, before, above in zip(names, [None, *names], [*names[1:], "banned"], strict=False):
        lines += [f"    {name}:", f"      on_violation: {{minor: {above}}}"]
        if before is not None:
            lines += ["      exits:", f"        forgiven: {{to: {before}, after: {{exponential: {{mean: 10 days}}}}}}"]
    return "\n".join([*lines, "    banned: {activity: 0}", ""])


def ladder_of(accounts: int) -> str:
    """The benchmark ladder with so many accounts."""
    return load(HERE / "ladder.yaml").with_values({"segments.accounts.accounts": accounts}).resolved_yaml()


def measured(what: str, text: str, verb: str, *options: str) -> bool:
    """Run a verb on a scenario and print what it took; says whether it was done within 4 GiB."""
    with tempfile.TemporaryDirectory() as place:
        Path(place, "load.yaml").write_text(text, encoding="utf-8")
        command = [sys.executable, "-c", ENTRY, verb, "load.yaml", *options, "--out", "out", "--quiet"]
        began = time.perf_counter()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        child = subprocess.Popen(command, cwd=place, env={**os.environ, "PYTHONPATH": str(HERE.parents[1])})
        peak = peak_of(child)
        seconds = time.perf_counter() - began
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
        written = sum(path.stat().st_size for path in Path(place, "out").rglob("*"))
    good = child.returncode == 0 and peak <= MOST_MIB
    print(
        f"{what:<48} {seconds:7.1f} s, {busy:7.1f} s of processor time, {peak / 1024:5.2f} GiB, "
        f"{written / 1e6:6.1f} MB written, exit code {child.returncode}",
        flush=True,
    )
    return good


def accounts() -> bool:
    """A billion accounts for ten years, few of whom violate."""
    return measured("a billion accounts, ten years", DECADE, "run")


def replications() -> bool:
    """A thousand replications, each saved as it finishes."""
    return measured("1,000 replications of 10,000 accounts", ladder_of(10_000), "run", "--replications", "1000")


def histories() -> bool:
    """Histories of all accounts: 7.02 events each."""
    return measured("histories of all, 50 million events", ladder_of(7_150_000), "run", "--histories", "all")


def sweep() -> bool:
    """A grid of 100 x 100 points."""
    rates = ",".join(f"{number / 5000} per day" for number in range(1, 101))
    limits = ",".join(f"{number} hours" for number in range(5, 505, 5))
    axes = ("violations.violation.rate.accounts=" + rates, "ladder.states.rectifying.exits.deadline.after=" + limits)
    options = [option for axis in axes for option in ("--vary", axis)]
    return measured("sweep of 10,000 points, 1,000 accounts each", ladder_of(1_000), "sweep", *options)


def states() -> bool:
    """A ladder as wide as it may get."""
    return measured("200 states, 50 segments of 1,000 accounts", wide_ladder(200, 50, 1_000), "run")


def queue() -> bool:
    """Nearly all accounts wait."""
    return measured("a queue of 10 million", QUEUE, "run")


PARTS: dict[str, Callable[[], bool]] = {
    part.__name__: part for part in (accounts, replications, histories, sweep, states, queue)
}


if __name__ == "__main__":
    chosen = [PARTS[name] for name in sys.argv[1:] or PARTS]
    done = [part() for part in chosen]  # all of them, whatever the first says
    sys.exit(0 if all(done) else 1)
