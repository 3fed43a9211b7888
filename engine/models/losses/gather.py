"""Rows of all processes, differentiable, so that every process sees the negatives of all.

The convention of every loss in this package: with a :class:`Gather` each process returns the loss of the *whole*
batch (the same value everywhere), with gradients scaled such that their **mean** over processes, which is what
``DistributedDataParallel`` forms, is the gradient that one process with the whole batch would have. Batches may be of
different sizes, none may also be empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable

from engine.errors import ParameterError


@dataclass(frozen=True)
class Gather:
    """Process ``rank`` of ``world``; ``group`` is a torch process group (None: the default one, if ``world`` > 1).

    All processes of the group must call the same methods in the same order.
    """

    rank: int = 0
    world: int = 1
    group: Any = None

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world:
            raise ParameterError(f"There is no process {self.rank} among {self.world}.")

    def gather(self, x: Tensor) -> tuple[Tensor, int]:
        """(n, …) rows of this process → rows of all in order of rank, and the position of this process's first.

        ``n`` may differ between processes; all other axes and the type must not. The gradient of a row is the sum of
        its gradients in all processes.
        """
        if self.world == 1:
            return x, 0
        sizes = self.sizes(x)
        everything: Tensor = _GatherRows.apply(x, sizes, self)
        return everything, sum(sizes[: self.rank])

    def sizes(self, x: Tensor) -> list[int]:
        """Rows that each process has."""
        if self.world == 1:
            return [len(x)]
        own = torch.tensor([len(x)], dtype=torch.int64, device=x.device)
        parts = [torch.empty_like(own) for _ in range(self.world)]
        dist.all_gather(parts, own, group=self.group)
        return [int(n) for n in torch.cat(parts).tolist()]

    def mean(self, terms: Tensor, count: int) -> Tensor:
        """The sum of ``terms`` (n,) over all processes divided by ``count``; gradients as said above.

        0 with gradients of 0 when ``count`` is 0.
        """
        share = terms.sum() * (self.world / max(count, 1))
        if self.world == 1:
            return share
        value = share.detach() / self.world
        dist.all_reduce(value, group=self.group)
        return value + (share - share.detach())  # the value to the last bit, the gradient of the share


class _GatherRows(torch.autograd.Function):
    """Padded all_gather forward; backward sums what all processes have for each row and keeps the own rows."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, sizes: list[int], gather: Gather) -> Tensor:
        ctx.sizes, ctx.gather = sizes, gather
        padded = x.new_zeros((max(sizes), *x.shape[1:]))
        padded[: len(x)] = x
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded, group=gather.group)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        total = grads[0].contiguous().clone()
        dist.all_reduce(total, group=ctx.gather.group)
        start = sum(ctx.sizes[: ctx.gather.rank])
        return total[start : start + ctx.sizes[ctx.gather.rank]], None, None
