"""Numba as it is set up: where machine code is kept, and instructions that mean in machine code what they mean in Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest

from sim.model import interpreted, jit

ROOT = Path(__file__).parents[2]


def kept_at(monkeypatch: pytest.MonkeyPatch, chosen: str = "", writable: bool = True) -> Path:
    """Where machine code is kept under such circumstances."""
    monkeypatch.setattr(jit.config, "CACHE_DIR", chosen)
    package = Path(jit.__file__).parents[1]
    monkeypatch.setattr(jit, "_takes_files", lambda folder: writable or package not in folder.parents)
    return jit._cache_folder()


def test_where_machine_code_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder that was named; else beside the sources; else where the user keeps such things. Its name is that of the sources."""
    package = Path(jit.__file__).parents[1]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    beside = kept_at(monkeypatch)
    assert beside.parent == package / "__pycache__"
    assert kept_at(monkeypatch, str(tmp_path / "named")) == tmp_path / "named" / beside.name
    assert kept_at(monkeypatch, writable=False) == tmp_path / "xdg" / "enforcement-sim" / beside.name
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert kept_at(monkeypatch, writable=False) == tmp_path / "home" / ".cache" / "enforcement-sim" / beside.name


@pytest.mark.parametrize("part", jit.SOURCES)
def test_an_edit_never_meets_stale_code(part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder has another name as soon as a source of compiled functions changes, and none other."""
    for each in ("model", "engines", "views"):
        (tmp_path / each).mkdir()
        (tmp_path / each / "one.py").write_text(each)
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "model" / "jit.py"))
    before = kept_at(monkeypatch)
    (tmp_path / "views" / "one.py").write_text("changed")
    assert kept_at(monkeypatch) == before
    (tmp_path / part / "one.py").write_text("changed")
    assert kept_at(monkeypatch).parent == before.parent
    assert kept_at(monkeypatch) != before


FIRST_RUN = """
import sys
import numpy as np
import sim
from sim.cli import common
from sim.engines.heap import STANDING, new_heap, push
from sim.experiments.estimate import expected_events

expected_events(sim.load(sys.argv[1]))
print("looked at", file=sys.stderr)
common.tell_if_compiling()
push(new_heap(1, np.zeros(1, STANDING)), 0, 0.0, 0, 0)
print("an engine's is kept", file=sys.stderr)
common.tell_if_compiling()
"""


@pytest.mark.machine_code
def test_a_first_run_says_that_it_compiles(tmp_path: Path) -> None:
    """As long as there is no machine code of an engine; what was compiled to look at the scenario before the run is not meant."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    scenario = str(ROOT / "tests" / "golden" / "desk.yaml")
    command = [sys.executable, "-c", FIRST_RUN, scenario]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    looked, told, kept = done.stderr.splitlines()
    assert (looked, kept) == ("looked at", "an engine's is kept")
    assert "compiling, once" in told
    assert any(tmp_path.rglob("durations.*.nbc"))


@pytest.mark.machine_code
def test_instructions_mean_the_same_in_machine_code() -> None:
    """The fused product to its last bit, and bits there and back."""
    fused = numba.njit(lambda a, b, c: jit.fma(a, b, c))
    there = numba.njit(lambda number: jit.bits_of(number))
    back = numba.njit(lambda bits: jit.number_of(bits))
    a, b = np.random.default_rng(3).normal(size=(2, 500))
    for x, y in zip(a.tolist(), b.tolist(), strict=True):
        assert fused(x, y, -(x * y)) == interpreted.fma(x, y, -(x * y)) != 0.0
        assert there(x) == interpreted.bits_of(x)
        assert back(there(x)) == x


@pytest.mark.machine_code
def test_vectors_are_as_wide_as_the_processor_has_them() -> None:
    """The function that asks for it carries the mark that LLVM looks for, and another does not."""

    def asks(x: float) -> float:
        jit.use_widest_vectors()
        return x

    marked, plain = numba.njit(asks), numba.njit(lambda x: x)
    for function in (marked, plain):
        function(1.0)
    mark = '"prefer-vector-width"="512"'
    assert all(mark in text for text in marked.inspect_llvm().values())
    assert not any(mark in text for text in plain.inspect_llvm().values())


@pytest.mark.machine_code
def test_rows_are_fetched_by_the_processor_and_left_as_they_are() -> None:
    """Rows of records, rows of numbers, and a field of records are asked for; nothing changes, and nothing is read amiss."""

    def asks(rows: np.ndarray, place: int) -> None:
        jit.fetch_row(rows, place)

    fetch = numba.njit(asks)
    records = np.zeros(5, np.dtype([("due", "i8"), ("rest", "i8", 24)]))
    for rows in (records, np.arange(20, dtype=np.uint32).reshape(5, 4), records["due"]):
        before = rows.tobytes()
        for place in (0, 4, 10**6):  # a line that is not there is not an error for the processor
            fetch(rows, place)
        assert rows.tobytes() == before
    assert all("prefetch" in text for text in fetch.inspect_asm().values())
