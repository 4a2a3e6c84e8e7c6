"""Pickles from elsewhere, read without running anything: plain values and numeric arrays only.

An ordinary unpickler imports and calls whatever a file names. This one knows four names, all of
them our own stand-ins for NumPy's, so that neither the file's code nor NumPy's own state setters
ever see its bytes.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from testbed.errors import UnsuitableError

NUMERIC = "biuf"


class _Type:
    """Stands for numpy.dtype('u1', …) and takes its state: the byte order."""

    def __init__(self, code: Any, *_: Any):
        text = code.decode("latin1") if isinstance(code, bytes) else code
        self.dtype = np.dtype(text) if isinstance(text, str) else np.dtype(object)
        if self.dtype.kind not in NUMERIC:
            raise pickle.UnpicklingError(f"an array of {code!r}")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        if order == ">":
            self.dtype = self.dtype.newbyteorder(">")


class _Array:
    """Stands for an array that is being rebuilt from (version, shape, dtype, fortran, bytes)."""

    values: np.ndarray

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, raw = state
        if not isinstance(raw, bytes) or not isinstance(kind, _Type):
            raise pickle.UnpicklingError("an array of objects")
        flat = np.frombuffer(raw, kind.dtype)
        self.values = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


class _Name:
    """Stands for a class that is only named, numpy.ndarray; it cannot be called or changed."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a state for a class")


class _Function:
    """A function that a file may call, and cannot change: pickles can set attributes of what they
    name."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[..., Any]):
        self._call = call

    def __call__(self, *arguments: Any) -> Any:
        return self._call(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("a state for a function")


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _encode(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes in protocol 2."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text encoded as {encoding!r}")
    return text.encode("latin1")


_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _Function(_reconstruct),
    ("numpy._core.multiarray", "_reconstruct"): _Function(_reconstruct),
    ("numpy", "dtype"): _Type,
    ("numpy", "ndarray"): _Name(),
    ("_codecs", "encode"): _Function(_encode),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return _ADMITTED[module, name]

    def persistent_load(self, identity: Any) -> Any:
        raise pickle.UnpicklingError("a reference to something outside the file")


def load_arrays(raw: bytes, where: str) -> dict[str, Any]:
    """The entries of a pickled dictionary: arrays, lists, numbers, bytes; `where` is for errors."""
    try:
        loaded = _Unpickler(io.BytesIO(raw), encoding="bytes").load()
    except Exception as error:
        raise UnsuitableError(
            f"found {error or type(error).__name__} pickled in {where}, expected numeric arrays "
            "and plain values only; nothing of it was run. Use the official file"
        ) from None
    if not isinstance(loaded, dict):
        raise UnsuitableError(f"found {type(loaded).__name__} in {where}, expected a dictionary")
    return {
        key.decode("latin1") if isinstance(key, bytes) else str(key): (
            value.values if isinstance(value, _Array) else value
        )
        for key, value in loaded.items()
    }
