"""A plugin of testbed: Gaussian-process regression, its posterior variance, and its theory."""

from pathlib import Path

from testbed import hookimpl

testbed_contract = 2  # the version of the plugin contract that this was written for


@hookimpl
def testbed_models():
    from testbed_gaussian_process.regression import Regression  # imported when it is needed

    return [Regression]


@hookimpl
def testbed_metrics():
    from testbed_gaussian_process.variance import PosteriorVariance

    return [PosteriorVariance]


@hookimpl
def testbed_theories():
    from testbed_gaussian_process.learning_curve import LearningCurve

    return [LearningCurve]


@hookimpl
def testbed_scenarios():
    return sorted((Path(__file__).parent / "scenarios").glob("*.toml"))
