"""The reference of an index, opened: a raster file or a tile server, with what is written down of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from engine.crossview.cells import METRES_PER_DEGREE
from engine.crossview.imagery import Imagery, Stretch
from engine.crossview.index.card import ImageryFacts
from engine.crossview.tile_options import TileOptions
from engine.errors import EngineError, ParameterError, RegionError
from engine.events import Reporter
from engine.provenance import fingerprint
from engine.raster.crs import WGS84, Transformation, crs_name
from engine.raster.gdal import shown
from engine.raster.read import Raster, open_raster
from engine.raster.regions import read_regions
from engine.raster.tilecache import TileCache, user_cache_folder
from engine.raster.tilefetch import Manners, TileCounts
from engine.raster.tiles import TileRaster, open_tiles
from engine.raster.xyz import gsd_at, is_template, parse_template


@dataclass(frozen=True)
class Reference:
    """``raster`` is open; ``tiles`` counts what a tile server gave (None for files); ``host`` who serves it."""

    raster: Raster
    imagery: Imagery
    tiles: TileCounts | None
    host: str | None
    zoom: int | None


def read_region(text: str) -> tuple[Any, str]:
    """The region as one geometry in degrees, and how it is written down. Raises what :func:`read_regions` raises."""
    regions = read_regions(text, crs=WGS84, what="region")
    west, south, east, north = regions.bounds
    return shapely.union_all(regions.geometries), f"{west:.6f},{south:.6f},{east:.6f},{north:.6f}"


def open_reference(
    path: str,
    tiles: TileOptions,
    *,
    finest_m: float,
    place: tuple[float, float],
    budget_bytes: int,
    stretch: Stretch | None = None,
) -> Reference:
    """The imagery at ``path``. Of a tile server the zoom that serves ``finest_m`` metres a pixel at ``place``
    (longitude, latitude). Raises EngineError as the readers do."""
    if not is_template(path):
        raster = open_raster(path, what="reference")
        try:
            return Reference(raster, Imagery(raster, budget_bytes=budget_bytes, stretch=stretch), None, None, None)
        except BaseException:
            raster.close()
            raise
    template = parse_template(path, tms=tiles.tms, zoom_max=tiles.max_zoom)
    cache = None
    if not template.local:
        folder = Path(tiles.tile_cache).expanduser() if tiles.tile_cache else user_cache_folder()
        cache = TileCache(folder, limit_bytes=int(tiles.tile_cache_gb * 1e9))
    manners = Manners(connections=tiles.connections, per_second=tiles.per_second)
    found: TileRaster = open_tiles(template, gsd_m=finest_m, lon=place[0], lat=place[1], cache=cache, manners=manners)
    return Reference(found, Imagery(found, budget_bytes=budget_bytes), found.counts, template.host, found.zoom)


@contextmanager
def open_earlier(
    imagery: Sequence[ImageryFacts], path: str, *, budget_bytes: int, reporter: Reporter
) -> Iterator[tuple[Imagery, ...]]:
    """The files that an index was made from before, but for ``path``, open: crops of cells beside their edges show what
    lies behind. Tile servers are left in peace; of what cannot be read the log has a line."""
    files = {one.path: one for one in imagery if one.path != path and not is_template(one.path)}
    with ExitStack() as stack:
        opened = [_earlier(one, budget_bytes // len(files), stack, reporter) for one in files.values()]
        yield tuple(one for one in opened if one is not None)


def _earlier(facts: ImageryFacts, budget_bytes: int, stack: ExitStack, reporter: Reporter) -> Imagery | None:
    try:
        raster = stack.enter_context(open_raster(facts.path, what="reference"))
        return Imagery(raster, budget_bytes=budget_bytes, stretch=Stretch(*facts.stretch))
    except EngineError as error:
        reporter.log(f"New cells at the edge of earlier imagery are described without it: {error.message}")
        return None


def check_overlap(geometry: Any, raster: Raster) -> None:
    """Raise RegionError where the region and the raster have no ground in common."""
    west, south, east, north = geometry.bounds
    lon, lat = (a.ravel() for a in np.meshgrid(np.linspace(west, east, 33), np.linspace(south, north, 33)))
    x, y = Transformation(WGS84, raster.grid.crs)(lon, lat)
    if raster.grid.geographic:
        middle = (raster.grid.bounds.west + raster.grid.bounds.east) / 2
        x = x + 360 * np.rint((middle - x) / 360)
    col, row = ~raster.grid.transform @ (x, y)
    with np.errstate(invalid="ignore"):
        inside = (col >= 0) & (col < raster.grid.width) & (row >= 0) & (row < raster.grid.height)
    if inside.any():
        return
    # A raster smaller than the steps of the lattice: its own corners, seen from the region.
    b = raster.grid.bounds
    lon, lat = Transformation(raster.grid.crs, WGS84)(
        np.array([b.west, b.east, b.west, b.east, (b.west + b.east) / 2]),
        np.array([b.south, b.south, b.north, b.north, (b.south + b.north) / 2]),
    )
    turned = lon + 360 * np.rint(((west + east) / 2 - lon) / 360)
    if ((turned >= west) & (turned <= east) & (lat >= south) & (lat <= north)).any():
        return
    raise RegionError(
        f"{raster.path}: the region {west:.5f},{south:.5f},{east:.5f},{north:.5f} lies outside of the reference, which "
        f"covers {np.nanmin(lon):.5f},{np.nanmin(lat):.5f},{np.nanmax(lon):.5f},{np.nanmax(lat):.5f}.",
        remedy="Give imagery of the region, or a region inside the imagery.",
    )


def check_tiles(geometry: Any, reference: Reference, most: int) -> int | None:
    """About how many tiles the region needs; None for files. Raises ParameterError above ``most``."""
    if reference.zoom is None or not isinstance(reference.raster, TileRaster):
        return None
    needed = tiles_needed(geometry, reference.zoom, reference.raster.tile_px)
    if reference.host is not None and reference.host != "this machine":
        refuse_many_tiles(needed, most, zoom=reference.zoom, name=reference.raster.path)
    return needed


def tiles_needed(geometry: Any, zoom: int, tile_px: int) -> int:
    """About how many tiles of ``tile_px`` cover a region (degrees) at ``zoom``."""
    west, south, east, north = geometry.bounds
    lat = (south + north) / 2
    side = gsd_at(zoom, lat, tile_px) * tile_px
    wide = METRES_PER_DEGREE * float(np.cos(np.radians(lat)))
    share = geometry.area / max((east - west) * (north - south), 1e-30)
    return int(((east - west) * wide / side + 2) * ((north - south) * METRES_PER_DEGREE / side + 2) * share) + 1


def refuse_many_tiles(needed: int, most: int, *, zoom: int, name: str) -> None:
    """Raise ParameterError where a region needs more than ``most`` tiles of somebody's server."""
    if needed > most:
        raise ParameterError(
            f"{name}: the region needs about {needed} tiles at zoom {zoom}, more than {most}: most providers do not "
            "allow downloads in bulk.",
            remedy="Choose a smaller region, coarser --scales, or raise --max-tiles where the provider allows it.",
        )


def imagery_facts(
    path: str, reference: Reference, *, gsd_m: float, date: str | None, attribution: str | None, reporter: Reporter
) -> ImageryFacts:
    """What the card says of the reference."""
    raster = reference.raster
    taken = raster.acquired
    tiles = reference.tiles
    # The address of tiles is kept whole: it is needed again for the report, and stays on this machine.
    facts: dict[str, Any] = {"path": path, "sha256": None}
    if tiles is None:
        facts = fingerprint(path, reporter)
    return ImageryFacts(
        path=facts["path"],
        sha256=facts["sha256"],
        crs=crs_name(raster.grid.crs),
        gsd_m=round(gsd_m, 4),
        imagery_date=date or (taken.date().isoformat() if taken else None),
        attribution=attribution,
        stretch=(reference.imagery.stretch.low, reference.imagery.stretch.high),
        tiles=tiles.plain() if tiles is not None else None,
        zoom=reference.zoom,
    )


def licence_note(host: str | None, attribution: str | None) -> str | None:
    """What must be said of imagery that comes from somebody's server; None for files (``host`` None or this
    machine)."""
    if host is None or host == "this machine":
        return None
    note = f"The imagery comes from {host}: its provider's terms apply to it and to what is made from it"
    return f"{note}; see that they allow this use. " + (
        f"Attribution: {attribution}." if attribution else "Give the attribution that they ask for with --attribution."
    )


def tile_warning(counts: TileCounts | None, name: str) -> str | None:
    """What was wrong with the tiles, as one line; None where nothing was."""
    if counts is None or not (counts.missing or counts.failed or counts.damaged):
        return None
    again = " Run the same command with --update to try them again." if counts.failed else ""
    return (
        f"{shown(name)}: of {counts.fetched + counts.cached + counts.missing + counts.failed} tiles {counts.missing} "
        f"are missing on the server, {counts.failed} failed after retries and {counts.damaged} are no pictures.{again}"
    )
