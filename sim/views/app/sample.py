"""The accounts that a picture is drawn from: few enough to answer at once, and chosen so that small segments still show.

Accounts meet at limited desks only. Without such desks each segment may be cut to its own share: small segments stay whole, the large ones share
what is left. With them, all segments and reviewers are cut by one share, as by ``--scale`` of the command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sim.errors import Fault, ScenarioError
from sim.scenario import Scenario

MOST_ACCOUNTS = 100_000
"""Accounts of a picture that answers at once."""
MOST_ROWS = 300_000
"""Rows of the tables of one run that the app holds."""
MOST_VIOLATIONS = 2_000_000
"""Violations that are expected in a picture that answers at once."""


@dataclass(frozen=True)
class Sample:
    """A part of a population.

    Attributes
    ----------
    changes
        What `Scenario.with_values` takes to cut a scenario to it; empty if it is all of it.
    accounts, of
        How many accounts it has, and how many there are.
    even
        Whether all segments are cut by one share, so that sums over segments mean something.
    """

    changes: Mapping[str, object]
    accounts: int
    of: int
    even: bool


def words_of(part: Sample) -> str:
    """Of which accounts a picture is, in words."""
    if part.accounts == part.of:
        return f"All {part.of:,} accounts."
    told = f"{part.accounts:,} of {part.of:,} accounts: "
    if not part.even:
        return f"{told}small segments whole, large ones cut. Sums over segments are of these accounts, not of the platform."
    warning = (
        " Reviewers are cut by that share too and rounded up, so a small desk looks faster than it is: run all accounts to see its queue."
        if any(path.startswith("desks.") for path in part.changes)
        else ""
    )
    return f"{told}every segment cut by the same share.{warning}"


def accounts_of(scenario: Scenario) -> dict[str, int]:
    """Segment -> accounts."""
    return {name: segment.accounts for name, segment in scenario.spec.segments.items()}


def is_limited(scenario: Scenario) -> bool:
    """Whether accounts meet at a limited desk at any time."""
    return any(desk.reviewers is not None for spec in scenario.in_force for desk in spec.desks.values())


def fair_parts(accounts: Mapping[str, int], most: int) -> dict[str, int]:
    """Segment -> accounts kept, together at most `most` (but one of each): the small ones whole, the others alike."""
    left, kept = most, dict[str, int]()
    for rank, (name, count) in enumerate(sorted(accounts.items(), key=lambda each: each[1])):
        kept[name] = max(1, min(count, left // (len(accounts) - rank)))
        left -= kept[name]
    return kept


def sample(base: Scenario, other: Scenario, most: int = MOST_ACCOUNTS) -> Sample:
    """A sample of at most `most` accounts by which both scenarios can be cut, so that they can be held to each other."""
    most = min(most, _busiest(base, most), _busiest(other, most))
    accounts = accounts_of(base)
    total = sum(accounts.values())
    if total <= most:
        return Sample({}, total, total, True)
    even = is_limited(base) or is_limited(other)
    if even:
        # rounding up may add one account to each segment
        changes = other.scaling(max(1, most - len(accounts)) / total)
    else:
        parts = fair_parts(accounts, max(len(accounts), most - len(accounts)))
        changes = other.scaling({name: part / accounts[name] for name, part in parts.items()})
    kept = sum(accounts_of(other.with_values(changes)).values())
    return Sample(changes, kept, total, even)


def expected_violations(scenario: Scenario) -> float:
    """Violations if no account were ever hindered: an upper bound where no activity is above 100 %."""
    years = [scenario.spec.end_us * max(spec.violations[kind].rate[name] for spec in scenario.in_force) * count
             for name, count in accounts_of(scenario).items() for kind in scenario.spec.violations]  # fmt: skip
    activity = max(state.activity for spec in scenario.in_force for state in spec.ladder.states.values())
    return sum(years) * max(1.0, activity)


def _busiest(scenario: Scenario, most: int) -> int:
    """Accounts such that no more than `MOST_VIOLATIONS` are to be expected, even if all were of the busiest segment."""
    counts = accounts_of(scenario)
    rates = [
        sum(max(spec.violations[kind].rate[name] for spec in scenario.in_force) for kind in scenario.spec.violations)
        for name in counts
    ]
    each = max(rates, default=0.0) * scenario.spec.end_us
    return most if each * most <= MOST_VIOLATIONS else max(len(counts), int(MOST_VIOLATIONS / each))


def check_size(scenario: Scenario) -> None:
    """Refuse what would not fit beside the scenarios of others.

    Raises
    ------
    ScenarioError
        Its tables have more than `MOST_ROWS` rows, or accounts violate too often.
    """
    spec = scenario.spec
    times = spec.end_us // spec.observe_us + 1
    rows = times * (len(spec.segments) * (len(spec.ladder.states) + 1) + len(spec.desks))
    if rows > MOST_ROWS:
        problem = f"makes tables of {rows:,} rows; the app holds {MOST_ROWS:,}"
        raise ScenarioError(
            [Fault(scenario.name, None, "observe", problem, "observe less often, or use `enforcement-sim run`")]
        )
    counts = accounts_of(scenario)
    alone = expected_violations(scenario) / sum(counts.values())
    if alone * len(counts) > MOST_VIOLATIONS:
        problem = f"{alone:,.0f} violations of one account are too many for the app"
        raise ScenarioError([Fault(scenario.name, None, "violations", problem, "use `enforcement-sim run`")])
