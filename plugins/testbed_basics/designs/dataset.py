"""Real data as a design."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from attrs import frozen

from testbed import Design, Example, ParameterError, Rng, Sample, Space, UnsuitableError, parameter
from testbed_basics.designs.pools import ABOUT, Pool, floats, locate, moments, read, select

BUILT_IN = ("digits", "diabetes")


class Prepared(NamedTuple):
    """A data set with its classes chosen; moments and labels of the training pool."""

    train: Pool
    test: Pool | None  # None: test points are taken from `train` as well
    mean: np.ndarray
    deviation: np.ndarray


@lru_cache(maxsize=4)
def _prepared(
    data: str,
    place: Path | None,
    changed: float,
    classes: tuple[int, ...] | None,
    grayscale: bool,
) -> Prepared:
    pools = read(data, place, changed)
    if grayscale and pools.train.x.ndim != 4:
        raise UnsuitableError(f"found grayscale for the data {data!r}", "images")
    train = select(pools.train, classes, data)
    if classes is None and pools.train.y.dtype.kind != "f":
        classes = tuple(np.unique(pools.train.y).tolist())
    test = None if pools.test is None else select(pools.test, classes, data)
    return Prepared(train, test, *moments(train, grayscale))


@frozen(kw_only=True)
class Dataset(Design):
    """Points of a data set, drawn without replacement, with labels instead of a truth.

    Where the authors made a split, n points come from their training part and n_test from their
    test part; otherwise both come from the whole set, disjoint. A larger sample extends a smaller
    one.

    Labels as regression: two classes are −1 and +1, in the order of `classes`; C > 2 classes are
    one-hot minus 1/C, (n, C); numbers are brought to mean 0 and variance 1 if `standardise`. Means
    and deviations are those of all points that training points are drawn from.
    """

    name = "dataset"

    data: str = parameter(
        "digits",
        help="the data set; file: arrays x and y of a .npz",
        choices=tuple(ABOUT),
        role="source",
    )
    path: str | None = parameter(
        None,
        help="file or folder of the data; the user's cache unless given",
        sweepable=False,
        role="file",
    )
    n: int = parameter(help="number of training points", ge=1, role="sample_size")
    n_test: int = parameter(200, help="number of test points; 0 leaves all to training", ge=0)
    classes: tuple[int, ...] | None = parameter(
        None, help="classes kept; all unless given", role="source"
    )
    grayscale: bool = parameter(False, help="colour images to one channel")
    flatten: bool = parameter(True, help="images as rows of numbers")
    standardise: bool = parameter(
        True, help="mean 0 and variance 1: of each feature, or of each channel of images"
    )
    unit: bool = parameter(False, help="divide every input by its length, after standardising")
    noise: float = parameter(0.0, help="noise level σ added to the labels", ge=0, role="noise")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {"data": "digits", "n": 12, "n_test": 8, "classes": [3, 5]},
                {"target": {"use": "labels"}, "metric": {"use": "test-error"}},
            ),
        )

    def __attrs_post_init__(self) -> None:
        if self.data == "file" and not self.path:
            raise ParameterError("found none", "the .npz file of the data", parameter="path")
        if self.data in BUILT_IN and self.path:
            raise ParameterError(
                f"found {self.path!r}",
                f"none: {self.data} comes with scikit-learn",
                parameter="path",
            )
        if self.classes is not None and (
            len(self.classes) < 2 or len(set(self.classes)) < len(self.classes)
        ):
            raise ParameterError(
                f"found {list(self.classes)}", "two or more different ones", parameter="classes"
            )

    def files(self) -> tuple[Path, ...]:
        """The files of the data if no path is given."""
        place, _ = locate(self.data, self.path)
        return () if place is None or self.path else (place,)

    def _pools(self) -> Prepared:
        place, changed = locate(self.data, self.path)
        return _prepared(self.data, place, changed, self.classes, self.grayscale)

    def space(self) -> Space:
        """Dimension and outputs are those of the data; None where these cannot be read."""
        try:
            pools = self._pools()
        except UnsuitableError:
            return Space("data", labels="classes", outputs=None)
        dim = floats(pools.train, slice(0, 1), self.grayscale).size
        labels: Literal["classes", "numbers"] = (
            "numbers" if pools.train.y.dtype.kind == "f" else "classes"
        )
        return Space("data", dim, labels=labels, outputs=self._outputs(pools))

    def _outputs(self, pools: Prepared) -> int:
        """Numbers observed at a point: one, or one for each of more than two classes."""
        y = pools.train.y
        count = 1 if y.dtype.kind == "f" else int(y.max()) + 1
        return 1 if count <= 2 else count

    def expect_available(self) -> None:
        """UnsuitableError where the data are missing, damaged, or too few."""
        self._expect_enough(self._pools())

    def draw(self, rng: Rng) -> Sample:
        pools = self._pools()
        rows, test_rows = self._rows(rng, pools)
        test_pool = pools.test or pools.train
        label = self._labels(pools, pools.train, rows)
        test_label = self._labels(pools, test_pool, test_rows)
        noise = rng("noise")
        (test_noise,) = noise.spawn(1)
        return Sample(
            x=self._inputs(pools, pools.train, rows),
            weight=np.full(self.n, 1 / self.n),
            noise=self.noise * noise.standard_normal(label.shape),
            variance=self.noise**2 / self.n,
            test_x=self._inputs(pools, test_pool, test_rows),
            test_weight=np.full(self.n_test, 1 / max(self.n_test, 1)),
            test_noise=self.noise * test_noise.standard_normal(test_label.shape),
            label=label,
            test_label=test_label,
        )

    def _rows(self, rng: Rng, pools: Prepared) -> tuple[np.ndarray, np.ndarray]:
        """Positions of the training and test points; without a split, from the two ends of one
        permutation."""
        self._expect_enough(pools)
        count = len(pools.train.y)
        if pools.test is None:
            order = rng("inputs").permutation(count)
            return order[: self.n], order[::-1][: self.n_test]
        return (
            rng("inputs").permutation(count)[: self.n],
            rng("test").permutation(len(pools.test.y))[: self.n_test],
        )

    def _expect_enough(self, pools: Prepared) -> None:
        count = len(pools.train.y)
        if pools.test is None:
            self._expect(self.n + self.n_test, count, "n + n_test")
        else:
            self._expect(self.n, count, "n")
            self._expect(self.n_test, len(pools.test.y), "n_test")

    def _expect(self, count: int, available: int, what: str) -> None:
        if count > available:
            chosen = f" of the classes {list(self.classes)}" if self.classes else ""
            raise UnsuitableError(
                f"dataset: found {what} = {count}",
                f"at most {available}, as many points{chosen} as {self.data!r} has",
                "lower n or n_test",
            )

    def _inputs(self, pools: Prepared, pool: Pool, rows: np.ndarray) -> np.ndarray:
        x = floats(pool, rows, self.grayscale)
        if self.standardise:
            x = (x - pools.mean) / pools.deviation
        if self.unit:
            axes = tuple(range(1, x.ndim))
            length = np.sqrt((x**2).sum(axes, keepdims=True))
            x = x / np.where(length > 0, length, 1.0)
        return x.reshape(len(x), math.prod(x.shape[1:])) if self.flatten else x

    def _labels(self, pools: Prepared, pool: Pool, rows: np.ndarray) -> np.ndarray:
        """(n,) or (n, classes)."""
        y = pool.y[rows]
        if y.dtype.kind == "f":
            pool_labels = pools.train.y
            return (y - pool_labels.mean()) / (pool_labels.std() or 1.0) if self.standardise else y
        count = int(pools.train.y.max()) + 1
        if count == 2:
            return np.where(y == 1, 1.0, -1.0)
        return np.asarray(np.eye(count)[y] - 1 / count)

    def sizes(self) -> dict[str, int]:
        return {"train": self.n, "test": self.n_test}

    def attributes(self) -> dict[str, str]:
        about = ABOUT[self.data]
        source = about.source or str(self.path)
        return {"name": about.title, "source": source, "licence": about.licence}
