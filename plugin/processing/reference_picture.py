"""Drawing the imagery of a layer, a map server's for example, to a GeoTIFF once, in the thread of the run."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from qgis.core import (
    Qgis,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCoordinateTransformContext,
    QgsCsException,
    QgsPointXY,
    QgsRasterBlockFeedback,
    QgsRasterDataProvider,
    QgsRasterFileWriter,
    QgsRasterLayer,
    QgsRasterPipe,
    QgsRectangle,
)

from ..compat import scoped
from ..engine_client.failure import EngineCancelled
from .layer_files import LayerFault
from .reference_source import source_of
from .reference_store import Box, PictureGrid
from .server_errors import ServerErrors

MOST_PIXELS = 250_000_000
"""The largest picture: about 4.7 km by 4.7 km at 0.3 m."""
STEP = 1024
"""Pixels of a side of what a server is asked for at once; whole blocks of the file."""
TRIES = 3
PAUSE_S = 2.0
_DEGREE_M = 111_195.0
_WGS84 = "EPSG:4326"


class LayerPicture:
    """What a layer shows, apart from the layer: made in its thread, drawn in another.

    ``what``: how the parameter is called in messages.
    """

    def __init__(self, layer: QgsRasterLayer, *, what: str, transforms: QgsCoordinateTransformContext) -> None:
        self.name, self.what, self.crs = layer.name(), what, layer.crs()
        self.extent = layer.extent()
        self.source = hashlib.sha256(f"{layer.providerType()} {layer.source()}".encode()).hexdigest()
        self._host, self._tiled = source_of(layer).host, bool(layer.dataProvider().nativeResolutions())
        self._transforms = transforms
        self._pipe = QgsRasterPipe()
        provider, renderer = layer.dataProvider().clone(), layer.renderer().clone()
        if not (self._pipe.set(provider) and self._pipe.set(renderer)):
            raise LayerFault(f"{what}: the layer '{self.name}' cannot be drawn. Save it to a file, then use that.")
        self._finest = min(layer.dataProvider().nativeResolutions(), default=0.0)

    def grid(self, region: QgsRectangle, *, finest_m: float, coarsest_m: float) -> PictureGrid:
        """The pixels to draw for a region in degrees: ``finest_m`` metres, or what the server has where that is
        coarser. Raises LayerFault where it is coarser than ``coarsest_m``."""
        per_x, per_y = self._units_per_metre(region.center())
        step_x, step_y = finest_m * per_x, finest_m * per_y
        if self._finest > max(step_x, step_y):
            has_m = self._finest / max(per_x, per_y)
            if has_m > coarsest_m * 1.001:
                raise LayerFault(
                    f"{self.what}: the finest pixels of '{self.name}' are {has_m:.3g} m in the region; expected "
                    f"{coarsest_m:.2g} m or finer. Choose imagery with pixels of at most {coarsest_m:.3g} m; aerial "
                    "photos have 0.1 to 1 m."
                )
            step_x = step_y = self._finest
        return PictureGrid(self.source, self.crs, _rounded(step_x), _rounded(step_y))

    def box(self, grid: PictureGrid, region: QgsRectangle, *, reach_m: float) -> Box:
        """The pixels of a region in degrees and ``reach_m`` metres around it, as far as the layer goes. Raises
        LayerFault for a region outside of the layer, or one that needs too large a picture."""
        around = QgsRectangle(region)
        wide = reach_m / (_DEGREE_M * max(0.01, math.cos(math.radians(region.center().y()))))
        around.setXMinimum(region.xMinimum() - wide)
        around.setXMaximum(region.xMaximum() + wide)
        around.setYMinimum(max(-89.9, region.yMinimum() - reach_m / _DEGREE_M))
        around.setYMaximum(min(89.9, region.yMaximum() + reach_m / _DEGREE_M))
        inner, outer = self._placed(region), self._placed(around)
        if not self.extent.isEmpty():
            if not self.extent.intersects(inner):
                raise LayerFault(f"Region: it lies outside of the reference '{self.name}'.")
            outer = outer.intersect(self.extent)
        box = grid.box(outer)
        if box.width * box.height > MOST_PIXELS:
            raise LayerFault(
                f"{self.what}: the region needs a picture of {box.width:,} x {box.height:,} pixels of '{self.name}', "
                f"more than {MOST_PIXELS // 1_000_000} million. Choose a smaller region, or a method or scales with "
                "coarser pixels."
            )
        return box

    def draw(
        self,
        path: Path,
        grid: PictureGrid,
        box: Box,
        *,
        on_progress: Callable[[float, str], None],
        is_cancelled: Callable[[], bool],
    ) -> None:
        """Write the picture to ``path`` (red, green, blue, alpha). Raises LayerFault when the server fails, and
        EngineCancelled; then nothing is left."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        try:
            self._write(partial, grid, box, on_progress, is_cancelled)
            partial.replace(path)
        except OSError as error:
            raise LayerFault(f"{path}: the picture cannot be written: {error.strerror}.") from error
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)

    def _write(self, path: Path, grid: PictureGrid, box: Box, on_progress, is_cancelled) -> None:
        writer = QgsRasterFileWriter(str(path))
        writer.setOutputProviderKey("gdal")
        writer.setOutputFormat("GTiff")
        writer.setCreateOptions(
            ["TILED=YES", "COMPRESS=DEFLATE", "PREDICTOR=2", "BIGTIFF=IF_SAFER", "PHOTOMETRIC=RGB", "ALPHA=YES"]
        )
        byte = scoped((Qgis, "DataType.Byte"))
        target = writer.createMultiBandRaster(byte, box.width, box.height, grid.extent(box), grid.crs, 4)
        if target is None or not target.isValid():
            raise LayerFault(f"{path}: the picture cannot be written. Check the disk and the folder's rights.")
        target.setEditable(True)
        tiles = [(row, col) for row in range(0, box.height, STEP) for col in range(0, box.width, STEP)]
        try:
            for number, (row, col) in enumerate(tiles):
                on_progress(number / len(tiles), f"Drawing '{self.name}': picture {number + 1} of {len(tiles)}")
                part = Box(box.col + col, box.row + row, min(STEP, box.width - col), min(STEP, box.height - row))
                self._put(target, self._picture(grid, part, is_cancelled), row, col, path)
        finally:
            target.setEditable(False)
            del target

    def _put(self, target: QgsRasterDataProvider, colors: np.ndarray, row: int, col: int, path: Path) -> None:
        for band in range(4):
            plane = np.ascontiguousarray(colors[..., band])
            if not target.write(plane.tobytes(), band + 1, plane.shape[1], plane.shape[0], col, row):
                raise LayerFault(f"{path}: the picture cannot be written. Check that the disk has space.")

    def _picture(self, grid: PictureGrid, part: Box, is_cancelled) -> np.ndarray:
        """(rows, columns, 4) uint8; tried again with pauses where the server fails."""
        fault = ""
        for attempt in range(TRIES):
            if attempt:
                _wait(PAUSE_S * attempt, is_cancelled)
            feedback = QgsRasterBlockFeedback()
            with ServerErrors(self._host, tiled=self._tiled) as answers, _cancelling(feedback, is_cancelled):
                block = self._pipe.last().block(1, grid.extent(part), part.width, part.height, feedback)
            if is_cancelled():
                raise EngineCancelled
            errors = [*answers.errors, *(" ".join(text.split()) for text in feedback.errors() if text.strip())]
            if block is not None and block.isValid() and not block.isEmpty() and not errors:
                return _colors(block)
            fault = (errors[0] if errors else "it gave no picture")[:300].rstrip(".")
            if answers.refused:
                raise LayerFault(
                    f"{self.what}: the server of '{self.name}' refuses: {fault}. Check the layer's login, and whether "
                    "its provider allows this use."
                )
        raise LayerFault(
            f"{self.what}: the server of '{self.name}' failed {TRIES} times: {fault}. Nothing was "
            "written; try again later, or choose other imagery."
        )

    def _placed(self, region: QgsRectangle) -> QgsRectangle:
        transform = QgsCoordinateTransform(QgsCoordinateReferenceSystem(_WGS84), self.crs, self._transforms)
        try:
            return transform.transformBoundingBox(region)
        except QgsCsException as error:
            raise LayerFault(
                f"Region: it cannot be placed in the CRS of '{self.name}' ({self.crs.authid()})."
            ) from error

    def _units_per_metre(self, place: QgsPointXY) -> tuple[float, float]:
        """Units of the CRS for a metre along its x and its y axis at a place in degrees."""
        transform = QgsCoordinateTransform(QgsCoordinateReferenceSystem(_WGS84), self.crs, self._transforms)
        east, north = 1 / (_DEGREE_M * max(0.01, math.cos(math.radians(place.y())))), 1 / _DEGREE_M
        try:
            here = transform.transform(place)
            to_east = transform.transform(QgsPointXY(place.x() + east, place.y()))
            to_north = transform.transform(QgsPointXY(place.x(), place.y() + north))
        except QgsCsException as error:
            raise LayerFault(
                f"Region: it cannot be placed in the CRS of '{self.name}' ({self.crs.authid()})."
            ) from error
        steps = [(p.x() - here.x(), p.y() - here.y()) for p in (to_east, to_north)]
        return math.hypot(steps[0][0], steps[1][0]), math.hypot(steps[0][1], steps[1][1])


def _colors(block) -> np.ndarray:
    """(rows, columns, 4) red, green, blue, alpha of a block of QGIS's 32-bit colours."""
    values = np.frombuffer(bytes(block.data()), "<u4").reshape(block.height(), block.width())
    channels = [(values >> shift & 255).astype(np.uint16) for shift in (16, 8, 0, 24)]
    alpha = channels[3]
    if block.dataType() == scoped((Qgis, "DataType.ARGB32_Premultiplied")) and alpha.min() < 255:
        safe = np.maximum(alpha, 1)
        channels[:3] = [np.minimum(255, (channel * 255 + safe // 2) // safe) for channel in channels[:3]]
    return np.stack([channel.astype(np.uint8) for channel in channels], axis=-1)


def _rounded(step: float) -> float:
    """To six digits, so that a grid does not depend on the last bits of a transformation."""
    return float(f"{step:.6g}")


def _wait(seconds: float, is_cancelled: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if is_cancelled():
            raise EngineCancelled
        time.sleep(0.05)


@contextmanager
def _cancelling(feedback: QgsRasterBlockFeedback, is_cancelled: Callable[[], bool]) -> Iterator[None]:
    """Pass the user's cancel on to a call that waits for a server."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            if is_cancelled():
                feedback.cancel()
                return

    watcher = threading.Thread(target=look, name="cancel", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
