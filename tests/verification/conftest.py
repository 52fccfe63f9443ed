"""Fixtures of the verification tests. ``pytest tests/verification -n 0 -rP`` shows every comparison."""

from collections.abc import Callable, Iterable

import pytest

from verification.exact import COMPARISONS, ENGINES, Comparison, disagreements


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn."""
    return request.param


@pytest.fixture(scope="session")
def made() -> list[Comparison]:
    """Comparisons made so far."""
    return []


@pytest.fixture
def verify(made: list[Comparison]) -> Callable[[Iterable[Comparison]], None]:
    """Fail if a comparison lies beyond the limit, or if the folder makes more of them than its false-alarm rate allows for."""

    def check(comparisons: Iterable[Comparison]) -> None:
        told = list(comparisons)
        assert told
        print(*told, sep="\n")
        made.extend(told)
        assert len(made) <= COMPARISONS * len(ENGINES)
        assert not (beyond := disagreements(told)), "\n".join(map(str, beyond))

    return check
