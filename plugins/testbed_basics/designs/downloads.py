"""Data sets that are not installed with the package: their files, their places, and how to get
them.

A run never downloads: a scenario writes only into its run folder. Once per machine,

    python -m testbed_basics.designs.downloads cifar-10 [FOLDER]

fetches the files and checks them. docs/datasets.md says how to do without a network.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from attrs import frozen

from testbed import UnsuitableError

COMMAND = "python -m testbed_basics.designs.downloads"
INSTEAD = 'use data = "digits" or "diabetes", which need no download'


@frozen
class Download:
    """Files of a data set under one address, each with its MD5 checksum as published."""

    folder: str
    url: str
    files: dict[str, str]


DOWNLOADS = {
    "fashion-mnist": Download(
        "fashion-mnist",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        {
            "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
    "cifar-10": Download(
        "cifar-10",
        "https://www.cs.toronto.edu/~kriz/",
        {"cifar-10-binary.tar.gz": "c32a1d4ab5d03f1284b67883e8d87530"},
    ),
}


def home(folder: str) -> Path:
    """The folder of a data set unless a path is given: the user's cache, or the folder that
    the environment variable TESTBED_DATA names."""
    import pooch

    return Path(os.environ.get("TESTBED_DATA") or pooch.os_cache("testbed")) / folder


def download(name: str, folder: Path | None = None) -> list[Path]:
    """Fetch a data set's files into `folder` (default: its home) and check them.

    Existing files are checked and kept. Raises UnsuitableError that names the missing files, their
    place, and other data to use instead.
    """
    import pooch

    if name not in DOWNLOADS:
        raise UnsuitableError(f"found {name!r}, expected one of {', '.join(DOWNLOADS)}")
    wanted = DOWNLOADS[name]
    folder = folder or home(wanted.folder)
    fetched = []
    for file, md5 in wanted.files.items():
        try:
            path = pooch.retrieve(wanted.url + file, f"md5:{md5}", file, folder)
        except (OSError, ValueError) as error:
            reason = f"it could not be downloaded ({type(error).__name__}: {error})"
            raise UnsuitableError(f"{missing(name, [file], folder)}: {reason}; {INSTEAD}") from None
        fetched.append(Path(path))
    return fetched


def missing(name: str, files: Sequence[str], folder: Path) -> str:
    """The text of an error: the missing files, their place, and how to get them."""
    wanted = DOWNLOADS[name]
    addresses = ", ".join(f"{wanted.url}{file} (MD5 {wanted.files[file]})" for file in files)
    pronoun = "them" if files[1:] else "it"
    return (
        f"found no {', '.join(files)} in {folder}; where there is a network run "
        f"`{COMMAND} {name} {folder}`, or fetch {addresses} and put {pronoun} there"
    )


@lru_cache(maxsize=16)
def _digest(path: Path, changed: float, size: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def check(path: Path) -> Path:
    """The path; UnsuitableError unless the file has the MD5 published for its name."""
    published = {file: md5 for wanted in DOWNLOADS.values() for file, md5 in wanted.files.items()}
    facts = path.stat()
    digest = _digest(path, facts.st_mtime, facts.st_size)
    if digest != published[path.name]:
        raise UnsuitableError(
            f"found MD5 {digest} of {path}, expected {published[path.name]}: the file is "
            "damaged or a different one; delete it and fetch it again"
        )
    return path


def main(arguments: Sequence[str]) -> int:
    """`downloads NAME [FOLDER]`: fetch one data set and print its files."""
    if not 1 <= len(arguments) <= 2:
        print(f"usage: downloads NAME [FOLDER], NAME one of {', '.join(DOWNLOADS)}")
        return 2
    try:
        paths = download(arguments[0], Path(arguments[1]) if arguments[1:] else None)
    except UnsuitableError as error:
        print(error, file=sys.stderr)
        return 1
    print("\n".join(map(str, paths)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
