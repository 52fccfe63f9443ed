"""Where the app's scenarios come from: the catalogue, and what people hand in. Nothing they write can name a file of this machine.

Both are loaded as texts without a folder (`sim.scenario.loads`), in which `extends` can only name scenarios that ship, and observed values must
stand in the text itself.
"""

from __future__ import annotations

from functools import cache
from pathlib import PurePosixPath, PureWindowsPath

from sim.errors import Fault, ScenarioError
from sim.scenario import Scenario, loads, shipped
from sim.scenario.writing import yaml_text

MOST_BYTES = 2**20
"""Size of an uploaded file (1 MiB), as of any scenario file."""


FIRST = "wechat_2022"
"""The scenario that the page opens with."""


def catalogue() -> list[str]:
    """Names of the scenarios that ship."""
    return sorted(shipped())


@cache
def of_catalogue(name: str) -> Scenario:
    """A scenario that ships; paths that are set in it later start from no folder.

    Raises
    ------
    ScenarioError
        There is none of that name.
    """
    if name not in shipped():
        raise ScenarioError(
            [Fault(name, None, "", "is not a shipped scenario", f"there are: {', '.join(catalogue())}")]
        )
    return loads(yaml_text({"extends": name}), name=name)


def of_upload(file_name: str, content: bytes) -> Scenario:
    """A scenario that somebody hands in.

    Raises
    ------
    ScenarioError
        With every fault of it; among them any name of a file.
    """
    return loads(content, name=bare(file_name))


def bare(file_name: str) -> str:
    """A file's name without folders, whichever system wrote it; always that of a scenario file."""
    name = PureWindowsPath(PurePosixPath(file_name).name).name
    name = "".join(letter for letter in name if letter.isprintable())[:100]
    return name if PurePosixPath(name).suffix in (".yaml", ".yml") else "uploaded.yaml"
