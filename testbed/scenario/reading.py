"""Reading one component's table: every mistake in it, each with its path."""

from __future__ import annotations

import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

import attrs
from attrs import field, frozen

from testbed.contract.components import Component, Model
from testbed.contract.grids import WORDS, Grid
from testbed.contract.names import dim_objection, folder_objection
from testbed.contract.parameters import Parameter, parameter_of
from testbed.errors import Mistake, PluginError, did_you_mean
from testbed.scenario.specs import Reference, Spec, Sweep
from testbed.scenario.strict import convert, found, spaced

SWEEP_KEYS = (*WORDS, "labels", "along", "dim")


class ComponentSource(Protocol):
    """What reading needs of the registry."""

    def get(self, kind: str, name: str) -> type[Component] | None: ...

    def names(self, kind: str) -> list[str]: ...


KIND_NAMES = ("design", "target", "model", "optimizer", "metric", "theory")


@frozen
class Reader:
    """Where mistakes are collected; `file` begins every place."""

    file: str
    registry: ComponentSource
    mistakes: list[Mistake] = field(factory=list)

    def object(self, path: str, text: str, fix: str = "") -> None:
        """Note a mistake whose text is "found …, expected …"."""
        what, _, expected = text.partition(", expected ")
        self.mistakes.append(Mistake(f"{self.file}: {path}", what, expected, fix))

    def unknown_keys(self, table: Mapping[str, Any], known: Collection[str], path: str) -> None:
        """Note every key that nobody knows."""
        for key in table:
            if key not in known:
                self.object(
                    f"{path}.{key}", f"found the unknown key {key!r}", did_you_mean(key, known)
                )

    def value(
        self, table: Mapping[str, Any], key: str, wanted: Any, path: str, default: Any
    ) -> Any:
        """One value of a table, strictly typed; the default where it is missing or wrong."""
        if key not in table:
            return default
        try:
            return convert(table[key], wanted)
        except ValueError as error:
            self.object(f"{path}.{key}", str(error))
            return default

    def name(
        self,
        table: Mapping[str, Any],
        path: str,
        objection_to: Callable[[str], str | None] = folder_objection,
    ) -> str:
        """The required name of a table; "" where it is missing or not a string."""
        if "name" not in table:
            self.object(path, "found no name, expected one", 'add name = "…"')
            return ""
        name: str | None = self.value(table, "name", str, path, None)
        objection = None if name is None else objection_to(name)
        if objection:
            self.object(f"{path}.name", objection)
        return name or ""

    # --- components ---------------------------------------------------------------------------

    def component(
        self, table: Any, kind: str, path: str, extra: Collection[str] = (), sweeps: bool = True
    ) -> Spec | None:
        """A component's table as a Spec; None if there was any mistake in it."""
        before = len(self.mistakes)
        if not isinstance(table, dict):
            self.object(path, f"{found(table)}, expected a table with use = …")
            return None
        component = self._class(table, kind, path)
        if component is None:
            return None
        attributes = {field.alias or field.name: field for field in attrs.fields(component)}  # type: ignore[arg-type]
        self.unknown_keys(table, {*attributes, "use", *extra}, path)
        hints = _annotations(component)
        values: dict[str, Any] = {}
        for name, attribute in attributes.items():
            if name not in table:
                if attribute.default is attrs.NOTHING:
                    info = parameter_of(attribute)
                    fix = f"add {name} = …: {info.help}"
                    self.object(path, f"found no {name!r}, which {component.name} requires", fix)
                continue
            info = parameter_of(attribute)
            own = f"{path}.{name}"
            values[name] = self._parameter(
                table[name], hints[attribute.name], info, name, own, sweeps and info.sweepable
            )
        return Spec(component, values, path) if len(self.mistakes) == before else None

    def _class(self, table: Mapping[str, Any], kind: str, path: str) -> type[Component] | None:
        use = table.get("use")
        if not isinstance(use, str):
            what = "found no use" if use is None else found(use)
            fix = f'add use = "…"; {did_you_mean("", self.registry.names(kind))}'
            self.object(path, f"{what}, expected the name of a {kind}", fix)
            return None
        component = self.registry.get(kind, use)
        if component is None:
            others = [k for k in KIND_NAMES if self.registry.get(k, use) is not None]
            fix = f"it is a {others[0]}" if others else did_you_mean(use, self.registry.names(kind))
            self.object(f"{path}.use", f"found {use!r}, expected the name of a {kind}", fix)
        return component

    def _parameter(
        self, raw: Any, wanted: Any, info: Parameter, name: str, path: str, sweeps: bool
    ) -> Any:
        """One parameter: a value, a sweep, a nested component or a reference; None if wrong."""
        options = [option for option in (typing.get_args(wanted) or (wanted,)) if option]
        if any(isinstance(option, type) and issubclass(option, Model) for option in options):
            return self._nested(raw, path, sweeps)
        if isinstance(raw, dict) and Grid not in options:
            if any(word in raw for word in WORDS):
                return self._sweep(raw, wanted, info, name, path, sweeps)
            entry = _entry_type(wanted)
            if entry is not None:
                return {
                    key: self._parameter(item, entry, info, key, f"{path}.{key}", sweeps)
                    for key, item in raw.items()
                }
        return self._checked(raw, wanted, info, path)

    def _checked(self, raw: Any, wanted: Any, info: Parameter, path: str) -> Any:
        try:
            value = convert(raw, wanted)
        except ValueError as error:
            self.object(path, str(error), info.no_table if isinstance(raw, dict) else "")
            return None
        objection = info.objection(value)
        if objection:
            self.object(path, objection)
            return None
        return value

    def _nested(self, raw: Any, path: str, sweeps: bool) -> Any:
        if isinstance(raw, str):
            prefix, _, estimator = raw.partition(":")
            if prefix == "estimator" and estimator:
                return Reference(estimator)
            self.object(path, f'{found(raw)}, expected a table with use, or "estimator:NAME"')
            return None
        return self.component(raw, "model", path, sweeps=sweeps)

    def _sweep(
        self, raw: dict[str, Any], wanted: Any, info: Parameter, name: str, path: str, allowed: bool
    ) -> Sweep | None:
        if not allowed:
            self.object(path, "found a sweep, expected a single value", "this cannot be swept")
            return None
        self.unknown_keys(raw, SWEEP_KEYS, path)
        try:
            numbers = spaced(raw)
        except ValueError as error:
            self.object(path, str(error))
            return None
        rounded = _is_whole(wanted) and "values" not in raw
        if rounded:
            numbers = tuple(round(number) for number in numbers)
        values = tuple(self._checked(value, wanted, info, path) for value in numbers)
        labels = self._labels(raw, values, path)
        self._distinct(values, path, "rounding makes them equal: take fewer" if rounded else "")
        dim = self._dim(raw, name, path)
        return Sweep(dim, name, values, labels, "along" in raw, info.unit, info.help, path)

    def _dim(self, raw: dict[str, Any], name: str, path: str) -> str:
        """The dimension that a sweep makes, or shares with others."""
        if "along" in raw and "dim" in raw:
            self.object(path, "found both dim and along, expected one of them")
        word = "along" if "along" in raw else "dim"
        dim = self.value(raw, word, str, path, name)
        objection = dim_objection(dim)
        if objection:
            self.object(path, objection, 'choose another with dim = "…"')
        return str(dim)

    def _distinct(self, values: Sequence[Any], path: str, fix: str = "") -> None:
        """Note values that stand twice; None stands for one that is wrong anyway."""
        seen = [repr(value) for value in values if value is not None]
        twice = sorted({value for value in seen if seen.count(value) > 1})
        if twice:
            self.object(path, f"found {', '.join(twice)} twice, expected each value once", fix)

    def _labels(
        self, raw: dict[str, Any], values: tuple[Any, ...], path: str
    ) -> tuple[str, ...] | None:
        labels = self.value(raw, "labels", tuple[str, ...], path, None)
        if labels is None and any(isinstance(value, tuple) for value in values):
            self.object(path, "found a sweep over lists", 'name each with labels = ["…", …]')
        if labels is not None and len(labels) != len(values):
            self.object(
                f"{path}.labels", f"found {len(labels)} labels, expected {len(values)}, one a value"
            )
        self._distinct(labels or (), f"{path}.labels")
        return labels


def _annotations(component: type[Component]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(component)
    except NameError as error:
        raise PluginError(
            f"{component.name}: the annotation of a parameter cannot be read: {error}; import the "
            "type at run time, not for type checking only"
        ) from None


def _entry_type(wanted: Any) -> Any:
    """What the entries of a table-valued type are; None if the type is no table."""
    options = typing.get_args(wanted) if typing.get_origin(wanted) is not dict else (wanted,)
    tables = [option for option in options if typing.get_origin(option) is dict]
    return typing.get_args(tables[0])[1] if tables else None


def _is_whole(wanted: Any) -> bool:
    """Whether a type takes integers and no other numbers."""
    options = typing.get_args(wanted) or (wanted,)
    return int in options and float not in options
