"""The reference page of the scenario language, written from the declarations of its tables."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from testbed.contract.cells import Compute, Dask
from testbed.contract.names import RESERVED_VARIABLES
from testbed.scenario.declaration import FACTORY, Field, fields_of, listed_table_in, table_in
from testbed.scenario.figure import FIGURES
from testbed.scenario.replication import Replication, StandardError
from testbed.scenario.scenario import Scenario
from testbed.scenario.tables import (
    ClaimTable,
    DesignTable,
    EstimatorTable,
    Expectation,
    MetricTable,
    NamedDesignTable,
    NamedTargetTable,
    TargetTable,
    TheoryTable,
)
from testbed.scenario.value import type_words
from testbed.scenario.writer import written

HEAD = """# The scenario language

A scenario is one TOML file: one experiment. This page lists every key that it may hold.
`testbed describe NAME` lists the parameters of a component, `testbed check FILE` names every
mistake of a file at once, and `testbed schema` prints the language as JSON Schema. An editor that
reads the schema checks and completes the file while you write; shipped scenarios name it in their
first line:

```toml
#:schema ../docs/scenario.schema.json
```

This page and the schema are generated from the declarations that the reader uses.
"""

SWEEPS = """## Sweeps

A sweep stands in the place of a value. Each of its values makes a point, and the values become a
dimension of the result that is named after the parameter. Several sweeps of an estimator make the
product of their points. The parameters of `[design]`, `[target]`, `model` and `optimizer` may be
swept; those of `[[design]]`, `[[target]]`, `[[metric]]` and `[[theory]]` may not.

| written | values |
|---|---|
| `{ values = [1, 2, 5] }` | the listed ones |
| `{ geom = [1.0, 100.0, 3] }` | first, last, and how many: 1, 10, 100 |
| `{ linspace = [0.0, 1.0, 3] }` | first, last, and how many: 0, 0.5, 1 |

Integer parameters round the values of `geom` and `linspace`; values that are equal after rounding
are a mistake. A number such as `1e3` counts as an integer. Further keys of a sweep:

| key | meaning |
|---|---|
| `dim` | another name for the dimension: `gamma = { values = [1.0, 2.0], dim = "decay" }` |
| `labels` | names of the values, one each; lists as values need them |
| `along` | the dimension that several sweeps share: values go together by position |

With `along = "size"` the parameters become coordinates of the dimension `size`. With the name of
another swept parameter, `along = "n"`, they become coordinates of its dimension. Without
`along`, no two sweeps of an estimator, its design and its target may have the same dimension name.
Estimators that sweep the same parameter share the dimension. The result keeps these names for
itself, so that no dimension can have them:
RESERVED

Several components are not written as a sweep: several designs are `[[design]]` tables with `name`
and `use`, several targets `[[target]]` tables, several models or optimizers `[[estimator]]` tables.

A model's parameter that takes another model (`of`, `kernel`) is a table with `use`, or
`"estimator:NAME"` for the model of another estimator, which may not be swept.
"""

GRIDS = """## Grids

A grid is a list of increasing numbers that belongs to one component: training times, thresholds,
ranks. It is written as a number, as a list, or with the words of a sweep and `include`:

```toml
times = { geom = [1.0, 1e4, 60], include = [0.0] }
k = [1, 2, 5, 10]
```

The last number of a grid of times may be `inf` where the optimizer knows the limit t = ∞.

A sweep or a grid has at most MOST_VALUES numbers and a plan at most MOST_CELLS cells, unless
`compute.values` and `compute.cells` say otherwise.
"""

OVERRIDES = """## Changing values from the command line

`--set PATH=VALUE` changes one value before the file is read; it may be repeated. The path names
tables and keys with dots between them, and an element of a list by its `name`, its `use` or its
position:

<!-- not executed: FILE stands for any scenario; tests of `--set` run such lines -->

```sh
testbed run FILE --set replicates=8 --set estimator.adaptive.model.depth=2
testbed check FILE --set 'design.n={ values = [100, 200] }' --set metric.0.times=[1.0]
```

The value is TOML; a bare word is a string. In Python, `scenario.with_("replicates=8")` and
`testbed.run(file, overrides=["replicates=8"])` do the same.
"""

PYTHON = """## From Python

```python
from testbed import Scenario

scenario = Scenario.from_dict({           # as a file would hold it; components may stand in it
    "name": "two-depths",
    "times": {"geom": [1.0, 1e4, 30]},
    "design": {"use": "sequence.gaussian", "n": 1000, "modes": 200},
    "target": {"use": "sequence.power", "p": 1.0},
    "estimator": [
        {
            "name": "adaptive",
            "model": {"use": "sequence.diagonal", "gamma": 1.5, "depth": {"values": [0, 1]}},
            "optimizer": {"use": "gradient-flow"},
        }
    ],
    "metric": [{"use": "excess-risk"}],
})
print(scenario.with_("design.n=2000"))    # TOML
scenario.save("two-depths.toml")
```
"""

TABLES: tuple[tuple[str, type], ...] = (
    ("[design]", DesignTable),
    ("[[design]]", NamedDesignTable),
    ("[target]", TargetTable),
    ("[[target]]", NamedTargetTable),
    ("[[estimator]]", EstimatorTable),
    ("[[metric]]", MetricTable),
    ("[[theory]]", TheoryTable),
    ("[[claim]]", ClaimTable),
    ("[[soundness]]", Expectation),
    ("replicates = { … }", Replication),
    ("replicates = { until = { … } }", StandardError),
    ("[compute]", Compute),
    ("[compute.dask]", Dask),
)


def reference_page() -> str:
    """The page in Markdown."""
    reserved = ", ".join(f"`{name}`" for name in sorted(RESERVED_VARIABLES)) + "."
    facts = {
        "RESERVED": textwrap.fill(reserved, 100),
        "MOST_VALUES": str(Compute().values),
        "MOST_CELLS": str(Compute().cells),
    }
    parts = [HEAD, *_table("## Top-level keys", Scenario), "## Tables", ""]
    for heading, declaration in TABLES:
        parts += _table(f"### `{heading}`", declaration)
    parts += ["## Figures", "", "A `[[figure]]` has a `kind`. " + WITHOUT, ""]
    for word, figure in FIGURES.items():
        parts += _table(f'### `kind = "{word}"`', figure)
    text = "\n".join([*parts, SWEEPS, GRIDS, OVERRIDES, PYTHON])
    for word, fact in facts.items():
        text = text.replace(word, fact)
    return text


WITHOUT = "A scenario without figures draws every kind\nthat the result has data for."


def _table(heading: str, declaration: type) -> Iterator[str]:
    """A heading, the purpose of the table, and its keys."""
    yield heading
    yield ""
    if declaration is not Scenario:
        yield " ".join((declaration.__doc__ or "").split("\n\n")[0].split())
        yield ""
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for field in fields_of(declaration):
        yield "| " + " | ".join(_row(field)) + " |"
    yield ""


def _row(field: Field) -> tuple[str, ...]:
    key = "`use`, …" if field.component and field.component.inline else f"`{field.key}`"
    unit = "" if field.info.unit == "1" else f" [{field.info.unit}]"
    return key, _values(field).replace("|", "\\|"), _default(field), field.info.help + unit


def _values(field: Field) -> str:
    """The allowed values in words."""
    if field.component:
        sweeps = "" if field.component.sweeps else ", without sweeps"
        return f"a {field.component.kind}{sweeps}".replace("a optimizer", "an optimizer")
    if field.info.form:
        return field.info.form
    tables = [f"`[{field.key}]`"] if table_in(field.type) else []
    tables += [f"`[[{field.key}]]`"] if listed_table_in(field.type) else []
    if tables:
        return " or ".join(tables)
    if field.info.choices:
        return " or ".join(f'"{word}"' for word in field.info.choices)
    return ", ".join(filter(None, (type_words(field.type), field.info.bounds())))


def _default(field: Field) -> str:
    if field.required:
        return "required"
    computed: object = field.default
    if isinstance(computed, FACTORY) and getattr(computed, "takes_self", False):
        return "depends on other keys"
    value = written(field.default_in(None))
    if value in (None, "", [], {}):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
