"""One pass of a network from the top to the bottom of a scene, over all columns or a group of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.mapping.background import Stopped
from engine.mapping.blending import ColumnBlender, RowBlender, row_like
from engine.mapping.inputrows import InputRows, Normaliser, read_ahead
from engine.mapping.network import PreparedNetwork, activate
from engine.mapping.precision import Activation
from engine.mapping.settings import InferenceSettings
from engine.mapping.source import Source
from engine.mapping.tiles import Lattice, shares
from engine.raster.grid import Window

Digest = Callable[[NDArray[np.float32]], NDArray[Any]]
"""Takes finished values (classes, rows, columns), a few rows of them, which it may change but not keep, and gives
(planes, rows, columns) of what the caller wants instead. Called in another thread."""

_CACHED_VALUES = 1 << 18
"""Values of finished rows that stay in a processor's cache until they are digested."""


class Rows(NamedTuple):
    """Finished rows: ``values`` (classes, rows, columns) on the host, readable once ``ready`` (if any) has happened.

    Where there is a digest they are what it made, but for a GPU's, which the receiver has to digest.
    """

    window: Window
    values: Tensor
    ready: torch.cuda.Event | None


class ColumnPass:
    """Computes the columns ``columns[0] … columns[1]`` of a scene; ``tiles`` run and ``skipped`` are counted.

    Tiles are those of the whole scene that touch the columns, so that groups of columns give what one pass gives.
    """

    def __init__(
        self,
        network: PreparedNetwork,
        settings: InferenceSettings,
        source: Source,
        *,
        columns: tuple[int, int],
        batch: int,
        digest: Digest | None = None,
    ) -> None:
        self._network, self._settings, self._source = network, settings, source
        self._columns, self._batch_size, self._digest = columns, batch, digest
        self.tiles = self.skipped = 0
        self._rows = Lattice(source.grid.height, settings.tile, settings.stride)
        cols = Lattice(source.grid.width, settings.tile, settings.stride)
        touching = cols.touching(*columns)
        self._left = cols.start(touching[0])
        self._starts = [cols.start(i) - self._left for i in touching]
        self._width = self._starts[-1] + settings.tile
        self._device = network.device.torch
        self._blender = RowBlender(
            [share for i, share in enumerate(shares(cols)) if i in touching], self._starts, device=self._device
        )
        self._batch: Tensor | None = None

    def run(self, stop: threading.Event) -> Iterator[Rows]:
        """Finished rows from the top; a set ``stop`` ends the pass with :class:`Stopped`, within a layer's time."""
        settings = self._settings
        pieces = read_ahead(
            self._source,
            bottom=self._rows.stop(len(self._rows) - 1),
            left=self._left,
            right=self._left + self._width,
            bands=len(settings.mean or (0.0, 0.0)),
            pinned=self._device.type == "cuda",
        )
        inputs = InputRows(
            pieces,
            Normaliser(settings, device=self._device),
            tile=settings.tile,
            left=self._left,
            width=self._width,
            device=self._device,
            channels_last=self._device.type == "cpu" and self._network.layout == torch.channels_last,
        )
        try:
            with self._network.running(stop):
                yield from self._compute(inputs, stop)
        finally:
            pieces.close(wait_s=0.9)

    def _compute(self, inputs: InputRows, stop: threading.Event) -> Iterator[Rows]:
        def check() -> None:
            if stop.is_set():
                raise Stopped

        columns = ColumnBlender()
        row: Tensor | None = None
        for index, share in enumerate(shares(self._rows)):
            top = self._rows.start(index)
            values = inputs.advance(top, check)
            row = self._blend_row(values, inputs.with_values(self._starts), inputs.missing, row, stop)
            final = columns.push(row, share)
            yield self._finish(final, inputs.missing, top)

    def _blend_row(
        self, values: Tensor, needed: list[bool], missing: Tensor | None, row: Tensor | None, stop: threading.Event
    ) -> Tensor:
        """Run the needed tiles of one row of tiles and join them in ``row`` (made when None)."""
        tile = self._settings.tile
        run = [index for index, needs in enumerate(needed) if needs]
        self.tiles += len(run)
        self.skipped += len(needed) - len(run)
        done = 0
        for first in range(0, len(run), self._batch_size):
            if stop.is_set():
                raise Stopped
            chosen = run[first : first + self._batch_size]
            counts = None
            if missing is not None and self._network.proving:
                counts = torch.stack([~missing[:, self._starts[i] : self._starts[i] + tile] for i in chosen])
            logits = self._network.forward(self._gather(values, chosen), counts=counts)
            if row is None:
                row = row_like(logits[0], self._width)
            for place, index in enumerate(chosen):
                for skipped in range(done, index):
                    self._blender.put(row, skipped, None)
                self._blender.put(row, index, logits[place])
                done = index + 1
        if row is None:
            # The scene begins without a valid pixel: one tile of zeros tells the number of classes.
            zeros = torch.zeros((1, values.shape[0], tile, tile), device=self._device)
            row = row_like(self._network.forward(zeros, prove=False)[0], self._width)
        for skipped in range(done, len(needed)):
            self._blender.put(row, skipped, None)
        return row

    def _gather(self, values: Tensor, tiles: list[int]) -> Tensor:
        tile = self._settings.tile
        if self._batch is None:
            shape = (min(self._batch_size, len(self._starts)), values.shape[0], tile, tile)
            self._batch = torch.empty(shape, device=self._device, memory_format=self._network.layout)
        for place, index in enumerate(tiles):
            start = self._starts[index]
            self._batch[place].copy_(values[:, :, start : start + tile])
        return self._batch[: len(tiles)]

    def _finish(self, final: Tensor, missing: Tensor | None, top: int) -> Rows:
        start, stop = self._columns
        height = min(final.shape[1], self._source.grid.height - top)
        cols = slice(start - self._left, stop - self._left)
        settings = self._settings
        activation = "none" if settings.logits else settings.activation
        final = final[:, :height, cols]
        hidden = None if missing is None else missing[:height, cols]
        window = Window(top, start, height, stop - start)
        if self._digest is not None and self._device.type != "cuda":
            return Rows(window, self._digested(final, hidden, activation, self._digest), None)
        values = activate(final, activation=activation, temperature=settings.temperature, missing=hidden)
        if self._device.type != "cuda":
            return Rows(window, values.cpu(), None)
        host = torch.empty(values.shape, pin_memory=True)
        host.copy_(values, non_blocking=True)
        ready = torch.cuda.Event()
        ready.record(torch.cuda.current_stream(self._device))  # not that of the first device
        return Rows(window, host, ready)

    def _digested(self, final: Tensor, hidden: Tensor | None, activation: Activation, digest: Digest) -> Tensor:
        """What ``digest`` makes of the finished rows, a few at a time: their classes never leave the cache."""
        classes, height, width = final.shape
        step = max(1, min(height, _CACHED_VALUES // (classes * width)))
        whole: NDArray[Any] | None = None
        store = torch.empty((classes, step, width))
        for row in range(0, height, step):
            rows = slice(row, min(row + step, height))
            values = activate(
                final[:, rows].cpu(),
                activation=activation,
                temperature=self._settings.temperature,
                missing=None if hidden is None else hidden[rows].cpu(),
                out=store[:, : rows.stop - row],
            )
            made = digest(values.numpy())
            if whole is None:
                whole = np.empty((made.shape[0], height, width), made.dtype)
            whole[:, rows] = made
        return torch.from_numpy(np.empty((0, 0, width), np.uint8) if whole is None else whole)
