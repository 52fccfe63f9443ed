"""The manifest: what it takes to make the same run again, and on what it was made."""

from __future__ import annotations

import platform
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sim.results.tables import Codes
from sim.scenario import Scenario

PACKAGES = (
    "enforcement-sim",
    "numpy",
    "numba",
    "scipy",
    "simpy",
    "pandas",
    "pyarrow",
    "pydantic",
    "ruamel.yaml",
    "SALib",
)


def command_line() -> list[str]:
    """What this process was started with, as text; bytes that are none are told by their numbers."""
    return [word.encode(errors="backslashreplace").decode() for word in sys.argv]


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that numbers depend on."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    """They are looked up once: that takes longer than a small run."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def categories(codes: Codes) -> dict[str, list[str]]:
    """Names that each categorical column may hold, in file order."""
    names = codes.names
    states = list(names.states)
    return {
        "segment": list(names.segments),
        "state": states,
        "from_state": states,
        "to_state": states,
        "cause": list(codes.causes),
        "kind": list(names.kinds),
        "severity": list(names.severities),
        "desk": list(names.desks),
    }


def identity(scenario: Scenario) -> dict[str, Any]:
    """Which scenario it was, and the what-if files that it went through."""
    return {
        "name": scenario.name,
        "title": scenario.spec.title,
        "file": None if scenario.file is None else str(scenario.file),
        "sha256": scenario.sha256(),
        "what_ifs": [asdict(step) for step in scenario.derived],
    }


def manifest(codes: Codes, settings: dict[str, Any], wall_seconds: float, invariants: dict[str, Any]) -> dict[str, Any]:
    """Manifest of a run, but for its tables' hashes, which the store adds.

    Parameters
    ----------
    settings
        Seed, replications, engine and histories, as they were asked for.
    wall_seconds
        Duration of the run.
    invariants
        What was checked of its numbers: `sim.results.invariants.told`.
    """
    return {
        "scenario": identity(codes.scenario),
        **settings,
        "versions": versions(),
        "platform": platform.platform(),
        "command": command_line(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "wall_seconds": round(wall_seconds, 3),
        "invariants": invariants,
        "categories": categories(codes),
    }
