"""Laws of random draws: where numbers come from, and what they may depend on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from testbed.contract.seeds import Streams
from testbed.running.paths import inputs_only
from testbed.testing.cases import Case
from testbed.testing.laws import Law, leaves


def _drawers(case: Case) -> Callable[[int], Any]:
    """`draw(replicate)` of the case's component."""
    component: Any = case.component
    if component.kind == "design":
        return lambda row: component.draw(Streams(case.seed, row))
    if component.kind == "target":
        sample = case.design.draw(Streams(case.seed, 0))._replace(design=case.design)
        return lambda row: component.draw(Streams(case.seed, row), sample)
    streams = component.facts().streams
    problem = case.problems()[0]
    if component.kind == "model" and component.facts().reads == "inputs":
        problem = inputs_only(problem)
    return lambda row: component.draw(Streams(case.seed, row).declaring(streams), problem)


def replicates_differ(case: Case) -> None:
    """Drawn floats differ between replicates."""
    draw = _drawers(case)
    first, second = (
        [np.asarray(leaf) for leaf in leaves(draw(row)) if np.asarray(leaf).dtype.kind == "f"]
        for row in (0, 1)
    )
    if not first:
        return  # nothing is drawn, or integers alone
    same = all(np.array_equal(left, right) for left, right in zip(first, second, strict=True))
    assert not same, (
        "found the same numbers drawn for replicates 0 and 1, expected others: rng(role) is keyed "
        "by the replicate, a fixed seed is not"
    )


DRAWING_LAWS = (
    Law(replicates_differ, lambda case: case.component.kind != "target"),  # a truth may be fixed
)

# --- targets and designs --------------------------------------------------------------------------


def truth_ignores_the_training_sample(case: Case) -> None:
    """Another training sample leaves the truth at the test points as it is."""
    first, second = (case.design.draw(Streams(case.seed, row)) for row in (0, 1))
    mixed = second._replace(test_x=first.test_x, test_weight=first.test_weight)
    values = []
    for sample in (first, mixed):
        drawn = case.target.draw(Streams(case.seed, 0), sample._replace(design=case.design))
        values.append(case.target.values(drawn, first.test_x))
    before, after = values
    assert np.allclose(before, after, rtol=1e-9, atol=1e-12), (
        f"found f*(x) = {before.flat[0]:.6g} with one training sample and {after.flat[0]:.6g} with "
        "another, at the same test point; expected a truth that draw(rng, sample) takes from rng "
        "alone"
    )


def test_points_are_new(case: Case) -> None:
    """Test points are drawn separately from training points, unless they are the population."""
    sample = case.design.draw(Streams(case.seed, 0))
    if np.array_equal(sample.x, sample.test_x) and (sample.weight == 1).all():
        return  # a sequence: its indices are the whole population
    rows = min(len(sample.x), len(sample.test_x))
    axes = tuple(range(1, sample.x.ndim))
    share = float((sample.x[:rows] == sample.test_x[:rows]).all(axis=axes).mean())
    assert share < 0.9, (
        f"found {share:.0%} of the test points equal to the training points in the same rows, "
        "expected points of rng('test')"
    )


def variance_is_the_noises(case: Case) -> None:
    """`variance` is that of weight·noise for one coefficient: Var(noise)·weight."""
    samples = [case.design.draw(Streams(case.seed, row)) for row in range(200)]
    noise = np.concatenate([sample.noise.ravel() for sample in samples])
    weight = float(np.mean([sample.weight.mean() for sample in samples]))
    variance, expected = samples[0].variance, float(np.mean(noise**2)) * weight
    spread = 6 * (2 / len(noise)) ** 0.5 * expected  # six standard errors
    assert abs(variance - expected) <= spread + 1e-15, (
        f"found the variance {variance:.6g}, expected {expected:.6g} ± {spread:.1g} from the noise "
        "of 200 replicates: ε² = σ²/n for regression, weights 1/n"
    )


class _Swapped(Streams):
    """The streams of one replicate with the inputs of another."""

    def __call__(self, role: str) -> np.random.Generator:
        if role in ("inputs", "test"):
            return Streams(self._seed, self._replicate + 1)(role)
        return super().__call__(role)


def noise_ignores_the_inputs(case: Case) -> None:
    """Other inputs leave the noise as it is: it comes from rng("noise")."""
    first = case.design.draw(Streams(case.seed, 0))
    second = case.design.draw(_Swapped(case.seed, 0))
    assert np.array_equal(first.noise, second.noise), (
        "found other noise with other inputs, expected the same: draw it from rng('noise') alone"
    )


SAMPLING_LAWS = (
    Law(test_points_are_new, lambda case: case.design.draw(Streams(1, 0)).label is None),
    Law(variance_is_the_noises, lambda case: case.design.draw(Streams(1, 0)).label is None),
    Law(noise_ignores_the_inputs, lambda case: case.design.draw(Streams(1, 0)).label is None),
)
TRUTH_LAWS = (Law(truth_ignores_the_training_sample, lambda case: case.target.facts().truth_known),)
