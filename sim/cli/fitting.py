"""Verbs that learn from records: `fit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sim.cli.common import app, interruptible, progress_bar, tell_if_compiling


@app.command()
def fit(
    histories: Annotated[Path, typer.Argument(help="CSV: account, time (ISO, or days), state, perhaps segment.")],
    by_visit: Annotated[
        str,
        typer.Option(
            metavar="N|auto",
            help="Separate states for the 1st to the Nth visit; the last holds all later ones; auto: as many as the data ask for.",
        ),
    ] = "1",
    visits_of: Annotated[
        str | None, typer.Option(help="The state whose visits count [default: where accounts begin].")
    ] = None,
    by_stay: Annotated[
        bool | None,
        typer.Option(
            "--by-stay/--no-by-stay",
            help="Split states by the length of the stay before, where it matters [default: with --by-visit].",
        ),
    ] = None,
    end: Annotated[str | None, typer.Option(help="End of observation [default: the last time].")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only accounts whose first time is not before [default: all].")
    ] = None,
    bans: Annotated[str | None, typer.Option(help="States that count as a ban, with commas.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the run of the fitted scenario.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Scenario file [default: <name>.yaml].")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that are there; run even what may take hours.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Fit a ladder to recorded histories: a scenario that runs, a table of estimates, and its occupancy beside the data's."""
    if by_visit != "auto" and not (by_visit.isdecimal() and int(by_visit) >= 1):
        raise typer.BadParameter(
            f"found {by_visit!r}; allowed: a whole number from 1, or auto", param_hint="--by-visit"
        )
    named = [name.strip() for name in bans.split(",")] if bans else []
    from sim.experiments.fitting.reading import name_of
    from sim.views import fits

    target = out or Path(f"{name_of(histories)}.yaml")

    if not quiet:
        tell_if_compiling()
    with interruptible(), progress_bar(f"Fitting {histories.name}", quiet) as progress:
        options: dict[str, Any] = {"visits_of": visits_of, "by_stay": by_stay, "end": end, "since": since}
        options |= {
            "by_visit": by_visit if by_visit == "auto" else int(by_visit),
            "bans": named,
            "seed": seed,
            "force": force,
            "progress": progress,
        }
        found = fits.fit(histories, out=target, **options)
    if not quiet:
        fits.print_fit(found, target)
