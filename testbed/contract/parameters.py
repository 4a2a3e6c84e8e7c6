"""Parameters of components: attrs fields that carry their help, unit and bounds."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import attrs
from attrs import NOTHING, frozen

from testbed.errors import Mistake, ParameterError, one_of, shown

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
    pattern: str = ""  # what a text must match as a whole, as a regular expression
    form: str = ""  # the allowed values in words, where types and bounds do not say them well
    longest: int | None = None  # characters of a text

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

    def objection(self, value: Any) -> Mistake | None:
        """What is wrong with a value, without its place; None if it is allowed."""
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
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and not self._holds(value):
            return Mistake("", f"found {shown(value)}", f"a number {self.bounds()}")
        return self._spelling(value) if isinstance(value, str) else None

    def _spelling(self, value: str) -> Mistake | None:
        """What is wrong with a text's length or characters."""
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
    pattern: str = "",
    form: str = "",
    longest: int | None = None,
) -> Any:
    """An attrs field of a component: `depth: int = parameter(0, help="…", ge=0)`.

    `ge, gt, le, lt` bound numbers, `choices` lists the allowed words, `unit` is a CF unit.
    `sweepable=False` forbids a sweep over the field. `alias` is the name that scenarios use where a
    method has the field's name. `no_table` is advice for those who write a table where none is
    taken. `pattern` is a regular expression that a text must match, `longest` the number of its
    characters, `form` says the allowed values in words. Other values raise ParameterError.
    """
    info = Parameter(
        help, unit, ge, gt, le, lt, tuple(choices), sweepable, no_table, pattern, form, longest,
    )  # fmt: skip

    def check(_: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
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


def parameter_of(attribute: attrs.Attribute[Any]) -> Parameter:
    """The Parameter of an attrs field; fields made by plain `attrs.field` have an empty one."""
    info = attribute.metadata.get(METADATA_KEY)
    return info if isinstance(info, Parameter) else Parameter(help="")
