"""Turn results of cells into labelled trees and files: record, journal, results.nc, provenance.

Other packages use `results.record`, `results.files`, `results.groups` and `results.read_only` for
labelled results; `results.store`, `results.resume`, `results.forecast`, `results.current`,
`results.status`, `results.merge`, `results.states` and `results.reuse` for the folder of a run;
`results.verify`, `results.replay`, `results.export` for commands.
"""
