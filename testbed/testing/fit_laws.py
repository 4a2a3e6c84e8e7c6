"""Laws of a fit: what it may depend on, and which parts of a model must agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from attrs import evolve

from testbed.contract.capabilities import (
    HasEigensystem,
    HasExactSpectrum,
    HasGradient,
    HasGram,
    HasPredictions,
    HasSpectrum,
    has,
)
from testbed.contract.losses import loss
from testbed.contract.needs import NEEDS
from testbed.contract.parameters import names_with
from testbed.contract.values import Data, Problem
from testbed.errors import UnsuitableError
from testbed.numerics.trees import index
from testbed.running.batching import Single
from testbed.testing.cases import Case
from testbed.testing.laws import Law, close, having, walked
from testbed.testing.partners import NumericFlow, PlainDescent

# --- what a fit may depend on ---------------------------------------------------------------------


def predictions(case: Case) -> np.ndarray:
    """The fitted function at the test points, (replicates, times, points)."""
    values: torch.Tensor = walked(case)[0].need(NEEDS["predictions"])
    return values.detach().double().numpy()


def reversed_rows(problem: Problem) -> Problem:
    """The problem with its training rows in the opposite order."""
    return problem._replace(train=Data(*(part.flip(0) for part in problem.train)))


def other_truth(problem: Problem) -> Problem:
    """The problem with another truth behind the same observations, and other test labels."""

    def changed(part: torch.Tensor) -> torch.Tensor:
        return 3 - 2 * part

    train, test = problem.train, problem.test
    return problem._replace(
        train=train._replace(truth=changed(train.truth)),
        test=test._replace(truth=changed(test.truth), y=changed(test.y)),
    )


def other_test_points(problem: Problem) -> Problem:
    """The problem with its test points in another place."""
    test = problem.test
    return problem._replace(test=test._replace(x=test.x.flip(0).roll(1, -1)))


def other_weights(problem: Problem) -> Problem:
    """The problem with weights that differ between training points, of the same sum."""
    weight = problem.train.weight
    ramp = torch.linspace(0.5, 1.5, len(weight), dtype=weight.dtype)
    return problem._replace(train=problem.train._replace(weight=weight * ramp))


def _is_regression(case: Case) -> bool:
    """Points whose order means nothing: of a sequence it is the index."""
    return has(case.model, HasPredictions) and case.problems()[0].train.x.ndim > 1


def fit_ignores_the_order_of_rows(case: Case) -> None:
    """Training rows in another order give the same fitted function."""
    reversed_fit = predictions(evolve(case, change=reversed_rows))
    close(
        reversed_fit, predictions(case), 10 * case.tolerance, "predictions, training rows reversed"
    )


def fit_reads_no_truth(case: Case) -> None:
    """Another truth behind the same observations, and other test labels, change no prediction."""
    blind = predictions(evolve(case, change=other_truth))
    close(blind, predictions(case), 10 * case.tolerance, "predictions, other truth and test labels")


def fit_reads_no_test_points(case: Case) -> None:
    """Other test points change no prediction at the training points."""
    fits = []
    for changed in (case, evolve(case, change=other_test_points)):
        values: torch.Tensor = walked(changed)[0].need(NEEDS["train_predictions"])
        fits.append(values.detach().double().numpy())
    plain, moved = fits
    close(moved, plain, 10 * case.tolerance, "predictions at training points, other test points")


def predictions_are_pointwise(case: Case) -> None:
    """f(x) depends neither on the order of the points nor on how many there are."""
    model, prepared, params, problem = moment(case)
    x = problem.test.x

    def values(points: torch.Tensor) -> torch.Tensor:
        fitted: torch.Tensor = model.predict(prepared, params, model.probe(prepared, points))
        return fitted.detach()

    try:
        together = values(x)
        reversed_, half = values(x.flip(0)), values(x[: len(x) // 2])
    except UnsuitableError:
        return  # it knows its values at the test points only, and says so
    close(reversed_, together.flip(0), 1e-6, "f at the test points in reverse order")
    close(half, together[: len(x) // 2], 1e-6, "f at the first half of the test points")


# --- parts of a model that belong together --------------------------------------------------------


def moment(case: Case) -> tuple[Any, Any, Any, Problem]:
    """Model, preparation, parameters and problem of one replicate at the middle of its times."""
    states = walked(case)[0]
    fit = states.path.fit
    params = index(index(states.params, 0), len(case.times) // 2)
    return Single(case.model), index(fit.prepared, 0), params, index(fit.problem, 0)


def along(function: Callable[[Any], torch.Tensor], params: Any, step: Any) -> torch.Tensor:
    """The derivative of a function of parameters along −step."""
    down = torch.utils._pytree.tree_map(lambda leaf: -leaf, step)
    return torch.func.jvp(function, (params,), (down,))[1]


def gradient_is_that_of_the_loss(case: Case) -> None:
    """`gradient` is ∇ ½ Σ weight·(y − f)² in the parameters, as autograd gives it."""
    _expect_gradient(*moment(case))
    if _is_regression(case):  # of a sequence, all weights are 1
        _expect_gradient(*moment(evolve(case, change=other_weights)))


def _expect_gradient(model: Any, prepared: Any, params: Any, problem: Problem) -> None:
    probe = model.probe(prepared, problem.train.x)

    def height(parameters: Any) -> torch.Tensor:
        return loss(problem.train, model.predict(prepared, parameters, probe))

    try:
        slope = torch.func.grad(height)(params)
    except Exception:
        return  # autograd does not see through numerics outside torch
    expected = torch.utils._pytree.tree_leaves(slope)
    gradient = torch.utils._pytree.tree_leaves(model.gradient(prepared, params, problem))
    for ours, theirs in zip(gradient, expected, strict=True):
        close(
            ours.detach(),
            theirs.detach(),
            1e-6,
            "model.gradient(prepared, params, problem) against autograd of the loss",
        )


def _in_weights(case: Case) -> bool:
    """Whether the parameters are those trained, and the gradient is not rescaled."""
    facts = case.model.facts()
    written = type(case.model).gradient is not HasGradient.gradient
    return written and facts.coordinates == "weights" and having(HasPredictions, HasGradient)(case)


def gram_is_what_trains(case: Case) -> None:
    """Along −gradient the fitted function moves by −K·weight∘(f − y), K the tangent Gram matrix."""
    model, prepared, params, problem = moment(case)
    data, probe = problem.train, model.probe(prepared, problem.train.x)
    try:
        gram = model.gram(prepared, params, data.x, "tangent")
    except UnsuitableError:
        return  # the model refuses: it only has a kernel of its features
    fitted = model.predict(prepared, params, probe)
    if fitted.ndim > 1:
        return  # of several outputs the kernel is a mean
    step = model.gradient(prepared, params, problem)
    velocity = along(lambda parameters: model.predict(prepared, parameters, probe), params, step)
    expected = -gram @ (data.weight * (fitted - data.y))
    close(
        velocity.detach(),
        expected.detach(),
        1e-6,
        "∂f along −gradient against −gram @ weight∘(f − y)",
    )


def spectrum_belongs_to_gram(case: Case) -> None:
    """Eigenvalues of the spectrum are those of the weighted Gram matrix of the same kernel."""
    model, prepared, params, problem = moment(case)
    root = problem.train.weight.sqrt()
    gram = model.gram(prepared, params, problem.train.x, "features")
    value = torch.linalg.eigvalsh(root[:, None] * gram * root).detach().flip(0)
    spectrum = model.spectrum(prepared, params, problem, "features", "train")
    eigenvalue = spectrum.eigenvalue.detach().sort(descending=True).values
    count = min(len(eigenvalue), len(value))
    close(
        eigenvalue[:count], value[:count].clamp_min(0), 1e-6, "eigenvalues of spectrum against gram"
    )


def eigensystem_belongs_to_gram(case: Case) -> None:
    """U diag(s) Uᵀ of the eigensystem is the weighted Gram matrix."""
    model, prepared, params, problem = moment(case)
    system = model.eigensystem(prepared)
    if system.rows is not None or len(system.vectors) != len(problem.train.weight):
        return
    root = problem.train.weight.sqrt()
    gram = model.gram(prepared, params, problem.train.x, "features")
    product = (system.vectors * system.eigenvalue) @ system.vectors.mT
    close(product, root[:, None] * gram * root, 1e-6, "U diag(s) Uᵀ against √w gram √w")


def spectrum_is_what_trains(case: Case) -> None:
    """In coordinates of the function, the estimate moves along −gradient by
    eigenvalue·(observed − estimate): λ of the spectrum is the speed of training."""
    model, prepared, params, problem = moment(case)
    try:
        spectrum = model.spectrum(prepared, params, problem, "tangent", "train")
    except UnsuitableError:
        return  # it knows the spectrum of its features only, and says so

    def estimate(parameters: Any) -> torch.Tensor:
        values: torch.Tensor = model.spectrum(
            prepared, parameters, problem, "tangent", "train"
        ).estimate
        return values

    velocity = along(estimate, params, model.gradient(prepared, params, problem))
    if velocity.ndim > 1:
        return  # of several outputs
    expected = spectrum.eigenvalue * (spectrum.observed - spectrum.estimate)
    close(
        velocity.detach(),
        expected.detach(),
        1e-6,
        "spectrum.estimate along −gradient against eigenvalue·(observed − estimate)",
    )


def _in_the_function(case: Case) -> bool:
    """Parameters that are the function's coordinates, whose gradient is minus its velocity."""
    return case.model.facts().coordinates == "function" and having(HasSpectrum, HasGradient)(case)


def _sampled(case: Case) -> bool:
    return having(HasGram, HasSpectrum)(case) and not has(case.model, HasExactSpectrum)


FIT_LAWS = (
    Law(fit_ignores_the_order_of_rows, _is_regression),
    Law(fit_reads_no_truth, having(HasPredictions)),
    Law(fit_reads_no_test_points, _is_regression),
    Law(predictions_are_pointwise, _is_regression),
    Law(gradient_is_that_of_the_loss, _in_weights),
    Law(gram_is_what_trains, having(HasGram, HasGradient, HasPredictions)),
    Law(spectrum_belongs_to_gram, _sampled),
    Law(spectrum_is_what_trains, _in_the_function),
    Law(eigensystem_belongs_to_gram, having(HasGram, HasEigensystem)),
)

# --- optimizers -----------------------------------------------------------------------------------


def _losses(case: Case) -> np.ndarray:
    """The training loss of every replicate at every time, (replicates, times)."""
    states = walked(case)[0]
    fitted = states.need(NEEDS["train_predictions"]).detach()
    data = states.path.fit.problem.train
    return (0.5 * data.weight[:, None] * (fitted - data.y[:, None]) ** 2).sum(-1).numpy()


def optimizer_moves(case: Case) -> None:
    """Parameters at the last time differ from those at the start."""
    states = walked(case)[0]
    start = torch.utils._pytree.tree_leaves(states.path.fit.start)
    last = torch.utils._pytree.tree_leaves(states.params)
    moved = any(not torch.equal(end[:, -1], begin) for begin, end in zip(start, last, strict=True))
    assert moved, (
        f"found the parameters of the start at time {case.times[-1]:g}, expected others: "
        "advance(fit, carry, since, times) returns the states at `times`"
    )


def optimizer_descends(case: Case) -> None:
    """Over the recorded times the mean training loss falls."""
    losses = _losses(case).mean(0)
    assert losses[-1] < losses[0], (
        f"found the training loss {losses[-1]:.4g} at time {case.times[-1]:g} after "
        f"{losses[0]:.4g} at {case.times[0]:g}, expected a smaller one: steps go along −gradient"
    )


def optimizer_keeps_the_clock(case: Case) -> None:
    """At a time t the fit is nearer to gradient flow at the time reached than to the flow at half
    or twice that time; with small steps, if the optimizer has a step size, than to the flow a sixth
    earlier or later."""
    target_time = case.times[len(case.times) // 2]
    factor = 1.2 if _step_sizes(case.optimizer) else 2.0
    case = _with_small_steps(case)
    (time,) = case.optimizer.reached((target_time,))
    fit = predictions(evolve(case, times=(target_time,)))
    smooth = case.model.facts().smooth  # adaptive integration stops at every jump of a gradient
    flow = NumericFlow() if smooth else PlainDescent(learning_rate=time / 400)
    flows = evolve(case, optimizer=flow, times=(time / factor, time, factor * time))
    early, same, late = np.moveaxis(predictions(flows), 1, 0)
    gaps = [float(np.abs(fit[:, 0] - flow).mean()) for flow in (early, same, late)]
    assert gaps[1] <= min(gaps[0], gaps[2]), (
        f"found predictions at time {time:g} that are {gaps[1]:.3g} from gradient flow at that "
        f"time, {gaps[0]:.3g} from it at t/{factor:g} and {gaps[2]:.3g} at {factor:g}t, expected "
        "the first to be the smallest: time is learning rate × steps, or say "
        'OptimizerFacts(clock="own")'
    )


def _step_sizes(optimizer: Any) -> dict[str, float]:
    """The step sizes that an optimizer is given."""
    values = {name: getattr(optimizer, name) for name in names_with(optimizer, "step_size")}
    return {name: size for name, size in values.items() if isinstance(size, float)}


def _with_small_steps(case: Case) -> Case:
    """The case with steps that are a tenth as long, if its optimizer has a step size."""
    optimizer: Any = case.optimizer
    smaller = {name: size / 10 for name, size in _step_sizes(optimizer).items()}
    return evolve(case, optimizer=evolve(optimizer, **smaller))


def _trains(case: Case) -> bool:
    """Whether predictions of a model with a gradient are trained."""
    return having(HasPredictions, HasGradient)(case)


FITTING_LAWS = (
    Law(fit_reads_no_truth, having(HasPredictions)),
    Law(optimizer_moves, _trains),
    Law(optimizer_descends, _trains),
    Law(optimizer_keeps_the_clock, lambda case: _trains(case) and _flows(case)),
)


def _flows(case: Case) -> bool:
    facts = case.optimizer.facts()
    return facts.clock == "flow" and not facts.times_per_replicate
