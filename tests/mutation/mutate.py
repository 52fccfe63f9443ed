"""Mutation testing: small faults are put into the code, one at a time, and the tests have to notice each.

``python tests/mutation/mutate.py results --sample 200 --seed 1`` ends with 1 where fewer than 90 % are noticed, and prints those that were not.
`tests.toml` says which modules a part has, and which tests look at each; `equivalent.toml`, which faults change nothing. Everything happens in
copies of the checkout, and what was found is kept in a session of cosmic-ray's (``--session``), with which ``cr-report`` and ``cr-html`` work.

A test run spends most of its time on imports and on machine code. So each worker imports what the faults cannot touch, once, and runs the tests of
every mutant in a fork of itself.
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import mutants
from cosmic_ray.work_db import WorkDB
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkItem, WorkResult

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
AT_LEAST = 0.90
KILLED, SURVIVED, EQUIVALENT = "killed", "survived", "equivalent"
TIMEOUT = "timeout"
"""Beginning of the output of a mutant whose tests did not come to an end."""
PATIENCE = 5.0
"""Longest a test run may take, in its limits of processor time: a busy machine is no fault in the code."""


@dataclass(frozen=True)
class Plan:
    """How the mutants of some modules are tested: what its module's own tests let pass goes to those of all of them."""

    modules: tuple[Path, ...]
    environment: dict[str, str]
    imports: tuple[str, ...]
    machine_code: bool
    options: tuple[str, ...]
    own: dict[str, list[str]]
    wide: list[str]

    def stages(self, module: Path) -> list[tuple[list[str], list[str]]]:
        """Tests of a module, in the order in which they are asked; with each, the tests whose duration says how long these may take."""
        own = self.own.get(module.name, [])
        rest = [test for test in self.wide if test not in own]
        return [(own, own), (rest, self.wide)] if own else [(self.wide, self.wide)]


def plan_of(part: str) -> Plan:
    """What `tests.toml` says of a part."""
    told = tomllib.loads((HERE / "tests.toml").read_text(encoding="utf-8"))[part]
    modules = {path.relative_to(ROOT) for glob in told["modules"] for path in ROOT.glob(glob)}
    return Plan(
        tuple(sorted(module for module in modules if module.name not in told.get("without", ()))),
        told.get("environment", {}),
        tuple(told.get("imports", ())),
        told.get("machine_code", False),
        tuple(told.get("options", ())),
        told["own"],
        told["wide"],
    )


class Worker:
    """One process with a copy of the checkout, which tests one mutant after the other."""

    def __init__(self, plan: Plan, place: Path) -> None:
        self.plan, self.place = plan, place
        self.known: dict[tuple[str, ...], float] = {}
        for name in subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0"):
            if name and (ROOT / name).is_file():
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, place / name)
        os.chdir(place)
        sys.path.insert(0, str(place))
        for module in plan.imports:
            importlib.import_module(module)
        if plan.machine_code:
            _load_machine_code()

    def tests(self, tests: list[str], limit: float) -> tuple[int | None, str]:
        """Run tests in a fork, for so many seconds of processor time: exit code (``None``: no end), and the end of what they print."""
        printed = self.place / "printed.txt"
        child = os.fork()
        if child == 0:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit), math.ceil(limit) + 5))
            into = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(into, 1)
            os.dup2(into, 2)
            code = 70
            try:
                import pytest

                options = ["-x", "-q", "-o", "addopts=", "-p", "no:cacheprovider", "--scenarios", "20", "--kills", "2"]
                options += [*self.plan.options, f"--basetemp={self.place / 'temporary'}"]
                code = int(pytest.main([*options, *tests]))
            finally:
                os._exit(code)
        code = _wait(child, PATIENCE * limit)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)  # what the tests started and did not end
        return code, printed.read_text(encoding="utf-8", errors="replace")[-2000:]

    def seconds(self, tests: list[str]) -> float:
        """Duration of tests that pass, as they must while no fault is in the code."""
        key = tuple(tests)
        if key not in self.known:
            sys.dont_write_bytecode = False
            began = time.monotonic()
            code, printed = self.tests(tests, 1800.0)
            if code != 0:
                raise SystemExit(f"these tests fail without any fault in the code: {' '.join(tests)}\n{printed}")
            self.known[key] = time.monotonic() - began
        return self.known[key]

    def test(self, spec: MutationSpec) -> WorkResult:
        """Put a fault into the copy, run the tests, take it out."""
        os.chdir(ROOT)  # where the mutant's module is told from
        text = mutants.mutated(spec)
        os.chdir(self.place)
        assert text is not None
        file = self.place / spec.module_path
        for number, (tests, timed) in enumerate(self.plan.stages(file)):
            limit = 30.0 + 6.0 * self.seconds(timed)
            with _instead(file, text):
                code, printed = self.tests(tests, limit)
            if code != 0:
                told = TIMEOUT if code is None else f"stage {number}\n{printed}"
                return WorkResult(WorkerOutcome.NORMAL, told, TestOutcome.KILLED, change(spec))
        return WorkResult(WorkerOutcome.NORMAL, "", TestOutcome.SURVIVED, change(spec))


@contextmanager
def _instead(file: Path, text: str) -> Iterator[None]:
    """Have another text in a file for a while."""
    before, stat = file.read_bytes(), file.stat()
    sys.dont_write_bytecode = True  # a second is too long for the dates of byte code
    file.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        file.write_bytes(before)
        os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _wait(child: int, limit: float) -> int | None:
    """Exit code of a child, -1 if it died; ``None`` if it took longer, or all its processor time. While this process is stopped, no time passes."""
    spent, last = 0.0, time.monotonic()
    while spent < limit:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
                return None
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1
        time.sleep(0.02)
        now = time.monotonic()
        spent, last = spent + min(now - last, 1.0), now
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _load_machine_code() -> None:
    """Have the engines' machine code in memory: live the golden cases. Nothing here is of a floor above the engines."""
    tables = importlib.import_module("sim.model.tables")
    loads = importlib.import_module("sim.scenario").load
    new_tally = importlib.import_module("sim.engines.tally").new_tally
    for golden in sorted(Path("tests/golden").glob("*.yaml")):
        scenario = loads(golden)
        law, names = tables.compile_tables(scenario)
        law = tables.keyed(law, 1, 0)
        for engine in ("compiled", "process"):
            tally = new_tally(law, names, scenario.spec.observe_us)
            importlib.import_module(f"sim.engines.{engine}").run(law, tally, 2**32, lambda rows: None)


def change(spec: MutationSpec) -> str:
    """The fault in words: where, and the lines that differ."""
    before = spec.module_path if spec.module_path.is_absolute() else ROOT / spec.module_path
    old = before.read_text(encoding="utf-8").splitlines()
    here = Path.cwd()
    os.chdir(ROOT)
    new = (mutants.mutated(spec) or "").splitlines()
    os.chdir(here)
    row = spec.start_pos[0] - 1
    operator = spec.operator_name.rpartition("/")[2]
    told = f"{spec.module_path}:{row + 1}:{spec.start_pos[1]}: {operator}"
    if len(old) != len(new):
        return f"{told}\n  - {old[row].strip()}"
    pairs = ((a.strip(), b.strip()) for a, b in zip(old, new, strict=True) if a != b)
    return "\n".join([told, *(f"  - {a}\n  + {b}" for a, b in pairs)])


def _work(plan: Plan, session: Path, items: list[WorkItem], queue: int) -> None:
    """Take the numbers of mutants from a pipe until there are no more."""
    os.environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **plan.environment}
    with tempfile.TemporaryDirectory(prefix="mutation-") as place:
        os.environ["PYTHONPATH"] = place
        worker = Worker(plan, Path(place))
        found = WorkDB(session, WorkDB.Mode.open)
        while taken := os.read(queue, 4):
            item = items[struct.unpack("i", taken)[0]]
            result = worker.test(item.mutations[0])
            found.set_result(item.job_id, result)
            print(f"{result.test_outcome}: {result.diff}", flush=True)


def run(plan: Plan, session: Path, items: list[WorkItem], workers: int) -> None:
    """Test mutants in several processes."""
    read, write = os.pipe()
    os.write(write, b"".join(struct.pack("i", number) for number in range(len(items))))
    os.close(write)
    children = []
    for _ in range(min(workers, len(items))):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _work(plan, session, items, read)
                code = 0
            except SystemExit as error:
                print(error, file=sys.stderr)
            finally:
                sys.stderr.flush()
                os._exit(code)
        children.append(child)
    os.close(read)
    if sum(os.waitpid(child, 0)[1] for child in children):
        raise SystemExit("a worker ended before its work was done; the same command with --session goes on")


def outcome(result: WorkResult, equivalent: dict[str, str]) -> str:
    """What came of a mutant. One of those that change nothing is told by the line that it makes, or that goes."""
    if result.test_outcome is TestOutcome.SURVIVED:
        _, _, lines = str(result.diff).partition("\n  - ")
        gone, _, made = lines.partition("\n  + ")
        return EQUIVALENT if (made or gone).strip() in equivalent else SURVIVED
    return TIMEOUT if (result.output or "").startswith(TIMEOUT) else KILLED


def report(session: Path, part: str) -> float:
    """Print what came of the mutants. Returns the share noticed of those that are not known to change nothing."""
    equivalent = tomllib.loads((HERE / "equivalent.toml").read_text(encoding="utf-8"))[part]
    results = [result for _, result in WorkDB(session, WorkDB.Mode.open).completed_work_items]
    outcomes = Counter(outcome(result, equivalent) for result in results)
    for result in sorted(results, key=lambda each: str(each.diff)):
        if outcome(result, equivalent) == SURVIVED:
            print(f"survived: {result.diff}")
    print(f"{len(results)} mutants:", ", ".join(f"{count} {each}" for each, count in sorted(outcomes.items())))
    noticed = outcomes[KILLED] + outcomes[TIMEOUT]
    for of, told in ((len(results), "all"), (len(results) - outcomes[EQUIVALENT], f"those not {EQUIVALENT}")):
        low, high = wilson(noticed, of)
        print(f"noticed of {told}: {100 * noticed / of:.1f} % (95 %: {100 * low:.0f} to {100 * high:.0f} %)")
    return noticed / (len(results) - outcomes[EQUIVALENT])


def wilson(count: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % limits of a share; from here and not from `sim`, which is what is mutated."""
    z2 = 1.96**2
    middle, half = count + z2 / 2, (z2 * (count * (of - count) / of + z2 / 4)) ** 0.5
    return (middle - half) / (of + z2), (middle + half) / (of + z2)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("part", choices=sorted(tomllib.loads((HERE / "tests.toml").read_text(encoding="utf-8"))))
    parser.add_argument("--sample", type=int, default=200, help="mutants, each of a place of its own")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--session", type=Path, help="goes on with it if it is there; by default nothing is kept")
    parser.add_argument("--survivors", action="store_true", help="of the session, test again what survived")
    told = parser.parse_args()
    plan = plan_of(told.part)
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory(prefix="mutation-") as place:
        session = (told.session or Path(place) / "session.sqlite").absolute()
        begun = session.exists()
        found = WorkDB(session, WorkDB.Mode.create)
        if not begun:
            found.add_work_items(list(mutants.sample(plan.modules, told.sample, told.seed)))
        items = sorted(found.pending_work_items, key=lambda item: item.job_id)
        if told.survivors:
            items += [item for item, result in found.completed_work_items if not result.is_killed]
        found.close()
        if items:
            run(plan, session, items, told.workers)
        if report(session, told.part) < AT_LEAST:
            raise SystemExit(f"fewer than {100 * AT_LEAST:.0f} % were noticed")


if __name__ == "__main__":
    main()
