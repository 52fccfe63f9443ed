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
    from sim.experiments.expect import Checks, check_expectations
    from sim.experiments.reproduce import Reproduction, reproduce
    from sim.scenario import Scenario, json_schema, load, loads, shipped
    from sim.views.calibration import Calibration, calibrate
    from sim.views.comparison import Comparison, compare
    from sim.views.fits import Fit, fit
    from sim.views.ranges import Draws, Sensitivity, draws, sensitivity
    from sim.views.result import Result, open, run
    from sim.views.resuming import resume
    from sim.views.sweeps import Sweep, sweep

_HOME = {
    "Fault": "sim.errors",
    "ResultsError": "sim.errors",
    "RunError": "sim.errors",
    "ScenarioError": "sim.errors",
    "Checks": "sim.experiments.expect",
    "check_expectations": "sim.experiments.expect",
    "Reproduction": "sim.experiments.reproduce",
    "reproduce": "sim.experiments.reproduce",
    "Scenario": "sim.scenario",
    "json_schema": "sim.scenario",
    "load": "sim.scenario",
    "loads": "sim.scenario",
    "shipped": "sim.scenario",
    "Calibration": "sim.views.calibration",
    "calibrate": "sim.views.calibration",
    "Comparison": "sim.views.comparison",
    "compare": "sim.views.comparison",
    "Result": "sim.views.result",
    "open": "sim.views.result",
    "run": "sim.views.result",
    "Fit": "sim.views.fits",
    "fit": "sim.views.fits",
    "Draws": "sim.views.ranges",
    "draws": "sim.views.ranges",
    "Sensitivity": "sim.views.ranges",
    "sensitivity": "sim.views.ranges",
    "resume": "sim.views.resuming",
    "Sweep": "sim.views.sweeps",
    "sweep": "sim.views.sweeps",
}

__all__ = [
    "Calibration",
    "Checks",
    "Comparison",
    "Draws",
    "Fault",
    "Fit",
    "Reproduction",
    "Result",
    "ResultsError",
    "RunError",
    "Scenario",
    "ScenarioError",
    "Sensitivity",
    "Sweep",
    "calibrate",
    "check_expectations",
    "compare",
    "draws",
    "fit",
    "json_schema",
    "load",
    "loads",
    "open",
    "reproduce",
    "resume",
    "run",
    "sensitivity",
    "shipped",
    "sweep",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'sim' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
