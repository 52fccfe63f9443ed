"""What tasks have made, kept in files: each begins with a seal, which tells whether it is as it was written, and for that task.

Zip archives and texts both stand a line before them; what reads a zip archive looks for it from the end.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

SEAL = 2 * hashlib.sha256().digest_size + 1
"""Bytes of a seal: SHA-256 of the task's key and of all that follows, in hexadecimal digits, and the end of the line."""


def write_sealed(file: Path, key: str, content: bytes) -> None:
    """Write the file of a task."""
    seal = hashlib.sha256(key.encode())
    seal.update(content)
    with file.open("wb") as into:
        into.write(f"{seal.hexdigest()}\n".encode())
        into.write(content)


def check_seal(file: Path, key: str) -> None:
    """Refuse a file that is damaged, or another task's.

    Raises
    ------
    ValueError
        It is one or the other.
    OSError
        It cannot be read.
    """
    with file.open("rb") as kept:
        told = kept.read(SEAL)
        if told != f"{hashlib.file_digest(kept, lambda: hashlib.sha256(key.encode())).hexdigest()}\n".encode():
            raise ValueError(f"{file} is not as it was written")


def content_of_sealed(file: Path) -> bytes:
    """What stands behind the seal."""
    return file.read_bytes()[SEAL:]
