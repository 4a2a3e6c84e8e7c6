"""Run cells one after another, in this process or in workers: draw, train, measure.

Other packages use `running.executors` (many cells), `running.execute` (one cell),
`running.batching` (from one replicate to many), `running.paths` (one estimator in training),
`running.costs`, `running.calibration` and `running.state_sizes` (what a plan will take),
`running.pool` (processes that stay between the rounds of a run), `running.progress` and
`running.notebooks` (how far a run is), `running.guarded` (results of cells that did not finish),
`running.interrupts` (signals that end a run) and `running.postponed` (libraries that are loaded
when they are first used).
"""
