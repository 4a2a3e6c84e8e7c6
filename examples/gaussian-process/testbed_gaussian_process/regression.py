"""Gaussian-process regression by scikit-learn, with the posterior variance as a capability."""

from abc import abstractmethod

import torch
from attrs import frozen

from testbed import Capability, FitPredict, parameter, per_replicate


class HasPosteriorVariance(Capability):
    """The variance of f(x) given the observations."""

    words = "posterior variance"

    @per_replicate()
    @abstractmethod
    def posterior_variance(self, prepared, params, probe):
        """Var(f(x) | y) at the points of the probe, (m,)."""


@frozen(kw_only=True)
class Regression(FitPredict, HasPosteriorVariance):
    """The posterior mean under f ~ GP(0, k) with k(x, z) = exp(−‖x − z‖²/(2ℓ²)), noise N(0, σ²).

    Length and noise level are those that are stated: no marginal likelihood is maximised.
    """

    name = "gaussian-process.regression"
    references = ("Rasmussen and Williams, Gaussian processes for machine learning (2006), §2.2",)

    length: float = parameter(1.0, help="length ℓ of the kernel", gt=0)
    noise: float = parameter(1.0, help="assumed standard deviation σ of the noise", gt=0)

    def fit(self, x, y, weight, seed):
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF

        kernel = RBF(self.length, length_scale_bounds="fixed")
        return GaussianProcessRegressor(kernel, alpha=self.noise**2, optimizer=None).fit(x, y)

    def posterior_variance(self, prepared, params, probe):
        _, deviation = prepared["fitted"].predict(probe.cpu().numpy(), return_std=True)
        return torch.from_numpy(deviation**2).to(probe)
