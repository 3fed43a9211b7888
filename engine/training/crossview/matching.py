"""Pseudo-labels: which panorama and which tile choose each other, and how sure both are.

A true pair is unique: the best stands clear of the second best, seen from the panorama *and* from the tile (the
published method asks the panorama alone). Pure; memory grows with ``chunk`` × tiles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import ModelError, ParameterError

CHUNK = 2048
TIE = 1e-6
"""Similarities closer than this are equal: nothing is chosen between them."""


@dataclass(frozen=True)
class Nearest:
    """For each of N panoramas its best tile and how far the second best is below it, and for each of M tiles its best
    panorama and that gap. A gap is infinite where there is nothing else to choose."""

    tile: Tensor
    gap: Tensor
    panorama: Tensor
    back_gap: Tensor

    def mutual(self) -> Tensor:
        """(N,) bool: panorama and tile choose each other, neither by a tie."""
        rows = torch.arange(len(self.tile))
        back = self.panorama[self.tile] == rows
        return back & (self.gap > TIE) & (self.back_gap[self.tile] > TIE)

    def labels(self, threshold: float, *, mutual: bool = True, gap: str = "both") -> Tensor:
        """(N,) the tile of each panorama that may be trained on, −1 for none: mutual and, as ``gap`` says (both, row,
        none), with gaps of at least ``threshold``. The parts can be switched off to measure what they are worth."""
        keep = self.mutual() if mutual else self.gap > TIE
        if gap in ("both", "row"):
            keep &= self.gap >= threshold
        if gap == "both":
            keep &= self.back_gap[self.tile] >= threshold
        if gap not in ("both", "row", "none"):
            raise ParameterError(f"There is no gap {gap!r}; there are both, row and none.")
        return torch.where(keep, self.tile, -1)


def nearest(panoramas: Tensor, tiles: Tensor, *, chunk: int = CHUNK) -> Nearest:
    """:class:`Nearest` of embeddings (N, D) and (M, D) at unit length, M and N at least 1.

    The answer does not depend on ``chunk``; it is computed where the embeddings lie and given on the processor. Raises
    ModelError where an embedding is not finite, ParameterError for shapes.
    """
    if panoramas.ndim != 2 or panoramas.shape[1:] != tiles.shape[1:] or not len(panoramas) or not len(tiles):
        raise ParameterError(f"Embeddings {tuple(panoramas.shape)} and {tuple(tiles.shape)} do not fit.")
    for name, table in (("panorama", panoramas), ("tile", tiles)):
        bad = ~torch.isfinite(table).all(1)
        if bool(bad.any()):
            raise ModelError(
                f"The embedding of {name} {int(bad.nonzero()[0])} is not finite ({int(bad.sum())} of {len(table)})."
            )
    found, gaps = [], []
    columns = tiles.float().T
    best = torch.full((len(tiles),), -math.inf, device=tiles.device)
    second, chosen = best.clone(), torch.zeros(len(tiles), dtype=torch.int64, device=tiles.device)
    for start in range(0, len(panoramas), max(1, chunk)):
        scores = panoramas[start : start + max(1, chunk)].float() @ columns
        top = scores.topk(min(2, scores.shape[1]), dim=1)
        found.append(top.indices[:, 0])
        gaps.append(_gap(top.values))
        down = scores.topk(min(2, scores.shape[0]), dim=0)
        first = down.values[0]
        rest = down.values[1] if len(down.values) > 1 else torch.full_like(first, -math.inf)
        better = first > best
        second = torch.where(better, torch.maximum(best, rest), torch.maximum(second, first))
        chosen = torch.where(better, down.indices[0] + start, chosen)
        best = torch.where(better, first, best)
    back = torch.where(torch.isfinite(second), best - second, math.inf)
    return Nearest(torch.cat(found).cpu(), torch.cat(gaps).cpu(), chosen.cpu(), back.cpu())


def _gap(top: Tensor) -> Tensor:
    return top[:, 0] - top[:, 1] if top.shape[1] > 1 else torch.full_like(top[:, 0], math.inf)


def threshold_at(epoch: int, epochs: int, start: float) -> float:
    """The gap asked for in ``epoch`` (from 0) of ``epochs``: ``start`` · ½(1 + cos(π · epoch / epochs)), strict at
    first, 0 in the end."""
    return start * 0.5 * (1 + math.cos(math.pi * epoch / max(1, epochs)))


def neighbours(panoramas: Tensor, tiles: Tensor, count: int, *, chunk: int = CHUNK) -> Tensor:
    """(N, k) the tiles most like each panorama, best first, on the processor; k = the lesser of ``count`` and how many
    tiles there are."""
    columns = tiles.float().T
    k = min(count, len(tiles))
    parts = [
        (panoramas[start : start + chunk].float() @ columns).topk(k, dim=1).indices.cpu()
        for start in range(0, len(panoramas), chunk)
    ]
    return torch.cat(parts) if parts else torch.zeros((0, k), dtype=torch.int64)
