"""Work that was stopped goes on: by the same command or by `resume`, after a kill at any moment, after a failure, after Ctrl-C, on a cluster."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

import sim
from sim import cli
from sim.errors import ResultsError, RunError
from sim.experiments import cluster, resumable, work
from sim.experiments.folders import COMMAND, Command, begun, command_of, finished_tasks, tasks_folder
from sim.experiments.replications import Settings, run_to_folder
from sim.results.outcome import Outcome
from sim.results.placing import Claim, Partial
from sim.results.store import Stored
from sim.results.tables import Codes
from sim.scenario import load
from sim.views import comparison, ranges, result, sweeps

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
DESK, TIMELINE = str(GOLDEN / "desk.yaml"), str(GOLDEN / "timeline.yaml")
PATIENCE = "ladder.states.plan_due.exits.overdue.after"
VARY = f"{PATIENCE}=48 hours,72 hours,96 hours"
needs_dask = pytest.mark.skipif(find_spec("distributed") is None, reason="needs distributed (extra `cluster`)")


@pytest.fixture(autouse=True)
def _without_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is about pictures."""
    monkeypatch.setattr(result, "add_figures", lambda folder, artist: None)
    monkeypatch.setattr(sweeps, "add_figures", lambda found, folder: [])
    monkeypatch.setattr(ranges, "add_bands", lambda found, folder: [])
    monkeypatch.setattr(ranges, "add_tornados", lambda found, folder: [])
    monkeypatch.setattr(comparison.Comparison, "save_figures", lambda found, folder: [])


Verb = Callable[..., tuple[int, str]]


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Verb:
    """Run a verb quietly in an empty folder: its exit code and what it says on stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(os, "_exit", sys.exit)

    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["enforcement-sim", *arguments, "--quiet"])
        try:
            cli.main()
            code: object = 0
        except SystemExit as stop:
            code = stop.code
        return int(str(code or 0)), " ".join(capsys.readouterr().err.split())

    return call


def hashes(folder: Path) -> object:
    """Hashes of all tables in a results folder."""
    return json.loads((folder / "manifest.json").read_text())["tables"]


def failing_once(monkeypatch: pytest.MonkeyPatch, replication: int) -> list[int]:
    """Have the first try of a replication fail; which replications are tried is noted in the list that is returned."""
    tried: list[int] = []
    perform, parts_of = work.perform, resumable.parts_of

    def note(number: int) -> None:
        tried.append(number)
        if number == replication and tried.count(replication) == 1:
            raise MemoryError("no room")

    def performed(task: work.Task, threads: int | None = None) -> Outcome:
        note(task.replication)
        return perform(task, threads)

    def parts(codes: Codes, settings: Settings, number: int, **options: int | None) -> object:
        note(number)
        return parts_of(codes, settings, number, **options)

    monkeypatch.setattr(work, "perform", performed)
    monkeypatch.setattr(resumable, "parts_of", parts)
    return tried


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_any_moment(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """SIGKILL at random moments of a sweep, a run, a comparison: `resume`, or the same command, gives the hashes of an undisturbed one.

    There are 12 kills, or as many as ``--kills`` says.
    """
    kills = request.config.getoption("--kills")
    script = Path(__file__).with_name("kill_and_resume.py")
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, script, tmp_path, str(kills)]
    limit = 240 + 5 * kills
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=here, timeout=limit)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    verdicts = [verdict for each in told["same"].values() for verdict in each]
    assert verdicts == [True] * kills, done.stderr
    counts = [count for each in told["left"].values() for count in each]
    assert sum(0 < count < 10 for count in counts) >= kills // 3, "the kills came too early or too late"
    assert told["hidden"] == []


@pytest.mark.parametrize("engine", ["compiled", "process"])
def test_side_by_side_is_one_by_one(engine: str, tmp_path: Path) -> None:
    """The tables of replications that are packed, kept and unpacked have the hashes of those that are not; so has their summary."""
    settings = Settings(5, 4, engine, None)  # type: ignore[arg-type]
    for name in ("desk", "timeline"):
        scenario = load(GOLDEN / f"{name}.yaml")
        plain = Stored(run_to_folder(scenario, settings, tmp_path / f"{name}_plain", csv=True))
        kept = Stored(resumable.run_resumable(scenario, settings, tmp_path / name, workers=2, csv=True))
        assert kept.manifest["tables"] == plain.manifest["tables"]
        for file in ("summary.csv", "desks.csv", "histories.csv", "occupancy.csv"):
            assert (kept.folder / file).read_bytes() == (plain.folder / file).read_bytes()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", DESK, "--replications", "6", "--histories", "7", "--csv"),
        ("run", DESK, "--until", "ban_rate@end ±50%", "--max-replications", "6"),
        ("compare", DESK, "ranges.yaml", "--replications", "6"),
        ("sweep", DESK, "--vary", VARY, "--replications", "6"),
        ("run", "ranges.yaml", "--draws", "4", "--replications", "3"),
        ("sensitivity", "ranges.yaml", "--method", "morris", "--samples", "2", "--replications", "6"),
    ],
    ids=lambda arguments: "-".join(arguments[::2][:2]),
)
def test_failure_then_resume(
    arguments: tuple[str, ...], verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task that fails is named and makes the exit code 1; what is finished is kept and not done again, and the hashes are those of a whole run."""
    ranged = Path(DESK).read_text().replace("after: 72 hours", "after: {low: 1 day, best: 72 hours, high: 2 weeks}")
    (tmp_path / "ranges.yaml").write_text(ranged)
    assert verb(*arguments, "--out", "whole") == (0, "")
    with monkeypatch.context() as patched:
        tried = failing_once(patched, 4)
        code, told = verb(*arguments, "--out", "broken", "--workers", "1")
        assert code == 1
        assert "tasks failed" in told
        assert "replication 4: MemoryError: no room" in told
        kept = finished_tasks(Path("broken"))
        ended_early = "--until" in arguments  # while the next replication may have been under way
        assert kept >= 4 if ended_early else kept == len(tried) - 1
        assert not Path("broken").exists()
        done = len(tried)
        assert verb("resume", "broken") == (0, "")
        assert ended_early or tried[done:] == [4]
    assert hashes(tmp_path / "broken") == hashes(tmp_path / "whole")
    assert not tasks_folder(Path("broken")).exists()
    assert {path.name for path in Path("broken").iterdir()} == {path.name for path in Path("whole").iterdir()}


TARGETS = "measure,value,standard error\nban_rate@end,40%,5%\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", DESK, "--until", "ban_rate@end ±50%", "--max-replications", "6"), "ban_rate@end"),
        (("compare", DESK, "ranges.yaml", "--replications", "3"), "less desk (A)"),
        (("sweep", DESK, "--vary", VARY, "--replications", "2"), "3 points"),
        (("run", "ranges.yaml", "--draws", "4", "--replications", "2"), "of the variance"),
        (("sensitivity", "ranges.yaml", "--method", "morris", "--samples", "2"), "mu_star"),
        (("calibrate", "ranges.yaml", "--targets", "targets.csv", "--starts", "1"), "Parameters"),
    ],
    ids=["run", "compare", "sweep", "draws", "sensitivity", "calibrate"],
)
def test_resume_says_what_the_verb_would_have(
    arguments: tuple[str, ...],
    words: str,
    verb: Verb,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Word for word, but for the seconds and the folder."""
    ranged = Path(DESK).read_text().replace("after: 72 hours", "after: {low: 1 day, best: 72 hours, high: 2 weeks}")
    (tmp_path / "ranges.yaml").write_text(ranged)
    (tmp_path / "targets.csv").write_text(TARGETS)

    def said(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["enforcement-sim", *arguments])
        with pytest.raises(SystemExit, match=r"^0$"):
            cli.main()
        return re.sub(r"\d+\.\d s\b", "some s", capsys.readouterr().out)

    whole = said(*arguments, "--out", "whole")
    with monkeypatch.context() as patched:
        failing_once(patched, 0 if arguments[0] in ("sensitivity", "calibrate") else 1)
        assert verb(*arguments, "--out", "broken", "--workers", "1")[0] == 1
    assert said("resume", "broken").replace("broken", "whole") == whole
    assert words in whole
    assert "whole" in whole


def test_resume_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The function returns what the one that was begun would have: typed, with the same name and file of the scenario."""
    out = tmp_path / "x"
    with monkeypatch.context() as patched:
        failing_once(patched, 2)
        with pytest.raises(RunError, match="desk, replication 2: MemoryError"):
            sim.run(DESK, seed=3, replications=4, out=out)
    found = sim.resume(out, workers=1)
    assert isinstance(found, sim.Result)
    assert found.manifest["scenario"] == sim.run(DESK, seed=3).manifest["scenario"]
    assert found.manifest["replications"] == 4


def test_nothing_to_resume(verb: Verb, tmp_path: Path) -> None:
    """Nothing begun, complete, or killed after the results were in place: each is said."""
    code, told = verb("resume", "x")
    assert (code, told) == (2, "nothing to resume: no work on x has been begun, or none that can go on")
    assert verb("run", DESK, "--out", "x")[0] == 0
    assert verb("resume", "x") == (2, "x is complete: there is nothing to resume")
    folder = tasks_folder(Path("x"))
    folder.mkdir()
    (folder / COMMAND).write_text(Command("run", (load(DESK),), {}).to_json())
    assert verb("resume", "x") == (2, "x is complete: there is nothing to resume")
    assert not folder.exists()
    folder = tasks_folder(Path("y"))
    folder.mkdir()
    (folder / COMMAND).write_text("{")
    code, told = verb("resume", "y")
    assert code == 2
    assert "command.json cannot be read" in told
    assert "give the command again" in told


def test_two_at_once(verb: Verb, tmp_path: Path) -> None:
    """Work that another is doing is left to it."""
    with begun(Path("x"), Command("run", (load(DESK),), {})):
        code, told = verb("run", DESK, "--replications", "2", "--out", "x")
        assert code == 2
        assert told.startswith("x is being worked on by another process")


def test_force_is_remembered(verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results that were to be replaced are, when the work goes on."""
    assert verb("run", DESK, "--out", "x")[0] == 0
    with monkeypatch.context() as patched:
        failing_once(patched, 1)
        assert verb("run", DESK, "--replications", "3", "--out", "x", "--force")[0] == 1
    assert Stored(Path("x")).manifest["replications"] == 1
    assert verb("resume", "x") == (0, "")
    assert Stored(Path("x")).manifest["replications"] == 3


def test_until_not_reached(verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code says so after `resume`, too; a failure ends such a run at once, as the rest may not be needed."""
    options = ("--until", "ban_rate@end ±0.001%", "--max-replications", "30", "--out", "x")
    with monkeypatch.context() as patched:
        tried = failing_once(patched, 2)
        assert verb("run", DESK, *options, "--workers", "1")[0] == 1
        assert len(tried) < 10
    assert verb("resume", "x")[0] == 3
    assert Stored(Path("x")).manifest["replications"] == 30


# --------------------------------------------------------------------------------------------------------------- Ctrl-C
def interrupted_after(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """Ctrl-C when so much of the tasks is done."""
    make_all = work.make_all

    def made(*tasks: object, progress: Callable[[float], None], **where: object) -> object:
        def told(done: float) -> None:
            progress(done)
            if done >= share:
                raise KeyboardInterrupt

        return make_all(*tasks, progress=told, **where)  # type: ignore[arg-type]

    monkeypatch.setattr(work, "make_all", made)
    monkeypatch.setattr(resumable, "make_all", made)


@pytest.mark.parametrize(
    "arguments", [("run", DESK, "--replications", "8"), ("sweep", DESK, "--vary", VARY)], ids=["run", "sweep"]
)
def test_interrupt_tells_what_is_kept(
    arguments: tuple[str, ...], verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many tasks are kept and how to go on; no half-written results stay."""
    with monkeypatch.context() as patched:
        interrupted_after(patched, 0.3)
        code, told = verb(*arguments, "--out", "out/x", "--workers", "1")
    assert code == 130
    assert "finished task" in told
    assert "the same command, or `enforcement-sim resume out/x`, goes on from there" in told
    assert finished_tasks(Path("out/x")) >= 1
    assert [path.name for path in Path("out").iterdir()] == [".x.tasks"]
    assert verb("resume", "out/x") == (0, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs signals")
def test_interrupt_of_a_process(tmp_path: Path) -> None:
    """By a signal, in the midst of replications of minutes: gone soon, and the count that it tells is the count that is kept.

    Each of two threads may finish one more between the telling and the end.
    """
    scenario = load(ROOT / "tests" / "benchmarks" / "ladder.yaml").with_values({"segments.accounts.accounts": 300_000})
    (tmp_path / "x.yaml").write_text(scenario.resolved_yaml())
    code = "from sim.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", "x.yaml", "--replications", "1000", "--out", "x", "--quiet"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # background jobs of a shell ignore it
    )
    deadline = time.monotonic() + 60
    while finished_tasks(tmp_path / "x") < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - began < 10  # under a second on a machine with nothing else to do
    told = re.match(r"interrupted; (\d+) finished tasks are kept", err.strip())
    assert told is not None, err
    assert 2 <= int(told[1]) <= finished_tasks(tmp_path / "x") <= int(told[1]) + 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [".x.tasks", "x.yaml"]


# ------------------------------------------------------------------------------------------------- what the dead leave
def test_leftovers_of_the_dead_go(verb: Verb, tmp_path: Path) -> None:
    """A process that is killed with half-written results leaves a folder; the next work on the same place removes it, and no other."""
    script = (
        "import sys, time; from pathlib import Path; from sim.results.placing import Partial\n"
        "Partial(Path('x')); print('there', flush=True); time.sleep(600)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.readline()
    other = tmp_path / ".x.y.abcdefgh.partial"  # of a place called x.y
    other.mkdir()

    def left() -> list[Path]:
        return [path for path in tmp_path.glob(".x.*.partial") if path != other]

    (living,) = left()
    assert verb("run", DESK, "--out", "x")[0] == 0
    assert left() == [living], "it belongs to a process that lives"
    child.kill()
    child.wait()
    child.stdout.close()
    assert verb("resume", "x")[0] == 2
    assert left() == []
    assert other.is_dir()
    mine = Partial(Path("z"))
    assert not Claim(mine.path).granted
    mine.discard()
    assert not mine.path.exists()


def test_results_moved_aside_come_back(verb: Verb, tmp_path: Path) -> None:
    """Killed between moving old results aside and putting new ones in their place: the old ones are put back."""
    assert verb("run", DESK, "--out", "x")[0] == 0
    Path("x").rename(".x.abcdefgh.old")
    Path(".x.abcdefgh.partial").mkdir()
    code, told = verb("resume", "x")
    assert (code, told) == (2, "x is complete: there is nothing to resume")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


# -------------------------------------------------------------------------------------------------------------- cluster
@needs_dask
def test_verbs_on_a_cluster_that_loses_a_worker(
    dask: tuple[str, list[subprocess.Popen[bytes]]], verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real scheduler and two workers on loopback, one killed half-way through a sweep: the hashes of this machine's own threads, by every verb."""
    address, workers = dask
    monkeypatch.setattr(cluster, "PATIENCE_SECONDS", 60)
    commands = {  # the worker dies in the first
        "sweep": ("sweep", DESK, "--vary", VARY, "--replications", "8"),
        "run": ("run", DESK, "--replications", "6"),
        "compare": ("compare", DESK, "--replications", "4", "other.yaml"),
    }
    Path("other.yaml").write_text(Path(DESK).read_text().replace("after: 72 hours", "after: 48 hours"))
    there = Path("there_sweep")

    def kill() -> None:
        while finished_tasks(there) < 4:
            time.sleep(0.001)
        workers[0].kill()

    killer = threading.Thread(target=kill)
    killer.start()
    for name, command in commands.items():
        assert verb(*command, "--out", f"here_{name}")[0] == 0
        assert verb(*command, "--out", f"there_{name}", "--cluster", address)[0] == 0
        assert hashes(Path(f"here_{name}")) == hashes(Path(f"there_{name}"))
        killer.join()
        assert workers[0].wait() != 0
    expects = f"{Path(DESK).read_text()}\nexpect: [{{measure: wrongful_ban_rate, below: 90%}}]\n"
    Path("expects.yaml").write_text(expects)
    assert verb("test", "expects.yaml", "--cluster", address)[0] == verb("test", "expects.yaml")[0]


@needs_dask
@pytest.mark.parametrize(
    "arguments",
    [("run", DESK), ("run", DESK, "--replications", "3"), ("sweep", DESK, "--vary", VARY), ("test", "expects.yaml")],
    ids=["one", "run", "sweep", "test"],
)
def test_no_scheduler(arguments: tuple[str, ...], verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One clear message, exit code 1, nothing left."""
    monkeypatch.setattr(cluster, "PATIENCE_SECONDS", 0.3)
    expects = f"{Path(DESK).read_text()}\nexpect: [{{measure: wrongful_ban_rate, below: 90%}}]\n"
    (tmp_path / "expects.yaml").write_text(expects)
    code, told = verb(*arguments, "--cluster", "tcp://127.0.0.1:1")
    assert code == 1
    assert told.startswith("failed: no Dask scheduler answers at tcp://127.0.0.1:1")
    assert {path.name for path in tmp_path.rglob("*")} <= {"results", "expects.yaml"}


@needs_dask
def test_not_an_address(verb: Verb, tmp_path: Path) -> None:
    """It is said at once."""
    code, told = verb("run", DESK, "--cluster", "nonsense")
    assert (code, told) == (
        1,
        "failed: nonsense is not the address of a Dask scheduler: write it as in tcp://host:8786",
    )


def test_one_place_at_a_time(verb: Verb, tmp_path: Path) -> None:
    """Workers here and a cluster there cannot both be meant."""
    for arguments in (("run", DESK), ("sweep", DESK, "--vary", VARY), ("test", DESK), ("compare", DESK, DESK)):
        code, told = verb(*arguments, "--workers", "2", "--cluster", "tcp://127.0.0.1:1")
        assert code == 2
        assert "one or the other" in told


@pytest.mark.parametrize(
    ("option", "told"),
    [(("--histories", "5"), "--histories"), (("--csv",), "--csv"), (("--until", "ban_rate@end ±1%"), "--until")],
)
def test_draws_refuse(option: tuple[str, ...], told: str, verb: Verb, tmp_path: Path) -> None:
    """What samples of the ranges have no use for is refused and not passed over."""
    code, error = verb("run", DESK, "--draws", "3", *option)
    assert code == 2
    assert told in error


BENT = {
    "another verb": lambda told: told | {"verb": "foo"},
    "a setting gone": lambda told: told | {"settings": {}},
    "another number": lambda told: told | {"settings": told["settings"] | {"seed": 8}},
    "no scenarios": lambda told: told | {"scenarios": []},
    "no hash": lambda told: {name: value for name, value in told.items() if name != "sha256"},
    "a list": lambda told: [told],
    "nested": None,
}


@pytest.mark.parametrize("how", BENT)
def test_a_command_that_was_altered(how: str, tmp_path: Path) -> None:
    """It is not made again as something else: what can be done is told, and nothing is lost."""
    command = Command("run", (load(GOLDEN / "desk.yaml"),), {"seed": 7, "replications": 4}, force=False)
    with begun(tmp_path / "x", command) as folder:
        pass  # and never forgotten, as if it had been killed
    assert command_of(tmp_path / "x").settings == command.settings
    file, bend = folder / "command.json", BENT[how]
    file.write_text("[" * 100_000 if bend is None else json.dumps(bend(json.loads(file.read_text()))))
    with pytest.raises(ResultsError, match=r"command\.json cannot be read: .*; give the command again, which goes on"):
        command_of(tmp_path / "x")
    assert folder.is_dir()
