"""Results folders of experiments over many points: tables as CSV, a manifest with their hashes, and figures, whole or not at all.

While an experiment runs, its finished tasks lie in a hidden folder beside the place of the results, `.<name>.tasks`, with the command that they
belong to. The same command, or `resume`, goes on from there after a kill; when the results are in place it is removed.

====================  ===============================================================================
`Command`             what was asked for: enough to ask for it again
`begun`               the folder of a command's tasks, while it is being worked on
`command_of`          the command that was begun and is not finished
`finished_tasks`      how many of its tasks are
`publish`             writes the results, and forgets the tasks
====================  ===============================================================================
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from sim.errors import ResultsError, ScenarioError
from sim.results.columns import Column
from sim.results.content import ContentHash
from sim.results.invariants import INVARIANTS
from sim.results.manifest import command_line, identity, versions
from sim.results.placing import KEPT, MANIFEST, Claim, Partial, clear_abandoned, writing
from sim.results.store import SCENARIO
from sim.scenario import Scenario, loads

Verb = Literal["run", "compare", "sweep", "draws", "sensitivity", "calibrate"]
COMMAND = "command.json"
_TASK = re.compile(r"[0-9a-f]{32}\.\w+")


@dataclass(frozen=True)
class Command:
    """What was asked for.

    Attributes
    ----------
    verb
        The function of this name makes it again.
    scenarios
        Resolved.
    settings
        Keyword -> value, as the function takes them, but for where it runs, which decides no numbers.
    force
        Whether results that are in the way are to be replaced.
    """

    verb: Verb
    scenarios: tuple[Scenario, ...]
    settings: Mapping[str, Any]
    force: bool = False

    def to_json(self) -> str:
        """Text that `from_json` reads back to the same."""
        scenarios = [
            {
                "name": scenario.name,
                "file": None if scenario.file is None else str(scenario.file),
                "text": scenario.resolved_yaml(),
            }
            for scenario in self.scenarios
        ]
        told = {
            "verb": self.verb,
            "force": self.force,
            "settings": dict(self.settings),
            "versions": versions(),
            "scenarios": scenarios,
        }
        return _dumped({**told, "sha256": _hash(told)})

    @staticmethod
    def from_json(text: str) -> Command:
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError, TypeError, AttributeError, RecursionError
            It is something else, or was altered.
        """
        told = json.loads(text)
        if told.pop("sha256", None) != _hash(told):
            raise ValueError("it is not as it was written")
        scenarios = [
            replace(loads(each["text"], name=each["name"]), file=None if each["file"] is None else Path(each["file"]))
            for each in told["scenarios"]
        ]
        return Command(told["verb"], tuple(scenarios), dict(told["settings"]), bool(told["force"]))


def _dumped(told: Mapping[str, Any]) -> str:
    return json.dumps(told, indent=2, ensure_ascii=False, default=_plain) + "\n"


def _hash(told: Mapping[str, Any]) -> str:
    return hashlib.sha256(_dumped(told).encode("utf-8", "backslashreplace")).hexdigest()


def _plain(value: object) -> object:
    """A value of NumPy as Python's own; anything else as it is shown."""
    item = getattr(value, "item", None)
    return str(value) if item is None else item()


def tasks_folder(out: Path) -> Path:
    """Where finished tasks lie until the results are in place."""
    return out.absolute().parent / f".{out.name}.tasks"


def finished_tasks(out: Path) -> int:
    """How many finished tasks are kept for a results folder."""
    folder = tasks_folder(out)
    return sum(_TASK.fullmatch(path.name) is not None for path in folder.iterdir()) if folder.is_dir() else 0


@contextmanager
def begun(out: Path, command: Command) -> Iterator[Path]:
    """The folder for the tasks of a command, while it is being worked on; left early, it stays if anything in it is finished.

    Raises
    ------
    ResultsError
        Another process is working on the same results.
    """
    folder = tasks_folder(out)
    with writing(out):
        folder.mkdir(parents=True, exist_ok=True)
    claim = Claim(folder)
    if not claim.granted:
        raise ResultsError(f"{out} is being worked on by another process; wait for it, or give --out for another place")
    try:
        text = command.to_json()
        with writing(out):
            written = folder / f".{COMMAND}"
            written.write_text(text, encoding="utf-8")
            written.replace(folder / COMMAND)
        yield folder
    except BaseException:
        with suppress(OSError):  # what went wrong is to be told, and not that clearing up does too
            if not finished_tasks(out):
                forget_tasks(out)
        raise
    finally:
        claim.release()


def forget_tasks(out: Path) -> None:
    """Remove the tasks kept for a results folder; by another name first, so that a late task finds no place to lie in."""
    gone = out.absolute().parent / f".{out.name}.tasks{os.getpid()}.partial"
    with suppress(FileNotFoundError):
        tasks_folder(out).rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def command_of(out: Path) -> Command:
    """The command that was begun for a results folder and is not finished.

    Raises
    ------
    ResultsError
        There is none: the results are complete, or nothing was begun; or it cannot be read.
    """
    clear_abandoned(out)
    folder = tasks_folder(out)
    complete = (out / MANIFEST).is_file()
    try:
        command = Command.from_json((folder / COMMAND).read_text(encoding="utf-8"))
    except FileNotFoundError:
        if complete:
            raise ResultsError(f"{out} is complete: there is nothing to resume") from None
        raise ResultsError(f"nothing to resume: no work on {out} has been begun, or none that can go on") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ScenarioError) as error:
        told = f"{folder / COMMAND} cannot be read: {type(error).__name__} {error}"
        raise ResultsError(f"{told}; give the command again, which goes on from the finished tasks") from error
    if complete and not command.force:  # killed after the results were put in their place
        forget_tasks(out)
        raise ResultsError(f"{out} is complete: there is nothing to resume")
    return command


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
    """What it takes to make the same experiment again, and the hashes of its tables.

    Its numbers come from outcomes of replications (`sim.results.outcome`), of which there is none unless the invariants hold.
    """
    return {
        "experiment": kind,
        "scenario": identity(scenario),
        **settings,
        "versions": versions(),
        "platform": platform.platform(),
        "command": command_line(),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "wall_seconds": round(wall_seconds, 3),
        "invariants": {"held": True, "checked": list(INVARIANTS)},
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
    with writing(folder, KEPT):
        partial = Partial(folder, force=force)
        try:
            for name, table in tables.items():
                table.to_csv(partial.path / f"{name}.csv", index=False)
            (partial.path / SCENARIO).write_text(scenario.resolved_yaml(), encoding="utf-8")
            text = json.dumps(dict(manifest), indent=2, ensure_ascii=False)
            (partial.path / MANIFEST).write_text(text + "\n", encoding="utf-8")
            decorate(partial.path)
            place = partial.publish()
        finally:
            partial.discard()
    forget_tasks(folder)
    return place
