"""STRESS-DES, sections 4 and 5: how runs are made, from the manifest of one where there is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sim.errors import ResultsError
from sim.results.manifest import versions
from sim.scenario import Change, Derivation, Scenario, Spec
from sim.views.description import date_text, duration_text
from sim.views.markdown import bullets, code, escaped, table
from sim.views.stress_model import is_limited

Manifest = Mapping[str, Any] | None

ORDER = (
    "the phase of this instant",
    "joining",
    "end of a service",
    "exit",
    "violation",
    "decision",
    "phase restart",
    "wave",
    "start of a service",
)
"""What comes first at one instant, as the law has it ("Order at one instant")."""
_OF_A_RUN = "**OF A RUN:** a results folder tells it (`enforcement-sim show results/NAME --stress`)."


def derivations(scenario: Scenario, manifest: Manifest) -> tuple[Derivation, ...]:
    """The what-if files behind a scenario: its own, or those that the manifest of its run tells of.

    Raises
    ------
    ResultsError
        What the manifest says of them cannot be read.
    """
    if scenario.derived or manifest is None:
        return scenario.derived
    try:
        return tuple(
            Derivation(**{**told, "changes": tuple(Change(**change) for change in told["changes"])})
            for told in manifest["scenario"].get("what_ifs", ())
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise ResultsError(f"the manifest cannot be read: {type(error).__name__} {error}") from error


def design(manifest: Manifest) -> list[str]:
    """What an experiment of several runs varied."""
    if manifest is None or "experiment" not in manifest:
        return []
    known = ("axes", "points", "samples", "draws", "sampling", "method", "outputs", "accounts_compared", "scenarios")
    told = [f"{code(key)}: {code(_short(manifest[key]))}" for key in known if key in manifest]
    return [f"Design of this experiment ({code(manifest['experiment'])}): {'; '.join(told)}."]


def _short(value: object) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key} = {_short(child)}" for key, child in value.items())
    return ", ".join(_short(child) for child in value) if isinstance(value, list) else str(value)


def grid_text(spec: Spec) -> str:
    """How often curves are looked at."""
    return f"{duration_text(spec.observe_us)}, {-(-spec.end_us // spec.observe_us) + 1:,} times"


def limits(scenario: Scenario) -> str:
    """How 95 % limits are calculated."""
    one = (
        "none, because accounts meet at a limited desk"
        if is_limited(scenario)
        else "Wilson's over accounts, for shares"
    )
    return (
        f"95 % limits: Student's over replications where there are several; with one replication {one}. Differences between scenarios are "
        "paired: the same account has the same random numbers in both."
    )


def initialisation(spec: Spec) -> str:
    """4.1."""
    late = [code(name) for name, segment in spec.segments.items() if segment.joins_to_us > 0]
    joining = f" Accounts of {', '.join(late)} join later." if late else ""
    return (
        f"The run is terminating: it begins on {date_text(spec, 0)} and stops on {date_text(spec, spec.end_us)}. There is no warm-up. At the start "
        f"every account is in {code(spec.ladder.start)}, without strikes or open cases, and all queues are empty; no earlier record is "
        f"loaded.{joining}"
    )


def run_length(spec: Spec) -> str:
    """4.2."""
    days = spec.end_us / 86_400e6
    return f"{days:,.6g} days, from {date_text(spec, 0)} to {date_text(spec, spec.end_us)}. Time is continuous, in whole microseconds."


def estimation(scenario: Scenario, manifest: Manifest) -> str:
    """4.3."""
    told = [
        "Stochastic. Replications are independent: each has its own key for all random numbers, made of the seed and its number.",
        "`run --replications N` asks for a number, `run --until` adds replications until limits are narrow enough.",
    ]
    if manifest is None:
        told.append(f"Number of replications: {_OF_A_RUN}")
    else:
        told.append(f"Number of replications: {code(manifest.get('replications', 'not told'))}.")
    return bullets([*told, limits(scenario)])


def software(manifest: Manifest) -> str:
    """5.1."""
    found = versions() if manifest is None else manifest.get("versions")
    if not isinstance(found, dict):
        raise ResultsError("the manifest does not tell versions of packages")
    where = "as installed here; a results folder tells those of its run" if manifest is None else "of this run"
    rows = [(code(name), escaped(str(version))) for name, version in found.items()]
    return f"enforcement-sim, a Python program. Versions, {where}:\n\n" + table(("package", "version"), rows)


def sampling(manifest: Manifest) -> str:
    """5.2."""
    seed = f"Seed: {_OF_A_RUN}" if manifest is None else f"Seed: {code(manifest.get('seed', 'not told'))}."
    return (
        "Counter-based: Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011, <https://doi.org/10.1145/2063384.2063405>). The key is made of seed and "
        "replication (NumPy's `SeedSequence`), the counter of account, segment, purpose of the draw and how often it was made. So every draw has a "
        "stream of its own, the order of events cannot shift it, and scenarios with the same seed are paired draw by draw (common random numbers). "
        f"Durations come from inverse distribution functions. {seed}"
    )


def execution(manifest: Manifest) -> str:
    """5.3."""
    engine = f"Engine: {_OF_A_RUN}" if manifest is None else f"Engine: {code(manifest.get('engine', 'compiled'))}."
    return (
        f"Discrete events on a calendar in whole microseconds; two engines, SimPy processes and machine code (Numba), live the same law and agree "
        f"event for event. {engine} At one instant, for one account, this order holds: {', '.join(ORDER)}. For several accounts order matters at "
        "limited desks only: first everything else happens to all, then desks get their reviewers, then each desk, in file order, starts services by "
        "its queue. Accounts are shared out over threads and processes; that cannot change a number."
    )


def system(manifest: Manifest) -> str:
    """5.4."""
    if manifest is None:
        return f"Machine and run time: {_OF_A_RUN} The program needs Python 3.11 or newer and no special hardware."
    rows = (("platform", "platform"), ("duration of the run, in seconds", "wall_seconds"), ("written", "written"))
    return table(("", ""), ((label, escaped(str(manifest.get(key, "not told")))) for label, key in rows))
