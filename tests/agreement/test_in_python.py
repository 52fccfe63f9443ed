"""With Numba switched off, Python lives the same lives as machine code, to the last bit: what a measurement of coverage sees is the law."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from agreement import in_python

from sim.engines import compiled
from sim.model import jit
from sim.model.interpreted import bits_of, fma, number_of
from sim.model.interpreted import in_python as python_of


@pytest.mark.machine_code
def test_python_lives_the_same_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws, quantiles, and every event and count of golden cases and random scenarios on both engines."""
    assert not jit.IS_INTERPRETED
    file = tmp_path / "python.npz"
    command = [sys.executable, str(Path(in_python.__file__)), str(file)]
    subprocess.run(command, env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, check=True, timeout=600)
    monkeypatch.setattr(compiled, "PILOT", 2)
    mine = in_python.found()
    with np.load(file) as theirs:
        assert set(theirs.files) == set(mine)
        assert [name for name in mine if not np.array_equal(mine[name], theirs[name])] == []
        assert [name for name in mine if mine[name].dtype != theirs[name].dtype] == []
    assert sum(len(part) for name, part in mine.items() if name.endswith("events")) > 10_000


def exactly(a: float, b: float, c: float) -> float:
    """``a * b + c`` rounded once, from fractions."""
    return float(Fraction(a) * Fraction(b) + Fraction(c))


def test_fma_rounds_once() -> None:
    """Against fractions, on sums that cancel almost all; and it is not what two roundings give."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=2000), rng.normal(size=2000)
    c = -(a * b) * (1.0 + rng.choice([0.0, 2.0**-52, 1e-9, 1.0], 2000))
    found = [fma(*each) for each in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)]
    assert found == [exactly(*each) for each in zip(a, b, c, strict=True)]
    assert np.count_nonzero(np.array(found) != a * b + c) > 500


@pytest.mark.parametrize(("a", "b", "c"), [(0.0, -1.0, -0.0), (0.0, 1.0, -0.0), (-0.0, 2.0, 0.0), (3.0, 2.0, -6.0)])
def test_zero_has_its_sign(a: float, b: float, c: float) -> None:
    """A sum that is nothing has the sign that IEEE 754 gives it."""
    assert bits_of(fma(a, b, c)) == bits_of(a * b + c)


def test_bits() -> None:
    """The bits of a number and back; the highest is the sign."""
    assert bits_of(1.0) == 0x3FF0000000000000
    assert bits_of(-0.0) == -(2**63)
    assert all(number_of(bits_of(each)) == each for each in (0.1, -2.5, 5e-324, 1.7e308))


def test_python_sees_what_machine_code_sees() -> None:
    """Rows with attributes that write through, whole numbers that do not wrap, unsigned ones that do, division by zero."""
    rows = np.zeros(2, [("count", "u4"), ("pair", "i8", (2,)), ("word", "u8")])

    @python_of
    def change(rows: np.ndarray, flags: np.ndarray, x: float, words: np.ndarray) -> tuple[object, ...]:
        me = rows[1]
        me.count = 7
        me.pair[1] = me.count - 9
        me.word = 5
        rows[0] = me
        words[0] += np.uint64(2)
        total = 0
        for flag in flags:
            total += flag
        for place in range(len(flags)):
            total += flags[place]
        return me.count - 9, total, np.float64(1.0) / x, type(me.word)

    words = np.array([2**64 - 1], np.uint64)
    found = change(rows, np.full(200, 3, np.uint8), np.float64(0.0), words)
    assert found == (-2, 1200, np.inf, np.uint64)
    assert words[0] == 1
    assert rows["count"].tolist() == [7, 7]
    assert rows["pair"].tolist() == [[0, -2], [0, -2]]
