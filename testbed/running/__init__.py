"""Run cells one after another, in this process or in workers: draw, train, measure.

Others use `running.executors` (many cells), `running.execute` (one cell), `running.batching` (from
one replicate to many) and `running.costs` (what a plan will take).
"""
