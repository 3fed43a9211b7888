"""Run by test_gather: losses and gradients of W processes, for W = 1, 2, 3, written to ``FOLDER/W-RANK.pt``.

It forks after torch is loaded and before anything was computed, so that six processes cost one import.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from engine.models.losses.dense import dense_info_nce
from engine.models.losses.gather import Gather
from engine.models.losses.infonce import info_nce
from engine.models.losses.moco import KeyQueue, moco_loss
from engine.models.losses.ntxent import nt_xent
from engine.models.losses.scale import LogitScale
from engine.models.two_sensor import TwoSensorSegmenter

SPLITS = {"even": {1: [6], 2: [3, 3], 3: [2, 2, 2]}, "uneven": {1: [7], 2: [4, 3], 3: [3, 3, 1]}}
SPLITS["empty"] = {1: [2], 2: [2, 0], 3: [1, 1, 0]}


class Model(nn.Module):
    """Two linear encoders and the logit scale, in float64."""

    def __init__(self) -> None:
        super().__init__()
        self.s1, self.s2, self.scale = nn.Linear(5, 8), nn.Linear(6, 8), LogitScale(0.1)
        self.double()

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.s1(x), self.s2(y), self.scale()


def losses(a: Tensor, b: Tensor, t: Tensor, queue: KeyQueue, valid: Tensor, group: Gather) -> dict[str, Tensor]:
    maps = [x.reshape(len(x), 2, 2, 2) for x in (a, b)]
    return {
        "info_nce": info_nce(a, b, temperature=t, group=group),
        "nt_xent": nt_xent(a, b, temperature=t, group=group),
        "moco": moco_loss(a, b, queue.keys, temperature=t, group=group),
        "dense": dense_info_nce(*maps, temperature=t, valid=valid, group=group),
    }


def two_sensors(rank: int, world: int) -> dict[str, Tensor]:
    """Gradients where the first image has Sentinel-1 alone and the second Sentinel-2 alone; with two processes each
    has one of them, and so a part of the network that it does not use."""
    if world > 2:
        return {}
    torch.manual_seed(5)
    network = TwoSensorSegmenter(s1_bands=2, s2_bands=3, classes=1, width=0.0625).double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # statistics of the batch would differ, and that is not the question
            module.eval()
    s1, s2 = (torch.randn(2, n, 32, 32, dtype=torch.float64) for n in (2, 3))
    masks = [torch.tensor([True, False]), torch.tensor([False, True])]
    own = slice(None) if world == 1 else slice(rank, rank + 1)
    trained = nn.parallel.DistributedDataParallel(network) if world > 1 else network
    for _ in range(2):  # a second step fails where the first left a parameter without a gradient
        network.zero_grad()
        trained(s1[own], s2[own], masks[0][own], masks[1][own]).square().mean().backward()
    return {f"two/{key}": parameter.grad.clone() for key, parameter in network.named_parameters()}


def work(rank: int, world: int, folder: Path) -> None:
    if world > 1:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meet-{world}", rank=rank, world_size=world)
    group = Gather(rank, world)
    found: dict[str, Tensor] = {}
    for case, splits in SPLITS.items():
        sizes = splits[world]
        start = sum(sizes[:rank])
        torch.manual_seed(3)
        x, y = (torch.randn(sum(sizes), n, dtype=torch.float64)[start : start + sizes[rank]] for n in (5, 6))
        valid = (torch.rand(sum(sizes), 2, 2) > 0.3)[start : start + sizes[rank]]
        model, queue = Model(), KeyQueue(10, 8).double()
        trained = nn.parallel.DistributedDataParallel(model) if world > 1 else model
        for name in ("info_nce", "nt_xent", "moco", "dense"):
            model.zero_grad()
            a, b, t = trained(x, y)
            loss = losses(a, b, t, queue, valid, group)[name]
            # Parameters that a loss does not use must still take part for DistributedDataParallel.
            (loss + 0 * (a.sum() + b.sum())).backward()
            found[f"{case}/{name}/loss"] = loss.detach()
            for key, parameter in model.named_parameters():
                found[f"{case}/{name}/{key}"] = parameter.grad.clone()
        a, b, _ = model(x, y)
        queue.push(b, group=group)
        found[f"{case}/queue"] = queue.keys
        everything, place = group.gather(x)
        found[f"{case}/gathered"], found[f"{case}/place"] = everything, torch.tensor(place - start)
    found |= two_sensors(rank, world)
    torch.save(found, folder / f"{world}-{rank}.pt")
    if world > 1:
        dist.destroy_process_group()


def main(folder: Path) -> int:
    torch.set_num_threads(1)
    children = []
    for world in (1, 2, 3):
        for rank in range(world):
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    work(rank, world, folder)
                    code = 0
                finally:
                    sys.stderr.flush()
                    if code:
                        sys.excepthook(*sys.exc_info())
                    os._exit(code)
            children.append(child)
    return max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0 for child in children)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
