"""From fitted exits to a scenario file: states by visit, durations in fitting units, one text that loads.

The scenario lives as many accounts as were observed, all of them from time 0 on: its time is the time since joining.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from sim.experiments.fitting.before import WORDS, most_begin, visit_numbers
from sim.experiments.fitting.exits import ExitFit
from sim.experiments.fitting.families import NAMES
from sim.experiments.fitting.reading import Histories
from sim.results.spells import CENSORED, DAY_US, Integers, Spells
from sim.scenario.units import UNITS_US, canonical
from sim.scenario.writing import Written, yaml_text

FEWEST = 50
"""Entries that a state needs to be split from the visits before."""

JOINED, MOST_BEGIN = "joining", 0.99
"""Where fewer begin in one state, there is a state before all others, which lasts a microsecond. Else all begin in the commonest one."""

DIGITS, QUANTILE_DIGITS = 6, 7
GRID = (("1 day", DAY_US), ("1 hour", DAY_US // 24), ("1 minute", DAY_US // 1440), ("1 second", DAY_US // 86_400))
FEWEST_GRID_TIMES = 30


@dataclass(frozen=True)
class Visits:
    """States split by the number of visits.

    Attributes
    ----------
    spells
        With the split states.
    state_of
        Name of a split state -> name in the file, in the order of the ladder.
    cuts
        Name of a state that was split by the stay before -> up to which length, in days, that counts as short, and perhaps as middling.
    depth
        How many visits are apart; the last holds all later ones.
    """

    spells: Spells
    state_of: Mapping[str, str]
    cuts: Mapping[str, tuple[float, ...]]
    depth: int


def split_by_visit(spells: Spells, most: int, counted: str | None = None) -> Visits:
    """Make the first, second, ... time around the ladder separate states: all states by the number of visits to one of them.

    Parameters
    ----------
    spells
        As read.
    most
        The last of the separate states holds this visit and all later ones; 1 leaves all states as they are. There are fewer where less than
        `FEWEST` entries would be left for the last.
    counted
        As for `sim.experiments.fitting.before.visit_numbers`.
    """
    number = most_begin(spells) if counted is None else spells.states.index(counted)
    visit = visit_numbers(spells, counted)
    entries = np.bincount(np.minimum(visit[spells.state == number], most), minlength=most + 1)
    at_least = entries[::-1].cumsum()[::-1]
    depth = max([1, *(k for k in range(2, most + 1) if at_least[k] >= FEWEST)])
    names = [_visit_names(name, depth, spells.states) for name in spells.states]
    state = spells.state * depth + np.minimum(visit, depth) - 1
    following = np.where(spells.next == CENSORED, CENSORED, np.roll(state, -1))
    flat = tuple(name for level in zip(*names, strict=True) for name in level)
    renumbered = np.array([flat.index(name) for levels in names for name in levels], np.int64)
    following = np.where(following == CENSORED, CENSORED, renumbered[following])
    origin = {name: spells.states[k % len(spells.states)] for k, name in enumerate(flat)}
    return Visits(replace(spells, state=renumbered[state], next=following, states=flat), origin, {}, depth)


def _visit_names(name: str, depth: int, taken: Sequence[str]) -> list[str]:
    if depth == 1:
        return [name]
    found = [name, *(f"{name} {k}" for k in range(2, depth)), f"{name} {depth} or more"]
    return [f"{one} visits" if one in taken and one != name else one for one in found]


def scenario_text(
    histories: Histories, visits: Visits, exits: Sequence[ExitFit], bans: Sequence[str], source: str
) -> str:
    """Text of the scenario."""
    spells = visits.spells
    longest_us = int((spells.since_joining().left_us).max(initial=0))
    observe, step_us = next((one for one in GRID if longest_us >= FEWEST_GRID_TIMES * one[1]), GRID[-1])
    start, states = _states(spells, exits, visits.state_of)
    ladder: dict[str, Any] = {"start": start}
    if bans:
        ladder["bans"] = [name for name in states if visits.state_of.get(name) in bans]
    began = spells.start
    parts = {
        "schema": 1,
        "title": f"Fitted to {histories.name}",
        "purpose": f"How do accounts move through the states recorded in {histories.name}, and what would other rules change about it?",
        "sources": [f"histories: {source}"],
        "assumed": [
            "start horizon observe: all accounts join at the start, so time is time since joining; it ends with the longest observed account",
            "ladder.states.*: a stay depends on its state alone, not on the date, on what was before or on the account",
            *(
                f"ladder.states.*: before {name} a stay counts as {cuts_text(days)}"
                for name, days in visits.cuts.items()
            ),
        ],
        "start": Written("2000-01-01" if began is None else f"{began:%Y-%m-%d}"),
        "horizon": Written(duration_text(max(math.ceil(longest_us / step_us), 1) * step_us / DAY_US)),
        "observe": Written(observe),
        "segments": {
            name: {"accounts": int((spells.first & (spells.segment == k)).sum())}
            for k, name in enumerate(spells.segments)
        },
        "ladder": ladder | {"states": states},
    }
    return _commented(yaml_text(parts))


def _commented(text: str) -> str:
    """The text with the source of its numbers beside them."""
    for key, comment in (
        ("start", "assumed"),
        ("horizon", "assumed"),
        ("observe", "assumed"),
        ("segments", "all [histories] counted"),
    ):
        line = next(line for line in text.splitlines() if line.startswith(f"{key}:"))
        text = text.replace(f"\n{line}\n", f"\n{line} # {comment}\n", 1)
    return text.replace(
        "\nladder:\n", "\nladder: # all [histories] estimated; standard errors are in the table beside this file\n", 1
    )


def _states(spells: Spells, exits: Sequence[ExitFit], state_of: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """Name of the start state, and the states with their exits."""
    states: dict[str, Any] = {}
    began = np.bincount(spells.state[spells.first], minlength=len(spells.states))
    start = spells.states[int(np.argmax(began))]
    if began.max() < MOST_BEGIN * began.sum():
        start = JOINED if JOINED not in spells.states else f"{JOINED} now"
        states[start] = {"exits": _beginnings(spells, began, state_of)}
    reached = _reached(np.flatnonzero(began) if start in states else [int(np.argmax(began))], spells.states, exits)
    for name in (name for name in spells.states if name in reached):
        ways = [one for one in exits if one.state == name]
        ends = [state_of[one.to] for one in ways]
        named = ends if len(set(ends)) == len(ends) else [one.to for one in ways]
        states[name] = {"exits": dict(zip(named, map(_exit, ways), strict=True))} if ways else {"activity": 0}
    return start, states


def _reached(starts: Iterable[int], states: Sequence[str], exits: Sequence[ExitFit]) -> set[str]:
    """States that an account can come to: some were only ever the first of an account that began elsewhere than most."""
    reached: set[str] = set()
    ahead = [states[number] for number in starts]
    while ahead:
        name = ahead.pop()
        reached.add(name)
        ahead += [one.to for one in exits if one.state == name and one.to not in reached]
    return reached


def _beginnings(spells: Spells, began: Integers, state_of: Mapping[str, str]) -> dict[str, Any]:
    """Exits that all ring at once: of those the first written wins, so each chance is among the accounts that earlier ones left."""
    left, found = int(began.sum()), {}
    for number in np.argsort(-began, kind="stable")[: int((began > 0).sum())]:
        name, count = spells.states[number], int(began[number])
        found[state_of[name]] = {"to": name, "after": Written("0 days"), "chance": Written(chance_text(count / left))}
        left -= count
    return found


def _exit(one: ExitFit) -> dict[str, Any]:
    found: dict[str, Any] = {"to": one.to, "after": _after(one)}
    return found if one.chance.value == 1.0 else found | {"chance": Written(chance_text(one.chance.value))}


def _after(one: ExitFit) -> Any:
    if one.family == "fixed":
        return Written(duration_text(one.parameters[0].value))
    if one.family == "empirical":
        return {"empirical": {"quantiles": Written(_quantile_text(one.quantiles))}}
    texts = {p.name: duration_text(p.value) if p.unit == "days" else number_text(p.value) for p in one.parameters}
    return {one.family: {name: Written(texts[name]) for name in NAMES[one.family]}}


def _quantile_text(days: Sequence[float]) -> str:
    """A list in one unit, so that rounding keeps it rising; on as many lines as it takes."""
    unit = "hour" if days[-1] < 3.0 else "day"
    scale = DAY_US / UNITS_US[unit]
    texts = (number_text(value * scale, QUANTILE_DIGITS) for value in days)
    listed = ", ".join(_with_unit(text, unit) for text in texts)
    lines = textwrap.wrap(listed, 124, break_on_hyphens=False)
    return f"[{lines[0]}" + "".join(f"\n{'':16}{line}" for line in lines[1:]) + "]"


def number_text(value: float, digits: int = DIGITS) -> str:
    """A number with so many significant digits and no exponent."""
    return canonical(Decimal(f"{value:.{digits}g}"))


def chance_text(share: float) -> str:
    """A chance in percent; of one that is not certain, never 100 %."""
    return f"{number_text(100.0 * share)}%"


def duration_text(days: float) -> str:
    """A duration in the largest unit that says it exactly in six digits, else in the one of its size."""
    us = round(days * DAY_US)
    units = ("day", "hour", "minute", "second")
    exact = (
        unit
        for unit in units
        if us >= UNITS_US[unit] and round(float(f"{us / UNITS_US[unit]:.{DIGITS}g}") * UNITS_US[unit]) == us
    )
    unit = next(exact, next((unit for unit in units if us >= UNITS_US[unit]), "second"))
    return _with_unit(number_text(us / UNITS_US[unit]), unit)


def cuts_text(cuts: Sequence[float]) -> str:
    """What counts as short, and as middling where there are two cuts."""
    return ", ".join(
        f"{word} up to {duration_text(days)}" for word, days in zip(WORDS[len(cuts)][:-1], cuts, strict=True)
    )


def _with_unit(text: str, unit: str) -> str:
    return f"{text} {unit}{'' if text == '1' else 's'}"
