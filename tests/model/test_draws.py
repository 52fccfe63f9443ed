"""Random numbers: Random123's known answers, keys, names, and the open interval."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from reference_draws import Draws

from sim.model import draws
from sim.model.draws import key, name_code, philox, uniform

ONES = 0xFFFFFFFF
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
"""``philox4x32 10`` in kat_vectors of Random123 1.14: counter, key, output."""


def plain(function):
    """The Python behind a compiled function."""
    return getattr(function, "py_func", function)


def words(*values: int) -> list[np.uint64]:
    """Words as compiled code holds them."""
    return [np.uint64(value) for value in values]


@pytest.mark.parametrize(("counter", "keys", "output"), KNOWN_ANSWERS)
def test_philox_known_answers(counter: tuple[int, ...], keys: tuple[int, ...], output: tuple[int, ...]) -> None:
    """Compiled Philox4x32-10 gives the answers that Random123 publishes."""
    assert tuple(int(word) for word in philox(*words(*counter), *words(*keys))) == output


def test_every_word_of_counter_and_key_counts() -> None:
    """Two calls that differ in one bit of one word have nothing in common."""
    found = {tuple(philox(*words(0, 0, 0, 0, 0, 0)))}
    for place in range(6):
        for bit in (0, 31):
            found.add(tuple(philox(*words(*(1 << bit if place == other else 0 for other in range(6))))))
    assert len(found) == 13
    assert len({word for output in found for word in output}) == 52


@pytest.mark.parametrize(("seed", "replication"), [(0, 0), (1, 0), (0, 1), (42, 7), (2**100 + 3, 2)])
def test_key_is_that_of_the_law(seed: int, replication: int) -> None:
    """Two words of NumPy's SeedSequence, held in 64 bits."""
    made = key(seed, replication)
    assert made.dtype == np.uint64
    assert made.tolist() == np.random.SeedSequence((seed, replication)).generate_state(2).tolist()
    assert int(made.max()) < 2**32


def test_keys_differ() -> None:
    """Seeds and replications do not share keys."""
    assert len({tuple(key(seed, replication)) for seed in range(30) for replication in range(30)}) == 900


@pytest.mark.parametrize("name", ["join", "chance:a/b", "été", "店铺", ""])
def test_name_code_is_crc32_of_utf8(name: str) -> None:
    """Names enter the counter by their CRC-32 in UTF-8."""
    assert name_code(name) == zlib.crc32(name.encode("utf-8"))


def test_name_code_known_answer() -> None:
    """The check value of CRC-32 (ISO 3309)."""
    assert name_code("123456789") == 0xCBF43926


def test_uniform_equals_the_reference() -> None:
    """Bit for bit what the naive reference draws, over segments, accounts, names and occurrences."""
    theirs, mine = Draws(5, 2), key(5, 2)
    for segment in ("media", "shops"):
        for name in ("violation", "exit:restricted/deadline"):
            for account in (0, 1, 77, 2**31, 2**32 - 1):
                for occurrence in (0, 1, 1000):
                    found = uniform(mine, name_code(segment), account, name_code(name), occurrence)
                    assert found == theirs.uniform(segment, account, name, occurrence)


@pytest.mark.parametrize("word", [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFF7FF, 0xFFFFFFFE, ONES])
def test_uniform_lies_in_the_open_interval(word: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripted words, also the extreme ones: the top 53 bits and a half, never 0 and never 1."""
    monkeypatch.setattr(draws, "philox", lambda *_: words(word, ONES if word == ONES else 0, 0, 0))
    u = plain(uniform)(key(0, 0), 0, 0, 0, 0)
    top = (word << 32 | (ONES if word == ONES else 0)) >> 11
    assert 0.0 < u < 1.0
    assert u == min((top + 0.5) / 2**53, 1.0 - 2.0**-53)


def test_uniform_clamps_only_the_largest_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest value is the double below 1; without the clamp it would be 1; its neighbour rounds to where the law has it."""
    assert (np.float64(2**53 - 1) + 0.5) * 2.0**-53 == 1.0
    monkeypatch.setattr(draws, "philox", lambda *_: words(ONES, ONES, 0, 0))
    assert plain(uniform)(key(0, 0), 0, 0, 0, 0) == np.nextafter(1.0, 0.0)
    monkeypatch.setattr(draws, "philox", lambda *_: words(ONES, ONES - (1 << 11), 0, 0))
    assert plain(uniform)(key(0, 0), 0, 0, 0, 0) == (np.float64(2**53 - 2) + 0.5) / 2**53
    monkeypatch.setattr(draws, "philox", lambda *_: words(0, 0, 0, 0))
    assert plain(uniform)(key(0, 0), 0, 0, 0, 0) == 2.0**-54


def test_compiled_uniform_is_its_python() -> None:
    """Machine code and Python agree to the last bit."""
    mine = key(3, 0)
    for account in range(200):
        arguments = (mine, name_code("a"), account, name_code("join"), 0)
        with np.errstate(over="ignore"):
            assert uniform(*arguments) == plain(uniform)(
                mine, np.uint64(arguments[1]), account, np.uint64(arguments[3]), 0
            )


def test_uniform_looks_uniform() -> None:
    """Mean and variance of 20,000 draws lie within five standard errors of those of the uniform distribution."""
    mine, code = key(1, 0), name_code("a")
    sample = np.array([uniform(mine, code, account, 7, 0) for account in range(20_000)])
    assert abs(sample.mean() - 0.5) < 5 * (1 / 12 / 20_000) ** 0.5
    assert abs(sample.var() - 1 / 12) < 5 * (1 / 180 / 20_000) ** 0.5
