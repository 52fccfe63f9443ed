"""What a stranger does first with an installed package, in an empty folder: ``python tests/release/installed.py``, with the Python that has it.

Needs nothing but the package: no checkout, no test tools. Stops at the first thing that is not as it should be.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

COMMAND = Path(sys.executable).parent / "enforcement-sim"
TABLES = ("occupancy", "bans", "transitions", "states", "violations", "desks", "waits", "histories")


def said(folder: Path, *arguments: str) -> str:
    """Standard output of the command."""
    done = subprocess.run(
        [COMMAND, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
        env={**os.environ, "COLUMNS": "200"},
    )
    if done.returncode:
        raise SystemExit(
            f"enforcement-sim {' '.join(arguments)}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        )
    print("ok  enforcement-sim", *arguments, flush=True)
    return done.stdout


def must(holds: bool, what: str) -> None:
    """Stop, unless it holds; an `assert` would be silent under ``python -O``."""
    if not holds:
        raise SystemExit(f"wrong: {what}")


def comes_from_the_wheel() -> None:
    """The package that is tried is the installed one, with what belongs in it."""
    import sim

    package = Path(str(sim.__file__)).parent
    must("site-packages" in package.parts, f"sim comes from {package}")
    for inside in (
        "py.typed",
        "_scenarios/wechat_2022.yaml",
        "_benchmarks/ladder.yaml",
        "views/report/templates/base.html.j2",
    ):
        must((package / inside).is_file(), f"{inside} is not in the wheel")
    must(not (package / "tests").exists(), "tests are in the wheel")
    print("ok  version", version("enforcement-sim"), "on Python", sys.version.split()[0], flush=True)


def words(folder: Path) -> None:
    """Verbs about files."""
    must("wechat_2022" in said(folder, "list"), "list does not tell of wechat_2022")
    schema = json.loads(said(folder, "schema"))
    must("Document" in schema["$defs"], "schema is none")
    must("rectifying" in said(folder, "show", "wechat_2022"), "show does not tell of the states")
    must("STRESS" in said(folder, "show", "wechat_2022", "--stress"), "show --stress is no checklist")
    said(folder, "validate", "wechat_2022_short_deadline")


def runs(folder: Path) -> None:
    """A small run on each engine, its folder, and the same again."""
    said(folder, "run", "twitch_2025", "--seed", "1", "--scale", "0.001", "--out", "compiled")
    said(folder, "run", "twitch_2025", "--seed", "1", "--scale", "0.001", "--out", "process", "--engine", "process")
    first, second = (
        json.loads((folder / name / "manifest.json").read_text("utf-8")) for name in ("compiled", "process")
    )
    must(first["tables"] == second["tables"], "the engines do not agree")
    for table in TABLES:
        must((folder / "compiled" / f"{table}.parquet").is_file(), f"{table} is missing")
    report = (folder / "compiled" / "report.html").read_text("utf-8")
    must("vega" in report and "http-equiv" in report, "report.html has no figures or no policy")
    must(bool(list((folder / "compiled" / "figures").glob("*.png"))), "no figures")
    must("STRESS" in said(folder, "show", "compiled", "--stress"), "show --stress cannot read a results folder")
    said(folder, "reproduce", "compiled")


if __name__ == "__main__":
    comes_from_the_wheel()
    with tempfile.TemporaryDirectory() as made:
        words(Path(made))
        runs(Path(made))
