"""Options of the test suite."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# A busy machine is no fault, and the same commit gives the same cases.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    """How many random scenarios the engines must agree on, how often work is killed, and how many spoilt files the loader must refuse."""
    parser.addoption("--scenarios", type=int, default=200, help="random scenarios for tests/agreement")
    parser.addoption(
        "--kills", type=int, default=12, help="kills at random moments in tests/experiments/test_resume.py"
    )
    parser.addoption("--fuzz-cases", type=int, default=20_000, help="spoilt scenario files for tests/fuzz")
    parser.addoption(
        "--fuzz-from", type=int, default=0, help="number of the first of them: another number, other files"
    )


@pytest.fixture(scope="session", autouse=os.environ.get("NUMBA_DISABLE_JIT") == "1")
def _small_blocks() -> None:
    """Without Numba a draw takes microseconds: have fewer of them made for accounts that are not there. Blocks show in no number."""
    from sim.engines import compiled

    compiled.BLOCK = 32
