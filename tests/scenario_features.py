"""What a scenario dictionary uses of the law: its features, its laws phase by phase, the states within reach."""

import copy
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

FAMILIES = ("fixed", "exponential", "uniform", "triangular", "weibull", "lognormal", "loglogistic", "empirical")
# What a phase may patch: a name for each, and the keys that tell it in a path (all of them, anywhere in the path).
PATCHES = {
    "rate": ("rate",),
    "detection": ("detection", "chance"),
    "delay": ("delay",),
    "severity": ("violations", "severity"),
    "expire": ("expire",),
    "activity": ("activity",),
    "exit_after": ("after",),
    "exit_chance": ("exits", "chance"),
    "exit_to": ("exits", "to"),
    "on_violation": ("on_violation",),
    "service": ("service",),
    "outcomes": ("outcomes",),
    "priority": ("priority",),
    "reviewers": ("reviewers",),
    "wave_size": ("waves", "share"),
    "wave_count": ("waves", "count"),
    "wave_to": ("waves", "to"),
    "wave_genuine": ("waves", "genuine"),
}
USES = """
    horizon end observe severities:default severities:own severity:in_order severity:out_of_order range
    rate:small rate:large rate:none false_alarm delay:none delay:zero
    audience:number audience:distribution propensity joins:spread joins:one_date joins:at_start joins:past_end
    strikes:list strikes:expire strikes:never_expire bans:default
    activity:none activity:reduced absorbing exit:chance exit:self exit:tie decision:self served:self
    desk:limited desk:unlimited desk:limited_hours desk:unlimited_hours desk:past_midnight desk:several desk:shared
    desk:priorities desk:giving_up desk:on_violation desk:active outcomes:one_table outcomes:by_mark
    wave:share wave:count wave:false wave:states wave:default_states wave:to_current wave:at_start wave:at_end
    phase:keep phase:restart phase:restart_exits phase:in_force_at_start phase:desk_restart patch:rate_to_zero
    tie:two_waves tie:two_phases tie:phase_and_wave tie:exit_and_wave tie:exit_and_phase tie:fixed_service
"""
FEATURES = frozenset(
    [f"{use}:{family}" for use in ("exit", "delay", "service") for family in FAMILIES]
    + [f"patch:{name}" for name in PATCHES]
    + USES.split()
)


def laws(scenario: dict) -> Iterator[dict]:
    """The scenario as written, then as each phase leaves it, by date."""
    current = copy.deepcopy(scenario)
    yield current
    for phase in sorted(scenario.get("phases", {}).values(), key=lambda phase: phase["from"]):
        current = copy.deepcopy(current)
        for path, value in phase["set"].items():
            *parents, leaf = path.split(".")
            place = current
            for parent in parents:
                place = place[parent]
            place[leaf] = value
        yield current


def targets(state: dict) -> Iterator[str]:
    """Where a state may lead."""
    yield from (rules["to"] for rules in state.get("exits", {}).values())
    for to in state.get("on_violation", {}).values():
        yield from [to] if isinstance(to, str) else to
    for to, share in state.get("outcomes", {}).items():
        yield from share if isinstance(share, dict) else [to]


def reachable(scenario: dict) -> set[str]:
    """The states that the start state or a wave leads to."""
    found, states = set(), scenario["ladder"]["states"]
    ahead = [scenario["ladder"]["start"], *(wave["to"] for wave in scenario.get("waves", {}).values())]
    while ahead:
        state = ahead.pop()
        if state not in found:
            found.add(state)
            ahead += targets(states[state])
    return found


def features(scenario: dict) -> set[str]:
    """The names of what a scenario uses, all of them among `FEATURES`."""
    found = {key for key in ("horizon", "end", "observe") if key in scenario}
    found.add("severities:own" if "severities" in scenario else "severities:default")
    if '"best"' in repr(scenario).replace("'", '"'):
        found.add("range")
    return (
        found
        | segment_features(scenario)
        | violation_features(scenario)
        | ladder_features(scenario["ladder"])
        | desk_features(scenario)
        | wave_features(scenario)
        | phase_features(scenario)
        | tie_features(scenario)
    )


def family(value: Any) -> str:
    """The family of a written duration."""
    return next(iter(value)) if isinstance(value, dict) and "best" not in value else "fixed"


def days(value: Any) -> int | None:
    """A fixed whole number of days, or None."""
    value = value["best"] if isinstance(value, dict) and "best" in value else value
    amount, unit = value.split() if isinstance(value, str) else ("", "")
    return int(amount) if unit in ("day", "days") and amount.isdigit() else None


def last_day(scenario: dict) -> Any:
    """The date of the end."""
    return scenario.get("end") or scenario["start"] + timedelta(days=days(scenario["horizon"]))


def named(flags: dict[str, Any]) -> set[str]:
    """The names whose flag is true."""
    return {name for name, flag in flags.items() if flag}


def segment_features(scenario: dict) -> set[str]:
    found = set()
    for segment in scenario["segments"].values():
        audience, joins = segment.get("audience"), segment.get("joins")
        found |= named({"audience:number": isinstance(audience, int)})
        found |= named({"audience:distribution": isinstance(audience, dict)})
        found |= named({"propensity": "propensity" in segment, "joins:at_start": joins is None})
        if joins:
            found.add("joins:one_date" if joins["from"] == joins["to"] else "joins:spread")
            found |= named({"joins:past_end": joins["to"] > last_day(scenario)})
    return found


def violation_features(scenario: dict) -> set[str]:
    found = set()
    levels = scenario.get("severities", ["minor", "serious", "severe"])
    horizon_days = (last_day(scenario) - scenario["start"]).days
    for kind in scenario["violations"].values():
        for rate in kind["rate"].values():
            amount, _, unit = rate.split()
            expected = float(amount) / {"day": 1, "week": 7, "month": 30, "year": 365}[unit] * horizon_days
            found |= named({"rate:small": expected < 0.3, "rate:large": expected > 10})
        written = [levels.index(level) for level in kind["severity"]]
        delay = kind["detection"].get("delay")
        found |= named(
            {
                "rate:none": set(kind["rate"]) < set(scenario["segments"]),
                "severity:in_order": written == sorted(written),
                "severity:out_of_order": written != sorted(written),
                "false_alarm": not kind.get("genuine", True),
                "delay:none": delay is None,
                "delay:zero": days(delay) == 0,
                f"delay:{family(delay)}": delay is not None and days(delay) != 0,
            }
        )
    return found


def ladder_features(ladder: dict) -> set[str]:
    found = {"strikes:expire" if "strikes" in ladder else "strikes:never_expire"}
    found |= named({"bans:default": "bans" not in ladder})
    for name, state in ladder["states"].items():
        exits, decisions = [*state.get("exits", {}).values()], [*state.get("on_violation", {}).values()]
        outcomes, activity = state.get("outcomes", {}), str(state.get("activity", "1"))
        tables = [table for table in outcomes.values() if isinstance(table, dict)]
        found |= {f"exit:{family(leaving['after'])}" for leaving in exits}
        if "desk" in state:
            found |= {f"service:{family(state['service'])}", "outcomes:by_mark" if tables else "outcomes:one_table"}
        found |= named(
            {
                "strikes:list": any(isinstance(to, list) for to in decisions),
                "activity:none": activity == "0",
                "activity:reduced": activity not in ("0", "1", "100%"),
                "absorbing": not exits and not decisions and "desk" not in state and activity == "0",
                "exit:chance": any("chance" in leaving for leaving in exits),
                "exit:self": any(leaving["to"] == name for leaving in exits),
                "exit:tie": any(days(a["after"]) is not None and a["after"] == b["after"] for a, b in pairwise(exits)),
                "decision:self": any(name == to or (isinstance(to, list) and name in to) for to in decisions),
                "served:self": name in outcomes or any(name in table for table in tables),
            }
        )
    return found


def desk_features(scenario: dict) -> set[str]:
    found = set()
    for name, desk in scenario.get("desks", {}).items():
        states = [state for state in scenario["ladder"]["states"].values() if state.get("desk") == name]
        hours, limited = desk.get("hours"), "unlimited" if desk["reviewers"] == "unlimited" else "limited"
        found |= named(
            {
                f"desk:{limited}{'_hours' if hours else ''}": True,
                "desk:past_midnight": hours and hours["to"] < hours["from"],
                "desk:several": len(scenario["desks"]) > 1,
                "desk:shared": len(states) > 1,
                "desk:priorities": len({state.get("priority", 0) for state in states}) > 1,
                "desk:giving_up": any("exits" in state for state in states),
                "desk:on_violation": any("on_violation" in state for state in states),
                "desk:active": any(state.get("activity", 1) != 0 for state in states),
            }
        )
    return found


def wave_features(scenario: dict) -> set[str]:
    found = set()
    for wave in scenario.get("waves", {}).values():
        found |= named(
            {
                "wave:share": "share" in wave,
                "wave:count": "count" in wave,
                "wave:false": not wave.get("genuine", True),
                "wave:states": "states" in wave,
                "wave:default_states": "states" not in wave,
                "wave:to_current": wave["to"] in wave.get("states", ()),
                "wave:at_start": wave["at"] == scenario["start"],
                "wave:at_end": wave["at"] == last_day(scenario),
            }
        )
    return found


def phase_features(scenario: dict) -> set[str]:
    found = set()
    for phase in scenario.get("phases", {}).values():
        restart = phase.get("in_progress") == "restart"
        found |= named({"phase:restart": restart, "phase:keep": not restart})
        found |= named({"phase:in_force_at_start": phase["from"] <= scenario["start"]})
        for path, value in phase["set"].items():
            keys = path.split(".")
            found |= {f"patch:{name}" for name, tell in PATCHES.items() if set(tell) <= set(keys)}
            found |= named({"patch:rate_to_zero": "rate" in keys and value == "0 per day"})
            if restart and "exits" in keys and phase["from"] > scenario["start"]:
                desk = "desk" in scenario["ladder"]["states"][keys[2]]
                found |= {"phase:restart_exits", *named({"phase:desk_restart": desk})}
    return found


def tie_features(scenario: dict) -> set[str]:
    """What falls on one date by the fixed whole-day durations of the scenario."""
    waves, start = [*scenario.get("waves", {}).values()], scenario["start"]
    phases = [phase["from"] for phase in scenario.get("phases", {}).values() if phase["from"] > start]
    orders, states = Counter((wave["at"], wave["segment"]) for wave in waves), scenario["ladder"]["states"]
    first_exits = [days(leaving["after"]) for leaving in states[scenario["ladder"]["start"]].get("exits", {}).values()]
    on_dates = set()
    for segment in scenario["segments"].values():
        if "joins" not in segment or segment["joins"]["from"] == segment["joins"]["to"]:
            joined = segment.get("joins", {"from": start})["from"]
            on_dates |= {joined + timedelta(days=after) for after in first_exits if after is not None}
    return named(
        {
            "tie:two_waves": max(orders.values(), default=0) > 1,
            "tie:two_phases": len(set(phases)) < len(phases),
            "tie:phase_and_wave": set(phases) & {wave["at"] for wave in waves},
            "tie:exit_and_wave": on_dates & {wave["at"] for wave in waves},
            "tie:exit_and_phase": on_dates & set(phases),
            "tie:fixed_service": any(days(state.get("service")) for state in states.values()),
        }
    )
