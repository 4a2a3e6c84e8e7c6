"""From a scenario to cells, in stages: expand, build, select, divide, judge.

Each stage returns `(value, mistakes)`; `plan.py` lists them in order, and a scenario passes through
each once. Other packages use `planning.files` (`load_scenario`), `planning.plan` (`make_plan`,
`Plan`), `planning.dimensions`, `planning.fitting` (what fits what), `planning.claims` (what claims
ask for), `planning.keys`, `planning.code`, `planning.source`, `planning.origin`,
`planning.contents` (what a cell's numbers depend on), `planning.agreement` (whether another process
has the same code) and `planning.cache` (the folder of what this machine remembers).
"""
