"""The STRESS-DES checklist of a scenario: what a reader needs to judge and repeat a simulation study, item by item.

The items are those of Monks, Currie, Onggo, Robinson, Kunc and Taylor (2019), "Strengthening the reporting of empirical simulation studies:
Introducing the STRESS guidelines", Journal of Simulation 13(1), 55-67, doi:10.1080/17477778.2018.1442155.

==============================  ======================================================================================
1 objectives, 3.1, 3.2, 3.4, 6  here: mostly what only a person can say, from the scenario's own texts
2 logic, 3.3                    `stress_model`: from the scenario and the law (`sim/model/README.md`)
4 experimentation, 5            `stress_run`: from the manifest of a run, or what holds for every run
==============================  ======================================================================================

What only a person can say and nobody has said is marked ``TO SAY`` and listed as missing. What only a run can tell (seed, duration,
machine) is marked ``OF A RUN`` where there is no manifest; that is not missing from the scenario.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sim.scenario import MEASURES, Derivation, Distribution, Scenario, Spec
from sim.views import stress_model, stress_run
from sim.views.description import date_text, share_text
from sim.views.markdown import bullets, code, escaped, paragraphs, table

SOURCE = (
    "Monks, Currie, Onggo, Robinson, Kunc and Taylor (2019), Strengthening the reporting of empirical simulation studies: Introducing the STRESS "
    "guidelines, Journal of Simulation 13(1), 55-67, <https://doi.org/10.1080/17477778.2018.1442155>"
)
SECTIONS = {
    "1": "Objectives",
    "2": "Logic",
    "3": "Data",
    "4": "Experimentation",
    "5": "Implementation",
    "6": "Code access",
}
TITLES = {
    "1.1": "Purpose of the model",
    "1.2": "Model outputs",
    "1.3": "Experimentation aims",
    "2.1": "Base model overview diagram",
    "2.2": "Base model logic",
    "2.3": "Scenario logic",
    "2.4": "Algorithms",
    "2.5.1": "Components: entities",
    "2.5.2": "Components: activities",
    "2.5.3": "Components: resources",
    "2.5.4": "Components: queues",
    "2.5.5": "Components: entry and exit points",
    "3.1": "Data sources",
    "3.2": "Pre-processing",
    "3.3": "Input parameters",
    "3.4": "Assumptions",
    "4.1": "Initialisation",
    "4.2": "Run length",
    "4.3": "Estimation approach",
    "5.1": "Software or programming language",
    "5.2": "Random sampling",
    "5.3": "Model execution",
    "5.4": "System specification",
    "6.1": "Computer model sharing statement",
}
TO_SAY = {
    "purpose": "what the model is for: background and question",
    "sources": "where the numbers come from; if from nowhere, say so",
    "assumed": "which numbers and rules nobody has published, and why these were chosen",
    "study.aims": "what the experiments are to find out, and why these scenarios",
    "study.preprocessing": "what was done with the data before they became numbers of the file; if nothing, say so",
    "study.replications": "how many replications are made, and why so many",
    "study.sharing": "where others find scenario, code and results, and under which licence",
}
"""What only a person can say: key of the scenario file -> what to write there."""
OUTPUTS = {
    "ban_rate": "B(t) / J(t): of the J(t) accounts that have joined by t, the share that has been in a ban at some time up to t",
    "banned_share": "share of the J(t) joined accounts that is in a ban at t; appeals that succeed lower it",
    "wrongful_ban_rate": "share of the J(t) joined accounts whose first ban was wrongful: by a case of false alarms alone, or by a wrongful order",
    "occupancy_share": "share of the J(t) joined accounts that is in the state at t: moves in less moves out, over J(t)",
    "ever_share": "share of the joined accounts that has ever been in the state",
    "entries": "entries into the state",
    "account_days": "time spent in the state, summed over accounts in whole microseconds",
    "audience_days": "the same, each account weighed by its readers",
    "restricted_days": "time spent in states with an activity below 100 %, neither banned nor gone for good",
    "wrongly_restricted_days": "the same of accounts while they are marked wrongful",
    "wrongly_banned_days": "time spent in bans by accounts that are marked wrongful",
    "violations": "violations that happened, false alarms among them",
    "detected_violations": "those that were detected",
    "desk_served": "services started at the desk",
    "desk_left": "accounts that left the queue unserved",
    "desk_mean_wait": "mean time from entering the queue to the start of the service",
    "desk_p95_wait": "95th percentile of that time, from a histogram with an error below 0.8 %",
    "desk_utilisation": "time served over time staffed, for a limited desk",
}
"""Every measure of a run's summary: how it is calculated."""


@dataclass(frozen=True)
class Item:
    """One item of the checklist.

    Attributes
    ----------
    number, title
        As in the checklist, ``1.1`` to ``6.1``.
    text
        Markdown; texts and names of the scenario are escaped in it.
    missing
        Keys of the scenario file at which a person has still to say something.
    """

    number: str
    title: str
    text: str
    missing: tuple[str, ...] = ()


def checklist(scenario: Scenario, manifest: Mapping[str, Any] | None = None) -> tuple[Item, ...]:
    """Every item of STRESS-DES in order, filled in as far as scenario, law and manifest know.

    Parameters
    ----------
    manifest
        Of a run of this scenario, or of an experiment with it.
    """
    spec, study = scenario.spec, scenario.spec.study
    derived = stress_run.derivations(scenario, manifest)
    said: dict[str, list[tuple[str, tuple[str, ...]]]] = {
        "1.1": [_said("purpose", spec.purpose)],
        "1.2": [(_outputs(scenario), ())],
        "1.3": [_said("study.aims", study.aims), (_experiments(scenario, derived, manifest), ())],
        "2.1": [(stress_model.diagram(scenario), ())],
        "2.2": [(stress_model.logic(scenario), ())],
        "2.3": [(stress_model.scenario_logic(scenario, derived), ())],
        "2.4": [(stress_model.algorithms(scenario), ())],
        "2.5.1": [(stress_model.entities(spec), ())],
        "2.5.2": [(stress_model.activities(spec), ())],
        "2.5.3": [(stress_model.resources(spec), ())],
        "2.5.4": [(stress_model.queues(scenario), ())],
        "2.5.5": [(stress_model.entry_and_exit(spec), ())],
        "3.1": [_listed("sources", spec.sources)],
        "3.2": [_said("study.preprocessing", study.preprocessing), (_preprocessing(scenario), ())],
        "3.3": [(stress_model.inputs(scenario), ())],
        "3.4": [_listed("assumed", spec.assumed), (stress_model.simplifications(scenario), ())],
        "4.1": [(stress_run.initialisation(spec), ())],
        "4.2": [(stress_run.run_length(spec), ())],
        "4.3": [_said("study.replications", study.replications), (stress_run.estimation(scenario, manifest), ())],
        "5.1": [(stress_run.software(manifest), ())],
        "5.2": [(stress_run.sampling(manifest), ())],
        "5.3": [(stress_run.execution(manifest), ())],
        "5.4": [(stress_run.system(manifest), ())],
        "6.1": [_said("study.sharing", study.sharing), (_identity(scenario), ())],
    }
    return tuple(
        Item(
            number,
            TITLES[number],
            "\n\n".join(text for text, _ in parts if text),
            tuple(key for _, missing in parts for key in missing),
        )
        for number, parts in said.items()
    )


def to_markdown(scenario: Scenario, items: Iterable[Item]) -> str:
    """The checklist as one Markdown document."""
    lines = [f"# STRESS-DES checklist: {escaped(scenario.spec.title or scenario.name)}", f"Items of {SOURCE}."]
    section = ""
    for item in items:
        if item.number[0] != section:
            section = item.number[0]
            lines.append(f"## {section} {SECTIONS[section]}")
        lines += [f"### {item.number} {item.title}", item.text]
    return "\n\n".join(lines) + "\n"


def missing_lines(items: Iterable[Item]) -> list[str]:
    """What a person has still to say, one line each."""
    return [f"{item.number} {item.title}: `{key}`: {TO_SAY[key]}" for item in items for key in item.missing]


def _to_say(key: str) -> tuple[str, tuple[str, ...]]:
    return f"**TO SAY:** {TO_SAY[key]} ({code(key)} in the scenario file).", (key,)


def _said(key: str, text: str) -> tuple[str, tuple[str, ...]]:
    return (paragraphs(text), ()) if text.strip() else _to_say(key)


def _listed(key: str, texts: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    told = [escaped(text) for text in texts if text.strip()]
    return (bullets(told), ()) if told else _to_say(key)


def _outputs(scenario: Scenario) -> str:
    spec = scenario.spec
    measures = table(("measure", "how it is calculated"), ((code(name), escaped(how)) for name, how in OUTPUTS.items()))
    bans = ", ".join(code(state) for state in spec.ladder.bans) or "none"
    looked = (
        f"States that count as a ban: {bans}. Curves are kept on a grid of {stress_run.grid_text(spec)}; a look at a grid time sees everything up to "
        "it. The measures above are taken at the end of the run, for all accounts together and for each segment; each measure of a desk for each "
        "desk."
    )
    parts = [measures, looked, stress_run.limits(scenario)]
    if spec.expect:
        parts.append("The file says what it expects, and `enforcement-sim test` holds it to that:")
        parts.append(bullets(_expectation(spec, number) for number in range(len(spec.expect))))
    return "\n\n".join(parts)


def _expectation(spec: Spec, number: int) -> str:
    expected = spec.expect[number]
    shares = expected.measure in MEASURES
    of = "all segments" if expected.segment is None else code(expected.segment)
    state = "" if expected.state is None else f", state {code(expected.state)}"
    at = "at the end" if expected.at_us is None else f"on {date_text(spec, expected.at_us)}"
    limits = (("above", expected.above), ("below", expected.below))
    told = " and ".join(
        f"{word} {share_text(limit) if shares else f'{limit:g}'}" for word, limit in limits if limit is not None
    )
    return f"{code(expected.measure)} of {of}{state} {at}: {told}"


def _experiments(scenario: Scenario, derived: tuple[Derivation, ...], manifest: Mapping[str, Any] | None) -> str:
    told = []
    for step in derived:
        words = ": ".join(escaped(text) for text in (step.title, step.purpose) if text)
        told.append(f"Scenario-based analysis: a what-if of {code(step.extends)}. {words}".rstrip())
    told += stress_run.design(manifest)
    planned = stress_model.planned_sweep(scenario)
    if planned:
        told.append(f"Design of experiments: the file's own sweep runs {planned}.")
    ranges = scenario.ranges()
    if ranges:
        told.append(
            f"Design of experiments: {len(ranges)} values are not known for sure and have a range (3.3); `run --draws N` and `sweep --samples N` "
            "sample them together (Latin hypercube over triangular distributions), `sensitivity` tells which of them matter (Morris, Sobol)."
        )
    return bullets(told)


def _preprocessing(scenario: Scenario) -> str:
    observed = [
        (path, len(values.values)) for path, values in _distributions(scenario.spec) if values.family == "empirical"
    ]
    if not observed:
        return "The program itself reads numbers as they stand: no input is fitted or thinned by it."
    told = bullets(f"{code(path)}: {count:,} quantiles" for path, count in observed)
    return f"Observed values (sorted, where they come from a CSV file) are used as equally spaced quantiles, joined by straight lines:\n\n{told}"


def _distributions(spec: Spec) -> Iterable[tuple[str, Distribution]]:
    for name, segment in spec.segments.items():
        if segment.audience is not None:
            yield f"segments.{name}.audience", segment.audience
    for name, kind in spec.violations.items():
        if kind.delay is not None:
            yield f"violations.{name}.detection.delay", kind.delay
    for name, state in spec.ladder.states.items():
        for label, way in state.exits.items():
            yield f"ladder.states.{name}.exits.{label}.after", way.after
        if state.service is not None:
            yield f"ladder.states.{name}.service", state.service


def _identity(scenario: Scenario) -> str:
    return (
        f"The scenario is {code(scenario.name)}; SHA-256 of its resolved form (`enforcement-sim show --resolved`): {code(scenario.sha256())}. The "
        "program is enforcement-sim, under the MIT licence; its law stands in `sim/model/README.md`. `enforcement-sim reproduce FOLDER` makes a run "
        "again from its results folder and compares every table."
    )
