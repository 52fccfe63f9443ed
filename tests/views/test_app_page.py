"""The page of the app without a browser: widgets in, numbers out, and no session sees another's."""

from __future__ import annotations

import html
import re
import socket
import time
from functools import cache
from pathlib import Path

import pytest
import streamlit
from markdown_it import MarkdownIt
from streamlit.testing.v1 import AppTest

import sim
from sim.views.app import picture, sample, serving, sources
from sim.views.app.picture import Pictures, percent
from sim.views.app.sources import of_catalogue
from sim.views.app.what_if import WhatIf

DEADLINE = "ladder.states.rectifying.exits.deadline.after"
PAGE = str(serving.PAGE)
GOLDEN = Path(__file__).parents[1] / "golden"


def page() -> AppTest:
    """The page as it first comes."""
    shown = AppTest.from_file(PAGE, default_timeout=120).run()
    assert not shown.exception
    return shown


def slider(shown: AppTest, path: str):  # type: ignore[no-untyped-def]
    """The slider of a path."""
    return next(widget for widget in shown.sidebar.slider if widget.key.endswith(f":{path}"))


def numbers(shown: AppTest, column: str) -> list[str]:
    """A column of the headlines."""
    return [str(value) for value in shown.table[0].value[column]]


def test_a_moved_slider_gives_the_numbers_of_the_command_line(tmp_path: Path) -> None:
    """The what-if file that the page offers, run by itself, has the ban rates that the page shows."""
    shown = page()
    before = numbers(shown, "baseline")
    assert "what-if" not in shown.table[0].value.columns
    slider(shown, DEADLINE).set_value(3.0).run()
    assert not shown.exception
    assert numbers(shown, "baseline") == before
    base = of_catalogue("wechat_2022")
    what_if = WhatIf(base, "wechat_2022", {DEADLINE: "3 days"})
    assert any(f"`{DEADLINE}: 3 days`" in block.value for block in shown.markdown)
    file = tmp_path / "x.yaml"
    file.write_text(what_if.text(sample.sample(base, what_if.scenario()).changes), encoding="utf-8")
    summary = sim.run(str(file), seed=1).summary
    rates = summary[(summary["measure"] == "ban_rate") & (summary["segment"] != "")]["value"]
    assert numbers(shown, "what-if") == [percent(rate) for rate in rates] != before


def test_sliders_go_back() -> None:
    """The button forgets what was moved and typed."""
    shown = page()
    slider(shown, DEADLINE).set_value(3.0).run()
    shown.sidebar.text_area[0].set_value("ladder.strikes.expire: 60 days").run()
    assert len([block for block in shown.markdown if DEADLINE in block.value and "60 days" in block.value]) == 1
    next(button for button in shown.sidebar.button if "back" in button.label).click().run()
    assert not shown.exception
    assert slider(shown, DEADLINE).value == 7.0
    assert "what-if" not in shown.table[0].value.columns


def test_faults_are_those_of_the_command_line() -> None:
    """In the same words, and nothing is drawn from them."""
    shown = page()
    shown.sidebar.text_area[0].set_value("ladder.strikes.expiry: 60 days\nobserve: often").run()
    assert not shown.exception
    with pytest.raises(sim.ScenarioError) as caught:
        sim.load("wechat_2022").with_values({"ladder.strikes.expiry": "60 days", "observe": "often"})
    assert [block.value for block in shown.code] == [str(caught.value)]
    assert "did you mean `expire`?" in shown.code[0].value
    assert not shown.table


@pytest.mark.parametrize("view", ["States", "Flows", "Desks", "Differences"])
def test_every_view(view: str) -> None:
    """Each is drawn, with a what-if."""
    shown = page()
    slider(shown, DEADLINE).set_value(3.0).run()
    next(radio for radio in shown.radio if view in radio.options).set_value(view).run()
    assert not shown.exception
    assert len(shown.subheader) >= 2


def test_titles_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """No markup of a scenario reaches the page as markup."""
    hostile = sim.load("wechat_2022").with_values(
        {"title": "<script>alert(1)</script> ![x](http://x.test/y) :red[z] $a$"}
    )
    text = hostile.resolved_yaml()
    monkeypatch.setattr(sources, "of_catalogue", lambda name: sim.loads(text, name=name))
    shown = page()
    assert shown.title[0].value == (r"\<script\>alert\(1\)\</script\> \!\[x\]\(http\://x\.test/y\) \:red\[z\] \$a\$")


def test_sessions_do_not_meet() -> None:
    """What one moves, another does not see."""
    one, other = page(), page()
    slider(one, DEADLINE).set_value(3.0).run()
    other.run()
    assert "what-if" in one.table[0].value.columns
    assert "what-if" not in other.table[0].value.columns
    assert slider(other, DEADLINE).value == 7.0


def test_all_accounts_can_be_run_and_stopped() -> None:
    """The run is of this session; once stopped, the page offers it again."""
    shown = page()
    next(button for button in shown.button if button.label == "Run all accounts").click().run()
    assert not shown.exception
    _, job = shown.session_state["whole"]
    next(button for button in shown.button if button.label == "Stop this run").click().run()
    end = time.monotonic() + 30
    while job.state in ("waiting", "running") and time.monotonic() < end:
        time.sleep(0.05)
    assert job.state == "stopped"
    shown.run()
    assert not shown.exception
    assert any("stopped" in told.value for told in shown.info)
    assert any(button.label == "Run all accounts" for button in shown.button)


def golden(monkeypatch: pytest.MonkeyPatch, most: int) -> tuple[sim.Scenario, AppTest]:
    """The page of a small scenario, of which a sample has at most so many accounts."""
    small = sim.load(GOLDEN / "timeline.yaml")
    monkeypatch.setattr(sources, "of_catalogue", lambda name: small)
    monkeypatch.setattr(sample, "MOST_ACCOUNTS", most)
    monkeypatch.setattr(picture, "pictures", cache(Pictures))  # none of another sample
    return small, page()


def labels(shown: AppTest) -> list[str]:
    """What can be pressed and downloaded."""
    return [widget.label for widget in (*shown.button, *shown.get("download_button"))]


def test_a_small_scenario_is_drawn_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is nothing more to run, and one what-if file."""
    small, shown = golden(monkeypatch, 10_000)
    total = sum(segment.accounts for segment in small.spec.segments.values())
    assert f"All {total:,} accounts." in [block.value for block in shown.markdown]
    assert "Run all accounts" not in labels(shown)
    assert "What-if file, all accounts" in labels(shown)
    assert "What-if file, as pictured" not in labels(shown)


def test_all_accounts_take_the_place_of_the_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once they have been run, and their numbers are those of the command line."""
    small, shown = golden(monkeypatch, 60)
    total = sum(segment.accounts for segment in small.spec.segments.values())
    assert [block.value for block in shown.markdown if f" of {total:,} accounts: " in block.value]
    next(button for button in shown.button if button.label == "Run all accounts").click().run()
    shown.session_state["whole"][1].join(60)
    shown.run()
    assert not shown.exception
    assert f"All {total:,} accounts." in [block.value for block in shown.markdown]
    summary = sim.run(small, seed=1).summary
    assert numbers(shown, "baseline") == [
        percent(rate) for rate in summary.loc[summary["measure"] == "ban_rate", "value"]
    ]


def test_a_run_of_all_accounts_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """In its words, and not as markup; the sample stays, and the run can be begun again."""
    honest = picture.draw

    def draw(*scenarios: object, most: int | None = None) -> object:
        if most is None:
            raise MemoryError("no *room*")
        return honest(*scenarios, most=most)  # type: ignore[arg-type]

    monkeypatch.setattr(picture, "draw", draw)
    _, shown = golden(monkeypatch, 60)
    next(button for button in shown.button if button.label == "Run all accounts").click().run()
    shown.session_state["whole"][1].join(60)
    shown.run()
    assert not shown.exception
    assert [told.value for told in shown.error] == [r"The run of all accounts failed\: no \*room\*"]
    assert "Run all accounts" in labels(shown)
    assert shown.table


def test_without_streamlit_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything else is looked at."""
    monkeypatch.setattr(serving, "find_spec", lambda name: None)
    with pytest.raises(sim.errors.RunError, match="pip install 'enforcement-sim\\[app\\]'"):
        serving.check_ready(8600)


def test_what_streamlit_is_told() -> None:
    """Only this machine, nothing sent out, uploads bounded, no files watched or served."""
    told = serving.settings(8600)
    assert told["server.address"] == "127.0.0.1"
    assert told["server.allowedHosts"] == ["127.0.0.1", "localhost"]
    assert told["browser.gatherUsageStats"] is False
    assert told["server.fileWatcherType"] == "none"
    assert told["server.maxUploadSize"] == 1
    assert told["server.enableXsrfProtection"] is told["server.enableCORS"] is True
    assert told["server.enableStaticServing"] is False
    assert (told["server.port"], told["server.headless"]) == (8600, True)


def test_a_streamlit_that_cannot_be_told_of_headers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The app does not start without them."""
    import streamlit

    monkeypatch.delattr(streamlit, "App")
    with pytest.raises(sim.errors.RunError, match="newer Streamlit"):
        serving.served_app(8600, browser=False)


def test_a_port_that_is_taken_is_told() -> None:
    """Before anything is loaded or compiled."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(sim.errors.RunError, match="cannot be had"):
            serving.check_ready(taken.getsockname()[1])


def test_answers_are_sent_at_once() -> None:
    """Connections to the port that is served do not wait for acknowledgements; others do as they did, and no open file is closed or added."""
    with socket.socket() as served, socket.socket() as other:
        for each in (served, other):
            each.bind(("127.0.0.1", 0))
            each.listen()
        files = sorted(serving.OPEN_FILES.iterdir())
        serving.send_at_once(served.getsockname()[1])
        assert sorted(serving.OPEN_FILES.iterdir()) == files
        for listening, at_once in ((served, True), (other, False)):
            with socket.create_connection(listening.getsockname()), listening.accept()[0] as connection:
                assert bool(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) is at_once


def test_ten_users_at_once() -> None:
    """Each sees what they moved, and each the same baseline; the pictures that are kept are bounded.

    All ten pages are open, and are drawn by turns: Streamlit's `AppTest` puts a runtime of its own in place for the whole process while it draws, so
    that threads of them disturb each other on a slow machine. `tests/browser` has ten users at the very same time.
    """
    asked = [3.0 + 0.5 * (user % 5) for user in range(10)]
    opened = [page() for _ in asked]
    for shown, days in zip(opened, asked, strict=True):
        slider(shown, DEADLINE).set_value(days)
    seen = []
    for shown in [*(shown.run() for shown in opened[::-1])][::-1]:
        assert not shown.exception
        told = next(
            found[1] for block in shown.markdown if (found := re.search(rf"`({DEADLINE}: [^`]+)`", block.value))
        )
        seen.append((numbers(shown, "baseline"), numbers(shown, "what-if"), told))
    assert [told for _, _, told in seen] == [f"{DEADLINE}: {days:g} days" for days in asked]
    assert len({tuple(baseline) for baseline, _, _ in seen}) == 1
    for (_, rates, _), (_, again, _) in zip(seen[:5], seen[5:], strict=True):
        assert rates == again
    assert len({tuple(rates) for _, rates, _ in seen}) == 5


@pytest.mark.parametrize("text", ["plain", "a `b` c", "``", "`", "x\n# no heading", "a  b", "$x$ :smile: **b** <b>"])
def test_text_stays_code(text: str) -> None:
    """No run of its own letters ends it, and it is one line."""
    from sim.views.app.page import code

    rendered = MarkdownIt("commonmark").render(code(text))
    assert html.unescape(rendered) == f"<p><code>{' '.join(text.split())}</code></p>\n"


def test_a_browser_is_told_which_scripts_it_will_need() -> None:
    """They are there, none is of a component that the page does not show, and those that it loads anyway are left out."""
    named = re.findall(r"<\./([^>]+)>; rel=modulepreload; crossorigin", serving.preloads())
    folder = Path(streamlit.__file__).parent / "static"
    assert all((folder / name).is_file() for name in named)
    assert any("ArrowVegaLiteChart" in name for name in named)
    assert not [name for name in named if re.search("Plotly|DeckGl|SyntaxHighlighter|index", name)]
    assert len(named) == len(set(named)) > len(serving.SHOWN)


def test_without_the_list_of_scripts_nothing_is_preloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Streamlit that keeps its files elsewhere is served all the same."""
    monkeypatch.setattr(streamlit, "__file__", str(tmp_path / "__init__.py"))
    assert serving.preloads() == ""
