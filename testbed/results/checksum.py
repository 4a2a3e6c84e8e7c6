"""The checksum of a whole result file, kept in the file itself as the root's attribute `checksum`.

It is the SHA-256 of all bytes of the file, its own 64 digits counted as zeros. netCDF's own
checksums protect arrays alone: scalars, strings and structure are outside them. The attribute is a
variable-length string, which HDF5 stores without a checksum, so that it can be filled in later.
"""

from __future__ import annotations

import hashlib
import mmap
from pathlib import Path

MARK = b"sha256 of this file, these digits as zeros: "
DIGITS = 64
ATTRIBUTE = "checksum"
_PIECE = 1 << 20


def placeholder() -> str:
    """The attribute before its digits are known."""
    return (MARK + b"0" * DIGITS).decode()


def seal(path: Path) -> None:
    """Fill in the digits of a file that holds the placeholder."""
    with path.open("rb+") as file:
        place = _place(file.fileno())
        if place is None:
            raise OSError(f"found no place for the checksum in {path}")
        digits = _digest(path, place)
        file.seek(place)
        file.write(digits.encode())


def verified(path: Path) -> bool | None:
    """Whether a file is as it was written; None if it holds no checksum."""
    digits = _digits(path)
    return digits and digits[1] == _digest(path, digits[0])


def written(path: Path) -> str | None:
    """The checksum that a file holds; None if it holds none."""
    digits = _digits(path)
    return digits and digits[1]


def _digits(path: Path) -> tuple[int, str] | None:
    """Where the digits of a file are, and the digits."""
    if not path.stat().st_size:
        return None
    with path.open("rb") as file:
        place = _place(file.fileno())
        if place is None:
            return None
        file.seek(place)
        return place, file.read(DIGITS).decode("ascii", "replace")


def _place(descriptor: int) -> int | None:
    """The position of the digits in the file; None if there are none."""
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as content:
        start = content.find(MARK)
        place = start + len(MARK)
        return None if start < 0 or place + DIGITS > len(content) else place


def _digest(path: Path, place: int) -> str:
    """The SHA-256 of a file with zeros at `place`."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        digest.update(file.read(place))
        file.seek(place + DIGITS)
        digest.update(b"0" * DIGITS)
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
