"""Small random scenarios that between them use every feature of the law, for checks of one simulator against another.

`random_scenario` gives a dictionary as YAML would: valid by the scenario format, with two to four segments of 5 to 60
accounts and some thousand events at most. Half of them move on a *beat* of whole days, so that exits, deadlines,
services, orders and phases fall due at the same instant. `features` names what a scenario uses; `FEATURES` is all that
it can name.
"""

import math
from datetime import date, timedelta
from typing import Any

import numpy as np
from reference_draws import running_total
from scenario_features import FAMILIES, FEATURES, features, laws, reachable

__all__ = ["FEATURES", "features", "random_scenario"]

SEGMENTS = ("media", "traders", "shops", "newcomers", "creators", "viewers")
PLAIN_STATES = ("warned", "rectifying", "restricted", "suspended", "banned")
DESK_STATES = ("under_review", "appealing", "rechecked")
SHIFTS = (("09:00", "17:30"), ("00:00", "12:00"), ("22:00", "06:00"), ("18:15", "02:00"))
EXITS = ("lapsed", "deadline", "rectified", "renewed")


class Dice:
    """The chances of a generator: plain Python values drawn from one `numpy.random.Generator`."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def yes(self, chance: float) -> bool:
        return bool(self.rng.random() < chance)

    def whole(self, low: int, high: int) -> int:
        """Any of `low` to `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def between(self, low: float, high: float) -> float:
        """Log-uniform between `low` and `high`."""
        return math.exp(self.rng.uniform(math.log(low), math.log(high)))

    def pick(self, options: Any) -> Any:
        options = list(options)
        return options[self.whole(0, len(options) - 1)]

    def some(self, options: Any, least: int, most: int) -> list:
        """Several different options, in a random order."""
        options = list(options)
        size = min(self.whole(least, most), len(options))
        return [options[i] for i in self.rng.permutation(len(options))[:size]]

    def percent(self, low: int, high: int) -> str:
        return f"{self.whole(low, high)}%"

    def table(self, names: list[str]) -> dict[str, str]:
        """Whole percentages that add up to exactly 1, as floating-point numbers too."""
        while True:
            cuts = sorted(self.whole(1, 99) for _ in names[1:])
            parts = [b - a for a, b in zip([0, *cuts], [*cuts, 100], strict=True)]
            if min(parts) > 0 and running_total(part / 100 for part in parts) == 1:
                return {name: f"{part}%" for name, part in zip(names, parts, strict=True)}

    def duration(self, days: float, family: str = "") -> Any:
        """A duration around so many days."""
        family = family or self.pick(FAMILIES)

        def text(factor: float) -> str:
            return f"{days * factor:.3g} days" if days > 3 else f"{days * factor * 24:.3g} hours"

        match family:
            case "fixed":
                return text(1)
            case "exponential":
                return {family: {"mean": text(1)}}
            case "uniform":
                return {family: {"low": text(0.3), "high": text(1.8)}}
            case "triangular":
                return {family: {"low": text(0.2), "mode": text(self.pick([0.2, 0.9, 2])), "high": text(2)}}
            case "weibull":
                return {family: {"shape": self.pick([0.8, 1, 2.5]), "scale": text(1)}}
            case "lognormal":
                return {family: {"median": text(1), "sigma": self.pick([0.4, 0.9])}}
            case "loglogistic":
                return {family: {"median": text(1), "shape": self.pick([1.7, 3])}}
        quantiles = [0.1, *sorted(self.rng.uniform(0.2, 2, self.whole(1, 4))), 3]
        return {family: {"quantiles": [text(q) for q in quantiles]}}


class Draft:
    """One scenario in the making; `beat` is the days between the instants where things coincide (0: no beat)."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.dice = Dice(rng)
        dice = self.dice
        self.beat = dice.pick([5, 7, 10, 14]) if dice.yes(0.5) else 0
        self.days = dice.whole(60, 400)
        if self.beat and dice.yes(0.7):
            self.days -= self.days % self.beat - (self.beat if self.days < 70 else 0)
        self.start = date(2023, 1, 1) + timedelta(days=dice.whole(0, 500))
        names = [*dice.some(PLAIN_STATES, 1, 3)]
        self.plain = ["compliant", *names]
        self.desk_states = dice.some(DESK_STATES, 1, 3) if dice.yes(0.85) else []
        self.final = ["closed"] if dice.yes(0.6) else []
        self.states = self.plain + self.desk_states + self.final
        self.severities = dice.pick([None, None, ["low", "high"], ["light", "middle", "heavy", "worst"]])
        self.levels = self.severities or ["minor", "serious", "severe"]

    def day(self, least: int = 0) -> date:
        """A date within the scenario, on the beat if there is one."""
        step = self.beat or 1
        last = min(self.days // step, 4 if self.beat and self.dice.yes(0.5) else self.days)
        return self.start + timedelta(days=step * self.dice.whole(math.ceil(least / step), last))

    def stay(self, days: float) -> Any:
        """How long until an exit rings; often on the beat if there is one."""
        if self.beat and self.dice.yes(0.7):
            return f"{self.beat * self.dice.whole(1, 3)} days"
        return self.dice.duration(days)

    def scenario(self) -> dict:
        dice = self.dice
        scenario: dict[str, Any] = {"schema": 1, "title": "Random scenario", "start": self.start}
        if dice.yes(0.5):
            scenario["end"] = self.start + timedelta(days=self.days)
        else:
            scenario["horizon"] = f"{self.days} days"
        if dice.yes(0.3):
            scenario["observe"] = dice.pick(["12 hours", "3 days", "1 week"])
        if self.severities:
            scenario["severities"] = self.severities
        scenario["segments"] = {name: self.segment() for name in dice.some(SEGMENTS, 2, 4)}
        scenario["violations"] = self.violations(scenario["segments"])
        scenario["ladder"] = self.ladder()
        if self.desk_states:
            scenario["desks"] = self.desks(scenario["ladder"]["states"])
        waves = {name: self.wave(scenario["segments"]) for name in ("order", "audit", "closure")[: dice.whole(0, 4)]}
        if waves:
            scenario["waves"] = waves
            if len(waves) > 1 and dice.yes(0.5):
                waves["audit"] |= {key: waves["order"][key] for key in ("at", "segment")}
                waves["audit"].pop("count", None)
                waves["audit"]["share"] = dice.percent(30, 90)
        self.connect(scenario)
        self.add_phases(scenario)
        return scenario

    def segment(self) -> dict:
        dice = self.dice
        segment: dict[str, Any] = {"accounts": dice.whole(5, 60)}
        if dice.yes(0.4):
            segment["audience"] = dice.pick([800, {"lognormal": {"median": 20_000, "sigma": 1.5}}])
        if dice.yes(0.4):
            segment["propensity"] = {"sigma": dice.pick([0.5, 1.1])}
        if dice.yes(0.4):
            first = self.day()
            later = timedelta(days=(self.beat or 9) * dice.whole(0, 12))
            segment["joins"] = {"from": first, "to": first if dice.yes(0.3) else first + later}
        return segment

    # ------------------------------------------------------------------------------------------------------ violations
    def rate(self, accounts: int) -> str:
        """A rate by the violations of an account over the whole horizon."""
        unit, days = self.dice.pick([("day", 1), ("week", 7), ("month", 30), ("year", 365)])
        violations = min(self.dice.pick([0.1, 1, 4, 12, 60]) * self.dice.between(0.5, 2), 700 / accounts)
        return f"{violations * days / self.days:.3g} per {unit}"

    def delay(self) -> Any:
        return "0 days" if self.dice.yes(0.1) else self.dice.duration(self.dice.between(0.3, 12))

    def violations(self, segments: dict) -> dict:
        dice, kinds = self.dice, {}
        for name in ["trading", "spam", "fraud"][: dice.whole(1, 2)] + ["false_alarm"] * dice.yes(0.6):
            kind: dict[str, Any] = {"genuine": False} if name == "false_alarm" else {}
            victims = dice.some(segments, 1, len(segments))
            kind["rate"] = {segment: self.rate(segments[segment]["accounts"]) for segment in victims}
            kind["severity"] = dice.table(dice.some(self.levels, 1, len(self.levels)))
            kind["detection"] = {"chance": dice.percent(30, 100)}
            if dice.yes(0.15):
                kind["detection"]["chance"] = {"low": "20%", "best": dice.percent(30, 60), "high": "70%"}
            if dice.yes(0.7):
                kind["detection"]["delay"] = self.delay()
            kinds[name] = kind
        return kinds

    # ---------------------------------------------------------------------------------------------------------- ladder
    def ladder(self) -> dict:
        dice = self.dice
        ladder: dict[str, Any] = {"start": "compliant", "bans": dice.some(self.states[1:], 1, 2)}
        if "banned" in self.states and dice.yes(0.5):
            del ladder["bans"]
        if dice.yes(0.6):
            ladder["strikes"] = {"expire": f"{dice.whole(5, 90)} days"}
        states: dict[str, Any] = {name: self.plain_state(name) for name in self.plain}
        states |= {name: self.desk_state(name) for name in self.desk_states}
        states |= {name: {"activity": 0} for name in self.final}
        ladder["states"] = states
        return ladder

    def target(self, state: str) -> str:
        return state if self.dice.yes(0.15) else self.dice.pick(self.states)

    def on_violation(self, state: str, least: int) -> dict:
        dice, table = self.dice, {}
        for severity in dice.some(self.levels, least, len(self.levels)):
            several = [self.target(state) for _ in range(dice.whole(2, 4))]
            table[severity] = several if dice.yes(0.35) else self.target(state)
        return table

    def plain_state(self, name: str) -> dict:
        dice, start = self.dice, name == "compliant"
        state: dict[str, Any] = {}
        if dice.yes(0.5) and not start:
            state["activity"] = 0 if dice.yes(0.4) else dice.percent(5, 90)
        exits = {}
        for leaving in dice.some(EXITS, 0 if start and not self.beat else 1, 2 if start else 3):
            exits[leaving] = {"to": self.target(name), "after": self.stay(dice.between(3, 30) * (3 if start else 1))}
            if dice.yes(0.4):
                exits[leaving]["chance"] = dice.percent(20, 90)
        if len(exits) > 1 and dice.yes(0.2):
            first, second = [*exits.values()][:2]
            first["after"] = second["after"] = f"{self.beat or 6} days"
        elif exits and dice.yes(0.15):
            next(iter(exits.values()))["after"] = {"low": "2 days", "best": f"{self.beat or 4} days", "high": "20 days"}
        if exits:
            state["exits"] = exits
        if start or dice.yes(0.6):
            state["on_violation"] = self.on_violation(name, 2 if start else 0) or {self.levels[0]: self.target(name)}
        return state

    def desk_state(self, name: str) -> dict:
        dice = self.dice
        state: dict[str, Any] = {"activity": 0} if dice.yes(0.4) else {"activity": dice.percent(20, 100)}
        state["desk"] = dice.pick(["review", "appeals"])
        if dice.yes(0.5):
            state["priority"] = dice.pick([-1, 1, 2])
        if dice.yes(0.5):
            name_, days = dice.pick(["gave_up", "expired"]), dice.between(1, 12)
            state["exits"] = {name_: {"to": self.target(name), "after": self.stay(days)}}
            if dice.yes(0.5):
                state["exits"][name_]["chance"] = dice.percent(30, 90)
        if dice.yes(0.5):
            state["on_violation"] = self.on_violation(name, 1)
        state["service"] = self.service()
        elsewhere = dice.some(dict.fromkeys([*self.states, name]), 1, 3)
        states = list(dict.fromkeys(["compliant", *elsewhere]))
        if dice.yes(0.4):
            state["outcomes"] = {mark: dice.table(states) for mark in ("rightful", "wrongful")}
        else:
            state["outcomes"] = dice.table(states)
        return state

    def service(self) -> Any:
        if self.beat and self.dice.yes(0.4):
            return self.dice.pick(["12 hours", "1 day", "2 days"])
        return self.dice.duration(self.dice.between(0.1, 3))

    def desks(self, states: dict) -> dict:
        dice, desks = self.dice, {}
        for name in sorted({state["desk"] for state in states.values() if "desk" in state}, reverse=dice.yes(0.5)):
            desks[name] = {"reviewers": "unlimited" if dice.yes(0.3) else dice.whole(1, 3)}
            if dice.yes(0.5):
                opens, closes = dice.pick(SHIFTS)
                days = dice.pick(["mon-fri", "mon-sat", "mon-sun", "tue-thu", "sat-sun"])
                desks[name]["hours"] = {"days": days, "from": opens, "to": closes}
        return desks

    def wave(self, segments: dict) -> dict:
        dice = self.dice
        at = dice.pick([self.start, self.start + timedelta(days=self.days)]) if dice.yes(0.2) else self.day()
        wave: dict[str, Any] = {"at": at, "segment": dice.pick(segments)}
        if dice.yes(0.5):
            wave["share"] = dice.percent(20, 100)
        else:
            wave["count"] = dice.whole(1, segments[wave["segment"]]["accounts"])
        wave["to"] = dice.pick(self.states)
        if dice.yes(0.5):
            wave["states"] = dice.some(self.states, 1, 3)
        if dice.yes(0.5):
            wave["genuine"] = dice.yes(0.3)
        return wave

    def connect(self, scenario: dict) -> None:
        """Give every state that nothing reaches an exit that leads to it."""
        for state in self.states:
            reached = reachable(scenario)
            if state not in reached:
                source = self.dice.pick([name for name in self.plain + self.desk_states if name in reached])
                exits = scenario["ladder"]["states"][source].setdefault("exits", {})
                exits[f"to_{state}"] = {"to": state, "after": self.stay(self.days / 4), "chance": "60%"}

    # ---------------------------------------------------------------------------------------------------------- phases
    def add_phases(self, scenario: dict) -> None:
        """Add phases whose patches leave every state within reach."""
        for _ in range(50):
            phases = self.phases(scenario)
            changed = scenario | {"phases": phases} if phases else scenario
            if all(reachable(law) == set(self.states) for law in laws(changed)):
                scenario.update(changed)
                return

    def phases(self, scenario: dict) -> dict:
        dice, phases = self.dice, {}
        on_dates = [wave["at"] for wave in scenario.get("waves", {}).values()]
        for name in ("announced", "enforced", "clampdown", "amnesty")[: dice.whole(0, 4)]:
            start = self.day(1)
            if on_dates and dice.yes(0.5):
                start = dice.pick(on_dates)
            elif dice.yes(0.1):
                start = self.start - timedelta(days=dice.whole(0, 30))
            patch: dict[str, Any] = {}
            for _ in range(dice.whole(1, 5)):
                patch |= self.patch(scenario)
            phases[name] = {"from": start, "set": patch}
            if dice.yes(0.3):
                phases[name] = {"from": start, "set": patch | self.reform(scenario), "in_progress": "restart"}
            elif dice.yes(0.6):
                phases[name]["in_progress"] = "restart" if dice.yes(0.75) else "keep"
            on_dates.append(start)
        return phases

    def patch(self, scenario: dict) -> dict[str, Any]:
        """New values for one place in the scenario."""
        kinds, waves = scenario["violations"], scenario.get("waves", {})
        where = self.dice.pick(["kind", "state", "state", "state", "expire", "desk", "wave", "wave"])
        if where == "expire" and "strikes" in scenario["ladder"]:
            return {"ladder.strikes.expire": f"{self.dice.whole(5, 90)} days"}
        if where == "desk" and self.desk_states:
            desk = self.dice.pick(scenario["desks"])
            return {f"desks.{desk}.reviewers": self.dice.pick([0, 1, 2, 4, "unlimited"])}
        if where == "wave" and waves:
            name = self.dice.pick(waves)
            return self.wave_patch(f"waves.{name}", waves[name])
        if where == "kind":
            name = self.dice.pick(kinds)
            return self.kind_patch(f"violations.{name}", kinds[name], scenario["segments"])
        name = self.dice.pick(self.plain + self.desk_states)
        return self.state_patch(f"ladder.states.{name}", name, scenario["ladder"]["states"][name])

    def reform(self, scenario: dict) -> dict[str, Any]:
        """New durations for every exit of some states."""
        states = scenario["ladder"]["states"]
        return {
            f"ladder.states.{state}.exits.{leaving}.after": self.stay(self.dice.between(2, 20))
            for state in self.dice.some(states, 1, 4)
            for leaving in states[state].get("exits", ())
        }

    def wave_patch(self, path: str, wave: dict) -> dict[str, Any]:
        options: dict[str, Any] = {f"{path}.to": self.dice.pick(self.states)}
        if "share" in wave:
            options[f"{path}.share"] = self.dice.percent(10, 90)
        if "count" in wave:
            options[f"{path}.count"] = self.dice.whole(1, 9)
        if "genuine" in wave:
            options[f"{path}.genuine"] = not wave["genuine"]
        chosen = self.dice.pick(options)
        return {chosen: options[chosen]}

    def kind_patch(self, path: str, kind: dict, segments: dict) -> dict[str, Any]:
        segment = self.dice.pick(kind["rate"])
        new_rate = "0 per day" if self.dice.yes(0.3) else self.rate(segments[segment]["accounts"])
        options = [
            {f"{path}.rate.{segment}": new_rate},
            {f"{path}.detection.chance": self.dice.percent(0, 100)},
            {f"{path}.severity.{name}": share for name, share in self.dice.table([*kind["severity"]]).items()},
        ]
        if "delay" in kind["detection"]:
            options.append({f"{path}.detection.delay": self.delay()})
        return self.dice.pick(options)

    def state_patch(self, path: str, name: str, state: dict) -> dict[str, Any]:
        dice, options = self.dice, []
        if "activity" in state:
            options.append({f"{path}.activity": dice.percent(0, 100)})
        for leaving, rules in state.get("exits", {}).items():
            options.append({f"{path}.exits.{leaving}.after": self.stay(dice.between(2, 20))})
            options.append({f"{path}.exits.{leaving}.to": self.target(name)})
            if "chance" in rules:
                options.append({f"{path}.exits.{leaving}.chance": dice.percent(10, 100)})
        if state.get("on_violation"):
            severity = dice.pick(state["on_violation"])
            new = self.target(name) if dice.yes(0.6) else [self.target(name), self.target(name)]
            options.append({f"{path}.on_violation.{severity}": new})
        if "desk" in state:
            options.append({f"{path}.service": self.service()})
            mark = ".wrongful" if "rightful" in state["outcomes"] else ""
            table = state["outcomes"]["wrongful"] if mark else state["outcomes"]
            options.append({f"{path}.outcomes{mark}.{to}": share for to, share in dice.table([*table]).items()})
            if "priority" in state:
                options.append({f"{path}.priority": dice.pick([-2, 0, 3])})
        return dice.pick(options) if options else {}


def random_scenario(rng: np.random.Generator) -> dict:
    """A small random scenario, as a dictionary that YAML can write."""
    return Draft(rng).scenario()
