"""One estimator being trained on a stack of problems, and what metrics ask of its states."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from testbed.contract.border import ComponentFault, calling
from testbed.contract.components import Estimator
from testbed.contract.seeds import Streams
from testbed.contract.values import Data, Fit, Problem
from testbed.numerics.sharpness import sharpness
from testbed.numerics.trees import index, stack, tensors, tree_map
from testbed.running.batching import Batched, Single, Training, over_times
from testbed.running.border import CellFault

Keep = Callable[[str, Callable[[], Any]], Any]
"""`keep(name, make)` returns what was made under this name before, or makes it now."""


class Path:
    """A model on its problems with an optimizer; `advance` walks it from recorded time to time."""

    def __init__(
        self,
        estimator: Estimator,
        problem: Problem,
        problems: Sequence[Problem],
        rngs: Sequence[Streams],
        cast: Callable[[Any], Any],
        keep: Keep,
    ):
        model, optimizer = estimator.model, estimator.optimizer
        self.model = Batched(model)
        self.training = Training(optimizer, model)
        self.keep = keep
        see = inputs_only if model.reads == "inputs" else (lambda whole: whole)

        def draw() -> Any:
            pairs = zip(rngs, problems, strict=True)
            return stack([cast(model.draw(rng, see(own))) for rng, own in pairs])

        with calling(model, "draw"):
            drawn = keep("draws", draw)
        with calling(model, "prepare"):
            prepared = keep("prepared", lambda: self.model.prepare(drawn, see(problem)))
        with calling(model, "start"):
            start = self.model.start(drawn, prepared, problem)
        pairs = zip(rngs, problems, strict=True)
        with calling(optimizer, "draw"):
            batches = stack([cast(optimizer.draw(rng, own)) for rng, own in pairs])
        self.fit = Fit(self.model, prepared, start, problem, batches)
        with calling(optimizer, "start"):
            self.carry = self.training.start(self.fit)
        self.since = 0.0
        self._initial: States | None = None

    def advance(self, times: Sequence[float]) -> tuple[States, dict[str, Tensor]]:
        """Train through the next recorded times; the states, and what the optimizer notes."""
        with calling(self.training.optimizer, "advance"):
            step = self.training.advance(self.fit, self.carry, self.since, times)
        self.carry, self.since = step.carry, times[-1]
        return States(self, step.parameters, times), dict(step.record)

    def follow(self, times: Sequence[float]) -> States:
        """The states at times of another path, of which several may be one: its steps are long."""
        distinct = list(dict.fromkeys(times))
        states, _ = self.advance(distinct)
        return states.at(tuple(distinct.index(time) for time in times))

    def reached(self, times: Sequence[float]) -> tuple[float, ...]:
        """The times that training stops at for those asked; of the first replicate, where each has
        times of its own. To be asked before training."""
        optimizer = self.training.optimizer
        if not optimizer.own_times:
            return optimizer.reached(times)
        return tuple(self.training.own_reached(self.carry, times)[0].tolist())

    def probe(self, points: str) -> Any:
        """What predicting at the train or test inputs needs, made once."""
        data = self.fit.problem.train if points == "train" else self.fit.problem.test
        return self.keep(f"probe-{points}", lambda: self.model.probe(self.fit.prepared, data.x))

    @property
    def initial(self) -> States:
        """The states at time 0, with a time axis of length one."""
        if self._initial is None:
            params = tree_map(lambda leaf: leaf.unsqueeze(1), self.fit.start)
            self._initial = States(self, params, (0.0,))
        return self._initial


def inputs_only(problem: Problem) -> Problem:
    """The problem as models that read "inputs" see it: no observations, no truth, no noise."""
    train, test = (Data(data.x, None, None, data.weight) for data in (problem.train, problem.test))
    return Problem(train, test, None, {})


class States:
    """A block of states, parameters (replicates, times, …). Each need is computed once."""

    def __init__(self, path: Path, params: Any, times: Sequence[float]):
        self.path, self.params, self.times = path, params, times
        self._known: dict[tuple[str, ...], Any] = {}
        self._parts: dict[tuple[int, ...], States] = {}

    def at(self, chosen: tuple[int, ...]) -> States:
        """The states at some of the block's times."""
        if chosen == tuple(range(len(self.times))):
            return self
        if chosen not in self._parts:
            params = tree_map(lambda leaf: leaf[:, list(chosen)], self.params)
            self._parts[chosen] = States(self.path, params, [self.times[at] for at in chosen])
        return self._parts[chosen]

    def need(self, name: str, kernel: str, points: str, matrix: str = "hessian") -> Any:
        """One of a metric's needs, every tensor of shape (replicates, times, …)."""
        key = (name, kernel, points, matrix)
        if key not in self._known:
            self._known[key] = self._compute(*key)
        return self._known[key]

    def _compute(self, name: str, kernel: str, points: str, matrix: str) -> Any:
        path, model = self.path, self.path.model
        if name in ("predictions", "train_predictions"):
            return self._predictions("test" if name == "predictions" else "train")
        if name == "parameters":
            return self.params
        if name == "leverage":
            with calling(path.training.optimizer, name):
                return path.training.leverage(path.fit, self.times)
        with calling(model.model, name):
            return self._capability(name, kernel, points, matrix)

    def _predictions(self, points: str) -> Tensor:
        """f at the train or test inputs, (replicates, times, points…)."""
        path, model = self.path, self.path.model
        prepared, problem = path.fit.prepared, path.fit.problem
        try:
            with calling(model.model, "predict"):
                probe = path.probe(points)
                found: Tensor = self._map(lambda params: model.predict(prepared, params, probe))
        except ComponentFault as fault:
            raise CellFault(model.model, fault.reason) from fault
        data = problem.train if points == "train" else problem.test
        expected = tuple(data.truth.shape[1:])
        if tuple(found.shape[2:]) != expected:
            words = f"found that predict returned the shape {tuple(found.shape[2:])}"
            raise CellFault(model.model, f"{words} for one replicate, expected {expected}")
        return found

    def _capability(self, name: str, kernel: str, points: str, matrix: str) -> Any:
        """What the model knows besides its predictions."""
        path, model = self.path, self.path.model
        prepared, problem = path.fit.prepared, path.fit.problem
        if name in ("spectrum", "exact_spectrum"):
            return self._map(
                lambda params: model.spectrum(prepared, params, problem, kernel, points)
            )
        if name == "gram":
            x = problem.train.x if points == "train" else problem.test.x
            return self._map(lambda params: model.gram(prepared, params, x, kernel))
        if name == "basis":
            return self._map(lambda params: model.basis(prepared, params))
        if name == "population_risk":
            return self._map(lambda params: model.population_risk(prepared, params, problem))
        if name == "sharpness":
            return self._sharpness(matrix)
        raise ValueError(f"a metric needs {name!r}, which core does not know")

    def _sharpness(self, matrix: str) -> Tensor:
        """Largest eigenvalue of the Hessian or the Gauss–Newton matrix of each (replicate, time),
        one by one."""
        fit = self.path.fit
        rows = []
        for replicate in range(next(tensors(self.params)).shape[0]):
            prepared, problem = (index(tree, replicate) for tree in (fit.prepared, fit.problem))
            own = index(self.params, replicate)
            moments = [index(own, at) for at in range(len(self.times))]
            found = [self._sharpness_at(prepared, problem, own, matrix) for own in moments]
            rows.append(torch.stack(found))
        return torch.stack(rows)

    def _sharpness_at(self, prepared: Any, problem: Problem, params: Any, matrix: str) -> Tensor:
        model = Single(self.path.model.model)
        if matrix == "gauss-newton":  # at labels that are met, the Hessian is no more than that
            train = problem.train
            met = model.predict(prepared, params, model.probe(prepared, train.x))
            problem = problem._replace(train=train._replace(y=met))
        return sharpness(lambda own: model.gradient(prepared, own, problem), params)

    def _map(self, function: Callable[[Any], Any]) -> Any:
        return over_times(self.path.model.model, function)(self.params)
