"""The notebooks: executed anew, they say what they said when they were committed; and each is thin, clean and tells its story."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from nbformat import NotebookNode
from notebook_execution import FILES, FOLDER, LONGEST_S, read

HERE = Path(__file__).parent
ALLOWED = {"IPython", "math", "pandas", "pathlib", "statistics", "tempfile", "sim"}
"""What a thin notebook imports; of `sim` the public names alone."""
LARGEST_KB = 500
MACHINE = re.compile(r"/(home|root|tmp|Users|work|private|var)/|[A-Z]:\\\\")

every_notebook = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def said(cell: NotebookNode) -> list[dict[str, Any]]:
    """What a cell shows: texts as they are, of pictures that they are there."""
    shown = []
    for output in cell.outputs:
        told = {"kind": output.output_type, **({"name": output.name, "text": output.text} if "text" in output else {})}
        told |= {mime: text for mime, text in output.get("data", {}).items() if mime.startswith("text/")}
        shown.append(told | {mime: "a picture" for mime in output.get("data", {}) if mime.startswith("image/")})
    return shown


def test_all_are_there() -> None:
    numbers = [file.stem.partition("_")[0] for file in FILES]
    assert numbers == [f"{number:02d}" for number in range(1, len(FILES) + 1)]
    assert {"01_ban_rate_curves", "02_what_if_deadline", "03_reproduce_a_run", "04_uncertain_parameters"} <= {
        file.stem for file in FILES
    }
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    assert all(f"notebooks/{file.name}" in readme for file in FILES)


@every_notebook
def test_executed_anew_it_says_the_same(file: Path, tmp_path: Path) -> None:
    """By the script that renews them, in a process and a folder of its own."""
    copy = tmp_path / file.name
    copy.write_bytes(file.read_bytes())
    command = [sys.executable, str(HERE / "notebook_execution.py"), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=4 * LONGEST_S, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    committed, now = read(file), read(copy)
    assert [cell.source for cell in now.cells] == [cell.source for cell in committed.cells]
    assert [said(cell) for cell in code_cells(now)] == [said(cell) for cell in code_cells(committed)]


@every_notebook
def test_it_was_committed_as_executed_and_clean(file: Path) -> None:
    notebook = read(file)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert dict(notebook.metadata.language_info) == {"name": "python"}
    assert not any(cell.metadata for cell in notebook.cells)
    outputs = [output for cell in cells for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"stream", "display_data", "execute_result"}
    assert not any(output.get("name") == "stderr" for output in outputs)
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert file.stat().st_size < 1000 * LARGEST_KB
    assert not MACHINE.search(str([said(cell) for cell in cells]) + "".join(cell.source for cell in notebook.cells))


@every_notebook
def test_it_is_thin_and_tells_its_story(file: Path) -> None:
    notebook = read(file)
    first, last = notebook.cells[0], notebook.cells[-1]
    assert first.source.startswith("# ")
    assert "?" in first.source.splitlines()[0]
    assert "**The question:**" in first.source
    for name in re.findall(r"\]\((\.\./scenarios/.*?)\)", first.source):
        assert (FOLDER / name).is_file(), name
    assert notebook.cells[-2].source == "## The answer"
    assert "assert " in last.source  # the words are held to the numbers
    assert "text/markdown" in last.outputs[-1].data
    assert re.search(r"\d", last.outputs[-1].data["text/markdown"])
    source = "\n".join(line for cell in code_cells(notebook) for line in cell.source.splitlines() if line[:1] != "%")
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        assert {name.partition(".")[0] for name in names} <= ALLOWED
        assert not any(name.startswith("sim.") for name in names)
        assert not isinstance(node, ast.ClassDef | ast.While)
