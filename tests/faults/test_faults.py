"""What goes wrong around a run: each fault ends with one clear line and the right exit code, nothing half-written in place of something whole,
and a way on.

Disks are really full and folders really read-only where this process may mount file systems of its own (root); elsewhere a limit on the size of files
(`RLIMIT_FSIZE`) stands for the full disk. Every command is a process of its own.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import sim
from sim.experiments.folders import finished_tasks, tasks_folder
from sim.results.columns import TABLES
from sim.results.content import ContentHash
from sim.results.store import Stored
from sim.scenario import load

ROOT = Path(__file__).parents[2]
DESK = str(ROOT / "tests" / "golden" / "desk.yaml")
ENTRY = "from sim.cli import main; main()"
VARY = "ladder.states.plan_due.exits.overdue.after=48 hours,72 hours,96 hours"
HISTORIES = "account,time,state\n" + "".join(
    f"{k},{day},{state}\n" for k in range(20) for day, state in ((0, "free"), (1 + k, "warned"), (2 + 2 * k, "free"))
)
RUN = ("run", DESK, "--histories", "all")
SWEEP = ("sweep", DESK, "--vary", VARY, "--replications", "6", "--workers", "1")
needs_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("mount") is None, reason="mounts file systems"
)


def command(
    *arguments: str, entry: str = ENTRY, limit: int | None = None, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a verb in a process of its own; `limit` is the largest file that it may write, in bytes."""

    def limited() -> None:
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    if limit is not None:  # a measurement of coverage could not be written either, and would say so
        environment = {name: value for name, value in environment.items() if not name.startswith("COVERAGE_")}
    return subprocess.run(
        [sys.executable, "-c", entry, *arguments, "--quiet"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=300,
        preexec_fn=limited,
    )


def one_line(done: subprocess.CompletedProcess[str], code: int) -> str:
    """What a command that failed says: one line, and nothing of Python's own."""
    told = done.stderr.strip()
    assert done.returncode == code, told
    assert "Traceback" not in told
    assert len(told.splitlines()) == 1, told
    return told


def hashes(folder: Path) -> object:
    """Hashes of all tables of a results folder."""
    return json.loads((folder / "manifest.json").read_text())["tables"]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a small file system, with such options."""
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / f"disk{len(mounted)}"
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


# ------------------------------------------------------------------------------------------------------------ full disks
@needs_root
def test_disk_full(disk: Callable[[str], Path]) -> None:
    """A run leaves nothing but what was there; with room, the same command is done."""
    place = disk("size=400k")
    (place / "mine.txt").write_text("here first")
    told = one_line(command(*RUN, "--out", str(place / "x")), 1)
    assert (
        f"{place / 'x'} cannot be written: No space left on device; make room, or give --out for another place" in told
    )
    assert [path.name for path in place.iterdir()] == ["mine.txt"]
    subprocess.run(["mount", "-o", "remount,size=30m", str(place)], check=True)
    assert command(*RUN, "--out", str(place / "x")).returncode == 0


@needs_root
def test_disk_full_in_place_of_results(disk: Callable[[str], Path]) -> None:
    """Results that were to be replaced stay as they were."""
    place = disk("size=3m")
    assert command(*RUN, "--out", str(place / "x")).returncode == 0
    before = {path: path.read_bytes() for path in (place / "x").rglob("*") if path.is_file()}
    free = shutil.disk_usage(place).free
    (place / "fill").write_bytes(bytes(free - 100_000))
    one_line(command(*RUN, "--seed", "9", "--force", "--out", str(place / "x")), 1)
    assert {path: path.read_bytes() for path in (place / "x").rglob("*") if path.is_file()} == before
    assert {path.name for path in place.iterdir()} == {"x", "fill"}


@needs_root
def test_disk_full_of_tasks(disk: Callable[[str], Path], tmp_path: Path) -> None:
    """The first task that cannot be kept ends the work; those that are kept are not done again."""
    place = disk("size=200k")
    out = place / "x"
    told = one_line(command(*SWEEP, "--out", str(out)), 1)
    assert (
        "No space left on device; finished tasks are kept: when it can be, the same command goes on from there" in told
    )
    kept = finished_tasks(out)
    assert 0 < kept < 18
    assert {path.name for path in place.iterdir()} == {tasks_folder(out).name}
    assert not list(tasks_folder(out).glob(".*.partial"))
    subprocess.run(["mount", "-o", "remount,size=30m", str(place)], check=True)
    assert command("resume", str(out)).returncode == 0
    assert command(*SWEEP, "--out", str(tmp_path / "whole")).returncode == 0
    assert hashes(out) == hashes(tmp_path / "whole")


@needs_root
def test_disk_full_of_a_file(disk: Callable[[str], Path], tmp_path: Path) -> None:
    """Neither a fitted scenario nor a report of tests is left half-written; what was there stays."""
    place = disk("size=8k")
    before = {"x.xml": "<earlier/>", "fill": "." * 4096}
    for name, text in before.items():
        (place / name).write_text(text)
    expecting = tmp_path / "x.yaml"
    expecting.write_text(Path(DESK).read_text(encoding="utf-8") + "expect: [{measure: ban_rate, below: 99%}]\n")
    told = one_line(command("test", str(expecting), "--junit", str(place / "x.xml")), 1)
    assert "x.xml cannot be written: No space left on device; make room, or give --junit for another place" in told
    (tmp_path / "h.csv").write_text(HISTORIES)
    told = one_line(command("fit", str(tmp_path / "h.csv"), "--out", str(place / "x.yaml")), 1)
    assert "x.yaml cannot be written: No space left on device; make room, or give --out for another place" in told
    assert {path.name: path.read_text() for path in place.iterdir()} == before


def test_files_of_limited_size(tmp_path: Path) -> None:
    """The report is too large for the limit: nothing is left of the run."""
    told = one_line(command(*RUN, "--out", str(tmp_path / "x"), limit=100_000), 1)
    assert "x cannot be written: File too large" in told
    assert list(tmp_path.iterdir()) == []


@needs_root
def test_full_temporary_folder(disk: Callable[[str], Path], tmp_path: Path) -> None:
    """`reproduce` says which folder is full and how to name another."""
    assert command(*RUN, "--out", str(tmp_path / "x")).returncode == 0
    place = disk("size=16k")
    told = one_line(command("reproduce", str(tmp_path / "x"), TMPDIR=str(place)), 1)
    assert f"{place} cannot be written: No space left on device; make room, or set TMPDIR to a folder with room" in told
    assert list(place.iterdir()) == []
    assert command("reproduce", str(tmp_path / "x"), TMPDIR="/nonexistent").returncode == 0


@needs_root
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs a mount namespace")
def test_full_shared_memory(tmp_path: Path) -> None:
    """No part of a run is kept in /dev/shm."""
    inside = 'mount -t tmpfs -o size=4k tmpfs /dev/shm && head -c 4096 /dev/zero > /dev/shm/fill && exec "$@"'
    verb = [sys.executable, "-c", ENTRY, *RUN, "--replications", "3", "--out", str(tmp_path / "x"), "--quiet"]
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(["unshare", "-m", "sh", "-c", inside, "sh", *verb], check=True, env=here, timeout=300)
    assert (tmp_path / "x" / "manifest.json").is_file()


# ------------------------------------------------------------------------------------------- folders that take no files
@needs_root
def test_read_only_folder(disk: Callable[[str], Path]) -> None:
    """Said before anything is run."""
    place = disk("size=64k,ro")
    for verb in (RUN, SWEEP):
        assert "is not a folder that takes files from you" in one_line(command(*verb, "--out", str(place / "x")), 2)


def test_a_file_in_the_way(tmp_path: Path) -> None:
    """A path that leads through a file."""
    (tmp_path / "file").touch()
    assert "is not a folder" in one_line(command(*RUN, "--out", str(tmp_path / "file" / "x")), 2)


LIBRARY = "import sys, sim; from sim.model import jit; sim.run(sys.argv[2]); print(jit._CACHE)"
UNWRITABLE = """
import pathlib, tempfile
made = tempfile.TemporaryFile
def refuse(*arguments, dir=None, **others):
    if any(part in str(dir) for part in {refused!r}):
        raise PermissionError(13, "Permission denied", str(dir))
    return made(*arguments, dir=dir, **others)
tempfile.TemporaryFile = refuse
"""


def test_named_folder_for_machine_code_takes_no_files(tmp_path: Path) -> None:
    """In our words, with a way on: at the command line, and as an error of the library."""
    (tmp_path / "file").touch()
    named = {"NUMBA_CACHE_DIR": str(tmp_path / "file")}
    told = one_line(command(*RUN, "--out", str(tmp_path / "x"), **named), 1)
    assert told.startswith("failed: machine code cannot be kept in")
    assert "NUMBA_CACHE_DIR=" in told
    raised = command(*RUN, entry=LIBRARY, **named).stderr
    assert "sim.errors.RunError: machine code cannot be kept in" in raised


def test_nowhere_to_keep_machine_code(tmp_path: Path) -> None:
    nowhere = UNWRITABLE.format(refused=("kernels-",)) + ENTRY
    told = one_line(command(*RUN, "--out", str(tmp_path / "x"), entry=nowhere), 1)
    assert told.startswith("failed: machine code can be kept nowhere")
    assert "NUMBA_CACHE_DIR=" in told


def test_package_and_home_take_no_files(tmp_path: Path) -> None:
    """Machine code goes into a part of the temporary folder that is this user's alone; one that others can write is passed by."""
    (tmp_path / "home").touch()
    (tmp_path / "temporary").mkdir()
    places = {"TMPDIR": str(tmp_path / "temporary"), "HOME": str(tmp_path / "home"), "XDG_CACHE_HOME": ""}
    elsewhere = UNWRITABLE.format(refused=("__pycache__",)) + LIBRARY
    done = command(*RUN, entry=elsewhere, **places)
    assert done.returncode == 0, done.stderr
    kept = Path(done.stdout.strip()).parent
    assert kept.parent == tmp_path / "temporary"
    assert kept.stat().st_mode & 0o077 == 0
    assert list(kept.rglob("*.nbc"))
    kept.chmod(0o777)
    place = "import sys; from sim.model import jit; print(jit._CACHE)"
    other = command(*RUN, entry=UNWRITABLE.format(refused=("__pycache__",)) + place, **places).stdout.strip()
    assert Path(other).parent != kept
    assert not Path(other).exists()  # it was this process's own, and went with it


def test_no_home(tmp_path: Path) -> None:
    """A home that is not there hinders nobody."""
    none = {"HOME": "/proc/none", "XDG_CACHE_HOME": "/proc/none", "MPLCONFIGDIR": "/proc/none"}
    assert command(*RUN, "--out", str(tmp_path / "x"), **none).returncode == 0


# ---------------------------------------------------------------------------------------------- removed, and clocks
AFTER = """
import os, shutil, sys, time
from pathlib import Path
from sim.experiments import replications, work
from sim.views import result
{change}
from sim.cli import main
main()
"""


def test_removed_during_a_run(tmp_path: Path) -> None:
    """The hidden folder that a run writes to goes away before it is put in its place."""
    removing = "result.add_figures = lambda folder, artist: shutil.rmtree(folder)"
    told = one_line(command(*RUN, "--out", str(tmp_path / "x"), entry=AFTER.format(change=removing)), 1)
    assert "x cannot be written: its folder was removed meanwhile; give the command again" in told
    assert list(tmp_path.iterdir()) == []
    assert command(*RUN, "--out", str(tmp_path / "x")).returncode == 0


def test_removed_during_a_sweep(tmp_path: Path) -> None:
    """The folder of finished tasks goes away: the work ends, and begins anew."""
    removing = (
        "real = work.perform\n"
        "def perform(task, threads=None):\n"
        "    if task.replication == 3: shutil.rmtree(Path(sys.argv[-2]).parent / '.x.tasks', ignore_errors=True)\n"
        "    return real(task, threads)\n"
        "work.perform = perform"
    )
    told = one_line(command(*SWEEP, "--out", str(tmp_path / "x"), entry=AFTER.format(change=removing)), 1)
    assert "its folder was removed meanwhile; give the command again" in told
    assert list(tmp_path.iterdir()) == []
    assert command(*SWEEP, "--out", str(tmp_path / "x")).returncode == 0


def test_clock_set_back(tmp_path: Path) -> None:
    """A day at every look: nothing is measured by the clock on the wall, and no number changes."""
    back = "now = [time.time()]\ndef earlier():\n    now[0] -= 86400\n    return now[0]\ntime.time = earlier"
    for verb, name in ((RUN, "run"), (SWEEP, "sweep")):
        plain, out = tmp_path / name, tmp_path / f"{name}_back"
        assert command(*verb, "--out", str(plain)).returncode == 0
        assert command(*verb, "--out", str(out), entry=AFTER.format(change=back)).returncode == 0
        assert hashes(out) == hashes(plain)
        assert json.loads((out / "manifest.json").read_text())["wall_seconds"] > 0


# --------------------------------------------------------------------------------------------------- readers that left
@pytest.mark.parametrize("verb", [("schema",), ("list",), ("show", "wechat_2022")])
def test_reader_gone(verb: tuple[str, ...]) -> None:
    """As with `| head`: quiet, and the exit code of a program that the signal ended."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", ENTRY, *verb],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_to_a_full_disk() -> None:
    """What is printed cannot be kept: said, and not exit code 0."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", ENTRY, "list"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    assert (done.returncode, done.stderr.strip()) == (1, "failed: [Errno 28] No space left on device")


# ------------------------------------------------------------------------------------------------------ broken results
@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder that is whole."""
    place = tmp_path_factory.mktemp("results") / "x"
    sim.run(DESK, seed=2, replications=2, histories=None, out=place)
    return place


@pytest.mark.parametrize("name", ["manifest.json", "scenario.resolved.yaml"])
def test_what_describes_a_run_is_broken(name: str, results: Path, tmp_path: Path) -> None:
    """`show`, `reproduce` and `open` name the file."""
    broken = Path(shutil.copytree(results, tmp_path / "x"))
    file = broken / name
    file.write_bytes(file.read_bytes()[:300])
    for verb in ("show", "reproduce"):
        arguments = (verb, str(broken)) if verb == "reproduce" else (verb, str(broken), "--stress")
        done = command(*arguments) if verb == "reproduce" else _unquiet(*arguments)
        assert str(file) in one_line(done, 2)
    with pytest.raises(sim.ResultsError, match=f"{name} cannot be read"):
        sim.open(broken)


def _unquiet(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ENTRY, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
    )


def test_broken_parquet(results: Path, tmp_path: Path) -> None:
    """Bytes of tables are changed, or missing at the end, in 300 ways: an error that names the file, or the same content; never another."""
    chance = random.Random(1)
    broken = Path(shutil.copytree(results, tmp_path / "x"))
    refused, told = 0, set[str]()
    for number in range(300):
        name = chance.choice(list(TABLES))
        file = broken / f"{name}.parquet"
        whole = file.read_bytes()
        if number % 3:
            changed = bytearray(whole)
            changed[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
            file.write_bytes(changed)
        else:
            file.write_bytes(whole[: chance.randrange(len(whole))])
        try:
            found = ContentHash(TABLES[name])
            found.add(Stored(broken).table(name))
        except sim.ResultsError as error:
            refused += 1
            told.add(str(error))
        else:
            assert found.hexdigest() == hashes(results)[name]["sha256"]  # type: ignore[index]
        file.write_bytes(whole)
    assert refused > 150
    assert all(text.startswith(str(broken)) and ".parquet cannot be read: " in text for text in told)
    assert not any("\n" in text for text in told)


def test_reproduce_with_a_broken_table(results: Path, tmp_path: Path) -> None:
    """The verdict is told table by table, and the exit code tells it too."""
    broken = Path(shutil.copytree(results, tmp_path / "x"))
    file = broken / "bans.parquet"
    file.write_bytes(file.read_bytes()[:-9])
    done = _unquiet("reproduce", str(broken))
    assert done.returncode == 1
    assert any("bans" in line and "cannot be read" in line for line in done.stdout.splitlines())


# ------------------------------------------------------------------------------------------------------------- clusters
def test_scheduler_lost(tmp_path: Path) -> None:
    """It is killed in the midst of a sweep: said in a line, what is finished is kept, and the work goes on without it."""
    pytest.importorskip("distributed")
    file = tmp_path / "slow.yaml"
    slow = load(ROOT / "tests" / "benchmarks" / "ladder.yaml").with_values({"segments.accounts.accounts": 300_000})
    file.write_text(slow.resolved_yaml())
    here = {**os.environ, "PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "5s"}
    dask = [sys.executable, "-m", "distributed.cli"]
    note = tmp_path / "scheduler.json"
    scheduler = subprocess.Popen(
        [*dask[:2], "distributed.cli.dask_scheduler", "--port", "0", "--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", note],
        env=here, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        worker = subprocess.Popen(
            [*dask[:2], "distributed.cli.dask_worker", "--scheduler-file", note, "--nthreads", "1", "--no-nanny", "--no-dashboard"],
            env=here, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path,
        )  # fmt: skip
        try:
            address = _address(note)
            verb = ("sweep", str(file), "--vary", "violations.violation.rate.accounts=0.01 per day,0.02 per day")
            asked = (*verb, "--replications", "100", "--out", str(tmp_path / "x"))
            child = subprocess.Popen(
                [sys.executable, "-c", ENTRY, *asked, "--cluster", address, "--quiet"],
                env=here, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
            )  # fmt: skip
            end = time.monotonic() + 90
            while finished_tasks(tmp_path / "x") < 3 and child.poll() is None and time.monotonic() < end:
                time.sleep(0.02)
            scheduler.kill()
            _, told = child.communicate(timeout=120)
            assert child.returncode == 1, told
            assert "Traceback" not in told
            assert f"the Dask scheduler at {address} is gone" in told
            assert finished_tasks(tmp_path / "x") >= 3
            assert not (tmp_path / "x").exists()
        finally:
            worker.kill()
            worker.wait()
    finally:
        scheduler.kill()
        scheduler.wait()


def _address(note: Path) -> str:
    """Where a scheduler listens, once it does."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if note.is_file() and note.stat().st_size:
            return str(json.loads(note.read_text())["address"])
        time.sleep(0.05)
    raise TimeoutError("no scheduler")


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take no such names")
@pytest.mark.parametrize("verb", ["run", "validate", "show"])
def test_names_that_are_no_text(tmp_path: Path, verb: str) -> None:
    """Systems allow any bytes; a manifest holds text. It is told at once, and nothing is left."""
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/od\xffd.yaml")
    shutil.copy(DESK, odd)
    told = one_line(_unquiet(verb, odd), 2)
    assert "d.yaml: has a name that is not UTF-8; rename it" in told
    Path(odd).unlink()
    if verb == "run":
        assert "has a name that is not UTF-8" in one_line(command(verb, DESK, "--out", odd), 2)
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_without_the_signs(tmp_path: Path) -> None:
    """What it cannot show is told by number; the results are there, and it is no failure."""
    file = tmp_path / "x.yaml"
    lines = Path(DESK).read_text(encoding="utf-8").splitlines()
    lines = ['title: "Sperre ≥ 五"' if line.startswith("title:") else line for line in lines]
    file.write_text("\n".join(lines), encoding="utf-8")
    done = _unquiet(
        "run", str(file), "--out", str(tmp_path / "out"), PYTHONUTF8="0", LC_ALL="C", PYTHONIOENCODING="ascii"
    )
    assert done.returncode == 0, done.stderr
    assert "Sperre \\u2265 \\u4e94" in done.stdout
    assert "Sperre ≥ 五" in (tmp_path / "out" / "manifest.json").read_text(encoding="utf-8")


def test_a_manifest_of_nothing_but_brackets(results: Path, tmp_path: Path) -> None:
    """It cannot be read, however deep; nor can one that tells no versions be shown."""
    broken = Path(shutil.copytree(results, tmp_path / "x"))
    told = json.loads((broken / "manifest.json").read_text(encoding="utf-8"))
    (broken / "manifest.json").write_text(json.dumps(told | {"versions": None}), encoding="utf-8")
    assert "does not tell versions" in one_line(_unquiet("show", str(broken), "--stress"), 2)
    (broken / "manifest.json").write_text("[" * 200_000, encoding="utf-8")
    assert "manifest.json cannot be read" in one_line(command("reproduce", str(broken)), 2)
