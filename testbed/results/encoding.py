"""A cell's result as bytes and back: a JSON header and the arrays one after another.

It needs no unpickling. Results that earlier versions stored as npz archives can be read.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from testbed.contract.cells import CellResult

FORMAT = 2
_NPZ = b"PK"  # how an npz archive begins


def encode(result: CellResult) -> tuple[str, bytes]:
    """A cell's result as a header and the bytes of its arrays."""
    arrays: list[np.ndarray] = []

    def member(name: object, array: np.ndarray) -> list[Any]:
        plain = np.ascontiguousarray(array)
        plain = plain.astype(str) if plain.dtype.hasobject else plain
        arrays.append(plain)
        return [name, plain.dtype.str, array.shape]

    header = {
        "format": FORMAT,
        "status": member("status", result.status),
        "diverged_at": (
            None if result.diverged_at is None else member("diverged_at", result.diverged_at)
        ),
        "variables": [member(name, array) for name, array in result.variables.items()],
        "counts": [member(name, array) for name, array in result.counts.items()],
        "coordinates": [member(name, array) for name, array in result.coordinates.items()],
        "omitted": dict(result.omitted),
        "faults": dict(result.faults),
        "error": result.error,
        "seconds": result.seconds,
        "memory": result.memory,
    }
    if result.training:
        header |= {"training": result.training, "parts": dict(result.parts)}
    return json.dumps(header), b"".join([array.tobytes() for array in arrays])


def decode(key: str, header: str, data: bytes) -> CellResult:
    """The inverse of `encode`; ValueError if the bytes are damaged. Arrays are read-only."""
    if data[:2] == _NPZ and '"format"' not in header:
        return _decode_npz(key, header, data)
    try:
        about = json.loads(header)
        if about.get("packed"):
            data = zlib.decompress(data)
        arrays = _Arrays(data)
        status = arrays.take(about["status"])
        diverged = about["diverged_at"]
        return CellResult(
            key,
            status,
            diverged_at=None if diverged is None else arrays.take(diverged),
            variables=arrays.members(about["variables"]),
            counts=arrays.members(about["counts"]),
            coordinates=arrays.coordinates(about["coordinates"]),
            omitted=about["omitted"],
            faults=about.get("faults", {}),
            error=about["error"],
            seconds=about["seconds"],
            memory=about.get("memory", 0.0),
            training=about.get("training", ""),
            parts=about.get("parts", {}),
        )
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error) as error:
        raise ValueError(f"damaged arrays of cell {key}: {error}") from None


class _Arrays:
    """Arrays taken one after another from bytes."""

    def __init__(self, data: bytes):
        self._data, self._position = data, 0

    def take(self, member: list[Any]) -> np.ndarray:
        _, dtype, shape = member
        kind = np.dtype(dtype)
        count = int(np.prod(shape, dtype=np.int64))
        array = np.frombuffer(self._data, kind, count, self._position) if count else None
        self._position += count * kind.itemsize
        return np.empty(shape, kind) if array is None else array.reshape(shape)

    def pairs(self, listed: list[list[object]]) -> Iterator[tuple[Any, np.ndarray]]:
        for member in listed:
            yield member[0], self.take(member)

    def coordinates(self, listed: list[list[object]]) -> dict[tuple[str, str], np.ndarray]:
        return {(name, dim): array for (name, dim), array in self.pairs(listed)}

    def members(self, listed: list[list[object]]) -> dict[str, np.ndarray]:
        return dict(self.pairs(listed))


def packed(header: str, data: bytes) -> tuple[str, bytes]:
    """The same result in fewer bytes, if compression makes fewer."""
    about = json.loads(header)
    if about.get("packed") or about.get("format") != FORMAT:
        return header, data
    smaller = zlib.compress(data, 6)
    if len(smaller) >= len(data):
        return header, data
    return json.dumps({**about, "packed": True}), smaller


def failure_of(header: str) -> str:
    """The failure of a stored cell or of some of its components; empty if nothing failed.
    ValueError if the header is damaged."""
    try:
        about = json.loads(header)
        return str(about["error"]) or "; ".join(dict.fromkeys(about.get("faults", {}).values()))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"damaged header: {error}") from None


def trained_by(header: str) -> tuple[str, dict[str, str]]:
    """What was trained for a stored cell, and its parts; empty where no states were kept."""
    if '"training"' not in header:
        return "", {}
    try:
        about = json.loads(header)
        return str(about["training"]), {} if about["error"] else dict(about["parts"])
    except (KeyError, TypeError, ValueError):  # the row's checksum finds it
        return "", {}


def _decode_npz(key: str, header: str, data: bytes) -> CellResult:
    """A result as version 0.1 stored it."""
    try:
        about = json.loads(header)
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays: Mapping[str, np.ndarray] = {name: archive[name] for name in archive.files}

        def members(group: str) -> dict[Any, np.ndarray]:
            names = [tuple(name) if isinstance(name, list) else name for name in about[group]]
            return {name: arrays[f"{group}{position}"] for position, name in enumerate(names)}

        return CellResult(
            key,
            arrays["status"],
            members("variables"),
            members("coordinates"),
            members("counts"),
            about["omitted"],
            about["error"],
            about["seconds"],
            arrays.get("diverged_at"),
        )
    except Exception as error:  # zipfile and zlib raise many kinds for damaged bytes
        raise ValueError(f"damaged arrays of cell {key}: {error}") from None
