"""The grammar of a scenario file as pydantic models: every key, what it holds, its default, and what an editor is told about it.

A model stands for one mapping of the file and forbids keys it does not know. The values of its fields are what `quantities`,
`families` and `units` read. What concerns more than one key (sums, names that must exist, dates in order) is in `checks`.

Adding a key: one field here, one line in `resolving` (what it means) and one in `writing` (how the resolved file shows it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from . import quantities
from .families import AUDIENCES, DURATIONS, Variable
from .measures import MEASURES
from .names import NAME_PATTERN, NAME_RULE, allowed, name_fault
from .quantities import Kind, Measured, Quantity
from .units import Moment, Refused, day, moment, shown, time_of_day, weekdays
from .yaml_tree import kind_of

DEFAULT_SEVERITIES = ("minor", "serious", "severe")
DEFAULT_BAN = "banned"
UNLIMITED = "unlimited"


class Grammar(BaseModel):
    """One mapping of a scenario file."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, serialize_by_alias=True)


class Joins(Grammar):
    """When the accounts of a segment join: evenly between two dates."""

    from_: When = Field(alias="from", description="the first joins; not before `start`")
    to: When = Field(description="the last has joined; not before `from`")


class Propensity(Grammar):
    """How much more some accounts violate than others: a lognormal multiplier of mean 1 on the violation rates."""

    sigma: Sigma = Field(default_factory=lambda: quantities.SIGMA.measured(0), json_schema_extra={"default": 0})


class Segment(Grammar):
    """A group of accounts of one sort."""

    accounts: Annotated[Quantity, PlainValidator(quantities.ACCOUNTS.quantity), _quantity_schema(quantities.ACCOUNTS)]
    joins: Joins | None = Field(None, description="default: all are there from the start")
    audience: Audience | None = Field(None, description="readers of an account; only weighs results")
    propensity: Propensity = Field(default_factory=lambda: Propensity.model_validate({}))


class Detection(Grammar):
    """Whether a violation is found, and how long until it is decided."""

    chance: Chance
    delay: Duration = Field(
        default_factory=lambda: DURATIONS.read("0 seconds"), description="from violation to decision", json_schema_extra={"default": "0 seconds"}
    )


class Violation(Grammar):
    """A kind of violation."""

    genuine: Flag = Field(True, description="false: a false alarm, what is flagged broke no rule")
    rate: dict[Name, Rate] = Field(description="violations of one account, by segment; 0 where a segment is not named")
    severity: Annotated[
        Mapping[str, Quantity], PlainValidator(lambda value: _chances(value, "severity")), WithJsonSchema(_CHANCE_TABLE)
    ] = Field(description="chance of each severity; together 100%")
    detection: Detection


class Strikes(Grammar):
    """Strikes of an account."""

    expire: Annotated[
        Quantity | None, PlainValidator(quantities.POSITIVE_DURATION.quantity), _quantity_schema(quantities.POSITIVE_DURATION)
    ] = Field(None, description="default: they never expire")


class Exit(Grammar):
    """A way out of a state that time opens."""

    to: Text = Field(description="the next state")
    after: Duration = Field(description="from entering the state")
    chance: Chance = Field(
        default_factory=lambda: quantities.CHANCE.measured(1), description="that it rings at all", json_schema_extra={"default": "100%"}
    )


class State(Grammar):
    """A state of the ladder."""

    activity: Annotated[Quantity, PlainValidator(quantities.ACTIVITY.quantity), _quantity_schema(quantities.ACTIVITY)] = Field(
        default_factory=lambda: quantities.ACTIVITY.measured(1), description="multiplies the violation rates", json_schema_extra={"default": "100%"}
    )
    exits: dict[Name, Exit] = Field(default_factory=dict, description="ways out that time opens; the earliest wins")
    on_violation: dict[
        Name,
        Annotated[
            Targets,
            PlainValidator(_targets),
            WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
        ],
    ] = Field(default_factory=dict, description="severity: next state, or a list of states by number of strikes")
    desk: Text | None = Field(None, description="the desk before which accounts in this state wait")
    priority: Annotated[Quantity | None, PlainValidator(quantities.PRIORITY.quantity), _quantity_schema(quantities.PRIORITY)] = Field(
        None, description="the lowest is served first; default 0"
    )
    service: Duration | None = Field(None, description="how long a reviewer needs")
    outcomes: Annotated[
        Outcomes | None,
        PlainValidator(_outcomes),
        WithJsonSchema(
            {
                "anyOf": [
                    _CHANCE_TABLE,
                    {"type": "object", "properties": {"rightful": _CHANCE_TABLE, "wrongful": _CHANCE_TABLE}, "required": ["rightful", "wrongful"]},
                ]
            }
        ),
    ] = Field(None, description="where service leads: state: chance; or one such table for rightful and one for wrongful accounts")


class Ladder(Grammar):
    """States and how accounts move between them."""

    start: Text = Field(description="the state of an account that joins")
    bans: list[Text] | None = Field(None, description="states that count as a ban; default: `banned`, if there is such a state")
    strikes: Strikes = Field(default_factory=lambda: Strikes.model_validate({}))
    states: dict[Name, State] = Field(min_length=1)


class Hours(Grammar):
    """Weekly working hours of a desk."""

    days: Annotated[
        WorkingDays,
        PlainValidator(_days),
        WithJsonSchema({"anyOf": [{"type": "string", "examples": ["mon-fri", "sat"]}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
    ] = Field(default_factory=lambda: _days("mon-sun"), description="days on which the hours begin", json_schema_extra={"default": "mon-sun"})
    from_: Annotated[Measured, PlainValidator(time_of_day), WithJsonSchema(_TIME_SCHEMA)] = Field(alias="from")
    to: Annotated[Measured, PlainValidator(time_of_day), WithJsonSchema(_TIME_SCHEMA)] = Field(description="before `from`: of the next day")


class Desk(Grammar):
    """Reviewers who serve accounts."""

    reviewers: Annotated[
        Quantity | None,
        PlainValidator(_reviewers),
        WithJsonSchema({"anyOf": [*quantities.REVIEWERS.json_schema()["anyOf"], {"const": UNLIMITED}]}),
    ] = Field(description="a number, or `unlimited`")
    hours: Hours | None = Field(None, description="default: always open")


class Wave(Grammar):
    """An order that moves accounts of a segment at one instant."""

    at: When = Field(description="not before `start`; after the end it never comes")
    segment: Text
    share: Annotated[Quantity | None, PlainValidator(quantities.CHANCE.quantity), _quantity_schema(quantities.CHANCE)] = Field(
        None, description="each account with this chance (or `count`)"
    )
    count: Annotated[Quantity | None, PlainValidator(quantities.HIT.quantity), _quantity_schema(quantities.HIT)] = Field(
        None, description="exactly so many accounts (or `share`)"
    )
    to: Text = Field(description="the state they are moved to")
    states: list[Text] | None = Field(None, min_length=1, description="only from these; default: every state that is not absorbing")
    genuine: Flag = Field(True, description="false: bans by this order are wrongful")


class Phase(Grammar):
    """What is different from a date on."""

    from_: When = Field(alias="from")
    set_: Annotated[
        Mapping[str, Any], PlainValidator(_patches), WithJsonSchema({"type": "object", "additionalProperties": True, "minProperties": 1})
    ] = Field(alias="set", description="path: value, for numbers, durations, chances and targets")
    in_progress: Literal["keep", "restart"] = Field("keep", description="clocks of accounts in states whose exits change")


class Expectation(Grammar):
    """What a measure should be; `enforcement-sim test` holds the scenario to it."""

    measure: Annotated[
        str, PlainValidator(_text), WithJsonSchema({"enum": list(MEASURES), "description": "; ".join(f"{k}: {m.meaning}" for k, m in MEASURES.items())})
    ]
    segment: Text | None = Field(None, description="default: all segments together")
    state: Text | None = Field(None, description="for measures of one state")
    at: Annotated[Moment | None, PlainValidator(_when), WithJsonSchema({"anyOf": [{"const": "end"}, *_MOMENT_SCHEMA["anyOf"]]})] = Field(
        None, description="a date, a duration since `start`, or `end` (default)"
    )
    below: Limit | None = None
    above: Limit | None = None


class Document(Grammar):
    """A whole scenario."""

    schema_: Literal[1] = Field(1, alias="schema", description="version of the format")
    title: Text = ""
    purpose: Text = ""
    sources: list[Text] = Field(default_factory=list, description="where the facts come from")
    assumed: list[Text] = Field(default_factory=list, description="what nobody has published")
    start: Day = Field(description="the date at which simulated time is 0")
    end: Day | None = Field(None, description="the last instant (or `horizon`)")
    horizon: Length | None = Field(None, description="how long the run is (or `end`)")
    observe: Length = Field(
        default_factory=lambda: quantities.POSITIVE_DURATION.measured("1 day"), description="grid of the curves", json_schema_extra={"default": "1 day"}
    )
    severities: list[Name] = Field(default_factory=lambda: list(DEFAULT_SEVERITIES), min_length=1, description="mildest first")
    segments: dict[Name, Segment] = Field(min_length=1)
    violations: dict[Name, Violation] = Field(default_factory=dict)
    ladder: Ladder
    desks: dict[Name, Desk] = Field(default_factory=dict)
    waves: dict[Name, Wave] = Field(default_factory=dict)
    phases: dict[Name, Phase] = Field(default_factory=dict)
    expect: list[Expectation] = Field(default_factory=list)


class WhatIf(Grammar):
    """A scenario that says only what differs from another."""

    extends: Text = Field(description="a file beside this one, or the name of a shipped scenario")
    set_: Annotated[Mapping[str, Any], WithJsonSchema({"type": "object", "additionalProperties": True})] = Field(
        default_factory=dict, alias="set", description="path: value; null removes"
    )
    schema_: Literal[1] = Field(1, alias="schema", description="version of the format")
    title: Text = Field("", description="default: the title of the other")
    purpose: Text = Field("", description="default: the purpose of the other")
    sources: list[Text] = Field(default_factory=list, description="added to those of the other")
    assumed: list[Text] = Field(default_factory=list, description="added to those of the other")
    expect: list[Expectation] = Field(default_factory=list, description="instead of those of the other")


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of scenario files, for editors: a whole scenario, or a what-if with `extends`."""
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
