"""Join separate runs of one scenario, with more replicates or more points of a sweep."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from testbed.errors import ResultError
from testbed.results.journal import Journal

LABELS = ("title", "description", "references", "figure")  # keys on which no number depends


def united_scenario(texts: Mapping[str, str]) -> str:
    """One scenario that holds the cells of several, by the folders they come from.

    They may differ in `replicates`, where the largest number counts, and in lists of swept
    values, which are joined. ResultError with every other place where they differ.
    """
    folders = list(texts)
    first = tomllib.loads(texts[folders[0]])
    united: dict[str, Any] = first
    for folder in folders[1:]:
        document = tomllib.loads(texts[folder])
        document |= {key: first[key] for key in LABELS if key in first}
        for key in LABELS:
            if key not in first:
                document.pop(key, None)
        misfits: list[str] = []
        united = _united(united, document, "$", misfits)
        if misfits:
            raise ResultError(
                f"{folder}: found a scenario that does not fit that of {folders[0]}: it differs at "
                f"{', '.join(misfits)}; expected differences in replicates and swept values only. "
                "Name a scenario that holds both with --scenario"
            )
    return texts[folders[0]] if united == first else tomli_w.dumps(united)


def _united(first: object, second: object, path: str, misfits: list[str]) -> Any:
    if first == second:
        return first
    if path == "$.replicates" and type(first) is int and type(second) is int:
        return max(first, second)
    if isinstance(first, dict) and isinstance(second, dict):
        if _is_sweep(first) and _is_sweep(second):
            return {**first, "values": _joined(first["values"], second["values"])}
        return {
            key: _member(first, second, key, path, misfits)
            for key in dict.fromkeys([*first, *second])
        }
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        pairs = enumerate(zip(first, second, strict=True))
        return [_united(a, b, f"{path}[{position}]", misfits) for position, (a, b) in pairs]
    misfits.append(path)
    return first


def _member(
    first: Mapping[str, object],
    second: Mapping[str, object],
    key: str,
    path: str,
    misfits: list[str],
) -> Any:
    if key in first and key in second:
        return _united(first[key], second[key], f"{path}.{key}", misfits)
    misfits.append(f"{path}.{key}")
    return first.get(key, second.get(key))


def _is_sweep(table: Mapping[str, object]) -> bool:
    return isinstance(table.get("values"), list) and "labels" not in table


def _joined(first: list[Any], second: list[Any]) -> list[Any]:
    """The values of both lists, sorted if all are numbers."""
    values = [*first, *(value for value in second if value not in first)]
    ordered = all(isinstance(value, int | float) for value in values)
    return sorted(values) if ordered else values


def copy_cells(target: Journal, source: Path) -> int:
    """Copy the finished cells of a folder's journal; how many were new.

    A cell that both hold must be the same: ResultError if the numbers differ.
    """
    journal = Journal(source)
    try:
        origins, digests = journal.origins(), journal.origins_of_cells()
        added = 0
        for stored in journal.stored(sorted(digests)):
            if stored.result.error:
                continue
            key = stored.result.key
            present = next(iter(target.stored([key])), None)
            if present is None or present.result.error:
                target.add(stored.result, origins.get(digests[key]))
                added += 1
            elif not _same(present.result.variables, stored.result.variables):
                raise ResultError(
                    f"{source}: found other numbers than in {target.path.parent} for one cell "
                    f"({key}), expected the same. Look with `testbed replay` which of them this "
                    "machine confirms, and merge without the other"
                )
        return added
    finally:
        journal.close()


def _same(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two machines agree, to rounding: their last bits may differ."""
    if first.keys() != second.keys():
        return False
    return all(
        first[name].shape == second[name].shape
        and np.allclose(first[name], second[name], rtol=1e-6, atol=1e-12, equal_nan=True)
        for name in first
    )
