"""From the grammar's models to what they mean: `Document` -> `Spec`.

Times become microseconds since `start`, ranges are read as `best`, defaults are filled in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from . import schema
from .checks import end_us
from .families import Variable
from .quantities import Quantity
from .schema import DEFAULT_BAN, Document
from .spec import (
    Desk,
    Distribution,
    Exit,
    Expectation,
    Hours,
    Ladder,
    Phase,
    Segment,
    Spec,
    State,
    Study,
    Sweep,
    Table,
    Violation,
    Wave,
)
from .units import Moment


def spec_of(
    document: Document, patches: Mapping[str, Mapping[str, object]], axes: Mapping[str, Sequence[object]]
) -> Spec:
    """What a document without faults says; `patches` are the phases' values and `axes` the sweep's, as the resolved file writes them."""
    end, start = end_us(document), document.start.date
    assert end is not None
    assert start is not None
    segments = tuple(document.segments)
    return Spec(
        title=document.title,
        purpose=document.purpose,
        sources=tuple(document.sources),
        assumed=tuple(document.assumed),
        start=start,
        end_us=end,
        observe_us=max(1, round(document.observe.value)),
        severities=tuple(document.severities),
        segments=Table((name, _segment(segment, document)) for name, segment in document.segments.items()),
        violations=Table(
            (name, _violation(kind, segments, document.severities)) for name, kind in document.violations.items()
        ),
        ladder=_ladder(document.ladder),
        desks=Table((name, _desk(desk)) for name, desk in document.desks.items()),
        waves=Table((name, _wave(wave, document)) for name, wave in document.waves.items()),
        phases=Table(
            (name, Phase(phase.from_.after(start), Table(patches[name]), phase.in_progress))
            for name, phase in document.phases.items()
        ),
        expect=tuple(_expectation(expectation, document) for expectation in document.expect),
        sweep=None if document.sweep is None else _sweep(document.sweep, axes),
        study=Study(**document.study.model_dump()),
    )


def _sweep(sweep: schema.Sweep, axes: Mapping[str, Sequence[object]]) -> Sweep:
    samples = None if sweep.samples is None else round(sweep.samples.value)
    return Sweep(Table((path, tuple(values)) for path, values in axes.items()), samples)


def bans_of(ladder: schema.Ladder) -> tuple[str, ...]:
    """The states that count as a ban: by default `banned`, if there is such a state."""
    if ladder.bans is not None:
        return tuple(ladder.bans)
    return (DEFAULT_BAN,) if DEFAULT_BAN in ladder.states else ()


def _distribution(variable: Variable | None) -> Distribution | None:
    return None if variable is None else Distribution(variable.family, variable.values)


def _values(table: Mapping[str, Quantity]) -> Table[float]:
    return Table((name, quantity.value) for name, quantity in table.items())


def _since(moment: Moment, document: Document) -> int:
    assert document.start.date is not None
    return moment.after(document.start.date)


def _segment(segment: schema.Segment, document: Document) -> Segment:
    joins = segment.joins
    return Segment(
        accounts=round(segment.accounts.value),
        joins_from_us=0 if joins is None else _since(joins.from_, document),
        joins_to_us=0 if joins is None else _since(joins.to, document),
        audience=_distribution(segment.audience),
        propensity_sigma=segment.propensity.sigma.value,
    )


def _violation(kind: schema.Violation, segments: tuple[str, ...], severities: list[str]) -> Violation:
    severity = _values(kind.severity)
    delay = _distribution(kind.detection.delay)
    return Violation(
        genuine=kind.genuine,
        rate=Table((segment, kind.rate[segment].value if segment in kind.rate else 0.0) for segment in segments),
        severity=Table([*severity.items(), *((name, 0.0) for name in severities if name not in severity)]),
        detection=kind.detection.chance.value,
        delay=None if delay == Distribution("fixed", (0.0,)) else delay,
    )


def _ladder(ladder: schema.Ladder) -> Ladder:
    expire = ladder.strikes.expire
    return Ladder(
        start=ladder.start,
        bans=bans_of(ladder),
        strikes_expire_us=None if expire is None else max(1, round(expire.value)),
        states=Table((name, _state(state)) for name, state in ladder.states.items()),
    )


def _state(state: schema.State) -> State:
    outcomes = state.outcomes
    return State(
        activity=state.activity.value,
        exits=Table(
            (name, Exit(way.to, Distribution(way.after.family, way.after.values), way.chance.value))
            for name, way in state.exits.items()
        ),
        on_violation=Table((severity, targets.states) for severity, targets in state.on_violation.items()),
        desk=state.desk,
        priority=0.0 if state.priority is None else state.priority.value,
        service=_distribution(state.service),
        outcomes_rightful=Table() if outcomes is None else _values(outcomes.rightful),
        outcomes_wrongful=Table() if outcomes is None else _values(outcomes.wrongful),
    )


def _desk(desk: schema.Desk) -> Desk:
    hours = desk.hours
    return Desk(
        reviewers=None if desk.reviewers is None else round(desk.reviewers.value),
        hours=None if hours is None else Hours(hours.days.days, round(hours.from_.value), round(hours.to.value)),
    )


def _wave(wave: schema.Wave, document: Document) -> Wave:
    return Wave(
        at_us=_since(wave.at, document),
        segment=wave.segment,
        share=None if wave.share is None else wave.share.value,
        count=None if wave.count is None else round(wave.count.value),
        to=wave.to,
        states=None if wave.states is None else tuple(wave.states),
        genuine=wave.genuine,
    )


def _expectation(expectation: schema.Expectation, document: Document) -> Expectation:
    return Expectation(
        measure=expectation.measure,
        segment=expectation.segment,
        state=expectation.state,
        at_us=None if expectation.at is None else _since(expectation.at, document),
        below=None if expectation.below is None else expectation.below.value,
        above=None if expectation.above is None else expectation.above.value,
    )
