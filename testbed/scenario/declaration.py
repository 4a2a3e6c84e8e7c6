"""How the tables of a scenario are declared: attrs classes whose fields are parameters.

    @frozen(kw_only=True)
    class TheoryTable(Table):
        spec: Spec = component("theory", inline=True, sweeps=False, help="…")
        of: tuple[str, ...] = parameter((), help="the estimators it is asked about; all if empty")

Reader, writer, reference page and JSON Schema follow such a class. A component is declared in the
same way, so one function reads both.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from operator import methodcaller
from typing import Any, ClassVar, Union

import attrs
from attrs import field, frozen

from testbed.contract.components import Component
from testbed.contract.parameters import METADATA_KEY, Parameter, parameter_of
from testbed.errors import PluginError

COMPONENT_KEY = "testbed.component"


@frozen(kw_only=True)
class Table:
    """Base of the tables of a scenario. `place` is the place in the file, such as `$.metric[0]`.

    A class with a `tag` stands for several tables, its `variants`. The value of the key `tag`
    selects the variant, as `kind` does in `[[figure]]`.
    """

    tag: ClassVar[str] = ""
    word: ClassVar[str] = ""  # the tag's value for this variant

    place: str = field(default="", eq=False, repr=False)

    @classmethod
    def variants(cls) -> Mapping[str, type[Table]]:
        """The tables that this class stands for, by the value of their tag."""
        return {}


@frozen
class ComponentField:
    """A field that holds a component of a kind; `inline`: its keys stand in the table itself."""

    kind: str
    inline: bool
    sweeps: bool


FACTORY: type = type(attrs.Factory(list))
"""The type of defaults that are computed; attrs' own annotations call it a function."""


def variants_of(declaration: type) -> Mapping[str, type]:
    """The declarations of a tagged table, one for each value of its tag."""
    variants: Mapping[str, type] = methodcaller("variants")(declaration)
    return variants


def component(kind: str, *, help: str, inline: bool = False, sweeps: bool = True) -> Any:
    """A field of a table that holds a component, which may hold sweeps unless `sweeps=False`."""
    return attrs.field(
        metadata={
            METADATA_KEY: Parameter(help, sweepable=False),
            COMPONENT_KEY: ComponentField(kind, inline, sweeps),
        }
    )


@frozen
class Field:
    """One key of a table: its type, its bounds, its default."""

    key: str
    type: Any
    info: Parameter
    attribute: str
    default: Any = attrs.NOTHING
    component: ComponentField | None = None

    @property
    def required(self) -> bool:
        """Whether a table without this key is wrong."""
        return self.default is attrs.NOTHING

    def default_in(self, table: object) -> Any:
        """The default, which another field of the table may decide."""
        if isinstance(self.default, FACTORY):
            computed: Any = self.default
            return computed.factory(table) if computed.takes_self else computed.factory()
        return self.default


_FIELDS: dict[type, tuple[Field, ...]] = {}


def fields_of(declaration: type) -> tuple[Field, ...]:
    """The keys of a table or component, in the order of their declaration."""
    if declaration not in _FIELDS:
        _FIELDS[declaration] = _fields(declaration)
    return _FIELDS[declaration]


def _fields(declaration: type) -> tuple[Field, ...]:
    hints = _hints(declaration)
    shared = issubclass(declaration, Component)  # plain attrs fields are parameters too
    return tuple(
        Field(
            key=attribute.alias or attribute.name,
            type=hints[attribute.name],
            info=parameter_of(attribute),
            attribute=attribute.name,
            default=attribute.default,
            component=attribute.metadata.get(COMPONENT_KEY),
        )
        for attribute in attrs.fields(declaration)
        if shared or METADATA_KEY in attribute.metadata
    )


def _hints(declaration: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(declaration)
    except NameError as error:
        name = getattr(declaration, "name", declaration.__name__)
        raise PluginError(
            f"{name}: the annotation of a parameter cannot be read: {error}; import the "
            "type at run time, not for type checking only"
        ) from None


def options_of(wanted: object) -> tuple[Any, ...]:
    """The types of a union, or the type alone; None is left out."""
    if typing.get_origin(wanted) in (Union, types.UnionType):
        return tuple(option for option in typing.get_args(wanted) if option is not type(None))
    return (wanted,)


def is_table(wanted: object) -> bool:
    """Whether a type is a declared table."""
    if not (isinstance(wanted, type) and attrs.has(wanted)) or issubclass(wanted, Component):
        return False
    return any(METADATA_KEY in attribute.metadata for attribute in attrs.fields(wanted)) or bool(
        getattr(wanted, "tag", "")
    )


def table_in(wanted: object) -> type | None:
    """The table in a type: the type itself, or a member of a union; None if there is none."""
    return next((option for option in options_of(wanted) if is_table(option)), None)


def listed_table_in(wanted: object) -> type | None:
    """The table in a type that is a list of tables; None if there is none."""
    for option in options_of(wanted):
        if typing.get_origin(option) is tuple and is_table(typing.get_args(option)[0]):
            table: type = typing.get_args(option)[0]
            return table
    return None


def component_in(wanted: object) -> type[Component] | None:
    """The base class of the components that a parameter takes; None if it takes none."""
    for option in options_of(wanted):
        if isinstance(option, type) and issubclass(option, Component):
            return option
    return None


def entry_type(wanted: object) -> Any:
    """The type of the entries of a table-valued parameter; None if it takes no table."""
    for option in options_of(wanted):
        if typing.get_origin(option) in (dict, Mapping, typing.Mapping):
            return typing.get_args(option)[1]
    return None
