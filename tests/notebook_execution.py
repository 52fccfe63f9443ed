"""Notebooks executed anew: ``python tests/notebook_execution.py [FILES]`` writes their outputs into them; read the difference before keeping it.

What would be another on every machine or day (times of execution, versions of the kernel) is left out, so that a second execution changes nothing
but, perhaps, the bytes of a picture.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parents[1] / "notebooks"
FILES = sorted(FOLDER.glob("*.ipynb"))
LONGEST_S = 300
"""A cell that takes longer is stopped: the first run ever compiles for some twenty seconds, a minute where others compile, too."""


def read(file: Path) -> NotebookNode:
    """A notebook as it is committed."""
    return nbformat.read(file, as_version=4)


def executed(file: Path, folder: Path) -> NotebookNode:
    """A notebook with the outputs that it has now, made in a folder of its own.

    Raises
    ------
    nbclient.exceptions.CellExecutionError
        A cell fails.
    """
    notebook = read(file)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    asyncio.run(_execute(notebook, folder))
    return plain(notebook)


async def _execute(notebook: NotebookNode, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as sockets:
        # files instead of ports: no other program can take them first
        manager = AsyncKernelManager(kernel_name="python3", transport="ipc", ip=str(Path(sockets) / "kernel"))
        place = {"metadata": {"path": str(folder)}}
        try:
            await NotebookClient(notebook, km=manager, timeout=LONGEST_S, resources=place).async_execute()
        finally:
            await manager.shutdown_kernel(now=True)


def plain(notebook: NotebookNode) -> NotebookNode:
    """A notebook without what depends on the machine and the day."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata = {}
        for output in cell.get("outputs", ()):
            if "metadata" in output:
                output.metadata = {}
    return notebook


def main() -> None:
    for file in [Path(name) for name in sys.argv[1:]] or FILES:
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(executed(file, Path(folder)), file)
        print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
