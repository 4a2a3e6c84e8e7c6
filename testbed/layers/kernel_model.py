"""Kernel regression from one method: the kernel of two batches of points."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from attrs import frozen

from testbed.contract.values import Parameters
from testbed.errors import UnsuitableError
from testbed.layers.dual import DualModel, Prepared
from testbed.numerics.weighted_gram import WeightedGram

if TYPE_CHECKING:
    from torch import Tensor


@frozen(kw_only=True)
class KernelModel(DualModel):
    """Regression with a kernel that its values define; a subclass writes `kernel`.

    Gradient flow and every spectral filter are exact, by one factorisation or one Krylov space;
    steps of descent, spectra, Gram matrices and several outputs follow as well. The kernel must be
    positive semidefinite on the training points, which is checked when it is factorised. It is
    called for one replicate at a time, so that it may leave torch: `x.numpy()` is fine.
    """

    @abstractmethod
    def kernel(self, x: Tensor, z: Tensor) -> Tensor:
        """k(x_i, z_j) for points x (n, …) and z (m, …), of shape (n, m)."""

    def weighted_gram(self, x: Tensor, root: Tensor) -> WeightedGram:
        def make() -> Tensor:
            return self._symmetric(x).mul_(root[:, None]).mul_(root)

        return WeightedGram(self.name, x, root, make)

    def cross(self, prepared: Prepared, x: Tensor) -> Tensor:
        return self._values(x, prepared["gram"].x)

    def gram(self, prepared: Prepared, params: Parameters, x: Tensor, kernel: str) -> Tensor:
        return self._symmetric(x)

    def _symmetric(self, x: Tensor) -> Tensor:
        values = self._values(x, x)
        return 0.5 * (values + values.mT)  # rounding may differ between k(x, z) and k(z, x)

    def _values(self, x: Tensor, z: Tensor) -> Tensor:
        values = self.kernel(x, z)
        expected = (len(x), len(z))
        if tuple(values.shape) != expected:
            raise UnsuitableError(
                f"{self.name}: found kernel values of shape {tuple(values.shape)} for {len(x)} and "
                f"{len(z)} points, expected {expected}: one row for each of the first points"
            )
        return values.to(x)
