"""KernelModel: everything from the kernel of two batches of points."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attrs import frozen
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import laplacian_kernel

import testbed
from testbed import UnsuitableError, parameter
from testbed.running.execute import execute_cell
from testbed.testing import Points, Smooth, check_component
from testbed_basics.metrics.risks import ExcessRisk
from testbed_basics.metrics.spectra import Eigenvalues
from testbed_basics.metrics.validation import LeaveOneOutRisk
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_ntk.models import Rbf
from tests.helpers.cells import make_cell, run_cell


@frozen(kw_only=True)
class Gaussian(testbed.KernelModel):
    """exp(−‖x − z‖²/2h²)."""

    name = "tests.gaussian"

    bandwidth: float = parameter(1.0, help="length h", gt=0)

    def kernel(self, x, z):
        return torch.exp(-0.5 * (x[:, None] - z).square().sum(-1) / self.bandwidth**2)


@frozen(kw_only=True)
class Laplace(testbed.KernelModel):
    """scikit-learn's Laplace kernel, in NumPy."""

    name = "tests.laplace"

    def kernel(self, x, z):
        return torch.from_numpy(laplacian_kernel(x.numpy(), z.numpy(), gamma=0.5))


@pytest.mark.parametrize("model", [Gaussian(), Laplace(), Gaussian(route="krylov")])
def test_it_keeps_the_laws(model):
    check_component(model)


@pytest.mark.parametrize(
    "optimizer",
    [
        SpectralFilter(filter="ridge"),
        SpectralFilter(filter="flow"),
        GradientDescent(learning_rate=0.5, method="stepped"),
    ],
    ids=["ridge", "flow", "descent"],
)
def test_the_values_of_a_kernel_give_what_the_tiled_kernel_gives(optimizer):
    design, metrics, times = Points(n=20), [ExcessRisk(), Eigenvalues()], [1.0, 30.0]
    ours = run_cell(design, Smooth(), Gaussian(), optimizer, times, metrics)
    theirs = run_cell(design, Smooth(), Rbf(), optimizer, times, metrics)
    for name in ("excess_risk", *Eigenvalues().declared()):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-9, atol=1e-12)


def test_ridge_is_that_of_scikit_learn_and_leave_one_out_is_that_of_refitting():
    optimizer = SpectralFilter(filter="ridge")
    cell = make_cell(Points(n=15), Smooth(), Laplace(), optimizer, [10.0], [LeaveOneOutRisk()])
    result = execute_cell(cell)
    assert not result.error
    from testbed.running.execute import draw_problem

    data, residual = draw_problem(cell, 0).train, []
    for row in range(15):
        kept = np.arange(15) != row
        ridge = KernelRidge(alpha=15 / 10.0, kernel="laplacian", gamma=0.5)
        ridge.fit(data.x.numpy()[kept], data.y.numpy()[kept])
        residual.append(float(ridge.predict(data.x.numpy()[[row]])[0] - data.y[row]))
    assert result.variables["loo_risk"][0, 0] == pytest.approx(
        np.mean(np.square(residual)), rel=1e-9
    )


def test_values_of_another_shape_and_kernels_that_are_none_are_refused():
    class Transposed(Gaussian):
        def kernel(self, x, z):
            return super().kernel(z, x)

    class Negative(Gaussian):
        def kernel(self, x, z):
            return -torch.cdist(x, z)

    for model, words in ((Transposed(), "expected (9, 12)"), (Negative(), "positive semidefinite")):
        cell = make_cell(
            Points(), Smooth(), model, SpectralFilter(filter="ridge"), [1.0], [ExcessRisk()]
        )
        assert words in execute_cell(cell).error


def test_one_output_or_several():
    gram = Gaussian().weighted_gram(torch.eye(3).double(), torch.full((3,), 3**-0.5).double())
    y = torch.tensor([[1.0, 2.0], [0.0, 1.0], [3.0, 0.0]]).double()
    together = gram.filter_path(y, "ridge", [0.5, 2.0], krylov=False)
    assert together.shape == (2, 3, 2)
    for column in range(2):
        alone = gram.filter_path(y[:, column], "ridge", [0.5, 2.0], krylov=False)
        torch.testing.assert_close(together[..., column], alone)
    with pytest.raises(UnsuitableError, match="NaN or infinite"):
        Gaussian().expect_finite(torch.tensor([torch.nan]), "training inputs")
