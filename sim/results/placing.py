"""Folders that appear whole or not at all: written beside their place under a hidden name, and renamed when everything is in them.

====================  ============================================================================
`check_target`        refuses a place before any work is done
`Claim`               a folder that belongs to a process for as long as it lives
`Partial`             a folder that is being written, and what dead processes have left of such
`writing`             says in words why a folder could not be written
====================  ============================================================================

A process that was killed cannot clear up. Whether the one that wrote a folder is still alive is told by a lock on the folder, which ends with its
process however that ends; numbers of processes do not tell, since they are given anew, and mean nothing on another machine.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sim.errors import NOT_UTF8, RENAME, ResultsError, RunError, is_utf8

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

MANIFEST = "manifest.json"


def check_target(folder: Path, *, force: bool) -> None:
    """Refuse a folder that cannot be written before any work is done.

    Raises
    ------
    ResultsError
        The folder exists and `force` is not given, or it is not a results folder, or its parent cannot be written, or its name is not UTF-8.
    """
    if not is_utf8(folder.absolute()):
        raise ResultsError(f"{folder} {NOT_UTF8}, or lies in one that has; {RENAME}, or give --out for another place")
    if folder.exists():
        if not force:
            raise ResultsError(f"{folder} exists already; give --force to replace it, or --out for another place")
        if not (folder / MANIFEST).is_file():
            raise ResultsError(f"{folder} is not a results folder (it has no {MANIFEST}): it will not be replaced")
    parent = folder.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise ResultsError(f"{folder} cannot be written: {parent} is not a folder that takes files from you")


ANOTHER_PLACE = "make room, or give --out for another place"
KEPT = "finished tasks are kept: when it can be, the same command goes on from there"
"""Ways on; the second for work that is cut into tasks."""


_REFUSALS = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO),
    *(errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.EISDIR),
}
"""What the system says where a file cannot be written; other errors are about other things, such as a network."""


class NotWrittenError(RunError):
    """Results cannot be written: their disk is full, or their folder is gone or taken away."""


@contextmanager
def writing(folder: Path, way_on: str = ANOTHER_PLACE) -> Iterator[None]:
    """While something is written for a folder; `way_on` says what one can do when it cannot be.

    Raises
    ------
    NotWrittenError
        The system refused it.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        reason = os.strerror(error.errno)
        if error.errno in (errno.ENOENT, errno.ESTALE):
            reason, way_on = "its folder was removed meanwhile", "give the command again"
        elif error.errno == errno.EISDIR:
            reason = f"{error.filename2 or error.filename} is a folder"
            way_on = "move it away and give the command again"
        raise NotWrittenError(f"{folder} cannot be written: {reason}; {way_on}") from error


def same_file(one: Path, other: Path) -> bool:
    """Whether both are names of the same file."""
    return one.exists() and other.exists() and one.samefile(other)


def write_whole(file: Path, text: str, way_on: str) -> None:
    """Write a text file whole or not at all; into what is not a file, such as a pipe, as it comes. `way_on` says what one can do when it cannot be.

    Raises
    ------
    NotWrittenError
        The system refused it.
    """
    with writing(file, way_on):
        if file.exists() and not file.is_file():
            file.write_text(text, encoding="utf-8")
            return
        target = file.resolve()  # a link stays one
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{os.getpid()}.partial")
        try:
            unfinished.write_text(text, encoding="utf-8")
            if target.exists():
                shutil.copymode(target, unfinished)
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)


class Claim:
    """A folder claimed by this process, until `release` or the end of the process.

    Attributes
    ----------
    granted
        Whether the folder is there and no other claim on it stands.
    sure
        Whether that is known. Windows and some network file systems lock no folders: there every claim is granted, and none is sure.
    """

    def __init__(self, folder: Path, *, wait: bool = False) -> None:
        self.granted = self.sure = False
        self._file: int | None = None
        if fcntl is None:
            self.granted = True
            return
        try:
            self._file = os.open(folder, os.O_RDONLY)
            fcntl.flock(self._file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            self.granted = self.sure = folder.exists()
        except (BlockingIOError, FileNotFoundError):
            self.sure = True
        except OSError:
            self.granted = True
        if not self.granted:
            self.release()

    def release(self) -> None:
        """Give the folder up."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Partial:
    """A folder beside the place of another, which it takes when it is whole.

    What processes that are no more have left beside this place is cleared away first.

    Attributes
    ----------
    folder
        The place.
    path
        Where to write.
    """

    def __init__(self, folder: Path, *, force: bool = False) -> None:
        check_target(folder, force=force)
        self.folder, self.force = folder.absolute(), force
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        clear_abandoned(self.folder)
        while True:
            made = tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=self.folder.parent)
            self.path = Path(made)
            self._claim = Claim(self.path, wait=True)
            if self._claim.granted:  # not if another process took it for abandoned before it was claimed
                break
        self.path.chmod(0o755)

    def publish(self) -> Path:
        """Put the folder in its place; one that was there goes only now, and stays if that fails.

        Raises
        ------
        ResultsError
            Something that may not be replaced has come into its place meanwhile.
        """
        check_target(self.folder, force=self.force)
        if not self.folder.exists():
            self.path.rename(self.folder)
            return self.folder
        aside = self.path.with_suffix(".old")
        self.folder.rename(aside)
        try:
            self.path.rename(self.folder)
        except BaseException:
            aside.rename(self.folder)
            raise
        shutil.rmtree(aside, ignore_errors=True)
        return self.folder

    def discard(self) -> None:
        """Leave nothing that has not been put in its place."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._claim.release()


def _beside(folder: Path, suffix: str) -> Iterator[Path]:
    """Hidden folders of this place, and not of one whose name begins like its own."""
    hidden = re.compile(rf"\.{re.escape(folder.name)}\.[^.]+\.{suffix}")
    if folder.parent.is_dir():
        yield from (path for path in sorted(folder.parent.iterdir()) if hidden.fullmatch(path.name))


def clear_abandoned(folder: Path) -> None:
    """Remove what dead processes left beside a place; results that one of them had moved aside, and not yet replaced, are put back."""
    folder = folder.absolute()
    for partial in _beside(folder, "partial"):
        claim = Claim(partial)
        if claim.granted and claim.sure:
            shutil.rmtree(partial, ignore_errors=True)
        claim.release()
    for aside in _beside(folder, "old"):
        if aside.with_suffix(".partial").exists():
            continue
        if folder.exists():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.rename(folder)
