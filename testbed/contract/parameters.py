"""Parameters of components: attrs fields that carry their help, unit and bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import attrs
from attrs import NOTHING, frozen

from testbed.errors import one_of

METADATA_KEY = "testbed.parameter"


@frozen
class Parameter:
    """What a user needs to know of a field; `None` means that there is no such bound."""

    help: str
    unit: str = "1"
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    choices: tuple[str, ...] = ()
    sweepable: bool = True
    no_table: str = ""  # what to do instead, where a reader may expect that a table is taken

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

    def objection(self, value: Any) -> str | None:
        """Why `value` is not allowed, as "found …, expected …"; None if it is."""
        if value is None:
            return None
        if self.no_table and isinstance(value, dict):
            return f"found {value!r}, expected a number; {self.no_table}"
        words = value if isinstance(value, tuple) else (value,)
        unknown = [word for word in words if word not in self.choices] if self.choices else []
        if unknown:
            return f"found {value!r}, expected {one_of(self.choices, unknown[0])}"
        if isinstance(value, int | float) and not self._holds(value):
            return f"found {value!r}, expected a number {self.bounds()}"
        return None

    def _holds(self, value: float) -> bool:
        return (
            (self.ge is None or value >= self.ge)
            and (self.gt is None or value > self.gt)
            and (self.le is None or value <= self.le)
            and (self.lt is None or value < self.lt)
        )


def parameter(
    default: Any = NOTHING,
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
) -> Any:
    """An attrs field of a component: `depth: int = parameter(0, help="…", ge=0)`.

    `ge, gt, le, lt` bound numbers, `choices` lists the allowed words, `unit` is a CF unit,
    `sweepable=False` forbids a sweep over the field, `alias` is the name that scenarios use where a
    method has the field's, `no_table` says what to do where a table is found that others take. A
    value out of bounds raises ValueError
    with "found …, expected …".
    """
    info = Parameter(help, unit, ge, gt, le, lt, tuple(choices), sweepable, no_table)

    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        objection = info.objection(value)
        if objection:
            raise ValueError(f"{attribute.name}: {objection}")

    return attrs.field(
        default=default,
        validator=check,
        converter=converter,
        alias=alias,
        metadata={METADATA_KEY: info},
    )


def parameter_of(attribute: attrs.Attribute[Any]) -> Parameter:
    """The Parameter of an attrs field; fields made by plain `attrs.field` have an empty one."""
    info = attribute.metadata.get(METADATA_KEY)
    return info if isinstance(info, Parameter) else Parameter(help="")
