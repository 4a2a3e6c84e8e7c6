"""Train one estimator on a stack of problems, and compute what metrics need from its states."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from testbed.contract.border import ComponentFault, calling
from testbed.contract.capabilities import HasPredictions
from testbed.contract.components import Estimator
from testbed.contract.needs import Argument, Need
from testbed.contract.parameters import Role
from testbed.contract.seeds import Streams
from testbed.contract.values import Carry, Data, Fit, Parameters, Prepared, Probe, Problem, Tree
from testbed.numerics.sharpness import sharpness
from testbed.numerics.trees import index, stack, tensors, tree_map
from testbed.running.batching import Batched, Single, Training, over_times
from testbed.running.border import CellFault
from testbed.running.kept import settled

if TYPE_CHECKING:
    from torch import Tensor

NO_OPTIONS: Mapping[Role, str] = {}
Keep = Callable[[str, Callable[[], Any]], Any]
"""`keep(name, make)` returns the value stored under this name, or makes and stores it."""


class Path:
    """A model, its problems and an optimizer; `advance` trains through recorded times.

    `learned` is what `prepare` returned in an earlier run, for models that learn there.
    """

    def __init__(
        self,
        estimator: Estimator,
        problem: Problem,
        problems: Sequence[Problem],
        rngs: Sequence[Streams],
        cast: Callable[[Any], Any],
        keep: Keep,
        learned: object = None,
    ):
        model, optimizer = estimator.model, estimator.optimizer
        self.model = Batched(model)
        self.training = Training(optimizer, model)
        self.keep = keep
        facts = model.facts()
        see = inputs_only if facts.reads == "inputs" else (lambda full: full)

        def draw() -> Any:
            streams = [rng.declaring(facts.streams) for rng in rngs]
            pairs = zip(streams, problems, strict=True)
            return stack([cast(model.draw(rng, see(problem))) for rng, problem in pairs])

        with calling(model, "draw"):
            drawn = keep("draws", draw)
        with calling(model, "prepare"):
            prepared = learned
            if learned is None:
                prepared = keep("prepared", lambda: self.model.prepare(drawn, see(problem)))
        with calling(model, "start"):
            start = self.model.start(drawn, prepared, problem)
        with calling(optimizer, "draw"):
            streams = [rng.declaring(optimizer.facts().streams) for rng in rngs]
            pairs = zip(streams, problems, strict=True)
            batches = stack([cast(optimizer.draw(rng, problem)) for rng, problem in pairs])
        self.fit = Fit(self.model, prepared, start, problem, batches)
        self.since = 0.0
        self._carry: Carry = None
        self._begun = False
        self._initial: States | None = None

    @property
    def carry(self) -> Carry:
        """The state from which the optimizer continues; it starts when this is first asked for, so
        that restored paths start nothing."""
        if not self._begun:
            with calling(self.training.optimizer, "start"):
                self._carry = self.training.start(self.fit)
            self._begun = True
        return self._carry

    def advance(self, times: Sequence[float]) -> tuple[States, dict[str, Tensor]]:
        """Train through the next recorded times; return the states and the optimizer's records."""
        carry = self.carry
        with calling(self.training.optimizer, "advance"):
            step = self.training.advance(self.fit, carry, self.since, times)
        self._carry, self.since = step.carry, times[-1]
        return States(self, settled(step.parameters), times), dict(step.record)

    def follow(self, times: Sequence[float]) -> States:
        """The states at the times of another path; long steps may make several of these equal."""
        distinct = list(dict.fromkeys(times))
        states, _ = self.advance(distinct)
        return states.chosen(tuple(distinct.index(time) for time in times))

    def reached(self, times: Sequence[float]) -> tuple[float, ...]:
        """The times at which training stops for the times asked; those of the first replicate where
        replicates stop at different times. Call it before training."""
        optimizer = self.training.optimizer
        if not optimizer.facts().times_per_replicate:
            return optimizer.reached(times)
        return tuple(self.training.reached_by(self.carry, times)[0].tolist())

    def probe(self, points: str) -> Probe:
        """The probe for predictions at the train or test inputs, made once."""
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

    def __init__(self, path: Path, params: Parameters, times: Sequence[float]):
        self.path, self.params, self.times = path, params, times
        self._computed: dict[tuple[object, ...], object] = {}
        self._parts: dict[tuple[int, ...], States] = {}

    def chosen(self, positions: tuple[int, ...]) -> States:
        """The states at some of the block's times, made once."""
        if positions == tuple(range(len(self.times))):
            return self
        if positions not in self._parts:
            self._parts[positions] = self.part(positions)
        return self._parts[positions]

    def part(self, positions: tuple[int, ...]) -> States:
        """The states at some of the block's times, which computes what it needs anew."""
        if positions == tuple(range(len(self.times))):
            return self
        params = tree_map(lambda leaf: leaf[:, list(positions)], self.params)
        times = [self.times[position] for position in positions]
        return States(self.path, params, times)

    def need(self, need: Need, options: Mapping[Role, str] = NO_OPTIONS) -> Any:
        """A need's value: tensors (replicates, times, …), without the time axis if not per time."""
        chosen = {role: options.get(role, default) for role, default in need.options.items()}
        key = (need, *chosen.items())
        if key not in self._computed:
            self._computed[key] = self._compute(need, chosen)
        return self._computed[key]

    def _compute(self, need: Need, options: Mapping[Role, str]) -> Any:
        model, optimizer = self.path.model.model, self.path.training.optimizer
        if need.method == "parameters":
            return self._parameters()
        if need.optimizer is not None:
            with calling(optimizer, need.method):
                return self.path.training.leverage(self.path.fit, self.times)
        if need.capability is HasPredictions:
            return self._predictions(need, options)
        with calling(model, need.method):
            if need.of_state:
                return getattr(self, f"_{need.method}")(*options.values())
            return self._of_model(need, options)

    def _of_model(self, need: Need, options: Mapping[Role, str]) -> Any:
        """The values of the model's method at all times, or its one value."""
        method = getattr(self.path.model, need.method)
        before, after = self._arguments(need, options)
        if not need.per_time:
            return method(*before, *after)
        return self._map(lambda params: method(*before, params, *after))

    def _predictions(self, need: Need, options: Mapping[Role, str]) -> Tensor:
        """f at the train or test inputs, (replicates, times, points…)."""
        model, problem = self.path.model.model, self.path.fit.problem
        try:
            with calling(model, need.method):
                values: Tensor = self._of_model(need, options)
        except ComponentFault as fault:
            raise CellFault(model, fault.reason) from fault
        data = problem.train if "train_probe" in need.arguments else problem.test
        expected = tuple(data.truth.shape[1:])
        if tuple(values.shape[2:]) != expected:
            words = f"found that predict returned the shape {tuple(values.shape[2:])}"
            raise CellFault(model, f"{words} for one replicate, expected {expected}")
        return values

    def _arguments(self, need: Need, options: Mapping[Role, str]) -> tuple[list[Tree], list[Tree]]:
        """The method's arguments before and after the parameters."""
        words = need.arguments
        place = words.index("params") if "params" in words else len(words)
        before = [self._argument(word, options) for word in words[:place]]
        return before, [self._argument(word, options) for word in words[place + 1 :]]

    def _argument(self, word: Argument, options: Mapping[Role, str]) -> Tree:
        fit = self.path.fit
        if word == "prepared":
            return fit.prepared
        if word == "problem":
            return fit.problem
        if word == "x":
            return (fit.problem.train if options["points"] == "train" else fit.problem.test).x
        if word in ("train_probe", "test_probe"):
            return self.path.probe(word.removesuffix("_probe"))
        assert word in ("kernel", "points", "matrix")
        return options[word]

    def _parameters(self) -> Parameters:
        return self.params

    def _sharpness(self, matrix: str) -> Tensor:
        """Largest eigenvalue of the Hessian or the Gauss–Newton matrix of each (replicate, time),
        one by one."""
        fit = self.path.fit
        rows = []
        for replicate in range(next(tensors(self.params)).shape[0]):
            prepared, problem = (index(tree, replicate) for tree in (fit.prepared, fit.problem))
            params = index(self.params, replicate)
            moments = [index(params, position) for position in range(len(self.times))]
            values = [self._sharpness_at(prepared, problem, moment, matrix) for moment in moments]
            rows.append(torch.stack(values))
        return torch.stack(rows)

    def _sharpness_at(
        self, prepared: Prepared, problem: Problem, params: Parameters, matrix: str
    ) -> Tensor:
        model = Single(self.path.model.model)
        if matrix == "gauss-newton":  # where labels equal predictions it is the Hessian
            train = problem.train
            met = model.predict(prepared, params, model.probe(prepared, train.x))
            problem = problem._replace(train=train._replace(y=met))
        return sharpness(lambda params: model.gradient(prepared, params, problem), params)

    def _map(self, function: Callable[[Parameters], Any]) -> Any:
        return over_times(self.path.model.model, function)(self.params)
