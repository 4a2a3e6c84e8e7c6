"""Laws of the parts of a model that must agree: kernel, eigenvectors, spectra, and shortcuts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from attrs import evolve

from testbed.contract.border import ComponentFault
from testbed.contract.capabilities import (
    HasBasis,
    HasDescent,
    HasEigensystem,
    HasExactSpectrum,
    HasGradient,
    HasGram,
    HasLeverage,
    HasPopulationRisk,
    HasPopulationSpectrum,
    HasPredictions,
    HasProfile,
    HasRandomStart,
    HasSpectrum,
    has,
)
from testbed.contract.needs import NEEDS
from testbed.contract.values import Problem
from testbed.errors import UnsuitableError
from testbed.numerics.trees import tree_map
from testbed.testing.cases import Case
from testbed.testing.fit_laws import moment
from testbed.testing.laws import Law, close, having
from testbed.testing.partners import Points, Sphere

# --- the kernel and its eigenvectors --------------------------------------------------------------


def gram_belongs_to_any_points(case: Case) -> None:
    """The Gram matrix of training and test points together has that of each in its blocks."""
    model, prepared, params, problem = moment(case)
    train, test = problem.train.x, problem.test.x
    count = len(train)
    for kernel in ("features", "tangent"):
        try:
            both, first, second = (
                model.gram(prepared, params, x, kernel).detach()
                for x in (torch.cat([train, test]), train, test)
            )
        except UnsuitableError:
            continue  # a model may know one kernel, or the training points only, if it says so
        close(first, both[:count, :count], 1e-6, f"{kernel} gram at the training points alone")
        close(second, both[count:, count:], 1e-6, f"{kernel} gram at the test points alone")


def basis_belongs_to_gram(case: Case) -> None:
    """Eigenvectors turn the weighted Gram matrix into the eigenvalues of the spectrum, in order."""
    model, prepared, params, problem = moment(case)
    basis = model.basis(prepared, params).detach()
    root = problem.train.weight.sqrt()
    if len(basis) != len(root):
        return
    gram = model.gram(prepared, params, problem.train.x, "features").detach()
    spectrum = model.spectrum(prepared, params, problem, "features", "train")
    computed = basis.mT @ (root[:, None] * gram * root) @ basis
    expected = torch.diag(spectrum.eigenvalue.detach())
    close(computed, expected, 1e-6, "basisᵀ √w gram √w basis against the eigenvalues of spectrum")


def coefficients_belong_to_the_basis(case: Case) -> None:
    """Coefficients of the spectrum are those of y, f* and f on the eigenvectors, and `outside` is
    the energy of f* that these do not carry."""
    model, prepared, params, problem = moment(case)
    basis, data = model.basis(prepared, params).detach(), problem.train
    fitted = model.predict(prepared, params, model.probe(prepared, data.x)).detach()
    if len(basis) != len(data.weight) or fitted.ndim > 1:
        return
    root = data.weight.sqrt()
    spectrum = model.spectrum(prepared, params, problem, "features", "train")
    for name, values in (("observed", data.y), ("truth", data.truth), ("estimate", fitted)):
        computed = getattr(spectrum, name).detach()
        close(computed, basis.mT @ (root * values), 1e-6, f"{name} of spectrum on basis")
    outside = (data.weight * data.truth.square()).sum() - spectrum.truth.square().sum()
    scale = float((data.weight * data.truth.square()).sum())
    computed = float(spectrum.outside)
    assert abs(computed - float(outside)) <= 1e-6 * scale, (
        f"found outside = {computed:.6g}, expected {float(outside):.6g}: Σ weight·f*² − Σ truth²"
    )


# --- shortcuts ------------------------------------------------------------------------------------


def descent_is_that_of_gradient(case: Case) -> None:
    """`descend` takes the steps that `gradient` gives, with momentum and with batches too."""
    model, prepared, params, problem = moment(case)
    rows = torch.tensor([[0, 1], [2, 3], [1, 4]])
    for momentum, batches in ((0.0, None), (0.5, None), (0.0, rows)):
        computed = model.descend(prepared, params, problem, 0.01, 3, momentum, None, batches).params
        expected, velocity = params, None
        for step in range(3):
            chosen = None if batches is None else batches[step]
            slope = model.gradient(prepared, expected, problem, chosen)
            push = tree_map(lambda leaf: -0.01 * leaf, slope)
            if velocity is not None:
                push = tree_map(lambda p, v: p + momentum * v, push, velocity)  # noqa: B023
            velocity, expected = push, tree_map(torch.add, expected, push)
        words = f"momentum {momentum:g}, {'all rows' if batches is None else 'batches'}"
        pairs = zip(leaves_of(computed), leaves_of(expected), strict=True)
        for ours, theirs in pairs:
            close(ours, theirs, 1e-8, f"descend of 3 steps against gradient ({words})")


def leaves_of(tree: Any) -> list[Any]:
    leaves: list[Any] = torch.utils._pytree.tree_leaves(tree)
    return [leaf.detach() for leaf in leaves]


def leverage_is_the_smoothers(case: Case) -> None:
    """`leverage` is ∂f(x_i)/∂y_i of the fitted function."""
    small = evolve(case, replicates=case.replicates[:1])
    computed = small.walk()[0].need(NEEDS["leverage"])[0].detach()  # (times, n)
    plain = _fitted(small)
    for row in range(0, computed.shape[-1], 3):
        moved = _fitted(evolve(small, change=_raised(row)))
        ours, theirs = computed[:, row], (moved - plain)[:, row]
        if bool(torch.isfinite(ours).all()):
            close(ours, theirs, 1e-6, f"leverage of point {row} against ∂f/∂y")


def _fitted(case: Case) -> torch.Tensor:
    values: torch.Tensor = case.walk()[0].need(NEEDS["train_predictions"])
    return values[0].detach()


def _raised(row: int) -> Any:
    """A change that adds 1 to one observation."""

    def change(problem: Problem) -> Problem:
        y = problem.train.y.clone()
        y[row] += 1
        return problem._replace(train=problem.train._replace(y=y))

    return change


# --- the population -------------------------------------------------------------------------------


def population_spectrum_is_the_kernels(case: Case) -> None:
    """Σ λ is the mean of k(x, x), and Σ λ² that of k(x, x′)², within six standard errors of 64
    samples."""
    model: Any = case.model
    if case.design == Points():
        case = evolve(case, design=Sphere())  # a law whose eigenfunctions are known
    try:
        spectrum, trace = model.population_spectrum(case.design), model.trace(case.design)
    except UnsuitableError:
        return  # unknown on this design, which it says
    diagonal, squares = [], []
    with torch.no_grad():
        path = evolve(case, replicates=tuple(range(64))).path()
        grams = path.initial.need(NEEDS["gram"], {"kernel": "features", "points": "train"})
    for gram in grams[:, 0].double().numpy():
        count = len(gram)
        diagonal.append(np.trace(gram) / count)
        squares.append((np.sum(gram**2) - np.sum(np.diag(gram) ** 2)) / (count * (count - 1)))
    energy = float((spectrum.multiplicity * spectrum.eigenvalue**2).sum())
    for words, values, expected in (
        ("trace, Σ λ", diagonal, trace),
        ("sum of squared eigenvalues, Σ λ²", squares, energy),
    ):
        mean, error = np.mean(values), np.std(values, ddof=1) / 8
        assert abs(mean - expected) <= 6 * error + 1e-3 * abs(expected), (
            f"found the {words} = {expected:.6g}, expected {mean:.6g} ± {6 * error:.1g}, the mean "
            "over points that the design draws"
        )


def profile_is_the_kernel(case: Case) -> None:
    """k at unit inputs is `profile(dim).value` of their cosine."""
    if case.model.profile(3) is None:  # type: ignore[attr-defined]
        return
    model, prepared, params, problem = moment(evolve(case, design=Sphere()))
    x = problem.train.x
    profile = case.model.profile(x.shape[-1])  # type: ignore[attr-defined]
    if profile is None:
        return
    try:
        gram = model.gram(prepared, params, x, "features").detach()
    except UnsuitableError:
        return
    cosine = (x @ x.mT).clamp(-1, 1).double().numpy()
    close(gram, profile.value(cosine), 1e-6, "gram at unit inputs against profile of the cosine")


def start_has_its_covariance(case: Case) -> None:
    """f₀ has the covariance of `initial_covariance`, within six standard errors of 400 starts."""
    first = case.problems()[0]
    repeated = evolve(case, replicates=tuple(range(400)), change=lambda problem: first)
    with torch.no_grad():
        initial = repeated.path().initial
        parts = [initial.need(NEEDS[name])[:, 0] for name in ("train_predictions", "predictions")]
    values = torch.cat(parts, 1).double().numpy()
    expected = case.model.initial_covariance(first)  # type: ignore[attr-defined]
    computed = values.T @ values / len(values)
    spread = 6 * np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / 400)
    worst = np.unravel_index(int((np.abs(computed - expected) - spread).argmax()), computed.shape)
    assert (np.abs(computed - expected) <= spread + 1e-12).all(), (
        f"found initial_covariance = {expected[worst]:.6g} at points {tuple(map(int, worst))}, "
        f"expected {computed[worst]:.6g} ± {spread[worst]:.1g}, that of 400 starts"
    )


def population_risk_is_the_test_risk(case: Case) -> None:
    """`population_risk` is the mean risk at test points, within six standard errors of 64
    replicates."""
    states = evolve(case, replicates=tuple(range(64))).walk()[0]
    try:
        risk = states.need(NEEDS["population_risk"])
    except ComponentFault:
        return  # the truth has no expansion of the kind that the model needs
    data = states.path.fit.problem.test
    residual = states.need(NEEDS["predictions"]).detach() - data.truth[:, None]
    tested = (data.weight[:, None] * residual**2).sum(-1).double().numpy()
    gap = tested - risk.value.detach().double().numpy()
    mean, error = gap.mean(0), gap.std(0, ddof=1) / 8
    for time, computed, spread, level in zip(case.times, mean, error, tested.mean(0), strict=True):
        assert abs(computed) <= 6 * spread + 1e-3 * level, (
            f"found population risks that differ by {-computed:.4g} from those at test points at "
            f"time {time:g}, expected no more than {6 * spread:.2g}; the risk is {level:.4g}"
        )


def _sampled(*capabilities: type[Any]) -> Any:
    """For models with these capabilities, whose spectrum is that of the training points."""
    holds = having(*capabilities)
    return lambda case: holds(case) and not has(case.model, HasExactSpectrum)


AGREEMENT_LAWS = (
    Law(gram_belongs_to_any_points, having(HasGram)),
    Law(basis_belongs_to_gram, _sampled(HasGram, HasBasis, HasSpectrum)),
    Law(coefficients_belong_to_the_basis, _sampled(HasBasis, HasSpectrum, HasPredictions)),
    Law(descent_is_that_of_gradient, having(HasDescent, HasGradient)),
    Law(population_spectrum_is_the_kernels, having(HasPopulationSpectrum, HasGram)),
    Law(profile_is_the_kernel, having(HasProfile, HasGram)),
    Law(start_has_its_covariance, having(HasRandomStart, HasPredictions)),
    Law(population_risk_is_the_test_risk, having(HasPopulationRisk, HasPredictions)),
)


def _smooths(case: Case) -> bool:
    model_reads_inputs = case.model.facts().reads == "inputs"
    served = having(HasEigensystem, HasPredictions)(case)
    return isinstance(case.optimizer, HasLeverage) and served and model_reads_inputs


SMOOTHER_LAWS = (Law(leverage_is_the_smoothers, _smooths),)
