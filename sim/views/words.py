"""Numbers and names as every picture, page and table of the views writes them: shares as percent, accounts as counts, names cut to a width.

A ban rate may be one in a million: percent shows as many digits as the number needs, and powers of ten below 0.0001 %.
"""

from __future__ import annotations

import math
import unicodedata

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _power(value: float) -> str:
    exponent = math.floor(math.log10(abs(value)) + 1e-9)
    mantissa = value / 10.0**exponent
    power = "10" + str(exponent).translate(_SUPERSCRIPT)
    return power if abs(mantissa - 1) < 1e-6 else f"{mantissa:.3g}·{power}"


def percent(share: float, decimals: int | None = None) -> str:
    """Write a share (0..1) as percent: ``0.0001 %``, ``12 %``.

    Without `decimals` as many are shown as the number needs (three significant digits at most).
    """
    value = 100.0 * share
    if value == 0:
        return "0 %"
    if decimals is None:
        if abs(value) < 0.99e-4:
            return f"{_power(value)} %"
        decimals = max(0, 2 - math.floor(math.log10(abs(value)) + 1e-9))
        text = f"{value:.{decimals}f}"
        return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"
    return f"{value:.{decimals}f} %"


def count(number: float) -> str:
    """Write a number of accounts: ``1,234``, ``2.5 M`` (million), ``1.1 bn`` (thousand million)."""
    size = abs(number)
    if size >= 0.9995e9:
        return f"{number / 1e9:.3g} bn" if size < 0.9995e12 else f"{number / 1e9:,.0f} bn"
    if size >= 0.9995e6:
        return f"{number / 1e6:.3g} M"
    if size < 100 and abs(number - round(number)) > 1e-9:
        return f"{number:.2g}" if size < 10 else f"{number:.1f}"
    return f"{number:,.0f}"


def ems(text: str) -> float:
    """Estimate the width of a text in ems (Chinese and the like: one em a character)."""
    return sum(1.0 if unicodedata.east_asian_width(letter) in "WF" else 0.6 for letter in text)


def shorten(name: str, most: float = 17.0) -> str:
    """Cut a name to about `most` ems and say so with an ellipsis."""
    if ems(name) <= most:
        return name
    kept = name
    while kept and ems(kept) > most - 1:
        kept = kept[:-1]
    return kept.rstrip() + "…"


def wrapped(text: str, width_in: float, size_pt: float, *, lines: int = 4) -> str:
    """Break a text into lines that fit a width; what does not fit `lines` lines ends in an ellipsis.

    Chinese has no spaces to break at: a word that is too long is broken between its letters.
    """
    most = width_in * 72 / size_pt
    broken = [""]
    for word in " ".join(text.split()).split(" "):
        if broken[-1] and ems(broken[-1]) + 0.6 + ems(word) <= most:
            broken[-1] += f" {word}"
            continue
        if broken[-1]:
            broken.append("")
        for letter in word:
            if ems(broken[-1]) + ems(letter) > most:
                broken.append("")
            broken[-1] += letter
    if len(broken) > lines:
        broken[lines - 1 :] = [broken[lines - 1][:-1].rstrip() + "…"]
    return "\n".join(broken)
