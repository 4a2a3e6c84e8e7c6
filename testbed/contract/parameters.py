"""Parameters of components: attrs fields that carry their help, unit, bounds and role."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeVar, get_args

import attrs
from attrs import NOTHING, frozen

from testbed.errors import Mistake, ParameterError, one_of, shown

METADATA_KEY = "testbed.parameter"

Role = Literal[
    "noise",
    "sample_size",
    "source",
    "file",
    "truth_kernel",
    "route",
    "step_size",
    "momentum",
    "filter",
    "kernel",
    "points",
    "matrix",
]
"""The meaning of a parameter to core or to other plugins' components, whatever its name is.

* ``noise`` (design): changes the observations only, never the inputs. Designs that differ in
  nothing else share the preparations of models that read inputs.
* ``sample_size`` (design): the number n of observations. `simulate = { n = … }` compares with it;
  where it is None, core takes the number of training points from `sizes`, and records it.
* ``source`` (design): tells data sets apart. Error messages add it to the design's name.
* ``file`` (any): a file or a folder that is read. Its content counts, not its path alone.
* ``truth_kernel`` (target): the kernel that the truth is made of.
* ``route`` (model): how numbers are computed, never what they mean. Models that differ in nothing
  else count as one kernel.
* ``step_size`` (optimizer): learning rate of a step, a number or a table `{ edge = c }`.
* ``momentum`` (optimizer): heavy-ball momentum μ.
* ``filter`` (optimizer): name of the spectral filter.
* ``kernel``, ``points``, ``matrix`` (metric): options of the needs that `contract/needs.py` lists.
"""
ROLES: tuple[str, ...] = get_args(Role)

Value = TypeVar("Value")


@frozen
class Parameter:
    """The documentation and the bounds of a field; `None` means that there is no such bound."""

    help: str
    unit: str = "1"
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    choices: tuple[str, ...] = ()
    sweepable: bool = True
    no_table: str = ""  # advice to those who write a table, which it does not take
    pattern: str = ""  # a regular expression that the whole text must match
    form: str = ""  # the allowed values in words, where types and bounds do not say them well
    longest: int | None = None  # characters of a text
    role: Role | None = None

    def bounds(self) -> str:
        """The allowed range in words: `at least 1 and below 2`; empty if there is none."""
        named = (
            ("at least", self.ge),
            ("above", self.gt),
            ("at most", self.le),
            ("below", self.lt),
        )
        parts = [f"{word} {bound:g}" for word, bound in named if bound is not None]
        return " and ".join(parts)

    def objection(self, value: object) -> Mistake | None:
        """The mistake in a value, without its place in the file; None if the value is allowed."""
        if value is None:
            return None
        if self.no_table and isinstance(value, dict):
            return Mistake("", f"found {shown(value)}", "a number", self.no_table)
        words = value if isinstance(value, tuple) else (value,)
        unknown = [
            w for w in words if isinstance(w, str) and self.choices and w not in self.choices
        ]
        if unknown:
            return Mistake("", f"found {shown(value)}", one_of(self.choices, unknown[0]))
        if isinstance(value, bool):
            return None
        if isinstance(value, int | float) and not self._holds(value):
            return Mistake("", f"found {shown(value)}", f"a number {self.bounds()}")
        return self._spelling(value) if isinstance(value, str) else None

    def _spelling(self, value: str) -> Mistake | None:
        """The mistake in a text's length or characters."""
        if self.longest is not None and len(value) > self.longest:
            text = f"found a text of {len(value)} characters"
            return Mistake("", text, f"at most {self.longest}", "shorten it")
        if self.pattern and not re.fullmatch(self.pattern, value):
            return Mistake("", f"found {shown(value)}", self.form)
        return None

    def _holds(self, value: float) -> bool:
        return (
            (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
        )


def parameter(
    default: object = NOTHING,
    *,
    help: str,
    unit: str = "1",
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    choices: Sequence[str] = (),
    sweepable: bool = True,
    converter: Callable[[Any], Any] | None = None,
    alias: str | None = None,
    no_table: str = "",
    pattern: str = "",
    form: str = "",
    longest: int | None = None,
    role: Role | None = None,
) -> Any:
    """An attrs field of a component: `depth: int = parameter(0, help="…", ge=0)`.

    `ge, gt, le, lt` bound numbers, `choices` lists the allowed words, `unit` is a CF unit.
    `sweepable=False` forbids a sweep over the field. `alias` is the name that scenarios use where a
    method has the field's name. `no_table` is advice for those who write a table where none is
    taken. `pattern` is a regular expression that a text must match, `longest` bounds the number of
    its characters, `form` says the allowed values in words. `role` is the meaning of the field to
    core and other components (see `Role`). Values that are not allowed raise ParameterError.
    """
    if role is not None and role not in ROLES:
        raise ValueError(f"role: found {role!r}, expected {one_of(ROLES, role)}")
    info = Parameter(
        help, unit, ge, gt, le, lt, tuple(choices), sweepable, no_table, pattern, form, longest,
        role,
    )  # fmt: skip

    def check(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        mistake = info.objection(value)
        if mistake:
            name = attribute.alias or attribute.name
            raise ParameterError(mistake.found, mistake.expected, mistake.advice, name)

    return attrs.field(
        default=default,
        validator=check,
        converter=converter,
        alias=alias,
        metadata={METADATA_KEY: info},
    )


def fields_of(component: object) -> tuple[attrs.Attribute[Any], ...]:
    """The attrs fields of a component or of its class."""
    cls: Any = component if isinstance(component, type) else type(component)
    return attrs.fields(cls) if attrs.has(cls) else ()


def parameter_of(attribute: attrs.Attribute[Any]) -> Parameter:
    """The Parameter of an attrs field; fields made by plain `attrs.field` have an empty one."""
    info = attribute.metadata.get(METADATA_KEY)
    return info if isinstance(info, Parameter) else Parameter(help="")


def names_with(component: object, role: Role) -> list[str]:
    """Names of a component's fields with a role."""
    return [field.name for field in fields_of(component) if parameter_of(field).role == role]


def value_with(component: object, role: Role, default: Value) -> Value:
    """The value of a component's field with a role; the default if there is no such field."""
    names = names_with(component, role)
    value: Value = getattr(component, names[0]) if names else default
    return value
