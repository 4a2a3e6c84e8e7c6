"""A small model with a curved loss, and a metric that tells its states apart."""

from __future__ import annotations

import torch
from attrs import frozen

from testbed.contract.components import Metric, Model, Variable
from testbed.testing import Points

POINTS = Points(n=12, dim=2)


@frozen(kw_only=True)
class Curved(Model):
    """f(x) = Σ_j tanh(u_j) ⟨v_j, x⟩ of six parameters, by autograd."""

    name = "tests.curved"

    def draw(self, rng, problem):
        g = rng("model")
        return {"u": g.standard_normal(2), "v": g.standard_normal((2, 2))}

    def start(self, drawn, prepared, problem):
        return drawn

    def predict(self, prepared, params, probe):
        return (probe @ params["v"].mT) @ torch.tanh(params["u"])


@frozen(kw_only=True)
class Norm(Metric):
    """Sums over the parameters, which tell equal states."""

    name = "tests.norm"
    needs = ("parameters",)
    variables = {"norm": Variable("norm"), "total": Variable("total")}  # noqa: RUF012

    def measure(self, problem, parameters):
        flat = torch.cat([leaf.flatten() for leaf in parameters.values()])
        return {"norm": flat.norm(), "total": flat.sum()}
