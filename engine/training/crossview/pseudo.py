"""The pairs of an epoch of the curriculum: pseudo-labels, true pairs, and what is nobody's."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.errors import ModelError
from engine.training.crossview.matching import TIE, Nearest


@dataclass(frozen=True)
class Labels:
    """``tile`` (N,) of each training panorama, −1 for none; ``candidate`` (N,) the tile that an unlabelled panorama and
    it choose each other, too little clear of the rest to be trained on, −1 for none; ``free`` the tiles that nothing
    claims, so that they may be negatives of all; ``threshold`` that was asked for, lowered where too few passed."""

    tile: Tensor
    candidate: Tensor
    free: Tensor
    threshold: float

    @property
    def pairs(self) -> Tensor:
        """(n, 2) panorama and tile."""
        rows = (self.tile >= 0).nonzero()[:, 0]
        return torch.stack([rows, self.tile[rows]], dim=1)


def pseudo_labels(
    near: Nearest,
    *,
    threshold: float,
    known: dict[int, int],
    semi: dict[int, tuple[int, ...]],
    least: int,
    mutual: bool = True,
    gap: str = "both",
    stage: str = "curriculum",
    first: Tensor | None = None,
    overrule: float = math.inf,
) -> Labels:
    """:class:`Labels` of N panoramas and M tiles.

    ``known``: panorama → true tile, where a label may be used; ``semi``: its further tiles. They stand whatever the
    network thinks, and no other panorama gets their tile. Where fewer than ``least`` pseudo-labels pass, the gap asked
    for is lowered until as many do (mutual ones alone where ``mutual``). ``first`` (N,): tiles that another matcher
    gave, −1 for none; they stand, and count among ``least``, unless a choice with a gap of ``overrule`` says otherwise.
    Raises ModelError when nothing at all is left to learn from.
    """
    taken = {tile: panorama for panorama, tile in known.items()}
    open_rows = torch.tensor([i not in known for i in range(len(near.tile))])
    not_taken = torch.tensor([int(t) not in taken for t in near.tile])
    may = open_rows & not_taken

    def passing(at: float) -> Tensor:
        return torch.where(may, near.labels(at, mutual=mutual, gap=gap), -1)

    tile = passing(threshold)
    sure = near.gap if gap == "row" else torch.minimum(near.gap, near.back_gap[near.tile])
    given = 0 if first is None else int((first >= 0).sum())
    wanted = min(least - given, int((passing(0.0) >= 0).sum()))
    if gap != "none" and int((tile >= 0).sum()) < wanted:
        passed = sure[passing(0.0) >= 0].sort(descending=True).values
        threshold = max(0.0, min(threshold, float(passed[wanted - 1])))
        tile = passing(threshold)
    if first is not None:
        tile = _joined(tile, torch.where(open_rows, first, -1), sure >= overrule, taken)
    for panorama, true in known.items():
        tile[panorama] = true
    if not bool((tile >= 0).any()):
        raise ModelError(
            f"No panorama and tile choose each other, so the stage {stage} has nothing to learn from.",
            remedy="Leave this stage out, or give some labels."
            if stage == "geometric"
            else "Train the stages before it longer, or give some labels.",
        )
    candidate = torch.where(near.mutual() & open_rows & (tile < 0), near.tile, -1)
    claimed = torch.zeros(len(near.panorama), dtype=torch.bool)
    claimed[tile[tile >= 0]] = True
    claimed[candidate[candidate >= 0]] = True
    for more in semi.values():
        claimed[list(more)] = True
    return Labels(tile, candidate, (~claimed).nonzero()[:, 0], threshold)


def _joined(own: Tensor, first: Tensor, strong: Tensor, taken: Collection[int]) -> Tensor:
    """(N,) the tiles of ``first``, and for other panoramas and tiles those of ``own``; what is ``strong`` of ``own``
    goes before. No tile in ``taken`` is given."""
    mine, given = own.tolist(), first.tolist()
    ruled = {row for row, tile in enumerate(mine) if tile >= 0 and bool(strong[row])}
    used = {*taken, *(mine[row] for row in ruled)}
    out = [mine[row] if row in ruled else -1 for row in range(len(mine))]
    for row, tile in enumerate(given):
        if row not in ruled and tile >= 0 and tile not in used:
            out[row] = tile
            used.add(tile)
    for row, tile in enumerate(mine):
        if out[row] < 0 <= tile and tile not in used:
            out[row] = tile
    return torch.tensor(out)


def consistent(full: Nearest, halves: tuple[Nearest, Nearest]) -> Tensor:
    """(N,) the tile that a panorama and it choose each other and that either half of the embedding finds too, −1 for
    none."""
    same = (halves[0].tile == full.tile) & (halves[1].tile == full.tile)
    clear = (halves[0].gap > TIE) & (halves[1].gap > TIE)
    return torch.where(full.mutual() & same & clear, full.tile, -1)
