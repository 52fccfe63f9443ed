"""A scenario in words: its segments, violations, states, exits and desks as tables, and its ladder as a Mermaid diagram."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time, timedelta

from rich.table import Table

from sim.scenario import Distribution, Scenario, Spec, State
from sim.scenario.families import FAMILIES

_UNITS = (("year", 365 * 86_400e6), ("day", 86_400e6), ("hour", 3_600e6), ("minute", 60e6), ("second", 1e6))
_PURE = ("shape", "sigma")


def duration_text(microseconds: float) -> str:
    """A duration in the unit that reads best; years only from two years on."""
    for unit, length in _UNITS:
        if microseconds >= (2 * length if unit == "year" else length):
            amount = microseconds / length
            return f"{amount:.4g} {unit}{'' if amount == 1 else 's'}"
    return f"{microseconds:.4g} microseconds"


def distribution_text(distribution: Distribution) -> str:
    """A duration as the scenario would write it, in short."""
    if distribution.family == "fixed":
        return duration_text(distribution.values[0])
    if distribution.family == "empirical":
        low, high = distribution.values[0], distribution.values[-1]
        return f"empirical, {duration_text(low)} to {duration_text(high)}"
    told = (
        f"{name} {value:g}" if name in _PURE else f"{name} {duration_text(value)}"
        for name, value in zip(FAMILIES[distribution.family].parameters, distribution.values, strict=True)
    )
    return f"{distribution.family}, {', '.join(told)}"


def readers_text(distribution: Distribution) -> str:
    """An audience as the scenario would write it, in short."""
    if distribution.family == "fixed":
        return f"{distribution.values[0]:,.6g}"
    if distribution.family == "empirical":
        return f"empirical, {distribution.values[0]:,.6g} to {distribution.values[-1]:,.6g}"
    names = FAMILIES[distribution.family].parameters
    told = (f"{name} {value:,.6g}" for name, value in zip(names, distribution.values, strict=True))
    return f"{distribution.family}, {', '.join(told)}"


def date_text(spec: Spec, microseconds: int) -> str:
    """A time of the run as a date, without the time of day at midnight."""
    moment = spec.start + timedelta(microseconds=microseconds)
    return moment.date().isoformat() if moment.time() == time() else moment.isoformat(sep=" ")


def share_text(share: float) -> str:
    """A chance as a percentage."""
    return f"{100.0 * share:.6g} %"


def rate_text(per_microsecond: float) -> str:
    """A rate, per day from one a day on, else per year."""
    per_day = per_microsecond * 86_400e6
    return f"{per_day:.4g} per day" if per_day >= 1.0 else f"{per_day * 365:.4g} per year"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_edge=False, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def tables(scenario: Scenario) -> list[Table]:
    """Everything that a scenario sets, as tables for a terminal."""
    spec = scenario.spec
    found = [_segments(spec), *([violations_table(spec)] if spec.violations else []), _states(spec)]
    if spec.desks:
        found.append(desks_table(spec))
    if spec.phases or spec.waves:
        found.append(_dates(scenario))
    ranges = scenario.ranges()
    if ranges:
        table = _table("Not known for sure", "value", "low", "best (used by a run)", "high")
        for path, each in ranges.items():
            table.add_row(path, *each.text)
        found.append(table)
    return found


def _segments(spec: Spec) -> Table:
    table = _table("Segments", "segment", "accounts", "kind of violation", "rate per account")
    for name, segment in spec.segments.items():
        rows = [(kind, rate_text(each.rate[name])) for kind, each in spec.violations.items() if each.rate[name]]
        for number, row in enumerate(rows or [("-", "-")]):
            first = (name, f"{segment.accounts:,}") if number == 0 else ("", "")
            table.add_row(*first, *row, end_section=number == len(rows) - 1)
    return table


def violations_table(spec: Spec) -> Table:
    """Kinds of violation: shares of their severities, chance to be detected, and delay until the decision; false alarms are marked."""
    table = _table("Violations", "kind", "severity", "detected", "decided after")
    for name, kind in spec.violations.items():
        shares = ", ".join(f"{severity} {share_text(share)}" for severity, share in kind.severity.items() if share)
        delay = "at once" if kind.delay is None else distribution_text(kind.delay)
        table.add_row(name if kind.genuine else f"{name} (false alarm)", shares, share_text(kind.detection), delay)
    return table


def ways_out(state: State) -> Iterator[tuple[str, str, str]]:
    """Every way out of a state: what, to, when."""
    for name, way in state.exits.items():
        chance = "" if way.chance >= 1.0 else f", chance {share_text(way.chance)}"
        yield name, way.to, distribution_text(way.after) + chance
    for severity, targets in state.on_violation.items():
        yield f"{severity} violation", ", then ".join(targets), "at the decision"
    if state.desk is not None and state.service is not None:
        yield f"desk {state.desk}", "", f"service {distribution_text(state.service)}"
        for to in dict.fromkeys((*state.outcomes_rightful, *state.outcomes_wrongful)):
            rightful, wrongful = state.outcomes_rightful.get(to, 0.0), state.outcomes_wrongful.get(to, 0.0)
            differs = "" if rightful == wrongful else f"; {share_text(wrongful)} if wrongful"
            yield "served", to, share_text(rightful) + differs


def _states(spec: Spec) -> Table:
    table = _table("States and exits", "state", "activity", "exit", "to", "when")
    for name, state in spec.ladder.states.items():
        marks = [
            mark for mark, holds in (("start", name == spec.ladder.start), ("ban", name in spec.ladder.bans)) if holds
        ]
        label = f"{name} ({', '.join(marks)})" if marks else name
        rows = list(ways_out(state)) or [("-", "-", "-")]
        for number, row in enumerate(rows):
            first = (label, share_text(state.activity)) if number == 0 else ("", "")
            table.add_row(*first, *row, end_section=number == len(rows) - 1)
    return table


_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _clock(microseconds: int) -> str:
    minutes = microseconds // 60_000_000
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def desks_table(spec: Spec) -> Table:
    """Desks: reviewers there are from the start (phases may change that), and working hours in the scenario's own time."""
    table = _table("Desks", "desk", "reviewers", "hours")
    for name, desk in spec.desks.items():
        hours = "always"
        if desk.hours is not None:
            days = " ".join(_DAYS[day] for day in desk.hours.days)
            hours = f"{days} {_clock(desk.hours.from_us)} to {_clock(desk.hours.to_us)}"
        table.add_row(name, "unlimited" if desk.reviewers is None else f"{desk.reviewers:,}", hours)
    return table


def _dates(scenario: Scenario) -> Table:
    spec = scenario.spec
    table = _table("Phases and waves", "date", "what", "does")
    rows = []
    for name, phase in spec.phases.items():
        does = "; ".join(f"{path} = {value}" for path, value in phase.set.items())
        rows.append((phase.from_us, f"phase {name}", f"{does} ({phase.in_progress} clocks)"))
    for name, wave in spec.waves.items():
        who = f"{wave.count} accounts" if wave.count is not None else share_text(wave.share or 0.0)
        wrongful = "" if wave.genuine else ", wrongful"
        rows.append((wave.at_us, f"wave {name}", f"{who} of {wave.segment} to {wave.to}{wrongful}"))
    for at, what, does in sorted(rows):
        table.add_row(f"day {at / 86_400e6:g}", what, does)
    return table


def mermaid(scenario: Scenario) -> str:
    """The ladder as a Mermaid state diagram; it draws in most Markdown viewers."""
    spec = scenario.spec
    numbers = {name: f"s{number}" for number, name in enumerate(spec.ladder.states)}
    lines = ["stateDiagram-v2", "    direction LR"]
    lines += [f'    state "{name}" as {numbers[name]}' for name in numbers]
    lines.append(f"    [*] --> {numbers[spec.ladder.start]}")
    for name, state in spec.ladder.states.items():
        arrows: dict[str, list[str]] = {}
        for label, exit_spec in state.exits.items():
            arrows.setdefault(exit_spec.to, []).append(label)
        for severity, targets in state.on_violation.items():
            for to in dict.fromkeys(targets):
                arrows.setdefault(to, []).append(severity)
        for to in dict.fromkeys((*state.outcomes_rightful, *state.outcomes_wrongful)):
            arrows.setdefault(to, []).append("served")
        for to, labels in arrows.items():
            lines.append(f"    {numbers[name]} --> {numbers[to]}: {', '.join(labels)}")
    for number, (name, wave) in enumerate(spec.waves.items()):
        lines.append(f'    state "wave {name}" as w{number}')
        lines.append(f"    w{number} --> {numbers[wave.to]}")
    bans = [numbers[name] for name in spec.ladder.bans]
    if bans:
        lines += ["    classDef ban fill:#d55e00,color:#fff", f"    class {','.join(bans)} ban"]
    return "\n".join(lines)
