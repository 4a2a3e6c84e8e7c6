"""Truths θ* of sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from testbed import (
    SEQUENCES,
    DoesNotApply,
    Example,
    HasPowerDecay,
    Mistake,
    PowerDecay,
    Sample,
    Space,
    Target,
    UnsuitableError,
    narrow_misfit,
    parameter,
)


def indices(x: np.ndarray) -> np.ndarray:
    """The indices j of a sequence's inputs: x itself, or its first column."""
    return x if x.ndim == 1 else x[:, 0]


class SequenceTarget(Target):
    """A truth whose values are its own coefficients."""

    defined_on = SEQUENCES

    def expansion(self, drawn: Any, sample: Sample) -> dict[str, np.ndarray]:
        return {"coefficients": self.values(drawn, sample.x)}


@frozen(kw_only=True)
class SparsePower(SequenceTarget, HasPowerDecay):
    """θ*_{⌊j^q⌋} = C·j^{−(p+1)/2}, zero elsewhere: a power law misaligned with the order of the
    eigenvalues, more so the larger q (arXiv:2409.00894, equation 4)."""

    name = "sequence.sparse-power"
    references = ("arXiv:2409.00894", "arXiv:2509.20294")

    p: float = parameter(help="decay: the j-th non-zero coefficient is C·j^{−(p+1)/2}", gt=0)
    q: float = parameter(
        1.0, help="misalignment: the j-th non-zero coefficient has index ⌊j^q⌋", ge=1
    )
    scale: float = parameter(1.0, help="size C of the first coefficient")
    nonzeros: int | None = parameter(
        None, help="number of non-zero coefficients; as many as fit unless given", ge=1
    )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"p": 1.0, "q": 2.0}),)

    def power_decay(self) -> PowerDecay:
        if self.nonzeros is not None:
            raise DoesNotApply("it needs infinitely many coefficients; the target sets nonzeros")
        return PowerDecay(self.p, self.q)

    def values(self, drawn: Any, x: np.ndarray) -> np.ndarray:
        modes = len(x)
        count = modes if self.nonzeros is None else min(self.nonzeros, modes)
        j = np.arange(1.0, count + 1)
        # 32^1.2 = 64 exactly, but 63.99… in floating point
        position = np.floor(j**self.q + 1e-9)
        inside = position <= modes
        truth = np.zeros(modes)
        truth[position[inside].astype(int) - 1] = self.scale * j[inside] ** (-(self.p + 1) / 2)
        return truth


@frozen(kw_only=True)
class Power(SequenceTarget, HasPowerDecay):
    """θ*_j = C·j^{−(p+1)/2}: a power law aligned with the eigenvalues."""

    name = "sequence.power"
    references = ("arXiv:2409.00894",)

    p: float = parameter(help="decay: θ*_j = C·j^{−(p+1)/2}", gt=0)
    scale: float = parameter(1.0, help="size C of the first coefficient")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"p": 1.0}),)

    def power_decay(self) -> PowerDecay:
        return PowerDecay(self.p, 1.0)

    def values(self, drawn: Any, x: np.ndarray) -> np.ndarray:
        return self.scale * indices(x) ** (-(self.p + 1) / 2)


@frozen(kw_only=True)
class Block(SequenceTarget):
    """Unit energy spread evenly over the indices start … start + count − 1."""

    name = "sequence.block"
    references = ("arXiv:2412.18756",)

    start: int = parameter(1, help="first index of the block", ge=1)
    count: int = parameter(10, help="number of indices", ge=1)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"start": 2, "count": 3}),)

    def misfit(self, space: Space) -> Mistake | None:
        last = self.start + self.count - 1
        words = f"indices up to {last}"
        narrow = narrow_misfit(space, last, words, "count", "raise the design's modes")
        return self.kind_misfit(space) or narrow

    def values(self, drawn: Any, x: np.ndarray) -> np.ndarray:
        if self.start + self.count - 1 > len(x):
            raise UnsuitableError(
                f"sequence.block: found indices up to {self.start + self.count - 1}, expected at "
                f"most the design's {len(x)} modes; raise `modes`"
            )
        truth = np.zeros(len(x))
        truth[self.start - 1 : self.start - 1 + self.count] = self.count**-0.5
        return truth


MOST = 10**7  # largest number of coefficients read from a file


@frozen(kw_only=True)
class Coefficients(SequenceTarget):
    """Coefficients from the scenario or from a file; zero beyond them.

    A CSV file holds one number a line; of a netCDF file the variable `variable` is read. Relative
    paths start from the working directory.
    """

    name = "sequence.coefficients"

    coefficients: tuple[float, ...] | None = parameter(
        None, alias="values", help="the coefficients θ*_1, θ*_2, …", sweepable=False
    )
    path: str | None = parameter(
        None, help="a .csv or .nc file of coefficients, instead of values", role="file"
    )
    variable: str = parameter("truth", help="variable of the netCDF file")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"values": [1.0, -0.5]}),)

    def misfit(self, space: Space) -> Mistake | None:
        count = len(self.coefficients or ())
        words, advice = f"{count} coefficients", "raise the design's modes"
        return self.kind_misfit(space) or narrow_misfit(space, count, words, "values", advice)

    def values(self, drawn: Any, x: np.ndarray) -> np.ndarray:
        coefficients = self._coefficients()
        if len(coefficients) > len(x):
            raise UnsuitableError(
                f"sequence.coefficients: found {len(coefficients)} coefficients, expected at most "
                f"the design's {len(x)} modes; raise `modes`"
            )
        return np.concatenate([coefficients, np.zeros(len(x) - len(coefficients))])

    def _coefficients(self) -> np.ndarray:
        if self.coefficients is not None:
            return np.asarray(self.coefficients, dtype=np.float64)
        path = Path(self.path or "")
        if not path.is_file():  # reading a device would never end
            raise UnsuitableError(
                f"sequence.coefficients: found no file {path}, expected a .csv or .nc file"
            )
        if path.suffix == ".nc":
            import netCDF4

            with netCDF4.Dataset(path) as file:
                return np.asarray(file[self.variable][:], dtype=np.float64)
        try:
            return np.atleast_1d(np.loadtxt(path, delimiter=",", max_rows=MOST))
        except ValueError:  # the text of the error would quote a line of the file
            raise UnsuitableError(
                f"sequence.coefficients: found something other than numbers in {path}, expected a "
                "file of one number a line"
            ) from None
