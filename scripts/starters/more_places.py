"""Labelled pixels beside the chips of landcover/train: a few real places, and simulated scenes.

All are of the bands B01, B02, B03, B04, B08, B11, B12 as reflectance, with WorldCover codes. Nothing here lies in a
folder named val.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from engine.raster.read import open_raster
from engine.simulate.scene import simulate_scene
from starters.landcover import ChipFile
from starters.landcover_forest import Floats, Ints, reflectance_of

PIXELS = 300
"""Pixels of a chip, of a date of the series, of a simulated scene."""
BANDS = (0, 1, 2, 3, 7, 10, 11)
"""Of the twelve bands of Level-2A."""
CEREAL = {11: 40, 13: 30, 60: 50}
"""WorldCereal's temporary crops, grass and fodder, built-up ground; its other codes tell no class of WorldCover."""
CLEAR = (4, 5)
"""Sen2Cor's vegetation and bare ground."""
DATES = 12


@dataclass(frozen=True)
class Pixels:
    """Drawn pixels of one chip, date or scene: (n, 7) reflectance, (n,) codes, and whose ground it is."""

    reflectance: Floats
    codes: Ints
    place: str


def drawn(reflectance: Floats, codes: Ints, place: str, draw: np.random.Generator) -> Pixels:
    """PIXELS of those that have a code and all bands; all, where there are fewer."""
    known = np.flatnonzero((codes > 0) & np.isfinite(reflectance).all(1))
    chosen = draw.choice(known, min(PIXELS, len(known)), replace=False)
    return Pixels(reflectance[chosen].astype(np.float32), codes[chosen].astype(np.int64), place)


def of_chips(chips: Sequence[ChipFile]) -> list[Pixels]:
    """Each chip's."""
    found = []
    for number, chip in enumerate(chips):
        bands, codes = reflectance_of(chip)
        found.append(drawn(bands.reshape(7, -1).T, codes.ravel(), chip.place, np.random.default_rng((1, number))))
    return found


def of_real_places(data: Path, chips: Sequence[Pixels]) -> list[Pixels]:
    """Three places: a village's land in Flanders by date (WorldCereal; B01, which it has not, by regression on B02
    and B03 of ``chips``), fields and rangeland (TerraMesh 38D, classes of Esri), pastures (BigEarthNet)."""
    draw = np.random.default_rng(2)
    found = _series(data / "s1s2_timeseries" / "train" / "00002806639B424A", chips, draw)
    pairs = data / "s1s2_pairs" / "train"
    fields = _bands(pairs / "terramesh_38D_378R_2_3_S2L2A.tif")
    with open_raster(str(pairs / "terramesh_38D_378R_2_3_lulc.tif"), what="label") as file:
        esri = file.read(file.grid.window, [1])[0].ravel()
    codes = np.select([esri == 4, esri == 9], [40, 30], 0)
    found += [drawn(fields, codes, "terramesh-38D", draw) for _ in range(4)]
    pasture = _bands(pairs / "ben_S2A_MSIL2A_20170617T113321_4_55_S2L2A.tif")
    return [*found, drawn(pasture, np.full(len(pasture), 30), "bigearthnet-4-55", draw)]


def of_simulated(scenes: int) -> list[Pixels]:
    """Of simulated scenes of 512 x 512 pixels without a flood, seeds from 20001, relief between 50 and 800 m."""
    found = []
    for seed in range(20001, 20001 + scenes):
        draw = np.random.default_rng(seed)
        made = simulate_scene(
            seed=seed, width=512, height=512, flood=0.0, relief=float(draw.uniform(50, 800)), products="s2,landcover"
        )
        if made.optical is None or made.landcover is None:
            raise RuntimeError("the simulator left out what was asked for")
        bands = made.optical[list(BANDS)].reshape(7, -1).T / np.float32(1e4)
        found.append(drawn(bands, made.landcover.ravel().astype(np.int64), f"simulated-{seed}", draw))
    return found


def _bands(path: Path) -> Floats:
    """(pixels, 7) reflectance of a file with the twelve bands of Level-2A."""
    with open_raster(str(path), what="image") as file:
        found: Floats = file.read(file.grid.window, [band + 1 for band in BANDS]).reshape(7, -1).T / np.float32(1e4)
    return found


def _series(site: Path, chips: Sequence[Pixels], draw: np.random.Generator) -> list[Pixels]:
    """DATES clear dates of a site of WorldCereal."""

    def layer(part: str, name: str) -> NDArray[np.float32]:
        (path,) = site.glob(f"{part}*.nc")
        with rasterio.open(f"netcdf:{path}:{name}") as file:
            return file.read().astype(np.float32)

    def finer(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return values.repeat(2, axis=1).repeat(2, axis=2)

    said = layer("OUTPUT", "LC")[0]
    codes = np.select([said == code for code in CEREAL], list(CEREAL.values()), 0)
    near = [layer("S2_L2A_10m", name) / 1e4 for name in ("B02", "B03", "B04", "B08")]
    far = [finer(layer("S2_L2A_20m", name)) / 1e4 for name in ("B11", "B12")]
    bands = np.stack([*near, *far], axis=-1)
    clear = np.isin(finer(layer("S2_L2A_20m", "SCL")), CLEAR) & (codes > 0)
    dates = np.flatnonzero(clear.sum((1, 2)) > 0.9 * (codes > 0).sum())
    known = np.concatenate([one.reflectance for one in chips])
    slope = np.linalg.lstsq(np.column_stack([known[:, 1:3], np.ones(len(known))]), known[:, 0], rcond=None)[0]
    found = []
    for date in dates[:: max(1, len(dates) // DATES)]:
        one = bands[date].reshape(-1, 6)
        coastal = one[:, :2] @ slope[:2] + slope[2]
        usable = np.where(clear[date], codes, 0).ravel()
        found.append(drawn(np.column_stack([coastal, one]), usable, "worldcereal", draw))
    return found
