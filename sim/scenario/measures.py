"""The measures that an expectation may name: the one list of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """What a measure says, and whether it is of one state."""

    meaning: str
    of_state: bool = False


MEASURES: dict[str, Measure] = {
    "ban_rate": Measure("share of the joined accounts that have ever entered a state that counts as a ban"),
    "banned_share": Measure("share of the joined accounts that are in a state that counts as a ban"),
    "wrongful_ban_rate": Measure("share of the joined accounts whose first ban was wrongful"),
    "occupancy_share": Measure("share of the joined accounts that are in a state", of_state=True),
}
