"""Results as pages that can be sent, printed and cited, and two results side by side.

write_report([path], "report.html")       # one self-contained page, no network
comparison(tree_a, tree_b)                 # what differs: scenario, numbers, versions, verdicts
overview_html(tree)                        # what a notebook shows of a result
"""

from testbed.report.compare import comparison
from testbed.report.page import overview_html, report_html, write_report

__all__ = ["comparison", "overview_html", "report_html", "write_report"]
