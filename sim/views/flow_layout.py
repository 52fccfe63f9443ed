"""Where the blocks and ribbons of a drawing of flows stand, in inches, without drawing them.

The states stand below each other in file order. What goes down the ladder runs on the right, what
goes back up on the left, and a state entered anew loops on its own left side. Of two links over
the same stretch the shorter one has the inner lane, and ports are ordered so that the ribbons of
one block do not cross each other.

=====================  =====================================================================
`links_of`             moves per state pair, the heaviest states and links only
`arrange`              blocks, lanes and ports on a sheet
`outline`              the outline of one ribbon
=====================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sim.views import words
from sim.views.curves import leading, names_in, only, replications
from sim.views.palette import SMALL_PT, WIDTH_IN
from sim.views.words import ems, shorten

MAX_LINKS = 40
_WIDEST_IN = 0.36
_ALL_RIBBONS_IN = 2.6
_LABEL_PITCH_IN = 0.145
_PORT_GAP_IN = 0.05
_BLOCK_GAP_IN = 0.13
_LABEL_ROOM_IN = 0.14
_HEAD_IN = 0.09
_HEAD_HALF_IN = 0.035
_KAPPA = 0.5522847498  # a cubic Bezier this far along the tangents is a quarter circle


@dataclass(frozen=True)
class Links:
    """Moves between states: what is drawn and what is not.

    Attributes
    ----------
    states
        Drawn states in file order, `others` last.
    others
        The name that stands for the states not drawn for themselves; ``None``: all are.
    joined
        Accounts that joined into a state (no ribbon: they would dwarf all moves).
    moves
        ``(from, to) -> moves`` (mean over replications).
    left_out
        Number of links too small to be drawn, and their moves in all.
    spans
        What stands beside links whose number is not one: from how many moves to how many. Of states pooled as `others` there is none.
    """

    states: tuple[str, ...]
    others: str | None
    joined: Mapping[str, float]
    moves: Mapping[tuple[str, str], float]
    left_out: tuple[int, float]
    spans: Mapping[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def told(self, pair: tuple[str, str]) -> str:
        """The number beside a link."""
        low, high = (words.count(end) for end in self.spans.get(pair, (self.moves[pair],) * 2))
        return low if low == high else f"{low} to {high}"


Step = tuple[str, tuple[tuple[float, float], ...]]
"""A part of an outline, as SVG has it: where it begins (``"M"``), a line to a corner (``"L"``), a cubic curve (``"C"``: two handles and its end)."""


@dataclass(frozen=True)
class Ribbon:
    """One link in inches: its ends' heights, its lane, its width. Right of the blocks `side` is 1, left -1."""

    source: str
    target: str
    moves: float
    side: int
    width: float
    lane: float
    leaves: float
    arrives: float


@dataclass(frozen=True)
class Block:
    """One state in inches from the top."""

    name: str
    top: float
    height: float


@dataclass(frozen=True)
class Drawing:
    """A whole drawing in inches; x = 0 is the middle of the blocks, y grows downwards."""

    blocks: tuple[Block, ...]
    ribbons: tuple[Ribbon, ...]
    half_block: float
    left: float
    right: float
    height: float
    inch_per_move: float


def links_of(transitions: pd.DataFrame, segment: str | None = None) -> Links:
    """Sum a table of transitions to moves between states.

    At most 12 states are kept (those with most moves; the rest become one "others") and at most
    40 links. Moves within "others" are not drawn.

    Raises
    ------
    ValueError
        When there is no such segment.
    """
    runs = max(replications(transitions), 1)
    table = only(transitions, "segment", segment)
    summed = pd.DataFrame(
        {
            "source": table["from_state"].astype(object).where(table["from_state"].notna(), "").astype(str),
            "target": table["to_state"].astype(str),
            "moves": table["transitions"].to_numpy(dtype=float) / runs,
        }
    )
    summed = summed[summed["moves"] > 0].groupby(["source", "target"], sort=False)["moves"].sum().reset_index()
    order = tuple(dict.fromkeys((*names_in(transitions["from_state"]), *names_in(transitions["to_state"]))))
    if isinstance(transitions["to_state"].dtype, pd.CategoricalDtype):
        order = tuple(dict.fromkeys((*names_in(transitions["to_state"]), *order)))
    moved = summed[summed["source"] != ""]
    weight = dict.fromkeys(order, 0.0)
    for end in ("source", "target"):
        for name, total in moved.groupby(end)["moves"].sum().items():
            weight[str(name)] += float(total)
    used = [name for name in order if weight[name] > 0]
    lead, rest = leading(used, np.array([weight[name] for name in used]))
    others = f"others ({rest} states)"
    known = {name: name if name in lead else others for name in order}
    moves: dict[tuple[str, str], float] = {}
    for source, target, number in zip(moved["source"], moved["target"], moved["moves"], strict=True):
        pair = (known[source], known[target])
        if not rest or pair != (others, others):
            moves[pair] = moves.get(pair, 0.0) + float(number)
    heaviest = dict(sorted(moves.items(), key=lambda link: -link[1])[:MAX_LINKS])
    dropped = [number for pair, number in moves.items() if pair not in heaviest]
    joined = summed[summed["source"] == ""].set_index("target")["moves"]
    return Links(
        states=(*lead, others) if rest else lead,
        others=others if rest else None,
        joined={str(name): float(number) for name, number in joined.items()},
        moves=heaviest,
        left_out=(len(dropped), sum(dropped)),
        spans=_spans(transitions, heaviest),
    )


def _spans(
    transitions: pd.DataFrame, drawn: Mapping[tuple[str, str], float]
) -> dict[tuple[str, str], tuple[float, float]]:
    """From how many moves to how many, where a table tells it (`sim.experiments.traffic.TRAFFIC`)."""
    if "least" not in transitions:
        return {}
    rows = transitions[transitions["from_state"].notna()].astype({"from_state": str, "to_state": str})
    pairs = zip(rows["from_state"], rows["to_state"], strict=True)
    ends = zip(rows["least"].tolist(), rows["most"].tolist(), strict=True)
    return {pair: span for pair, span in zip(pairs, ends, strict=True) if pair in drawn}


def _lanes(links: Links, side: int, scale: float, gap: float) -> dict[tuple[str, str], float]:
    """Give each link of a side the innermost lane (inches from the block to its middle) free along its way."""
    place = {name: k for k, name in enumerate(links.states)}
    spans = []
    for (source, target), moves in links.moves.items():
        a, b = place[source], place[target]
        if (1 if b > a else -1) == side:
            spans.append((min(a, b) - 0.01 * (a == b), max(a, b) + 0.01 * (a == b), moves * scale, (source, target)))
    spans.sort(key=lambda span: (span[1] - span[0], -span[2]))
    lanes: dict[tuple[str, str], float] = {}
    laid: list[tuple[float, float, float]] = []
    for low, high, width, pair in spans:
        inner = max((outer for a, b, outer in laid if a < high and low < b), default=0.0)
        lanes[pair] = inner + gap + width / 2
        laid.append((low, high, inner + gap + width))
    return lanes


def _label_room(links: Links, side: int) -> float:
    """Room for the counts beside the blocks on one side, in inches."""
    place = {name: k for k, name in enumerate(links.states)}
    texts = [links.told((a, b)) for a, b in links.moves if (1 if place[b] > place[a] else -1) == side]
    return _LABEL_ROOM_IN + max((ems(text) for text in texts), default=0.0) * SMALL_PT / 72


def _ports(
    links: Links, lanes: Mapping[int, Mapping[tuple[str, str], float]], name: str, scale: float
) -> dict[int, list[tuple[str, tuple[str, str], float]]]:
    """List the ports of a block on each side from top to bottom: (``"in"`` or ``"out"``, link, height).

    On the right, arrivals come first, the inner lane on top, then departures, the outer lane on
    top: so no ribbon crosses another of the same block. The left is the mirror image, with a loop
    between departures and arrivals.
    """
    sides: dict[int, list[tuple[str, tuple[str, str], float]]] = {}
    for side, own in lanes.items():
        ins = sorted((p for p in own if p[1] == name and p[0] != name), key=lambda p: own[p])
        outs = sorted((p for p in own if p[0] == name and p[1] != name), key=lambda p: -own[p])
        order = [("in", pair) for pair in ins]
        if (name, name) in own:
            order += [("in", (name, name)), ("out", (name, name))]
        order += [("out", pair) for pair in outs]
        if side < 0:
            order.reverse()
        sides[side] = [
            (
                end,
                pair,
                max(links.moves[pair] * scale + _PORT_GAP_IN, _LABEL_PITCH_IN if end == "out" else 2 * _HEAD_HALF_IN),
            )
            for end, pair in order
        ]
    return sides


def _stack(
    links: Links, lanes: Mapping[int, Mapping[tuple[str, str], float]], scale: float
) -> tuple[list[Block], dict[tuple[str, tuple[str, str]], float], float]:
    """Stand the blocks below each other: the blocks, the height of each port, the height in all (inches)."""
    blocks: list[Block] = []
    heights: dict[tuple[str, tuple[str, str]], float] = {}
    top = 0.0
    for name in links.states:
        ports = _ports(links, lanes, name, scale)
        tall = max(sum(port[2] for port in side) for side in ports.values())
        height = max(tall + 0.06, 0.40 if name in links.joined else 0.27)
        for side in ports.values():
            y = top + (height - sum(port[2] for port in side)) / 2
            for end, pair, pitch in side:
                heights[end, pair] = y + pitch / 2
                y += pitch
        blocks.append(Block(name, top, height))
        top += height + _BLOCK_GAP_IN
    return blocks, heights, top - _BLOCK_GAP_IN


def arrange(links: Links, *, width_in: float = WIDTH_IN) -> Drawing:
    """Arrange blocks and ribbons on a sheet.

    Parameters
    ----------
    links
        What to draw; at least one move.
    width_in
        Width to keep within, in inches; lanes grow narrower until it holds.
    """
    half_block = min(max(max(ems(shorten(name)) for name in links.states) * SMALL_PT / 72 + 0.2, 1.0), 2.0) / 2
    through = dict.fromkeys(links.states, 0.0)
    for (source, target), moves in links.moves.items():
        through[source] += moves / 2
        through[target] += moves / 2
    scale = min(_WIDEST_IN / max(links.moves.values()), _ALL_RIBBONS_IN / sum(through.values()))
    rooms = {side: _label_room(links, side) for side in (1, -1)}
    gap = 0.16
    while True:
        lanes = {side: _lanes(links, side, scale, gap) for side in (1, -1)}
        reach = {
            side: max((rooms[side] + lane + links.moves[p] * scale / 2 for p, lane in own.items()), default=0.0)
            for side, own in lanes.items()
        }
        if sum(reach.values()) + 2 * half_block <= width_in - 0.1 or gap < 0.02:
            break
        gap, scale = gap * 0.85, scale * (1.0 if gap > 0.07 else 0.9)
    blocks, heights, tall = _stack(links, lanes, scale)
    ribbons = [
        Ribbon(
            source=pair[0],
            target=pair[1],
            moves=links.moves[pair],
            side=side,
            width=links.moves[pair] * scale,
            lane=half_block + rooms[side] + lane,
            leaves=heights["out", pair],
            arrives=heights["in", pair],
        )
        for side, own in lanes.items()
        for pair, lane in own.items()
    ]
    ribbons.sort(key=lambda ribbon: -ribbon.moves)
    left, right = half_block + reach[-1] + 0.05, half_block + reach[1] + 0.05
    return Drawing(tuple(blocks), tuple(ribbons), half_block, left, right, tall, scale)


def outline(ribbon: Ribbon, half_block: float) -> list[Step]:
    """Outline a ribbon with round corners and an arrow head, closed by a line from its end to its beginning.

    The first and the last corner stand at the source, the ribbon's width apart.
    """
    half = ribbon.width / 2
    down = 1.0 if ribbon.arrives >= ribbon.leaves else -1.0
    inner = max(min(0.11, (abs(ribbon.arrives - ribbon.leaves) - ribbon.width) / 2), 0.0)
    outer = inner + ribbon.width
    near, far = ribbon.lane - half, ribbon.lane + half
    neck = half_block + _HEAD_IN
    head = max(half, _HEAD_HALF_IN)
    leaves, arrives = ribbon.leaves, ribbon.arrives
    steps: list[Step] = []

    def step(sign: str, *corners: tuple[float, float]) -> None:
        steps.append((sign, tuple((ribbon.side * x, y) for x, y in corners)))

    def line(x: float, y: float) -> None:
        step("L", (x, y))

    def turn(x: float, y: float, before: tuple[float, float], after: tuple[float, float]) -> None:
        """Turn round the corner (x, y), from `before` to `after` (both on its legs)."""
        line(*before)
        step("C", *((a + _KAPPA * (x - a), b + _KAPPA * (y - b)) for a, b in (before, after)), after)

    y, z = leaves - down * half, arrives + down * half
    step("M", (half_block, y))
    turn(far, y, (far - outer, y), (far, y + down * outer))
    turn(far, z, (far, z - down * outer), (far - outer, z))
    line(neck, z)
    line(neck, arrives + down * head)
    line(half_block, arrives)
    line(neck, arrives - down * head)
    y, z = leaves + down * half, arrives - down * half
    line(neck, z)
    turn(near, z, (near - inner, z), (near, z - down * inner))
    turn(near, y, (near, y + down * inner), (near - inner, y))
    line(half_block, y)
    return steps
