"""Write `<name>.expected` anew for every bad file here; read the difference before keeping it."""

from pathlib import Path

from sim.errors import ScenarioError
from sim.scenario import load

HERE = Path(__file__).parent
BASES = {"unit_base", "bad_base"}


def main() -> None:
    for path in sorted(HERE.glob("*.yaml")):
        if path.stem in BASES:
            continue
        try:
            load(path)
        except ScenarioError as error:
            told = str(error).replace(f"{path.parent}/", "") + "\n"
            path.with_suffix(".expected").write_text(told, encoding="utf-8")
        else:
            raise SystemExit(f"{path.name} is not refused")


if __name__ == "__main__":
    main()
