"""The posterior variance as a metric: a need of this plugin's own."""

from attrs import frozen

from testbed import Example, Metric, Need, Variable
from testbed_gaussian_process.regression import HasPosteriorVariance

VARIANCE = Need(
    "posterior_variance",
    "Var(f(x) | y) at the test points",
    HasPosteriorVariance,
    "posterior_variance",
    ("prepared", "params", "test_probe"),
)


@frozen(kw_only=True)
class PosteriorVariance(Metric):
    """The mean of Var(f(x) | y) over the test points: what the model believes its risk to be."""

    name = "gaussian-process.posterior-variance"
    references = ("Rasmussen and Williams, Gaussian processes for machine learning (2006), (2.24)",)
    needs = (VARIANCE,)
    variables = {"posterior_variance": Variable("mean posterior variance at the test points")}

    @classmethod
    def examples(cls):
        """The partners with which it can be tried."""
        return (
            Example(
                {},
                {
                    "model": {"use": "gaussian-process.regression"},
                    "optimizer": {"use": "fit", "times": [0.0]},
                },
            ),
        )

    def measure(self, problem, posterior_variance):
        return {"posterior_variance": posterior_variance.mean()}
