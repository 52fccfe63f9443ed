"""What the verbs share: options, exit codes, progress, and how text is printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sim.scenario import Scenario

app = typer.Typer(
    name="enforcement-sim",
    help="What a platform's enforcement rules do to its accounts: simulate warnings, deadlines, restrictions, bans and appeals.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ENGINES = ("auto", "compiled", "process")
FAILED, BAD_INPUT, UNDECIDED, INTERRUPTED, NO_READER = 1, 2, 3, 130, 141

MOST_REPLICATIONS = 1_000_000
"""Of each point: the tasks of all are held in memory."""
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Tasks at once [default: one a core].")]
ClusterOption = Annotated[
    str | None, typer.Option(help="Address of a Dask scheduler, tcp://host:8786, whose workers do the tasks instead.")
]
ScenarioArgument = Annotated[str, typer.Argument(help="A scenario file, or the name of one that ships (see `list`).")]


def say(text: str) -> None:
    """Print a text as it is."""
    from rich.console import Console

    Console(highlight=False).print(text, markup=False, soft_wrap=True)


def load(source: str) -> Scenario:
    """Load a scenario file, or one that ships."""
    from sim.scenario import load as load_scenario

    return load_scenario(source)


def percent(share: Any) -> str:
    """A share in percent, three digits of it."""
    return f"{100.0 * float(share):.3g} %"


def check_scale(scale: float | None) -> None:
    """Refuse a scale that is no share."""
    if scale is not None and not 0.0 < scale <= 1.0:
        raise typer.BadParameter(f"found {scale:g}; allowed: above 0, up to 1", param_hint="--scale")


def check_engine(engine: str) -> None:
    """Refuse the name of an engine that there is not."""
    if engine not in ENGINES:
        raise typer.BadParameter(f"found {engine!r}; allowed: {', '.join(ENGINES)}", param_hint="--engine")


def check_where(workers: int | None, cluster: str | None) -> None:
    """Refuse two places at once."""
    if workers is not None and cluster is not None:
        raise typer.BadParameter("one or the other", param_hint="--workers and --cluster")


def tell_if_compiling() -> None:
    """Say so where the first run has to compile; the machine code is then kept on disk."""
    from sim.model.jit import is_compiled_before

    if not is_compiled_before():
        print("First run with these sources: compiling, once, for some twenty seconds …", file=sys.stderr, flush=True)


@contextmanager
def interruptible(out: Path | None = None) -> Iterator[None]:
    """Leave at once on Ctrl-C, when what was half-written is gone: to join a thread that compiles, or to free millions of processes, takes long.

    What is kept of the tasks for the results folder `out` is said.
    """
    try:
        yield
    except KeyboardInterrupt:
        print(f"interrupted; {_kept_text(out)}", file=sys.stderr, flush=True)
        sys.stdout.flush()
        os._exit(INTERRUPTED)


def _kept_text(out: Path | None) -> str:
    from sim.experiments.folders import finished_tasks

    count = 0 if out is None else finished_tasks(out)
    if not count:
        return "nothing was written"
    kept = "1 finished task is kept" if count == 1 else f"{count:,} finished tasks are kept"
    return f"{kept}: the same command, or `enforcement-sim resume {out}`, goes on from there"


@contextmanager
def progress_bar(label: str, quiet: bool) -> Iterator[Callable[[float], None]]:
    """A progress bar with the time left, on stderr; none when quiet."""
    if quiet:
        yield lambda share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=1.0)
        yield lambda share: bar.update(task, completed=share)
