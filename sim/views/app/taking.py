"""What a reader takes along from a picture: its tables as results folders, and its reports."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sim.experiments.replications import Collected
from sim.results.store import Writer
from sim.views.app.picture import Picture
from sim.views.app.sample import words_of
from sim.views.comparison import Comparison
from sim.views.result import Result

SIDES = ("baseline", "what-if")
FOLDERS = ("baseline", "what_if")
RESOLVED = "scenario.resolved.yaml"


def to_folder(run: Collected, folder: Path) -> Path:
    """Write a run as a results folder, tables as Parquet and CSV."""
    with Writer(folder, csv=True) as writer:
        for name, table in run.tables.items():
            writer.add(name, table)
        command = _command("run", RESOLVED, run.manifest["seed"])
        writer.finish({**run.manifest, "command": command}, run.scenario.resolved_yaml(), run.summary)
        return writer.publish()


def archive(picture: Picture) -> bytes:
    """Both runs as results folders and the differences as CSV, in one zip file."""
    made = io.BytesIO()
    with (
        tempfile.TemporaryDirectory(prefix="enforcement-sim-") as temporary,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file,
    ):
        root = Path(temporary)
        for name, run in zip(FOLDERS, (picture.baseline, picture.what_if), strict=True):
            to_folder(run, root / name)
        for name, table in picture.compared.tables.items():
            table.to_csv(root / f"{name}.csv", index=False)
        for path in sorted(path for path in root.rglob("*") if path.is_file()):
            file.write(path, path.relative_to(root).as_posix())
    return made.getvalue()


def _command(verb: str, *words: object) -> list[str]:
    """The command line that makes the same; this process itself was started by another. The last word is the seed."""
    return ["enforcement-sim", verb, *map(str, words[:-1]), "--seed", str(words[-1])]


def _written(save: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="enforcement-sim-") as temporary:
        file = Path(temporary) / "report.html"
        save(file)
        return file.read_bytes()


def report(picture: Picture, file_name: str) -> bytes:
    """The report of the what-if, one page of HTML; `file_name` is that of the scenario file that makes the same run."""
    run = picture.what_if
    told = {**run.manifest, "command": _command("run", file_name, run.manifest["seed"])}
    made = Result(replace(run, manifest=told), run.scenario)
    return _written(lambda file: made.save_report(file, note=words_of(picture.sample)))


def comparison_report(picture: Picture) -> bytes:
    """The report of the what-if held to the baseline, one page of HTML. Its command is for the folder of the unpacked `archive`."""
    found = picture.compared
    called = dict(zip(found.names, SIDES, strict=True))
    tables: dict[str, Any] = {
        name: table.assign(scenario=table["scenario"].map(called)) for name, table in found.tables.items()
    }
    files = [f"{folder}/{RESOLVED}" for folder in FOLDERS]
    told = {**found.manifest, "command": _command("compare", *files, found.manifest["seed"])}
    made = Comparison(names=SIDES, scenarios=found.scenarios, manifest=told, **tables)
    return _written(lambda file: made.save_report(file, note=words_of(picture.sample)))
