"""Two-layer and deeper networks, and their linearisations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testbed import Finding, Metric, Model, hookimpl

if TYPE_CHECKING:
    import xarray as xr

    from testbed import Plan


@hookimpl
def testbed_models() -> list[type[Model]]:
    """Networks that learn their features, and the fixed features of their starts."""
    from testbed_networks.models import convolutional, deep, deep_linear, fixed, two_layer

    return [
        two_layer.TwoLayerNetwork,
        deep.Mlp,
        deep_linear.DeepLinear,
        convolutional.Convolutional,
        fixed.RandomFeatures,
        fixed.Linearised,
    ]


@hookimpl
def testbed_metrics() -> list[type[Metric]]:
    """How far features move, and how far training is from its idealisations."""
    from testbed_networks.metrics import networks as metrics

    return [
        metrics.KernelDrift,
        metrics.FeatureAlignment,
        metrics.Sharpness,
        metrics.WeightNorm,
        metrics.FlowGap,
        metrics.LazyGap,
    ]


@hookimpl
def testbed_check_results(plan: Plan, tree: xr.DataTree) -> list[Finding]:
    """Find sharpness that did not settle."""
    from testbed_networks.checks import findings

    return findings(plan, tree)
