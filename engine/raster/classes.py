"""Rasters of class codes: whole numbers with a mask, and the names and colours that the file gives them."""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError

from engine.errors import BandError, InputError
from engine.raster.gdal import gdal_options, is_url
from engine.raster.grid import Grid, Window
from engine.raster.read import Raster

MISSING = -1
"""Code of a pixel without a valid value."""
MOST_CODES = 65_536
_STRIP_PX = 2_000_000
_NAME, _VALUE = 2, 5  # usages of a raster attribute table's columns, as GDAL numbers them

Codes = NDArray[np.int32]
Color = tuple[int, int, int, int]


class CodedRaster:
    """Class codes of a raster's only band: int32 0 … 65,535, :data:`MISSING` where there is no valid value.

    Raises BandError when it has more than one band.
    """

    def __init__(self, raster: Raster) -> None:
        if raster.count != 1:
            raise BandError(
                f"{raster.path}: the {raster.what} has {raster.count} bands; expected one of class codes.",
                remedy="Give a classified raster, or write the band that holds the classes to a file of its own.",
            )
        self.raster = raster

    @property
    def grid(self) -> Grid:
        """The raster's grid."""
        return self.raster.grid

    def read(self, window: Window) -> Codes:
        """int32 (rows, columns); raises InputError where a value is no whole number of 0 … 65,535."""
        values = self.raster.read(window, [1])[0]
        valid = np.isfinite(values)
        codes = np.where(valid, values, MISSING).astype(np.int32)
        wrong = valid & ((codes != values) | (values < 0) | (values >= MOST_CODES))
        if wrong.any():
            row, col = (int(v[0]) for v in np.nonzero(wrong))
            raise InputError(
                f"{self.raster.path}: the {self.raster.what} has the value {values[row, col]:g} at row "
                f"{window.row + row}, column {window.col + col}; expected class codes, whole numbers from 0 to 65535.",
                remedy="Give a classified raster.",
            )
        return codes

    def strips(self) -> Iterator[Window]:
        """Full-width windows from the top, along the file's blocks, of about two million pixels."""
        yield from strips_of(self.grid, self.raster.block[0])


def strips_of(grid: Grid, block_rows: int) -> Iterator[Window]:
    """Full-width windows of ``grid`` from the top, of about two million pixels, along blocks where these are low."""
    rows = max(1, _STRIP_PX // grid.width)
    if 1 < block_rows <= 4 * rows:
        rows = max(1, rows // block_rows) * block_rows
    for strip in grid.strips(rows):
        yield strip.core


@dataclass(frozen=True)
class FileClasses:
    """Names and colours (red, green, blue, alpha) by code, as far as a file has them."""

    names: dict[int, str] = field(default_factory=dict)
    colors: dict[int, Color] = field(default_factory=dict)


def file_classes(path: str) -> FileClasses:
    """Names of classes from band tags (``CLASS_10``), category names or a raster attribute table beside the file, and
    colours from the colour table. Nothing where the file has none or cannot be opened.
    """
    tags: dict[str, str] = {}
    colors: dict[int, Color] = {}
    with (
        contextlib.suppress(RasterioError, CPLE_BaseError, OSError),
        gdal_options(remote=is_url(path)),
        rasterio.open(f"/vsicurl/{path}" if is_url(path) else path) as source,
    ):
        tags = {**source.tags(), **source.tags(1)}
        with contextlib.suppress(ValueError):  # no colour table
            table = source.colormap(1)
            colors = {code: color for code, color in table.items() if color[3] > 0 and any(color[:3])}
    found = ((re.fullmatch(r"CLASS_(\d+)", key), text) for key, text in tags.items())
    return FileClasses(
        {**_side_names(Path(f"{path}.aux.xml")), **{int(match[1]): text for match, text in found if match}}, colors
    )


def _side_names(path: Path) -> dict[int, str]:
    """Names in GDAL's side file: its attribute table, else its list of categories."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return {}
    usages = [int(n) for n in re.findall(r"<FieldDefn[^>]*>.*?<Usage>(\d+)</Usage>", text, re.DOTALL)]
    if _NAME in usages and _VALUE in usages:
        value, name = usages.index(_VALUE), usages.index(_NAME)
        names = {}
        for row in re.findall(r"<Row[^>]*>(.*?)</Row>", text, re.DOTALL):
            cells = re.findall(r"<F>(.*?)</F>|<F/>", row, re.DOTALL)
            with contextlib.suppress(ValueError, IndexError):
                names[int(float(cells[value]))] = html.unescape(cells[name]).strip()
        return {code: name for code, name in names.items() if name}
    listed = re.findall(r"<Category>(.*?)</Category>|<Category/>", text, re.DOTALL)
    return {code: html.unescape(name).strip() for code, name in enumerate(listed) if name.strip()}
