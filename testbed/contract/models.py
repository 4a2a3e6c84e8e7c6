"""Models: what is fitted."""

from __future__ import annotations

from abc import abstractmethod

from testbed.contract.capabilities import HasGradient, HasPredictions, Withheld, per_replicate
from testbed.contract.component import Component, Rng
from testbed.contract.facts import ModelFacts
from testbed.contract.values import Drawn, Parameters, Prepared, Problem


class Model(HasPredictions, HasGradient, Component):
    """A function that is fitted: features Φ_η and readout β. The smallest model has `start` and
    `predict`.

    A model that can do more inherits the classes in `testbed.contract.capabilities`.
    """

    kind = "model"

    def facts(self) -> ModelFacts:
        """The facts that core needs about the model, for these parameter values."""
        return ModelFacts()

    def withheld(self) -> Withheld:
        """Capabilities that these parameter values take away, each with the reason."""
        return {}

    def draw(self, rng: Rng, problem: Problem) -> Drawn:
        """The random part of the initialisation; None if there is none.

        `problem` holds tensors of this replicate; models that read "inputs" see no y in it.
        """
        return None

    @per_replicate()
    def prepare(self, drawn: Drawn, problem: Problem) -> Prepared:
        """The values that stay fixed over training: a factorisation, eigenvalues, a Jacobian."""
        return drawn

    @per_replicate()
    @abstractmethod
    def start(self, drawn: Drawn, prepared: Prepared, problem: Problem) -> Parameters:
        """Parameters at time 0: a tensor or a dict of tensors."""
