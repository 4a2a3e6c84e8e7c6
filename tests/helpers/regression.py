"""Small regression problems in tensors, and a model's path on one of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from testbed.contract.components import Model
from testbed.contract.values import Data, Fit, Problem
from testbed.numerics.spectral import filtered
from testbed.numerics.trees import stack
from testbed.running.batching import Batched


def data_of(x: np.ndarray, y: np.ndarray) -> Data:
    """Weights 1/n; y stands for the truth too."""
    tensors = torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(np.ascontiguousarray(y))
    weight = torch.full((len(x),), 1 / len(x), dtype=torch.float64)
    return Data(*tensors, tensors[1], weight)


def problem_of(x: np.ndarray, y: np.ndarray, test_x: np.ndarray | None = None) -> Problem:
    """A problem whose test labels are 0."""
    test_x = x if test_x is None else test_x
    test = data_of(test_x, np.zeros((len(test_x), *y.shape[1:])))
    return Problem(data_of(x, y), test, torch.tensor(0.0), {})


def path_of(
    model: Model, problem: Problem, times: Sequence[float], drawn: Any = None, name: str = "ridge"
) -> np.ndarray:
    """Predictions at the test points along a spectral filter's path, (times, points)."""
    view, batched = Batched(model), stack([problem])
    prepared = view.prepare(stack([drawn]), batched)
    fit = Fit(view, prepared, view.start(None, prepared, batched), batched, None)
    dual = filtered(fit, name, times)[0]
    fixed = model.prepare(drawn, problem)
    probe = model.probe(fixed, problem.test.x)
    return np.stack([model.predict(fixed, item, probe).numpy() for item in dual])
