"""Joint geometry of whole batches without resampling: windows, and the eight symmetries of a square.

The same as :func:`engine.training.data.augment.joint_geometry` without scaling, by looking pixels up in eight tables:
turning 64 samples of 12 x 128 x 128 costs about a fifth of the copies that ``rot90`` makes.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from engine.training.data.memory import room

Batch = dict[str, Tensor]


def turned(batch: Batch, names: Iterable[str], generator: torch.Generator) -> Batch:
    """``batch`` with the layers ``names`` ((N, …, H, H), H the same for all) mirrored and turned, each sample by its
    own draw from ``generator``, all eight equally likely. Other keys pass through."""
    names = list(names)
    first = batch[names[0]]
    count, side = len(first), first.shape[-1]
    codes = torch.randint(0, 8, (count,), generator=generator, device=generator.device).to(first.device)
    tables = symmetry_tables(side, first.device)
    return {**batch, **{name: _looked_up(batch[name], tables, codes) for name in names}}


def windows(batch: Batch, size: int, generator: torch.Generator) -> Batch:
    """``batch`` with a window of ``size`` pixels a side cut from every sample, at a place of its own drawn from
    ``generator``, the same for all layers; as it is when the squares are no larger."""
    layers = [name for name, value in batch.items() if value.ndim >= 3]
    side = batch[layers[0]].shape[-1]
    if side <= size:
        return batch
    corners = draw_corners(len(batch[layers[0]]), side, size, generator)
    out = dict(batch)
    for name in layers:
        whole = batch[name]
        cut = whole.new_empty((*whole.shape[:-2], size, size))
        for row, (top, left) in enumerate(corners):
            cut[row] = whole[row, ..., top : top + size, left : left + size]
        out[name] = cut
    return out


def draw_corners(count: int, side: int, size: int, generator: torch.Generator) -> list[tuple[int, int]]:
    """Row and column where a window of ``size`` pixels begins in each of ``count`` squares of ``side``, drawn from
    ``generator``."""
    drawn = torch.randint(0, side - size + 1, (count, 2), generator=generator, device=generator.device).tolist()
    return [(int(top), int(left)) for top, left in drawn]


def symmetry_tables(side: int, device: torch.device) -> Tensor:
    """(8, ``side``²): for each symmetry the pixel that comes to each place. Bit 0 mirrors, bits 1 and 2 turn."""
    pixels = torch.arange(side * side, device=device).view(side, side)
    both = (pixels, pixels.flip(-1))
    return torch.stack([both[code & 1].rot90(code >> 1, (-2, -1)).reshape(-1) for code in range(8)])


def _looked_up(layer: Tensor, tables: Tensor, codes: Tensor) -> Tensor:
    flat = layer.reshape(len(layer), -1, tables.shape[1])
    if flat.device.type == "cpu":
        out = room(flat.shape, flat.dtype)
        for row, code in enumerate(codes.tolist()):
            torch.index_select(flat[row], 1, tables[code], out=out[row])
    else:
        out = flat.gather(2, tables[codes][:, None, :].expand(-1, flat.shape[1], -1))
    return out.view(layer.shape)
