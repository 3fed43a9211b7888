"""Joining overlapping tiles into strips, exactly, with the memory of one row of tiles.

The weights of :mod:`engine.mapping.tiles` sum to 1 at every pixel, along rows and along columns, so no sum of weights
is kept and nothing is divided: where a tile is alone its values are copied to the bit.

Rows of tiles lie in memory as the network's answers do (:func:`row_like`): on most devices the classes of a pixel are
beside each other, and turning every tile round would cost more than all sums, for tiles overlap.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.mapping.fresh import fresh
from engine.mapping.tiles import Share


def row_like(answer: Tensor, columns: int) -> Tensor:
    """Zeros, float32 (classes, tile, columns), in the order in memory of a tile's ``answer`` (classes, tile, tile)."""
    classes, rows = answer.shape[:2]
    row = _fresh_like(answer, (classes, rows, columns))
    return row.zero_()


def _fresh_like(values: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """float32 (classes, rows, columns) of any values, classes innermost in memory where those of ``values`` are."""
    if _classes_innermost(values):
        return fresh((*shape[1:], shape[0]), device=values.device).permute(2, 0, 1)
    return fresh(shape, device=values.device)


def _classes_innermost(values: Tensor) -> bool:
    return values.shape[0] > 1 and values.stride(0) == 1


class RowBlender:
    """Joins the tiles of one row of tiles, left to right, into an array (classes, tile, columns).

    ``shares`` and ``starts`` (columns in the array) are those of the tiles along the row. The first tile is taken to
    be the first that touches its pixels, also when the row is a cut-out of a wider lattice.
    """

    def __init__(self, shares: Sequence[Share], starts: Sequence[int], *, device: torch.device) -> None:
        self._starts = list(starts)
        self._earlier = [share.earlier if index else 0 for index, share in enumerate(shares)]
        self._later = [max(share.later, earlier) for share, earlier in zip(shares, self._earlier, strict=True)]
        self._weights = [torch.from_numpy(share.weights).to(device) for share in shares]

    def put(self, row: Tensor, index: int, tile: Tensor | None) -> None:
        """Add tile number ``index`` (classes, tile, tile; any float type) to ``row``; None counts as zeros.

        Every tile comes exactly once, in ascending order.
        """
        start, earlier, later = self._starts[index], self._earlier[index], self._later[index]
        size = self._weights[index].shape[0]
        if tile is None:
            row[:, :, start + earlier : start + size] = 0
            return
        weights = self._weights_of(index, row)
        if earlier:
            shared = row[:, :, start : start + earlier]
            shared.addcmul_(tile[:, :, :earlier].to(row.dtype), weights[:, :, :earlier])
        if later > earlier:
            row[:, :, start + earlier : start + later].copy_(tile[:, :, earlier:later])
        if later < size:
            shared = row[:, :, start + later : start + size]
            torch.mul(tile[:, :, later:].to(row.dtype), weights[:, :, later:], out=shared)

    def _weights_of(self, index: int, row: Tensor) -> Tensor:
        """(1 or classes, 1, tile): written out for every class where classes are innermost, or each of the few of a
        pixel would be a loop of its own."""
        weights = self._weights[index][None, None]
        if not _classes_innermost(row):
            return weights
        return weights[0, 0, :, None].expand(-1, row.shape[0]).contiguous()[None].permute(2, 0, 1)


class ColumnBlender:
    """Joins rows of tiles from the top: takes (classes, tile, columns), gives the rows that are now final."""

    def __init__(self) -> None:
        self._carry: Tensor | None = None
        self._store: Tensor | None = None

    def push(self, row: Tensor, share: Share) -> Tensor:
        """Blend a row of tiles with what the rows above left; ``row`` is changed in place.

        Returns the final rows, those above the next row of tiles: a view of ``row``, (classes, rows, columns).
        """
        weights = torch.from_numpy(share.weights).to(row.device)[:, None]
        earlier, later = share.earlier, max(share.earlier, share.later)
        if earlier:
            row[:, :earlier].mul_(weights[:earlier])
            if self._carry is not None:
                row[:, :earlier].add_(self._carry)
        if later < row.shape[1]:
            row[:, later:].mul_(weights[later:])
        final = row[:, : share.later]
        self._carry = self._kept(row[:, share.later :]) if share.later < row.shape[1] else None
        return final

    def _kept(self, rows: Tensor) -> Tensor:
        """A copy of ``rows``; the copy before is not needed any more."""
        if self._store is None or self._store.shape != rows.shape:
            classes, height, width = rows.shape
            self._store = _fresh_like(rows, (classes, height, width))
        return self._store.copy_(rows)
