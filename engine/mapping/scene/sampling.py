"""Windows that stand for a whole grid."""

from __future__ import annotations

import math

from engine.raster.grid import Grid, Window


def sample_windows(grid: Grid, *, size: int, along: int, block: tuple[int, int] = (1, 1)) -> list[Window]:
    """Up to ``along``² windows of ``size`` pixels, evenly spread over the grid; the whole grid when it is small.

    Where the file's ``block`` (rows, columns) holds a window and they do not cover the grid, each moves up and to the
    left so that it lies in one block: else up to four are decoded for it.
    """

    def starts(length: int, whole: int) -> list[int]:
        last = max(0, length - size)
        number = min(along, max(1, math.ceil(length / size)))
        found = {round(i * last / max(1, number - 1)) for i in range(number)}
        if size <= whole and along * size < length:
            found = {start - max(0, start % whole + size - whole) for start in found}
        return sorted(found)

    return [
        Window(row, col, size, size).intersect(grid.window)
        for row in starts(grid.height, block[0])
        for col in starts(grid.width, block[1])
    ]
