"""The points of a data set before any draw: inputs, labels, moments."""

from __future__ import annotations

import math
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile, ZipFile

import numpy as np
from attrs import frozen

from testbed import UnsuitableError
from testbed_basics.designs.archives import Images, read_cifar, read_fashion
from testbed_basics.designs.downloads import home

GRAY = np.array([0.299, 0.587, 0.114])  # luminance of red, green and blue, ITU-R BT.601
CHUNK = 1000  # images in floating point at a time


class Pool(NamedTuple):
    """Points to draw from."""

    x: np.ndarray  # (count, features) or images (count, channels, height, width)
    y: np.ndarray  # (count,) integers: classes; floats: numbers
    top: float = 1.0  # the value that means full intensity, 255 for bytes


class Pools(NamedTuple):
    """A data set; `test` is None where its authors made no split."""

    train: Pool
    test: Pool | None


@frozen
class About:
    """Where a data set comes from, and under which licence."""

    title: str
    source: str
    licence: str


ABOUT = {
    "digits": About(
        "Optical recognition of handwritten digits (E. Alpaydin, C. Kaynak, 1998), the test part "
        "as distributed with scikit-learn",
        "https://archive.ics.uci.edu/dataset/80",
        "CC BY 4.0",
    ),
    "diabetes": About(
        "Diabetes data of Efron, Hastie, Johnstone and Tibshirani, Least Angle Regression (2004), "
        "as distributed with scikit-learn",
        "https://www4.stat.ncsu.edu/~boos/var.select/diabetes.html",
        "none stated by its authors; scikit-learn distributes it under BSD-3-Clause",
    ),
    "fashion-mnist": About(
        "Fashion-MNIST (Xiao, Rasul, Vollgraf, 2017; arXiv:1708.07747)",
        "https://github.com/zalandoresearch/fashion-mnist",
        "MIT",
    ),
    "cifar-10": About(
        "CIFAR-10 (Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009)",
        "https://www.cs.toronto.edu/~kriz/cifar.html",
        "none stated by its authors",
    ),
    "file": About("the user's own file", "", "unknown to this program"),
}
HOMES = {"fashion-mnist": "fashion-mnist", "cifar-10": "cifar-10"}


def locate(data: str, path: str | None) -> tuple[Path | None, float]:
    """The place of a data set, None for an installed one, and the last change of its files."""
    place = Path(path) if path else home(HOMES[data]) if data in HOMES else None
    if place is None:
        return None, 0.0
    files = place.rglob("*") if place.is_dir() else (place,)
    return place, max((file.stat().st_mtime for file in files if file.is_file()), default=0.0)


@lru_cache(maxsize=4)
def read(data: str, place: Path | None, changed: float) -> Pools:
    """A data set, read and checked once for each process, and again when the file has changed.

    Raises UnsuitableError that says what is missing or wrong.
    """
    if place is None:
        pools = Pools(_installed(data), None)
    elif data == "file":
        pools = Pools(_file(place), None)
    else:
        parts = read_fashion(place) if data == "fashion-mnist" else read_cifar(place)
        pools = Pools(_pool(parts.train), _pool(parts.test))
    for pool in pools:
        if pool is not None:
            _expect_finite(pool, data, place)
    return pools


def _pool(images: Images) -> Pool:
    return Pool(images.pixels, images.labels, 255.0)


def _installed(data: str) -> Pool:
    """The data sets that come with scikit-learn."""
    if data == "digits":
        table = _table_of_sklearn("digits.csv.gz", ",")
        images = table[:, :-1].reshape(-1, 1, 8, 8)
        return Pool(images.astype(np.uint8), table[:, -1].astype(np.int64), 16.0)
    inputs, labels = map(_table_of_sklearn, ("diabetes_data_raw.csv.gz", "diabetes_target.csv.gz"))
    return Pool(inputs, labels)


def _table_of_sklearn(name: str, delimiter: str | None = None) -> np.ndarray:
    """A table among scikit-learn's files. They are read without scikit-learn, whose import takes a
    hundred times as long."""
    spec = find_spec("sklearn")
    folders = (spec and spec.submodule_search_locations) or ()
    files = [Path(folder, "datasets", "data", name) for folder in folders]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise UnsuitableError(f"found no {name} in scikit-learn", "its data sets", "reinstall it")
    return np.loadtxt(file, delimiter=delimiter, ndmin=1)


def _file(path: Path) -> Pool:
    """The arrays x and y of a .npz file, none of them pickled."""
    try:
        _expect_as_long_as_it_says(path)
        with np.load(path, allow_pickle=False) as arrays:
            x, y = arrays["x"], arrays["y"]
    except FileNotFoundError:
        raise UnsuitableError(
            f"found no file {path} in {Path.cwd()}, expected a .npz file of the arrays x and y; a "
            "relative path starts in the folder in which testbed runs"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise UnsuitableError(
            f"found {str(error) or type(error).__name__} in {path}, expected a .npz file of the "
            "arrays x and y, as numpy.savez writes it"
        ) from None
    shaped = x.ndim in (2, 4) and len(y) > 0 and y.shape == x.shape[:1]
    if not shaped or not {x.dtype.kind, y.dtype.kind} <= set("biuf"):
        raise UnsuitableError(
            f"found x of shape {x.shape} and type {x.dtype} with y of shape {y.shape} and type "
            f"{y.dtype} in {path}, expected numbers x (count, features) or (count, channels, "
            "height, width) and y (count,)"
        )
    return Pool(x, y.astype(np.float64 if y.dtype.kind == "f" else np.int64))


def _expect_as_long_as_it_says(path: Path) -> None:
    """ValueError if an array's header claims more numbers than the archive has bytes for:
    NumPy would allocate memory for them before it reads the first."""
    with ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as stream:
                version = np.lib.format.read_magic(stream)
                read = np.lib.format.read_array_header_1_0
                if version != (1, 0):
                    read = np.lib.format.read_array_header_2_0
                shape, _, dtype = read(stream)
            if dtype.itemsize * math.prod(shape) > member.file_size:
                raise ValueError(f"the header of {member.filename} claims the shape {shape}")


def _expect_finite(pool: Pool, data: str, place: Path | None) -> None:
    for name, values in (("inputs", pool.x), ("labels", pool.y)):
        count = int((~np.isfinite(values)).sum()) if values.dtype.kind == "f" else 0
        if count:
            where = f"the data {data!r}" + (f" ({place})" if place else "")
            raise UnsuitableError(
                f"found {count} numbers that are NaN or infinite among the {name} of {where}, "
                "expected finite numbers; correct these points or leave them out"
            )


def select(pool: Pool, classes: tuple[int, ...] | None, data: str) -> Pool:
    """The points of the chosen classes, whose labels become positions in `classes` (or in the
    sorted list of all). Numbers stay as they are."""
    if pool.y.dtype.kind == "f":
        if classes is not None:
            raise UnsuitableError(
                f"found classes = {list(classes)} for the data {data!r}, whose labels are numbers, "
                "expected none"
            )
        return pool
    present = np.unique(pool.y)
    chosen = present if classes is None else np.array(classes)
    absent = sorted(set(chosen.tolist()) - set(present.tolist()))
    if absent or len(chosen) < 2:
        raise UnsuitableError(
            f"found the classes {absent or chosen.tolist()} asked of the data {data!r}, expected "
            f"at least two of {present.tolist()}"
        )
    order = np.argsort(chosen)
    position = np.searchsorted(chosen[order], pool.y).clip(max=len(chosen) - 1)
    kept = chosen[order][position] == pool.y
    x = pool.x if kept.all() else pool.x[kept]
    return Pool(x, order[position][kept], pool.top)


def floats(pool: Pool, rows: np.ndarray | slice, grayscale: bool) -> np.ndarray:
    """Inputs as float64, 1 for the brightest pixel; one channel if grayscale."""
    x = pool.x[rows].astype(np.float64) / pool.top
    if grayscale and x.shape[1] == len(GRAY):
        return np.tensordot(x, GRAY, (1, 0))[:, None]
    return x


def moments(pool: Pool, grayscale: bool) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature, (features,), or of each channel of images,
    (channels, 1, 1); the deviation is 1 where the values do not vary."""
    images = pool.x.ndim == 4
    sums: list[np.ndarray] = []
    for start in range(0, len(pool.x), CHUNK):
        x = floats(pool, slice(start, start + CHUNK), grayscale)
        x = x.transpose(1, 0, 2, 3).reshape(x.shape[1], -1) if images else x.T
        mean = x.mean(1)
        sums.append(np.stack([mean, x.var(1), np.full_like(mean, x.shape[1])]))
    means, variances, counts = np.stack(sums, 1)  # (chunks, features) each
    share = counts / counts.sum(0)
    mean = (share * means).sum(0)
    # variance within chunks and between them: no cancellation where the mean is large
    deviation = np.sqrt((share * (variances + (means - mean) ** 2)).sum(0))
    deviation = np.where(deviation > 1e-12 * np.abs(mean), deviation, 1.0)
    shape = (-1, 1, 1) if images else (-1,)
    return mean.reshape(shape), deviation.reshape(shape)
