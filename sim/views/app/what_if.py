"""What moved knobs say: a scenario, and the file that says the same on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePath

from sim.errors import Fault, ScenarioError
from sim.scenario import Scenario
from sim.scenario.units import shown
from sim.scenario.writing import Written, yaml_text
from sim.views.app.knobs import Knob


@dataclass(frozen=True)
class WhatIf:
    """A baseline with some of its values changed.

    Attributes
    ----------
    base
        The scenario that the changes are made to.
    extends
        How a file names it: a scenario that ships, or a file beside it.
    changes
        Path -> text, as `Scenario.with_values` and `set:` take them; empty: nothing has been moved.
    """

    base: Scenario
    extends: str
    changes: Mapping[str, str]

    @property
    def title(self) -> str:
        """A title that tells it from the baseline."""
        title = self.base.spec.title or self.base.name
        return self.changes.get("title", f"What if: {title}" if self.changes else title)

    def values(self, further: Mapping[str, object]) -> dict[str, object]:
        """All that is changed, and more, for `Scenario.with_values`."""
        return {**self.changes, **further, "title": self.title}

    def scenario(self, further: Mapping[str, object] | None = None) -> Scenario:
        """The changed scenario.

        Raises
        ------
        ScenarioError
            The values cannot stand: the faults that a file with them would have.
        """
        return self.base.with_values(self.values(further or {}))

    def text(self, further: Mapping[str, object] | None = None) -> str:
        """The what-if file: loading it gives `scenario`, with the same SHA-256."""
        entries = {path: value for path, value in self.values(further or {}).items() if path != "title"}
        parts: dict[str, object] = {"schema": 1, "extends": self.extends, "title": self.title}
        return yaml_text({**parts, "set": entries} if entries else parts)

    @property
    def file_name(self) -> str:
        """A name for the file that no folder minds."""
        stem = re.sub(r"[^\w-]+", "_", PurePath(self.extends).name.removesuffix(".yaml").removesuffix(".yml")).strip(
            "_"
        )
        return f"{stem or 'scenario'}_what_if.yaml"


def moved(knobs: Iterable[Knob], amounts: Mapping[str, float | str]) -> dict[str, str]:
    """Path -> text of every knob that does not stand where the scenario has it."""
    return {
        knob.path: Written(knob.written(amounts[knob.path]))
        for knob in knobs
        if knob.path in amounts and knob.is_moved(amounts[knob.path])
    }


def typed(lines: str) -> dict[str, str]:
    """Path -> text of lines as under `set:` of a file, ``path: value``; values stay text, so that no line can hold more than one.

    Raises
    ------
    ScenarioError
        Lines that are not of that form.
    """
    found: dict[str, str] = {}
    faults = []
    for number, line in enumerate(lines.splitlines(), 1):
        path, colon, value = (part.strip() for part in line.partition(":"))
        if not line.strip():
            continue
        if not (path and colon and value):
            faults.append(Fault("<set>", number, "", f"{shown(line.strip())} is not a change", "write `path: value`"))
        elif path in found:
            faults.append(Fault("<set>", number, path, "is set twice", "set it once"))
        found[path] = value
    if faults:
        raise ScenarioError(faults)
    return found
