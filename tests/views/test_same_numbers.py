"""One run, told in four places: the table, the report, the app and a notebook hold the same numbers.

Notebook 2 asks what a limit of three days does to media and platforms, which it and the app's sample keep whole; so both speak of the very accounts
that a run of the app's what-if file lives, and every number must be the same to the last digit shown.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

import sim
from sim.views import words
from sim.views.app.picture import percent
from sim.views.app.sample import sample
from sim.views.app.serving import PAGE
from sim.views.app.sources import of_catalogue
from sim.views.app.what_if import WhatIf

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "02_what_if_deadline.ipynb"
DEADLINE = "ladder.states.rectifying.exits.deadline.after"
WHOLE = ("official_media", "nft_platforms")
"""Segments that are whole in notebook and app."""


def of_notebook() -> dict[str, str]:
    """Segment -> ban rate with three days, as the committed notebook prints it."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    printed = "".join(text for cell in cells for made in cell.get("outputs", ()) for text in made.get("text", ()))
    return dict(re.findall(r"^(\w+) +[\d.]+% -> +([\d.]+%): ", printed, flags=re.M))


def of_app() -> dict[str, str]:
    """Segment -> ban rate of the what-if, as the page shows it."""
    shown = AppTest.from_file(str(PAGE), default_timeout=120).run()
    slider = next(widget for widget in shown.sidebar.slider if widget.key.endswith(f":{DEADLINE}"))
    slider.set_value(3.0).run()
    assert not shown.exception
    return {str(segment): str(text) for segment, text in shown.table[0].value["what-if"].items()}


def of_report(page: str, segments: list[str]) -> tuple[dict[str, float], dict[str, float], dict[str, str]]:
    """Segment -> ban rate in the numbers that lie in a report, in its headline table, and as that is read."""
    numbers = json.loads(re.findall(r'<script type="application/json" id="numbers">(.*?)</script>', page, re.S)[0])
    lying = {row["segment"]: row["value"] for row in numbers["summary"] if row["measure"] == "ban_rate"}
    table = page[page.index("<caption><span>Shares of the accounts") :].split("</table>")[0]
    cells = {
        name: re.findall(rf'>{name}</th><td class="n" data-value="([^"]+)">([^<]+)', table)[0] for name in segments
    }
    return (
        lying,
        {name: float(value) for name, (value, _) in cells.items()},
        {name: text for name, (_, text) in cells.items()},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of the app's what-if file, as the verb leaves them."""
    base = of_catalogue("wechat_2022")
    what_if = WhatIf(base, "wechat_2022", {DEADLINE: "3 days"})
    place = tmp_path_factory.mktemp("same")
    file = place / "x.yaml"
    file.write_text(what_if.text(sample(base, what_if.scenario()).changes), encoding="utf-8")
    sim.run(str(file), seed=1, out=place / "out")
    return place / "out"


def test_table_report_app_and_notebook_agree(folder: Path) -> None:
    """Every segment in table, report and app; in the notebook those that it keeps whole."""
    table = pd.read_csv(folder / "summary.csv", keep_default_na=False)
    rows = table[(table["measure"] == "ban_rate") & (table["segment"] != "")]
    rates = {str(row["segment"]): float(row["value"]) for row in rows.to_dict("records")}
    assert len(rates) == 4
    lying, shown, told = of_report((folder / "report.html").read_text(encoding="utf-8"), list(rates))
    assert {name: lying[name] for name in rates} == rates
    assert shown == rates
    assert told == {name: words.percent(rate) for name, rate in rates.items()}
    assert of_app() == {name: percent(rate) for name, rate in rates.items()}
    printed = of_notebook()
    assert {name: printed[name] for name in WHOLE} == {name: f"{rates[name]:.4%}" for name in WHOLE}
