"""The page of the app: widgets in, pictures out. What they mean is in the modules beside this one.

Streamlit runs this file from top to bottom for each change in a browser, with a state of its own for each session. What sessions share is a cache of
pictures, keyed by what the scenarios say, and the room for runs.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import streamlit as st

from sim.errors import ScenarioError
from sim.scenario import Scenario
from sim.views.app import sources
from sim.views.app.jobs import Job, StoppedError, within
from sim.views.app.knobs import GROUPS, Knob, knobs
from sim.views.app.panels import PANELS, Asked, drawings
from sim.views.app.picture import ALL, HEADLINES, SEED, Picture, draw, headlines, pictures
from sim.views.app.sample import MOST_ACCOUNTS, accounts_of, words_of
from sim.views.app.taking import archive, comparison_report, report
from sim.views.app.what_if import WhatIf, moved, typed

UNFADED = "<style>[data-stale='true'] { opacity: 1 !important; }</style>"
"""What waits to be drawn anew stays as readable as it was; Streamlit fades it to a third, below what eyes need."""
QUICK_SECONDS = 20.0  # a picture that takes longer is left to the run of all accounts


@dataclass(frozen=True)
class Room:
    """How many runs there may be at once, whoever asks for them."""

    quick: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(2))
    whole: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(1))


@st.cache_resource(max_entries=1, show_spinner=False)
def room() -> Room:
    """The room that all sessions share."""
    return Room()


def quick_picture(base: Scenario, other: Scenario, seed: int) -> Picture:
    """A picture of a sample, kept for all sessions."""

    def made() -> Picture:
        with room().quick:
            return draw(base, other, seed, within(QUICK_SECONDS), most=MOST_ACCOUNTS)

    return pictures().get(base, other, seed, made)


def escaped(text: str) -> str:
    """Text that Markdown leaves as it is."""
    return re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])", r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """Text as code within Markdown. `st.code` would have a browser load the colours of two hundred languages before it draws anything."""
    flat = " ".join(text.split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", flat)), default=0))
    return f"{fence} {flat} {fence}" if "`" in flat else f"{fence}{flat}{fence}"


def refuse(error: ScenarioError) -> None:
    """Show faults as the command line prints them, and go no further."""
    st.error("This cannot be run:")
    st.code(str(error), language=None, wrap_lines=True)
    st.stop()


def chosen() -> tuple[Scenario, str]:
    """The scenario that is picked or handed in, and how a file extends it."""
    names = sources.catalogue()
    name = st.sidebar.selectbox("Scenario", names, index=names.index(sources.FIRST))
    upload = st.sidebar.file_uploader(
        "Or a scenario file of your own",
        type=["yaml", "yml"],
        max_upload_size=1,
        help="YAML, at most 1 MiB. It is read here and kept nowhere.",
    )
    if upload is not None:
        return sources.of_upload(upload.name, upload.getvalue()), sources.bare(upload.name)
    return sources.of_catalogue(name), name


def slider(knob: Knob, key: str) -> float | str:
    """The widget of a knob."""
    if knob.choices:
        return str(st.select_slider(knob.label, knob.choices, value=knob.choices[-1], key=key))
    shown = f"%.{knob.places}f {knob.unit.replace('%', '%%')}".strip()
    return float(st.slider(knob.label, knob.low, knob.high, knob.value, knob.step, format=shown, key=key))


def amounts_of(found: list[Knob], prefix: str) -> dict[str, float | str]:
    """Path -> where its slider stands."""
    amounts: dict[str, float | str] = {}
    for group in GROUPS:
        members = [knob for knob in found if knob.group == group]
        if members:
            with st.sidebar.expander(group, expanded=group == GROUPS[0]):
                amounts |= {knob.path: slider(knob, f"{prefix}:{knob.path}") for knob in members}
    return amounts


def put_back(found: list[Knob], prefix: str) -> None:
    """Move every slider to where the scenario has it, and forget what was typed."""
    for knob in found:
        st.session_state[f"{prefix}:{knob.path}"] = knob.start
    st.session_state[f"{prefix}:typed"] = ""


def asked() -> tuple[WhatIf, int]:
    """What the sidebar says: a what-if and a seed."""
    base, extends = chosen()
    prefix = base.sha256()[:12]
    found = knobs(base)
    seed = int(st.sidebar.number_input("Seed", 0, 2**53 - 1, SEED, 1, help="The same seed draws the same lives."))
    st.sidebar.button("Put all sliders back", on_click=put_back, args=(found, prefix), width="stretch")
    changes = moved(found, amounts_of(found, prefix))
    with st.sidebar.expander("Any other value"):
        lines = st.text_area(
            "Changes, one a line",
            key=f"{prefix}:typed",
            placeholder="ladder.strikes.expire: 60 days",
            help="`path: value`, as under `set:` of a scenario file. What is typed here comes before the sliders.",
            max_chars=10_000,
        )
    return WhatIf(base, extends, {**changes, **typed(lines)}), seed


def told(what_if: WhatIf) -> None:
    """The question, and what has been changed."""
    spec = what_if.base.spec
    st.title(escaped(spec.title or what_if.base.name), anchor=False)
    if spec.purpose:
        st.markdown(escaped(spec.purpose))
    if what_if.changes:
        changes = [f"- {code(f'{path}: {value}')}" for path, value in what_if.changes.items()]
        st.markdown("\n".join(["**What if**", "", *changes]))
    else:
        st.info("Move a slider on the left: the what-if appears beside the baseline.")


def asked_of(picture: Picture, view: str, measure: str, changed: bool) -> Asked:
    """What the reader wants to see of a picture, by the widgets that the view has."""
    segments = list(picture.baseline.scenario.spec.segments)
    everyone = [ALL] if picture.sample.even and len(segments) > 1 else []
    segment, log = ALL, False
    if view in ("States", "Flows"):
        last = len(segments) - 1 if not everyone else 0  # the last segment is as a rule the one that a rule is about
        segment = st.selectbox("Segment", [*everyone, *segments], index=last)
    if view == "Ban rates":
        log = st.toggle("Logarithmic axis", value=len(segments) > 1)
    return Asked(measure, segment, log, changed)


def show(picture: Picture, changed: bool) -> None:
    """The numbers by segment, and one view of pictures."""
    st.markdown(words_of(picture.sample))
    measure = st.radio("Share of accounts", list(HEADLINES), format_func=HEADLINES.__getitem__, horizontal=True)
    st.table(headlines(picture, measure, changed=changed).set_index("segment"))
    view = st.radio("Pictures", list(PANELS), horizontal=True)
    wanted = asked_of(picture, view, measure, changed)
    for drawing in drawings(picture, view, wanted):
        st.subheader(escaped(drawing.heading), anchor=False)
        if drawing.chart is not None:
            st.vega_lite_chart(spec=drawing.chart, theme=None)
        if drawing.table is not None and len(drawing.table):
            st.table(drawing.table)


def start(what_if: WhatIf, key: tuple[str, str, str], seed: int) -> None:
    """Begin a run of all accounts; one that is under way in this session stops."""
    stop()
    base, other = what_if.base, what_if.scenario()
    st.session_state.whole = (key, Job(lambda progress: draw(base, other, seed, progress), room().whole))


def stop() -> None:
    """Stop this session's run of all accounts."""
    if "whole" in st.session_state:
        st.session_state.whole[1].stop()


@st.fragment(run_every=0.5)
def watch() -> None:
    """Progress of a run of all accounts; when it has ended, the page is drawn with it."""
    job: Job[Picture] = st.session_state.whole[1]
    state = job.state
    if state in ("waiting", "running"):
        words = "Waiting for another run to end" if state == "waiting" else f"Running all accounts: {job.share:.0%}"
        st.progress(job.share, words)
        st.button("Stop this run", on_click=stop)
    else:
        st.rerun()


def whole_run(what_if: WhatIf, key: tuple[str, str, str], seed: int) -> Picture | None:
    """The button for all accounts and what becomes of it: a picture once it is done, for these values."""
    started, job = st.session_state.get("whole", (None, None))
    if job is not None and job.state in ("waiting", "running"):
        watch()
        return None
    if job is not None and started == key and job.state == "done":
        return job.result  # type: ignore[no-any-return]
    if job is not None and job.state == "failed":
        st.error(escaped(f"The run of all accounts failed: {job.error}"))
    if job is not None and job.state == "stopped":
        st.info("The run of all accounts was stopped.")
    st.button("Run all accounts", on_click=start, args=(what_if, key, seed), type="primary")
    return None


@dataclass(frozen=True)
class Offer:
    """A file to be downloaded; what takes time is made when it is asked for."""

    label: str
    content: str | Callable[[], bytes]
    file_name: str
    mime: str


def offers(what_if: WhatIf, picture: Picture, as_pictured: str) -> list[Offer]:
    """What there is to take along; `as_pictured` is the name of the scenario file that gives the same numbers."""
    name, changes = what_if.file_name, picture.sample.changes
    stem = name.removesuffix(".yaml")
    files = [Offer("What-if file, all accounts", what_if.text(), name, "application/yaml")]
    if changes:
        files.append(Offer("What-if file, as pictured", what_if.text(changes), as_pictured, "application/yaml"))
    files.append(Offer("Tables (CSV and Parquet)", lambda: archive(picture), f"{stem}_tables.zip", "application/zip"))
    files.append(
        Offer("Report of the what-if", lambda: report(picture, as_pictured), f"{stem}_report.html", "text/html")
    )
    if what_if.changes:
        made = f"{stem}_comparison.html"
        files.append(Offer("Report of the comparison", lambda: comparison_report(picture), made, "text/html"))
    return files


def downloads(what_if: WhatIf, picture: Picture, seed: int) -> None:
    """Scenario files, tables, reports, and the command that makes the same numbers."""
    st.subheader("Take it with you", anchor=False)
    name = what_if.file_name
    shown = name.replace("_what_if", "_what_if_sample") if picture.sample.changes else name
    files = offers(what_if, picture, shown)
    for column, each in zip(st.columns(len(files)), files, strict=True):
        column.download_button(each.label, each.content, each.file_name, each.mime, on_click="ignore", width="stretch")
    st.markdown(f"The same numbers on the command line: {code(f'enforcement-sim run {shown} --seed {seed}')}")
    if what_if.extends.endswith((".yaml", ".yml")):
        st.markdown(escaped(f"Keep {what_if.extends} beside the what-if file: it extends it."))


def main() -> None:
    """One pass over the page."""
    st.set_page_config("enforcement-sim", layout="wide", initial_sidebar_state="expanded")
    st.html(UNFADED)
    try:
        what_if, seed = asked()
        other = what_if.scenario()
    except ScenarioError as error:
        refuse(error)
        return
    told(what_if)
    key = (what_if.base.sha256(), other.sha256(), str(seed))
    few = sum(accounts_of(other).values()) <= MOST_ACCOUNTS
    whole = None if few else whole_run(what_if, key, seed)
    try:
        picture = whole or quick_picture(what_if.base, other, seed)
    except ScenarioError as error:
        refuse(error)
        return
    except StoppedError as error:
        st.warning(f"A picture of this {error}. Run all accounts instead, or use the command line.")
        return
    show(picture, bool(what_if.changes))
    downloads(what_if, picture, seed)


if __name__ == "__main__":
    main()
