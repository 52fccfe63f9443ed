"""A browser for tests of pages: Debian's Chromium, driven by Playwright, with the network off.

Without a browser or axe-core the tests are skipped, except in CI (``CI=true``), where they fail. `.ci/run` says how both are come by; ``AXE_CORE`` is
the path of ``axe.min.js`` if it is not in ``node_modules`` here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SERIOUS = ("serious", "critical")


def absent(what: str) -> None:
    """Skip, or in CI fail, for want of something."""
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(f"{what} is missing; see .ci/run")
    pytest.skip(f"{what} is missing; see .ci/run")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent("playwright")
        raise
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        absent("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    file = Path(os.environ.get("AXE_CORE") or ROOT / "node_modules" / "axe-core" / "axe.min.js")
    if not file.is_file():
        absent("axe-core")
    return file.read_text(encoding="utf-8")
