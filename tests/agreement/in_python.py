"""What the law comes to on golden cases and small random scenarios, whoever runs it: machine code, or Python where Numba is switched off.

As a program it writes what it finds: ``NUMBA_DISABLE_JIT=1 python tests/agreement/in_python.py FILE.npz``.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from agreement.lives import ENGINES, as_yaml, compile_text, lived
from random_scenarios import random_scenario

from sim.engines import compiled
from sim.model.draws import key, uniform
from sim.model.durations import DISTRIBUTION, FAMILIES, quantile
from sim.model.jit import IS_INTERPRETED

GOLDEN = Path(__file__).parents[1] / "golden"
SCENARIOS = 8
"""Random scenarios; the first thirty have every feature of the law among them, and these have most."""
PARAMETERS = {"weibull": (0.7, 3e9, 0.0), "lognormal": (2e9, 1.3, 0.0), "loglogistic": (4e9, 1.7, 0.0)}
USUAL = (1e9, 5e9, 9e9)


def draws() -> dict[str, np.ndarray]:
    """Uniform numbers, and the quantile of each family at them and close to both ends."""
    own = key(3, 1)
    u = np.array([uniform(own, np.uint64(5), account, np.uint64(7), account % 3) for account in range(300)])
    found = {"uniform": u}
    empirical = np.array([1e9, 1.5e9, 4e9, 4e9])
    for number, family in enumerate(FAMILIES):
        row = np.array([(number, 0, len(empirical), *PARAMETERS.get(family, USUAL))], DISTRIBUTION)[0]
        ends = (2.0**-54, 2.0**-30, 0.25, 0.2929, 0.5, 0.75, 1.0 - 2.0**-20, 1.0 - 2.0**-53)
        found[family] = np.array([quantile(row, empirical, float(each)) for each in (*u, *ends)])
    return found


def found() -> dict[str, np.ndarray]:
    """Draws; and the events and all counts of each scenario and engine, by name."""
    texts = {name: (GOLDEN / f"{name}.yaml").read_text() for name in ("strikes", "timeline", "desk")}
    for number in range(SCENARIOS):
        texts[f"random {number}"] = as_yaml(random_scenario(np.random.default_rng(number)))
    parts = draws()
    for name, text in texts.items():
        codes = compile_text(text)
        for engine in ENGINES:
            tally, events = lived(codes, engine, seed=42)
            parts[f"{name}, {engine}: events"] = events
            for count in set(tally._fields) - {"log", "logged"}:
                parts[f"{name}, {engine}: {count}"] = getattr(tally, count)
    return parts


if __name__ == "__main__":
    assert IS_INTERPRETED, "Numba is not switched off"
    compiled.PILOT, compiled.BLOCK = (
        2,
        32,
    )  # small segments: draws are to be made ahead soon, and not for many who are not there
    np.savez(sys.argv[1], **found())
