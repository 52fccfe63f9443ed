"""How every figure looks: colours, letters, size, titles and legends.

=======================  =====================================================================
`house_style`            the settings a figure is drawn under; none of them outlives the call
`colour`, `dash`, ...    the k-th series: seven colours safe for the colour-blind, then dashes
`new_axes`               Axes on a figure of their own, without pyplot
`heading`, `plain`       text of a user is shown as written: no mathtext, wrapped, shortened
`legend_below`           a legend under the Axes in as many columns as fit
=======================  =====================================================================

The colours are those of Okabe and Ito (2008), "Color Universal Design", without the yellow,
which is too faint for a line on white. Sizes hold for a figure 6.5 inches wide, the text width of
a report: no letter is smaller than 8 points.
"""

from __future__ import annotations

import unicodedata
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

Entry = tuple[Artist, str]
"""One entry of a legend: what it shows, and its name as written."""

WIDTH_IN = 6.5
PLOT_HEIGHT_IN = 3.3
SMALL_PT = 8.0
LABEL_PT = 9.0
TITLE_PT = 10.0
MAX_SERIES = 12

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.3, 1.3)), (0, (6, 1.5, 1.3, 1.5)))
MARKERS = ("", "o", "s", "^")
HATCHES = ("", "////", "....", "xxxx")
OTHERS_COLOUR = "#8A8A8A"
INK = "#222222"
GRID_COLOUR = "#DDDDDD"

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


def colour(k: int) -> str:
    """Colour of the k-th series."""
    return COLOURS[k % len(COLOURS)]


def dash(k: int) -> Any:
    """Line style of the k-th series: solid for the first seven, then other dashes."""
    return DASHES[(k // len(COLOURS)) % len(DASHES)]


def marker(k: int) -> str:
    """Marker of the k-th series: none for the first seven, then dots, squares and triangles."""
    return MARKERS[(k // len(COLOURS)) % len(MARKERS)]


def hatch(k: int) -> str:
    """Hatching of the k-th area: none for the first seven."""
    return HATCHES[(k // len(COLOURS)) % len(HATCHES)]


def plain(text: Text) -> Text:
    """Show a text as it is written: ``$`` starts no mathematics."""
    text.set_parse_math(False)
    text.set_usetex(False)
    return text


def ems(text: str) -> float:
    """Estimate the width of a text in ems (Chinese and the like: one em a character)."""
    return sum(1.0 if unicodedata.east_asian_width(letter) in "WF" else 0.6 for letter in text)


def shorten(name: str, most: float = 17.0) -> str:
    """Cut a name to about `most` ems and say so with an ellipsis."""
    if ems(name) <= most:
        return name
    kept = name
    while kept and ems(kept) > most - 1:
        kept = kept[:-1]
    return kept.rstrip() + "…"


def wrapped(text: str, width_in: float, size_pt: float, *, lines: int = 4) -> str:
    """Break a text into lines that fit a width; what does not fit `lines` lines ends in an ellipsis.

    Chinese has no spaces to break at: a word that is too long is broken between its letters.
    """
    most = width_in * 72 / size_pt
    broken = [""]
    for word in " ".join(text.split()).split(" "):
        if broken[-1] and ems(broken[-1]) + 0.6 + ems(word) <= most:
            broken[-1] += f" {word}"
            continue
        if broken[-1]:
            broken.append("")
        for letter in word:
            if ems(broken[-1]) + ems(letter) > most:
                broken.append("")
            broken[-1] += letter
    if len(broken) > lines:
        broken[lines - 1 :] = [broken[lines - 1][:-1].rstrip() + "…"]
    return "\n".join(broken)


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
