"""The kinds of components with which `testbed new-plugin --kind` can begin."""

from __future__ import annotations

from attrs import frozen


@frozen
class Kind:
    """A component that a distribution can begin with: its hook, its class and where it is used."""

    hook: str
    file: str
    class_name: str
    component: str
    words: str


KINDS = {
    "model": Kind(
        "models", "features", "CosineFeatures", "cosine-features", "a model by the contract itself"
    ),
    "torch-module": Kind("models", "network", "Network", "network", "a network of torch"),
    "kernel": Kind("models", "kernel", "RationalQuadratic", "rational-quadratic", "a kernel"),
    "fit-predict": Kind(
        "models", "ridge", "Ridge", "ridge", "an estimator of an outside library"
    ),
    "optimizer": Kind("optimizers", "sign_descent", "SignDescent", "sign-descent", "an optimizer"),
    "target": Kind("targets", "staircase", "Staircase", "staircase", "a true function"),
    "design": Kind("designs", "ball", "Ball", "ball", "a law of the inputs"),
    "metric": Kind("metrics", "largest_error", "LargestError", "largest-error", "a measurement"),
    "theory": Kind(
        "theories", "expected_risk", "ExpectedRisk", "expected-risk", "a prediction"
    ),
}  # fmt: skip
