"""The analyst's notebook, cell by cell, on a small quickstart."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

import testbed

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "examples" / "notebooks" / "paper-figure.ipynb"


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """The value of each code cell, as a notebook would show it."""
    folder = tmp_path_factory.mktemp("notebook")
    small = ["replicates=4", "design.modes=200"]
    testbed.run(ROOT / "scenarios" / "quickstart.toml", folder / "runs/quickstart", overrides=small)
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    codes = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    names: dict[str, object] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        values = [value_of(code, names) for code in codes]
    return folder, codes, values


def value_of(code: str, names: dict[str, object]) -> object:
    """Run a cell; the value of its last line, if that is an expression."""
    body = ast.parse(code).body
    last = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None


def test_a_paper_figure_takes_ten_lines_from_the_file(answers):
    folder, codes, _ = answers
    assert codes[1].startswith("tree = xr.open_datatree") and len(codes[1].splitlines()) <= 10
    figure = (folder / "learning-curves.pdf").read_bytes()
    assert figure.startswith(b"%PDF") and len(figure) > 5000


def test_a_tree_shows_its_verdicts_in_a_notebook(answers):
    _, _, values = answers
    html = values[2]._repr_html_()
    assert "learned-below-fixed" in html and "supported" in html
    assert "<script" not in html and "http" not in html.split("arxiv")[0].split("href")[0]


def test_the_last_cell_is_a_table_of_slopes(answers):
    assert set(answers[2][3].data_vars) >= {"estimate", "lower", "upper", "reason"}


def test_the_page_shows_what_the_notebook_does(answers):
    page = (ROOT / "docs" / "paper-figure.md").read_text(encoding="utf-8")
    assert answers[1][1] in page


def test_progress_and_figures_are_asked_for(tmp_path, capsys):
    overrides = ["replicates=2", "design.modes=64"]
    file = ROOT / "scenarios" / "quickstart.toml"
    testbed.run(file, tmp_path, overrides=overrides, progress=True, figures=True)
    assert "quickstart: 30 cells" in capsys.readouterr().err
    assert list((tmp_path / "figures").glob("*.svg"))
