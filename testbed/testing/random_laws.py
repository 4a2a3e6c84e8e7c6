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
    train, test = ({row.tobytes() for row in x} for x in (sample.x, sample.test_x))
    if len(train) < len(sample.x):
        return  # points of a finite set, which come again
    share = len(train & test) / len(test)
    assert share < 0.9, (
        f"found {share:.0%} of the test points among the training points, expected points of "
        "rng('test')"
    )


def test_points_have_the_law_of_training_points(case: Case) -> None:
    """Coordinates of training and test points have one mean and one variance, within six standard
    errors of 200 samples."""
    samples = [case.design.draw(Streams(case.seed, row)) for row in range(200)]
    if np.array_equal(samples[0].x, samples[1].x):
        return  # not random
    for power, words in ((1, "mean"), (2, "mean square")):
        gaps = np.array([
            (sample.x**power).mean(0).ravel() - (sample.test_x**power).mean(0).ravel()
            for sample in samples
        ])  # fmt: skip
        gap, error = gaps.mean(0), gaps.std(0, ddof=1) / np.sqrt(len(gaps))
        worst = int((np.abs(gap) - 6 * error).argmax())
        assert abs(gap[worst]) <= 6 * error[worst] + 1e-12, (
            f"found that the {words} of coordinate {worst} differs by {gap[worst]:.3g} between "
            f"training and test points, expected at most {6 * error[worst]:.1g}: both come from "
            "one law"
        )


def weights_add_up(case: Case) -> None:
    """Training and test weights add up to 1, or are all 1."""
    sample = case.design.draw(Streams(case.seed, 0))
    for name, weight in (("weight", sample.weight), ("test_weight", sample.test_weight)):
        total = float(weight.sum())
        assert abs(total - 1) < 1e-9 or (weight == 1).all(), (
            f"found {name} with the sum {total:.6g}, expected 1/n each for regression, or 1 each "
            "for a sequence"
        )


def points_lie_in_the_space(case: Case) -> None:
    """Points have the dimension that `space()` states, and lie on its sphere, torus or cube."""
    space, sample = case.design.space(), case.design.draw(Streams(case.seed, 0))
    if space is None:
        return
    for name, x in (("x", sample.x), ("test_x", sample.test_x)):
        dim = len(x) if space.kind == "sequence" else int(np.prod(x.shape[1:]))
        assert space.dim in (None, dim), (
            f"found {name} of dimension {dim}, expected {space.dim}, as space() says"
        )
        distance = _DISTANCES.get(space.kind)
        far = float(distance(x).max()) if distance else 0.0
        assert far < 1e-6, (
            f"found {name} that is {far:.3g} away from {space}, expected points of it, as space() "
            "says"
        )


_DISTANCES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sphere": lambda x: np.abs(np.linalg.norm(x, axis=-1) - 1),
    "torus": lambda x: np.maximum(np.abs(x) - 1, 0),
    "hypercube": lambda x: np.abs(np.abs(x) - 1),
}


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


def noise_is_independent(case: Case) -> None:
    """Noise has mean 0, and is independent between points, within six standard errors of 200
    replicates."""
    noise = np.array([
        case.design.draw(Streams(case.seed, row)).noise.ravel() for row in range(200)
    ])  # fmt: skip
    pairs = (noise[:, 1:] * noise[:, :-1]).mean(1)
    for words, values in (("mean", noise.mean(1)), ("mean product of neighbours", pairs)):
        mean, error = float(values.mean()), float(values.std(ddof=1)) / 200**0.5
        assert abs(mean) <= 6 * error + 1e-15, (
            f"found noise with a {words} of {mean:.3g}, expected 0 ± {6 * error:.1g}: "
            "rng('noise').standard_normal(n)"
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


def _synthetic(case: Case) -> bool:
    return case.design.draw(Streams(1, 0)).label is None


SAMPLING_LAWS = (
    *(
        Law(law, _synthetic)
        for law in (
            test_points_are_new,
            test_points_have_the_law_of_training_points,
            points_lie_in_the_space,
            variance_is_the_noises,
            noise_is_independent,
            noise_ignores_the_inputs,
        )
    ),
    Law(weights_add_up),
)
TRUTH_LAWS = (Law(truth_ignores_the_training_sample, lambda case: case.target.facts().truth_known),)
