"""What is kept of a replication where its tables are not: the numbers that experiments over many replications are made of."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from sim.model.jit import Array
from sim.model.tables import is_coupled
from sim.results.invariants import check
from sim.results.summary import Measure, Value, measures
from sim.results.tables import Codes, Counts


class Moved(NamedTuple):
    """Who moved and how; `from_state` is empty for accounts that joined."""

    segment: str
    from_state: str
    to_state: str
    cause: str
    wrongful: bool


@dataclass(frozen=True)
class Outcome:
    """What is kept of a replication.

    Attributes
    ----------
    measures
        Every measure of the summary at the end of the run.
    bans
        (G, S, 4) int64: joined, ever banned, banned, wrongly banned, by grid time and segment.
    occupancy
        (G, S, X) int64: accounts by grid time, segment and state.
    independent
        Whether accounts never meet.
    checked
        How many numbers were compared for each of `sim.results.invariants.INVARIANTS`.
    moves
        How often each move was made over the whole run; those that never were are left out.
    """

    measures: dict[Measure, Value]
    bans: Array
    occupancy: Array
    independent: bool
    checked: dict[str, int] = field(default_factory=dict)
    moves: dict[Moved, int] = field(default_factory=dict)

    def to_json(self) -> str:
        """Text that `from_json` reads back to the same."""
        told = {
            "measures": [[*measure, *value] for measure, value in self.measures.items()],
            "bans": self.bans.tolist(),
            "occupancy": self.occupancy.tolist(),
            "independent": self.independent,
            "checked": self.checked,
            "moves": [[*moved, count] for moved, count in self.moves.items()],
        }
        return json.dumps(told)

    @staticmethod
    def from_json(text: str) -> Outcome:
        """Read what `to_json` wrote."""
        told = json.loads(text)
        found = {Measure(*row[:4]): Value(*row[4:]) for row in told["measures"]}
        bans, occupancy = np.array(told["bans"]), np.array(told["occupancy"])
        moves = {Moved(*row[:5]): row[5] for row in told["moves"]}
        return Outcome(found, bans, occupancy, told["independent"], told["checked"], moves)


def _moves(counts: Counts, codes: Codes) -> dict[Moved, int]:
    """Moves over the whole run by segment, move and mark."""
    made, names = counts.tally.moves.sum(axis=0), codes.names
    found = {}
    for segment, move, wrongful in zip(*(place.tolist() for place in np.nonzero(made)), strict=True):
        origin, to, cause = names.moves[move]
        source = names.states[origin] if origin >= 0 else ""
        moved = Moved(names.segments[segment], source, names.states[to], cause, wrongful == 1)
        found[moved] = int(made[segment, move, wrongful])
    return found


def outcome_of(counts: Counts, codes: Codes) -> Outcome:
    """What is kept of the numbers of a replication, once they are known to hold together.

    Raises
    ------
    InvariantError
        They do not (`sim.results.invariants`).
    """
    checked = check(counts, codes)
    return Outcome(
        checked=checked,
        measures=measures(counts, codes),
        bans=counts.bans,
        occupancy=counts.occupancy,
        independent=not is_coupled(codes.law),
        moves=_moves(counts, codes),
    )
