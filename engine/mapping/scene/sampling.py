"""Windows that stand for a whole grid."""

from __future__ import annotations

import math

from engine.raster.grid import Grid, Window


def sample_windows(grid: Grid, *, size: int, along: int) -> list[Window]:
    """Up to ``along``² windows of ``size`` pixels, evenly spread over the grid; the whole grid when it is small."""

    def starts(length: int) -> list[int]:
        last = max(0, length - size)
        number = min(along, max(1, math.ceil(length / size)))
        return sorted({round(i * last / max(1, number - 1)) for i in range(number)})

    return [
        Window(row, col, size, size).intersect(grid.window) for row in starts(grid.height) for col in starts(grid.width)
    ]
