"""Figures drawn by a second process: the same bytes as here, and drawn here where it is late or fails."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import sim
from sim.views import beside, plots, result
from sim.views.beside import FIGURES, Artist

GOLDEN = Path(__file__).parents[1] / "golden"
TOLD = "A title of 日本 and $x$"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with waves, phases and a desk, without figures."""
    folder = tmp_path_factory.mktemp("beside") / "run"
    sim.run(GOLDEN / "desk.yaml", out=folder)
    shutil.rmtree(folder / FIGURES)
    (folder / "report.html").unlink()
    return folder


@pytest.fixture
def folder(run: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(run, tmp_path / "run"))


@pytest.fixture(autouse=True)
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever machine this is, have two processors."""
    monkeypatch.setattr(beside, "cores", lambda: 2)


def figures(folder: Path) -> dict[str, bytes]:
    """Files of figures by name."""
    return {file.name: file.read_bytes() for file in sorted((folder / FIGURES).iterdir())}


def wait(artist: Artist, seconds: float = 60.0) -> None:
    """Until an artist has begun."""
    assert artist._figures is not None
    end = time.monotonic() + seconds
    while not artist._figures.is_dir():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_same_bytes(folder: Path, tmp_path: Path) -> None:
    """Title and events too are those that are drawn here."""
    found = sim.open(folder)
    with Artist() as artist:
        artist.begin(folder, found.scenario.spec.title, result.events_of(found.scenario))
        wait(artist)
        assert artist.done()
    found.save_figures(tmp_path / FIGURES)
    assert len(figures(folder)) == 10
    assert figures(folder) == figures(tmp_path)


def test_events_and_title_arrive(folder: Path, tmp_path: Path) -> None:
    """Such as are not in the scenario of this run, and any letters."""
    found = sim.open(folder)
    at = found.bans["time"].iloc[len(found.bans) // 2]
    events = [(at, "order “now” — 令", "wave")]
    with Artist() as artist:
        artist.begin(folder, TOLD, events)
        wait(artist)
        assert artist.done()
    tables = {name: getattr(found, name) for name in plots.TABLES}
    plots.save_all(tables, tmp_path / FIGURES, title=TOLD, events=events)
    assert figures(folder) == figures(tmp_path)


def test_late(folder: Path) -> None:
    """One that is still getting ready is not waited for; the figures are there all the same, and it has gone."""
    with Artist() as artist:
        process = artist._process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        result.add_figures(folder, artist)
        assert process.poll() == -signal.SIGKILL
    assert len(figures(folder)) == 10
    assert (folder / "report.html").is_file()


@pytest.mark.parametrize("when", ["before", "while"])
def test_dead(folder: Path, when: str) -> None:
    """It was killed: what it has not drawn is drawn here."""
    with Artist() as artist:
        process = artist._process
        assert process is not None
        if when == "before":
            process.kill()
            process.wait()
        else:
            (folder / FIGURES).mkdir()  # as if it had begun
            os.kill(process.pid, signal.SIGSTOP)
            process.kill()
        result.add_figures(folder, artist)
    assert all(len(drawn) > 1000 for drawn in figures(folder).values())
    assert len(figures(folder)) == 10


def test_failing(folder: Path) -> None:
    """A table cannot be read: what is wrong is told as if there were no second process."""
    (folder / "bans.parquet").write_bytes(b"no table")
    with Artist() as artist, pytest.raises(sim.ResultsError, match=r"bans\.parquet"):
        result.add_figures(folder, artist)


def test_it_is_stopped_before_its_folder_goes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an interrupt nobody writes to the folder, which is then cleared away."""

    def interrupted(*_: object, **__: object) -> Path:
        wait(artist)
        raise KeyboardInterrupt

    monkeypatch.setattr(result.Result, "save_report", interrupted)
    with Artist() as artist:
        process = artist._process
        assert process is not None
        with pytest.raises(KeyboardInterrupt):
            result.add_figures(folder, artist)
        assert process.returncode is not None


def test_it_ends_with_the_first(folder: Path) -> None:
    """The first process is killed while the second gets ready, or while it draws."""
    ready = f"""
import os, signal, time
from pathlib import Path
from sim.views import beside
beside.cores = lambda: 2
a, f = beside.Artist().__enter__(), Path({str(folder)!r})
"""
    drawing = "a.begin(f, 'x', [])\nwhile not (f / 'figures').is_dir(): time.sleep(0.01)"
    for work in ("", drawing):
        told = f"{ready}\n{work}\nprint(a._process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
        first = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)
        assert first.returncode == -signal.SIGKILL, first.stderr
        end = time.monotonic() + 60.0
        while _lives(int(first.stdout)):
            assert time.monotonic() < end
            time.sleep(0.01)
    assert len(figures(folder)) < 10


def _lives(process: int) -> bool:
    """Whether a process is there, and not just its entry in a table that nobody has asked for."""
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("why", ["one processor", "one worker", "no interpreter", "no process"])
def test_none(folder: Path, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    """Where there can be none, or it would be in the way, nothing else changes."""

    def refused(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    if why == "one processor":
        monkeypatch.setattr(beside, "cores", lambda: 1)
    elif why == "no interpreter":
        monkeypatch.setattr(sys, "executable", "")
    else:
        monkeypatch.setattr(subprocess, "Popen", refused)
    with Artist(1 if why == "one worker" else None) as artist:
        assert artist._process is None
        result.add_figures(folder, artist)
    assert len(figures(folder)) == 10


def test_users_folder_is_not_searched(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in the folder from which the program was started, and is called like a module, is not run."""
    (tmp_path / "pandas.py").write_text("import pathlib; pathlib.Path(__file__).with_name('was_run').touch()")
    monkeypatch.chdir(tmp_path)
    with Artist() as artist:
        artist.begin(folder, "", [])
        wait(artist)
        assert artist.done()
    assert not (tmp_path / "was_run").exists()
