"""The page of a result, or of several: rendered from templates that escape all text."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from attrs import field, frozen
from jinja2 import Environment, FileSystemLoader

from testbed.claims import allowed_text, found_text, level_text
from testbed.figures import Table, fill, one_line, stored_figures, table_problems, tables_of
from testbed.report import tables
from testbed.report.citations import arxiv_links, citations
from testbed.report.settings import document_of, settings
from testbed.results.files import read_tree
from testbed.results.store import REPORT
from testbed.scenario.scenario import read_figures
from testbed.soundness import read_findings

if TYPE_CHECKING:
    import xarray as xr

    from testbed.contract.findings import Finding

MOST_DRAWN = 4  # results whose figures one page holds; more become an index
TEMPLATES = Path(__file__).parent / "templates"
SEVERITIES = ("problem", "warning", "note", "expected")


@frozen
class FigurePart:
    """A figure of the page; `image` is an SVG as a data address, empty if it could not be drawn."""

    image: str
    caption: str
    code: str


@frozen
class ResultPart:
    """One result as the page shows it."""

    identity: str
    title: str
    tree: xr.DataTree = field(repr=False)
    link: str = ""  # to the data, relative to the page
    page: str = ""  # to the result's own report, if there is one
    figures: Sequence[FigurePart] = ()

    @property
    def attrs(self) -> Mapping[str, object]:
        """The attributes of the result."""
        return {str(name): value for name, value in self.tree.attrs.items()}

    @property
    def findings(self) -> list[Finding]:
        """The findings of the soundness checks, the most severe first, expected ones last."""
        order = {word: i for i, word in enumerate(SEVERITIES)}
        return sorted(read_findings(self.tree), key=lambda finding: order[finding.severity])

    @property
    def examined(self) -> bool:
        """Whether the run was finished, so that its soundness was looked at."""
        return "soundness" in self.tree.children

    @property
    def finding_counts(self) -> str:
        """The number of findings of each severity."""
        words = [finding.severity for finding in self.findings]
        counts = {word: words.count(word) for word in SEVERITIES}
        return ", ".join(f"{count} {word}" for word, count in counts.items() if count)

    @property
    def references(self) -> list[tuple[str, str]]:
        """The scenario's references, each with its address."""
        listed = str(self.attrs.get("references", "")).split(", ")
        return arxiv_links(filter(None, listed))


def write_report(results: Sequence[str | Path], output: str | Path | None = None) -> Path:
    """Write the report of results (run folders or result files) and return its path.

    Without `output` it is `report.html` next to a single result, or in the working directory for
    several. A page of up to four results holds their figures; one of more is an index.
    """
    paths = [_file(Path(result)) for result in results]
    target = Path(output) if output else _default(paths)
    text = report_html(paths, target.parent)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(target)
    return target


def report_html(paths: Sequence[Path], folder: Path = Path()) -> str:
    """The page of result files as HTML; links to data are relative to `folder`."""
    drawn = len(paths) <= MOST_DRAWN
    parts = [_part(path, i, folder, drawn) for i, path in enumerate(paths, start=1)]
    return render("report.html", parts=parts, full=drawn)


def overview_html(tree: xr.DataTree) -> str:
    """Title, verdicts, best values and findings of a result, for a notebook."""
    return render("overview.html", part=ResultPart("overview", _title(tree), tree))


def render(template: str, **context: object) -> str:
    """A template as text, with the functions that all of them use."""
    return _environment().get_template(template).render(**context, tables=tables)


@cache
def _environment() -> Environment:
    """Templates in which all text is escaped, whatever a result holds."""
    environment = Environment(
        autoescape=True,
        loader=FileSystemLoader(TEMPLATES),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"settings": settings, "citations": citations}
    environment.filters |= {
        "versions": versions,
        "found": found_text,
        "allowed": allowed_text,
        "level": level_text,
    }
    return environment


def _file(path: Path) -> Path:
    return path / "results.nc" if path.is_dir() else path


def _default(paths: Sequence[Path]) -> Path:
    return paths[0].parent / REPORT if len(paths) == 1 else Path(REPORT)


def _part(path: Path, position: int, folder: Path, drawn: bool) -> ResultPart:
    tree = read_tree(path)
    link = os.path.relpath(path, folder)
    beside = path.parent / REPORT
    page = quote(os.path.relpath(beside, folder)) if not drawn and beside.is_file() else ""
    figures = list(_figures(tree, path.parent / "figures")) if drawn else []
    return ResultPart(f"result-{position}", _title(tree), tree, quote(link), page, figures)


def _title(tree: xr.DataTree) -> str:
    name = document_of(str(tree.attrs.get("scenario", ""))).get("name", "result")
    return str(tree.attrs.get("title") or name)


def _figures(tree: xr.DataTree, folder: Path) -> Iterator[FigurePart]:
    """The figures that the scenario asks for, as the run drew them or drawn now; one that cannot
    be drawn is a line."""
    for table in tables_of(read_figures(str(tree.attrs.get("scenario", "")))):
        problems = table_problems(tree, table)
        try:
            yield from [] if problems else _contents(tree, folder, table)
        except Exception as error:  # a figure that fails does not stop the report
            problems = [f"{table.named()} could not be drawn: {one_line(error)}"]
        for problem in problems:
            yield FigurePart("", problem, "")


def _contents(tree: xr.DataTree, folder: Path, table: Table) -> Iterator[FigurePart]:
    """The figures of one table."""
    for figure in stored_figures(tree, folder, table) or fill(tree, table, ["svg"]):
        image = base64.b64encode(figure.contents["svg"]).decode("ascii")
        address = f"data:image/svg+xml;base64,{image}"
        yield FigurePart(address, figure.caption, figure.code)


def versions(source: object) -> list[tuple[str, str]]:
    """The names and versions in a result's attribute `source`."""
    pairs = [part.strip().partition(" ") for part in str(source).split(",")]
    return [(name, version) for name, _, version in pairs if name]
