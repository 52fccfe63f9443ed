"""Prints every speed that the project promises, measured on this machine in one run: ``python tests/benchmarks/compare.py [part …]``.

Parts: ``engines`` (both engines, one core and all, and the hand-written NumPy yardstick), ``million`` (both engines on the same million
accounts: eight minutes), ``desk``, ``growth`` (1 to 64 million accounts),
``platform`` (all 1.12 billion accounts, a process of its own), ``cold`` (nothing compiled yet), ``small`` (a second run of a small scenario),
``histories`` (all of ten million events), ``interrupts`` (Ctrl-C in four situations),
``pairs`` (two scenarios of the whole platform compared), ``sweep`` (20 x 20 points of the ladder), ``replications`` (64 of the ladder on one
worker and on two), ``calibration`` (four parameters, six targets, 100,000 accounts), ``fitting`` (the shared log of 21,675 Wikipedia accounts,
from ``ENFORCEMENT_SIM_SHARED`` or beside the checkout), ``app`` (first picture and redraws, with
playwright and chromium). Those named, or all.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import yardstick
from memory import peak_of
from pyarrow import parquet

from sim.engines import compiled, process
from sim.experiments.bench import benchmark_scenario, codes_of, median_timing, time_engine
from sim.experiments.outputs import outputs_of
from sim.experiments.replications import Settings
from sim.experiments.resumable import run_resumable
from sim.experiments.work import Task, perform, run_tasks, tasks_of
from sim.scenario import load

REPEATS = 5
CORES = len(os.sched_getaffinity(0))


def median_of(run: Callable[[], float]) -> float:
    """Median of five, after one that is not counted."""
    run()
    return statistics.median(run() for _ in range(REPEATS))


def engines() -> None:
    """Transitions per second on the ladder."""
    small, large = benchmark_scenario("ladder", 100_000), benchmark_scenario("ladder", 1_000_000)
    simpy = median_timing("SimPy", small, lambda law, tally: process.run(law, tally), REPEATS).per_second
    print(f"SimPy engine, 1 core, 100,000 accounts      {simpy / 1e6:8.3f} million transitions per second")
    speeds = {}
    for threads in (1, CORES):
        run = lambda law, tally, threads=threads: compiled.run(law, tally, threads=threads)  # noqa: E731
        speeds[threads] = median_timing("compiled", large, run, REPEATS).per_second
        print(
            f"compiled engine, {threads} core(s), 1,000,000 accounts {speeds[threads] / 1e6:7.2f} million; ratio {speeds[threads] / simpy:.0f}"
        )
    for tables in (False, True):

        def by_hand(tables: bool = tables) -> float:
            began = time.perf_counter()
            transitions, _ = yardstick.ladder(1_000_000, 1, tables=tables)
            return transitions / (time.perf_counter() - began)

        speed = median_of(by_hand)
        kind = "with daily tables" if tables else "counts only"
        print(
            f"NumPy by hand, 1 core, {kind:<18} {speed / 1e6:10.2f} million; compiled engine on one core: {speeds[1] / speed:.2f} of it"
        )


def million() -> None:
    """Both engines on the same million accounts, turn about; SimPy's calendar then holds a million processes."""
    codes = codes_of(benchmark_scenario("ladder", 1_000_000))
    speeds: dict[str, list[float]] = {"SimPy": [], "compiled": []}
    runs = {
        "SimPy": lambda law, tally: process.run(law, tally),
        "compiled": lambda law, tally: compiled.run(law, tally),
    }
    time_engine(codes, runs["compiled"], 0)
    for seed in range(1, REPEATS + 1):
        for name, run in runs.items():
            transitions, seconds = time_engine(codes, run, seed)
            speeds[name].append(transitions / seconds)
    ratios = [fast / slow for fast, slow in zip(speeds["compiled"], speeds["SimPy"], strict=True)]
    simpy, fast = (statistics.median(speeds[name]) / 1e6 for name in runs)
    print(
        f"1,000,000 accounts: SimPy engine {simpy:.3f} million transitions per second, compiled {fast:.1f} million on {CORES} cores"
    )
    print(
        f"ratio of the two: {statistics.median(ratios):.0f} (promised: 300), from {min(ratios):.0f} to {max(ratios):.0f}"
    )


def desk() -> None:
    """Transitions per second of the ladder with a limited desk."""
    timing = median_timing(
        "desk", benchmark_scenario("desk", 1_000_000), lambda law, tally: compiled.run(law, tally), REPEATS
    )
    print(
        f"desk, compiled engine, {CORES} cores             {timing.per_second / 1e6:8.2f} million transitions per second"
    )


def growth() -> None:
    """Time per account and memory from 1 to 64 million accounts of the ladder."""
    first = 0.0
    for millions in (1, 2, 4, 8, 16, 32, 64):
        codes = codes_of(benchmark_scenario("ladder", millions * 1_000_000))
        run = lambda law, tally: compiled.run(law, tally)  # noqa: E731
        seconds = statistics.median(time_engine(codes, run, seed)[1] for seed in range(REPEATS if millions < 16 else 3))
        each = seconds / millions * 1000
        first = first or each
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{millions:3d} million accounts: {each:6.1f} ns per account ({each / first - 1:+.1%} against 1 million), peak memory {peak:.0f} MiB"
        )


ENTRY = (sys.executable, "-c", "from sim.cli import main; main()")


def _command(*arguments: str, cache: str | None = None) -> tuple[float, float, str]:
    """Seconds, peaks of the child and its own children together in MiB, and output of a command in an empty folder."""
    environment = dict(os.environ) | ({"NUMBA_CACHE_DIR": cache} if cache else {})
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as told:
        began = time.perf_counter()
        child = subprocess.Popen([*ENTRY, *arguments], cwd=folder, env=environment, stdout=told, stderr=told)
        peak = peak_of(child)
        seconds = time.perf_counter() - began
        told.seek(0)
        output = told.read().decode()
    if child.returncode:
        raise RuntimeError(f"exit code {child.returncode} of {' '.join(arguments)}: {output}")
    return seconds, peak, output


def platform() -> None:
    """All accounts of the platform, daily curves and figures, a process of its own with a warm compile cache."""
    _command("run", "wechat_2022")
    seconds = statistics.median(_command("run", "wechat_2022")[0] for _ in range(REPEATS))
    _, peak, told = _command("run", "wechat_2022")
    print(f"wechat_2022, all accounts: {seconds:.1f} s, {peak:.0f} MiB; {told.strip().splitlines()[-1]}")


def cold() -> None:
    """The first run ever: everything is compiled."""
    with tempfile.TemporaryDirectory() as cache:
        seconds, _, told = _command("run", "wechat_2022", cache=cache)
    print(f"first run ever of wechat_2022: {seconds:.1f} s; it says: {told.strip().splitlines()[0]}")


def small() -> None:
    """A second run of a small scenario, and the help page."""
    scenario = str(Path(__file__).parents[1] / "golden" / "desk.yaml")
    _command("run", scenario)
    print(
        f"second run of a small scenario: {statistics.median(_command('run', scenario)[0] for _ in range(REPEATS)):.2f} s"
    )
    print(f"enforcement-sim --help: {statistics.median(_command('--help')[0] for _ in range(REPEATS)):.2f} s")


def histories() -> None:
    """Histories of all accounts of a scenario that makes ten million events."""
    with tempfile.TemporaryDirectory() as folder:
        file = _scaled_ladder(folder, 1_430_000)
        seconds, peak, _ = _command("run", file, "--histories", "all", "--out", f"{folder}/out")
        rows = parquet.read_metadata(f"{folder}/out/histories.parquet").num_rows
    print(f"--histories all, {rows / 1e6:.1f} million events: {seconds:.1f} s, {peak:.0f} MiB (promised: below 2048)")


def _scaled_ladder(folder: str, accounts: int, name: str = "ladder") -> str:
    scenario = benchmark_scenario(name, accounts)
    file = Path(folder) / f"{name}.yaml"
    file.write_text(scenario.resolved_yaml(), encoding="utf-8")
    return str(file)


def interrupts() -> None:
    """Ctrl-C while compiling, in the midst of either engine and of a merge at desks: how long until the process is gone, and what it leaves."""
    engines = ("--engine", "compiled"), ("--engine", "process")
    for what, name, accounts, options, after in (
        ("compiling", "ladder", 1_000, engines[0], 6.0),
        ("compiled engine", "ladder", 200_000_000, engines[0], 5.0),
        ("SimPy engine", "ladder", 500_000, engines[1], 8.0),
        ("merge at a desk", "desk", 5_000_000, engines[0], 5.0),
    ):
        with tempfile.TemporaryDirectory() as folder:
            file = _scaled_ladder(folder, accounts, name)
            cache = {"NUMBA_CACHE_DIR": f"{folder}/cache"} if what == "compiling" else {}
            command = [*ENTRY, "run", file, *options, "--out", f"{folder}/out", "--quiet"]
            child = subprocess.Popen(command, env=dict(os.environ) | cache, stderr=subprocess.DEVNULL)
            time.sleep(after)
            child.send_signal(signal.SIGINT)
            began = time.perf_counter()
            code = child.wait()
            seconds = time.perf_counter() - began
            left = [each.name for each in Path(folder).iterdir() if each.name not in ("cache", f"{name}.yaml")]
        print(
            f"Ctrl-C, {what:<16}: gone after {seconds:.2f} s (promised: within 1), exit code {code}, left behind: {left}"
        )


def pairs() -> None:
    """All accounts of the platform under two deadlines, account by account, and how much narrower the limits are for it."""
    with tempfile.TemporaryDirectory() as folder:
        seconds, peak, told = _command("compare", "wechat_2022", "wechat_2022_short_deadline", "--out", f"{folder}/out")
        table = pd.read_csv(f"{folder}/out/differences.csv", keep_default_na=False, na_values={"narrower": [""]})
    print(f"compare wechat_2022 wechat_2022_short_deadline: {seconds:.1f} s (promised: below 60), {peak:.0f} MiB")
    print(next(line for line in told.splitlines() if "times narrower" in line))
    for row in table[table["narrower"].notna() & (table["segment"] == "")].to_dict("records"):
        name = f"{row['measure']} {row['state']}".rstrip()
        print(f"  {name:<32} paired limits {row['narrower']:10.2f} times narrower than unpaired ones")


LADDER = str(Path(__file__).parent / "ladder.yaml")
VARIED = {
    "ladder.states.rectifying.exits.deadline.after": [f"{days} days" for days in range(1, 21)],
    "violations.violation.detection.chance": [f"{5 * step}%" for step in range(1, 21)],
}


def sweep() -> None:
    """20 x 20 points of the ladder with 100,000 accounts each, on all cores."""
    axes = [f"--vary={path}={','.join(values)}" for path, values in VARIED.items()]
    with tempfile.TemporaryDirectory() as folder:
        seconds, peak, _ = _command("sweep", _scaled_ladder(folder, 100_000), *axes)
    print(f"sweep of 20 x 20 points, 100,000 accounts each: {seconds:.1f} s (promised: below 180), {peak:.0f} MiB")


def replications() -> None:
    """64 replications of the ladder with 100,000 accounts on one worker and on two, and what a task costs besides the run."""
    scenario = load(LADDER).with_values({"segments.accounts.accounts": 100_000})
    tasks = tasks_of(scenario, 1, range(64))
    small = tasks_of(scenario.with_values({"segments.accounts.accounts": 1}), 1, range(256))

    def timed(tasks: list[Task], workers: int) -> float:
        began = time.perf_counter()
        for _ in run_tasks(tasks, workers=workers):
            pass
        return time.perf_counter() - began

    def tables(workers: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            run_resumable(scenario, Settings(1, 64), Path(folder) / "out", workers=workers)
            return time.perf_counter() - began

    timed(tasks[:2], 2)
    for name, once in (("outcomes", lambda workers: timed(tasks, workers)), ("verb run, all tables", tables)):
        pairs = [(once(1), once(2)) for _ in range(REPEATS)]
        one, two = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = statistics.median(two / one for one, two in pairs)
        print(
            f"64 replications ({name}): one worker {one:.2f} s, two {two:.2f} s: {ratio:.2f} of it (promised: at most 0.6)"
        )
    each = timed(small, 1) / len(small)
    print(f"a task of one account: {each * 1000:.2f} ms (promised: below 10)")


def calibration() -> None:
    """Four parameters of the ladder fitted to six figures of it at 100,000 accounts, with all profiles; a process of its own."""
    scenario = benchmark_scenario("ladder", 100_000)
    restricted = "ladder.states.restricted"
    ranges = {
        "violations.violation.rate.accounts": ("0.001 per day", "0.005 per day", "0.03 per day"),
        "ladder.states.rectifying.exits.deadline.after": ("2 days", "9 days", "20 days"),
        f"{restricted}.exits.rectified.after.exponential.mean": ("3 days", "20 days", "40 days"),
        f"{restricted}.activity": ("1%", "10%", "100%"),
    }
    open_to_fit = scenario.with_values(
        {p: dict(zip(("low", "best", "high"), r, strict=True)) for p, r in ranges.items()}
    )
    figures = ("ban_rate@90 days", "ban_rate@200 days", "ban_rate@end", "ever_share::restricted@end")
    figures += ("occupancy_share::restricted@end", "occupancy_share::rectifying@end")
    outcome = perform(tasks_of(scenario, 99, [0])[0])
    published = [output.of(outcome) for output in outputs_of(list(figures), scenario)]
    with tempfile.TemporaryDirectory() as folder:
        file, targets = Path(folder) / "ladder.yaml", Path(folder) / "targets.csv"
        file.write_text(open_to_fit.resolved_yaml(), encoding="utf-8")
        lines = [
            f"{name},{value!r},{max(0.02 * value, 1e-4)!r}" for name, value in zip(figures, published, strict=True)
        ]
        targets.write_text("\n".join(("measure,value,standard error", *lines)), encoding="utf-8")
        seconds, peak, told = _command("calibrate", str(file), "--targets", str(targets))
    print(
        f"calibration, 4 parameters, 6 targets, 100,000 accounts: {seconds:.0f} s (promised: below 120), {peak:.0f} MiB"
    )
    print(told)


def fitting() -> None:
    """The shared log of Wikipedia's blocks fitted: whole process with figure, states by three visits and by as many as the data ask for."""
    root = os.environ.get("ENFORCEMENT_SIM_SHARED", str(Path(__file__).parents[3] / "shared"))
    file = Path(root) / "data" / "wikipedia_blocks_2010_2015.csv.gz"
    if not file.exists():
        print(f"fit: not measured, {file} is not there")
        return
    options = ("--end", "2016-01-01", "--bans", "indefinite")
    for visits in ("3", "auto"):
        times = [_command("fit", str(file), "--by-visit", visits, *options) for _ in range(3)]
        seconds, peak = statistics.median(each[0] for each in times), max(each[1] for each in times)
        print(f"fit of 21,675 accounts, --by-visit {visits}: {seconds:.1f} s (promised: below 30), {peak:.0f} MiB")


def app() -> None:
    """First picture and redraws of the page in the browser, 100,000 accounts; needs playwright and chromium."""
    from playwright.sync_api import sync_playwright

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{(port := free.getsockname()[1])}/"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen([*ENTRY, "app", "--port", str(port), "--no-browser"], **quiet)  # type: ignore[call-overload]
    firsts, redraws = [], []
    try:
        with sync_playwright() as playwright:
            path = shutil.which("chromium") or shutil.which("chromium-browser")
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
            while server.poll() is None:
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"{address}_stcore/health", timeout=5).close()
                    break
                time.sleep(0.1)
            for _ in range(1 + REPEATS):
                page = browser.new_context(viewport={"width": 1400, "height": 1250}).new_page()
                began = time.perf_counter()
                page.goto(address, wait_until="commit")
                page.wait_for_selector("[data-testid=stVegaLiteChart] svg, [data-testid=stVegaLiteChart] canvas")
                firsts.append(time.perf_counter() - began)
                page.wait_for_timeout(1500)
                table = page.locator("table").first
                page.get_by_role("slider", name="rectifying: deadline after").focus()
                before = table.inner_text()
                began = time.perf_counter()
                page.keyboard.press("ArrowLeft")
                while table.inner_text() == before:
                    time.sleep(0.01)
                redraws.append(time.perf_counter() - began)
                page.context.close()
            browser.close()
    finally:
        server.terminate()
        server.wait(30)
    for what, times, most in (("first picture", firsts, 3), ("an edit redrawn", redraws, 1)):
        print(f"app, {what}: {statistics.median(times[1:]):.2f} s, {max(times):.2f} at most (promised: below {most})")


PARTS = (
    *(engines, million, desk, growth, platform, cold, small, histories, interrupts),
    *(pairs, sweep, replications, calibration, fitting, app),
)

if __name__ == "__main__":
    for part in PARTS:
        if part.__name__ in (sys.argv[1:] or [each.__name__ for each in PARTS]):
            part()
