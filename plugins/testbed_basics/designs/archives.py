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

from testbed.errors import UnsuitableError
from testbed_basics.designs.downloads import DOWNLOADS, INSTEAD, check, missing
from testbed_basics.designs.pickles import load_arrays


class Images(NamedTuple):
    """Pixels and class numbers of one part of a data set."""

    pixels: np.ndarray  # (count, channels, height, width) uint8
    labels: np.ndarray  # (count,) class numbers


class Parts(NamedTuple):
    """A data set with the split that its authors made."""

    train: Images
    test: Images


def unreadable(where: str, found: str, expected: str) -> UnsuitableError:
    """The error of a file that is not what it should be."""
    return UnsuitableError(f"found {found} in {where}, expected {expected}; fetch the file again")


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

BINARY, PYTHON = "cifar-10-binary.tar.gz", "cifar-10-python.tar.gz"
FOLDERS = {BINARY: "cifar-10-batches-bin", PYTHON: "cifar-10-batches-py"}
BATCHES = [f"data_batch_{number}" for number in range(1, 6)]
PIXELS = 3 * 32 * 32


def read_cifar(place: Path) -> Parts:
    """CIFAR-10 from an official archive, from what it unpacks to, or from a folder with either."""
    if place.is_file():
        return read_cifar_archive(check_name(place))
    folders = [place, *(place / name for name in FOLDERS.values())]
    for folder in folders:
        for suffix in (".bin", ""):
            if (folder / f"test_batch{suffix}").is_file():
                names = [f"{name}{suffix}" for name in (*BATCHES, "test_batch")]
                absent = [name for name in names if not (folder / name).is_file()]
                if absent:
                    raise UnsuitableError(f"found no {', '.join(absent)} in {folder}; unpack again")
                return _parts({name: (folder / name).read_bytes() for name in names}, str(folder))
    for archive in FOLDERS:
        if (place / archive).is_file():
            return read_cifar_archive(check(place / archive))
    raise UnsuitableError(f"{missing('cifar-10-binary', [BINARY], place)}; {INSTEAD}")


def check_name(path: Path) -> Path:
    """An archive under its official name, with its official checksum."""
    if path.name not in FOLDERS:
        raise UnsuitableError(
            f"found the file {path}, expected {BINARY}, {PYTHON} or the folder of either"
        )
    return check(path)


def read_cifar_archive(path: Path) -> Parts:
    """The batches of an archive, whose checksum has been verified before."""
    suffix = ".bin" if path.name == BINARY else ""
    names = [f"{FOLDERS[path.name]}/{name}{suffix}" for name in (*BATCHES, "test_batch")]
    batches = {}
    try:
        with tarfile.open(path, "r:*") as archive:
            for name in names:
                stream = archive.extractfile(name)
                if stream is None:
                    raise KeyError(f"{name} is no file")
                batches[name.split("/")[1]] = stream.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error, KeyError) as error:
        raise unreadable(str(path), str(error).strip("'\""), f"the batches {names[0]} …") from None
    return _parts(batches, str(path))


def _parts(batches: dict[str, bytes], where: str) -> Parts:
    read = {name: _batch(name, raw, f"{where}/{name}") for name, raw in batches.items()}
    test = [name for name in read if name.startswith("test")]
    train = [images for name, images in read.items() if name not in test]
    pixels, labels = (np.concatenate(parts) for parts in zip(*train, strict=True))
    return Parts(Images(pixels, labels), read[test[0]])


def _batch(name: str, raw: bytes, where: str) -> Images:
    if name.endswith(".bin"):
        return parse_cifar_binary(raw, where)
    return parse_cifar_python(raw, where)


def parse_cifar_binary(raw: bytes, where: str) -> Images:
    """Records of one label byte and 3072 pixel bytes."""
    if not raw or len(raw) % (1 + PIXELS):
        raise unreadable(where, f"{len(raw)} bytes", f"records of {1 + PIXELS} bytes")
    records = np.frombuffer(raw, np.uint8).reshape(-1, 1 + PIXELS)
    return _cifar(records[:, 1:], records[:, 0].astype(np.int64), where)


def parse_cifar_python(raw: bytes, where: str) -> Images:
    """A pickled dictionary with `data` (count, 3072) and the list `labels`."""
    batch = load_arrays(raw, where)
    data, labels = batch.get("data"), batch.get("labels")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (PIXELS,):
        raise unreadable(where, f"data of {type(data).__name__}", f"uint8 of shape (…, {PIXELS})")
    if not isinstance(labels, list) or any(type(label) is not int for label in labels):
        raise unreadable(where, f"labels of {type(labels).__name__}", "a list of integers")
    return _cifar(data, np.array(labels, dtype=np.int64), where)


def _cifar(pixels: np.ndarray, labels: np.ndarray, where: str) -> Images:
    if len(labels) != len(pixels) or labels.min(initial=0) < 0 or labels.max(initial=0) > 9:
        found = f"{len(labels)} labels for {len(pixels)} images"
        raise unreadable(where, found, "one label from 0 to 9 for each image")
    return Images(pixels.reshape(-1, 3, 32, 32), labels)
