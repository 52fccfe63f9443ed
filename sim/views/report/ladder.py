"""The ladder drawn for a page: states from top to bottom, a ribbon for every move between two of them, the traffic beside its arrow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from sim.views import words
from sim.views.curves import replications
from sim.views.flow_layout import Links, Step, arrange, links_of, outline
from sim.views.flow_layout import Ribbon as _Ribbon
from sim.views.palette import OTHERS_COLOUR, colour
from sim.views.words import shorten

_PX = 96.0


@dataclass(frozen=True)
class Ribbon:
    """An arrow: outline, colour, what it is, and where its count stands."""

    outline: str
    hue: str
    told: str
    count: str
    x: float
    y: float
    anchor: str


@dataclass(frozen=True)
class Block:
    """A state: its corner and size in pixels, its name whole and as far as it fits, and who joined there."""

    name: str
    short: str
    hue: str
    top: float
    height: float
    joined: str


@dataclass(frozen=True)
class Ladder:
    """The drawing, in pixels; x = 0 is the middle of the blocks."""

    left: float
    width: float
    height: float
    half_block: float
    blocks: tuple[Block, ...]
    ribbons: tuple[Ribbon, ...]
    said: str
    told: str


def _written(steps: Sequence[Step]) -> str:
    """An outline as SVG writes it."""
    corners = [(sign, " ".join(f"{round(x * _PX, 1):g} {round(y * _PX, 1):g}" for x, y in at)) for sign, at in steps]
    return " ".join(f"{sign}{at}" for sign, at in corners) + "Z"


def _exactly(links: Links, ribbon: _Ribbon) -> str:
    """The number of an arrow with all its digits."""
    pair = (ribbon.source, ribbon.target)
    return links.told(pair) if pair in links.spans else f"{ribbon.moves:,.6g}"


def _foot(links: Links, runs: int) -> str:
    said = "moves in all" if runs <= 1 else f"moves, mean over {runs} replications"
    if links.spans:
        said = "mean over all points. Numbers: from the point with fewest moves to that with most"
        return f"Right: down the ladder. Left: back up. Widths: {said}.{_left(links)}"
    return f"Right: down the ladder. Left: back up. Widths and numbers: {said}.{_left(links)}"


def _left(links: Links) -> str:
    number, moves = links.left_out
    return f" {number} smaller links ({words.count(moves)} moves) are not drawn." if number else ""


def in_order(transitions: pd.DataFrame, states: Sequence[str]) -> pd.DataFrame:
    """Moves with the states in the order of the ladder; nobody comes from an empty one."""
    kind = pd.CategoricalDtype(list(states))
    ends = {end: transitions[end].where(transitions[end] != "").astype(kind) for end in ("from_state", "to_state")}
    return transitions.assign(**ends)


def ladder_of(transitions: pd.DataFrame) -> Ladder | None:
    """Draw the ladder with the traffic of a run, or of many points (`sim.experiments.traffic`); ``None`` where nobody moved."""
    links = links_of(transitions)
    if not links.moves:
        return None
    drawing = arrange(links)
    hues = {name: OTHERS_COLOUR if name == links.others else colour(k) for k, name in enumerate(links.states)}
    ribbons = tuple(
        Ribbon(
            outline=_written(outline(ribbon, drawing.half_block)),
            hue=hues[ribbon.source],
            told=f"{ribbon.source} to {ribbon.target}: {_exactly(links, ribbon)} moves",
            count=links.told((ribbon.source, ribbon.target)),
            x=ribbon.side * (drawing.half_block + 0.05) * _PX,
            y=ribbon.leaves * _PX,
            anchor="start" if ribbon.side > 0 else "end",
        )
        for ribbon in drawing.ribbons
    )
    blocks = tuple(
        Block(
            block.name,
            shorten(block.name),
            hues[block.name],
            block.top * _PX,
            block.height * _PX,
            f"{words.count(links.joined[block.name])} joined" if block.name in links.joined else "",
        )
        for block in drawing.blocks
    )
    told = "; ".join(f"{source} to {target} {links.told((source, target))}" for source, target in links.moves)
    return Ladder(
        -drawing.left * _PX,
        (drawing.left + drawing.right) * _PX,
        drawing.height * _PX + 4,
        drawing.half_block * _PX,
        blocks,
        ribbons,
        _foot(links, replications(transitions)),
        told,
    )
