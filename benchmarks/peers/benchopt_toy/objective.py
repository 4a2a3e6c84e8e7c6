"""The toy of bench_overhead.py for benchopt: one number for each value of a parameter."""

from benchopt import BaseObjective


class Objective(BaseObjective):
    name = "toy"
    sampling_strategy = "run_once"

    def set_data(self, z):
        self.z = z

    def evaluate_result(self, estimate):
        return {"value": float(((estimate - 1.0) ** 2).sum())}

    def get_one_result(self):
        return {"estimate": self.z}

    def get_objective(self):
        return {"z": self.z}
