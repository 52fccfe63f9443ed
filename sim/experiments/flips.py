"""Two lives of the same account, side by side: where they part, by which rule, and how they end.

Draws are keyed to account and decision, so that an account lives the same life in two scenarios up to the first event that the change touches.

======================  ==========================================================================
`Words`                 names of segments, states, moves that both scenarios share
`pair_up`               the logs of two runs, brought to the same accounts in the same words
`partings`              where two lives part, and how they end: one row an account
`flips`                 how many accounts part where and end how
`examples`              histories side by side
======================  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from sim.engines.tally import EVENT
from sim.model.jit import NEVER, Array
from sim.results.tables import Codes

GROUP = ("segment", "fate_a", "fate_b", "first_in", "cause", "from_state", "to_state", "rule")
FLIPS = (*GROUP[:3], "ends_differently", *GROUP[3:], "accounts")
"""Columns of the flip report."""
EXAMPLES = (
    *("segment", "account", "fate_a", "fate_b", "rule", "step", "parted"),
    *("time_a", "from_a", "to_a", "cause_a", "time_b", "from_b", "to_b", "cause_b"),
)
FIRST_IN = ("A", "B", "both")
ABSENT = "never joined"


@dataclass(frozen=True)
class Words:
    """Names that the scenarios compared have between them; numbers in recoded events are places in these."""

    segments: tuple[str, ...]
    states: tuple[str, ...]
    moves: tuple[tuple[int, int, str], ...]
    severities: tuple[str, ...]

    @staticmethod
    def of(all_codes: Iterable[Codes]) -> Words:
        """The words of some scenarios, those of the first one first."""
        names = [codes.names for codes in all_codes]
        segments = tuple(dict.fromkeys(name for each in names for name in each.segments))
        states = tuple(dict.fromkeys(name for each in names for name in each.states))
        severities = tuple(dict.fromkeys(name for each in names for name in each.severities))
        place = {name: number for number, name in enumerate(states)}
        moves = dict.fromkeys(
            (place[each.states[origin]] if origin >= 0 else -1, place[each.states[to]], cause)
            for each in names
            for origin, to, cause in each.moves
        )
        return Words(segments, states, tuple(moves), severities)

    @cached_property
    def targets(self) -> Array:
        """State to which each move leads."""
        return np.array([to for _, to, _ in self.moves], np.int64)

    def recoded(self, events: Array, codes: Codes) -> Array:
        """Events of a scenario in these words, by segment, account and order of happening."""
        names = codes.names
        place = {name: number for number, name in enumerate(self.states)}
        numbers = {move: number for number, move in enumerate(self.moves)}
        moves = [
            numbers[place[names.states[origin]] if origin >= 0 else -1, place[names.states[to]], cause]
            for origin, to, cause in names.moves
        ]
        found = events.copy()
        found["segment"] = np.array([self.segments.index(name) for name in names.segments])[events["segment"]]
        found["move"] = np.array(moves)[events["move"]]
        severities = np.array([*(self.severities.index(name) for name in names.severities), -1])
        found["severity"] = severities[events["severity"]]
        return found[np.argsort(key_of(found), kind="stable")]

    def bans(self, codes: Codes) -> Array:
        """Which states count as bans in a scenario."""
        return np.isin(self.states, [name for name, ban in zip(codes.names.states, codes.law.bans, strict=True) if ban])


def key_of(events: Array) -> Array:
    """Segment and account in one number."""
    return (events["segment"].astype(np.int64) << 32) | events["account"].astype(np.int64)


def firsts(values: Array) -> Array:
    """Where each value comes first among sorted ones (many times faster than `numpy.unique`, which does not know that they are sorted)."""
    return np.flatnonzero(np.append(True, values[1:] != values[:-1])[: len(values)])


def _distinct(values: Array) -> Array:
    """The different ones among sorted values."""
    found: Array = values[firsts(values)]
    return found


@dataclass(frozen=True)
class Lives:
    """Lives of N accounts in one scenario: `events` of one after the other, those of the i-th from ``first[i]`` up to ``first[i + 1]``."""

    events: Array
    first: Array
    bans: Array

    @cached_property
    def lengths(self) -> Array:
        """Events of each account; none if it never joins."""
        return np.diff(self.first)

    @cached_property
    def owner(self) -> Array:
        """Account (its place among the N) of each event."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def final_states(self, words: Words) -> Array:
        """State of each account at the end; -1 if it never joins."""
        states = np.full(len(self.lengths), -1, np.int64)
        there = self.lengths > 0
        states[there] = words.targets[self.events["move"][self.first[1:][there] - 1]]
        return states

    def first_bans(self, words: Words) -> tuple[Array, Array]:
        """Time of each account's first ban (`NEVER` without one), and whether it was wrongful."""
        rows = np.flatnonzero(self.bans[words.targets[self.events["move"]]])
        at = firsts(self.owner[rows])
        owners = self.owner[rows[at]]
        times, wrongful = np.full(len(self.lengths), NEVER, np.int64), np.zeros(len(self.lengths), bool)
        times[owners] = self.events["time"][rows[at]]
        wrongful[owners] = self.events["wrongful"][rows[at]] == 1
        return times, wrongful


@dataclass(frozen=True)
class Pairs:
    """The same accounts in two scenarios; accounts that stay in the start state in both are left out."""

    words: Words
    keys: Array
    a: Lives
    b: Lives

    @property
    def segments(self) -> Array:
        """Segment of each account."""
        return self.keys >> 32


@dataclass(frozen=True)
class Logged:
    """What an engine has logged of a run: all accounts that anything may happen to, or the `first` ones of each segment."""

    codes: Codes
    events: Array
    first: int | None

    def left_out(self, words: Words) -> dict[int, int]:
        """Accounts, by segment, that are there from time 0 and left out of the log where they stay in the start state."""
        rows = zip(self.codes.names.segments, self.codes.law.segments, strict=True)
        return {words.segments.index(name): int(row["accounts"]) for name, row in rows if row["joins_to"] <= 0}


def _filled(events: Array, keys: Array, known: Array, left_out: dict[int, int], joined: int) -> Array:
    """Events with a row of joining for each account in `keys` that stays in the start state and so was left out."""
    missing = np.setdiff1d(keys, known, assume_unique=True)
    most = np.array([left_out.get(segment, 0) for segment in range(int((missing >> 32).max(initial=0)) + 1)])
    missing = missing[(missing & 0xFFFFFFFF) < most[missing >> 32]]
    if not len(missing):
        return events
    rows = np.zeros(len(missing), EVENT)
    rows["segment"], rows["account"], rows["move"] = missing >> 32, missing & 0xFFFFFFFF, joined
    rows["strikes"] = rows["kind"] = rows["severity"] = -1
    found = np.concatenate((events, rows))
    return found[np.argsort(key_of(found), kind="stable")]


def _accounts(words: Words, logged: Logged) -> Array:
    """Accounts of each segment; none of one that the scenario does not have."""
    found = np.zeros(len(words.segments), np.int64)
    for name, row in zip(logged.codes.names.segments, logged.codes.law.segments, strict=True):
        found[words.segments.index(name)] = row["accounts"]
    return found


def pair_up(words: Words, a: Logged, b: Logged) -> Pairs:
    """Bring the logs of two runs to the same accounts: those that both scenarios have."""
    counts = [_accounts(words, each) for each in (a, b)]
    both = np.minimum(*counts)
    logs = [words.recoded(each.events, each.codes) for each in (a, b)]
    logs = [events[events["account"] < both[events["segment"]]] for events in logs]
    known = [_distinct(key_of(events)) for events in logs]
    keys = _distinct(np.sort(np.concatenate(known), kind="stable"))
    lives = []
    for each, events, own in zip((a, b), logs, known, strict=True):
        start = words.states.index(each.codes.scenario.spec.ladder.start)
        joined = words.moves.index((-1, start, "joined"))
        events = _filled(events, keys, own, each.left_out(words), joined)
        first = np.searchsorted(key_of(events), np.append(keys, NEVER))
        lives.append(Lives(events, first, words.bans(each.codes)))
    return Pairs(words, keys, *lives)


def parting_steps(pairs: Pairs) -> Array:
    """Number of the first event in which the two lives of an account differ (time, move, mark); -1 where they are the same."""
    a, b = pairs.a, pairs.b
    common = np.minimum(a.lengths, b.lengths)
    step = np.arange(len(a.events)) - a.first[a.owner]
    rows = np.flatnonzero(step < common[a.owner])
    other = b.first[a.owner[rows]] + step[rows]
    differs = np.zeros(len(rows), bool)
    for field in ("time", "move", "wrongful"):
        differs |= a.events[field][rows] != b.events[field][other]
    differing = rows[differs]
    differing = differing[firsts(a.owner[differing])]
    steps = np.where(a.lengths == b.lengths, -1, common)
    steps[a.owner[differing]] = step[differing]
    return steps


def fate_names(words: Words) -> tuple[str, ...]:
    """Names of fates: a state, the same after a ban, and so on; the last one is that of an account that never joins."""
    return (*(f"{state}{after}" for state in words.states for after in ("", ", after a ban")), ABSENT)


def _fates(lives: Lives, words: Words) -> Array:
    """Number of each account's fate: its last state, and whether it was banned before where that state is not a ban."""
    last = lives.final_states(words)
    once = lives.first_bans(words)[0] < NEVER
    return np.where(last < 0, 2 * len(words.states), 2 * last + (once & ~lives.bans[last]))


def _at_step(lives: Lives, places: Array, steps: Array) -> tuple[Array, Array]:
    """Rows of the events of that number, and whether there are any."""
    there = steps < lives.lengths[places]
    return np.where(there, lives.first[places] + steps, 0), there


def partings(pairs: Pairs) -> pd.DataFrame:
    """Every account whose lives part: its place, segment, fates, the step and the event at which they part. All are numbers.

    The event is the earlier one of the two; where both come at one instant, that of B.
    """
    steps = parting_steps(pairs)
    places = np.flatnonzero(steps >= 0)
    steps = steps[places]
    events, times = [], []
    for lives in (pairs.a, pairs.b):
        rows, there = _at_step(lives, places, steps)
        chosen = lives.events[rows] if len(lives.events) else np.zeros(len(rows), EVENT)
        events.append(chosen)
        times.append(np.where(there, chosen["time"], NEVER))
    first_in = np.where(times[0] < times[1], 0, np.where(times[1] < times[0], 1, 2))
    found = np.where(first_in == 0, events[0], events[1])
    return pd.DataFrame(
        {
            "place": places,
            "segment": pairs.segments[places],
            "fate_a": _fates(pairs.a, pairs.words)[places],
            "fate_b": _fates(pairs.b, pairs.words)[places],
            "first_in": first_in,
            "move": found["move"].astype(np.int64),
            "severity": found["severity"].astype(np.int64),
            "step": steps,
        }
    )


def rule_of(words: Words, segment: int, move: int, severity: int) -> str:
    """Path, in a scenario file, of the rule that made a move."""
    origin, _, cause = words.moves[move]
    state = words.states[origin] if origin >= 0 else ""
    kind, _, name = cause.partition(":")
    if kind == "exit":
        return f"ladder.states.{state}.exits.{name}"
    if kind == "decision":
        return f"ladder.states.{state}.on_violation.{words.severities[severity]}"
    if kind == "served":
        return f"ladder.states.{state}.outcomes"
    return f"{kind}s.{name}" if name else f"segments.{words.segments[segment]}.joins"


_NUMBERS = ["segment", "fate_a", "fate_b", "first_in", "move", "severity"]


def _told(words: Words, numbers: pd.DataFrame) -> pd.DataFrame:
    """The columns of `GROUP` for rows of numbers."""
    fates = fate_names(words)
    rows = [
        (
            words.segments[segment],
            fates[fate_a],
            fates[fate_b],
            FIRST_IN[first_in],
            words.moves[move][2],
            words.states[words.moves[move][0]] if words.moves[move][0] >= 0 else "",
            words.states[words.moves[move][1]],
            rule_of(words, segment, move, severity),
        )
        for segment, fate_a, fate_b, first_in, move, severity in numbers[_NUMBERS].to_numpy().tolist()
    ]
    return pd.DataFrame(rows, columns=list(GROUP))


def flips(pairs: Pairs, found: pd.DataFrame) -> pd.DataFrame:
    """How many accounts part where and end how, most first (columns `FLIPS`); accounts that part and end alike are told too."""
    counted = found.groupby(_NUMBERS, sort=True).size().reset_index(name="accounts")
    table = _told(pairs.words, counted)
    table["accounts"] = counted["accounts"].to_numpy(dtype=np.int64)
    table = table.groupby(list(GROUP), sort=False)["accounts"].sum().reset_index()
    table.insert(3, "ends_differently", (table["fate_a"] != table["fate_b"]).to_numpy(dtype=bool))
    order = table.sort_values(["ends_differently", "accounts"], ascending=False, kind="stable")
    return order.reset_index(drop=True)[list(FLIPS)]


def _moves_of(pairs: Pairs, lives: Lives, place: int, codes: Codes) -> list[tuple[object, ...]]:
    words = pairs.words
    events = lives.events[lives.first[place] : lives.first[place + 1]]
    times = codes.timestamps(events["time"])
    return [
        (pd.Timestamp(time), words.states[origin] if origin >= 0 else "", words.states[to], cause)
        for time, (origin, to, cause) in zip(times, (words.moves[move] for move in events["move"]), strict=True)
    ]


def examples(pairs: Pairs, found: pd.DataFrame, codes: Codes, *, groups: int = 6, each: int = 2) -> pd.DataFrame:
    """Histories side by side (columns `EXAMPLES`) of the first accounts of the largest groups that end differently, by fates and move."""
    differ = found[found["fate_a"] != found["fate_b"]]
    kinds = ["fate_a", "fate_b", "first_in", "move"]
    largest = differ.groupby(kinds).size().sort_values(ascending=False, kind="stable").index[:groups]
    rows: list[Sequence[object]] = []
    blank = (pd.NaT, "", "", "")
    for group in largest:
        same = (differ[kinds] == list(group)).all(axis=1)
        chosen = differ[same].head(each)
        for (_, number), told in zip(
            chosen.iterrows(), _told(pairs.words, chosen).itertuples(index=False), strict=True
        ):
            place, step = int(number["place"]), int(number["step"])
            lives = [_moves_of(pairs, life, place, codes) for life in (pairs.a, pairs.b)]
            head = (told.segment, int(pairs.keys[place] & 0xFFFFFFFF), told.fate_a, told.fate_b, told.rule)
            for k in range(max(len(life) for life in lives)):
                mine, theirs = (life[k] if k < len(life) else blank for life in lives)
                rows.append((*head, k, k >= step, *mine, *theirs))
    return pd.DataFrame(rows, columns=list(EXAMPLES))
