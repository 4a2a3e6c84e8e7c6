"""Fingerprints: what a cell's numbers depend on, as one short string."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import attrs

NUMBERS = 1  # raised whenever the same scenario would give other numbers than before


def describe(value: Any) -> Any:
    """A value as plain data: attrs classes by their name and fields, numbers by their repr."""
    if attrs.has(type(value)):
        fields = {
            attribute.name: describe(getattr(value, attribute.name))
            for attribute in attrs.fields(type(value))
        }
        return [type(value).__module__, type(value).__qualname__, fields]
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    return repr(value)


def fingerprint(*values: Any) -> str:
    """A hexadecimal digest of values, the same in every process and version of Python."""
    text = json.dumps([NUMBERS, *map(describe, values)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
