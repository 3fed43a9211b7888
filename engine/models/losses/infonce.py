"""InfoNCE across two sensors, symmetric (van den Oord et al. 2018; the two-way form of Radford et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.models.losses.gather import Gather
from engine.models.losses.similarity import full_precision, numbered, picked, unit_pair


def info_nce(a: Tensor, b: Tensor, *, temperature: float | Tensor, group: Gather | None = None) -> Tensor:
    """Row i of ``a`` and row i of ``b`` (both (N, D), any length) belong together; all other rows of the *other* sensor
    are negatives.

    The mean over both directions and N of −log softmax(cosine / ``temperature``) at the partner: log N for embeddings
    that are all alike, 0 for one pair or none. With ``group`` N counts the rows of all processes; see
    :mod:`engine.models.losses.gather` for value and gradients. Raises ParameterError on shapes that differ and
    temperatures that are not positive.
    """
    with full_precision(a):
        a, b = unit_pair(a, b, temperature)
        gather = group or Gather()
        both, start = gather.gather(torch.stack([a, b], dim=1))
        positives = numbered(len(a), start, a)
        terms = picked(a @ both[:, 1].T / temperature, positives) + picked(b @ both[:, 0].T / temperature, positives)
        return gather.mean(terms, 2 * len(both))
