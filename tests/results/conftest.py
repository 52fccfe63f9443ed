"""Fixtures of the tests of results."""

from __future__ import annotations

from pathlib import Path

import pytest
from results.written import write


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder to look at."""
    return write(tmp_path_factory.mktemp("results") / "deep" / "desk")
