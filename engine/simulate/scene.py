"""A simulated scene: any window of its images and of their exact truth, computed from fixed blocks.

Everything is simulated. A block depends on settings and place only, so a scene is the same made whole or in strips.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from engine.errors import GridError
from engine.raster.grid import Grid, Window
from engine.simulate import radar
from engine.simulate.landscape import WORLDCOVER, Landscape, bright_fields, make_landscape, wet_fields
from engine.simulate.noise import BLOCK, block_normals, derive, exceeded_by, fractal_noise
from engine.simulate.optics import cloud_level, reflectance
from engine.simulate.request import SceneSettings
from engine.simulate.terrain import STEP, Ground, Terrain, hidden_columns, radar_shadow

FloatArray = NDArray[np.float32]
ByteArray = NDArray[np.uint8]

POLARISATIONS = ("VV", "VH")
DRY, PERMANENT, FLOOD, UNKNOWN = 0, 1, 2, 255
_TILT = 0.21


@dataclass
class SceneArrays:
    """A window of a simulated scene. What was not asked for is None.

    ``before``, ``after``: (2, h, w) float32 sigma0 dB of VV and VH, NaN outside the swath. ``optical``: (12, h, w)
    uint16 reflectance × 10,000. ``landcover``: WorldCover codes. ``dem``: metres. ``reference_water``: 1 permanent
    water. ``flood_truth``: 0 dry, 1 permanent water, 2 flood, 255 outside the swath. ``excluded_truth``: 1 radar
    shadow, 255 outside the swath. ``before_label``, ``after_label``: int16, 1 water, 0 dry, −1 water under plants or
    between houses, and outside the swath. ``hidden``: share (0..1) of the flood's echo that stands above the water.
    """

    before: FloatArray | None = None
    after: FloatArray | None = None
    optical: NDArray[np.uint16] | None = None
    landcover: ByteArray | None = None
    dem: FloatArray | None = None
    reference_water: ByteArray | None = None
    flood_truth: ByteArray | None = None
    excluded_truth: ByteArray | None = None
    before_label: NDArray[np.int16] | None = None
    after_label: NDArray[np.int16] | None = None
    hidden: FloatArray | None = None

    def put(self, block: Window, arrays: SceneArrays, window: Window) -> None:
        """Copy the part of ``arrays`` (which covers ``block``) that lies in ``window``, which these arrays cover."""
        part = block.intersect(window)
        source, target = part.within(block), part.within(window)
        for field in fields(SceneArrays):
            values = getattr(arrays, field.name)
            if values is None:
                continue
            whole = getattr(self, field.name)
            if whole is None:
                whole = np.empty((*values.shape[:-2], *window.shape), values.dtype)
                setattr(self, field.name, whole)
            whole[(..., *target)] = values[(..., *source)]


class SimulatedScene:
    """A scene ready to be computed window by window; making it lays out rivers and hills only.

    Raises GridError when ``settings.crs`` is unknown.
    """

    def __init__(self, settings: SceneSettings) -> None:
        self.settings = settings
        self.grid = scene_grid(settings)
        self._seed = derive(settings.seed, "scene")
        self.terrain = Terrain(self._seed, settings.height, settings.width, gsd=settings.gsd, relief=settings.relief)
        shape = self.grid.shape
        self._cloud_level = cloud_level(self._seed, shape, settings.clouds)
        self._wind_levels = [
            exceeded_by(derive(self._seed, "wind", date), shape, 128, 16, share=settings.wind) for date in (0, 1)
        ]
        self._shadow_halo = hidden_columns(settings.relief, settings.gsd)

    def blocks(self) -> Iterator[Window]:
        """The blocks of 512 x 512 pixels (smaller at the lower and right edges), row by row."""
        for row in range(0, self.grid.height, BLOCK):
            for col in range(0, self.grid.width, BLOCK):
                yield Window(row, col, BLOCK, BLOCK).intersect(self.grid.window)

    def window(self, window: Window) -> SceneArrays:
        """Any window inside the scene, put together from blocks; raises ValueError when it reaches outside."""
        window.within(self.grid.window)
        result = SceneArrays()
        for row in range(window.row // BLOCK * BLOCK, window.row_stop, BLOCK):
            for col in range(window.col // BLOCK * BLOCK, window.col_stop, BLOCK):
                block = Window(row, col, BLOCK, BLOCK).intersect(self.grid.window)
                result.put(block, self.block(block), window)
        return result

    def block(self, block: Window) -> SceneArrays:
        """One of :meth:`blocks`."""
        makes = self.settings.makes
        place = (block.row // BLOCK, block.col // BLOCK)
        outer = block.grow(1)
        # Nothing outside the scene casts a shadow into it.
        halo = outer.col - max(outer.col - self._shadow_halo, -STEP)
        wide = Window(outer.row, outer.col - halo, outer.height, outer.width + halo)
        seen = self.terrain.ground(wide)
        ground = Ground(*(np.ascontiguousarray(values[:, halo:]) for values in seen))
        height = ground.height
        land = make_landscape(
            self._seed,
            outer,
            ground,
            self.terrain.slope(height),
            self.grid.shape,
            towns=self.settings.towns,
            lookalikes=self.settings.lookalikes,
        )
        depth = np.float32(self.settings.flood) * ground.surge - ground.hand
        permanent = ground.distance < 0
        flood = (depth > 0) & ~permanent
        if self.settings.wet_fields > 0:
            wet, stands = wet_fields(self._seed, outer, land, self.terrain.slope(height), self.settings.wet_fields)
            depth = np.where(wet, np.maximum(depth, stands), depth)
            flood |= wet & ~permanent
        roofs = bright_fields(land, self.settings.bright_fields) if self.settings.bright_fields > 0 else None
        if roofs is not None:
            flood &= ~roofs[0]
        hidden = np.where(flood, radar.hidden_share(land.kind, land.canopy, depth), 0).astype(np.float32)
        inner = (slice(1, -1), slice(1, -1))
        columns = np.arange(wide.col, wide.col_stop)
        angles = radar.incidence_deg(columns, self.grid.width, self.settings.gsd)
        shadow = radar_shadow(seen.height, angles, gsd=self.settings.gsd, halo=halo)
        swaths = [self._swath(block, date) for date in (0, 1)]
        result = SceneArrays()
        if "s1" in makes:
            gain = radar.slope_gain(height, angles[halo:], self.settings.gsd)
            gain[permanent] = 1
            gain[shadow] = 0
            grain = block_normals(derive(self._seed, "grain"), place, (BLOCK + 2, BLOCK + 2))
            spots = radar.texture(land.kind, land.patch, grain[: outer.height, : outer.width])
            base = [radar.mean_db(pol, land.kind, angles[halo:]) + spots for pol in POLARISATIONS]
            if roofs is not None:
                where, how = roofs
                for pol, plane, bright in zip(POLARISATIONS, base, how, strict=True):
                    least, more = radar.ROOF_DB[pol]
                    plane[where] += least + more * bright[where]
            for date, name in enumerate(("before", "after")):
                image = self._image(
                    place, outer, land, base, gain, angles[halo:], flood if date else None, hidden, date
                )
                image[:, ~swaths[date]] = np.nan
                setattr(result, name, image)
        if "s2" in makes:
            result.optical = reflectance(
                self._seed,
                place,
                outer,
                land,
                open_water=flood * (1 - hidden),
                shade=_sunlight(height, self.settings.gsd),
                cloud_level=self._cloud_level,
            )
        if "landcover" in makes:
            result.landcover = WORLDCOVER[land.kind[inner]]
        if "dem" in makes:
            result.dem = np.ascontiguousarray(height[inner])
        if "water" in makes:
            result.reference_water = permanent[inner].astype(np.uint8)
        if "truth" in makes:
            truth = np.where(permanent, PERMANENT, np.where(flood, FLOOD, DRY)).astype(np.uint8)[inner]
            result.flood_truth = np.where(swaths[1], truth, UNKNOWN).astype(np.uint8)
            result.excluded_truth = np.where(swaths[1], shadow[inner], UNKNOWN).astype(np.uint8)
            result.hidden = np.ascontiguousarray(hidden[inner])
        if "labels" in makes:
            after = (permanent | flood).astype(np.int16)
            after[hidden > 0.5] = -1
            result.before_label = np.where(swaths[0], permanent[inner], -1).astype(np.int16)
            result.after_label = np.where(swaths[1], after[inner], -1).astype(np.int16)
        return result

    def _image(
        self,
        place: tuple[int, int],
        outer: Window,
        land: Landscape,
        base: list[FloatArray],
        gain: FloatArray,
        angles: FloatArray,
        flood: NDArray[np.bool_] | None,
        hidden: FloatArray,
        date: int,
    ) -> FloatArray:
        """(2, h, w) dB of one date. ``base``: dB by polarisation without the date's state; ``flood`` None before."""
        seed, looks = self._seed, self.settings.looks
        rough = self._rough(outer, date)
        state = radar.field_state(land.kind, land.parcel, date)
        image = np.empty((2, outer.height - 2, outer.width - 2), np.float32)
        wet = land.kind == 0
        if flood is not None:
            wet |= flood & (hidden < 0.5)
        for k, pol in enumerate(POLARISATIONS):
            power = radar.to_power(base[k] + state)
            if flood is not None and flood.any():
                water = radar.water_power(pol, land.patch, angles)
                power = np.where(flood, radar.flooded(pol, power, water, hidden), power)
            if rough is not None:
                power = np.where(wet, power * radar.to_power(rough * np.float32(radar.WIND_DB[pol])), power)
            smooth = radar.blur(power * gain)
            shimmer = radar.speckle(derive(seed, "speckle", date, k), place, smooth.shape, size=BLOCK, looks=looks)
            image[k] = radar.measure(pol, smooth, shimmer, angles[1:-1])
        return image

    def _rough(self, window: Window, date: int) -> FloatArray | None:
        """How much wind roughens water, 0..1, in patches of a kilometre or so; None without wind."""
        if self.settings.wind <= 0:
            return None
        field = fractal_noise(derive(self._seed, "wind", date), window, 128, 16)
        return np.clip((field - np.float32(self._wind_levels[date])) / np.float32(0.2) + np.float32(0.5), 0, 1)

    def _swath(self, window: Window, date: int) -> NDArray[np.bool_]:
        """Where the sensor looked: everywhere, or between slanted edges that differ a little between the dates."""
        if not self.settings.border:
            return np.ones(window.shape, bool)
        height, width = self.grid.shape
        rows = np.arange(window.row, window.row_stop)[:, None]
        cols = np.arange(window.col, window.col_stop)[None, :]
        across = cols + _TILT * (rows - height / 2) + 5 * date
        along = rows - _TILT * (cols - width / 2) - 9 * date
        inside = (across > 0.02 * width) & (across < 0.98 * width) & (along > 0.02 * height) & (along < 0.98 * height)
        return np.asarray(inside)


def _sunlight(height: FloatArray, gsd: float) -> FloatArray:
    """Sunlight relative to flat ground (Lambert), the sun in the south-east at 50° elevation; rows run south."""
    south, east = np.gradient(height, np.float32(gsd))
    up, level = math.sin(math.radians(50)), math.cos(math.radians(50)) * math.sqrt(0.5)
    light = (up - level * (south + east)) / np.sqrt(1 + south * south + east * east)
    return np.clip(light / up, 0.25, 1.6).astype(np.float32)


def scene_grid(settings: SceneSettings) -> Grid:
    """The scene's grid: north-up, its centre near the middle of the CRS's area of use; raises GridError."""
    import pyproj
    from pyproj.exceptions import CRSError as UnknownCrs
    from rasterio.crs import CRS
    from rasterio.errors import CRSError

    try:
        crs = CRS.from_user_input(settings.crs)
        known = pyproj.CRS.from_user_input(settings.crs)
    except (CRSError, UnknownCrs, ValueError) as error:
        raise GridError(
            f"The CRS {settings.crs!r} of the simulated scene is not known.", remedy="Give a code such as EPSG:32633."
        ) from error
    area = known.area_of_use
    west, south, east, north = (area.west, area.south, area.east, area.north) if area else (14.0, 41.0, 16.0, 43.0)
    lon, lat = (west + east) / 2, (south + north) / 2
    if known.is_geographic:
        step = settings.gsd / 111_319.49
        x, y = (15.0, 45.0) if east - west > 90 else (lon, lat)
        x, y = x - step * settings.width / 2, y + step * settings.height / 2
    else:
        factor = float(crs.linear_units_factor[1])
        step = settings.gsd / factor
        x, y = pyproj.Transformer.from_crs("EPSG:4326", known, always_xy=True).transform(lon, lat)
        x = round((x - step * settings.width / 2) / step) * step
        y = round((y + step * settings.height / 2) / step) * step
    return Grid(settings.height, settings.width, Affine(step, 0.0, x, 0.0, -step, y), crs)


def simulate_scene(**settings: Any) -> SceneArrays:
    """A whole scene in memory: ``simulate_scene(seed=3, width=512, height=512, products="s1,truth")``.

    Keywords are those of :class:`~engine.simulate.request.SceneSettings`. Raises pydantic's ValidationError (a
    ValueError) for values out of range.
    """
    scene = SimulatedScene(SceneSettings(**settings))
    return scene.window(scene.grid.window)
