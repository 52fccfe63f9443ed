"""What a platform's enforcement rules do to its accounts: a discrete-event simulator.

The public names; each is loaded when it is first asked for, so that ``import sim`` stays quick.

>>> import sim
>>> scenario = sim.load("wechat_2022")
>>> result = sim.run(scenario.scaled(0.001), seed=1)
>>> result.plot.ban_rate()
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sim.errors import Fault, ResultsError, RunError, ScenarioError
    from sim.scenario import Scenario, json_schema, load, loads, shipped
    from sim.views.result import Result, open, run

_HOME = {
    "Fault": "sim.errors",
    "ResultsError": "sim.errors",
    "RunError": "sim.errors",
    "ScenarioError": "sim.errors",
    "Scenario": "sim.scenario",
    "json_schema": "sim.scenario",
    "load": "sim.scenario",
    "loads": "sim.scenario",
    "shipped": "sim.scenario",
    "Result": "sim.views.result",
    "open": "sim.views.result",
    "run": "sim.views.result",
}

__all__ = [
    "Fault",
    "Result",
    "ResultsError",
    "RunError",
    "Scenario",
    "ScenarioError",
    "json_schema",
    "load",
    "loads",
    "open",
    "run",
    "shipped",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'sim' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
