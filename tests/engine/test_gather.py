"""Several processes give the losses and gradients of one with the whole batch: DistributedDataParallel on gloo."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import distributed

PROGRAM = Path(__file__).with_name("gathered_losses.py")
LOSSES = ("info_nce", "nt_xent", "moco", "dense")
PARAMETERS = ("s1.weight", "s1.bias", "s2.weight", "s2.bias", "scale.log_scale")


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[tuple[int, int], dict[str, torch.Tensor]]:
    if not hasattr(os, "fork") or not distributed.is_available():
        pytest.skip("needs fork and torch.distributed")
    folder = tmp_path_factory.mktemp("gather")
    root = str(PROGRAM.parents[2])
    environ = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    if sys.platform == "linux":
        environ["GLOO_SOCKET_IFNAME"] = "lo"
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder)], env=environ, timeout=150, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return {
        (world, rank): torch.load(folder / f"{world}-{rank}.pt", weights_only=True)
        for world in (1, 2, 3)
        for rank in range(world)
    }


@pytest.mark.parametrize("case", ["even", "uneven", "empty"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("world", [2, 3])
def test_losses_and_gradients_of_many_are_those_of_one(found, world: int, loss: str, case: str) -> None:
    for rank in range(world):
        for key in ("loss", *PARAMETERS):
            name = f"{case}/{loss}/{key}"
            one, many = found[1, 0][name], found[world, rank][name]
            assert one.dtype == torch.float64
            scale = float(one.abs().max())
            if not (loss == "moco" and key.startswith("s2")):
                assert scale > 1e-4, f"{name} is zero: nothing is compared"
            assert float((many - one).abs().max()) <= 1e-6 * scale, (name, rank)


@pytest.mark.parametrize("case", ["even", "uneven", "empty"])
@pytest.mark.parametrize("world", [2, 3])
def test_rows_keep_their_order_and_queues_stay_alike(found, world: int, case: str) -> None:
    for rank in range(world):
        for key in ("gathered", "queue"):
            torch.testing.assert_close(found[world, rank][f"{case}/{key}"], found[1, 0][f"{case}/{key}"])
        assert int(found[world, rank][f"{case}/place"]) == 0


def test_processes_that_lack_a_sensor_train_one_network(found) -> None:
    keys = [key for key in found[1, 0] if key.startswith("two/")]
    assert len(keys) > 100
    for key in keys:
        one = found[1, 0][key]
        for rank in (0, 1):
            assert float((found[2, rank][key] - one).abs().max()) <= 1e-6 * max(1e-9, float(one.abs().max())), key
    assert (
        float(found[1, 0]["two/s1.conv1.weight"].abs().max())
        > 0
        < float(found[1, 0]["two/s2.conv1.weight"].abs().max())
    )
