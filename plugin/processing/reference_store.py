"""The folder beside an index that keeps imagery which QGIS alone could read: the index needs it for every search.

``town`` has ``town.imagery``. Pictures that were drawn lie there as parts of one grid, so that an index that grows
keeps one reference; a virtual raster joins them. All names follow from what is in the files: the same order finds the
same files, and a run that was stopped goes on with them.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

from qgis.core import Qgis, QgsCoordinateReferenceSystem, QgsRectangle

from ..compat import scoped

_PART = re.compile(r"^(?P<grid>[0-9a-f]{12})_(?P<col>-?\d+)_(?P<row>-?\d+)_(?P<width>\d+)x(?P<height>\d+)\.tif$")

_PLACE = re.compile(r"<GeoTransform>([-+0-9.e, ]+)</GeoTransform>")


@dataclass(frozen=True)
class Box:
    """Whole pixels of a grid, ``row`` counted from the top down."""

    col: int
    row: int
    width: int
    height: int


@dataclass(frozen=True)
class PictureGrid:
    """Pixels of ``step_x`` by ``step_y`` units of ``crs``, counted from its origin. ``source`` says what is drawn: a
    digest, for a source may hold a password."""

    source: str
    crs: QgsCoordinateReferenceSystem
    step_x: float
    step_y: float

    @property
    def name(self) -> str:
        """What the grid's files begin with."""
        return _digest(self.source, self.crs.authid() or wkt(self.crs), repr(self.step_x), repr(self.step_y))

    def box(self, extent: QgsRectangle) -> Box:
        """The pixels that an extent touches."""
        left, top = math.floor(extent.xMinimum() / self.step_x), math.floor(-extent.yMaximum() / self.step_y)
        right, bottom = math.ceil(extent.xMaximum() / self.step_x), math.ceil(-extent.yMinimum() / self.step_y)
        return Box(left, top, max(1, right - left), max(1, bottom - top))

    def extent(self, box: Box) -> QgsRectangle:
        """Where pixels lie."""
        west, north = box.col * self.step_x, -box.row * self.step_y
        return QgsRectangle(west, north - box.height * self.step_y, west + box.width * self.step_x, north)


def imagery_folder(index: str | Path) -> Path:
    """The folder of the imagery that belongs to an index; it may be absent."""
    path = Path(index)
    return path.with_name(f"{path.name}.imagery")


def part_path(index: str | Path, grid: PictureGrid, box: Box) -> Path:
    """Where the picture of some pixels is kept."""
    return imagery_folder(index) / f"{grid.name}_{box.col}_{box.row}_{box.width}x{box.height}.tif"


def mosaic_path(index: str | Path, source: str, crs: QgsCoordinateReferenceSystem) -> Path:
    """The virtual raster over all pictures of a source: the reference of the index. Known before anything is drawn."""
    return imagery_folder(index) / f"reference_{_digest(source, crs.authid() or wkt(crs))}.vrt"


def kept_grid(index: str | Path, source: str, crs: QgsCoordinateReferenceSystem) -> PictureGrid | None:
    """The grid in which pictures of the same source are kept already."""
    path = mosaic_path(index, source, crs)
    match = _PLACE.search(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else None
    numbers = [float(n) for n in match[1].split(",")] if match else []
    return PictureGrid(source, crs, numbers[1], -numbers[5]) if len(numbers) == 6 else None


def write_mosaic(index: str | Path, grid: PictureGrid) -> Path:
    """Join the pictures of a grid that are there; the later of two that overlap is above."""
    parts = []
    for path in sorted(imagery_folder(index).glob(f"{grid.name}_*.tif")):
        match = _PART.match(path.name)
        if match:
            parts.append((path.name, Box(*(int(match[key]) for key in ("col", "row", "width", "height")))))
    target = mosaic_path(index, grid.source, grid.crs)
    target.write_text(mosaic(grid, parts), encoding="utf-8")
    return target


def mosaic(grid: PictureGrid, parts: Iterable[tuple[str, Box]]) -> str:
    """The VRT document of pictures (file name beside it, pixels) of red, green, blue and alpha."""
    parts = list(parts)
    left, top = min(box.col for _, box in parts), min(box.row for _, box in parts)
    width = max(box.col + box.width for _, box in parts) - left
    height = max(box.row + box.height for _, box in parts) - top
    place = (left * grid.step_x, grid.step_x, 0.0, -top * grid.step_y, 0.0, -grid.step_y)
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{number}"><Description>{name.lower()}</Description>'
        f"<ColorInterp>{name}</ColorInterp>{_sources(parts, number, left, top)}</VRTRasterBand>"
        for number, name in enumerate(("Red", "Green", "Blue", "Alpha"), start=1)
    )
    return (
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>{escape(wkt(grid.crs))}</SRS>'
        f"<GeoTransform>{', '.join(repr(n) for n in place)}</GeoTransform>{bands}</VRTDataset>\n"
    )


def kept_text(index: str | Path, stem: str, text: str) -> Path:
    """Keep a small file (a virtual raster) beside the index; the same text is the same file."""
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    folder = imagery_folder(index)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}_{digest}.vrt"
    if not path.is_file():
        path.write_text(text, encoding="utf-8")
    return path


def remove_unused(index: str | Path) -> None:
    """Remove the imagery where no index, finished or begun, and no training that was stopped has use for it."""
    path = Path(index)
    if (path / "card.json").is_file() or any(
        path.with_name(f".{path.name}.{doing}").is_dir() for doing in ("building", "learning")
    ):
        return
    folder = imagery_folder(path)
    for file in folder.glob("*") if folder.is_dir() else ():
        if file.suffix in (".tif", ".vrt", ".partial"):
            file.unlink(missing_ok=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _digest(*words: str) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]


def wkt(crs: QgsCoordinateReferenceSystem) -> str:
    """The CRS as GDAL reads it in full."""
    return crs.toWkt(scoped((Qgis, "CrsWktVariant.Preferred"), (type(crs), "WktVariant.WKT_PREFERRED")))


def _sources(parts: list[tuple[str, Box]], number: int, left: int, top: int) -> str:
    return "".join(
        f'<SimpleSource><SourceFilename relativeToVRT="1">{escape(name)}</SourceFilename>'
        f"<SourceBand>{number}</SourceBand>"
        f'<SrcRect xOff="0" yOff="0" xSize="{box.width}" ySize="{box.height}"/>'
        f'<DstRect xOff="{box.col - left}" yOff="{box.row - top}" xSize="{box.width}" ySize="{box.height}"/>'
        "</SimpleSource>"
        for name, box in parts
    )
