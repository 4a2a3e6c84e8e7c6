"""Which device a scenario gets, and which device each worker sees."""

from __future__ import annotations

import pytest
import torch

from testbed.errors import ScenarioError
from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from testbed.running.devices import worker_environments
from tests.unit.running.test_calibration import SCENARIO

NO_CUDA = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a device")


def plan(device, more=""):
    return make_plan(read_scenario(f'{SCENARIO}[compute]\ndevice = "{device}"\n{more}', "d.toml"))


@NO_CUDA
def test_auto_is_the_cpu_where_there_is_nothing_else_and_its_cells_are_the_same():
    automatic, named = plan("auto"), plan("cpu")
    assert {cell.compute.device for cell in automatic.cells} == {"cpu"}
    assert [cell.key for cell in automatic.cells] == [cell.key for cell in named.cells]


@NO_CUDA
@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_a_device_that_is_not_there_is_refused_by_the_plan(device):
    with pytest.raises(ScenarioError, match=rf"compute.device: found '{device}', which this mach"):
        plan(device)


@NO_CUDA
def test_jobs_of_a_queueing_system_may_have_other_devices():
    cells = plan("cuda", '[compute.dask]\nsystem = "slurm"\n').cells
    assert {cell.compute.device for cell in cells} == {"cuda"}


def test_each_worker_sees_one_device(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, 5,7")
    assert [e["CUDA_VISIBLE_DEVICES"] for e in worker_environments("cuda", 8)] == ["4", "5", "7"]
    assert len(worker_environments("cuda", 2)) == 2
    assert worker_environments("cuda:1", 8) == [{}]
    assert worker_environments("cpu", 3) == [{}, {}, {}]
