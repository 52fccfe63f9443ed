"""The same scenario lived by an engine of the project, in the words of the naive reference simulator."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import reference
from ruamel.yaml import YAML

from sim.engines import compiled, process
from sim.engines.tally import EVENT, Tally, new_tally
from sim.experiments.replications import codes_of
from sim.model.tables import keyed
from sim.results.tables import Codes
from sim.scenario import loads

ENGINES: dict[str, Callable[..., None]] = {"process": process.run, "compiled": compiled.run}


def as_yaml(scenario: dict[str, Any]) -> str:
    """Text of a scenario file."""
    text = io.StringIO()
    YAML().dump(scenario, text)
    return text.getvalue()


def compile_text(text: str) -> Codes:
    """Load and compile a scenario."""
    return codes_of(loads(text))


def lived(codes: Codes, engine: str, *, seed: int, replication: int = 0, **options: Any) -> tuple[Tally, np.ndarray]:
    """Tally and all events, sorted by segment, account and order of happening."""
    law = keyed(codes.law, seed, replication)
    tally = new_tally(law, codes.names, codes.scenario.spec.observe_us)
    parts = [np.empty(0, EVENT)]
    ENGINES[engine](law, tally, 2**32, parts.append, **options)
    events = np.concatenate(parts)
    return tally, events[np.lexsort((events["account"], events["segment"]))]


def told(codes: Codes, events: np.ndarray) -> list[reference.Event]:
    """Events with names for numbers."""
    names = codes.names
    found = []
    for event in events:
        origin, to, cause = names.moves[event["move"]]
        decision = event["strikes"] >= 0
        found.append(
            reference.Event(
                int(event["time"]),
                names.segments[event["segment"]],
                int(event["account"]),
                names.states[origin] if origin >= 0 else "",
                names.states[to],
                cause,
                names.kinds[event["kind"]] if decision else "",
                names.severities[event["severity"]] if decision else "",
                int(event["strikes"]) if decision else None,
                bool(event["wrongful"]),
            )
        )
    return found


def first_difference(mine: list[reference.Event], theirs: list[reference.Event], slack_us: int = 1) -> str:
    """Where two lists of events part, in words; empty if they do not. Times may differ by `slack_us`."""
    for one, other in zip(mine, theirs, strict=False):
        if one[1:] != other[1:] or abs(one.time_us - other.time_us) > slack_us:
            return f"{one}\n{other}"
    if len(mine) != len(theirs):
        longer = mine if len(mine) > len(theirs) else theirs
        return f"{len(mine)} and {len(theirs)} events; the first more is {longer[min(len(mine), len(theirs))]}"
    return ""


def same_tally(one: Tally, other: Tally) -> list[str]:
    """Names of the counts in which two tallies differ."""
    counts = [name for name in one._fields if name not in ("log", "logged")]
    return [name for name in counts if not np.array_equal(getattr(one, name), getattr(other, name))]
