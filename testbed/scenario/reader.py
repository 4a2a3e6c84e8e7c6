"""Read what is declared: a table of the scenario, a component, or one of their values.

Every function returns `(value, mistakes)`. A value with mistakes is None; a table continues with
its defaults, so that one mistake does not hide another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from attrs import frozen

from testbed.contract.components import Component
from testbed.contract.grids import MOST, Grid
from testbed.errors import Mistake, ParameterError, did_you_mean, one_of, shown, with_article
from testbed.scenario.component import Reference, Spec
from testbed.scenario.declaration import (
    Field,
    Table,
    component_in,
    entry_type,
    fields_of,
    is_table,
    listed_table_in,
    options_of,
    table_in,
    variants_of,
)
from testbed.scenario.sweep import is_sweep, read_sweep, sweep_advice
from testbed.scenario.value import LARGEST, convert, found_text, type_words

KIND_NAMES = ("design", "target", "model", "optimizer", "metric", "theory")
Reading = tuple[Any, list[Mistake]]
"""What was read, and what is wrong with it."""


class ComponentSource(Protocol):
    """The part of the registry that the reader uses."""

    def get(self, kind: str, name: str) -> type[Component] | None: ...

    def names(self, kind: str) -> list[str]: ...


class NoComponents:
    """A registry for tables that name no components."""

    def get(self, kind: str, name: str) -> type[Component] | None:
        return None

    def names(self, kind: str) -> list[str]:
        return []


@frozen
class Source:
    """What the reader needs besides the text: the components, and the longest list."""

    registry: ComponentSource
    most: int = MOST


# --- tables -------------------------------------------------------------------------------------


def read_table(declaration: type, raw: object, place: str, source: Source) -> Reading:
    """A table as an instance of its declaration."""
    if not isinstance(raw, Mapping):
        return None, [Mistake(place, found_text(raw), "a table")]
    variant, mistakes = _variant(declaration, raw, place)
    if variant is None:
        return None, mistakes
    values, mistakes = read_fields(variant, raw, place, source)
    return _made(variant, values, place, mistakes)


def _made(
    declaration: type, values: dict[str, object], place: str, mistakes: list[Mistake]
) -> Reading:
    """An instance of a declaration, unless a required key could not be read."""
    if any(field.required and field.key not in values for field in fields_of(declaration)):
        return None, mistakes
    placed = {"place": place} if issubclass(declaration, Table) else {}
    try:
        return declaration(**values, **placed), mistakes
    except ParameterError as error:
        where = f"{place}.{error.mistake.where}" if error.mistake.where else place
        return None, [*mistakes, error.mistake.moved_to(where)]


def _variant(
    declaration: type, raw: Mapping[str, object], place: str
) -> tuple[type | None, list[Mistake]]:
    """The declaration that a table follows: the one that its tag names, if it has a tag."""
    tag = getattr(declaration, "tag", "")
    if not tag:
        return declaration, []
    variants = variants_of(declaration)
    word = raw.get(tag)
    if isinstance(word, str) and word in variants:
        return variants[word], []
    expected = one_of(sorted(variants), word)
    if tag not in raw:
        wrong = Mistake(place, f"found no {tag!r}", expected, f'add {tag} = "…"')
    else:
        wrong = Mistake(f"{place}.{tag}", found_text(word), expected)
    keys = {tag} | {field.key for variant in variants.values() for field in fields_of(variant)}
    return None, [wrong, *_unknown_keys(raw, keys, place)]


def read_fields(
    declaration: type,
    raw: Mapping[str, object],
    place: str,
    source: Source,
    sweeps: bool = False,
    outer_keys: Iterable[str] = (),
) -> tuple[dict[str, Any], list[Mistake]]:
    """The values of a table's keys; a key that is wrong is left out. `outer_keys` are also allowed
    in the table, and read elsewhere."""
    fields = fields_of(declaration)
    inline = next((field for field in fields if field.component and field.component.inline), None)
    keys = {field.key for field in fields if field is not inline}
    keys |= {tag} if (tag := getattr(declaration, "tag", "")) else set()
    mistakes = [] if inline else _unknown_keys(raw, {*keys, *_use(declaration), *outer_keys}, place)
    values: dict[str, object] = {}
    for field in fields:
        if field is inline:
            value, wrong = _read_inline(field, raw, keys, place, source)
        elif field.key in raw:
            value, wrong = read_field(field, raw[field.key], f"{place}.{field.key}", source, sweeps)
        elif field.required:
            mistakes.append(_missing(field, declaration, place))
            continue
        else:
            continue
        mistakes += wrong
        if value is not None or not wrong:
            values[field.key] = value
    return values, mistakes


def _use(declaration: type) -> tuple[str, ...]:
    return ("use",) if issubclass(declaration, Component) else ()


def _unknown_keys(raw: Mapping[str, object], allowed: Iterable[str], place: str) -> list[Mistake]:
    """A mistake for every key that is not allowed."""
    allowed = tuple(allowed)
    return [
        Mistake(f"{place}.{key}", f"found the unknown key {key!r}", "", did_you_mean(key, allowed))
        for key in raw
        if key not in allowed
    ]


def _missing(field: Field, declaration: type, place: str) -> Mistake:
    """The mistake of a required key that is missing."""
    if issubclass(declaration, Component):
        text = f"found no {field.key!r}, which {declaration.name} requires"
        return Mistake(place, text, "", f"add {field.key} = …: {field.info.help}")
    if listed_table_in(field.type) and not table_in(field.type):
        return Mistake(place, f"found no [[{field.key}]]", "at least one")
    if table_in(field.type):
        return Mistake(place, f"found no [{field.key}]", "one", f'add [{field.key}] with use = "…"')
    if field.component:
        return Mistake(place, f"found no {field.key!r}", "one", f"add {field.key} = {{ use = … }}")
    return Mistake(place, f"found no {field.key!r}", field.info.help, f"add {field.key} = …")


def _read_listed(
    declaration: type, raw: object, field: Field, place: str, source: Source
) -> Reading:
    """The tables of `[[key]]`; those that cannot be made are left out."""
    if not isinstance(raw, list | tuple) or not all(isinstance(item, Mapping) for item in raw):
        text = f"found one [{field.key}]" if isinstance(raw, Mapping) else found_text(raw)
        return None, [Mistake(place, text, "a list of tables", f"use [[{field.key}]]")]
    if field.required and not raw:
        return None, [_missing(field, declaration, "$")]
    tables, mistakes = [], []
    for position, item in enumerate(raw):
        table, wrong = read_table(declaration, item, f"{place}[{position}]", source)
        mistakes += wrong
        tables += [] if table is None else [table]
    return tuple(tables), mistakes


# --- values -------------------------------------------------------------------------------------


def read_field(field: Field, raw: Any, place: str, source: Source, sweeps: bool) -> Reading:
    """The value of one key: a table, a component, a sweep, or a plain value."""
    table, listed = table_in(field.type), listed_table_in(field.type)
    if field.component:
        return read_component(field.component.kind, raw, place, source, field.component.sweeps)
    alone = options_of(field.type) == (table,)
    if table and (alone or isinstance(raw, Mapping)):
        return read_table(table, raw, place, source)
    if listed:
        return _read_listed(listed, raw, field, place, source)
    nested = component_in(field.type)
    if nested:
        return _read_nested(nested.kind, raw, place, source, sweeps)
    sweeps = sweeps and field.info.sweepable
    if Grid not in options_of(field.type) and is_sweep(raw):
        return _read_sweep(field, raw, place, source, sweeps)
    entry = entry_type(field.type)
    if entry is not None and isinstance(raw, Mapping):
        return _read_entries(entry, field, raw, place, source, sweeps)
    return _read_plain(field, raw, place, source, sweeps)


def _read_plain(field: Field, raw: object, place: str, source: Source, sweeps: bool) -> Reading:
    """A value without sweeps: its type, then its bounds."""
    plain = [option for option in options_of(field.type) if not is_table(option)]
    try:
        value = _convert_first(raw, field.type if len(plain) < 2 else plain, source.most)
    except ParameterError as error:
        return None, [_unfit(field, raw, place, error.mistake, sweeps)]
    mistake = field.info.objection(value) or _beyond(field, value)
    return (None, [_worded(field, mistake).moved_to(place)]) if mistake else (value, [])


def _beyond(field: Field, value: object) -> Mistake | None:
    """The mistake of an integer that is too large for a result; seeds have their own bound."""
    values = value if isinstance(value, tuple) else (value,)
    large = [item for item in values if type(item) is int and abs(item) > LARGEST]
    if not large or field.info.le is not None:
        return None
    return Mistake("", f"found {large[0]}", f"an integer of at most {LARGEST}")


def _convert_first(raw: object, wanted: object, most: int) -> Any:
    """The value as one of several types, or as the only one."""
    if not isinstance(wanted, list):
        return convert(raw, wanted, most)
    union = wanted[0]
    for option in wanted[1:]:
        union = union | option
    return convert(raw, union, most)


def _worded(field: Field, mistake: Mistake) -> Mistake:
    """The mistake with the field's own words for what it expects, where it has some."""
    words = field.info.form or mistake.expected
    return Mistake(mistake.where, mistake.found, words, mistake.advice)


def _unfit(field: Field, raw: object, place: str, mistake: Mistake, sweeps: bool) -> Mistake:
    """The mistake of a value of the wrong type, with advice if it looks like something else."""
    advice, within = mistake.advice, mistake.where  # within a list of the right type
    mistake = _worded(field, mistake) if not within else mistake
    if isinstance(raw, Mapping):
        advice = advice or field.info.no_table
    elif isinstance(raw, list) and sweeps and not within:
        advice = advice or sweep_advice(raw)
    return Mistake(f"{place}{within}", mistake.found, mistake.expected, advice)


def _read_sweep(
    field: Field, raw: dict[str, object], place: str, source: Source, allowed: bool
) -> Reading:
    if not allowed:
        return None, [Mistake(place, "found a sweep", "a single value", "this cannot be swept")]
    return read_sweep(
        raw, field, place, source.most,
        lambda value: _read_plain(field, value, place, source, sweeps=False),
    )  # fmt: skip


def _read_entries(
    entry: object, field: Field, raw: Mapping[str, object], place: str, source: Source, sweeps: bool
) -> Reading:
    """A table-valued parameter, entry by entry."""
    values, mistakes = {}, []
    for key, item in raw.items():
        part = Field(key, entry, field.info, key, field.default)
        values[key], wrong = read_field(part, item, f"{place}.{key}", source, sweeps)
        mistakes += wrong
    return (None, mistakes) if mistakes else (values, [])


# --- components ---------------------------------------------------------------------------------


def read_component(
    kind: str,
    raw: object,
    place: str,
    source: Source,
    sweeps: bool = True,
    outer_keys: Iterable[str] = (),
) -> Reading:
    """A component's table as a Spec; `outer_keys` belong to the table around it."""
    if not isinstance(raw, Mapping):
        return None, [Mistake(place, found_text(raw), "a table with use = …")]
    component, mistakes = _class_of(kind, raw, place, source)
    if component is None:
        return None, mistakes
    keys = set(outer_keys) - {field.key for field in fields_of(component)}
    table = {key: value for key, value in raw.items() if key not in keys}
    values, mistakes = read_fields(component, table, place, source, sweeps, keys)
    return (None, mistakes) if mistakes else (Spec(component, values, place), [])


def _read_inline(
    field: Field, raw: Mapping[str, object], outer_keys: Iterable[str], place: str, source: Source
) -> Reading:
    """The component whose parameters are in the table itself."""
    assert field.component is not None
    return read_component(
        field.component.kind, raw, place, source, field.component.sweeps, outer_keys
    )


def _read_nested(kind: str, raw: object, place: str, source: Source, sweeps: bool) -> Reading:
    """A component inside another, or a reference to the model of an estimator."""
    if isinstance(raw, Component) and raw.kind == kind:
        return Spec.of(raw, place), []
    if isinstance(raw, str):
        prefix, _, estimator = raw.partition(":")
        if prefix == "estimator" and estimator:
            return Reference(estimator), []
        return None, [Mistake(place, found_text(raw), 'a table with use, or "estimator:NAME"')]
    return read_component(kind, raw, place, source, sweeps)


def _class_of(
    kind: str, raw: Mapping[str, object], place: str, source: Source
) -> tuple[type[Component] | None, list[Mistake]]:
    """The component class that a table names."""
    use, registry = raw.get("use"), source.registry
    expected = f"the name of a {kind}"
    if is_sweep(use):
        return None, [Mistake(f"{place}.use", "found a sweep over use", expected, _several(kind))]
    if not isinstance(use, str):
        advice = f'add use = "…"; {did_you_mean("", registry.names(kind))}'
        text = "found no 'use'" if use is None else found_text(use)
        return None, [Mistake(place, text, expected, advice)]
    component = registry.get(kind, use)
    if component is None:
        kinds = [kind_name for kind_name in KIND_NAMES if registry.get(kind_name, use) is not None]
        advice = (
            f"it is {with_article(kinds[0])}" if kinds else did_you_mean(use, registry.names(kind))
        )
        return None, [Mistake(f"{place}.use", f"found {shown(use)}", expected, advice)]
    return component, []


def _several(kind: str) -> str:
    """How several components of a kind are written."""
    if kind in ("design", "target"):
        return f"write each as a [[{kind}]] with name and use; the dimension is called {kind}"
    if kind in ("model", "optimizer"):
        return "write an [[estimator]] for each"
    return f"write a [[{kind}]] for each"


def described(field: Field) -> str:
    """The values of a field in words."""
    return field.info.form or type_words(field.type)
