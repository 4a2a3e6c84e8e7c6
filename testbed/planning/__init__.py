"""From a scenario to cells, in stages: expand, build, select, divide, judge.

Each stage returns `(value, mistakes)`; `plan.py` lists them in order, and a scenario passes through
each once. Other packages use `planning.files` (`load_scenario`), `planning.plan` (`make_plan`,
`Plan`), `planning.fitting` (what fits what), `planning.keys`, and `planning.places` (where in the
file a part of a cell stands).
"""
