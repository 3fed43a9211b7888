"""Momentum contrast (He et al. 2020, MoCo; Chen et al. 2020, MoCo-v2): a queue of keys and a slow key encoder."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.errors import ParameterError
from engine.models.losses.gather import Gather
from engine.models.losses.similarity import full_precision, picked, unit, unit_pair

Module = TypeVar("Module", bound=nn.Module)


def moco_loss(
    q: Tensor, k: Tensor, queue: Tensor, *, temperature: float | Tensor, group: Gather | None = None
) -> Tensor:
    """Query i (N, D) belongs to key i (N, D); the keys in ``queue`` (K, D) are negatives.

    The mean over N of −log softmax(cosine / ``temperature``) at the key. No gradient reaches keys or queue. Push
    ``k`` to the queue *after* the loss. ``group`` weighs the rows of processes of different sizes; errors as for
    :func:`engine.models.losses.infonce.info_nce`.
    """
    with full_precision(q):
        q, k = unit_pair(q, k.detach(), temperature)
        gather = group or Gather()
        first = (q * k).sum(1, keepdim=True)
        logits = torch.cat([first, q @ unit(queue.detach()).to(q.dtype).T], dim=1) / temperature
        terms = picked(logits, torch.zeros(len(q), dtype=torch.int64, device=q.device))
        return gather.mean(terms, sum(gather.sizes(q)))


class KeyQueue(nn.Module):
    """The last ``size`` keys of ``dim`` numbers, oldest replaced first; buffers, so that a checkpoint holds them.

    It starts with random directions drawn from ``seed``, as published.
    """

    keys: Tensor
    position: Tensor

    def __init__(self, size: int, dim: int, *, seed: int = 0) -> None:
        super().__init__()
        if size < 1 or dim < 1:
            raise ParameterError(f"A queue needs at least one key of one number, found {size} of {dim}.")
        drawn = torch.randn(size, dim, generator=torch.Generator().manual_seed(seed))
        self.register_buffer("keys", F.normalize(drawn, dim=1))
        self.register_buffer("position", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def push(self, keys: Tensor, *, group: Gather | None = None) -> None:
        """Put (n, dim) keys in, those of all processes in order of rank, so that all queues stay alike."""
        keys, _ = (group or Gather()).gather(unit(keys.detach()).to(self.keys.dtype))
        size = len(self.keys)
        skipped = max(0, len(keys) - size)  # more than it holds: the last remain
        slots = (self.position + torch.arange(skipped, len(keys), device=self.keys.device)) % size
        self.keys[slots] = keys[skipped:]
        self.position.copy_((self.position + len(keys)) % size)


def momentum_copy(model: Module) -> Module:
    """A copy of ``model`` that no gradient trains: the key encoder at the start."""
    return copy.deepcopy(model).requires_grad_(False)


@torch.no_grad()
def momentum_update(slow: nn.Module, fast: nn.Module, momentum: float) -> None:
    """Every parameter of ``slow`` becomes ``momentum`` × itself + (1 − ``momentum``) × that of ``fast``, in place.

    Buffers (running statistics of normalisations) are left: the slow model keeps its own, from its own forward
    passes. Raises ParameterError when ``momentum`` lies outside 0…1 or the models differ.
    """
    if not 0 <= momentum <= 1:
        raise ParameterError(f"Momentum must lie in 0 to 1, found {momentum}.")
    mine, theirs = dict(slow.named_parameters()), dict(fast.named_parameters())
    if mine.keys() != theirs.keys():
        raise ParameterError("The momentum encoder and its source have different parameters.")
    for name, parameter in mine.items():
        parameter.lerp_(theirs[name].to(parameter.dtype), 1 - momentum)
