"""Gradient descent that appends a line to a file whenever it trains."""

from __future__ import annotations

import os

import torch
from attrs import frozen

from testbed import Advance, Optimizer, Variable


@frozen(kw_only=True)
class Counted(Optimizer):
    """Steps of gradient descent of length 0.01, up to each time."""

    name = "counting.descent"
    variables = {"steps": Variable("steps taken")}  # noqa: RUF012

    def start(self, fit):
        return fit.start

    def advance(self, fit, carry, since, times):
        with open(os.environ["TESTBED_COUNTED"], "a", encoding="ascii") as file:
            file.write(f"{len(times)}\n")
        states, steps, taken = [], [], round(100 * since)
        for time in times:
            while taken < round(100 * time):
                gradient = fit.model.gradient(fit.prepared, carry, fit.problem)
                carry = {name: carry[name] - 0.01 * gradient[name] for name in carry}
                taken += 1
            states.append(carry)
            steps.append(torch.tensor(float(taken)))
        stacked = {name: torch.stack([state[name] for state in states]) for name in carry}
        return Advance(carry, stacked, {"steps": torch.stack(steps)})
