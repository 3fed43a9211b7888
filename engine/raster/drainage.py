"""Height above the nearest drainage (HAND) from an elevation model.

Rennó et al. (2008), HAND, a new terrain descriptor using SRTM-DEM, Remote Sensing of Environment 112; Nobre et al.
(2011), Journal of Hydrology 404. Depressions are filled and flow directions set (D8) by the priority flood of Wang and
Liu (2006) as pyflwdir implements it; a channel is a cell that drains at least 1 km²; a cell's HAND is its height above
the first channel cell downstream, or above the outlet where the water leaves the model before it meets a channel.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from engine.errors import DamagedFileError, GridError, MissingExtraError
from engine.events import Reporter
from engine.raster.grid import Grid, Window
from engine.raster.read import Raster, open_raster
from engine.raster.resample import PixelMapping
from engine.raster.write import CogWriter

CHANNEL_KM2 = 1.0
MARGIN_M = 5_000.0
CELL_M = 30.0
# About 300 MB of memory and at most 2 s in one step that cannot be interrupted; a whole Sentinel-1 scene then has
# cells of about 85 m, the size at which global HAND layers are published.
MAX_CELLS = 6_000_000
_NODATA = -9999.0


def hand_raster(
    dem_path: str | os.PathLike[str],
    grid: Grid,
    folder: str | os.PathLike[str],
    reporter: Reporter,
    *,
    channel_km2: float = CHANNEL_KM2,
    max_cells: int = MAX_CELLS,
) -> Path:
    """Compute HAND around ``grid`` and save it as ``hand.tif`` in ``folder``: float32 metres, NaN where unknown.

    The result is on the DEM's own grid, cut to ``grid``'s outline and 5 km around it, and coarsened by whole pixels to
    at least 30 m and at most ``max_cells`` cells. Raises the reader's errors for the DEM, GridError when it has no CRS
    or does not overlap, DamagedFileError when it has no valid value there, MissingExtraError without pyflwdir.
    """
    try:
        import pyflwdir
    except ImportError as error:
        raise MissingExtraError(
            "Height above the nearest drainage needs the package pyflwdir, which is not installed.",
            remedy="Install the engine with its extra: pip install 'samescene[terrain]', or give --hand FILE.",
        ) from error
    with open_raster(dem_path, what="DEM") as dem:
        dem.require_crs()
        work = work_grid(dem, grid, max_cells=max_cells)
        reporter.progress(0.0, "drainage", f"Reading the DEM ({work.width} x {work.height} cells)")
        height = _read(dem, work, reporter.part(0.0, 0.3))
        path = dem.path
    valid = np.isfinite(height)
    if not valid.any():
        raise DamagedFileError(
            f"{path}: the DEM has no valid value around the scene.", remedy="Give a DEM that covers the scene."
        )
    reporter.progress(0.3, "drainage", "Filling depressions")
    down, along = work.gsd_m()
    filled = np.where(valid, height, np.float32(_NODATA))
    _, directions = pyflwdir.dem.fill_depressions(filled, nodata=_NODATA)
    del filled
    reporter.progress(0.6, "drainage", "Following the flow")
    flow = pyflwdir.from_array(
        directions, ftype="d8", transform=Affine.scale(along, -down), latlon=False, check_ftype=False
    )
    area = flow.upstream_area(unit="cell") * (down * along / 1e6)
    channel = (area >= channel_km2).ravel()
    reporter.progress(0.8, "drainage", "Height above channels")
    hand = _above_channel(height, np.asarray(flow.idxs_ds), channel, reporter)
    target = Path(folder) / "hand.tif"
    tags = {"UNITS": "m", "CHANNEL_KM2": f"{channel_km2:g}", "SOURCE": path}
    with CogWriter(
        target, work, dtype="float32", nodata=math.nan, band_names=["HAND"], tags=tags, overview_resampling="average"
    ) as writer:
        writer.write(work.window, hand)
    reporter.progress(1.0, "drainage", "Height above drainage done")
    return target


def work_grid(dem: Raster, grid: Grid, *, max_cells: int = MAX_CELLS) -> Grid:
    """The grid on which HAND is computed; raises GridError when the DEM does not overlap ``grid``."""
    # A lattice over the scene: its outline alone would miss what a bent border encloses.
    steps = 33
    samples = Grid(
        steps, steps, grid.transform @ Affine.scale(grid.width / (steps - 1), grid.height / (steps - 1)), grid.crs
    )
    places = PixelMapping(samples, dem.grid, name=f"{dem.path} (DEM)")
    row, col = places.source_pixels(Window(0, 0, steps, steps))
    # Samples sit at cell centres: half a step beyond the outline, which only widens the margin.
    seen = np.isfinite(row) & np.isfinite(col)
    down, along = dem.grid.gsd_m()
    covered = Window(0, 0, 0, 0)
    if seen.any():
        margin_rows, margin_cols = math.ceil(MARGIN_M / max(down, 1e-9)), math.ceil(MARGIN_M / max(along, 1e-9))
        half_row, half_col = np.ptp(row[seen]) / (2 * (steps - 1)), np.ptp(col[seen]) / (2 * (steps - 1))
        top, left = math.floor(row[seen].min() - half_row), math.floor(col[seen].min() - half_col)
        bottom, right = math.ceil(row[seen].max() + half_row), math.ceil(col[seen].max() + half_col)
        outline = Window(top, left, bottom - top, right - left)
        if not outline.intersect(dem.grid.window).empty:
            covered = outline.grow(margin_rows, margin_cols).intersect(dem.grid.window)
    if covered.empty:
        raise GridError(
            f"{dem.path}: the DEM does not overlap the scene.", remedy="Give a DEM of the scene's place, or none."
        )
    finest = min(down, along)
    factor = max(1, math.ceil(CELL_M / finest - 0.05), math.ceil(math.sqrt(covered.height * covered.width / max_cells)))
    part = dem.grid.crop(covered)
    return Grid(
        math.ceil(covered.height / factor),
        math.ceil(covered.width / factor),
        part.transform @ Affine.scale(factor),
        part.crs,
    )


def _read(dem: Raster, work: Grid, reporter: Reporter) -> NDArray[np.float32]:
    view = dem.onto(work, resampling="average")
    out = np.empty(work.shape, np.float32)
    rows = max(1, 2_000_000 // work.width)
    for strip in work.strips(rows):
        out[strip.core.row : strip.core.row_stop] = view.read(strip.core, [1])[0]
        reporter.progress(strip.core.row_stop / work.height, "drainage", "Reading the DEM")
    return out


def _above_channel(
    height: NDArray[np.float32], downstream: NDArray[Any], channel: NDArray[np.bool_], reporter: Reporter
) -> NDArray[np.float32]:
    """Height above the first channel cell downstream (or the outlet); never below 0, NaN where the DEM is unknown."""
    cells = np.arange(height.size, dtype=np.int64)
    valid = np.isfinite(height).ravel()
    target = np.where(channel | ~valid | (downstream < 0), cells, downstream)
    # Pointer jumping: after n passes every cell knows the one 2^n steps downstream, or the channel.
    while True:
        reporter.check()
        further = target[target]
        if np.array_equal(further, target):
            break
        target = further
    flat = height.ravel()
    with np.errstate(invalid="ignore"):
        hand = np.maximum(flat - flat[target], np.float32(0))
    hand[~valid] = np.nan
    return hand.reshape(height.shape)
