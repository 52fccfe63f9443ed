"""Numba, set up in one place: every compiled function of the package is made by `compiled` or `inlined`.

They are ``numba.njit`` with the package's settings: cached on disk, the GIL released, NumPy's rules for division, no fast-math (the
law's arithmetic must not be reordered), and no reference counting: compiled code only reads and writes arrays that Python holds, and counting
references to two dozen tables at each small function made a run eight times slower.

``ndtri`` (the inverse of the normal distribution function) is SciPy's own compiled routine, called from compiled code by its address: the symbol
is registered under a fixed name so that functions that call it can still be cached.

With ``NUMBA_DISABLE_JIT=1``, Numba's own switch, nothing is compiled: each name of this module then has its meaning in Python
(`sim.model.interpreted`), and the numbers are the same.
"""

from __future__ import annotations

import atexit
import getpass
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils as _cgutils
from numba.core import config as _numba_config
from numba.extending import get_cython_function_address, intrinsic

from sim.errors import RunError
from sim.model import interpreted

config, cgutils = cast(Any, _numba_config), cast(Any, _cgutils)
IS_INTERPRETED = bool(config.DISABLE_JIT)
"""Whether Numba is switched off, so that Python itself runs what would be compiled."""
Function = TypeVar("Function", bound=Callable[..., Any])
Array = npt.NDArray[Any]
"""A NumPy array; its shape and type stand where it is made."""

NEVER = 2**62
"""A time that does not come, in microseconds; sums of two such values still fit an int64."""

SOURCES = ("model", "engines")
"""Subpackages that hold compiled functions."""


def _cache_folder() -> Path:
    """Where machine code is kept: a folder of its own for each state of the sources.

    Numba looks only at the file in which a function stands; a function that was expanded into another from elsewhere could go stale unseen. The
    folder is named by a hash of all sources with compiled functions. It lies in ``NUMBA_CACHE_DIR`` if that is set; else in the first of these that
    takes files: the package's ``__pycache__``, the user's cache, the user's own part of the temporary folder, a new temporary folder.

    Raises
    ------
    RunError
        None of them takes files.
    """
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for part in SOURCES:
        for source in sorted((package / part).glob("*.py")):
            digest.update(source.read_bytes())
    name = f"kernels-{digest.hexdigest()[:16]}"
    if config.CACHE_DIR:
        if _takes_files(named := Path(config.CACHE_DIR) / name):
            return named
        raise RunError(
            f"machine code cannot be kept in {config.CACHE_DIR}: name another folder with NUMBA_CACHE_DIR=/some/folder"
        )
    places: tuple[Callable[[], Path], ...] = (
        lambda: package / "__pycache__",
        _users_cache,
        _own_temporary,
        _new_temporary,
    )
    for place in places:
        with suppress(OSError, RuntimeError):  # no home, no temporary folder
            if _takes_files(folder := place() / name):
                return folder
    raise RunError("machine code can be kept nowhere: name a folder that takes files with NUMBA_CACHE_DIR=/some/folder")


def _takes_files(folder: Path) -> bool:
    """Whether a folder is there, or can be made, in which files can be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _users_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "enforcement-sim"


def _own_temporary() -> Path:
    """A folder of this user's alone: what others could write there would be run here."""
    folder = Path(tempfile.gettempdir()) / f"enforcement-sim-{getpass.getuser()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or (
        os.name == "posix" and (status.st_uid != os.geteuid() or status.st_mode & 0o077)
    ):
        raise PermissionError(f"{folder} is somebody else's")
    return folder


def _new_temporary() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="enforcement-sim-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


_CACHE = _cache_folder()


@contextmanager
def _own_cache() -> Iterator[None]:
    """Have Numba keep what is made meanwhile in the package's folder; other users of Numba in this process keep theirs."""
    before = config.CACHE_DIR
    config.CACHE_DIR = str(_CACHE)
    try:
        yield
    finally:
        config.CACHE_DIR = before


def is_compiled_before() -> bool:
    """Whether machine code of the engines is on disk already, from these very sources; if not, the first run compiles.

    That of the model alone does not count: quantiles are looked at before a run, and by verbs that run nothing.
    """
    return IS_INTERPRETED or any(_CACHE.glob("engines_*/*.nbc"))


LONGEST = 2**61
"""No duration is longer, in microseconds: some 73,000 years. A time within the run and this add up to less than `NEVER`."""

_SETTINGS: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}


def compiled(function: Function) -> Function:
    """Compile a function with the package's settings (lazily, at its first call). It must not make arrays: its caller does."""
    if IS_INTERPRETED:
        return interpreted.in_python(function)
    with _own_cache():
        return cast(Function, numba.njit(**_SETTINGS)(function))


def inlined(function: Function) -> Function:
    """Compile a small function and have the machine-code optimiser expand it where it is called."""
    if IS_INTERPRETED:
        return interpreted.in_python(function)
    with _own_cache():
        return cast(Function, numba.njit(forceinline=True, **_SETTINGS)(function))


def pasted(function: Function) -> Function:
    """Put a function's source in the place of each call, so that it is not compiled by itself as well: for those that are large and called once."""
    if IS_INTERPRETED:
        return interpreted.in_python(function)
    with _own_cache():
        return cast(Function, numba.njit(inline="always", **_SETTINGS)(function))


def _scipy_ndtri() -> Callable[[float], float]:
    import llvmlite.binding

    if IS_INTERPRETED:
        from scipy.special import ndtri as scipy_ndtri

        return cast(Callable[[float], float], scipy_ndtri)
    address = get_cython_function_address("scipy.special.cython_special", "ndtri")
    llvmlite.binding.add_symbol("enforcement_sim_ndtri", address)
    external = numba.types.ExternalFunction("enforcement_sim_ndtri", numba.types.float64(numba.types.float64))
    return cast(Callable[[float], float], external)


ndtri = _scipy_ndtri()
"""Inverse of the standard normal distribution function (SciPy's), callable from compiled functions."""


def _instruction(meaning: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A function of compiled code for which Python has no word: what is decorated gets the LLVM builder; `meaning` is the same in Python."""
    return lambda emit: meaning if IS_INTERPRETED else cast(Callable[..., Any], intrinsic(emit))


@_instruction(interpreted.fma)
def fma(context: Any, a: Any, b: Any, c: Any) -> Any:
    """``a * b + c``, rounded once."""
    double = numba.float64
    return double(double, double, double), lambda _, builder, signature, values: builder.fma(*values)


@_instruction(interpreted.bits_of)
def bits_of(context: Any, number: Any) -> Any:
    """The 64 bits of a float64, as int64."""
    return numba.int64(numba.float64), lambda _, builder, signature, values: builder.bitcast(values[0], ir.IntType(64))


@_instruction(interpreted.number_of)
def number_of(context: Any, bits: Any) -> Any:
    """The float64 that has these 64 bits."""
    return numba.float64(numba.int64), lambda _, builder, signature, values: builder.bitcast(values[0], ir.DoubleType())


@_instruction(interpreted.use_widest_vectors)
def use_widest_vectors(context: Any) -> Any:
    """Let the function that calls this use the widest vectors of the processor.

    The optimiser takes half of them by default, for fear of a lower clock, which loops of whole-number products as long as ours outweigh.
    """

    def mark(target: Any, builder: Any, signature: Any, values: Any) -> Any:
        set.add(
            builder.function.attributes, '"prefer-vector-width"="512"'
        )  # llvmlite checks for attributes without a value
        return target.get_dummy_value()

    return numba.void(), mark


LINE = 64
"""Bytes that processors bring near at once."""


@_instruction(interpreted.fetch_row)
def fetch_row(context: Any, rows: Any, place: Any) -> Any:
    """Ask the processor to bring a row of an array near, all the lines of memory that it covers; nothing waits for it."""
    whole = numba.int64

    def ask(target: Any, builder: Any, signature: Any, values: Any) -> Any:
        table = target.make_array(signature.args[0])(target, builder, values[0])
        stride = cgutils.unpack_tuple(builder, table.strides)[0]
        size = stride.type
        row = builder.add(builder.ptrtoint(table.data, size), builder.mul(stride, values[1]))
        line = builder.and_(row, ir.Constant(size, -LINE))
        byte, word = ir.PointerType(ir.IntType(8)), ir.IntType(32)
        fetch = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte, word, word, word]), "llvm.prefetch.p0i8"
        )
        to_write_and_keep = [ir.Constant(word, each) for each in (1, 3, 1)]
        with cgutils.for_range_slice(builder, line, builder.add(row, stride), ir.Constant(size, LINE)) as (at, _):
            builder.call(fetch, [builder.inttoptr(at, byte), *to_write_and_keep])
        return target.get_dummy_value()

    return numba.void(rows, whole), ask


def entry_point(function: Callable[..., Any], *arguments: object) -> Callable[..., Any]:
    """Machine-code entry of a compiled function for arguments of just these types.

    Calling it skips the look-up of types that a call of `function` makes each time, four fifths of the cost of a short call. It must be called
    with arguments of the same types, by position.
    """
    if IS_INTERPRETED:
        return function
    type_of = cast(Callable[[object], Any], numba.typeof)
    signature = tuple(type_of(argument) for argument in arguments)
    dispatcher = cast(Any, function)
    dispatcher.compile(signature)
    return cast(Callable[..., Any], dispatcher.overloads[signature].entry_point)
