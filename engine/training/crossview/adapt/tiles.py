"""The tiles of an adaptation: the region's cells, cut from the imagery north up and kept as picture files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.crossview.cells import CellLayout, Degrees, Ids, distance_m
from engine.crossview.crops import Cropper
from engine.crossview.describer import Describer, layer_facts
from engine.crossview.search.gallery import MemoryGallery
from engine.errors import ParameterError
from engine.events import Reporter
from engine.training.crossview.adapt.photos import OwnPhoto

FEWEST = 24
"""A region of fewer tiles is no area to search in: there is nothing to tell apart."""
OBSERVED = 0.5
"""A tile of which less is in the imagery is left out, as in an index."""
_BATCH, _QUALITY = 32, 92


@dataclass(frozen=True)
class Tiles:
    """``files`` with the ``ids`` of their cells and the longitudes and latitudes of their middles; ``gaps`` cells had
    too little imagery."""

    files: tuple[Path, ...]
    ids: Ids
    lon: Degrees
    lat: Degrees
    gaps: int


def region_cells(layout: CellLayout, geometry: Any, *, most: int) -> Ids:
    """The identities of the cells of a region (degrees). Raises ParameterError for fewer than :data:`FEWEST` or more
    than ``most``."""
    parts: list[NDArray[np.int64]] = []
    count = 0
    for ids in layout.in_region(geometry):
        parts.append(ids)
        count += len(ids)
        if count > most:
            raise ParameterError(
                f"The region has more than {most} tiles, {layout.size_m:g} m apart.",
                remedy="Choose a smaller region, a larger --cell, or raise --most-tiles.",
            )
    if count < FEWEST:
        raise ParameterError(
            f"The region has {count} tiles, {layout.size_m:g} m apart; expected at least {FEWEST} to tell apart.",
            remedy="Choose a larger region, or a smaller --cell.",
        )
    return np.concatenate(parts)


def cut_tiles(ids: Ids, layout: CellLayout, cropper: Cropper, gsd_m: float, folder: Path, reporter: Reporter) -> Tiles:
    """Cut a tile for each cell into ``folder``; those that are there already are not cut again. Raises ParameterError
    when too few have imagery, and what reading the imagery raises."""
    lon, lat = layout.centres(ids)
    there = {path.name for path in folder.iterdir()}
    kept: list[int] = []
    for start in range(0, len(ids), _BATCH):
        stop = min(start + _BATCH, len(ids))
        reporter.progress(start / len(ids), "tiles", f"Cutting tile {start + 1} of {len(ids)}")
        names = [f"{int(one)}.jpg" for one in ids[start:stop]]
        missing = [k for k, name in enumerate(names) if name not in there and f"{name}.gap" not in there]
        if missing:
            at = np.array(missing) + start
            crops = cropper.cut(lon[at], lat[at], gsd_m)
            for k, pixels, seen in zip(missing, crops.pixels, crops.observed, strict=True):
                if seen < OBSERVED:
                    (folder / f"{names[k]}.gap").touch()
                    there.add(f"{names[k]}.gap")
                else:
                    write_tile(folder / names[k], pixels)
                    there.add(names[k])
        kept += [start + k for k, name in enumerate(names) if name in there]
    if len(kept) < FEWEST:
        raise ParameterError(
            f"Only {len(kept)} of the region's {len(ids)} tiles have imagery; expected at least {FEWEST}.",
            remedy="Give imagery of the region; see that its pixels are not nodata there.",
        )
    files = tuple(folder / f"{int(ids[k])}.jpg" for k in kept)
    return Tiles(files, ids[kept], lon[kept], lat[kept], len(ids) - len(kept))


def described(
    describer: Describer, cropper: Cropper, layout: CellLayout, ids: Ids, gsd_m: float, reporter: Reporter
) -> MemoryGallery:
    """The cells ``ids`` of ``layout`` as a describer sees them, to be searched; such without imagery are described
    too. Raises what reading and describing raise."""
    lon, lat = layout.centres(ids)
    parts = []
    for start in range(0, len(lon), _BATCH):
        reporter.progress(start / len(lon), "measure", f"Describing place {start + 1} of {len(lon)}")
        part = slice(start, start + _BATCH)
        parts.append(describer.describe(cropper.cut(lon[part], lat[part], gsd_m).pixels, gsd_m))
    codes = np.concatenate(parts)[:, None]
    return MemoryGallery(layout, ids, layer_facts(describer, (gsd_m,)), codes, place="the region")


def inside(photos: Sequence[OwnPhoto], tiles: Tiles, cell_m: float) -> list[OwnPhoto]:
    """The photos of known position that stand on one of the tiles' cells, or beside."""
    return [
        photo
        for photo in photos
        if photo.position is not None and float(distance_m(tiles.lon, tiles.lat, *photo.position).min()) <= cell_m
    ]


def pair_rows(files: Sequence[Path], root: Path, gsd_m: float) -> list[dict[str, Any]]:
    """Lines of a pairs.csv in ``root`` for tiles that belong to nobody."""
    return [
        {"pair_id": f"tile-{path.stem}", "overhead": path.relative_to(root).as_posix(), "gsd_m": repr(gsd_m)}
        for path in files
    ]


def write_tile(path: Path, pixels: Any) -> None:
    """A tile (3, S, S) of 0…1 as a picture file, whole or not at all."""
    from PIL import Image

    partial = path.with_name(f".{path.name}.partial")
    values = (pixels * 255).round().clamp(0, 255).byte().movedim(0, 2).contiguous().numpy()
    Image.fromarray(values).save(partial, format="JPEG", quality=_QUALITY, subsampling=0)
    partial.replace(path)
