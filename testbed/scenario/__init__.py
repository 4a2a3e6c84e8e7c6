"""A scenario file as declared tables: read strictly, changed, written back, and described.

    declaration.py  how a table is declared        tables.py, figure.py  the tables
    document.py     text and its bounds            overrides.py          `--set`
    reader.py       read what is declared          writer.py             write it back
    component.py    a component as written         sweep.py, value.py    its values
    scenario.py     a scenario as a whole          schema.py, reference.py  JSON Schema, page

Every function that reads returns `(value, mistakes)`. Other packages use `scenario.scenario`
(`Scenario`), `scenario.tables`, `scenario.replication` and `scenario.figure`; `scenario.component`,
`scenario.sweep`, `scenario.reader` and `scenario.document` for planning; `scenario.making` for the
conformance kit; `scenario.schema`, `scenario.reference` and `scenario.example` for commands.
"""
