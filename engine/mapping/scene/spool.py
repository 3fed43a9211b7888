"""A scratch raster of bytes on disk, written and read by whole rows.

Passes over a scene hand their results on through spools, so that memory does not grow with the number of rows. The
file has no name on POSIX (and is deleted on closing on Windows), so a killed engine leaves nothing behind.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from engine.outputs import explain_os_error
from engine.raster.grid import Window

U8 = NDArray[np.uint8]


class RowSpool:
    """``width`` bytes a row. Windows are written in any order (those of the full width are fastest); rows are read when
    they have been written."""

    def __init__(self, width: int, folder: Path) -> None:
        self._width, self._folder = width, folder
        try:
            # Unbuffered: a buffer only gets in the way of moving about and of whole strips.
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by close()
        except OSError as error:
            raise explain_os_error(error, folder) from error

    def write(self, window: Window, values: U8) -> None:
        """Store ``values`` (rows, columns) of the window; raises OutputError when the disk is full."""
        whole = np.ascontiguousarray(values, dtype=np.uint8)
        rows = [whole] if window.width == self._width else whole
        try:
            for number, part in enumerate(rows):
                self._file.seek((window.row + number) * self._width + window.col)
                left = part.reshape(-1).data
                while left:
                    left = left[self._file.write(left) :]
        except OSError as error:
            raise explain_os_error(error, self._folder) from error

    def read(self, window: Window) -> U8:
        """(rows, width) of the window's rows; they must have been written."""
        self._file.seek(window.row * self._width)
        out = np.empty((window.height, self._width), np.uint8)
        left = out.reshape(-1).data
        while left:
            count = self._file.readinto(left)
            if not count:
                raise ValueError(f"Rows {window.row}..{window.row_stop} were not written to the spool.")
            left = left[count:]
        return out

    def close(self) -> None:
        """Free the disk space."""
        self._file.close()

    def __enter__(self) -> RowSpool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
