"""Results folders of experiments over many points: tables as CSV, a manifest with their hashes, and figures, whole or not at all.

While an experiment runs, its finished tasks lie in a hidden folder beside the place of the results, `.<name>.tasks`. The same command goes on
from there after a kill; when the results are in place it is removed.
"""

from __future__ import annotations

import json
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from sim.results.columns import Column
from sim.results.content import ContentHash
from sim.results.manifest import identity, versions
from sim.results.store import MANIFEST, SCENARIO, check_target
from sim.scenario import Scenario


def tasks_folder(out: Path) -> Path:
    """Where finished tasks lie until the results are in place."""
    return out.absolute().parent / f".{out.name}.tasks"


def content_of(table: pd.DataFrame) -> str:
    """Hash of a table's content: texts as names, whole numbers and others as such."""
    typed = table.copy()
    columns = []
    for name in table.columns:
        kind = table[name].dtype.kind
        if kind in "iu":
            columns.append(Column(str(name), "int"))
        elif kind == "f":
            columns.append(Column(str(name), "float"))
        elif kind == "b":
            columns.append(Column(str(name), "bool"))
        else:
            columns.append(Column(str(name), "category"))
            typed[name] = table[name].astype(str).astype("category")
    found = ContentHash(tuple(columns))
    found.add(typed)
    return found.hexdigest()


def manifest_of(
    kind: str, scenario: Scenario, settings: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], wall_seconds: float
) -> dict[str, Any]:
    """What it takes to make the same experiment again, and the hashes of its tables."""
    return {
        "experiment": kind,
        "scenario": identity(scenario),
        **settings,
        "versions": versions(),
        "platform": platform.platform(),
        "command": sys.argv,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "wall_seconds": round(wall_seconds, 3),
        "tables": {name: {"rows": len(table), "sha256": content_of(table)} for name, table in tables.items()},
    }


def publish(
    folder: Path,
    manifest: Mapping[str, Any],
    scenario: Scenario,
    tables: Mapping[str, pd.DataFrame],
    *,
    force: bool = False,
    decorate: Callable[[Path], object] = lambda folder: None,
) -> Path:
    """Write a results folder beside its place and rename it when everything is there; then forget the tasks.

    Parameters
    ----------
    decorate
        Called with the folder before it is put in its place: adds figures.

    Raises
    ------
    ResultsError
        The folder is in the way or cannot be written.
    """
    check_target(folder, force=force)
    place = folder.absolute()
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{place.name}.", suffix=".partial", dir=place.parent))
    try:
        partial.chmod(0o755)
        for name, table in tables.items():
            table.to_csv(partial / f"{name}.csv", index=False)
        (partial / SCENARIO).write_text(scenario.resolved_yaml(), encoding="utf-8")
        text = json.dumps(dict(manifest), indent=2, ensure_ascii=False)
        (partial / MANIFEST).write_text(text + "\n", encoding="utf-8")
        decorate(partial)
        check_target(folder, force=force)
        if place.exists():
            aside = partial.with_suffix(".old")
            place.rename(aside)
            try:
                partial.rename(place)
            except BaseException:
                aside.rename(place)
                raise
            shutil.rmtree(aside, ignore_errors=True)
        else:
            partial.rename(place)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(tasks_folder(folder), ignore_errors=True)
    return place
