"""Components at the points of a sweep, each built once for each combination of values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from testbed.contract.border import ComponentFault, calling, title
from testbed.contract.components import Estimator, Model
from testbed.contract.declarations import answer_objection
from testbed.errors import Mistake, ParameterError, did_you_mean
from testbed.planning.expansion import Expansion, Expansions
from testbed.scenario.component import Spec, UnbuildableError
from testbed.scenario.scenario import Scenario
from testbed.scenario.sweep import Sweep

Built = tuple[Any, list[Mistake]]
"""A component and no mistakes, or None and the reasons why it cannot be built."""


class Builder:
    """Builds the components of a scenario, and remembers them."""

    def __init__(self, scenario: Scenario):
        self.tables = {table.name: table for table in scenario.estimators}
        self._sweeps: dict[int, tuple[Spec, tuple[Sweep, ...]]] = {}
        self._built: dict[tuple[int, tuple[int, ...]], Built] = {}
        self._resolving: list[str] = []

    def build(self, spec: Spec, point: Mapping[str, int]) -> Built:
        """The component at a point, which maps dimensions to positions."""
        if id(spec) not in self._sweeps:
            self._sweeps[id(spec)] = spec, tuple(spec.sweeps())
        key = id(spec), tuple(point[sweep.dim] for sweep in self._sweeps[id(spec)][1])
        if key not in self._built:
            self._built[key] = self._new(spec, point)
        return self._built[key]

    def _new(self, spec: Spec, point: Mapping[str, int]) -> Built:
        try:
            component = spec.build(point, self.model_of)
            with calling(component, "facts"):
                objection = answer_objection(component)
        except UnbuildableError as error:
            return None, [error.mistake]
        except ComponentFault as fault:
            return None, [Mistake(spec.path, str(fault))]
        except Exception as error:  # a component's own code runs while it is built
            text = f"{title(spec.component)} raised {type(error).__name__} when built: {error}"
            return None, [Mistake(spec.path, text)]
        if objection:
            return None, [Mistake(spec.path, f"{title(component)}: {objection}")]
        return component, []

    def model_of(self, name: str) -> Model:
        """The model of `"estimator:NAME"`, which may not be swept; ParameterError without one."""
        if name not in self.tables:
            text = f"found no estimator {name!r}"
            raise ParameterError(text, advice=did_you_mean(name, self.tables))
        if name in self._resolving:
            text = f"found a model that refers to itself through estimator {name!r}"
            raise ParameterError(text, "models that do not refer to themselves")
        spec = self.tables[name].model
        if any(True for _ in spec.sweeps()):
            text = f"found the swept model of estimator {name!r}"
            raise ParameterError(text, "one without a sweep")
        self._resolving.append(name)
        try:
            model: Any = spec.build({}, self.model_of)
        finally:
            self._resolving.pop()
        return model


class Peers(Mapping[str, Estimator]):
    """The estimators of a scenario at a point of one estimator's sweep, for comparing metrics."""

    def __init__(
        self, builder: Builder, expansions: Expansions, name: str, point: Mapping[str, int]
    ):
        self.builder, self.expansions = builder, expansions
        self.here = expansions[name].coordinates(point)

    def __getitem__(self, name: str) -> Estimator:
        if name not in self.builder.tables:
            advice = did_you_mean(name, self.builder.tables)
            raise KeyError(f"there is no estimator {name!r}; {advice}")
        if name not in self.expansions:
            raise KeyError(f"the sweeps of estimator {name!r} clash")
        expansion = self.expansions[name]
        point = self._point(expansion)
        table = expansion.table
        (model, _), (optimizer, _) = (
            self.builder.build(part, point) for part in (table.model, table.optimizer)
        )
        if model is None or optimizer is None:
            raise KeyError(f"the estimator {name!r} cannot be built here")
        return Estimator(name, model, optimizer)

    def _point(self, expansion: Expansion) -> dict[str, int]:
        """The point of a peer's sweep that has the same coordinates."""
        point = {}
        for dim in expansion.dims:
            if self.here.get(dim.name) not in dim.coordinate:
                raise KeyError(
                    f"the estimator {expansion.table.name!r} is swept over {dim.name!r}, which "
                    "this one is not, or not at the same values"
                )
            point[dim.name] = dim.coordinate.index(self.here[dim.name])
        return point

    def __iter__(self) -> Iterator[str]:
        return iter(self.builder.tables)

    def __len__(self) -> int:
        return len(self.builder.tables)
