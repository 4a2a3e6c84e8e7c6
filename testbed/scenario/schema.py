"""A JSON Schema of the scenario language: editors use it to check and complete a file.

It is made from the declarations of tables and from the parameters of the installed components. It
covers types, bounds and words; only `testbed check` tests how the parts fit together.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args, get_origin

import attrs

from testbed.contract.components import Component
from testbed.contract.grids import GRID_WORDS, WORDS, Grid
from testbed.contract.parameters import Parameter
from testbed.scenario.declaration import (
    FACTORY,
    Field,
    component_in,
    fields_of,
    is_table,
    options_of,
    variants_of,
)
from testbed.scenario.scenario import Scenario
from testbed.scenario.sweep import takes_integers_only
from testbed.scenario.writer import written

Schema = dict[str, Any]
DRAFT = "http://json-schema.org/draft-07/schema#"
PLAIN: Mapping[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string"}
TIME: Schema = {"type": ["number", "null"]}
"""A number of a grid. Editors hand `inf` to the schema as null, since JSON has no infinite numbers;
TOML has no null, so that no wrong file becomes right."""
NUMBERS: Schema = {"type": "array", "items": {"type": "number"}, "minItems": 1}
SPACED: Schema = {
    "type": "array",
    "items": [{"type": "number"}, {"type": "number"}, {"type": "integer", "minimum": 1}],
    "minItems": 3,
    "maxItems": 3,
    "description": "[first, last, count]",
}
REFERENCE: Schema = {
    "type": "string",
    "pattern": "^estimator:.+$",
    "description": 'the model of another estimator, "estimator:NAME"',
}


def scenario_schema(components: Iterable[type[Component]]) -> Schema:
    """The schema of a scenario file that uses these components."""
    language = _Schema(components)
    return {
        "$schema": DRAFT,
        "title": "Testbed scenario",
        **language.of_table(Scenario),
        "definitions": language.definitions(),
    }


class _Schema:
    """Makes the schemas of tables and components; tables refer to components as definitions."""

    def __init__(self, components: Iterable[type[Component]]):
        self.by_kind: dict[str, list[type[Component]]] = {}
        for component in components:
            self.by_kind.setdefault(component.kind, []).append(component)

    def definitions(self) -> Schema:
        """Grids, and every component that may be a table of its own."""
        nested = [*self.by_kind.get("model", ()), *self.by_kind.get("optimizer", ())]
        return {"grid": GRID} | SWEEPS | {part.name: self.of_component(part) for part in nested}

    def of_table(self, declaration: type) -> Schema:
        """A table with the keys of its declaration, or one schema for each of its variants."""
        if getattr(declaration, "tag", "") and not getattr(declaration, "word", ""):
            variants = variants_of(declaration).values()
            return {"oneOf": [self.of_table(variant) for variant in variants]}
        fields = fields_of(declaration)
        inline = next((f for f in fields if f.component and f.component.inline), None)
        outer = [field for field in fields if field is not inline]
        if inline is None:
            return self._object(outer, declaration, sweeps=False)
        assert inline.component is not None
        options = self.by_kind.get(inline.component.kind, [])
        return {"oneOf": [self.of_component(c, outer, inline.component.sweeps) for c in options]}

    def of_component(
        self, component: type[Component], around: Iterable[Field] = (), sweeps: bool = True
    ) -> Schema:
        """A component's table, with the keys of the table around it."""
        schema = self._object(fields_of(component), component, sweeps)
        names = {field.key for field in fields_of(component)}
        outer = [field for field in around if field.key not in names]
        table = self._object(outer, component, sweeps=False)
        properties = {"use": {"const": component.name}, **table["properties"]}
        properties |= schema["properties"]
        required = ["use", *table.get("required", ()), *schema.get("required", ())]
        return {**schema, "properties": properties, "required": required}

    def _object(self, fields: Iterable[Field], declaration: type, sweeps: bool) -> Schema:
        fields = list(fields)
        tag, word = getattr(declaration, "tag", ""), getattr(declaration, "word", "")
        properties: Schema = {tag: {"const": word}} if tag else {}
        for field in fields:
            properties[field.key] = self.of_field(field, sweeps)
        required = ([tag] if tag else []) + [field.key for field in fields if field.required]
        schema: Schema = {"type": "object", "additionalProperties": False}
        text = (declaration.__doc__ or "").split("\n")[0]
        schema |= {"description": text} if text else {}
        schema |= {"properties": properties}
        return schema | ({"required": required} if required else {})

    # --- fields -------------------------------------------------------------------------------

    def of_field(self, field: Field, sweeps: bool) -> Schema:
        """The values that a key may have, with its meaning and its default."""
        if field.component:
            schema = self._nested(field.component.kind, references=False)
        elif part := component_in(field.type):
            schema = self._nested(part.kind, references=True)
        else:
            schema = self._any_of(self._options(field))
            if sweeps and field.info.sweepable and Grid not in options_of(field.type):
                schema = self._any_of([schema, _sweep(schema, takes_integers_only(field.type))])
        unit = "" if field.info.unit == "1" else f" [{field.info.unit}]"
        text = f"{field.info.help}{unit}".strip()
        schema = {**schema, "description": text} if text else schema
        return schema | _default(field)

    def _nested(self, kind: str, references: bool) -> Schema:
        options = [{"$ref": f"#/definitions/{c.name}"} for c in self.by_kind.get(kind, ())]
        return {"oneOf": [*options, REFERENCE] if references else options}

    def _options(self, field: Field) -> list[Schema]:
        return [self._of_type(option, field.info) for option in options_of(field.type)]

    def _of_type(self, wanted: Any, info: Parameter) -> Schema:
        """The schema of one type; bounds hold for numbers and words wherever they stand."""
        origin, arguments = get_origin(wanted), get_args(wanted)
        if is_table(wanted):
            return self.of_table(wanted)
        if origin is Literal:
            return {"enum": list(arguments)}
        if origin is tuple:
            item = self._of_type(
                arguments[0], attrs.evolve(info, ge=None, gt=None, le=None, lt=None)
            )
            return {"type": "array", "items": item}
        if origin in (dict, Mapping, typing.Mapping):
            entry = self._any_of([self._of_type(part, info) for part in options_of(arguments[1])])
            swept = self._any_of([entry, _sweep(entry, False)]) if info.sweepable else entry
            return {"type": "object", "additionalProperties": swept}
        if wanted is Grid:
            return {"$ref": "#/definitions/grid"}
        if wanted is dict:
            return {"type": "object"}
        return _plain(wanted, info) if wanted in PLAIN else {}

    @staticmethod
    def _any_of(options: list[Schema]) -> Schema:
        return dict(options[0]) if len(options) == 1 else {"anyOf": options}


def _plain(wanted: type, info: Parameter) -> Schema:
    """A number, text or truth value within its bounds."""
    schema: Schema = {"type": PLAIN[wanted]}
    if wanted in (int, float):
        bounds = (
            ("minimum", info.ge),
            ("exclusiveMinimum", info.gt),
            ("maximum", info.le),
            ("exclusiveMaximum", info.lt),
        )
        return schema | {word: bound for word, bound in bounds if bound is not None}
    if wanted is str and info.choices:
        return {"enum": list(info.choices)}
    if wanted is str:
        schema |= {"pattern": f"^({info.pattern})$"} if info.pattern else {}
        schema |= {"maxLength": info.longest} if info.longest is not None else {}
    return schema


def _sweep(item: Schema, integers: bool) -> Schema:
    """A sweep over values of a schema."""
    numeric = _mentions(item, ("number", "integer"))
    name = "sweep-of-integers" if integers else "sweep" if numeric else "sweep-of-words"
    values = {"properties": {"values": {"items": item}}}
    return {"allOf": [{"$ref": f"#/definitions/{name}"}, values]}


def _sweep_definition(text: str, words: Schema) -> Schema:
    """The definition of a kind of sweep."""
    return {
        "type": "object",
        "description": f"a sweep: the values become a dimension of the result{text}",
        "additionalProperties": False,
        "properties": {
            **words,
            "labels": {
                "type": "array",
                "items": {"type": "string"},
                "description": "names of the values; lists need them",
            },
            "dim": {"type": "string", "description": "name of the dimension; default: the key"},
            "along": {
                "type": "string",
                "description": "dimension shared with other sweeps",
            },
        },
        "oneOf": [{"required": [word]} for word in words],
    }


VALUES: Schema = {"values": {"type": "array", "minItems": 1}}
SWEEPS: Schema = {
    "sweep": _sweep_definition("", {**VALUES, "geom": SPACED, "linspace": SPACED}),
    "sweep-of-integers": _sweep_definition(
        ", rounded to integers", {**VALUES, "geom": SPACED, "linspace": SPACED}
    ),
    "sweep-of-words": _sweep_definition("", VALUES),
}


def _mentions(schema: Schema, types: tuple[str, ...]) -> bool:
    return schema.get("type") in types or any(
        _mentions(part, types) for part in schema.get("anyOf", ())
    )


def _default(field: Field) -> Schema:
    """The default, if it is the same for all tables."""
    computed = isinstance(field.default, FACTORY)
    if field.required or computed or field.default is None or is_table(type(field.default)):
        return {}
    return {"default": written(field.default)}


GRID: Schema = {
    "description": "a list of increasing numbers; the last may be inf",
    "anyOf": [
        TIME,
        NUMBERS | {"items": TIME},
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "values": NUMBERS | {"items": TIME},
                "geom": SPACED,
                "linspace": SPACED,
                "include": {"type": "array", "items": TIME},
            },
            "oneOf": [{"required": [word]} for word in WORDS],
        },
    ],
}
assert set(GRID["anyOf"][2]["properties"]) == set(GRID_WORDS)
