"""Real data: drawn as asked, coded as regression, and scored against labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attrs import evolve
from sklearn import datasets
from sklearn.kernel_ridge import KernelRidge

from testbed.contract.seeds import Streams
from testbed.contract.values import Data, Problem
from testbed.errors import UnsuitableError
from testbed.running.execute import execute_cell
from testbed.testing import Kernel, NumericFlow, check_component
from testbed_basics.designs import pools
from testbed_basics.designs.dataset import Dataset
from testbed_basics.designs.downloads import DOWNLOADS
from testbed_basics.designs.points import Gaussian
from testbed_basics.metrics.labels import Misclassification, TestError
from testbed_basics.metrics.risks import ExcessRisk
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.targets.labels import Labels
from testbed_basics.targets.linear import Linear
from tests.helpers.archives import fashion
from tests.helpers.cells import make_cell, run_cell
from tests.helpers.kernels import Rbf, Ridge

DIGITS = Dataset(data="digits", n=30, n_test=20)
TWO = Dataset(data="digits", classes=(3, 8), n=30, n_test=20, noise=0.2)
DIABETES = Dataset(data="diabetes", n=30, n_test=20)


def saved(path, x, y):
    np.savez(path, x=x, y=y)
    return str(path)


def image_file(folder, labels=(5, 7, 9)):
    """40 colour images of 4×3 pixels."""
    rng = np.random.Generator(np.random.Philox(4))
    x = rng.integers(0, 256, (40, 3, 4, 3), dtype=np.uint8)
    return saved(folder / "mine.npz", x, np.resize(labels, 40))


# --- what is drawn --------------------------------------------------------------------------------


@pytest.mark.parametrize("design", [DIGITS, TWO, DIABETES], ids=lambda design: str(design.classes))
def test_data_sets_keep_the_laws(design):
    check_component(design)
    check_component(Labels(), design=design)


def test_digits_are_those_of_scikit_learn():
    theirs = datasets.load_digits()
    sample = evolve(DIGITS, n=1500, n_test=297, standardise=False).draw(Streams(1, 0))
    ours = np.concatenate([sample.x, sample.test_x]) * 16
    labels = np.concatenate([sample.label, sample.test_label]).argmax(1)
    order, second = np.lexsort(ours.T), np.lexsort(theirs.data.T)
    assert np.array_equal(ours[order], theirs.data[second])
    assert np.array_equal(labels[order], theirs.target[second])


def test_standardising_brings_to_mean_zero_and_variance_one():
    everything = evolve(DIABETES, n=441, n_test=1).draw(Streams(1, 0))
    x = np.concatenate([everything.x, everything.test_x])
    theirs = datasets.load_diabetes().data * np.sqrt(442)  # centred, scaled by scikit-learn
    np.testing.assert_allclose(np.sort(x, 0), np.sort(theirs, 0), atol=1e-10)
    label = np.concatenate([everything.label, everything.test_label])
    assert abs(label.mean()) < 1e-12 and abs(label.std() - 1) < 1e-12


def test_labels_of_numbers_stay_as_they_are_without_standardising():
    sample = evolve(DIABETES, standardise=False).draw(Streams(1, 0))
    assert sample.label.min() >= 25 and sample.label.max() <= 346


def test_two_classes_are_signs_in_the_order_given():
    sample, turned = (
        evolve(TWO, classes=classes).draw(Streams(1, 0)) for classes in ((3, 8), (8, 3))
    )
    assert sample.label.shape == (30,) and set(sample.label) == {-1.0, 1.0}
    assert np.array_equal(sample.x, turned.x) and np.array_equal(sample.label, -turned.label)


def test_several_classes_are_one_hot_and_centred():
    sample = evolve(DIGITS, classes=(1, 5, 7)).draw(Streams(1, 0))
    assert sample.label.shape == (30, 3) and sample.noise.shape == (30, 3)
    np.testing.assert_allclose(sample.label.sum(1), 0, atol=1e-15)
    np.testing.assert_allclose(np.sort(sample.label, 1), [[-1 / 3, -1 / 3, 2 / 3]] * 30)


def test_training_and_test_points_are_disjoint_and_growing_ones_extend():
    smaller, larger = (evolve(DIGITS, n=n).draw(Streams(1, 2)) for n in (30, 900))
    tested = evolve(DIGITS, n_test=80).draw(Streams(1, 2))
    assert np.array_equal(larger.x[:30], smaller.x) and np.array_equal(
        larger.test_x, smaller.test_x
    )
    assert np.array_equal(tested.test_x[:20], smaller.test_x)
    observed = {row.tobytes() for row in larger.x}
    assert not any(row.tobytes() in observed for row in smaller.test_x)
    assert not np.array_equal(smaller.x, DIGITS.draw(Streams(1, 3)).x)


def test_noise_is_added_to_the_labels_by_the_target():
    sample = TWO.draw(Streams(1, 0))
    problem = Labels().problem(None, sample)
    assert np.array_equal(problem.train.y, sample.label + sample.noise)
    assert sample.noise.std() > 0.1 and problem.noise == pytest.approx(0.04 / 30)
    assert np.isnan(problem.train.truth).all() and problem.test.truth.shape == (20,)


def test_inputs_can_have_length_one():
    sample = evolve(DIGITS, unit=True).draw(Streams(1, 0))
    np.testing.assert_allclose((sample.x**2).sum(1), 1, rtol=1e-12)


# --- images ---------------------------------------------------------------------------------------


def test_images_keep_their_shape_unless_flattened(tmp_path):
    path = image_file(tmp_path)
    design = Dataset(data="file", path=path, n=30, n_test=10, flatten=False, standardise=False)
    sample = design.draw(Streams(1, 0))
    flat = evolve(design, flatten=True).draw(Streams(1, 0))
    assert sample.x.shape == (30, 3, 4, 3) and flat.x.shape == (30, 36)
    assert np.array_equal(sample.x.reshape(30, -1), flat.x)
    assert sample.x.max() <= 255 and design.space().labels == "classes"
    check_component(evolve(design, n=10))


@pytest.mark.parametrize("grayscale", [False, True])
def test_moments_of_images_are_those_of_all_pixels(grayscale, tmp_path, monkeypatch):
    """Gathered in chunks of 7 images against numpy on the whole."""
    monkeypatch.setattr(pools, "CHUNK", 7)
    path = image_file(tmp_path)
    design = Dataset(data="file", path=path, n=39, n_test=1, flatten=False, grayscale=grayscale)
    sample = design.draw(Streams(1, 0))
    x = np.concatenate([sample.x, sample.test_x])
    assert x.shape[1] == (1 if grayscale else 3)
    np.testing.assert_allclose(x.mean((0, 2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(x.std((0, 2, 3)), 1, rtol=1e-12)


def test_grayscale_is_the_luminance(tmp_path):
    x = np.zeros((6, 3, 1, 1))
    x[:, 0] = 1.0
    path = saved(tmp_path / "red.npz", x, np.arange(6) % 2)
    design = Dataset(data="file", path=path, n=4, n_test=2, grayscale=True, standardise=False)
    np.testing.assert_allclose(design.draw(Streams(1, 0)).x, 0.299)


def test_the_split_of_the_authors_is_kept(tmp_path):
    images = fashion(tmp_path)
    design = Dataset(
        data="fashion-mnist", path=str(tmp_path), n=12, n_test=6, standardise=False, flatten=False
    )
    sample = design.draw(Streams(1, 0))
    for x, (pixels, _) in zip((sample.x, sample.test_x), images.values(), strict=True):
        ours = np.round(x[:, 0] * 255).astype(np.uint8).reshape(len(x), -1)
        theirs = pixels.reshape(len(x), -1)
        assert np.array_equal(ours[np.lexsort(ours.T)], theirs[np.lexsort(theirs.T)])
    check_component(evolve(design, n=6, n_test=3))


def test_a_file_that_changes_is_read_again(tmp_path):
    import os

    path = saved(tmp_path / "a.npz", np.ones((4, 1)), np.zeros(4))
    design = Dataset(data="file", path=path, n=2, n_test=1, standardise=False)
    assert design.draw(Streams(1, 0)).x.tolist() == [[1.0], [1.0]]
    saved(tmp_path / "a.npz", 2 * np.ones((4, 1)), np.zeros(4))
    os.utime(path, (1e9, 1e9))
    assert design.draw(Streams(1, 0)).x.tolist() == [[2.0], [2.0]]


def test_licence_and_source_are_stated():
    for data in ("digits", "diabetes", "fashion-mnist", "cifar-10"):
        attributes = Dataset(data=data, n=5).attributes()
        assert set(attributes) == {"name", "source", "licence"} and all(attributes.values())
    assert Dataset(data="file", path="a.npz", n=5).attributes()["source"] == "a.npz"


# --- what cannot work -----------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["x", "y"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_in_data_fails_the_cell_and_names_the_data(where, bad, tmp_path):
    arrays = {"x": np.ones((9, 2)), "y": np.ones(9)}
    arrays[where][3] = bad
    path = saved(tmp_path / "bad.npz", **arrays)
    design = Dataset(data="file", path=path, n=5, n_test=2)
    cell = make_cell(design, Labels(), Kernel(), NumericFlow(), (0.0,), [TestError()])
    error = execute_cell(cell).error
    assert f"the data 'file' ({path})" in error and "NaN or infinite" in error


@pytest.mark.parametrize(
    ("design", "message"),
    [
        (
            evolve(DIGITS, n=1778),
            r"found n \+ n_test = 1798, expected at most 1797, .* 'digits' has; lower n or n_test",
        ),
        (evolve(TWO, n=400), r"expected at most 357, as many points of the classes \[3, 8\]"),
        (evolve(DIGITS, classes=(3, 11)), r"classes \[11\] .* at least two of \[0, 1, 2"),
        (evolve(DIABETES, classes=(1, 2)), "whose labels are numbers, expected none"),
        (evolve(DIABETES, grayscale=True), "expected images"),
        (
            Dataset(data="file", path="none.npz", n=2),
            "found no file none.npz in .*, expected a .npz",
        ),
    ],
)
def test_what_the_data_cannot_give_is_refused(design, message):
    with pytest.raises(UnsuitableError, match=message):
        design.draw(Streams(1, 0))


@pytest.mark.parametrize("data", ["fashion-mnist", "cifar-10"])
def test_data_that_are_not_there_say_where_they_belong(data, tmp_path, monkeypatch):
    """All of the missing files, and the helper that fetches them."""
    monkeypatch.setenv("TESTBED_DATA", str(tmp_path))
    with pytest.raises(UnsuitableError, match=f"in {tmp_path}/{data}; .*MD5.*digits") as caught:
        Dataset(data=data, n=5).draw(Streams(1, 0))
    for file, md5 in DOWNLOADS[data].files.items():
        assert f"{DOWNLOADS[data].url}{file} (MD5 {md5})" in str(caught.value)
    files = ", ".join(DOWNLOADS[data].files)
    assert str(caught.value).startswith(f"found no {files} in {tmp_path}")
    assert f"`python -m testbed_basics.designs.downloads {data} {tmp_path}/{data}`" in str(
        caught.value
    )


def test_only_files_that_are_missing_are_named(tmp_path):
    *remaining, last = DOWNLOADS["fashion-mnist"].files
    for file in remaining:
        (tmp_path / file.removesuffix(".gz")).touch()
    with pytest.raises(UnsuitableError, match=f"^found no {last} in {tmp_path};.*put it there"):
        Dataset(data="fashion-mnist", path=str(tmp_path), n=5).draw(Streams(1, 0))


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (np.ones((4, 2)), np.ones(3)),
        (np.ones(4), np.ones(4)),
        (np.ones((0, 2)), np.ones(0)),
        (np.array([["a"]]), np.ones(1)),
        (np.ones((4, 2)), np.array([None] * 4)),
    ],
)
def test_files_of_other_arrays_are_refused(x, y, tmp_path):
    design = Dataset(data="file", path=saved(tmp_path / "a.npz", x, y), n=1, n_test=1)
    with pytest.raises(UnsuitableError, match=r"a\.npz, expected"):
        design.draw(Streams(1, 0))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_test": -1}, "n_test: found -1; expected a number at least 0"),
        ({"n": 0}, "n: found 0"),
        ({"data": "mnist"}, "data: found 'mnist'; expected one of"),
        ({"data": "file"}, "path: found none"),
        ({"path": "here"}, "path: found 'here'; expected none"),
        ({"classes": (1,)}, "classes: found"),
        ({"classes": (1, 1)}, "classes: found"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Dataset(**{"n": 5, **fields})


def test_labels_need_a_data_set():
    design = Gaussian(dim=2, n=4)
    sample = design.draw(Streams(1, 0))._replace(design=design)
    with pytest.raises(UnsuitableError, match="labels: found the design gaussian, which has no"):
        Labels().problem(None, sample)


# --- metrics --------------------------------------------------------------------------------------


def scored(y, predictions, metric):
    y, predictions = torch.tensor(y), torch.tensor(predictions)
    data = Data(torch.zeros(len(y), 1), y, y, torch.full((len(y),), 1 / len(y)))
    (value,) = metric.measure(Problem(data, data, torch.tensor(0.0), {}), predictions).values()
    return float(value)


def test_misclassification_by_hand():
    first, several = [1.0, -1.0, -1.0, 1.0], [[0.5, -0.5], [-0.5, 0.5]]
    assert scored(first, [0.1, -3.0, 2.0, 0.0], Misclassification()) == 0.5
    assert scored(several, [[0.3, 0.2], [5.0, 4.0]], Misclassification()) == 0.5


def test_test_error_by_hand():
    assert scored([1.0, -1.0], [0.0, 2.0], TestError()) == 5.0
    assert scored([[1.0, 0.0], [0.0, 1.0]], [[1.0, 1.0], [0.0, 3.0]], TestError()) == 2.5


@pytest.mark.parametrize("design", [TWO, DIGITS], ids=lambda design: str(design.classes))
def test_label_metrics_keep_the_laws(design):
    partners = {"design": design, "target": Labels(), "model": Rbf(), "optimizer": Ridge()}
    check_component(TestError(), **partners)
    check_component(Misclassification(), **partners)


def test_test_error_is_excess_risk_plus_noise():
    design = Gaussian(dim=3, n=20, n_test=20_000, noise=0.7)
    result = run_cell(
        design, Linear(), Kernel(), GradientFlow(), (3.0,), [TestError(), ExcessRisk()]
    )
    difference = result["test_error"] - result["excess_risk"]
    np.testing.assert_allclose(difference, 0.49, atol=0.05)


def test_kernel_ridge_on_digits_is_that_of_scikit_learn():
    """Both metrics from data to number, against the library's own fit on the same points."""
    metrics = [TestError(), Misclassification()]
    for design in (TWO, evolve(DIGITS, n=120, n_test=60)):
        result = run_cell(design, Labels(), Rbf(), Ridge(), (40.0,), metrics, replicates=2, seed=7)
        for replicate in range(2):
            problem = Labels().problem(None, design.draw(Streams(7, replicate)))
            train, test = problem.train, problem.test
            theirs = KernelRidge(alpha=design.n / 40.0, kernel="rbf", gamma=0.005)
            fitted = theirs.fit(train.x, train.y).predict(test.x)
            squares = ((fitted - test.y) ** 2).reshape(design.n_test, -1).sum(1).mean()
            if fitted.ndim == 1:
                wrong = np.mean((fitted > 0) != (test.y > 0))
            else:
                wrong = np.mean(fitted.argmax(1) != test.y.argmax(1))
            np.testing.assert_allclose(result["test_error"][replicate, 0], squares, rtol=1e-8)
            assert result["misclassification"][replicate, 0] == pytest.approx(wrong)


def test_metrics_say_where_they_do_not_apply():
    def cell(design, target):
        return make_cell(design, target, Kernel(), NumericFlow(), (0.0,), [TestError()])

    on_digits, on_diabetes = cell(DIGITS, Labels()), cell(DIABETES, Labels())
    on_points = cell(Gaussian(dim=2, n=4), Linear())
    assert ExcessRisk().applies(on_points) is None
    assert "labels has no known true function; use test-error" in str(
        ExcessRisk().applies(on_digits)
    )
    assert Misclassification().applies(on_digits) is None
    assert "numbers, not classes" in str(Misclassification().applies(on_diabetes))
    assert "is a function" in str(Misclassification().applies(on_points))
    missing = cell(Dataset(data="file", path="none.npz", n=2), Labels())
    assert Misclassification().applies(missing) is None  # the plan refuses the missing file itself


def test_a_known_truth_of_one_output_is_no_truth_of_ten_classes():
    noisy = evolve(DIGITS, noise=0.1)
    cell = make_cell(noisy, Linear(), Kernel(), NumericFlow(), (0.0,), [ExcessRisk()])
    error = execute_cell(cell).error
    assert "found noise of shape (30, 10) for a truth of shape (30,)" in error
    assert 'take the target "labels"' in error
