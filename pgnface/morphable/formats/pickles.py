"""Pickled arrays, read without running anything that is in the file.

Unpickling calls what the file names. Here every name stands for an inert record that keeps what it
is called with; only when the whole file has been read are the records of the few kinds that face
models consist of (numpy arrays and scalars, scipy's sparse matrices, chumpy's arrays) turned into
arrays, by code of this module alone. numpy's and scipy's own unpickling is not used: a file can
make it take bytes for pointers.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def read_pickle(path: str | Path, *, skip: int = 0) -> Any:
    """What a pickle of Python 2 or 3 holds: numbers, strings, containers, numpy arrays and scalars,
    scipy's csc and csr matrices; chumpy arrays as the numpy arrays of their values.

    Args:
        skip: bytes of the file before the pickle.

    Raises:
        ValueError: when the file is damaged, or names any other class or function.
    """
    with open(path, "rb") as file:
        file.seek(skip)
        try:
            # The strings of Python 2 hold the bytes of arrays.
            return _resolve(_Unpickler(file, encoding="latin1").load(), {})
        except _Refused as error:
            raise ValueError(str(error)) from error
        # Damaged pickles fail in every way there is.
        except Exception as error:
            reason = str(error) or type(error).__name__
            raise ValueError(f"not a readable pickle of arrays ({reason})") from error


class _Refused(pickle.UnpicklingError):
    """The file names what no face model consists of."""


class _Record:
    """What a name in the file is called with, and the state given to the outcome."""

    __slots__ = ("arguments", "state")

    def __new__(cls, *arguments: Any) -> _Record:
        record = object.__new__(cls)
        record.arguments, record.state = arguments, None
        return record

    # Also keeps the BUILD instruction from setting attributes of the class.
    def __setstate__(self, state: Any) -> None:
        self.state = state

    def resolve(self, inner: Callable[[Any], Any]) -> Any:
        """The value; ``inner`` resolves what the arguments and the state hold."""
        raise _Refused(f"expected arrays and plain values, got a bare {type(self).__name__}")


class _Name(_Record):
    """A class that is only ever an argument."""

    __slots__ = ()


class _Dtype(_Record):
    """``numpy.dtype(code, align, copy)``, then its byte order."""

    __slots__ = ()

    def resolve(self, inner: Callable[[Any], Any]) -> np.dtype:
        code = self.arguments[0]
        if not (isinstance(code, str) and re.fullmatch(r"[biufcSU]\d{1,4}|O8?", code)):
            raise _Refused(f"expected arrays of numbers, got the dtype {code!r}")
        order = self.state[1] if self.state else "="
        return np.dtype(code).newbyteorder(order)


class _Array(_Record):
    """``numpy.core.multiarray._reconstruct``, then version, shape, dtype, order and data."""

    __slots__ = ()

    def resolve(self, inner: Callable[[Any], Any]) -> np.ndarray:
        _, shape, dtype, fortran, data = self.state
        dtype, order = inner(dtype), "F" if fortran else "C"
        if dtype.kind != "O":
            return _from_bytes(inner(data), dtype, shape, order)
        array = np.empty(len(data), dtype)
        array[:] = [inner(item) for item in data]
        return array.reshape(shape, order=order)


class _Buffer(_Record):
    """``numpy.core.numeric._frombuffer(data, dtype, shape, order)`` of pickle protocol 5."""

    __slots__ = ()

    def resolve(self, inner: Callable[[Any], Any]) -> np.ndarray:
        data, dtype, shape, order = self.arguments
        return _from_bytes(inner(data), inner(dtype), shape, order)


class _Scalar(_Record):
    """``numpy.core.multiarray.scalar(dtype, data)``."""

    __slots__ = ()

    def resolve(self, inner: Callable[[Any], Any]) -> Any:
        dtype, data = map(inner, self.arguments)
        return data if dtype.kind == "O" else _from_bytes(data, dtype, (), "C")[()]


class _Encoded(_Record):
    """``_codecs.encode(text, "latin1")`` or ``bytes()``: how Python 3 writes bytes for 2."""

    __slots__ = ()

    def resolve(self, inner: Callable[[Any], Any]) -> bytes:
        return self.arguments[0].encode("latin1") if self.arguments else b""


class _Instance(_Record):
    """``copyreg._reconstructor(class, object, None)``: how old protocols make an instance."""

    __slots__ = ()

    def resolve(self, inner: Callable[[Any], Any]) -> Any:
        record = self.arguments[0]()
        record.state = self.state
        return inner(record)


class _Chumpy(_Record):
    """A ``chumpy.ch.Ch``, of which the values are kept."""

    __slots__ = ()

    def resolve(self, inner: Callable[[Any], Any]) -> np.ndarray:
        return np.asarray(inner(self.state["x"]))


class _Sparse(_Record):
    """A compressed sparse matrix, checked before anything is computed with it."""

    __slots__ = ()
    kind = ""

    def resolve(self, inner: Callable[[Any], Any]) -> Any:
        from scipy import sparse

        state = inner(self.state)
        shape = state["_shape"] if "_shape" in state else state["shape"]
        parts = tuple(np.asarray(state[key]) for key in ("data", "indices", "indptr"))
        matrix = getattr(sparse, f"{self.kind}_matrix")(parts, shape=tuple(map(int, shape)))
        matrix.check_format(full_check=True)
        return matrix


class _Columns(_Sparse):
    __slots__ = ()
    kind = "csc"


class _Rows(_Sparse):
    __slots__ = ()
    kind = "csr"


def _names() -> dict[str, type]:
    """What may be named, in the spelling of every version of Python, numpy and scipy."""
    names: dict[str, type] = {
        "numpy.dtype": _Dtype,
        "numpy.ndarray": _Name,
        "_codecs.encode": _Encoded,
        "chumpy.ch.Ch": _Chumpy,
        "collections.OrderedDict": dict,
    }
    for core in ("numpy.core", "numpy._core"):
        names[f"{core}.multiarray._reconstruct"] = _Array
        names[f"{core}.multiarray.scalar"] = _Scalar
        names[f"{core}.numeric._frombuffer"] = _Buffer
    for module in ("copyreg", "copy_reg"):
        names[f"{module}._reconstructor"] = _Instance
    for module in ("builtins", "__builtin__"):
        names[f"{module}.object"] = _Name
        names[f"{module}.bytes"] = _Encoded
        names[f"{module}.set"] = set
    for kind, record in (("csc", _Columns), ("csr", _Rows)):
        for module in (f"scipy.sparse.{kind}", f"scipy.sparse._{kind}"):
            names[f"{module}.{kind}_matrix"] = record
            names[f"{module}.{kind}_array"] = record
    return names


class _Unpickler(pickle.Unpickler):
    _names = _names()

    def find_class(self, module: str, name: str) -> type:
        full = f"{module}.{name}"
        if full not in self._names:
            raise _Refused(
                f"the pickle names {full}, which is neither an array nor a plain value; refused"
            )
        return self._names[full]


def _from_bytes(data: bytes | str, dtype: np.dtype, shape: Any, order: str) -> np.ndarray:
    if dtype.kind == "O":
        raise _Refused("expected the data of an array of objects as a list, got bytes")
    data = data.encode("latin1") if isinstance(data, str) else data
    array = np.ndarray(shape, dtype, buffer=data, order=order)
    if array.nbytes != len(data):
        raise ValueError(f"expected {array.nbytes} bytes for shape {shape}, got {len(data)}")
    return array.astype(dtype.newbyteorder("="))


def _resolve(value: Any, done: dict[int, Any]) -> Any:
    """``value`` with every record in it resolved; ``done`` holds what has been, by its id."""
    if not isinstance(value, (_Record, dict, list, tuple, set)):
        if isinstance(value, type):
            raise _Refused(f"expected arrays and plain values, got the class {value.__name__}")
        return value
    if id(value) not in done:

        def inner(part: Any) -> Any:
            return _resolve(part, done)

        if isinstance(value, _Record):
            done[id(value)] = (value, value.resolve(inner))
        elif isinstance(value, dict):
            done[id(value)] = (value, {inner(key): inner(part) for key, part in value.items()})
        else:
            done[id(value)] = (value, type(value)(map(inner, value)))
    return done[id(value)][1]
