"""The figures of a run: functions that take tables and return Axes.

=====================  =====================================================================
`ban_rate`             ban-rate curves by segment, with 95 % bands (`sim.views.bans`)
`states_over_time`     accounts in each state (`sim.views.states`)
`flows`                moves between states (`sim.views.flows`)
`time_to_ban`          when first bans come (`sim.views.bans`)
`desk_load`            waiting, busy and reviewers of a desk (`sim.views.desk`)
`save_all`             all of them as PNG and SVG
=====================  =====================================================================

Each draws on the Axes it is given or on a new figure, without pyplot, and leaves matplotlib's
settings as they were. Tables are those of a run (``bans``, ``occupancy``, ``transitions``, ``desks``);
an event is ``(time, label, kind)`` with kind ``"phase"`` or ``"wave"``.

More than twelve series do not fit a picture: the largest are drawn, and the rest as one "others".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from sim.views.bans import ban_rate, time_to_ban
from sim.views.courses import has_limit
from sim.views.curves import Event, Share
from sim.views.desk import desk_load, desk_panels
from sim.views.flows import flows
from sim.views.palette import INK, WIDTH_IN
from sim.views.states import states_over_time
from sim.views.style import figure_of, house_style, plain
from sim.views.words import wrapped

__all__ = [
    "Event",
    "Share",
    "ban_rate",
    "desk_load",
    "desk_panels",
    "flows",
    "limited",
    "save_all",
    "states_over_time",
    "time_to_ban",
]

TABLES = ("occupancy", "bans", "transitions", "desks")
"""What is drawn of a run."""
_SUFFIXES = (".png", ".svg")
DOTS_PER_INCH = 150


def limited(desks: pd.DataFrame | None) -> bool:
    """Tell whether a run has a limited desk, which couples its accounts (see `ban_rate`); one that is unlimited but closes at night is not.

    Parameters
    ----------
    desks
        Table ``desks`` of the run, if it has one.

    Returns
    -------
    bool
        Whether any desk ever has some reviewers, but not any number.
    """
    return desks is not None and has_limit(desks)


def _entitle(figure: Figure, title: str) -> None:
    """Head a figure with the title of its scenario."""
    shown = wrapped(title, WIDTH_IN - 0.6, 11.5)
    plain(figure.suptitle(shown, x=0.012, ha="left", fontsize=11, fontweight="bold", color=INK))
    figure.set_figheight(figure.get_figheight() + 0.1 + 0.18 * (shown.count("\n") + 1))


def _lay_out(figure: Figure) -> None:
    """Find everything its place once and for all; an engine left in place would draw the figure for it before each file is drawn."""
    engine = figure.get_layout_engine()
    if engine is not None:
        figure.set_dpi(DOTS_PER_INCH)
        engine.execute(figure)
        figure.set_layout_engine(None)


@house_style()
def save_all(
    tables: Mapping[str, pd.DataFrame], folder: Path, *, title: str, events: Iterable[Event] = ()
) -> list[Path]:
    """Write every figure of a run as PNG (150 dpi) and SVG.

    Parameters
    ----------
    tables
        Tables of a run by name: ``bans``, ``occupancy``, ``transitions``, ``desks``. What is missing is
        not drawn; a run without desks has no picture of them.
    folder
        Where to write; made if it does not exist. Files: ``ban_rate``, ``states_over_time``, ``flows``,
        ``time_to_ban``, ``desk_load``.
    title
        The scenario's title, shown as written on every figure.
    events
        ``(time, label, kind)`` each, kind ``"phase"`` or ``"wave"``.

    Returns
    -------
    list of Path
        What was written, in the order above, PNG before SVG. The same tables give the same bytes
        (with one version of matplotlib and the same fonts): no date is written.
    """
    seen = tuple(events)
    bans, desks = tables.get("bans"), tables.get("desks")
    drawings: dict[str, Callable[[], Figure]] = {}
    if bans is not None:
        drawings["ban_rate"] = lambda: figure_of(ban_rate(bans, events=seen, coupled=limited(desks)))
    if "occupancy" in tables:
        drawings["states_over_time"] = lambda: figure_of(states_over_time(tables["occupancy"], events=seen))
    if "transitions" in tables:
        drawings["flows"] = lambda: figure_of(flows(tables["transitions"]))
    if bans is not None:
        drawings["time_to_ban"] = lambda: figure_of(time_to_ban(bans, events=seen))
    if desks is not None and not desks.empty:
        drawings["desk_load"] = lambda: desk_panels(desks, events=seen)
    return write_figures(drawings, folder, title)


@house_style()
def write_figures(drawings: Mapping[str, Callable[[], Figure]], folder: Path, title: str) -> list[Path]:
    """Draw figures under a title and write each as PNG (150 dpi) and SVG; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for name, draw in drawings.items():
        figure = draw()
        _entitle(figure, title)
        _lay_out(figure)
        for suffix in _SUFFIXES:
            path = folder / f"{name}{suffix}"
            figure.savefig(path, dpi=DOTS_PER_INCH, metadata={"Date": None} if suffix == ".svg" else {"Software": None})
            written.append(path)
    return written
