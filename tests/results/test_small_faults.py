"""Rules of the results that no larger test depends on: each of these was a fault that could be put in unseen (`tests/mutation`)."""

from __future__ import annotations

import ast
import math
import os
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from results.written import write
from scipy import stats

import sim.results
from sim.errors import ResultsError
from sim.results import placing
from sim.results.columns import TABLES, Column
from sim.results.estimators import Occupancy, aalen_johansen, first_entry
from sim.results.intervals import welch
from sim.results.ledger import Ledger
from sim.results.placing import Claim, Partial, check_target, clear_abandoned
from sim.results.spells import DAY_US, Spells, spells_of
from sim.results.store import SCENARIO, Stored, Writer, arrow_of
from sim.results.summary import Measure, Value, summarise
from sim.results.tables import HOUR_US

RESULTS = Path(sim.results.__file__).parent


@pytest.mark.parametrize("module", sorted(RESULTS.glob("*.py")), ids=lambda path: path.stem)
def test_values_do_not_change(module: Path) -> None:
    """Every data class is frozen (`sim/README.md`, "Style")."""
    for each in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(each, ast.ClassDef):
            made = [ast.unparse(mark) for mark in each.decorator_list if "dataclass" in ast.unparse(mark)]
            assert all("frozen=True" in mark for mark in made), each.name


def test_welch_is_scipys() -> None:
    """Limits of a difference of means, for samples of other sizes and spreads."""
    a, b = [1.0, 4.0, 2.5, 7.0], [3.0, 3.5, 9.0, 12.0, 4.0, 6.5]
    theirs = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.9)
    assert welch(a, b, 0.9) == pytest.approx((theirs.high - theirs.low) / 2)
    assert welch([2.0, 2.0], [3.0, 3.0]) == 0.0
    assert math.isnan(welch([1.0], a))


def occupancy() -> Occupancy:
    """Shares of eight accounts, of which two begin elsewhere."""
    rows = [(number, 0.0, "y" if number < 2 else "x") for number in range(8)]
    rows += [(2, 1.0, "y"), (3, 2.0, "y"), (4, 3.0, "y"), (5, 1.5, None), (6, 1.5, None), (7, 3.5, None)]
    return aalen_johansen(spells_of(pd.DataFrame(rows, columns=["account", "time", "state"]), 4.0))


def test_shares_at_the_beginning_are_uncertain() -> None:
    """As those of a sample: the variance of a share is that of a binomial one."""
    found = occupancy()
    place = found.states.index("y")
    assert found.initial[place] == pytest.approx(0.25)
    assert found.initial_errors[place] ** 2 == pytest.approx(0.25 * 0.75 / 8)


def test_limits_of_shares() -> None:
    """Normal limits around the share, cut to 0 and 1."""
    found = occupancy()
    at = np.array([0, 1, 3]) * DAY_US
    shares, errors = found.at(at)
    low, high = found.limits(at, 0.9)
    half_width = stats.norm.ppf(0.95) * errors
    assert low == pytest.approx(np.clip(shares - half_width, 0.0, 1.0))
    assert high == pytest.approx(np.clip(shares + half_width, 0.0, 1.0))
    assert (low < shares).any()


def test_observed_until_is_the_last_time_with_enough() -> None:
    """Eight accounts at the first move, six at the second, five at the third."""
    found = occupancy()
    assert found.at_risk.tolist() == [8, 6, 6]
    assert [found.observed_until(share) for share in (0.5, 0.9)] == [3 * DAY_US, DAY_US]


def test_who_begins_there_has_entered() -> None:
    """The first entry counts and nothing after it, for the very first account too."""
    rows = [("a", 0.0, "y"), ("a", 1.0, "x"), ("a", 2.0, "y"), ("b", 0.0, "x"), ("b", 3.0, "y")]
    found = first_entry(spells_of(pd.DataFrame(rows, columns=["account", "time", "state"]), 4.0), ["y"])
    assert found.times_us.tolist() == [3 * DAY_US]
    assert found.at(np.array([0, 2.5, 3]) * DAY_US)[0][:, 1] == pytest.approx([0.5, 0.5, 1.0])


def test_comparisons_are_counted_from_nothing() -> None:
    """A manifest tells how many numbers were compared, not one more."""
    ledger = Ledger("counts fit")
    assert ledger.comparisons == 0
    ledger.require(np.ones((2, 3)), lambda *place: "")
    assert ledger.comparisons == 6


@pytest.mark.parametrize("missing", [os.W_OK, os.X_OK])
def test_a_parent_must_be_written_and_entered(missing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the two permissions is not enough."""
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & missing)
    with pytest.raises(ResultsError, match="cannot be written"):
        check_target(tmp_path / "x", force=False)


def test_results_moved_aside_are_looked_at_one_by_one(tmp_path: Path) -> None:
    """One whose writer still lives is passed over, and those after it are seen to."""
    for name in (".x.aaaaaaaa.old", ".x.bbbbbbbb.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manifest.json").write_text("{}")
    alive = Partial(tmp_path / "y")
    alive.path.rename(tmp_path / ".x.aaaaaaaa.partial")
    alive.path = tmp_path / ".x.aaaaaaaa.partial"
    clear_abandoned(tmp_path / "x")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".x.aaaaaaaa.old", ".x.aaaaaaaa.partial", "x"]
    alive.discard()


def test_replaced_results_that_cannot_be_removed_do_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new ones are in place; the next work on the folder clears the old ones away."""
    for text in ("old", "new"):
        partial = Partial(tmp_path / "x", force=True)
        (partial.path / "manifest.json").write_text(text)
        with monkeypatch.context() as patched:
            patched.setattr(os, "rmdir", _refuse)
            partial.publish()
    assert (tmp_path / "x" / "manifest.json").read_text() == "new"


def test_results_moved_aside_go_when_new_ones_are_in_place(tmp_path: Path) -> None:
    """And only then."""
    for name in ("x", ".x.aaaaaaaa.old"):
        (tmp_path / name).mkdir()
    clear_abandoned(tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    clear_abandoned(tmp_path / "nowhere" / "x")  # no parent: nothing to clear
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("lacks", ["the module", "the lock"])
def test_where_folders_cannot_be_locked(lacks: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows and some network file systems: results come to their place, and what may be another's is left alone."""
    if lacks == "the module":
        monkeypatch.setattr(placing, "fcntl", None)
    else:
        monkeypatch.setattr(placing.fcntl, "flock", _refuse)
    other = tmp_path / ".x.aaaaaaaa.partial"
    other.mkdir()
    claim = Claim(other)
    assert (claim.granted, claim.sure) == (True, False)
    claim.release()
    partial = Partial(tmp_path / "x")
    (partial.path / "manifest.json").write_text("{}")
    partial.publish()
    assert sorted(path.name for path in tmp_path.iterdir()) == [other.name, "x"]


def test_a_folder_that_another_takes_for_abandoned_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the moment between its making and its claim."""
    flock, taken = placing.fcntl.flock, []

    def late(file: int, how: int) -> None:
        if not taken:
            taken.extend(tmp_path.glob(".x.*.partial"))
            taken[0].rmdir()
        flock(file, how)

    monkeypatch.setattr(placing.fcntl, "flock", late)
    partial = Partial(tmp_path / "x")
    assert partial.path.is_dir()
    assert partial.path != taken[0]
    partial.discard()
    assert list(tmp_path.iterdir()) == []


def _refuse(*_: object, **__: object) -> None:
    raise PermissionError("on purpose")


def test_files_of_tables_are_closed_when_a_run_fails(tmp_path: Path) -> None:
    """Whatever was opened is closed, so that the folder can go on every system."""
    writer = Writer(tmp_path / "x")
    opened = list(writer._writers.values())
    writer.__exit__(None, None, None)
    assert len(opened) == len(TABLES)
    assert not any(each.is_open for each in opened)


def test_what_is_there_stays_unless_it_is_said(tmp_path: Path) -> None:
    """Nothing is replaced by default."""
    folder = write(tmp_path / "x")
    for makes in (Partial, Writer):
        with pytest.raises(ResultsError, match="exists already"):
            makes(folder)


def test_small_tables_are_written_at_once(tmp_path: Path) -> None:
    """Rows of several replications go into one group, as they are few."""
    assert pq.read_metadata(write(tmp_path / "x") / "bans.parquet").num_row_groups == 1


def test_the_end_is_of_the_kind_of_the_times() -> None:
    """Timestamps end with a timestamp, numbers of days with a number."""
    days = pd.DataFrame({"account": [0, 1], "time": [0.0, 1.0], "state": ["a", "b"]})
    dates = days.assign(time=pd.to_datetime(["2024-01-01", "2024-01-02"]))
    for histories, end in ((days, pd.Timestamp("2024-01-03")), (dates, 3.0)):
        with pytest.raises(ResultsError, match="not of the kind of the times"):
            spells_of(histories, end)


def test_empty_cells_are_empty_in_files() -> None:
    """A number that is not known, and a share of nobody, are null; a false or a zero is not."""
    columns = (Column("a", "nullable int"), Column("b", "float"), Column("c", "int"), Column("d", "bool"))
    table = pd.DataFrame({"a": pd.array([1, None], "Int64"), "b": [0.5, math.nan], "c": [0, 1], "d": [False, True]})
    found = arrow_of(table, columns)
    assert [found.column(name).null_count for name in "abcd"] == [1, 1, 0, 0]
    assert found.column("a").to_pylist() == [1, None]
    assert found.schema.field("b").type == pa.float64()


@pytest.mark.parametrize(("lines", "more"), [(1, False), (2, True)])
def test_faults_of_a_stored_scenario_are_counted(lines: int, more: bool, tmp_path: Path) -> None:
    """The first is told, and how many more there are; nothing is said of none."""
    folder = write(tmp_path / "x")
    text = (folder / SCENARIO).read_text(encoding="utf-8")
    (folder / SCENARIO).write_text(text + "".join(f"nonsense_{k}: 1\n" for k in range(lines)), encoding="utf-8")
    with pytest.raises(ResultsError) as caught:
        _ = Stored(folder).scenario
    assert str(caught.value).endswith("(and 1 more)") is more
    assert ("more)" in str(caught.value)) is more


def test_limits_over_replications_stay_within_shares() -> None:
    """Student's limits of a share are cut to 0 and 1; those of a sum are not."""
    share, total = Measure("ban_rate", "", "", "share"), Measure("entries", "", "free", "entries")
    ones = [{share: Value(rate, int(10 * rate), 10), total: Value(10 * rate)} for rate in (0.1, 1.0)]
    found = summarise(ones, independent=True).set_index("measure")
    assert found.loc["ban_rate", ["low", "high"]].tolist() == [0.0, 1.0]
    assert found.loc["entries", "high"] > 10


def test_a_day_has_twenty_four_hours() -> None:
    """Hours of waiting and days in a state are the same time."""
    assert 24 * HOUR_US == DAY_US == 86_400_000_000


def test_spells_are_told_apart_as_objects() -> None:
    """Arrays have no one answer to whether they are equal: spells can stand in a set, and are equal to themselves alone."""
    table = pd.DataFrame([("a", 0.0, "x"), ("b", 1.0, "y")], columns=["account", "time", "state"])
    one, other = spells_of(table, 4.0), spells_of(table, 4.0)
    assert isinstance(one, Spells)
    assert one != other
    assert len({one, other, one}) == 2


def test_places_are_made_with_all_above_them(tmp_path: Path) -> None:
    """Results may go into a folder of folders that are not there yet."""
    partial = Partial(tmp_path / "years" / "2024" / "x")
    assert partial.path.parent == tmp_path / "years" / "2024"
    partial.discard()


def test_pages_of_tables_carry_their_checksum(tmp_path: Path) -> None:
    """A bit that was turned on the disk, is told and not read as another number."""
    file = write(tmp_path / "x") / "bans.parquet"
    whole, written = Stored(file.parent).table("bans"), file.read_bytes()
    rows = pq.ParquetFile(file).metadata.row_group(0)
    last = rows.column(rows.num_columns - 1)
    silent = 0
    for place in range(last.data_page_offset, last.data_page_offset + last.total_compressed_size, 13):
        file.write_bytes(written[:place] + bytes([written[place] ^ 4]) + written[place + 1 :])
        with suppress(ResultsError):
            silent += not Stored(file.parent).table("bans").equals(whole)
    assert silent == 0
