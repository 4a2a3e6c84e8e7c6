"""Gradient flow of one coefficient at time 1, in closed form."""

import os

import numpy as np
from benchopt import BaseSolver


class Solver(BaseSolver):
    name = "flow"
    sampling_strategy = "run_once"
    parameters = {"gamma": np.linspace(1, 2, int(os.environ["TOY_CELLS"])).tolist()}  # noqa: RUF012

    def set_objective(self, z):
        self.z = z

    def run(self, _):
        self.estimate = (1 - np.exp(-1.0)) * self.z

    def get_result(self):
        return {"estimate": self.estimate}
