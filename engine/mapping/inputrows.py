"""The input of one row of tiles: read ahead, normalised once, and refilled as a pass moves down the scene."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engine.device import to_device
from engine.errors import ModelError
from engine.mapping.background import Background, Stopped
from engine.mapping.settings import InferenceSettings
from engine.mapping.source import READ_VALUES, Blocks, Source
from engine.raster.grid import Window

_CACHED_ROWS = 16
"""Rows whose intermediate results stay in a processor's cache."""
_WITHOUT_SIGN, _INFINITY = 0x7FFFFFFF, 0x7F800000
"""Bits of a float32: all but its sign, and infinity."""


class Piece(NamedTuple):
    """What one read gave: ``values`` (bands, rows, columns) on the host; ``complete`` when no value is missing."""

    window: Window
    values: Tensor
    complete: bool


def read_ahead(source: Source, *, bottom: int, left: int, right: int, bands: int, pinned: bool) -> Background[Piece]:
    """Start reading rows 0 … ``bottom`` of columns ``left … right``, in strips of whole blocks, one strip ahead."""
    blocks = Blocks.of(source)

    def read(stop: threading.Event) -> Iterator[Piece]:
        for window in blocks.pieces(0, bottom, left, right, bands=bands):
            if stop.is_set():
                raise Stopped
            array = np.require(source.read(window), np.float32, ["W"])  # torch warns of arrays that it may not write to
            # One sum tells whether anything is missing at all; where it overflows, the long way is taken and right.
            # Not torch's sum: its threads would wait for work in the way of those that compute.
            with np.errstate(over="ignore", invalid="ignore"):
                complete = math.isfinite(float(array.sum()))
            values = torch.from_numpy(array)
            yield Piece(window, values.pin_memory() if pinned else values, complete)
            del array, values

    ahead = max(1, math.ceil((right - left) * blocks.strip_rows * bands / READ_VALUES))
    return Background(read, depth=ahead, name="samescene-reader")


class Normaliser:
    """(value − mean) / std per band, missing values 0, and the validity band where the settings want one."""

    def __init__(self, settings: InferenceSettings, *, device: torch.device) -> None:
        self._settings = settings
        self._scale: Tensor | None = None
        self._shift: Tensor | None = None
        if settings.mean is not None and settings.std is not None:
            mean = torch.tensor(settings.mean, dtype=torch.float64)[:, None, None]
            std = torch.tensor(settings.std, dtype=torch.float64)[:, None, None]
            self._scale, self._shift = (1 / std).float().to(device), (-mean / std).float().to(device)

    def channels(self, bands: int) -> int:
        """Channels of the network's input for a scene of ``bands``; raises ModelError for a wrong number of bands."""
        wanted = len(self._settings.mean) if self._settings.mean is not None else bands
        if bands != wanted:
            raise ModelError(f"The model takes {wanted} bands, the scene gives {bands}.")
        return bands + (1 if self._settings.validity else 0)

    def write(self, values: Tensor, out: Tensor, *, complete: bool) -> Tensor | None:
        """Write ``values`` (bands, rows, columns) into ``out`` (channels, rows, columns).

        Returns bool (rows, columns), True where the output will be missing, or None where nothing is missing.
        """
        rows = values.shape[1]
        missing = None if complete else torch.empty(values.shape[1:], dtype=torch.bool, device=values.device)
        step = _CACHED_ROWS if values.device.type == "cpu" else max(1, rows)
        for row in range(0, rows, step):
            part = slice(row, row + step)
            self._write(values[:, part], out[:, part], None if missing is None else missing[part])
        return missing

    def _write(self, values: Tensor, out: Tensor, missing: Tensor | None) -> None:
        bands = values.shape[0]
        if self._scale is not None and self._shift is not None:
            torch.addcmul(self._shift, values, self._scale, out=out[:bands])
        else:
            out[:bands].copy_(values)
        if missing is not None:
            out[:bands].nan_to_num_(0.0, 0.0, 0.0)  # only of what is not finite itself does the line above make such
            _find_missing(values, missing, any_band=self._settings.nodata == "any")
        if self._settings.validity:
            if missing is None:
                out[bands].fill_(1.0)
            else:
                out[bands].copy_(~missing)


def _find_missing(values: Tensor, out: Tensor, *, any_band: bool) -> None:
    """``out`` (rows, columns) becomes True where any band, or every band, of ``values`` (bands, rows, columns) float32
    is not finite."""
    # The bits of a number without its sign are in the order of numbers, with infinity and NaN above all finite ones.
    bits = values.view(torch.int32) & _WITHOUT_SIGN
    torch.ge(bits.amax(dim=0) if any_band else bits.amin(dim=0), _INFINITY, out=out)


class InputRows:
    """Rows ``top … top + tile`` of the input, ``width`` columns from ``left``, normalised, on the device.

    With ``channels_last`` the channels of a pixel are beside each other in memory: for networks that want them so,
    every pixel is turned round once here and not once for each tile that has it.
    """

    def __init__(
        self,
        pieces: Background[Piece],
        normaliser: Normaliser,
        *,
        tile: int,
        left: int,
        width: int,
        device: torch.device,
        channels_last: bool = False,
    ) -> None:
        self._pieces, self._normaliser, self._device = pieces, normaliser, device
        self._channels_last = channels_last
        self._tile, self._left, self._width = tile, left, width
        self._waiting: list[Piece] = []
        self._top = self._filled = self._read_to = self._missing_to = 0
        self._buffer: Tensor | None = None
        self._missing: Tensor | None = None

    def advance(self, top: int, check: Callable[[], None]) -> Tensor:
        """Move down to ``top`` (never up, at most a tile) and give (channels, tile, width); ``check`` may raise."""
        self._shift(top)
        waiting, self._waiting = self._waiting, []
        for piece in waiting:
            self._put(piece)
        while self._read_to < top + self._tile:
            got = self._pieces.get(check)
            if got is None:
                raise RuntimeError(f"The reader ended at row {self._read_to}, before row {top + self._tile}.")
            piece = Piece(got.window, to_device(got.values, self._device), got.complete)
            self._put(piece)
            if piece.window.col_stop == self._left + self._width:
                self._read_to = piece.window.row_stop
        self._filled = top + self._tile
        if self._buffer is None:
            raise RuntimeError("There is no row to read.")
        return self._buffer

    @property
    def missing(self) -> Tensor | None:
        """bool (tile, width), True where the output will be missing; None where no pixel is."""
        return self._missing if self._missing_to > self._top else None

    def with_values(self, starts: Sequence[int]) -> list[bool]:
        """For each tile that starts at one of these columns of the buffer: has it any pixel that is not missing?"""
        missing = self.missing
        if missing is None:
            return [True] * len(starts)
        valid = (~missing.all(dim=0)).cpu().to(torch.int64)
        before = torch.cat([torch.zeros(1, dtype=torch.int64), valid.cumsum(0)])
        return [bool(before[start + self._tile] > before[start]) for start in starts]

    def _shift(self, top: int) -> None:
        down, kept = top - self._top, self._filled - top
        if down and kept > 0 and self._buffer is not None:
            for buffer in (self._buffer, *([] if self._missing is None else [self._missing[None]])):
                moved = buffer[:, down : down + kept]
                buffer[:, :kept] = moved.clone() if kept > down else moved
        self._top = top

    def _put(self, piece: Piece) -> None:
        """Take the rows of a piece that belong here and were not taken yet; keep the piece if it reaches below."""
        window, bottom = piece.window, self._top + self._tile
        first, last = max(window.row, self._filled), min(window.row_stop, bottom)
        if window.row_stop > bottom:
            self._waiting.append(piece)
        if first >= last:
            return
        values = piece.values[:, first - window.row : last - window.row]
        if self._buffer is None:
            channels = self._normaliser.channels(values.shape[0])
            if self._channels_last:
                inner = torch.zeros((self._tile, self._width, channels), device=self._device)
                self._buffer = inner.permute(2, 0, 1)
            else:
                self._buffer = torch.zeros((channels, self._tile, self._width), device=self._device)
        rows = slice(first - self._top, last - self._top)
        cols = slice(window.col - self._left, window.col_stop - self._left)
        missing = self._normaliser.write(values, self._buffer[:, rows, cols], complete=piece.complete)
        if missing is not None:
            if self._missing is None:
                self._missing = torch.zeros((self._tile, self._width), dtype=torch.bool, device=self._device)
            self._missing[rows, cols] = missing
            self._missing_to = max(self._missing_to, last)
        elif self._missing is not None:
            self._missing[rows, cols] = False
