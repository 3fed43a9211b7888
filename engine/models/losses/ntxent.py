"""NT-Xent: negatives of both views (Chen et al. 2020, SimCLR, equation 1)."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.models.losses.gather import Gather
from engine.models.losses.similarity import full_precision, numbered, picked, unit_pair


def nt_xent(a: Tensor, b: Tensor, *, temperature: float | Tensor, group: Gather | None = None) -> Tensor:
    """Row i of ``a`` and row i of ``b`` (both (N, D), any length) belong together; the other 2N − 2 rows of *both* are
    negatives.

    With two sensors this is the variant with negatives inside each sensor too; with two views of one sensor it is
    the objective of SimCLR. The mean over the 2N rows of −log softmax(cosine / ``temperature``) at the partner, a row
    itself left out: log(2N − 1) for embeddings that are all alike, 0 for one pair or none. ``group`` and errors as
    for :func:`engine.models.losses.infonce.info_nce`.
    """
    with full_precision(a):
        a, b = unit_pair(a, b, temperature)
        gather = group or Gather()
        both, start = gather.gather(torch.stack([a, b], dim=1))
        count = len(both)
        everything = both.transpose(0, 1).reshape(2 * count, a.shape[1])
        own = torch.cat([numbered(len(a), start, a), numbered(len(b), start + count, b)])
        logits = torch.cat([a, b]) @ everything.T / temperature
        itself = own[:, None] == torch.arange(2 * count, device=own.device)
        logits = logits.masked_fill(itself, -torch.inf)
        partners = torch.cat([own[len(a) :], own[: len(a)]])
        return gather.mean(picked(logits, partners), 2 * count)


def simclr(view1: Tensor, view2: Tensor, *, temperature: float | Tensor, group: Gather | None = None) -> Tensor:
    """SimCLR: :func:`nt_xent` of two augmented views of one sensor."""
    return nt_xent(view1, view2, temperature=temperature, group=group)
