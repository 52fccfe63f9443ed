"""How every figure looks: colours, letters, size, titles and legends.

=======================  =====================================================================
`house_style`            the settings a figure is drawn under; none of them outlives the call
`new_axes`               Axes on a figure of their own, without pyplot
`heading`, `plain`       text of a user is shown as written: no mathtext, wrapped, shortened
`legend_below`           a legend under the Axes in as many columns as fit
=======================  =====================================================================

Colours and sizes are in `palette.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import matplotlib as mpl
import matplotlib.style as mpl_style
import numpy as np
from matplotlib import font_manager
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import ScaledTranslation

from sim.views.palette import GRID_COLOUR, INK, LABEL_PT, PLOT_HEIGHT_IN, SMALL_PT, TITLE_PT, WIDTH_IN
from sim.views.words import ems, wrapped

Entry = tuple[Artist, str]
"""One entry of a legend: what it shows, and its name as written."""

# Latin first, then the usual names of fonts with Chinese, Japanese and Korean on Linux, Windows and macOS.
_FAMILIES = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "Microsoft YaHei",
    "SimHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Heiti SC",
    "Arial Unicode MS",
)


@lru_cache(maxsize=1)
def families() -> tuple[str, ...]:
    """Give the families of the house's list that this machine has, so that none is missed aloud."""
    present = {font.name for font in font_manager.fontManager.ttflist}
    return tuple(name for name in _FAMILIES if name in present) or ("sans-serif",)


@contextmanager
def house_style() -> Iterator[None]:
    """Draw under matplotlib's defaults and the house's settings; restore what was set before.

    Also a decorator: ``@house_style()``. A reader's own matplotlib settings neither change the
    figures of a report nor are changed by them.
    """
    settings: dict[Any, Any] = {
        "font.family": list(families()),
        "font.size": SMALL_PT,
        "axes.titlesize": TITLE_PT,
        "axes.labelsize": LABEL_PT,
        "legend.fontsize": SMALL_PT,
        "text.usetex": False,
        "svg.fonttype": "none",  # letters stay text: they can be searched, and a browser has every script
        "svg.hashsalt": "enforcement-sim",
        "hatch.linewidth": 0.6,
    }
    with mpl_style.context(["default"]), mpl.rc_context(settings), warnings.catch_warnings():
        # Where no font has a letter the PNG shows a box; the SVG keeps the letter.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def figure_of(ax: Axes) -> Figure:
    """Return the whole figure that Axes stand on."""
    figure = ax.figure
    return figure if isinstance(figure, Figure) else figure.figure


def new_axes(ax: Axes | None, *, height_in: float = PLOT_HEIGHT_IN) -> tuple[Axes, bool]:
    """Return Axes to draw on, and whether they stand on a figure made here.

    Parameters
    ----------
    ax
        The caller's Axes; ``None`` makes a figure 6.5 inches wide that pyplot does not know of.
    height_in
        Height of a new figure in inches.
    """
    if ax is None:
        return new_figure(height_in).add_subplot(), True
    return ax, False


def new_figure(height_in: float) -> Figure:
    """Make a figure of report width that can measure its own text."""
    figure = Figure(figsize=(WIDTH_IN, height_in), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def dress(ax: Axes) -> None:
    """Give Axes the house's ticks, grid and frame."""
    ax.tick_params(which="both", labelsize=SMALL_PT, labelfontfamily=list(families()), color="#888888")
    for axis in (ax.xaxis, ax.yaxis):
        axis.get_offset_text().set_fontsize(SMALL_PT)
    ax.grid(True, which="major", color=GRID_COLOUR, linewidth=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color("#888888")


def plain(text: Text) -> Text:
    """Show a text as it is written: ``$`` starts no mathematics."""
    text.set_parse_math(False)
    text.set_usetex(False)
    return text


def heading(ax: Axes, text: str, *, pad_pt: float = 6.0) -> Text:
    """Set the title of Axes: at the left, wrapped, as written."""
    shown = wrapped(text, ax.get_window_extent().width / figure_of(ax).dpi, TITLE_PT)
    return plain(ax.set_title(shown, loc="left", pad=pad_pt, fontsize=TITLE_PT, color=INK))


def axis_label(ax: Axes, *, x: str | None = None, y: str | None = None) -> None:
    """Name the axes, with their units."""
    if x is not None:
        plain(ax.set_xlabel(x, fontsize=LABEL_PT, color=INK))
    if y is not None:
        plain(ax.set_ylabel(y, fontsize=LABEL_PT, color=INK))


def note(ax: Axes, text: str) -> Text:
    """Say in the middle of Axes what there is not."""
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85}
    look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 11, "color": "#555555", "bbox": box}
    return plain(ax.text(0.5, 0.5, text, transform=ax.transAxes, **look))


def _columns(widths_em: Sequence[float], room_em: float, *, most: int = 5) -> int:
    """Find the most columns, filled one after the other as matplotlib does, that fit."""
    for columns in range(min(most, len(widths_em)), 1, -1):
        filled = [part.max() for part in np.array_split(np.asarray(widths_em), columns)]
        if sum(filled) + 3.2 * columns + 1.4 * (columns - 1) <= room_em:
            return columns
    return 1


def legend_below(ax: Axes, entries: Sequence[Entry], *, gap_pt: float = 34.0) -> tuple[Legend | None, int]:
    """Put a legend under Axes.

    Parameters
    ----------
    ax
        Axes whose x axis carries tick labels and a label.
    entries
        Artists and their names, as written; a leading underscore or a ``$`` is no command.
    gap_pt
        How far below the Axes, in points: enough to clear tick labels and the label.

    Returns
    -------
    The legend (``None`` without entries) and its number of rows.
    """
    if not entries:
        return None, 0
    figure = figure_of(ax)
    columns = _columns([ems(name) for _, name in entries], ax.get_window_extent().width / figure.dpi * 72 / SMALL_PT)
    below = ax.transAxes + ScaledTranslation(0, -gap_pt / 72, figure.dpi_scale_trans)
    legend = ax.legend(
        [artist for artist, _ in entries],
        [f"series {k}" for k in range(len(entries))],
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=below,
        borderaxespad=0,
        borderpad=0,
        frameon=False,
        ncols=columns,
        handlelength=2.4,
        columnspacing=1.4,
        labelspacing=0.35,
        fontsize=SMALL_PT,
    )
    for text, (_, name) in zip(legend.get_texts(), entries, strict=True):
        plain(text).set_text(name)  # set afterwards: matplotlib leaves names with a leading underscore out
    return legend, -(-len(entries) // columns)
