"""Every component of the first-party plugins keeps the laws of its kind.

A component without required parameters is tried as it stands; the others have an example here.
"""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from testbed.contract.components import Component
from testbed.contract.grids import Grid
from testbed.loading import load_registry
from testbed.testing import Sequence, check_component

FIRST_PARTY = {
    name: offer.component
    for name, offer in load_registry().offers.items()
    if offer.plugin.distribution == "theory-testbed"
}
REQUIRED: dict[str, dict[str, Any]] = {
    "adam": {"learning_rate": 0.01},
    "adaptive.rates": {"p": 1.0, "q": 2.0},
    "adaptive.diagonal": {"basis": "torus", "modes": 9, "gamma": 1.5, "depth": 1},
    "adaptive.directional": {"eigenvalues": (1.0, 1.0)},
    "adaptive.one-step": {"width": 6},
    "adaptive.rfm": {"iterations": 2},  # rounding grows with each: in float32 to 2% after five
    "adaptive.sequence-twin": {"basis": "torus", "modes": 9},
    "adaptive.overlap": {"threshold": 0.3},  # below the start: else it may never be reached
    "anisotropic-gaussian": {"dim": 2, "n": 12},
    "dataset": {"data": "digits", "n": 12, "n_test": 8, "classes": (3, 5)},
    "gap": {"to": "other"},
    "gaussian": {"dim": 2, "n": 12},
    "gegenbauer": {"degrees": (1, 2)},
    "gradient-descent": {"learning_rate": 0.1},
    "hypercube": {"dim": 3, "n": 12},
    "indicator-product": {},
    "langevin": {"learning_rate": 0.1, "temperature": 0.1},
    "nesterov": {"learning_rate": 0.1},
    "networks.convolutional": {"width": 3},
    "networks.mlp": {"width": 4, "activation": "tanh"},
    "networks.random-features": {"width": 8},
    "networks.two-layer": {"width": 8},
    "ntk.population-spectrum": {"modes": Grid((1, 2, 5))},
    "polynomial": {"exponents": ((1, 0), (1, 1))},
    "sgd": {"learning_rate": 0.1, "batch_size": 4},
    "sequence.block": {"start": 2, "count": 3},
    "sequence.coefficients": {"values": (1.0, -0.5)},
    "sequence.diagonal": {"gamma": 1.5},
    "sequence.gaussian": {"n": 100, "modes": 12},
    "sequence.linear-model": {"n": 20, "features": 12},
    "sequence.power": {"p": 1.0},
    "sequence.sparse-power": {"p": 1.0, "q": 2.0},
    "single-index": {"coefficients": (0.0, 1.0)},
    "multi-index": {"coefficients": (0.0, 1.0)},
    "source": {"smoothness": 1.0},
    "source-condition": {"first": 1, "last": 12},
    "spectral-filter": {"filter": "ridge"},
    "sphere": {"dim": 3, "n": 12, "noise": 0.5},
    "torus": {"dim": 2, "n": 12},
    "trigonometric": {"frequencies": ((1.0, 0.0),)},
}
NESTED = {  # parameters that are components themselves
    "adaptive.features": {"of": "networks.two-layer"},
    "adaptive.path-gap": {"sequence": "sequence.diagonal"},
    "adaptive.sequence-twin": {"of": "sequence.diagonal"},
    "kernel-function": {"kernel": "ntk.relu"},
    "networks.linearised": {"of": "networks.two-layer"},
    "ntk.product": {"first": "ntk.rbf", "second": "ntk.polynomial"},
    "ntk.sum": {"first": "ntk.relu", "second": "ntk.periodic"},
    "source": {"kernel": "ntk.laplace"},
}


def example(name: str) -> Component:
    """The component with the example's values for what it requires."""
    component = FIRST_PARTY[name]
    nested = {field: example(value) for field, value in NESTED.get(name, {}).items()}
    values = REQUIRED.get(name, {}) | nested
    missing = [
        field.alias
        for field in attrs.fields(component)  # type: ignore[arg-type]
        if field.default is attrs.NOTHING and field.alias not in values
    ]
    assert not missing, f"{name} requires {missing}: add an example to REQUIRED"
    return component(**values)


SEQUENCE = {
    "design": "sequence.gaussian",
    "target": "sequence.sparse-power",
    "model": "sequence.diagonal",
    "optimizer": "gradient-flow",
}
NETWORK = {
    "design": "gaussian",
    "target": "linear",
    "model": "networks.two-layer",
    "optimizer": "gradient-descent",
}
SPHERE = {"design": "sphere", "target": "source", "model": "ntk.relu"}
RIDGE = {**SPHERE, "optimizer": "spectral-filter"}
DIRECTIONAL = {"design": "wide", "target": "single-index", "model": "adaptive.directional"}
LONG = {**SEQUENCE, "design": "long"}
HIGH = {**RIDGE, "design": "high"}
DIAGONAL = {"model": "adaptive.diagonal", "optimizer": "gradient-flow"}
TORUS = {"design": "torus", "target": "trigonometric"}
PARTNERS: dict[str, dict[str, str]] = {
    "adaptive.diagonal": TORUS,
    "adaptive.sequence-twin": TORUS,
    "adaptive.path-gap": {**TORUS, **DIAGONAL},
    "adaptive.rates": {
        **TORUS,
        "design": "noisy",
        "model": "adaptive.diagonal",
        "optimizer": "gradient-flow",
    },
    "adaptive.directional": {**DIRECTIONAL, "optimizer": "gradient-descent"},
    "adaptive.overlap": {**DIRECTIONAL, "optimizer": "gradient-descent"},
    "adaptive.population-flow": {**DIRECTIONAL, "optimizer": "gradient-flow"},
    "adaptive.escape-time": {**DIRECTIONAL, "optimizer": "gradient-flow"},
    **{f"sequence.{law}": SEQUENCE for law in ("expected-risk", "span-bounds")},
    "sequence.rates": LONG,
    # what exact flows leave is rounding, which no law is about
    "sequence.invariant-drift": {**SEQUENCE, "optimizer": "gradient-descent"},
    "sequence.linear-coefficients": {"design": "sequence.linear-model"},
    "labels": {"design": "dataset"},
    "misclassification": {**NETWORK, "design": "dataset", "target": "labels"},
    "test-error": {**NETWORK, "design": "dataset", "target": "labels"},
    "gegenbauer": {"design": "sphere"},
    "source": {"design": "sphere"},
    "kernel-function": {"design": "sphere"},
    "indicator-product": {"design": "wide"},
    "trigonometric": {"design": "torus"},
    **{
        f"networks.{metric}": NETWORK
        for metric in ("flow-gap", "lazy-gap", "weight-norm", "kernel-drift")
    },
    "networks.convolutional": {"design": "image", "optimizer": "gradient-descent"},
    "networks.feature-alignment": {**NETWORK, "target": "single-index"},
    "adam": {"model": "networks.two-layer"},
    "nesterov": {"model": "networks.two-layer"},
    "sgd": {"model": "networks.two-layer"},
    "spectral-filter": SPHERE,
    "loo-risk": RIDGE,
    "gcv": RIDGE,
    "ntk.deterministic-equivalent": RIDGE,
    "ntk.random-feature-equivalent": {
        **RIDGE,
        "target": "linear",
        "model": "networks.random-features",
    },
    "ntk.bias-variance": RIDGE,
    "ntk.population-spectrum": SPHERE,
    "ntk.population-risk": SPHERE,
    "ntk.rates": {**RIDGE, "model": "ntk.laplace"},
    "ntk.large-dimension": {**HIGH, "model": "ntk.laplace"},
    "ntk.polynomial-barrier": {**SPHERE, "design": "high", "target": "gegenbauer"},
}


SPECIAL = {
    "image": FIRST_PARTY["gaussian"](dim=9, n=12),  # type: ignore[call-arg]
    "wide": FIRST_PARTY["gaussian"](dim=8, n=12),  # type: ignore[call-arg]
    "high": FIRST_PARTY["sphere"](dim=6, n=12, noise=0.5),  # type: ignore[call-arg]
    "noisy": FIRST_PARTY["torus"](dim=2, n=12, noise=0.5),  # type: ignore[call-arg]
    "long": FIRST_PARTY["sequence.gaussian"](n=100, modes=400),  # type: ignore[call-arg]
}
"""Designs that some components need and the examples of designs are not."""


def partners(name: str) -> dict[str, Any]:
    """What the component is tried with, where the kit would not choose it by itself."""
    if name in PARTNERS:
        chosen = PARTNERS[name].items()
        return {kind: SPECIAL.get(rival) or example(rival) for kind, rival in chosen}
    if name.startswith("sequence.") and FIRST_PARTY[name].kind in ("model", "target"):
        return {"design": Sequence()}
    return {}


@pytest.mark.parametrize("name", sorted(FIRST_PARTY))
def test_component_keeps_the_laws(name):
    check_component(example(name), **partners(name))
