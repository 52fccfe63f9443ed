"""What no JSON Schema can say, put right: names that exist, chances that add up, ranges and dates in order, states that can be reached."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Values = dict[str, Any]
BASES = ("unit_base.yaml", "wechat_2022", "facebook_2022", "twitch_2025")
"""What what-ifs extend, beside `tests/invalid`."""
SETTABLE = (
    ("title", "another"),
    ("observe", "12 hours"),
    ("horizon", "30 days"),
    ("end", None),
    ("segments.media.accounts", 7),
    ("violations.trading.detection.chance", "50%"),
    ("ladder.states.banned.activity", "10%"),
)
"""Paths and values of what-ifs, most of which most of the bases have."""


def coherent(values: Any) -> Any:
    """The same scenario or what-if, with whatever names, sums and orders it takes to be valid, mostly; changed in place."""
    ordered(values)
    if "extends" in values:
        values["extends"] = BASES[len(str(values["extends"])) % len(BASES)]
        if values.get("set"):
            picks = [SETTABLE[(place * 3 + len(key)) % len(SETTABLE)] for place, key in enumerate(values["set"])]
            values["set"] = {path: value for path, value in picks if value is not None}
        for key in ("expect", "sweep"):
            values.pop(key, None)
        return values
    for part in (_calendar, _segments, _violations, _ladder, _waves, _phases, _expect, _sweep):
        part(values)
    return values


def ordered(values: Any, readers: bool = False) -> None:
    """Ranges, bounds of distributions and quantiles from the smallest to the largest, all the way down; `readers`: of numbers, not of durations."""
    spread = (1, 7, 20) if readers else ("90 minutes", "7 days", "2 weeks")
    if isinstance(values, dict):
        if "best" in values:
            values |= {"low": values["best"], "high": values["best"]}
        elif "low" in values and "high" in values:
            values |= {key: value for key, value in zip(("low", "mode", "high"), spread, strict=True) if key in values}
        if isinstance(values.get("empirical"), dict):
            length = max(2, len(values["empirical"].get("quantiles", ())))
            values["empirical"] = {"quantiles": [spread[min(place, 2)] for place in range(length)]}
    for key, child in values.items() if isinstance(values, dict) else enumerate(values):
        if isinstance(child, (dict, list)):
            ordered(child, readers or key == "audience")


def one_of(name: Any, names: Iterable[str]) -> str:
    """The name if it exists, or one that does."""
    known = list(names)
    return name if name in known else known[len(str(name)) % len(known)]


def shares(table: Values, names: Iterable[str]) -> Values:
    """A table of chances over some of these names."""
    known = list(names)
    taken = list(dict.fromkeys(one_of(name, known) for name in table)) or known[:1]
    return {name: "25%" if place else f"{100 - 25 * (len(taken) - 1)}%" for place, name in enumerate(taken)}


def _calendar(values: Values) -> None:
    if values.get("end"):
        values["end"] = "2022-09-01"
    values.pop("horizon" if "end" in values else "end", None)
    values["start"] = values["start"] if str(values["start"]).startswith("2022-06") else "2022-06-20"
    if "end" not in values:
        values.setdefault("horizon", "2 weeks")
    if values.get("observe") == "90 minutes" and "end" in values:
        values["observe"] = "2 weeks"
    values["severities"] = list(dict.fromkeys(values.get("severities") or ["minor", "serious"]))


def _segments(values: Values) -> None:
    for segment in values["segments"].values():
        if "joins" in segment:
            segment["joins"] = {"from": "7 days", "to": "2 weeks"}


def _violations(values: Values) -> None:
    for kind in values.get("violations", {}).values():
        kind["rate"] = {one_of(name, values["segments"]): rate for name, rate in kind["rate"].items()}
        kind["severity"] = shares(kind["severity"], values["severities"])


def _ladder(values: Values) -> None:
    ladder = values["ladder"]
    states = ladder["states"]
    ladder["start"] = start = one_of(ladder["start"], states)
    if "bans" in ladder:
        ladder["bans"] = list(dict.fromkeys(one_of(ban, states) for ban in ladder["bans"]))
    desks = values.get("desks", {})
    for state in states.values():
        _state(state, states, values["severities"], desks)
    used = {state["desk"] for state in states.values() if "desk" in state}
    values["desks"] = {name: _desk(desk) for name, desk in desks.items() if name in used}
    for name in states:
        if name != start:
            states[start].setdefault("exits", {})[f"to {name}"] = {"to": name, "after": "7 days", "chance": "30%"}


def _state(state: Values, states: Values, severities: Sequence[str], desks: Values) -> None:
    for way in state.get("exits", {}).values():
        way["to"] = one_of(way["to"], states)
    if "on_violation" in state:
        state["on_violation"] = {
            one_of(name, severities): one_of(to, states)
            if isinstance(to, str)
            else [one_of(each, states) for each in to]
            for name, to in state["on_violation"].items()
        }
    if "desk" in state and desks:
        state["desk"] = one_of(state["desk"], desks)
        state.setdefault("service", "90 minutes")
        outcomes = state.get("outcomes", {})
        split = outcomes.keys() == {"rightful", "wrongful"}
        state["outcomes"] = (
            {mark: shares(table, states) for mark, table in outcomes.items()} if split else shares(outcomes, states)
        )
    else:
        for key in ("desk", "service", "outcomes", "priority"):
            state.pop(key, None)


def _desk(desk: Values) -> Values:
    if desk.get("hours"):
        desk["hours"] |= {"from": "09:00", "to": "17:30"}
    return desk


def _waves(values: Values) -> None:
    for wave in values.get("waves", {}).values():
        wave["at"] = "7 days" if str(wave["at"]).startswith("20") else wave["at"]
        wave["segment"] = one_of(wave["segment"], values["segments"])
        wave["to"] = one_of(wave["to"], values["ladder"]["states"])
        if "states" in wave:
            wave["states"] = [one_of(name, values["ladder"]["states"]) for name in wave["states"]]
        wave.pop("count", None)
        wave.setdefault("share", "30%")


def _phases(values: Values) -> None:
    states = values["ladder"]["states"]
    for number, phase in enumerate(values.get("phases", {}).values()):
        state = one_of(next(iter(phase["set"]), ""), states)
        phase["set"] = {f"ladder.states.{state}.activity": f"{10 * number}%"}


def _expect(values: Values) -> None:
    for wanted in values.get("expect", ()):
        if "segment" in wanted:
            wanted["segment"] = one_of(wanted["segment"], values["segments"])
        wanted.pop("state", None)
        if wanted["measure"] == "occupancy_share":
            wanted["state"] = values["ladder"]["start"]
        wanted["at"] = "end"
        wanted.pop("above", None)
        wanted.setdefault("below", "30%")


def _sweep(values: Values) -> None:
    if "sweep" in values:
        values["sweep"] = {"vary": {"observe": ["1 day", "2 days"]}}
