"""Flows between states: a ladder drawn from top to bottom, with a ribbon for every move between two rungs.

What goes down the ladder runs on the right, what goes back up on the left, and a state that is
entered anew loops on its own left side; so the side says the direction, and loops and ways back
stay readable. Ribbons are as wide as they have moves (a Sankey drawing with its links beside the
states), and each has its count where it leaves. `sim.views.flow_layout` says what stands where.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path
from matplotlib.patheffects import withStroke

from sim.views import words
from sim.views.curves import replications
from sim.views.flow_layout import Drawing, Links, Step, arrange, links_of, outline
from sim.views.palette import INK, OTHERS_COLOUR, SMALL_PT, WIDTH_IN, colour
from sim.views.style import figure_of, heading, house_style, new_axes, note, plain
from sim.views.words import shorten, wrapped


def _tint(hue: str, share: float) -> tuple[float, float, float]:
    """Mix a colour with white; `share` is the colour's."""
    red, green, blue = (1 - share + share * part for part in to_rgb(hue))
    return red, green, blue


_CODES = {"M": Path.MOVETO, "L": Path.LINETO, "C": Path.CURVE4}


def _path(steps: Sequence[Step]) -> Path:
    """An outline as matplotlib has it."""
    return Path([corner for _, at in steps for corner in at], [_CODES[sign] for sign, at in steps for _ in at])


def _draw(ax: Axes, drawing: Drawing, links: Links, letters_pt: float) -> None:
    """Draw blocks, ribbons and counts."""
    hues = {name: OTHERS_COLOUR if name == links.others else colour(k) for k, name in enumerate(links.states)}
    halo = [withStroke(linewidth=2.0, foreground="white")]
    for z, ribbon in enumerate(drawing.ribbons):
        hue = hues[ribbon.source]
        ax.add_patch(
            PathPatch(
                _path(outline(ribbon, drawing.half_block)),
                facecolor=(*to_rgb(hue), 0.5),
                edgecolor=(*to_rgb(hue), 0.9),
                linewidth=0.6,
                zorder=2 + z / 100,
                label=f"_flow:{ribbon.source}→{ribbon.target}",
            )
        )
        x = ribbon.side * (drawing.half_block + 0.05)
        side = "left" if ribbon.side > 0 else "right"
        look: dict[str, Any] = {"ha": side, "va": "center", "fontsize": letters_pt, "color": INK}
        text = ax.text(x, ribbon.leaves, words.count(ribbon.moves), **look)
        plain(text).set(zorder=4, path_effects=halo, label=f"_count:{ribbon.source}→{ribbon.target}")
        if ribbon.width < 0.1:  # a line thinner than the letters would strike them out
            text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.3})
    for block in drawing.blocks:
        hue = hues[block.name]
        ax.add_patch(
            Rectangle(
                (-drawing.half_block, block.top),
                2 * drawing.half_block,
                block.height,
                facecolor=_tint(hue, 0.22),
                edgecolor=hue,
                linewidth=1.0,
                zorder=3,
                label=f"_state:{block.name}",
            )
        )
        middle = block.top + block.height / 2
        joined = links.joined.get(block.name)
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": letters_pt, "color": INK, "zorder": 4}
        plain(ax.text(0, middle - (0.07 if joined else 0), shorten(block.name), weight="bold", **style))
        if joined:
            plain(ax.text(0, middle + 0.08, f"{words.count(joined)} joined", **style))


def _foot(links: Links, runs: int) -> str:
    """Say how to read the drawing, and what it leaves out."""
    said = "moves in all" if runs <= 1 else f"moves, mean over {runs} replications"
    foot = f"Right: down the ladder; left: back up. Ribbon width and numbers: {said}."
    number, moves = links.left_out
    return foot + (f" {number} smaller links ({words.count(moves)} moves) are not drawn." if number else "")


@house_style()
def flows(transitions: pd.DataFrame, *, segment: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw the flows between states over the whole run.

    Parameters
    ----------
    transitions
        Table `transitions` of a run; counts are means over its replications.
    segment
        One segment; by default all together.
    ax
        Axes to draw on: the drawing is shrunk to them, letters and all, and wants about 6.5 inches
        by two thirds of an inch for each state to keep its size. By default a new figure fits it.

    Returns
    -------
    Axes
        Down the ladder on the right, up again on the left, loops on the left; the width of a
        ribbon is proportional to its moves (hairlines stay visible). Joining is not a move between states
        and stands as a number in the state joined.

    Raises
    ------
    ValueError
        When there is no such segment.
    """
    links = links_of(transitions, segment)
    title = "Flows between states" + (f": {segment}" if segment is not None else "")
    if not links.moves:
        ax, _ = new_axes(ax, height_in=2.0)
        ax.set_axis_off()
        heading(ax, title)
        note(ax, "no moves between states")
        return ax
    drawing = arrange(links)
    width_in = WIDTH_IN - 0.2 if ax is None else ax.get_window_extent().width / figure_of(ax).dpi
    foot = wrapped(_foot(links, replications(transitions)), width_in, SMALL_PT)
    ax, own = new_axes(ax, height_in=drawing.height + 0.62 + 0.13 * (foot.count("\n") + 1))
    height_in = ax.get_window_extent().height / figure_of(ax).dpi
    shrunk = min(width_in / (drawing.left + drawing.right), height_in / (drawing.height + 0.1), 1.0)
    _draw(ax, drawing, links, SMALL_PT if own else SMALL_PT * shrunk)
    spare = max(WIDTH_IN - 0.1 - drawing.left - drawing.right, 0.0) / 2 if own else 0.0
    ax.set_xlim(-drawing.left - spare, drawing.right + spare)
    ax.set_ylim(drawing.height + 0.05, -0.05)
    ax.set_aspect("equal")
    ax.set_axis_off()
    heading(ax, title)
    plain(ax.text(0, 0, foot, transform=ax.transAxes, va="top", fontsize=SMALL_PT, color="#555555"))
    return ax
