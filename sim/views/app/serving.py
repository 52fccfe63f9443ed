"""Serving the app: everything is loaded and compiled before the first reader comes, and only this machine is answered."""

from __future__ import annotations

import socket
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
    """Load what the page needs into this process, and compile the engine if that has not been done: a run with and one without a limited desk."""
    from sim.views.app import panels, picture, sources

    base = sources.of_catalogue("wechat_2022")
    for change in ({"ladder.states.rectifying.exits.deadline.after": "3 days"}, {"desks.review.reviewers": 3}):
        drawn = picture.draw(base, base.with_values(change), 0, lambda share: None, most=2_000)
        for view in panels.PANELS.values():
            for drawing in view(drawn, panels.Asked("ban_rate", "nft_platforms", False, True)):
                if drawing.chart is not None:
                    drawing.chart.to_dict()


def settings(port: int) -> dict[str, Any]:
    """What Streamlit is told."""
    return {**SETTINGS, "server.port": port}


class Headers:
    """Gives every answer the headers of `HEADERS`, in place of any of that name (an ASGI middleware)."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                own = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
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
        if browser:
            webbrowser.open(f"http://{ADDRESS}:{port}/")
        yield

    return App(PAGE, middleware=[Middleware(Headers)], lifespan=up)


def serve_app(port: int, *, browser: bool) -> None:
    """Serve until interrupted, in this process, which is warm."""
    served_app(port, browser=browser).run(config=settings(port))
