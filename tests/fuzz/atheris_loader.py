"""The loader under atheris (libFuzzer): coverage leads it where mutations by chance do not come.

    pip install atheris
    python tests/fuzz/atheris_loader.py -max_total_time=600 -max_len=4096 CORPUS scenarios tests/invalid tests/golden

CORPUS is an empty folder of your own, in which inputs that reach new lines are kept; the other folders are seeds. It ends at the first input that
neither loads nor is refused as it should be, and writes it to `crash-...`. atheris is not needed for anything else, and the tests do without.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

import atheris

with atheris.instrument_imports(include=["sim.scenario", "ruamel.yaml"]):
    import sim.scenario
    from sim.errors import ScenarioError

FOLDER = Path(__file__).parents[1] / "invalid"


def load(text: bytes) -> None:
    """One input."""
    try:
        sim.scenario.loads(text, folder=FOLDER, name="case.yaml")
    except ScenarioError as error:
        for fault in error.faults:
            assert fault.file
            assert fault.problem
            assert fault.remedy
            assert fault.line is not None or not fault.path


if __name__ == "__main__":
    atheris.Setup(sys.argv, load)
    atheris.Fuzz()
