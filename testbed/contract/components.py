"""The base classes of everything a plugin can offer.

A component is a frozen attrs class; its fields are the parameters a scenario may set, declared with
`testbed.parameter`. Its numerics are written for ONE replicate and core maps them over replicates,
in the way that `facts().batching` says.

`draw` is always called once per replicate, eagerly, and is the only place where randomness enters.
It returns NumPy arrays (or a dict of them), which core casts to the run's dtype and device.
"""

from __future__ import annotations

from testbed.contract.component import Component, Rng, Statement, Variable, name_with_source
from testbed.contract.designs import Design, derived_size, sample_size
from testbed.contract.metrics import Metric
from testbed.contract.models import Model
from testbed.contract.optimizers import Estimator, Optimizer
from testbed.contract.targets import Target
from testbed.contract.theories import Theory
from testbed.contract.values import Advance, Eigensystem, PopulationSpectrum

__all__ = [
    "KINDS",
    "Advance",
    "Component",
    "Design",
    "Eigensystem",
    "Estimator",
    "Metric",
    "Model",
    "Optimizer",
    "PopulationSpectrum",
    "Rng",
    "Statement",
    "Target",
    "Theory",
    "Variable",
    "derived_size",
    "name_with_source",
    "sample_size",
]

KINDS: dict[str, type[Component]] = {
    base.kind: base for base in (Design, Target, Model, Optimizer, Metric, Theory)
}
