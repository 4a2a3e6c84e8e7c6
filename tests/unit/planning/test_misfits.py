"""What makes no sense on a design's points is refused while planning, at its place in the file."""

from __future__ import annotations

import pytest
from attrs import frozen

from testbed.contract.expansions import drawn_expansion
from testbed.contract.spaces import Space, narrow_misfit
from testbed.loading import load_registry
from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from testbed_basics.designs.points import Sphere
from testbed_basics.targets.hermite import SingleIndex
from testbed_ntk.models.stationary import Rbf
from tests.helpers.misfit_scenario import DATA, GAUSSIAN, RBF, SEQUENCE, TORUS, scenario
from tests.helpers.mistakes import mistakes_of


def mistakes(text):
    return mistakes_of(lambda: make_plan(read_scenario(text, "s.toml")))


FIXED = '{ use = "sequence.fixed" }'
MODEL, TARGET = "$.estimator[0].model", "$.target"
MISFITS = [
    (dict(model='use = "sequence.fixed"'), MODEL, "found sequence.fixed on points of the unit sph"),
    (dict(model='use = "ntk.torus"'), MODEL, "expected points of the torus"),
    (
        dict(design=SEQUENCE, target='use = "sequence.power"\np = 1.0'),
        MODEL,
        "found ntk.rbf on the coefficients of a sequence; expected points",
    ),
    (
        dict(design=SEQUENCE, model='use = "sequence.fixed"'),
        TARGET,
        "found single-index on the coefficients of a sequence",
    ),
    (
        dict(design=GAUSSIAN, target='use = "gegenbauer"\ndegrees = [1, 2]'),
        TARGET,
        "found gegenbauer on points of R^d; expected points of the unit sphere",
    ),
    (
        dict(design=GAUSSIAN, target='use = "source"\nkernel = "estimator:k"\nsmoothness = 1.0'),
        TARGET,
        "found source on points of R^d; expected points of the unit sphere or points of the torus",
    ),
    (
        dict(design=TORUS, target=f'use = "source"\nkernel = {RBF}\nsmoothness = 1.0'),
        "$.target.kernel",
        "population spectrum is known for this kernel: sphere",
    ),
    (
        dict(target='use = "polynomial"\nexponents = [[0, 0, 0, 0, 0, 0, 1]]'),
        "$.target.exponents",
        "found an exponent of the coordinate x7 on points of 5 coordinates; expected at most 5",
    ),
    (
        dict(target='use = "multi-index"\ndirections = 10'),
        "$.target.directions",
        "found 10 orthonormal directions on points of 5 coordinates",
    ),
    (dict(target='use = "linear"\nfeatures = 6'), "$.target.features", "6 coefficients"),
    (dict(target='use = "indicator-product"'), TARGET, "a function of x₅"),
    (
        dict(target='use = "trigonometric"\nfrequencies = [[0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]'),
        "$.target.frequencies",
        "along 6 coordinates",
    ),
    (
        dict(target='use = "gegenbauer"\ndegrees = [1]\ndirections = 9'),
        "$.target.directions",
        'take direction = "drawn"',
    ),
    (dict(target='use = "labels"'), TARGET, "which have no labels; expected a data set"),
    (
        dict(design=DATA, target=f'use = "kernel-function"\nkernel = {RBF}'),
        "$.target.centres",
        "found 20 centres among 12 training points",
    ),
    (
        dict(
            design=SEQUENCE,
            target='use = "sequence.block"\ncount = 11',
            model='use = "sequence.fixed"',
        ),
        "$.target.count",
        "found indices up to 11 in a sequence of 10 coefficients",
    ),
    (
        dict(
            design=SEQUENCE,
            target='use = "sequence.linear-coefficients"',
            model='use = "sequence.fixed"',
        ),
        TARGET,
        "expected the design sequence.linear-model",
    ),
    (
        dict(model='use = "ntk.rbf", bandwidth = [1.0, 2.0]'),
        f"{MODEL}.bandwidth",
        "found 2 lengths",
    ),
    (
        dict(model=f'use = "ntk.sum", first = {RBF}, second = {{ use = "ntk.torus" }}'),
        f"{MODEL}.second",
        "found ntk.torus on points of the unit sphere",
    ),
    (
        dict(model=f'use = "adaptive.sequence-twin", basis = "given", of = {RBF}'),
        f"{MODEL}.of",
        "found ntk.rbf on the coefficients of a sequence",
    ),
    (
        dict(model='use = "adaptive.diagonal", basis = "torus", gamma = 1.5'),
        f"{MODEL}.basis",
        "with the basis torus on points of the unit sphere",
    ),
    (
        dict(
            design=GAUSSIAN,
            model='use = "adaptive.diagonal", basis = "hermite", gamma = 1.5, scale = 2.0',
        ),
        f"{MODEL}.scale",
        "expected the design's scale, 1",
    ),
    (dict(model='use = "adaptive.directional"'), MODEL, "found adaptive.directional on points"),
    (
        dict(
            design='use = "torus"\ndim = 9\nn = 50',
            target='use = "linear"',
            model='use = "ntk.torus"',
        ),
        f"{MODEL}.frequencies",
        "expected at most",
    ),
    (
        dict(model='use = "adaptive.diagonal", basis = "sphere", gamma = 1.5'),
        f"{MODEL}.truth",
        "the expansion of single-index on sphere has no weights",
    ),
    (
        dict(model=f'use = "adaptive.sequence-twin", basis = "sphere", of = {FIXED}'),
        f"{MODEL}.truth",
        'give truth = "sample"',
    ),
    (
        dict(design=GAUSSIAN, target='use = "linear"', model='use = "adaptive.directional"'),
        MODEL,
        "the expansion of linear on gaussian has no directions and no hermite and no deviation",
    ),
    (
        dict(
            design=GAUSSIAN,
            target='use = "multi-index"\ndirections = 3',
            model='use = "adaptive.directional"',
        ),
        f"{MODEL}.directions",
        "found 3 directions besides the target's 3 on points of 5 coordinates; expected at most 5",
    ),
    (
        dict(design=DATA, target='use = "linear"'),
        TARGET,
        "found linear, one number at a point, on a design that observes 10; expected a truth of 10",
    ),
    (
        dict(
            design=DATA,
            target='use = "labels"',
            model='use = "adaptive.diagonal", basis = "given", gamma = 1.0, truth = "sample"',
        ),
        MODEL,
        "which fits one number at a point, and 10 observed",
    ),
    (
        dict(
            design=DATA,
            target='use = "labels"',
            model='use = "networks.linearised", of = { use = "networks.two-layer", width = 4 }',
        ),
        f"{MODEL}.outputs",
        "found 1 for a design that observes 10; expected 10",
    ),
    (
        dict(design=DATA, target='use = "polynomial"\nexponents = [[0, 0, 0, 0, 0, 0, 1]]'),
        TARGET,
        'take the target "labels", or two classes of the data',
    ),
    (
        dict(
            design=DATA + "\nclasses = [3, 5]",
            target='use = "multi-index"\ndirections = 65',
        ),
        "$.target.directions",
        "found 65 orthonormal directions on points of 64 coordinates",
    ),
]


def test_a_strangers_sphere_is_a_sphere():
    """Laws are read from the space of a design, not from its name."""

    @frozen(kw_only=True)
    class Ball(Sphere):
        name = "stranger.sphere"

    design, sphere = Ball(dim=5, n=4), Sphere(dim=5, n=4)
    target = SingleIndex(coefficients=(0.0, 1.0, 0.5))
    assert drawn_expansion(target, design).keys() == drawn_expansion(target, sphere).keys()
    spectra = [Rbf().population_spectrum(points) for points in (design, sphere)]
    assert (spectra[0].eigenvalue == spectra[1].eigenvalue).all()


def test_a_fitting_truth_and_model_are_not_refused():
    parts = dict(model='use = "adaptive.diagonal", basis = "sphere", gamma = 1.5')
    assert mistakes(scenario(target='use = "gegenbauer"\ndegrees = [1, 2]', **parts)) == []
    assert mistakes(scenario(model=parts["model"] + ', truth = "sample"')) == []
    directional = 'use = "adaptive.directional", directions = 2, random_start = true'
    assert mistakes(scenario(design=GAUSSIAN, model=directional)) == []


@pytest.mark.parametrize(("parts", "place", "words"), MISFITS)
def test_misfits_are_refused_at_their_place(parts, place, words):
    listed = mistakes(scenario(**parts))
    assert any(f"s.toml: {place}: " in text and words in text for text in listed), listed


def test_target_and_model_are_refused_together():
    listed = mistakes(scenario(target='use = "labels"', model='use = "ntk.torus"'))
    assert [text.split(": ")[1] for text in listed] == [TARGET, MODEL]


def test_a_gap_to_itself_is_refused():
    (listed,) = mistakes(scenario(extra='[[metric]]\nuse = "gap"\nto = "k"'))
    assert "$.metric[1]" in listed and "its gap to itself is 0" in listed


def test_a_theory_that_applies_to_no_estimator_is_refused():
    (listed,) = mistakes(scenario(extra='[[theory]]\nuse = "sequence.rates"'))
    assert "$.theory[0]: found sequence.rates, which applies to no estimator" in listed


def test_designs_of_all_kinds_say_where_their_points_lie():
    kinds = {}
    for name in load_registry().names("design"):
        component = load_registry().get("design", name)
        assert component.space is not None
        kinds[name] = component.space.__qualname__
    assert all("Design.space" not in place for place in kinds.values()), kinds


def test_models_and_targets_of_all_kinds_say_where_they_are_defined():
    silent = [
        name
        for kind in ("model", "target")
        for name in load_registry().names(kind)
        if not load_registry().get(kind, name).defined_on
        and load_registry().get(kind, name).misfit.__qualname__ == "Placed.misfit"
    ]
    assert silent == []


def test_a_space_without_a_known_dimension_is_never_too_narrow():
    assert narrow_misfit(Space("data"), 1000, "anything", "dim") is None
