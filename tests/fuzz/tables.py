"""CSV tables gone wrong: histories for `fit`, targets for `calibrate`, observed durations."""

from __future__ import annotations

from pathlib import Path
from random import Random

from mutations import CHUNKS, TESTS

CELLS = (
    *("nan", "inf", "-inf", "1e400", "-1", "0", "1e308", "NaT", "null", "", " ", '"', '""', "a,b", "9" * 70, "\u0663", "1_0", "0x1"),
    *("2022-02-30", "9999-12-31", "0000-01-01", "2022-06-20T12:00:00+99:00", "2022-06-20T12:00:00Z", "12:00", "1 day", "50%", "é"),
    *("ban_rate", "ban_rate@end", "ban_rate:media", "occupancy_share:media:banned@9 days", "@", "::", "banned", "compliant", "days"),
    *("account", "time", "state", "segment", "measure", "value", "standard error", "x" * 5000, "\x00", "=1+1", "../x", "a.b"),
)  # fmt: skip
HISTORIES = (
    "account,time,state,segment\n1,0,free,a\n1,3.5,limited,a\n1,9,free,a\n2,0,free,b\n2,4,banned,b\n3,1,free,a\n3,20,,a\n",
    "account,time,state\nx,2022-01-01,free\nx,2022-01-05T12:00:00,limited\ny,2022-01-02,free\ny,2022-02-01,free\n",
)
TARGETS = (
    "measure,segment,state,at,value,standard error,source\nban_rate,,,end,2%,0.1%,a report\noccupancy_share,,banned,1 days,0.1,0.05,\n",
    "measure,value,standard error\nban_rate@end,0.01,0.001\nbanned_share,1%,0.2%\n",
)


def observed() -> tuple[str, ...]:
    return tuple(
        (TESTS / "scenario" / name).read_text(encoding="utf-8") for name in ("days.csv", "durations.csv", "readers.csv")
    )


def mutated(seeds: tuple[str, ...], family: str, number: int) -> bytes:
    """A table with cells, lines and bytes changed; made from its number alone."""
    rng = Random(f"{family} {number}")
    lines = [line.split(",") for line in rng.choice(seeds).splitlines()]
    for _ in range(rng.choice((1, 1, 2, 5))):
        row = rng.choice(lines) if lines else [""]
        match rng.randrange(7):
            case 0 if lines:
                lines.remove(row)
            case 1:
                lines.insert(rng.randrange(len(lines) + 1), list(row))
            case 2:
                row.append(rng.choice(CELLS))
            case 3:
                row.pop()
                row or row.append("")
            case 4:
                rng.shuffle(lines)
            case _:
                row[rng.randrange(len(row))] = rng.choice(CELLS)
    text = bytearray("\n".join(",".join(row) for row in lines).encode())
    if rng.random() < 0.2:
        at = rng.randrange(len(text) + 1)
        text[at : at + rng.choice((0, 1, 20))] = rng.choice((*CHUNKS, rng.randbytes(3)))
    return bytes(text)


def written(folder: Path, text: bytes) -> Path:
    """The table as a file."""
    file = folder / "case.csv"
    file.write_bytes(text)
    return file
