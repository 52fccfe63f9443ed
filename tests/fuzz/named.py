"""Bad input that has a name, and sound input that is as slow as any may be; each is done in a process of its own for all, so that memory can be told.

python tests/fuzz/named.py FOLDER     makes and loads every case in an empty folder; ends with a line of JSON
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

from worker import peak_mebibytes

from sim.errors import ScenarioError
from sim.scenario import load

BASE = (HERE.parents[1] / "tests" / "invalid" / "unit_base.yaml").read_text(encoding="utf-8")
HEAD = "start: 2022-01-01\nhorizon: 1 year\nsegments: {a: {accounts: 1}}\n"
WHOLE = HEAD + "ladder: {start: s, states: {s: {}}}\n"
FULL = 2**20
Made = str | bytes | Callable[[Path], object]
"""The text of `case.yaml`, or what writes it and others into a folder."""


def states(count: int, first: str = "s", after: str = "1 d") -> str:
    """A ladder of so many states in a ring; each has an exit that leads to `first` and its number."""
    rows = (f"    s{i}: {{exits: {{e: {{to: {first}{(i + 1) % count}, after: {after}}}}}}}" for i in range(count))
    return HEAD + "ladder:\n  start: s0\n  states:\n" + "\n".join(rows) + "\n"


def phases(count: int, of: int) -> str:
    return "phases:\n" + "".join(
        f"  p{i}: {{from: 1 d, set: {{ladder.states.s{i % of}.activity: {i % 90}%}}}}\n" for i in range(count)
    )


def sweep(count: int) -> str:
    return f"sweep: {{vary: {{ladder.states.s0.activity: [{', '.join(str(i / 1000) for i in range(count))}]}}}}\n"


def large(segments: int = 50, ladder: int = 200, kinds: int = 8) -> str:
    """An honest scenario: so many segments and states, rates of every kind of violation as ranges."""
    lines = ["start: 2022-01-01", "horizon: 1 year", "segments:"]
    lines += [
        f"  segment {i}: {{accounts: 100000, audience: {{lognormal: {{median: 200, sigma: 1.5}}}}}}"
        for i in range(segments)
    ]
    lines.append("violations:")
    for kind in range(kinds):
        lines += [f"  kind {kind}:", "    rate:"]
        lines += [
            f"      segment {i}: {{low: 1 per year, best: 2 per year, high: 3 per year}}  # assumed"
            for i in range(segments)
        ]
        lines += [
            "    severity: {minor: 70%, serious: 25%, severe: 5%}",
            "    detection: {chance: {low: 10%, best: 30%, high: 50%}}",
        ]
    lines += ["ladder:", "  start: state 0", "  states:"]
    for i in range(ladder):
        near, far = (i + 1) % ladder, (i + 7) % ladder
        lines += [f"    state {i}:", "      activity: 50%", "      exits:"]
        lines += [
            f"        lapsed: {{to: state {near}, after: {{low: 3 days, best: 7 days, high: 30 days}}, chance: 30%}}"
        ]
        lines += [f"        renewed: {{to: state {far}, after: {{weibull: {{shape: 0.8, scale: 30 days}}}}}}"]
        lines += [
            f"      on_violation: {{minor: [state {near}, state {far}], serious: state {far}, severe: state {near}}}"
        ]
    return "\n".join(lines) + "\n"  # fmt: skip


def filled(before: str, unit: str, after: str = "", size: int = FULL) -> str:
    """A scenario that one thing fills up to a mebibyte."""
    count = (size - len((WHOLE + before + after).encode()) - 1) // len(unit.encode())
    return WHOLE + before + unit * count + after + "\n"


def _gibibyte(folder: Path) -> None:
    with (folder / "case.yaml").open("wb") as opened:
        opened.truncate(2**30)


def _loop_of_files(folder: Path) -> None:
    for name, other in (("case", "second"), ("second", "third"), ("third", "case")):
        (folder / f"{name}.yaml").write_text(f"extends: {other}.yaml\n", encoding="utf-8")


def _long_chain(folder: Path) -> None:
    for number in range(30):
        (folder / f"c{number}.yaml").write_text(f"extends: c{number + 1}.yaml\n", encoding="utf-8")
    (folder / "case.yaml").write_text("extends: c0.yaml\n", encoding="utf-8")


def _chain_of_full_files(folder: Path) -> None:
    for number in range(19):
        text = f"extends: c{number + 1}.yaml\n" + "#\n" * 180_000
        (folder / f"c{number}.yaml").write_text(text, encoding="utf-8")
    (folder / "case.yaml").write_text("extends: c0.yaml\n", encoding="utf-8")


def _chain_of_sets(folder: Path) -> None:
    (folder / "c5.yaml").write_text(states(1_000), encoding="utf-8")
    sets = "".join(f"  ladder.states.s{i}.activity: 5%\n" for i in range(1_000))
    for number in range(5):
        (folder / f"c{number}.yaml").write_text(f"extends: c{number + 1}.yaml\nset:\n{sets}", encoding="utf-8")
    (folder / "case.yaml").write_text("extends: c0.yaml\n", encoding="utf-8")


def _link_out(folder: Path) -> None:
    outside = folder.parent / f"outside_{folder.name}.yaml"
    outside.write_text(BASE, encoding="utf-8")
    (folder / "beside.yaml").symlink_to(outside)
    (folder / "case.yaml").write_text("extends: beside.yaml\n", encoding="utf-8")


def _link_to_itself(folder: Path) -> None:
    (folder / "beside.yaml").symlink_to(folder / "beside.yaml")
    (folder / "case.yaml").write_text("extends: beside.yaml\n", encoding="utf-8")


def _values_out_of_the_folder(folder: Path) -> None:
    (folder.parent / f"outside_{folder.name}.csv").write_text("days\n1\n2\n", encoding="utf-8")
    text = BASE.replace("20 minutes", f"{{empirical: {{file: ../outside_{folder.name}.csv}}}}")
    (folder / "case.yaml").write_text(text, encoding="utf-8")


def _values_by_the_million(folder: Path) -> None:
    rows = "".join(f"{i / 100}\n" for i in range(10_000))
    (folder / "v.csv").write_text("days\n" + rows, encoding="utf-8")
    (folder / "case.yaml").write_text(states(100, after="{empirical: {file: v.csv}}"), encoding="utf-8")


def _values_of_a_sweep_by_the_million(folder: Path) -> None:
    for number in range(40):
        rows = "".join(f"{i / 100 + number}\n" for i in range(10_000))
        (folder / f"v{number}.csv").write_text("days\n" + rows, encoding="utf-8")
    listed = ", ".join(f"{{empirical: {{file: v{number}.csv}}}}" for number in range(40))
    text = states(2) + f"sweep: {{vary: {{ladder.states.s0.exits.e.after: [{listed}]}}}}\n"
    (folder / "case.yaml").write_text(text, encoding="utf-8")


def _pipe(folder: Path) -> None:
    import os

    os.mkfifo(folder / "case.yaml")


BOMB = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{name}'] * 8)}]\n" for name, after in zip("abcdefgh", "bcdefghi", strict=True)
)
SHALLOW_BOMB = HEAD + "ladder:\n  start: s0\n  states:\n    s0: &s {exits: {" + ", ".join(
    f"e{i}: {{to: s{i}, after: 1 d}}" for i in range(40)) + "}}\n" + "".join(f"    s{i}: *s\n" for i in range(1, 900))  # fmt: skip

REFUSED: dict[str, tuple[Made, str]] = {
    "YAML bomb": (BOMB, "expands to more than"),
    "YAML bomb of states": (SHALLOW_BOMB, "expands to more than"),
    "alias of itself": (HEAD + "x: &a [*a]\n", "stands for something that contains it"),
    "deep nesting": (HEAD + "x: " + "[" * 5_000, "nested more than 50"),
    "deep nesting of a mebibyte": (filled("x: ", "["), "nested more than 50"),
    "double key": (BASE + "horizon: 1 day\n", "is written twice"),
    "double keys by the thousand": (filled("", "a:\n", size=500_000), "is written twice"),
    "tag of Python": ("title: !!python/object/apply:os.system [x]\n" + HEAD, "has the tag"),
    "tag of its own": (BASE.replace("20 minutes", "!run 20 minutes"), "has the tag"),
    "merge key": (BASE.replace("banned: {activity: 0}", "banned: {<<: {activity: 0}}"), "merge keys"),
    "not a number": (BASE.replace("20 minutes", ".nan"), "no unit|not a duration"),
    "not a number as a chance": (BASE.replace("chance: 30%", "chance: .nan"), "finite|not a number"),
    "infinity": (BASE.replace("20 minutes", "{lognormal: {median: 1 day, sigma: .inf}}"), "infinite|finite|not a number"),
    "infinite rate": (BASE.replace("4 per year", ".inf per day"), "not a rate"),
    "infinitely many accounts": (BASE.replace("accounts: 50", "accounts: .inf"), "finite"),
    "negative duration": (BASE.replace("20 minutes", "-3 days"), "out of bounds"),
    "enormous duration": (BASE.replace("20 minutes", "1e30 years"), "too long"),
    "enormous number": (BASE.replace("20 minutes", "9" * 4_000 + " days"), "not a duration|not a number|digits"),
    "date that is not": (BASE.replace("2023-01-01", "2023-02-30"), "not in the calendar"),
    "date before all dates": (BASE.replace("2023-01-01", "0000-01-01"), "not in the calendar"),
    "date after all dates": (BASE.replace("2023-01-01", "10000-01-01"), "not a date"),
    "end after the year 9999": (BASE.replace("2023-01-01", "9999-12-01"), "after the year 9999"),
    "horizon of a million years": (BASE.replace("90 days", "1000000 years"), "too long|too far"),
    "loop of files": (_loop_of_files, "extend each other in a loop: case.yaml -> second.yaml -> third.yaml -> case.yaml"),
    "long chain of files": (_long_chain, "at most 20 files"),
    "chain of full files": (_chain_of_full_files, "more than 200,000 words"),
    "file above the folder": ("extends: ../case.yaml\n", "leaves the folder"),
    "file by its whole path": ("extends: /etc/hostname.yaml\n", "leaves the folder"),
    "link out of the folder": (_link_out, "leaves the folder"),
    "link to itself": (_link_to_itself, "leaves the folder|there is no file"),
    "observed values above the folder": (_values_out_of_the_folder, "leaves the folder"),
    "observed values by the million": (_values_by_the_million, "more than 50,000 values"),
    "observed values of a sweep by the million": (_values_of_a_sweep_by_the_million, "more than 50,000 values"),
    "file of a gibibyte": (_gibibyte, "has 1,073,741,824 bytes"),
    "pipe": (_pipe, "is not a file"),
    "bytes that are not UTF-8": (BASE.encode().replace(b"A small", b"A sm\xe4ll"), "is not UTF-8"),
    "text in UTF-16": (BASE.encode("utf-16"), "is not UTF-8"),
    "control characters": (BASE.replace("A small", "A \x07small"), "a character that YAML does not allow"),
    "half a character": (BASE.replace("A small ladder", '"\\ud800"'), "half a character|is not YAML"),
    "a million states": ("ladder: {states: {" + ", ".join(f"s{i}: {{}}" for i in range(1_000_000)) + "}}", "at most 1,048,576 bytes"),
    "as many states as fit into a file": (states(20_000), "32,000 keys and values"),
    "misspelt names by the thousand": (states(1_500, "t"), "is not a state"),
    "phases by the hundred": (states(1_500) + phases(900, 900), "make 900 variants"),
    "values of a sweep": (states(1_500) + sweep(900), "makes 900 variants"),
    "phases and values of a sweep": (states(300) + phases(40, 300) + sweep(60), "makes 60 variants"),
    "paths of a set": ("extends: wechat_2022\nset:\n" + "".join(f"  q{i}: 1\n" for i in range(2_001)), "sets 2,001 paths"),
    "directives": ("%A\n" * 150_000 + "--- {}\n", "percent sign"),
    "documents": (filled("", "---\n", size=600_000), "second document"),
    "tags by the thousand": (filled("x: [", "!a ,", "a]", size=600_000), "has the tag"),
    "aliases by the thousand": (filled("x: [", "*b,", "a]"), "there is no such anchor"),
    "list of a mebibyte": (filled("x: [", "a,", "a]"), "32,000 keys and values"),
    "words of a mebibyte": (filled("title: ", "a "), "more than 200,000 words"),
    "text without an end": (filled('title: "', "a\n ", size=500_000), "not YAML"),
    "title that is over a mebibyte when written out": (filled('title: "', "\\0", '"'), "when written out"),
}  # fmt: skip
SOUND: dict[str, Made] = {
    "200 states and 50 segments": large(),
    "200 states and 50 segments in 15 phases": large() + "phases:\n" + "".join(
        f"  p{i}: {{from: {i} d, set: {{ladder.states.state {i}.activity: 5%}}}}\n" for i in range(15)),
    "as many states as may be": states(1_450),
    "as many phases as may be": states(1_000) + phases(20, 1_000),
    "as many values of a sweep as may be": states(1_000) + sweep(20),
    "small with 180 phases": states(6) + phases(180, 6),
    "chain of sets": _chain_of_sets,
    "observed values in full": lambda folder: (_values_by_the_million(folder), (folder / "case.yaml").write_text(
        states(3, after="{empirical: {file: v.csv}}"))),
    "comments of a mebibyte": filled("", "# " + "x" * 98 + "\n"),
    "blank lines of a mebibyte": filled("", "\n"),
    "escapes of a mebibyte": filled('title: "', "\\x41", '"'),
}  # fmt: skip
"""As large as honest files get, and larger: these are valid, and no slower than what is refused."""


def source_of(made: Made, folder: Path) -> Path:
    """The file of a case, written into a folder of its own."""
    file = folder / "case.yaml"
    if callable(made):
        made(folder)
    else:
        file.write_bytes(made if isinstance(made, bytes) else made.encode("utf-8", "surrogatepass"))
    return file


def told_of(file: Path) -> dict[str, object]:
    """How long it took to load, and what was told."""
    began = time.process_time()
    try:
        load(file)
        told = ""
    except ScenarioError as error:
        told = "\n".join(map(str, error.faults[:20]))
        for fault in error.faults:
            assert fault.file
            assert fault.file.endswith(".yaml") or fault.file.endswith(".csv"), fault
            assert fault.problem
            assert fault.remedy
            assert fault.line is None or fault.line >= 1
    return {"seconds": time.process_time() - began, "told": told}


def main() -> None:
    cases: dict[str, Made] = {name: made for name, (made, _) in REFUSED.items()} | SOUND
    found = {}
    for number, (name, made) in enumerate(cases.items()):
        folder = Path(sys.argv[1]) / f"case{number}"
        folder.mkdir()
        found[name] = told_of(source_of(made, folder))
    print(json.dumps({"cases": found, "memory_mib": peak_mebibytes()}))


if __name__ == "__main__":
    main()
