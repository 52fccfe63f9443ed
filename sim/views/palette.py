"""The colours, dashes and sizes of every picture; what draws with them is in `style.py`.

The colours are those of Okabe and Ito (2008), "Color Universal Design", without the yellow,
which is too faint for a line on white. Sizes hold for a figure 6.5 inches wide, the text width of
a report: no letter is smaller than 8 points.
"""

from __future__ import annotations

from typing import Any

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
