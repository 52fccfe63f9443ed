"""The STRESS-DES checklist as a report shows it: the Markdown of `sim.views.stress` as HTML.

The Markdown is ours, and texts of a scenario are escaped in it (`sim.views.markdown`). HTML in it stays text all the same, and a link leads
nowhere but to a web page.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup

from sim.scenario import Scenario
from sim.views.stress import checklist


@dataclass(frozen=True)
class Checked:
    """One item of a reporting checklist: its number, what it asks, what is said, and whether a person has still to say it."""

    number: str
    title: str
    said: Markup
    missing: bool = False


def checked(scenario: Scenario, manifest: Mapping[str, Any]) -> tuple[Checked, ...]:
    """Every item, filled in from a scenario and the manifest of what was done with it."""
    return tuple(
        Checked(item.number, item.title, _html(item.text, item.title), bool(item.missing))
        for item in checklist(scenario, manifest)
    )


def _html(text: str, label: str) -> Markup:
    """HTML that may stand in a page: the renderer escapes all text and lets no HTML through."""
    return Markup(_markdown().render(text, {"label": label}))


@cache
def _markdown() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable("table")
    made.add_render_rule("table_open", _table_open)
    made.add_render_rule("table_close", _table_close)
    made.add_render_rule("fence", _fence)
    return made


def _table_open(
    self: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: MutableMapping[str, Any],
) -> str:
    """A table that is too wide is scrolled, by keyboard too."""
    return f'<div class="scroll" tabindex="0" role="region" aria-label="{Markup.escape(env["label"])}"><table>\n'


def _table_close(
    self: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: MutableMapping[str, Any],
) -> str:
    return "</table></div>\n"


def _fence(
    self: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    options: OptionsDict,
    env: MutableMapping[str, Any],
) -> str:
    """A diagram, as the text that draws it."""
    return f'<pre tabindex="0" aria-label="{Markup.escape(env["label"])}"><code>{Markup.escape(tokens[index].content)}</code></pre>\n'
