"""Every table that a run leaves behind: its columns, their types and units, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Type = Literal["int", "nullable int", "float", "bool", "time", "category"]


@dataclass(frozen=True)
class Column:
    """One column: `unit` is empty for names and counts."""

    name: str
    type: Type
    unit: str = ""
    meaning: str = ""


_REPLICATION = Column("replication", "int", meaning="number of the replication, from 0")
_TIME = Column("time", "time", meaning="grid time; sees every event up to and including it")
_SEGMENT = Column("segment", "category")
_STATE = Column("state", "category")
_DESK = Column("desk", "category")

TABLES: dict[str, tuple[Column, ...]] = {
    "occupancy": (
        _REPLICATION,
        _TIME,
        _SEGMENT,
        _STATE,
        Column("accounts", "int", "accounts", "accounts in the state"),
    ),
    "bans": (
        _REPLICATION,
        _TIME,
        _SEGMENT,
        Column("joined", "int", "accounts", "accounts that have joined"),
        Column("ever_banned", "int", "accounts", "accounts that have ever entered a ban"),
        Column("banned", "int", "accounts", "accounts in a ban now"),
        Column("wrongly_banned", "int", "accounts", "accounts whose first ban was wrongful"),
    ),
    "transitions": (
        _REPLICATION,
        Column("time", "time", meaning="grid time that ends the interval"),
        _SEGMENT,
        Column("from_state", "category", meaning="empty for joins"),
        Column("to_state", "category"),
        Column("cause", "category", meaning="joined, exit:<name>, decision, wave:<name>, served, phase:<name>"),
        Column("wrongful", "bool", meaning="the account's mark after the move"),
        Column("transitions", "int", "moves"),
    ),
    "states": (
        _REPLICATION,
        _SEGMENT,
        _STATE,
        Column("entries", "int", "entries"),
        Column("accounts_ever", "int", "accounts", "accounts that were ever in the state"),
        Column("account_days", "float", "account-days"),
        Column("audience_days", "float", "reader-days"),
    ),
    "violations": (
        _REPLICATION,
        _SEGMENT,
        Column("kind", "category"),
        Column("severity", "category"),
        Column("genuine", "bool"),
        Column("violations", "int", "violations"),
        Column("detected", "int", "violations"),
    ),
    "desks": (
        _REPLICATION,
        _TIME,
        _DESK,
        Column("waiting", "int", "accounts"),
        Column("busy", "int", "reviewers"),
        Column("reviewers", "nullable int", "reviewers", "empty: unlimited"),
    ),
    "waits": (
        _REPLICATION,
        _DESK,
        Column("served", "int", "accounts", "services started"),
        Column("left", "int", "accounts", "accounts that left the queue unserved"),
        Column("mean_hours", "float", "hours"),
        Column("p50_hours", "float", "hours"),
        Column("p95_hours", "float", "hours"),
        Column("p99_hours", "float", "hours"),
        Column("utilisation", "float", "share", "time served over time staffed; empty: unlimited"),
    ),
    "histories": (
        _REPLICATION,
        _SEGMENT,
        Column("account", "int", meaning="index within the segment"),
        Column("time", "time"),
        Column("from_state", "category", meaning="empty for joins"),
        Column("to_state", "category"),
        Column("cause", "category"),
        Column("kind", "category", meaning="of the worst violation of the case that a decision closed"),
        Column("severity", "category"),
        Column("strikes", "nullable int", "strikes", "unexpired ones, this one included"),
        Column("wrongful", "bool", meaning="the account's mark after the event"),
    ),
}
"""The tables of a run, in the order in which they are written."""

SUMMARY = ("measure", "segment", "state", "value", "low", "high", "unit")
"""Columns of ``summary.csv``."""
