"""Thousands of spoilt files: each is a scenario, or refused with file and line; none crashes, hangs or eats memory.

20,000 scenario files and 2,000 tables of each sort by default; `pytest tests/fuzz --fuzz-cases 1000000` does a million files (with
`-n 8` in eight processes), `--fuzz-from 2000000` others. What is done with a case, and how to make one again by its number, is told in `worker.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WORKER = Path(__file__).parent / "worker.py"
SHARES = {"bytes": 0.5, "lines": 0.25, "tree": 0.15, "schema": 0.1}
LEAST_VALID = {
    "bytes": 0.02,
    "lines": 0.01,
    "tree": 0.02,
    "schema": 0.2,
    "histories": 0.05,
    "targets": 0.05,
    "observed": 0.05,
}
"""Of the cases of a family so many at least are valid: were the changes so wild that none is, only the first lines of the loader would be tried."""
MOST_VALID = 0.9
PORTION = 50_000
"""Cases of one process."""
TABLES = 2_000
MEBIBYTES = 500
SECONDS = 2.0


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Portions of each family, which pytest can share out."""
    if "first" in metafunc.fixturenames:
        cases, begin = (metafunc.config.getoption(f"--fuzz-{what}") for what in ("cases", "from"))
        counts = {family: max(1, int(cases * share)) for family, share in SHARES.items()}
        portions = [
            pytest.param(family, first, min(first + PORTION, begin + count), id=f"{family}-{first}")
            for family, count in counts.items()
            for first in range(begin, begin + count, PORTION)
        ]
        metafunc.parametrize(("family", "first", "last"), portions)


@pytest.fixture(scope="module", autouse=True)
def compiled_before() -> None:
    """Have machine code made by a process of its own: the compiler's memory is not that of a case."""
    files = [str(path) for path in sorted((WORKER.parents[1] / "golden").glob("*.yaml"))]
    run = "import sys, sim; [sim.run(path, histories=1) for path in sys.argv[1:]]"
    subprocess.run([sys.executable, "-c", run, *files], check=True, timeout=600)


def done(family: str, first: int, last: int) -> dict[str, Any]:
    """What a process of its own makes of these cases."""
    command = [sys.executable, str(WORKER), family, str(first), str(last)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=120 + (last - first) * 0.2, check=False)
    assert made.returncode == 0, made.stderr[-3000:]
    found: dict[str, Any] = json.loads(made.stdout.splitlines()[-1])
    return found


def check(found: dict[str, Any], count: int) -> None:
    """No case failed, was slow or took much memory; and there were valid and invalid ones."""
    assert not found["failed"], f"{found['failed']} failed\n" + "\n".join(found["failures"])
    assert found["cases"] >= 0.95 * count  # hypothesis gives up on a few
    assert found["slowest"] < SECONDS
    assert found["memory_mib"] < MEBIBYTES
    if count >= 500:
        assert LEAST_VALID[found["family"]] < found["valid"] / found["cases"] < MOST_VALID


def test_spoilt_scenario_files(family: str, first: int, last: int) -> None:
    found = done(family, first, last)
    check(found, last - first)
    assert found["ran"] > 0 or last - first < 1_000


@pytest.mark.parametrize("family", ["histories", "targets", "observed"])
def test_spoilt_tables(family: str) -> None:
    """Each is read, or refused with what is wrong and what would do; a twentieth at least is read."""
    found = done(family, 0, TABLES)
    check(found, TABLES)
    assert (found["cases"], found["failed"]) == (TABLES, 0)
    assert TABLES / 20 < found["valid"] < TABLES


def test_a_tree_of_more_values_than_any_text_has() -> None:
    """Found by a run of 670,000 cases: parts doubled fifty times, three times over."""
    found = done("tree", 166_061, 166_062)
    check(found, 1)
    assert (found["cases"], found["valid"], found["failed"]) == (1, 0, 0)  # refused, with a fault that has a line
