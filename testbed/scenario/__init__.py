"""A scenario file as declared tables: read strictly, changed, written back, and described.

    declaration.py  how a table is declared        tables.py, figure.py  the tables
    document.py     text and its bounds            overrides.py          `--set`
    reader.py       read what is declared          writer.py             write it back
    component.py    a component as written         sweep.py, value.py    its values
    scenario.py     a scenario as a whole          schema.py, reference.py  JSON Schema, page

Every function that reads returns `(value, mistakes)`. Others use `scenario.scenario` (`Scenario`),
`scenario.tables`, `scenario.figure`, and `scenario.component` and `scenario.sweep` for planning.
"""
