"""The laws of width against the analytic kernel: lazy under NTK scaling, not under mean-field.

Networks and their kernel share no code: hand-derived descent of finite networks here, the closed
form of the flow of arc-cosine kernels there.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from testbed.contract.components import Estimator
from testbed.testing import Smooth
from testbed_basics.designs.points import Sphere
from testbed_basics.metrics.risks import Gap
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_networks.metrics.networks import KernelDrift
from testbed_networks.models.two_layer import TwoLayerNetwork
from testbed_ntk.models import ReluTangent
from tests.helpers.cells import run_cell

WIDTHS = (64, 256, 1024, 4096)  # the law of large widths: at 16 it does not hold yet
DESIGN = Sphere(dim=5, n=40, n_test=100, noise=0.1)
KERNEL = Estimator("kernel", ReluTangent(first_variance=1.0, output_variance=1.0), GradientFlow())
TIME, REPLICATES = 10.0, 24


def at_widths(parameterization, kernel=KERNEL):
    """Gap to the kernel's flow and drift of the network's own kernel at τ = 10, (widths, R) each.

    The gap of descent to the flow at steps of 0.1, 1.5e-3 for the kernel itself, is a tenth of the
    smallest gap here.
    """
    results = []
    for width in WIDTHS:
        model = TwoLayerNetwork(width=width, symmetric=True, parameterization=parameterization)
        descent, measured = GradientDescent(learning_rate=0.1), [Gap(to="kernel"), KernelDrift()]
        results.append(
            run_cell(
                DESIGN, Smooth(), model, descent, (0.0, TIME), measured,
                replicates=REPLICATES, estimators={"kernel": kernel},
            )
        )  # fmt: skip
    assert all((item["gap"][:, 0] < 1e-12).all() for item in results)  # both start at 0
    return (np.array([item[name][:, 1] for item in results]) for name in ("gap", "kernel_drift"))


def exponent(values):
    """The exponent in the width: the mean of the replicates' own, with its 99.9% interval.

    Replicates are independent, the widths of one are not: their draws extend each other's.
    """
    actual = np.polyfit(np.log(WIDTHS), np.log(values), 1)[0]
    reach = stats.t.ppf(0.9995, len(actual) - 1) * actual.std(ddof=1) / len(actual) ** 0.5
    return actual.mean() - reach, actual.mean() + reach


def test_under_ntk_scaling_the_distance_to_the_analytic_kernel_falls_like_the_root_of_the_width():
    """The law m^{−1/2} within a 99.9% interval that is short enough to exclude 0 and −3/4. By
    chance alone that fails at one seed in a thousand; at one in a hundred, as these widths are
    finite and the exponent, by 64 replicates, is −0.488 ± 0.01. The drift is between m^{−1/2} and
    m^{−1}: the first order, of twins in opposite directions, cancels but where kinks are
    crossed."""
    gap, drift = at_widths("ntk")
    low, high = exponent(gap)
    assert low < -0.5 < high
    assert low > -0.6 and high < -0.4
    assert (np.diff(gap.mean(1)) < 0).all() and gap[-1].mean() < 0.2 * gap[0].mean()
    low, high = exponent(drift)
    assert low > -1 and high < -0.5


def test_under_mean_field_scaling_neither_falls():
    gap, drift = at_widths("mean-field")
    for values in (gap, drift):
        low, high = exponent(values)
        assert low > -0.1 and high < 0.1
    assert (gap.mean(1) > 0.1).all()
    assert (drift.mean(1) > 0.5).all()


@pytest.mark.parametrize("wrong", [{"first_variance": 2.0}, {"output_variance": 0.5}])
def test_another_kernel_is_no_limit(wrong):
    """The distance to a kernel of other variances stays, however wide the network."""
    options = {"first_variance": 1.0, "output_variance": 1.0, **wrong}
    second = Estimator("kernel", ReluTangent(**options), GradientFlow())
    gap, _ = at_widths("ntk", second)
    assert exponent(gap)[0] > -0.3
