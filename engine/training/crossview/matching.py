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
    """:class:`Nearest` of embeddings (N, D) and (M, D) at unit length, M and N at least 1; panoramas may come at
    several turns, (N, T, D), and are then as like a tile as at the best of them.

    The answer does not depend on ``chunk``; it is computed where the embeddings lie and given on the processor. Raises
    ModelError where an embedding is not finite, ParameterError for shapes.
    """
    if panoramas.ndim not in (2, 3) or panoramas.shape[-1:] != tiles.shape[1:] or not len(panoramas) or not len(tiles):
        raise ParameterError(f"Embeddings {tuple(panoramas.shape)} and {tuple(tiles.shape)} do not fit.")
    for name, table in (("panorama", panoramas), ("tile", tiles)):
        bad = ~torch.isfinite(table.flatten(1)).all(1)
        if bool(bad.any()):
            raise ModelError(
                f"The embedding of {name} {int(bad.nonzero()[0])} is not finite ({int(bad.sum())} of {len(table)})."
            )
    choices = Choices(len(tiles), tiles.device)
    for part in panoramas.split(max(1, chunk * tiles.shape[1] // panoramas[0].numel())):
        choices.see(similarity(part, tiles))
    return choices.nearest()


def similarity(panoramas: Tensor, tiles: Tensor) -> Tensor:
    """(N, M) products of embeddings (N, D) and (M, D); of panoramas at several turns, (N, T, D), the best."""
    found = panoramas.float() @ tiles.float().T
    return found if panoramas.ndim == 2 else found.amax(1)


class Choices:
    """:class:`Nearest` in the making: similarities of all panoramas with all ``tiles`` come block after block, and none
    is kept."""

    def __init__(self, tiles: int, device: torch.device | str = "cpu") -> None:
        self._tile = [torch.zeros(0, dtype=torch.int64, device=device)]
        self._gap = [torch.zeros(0, device=device)]
        self._best = torch.full((tiles,), -math.inf, device=device)
        self._second = self._best.clone()
        self._chosen = torch.zeros(tiles, dtype=torch.int64, device=device)
        self._seen = 0

    def see(self, scores: Tensor) -> None:
        """The next panoramas: (n, tiles), finite, n at least 1."""
        top = scores.topk(min(2, scores.shape[1]), dim=1)
        down = scores.topk(min(2, scores.shape[0]), dim=0)
        first = down.values[0]
        rest = down.values[1] if len(down.values) > 1 else torch.full_like(first, -math.inf)
        self.join(top.indices[:, 0], _gap(top.values), first, rest, down.indices[0])

    def join(self, tile: Tensor, gap: Tensor, first: Tensor, rest: Tensor, at: Tensor) -> None:
        """The next panoramas, counted elsewhere: each one's ``tile`` and ``gap``, and of every tile the best similarity
        with one of them (``first``), the second best (``rest``), and the number ``at`` among them of the best."""
        better = first > self._best
        self._second = torch.where(better, torch.maximum(self._best, rest), torch.maximum(self._second, first))
        self._chosen = torch.where(better, at + self._seen, self._chosen)
        self._best = torch.where(better, first, self._best)
        self._tile.append(tile)
        self._gap.append(gap)
        self._seen += len(tile)

    def parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """All that was seen, as :meth:`join` takes it."""
        return torch.cat(self._tile), torch.cat(self._gap), self._best, self._second, self._chosen

    def nearest(self) -> Nearest:
        """What all of it comes to, on the processor."""
        tile, gap, best, second, chosen = (part.cpu() for part in self.parts())
        return Nearest(tile, gap, chosen, torch.where(torch.isfinite(second), best - second, math.inf))


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
