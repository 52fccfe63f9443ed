"""STRESS-DES, section 2 and item 3.3: the model in words, from the scenario and the law (`sim/model/README.md`)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from sim.scenario import Derivation, Scenario, Spec, State
from sim.scenario.yaml_reading import parse
from sim.scenario.yaml_tree import Source, plain
from sim.views.description import (
    date_text,
    desks_table,
    distribution_text,
    duration_text,
    mermaid,
    readers_text,
    share_text,
    violations_table,
    ways_out,
)
from sim.views.markdown import bullets, code, escaped, from_terminal, table

_WORDS = ("schema", "title", "purpose", "sources", "assumed", "study", "expect", "sweep")
"""Top-level keys that hold no input of the model."""
_RANGE = ("low", "best", "high")


def diagram(scenario: Scenario) -> str:
    """2.1: the ladder."""
    return (
        "States, and the ways between them: timed exits by name, decisions by severity, services as `served`, orders as waves. Bans are coloured.\n\n"
        f"```mermaid\n{mermaid(scenario)}\n```"
    )


def logic(scenario: Scenario) -> str:
    """2.2: how an account lives, and every way out of every state."""
    spec = scenario.spec
    ladder = spec.ladder
    expiry = (
        "never expire"
        if ladder.strikes_expire_us is None
        else f"expire after {duration_text(ladder.strikes_expire_us)}"
    )
    told = (
        f"Every account is simulated by itself. It joins in {code(ladder.start)} and moves between {len(ladder.states)} states. It violates by a "
        f"clock of its own, over {len(spec.violations)} kinds of violation; a violation may be detected. Detected violations are collected in a "
        "case, which is decided after the delay of the kind that opened it. The decision answers the worst of them as the state says, and leaves a "
        f"strike; where several states are named in a row, the number of strikes picks. Strikes {expiry}. Of the timed exits of a state the earliest "
        "wins; in a state before a desk an account waits for a reviewer, and the outcome of the service is the next state."
    )
    states = []
    for name, state in ladder.states.items():
        marks = [word for word, holds in (("start", name == ladder.start), ("ban", name in ladder.bans)) if holds]
        marks.append(f"activity {share_text(state.activity)}")
        ways = "; ".join(
            f"{escaped(what)}{f' to {escaped(to)}' if to else ''}, {escaped(when)}"
            for what, to, when in ways_out(state)
        )
        states.append(f"{code(name)} ({', '.join(marks)}): {ways or 'no way out'}")
    return f"{told}\n\n{bullets(states)}"


def scenario_logic(scenario: Scenario, derived: tuple[Derivation, ...]) -> str:
    """2.3: what a what-if changes about its base, and what phases change on their dates."""
    parts = []
    for step in derived:
        rows = [
            (code(change.path), code(change.before or "") or "not there", code(change.after or "") or "removed")
            for change in step.changes
        ]
        parts.append(f"Against {code(step.extends)}" + (", in words only." if not rows else ":"))
        if rows:
            parts.append(table(("input", "there", "here"), rows))
    if not derived:
        parts.append("This is a whole scenario; it is not derived from another.")
    for name, phase in scenario.spec.phases.items():
        clocks = {"keep": "clocks that run go on", "restart": "accounts whose exits change enter their state anew"}
        parts.append(
            f"Phase {code(name)}, from {date_text(scenario.spec, phase.from_us)} on ({clocks[phase.in_progress]}):"
        )
        parts.append(
            table(("input", "from then on"), ((code(path), code(_flat(value))) for path, value in phase.set.items()))
        )
    return "\n\n".join(parts)


def algorithms(scenario: Scenario) -> str:
    """2.4: the rules of the law that are more than a table."""
    spec = scenario.spec
    expire = spec.ladder.strikes_expire_us
    younger = "all its strikes" if expire is None else f"its strikes younger than {duration_text(expire)}"
    told = [
        "Violations: hazard = propensity × activity of the state × sum of the segment's rates. After each violation an account has an exponential "
        "amount of hazard (mean 1) to use up until the next, whatever states and phases it passes. The kind is then drawn by rates, the severity by "
        "the kind's table.",
        f"Decisions: an account stands before a decision with {younger}, the new one included; they pick from the list of targets, the last of which "
        "serves all higher numbers. A case is wrongful if all its violations were false alarms.",
        "Exits: on entry each exit is asked whether it will ever ring, and when; the earliest wins, of two at one microsecond the one written first. "
        "Any other move ends all clocks of the state.",
    ]
    if spec.desks:
        told.append(
            "Desks: by priority, then time of entry, then segment and index. Accounts in service are held; what falls due meanwhile follows the "
            "service."
        )
    if spec.waves:
        told.append(
            "Orders: a share hits each account of the segment whose draw is below it; a count hits those with the smallest draws. Only those that "
            "are in one of the order's states then are moved."
        )
    return bullets(told) + "\n\nThe whole law, to the microsecond, is `sim/model/README.md`."


def entities(spec: Spec) -> str:
    """2.5.1: accounts."""
    rows = []
    for name, segment in spec.segments.items():
        joins = "all from the start"
        if segment.joins_to_us > 0:
            joins = f"evenly from {date_text(spec, segment.joins_from_us)} to {date_text(spec, segment.joins_to_us)}"
        readers = "-" if segment.audience is None else readers_text(segment.audience)
        spread = (
            "all alike" if segment.propensity_sigma == 0 else f"lognormal, mean 1, sigma {segment.propensity_sigma:g}"
        )
        rows.append((code(name), f"{segment.accounts:,}", joins, readers, spread))
    return (
        "Accounts. Each has a record of strikes, may have an open case, and is marked rightful or wrongful.\n\n"
        + table(("segment", "accounts", "join", "readers", "propensity to violate"), rows)
    )


def activities(spec: Spec) -> str:
    """2.5.2: what accounts and platform do."""
    told = from_terminal(violations_table(spec)) if spec.violations else "No violations."
    rows = [
        (code(f"{name}/{label}"), code(way.to), escaped(distribution_text(way.after)), share_text(way.chance))
        for name, state in spec.ladder.states.items()
        for label, way in state.exits.items()
    ]
    exits = table(("timed exit", "to", "after", "chance"), rows) if rows else "No timed exits."
    services = [
        f"Service in {code(name)}: {escaped(distribution_text(state.service))}."
        for name, state in spec.ladder.states.items()
        if state.service is not None
    ]
    orders = []
    for name, wave in spec.waves.items():
        who = f"{wave.count:,} accounts" if wave.count is not None else share_text(wave.share or 0.0)
        wrongful = "" if wave.genuine else ", wrongfully"
        orders.append(
            f"Order {code(name)} on {date_text(spec, wave.at_us)}: {who} of {code(wave.segment)} to {code(wave.to)}{wrongful}."
        )
    return "\n\n".join(part for part in (told, exits, bullets([*services, *orders])) if part)


def resources(spec: Spec) -> str:
    """2.5.3: reviewers."""
    if not spec.desks:
        return "None: no desk, nobody waits for a reviewer."
    return (
        from_terminal(desks_table(spec))
        + "\n\nOne reviewer serves one account at a time. Services begin within the hours."
    )


def _waiting(spec: Spec) -> Iterator[tuple[str, State]]:
    return ((name, state) for name, state in spec.ladder.states.items() if state.desk is not None)


def queues(scenario: Scenario) -> str:
    """2.5.4: one queue before each desk."""
    spec = scenario.spec
    rows = [
        (code(state.desk), code(name), f"{state.priority:g}", ", ".join(code(label) for label in state.exits) or "none")
        for name, state in _waiting(spec)
    ]
    if not rows:
        return "None."
    return (
        "One queue before each desk, without limit of length: lowest priority first, then first come, first served. While they wait, accounts may "
        "still leave by exits, decisions and orders.\n\n"
        + table(("desk", "who waits", "priority", "exits while waiting"), rows)
    )


def entry_and_exit(spec: Spec) -> str:
    """2.5.5: where accounts come in and stay."""
    ladder = spec.ladder
    final = [
        code(name)
        for name, state in ladder.states.items()
        if not (state.exits or state.desk or state.on_violation or state.activity)
    ]
    ends = f"Nothing leads out of {', '.join(final)}." if final else "Every state can be left."
    return (
        f"Accounts enter the model in {code(ladder.start)}, at the time at which they join. None leaves it: all are counted up to the end "
        f"of the run. {ends}"
    )


def inputs(scenario: Scenario) -> str:
    """3.3: every input of the resolved form; ranges with their limits."""
    rows = [
        (code(path), code(best), code(limits))
        for key, value in _resolved(scenario).items()
        if key not in _WORDS
        for path, best, limits in _leaves(value, key)
    ]
    return (
        "Every input with its value, defaults written out; of a range a run takes the best value, and the limits stand beside it. A month has 30 "
        "days, a year 365.\n\n" + table(("input", "value", "limits"), rows)
    )


def planned_sweep(scenario: Scenario) -> str:
    """1.3: the points that the file itself wants a sweep to run; empty if it names none."""
    planned = _resolved(scenario).get("sweep", {})
    if "samples" in planned:
        return f"{planned['samples']} points that fill all ranges evenly"
    axes = [
        f"{code(path)} = {', '.join(code(_flat(v)) for v in values)}"
        for path, values in planned.get("vary", {}).items()
    ]
    return f"every combination of {'; '.join(axes)}" if axes else ""


def _resolved(scenario: Scenario) -> dict[str, Any]:
    """The resolved form as plain values."""
    return _plain(scenario.resolved_yaml())


@lru_cache(maxsize=1)
def _plain(resolved: str) -> dict[str, Any]:
    tree, _ = parse(resolved, Source(None, None))
    assert tree is not None
    values: dict[str, Any] = plain(tree)[0]
    return values


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str, str]]:
    """Path, value and limits of everything below a path."""
    if isinstance(value, dict) and tuple(value) == _RANGE:
        yield path, str(value["best"]), f"{value['low']} to {value['high']}"
    elif isinstance(value, dict):
        for key, child in value.items():
            yield from _leaves(child, f"{path}.{key}")
    else:
        yield path, _flat(value), ""


def _flat(value: object) -> str:
    """A value in one line, about as a file writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flat(child)}" for key, child in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flat(child) for child in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def simplifications(scenario: Scenario) -> str:
    """3.4: what every scenario assumes, because the law does."""
    meet = (
        "They meet nowhere: no desk is limited."
        if not is_limited(scenario)
        else "They meet only in the queues of limited desks."
    )
    return (
        f"Besides, every scenario assumes that accounts neither learn from nor imitate one another. {meet} What an account does depends on its "
        "segment, propensity, state and strikes, and on the date only through phases and orders."
    )


def is_limited(scenario: Scenario) -> bool:
    """Whether a desk ever has a number of reviewers that is neither 0 nor unlimited, so that accounts meet."""
    return any(desk.reviewers for spec in scenario.in_force for desk in spec.desks.values())
