"""Is the encoder still alive: not-a-number and collapsed embeddings are told before hours are spent on them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

SMALLEST_SPREAD = 0.1
SMALLEST_RANK = 2.0


@dataclass(frozen=True)
class Health:
    """State of a batch of embeddings.

    ``spread``: standard deviation over the batch of embeddings at unit length, mean over dimensions, times the square
    root of their number: about 1 for directions spread evenly, 0 when all are alike (Chen and He 2021, SimSiam,
    section 4.1). ``rank``: effective rank, exp of the entropy of the singular values of the centred embeddings (Roy
    and Vetterli 2007): 1 to D, 0 when all are alike. Both 0 when not ``finite``.
    """

    finite: bool
    spread: float
    rank: float
    count: int
    dimensions: int

    @property
    def alarm(self) -> str | None:
        """What is wrong, one line, or None. Fewer than 8 embeddings are too few to speak of a collapse."""
        if not self.finite:
            return "The embeddings are not finite."
        if self.count >= 8 and self.spread < SMALLEST_SPREAD:
            return f"The embeddings have collapsed to one point: spread {self.spread:.3f}, at least {SMALLEST_SPREAD}."
        if min(self.count, self.dimensions) >= 8 and self.rank < SMALLEST_RANK:
            return f"The embeddings have collapsed to a line: effective rank {self.rank:.2f}, at least {SMALLEST_RANK}."
        return None


@torch.no_grad()
def health(embeddings: Tensor) -> Health:
    """The :class:`Health` of (N, D) embeddings of any length. Synchronises a GPU: call it now and then."""
    count, dimensions = embeddings.shape
    z = embeddings.detach().float()
    if count == 0 or not bool(torch.isfinite(z).all()):
        return Health(count == 0, 0.0, 0.0, count, dimensions)
    z = F.normalize(z, dim=1)
    centred = z - z.mean(0)
    spread = float(centred.square().mean(0).sqrt().mean() * z.shape[1] ** 0.5)
    values = torch.linalg.svdvals(centred.cpu().double())
    if float(values.sum()) < 1e-6 * max(count, 1) ** 0.5:
        return Health(True, spread, 0.0, count, dimensions)
    shares = values / values.sum()
    shares = shares[shares > 0]
    return Health(True, spread, float(torch.exp(-(shares * shares.log()).sum())), count, dimensions)
