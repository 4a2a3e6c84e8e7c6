"""Image files as their authors distribute them: IDX (Fashion-MNIST) and CIFAR-10.

Every reader checks the sizes a file states against the bytes it has. Archives are read in memory,
member by member; nothing is unpacked to disk.
"""

from __future__ import annotations

import gzip
import math
import tarfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from testbed import UnsuitableError
from testbed_basics.designs.downloads import DOWNLOADS, INSTEAD, check, missing


class Images(NamedTuple):
    """Pixels and class numbers of one part of a data set."""

    pixels: np.ndarray  # (count, channels, height, width) uint8
    labels: np.ndarray  # (count,) class numbers


class Parts(NamedTuple):
    """A data set with the split that its authors made."""

    train: Images
    test: Images


def unreadable(where: str, content: str, expected: str) -> UnsuitableError:
    """The error of a file with unexpected content."""
    return UnsuitableError(f"found {content} in {where}, expected {expected}; fetch the file again")


# --- IDX --------------------------------------------------------------------------------------


def parse_idx(raw: bytes, where: str) -> np.ndarray:
    """An array of unsigned bytes in IDX format: 0, 0, 8, ndim, big-endian sizes, bytes."""
    if len(raw) < 4 or raw[:3] != b"\0\0\x08" or not 1 <= raw[3] <= 4:
        raise unreadable(where, f"a header {raw[:4].hex()}", "IDX of unsigned bytes (000008…)")
    start = 4 + 4 * raw[3]
    if len(raw) < start:
        raise unreadable(where, f"{len(raw)} bytes", f"a header of {start}")
    shape = tuple(int(size) for size in np.frombuffer(raw[4:start], ">u4"))
    size = math.prod(shape)
    if len(raw) - start != size:
        raise unreadable(where, f"{len(raw) - start} bytes", f"{size}, for the shape {shape}")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def read_fashion(folder: Path) -> Parts:
    """The four Fashion-MNIST files of a folder, compressed or not; compressed ones are checked."""
    absent = [
        packed for packed in DOWNLOADS["fashion-mnist"].files
        if not ((folder / packed).is_file() or (folder / packed.removesuffix(".gz")).is_file())
    ]  # fmt: skip
    if absent:
        raise UnsuitableError(f"{missing('fashion-mnist', absent, folder)}; {INSTEAD}")
    train, test = (
        _labelled(
            _idx(folder, f"{part}-images-idx3-ubyte"), _idx(folder, f"{part}-labels-idx1-ubyte")
        )
        for part in ("train", "t10k")
    )
    return Parts(train, test)


def _idx(folder: Path, name: str) -> np.ndarray:
    plain, packed = folder / name, folder / f"{name}.gz"
    if plain.is_file():
        return parse_idx(plain.read_bytes(), str(plain))
    try:
        return parse_idx(gzip.decompress(check(packed).read_bytes()), str(packed))
    except (OSError, EOFError, zlib.error) as error:
        raise unreadable(str(packed), str(error), "a gzip file") from None


def _labelled(images: np.ndarray, labels: np.ndarray) -> Images:
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        shapes = f"images of shape {images.shape} with labels of shape {labels.shape}"
        raise unreadable("the IDX files", shapes, "(count, height, width) and (count,)")
    return Images(images[:, None], labels.astype(np.int64))


# --- CIFAR-10 ---------------------------------------------------------------------------------

ARCHIVE, FOLDER = "cifar-10-binary.tar.gz", "cifar-10-batches-bin"
BATCHES = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
PIXELS = 3 * 32 * 32


def read_cifar(place: Path) -> Parts:
    """CIFAR-10 from the binary archive, from its unpacked folder, or from a folder with either."""
    if place.is_file():
        if place.name != ARCHIVE:
            raise UnsuitableError(f"found the file {place}, expected {ARCHIVE} or its folder")
        return read_cifar_archive(check(place))
    for folder in (place, place / FOLDER):
        if (folder / BATCHES[-1]).is_file():
            absent = [name for name in BATCHES if not (folder / name).is_file()]
            if absent:
                raise UnsuitableError(f"found no {', '.join(absent)} in {folder}; unpack again")
            return _parts({name: (folder / name).read_bytes() for name in BATCHES}, str(folder))
    if (place / ARCHIVE).is_file():
        return read_cifar_archive(check(place / ARCHIVE))
    raise UnsuitableError(f"{missing('cifar-10', [ARCHIVE], place)}; {INSTEAD}")


def read_cifar_archive(path: Path) -> Parts:
    """The batches of an archive, whose checksum has been verified before."""
    batches = {}
    try:
        with tarfile.open(path, "r:*") as archive:
            for name in BATCHES:
                stream = archive.extractfile(f"{FOLDER}/{name}")
                if stream is None:
                    raise KeyError(f"{name} is not a file")
                batches[name] = stream.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error, KeyError) as error:
        expected = f"the batches {FOLDER}/{BATCHES[0]} …"
        raise unreadable(str(path), str(error).strip("'\""), expected) from None
    return _parts(batches, str(path))


def _parts(batches: dict[str, bytes], where: str) -> Parts:
    """The five training batches as one, and the test batch."""
    images = [parse_cifar(batches[name], f"{where}/{name}") for name in BATCHES]
    pixels, labels = (np.concatenate(parts) for parts in zip(*images[:-1], strict=True))
    return Parts(Images(pixels, labels), images[-1])


def parse_cifar(raw: bytes, where: str) -> Images:
    """Records of one label byte and 3072 pixel bytes."""
    if not raw or len(raw) % (1 + PIXELS):
        raise unreadable(where, f"{len(raw)} bytes", f"records of {1 + PIXELS} bytes")
    records = np.frombuffer(raw, np.uint8).reshape(-1, 1 + PIXELS)
    labels = records[:, 0].astype(np.int64)
    if labels.max() > 9:
        raise unreadable(where, f"the label {labels.max()}", "labels from 0 to 9")
    return Images(records[:, 1:].reshape(-1, 3, 32, 32), labels)
