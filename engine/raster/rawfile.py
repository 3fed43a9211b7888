"""A flat file of pixels that takes windows in any order: what a raster is collected in before it is packed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.raster.grid import Window

_CHUNK_BYTES = 4 * 1024 * 1024


class RawFile:
    """(bands, rows, columns) of ``dtype``, band after band, row after row, in the machine's byte order.

    The whole space is taken at once (OSError when the disk is full). What is never written becomes ``fill``.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int], dtype: np.dtype[Any], *, fill: float) -> None:
        self.path, self.shape, self.dtype = path, shape, dtype
        self._fill = np.array(fill, dtype)
        self._touched = np.zeros(shape[1], bool)
        self._file = path.open("xb", buffering=0)
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._file.fileno(), 0, size)
            else:
                self._file.truncate(size)
        except OSError:
            self._file.close()
            path.unlink()
            raise

    def write(self, window: Window, values: NDArray[Any]) -> None:
        """Write (bands, rows, columns) at ``window``."""
        rows = slice(window.row, window.row_stop)
        if window.width < self.shape[2]:
            for row in window.row + np.flatnonzero(~self._touched[rows]):
                self._fill_rows(int(row), 1)
        self._touched[rows] = True
        for band, plane in enumerate(values):
            if window.width == self.shape[2]:
                self._put(band, window.row, 0, plane)
            else:
                for i, line in enumerate(plane):
                    self._put(band, window.row + i, window.col, line)

    def close(self, *, fill: bool = True) -> None:
        """Fill the rows that nothing was written to (unless the file is thrown away) and close."""
        if self._file.closed:
            return
        try:
            if fill:
                edges = np.flatnonzero(np.diff(np.concatenate(([True], self._touched, [True])).astype(np.int8)))
                for start, stop in edges.reshape(-1, 2):
                    self._fill_rows(int(start), int(stop - start))
        finally:
            self._file.close()

    def _fill_rows(self, row: int, count: int) -> None:
        width = self.shape[2]
        step = max(1, _CHUNK_BYTES // max(1, width * self.dtype.itemsize))
        for band in range(self.shape[0]):
            for start in range(row, row + count, step):
                rows = min(step, row + count - start)
                self._put(band, start, 0, np.full((rows, width), self._fill, self.dtype))

    def _put(self, band: int, row: int, col: int, values: NDArray[Any]) -> None:
        start = ((band * self.shape[1] + row) * self.shape[2] + col) * self.dtype.itemsize
        self._file.seek(start)
        left = np.ascontiguousarray(values).data.cast("B")
        while left:
            left = left[self._file.write(left) :]
