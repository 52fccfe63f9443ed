"""Serving the app: everything is loaded and compiled before the first reader comes, and only this machine is answered."""

from __future__ import annotations

import json
import socket
import webbrowser
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sim.errors import RunError

ADDRESS = "127.0.0.1"
PAGE = Path(__file__).with_name("page.py")
HOSTS = (ADDRESS, "localhost")
"""What a browser may call this machine: a page elsewhere that gives this address a name of its own is turned away."""
SETTINGS: dict[str, Any] = {
    "server.address": ADDRESS,
    "server.allowedHosts": list(HOSTS),
    "server.headless": True,
    "server.fileWatcherType": "none",
    "server.maxUploadSize": 1,
    "server.enableCORS": True,
    "server.enableXsrfProtection": True,
    "server.enableStaticServing": False,
    "server.enableAgentApi": False,
    "server.disconnectedSessionTTL": 60,
    "server.showEmailPrompt": False,
    "browser.gatherUsageStats": False,
    "browser.serverAddress": ADDRESS,
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "runner.magicEnabled": False,
    "theme.base": "light",
    "theme.headingFontSizes": '["1.8rem", "1.5rem", "1.2rem"]',
}
"""Options of Streamlit; `client.showErrorDetails`: a fault of ours shows nobody the files of this machine."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src 'self' data:; connect-src 'self'; manifest-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""With every answer: the page loads nothing from elsewhere, no page shows it in a frame, and no file is taken for another type than its own."""
OPEN_FILES = Path("/dev/fd")
"""Where a system names the open files of a process."""
SHOWN = (
    *("ArrowVegaLiteChart", "Table", "Slider", "Selectbox", "FileUploader", "NumberInput", "Button"),
    *("Radio", "Checkbox", "TextArea", "DownloadButton"),
)
"""Components of Streamlit that the page begins with. A browser otherwise hears of each when the first of its kind is sent, and then waits for it."""


def check_ready(port: int) -> None:
    """Refuse to start where it cannot come to a page.

    Raises
    ------
    RunError
        Streamlit is not installed, or something else listens at the port.
    """
    if find_spec("streamlit") is None or find_spec("altair") is None:
        raise RunError("the app needs Streamlit: pip install 'enforcement-sim[app]'")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((ADDRESS, port))
        except OSError as error:
            raise RunError(f"port {port} cannot be had ({error.strerror}); give another with --port") from None


def warm_up() -> None:
    """Load what the page needs into this process, and draw what it opens with.

    Compiles the engine if that has not been done: a run with and one without a limited desk.
    """
    from sim.views.app import panels, picture, sample, sources
    from sim.views.app.what_if import WhatIf

    def never(share: float) -> None:
        """Nobody waits for these."""

    base = sources.of_catalogue(sources.FIRST)
    for change in ({"ladder.states.rectifying.exits.deadline.after": "3 days"}, {"desks.review.reviewers": 3}):
        drawn = picture.draw(base, base.with_values(change), 0, never, most=2_000)
        for view in panels.PANELS:
            panels.drawings(drawn, view, panels.Asked("ban_rate", "nft_platforms", False, True))
    other = WhatIf(base, sources.FIRST, {}).scenario()
    first = partial(picture.draw, base, other, picture.SEED, never, most=sample.MOST_ACCOUNTS)
    opened = picture.pictures().get(base, other, picture.SEED, first)
    panels.drawings(opened, *panels.OPENING)


def settings(port: int) -> dict[str, Any]:
    """What Streamlit is told."""
    return {**SETTINGS, "server.port": port}


def _with_imports(names: Iterable[str], chunks: Mapping[str, Any]) -> dict[str, str]:
    """Names of chunks and of all that they import -> files."""
    found: dict[str, str] = {}
    left = list(names)
    while left:
        name = left.pop()
        if name not in found:
            found[name] = chunks[name]["file"]
            left += chunks[name].get("imports", ())
    return found


def preloads() -> str:
    """A `Link` header that has a browser fetch the scripts of `SHOWN` at once; empty where this Streamlit does not tell which they are."""
    import streamlit

    try:
        text = (Path(streamlit.__file__).parent / "static" / "manifest.json").read_text(encoding="utf-8")
        chunks = json.loads(text)
        shown = [name for name in chunks if name.endswith(tuple(f"/{each}.tsx" for each in SHOWN))]
        wanted = _with_imports(shown, chunks).keys() - _with_imports(["index.html"], chunks).keys()
        files = sorted(chunks[name]["file"] for name in wanted)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    return ", ".join(f"<./{file}>; rel=modulepreload; crossorigin" for file in files)


def send_at_once(port: int) -> None:
    """Have the connections that come to a port send each part of an answer as it is written.

    asyncio asks that of every socket that says it is TCP's; the one that Streamlit listens at leaves it unsaid. A body then waits until the browser
    has acknowledged the headers, for which Linux takes its time (40 ms), and a page is a hundred and forty answers. Connections take this setting
    from the socket at which they arrive, which is looked for among the open files of this process; where a system does not list them, the page comes
    as it did.
    """
    for file in OPEN_FILES.iterdir() if OPEN_FILES.is_dir() else ():
        try:
            borrowed = socket.socket(fileno=int(file.name))
        except OSError:
            continue  # no socket, or closed since
        try:
            if borrowed.family == socket.AF_INET and borrowed.getsockname()[1] == port:
                borrowed.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        finally:
            borrowed.detach()


class Headers:
    """Gives every answer the headers of `HEADERS`, in place of any of that name, and the page itself a `link` besides (an ASGI middleware)."""

    def __init__(self, app: Any, link: str = "") -> None:
        self._app, self._link = app, link

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {**HEADERS, "Link": self._link} if self._link and scope.get("path") == "/" else HEADERS

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                own = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
                names = {name for name, _ in own}
                rest = [(name, value) for name, value in message.get("headers", ()) if name.lower() not in names]
                message = {**message, "headers": [*rest, *own]}
            await send(message)

        await self._app(scope, receive, send_with_headers)


def served_app(port: int, *, browser: bool) -> Any:
    """The app as Streamlit serves it, with our headers; once it is up it opens a browser, if one is wanted.

    Raises
    ------
    RunError
        This Streamlit cannot be told to send headers.
    """
    try:
        from starlette.middleware import Middleware
        from streamlit import App
    except ImportError as error:
        raise RunError(f"the app needs a newer Streamlit ({error}): pip install -U 'enforcement-sim[app]'") from None

    @asynccontextmanager
    async def up(served: Any) -> AsyncIterator[None]:
        send_at_once(port)
        if browser:
            webbrowser.open(f"http://{ADDRESS}:{port}/")
        yield

    return App(PAGE, middleware=[Middleware(Headers, link=preloads())], lifespan=up)


def serve_app(port: int, *, browser: bool) -> None:
    """Serve until interrupted, in this process, which is warm."""
    served_app(port, browser=browser).run(config=settings(port))
