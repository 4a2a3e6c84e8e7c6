"""One cell after another: draw, train, measure; here, or in worker processes.

Others use `running.executors` (many cells), `running.execute` (one cell), `running.batching` (from
one replicate to many) and `running.costs` (what a plan will take).
"""
