"""The app as people meet it: the verb, a browser, a keyboard.

Times are asserted loosely (a busy machine is several times slower than an idle one) and printed.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from browser.conftest import SERIOUS

import sim
from sim.views.app import sources
from sim.views.app.picture import percent
from sim.views.app.sample import sample
from sim.views.app.serving import HEADERS

SHOTS = os.environ.get("SCREENSHOTS")
FIRST_SECONDS, REDRAWN_SECONDS = 3.0, 1.0
SLACK = 8.0
"""How many times slower than promised a busy machine may be."""
DEADLINE = "ladder.states.rectifying.exits.deadline.after"
CHART = "[data-testid=stVegaLiteChart] svg, [data-testid=stVegaLiteChart] canvas"
SERVED: list[int] = []
"""Process ids of servers, the last is running."""
USERS, MOST_GROWN = 10, 400 * 2**20
"""Users at once, and the bytes by which they may make the server grow: pictures that are kept, and ten sessions."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app, started by its verb on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("app") / "log"
    with log.open("wb") as out:
        command = [sys.executable, "-c", "from sim.cli import main; main()", "app", "--port", str(port), "--no-browser"]
        environment = {**os.environ, "PYTHONPATH": str(Path(sim.__file__).parents[1])}
        served = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=log.parent, env=environment)
    try:
        end = time.monotonic() + 300
        while time.monotonic() < end:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=5).close()
                break
            except OSError:
                assert served.poll() is None, log.read_text()
                time.sleep(0.2)
        SERVED.append(served.pid)
        yield f"http://127.0.0.1:{port}/"
    finally:
        served.terminate()
        served.wait(30)


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    """The page, drawn, in a context of its own; it asks nothing of any other machine."""
    context = chromium.new_context(viewport={"width": 1400, "height": 1250}, accept_downloads=True)
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    elsewhere: list[str] = []
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda said: faults.append(said.text) if _refused(said.text) else None)
    opened.on("request", lambda request: None if _own(request.url, address) else elsewhere.append(request.url))
    opened.goto(address)
    opened.wait_for_selector(CHART)
    yield opened
    context.close()
    assert elsewhere == []
    assert faults == []


def _refused(text: str) -> bool:
    """Whether the page's policy has stopped something that the page needs; one line of Streamlit's for search engines it does not."""
    return "Content Security Policy" in text and "inline script" not in text


def _own(url: str, address: str) -> bool:
    return url.startswith((address, "data:", f"blob:{address}"))


def rates(page: Any, column: int) -> list[str]:
    """A column of the headlines."""
    cells = page.locator("table").first.locator(f"tbody tr td:nth-of-type({column})")
    cells.first.wait_for()
    return [str(text).strip() for text in cells.all_inner_texts()]


def move(page: Any, key: str, times: int) -> float:
    """Move the slider of the deadline by keyboard; seconds until the numbers are others."""
    page.get_by_role("slider", name="rectifying: deadline after").focus()
    table = page.locator("table").first
    before = table.inner_text()
    for _ in range(times):
        page.keyboard.press(key)
    began = time.monotonic()
    while table.inner_text() == before and time.monotonic() - began < 60:
        time.sleep(0.02)
    return time.monotonic() - began


def shoot(page: Any, name: str) -> None:
    """A screenshot, where they are wanted."""
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        page.wait_for_timeout(1_500)
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


def test_the_first_picture_comes_soon(chromium: Any, address: str) -> None:
    """Within three seconds on a machine that has nothing else to do."""
    context = chromium.new_context()
    opened = context.new_page()
    began = time.monotonic()
    opened.goto(address)
    opened.wait_for_selector(CHART, timeout=60_000)
    took = time.monotonic() - began
    context.close()
    print(f"first picture after {took:.2f} s")
    assert took < SLACK * FIRST_SECONDS


def test_a_slider_moves_the_numbers_to_those_of_the_command_line(page: Any, tmp_path: Path) -> None:
    """By keyboard; the file that is downloaded, run by the verb, has the number that is seen."""
    baseline = rates(page, 1)
    move(page, "ArrowLeft", 8)
    page.get_by_text(f"{DEADLINE}: 3 days").wait_for()
    page.wait_for_timeout(2_000)
    assert rates(page, 1) == baseline
    seen = rates(page, 2)
    assert seen != baseline
    took = move(page, "ArrowRight", 1)
    print(f"redrawn after {took:.2f} s")
    assert took < SLACK * REDRAWN_SECONDS
    move(page, "ArrowLeft", 1)
    page.get_by_text(f"{DEADLINE}: 3 days").wait_for()
    shoot(page, "app")
    with page.expect_download() as waited:
        page.get_by_role("button", name="What-if file, as pictured").click()
    file = tmp_path / waited.value.suggested_filename
    waited.value.save_as(file)
    command = [
        sys.executable,
        "-c",
        "from sim.cli import main; main()",
        "run",
        file.name,
        "--seed",
        "1",
        "--out",
        "made",
    ]
    environment = {**os.environ, "PYTHONPATH": str(Path(sim.__file__).parents[1])}
    subprocess.run(command, cwd=tmp_path, check=True, env=environment, capture_output=True)
    summary = sim.open(tmp_path / "made").summary
    rows = summary[(summary["measure"] == "ban_rate") & summary["segment"].isin(list(sim.load(file).spec.segments))]
    assert [percent(value) for value in rows["value"]] == seen
    with page.expect_download() as waited:
        page.get_by_role("button", name="Tables").click()
    waited.value.save_as(tmp_path / "tables.zip")
    shutil.unpack_archive(tmp_path / "tables.zip", tmp_path / "tables")
    assert sim.open(tmp_path / "tables" / "what_if").scenario == sim.load(file)
    for button, told in (("Report of the what-if", 0), ("Report of the comparison", 1)):
        with page.expect_download() as waited:
            page.get_by_role("button", name=button).click()
        waited.value.save_as(tmp_path / "report.html")
        text = (tmp_path / "report.html").read_text(encoding="utf-8")
        row = next(line for line in text.splitlines() if ">nft_platforms</t" in line)
        values = [float(value) for value in re.findall(r'data-value="([^"]+)"', row)]
        assert percent(values[told]) == seen[-1]


def test_an_upload_reads_no_file_of_this_machine(page: Any) -> None:
    """It is refused in the words of the command line; the next one is drawn, its title as text."""
    told = {"name": "mine.yaml", "mimeType": "application/yaml"}
    page.locator("input[type=file]").set_input_files({**told, "buffer": b"extends: ../wechat_2022.yaml\n"})
    page.get_by_text("there is no file `../wechat_2022.yaml` here").wait_for()
    shoot(page, "app_refused")
    title = "<script>document.title=1</script><b>bold</b>"
    text = f"extends: wechat_closures_2018\ntitle: '{title}'\n"
    page.get_by_role("button", name="Remove").first.click()
    page.get_by_role("heading", name="WeChat rule 3.24").wait_for()
    page.locator("input[type=file]").set_input_files({**told, "buffer": text.encode()})
    page.get_by_role("heading", name=title).wait_for()
    assert page.title() != "1"


def test_all_accounts_with_progress_and_stop(page: Any) -> None:
    """The run can be stopped, and run again to its end."""
    page.get_by_role("button", name="Run all accounts").click()
    page.get_by_text("Running all accounts").first.wait_for()
    page.get_by_role("button", name="Stop this run").click()
    page.get_by_text("The run of all accounts was stopped.").wait_for()
    page.get_by_role("button", name="Run all accounts").click()
    page.get_by_text("All 1,120,003,500 accounts.").wait_for(timeout=300_000)
    assert page.get_by_role("row", name="all accounts").count() == 1
    shoot(page, "app_all")


@pytest.mark.parametrize(
    "path",
    [
        "app/static/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "static/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "static/../../../../../../etc/passwd",
        "media/..%2f..%2fetc%2fpasswd",
        "media/../../../etc/passwd",
        "component/x/..%2f..%2fetc%2fpasswd",
        "_stcore/upload_file/../../../etc/passwd",
        "_stcore/bidi-components/x/..%2f..%2fetc%2fpasswd",
        "static//etc/passwd",
        "/etc/passwd",
    ],
)
def test_no_route_reads_a_path(path: str, address: str) -> None:
    """Refused, or answered with the page itself, which every name that nothing has leads to; asked raw, as no browser would."""
    status, headers, body = ask(address, f"/{path}")
    assert status in (400, 403, 404, 405) or (status == 200 and b"<title>Streamlit</title>" in body)
    assert b"root:" not in body
    assert headers["x-content-type-options"] == "nosniff"


def ask(
    address: str, path: str, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes | None = None
) -> tuple[int, Mapping[str, str], bytes]:
    """The answer to a path as it is written: status, headers with names in small letters, body."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(address).netloc, timeout=30)
    try:
        connection.request(method, path, body, dict(headers or {}))
        answer = connection.getresponse()
        told = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, told, b"" if answer.status == 101 else answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/", "/_stcore/health", "/nothing", "/static/nothing.js", "/media/nothing"])
def test_every_answer_has_the_headers(path: str, address: str) -> None:
    """Those that are right and those that are refused."""
    _, headers, _ = ask(address, path)
    assert {name: headers.get(name.lower()) for name in HEADERS} == HEADERS


def test_no_answer_waits_to_be_acknowledged(address: str) -> None:
    """A body that waits until its headers are acknowledged comes after 40 ms; half of forty that do not are here sooner, on a busy machine, too."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(address).netloc, timeout=30)
    took = []
    for _ in range(40):
        began = time.monotonic()
        connection.request("GET", "/_stcore/health")
        assert connection.getresponse().read() == b"ok"
        took.append(time.monotonic() - began)
    connection.close()
    assert statistics.median(took) < 0.035


def test_a_page_elsewhere_cannot_frame_it(chromium: Any, address: str) -> None:
    """The frame stays empty."""
    page = chromium.new_page()
    page.set_content(f"<iframe src='{address}'></iframe>")
    page.wait_for_timeout(1_500)
    assert page.frames[1].locator("#root").count() == 0
    page.close()


def test_an_upload_that_is_too_large_is_refused(page: Any) -> None:
    """In the browser, before it is sent."""
    told = {"name": "mine.yaml", "mimeType": "application/yaml"}
    page.locator("input[type=file]").set_input_files({**told, "buffer": b"#" * (2**20 + 1)})
    page.get_by_text("1.0MB or smaller").or_(page.get_by_text("File must be")).first.wait_for()
    assert page.get_by_role("heading", name="WeChat rule 3.24").count() == 1


def test_an_upload_past_the_browser_is_bounded_too(page: Any) -> None:
    """Sent with what a small one was sent with, as a page that is tampered with could: refused at its length."""
    told = {"name": "mine.yaml", "mimeType": "application/yaml"}
    with page.expect_request(lambda request: request.method == "PUT") as small:
        page.locator("input[type=file]").set_input_files({**told, "buffer": b"title: mine"})
    page.get_by_text("mine.yaml:").first.wait_for()
    send = """async ([url, token, size]) => {
        const form = new FormData();
        form.append("file", new Blob([new Uint8Array(size)]), "mine.yaml");
        return (await fetch(url, {method: "PUT", body: form, headers: {"X-Xsrftoken": token}})).status;
    }"""
    sent = small.value
    statuses = [
        page.evaluate(send, [sent.url, sent.headers["x-xsrftoken"], size]) for size in (1_000, 2**20 + 1, 30 * 2**20)
    ]
    assert statuses == [204, 413, 413]


def test_what_is_no_page_of_ours_gets_nowhere(address: str) -> None:
    """No session for a page elsewhere nor under another name of this machine, no upload without a session, no way in for programs."""
    place = urllib.parse.urlsplit(address).netloc
    socket_asked = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    socket_asked |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "streamlit"}

    def session(**headers: str) -> int:
        return ask(address, "/_stcore/stream", headers=socket_asked | headers)[0]

    assert (
        session(Origin=f"http://{place}") == 101
    )  # so it is not for the form of the question that the others are refused
    assert session(Origin="http://elsewhere.example") == 403
    assert session(Host="elsewhere.example", Origin="http://elsewhere.example") == 403
    assert session(Host="elsewhere.example") == 403
    assert ask(address, "/_stcore/upload_file/some/file", "PUT", body=b"title: mine")[0] == 403
    for route in ("interact", "mcp"):
        status, _, body = ask(address, f"/_stcore/agent/{route}", "POST", body=b"{}")
        assert status in (400, 403, 404, 405)
        assert status in (404, 405) or b"not_available" in body


def test_ten_users_at_once(chromium: Any, address: str) -> None:
    """Each, with a connection of their own, sees what they moved and nobody else's; the server stays small."""
    contexts = [chromium.new_context(viewport={"width": 1400, "height": 1250}) for _ in range(USERS)]
    pages = [context.new_page() for context in contexts]
    began, before = time.monotonic(), memory()
    for opened in pages:
        opened.set_default_timeout(120_000)
        opened.goto(address, wait_until="commit")
    for opened in pages:
        opened.wait_for_selector(CHART)
    steps = [number - USERS // 2 for number in range(USERS + 1) if number != USERS // 2]
    for step, opened in zip(steps, pages, strict=True):
        opened.get_by_role("slider", name="rectifying: deadline after").focus()
        for _ in range(abs(step)):
            opened.keyboard.press("ArrowLeft" if step < 0 else "ArrowRight")
    seen = []
    for step, opened in zip(steps, pages, strict=True):
        opened.get_by_text(f"{DEADLINE}: {7 + 0.5 * step:g} days").wait_for()
        opened.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
        seen.append(rates(opened, 2))
    after = memory()
    print(f"{USERS} users: {time.monotonic() - began:.1f} s, server {before / 2**20:.0f} -> {after / 2**20:.0f} MiB")
    alone = [rates(opened, 1) for opened in pages]
    for context in contexts:
        context.close()
    assert all(each == alone[0] for each in alone)
    platforms = [float(each[-1].split()[0]) for each in seen]
    assert platforms == sorted(platforms, reverse=True)  # a longer limit bans no more of the same accounts
    assert len(set(platforms)) > USERS // 2
    base = sources.of_catalogue("wechat_2022")
    for number in (0, USERS - 1):
        other = base.with_values({DEADLINE: f"{7 + 0.5 * steps[number]:g} days"})
        run = sim.run(other.with_values(sample(base, other).changes), seed=1, histories=0).summary
        rows = run[(run["measure"] == "ban_rate") & (run["segment"] != "")]
        assert [percent(value) for value in rows["value"]] == seen[number]
    assert after - before < MOST_GROWN


def memory() -> int:
    """Bytes of the server that are in memory."""
    status = Path(f"/proc/{SERVED[-1]}/status").read_text(encoding="ascii")
    return 1024 * int(re.findall(r"VmRSS:\s+(\d+) kB", status)[0])


def violations(page: Any, axe: str, where: str) -> dict[str, list[str]]:
    """What axe finds serious: rule -> where."""
    page.evaluate(axe)
    found = page.evaluate("async () => (await axe.run()).violations")
    return {
        each["id"]: [f"{where}: {node['target']} {node['html'][:160]}" for node in each["nodes"][:3]]
        for each in found
        if each["impact"] in SERIOUS
    }


def test_axe_finds_nothing_serious(page: Any, axe: str) -> None:
    """Over the whole page, all views, with everything opened; nothing is left out."""
    found: list[dict[str, list[str]]] = []
    move(page, "ArrowLeft", 2)
    closed = page.locator("section[data-testid=stSidebar] details:not([open]) > summary")
    while closed.count():
        closed.first.click()
    for view in ("Ban rates", "States", "Flows", "Desks", "Differences"):
        page.get_by_text(view, exact=True).first.click()
        page.wait_for_timeout(2_000)
        shoot(page, f"app_{view.lower().replace(' ', '_')}")
        found.append(violations(page, axe, view))
    assert [each for each in found if each] == []


def test_what_waits_to_be_drawn_stays_readable(page: Any) -> None:
    """Streamlit fades what is out of date to a third, less than the contrast that eyes need."""
    faded = """table => {
        const part = table.closest('[data-testid=stElementContainer]');
        part.style.opacity = 0.33;
        const before = getComputedStyle(part).opacity;
        part.setAttribute('data-stale', 'true');
        return [before, getComputedStyle(part).opacity];
    }"""
    assert page.locator("table").first.evaluate(faded) == ["0.33", "1"]


LONGER = "extends: wechat_2022\ntitle: For twenty years\nset: {end: 2042-06-17}\n"


def test_axe_finds_nothing_serious_where_something_is_refused_or_runs(page: Any, axe: str) -> None:
    """The page of a fault, and that of a run under way, which is long enough to be looked at."""
    longer = {"name": "mine.yaml", "mimeType": "application/yaml", "buffer": LONGER.encode()}
    page.locator("input[type=file]").set_input_files(longer)
    page.get_by_role("heading", name="For twenty years").wait_for()
    page.get_by_role("button", name="Run all accounts").click()
    page.get_by_role("button", name="Stop this run").wait_for()
    shoot(page, "app_running")
    assert violations(page, axe, "running") == {}
    page.get_by_role("button", name="Stop this run").click()
    page.get_by_text("The run of all accounts was stopped.").wait_for()
    page.get_by_role("button", name="Remove").first.click()
    page.get_by_role("heading", name="WeChat rule 3.24").wait_for()
    told = {"name": "mine.yaml", "mimeType": "application/yaml", "buffer": b"extends: ../wechat_2022.yaml\n"}
    page.locator("input[type=file]").set_input_files(told)
    page.get_by_text("there is no file `../wechat_2022.yaml` here").wait_for()
    assert violations(page, axe, "refused") == {}
