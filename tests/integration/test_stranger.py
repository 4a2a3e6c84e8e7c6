"""The stranger's distribution on the layers gives the numbers of the one written by hand.

The numbers are those of a distribution of the same components that used no layer: 396 lines. Its
perceptron and its noise drew from torch's generator; these are compared at given parameters and at
temperature 0.
"""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from testbed.loading import Plugin, make_registry
from testbed.planning.files import read_scenario
from testbed.runs import execute_run
from testbed.testing import PlainDescent, check_component

EXAMPLE = Path(__file__).parents[2] / "examples" / "stranger"
SPIKED = """
format = 1
name = "stranger"
seed = 5
replicates = 2
times = [0.0, 1.0, 4.0]

[design]
use = "stranger.spiked"
n = 20
n_test = 30
dim = 4
spike = 2.0
noise = 0.3

[target]
use = "stranger.staircase"
leaps = 2

[[estimator]]
name = "krr"
model = { use = "stranger.krr", kernel = { values = ["rbf", "laplacian", "linear"] } }
optimizer = { use = "spectral-filter", filter = "ridge" }

[[estimator]]
name = "sign"
model = { use = "networks.two-layer", width = 6, activation = "tanh" }
optimizer = { use = "stranger.sign", learning_rate = 0.05 }

[[estimator]]
name = "nesterov"
model = { use = "networks.two-layer", width = 6, activation = "tanh" }
optimizer = { use = "stranger.nesterov", learning_rate = 0.05 }

[[estimator]]
name = "langevin"
model = { use = "networks.two-layer", width = 6, activation = "tanh" }
optimizer = { use = "stranger.langevin", learning_rate = 0.05, temperature = 0.0 }

[[metric]]
use = "excess-risk"

[[metric]]
use = "stranger.effective-dimension"
"""
PROPORTIONAL = """
format = 1
name = "proportional"
seed = 5
replicates = 2
times = [0.5, 2.0, 10.0]

[design]
use = "gaussian"
n = 60
n_test = 30
dim = 30
noise = 0.5

[target]
use = "linear"

[[estimator]]
name = "krr"
model = { use = "stranger.krr", kernel = "linear" }
optimizer = { use = "spectral-filter", filter = "ridge" }

[[metric]]
use = "excess-risk"

[[theory]]
use = "stranger.proportional-ridge"
"""
RISKS = {  # (replicate, time), of krr also (kernel, …)
    "krr": [
        [
            [7.557982837365913, 7.303873894534818, 6.810842239033729],
            [2.573296278294011, 2.5606273280229184, 2.529278566956511],
        ],
        [
            [7.557982837365913, 7.30276877245574, 6.825525426375675],
            [2.573296278294011, 2.5731748508209638, 2.5664059560464736],
        ],
        [
            [7.557982837365913, 6.591272306276066, 6.276237990389084],
            [2.573296278294011, 2.587756219586259, 2.5810913478934685],
        ],
    ],
    "sign": [
        [12.164499601422555, 6.170176682109428, 9.167589332404056],
        [2.8013993471726275, 2.498650038928615, 2.5459053270688905],
    ],
    "nesterov": [
        [12.164499601422555, 6.702903751397449, 7.484216187176174],
        [2.8013993471726275, 2.592257203478404, 2.4680009243629364],
    ],
    "langevin": [
        [12.164499601422555, 7.73491228562364, 6.564340250492823],
        [2.8013993471726275, 2.6224281335106108, 2.563145832941918],
    ],
}
DIMENSIONS = [  # of nesterov, replicate 0: (time, ridge)
    [15.585811025943796, 11.062248517367369, 5.382053742817338],
    [14.530198202304891, 10.010112688800707, 4.8278075486718315],
    [17.819936360203993, 13.277047867385727, 7.102229792053864],
]


@pytest.fixture
def stranger(monkeypatch):
    """The example's module, as its entry point would load it."""
    monkeypatch.syspath_prepend(str(EXAMPLE))
    import testbed_stranger

    yield testbed_stranger
    sys.modules.pop("testbed_stranger")


@pytest.fixture
def registry(stranger):
    """All installed plugins, and the stranger's."""
    installed = importlib.metadata.entry_points(group="testbed.plugins")
    entries = [
        (Plugin(entry.name, "theory-testbed", "0"), entry)
        for entry in installed
        if entry.module.startswith("testbed_") and entry.name != "stranger"
    ]
    actual = importlib.metadata.EntryPoint("stranger", "testbed_stranger", "testbed.plugins")
    return make_registry([*entries, (Plugin("stranger", "testbed-stranger", "0.1.0"), actual)])


def test_the_numbers_are_those_of_the_distribution_written_by_hand(registry, tmp_path, capsys):
    assert not [plugin.error for plugin in registry.plugins if plugin.error]
    tree = execute_run(read_scenario(SPIKED, registry=registry), tmp_path / "spiked").tree
    for name, expected in RISKS.items():
        np.testing.assert_allclose(tree[name]["excess_risk"], expected, rtol=1e-9, err_msg=name)
    result = tree["nesterov"]["effective_dimension"].sel(replicate=0)
    np.testing.assert_allclose(result, DIMENSIONS, rtol=1e-9)
    tree = execute_run(read_scenario(PROPORTIONAL, registry=registry), tmp_path / "limit").tree
    krr = tree["krr"]
    expected = [
        [1.0300570855498823, 0.569448594679193, 0.3868397229360078],
        [0.837871713755258, 0.3910003782571914, 0.2241218991438639],
    ]
    np.testing.assert_allclose(krr["excess_risk"], expected, rtol=1e-9)
    limit = [0.8421180487476242, 0.3856639169493813, 0.1979166682713986]
    np.testing.assert_allclose(krr["excess_risk__proportional_ridge"], limit, rtol=1e-9)


def test_the_perceptron_is_the_one_written_by_hand(stranger):
    model = stranger.Perceptron(width=4)
    net = model.module(3, 1)
    params = {
        name: torch.linspace(-1, 1, leaf.numel(), dtype=torch.float64).reshape(leaf.shape)
        for name, leaf in net.named_parameters()
    }
    x = torch.linspace(-1, 2, 6, dtype=torch.float64).reshape(2, 3)
    prepared = {"still": {}, "outputs": 0}
    values = model.predict(prepared, params, x)
    np.testing.assert_allclose(values, [-0.137143083086522, -0.13714314171707764], rtol=1e-12)
    gram = [[4.883362619552293, 4.882103821897318], [4.882103821897318, 4.880913273847847]]
    np.testing.assert_allclose(model.gram(prepared, params, x, "tangent"), gram, rtol=1e-12)


def test_its_components_keep_the_laws(stranger):
    spiked = stranger.Spiked(n=12, n_test=8, dim=3)
    check_component(spiked)
    check_component(stranger.Staircase(leaps=2))
    check_component(stranger.KernelRidge(kernel="laplacian"))
    check_component(stranger.Langevin(learning_rate=0.1))
    check_component(stranger.EffectiveDimension(kernel="features"))
    check_component(stranger.Perceptron(width=2), optimizer=PlainDescent())


def test_it_is_half_as_long_and_installs(tmp_path):
    files = [path for path in EXAMPLE.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(len(path.read_text().splitlines()) for path in files) <= 220
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    target = ["--target", str(tmp_path), str(EXAMPLE)]
    command = [sys.executable, "-m", "pip", "install", *options, *target]
    subprocess.run(command, check=True, timeout=120)
    assert (tmp_path / "testbed_stranger.py").exists()
