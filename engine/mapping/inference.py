"""Streaming inference: a torch segmentation network over a raster of any size in bounded memory.

A thread reads full-width strips aligned to the file's blocks; a second cuts tiles from them, runs the network and
blends; the caller receives finished rows from the top and writes them meanwhile. At any time only the rows of one row
of tiles and a few strips are in memory, so memory does not depend on the number of rows, and grows with the width up
to a budget, past which the scene is done in block-aligned groups of columns.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator
from typing import Any

from numpy.typing import NDArray
from torch import nn

from engine.device import Device, choose_device
from engine.errors import DeviceError
from engine.events import Reporter
from engine.mapping.background import Background
from engine.mapping.columnpass import ColumnPass, Digest, Rows
from engine.mapping.network import PreparedNetwork, out_of_memory
from engine.mapping.settings import InferenceSettings
from engine.mapping.source import Blocks, RasterSource, Source
from engine.raster.grid import Window

__all__ = ["InferenceSettings", "RasterSource", "Source", "StreamingInference"]


class StreamingInference:
    """A network with its settings, ready to run over scenes, one at a time.

    ``network`` takes (batch, bands, tile, tile) float32 and gives (batch, classes, tile, tile) logits; it is copied,
    in evaluation mode. ``device`` default: ``auto``. Raises DeviceError when the device cannot hold it.
    """

    def __init__(
        self, network: nn.Module, settings: InferenceSettings | None = None, *, device: Device | None = None
    ) -> None:
        self.settings = settings or InferenceSettings()
        self.device = device or choose_device("auto")
        self.network = PreparedNetwork(
            network,
            device=self.device,
            precision=self.settings.precision,
            activation=self.settings.activation,
            judged=self.settings.judged,
            temperature=self.settings.temperature,
        )
        self._passes: list[ColumnPass] = []

    @property
    def batch(self) -> int:
        """Tiles that go through the network together."""
        if self.settings.batch is not None:
            return self.settings.batch
        # The processor gains nothing from batches and answers a cancel sooner without; a GPU wants millions of pixels.
        pixels = (1 << 18) if self.device.kind == "cpu" else (1 << 22)
        return max(1, pixels // self.settings.tile**2)

    def stream(
        self, source: Source, reporter: Reporter | None = None, *, digest: Digest | None = None
    ) -> Generator[tuple[Window, NDArray[Any]], None, None]:
        """Yield (window, float32 (classes, rows, columns)) from the top; together they cover the grid exactly once.

        Windows have the full width, or, past the memory budget, each group of columns goes from the top to the bottom
        before the next. NaN exactly where the settings' nodata rule says. Arrays are the caller's to keep or change.
        Values do not depend on batch, strips or groups (beyond the rounding of the network's own kernels).

        With ``digest`` what it makes of the values comes in their place, and they are never all in memory.

        Raises Cancelled within a second of the request, whatever the source's read raises, ModelError when the network
        does not fit the input, DeviceError when memory runs out. Closing the generator early ends its threads.
        """
        reporter = reporter or Reporter()
        grid = source.grid
        self._passes = []
        if grid.height == 0 or grid.width == 0:
            return
        done = 0
        said = ""
        digested = digest is not None and self.device.kind != "cuda"
        for columns in self.column_groups(source, digested=digested):
            one = ColumnPass(self.network, self.settings, source, columns=columns, batch=self.batch, digest=digest)
            self._passes.append(one)
            results: Background[Rows] = Background(one.run, depth=1, name="samescene-inference")
            try:
                while (rows := results.get(reporter.check)) is not None:
                    if rows.ready is not None:
                        rows.ready.synchronize()
                    if self.network.precision != said:  # the reason is refined as the proof goes on
                        said = self.network.precision
                        reporter.log(f"The network runs on {self.device} in {said} ({self.network.reason}).")
                    window, values = rows.window, rows.values.numpy()
                    if digest is not None and rows.ready is not None:  # what a GPU gave was not digested yet
                        values = digest(values)
                    del rows  # nothing here may keep alive what the caller has dropped
                    yield window, values
                    del values
                    done += window.height * window.width
                    reporter.progress(done / (grid.height * grid.width), "inference", f"{window.row_stop:,} rows")
            except RuntimeError as error:
                if out_of_memory(error):
                    raise self._too_little_memory(grid.width) from error
                raise
            finally:
                results.close(wait_s=1.0)

    def _too_little_memory(self, width: int) -> DeviceError:
        return DeviceError(
            f"{self.device} has too little memory for rows of {width} pixels in batches of {self.batch} tiles of "
            f"{self.settings.tile} x {self.settings.tile} pixels.",
            remedy="Free some memory, map a smaller area of interest, or use --device cpu.",
        )

    def column_groups(self, source: Source, *, digested: bool = False) -> list[tuple[int, int]]:
        """First and last + 1 column of every group, block-aligned; one group where the budget allows the full width.
        ``digested``: finished rows do not wait as they are."""
        s, width = self.settings, source.grid.width
        if s.budget_bytes is None:
            return [(0, width)]
        blocks = Blocks.of(source)
        bands = len(s.mean) if s.mean is not None else 4
        classes = getattr(self.network.original, "classes", 8)
        # Input: a row of tiles and three strips on the way. Output: a row of tiles and its carry, and four finished
        # strips between the pass and whoever writes, unless they were digested.
        input_rows = s.tile + 3 * blocks.strip_rows
        output_rows = s.tile + s.overlap + (0 if digested else 4 * s.stride)
        affordable = s.budget_bytes // (4 * (bands * input_rows + classes * output_rows)) - 2 * s.tile
        if affordable >= width:
            return [(0, width)]
        cuts = blocks.col_cuts(0, width, at_most=max(s.tile, affordable))
        return list(itertools.pairwise(cuts))

    def facts(self) -> dict[str, Any]:
        """JSON-able facts of the last run: device, precision and why, tile, overlap, batch, tiles run and skipped."""
        return {
            "device": str(self.device),
            "precision": self.network.precision,
            "precision_reason": self.network.reason,
            "tile": self.settings.tile,
            "overlap": self.settings.overlap,
            "batch": self.batch,
            "tiles": sum(one.tiles for one in self._passes),
            "tiles_skipped": sum(one.skipped for one in self._passes),
            "column_groups": len(self._passes),
        }
