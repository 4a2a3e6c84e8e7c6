"""From a scenario to cells: points of its sweeps, what is measured where, keys and sizes.

Others use `planning.files` (`load_scenario`), `planning.plan` (`make_plan`, `Plan`),
`planning.fitting` (what fits what) and `planning.places` (where in the file a part of a cell
stands).
"""
