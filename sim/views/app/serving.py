"""Serving the app: everything is loaded and compiled before the first reader comes, and only this machine is answered."""

from __future__ import annotations

import runpy
import socket
import sys
from importlib.util import find_spec
from pathlib import Path

from sim.errors import RunError

ADDRESS = "127.0.0.1"
PAGE = Path(__file__).with_name("page.py")
SETTINGS = {
    "server.address": ADDRESS,
    "server.fileWatcherType": "none",
    "server.maxUploadSize": 1,
    "server.enableCORS": "true",
    "server.enableXsrfProtection": "true",
    "server.enableStaticServing": "false",
    "server.disconnectedSessionTTL": 60,
    "server.showEmailPrompt": "false",
    "browser.gatherUsageStats": "false",
    "browser.serverAddress": ADDRESS,
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "runner.magicEnabled": "false",
    "theme.base": "light",
    "theme.headingFontSizes": '["1.8rem", "1.5rem", "1.2rem"]',
}
"""Options of Streamlit's own command line; `client.showErrorDetails`: a fault of ours shows nobody the files of this machine."""
HOSTS = (ADDRESS, "localhost")
"""What a browser may call this machine: a page elsewhere that gives this address a name of its own is turned away."""


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


def command_line(port: int, *, browser: bool) -> list[str]:
    """What Streamlit is told."""
    settings = {**SETTINGS, "server.port": port, "server.headless": "false" if browser else "true"}
    hosts = [f"--server.allowedHosts={host}" for host in HOSTS]
    return ["streamlit", "run", str(PAGE), *hosts, *(f"--{name}={value}" for name, value in settings.items())]


def serve_app(port: int, *, browser: bool) -> None:
    """Serve until interrupted, in this process, which is warm."""
    sys.argv = command_line(port, browser=browser)
    runpy.run_module("streamlit", run_name="__main__", alter_sys=True)
