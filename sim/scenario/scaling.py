"""A smaller population under the same rules: which values of a scenario change when only a share of its accounts is looked at."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from .quantities import RANGE_KEYS, Quantity, Range
from .schema import Document
from .writing import Written


def scaling(document: Document, plain: Mapping[str, Any], share: float | Mapping[str, float]) -> dict[str, object]:
    """Path -> value of everything that a smaller population changes.

    Parameters
    ----------
    document, plain
        The scenario, read and as it is written out.
    share
        Of every segment, or segment -> its own share (1 for those not named); above 0 and at most 1.

    Returns
    -------
    dict
        Accounts, reviewers of limited desks and counts of waves, in phases too, each rounded up.

    Raises
    ------
    ValueError
        A share is not above 0 and at most 1; or segments have shares of their own, but meet at a limited desk.
    """
    shares = share if isinstance(share, Mapping) else dict.fromkeys(document.segments, share)
    exact = {name: _exact(shares.get(name, 1.0)) for name in document.segments}
    least = min(exact.values())
    uneven = least != max(exact.values())
    changes: dict[str, object] = {}
    for name, segment in document.segments.items():
        changes[f"segments.{name}.accounts"] = _scaled(segment.accounts, exact[name])
    for name, desk in document.desks.items():
        if desk.reviewers is not None:
            changes[f"desks.{name}.reviewers"] = _scaled(desk.reviewers, least)
    for name, wave in document.waves.items():
        if wave.count is not None:
            changes[f"waves.{name}.count"] = _scaled(wave.count, exact[wave.segment])
    for name, phase in plain["phases"].items():
        for path, value in phase["set"].items():
            section, thing, key = (*path.split("."), "", "")[:3]
            if (section, key) == ("waves", "count"):
                changes[f"phases.{name}.set.{path}"] = _scaled(value, exact[document.waves[thing].segment])
            elif (section, key) == ("desks", "reviewers") and value != "unlimited":
                changes[f"phases.{name}.set.{path}"] = _scaled(value, least)
    if uneven and any(path.endswith(".reviewers") for path in changes):
        raise ValueError("accounts of all segments meet at a limited desk: one share for all")
    return changes


def _exact(share: float) -> Fraction:
    """A share as it is written in decimals."""
    if not 0 < share <= 1:
        raise ValueError(f"a share is above 0 and at most 1, found {share!r}")
    return Fraction(repr(float(share)))


def _scaled(written: Quantity | Written, share: Fraction) -> object:
    """A count, or a range of it, times a share, rounded up."""
    if isinstance(written, Range):
        return {key: str(math.ceil(Fraction(text) * share)) for key, text in zip(RANGE_KEYS, written.text, strict=True)}
    return math.ceil(Fraction(written if isinstance(written, Written) else written.text) * share)
