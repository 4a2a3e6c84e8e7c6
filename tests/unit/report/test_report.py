"""The page of a result: complete, self-contained, and safe whatever a result holds."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr

from testbed.contract.findings import Finding
from testbed.report import overview_html, report_html, write_report
from testbed.report.citations import citations
from testbed.report.settings import in_words, settings
from testbed.report.tables import best_values, cost, failures, verdict_counts, verdicts
from testbed.soundness import with_findings
from tests.helpers.reports import SCENARIO, result, stored, with_claims
from tests.helpers.trees import WIDTHS, group, lose, tree

HOSTILE = '<script>alert(1)</script><img src=x onerror="alert(2)">\'"&'
FINDING = Finding(
    check="overfitting", estimator="network", cell="width=10", points=2, judged=3,
    observation="trained too long", advice="stop earlier",
)  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    made = with_findings(result(), [FINDING])
    made = with_claims(
        made, claim=["falls", "equal", "open"], verdict=["supported", "refuted", "inconclusive"],
        estimate=[-0.5, 0.1, np.nan], reason=["", "", "two replicates are too few"],
    )  # fmt: skip
    folder = stored(made, tmp_path_factory.mktemp("report") / "run")
    return write_report([folder]).read_text()


def test_a_page_holds_all_parts_in_order(page):
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == [
        "Verdicts", "Findings", "Best values, and theory beside them", "Figures", "Settings",
        "Cost and origin", "How to cite",
    ]  # fmt: skip
    order = [
        page.index(f'<span class="word">{word}')
        for word in ("refuted", "inconclusive", "supported")
    ]
    assert order == sorted(order) and order[-1] < page.index("<h2>Findings")
    for text in (
        "A title", "Which one falls faster?", "two replicates are too few", "trained too long",
        "excess risk at the best τ against width", "tree[&#39;network&#39;]", "numpy 2.1.0",
        "eprint = {1806.07572}", "doi = {10.1000/182}", "title = {digits}", 'href="results.nc"',
        "10 to 1000, 3 values, geometric", "a day: testbed run made",
    ):  # fmt: skip
        assert text in page, text
    assert page.count("<figure>") == 2 == page.count("data:image/svg+xml;base64,")


class Requests(HTMLParser):
    """The addresses that a browser would ask for by itself, and scripts."""

    def __init__(self):
        super().__init__()
        self.addresses, self.scripts, self.handlers = [], 0, []

    def handle_starttag(self, tag, attrs):
        self.scripts += tag in ("script", "iframe", "object", "embed", "base", "form")
        for name, value in attrs:
            if name.startswith("on"):
                self.handlers.append(value)
            if name in ("src", "srcset", "poster", "background") or (
                tag == "link" and name == "href"
            ):
                self.addresses.append(value)


def test_a_page_asks_for_nothing(page):
    requests = Requests()
    requests.feed(page)
    assert not requests.scripts and not requests.handlers
    assert all(address.startswith("data:image/svg+xml") for address in requests.addresses)
    assert not re.findall(r"url\((?!#)|@import", page.split("<body>")[0])
    assert "default-src 'none'" in page


def test_hostile_text_is_shown_and_not_obeyed(tmp_path):
    dataset = group({"width": list(WIDTHS)})
    names = ("comment", "references", "source", "machine", "history", "data_name")
    texts = dict.fromkeys((*names, "component_references"), HOSTILE)
    made = result(HOSTILE, dataset=dataset, **texts)
    made["network"]["error"].values[0, 0] = HOSTILE
    made["network"]["excess_risk"].attrs["long_name"] = HOSTILE
    finding = Finding(
        check=HOSTILE, estimator=HOSTILE, cell=HOSTILE, observation=HOSTILE, advice=HOSTILE
    )
    made = with_claims(
        with_findings(made, [finding]), claim=[HOSTILE], verdict=[HOSTILE], reason=[HOSTILE]
    )
    folder = stored(made, tmp_path / 'a "b" <c>')
    text = write_report([folder], tmp_path / "page.html").read_text()
    for html in (text, overview_html(made)):
        requests = Requests()
        requests.feed(html)
        assert not requests.scripts and not requests.handlers
        assert all(address.startswith("data:image/svg+xml") for address in requests.addresses)
        assert "&lt;script&gt;alert(1)" in html


def test_several_results_stand_in_one_page_and_many_become_an_index(tmp_path):
    folders = [stored(result(f"Result {i}"), tmp_path / f"{i}") for i in range(6)]
    two = write_report(folders[:2], tmp_path / "two.html").read_text()
    assert two.count('<section class="result"') == 2 and 'href="#result-2"' in two
    (folders[3] / "report.html").write_text("there")
    larger = write_report(folders, tmp_path / "index.html").read_text()
    assert "<figure>" not in larger and 'href="3/report.html"' in larger
    assert all(f'href="{i}/results.nc"' in larger and f"Result {i}" in larger for i in range(6))


def test_a_figure_that_cannot_be_drawn_is_a_line(tmp_path):
    made = result()
    made.attrs["scenario"] = SCENARIO.replace('x = "width"', 'x = "nothing"')
    text = report_html([stored(made, tmp_path) / "results.nc"])
    assert text.count("<figure>") == 1 and "&#39;nothing&#39;" in text


def test_an_unfinished_or_bare_result_has_a_page(tmp_path):
    bare = tree(network=group({"width": [10]}, replicates=1))
    text = report_html([stored(bare, tmp_path) / "results.nc"])
    assert "The run is not finished" in text and "The scenario states no claims" in text


def test_numbers_of_the_tables():
    made = result(dataset=lose(group({"width": list(WIDTHS)}), width=100))
    dataset = made["network"].to_dataset()
    dataset["excess_risk__line"] = dataset["excess_risk"].isel(replicate=0, drop=True) * 0 + 0.1
    dataset["excess_risk__line"].attrs = {"predicts": "excess_risk"}
    dataset["error"].values[1, 0] = "it broke"
    made["network"] = xr.DataTree(dataset)
    rows = best_values(made).rows
    mean = float(dataset["excess_risk"].sel(width=10, time=10).mean())
    assert rows[0][:3] == ["network", "width=10", f"{mean:.4g}"] and rows[0][4:6] == ["10", "0.1"]
    assert rows[0][6] == f"{100 * (mean / 0.1 - 1):+.1f}%"
    assert rows[1][2] == "none" and "5 of 6 replicates are left" in rows[1][-1]
    assert failures(made) == ["network: it broke (1 replicates)"]
    assert cost(made).rows == [["network", "3", "1.5 s", "500 ms"]]


def test_verdicts_are_counted_the_worst_first():
    made = with_claims(result(), claim=list("abc"), verdict=["supported", "refuted", "supported"])
    assert verdict_counts(made) == "1 refuted, 2 supported"
    assert [row.claim for row in verdicts(made)] == ["b", "a", "c"]
    assert verdict_counts(result()) == "" and verdicts(result()) == []


def test_settings_are_words():
    rows = settings(SCENARIO)
    assert ("estimator network: model", "networks.two-layer", "width = 10, 100, 1000") in rows
    assert ("design", "sphere", "n = 10 to 1000, 3 values, geometric") in rows
    assert ("seed", "", "7") in rows and ("metric", "excess-risk", "") in rows
    assert (
        in_words({"linspace": [0, 1, 5], "include": [2]})
        == "0 to 1, 5 values, evenly spaced, and 2"
    )
    assert in_words(True) == "yes" and settings("broken [") == []


def test_citations_are_bibtex_whose_braces_balance():
    made = result(references="arXiv:2409.00894, A {book}} of {ours", data_name="")
    for entry in citations(made):
        assert entry.count("{") == entry.count("}") and entry.startswith("@")
    keys = [entry.split("{")[1].split(",")[0] for entry in citations(made)]
    assert keys == [
        "arxiv-2409.00894",
        "ref-a-book-of-ours",
        "arxiv-1806.07572",
        "doi-10.1000/182",
        "testbed",
    ]
