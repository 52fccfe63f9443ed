"""Bad input that has a name: refused with file and line where there is one, in two seconds and 500 MB like every case of the fuzzer (`named.py`).

What would make too many events, a ladder that loops every microsecond among it, is in `test_too_many_events.py`; messages word for word, in
`tests/invalid`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from named import REFUSED, SOUND

SECONDS = 10.0 if "COVERAGE_PROCESS_START" in os.environ else 2.0
"""Of processor time; to watch every line that is run takes three to five times as long."""
MEBIBYTES = 500


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a process of its own makes of every case."""
    command = [sys.executable, str(Path(__file__).parent / "named.py"), str(tmp_path_factory.mktemp("named"))]
    made = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert made.returncode == 0, made.stderr[-3000:]
    told: dict[str, Any] = json.loads(made.stdout.splitlines()[-1])
    return told


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_no_time(name: str, found: dict[str, Any]) -> None:
    case = found["cases"][name]
    assert re.search(REFUSED[name][1], case["told"]), case["told"]
    assert case["seconds"] < SECONDS


@pytest.mark.parametrize("name", SOUND)
def test_it_is_valid_and_no_slower(name: str, found: dict[str, Any]) -> None:
    case = found["cases"][name]
    assert case["told"] == ""
    assert case["seconds"] < SECONDS


def test_none_takes_much_memory(found: dict[str, Any]) -> None:
    assert found["memory_mib"] < MEBIBYTES
