"""The golden desk scenario, run into memory and into a results folder."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from sim.experiments.replications import Collected, Settings, run_in_memory, run_to_folder
from sim.results.columns import TABLES
from sim.results.placing import MANIFEST
from sim.results.store import SCENARIO, SUMMARY
from sim.scenario import Scenario, load

GOLDEN = Path(__file__).parents[1] / "golden"
SETTINGS = Settings(3, 2, "auto", 5)
FILES = {MANIFEST, SCENARIO, SUMMARY, *(f"{name}.parquet" for name in TABLES)}


@cache
def desk() -> Scenario:
    """The golden desk scenario."""
    return load(GOLDEN / "desk.yaml")


@cache
def in_memory() -> Collected:
    """Its run in memory."""
    return run_in_memory(desk(), SETTINGS)


def write(folder: Path, **options: Any) -> Path:
    """Write its results folder."""
    return run_to_folder(desk(), SETTINGS, folder, **options)


def everything(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
