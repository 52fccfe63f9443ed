"""The verb that serves the app in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from sim.cli.common import app, tell_if_compiling


@app.command("app")
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of this machine that the app listens on.")] = 8501,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, open nothing.")] = False,
) -> None:
    """Open the app in the browser: sliders, what-if beside baseline, downloads. Only this machine can reach it."""
    from sim.views.app.serving import check_ready, serve_app, warm_up

    check_ready(port)
    tell_if_compiling()
    warm_up()
    serve_app(port, browser=not no_browser)
