"""The grammar of a scenario file as pydantic models: every key, what it holds, its default, and what an editor is told.

A model stands for one mapping of the file and forbids keys it does not know. What stands at the keys is in `fields`;
what concerns more than one key (sums, names that must exist, dates in order) is in `checks`.

Adding a key: one field here, one line in `resolving` (what it means) and one in `writing` (how the resolved file
shows it).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from . import quantities
from .families import DURATIONS
from .fields import (
    Accounts,
    Activity,
    Audience,
    Axes,
    Chance,
    Day,
    Days,
    Duration,
    Expiry,
    Flag,
    Hit,
    Length,
    Limit,
    MeasureName,
    Name,
    NextStates,
    OutcomeTables,
    Patches,
    Priority,
    Rate,
    Reviewers,
    Samples,
    Severities,
    Sigma,
    Text,
    TimeOfDay,
    When,
    WhenOrEnd,
    WorkingDays,
)

DEFAULT_SEVERITIES = ("minor", "serious", "severe")
DEFAULT_BAN = "banned"


def _default(read: Callable[[object], Any], text: str | int, description: str = "") -> Any:
    """A field whose default is read like a value of the file, and shown to editors as it is written."""
    return Field(default_factory=lambda: read(text), description=description, json_schema_extra={"default": text})


class Grammar(BaseModel):
    """One mapping of a scenario file."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Joins(Grammar):
    """When the accounts of a segment join: evenly between two dates."""

    from_: When = Field(alias="from", description="the first joins; not before `start`")
    to: When = Field(description="the last has joined; not before `from`")


class Propensity(Grammar):
    """How much more some accounts violate than others: a lognormal multiplier of mean 1 on the violation rates."""

    sigma: Sigma = _default(quantities.SIGMA.measured, 0)


class Segment(Grammar):
    """A group of accounts of one sort."""

    accounts: Accounts
    joins: Joins | None = Field(None, description="default: all are there from the start")
    audience: Audience | None = Field(None, description="readers of an account; only weighs results")
    propensity: Propensity = Field(default_factory=lambda: Propensity.model_validate({}))


class Detection(Grammar):
    """Whether a violation is found, and how long until it is decided."""

    chance: Chance
    delay: Duration = _default(DURATIONS.read, "0 seconds", "from violation to decision")


class Violation(Grammar):
    """A kind of violation."""

    genuine: Flag = Field(True, description="false: a false alarm, what is flagged broke no rule")
    rate: dict[Name, Rate] = Field(description="violations of one account, by segment; 0 where a segment is not named")
    severity: Severities = Field(description="chance of each severity; together 100%")
    detection: Detection


class Strikes(Grammar):
    """Strikes of an account."""

    expire: Expiry | None = Field(None, description="default: they never expire")


class Exit(Grammar):
    """A way out of a state that time opens."""

    to: Text = Field(description="the next state")
    after: Duration = Field(description="from entering the state")
    chance: Chance = _default(quantities.CHANCE.measured, "100%", "that it rings at all")


class State(Grammar):
    """A state of the ladder."""

    activity: Activity = _default(quantities.ACTIVITY.measured, "100%", "multiplies the violation rates")
    exits: dict[Name, Exit] = Field(default_factory=dict, description="ways out that time opens; the earliest wins")
    on_violation: dict[Name, NextStates] = Field(
        default_factory=dict, description="severity: next state, or a list of states by number of strikes"
    )
    desk: Text | None = Field(None, description="the desk before which accounts in this state wait")
    priority: Priority | None = Field(None, description="the lowest is served first; default 0")
    service: Duration | None = Field(None, description="how long a reviewer needs")
    outcomes: OutcomeTables | None = Field(
        None,
        description="where service leads: state: chance; or one such table for rightful and one for wrongful accounts",
    )


class Ladder(Grammar):
    """States and how accounts move between them."""

    start: Text = Field(description="the state of an account that joins")
    bans: list[Text] | None = Field(
        None, description="states that count as a ban; default: `banned`, if there is such a state"
    )
    strikes: Strikes = Field(default_factory=lambda: Strikes.model_validate({}))
    states: dict[Name, State] = Field(min_length=1)


class Hours(Grammar):
    """Weekly working hours of a desk."""

    days: Days = _default(WorkingDays.read, "mon-sun", "days on which the hours begin")
    from_: TimeOfDay = Field(alias="from", description='as in "09:00"')
    to: TimeOfDay = Field(description='up to "24:00"; before `from`: of the next day')


class Desk(Grammar):
    """Reviewers who serve accounts."""

    reviewers: Reviewers = Field(description="a number, or `unlimited`")
    hours: Hours | None = Field(None, description="default: always open")


class Wave(Grammar):
    """An order that moves accounts of a segment at one instant."""

    at: When = Field(description="not before `start`; after the end it never comes")
    segment: Text = Field(description="the segment whose accounts it may move")
    share: Chance | None = Field(None, description="each account with this chance (or `count`)")
    count: Hit | None = Field(None, description="exactly so many accounts (or `share`)")
    to: Text = Field(description="the state they are moved to")
    states: list[Text] | None = Field(
        None, min_length=1, description="only from these; default: every state that is not absorbing"
    )
    genuine: Flag = Field(True, description="false: bans by this order are wrongful")


class Phase(Grammar):
    """What is different from a date on."""

    from_: When = Field(alias="from", description="may be before `start`")
    set_: Patches = Field(alias="set", description="path: value, for numbers, durations, chances and targets")
    in_progress: Literal["keep", "restart"] = Field(
        "keep", description="clocks of accounts in states whose exits change"
    )


class Expectation(Grammar):
    """What a measure should be; `enforcement-sim test` holds the scenario to it."""

    measure: MeasureName
    segment: Text | None = Field(None, description="default: all segments together")
    state: Text | None = Field(None, description="for measures of one state")
    at: WhenOrEnd = Field(None, description="a date, a duration since `start`, or `end` (default)")
    below: Limit | None = None
    above: Limit | None = None


class Sweep(Grammar):
    """What `enforcement-sim sweep` varies where it is not told on the command line."""

    vary: Axes | None = Field(None, description="path: list of values; all combinations are run (or `samples`)")
    samples: Samples | None = Field(None, description="so many points that fill all ranges evenly (or `vary`)")


class Study(Grammar):
    """What only a person can say of the study, as the STRESS-DES checklist asks for it; decides no result."""

    aims: Text = Field("", description="what the experiments are to find out, and why these scenarios")
    preprocessing: Text = Field("", description="what was done with the data before they became numbers here")
    replications: Text = Field("", description="how many replications are made, and why so many")
    sharing: Text = Field("", description="where others find scenario, code and results, under which licence")


class Document(Grammar):
    """A whole scenario."""

    schema_: Literal[1] = Field(1, alias="schema", description="version of the format")
    title: Text = ""
    purpose: Text = ""
    sources: list[Text] = Field(default_factory=list, description="where the facts come from")
    assumed: list[Text] = Field(default_factory=list, description="what nobody has published")
    study: Study = Field(
        default_factory=lambda: Study.model_validate({}), description="what only a person can say of the study"
    )
    start: Day = Field(description="the date at which simulated time is 0")
    end: Day | None = Field(None, description="the last instant (or `horizon`)")
    horizon: Length | None = Field(None, description="how long the run is (or `end`)")
    observe: Length = _default(quantities.POSITIVE_DURATION.measured, "1 day", "grid of the curves")
    severities: list[Name] = Field(
        default_factory=lambda: list(DEFAULT_SEVERITIES),
        min_length=1,
        description="mildest first",
        json_schema_extra={"default": list(DEFAULT_SEVERITIES)},
    )
    segments: dict[Name, Segment] = Field(min_length=1, description="groups of accounts")
    violations: dict[Name, Violation] = Field(default_factory=dict, description="kinds of violations")
    ladder: Ladder
    desks: dict[Name, Desk] = Field(default_factory=dict, description="where reviewers serve accounts")
    waves: dict[Name, Wave] = Field(default_factory=dict, description="orders that move whole groups at one instant")
    phases: dict[Name, Phase] = Field(default_factory=dict, description="changes of the rules from a date on")
    expect: list[Expectation] = Field(default_factory=list, description="what results should be")
    sweep: Sweep | None = Field(None, description="the points that `enforcement-sim sweep` runs")


class WhatIf(Grammar):
    """A scenario that says only what differs from another."""

    extends: Text = Field(description="a file beside this one, or the name of a shipped scenario")
    set_: Patches | None = Field(None, alias="set", description="path: value; null removes")
    schema_: Literal[1] = Field(1, alias="schema", description="version of the format")
    title: Text = Field("", description="default: the title of the other")
    purpose: Text = Field("", description="default: the purpose of the other")
    sources: list[Text] = Field(default_factory=list, description="added to those of the other")
    assumed: list[Text] = Field(default_factory=list, description="added to those of the other")
    study: Study = Field(
        default_factory=lambda: Study.model_validate({}), description="text by text instead of those of the other"
    )
    expect: list[Expectation] = Field(default_factory=list, description="instead of those of the other")
    sweep: Sweep | None = Field(None, description="instead of that of the other")


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of scenario files, for editors: a whole scenario, or a what-if with `extends`.

    Returns
    -------
    dict
        The schema, ready for `json.dump`.
    """
    whole = Document.model_json_schema(by_alias=True)
    what_if = WhatIf.model_json_schema(by_alias=True)
    definitions = {**what_if.pop("$defs", {}), **whole.pop("$defs", {}), "Document": whole, "WhatIf": what_if}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "enforcement-sim scenario",
        "if": {"required": ["extends"]},
        "then": {"$ref": "#/$defs/WhatIf"},
        "else": {"$ref": "#/$defs/Document"},
        "$defs": definitions,
    }
