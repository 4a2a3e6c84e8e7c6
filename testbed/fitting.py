"""What fits what: which of a metric's needs an estimator can serve."""

from __future__ import annotations

from testbed.components import Estimator, Metric, Optimizer

_CAPABILITY = {
    "predictions": "predict",
    "train_predictions": "predict",
    "sharpness": "gradient",
}


def served_needs(
    metric: Metric, estimator: Estimator, companion: Estimator | None
) -> tuple[tuple[str, ...], str]:
    """The first of the metric's alternatives that can be served, and ""; or (), and why not."""
    alternatives: list[tuple[str, ...]] = [
        needs if isinstance(needs, tuple) else metric.needs  # type: ignore[misc]
        for needs in metric.needs[: None if isinstance(metric.needs[0], tuple) else 1]
    ]
    reasons = []
    for needs in alternatives:
        reason = _first_objection(needs, estimator, companion)
        if not reason:
            return tuple(needs), ""
        reasons.append(reason)
    return (), "; ".join(dict.fromkeys(reasons))


def _first_objection(
    needs: tuple[str, ...], estimator: Estimator, companion: Estimator | None
) -> str:
    for need in needs:
        owner: Estimator | None = estimator
        name = need.removeprefix("initial_")
        if need.startswith("companion_"):
            owner, name = companion, need.removeprefix("companion_")
        if owner is None:
            return "it has no companion here"
        reason = _objection(name, owner)
        if reason:
            return reason
    return ""


def _objection(need: str, estimator: Estimator) -> str:
    if need == "parameters":
        return ""
    if need == "leverage":
        if type(estimator.optimizer).leverage is Optimizer.leverage:
            return f"{estimator.optimizer.name} has no leverage"
        return estimator.model.supports("eigensystem") or ""
    return estimator.model.supports(_CAPABILITY.get(need, need)) or ""
