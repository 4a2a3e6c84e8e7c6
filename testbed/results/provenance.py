"""Where numbers come from: versions, machine and time, as attributes of a result."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import platform
import sys
from collections.abc import Iterable

import testbed

PACKAGES = ("numpy", "torch", "xarray", "netCDF4", "scipy", "pluggy", "attrs")


def versions(distributions: Iterable[str] = ()) -> str:
    """Versions of Python, testbed, the packages numbers depend on, and plugins' distributions."""
    found = [f"python {platform.python_version()}", f"testbed {testbed.__version__}"]
    for name in sorted({*PACKAGES, *distributions} - {"theory-testbed"}):
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"{name} (not installed)")
    return ", ".join(found)


def machine() -> str:
    """Kind of machine, without names of hosts or people."""
    return f"{platform.system()} {platform.machine()}, byte order {sys.byteorder}"


def digest(text: str) -> str:
    """SHA-256 of a scenario's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def history(scenario: str) -> str:
    """A line for the CF attribute `history`."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{now}: testbed run {scenario}"
