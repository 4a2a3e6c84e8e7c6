"""Estimators of outside libraries: fit and predict, without a training clock."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np
import torch
from attrs import frozen

from testbed.contract.capabilities import Capability, HasGradient, Withheld
from testbed.contract.components import Model, Rng
from testbed.contract.facts import ModelFacts
from testbed.contract.spaces import POINTS
from testbed.contract.values import Drawn, Parameters, Prepared, Problem
from testbed.errors import UnsuitableError

if TYPE_CHECKING:
    from torch import Tensor


class HasFit(Capability):
    """A fit without training steps, as the optimizer `fit` needs it."""

    words = "fit without a training clock"


@frozen(kw_only=True)
class FitPredict(Model, HasFit):
    """An estimator that any library fits in one call; train it with the optimizer `fit`.

    A subclass writes `fit`, and `evaluate` unless the fitted object has scikit-learn's `predict`.
    Both see NumPy arrays of one replicate. Random estimators take their numbers from `seed`, and
    from nothing else: `RandomForestRegressor(random_state=seed)`.
    """

    defined_on = POINTS

    @abstractmethod
    def fit(self, x: np.ndarray, y: np.ndarray, weight: np.ndarray, seed: int) -> object:
        """The object fitted to inputs (n, …) and observations (n,) or (n, outputs).

        `weight` (n,) are the weights of the loss, 1/n for regression; `seed` is this replicate's.
        """

    def evaluate(self, fitted: object, x: np.ndarray) -> np.ndarray:
        """Predictions (m,) or (m, outputs) at x; by default `fitted.predict(x)`."""
        predict = getattr(fitted, "predict", None)
        if predict is None:
            raise UnsuitableError(
                f"{self.name}: found {type(fitted).__name__} from fit(), which has no predict; "
                "write evaluate(self, fitted, x)"
            )
        return np.asarray(predict(x))

    # --- what follows -----------------------------------------------------------------------------

    def facts(self) -> ModelFacts:
        return ModelFacts(batching="loop", time_batching="loop", learns="preparation")

    def withheld(self) -> Withheld:
        return {HasGradient: f"{self.name} is fitted at once, and has no gradient"}

    def draw(self, rng: Rng, problem: Problem) -> Drawn:
        return rng("model").integers(2**31, size=1)

    def prepare(self, drawn: Drawn, problem: Problem) -> Prepared:
        data = problem.train
        x, y, weight = (part.cpu().numpy().copy() for part in (data.x, data.y, data.weight))
        return {"fitted": self.fit(x, y, weight, int(drawn[0])), "shape": tuple(y.shape[1:])}

    def start(self, drawn: Drawn, prepared: Prepared, problem: Problem) -> Tensor:
        return problem.train.y.new_zeros(1)  # nothing moves: the fitted object is kept aside

    def predict(self, prepared: Prepared, params: Parameters, probe: Tensor) -> Tensor:
        values = np.asarray(self.evaluate(prepared["fitted"], probe.cpu().numpy().copy()))
        expected = (len(probe), *prepared["shape"])
        if values.shape != expected:
            raise UnsuitableError(
                f"{self.name}: found predictions of shape {values.shape} at {len(probe)} points, "
                f"expected {expected}, as the observations have it"
            )
        return torch.from_numpy(np.array(values, dtype=np.float64)).to(probe)
