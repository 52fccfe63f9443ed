"""Does cases of one family in a process of its own, so that its time and memory can be told; ends with a line of JSON.

    python tests/fuzz/worker.py FAMILY FIRST LAST      cases from FIRST to before LAST
    python tests/fuzz/worker.py FAMILY --only NUMBER   one case, shown

Families: bytes, lines, tree (`mutations`), schema (`from_schema`), histories, targets, observed (`tables`). Cases of `schema` are made by hypothesis
and have no number of their own: one that fails is told with its text.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from mutations import FAMILIES, TESTS, case
from tables import HISTORIES, TARGETS, mutated, observed, written

from sim.errors import Fault, ScenarioError
from sim.experiments.calibration.targets import read_targets
from sim.experiments.fitting.reading import read_histories
from sim.scenario import Scenario, load, loads
from sim.scenario.loading import assemble
from sim.scenario.validation import Layers
from sim.scenario.yaml_tree import Node

SECONDS = 2.0
WHOLE = ("the file is empty", "is too long", "has no rows", "is empty", "cannot be read", "is not YAML", "holds")
"""How faults begin that are about a file as a whole, and so about no line."""
MOST_RUNS = 30
BATCH = 1_000
"""Cases that hypothesis makes at a time: it keeps all that it made."""


def peak_mebibytes() -> float:
    """The most memory that this process has held; ``ru_maxrss`` would tell that of the process which started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


class TooSlowError(Exception):
    """A case took more than its time."""


def _too_slow(*_: object) -> None:
    raise TooSlowError(f"took more than {SECONDS} s")


def check_fault(fault: Fault, lines: int) -> None:
    """A fault has a file, says what is wrong and what would do, and in which line."""
    assert fault.file, f"no file: {fault}"
    assert fault.problem, f"says nothing: {fault!r}"
    assert fault.remedy, f"no remedy: {fault}"
    if fault.line is None:
        assert lines == 0 or (not fault.path and fault.problem.startswith(WHOLE)), f"no line: {fault}"
    else:
        assert fault.line >= 1, f"line {fault.line}: {fault}"


def check_scenario(made: bytes | Node) -> Scenario | None:
    """A scenario, which compiles and whose resolved text says the same; or none, its faults as they should be."""
    from sim.model.tables import compile_tables

    try:
        if isinstance(made, Node):
            scenario = assemble(Layers(made), "case", None)
        else:
            scenario = loads(made, folder=TESTS / "invalid", name="case.yaml")
    except ScenarioError as error:
        assert error.faults
        for fault in error.faults:
            check_fault(fault, 1 if isinstance(made, Node) else made.count(b"\n"))
        return None
    compile_tables(scenario)
    return scenario


def run_if_small(scenario: Scenario) -> bool:
    """Run what is small."""
    from sim.experiments.estimate import expected_events
    from sim.experiments.replications import Settings, run_in_memory

    spec = scenario.spec
    cells = (spec.end_us // spec.observe_us + 1) * len(spec.segments) * len(spec.ladder.states)
    small = sum(segment.accounts for segment in spec.segments.values()) <= 2000 and cells < 50_000
    if not small or expected_events(scenario).events > 20_000:
        return False
    done = run_in_memory(scenario, Settings(histories=10), threads=1)
    assert not done.summary.empty
    return True


def check_table(family: str, made: bytes, folder: Path) -> bool:
    """A CSV table that is read, or whose faults are as they should be."""
    file = written(folder, made)
    base = TESTS / "invalid" / "unit_base.yaml"
    try:
        if family == "histories":
            read_histories(file)
        elif family == "targets":
            read_targets(file, load(base))
        else:
            text = base.read_text(encoding="utf-8").replace("20 minutes", "{empirical: {file: case.csv}}")
            loads(text, folder=folder, name="case.yaml")
    except ScenarioError as error:
        assert error.faults
        for fault in error.faults:
            check_fault(fault, 0)
        return False
    return True


class Report:
    """What came of the cases, and those that failed."""

    def __init__(self, family: str) -> None:
        self.family = family
        self.cases = self.valid = self.ran = 0
        self.slowest = 0.0
        self.failures: list[str] = []

    def do(self, number: int, made: Any, folder: Path) -> None:
        """Check a case; it has two seconds of processor time."""
        self.cases += 1
        began = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            found = check_table(self.family, made, folder) if self.family in SEEDS else check_scenario(made)
        except Exception:
            found = None
            self._failed(f"{number}", made)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        self.slowest = max(self.slowest, time.process_time() - began)
        if not found:
            return
        self.valid += 1
        if isinstance(found, Scenario) and self.valid % 5 == 0:
            self._look_closer(number, made, found)

    def _failed(self, told: str, made: Any) -> None:
        """Keep what is being handled, and the text of a case that cannot be made from its number."""
        text = made.decode() if self.family == "schema" else ""
        self.failures.append(f"{self.family} {told}: {traceback.format_exc(limit=-6)}{text}")

    def _look_closer(self, number: int, made: Any, scenario: Scenario) -> None:
        """Hold the resolved text to the scenario, and run it if that is quick."""
        try:
            assert loads(scenario.resolved_yaml()) == scenario, "the resolved text says something else"
            if self.ran < MOST_RUNS:
                self.ran += run_if_small(scenario)
        except Exception:
            self._failed(f"{number}, closer", made)

    def told(self) -> dict[str, Any]:
        memory = peak_mebibytes()
        return vars(self) | {"memory_mib": memory, "failures": self.failures[:5], "failed": len(self.failures)}


SEEDS: dict[str, tuple[str, ...]] = {"histories": HISTORIES, "targets": TARGETS, "observed": observed()}


def from_schema(report: Report, first: int, last: int, folder: Path) -> None:
    """Cases by hypothesis, a batch at a time."""
    from from_schema import scenarios
    from hypothesis import HealthCheck, Phase, given, seed, settings

    for begins in range(first, last, BATCH):

        @seed(begins)
        @settings(
            max_examples=min(BATCH, last - begins),
            database=None,
            deadline=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        )
        @given(scenarios())
        def do(values: Any) -> None:
            report.do(first + report.cases, json.dumps(values, indent=1, ensure_ascii=False).encode(), folder)

        do()


def make(family: str, number: int) -> Any:
    return mutated(SEEDS[family], family, number) if family in SEEDS else case(family, number)


def main() -> None:
    family, arguments = sys.argv[1], sys.argv[2:]
    signal.signal(signal.SIGPROF, _too_slow)
    report = Report(family)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if arguments[0] == "--only":
            made = make(family, int(arguments[1]))
            print(made.decode("utf-8", "backslashreplace") if isinstance(made, bytes) else made)
            report.do(int(arguments[1]), made, folder)
        elif family == "schema":
            from_schema(report, int(arguments[0]), int(arguments[1]), folder)
        else:
            assert family in SEEDS or family in FAMILIES
            for number in range(int(arguments[0]), int(arguments[1])):
                report.do(number, make(family, number), folder)
    print(json.dumps(report.told()))


if __name__ == "__main__":
    main()
