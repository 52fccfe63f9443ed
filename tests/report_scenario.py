"""What the tests of reports are made from: a small ladder with a desk and appeals, and texts that would do harm where they were taken for more."""

from __future__ import annotations

from pathlib import Path

from sim import Scenario, loads

TITLE = '<script>alert(1)</script> & "quotes" </title>'
HARM = "</script><img src=x onerror=alert(2)>"
SEGMENT = "shops 店"
"""Names of a scenario hold no more than letters, digits, `_`, `-` and spaces; its other texts hold anything."""


def nasty() -> Scenario:
    """The ladder with a limited desk of the golden files, under other texts."""
    text = (Path(__file__).parent / "golden" / "desk.yaml").read_text(encoding="utf-8")
    _, _, rest = text.partition("\n")
    _, _, rest = rest.partition("\n")
    head = f"schema: 1\ntitle: '{TITLE}'\npurpose: '{HARM}'\nassumed: ['{HARM}']\nsources: ['{HARM}']\n"
    return loads(head + rest.replace("shops", SEGMENT), name="nasty")
