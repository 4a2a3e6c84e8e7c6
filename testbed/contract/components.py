"""The base classes of everything a plugin can offer.

A component is a frozen attrs class; its fields are the parameters a scenario may set, declared with
`testbed.parameter`. Its numerics are written for ONE replicate and core maps them over replicates:

* ``batching = "vmap"`` (default): methods are pure functions of tensors, mapped by torch.func.vmap;
* ``batching = "batch"``: methods get and return a leading replicate axis on every tensor;
* ``batching = "loop"``: methods are called replicate by replicate, and may do anything.

`draw` is always called once per replicate, eagerly, and is the only place where randomness enters.
It returns NumPy arrays (or a dict of them), which core casts to the run's dtype and device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from attrs import field, frozen

from testbed.contract.grids import Grid
from testbed.contract.parameters import parameter
from testbed.contract.values import Data, Fit, Problem, Risk, Sample, Spectrum
from testbed.errors import UnsuitableError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from torch import Tensor

    from testbed.contract.cells import Cell

Batching = Literal["vmap", "batch", "loop"]
Rng = Callable[[str], "np.random.Generator"]
"""`rng(role)`, role one of inputs, test, noise, target, model, batches: a fresh Philox generator
keyed by (seed, role, replicate). Asked twice for one role it starts again: ask once and keep it."""


@frozen
class Variable:
    """A variable of the result: its own dims (besides replicate and time), units and long name.

    `time=False` marks a variable that does not change over training; `predicts` names the metric
    variable that a theory's variable stands beside.
    """

    long_name: str
    dims: tuple[str, ...] = ()
    units: str = "1"
    time: bool = True
    predicts: str | None = None
    attrs: Mapping[str, Any] = field(factory=dict, hash=False)


class Component:
    """What all kinds share. `name` is what a scenario's `use = "…"` says."""

    kind: ClassVar[str]
    name: ClassVar[str]
    references: ClassVar[tuple[str, ...]] = ()
    batching: ClassVar[Batching] = "vmap"

    def files(self) -> tuple[Path, ...]:
        """Files and folders that its numbers depend on, besides those that its parameters name."""
        return ()


class Design(Component):
    """Where inputs come from: a random design, a sequence of indices, a data set.

    A field called `noise` may touch the observations only, never the inputs: designs that differ in
    nothing else share the preparations of models that read inputs.
    """

    kind = "design"

    def draw(self, rng: Rng) -> Sample:
        """One replicate's inputs, test inputs, weights and noise, as float64 NumPy arrays."""
        raise NotImplementedError

    def derived(self) -> dict[str, float]:
        """Parameters that follow from others (n = dim^γ); they become auxiliary coordinates."""
        return {}

    def sizes(self) -> dict[str, int]:
        """The numbers of points, `{"train": n, "test": m}`, for the plan's estimate of memory."""
        train = int(getattr(self, "n", 0))
        return {"train": train, "test": int(getattr(self, "n_test", train))}

    def in_words(self) -> str:
        """What failures call it: its name, with what tells a data set from others."""
        return self.name

    def attributes(self) -> dict[str, str]:
        """Provenance that belongs into the result's attributes: a data set's licence and source."""
        return {}


class Target(Component):
    """The truth f* (for sequences: θ*)."""

    kind = "target"
    known: ClassVar[bool] = True
    """False where nobody knows the truth (real data): risks against f* then do not apply."""

    def draw(self, rng: Rng, sample: Sample) -> Any:
        """What is random in the truth; None if nothing is."""
        return None

    def values(self, drawn: Any, x: np.ndarray) -> np.ndarray:
        """f*(x) as float64, shape (n,) or (n, outputs)."""
        raise NotImplementedError

    def expansion(self, drawn: Any, sample: Sample) -> dict[str, np.ndarray]:
        """The target's own coefficients in its own basis, where it has them."""
        return {}

    def problem(self, drawn: Any, sample: Sample) -> Problem:
        """The regression problem of one replicate, in NumPy arrays: truth plus noise.

        Targets that know labels instead of a truth override this.
        """
        truth, test_truth = (self.values(drawn, x) for x in (sample.x, sample.test_x))
        if truth.shape != sample.noise.shape:
            raise UnsuitableError(
                f"{self.name}: found noise of shape {sample.noise.shape} for a truth of shape "
                f"{truth.shape}, expected equal shapes; does the data have several outputs? Then "
                'take the target "labels", or fewer classes'
            )
        return Problem(
            train=Data(sample.x, truth + sample.noise, truth, sample.weight),
            test=Data(
                sample.test_x, test_truth + sample.test_noise, test_truth, sample.test_weight
            ),
            noise=float(sample.variance),
            expansion=self.expansion(drawn, sample),
        )


class Model(Component):
    """What is fitted: features Φ_η and readout β. The smallest one has start and predict.

    A field called `route` may choose how numbers are computed, never what they mean: models that
    differ in nothing else count as one kernel.
    """

    kind = "model"
    reads: ClassVar[Literal["problem", "inputs"]] = "problem"
    """"inputs" promises that `draw` and `prepare` never look at y or the truth: core then shares
    the preparation between targets, noises and optimizers."""
    time_batching: ClassVar[Literal["vmap", "loop"]] = "vmap"
    """How predict, spectrum, basis and gram are mapped over recorded times, in any `batching`."""
    threads: ClassVar[Literal["one", "all"]] = "one"
    """"all" gives the model's cells every core, and runs them while no other cell runs."""
    spectrum_of: ClassVar[Literal["population", "sample"]] = "sample"
    """"population" promises that Σ(estimate − truth)² + outside of `spectrum` is the exact risk."""
    smooth: ClassVar[bool] = True
    """False, or a property, where the gradient jumps as that of a network of relu does: a flow
    without a closed form is then not integrated, since adaptive steps would stop at every jump."""
    gradient_is_velocity: ClassVar[bool] = False
    """True: parameters are not what is trained, but dual coefficients or the function itself, and
    `gradient` is minus their velocity, no gradient in them. Steps along it are those of the trained
    parameters; optimizers that scale each coordinate by itself are others, and refuse."""

    def supports(self, capability: str) -> str | None:
        """None if this model, with these parameter values, can do it; else the reason why not."""
        if capability == "exact_spectrum":
            if self.spectrum_of == "population":
                return self.supports("spectrum")
            return f"the spectrum of {self.name} is that of a sample"
        needed = "predict" if capability == "gradient" else capability
        own = getattr(type(self), needed, None) is not getattr(Model, needed, None)
        own = own or getattr(type(self), capability, None) is not getattr(Model, capability, None)
        return None if own else f"{self.name} has no {capability}"

    def draw(self, rng: Rng, problem: Problem) -> Any:
        """The random part of the initialisation; None if there is none.

        `problem` holds tensors of this replicate; models that read "inputs" see no y in it.
        """
        return None

    def prepare(self, drawn: Any, problem: Problem) -> Any:
        """What stays fixed over training: a factorisation, eigenvalues, a Jacobian."""
        return drawn

    def start(self, drawn: Any, prepared: Any, problem: Problem) -> Any:
        """Parameters at time 0: a tensor or a dict of tensors."""
        raise NotImplementedError

    def probe(self, prepared: Any, x: Tensor) -> Any:
        """What predicting at x needs, computed once per x: K(x, X), basis values. Default x."""
        return x

    def predict(self, prepared: Any, params: Any, probe: Any) -> Tensor:
        """f(x), shape (n,) or (n, outputs)."""
        raise NotImplementedError

    def gradient(
        self, prepared: Any, params: Any, problem: Problem, rows: Tensor | None = None
    ) -> Any:
        """The direction that gradient flow descends, shaped like params: ∇ ½ Σ weight·(y − f)².

        Default: autograd through `predict`. `rows` restricts the sum to a batch, rescaled to keep
        its expectation. Riemannian, width-scaled or hand-derived gradients override this.
        """
        from testbed.contract.losses import loss_gradient

        return loss_gradient(self, prepared, params, problem, rows)

    def flow(self, fit: Fit, last: Any, since: float, times: Sequence[float]) -> Any:
        """Exact gradient flow: parameters with leading axis len(times), from `last` at `since`."""
        raise NotImplementedError

    def eigensystem(self, prepared: Any) -> Eigensystem:
        """The factorisation that spectral filters act on."""
        raise NotImplementedError

    def path(self, fit: Fit, name: str, times: Sequence[float], **options: Any) -> Any:
        """Parameters along a spectral filter's path, leading axis len(times), by a route that needs
        no whole `eigensystem`. `name` and `options` as in `testbed.numerics.filters`."""
        raise NotImplementedError

    def spectrum(
        self, prepared: Any, params: Any, problem: Problem, kernel: str, points: str
    ) -> Spectrum:
        """The feature spectrum of a state; `kernel` is "features" or "tangent"."""
        raise NotImplementedError

    def basis(self, prepared: Any, params: Any) -> Tensor:
        """Eigenvectors as columns, (rows, modes), in the order of `spectrum`."""
        raise NotImplementedError

    def gram(self, prepared: Any, params: Any, x: Tensor, kernel: str) -> Tensor:
        """The learned kernel's Gram matrix on x, (n, n)."""
        raise NotImplementedError

    def spectrum_length(self, design: Design, points: str) -> int | None:
        """How many modes `spectrum` has on a design's points, "train" or "test"; None where only a
        run can tell."""
        return None

    def population_risk(self, prepared: Any, params: Any, problem: Problem) -> Risk:
        """∫ (f − f*)² under the design's law, without test points, from the truth's `expansion`.

        Only the cell knows design and target: metrics that need it say in `applies` where it holds.
        """
        raise NotImplementedError

    def population_spectrum(self, design: Design) -> PopulationSpectrum:
        """The kernel's true eigenvalues under the design's distribution, with multiplicities."""
        raise NotImplementedError


class Eigensystem(NamedTuple):
    """Of the weighted Gram matrix of the training points: K·diag(weight) = U diag(s) Uᵀ."""

    eigenvalue: Tensor  # (k,) s ≥ 0
    vectors: Tensor  # (rows, k) U, orthonormal columns
    start: Tensor  # (rows,) or (rows, outputs): f₀ at the rows
    rows: Tensor | None = None  # the training rows that are fitted; None: all


class PopulationSpectrum(NamedTuple):
    """Eigenvalues of a kernel's integral operator, each with its multiplicity, by degree."""

    eigenvalue: np.ndarray  # (levels,)
    multiplicity: np.ndarray  # (levels,) float64: exact up to 2⁵³
    degree: np.ndarray  # (levels,) what tells the eigenspaces apart (degree k on the sphere)


class Advance(NamedTuple):
    """What an optimizer returns for a block of recorded times."""

    carry: Any
    parameters: Any  # leading axis len(times)
    record: Mapping[str, Any] = {}  # extra variables of `Optimizer.variables`, each (len(times),)


@frozen(kw_only=True)
class Optimizer(Component):
    """How a model is fitted over training time τ. First-party optimizers have batching "batch"."""

    kind = "optimizer"
    needs: ClassVar[tuple[str, ...]] = ()
    follows_flow: ClassVar[bool] = True
    """False: its time is not that of gradient flow, so that a gap to one that is means nothing."""
    own_times: ClassVar[bool] = False
    """True: every replicate stops at times of its own, which `own_reached` tells once it began."""
    variables: ClassVar[Mapping[str, Variable]] = {}

    times: Grid | None = parameter(
        None, help="recorded training times τ; the scenario's `times` unless given", sweepable=False
    )

    def accepts(self, model: Model) -> str | None:
        """None if this optimizer can fit the model, else the reason why not."""
        reasons = (model.supports(capability) for capability in self.needs)
        return next((reason for reason in reasons if reason), None)

    def reaches_limit(self, model: Model) -> bool:
        """Whether it knows where it takes the model as t → ∞, so that times may end in inf."""
        return False

    def reached(self, times: Sequence[float]) -> tuple[float, ...]:
        """The times that training really stops at, for the times asked (whole steps)."""
        return tuple(times)

    def own_reached(self, carry: Any, times: Sequence[float]) -> Tensor:
        """The times that a replicate stops at where `own_times` says that each has its own,
        (len(times),) float64; `carry` is what `start` returned. Companions are moved there."""
        raise NotImplementedError

    def auxiliary(self, times: Sequence[float]) -> dict[str, tuple[float, ...]]:
        """Coordinates along time that explain it: step counts, ridge parameters."""
        return {}

    def draw(self, rng: Rng, problem: Problem) -> Any:
        """What is random in training: the batches of SGD; None if nothing is."""
        return None

    def start(self, fit: Fit) -> Any:
        """The carry at time 0; by default the parameters alone."""
        return fit.start

    def advance(self, fit: Fit, carry: Any, since: float, times: Sequence[float]) -> Advance:
        """Train from `since` through `times`. Pure and resumable; core calls it block by block."""
        raise NotImplementedError

    def leverage(self, fit: Fit, times: Sequence[float]) -> Tensor:
        """Diagonal of the smoother at each time, (len(times), n), NaN at points that the model does
        not fit; needs the model's eigensystem."""
        raise NotImplementedError


class Estimator(NamedTuple):
    """A named model + optimizer pair, with every parameter at one value."""

    name: str
    model: Model
    optimizer: Optimizer


@frozen(kw_only=True)
class Metric(Component):
    """What is measured on a state at a time.

    `needs` lists what core computes for it: predictions, train_predictions, spectrum,
    exact_spectrum (handed over as `spectrum`), basis, gram, parameters, leverage, sharpness,
    population_risk; with the prefix `initial_` the same at time 0, with `companion_` the same of a
    second path trained on the same draws. A tuple of tuples lists alternatives, the first that the
    estimator can serve is taken. Fields named `kernel` and `points` choose the spectrum's and the
    Gram matrix's; one named `matrix` the sharpness': "hessian", or "gauss-newton", which is the
    Hessian of the same loss with the state's own predictions as labels.
    """

    kind = "metric"
    needs: ClassVar[tuple[str, ...] | tuple[tuple[str, ...], ...]] = ()
    variables: ClassVar[Mapping[str, Variable]] = {}
    concluded: ClassVar[tuple[str, ...]] = ()
    """Those of the variables, with `time=False`, that `conclude` makes and `measure` does not."""

    def companion(
        self, estimator: Estimator, estimators: Mapping[str, Estimator]
    ) -> Estimator | None:
        """A second path to train in lockstep on the same draws; None if there is none."""
        return None

    def applies(self, cell: Cell) -> str | None:
        """None if the metric makes sense for this cell, else the reason why not."""
        return None

    def declared(self) -> Mapping[str, Variable]:
        """The variables as these parameter values make them: `variables`, or other dims."""
        return self.variables

    def comment(self, cell: Cell, variable: str) -> str:
        """What a reader should know of one of the variables as this cell measures it; the result's
        attribute `comment` says what is said of any of an estimator's cells."""
        return str(self.declared()[variable].attrs.get("comment", ""))

    def coordinates(self, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        """Coordinates of the own dims; `sizes` holds modes, train and test counts of the cell."""
        return {}

    def measure(self, *problem: Any, **needs: Any) -> dict[str, Tensor]:
        """The variables of one replicate at one time, each with its own dims.

        Metrics write `measure(self, problem, predictions)`: the problem, then their needs by name.
        """
        raise NotImplementedError

    def conclude(
        self, times: np.ndarray, measured: Mapping[str, np.ndarray]
    ) -> Mapping[str, np.ndarray]:
        """The `concluded` variables, (replicates, own…), of a whole path: a first crossing, say.

        `measured` holds what `measure` gave at the times that training stopped at, (replicates,
        times, own…), NaN where it was not asked or a replicate has diverged.
        """
        return {}


@frozen(kw_only=True)
class Theory(Component):
    """What is predicted, on the same coordinates, from the cell's parameters alone."""

    kind = "theory"
    variables: ClassVar[Mapping[str, Variable]] = {}
    conditional: ClassVar[bool] = False
    """True: needs the drawn problem of each replicate, and keeps `replicate`."""

    def applies(self, cell: Cell) -> str | None:
        """None if the theory speaks about this cell, else the reason why not."""
        return None

    def coordinates(self, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        """Coordinates of the own dims, as for metrics."""
        return {}

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        """The variables, each of shape (len(times), own…), or (own…) where `time=False`."""
        raise NotImplementedError


KINDS: dict[str, type[Component]] = {
    base.kind: base for base in (Design, Target, Model, Optimizer, Metric, Theory)
}
