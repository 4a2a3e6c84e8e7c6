"""Components at the points of a sweep; whatever cannot be built is noted as a mistake."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from testbed.contract.border import title
from testbed.contract.components import Estimator, Model
from testbed.errors import Mistake, ParameterError, did_you_mean
from testbed.planning.dimensions import Dimension, dimensions, misplaced_ties
from testbed.scenario.component import Spec, UnbuildableError
from testbed.scenario.scenario import Scenario
from testbed.scenario.tables import EstimatorTable


class Builder:
    """Builds a scenario's components. `dims` holds the estimators whose sweeps do not clash."""

    def __init__(self, scenario: Scenario):
        self.scenario = scenario
        self.mistakes: list[Mistake] = list(misplaced_ties(scenario))
        self.specs = {spec.name: spec for spec in scenario.estimators}
        self.dims: dict[str, tuple[Dimension, ...]] = {}
        self._resolving: list[str] = []
        for spec in () if self.mistakes else scenario.estimators:
            clashes: list[Mistake] = []
            dims = dimensions(scenario, spec, clashes)
            self.mistakes += clashes
            if not clashes:
                self.dims[spec.name] = dims

    def object(self, path: str, found: str, expected: str = "", fix: str = "") -> None:
        """Note a mistake."""
        self.mistakes.append(Mistake(f"{self.scenario.path}: {path}", found, expected, fix))

    def build(self, spec: Spec, at: Mapping[str, int]) -> Any:
        """The component at a point; None, and a mistake, if it objects."""
        try:
            return spec.build(at, self.model_of)
        except UnbuildableError as error:
            self.mistakes.append(error.mistake.in_file(self.scenario.path))
        except Exception as error:  # a component's own code runs while it is built
            whose = title(spec.component)
            self.object(spec.path, f"{whose} raised {type(error).__name__} when built: {error}")
        return None

    def model_of(self, name: str) -> Model:
        """The model of `"estimator:NAME"`, which may not be swept."""
        if name not in self.specs:
            text = f"found no estimator {name!r}"
            raise ParameterError(text, advice=did_you_mean(name, self.specs))
        if name in self._resolving:
            text = f"found a model that refers to itself through estimator {name!r}"
            raise ParameterError(text, "models without such a circle")
        spec = self.specs[name].model
        if any(True for _ in spec.sweeps()):
            text = f"found the swept model of estimator {name!r}"
            raise ParameterError(text, "one without a sweep")
        self._resolving.append(name)
        try:
            model: Any = spec.build({}, self.model_of)
        finally:
            self._resolving.pop()
        return model


class Others(Mapping[str, Estimator]):
    """The estimators of a scenario at one point of another's sweep, for metrics that compare."""

    def __init__(self, builder: Builder, spec: EstimatorTable, at: Mapping[str, int]):
        self.builder = builder
        dims = builder.dims[spec.name]
        self.here = {dim.name: dim.coordinate[at[dim.name]] for dim in dims}

    def __getitem__(self, name: str) -> Estimator:
        if name not in self.builder.specs:
            known = did_you_mean(name, self.builder.specs)
            raise KeyError(f"there is no estimator {name!r}; {known}")
        if name not in self.builder.dims:
            raise KeyError(f"the sweeps of estimator {name!r} clash")
        at = {}
        for dim in self.builder.dims[name]:
            if self.here.get(dim.name) not in dim.coordinate:
                raise KeyError(
                    f"the estimator {name!r} is swept over {dim.name!r}, which this one is not at "
                    "the same values"
                )
            at[dim.name] = dim.coordinate.index(self.here[dim.name])
        spec = self.builder.specs[name]
        model, optimizer = (self.builder.build(part, at) for part in (spec.model, spec.optimizer))
        if model is None or optimizer is None:
            raise KeyError(f"the estimator {name!r} cannot be built here")
        return Estimator(name, model, optimizer)

    def __iter__(self) -> Iterator[str]:
        return iter(self.builder.specs)

    def __len__(self) -> int:
        return len(self.builder.specs)
