"""Embeddings of a whole set, each process a share of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from engine.device import to_device
from engine.models.crossview import CrossViewNetwork
from engine.training.crossview.augment import normal
from engine.training.crossview.images import FrameStore
from engine.training.crossview.objective import middle
from engine.training.distributed import World
from engine.training.feed import read_ahead
from engine.training.precision import autocast


@torch.no_grad()
def embed_grounds(
    network: CrossViewNetwork,
    store: FrameStore,
    indices: Sequence[int],
    world: World,
    *,
    batch: int,
    workers: int,
    precision: str = "fp32",
    rolls: Sequence[int] | None = None,
) -> Tensor:
    """(n, dim) float32 on the processor, the same in every process: embeddings of panoramas, or of their middle where
    the network takes a part. ``rolls``: columns that each is rolled by before."""
    columns = network.ground_size[1]

    def read(numbers: list[int]) -> Tensor:
        own = None if rolls is None else [rolls[i] for i in numbers]
        return middle(_rolled(store, [indices[i] for i in numbers], own), columns)

    return _embed(network.ground, read, len(indices), network, world, batch, workers, precision)


@torch.no_grad()
def embed_rounds(
    network: CrossViewNetwork,
    store: FrameStore,
    indices: Sequence[int],
    world: World,
    branch: Callable[[Tensor], Tensor],
    *,
    batch: int,
    workers: int,
    precision: str = "fp32",
    rolls: Sequence[int] | None = None,
) -> Tensor:
    """(n, turns, dim) float32 on the processor, the same in every process: of panoramas of the whole way round by a
    ``branch`` that gives (b, turns, dim) of b images. ``rolls`` as of :func:`embed_grounds`."""

    def read(numbers: list[int]) -> Tensor:
        return _rolled(store, [indices[i] for i in numbers], None if rolls is None else [rolls[i] for i in numbers])

    return _embed(branch, read, len(indices), network, world, batch, workers, precision)


@torch.no_grad()
def embed_overheads(
    network: CrossViewNetwork,
    store: FrameStore,
    indices: Sequence[int],
    world: World,
    *,
    batch: int,
    workers: int,
    precision: str = "fp32",
) -> Tensor:
    """(m, dim) float32 on the processor, the same in every process: embeddings of tiles."""

    def read(numbers: list[int]) -> Tensor:
        return store.overhead([indices[i] for i in numbers])

    return _embed(network.overhead, read, len(indices), network, world, batch, workers, precision)


def _rolled(store: FrameStore, indices: Sequence[int], rolls: Sequence[int] | None) -> Tensor:
    stored = store.ground(indices)
    if rolls is None:
        return stored
    return torch.stack([image.roll(columns, dims=2) for image, columns in zip(stored, rolls, strict=True)])


def _embed(
    branch: Callable[[Tensor], Tensor],
    read: Callable[[list[int]], Tensor],
    count: int,
    network: CrossViewNetwork,
    world: World,
    batch: int,
    workers: int,
    precision: str,
) -> Tensor:
    was_training = network.training
    network.eval()
    mine = -(-count // world.size)  # all do as many; the last ones of the later processes are done twice
    own = [min(world.rank + k * world.size, count - 1) for k in range(mine)]
    starts = range(0, mine, batch)
    device = world.device.torch
    parts = []
    feed = read_ahead(
        lambda n: read(own[starts[n] : starts[n] + batch]),
        0,
        len(starts),
        workers=workers,
        one_core=world.device.kind == "cpu",
    )
    for stored in feed:
        images = to_device(stored, device)
        with autocast(precision, world.device):
            found = branch(normal(images[:, :3].float() / 255, images[:, 3:4] > 127))
        parts.append(found.float().cpu())
    network.train(was_training)
    table = torch.cat(parts) if parts else torch.zeros(0, network.dim)
    every = world.stacked(table)  # (processes, mine, …): item k of process r is number r + k · processes
    return every.transpose(0, 1).flatten(0, 1)[:count]
