"""Histograms of tiles: what the threshold detector learns from a scene before it maps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.events import Reporter
from engine.mapping.flood.detector import FloatArray
from engine.raster.grid import Window
from engine.sar.radiometry import to_power
from engine.sar.water import WaterModel, fine_db

TILE = 128
"""Side of a tile in pixels: wide enough for a histogram, small enough that a lake fills a tenth of it."""
STRIP = 4 * TILE
BUDGET_PIXELS = 64_000_000
"""Statistics read at most about so many pixels: strips of a larger scene are taken evenly spread, always the same."""
MIN_VALID = 0.5
EDGES_DB: NDArray[np.float64] = np.arange(-50.0, 10.01, 0.25)


@dataclass(frozen=True)
class TileHistograms:
    """``counts`` by polarisation: (tiles, bins) of the narrow-window mean in dB, in bins of :data:`EDGES_DB`.

    A tile with fewer than half of its pixels valid has an empty row.
    """

    counts: dict[str, NDArray[np.int64]]

    def total(self, pol: str) -> NDArray[np.int64]:
        """Counts of all tiles, (bins,)."""
        total: NDArray[np.int64] = self.counts[pol].sum(axis=0)
        return total


def sample_rows(context: Window) -> list[Window]:
    """Full-width strips of ``context`` that are read for statistics: all of a small scene, evenly spread ones else."""
    starts = list(range(context.row, context.row_stop, STRIP))
    most = max(2, BUDGET_PIXELS // max(1, STRIP * context.width))
    if len(starts) > most:
        starts = [starts[round(i * (len(starts) - 1) / (most - 1))] for i in range(most)]
    return [Window(row, context.col, min(STRIP, context.row_stop - row), context.width) for row in starts]


def collect_tiles(
    read: Callable[[Window], FloatArray],
    context: Window,
    polarisations: Sequence[str],
    *,
    planes: Sequence[int],
    model: WaterModel,
    reporter: Reporter,
) -> TileHistograms:
    """Histograms of all tiles of the sampled strips; ``planes``: each polarisation's index in what ``read`` gives."""
    rows: dict[str, list[NDArray[np.int64]]] = {pol: [] for pol in polarisations}
    strips = sample_rows(context)
    for i, strip in enumerate(strips):
        values = read(strip)
        for col in range(0, strip.width, 2048):
            reporter.progress((i + col / strip.width) / len(strips), "statistics", "Reading backscatter statistics")
            for pol, plane in zip(polarisations, planes, strict=True):
                rows[pol].extend(_tile_counts(values[plane, :, col : col + 2048], model))
    empty = np.zeros((0, EDGES_DB.size - 1), dtype=np.int64)
    return TileHistograms({pol: np.stack(parts) if parts else empty for pol, parts in rows.items()})


def _tile_counts(db: FloatArray, model: WaterModel) -> list[NDArray[np.int64]]:
    smooth = fine_db(to_power(db), model)
    bins = EDGES_DB.size - 1
    step = EDGES_DB[1] - EDGES_DB[0]
    out = []
    for row in range(0, db.shape[0], TILE):
        for col in range(0, db.shape[1], TILE):
            tile = smooth[row : row + TILE, col : col + TILE]
            values = tile[np.isfinite(tile)]
            counts = np.zeros(bins, dtype=np.int64)
            if values.size >= MIN_VALID * TILE * TILE:
                index = np.clip((values - EDGES_DB[0]) / step, 0, bins - 1).astype(np.intp)
                counts = np.bincount(index, minlength=bins)
            out.append(counts)
    return out
