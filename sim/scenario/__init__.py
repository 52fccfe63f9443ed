"""What a person writes: scenario files, from text to frozen values, and back to one canonical text.

==================  ===============================================================================================
`loading`           `load`, `loads`, `Scenario`: the steps below, in order, and all faults at once
`files`             reading within limits, the shipped catalogue, chains of `extends`, observed values in CSV files
`yaml_reading`      YAML text -> a tree of values with their lines
`yaml_tree`         that tree
`inheritance`       paths into the tree, and the one way to change a value at a path
`schema`            the grammar: every key of the file, as pydantic models; `json_schema` for editors
`fields`            what may stand at a key: names, texts, tables, dates
`quantities`        numbers with their limits, and ranges `{low, best, high}`
`families`          distributions of durations and audiences
`units`             numbers with units, read exactly
`measures`          what an expectation may be of
`names`             what a name may be, and "did you mean"
`validation`        the tree held to the grammar: pydantic's errors as faults with file, line and path
`checks`            what concerns more than one key: names that must exist, sums, order of dates, reach
`phases`            what a phase may patch, and the scenario in each stretch between phases
`sweeping`          what the `sweep:` section varies, each value tried
`resolving`         the grammar's models -> `Spec`, in microseconds since `start`
`spec`              `Spec` and its parts, frozen
`writing`           the models -> the resolved file
==================  ===============================================================================================
"""

from .files import shipped
from .loading import Scenario, load, loads
from .measures import MEASURES, Measure
from .quantities import Range
from .schema import json_schema
from .spec import (
    Change,
    Derivation,
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

__all__ = [
    "MEASURES",
    "Change",
    "Derivation",
    "Desk",
    "Distribution",
    "Exit",
    "Expectation",
    "Hours",
    "Ladder",
    "Measure",
    "Phase",
    "Range",
    "Scenario",
    "Segment",
    "Spec",
    "State",
    "Study",
    "Sweep",
    "Table",
    "Violation",
    "Wave",
    "json_schema",
    "load",
    "loads",
    "shipped",
]
