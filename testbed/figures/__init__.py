"""Figures drawn from results alone: a folder of files, or contents in memory for a report.

    files = draw_figures(tree, "runs/quickstart/figures", specs)     # .paths, .problems
    for figure in fill(tree, table, ["svg"]): ...                    # .contents, .caption, .code

`[[figure]]` tables say which (docs/figures.md); their kinds are declared in `contract/figures.py`.
Matplotlib is imported when something is drawn.
"""

from testbed.figures.drawing import Table, fill, one_line, table_problems, tables_of
from testbed.figures.files import FigureFiles, draw_figures, remove_stale_figures, stored_figures

__all__ = [
    "FigureFiles",
    "Table",
    "draw_figures",
    "fill",
    "one_line",
    "remove_stale_figures",
    "stored_figures",
    "table_problems",
    "tables_of",
]
