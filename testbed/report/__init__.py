"""Results as pages that can be sent, printed and cited, and two results side by side.

write_report([path], "report.html")       # one self-contained page, no network
comparison(tree_a, tree_b)                 # what differs: scenario, numbers, versions, verdicts
overview_html(tree)                        # what a notebook shows of tree.testbed
"""

from testbed.analysis.accessor import TreeAccessor
from testbed.report.compare import comparison
from testbed.report.page import overview_html, report_html, write_report

TreeAccessor.html = staticmethod(overview_html)

__all__ = ["comparison", "overview_html", "report_html", "write_report"]
