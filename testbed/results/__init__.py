"""Turn results of cells into labelled trees and files: record, journal, results.nc, provenance.

Others use `results.record`, `results.store` and `results.groups`.
"""
