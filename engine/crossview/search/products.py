"""Inner products of descriptions and the vectors of photos, block by block, in buffers that are made once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.crossview.describer import Scores, VectorQuery
from engine.crossview.headings import likeliest

_BLOCK_BYTES = 1 << 21


class Products:
    """The best inner products, over scales and vectors, of ``queries`` with descriptions of ``dim`` numbers at
    ``scales`` scales; for :meth:`apart` alone it needs no ``blocks``.

    A block of cells fits the processor's cache as float32: it is read from the disk, made float32 and multiplied with
    all vectors before the next one comes. Larger blocks take up to twice as long.
    """

    def __init__(self, queries: Sequence[VectorQuery], *, scales: int, dim: int, blocks: bool = True) -> None:
        self._cells = max(16, _BLOCK_BYTES // (4 * dim * scales))
        self._headings = [query.headings for query in queries]
        self._vectors = torch.from_numpy(np.concatenate([query.vectors for query in queries]).astype(np.float32))
        self._counts = [len(query.vectors) for query in queries]
        self._alone = len(self._vectors) == len(queries)
        self._rows = torch.empty((scales, self._cells if blocks else 0, dim))

    def fill(self, codes: torch.Tensor, scores: Scores) -> None:
        """Fill ``scores`` (photos, N) for descriptions (N, scales, dim), a block at a time. NaN goes through."""
        written = torch.from_numpy(scores)
        for start in range(0, len(codes), self._cells):
            part = codes[start : start + self._cells]
            place = slice(start, start + len(part))
            # Scale by scale, so that the best over scales is taken of whole rows.
            rows = self._rows.view(-1, codes.shape[2])[: len(part) * codes.shape[1]]
            rows.view(codes.shape[1], len(part), -1).copy_(part.transpose(0, 1))
            if self._alone and codes.shape[1] == 1:
                torch.mm(self._vectors, rows.T, out=written[:, place])
            else:
                self._best(torch.mm(self._vectors, rows.T), written[:, place])

    def _best(self, table: torch.Tensor, scores: torch.Tensor) -> None:
        """Of ``table`` (vectors, scales * N) the best over scales and each photo's vectors, into (photos, N)."""
        count = scores.shape[1]
        if table.shape[1] > count:
            table = table.view(len(table), -1, count).amax(dim=1)
        if self._alone:
            scores.copy_(table)
            return
        for k, own in enumerate(table.split(self._counts)):
            scores[k] = own.amax(dim=0)

    def apart(self, codes: torch.Tensor, counts: Sequence[int]) -> tuple[Scores, Scores]:
        """(N,) scores and headings (NaN where none) of each photo with its own descriptions: ``codes`` (N, scales,
        dim) hold ``counts`` of them for one photo after another. A heading is drawn between those of the vectors at the
        scale that fits best (:func:`engine.crossview.headings.likeliest`)."""
        count, scales = codes.shape[:2]
        scores, headings = torch.empty(count), np.full(count, np.nan, np.float32)
        parts = zip(
            codes.float().flatten(0, 1).split([n * scales for n in counts]), scores.split(list(counts)), strict=True
        )
        start = 0
        for (rows, out), vectors, turns in zip(parts, self._vectors.split(self._counts), self._headings, strict=True):
            stop = start + len(out)
            if scales == len(vectors) == 1:
                torch.mv(rows, vectors[0], out=out)
                if turns is not None:
                    headings[start:stop] = turns[0]
            else:
                table = torch.mm(rows, vectors.T).view(len(out), scales, len(vectors))
                fits = table[:, 0] if scales == 1 else table[torch.arange(len(out)), table.amax(dim=2).argmax(dim=1)]
                if turns is None:
                    out.copy_(fits.amax(dim=1))
                else:
                    best, turned = likeliest(fits, torch.from_numpy(turns))
                    out.copy_(best)
                    headings[start:stop] = turned.numpy()
            start = stop
        return scores.numpy(), headings


def tensor_of(codes: NDArray[Any]) -> torch.Tensor:
    """A tensor of the same memory, not to be written to; of a copy where the packages cannot share what is read-only
    (numpy before 2.1). Torch makes float32 of half precision sixteen times as fast as numpy does."""
    try:
        return torch.from_dlpack(codes)
    except (BufferError, TypeError, RuntimeError):
        return torch.from_numpy(codes.copy())
