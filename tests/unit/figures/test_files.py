"""Figures in a folder: drawn when something changed, removed when they are of other results."""

from __future__ import annotations

import json

import pytest

import testbed.figures.kinds as kinds
from testbed.figures import draw_figures, remove_stale_figures, stored_figures, tables_of
from testbed.results.files import read_tree, write_tree
from testbed.scenario.figure import FigureSpec
from tests.helpers.trees import WIDTHS, group, tree

PATHS = FigureSpec("paths", {"of": "excess_risk"})


@pytest.fixture
def result():
    return tree(network=group({"width": list(WIDTHS)}))


def stamps(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_figures_are_drawn_again_only_if_data_or_settings_changed(result, tmp_path):
    (path,), problems = draw_figures(result, tmp_path, [PATHS])
    assert path.name == "1-excess_risk-against-time.png" and not problems
    first = stamps(tmp_path)
    assert set(first) == {path.name, "1-excess_risk-against-time.svg", "index.json"}
    assert draw_figures(result, tmp_path, [PATHS]).paths == [path] and stamps(tmp_path) == first
    named = FigureSpec("paths", {"of": "excess_risk", "title": "Another"})
    draw_figures(result, tmp_path, [named])
    assert "Another" in path.with_suffix(".svg").read_text() and stamps(tmp_path) != first
    second = stamps(tmp_path)
    draw_figures(tree(network=group({"width": list(WIDTHS)}, seed=5)), tmp_path, [named])
    assert stamps(tmp_path)[path.name] != second[path.name]
    path.unlink()
    assert draw_figures(result, tmp_path, [named]).paths == [path] and path.exists()


def test_durations_are_no_reason_to_draw_again(result, tmp_path):
    draw_figures(result, tmp_path, [PATHS])
    first = stamps(tmp_path)
    slower = result.copy()
    slower["network"]["duration"] = slower["network"]["status"] * 3.0
    draw_figures(slower, tmp_path, [PATHS])
    assert stamps(tmp_path) == first


def test_results_read_from_their_file_are_no_reason_to_draw_again(result, tmp_path):
    result["network"]["status"].attrs["looks"] = 1
    draw_figures(result, tmp_path, [PATHS])
    first = stamps(tmp_path)
    write_tree(result, tmp_path / "results.nc")
    draw_figures(read_tree(tmp_path / "results.nc"), tmp_path, [PATHS])
    (tmp_path / "results.nc").unlink()
    assert stamps(tmp_path) == first


def test_figures_of_earlier_results_do_not_stay_and_other_files_do(result, tmp_path):
    draw_figures(result, tmp_path, [PATHS])
    (tmp_path / "mine.png").write_text("mine")
    curves = FigureSpec("learning-curves", {"x": "width"})
    (path,), _ = draw_figures(result, tmp_path, [curves])
    assert {p.name for p in tmp_path.iterdir()} == {
        "mine.png", "index.json", path.name, path.with_suffix(".svg").name
    }  # fmt: skip
    remove_stale_figures(result, tmp_path, [curves])
    assert path.exists()
    remove_stale_figures(tree(network=group({"width": [10, 20]})), tmp_path, [curves])
    assert {p.name for p in tmp_path.iterdir()} == {"mine.png"}


def test_an_index_cannot_make_us_remove_files_elsewhere(result, tmp_path):
    folder = tmp_path / "figures"
    draw_figures(result, folder, [PATHS])
    victim = tmp_path / "victim.png"
    victim.write_text("x")
    index = json.loads((folder / "index.json").read_text())
    index["figures"][0] |= {"files": ["../victim.png"], "digest": "x"}
    (folder / "index.json").write_text(json.dumps(index))
    draw_figures(result, folder, [PATHS])
    assert victim.exists()
    for damaged in ("", "[]", '{"figures": 3}', '{"figures": [{"digest": 1}]}', "\x00"):
        (folder / "index.json").write_text(damaged)
        assert len(draw_figures(result, folder, [PATHS]).paths) == 1


def test_a_figure_that_cannot_be_drawn_costs_itself_and_says_why(result, tmp_path, monkeypatch):
    def broken(tree, options):
        raise RuntimeError("several\nlines of it")
        yield

    monkeypatch.setattr(kinds, "DRAWINGS", {**kinds.DRAWINGS, "spectra": broken, "sweeps": broken})
    with_spectrum = result.copy()
    with_spectrum["network"]["eigenvalue"] = result["network"]["excess_risk"].expand_dims(
        mode=[1], axis=-1
    )
    wanted = [
        FigureSpec("paths", {"of": "nosuch"}),
        FigureSpec("pathz", {}),
        FigureSpec("learning-curves", {"of": ["excess_risk", "eigenvalue"]}),
        FigureSpec("paths", {"of": "status"}),
        FigureSpec("spectra", {}),
        PATHS,
    ]
    (path,), problems = draw_figures(with_spectrum, tmp_path, wanted)
    assert path.name == "6-excess_risk-against-time.png" and len(problems) == 5
    assert all("\n" not in problem for problem in problems)
    assert "figure 5 (spectra) could not be drawn: RuntimeError: several lines of it" in problems


def test_figures_for_columns_are_pdf_as_well_and_equal_figures_are_equal_files(result, tmp_path):
    column = FigureSpec("learning-curves", {"x": "width", "size": "one-column"})
    for folder in ("a", "b"):
        draw_figures(result, tmp_path / folder, [column])
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert names == ["1-excess_risk-against-width." + s for s in ("pdf", "png", "svg")] + [
        "index.json"
    ]
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_without_tables_each_kind_with_data_is_drawn(result, tmp_path):
    assert [table.kind for table in tables_of([])] == [
        "paths",
        "learning-curves",
        "spectra",
        "profiles",
        "sweeps",
    ]
    names = {path.stem for path in draw_figures(result, tmp_path).paths}
    assert names == {"excess_risk-against-time", "excess_risk-against-width"}


def test_kinds_without_data_are_not_tried_again(result, tmp_path, monkeypatch):
    draw_figures(result, tmp_path)
    monkeypatch.setattr(kinds, "DRAWINGS", {})
    paths, problems = draw_figures(result, tmp_path)
    assert len(paths) == 2 and not problems


def test_stored_figures_are_those_of_these_results_alone(result, tmp_path):
    (path,), _ = draw_figures(result, tmp_path, [PATHS])
    (table,) = tables_of([PATHS])
    (figure,) = stored_figures(result, tmp_path, table)
    assert figure.contents["png"] == path.read_bytes() and figure.caption and figure.code
    assert not stored_figures(tree(network=group({"width": [10, 20]})), tmp_path, table)
    path.unlink()
    assert not stored_figures(result, tmp_path, table)


def test_an_index_holds_captions_and_the_lines_that_select_the_data(result, tmp_path):
    draw_figures(result, tmp_path, [PATHS])
    (entry,) = json.loads((tmp_path / "index.json").read_text())["figures"]
    assert entry["caption"].startswith("Excess risk against training time for network.")
    assert entry["code"] == "tree['network']['excess_risk'].mean(\"replicate\")"
