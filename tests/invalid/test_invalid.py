"""Each file here breaks one rule of the format; `<name>.expected` holds, word for word, what its author is told.

`python tests/invalid/renew.py` writes the expected messages anew; read the difference before keeping it.
"""

from pathlib import Path

import pytest

from sim.errors import ScenarioError
from sim.scenario import load

HERE = Path(__file__).parent
FILES = sorted(path.stem for path in HERE.glob("*.expected"))


def told(path: Path) -> str:
    """The messages that a bad file gives, with paths as seen from its folder."""
    with pytest.raises(ScenarioError) as caught:
        load(path)
    return str(caught.value).replace(f"{path.parent}/", "") + "\n"


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_refused_with_its_message(name: str) -> None:
    assert told(HERE / f"{name}.yaml") == (HERE / f"{name}.expected").read_text(encoding="utf-8")


def test_every_bad_file_has_its_message() -> None:
    bases = {"unit_base", "bad_base"}
    assert {path.stem for path in HERE.glob("*.yaml")} - bases == set(FILES)


def test_the_base_of_the_bad_files_is_valid() -> None:
    assert load(HERE / "unit_base.yaml").name == "unit_base"


def test_every_fault_has_a_place_and_a_remedy() -> None:
    for name in FILES:
        with pytest.raises(ScenarioError) as caught:
            load(HERE / f"{name}.yaml")
        for fault in caught.value.faults:
            assert fault.file is not None
            assert fault.problem
            assert fault.remedy
            assert fault.line is not None or not fault.path


def test_a_file_over_one_mebibyte_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * (2**20 + 1))
    assert told(path) == "large.yaml: has 1,048,577 bytes; a file has at most 1,048,576 bytes (1 MiB)\n"


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("schema: 1\ntitle: é\n".encode("latin-1"))
    assert told(path) == "latin.yaml:2: is not UTF-8 text; save the file as UTF-8\n"


def test_control_characters_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "control.yaml"
    path.write_bytes(b"schema: 1\ntitle: \x07\n")
    assert told(path) == "control.yaml:2: has a character that YAML does not allow (U+0007); remove it\n"


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/"])
def test_what_is_not_a_file_is_refused(path: str) -> None:
    with pytest.raises(ScenarioError, match="is not a file"):
        load(path)


def test_names_of_files_that_are_not_there_get_the_nearest_shipped_one() -> None:
    with pytest.raises(ScenarioError, match="did you mean `wechat_2022`"):
        load("wechat_2023")
    with pytest.raises(ScenarioError, match="cannot be read"):
        load("nowhere.yaml")


def test_links_do_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "base.yaml").write_text((HERE / "unit_base.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "days.csv").write_text("days\n1\n2\n", encoding="utf-8")
    (inner / "base.yaml").symlink_to(tmp_path / "base.yaml")
    (inner / "days.csv").symlink_to(tmp_path / "days.csv")
    (inner / "what_if.yaml").write_text("extends: base.yaml\n", encoding="utf-8")
    assert "leaves the folder" in told(inner / "what_if.yaml")
    whole = (HERE / "unit_base.yaml").read_text(encoding="utf-8")
    (inner / "observed.yaml").write_text(whole.replace("20 minutes", "{empirical: {file: days.csv}}"), encoding="utf-8")
    assert "leaves the folder" in told(inner / "observed.yaml")
