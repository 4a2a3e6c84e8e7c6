"""Laws of models and of optimizers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from attrs import evolve

from testbed.contract.capabilities import (
    HasBasis,
    HasEigensystem,
    HasExactSpectrum,
    HasFilterPath,
    HasFlow,
    HasGradient,
    HasGram,
    HasPredictions,
    HasSpectrum,
)
from testbed.contract.losses import loss
from testbed.contract.seeds import Streams
from testbed.contract.values import Problem
from testbed.errors import UnsuitableError
from testbed.numerics.trees import flatten, index, tensors, tree_map, unflatten
from testbed.running.batching import Single
from testbed.running.paths import Path, States, inputs_only
from testbed.testing.cases import Case, one_by_one
from testbed.testing.laws import (
    ROUNDING,
    TRAINING,
    Law,
    close,
    drawn_alike,
    finite,
    having,
    trained,
    walked,
)
from testbed.testing.partners import ExactFlow, FilterFlow, NumericFlow, PathFlow

# --- one replicate at one time ------------------------------------------------------------------


def _moment(case: Case) -> tuple[Any, Any, Any, Problem]:
    """Model, preparation, parameters and problem of one replicate at the middle of its times."""
    states = walked(case)[0]
    fit = states.path.fit
    trajectory = index(states.params, 0)
    params = index(trajectory, len(case.times) // 2)
    return Single(case.model), index(fit.prepared, 0), params, index(fit.problem, 0)


def _vector(tree: object) -> torch.Tensor:
    return torch.cat([leaf.flatten() for leaf in tensors(tree)])


# --- models ---------------------------------------------------------------------------------------


def draws_repeat(case: Case) -> None:
    """Drawing again from fresh streams gives the same NumPy arrays."""
    see = inputs_only if case.model.facts().reads == "inputs" else (lambda full: full)
    problem = see(case.problems()[0])
    streams = Streams(case.seed, 0).declaring(case.model.facts().streams)
    drawn_alike(lambda: case.model.draw(streams, problem))


def batchings_agree(case: Case) -> None:
    """One replicate after the other gives what all at once give."""
    together = trained(case)
    for part in ("model", "optimizer"):
        component: Any = getattr(case, part)
        if component.facts().batching != "loop" and (
            part == "model" or component.facts().batching == "vmap"
        ):
            change: dict[str, Any] = {part: one_by_one(component)}
            close(
                trained(evolve(case, **change)), together, ROUNDING, f"{component.name} one by one"
            )


def flow_is_the_numeric_flow(case: Case) -> None:
    """The exact flow is what integrating `gradient` gives."""
    exact = trained(evolve(case, optimizer=ExactFlow()))
    numeric = trained(evolve(case, optimizer=NumericFlow()))
    close(exact, numeric, 10 * case.tolerance, "flow against integration of gradient")


def eigensystem_is_the_numeric_flow(case: Case) -> None:
    """The flow filter on `eigensystem` is what integrating `gradient` gives."""
    exact = trained(evolve(case, optimizer=FilterFlow()))
    numeric = trained(evolve(case, optimizer=NumericFlow()))
    close(exact, numeric, 10 * case.tolerance, "eigensystem against integration of gradient")


def path_is_the_numeric_flow(case: Case) -> None:
    """The flow filter by the model's own `path` is what integrating `gradient` gives."""
    exact = trained(evolve(case, optimizer=PathFlow()))
    numeric = trained(evolve(case, optimizer=NumericFlow()))
    close(exact, numeric, 10 * case.tolerance, "path against integration of gradient")


def gradient_descends(case: Case) -> None:
    """Along −gradient the training loss does not rise."""
    model, prepared, params, problem = _moment(case)
    direction = model.gradient(prepared, params, problem)
    probe = model.probe(prepared, problem.train.x)
    start, toward = (flatten(tree_map(lambda leaf: leaf[None], t)) for t in (params, direction))

    def height(flat: torch.Tensor) -> torch.Tensor:
        like = tree_map(lambda leaf: leaf[None], params)
        parameters = index(unflatten(like, flat), 0)
        return loss(problem.train, model.predict(prepared, parameters, probe))

    slope = torch.func.jvp(height, (start,), (toward,))[1]
    scale = float(height(start)) + 1e-12
    assert float(slope) >= -ROUNDING * scale, (
        f"found the loss rising at rate {-float(slope):.3g} along −gradient, expected descent; "
        "gradient returns ∇ ½ Σ weight·(y − f)², not its negative"
    )


def gradient_of_all_rows(case: Case) -> None:
    """`rows` = all rows changes nothing, and the mean over single rows is the whole gradient."""
    model, prepared, params, problem = _moment(case)
    gradient = _vector(model.gradient(prepared, params, problem))
    count = problem.train.weight.shape[-1]
    every = _vector(model.gradient(prepared, params, problem, torch.arange(count)))
    close(every, gradient, ROUNDING, "gradient of all rows")
    singles = [model.gradient(prepared, params, problem, torch.tensor([i])) for i in range(count)]
    mean = torch.stack([_vector(tree) for tree in singles]).mean(0)
    close(mean, gradient, ROUNDING, "mean of the gradients of single rows")


def spectrum_is_sound(case: Case) -> None:
    """The spectrum's parts have one shape (modes,), which `spectrum_length` says beforehand if
    anything; eigenvalues and `outside` are not negative."""
    model, prepared, params, problem = _moment(case)
    spectrum = model.spectrum(prepared, params, problem, "features", "train")
    modes = spectrum.eigenvalue.shape
    assert len(modes) == 1, f"found eigenvalues of shape {tuple(modes)}, expected (modes,)"
    length = model.spectrum_length(case.design, "train")
    assert length in (None, *modes), f"found spectrum_length {length}, expected {modes[0]}"
    for name in ("eigenvalue", "truth", "estimate", "observed"):
        part = getattr(spectrum, name)
        assert part.shape[:1] == modes, f"found {name} of shape {tuple(part.shape)}, expected modes"
        finite(part, name)
    least = -1e-10 * float(spectrum.eigenvalue.abs().max())
    assert float(spectrum.eigenvalue.min()) >= least, "found a negative eigenvalue, expected none"
    energy = float(spectrum.truth.square().sum()) + 1e-12
    assert float(spectrum.outside) >= -1e-10 * energy, "found outside < 0, expected an energy"


def spectrum_is_the_risk(case: Case) -> None:
    """A population spectrum and predictions give one risk if test points are the population."""
    model, prepared, params, problem = _moment(case)
    spectrum = model.spectrum(prepared, params, problem, "features", "train")
    risk = (spectrum.estimate - spectrum.truth).square().sum() + spectrum.outside
    data = problem.test
    residual = model.predict(prepared, params, model.probe(prepared, data.x)) - data.truth
    close(risk, (data.weight * residual.square()).sum(), 1e-6, "risk from the spectrum")


def _is_a_sequence(case: Case) -> bool:
    """Test points that are the training points, with weight 1: the whole population."""
    problem = case.problems()[0]
    train, test = problem.train, problem.test
    return train.x.shape == test.x.shape and torch.equal(train.x, test.x)


def gram_is_positive(case: Case) -> None:
    """Gram matrices are symmetric and positive semidefinite."""
    model, prepared, params, problem = _moment(case)
    for kernel in ("features", "tangent"):
        try:
            gram = model.gram(prepared, params, problem.train.x, kernel).detach()
        except UnsuitableError:
            continue  # a model may have one kernel only, if it says so
        count = problem.train.x.shape[0]
        assert gram.shape == (count, count), (
            f"found a {kernel} Gram matrix of shape {tuple(gram.shape)}, expected {(count, count)}"
        )
        close(gram.mT, gram, ROUNDING, f"transpose of the {kernel} Gram matrix")
        least, most = torch.linalg.eigvalsh(gram)[[0, -1]].tolist()
        assert least >= -1e-8 * max(most, 1e-12), f"found the eigenvalue {least:.3g} of a Gram"


def basis_is_orthonormal(case: Case) -> None:
    """Eigenvectors have unit length; they are columns in the order of the spectrum."""
    model, prepared, params, problem = _moment(case)
    basis = model.basis(prepared, params)
    modes = model.spectrum(prepared, params, problem, "features", "train").eigenvalue.shape[0]
    assert basis.shape[-1] == modes, f"found {basis.shape[-1]} eigenvectors, expected {modes}"
    close(basis.mT @ basis, np.eye(modes), 1e-6, "inner products of eigenvectors")


MODEL_LAWS = (
    Law(draws_repeat),
    *TRAINING,
    Law(batchings_agree, lambda case: case.model.facts().batching != "loop"),
    Law(flow_is_the_numeric_flow, having(HasFlow, HasGradient)),
    Law(eigensystem_is_the_numeric_flow, having(HasEigensystem, HasGradient)),
    Law(path_is_the_numeric_flow, having(HasFilterPath, HasGradient)),
    Law(gradient_descends, having(HasPredictions, HasGradient)),
    Law(
        gradient_of_all_rows,
        lambda case: having(HasGradient, HasPredictions)(case) and not _is_a_sequence(case),
    ),
    Law(spectrum_is_sound, having(HasSpectrum)),
    Law(
        spectrum_is_the_risk,
        lambda case: having(HasExactSpectrum, HasPredictions)(case) and _is_a_sequence(case),
    ),
    Law(gram_is_positive, having(HasGram)),
    Law(basis_is_orthonormal, having(HasBasis, HasSpectrum)),
)


# --- optimizers -----------------------------------------------------------------------------------


def batches_repeat(case: Case) -> None:
    """Drawing again from fresh streams gives the same NumPy arrays."""
    streams = Streams(case.seed, 0).declaring(case.optimizer.facts().streams)
    drawn_alike(lambda: case.optimizer.draw(streams, case.problems()[0]))


def reached_is_sound(case: Case) -> None:
    """One reached time, and one of each auxiliary coordinate, for every time asked."""
    reached = case.optimizer.reached(case.times)
    assert len(reached) == len(case.times), f"found {len(reached)} reached times"
    assert list(reached) == sorted(reached), "found reached times out of order"
    for name, values in case.optimizer.auxiliary(case.times).items():
        assert len(values) == len(case.times), f"found {len(values)} values of {name}"


def own_reached_is_sound(case: Case) -> None:
    """A time of its own for every replicate and time asked, in order."""
    path: Path = case.path()
    reached = path.training.reached_by(path.carry, case.times)
    shape = (len(case.replicates), len(case.times))
    assert tuple(reached.shape) == shape, (
        f"found own times of shape {tuple(reached.shape)}, expected {shape}: (replicates, times)"
    )
    assert reached.dtype == torch.float64, f"found own times in {reached.dtype}, expected float64"
    assert bool((reached.diff(dim=1) >= 0).all()), "found own times out of order"


def record_is_declared(case: Case) -> None:
    """`advance` records the variables that `variables` declares, one number for each time."""
    path: Path = case.path()
    with torch.no_grad():
        states, record = path.advance(case.times)
    assert isinstance(states, States)
    declared = set(case.optimizer.declared())
    assert set(record) == declared or not record, (
        f"found the records {sorted(record)}, expected those of variables: {sorted(declared)}"
    )
    shape = (len(case.replicates), len(case.times))
    for name, values in record.items():
        assert tuple(values.shape) == shape, (
            f"found {name} of shape {tuple(values.shape[1:])} for a replicate, expected one number "
            "a time"
        )


OPTIMIZER_LAWS = (
    Law(batches_repeat),
    *TRAINING,
    Law(batchings_agree, lambda case: case.optimizer.facts().batching == "vmap"),
    Law(reached_is_sound),
    Law(own_reached_is_sound, lambda case: case.optimizer.facts().times_per_replicate),
    Law(record_is_declared),
)
