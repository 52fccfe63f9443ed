"""The command line: every verb and option, what it prints where, and its exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pandas as pd
import pytest
from ruamel.yaml import YAML

import sim
from sim import cli
from sim.experiments import replications
from sim.results.columns import TABLES
from sim.views import result as results

ROOT = Path(__file__).parents[1]
GOLDEN, INVALID = ROOT / "tests" / "golden", ROOT / "tests" / "invalid"
DESK, TIMELINE = str(GOLDEN / "desk.yaml"), str(GOLDEN / "timeline.yaml")
TABLE_FILES = {f"{name}.parquet" for name in TABLES}
FIGURES = {
    f"{name}.{kind}"
    for name in ("ban_rate", "states_over_time", "flows", "desk_load", "time_to_ban")
    for kind in ("png", "svg")
}


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """Error text on one line, without the frame around it."""
        return " ".join(re.sub("[│╭╮╰╯─]", " ", self.err).split())


Command = Callable[..., Done]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """Run a command in this process, in an empty folder; figures are not drawn unless asked for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: str, figures: bool = False) -> Done:
        with monkeypatch.context() as patched:
            patched.setattr(sys, "argv", ["enforcement-sim", *arguments])
            patched.setattr(os, "_exit", sys.exit)
            if not figures:
                patched.setattr(results, "add_figures", lambda folder, artist: None)
            try:
                cli.main()
                code: object = 0
            except SystemExit as stop:
                code = stop.code
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err + captured.out
        return Done(int(str(code or 0)), captured.out, captured.err)

    return call


def manifest(folder: Path) -> dict[str, Any]:
    """Manifest of a results folder."""
    told: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return told


# ------------------------------------------------------------------------------------------------------------------ run
def test_run_with_everything(command: Command, tmp_path: Path) -> None:
    """One folder under `results`, with tables, figures, summary, resolved scenario and manifest; the numbers on stdout."""
    done = command("run", DESK, "--seed", "3", figures=True)
    folder = tmp_path / "results" / "desk"
    assert done.code == 0
    expected = TABLE_FILES | {"manifest.json", "scenario.resolved.yaml", "summary.csv", "figures", "report.html"}
    assert {path.name for path in folder.iterdir()} == expected
    assert {path.name for path in (folder / "figures").iterdir()} == FIGURES
    assert all(path.stat().st_size > 1000 for path in (folder / "figures").iterdir())
    title = YAML(typ="safe").load(Path(DESK))["title"]
    assert title in " ".join(done.out.split())
    for name in ("all", "sellers", "shops", "ever banned", "95 % limits"):
        assert name in done.out
    summary = pd.read_csv(folder / "summary.csv")
    rate = summary.loc[summary["measure"] == "ban_rate", "value"].iloc[0]
    assert f"{100 * rate:.3g} %" in done.out
    assert re.search(r"desk reviewers: served [\d,]+, mean wait [\d.]+ h, 95 % within [\d.]+ h", done.out)
    assert re.search(r"90 accounts and [\d,]+ transitions in [\d.]+ s", done.out)
    assert str(Path("results") / "desk") in done.out
    assert [path.name for path in folder.parent.iterdir()] == ["desk"]


def test_run_options(command: Command, tmp_path: Path) -> None:
    """Seed, replications, engine and histories come into the manifest and the tables; `--out` names the place."""
    options = ["--seed", "5", "--replications", "2", "--engine", "process", "--histories", "3", "--out", "here/there"]
    done = command("run", TIMELINE, *options)
    assert done.code == 0
    told = manifest(tmp_path / "here" / "there")
    assert [told[name] for name in ("seed", "replications", "engine", "histories")] == [5, 2, "process", 3]
    histories = sim.open(tmp_path / "here" / "there").histories
    assert set(histories["account"]) <= {0, 1, 2}
    assert set(histories["replication"]) == {0, 1}
    assert not (tmp_path / "results").exists()


def test_run_is_the_run_of_the_library(command: Command, tmp_path: Path) -> None:
    """Same scenario and seed, same tables."""
    command("run", DESK, "--seed", "7", "--quiet")
    mine, theirs = sim.open(tmp_path / "results" / "desk"), sim.run(DESK, seed=7)
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(mine, name), getattr(theirs, name))


@pytest.mark.parametrize(("text", "kept"), [("all", 60), ("none", 0), ("7", 7), ("0", 0), ("1000", 60)])
def test_run_histories(text: str, kept: int, command: Command, tmp_path: Path) -> None:
    """All, none, or the first N accounts of each segment."""
    assert command("run", DESK, "--histories", text, "--quiet").code == 0
    histories = sim.open(tmp_path / "results" / "desk").histories
    assert histories.loc[histories["segment"] == "sellers", "account"].nunique() == kept


def test_run_quiet(command: Command) -> None:
    """Nothing but errors."""
    assert command("run", DESK, "--quiet", "--scale", "0.5") == Done(0, "", "")
    done = command("run", DESK, "-q")
    assert (done.code, done.out) == (2, "")
    assert "exists already" in done.err


def test_run_csv(command: Command, tmp_path: Path) -> None:
    """Tables as CSV beside the Parquet, only when asked for."""
    assert command("run", DESK, "--csv", "--quiet").code == 0
    names = {path.name for path in (tmp_path / "results" / "desk").iterdir()}
    assert {f"{name}.csv" for name in TABLES} <= names
    assert command("run", TIMELINE, "--quiet").code == 0
    assert {path.name for path in (tmp_path / "results" / "timeline").glob("*.csv")} == {"summary.csv"}


def test_run_force(command: Command, tmp_path: Path) -> None:
    """An existing folder is refused, before any work, and replaced by force; what is no results folder never is."""
    folder = tmp_path / "results" / "desk"
    command("run", DESK, "--quiet")
    done = command("run", DESK, "--seed", "9")
    assert done.code == 2
    assert "results/desk exists already" in done.error
    assert "--force" in done.error
    assert done.out == ""
    assert manifest(folder)["seed"] == 0
    assert command("run", DESK, "--seed", "9", "--force", "--quiet").code == 0
    assert manifest(folder)["seed"] == 9
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    done = command("run", DESK, "--force", "--out", "mine")
    assert done.code == 2
    assert "is not a results folder" in done.error
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_run_scale(command: Command, tmp_path: Path) -> None:
    """What the scaled run keeps of accounts, reviewers and orders is said before it begins, and is what is run."""
    done = command("run", TIMELINE, "--scale", "0.5")
    assert (
        done.out.splitlines()[0] == "Scaled to 50 %: the first 60 of 120 accounts; order closure_order 3 of 6 accounts."
    )
    bans = sim.open(tmp_path / "results" / "timeline").bans
    assert bans.loc[bans["time"] == bans["time"].max(), "joined"].tolist() == [20, 25, 15]
    done = command("run", DESK, "--scale", "0.1")
    assert done.out.splitlines()[0] == "Scaled to 10 %: the first 9 of 90 accounts; reviewers 1 of 1 reviewers."
    assert "Scaled" not in command("run", DESK, "--force").out


def test_run_what_ships(command: Command, tmp_path: Path) -> None:
    """A scenario by its name, small."""
    name = sorted(sim.shipped())[0]
    assert command("run", name, "--scale", "0.0001", "--quiet").code == 0
    assert manifest(tmp_path / "results" / name)["scenario"]["name"] == name


def test_run_tells_each_desk_once(command: Command) -> None:
    """One line a desk, however many replications there are."""
    done = command("run", DESK, "--replications", "3", "--scale", "0.3")
    assert sum(line.startswith("desk ") for line in done.out.splitlines()) == 1


def test_run_where_nobody_was_served(command: Command, tmp_path: Path) -> None:
    """A desk that served nobody has no wait to tell: no `nan` on the screen."""
    text = Path(DESK).read_text().replace("reviewers: {reviewers: 1}", "reviewers: {reviewers: 0}")
    (tmp_path / "closed.yaml").write_text(text)
    done = command("run", "closed.yaml")
    assert done.code == 0
    assert "served 0" in done.out
    assert not re.search(r"\bnan\b", done.out)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--seed", "-1"), "--seed"),
        (("--seed", "one"), "--seed"),
        (("--replications", "0"), "--replications"),
        (("--engine", "fast"), "--engine: found 'fast'; allowed: auto, compiled, process"),
        (("--scale", "0"), "--scale: found 0; allowed: above 0, up to 1"),
        (("--scale", "1.5"), "--scale: found 1.5"),
        (("--scale", "nan"), "--scale: found nan"),
        (("--scale", "half"), "--scale"),
        (("--histories", "-1"), "--histories: found '-1'; allowed: all, none or a whole number"),
        (("--histories", "1.5"), "--histories: found '1.5'"),
        (("--histories", "١٢"), "--histories: found"),
        (("--histories", ""), "--histories: found ''"),
        (("--replications", "1000001"), "--replications"),
        (("--max-replications", "9"), "--max-replications: goes with --until"),
        (("--until", "ban_rate@end ±1%", "--max-replications", "4"), "--max-replications: 4: is too few; allow 5"),
        (("--colour",), "--colour"),
        (("another.yaml",), "another.yaml"),
    ],
)
def test_run_refuses(arguments: tuple[str, ...], told: str, command: Command, tmp_path: Path) -> None:
    """A bad value: what was found and what is allowed, exit code 2, nothing written."""
    done = command("run", DESK, *arguments)
    assert done.code == 2
    assert told in done.error
    assert done.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("run", DESK, "--draws", "4", "--engine", "process"), "--engine: --draws takes the compiled engine"),
        (("sensitivity", DESK, "--method", "guess"), "--method: found 'guess'; allowed: morris, sobol"),
        (("sensitivity", DESK, "--samples", "12"), "--samples: found 12; Sobol's sequence needs a power of 2"),
    ],
)
def test_samples_of_ranges_refuse(arguments: tuple[str, ...], told: str, command: Command, tmp_path: Path) -> None:
    """As for a run: what was found and what is allowed, exit code 2, nothing written."""
    done = command(*arguments)
    assert (done.code, done.out) == (2, "")
    assert told in done.error
    assert list(tmp_path.iterdir()) == []


def test_inputs_are_not_written_over(command: Command, tmp_path: Path) -> None:
    """Neither a scenario by the report of its test, nor histories by what is fitted to them, whatever is forced."""
    scenario, histories = tmp_path / "x.yaml", tmp_path / "h.csv"
    scenario.write_text(Path(DESK).read_text(encoding="utf-8"), encoding="utf-8")
    histories.write_text("account,time,state\n1,0,free\n1,2,warned\n", encoding="utf-8")
    before = scenario.read_bytes(), histories.read_bytes()
    (tmp_path / "w.yaml").write_text("extends: x.yaml\n", encoding="utf-8")
    for name in ("x.yaml", "w.yaml"):
        assert "x.yaml is no XML, and is not replaced" in command("test", name, "--junit", "./x.yaml").error
    for out in ("h.csv", str(tmp_path / "h.csv")):
        done = command("fit", "h.csv", "--out", out, "--force")
        assert (done.code, done.out) == (2, "")
        assert "holds the histories, and is not replaced" in done.error
    assert (scenario.read_bytes(), histories.read_bytes()) == before


def test_junit_into_links_and_pipes(command: Command, tmp_path: Path) -> None:
    """A link stays one, its file keeps who may read it, and a pipe is written into."""
    (tmp_path / "x.yaml").write_text(
        Path(DESK).read_text(encoding="utf-8") + "expect: [{measure: ban_rate, below: 99%}]\n", encoding="utf-8"
    )
    real, link, pipe = (tmp_path / name for name in ("real.xml", "link.xml", "pipe.xml"))
    real.write_text("<earlier/>", encoding="utf-8")
    real.chmod(0o600)
    link.symlink_to(real)
    assert command("test", "x.yaml", "--junit", "link.xml").code == 0
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o600
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert command("test", "x.yaml", "--junit", "pipe.xml").code == 0
    assert os.read(reader, 1 << 16).decode().rstrip().endswith("</testsuites>")
    os.close(reader)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.xml", "pipe.xml", "real.xml", "x.yaml"]


@pytest.mark.parametrize("arguments", [("fit",), ("calibrate", DESK, "--out", "x", "--targets")])
def test_tables_that_are_no_files(arguments: tuple[str, ...], command: Command, tmp_path: Path) -> None:
    """A pipe is not waited for, and a device not read to its end."""
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("pipe.csv", "/dev/zero"):
        done = command(*arguments, name)
        assert (done.code, done.out) == (2, "")
        assert f"{name}: is not a file" in done.error


@pytest.mark.parametrize("verb", ["run", "show", "validate"])
@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("nothing.yaml", "nothing.yaml: cannot be read"),
        ("wechat", "wechat: is neither a file nor a shipped scenario"),
        ("wechat", "did you mean `wechat_2022`? shipped scenarios: "),
        (str(GOLDEN), "is not a file"),
        (str(INVALID / "bad_date.yaml"), "bad_date.yaml:4: start: `2023-02-29` is not in the calendar"),
    ],
)
def test_scenarios_that_cannot_be_read(verb: str, source: str, told: str, command: Command, tmp_path: Path) -> None:
    """The fault on stderr, exit code 2, nothing written."""
    done = command(verb, source)
    assert done.code == 2
    assert told in done.err
    assert done.out == ""
    assert list(tmp_path.iterdir()) == []


def test_run_into_a_file(command: Command, tmp_path: Path) -> None:
    """No folder below a file."""
    (tmp_path / "file").write_text("")
    done = command("run", DESK, "--out", "file/x")
    assert done.code == 2
    assert "cannot be written" in done.err


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left on device"), "No space left"),
        (MemoryError("of memory"), "of memory"),
        (MemoryError(), "MemoryError"),
        (sim.RunError("why"), "why"),
    ],
)
def test_run_that_fails(
    error: Exception, told: str, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that cannot go on: one line, exit code 1, no results."""

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(replications, "_run_all", fail)
    done = command("run", DESK, "--quiet")
    assert done.code == 1
    assert done.err.startswith("failed: ")
    assert told in done.err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_interrupt(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C: one line, exit code 130, no results, old ones kept."""
    command("run", DESK, "--quiet")

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(replications, "_run_all", interrupt)
    before = manifest(tmp_path / "results" / "desk")
    done = command("run", DESK, "--force", "--seed", "8")
    assert done.code == 130
    assert "interrupted; nothing was written" in done.err
    assert manifest(tmp_path / "results" / "desk") == before
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["desk"]


def take_interrupts() -> None:
    """As in a terminal: a shell's background jobs ignore interrupts, and what they start does too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_interrupt_of_a_process(tmp_path: Path) -> None:
    """The same by a signal, in the midst of a run of minutes: it stops within seconds and leaves nothing."""
    scenario = sim.load(ROOT / "tests" / "benchmarks" / "ladder.yaml").with_values(
        {"segments.accounts.accounts": 60_000_000}
    )
    (tmp_path / "long.yaml").write_text(scenario.resolved_yaml())
    code = "from sim.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "run", "long.yaml", "--quiet"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=take_interrupts,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("results/.long.*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - began < 30
    assert out == ""
    assert "interrupted; nothing was written" in err
    assert "Traceback" not in err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "long.yaml"]


DROPPED = """
import ctypes, time
import sim.cli, sim.cli.files

@ctypes.CFUNCTYPE(None)
def callback():
    raise KeyboardInterrupt

def compiles(*arguments, **options):
    callback()
    {then}

sim.cli.files.load = compiles
sim.cli.main()
"""


@pytest.mark.parametrize(
    "then", ["[time.sleep(0.1) for _ in range(200)]", "raise RuntimeError('no compiled object yet')"]
)
def test_interrupt_that_python_drops(tmp_path: Path, then: str) -> None:
    """Machine code calls Python while it is compiled; an interrupt that falls there is dropped, and is asked for again."""
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", DROPPED.replace("{then}", then), "show", "wechat_2022"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=take_interrupts,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted; nothing was written\n")
    assert time.monotonic() - began < 15


def test_interrupt_before_anything_runs(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library that parses the command would leave without a word."""

    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sim.cli.running.load", interrupted)
    done = command("run", DESK)
    assert (done.code, done.out, done.err) == (130, "", "interrupted; nothing was written\n")


# ------------------------------------------------------------------------------------------------------------- validate
def test_validate(command: Command) -> None:
    """One line for each valid file, with its size."""
    done = command("validate", DESK, TIMELINE, "wechat_2022")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[:2] == [f"{DESK}: valid; 90 accounts, 7 states", f"{TIMELINE}: valid; 120 accounts, 6 states"]
    assert lines[2].startswith("wechat_2022: valid; ")


def test_validate_tells_all_faults_of_all_files(command: Command) -> None:
    """Several bad files and a good one: every fault on stderr, file by file, the good one on stdout."""
    bad = [str(INVALID / name) for name in ("many_faults.yaml", "bad_date.yaml", "bad_chance.yaml")]
    done = command("validate", bad[0], DESK, *bad[1:], "nothing.yaml")
    assert done.code == 2
    assert done.out.splitlines() == [f"{DESK}: valid; 90 accounts, 7 states"]
    told = done.err.splitlines()
    for file in bad:
        expected = Path(file).with_suffix(".expected").read_text().splitlines()
        found = [line for line in told if Path(file).name in line.split(":")[0]]
        assert len(found) == len(expected) >= 1
    assert "nothing.yaml" in told[-1]
    assert len(command("validate", bad[0]).err.splitlines()) > 2


@pytest.mark.parametrize("verb", ["run", "validate", "show"])
def test_a_verb_without_its_file(verb: str, command: Command) -> None:
    """What is missing is said."""
    done = command(verb)
    assert done.code == 2
    assert "Missing argument" in done.error


# ----------------------------------------------------------------------------------------------------------------- show
def test_show(command: Command) -> None:
    """Everything that a scenario sets, as tables, and its ladder as a diagram."""
    done = command("show", DESK)
    assert (done.code, done.err) == (0, "")
    for heading in ("Segments", "Violations", "States and exits", "Desks"):
        assert heading in done.out
    for detail in (
        "sellers",
        "counterfeit",
        "false_report (false alarm)",
        "gave_up",
        "healthy (start)",
        "deactivated (ban)",
    ):
        assert detail in done.out
    for parameter in (
        "lognormal, median 1 day, sigma 0.9, chance 90 %",
        "weibull, shape 0.8, scale 1.25 days",
        "21.9 per year",
    ):
        assert parameter in done.out
    assert "Phases and waves" not in done.out


def test_show_dates(command: Command) -> None:
    """Phases and waves by date."""
    done = command("show", TIMELINE)
    dates = done.out[done.out.index("Phases and waves") : done.out.index("```mermaid")]
    order = [dates.index(name) for name in ("announced", "audit", "enforced", "closure_order", "clampdown")]
    assert order == sorted(order)
    for detail in ("30 % of traders to warned", "6 accounts of media to banned, wrongful", "(restart clocks)"):
        assert detail in dates


def test_show_ranges(command: Command, tmp_path: Path) -> None:
    """What is not known for sure is shown with its limits, as written."""
    text = Path(DESK).read_text().replace("after: 72 hours", "after: {low: 1 day, best: 72 hours, high: 2 weeks}")
    (tmp_path / "ranges.yaml").write_text(text)
    done = command("show", "ranges.yaml")
    assert "Not known for sure" in done.out
    line = next(line for line in done.out.splitlines() if "ladder.states.plan_due.exits.overdue.after" in line)
    assert [part.strip() for part in re.split("[│|]", line)][1:] == ["1 day", "72 hours", "2 weeks"]


@pytest.mark.parametrize("name", ["desk", "strikes", "timeline"])
def test_show_diagram(name: str, command: Command) -> None:
    """A fenced Mermaid block with every state, every arrow that is possible, the start and the bans."""
    out = command("show", str(GOLDEN / f"{name}.yaml")).out
    block = re.search(r"```mermaid\n(.*?)\n```", out, re.DOTALL)
    assert block is not None
    lines = [line.strip() for line in block[1].splitlines()]
    assert lines[0] == "stateDiagram-v2"
    spec = sim.load(GOLDEN / f"{name}.yaml").spec
    alias = {
        match[2]: match[1] for match in (re.fullmatch(r'state "(\w+)" as (s\d+)', line) for line in lines) if match
    }
    assert sorted(alias.values()) == sorted(spec.ladder.states)
    shown = {(alias[m[1]], alias[m[2]]) for m in (re.match(r"(s\d+) --> (s\d+): ", line) for line in lines) if m}
    possible = set()
    for origin, state in spec.ladder.states.items():
        possible |= {(origin, way.to) for way in state.exits.values()}
        possible |= {(origin, to) for targets in state.on_violation.values() for to in targets}
        possible |= {(origin, to) for to in (*state.outcomes_rightful, *state.outcomes_wrongful)}
    assert shown == possible
    assert any(line.startswith("[*] --> ") and alias[line.split()[-1]] == spec.ladder.start for line in lines)
    banned = next(line for line in lines if line.startswith("class s"))
    assert {alias[number] for number in banned.split()[1].split(",")} == set(spec.ladder.bans)


@pytest.mark.parametrize("source", [DESK, TIMELINE, "wechat_2022_no_warning"])
def test_show_resolved(source: str, command: Command, tmp_path: Path) -> None:
    """Nothing but the whole file on stdout; it loads, and is its own resolved form."""
    done = command("show", source, "--resolved")
    assert (done.code, done.err) == (0, "")
    (tmp_path / "resolved.yaml").write_text(done.out)
    again, first = sim.load(tmp_path / "resolved.yaml"), sim.load(source)
    assert again.spec == first.spec
    assert again.in_force == first.in_force
    assert command("show", "resolved.yaml", "--resolved").out == done.out


def test_titles_are_not_markup(command: Command, tmp_path: Path) -> None:
    """Brackets in a title are brackets."""
    text = re.sub("title: .*", 'title: "A [bold]title[/bold] with [/] brackets"', Path(DESK).read_text())
    (tmp_path / "brackets.yaml").write_text(text)
    for arguments in (("show", "brackets.yaml"), ("run", "brackets.yaml", "--scale", "0.2")):
        done = command(*arguments)
        assert done.code == 0
        assert "A [bold]title[/bold] with [/] brackets" in done.out


# ---------------------------------------------------------------------------------------------------- schema, list, help
def plain(value: Any) -> Any:
    """YAML values as JSON has them."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def test_schema(command: Command) -> None:
    """A valid JSON Schema, to which everything that ships and every golden case holds, and a wrong key does not."""
    done = command("schema")
    assert (done.code, done.err) == (0, "")
    schema = json.loads(done.out)
    validator = jsonschema.validators.validator_for(schema)
    assert validator is jsonschema.Draft202012Validator
    validator.check_schema(schema)
    files = [*sim.shipped().values(), *GOLDEN.glob("*.yaml")]
    assert len(files) > 5
    for file in files:
        document = plain(YAML(typ="safe").load(file))
        assert [error.message for error in validator(schema).iter_errors(document)] == [], file.name
    document = plain(YAML(typ="safe").load(Path(DESK)))
    document["laddder"] = document.pop("ladder")
    assert list(validator(schema).iter_errors(document))


def test_list(command: Command) -> None:
    """Name, title, accounts and days of everything that ships."""
    done = command("list")
    assert (done.code, done.err) == (0, "")
    for name in sim.shipped():
        spec = sim.load(name).spec
        line = next(line for line in done.out.splitlines() if line.startswith(f"{name} "))
        assert spec.title in line
        assert f"{sum(segment.accounts for segment in spec.segments.values()):,}" in line
        assert line.rstrip().endswith(f"{spec.end_us / 86_400e6:g}")


def test_list_fits_a_narrow_terminal(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """In 80 columns names and numbers stay whole; titles are folded."""
    monkeypatch.setenv("COLUMNS", "80")
    lines = command("list").out.splitlines()
    assert max(map(len, lines)) <= 80
    names = {line.split(" ")[0] for line in lines}
    assert set(sim.shipped()) <= names
    assert any("1,120,003,500" in line for line in lines)


def test_help(command: Command) -> None:
    """Without a verb, help; an unknown verb is named, with the nearest one."""
    assert "Usage" in command().out + command().err
    done = command("--help")
    assert done.code == 0
    for verb in ("run", "validate", "show", "schema", "list"):
        assert verb in done.out
    done = command("runn")
    assert done.code == 2
    assert "No such command 'runn'" in done.error
    assert "run" in done.error
    out = command("run", "-h").out
    for option in (
        "--seed",
        "--replications",
        "--engine",
        "--scale",
        "--histories",
        "--out",
        "--csv",
        "--force",
        "--quiet",
    ):
        assert option in out


def test_pipes_that_close(tmp_path: Path) -> None:
    """`show … | head -1` ends without a traceback."""
    code = "from sim.cli import main; main()"
    line = f'"{sys.executable}" -c "{code}" show wechat_2022 --resolved | head -1'
    done = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout == "schema: 1\n"
    assert "Traceback" not in done.stderr
