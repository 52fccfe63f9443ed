"""Thousands of spoilt files: each is a scenario, or refused with file and line; none crashes, hangs or eats memory.

20,000 scenario files and 2,000 tables of each sort by default; `pytest tests/fuzz --fuzz-cases 1000000` does a million files. What is done with a
case, and how to make one again by its number, is told in `worker.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

WORKER = Path(__file__).parent / "worker.py"
SHARES = {"bytes": 0.55, "lines": 0.25, "tree": 0.15, "schema": 0.05}
TABLES = 2_000
MEBIBYTES = 500
SECONDS = 2.0


def done(family: str, count: int) -> dict[str, Any]:
    """What a process of its own makes of so many cases."""
    command = [sys.executable, str(WORKER), family, "0", str(count)]
    made = subprocess.run(command, capture_output=True, text=True, timeout=120 + count * 0.2, check=False)
    assert made.returncode == 0, made.stderr[-3000:]
    found: dict[str, Any] = json.loads(made.stdout.splitlines()[-1])
    return found


def check(found: dict[str, Any], count: int) -> None:
    assert not found["failed"], f"{found['failed']} failed\n" + "\n".join(found["failures"])
    assert found["cases"] >= 0.95 * count  # hypothesis gives up on a few
    assert found["slowest"] < SECONDS
    assert found["memory_mib"] < MEBIBYTES


@pytest.mark.parametrize("family", SHARES)
def test_spoilt_scenario_files(family: str, request: pytest.FixtureRequest) -> None:
    count = int(request.config.getoption("--fuzz-cases") * SHARES[family])
    found = done(family, count)
    check(found, count)
    if family != "schema" and count >= 4_000:
        assert found["valid"] > 50  # else the mutations are so wild that nothing but the first lines is tried
        assert found["ran"] > 0


@pytest.mark.parametrize("family", ["histories", "targets", "observed"])
def test_spoilt_tables(family: str) -> None:
    found = done(family, TABLES)
    check(found, TABLES)
    assert found["valid"] > 50
