"""Work on other machines: a Dask cluster (extra ``cluster``) that takes tasks like the machine's own threads do.

Dask's scheduler holds the tasks, and gives one that was lost with its worker to another. A worker must have the versions of this machine of
whatever decides numbers: with others its outcomes could differ.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

from sim.errors import RunError
from sim.results.manifest import versions

Given = TypeVar("Given")
Made = TypeVar("Made")

RETRIES = 2
"""How often a task that failed is tried again; that its worker died does not count."""
PATIENCE_SECONDS = 10
"""How long to wait for the scheduler, and then for its first worker."""
DECISIVE = ("enforcement-sim", "numpy", "numba", "scipy")
"""Packages that decide numbers."""


@lru_cache(maxsize=1)
def _versions() -> tuple[str, ...]:
    found = versions()
    return tuple(f"{package} {found[package]}" for package in DECISIVE)


def _there(function: Callable[[Given], Made], given: Given, wanted: tuple[str, ...]) -> Made:
    """Do a task on a worker.

    Raises
    ------
    RunError
        The worker has other versions than the machine that asks.
    """
    for found, asked in zip(_versions(), wanted, strict=True):
        if found != asked:
            raise RunError(f"a worker of the cluster has {found}, this machine has {asked}: outcomes could differ")
    return function(given)


@contextmanager
def joined(
    address: str, function: Callable[[Given], Made]
) -> Iterator[tuple[Callable[[Given], Future[Made]], int, Callable[[], None]]]:
    """Work on a cluster, while it lasts.

    Yields
    ------
    submit
        Has `function` done.
    places
        How many tasks the cluster's workers do at once.
    check
        To be called while waiting.

    Raises
    ------
    RunError
        Dask is not installed, no scheduler answers at the address, or it has no workers; by `check` when the scheduler is gone.
    """
    try:
        import distributed
    except ImportError as error:
        raise RunError("--cluster needs Dask: pip install 'enforcement-sim[cluster]'") from error
    if not re.fullmatch(r"(\w+://)?\S+:\d+", address):  # Dask's own refusal takes half a minute
        raise RunError(f"{address} is not the address of a Dask scheduler: write it as in tcp://host:8786")
    connect: Any = distributed.Client
    try:
        client: Any = connect(address, timeout=PATIENCE_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise RunError(f"no Dask scheduler answers at {address}: {error}") from error
    try:
        try:
            client.wait_for_workers(1, timeout=PATIENCE_SECONDS)
        except TimeoutError as error:
            raise RunError(f"the Dask scheduler at {address} has no workers") from error
        executor = client.get_executor(pure=False, retries=RETRIES)

        def submit(given: Given) -> Future[Made]:
            check()
            handed: Future[Made] = executor.submit(_there, function, given, _versions())
            return handed

        def check() -> None:
            if client.status in ("closing", "closed"):  # its futures would never be done
                raise RunError(f"the Dask scheduler at {address} is gone")

        try:
            yield submit, sum(client.nthreads().values()), check
        finally:
            if client.status == "running":
                executor.shutdown(wait=False)
    finally:
        client.close()
