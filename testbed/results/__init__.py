"""From the results of cells to labelled trees and files: record, journal, results.nc, provenance.

Others use `results.record`, `results.store` and `results.groups`.
"""
