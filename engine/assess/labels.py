"""Labels joined to what they are compared with: the design of their sample, or the map under the points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.assess.design import DESIGN_FILE, POINTS_FILE, SampleDesign, read_design
from engine.assess.points import LabelledPoints, read_points
from engine.errors import EngineError, InputError, MissingFileError
from engine.events import Reporter
from engine.legends import NOT_OBSERVED, UNKNOWN
from engine.raster.classes import MISSING, CodedRaster
from engine.raster.crs import Transformation, same_crs
from engine.raster.grid import Window

IntArray = NDArray[np.int64]
_SHOWN = 10


@dataclass(frozen=True)
class Labelled:
    """Points with a label: ``reference`` and ``mapped`` (codes; MISSING where the map has no class), ``stratum``
    (codes; None in a convenience sample). ``index``: their rows in the layer, ``drawn_as``: in the design's points
    (none in a convenience sample).

    ``drawn``: points of the sample, labelled or not; ``doubtful``: labels that the labeller was not sure of.
    """

    reference: IntArray
    mapped: IntArray
    stratum: IntArray | None
    index: IntArray
    drawn_as: IntArray
    drawn: int
    doubtful: int

    def __len__(self) -> int:
        return len(self.reference)


def open_sample(source: str) -> tuple[LabelledPoints, SampleDesign | None]:
    """Points and, where one lies beside them and they have its ids, the design of a sample.

    ``source``: a folder of 'engine assess sample', or a vector file. Raises what :func:`read_points` raises.
    """
    path = Path(source.partition("|")[0])
    if path.is_dir():
        if not (path / POINTS_FILE).is_file():
            raise MissingFileError(
                f"{path}: the folder has no {POINTS_FILE}.",
                remedy="Give a folder of 'engine assess sample', or a layer of points.",
            )
        if not (path / DESIGN_FILE).is_file():
            raise MissingFileError(
                f"{path}: the folder has no {DESIGN_FILE}, which tells how the points were drawn.",
                remedy=f"Put it back, or give {POINTS_FILE} itself: the figures are then indicative only.",
            )
        return read_points(str(path / POINTS_FILE)), read_design(path / DESIGN_FILE)
    points = read_points(source)
    beside = path.parent / DESIGN_FILE
    if "point_id" in points.fields and beside.is_file():
        return points, read_design(beside)
    return points, None


def of_design(
    points: LabelledPoints,
    design: SampleDesign,
    *,
    field: str,
    confident_only: bool,
    reporter: Reporter,
) -> Labelled:
    """The labels of a drawn sample. Points that were deleted or not labelled count as not drawn.

    A class that the map does not have anywhere is allowed and told: its pixels are errors of omission. Raises
    InputError: an id that the design does not have or that stands twice, a code that can be no class, no label.
    """
    names = {one.code: one.name for one in design.classes}
    codes = points.labels(field, names)
    ids = _ids(points)
    where = {one.point_id: k for k, one in enumerate(design.points)}
    strange = [int(i) for i in ids if int(i) not in where]
    if strange:
        raise InputError(
            f"{points.path}: point_id {_listed(strange)} is not in {DESIGN_FILE}, which has {len(where)} points.",
            remedy="Give the points and the design of one sample.",
        )
    if len(np.unique(ids)) != len(ids):
        values, counts = np.unique(ids, return_counts=True)
        raise InputError(
            f"{points.path}: point_id {_listed(values[counts > 1].tolist())} stands more than once.",
            remedy="Remove the copies.",
        )
    keep, doubtful = _kept(points, codes, confident_only)
    _check_codes(points, codes[keep], names, field, reporter, strict=design.legend is not None)
    _warn_of_moved(points, ids, design, where, reporter)
    index = np.array([where[int(i)] for i in ids[keep]], np.int64)
    return Labelled(
        reference=codes[keep],
        mapped=np.array([design.points[k].map_class for k in index], np.int64),
        stratum=np.array([design.points[k].stratum for k in index], np.int64),
        index=np.flatnonzero(keep).astype(np.int64),
        drawn_as=index,
        drawn=len(design.points),
        doubtful=doubtful,
    )


def of_convenience(
    points: LabelledPoints,
    raster: CodedRaster,
    names: dict[int, str],
    *,
    field: str,
    confident_only: bool,
    strict: bool,
    reporter: Reporter,
) -> tuple[Labelled, int, int]:
    """Labels of any layer with the map's class under each; how many lie outside of the map, and on nodata.

    ``strict``: the names are those of a legend. Raises InputError: no label, a code that can be no class, no point on
    the map.
    """
    codes = points.labels(field, names)
    keep, doubtful = _kept(points, codes, confident_only)
    _check_codes(points, codes[keep], names, field, reporter, strict=strict)
    mapped, outside = classes_at(points, raster)
    on_map = keep & (mapped != MISSING)
    if not on_map.any():
        raise InputError(
            f"{points.path}: none of the {int(keep.sum())} labelled points lies on a pixel of {raster.raster.path} "
            f"with a class: {int((outside & keep).sum())} lie outside of it, the others on nodata.",
            remedy="Check both coordinate reference systems, and that points and map belong together.",
        )
    found = Labelled(
        reference=codes[on_map],
        mapped=mapped[on_map],
        stratum=None,
        index=np.flatnonzero(on_map).astype(np.int64),
        drawn_as=np.zeros(0, np.int64),
        drawn=len(points),
        doubtful=doubtful,
    )
    return found, int((keep & outside).sum()), int((keep & ~outside & (mapped == MISSING)).sum())


def classes_at(points: LabelledPoints, raster: CodedRaster) -> tuple[IntArray, NDArray[np.bool_]]:
    """Map class under each point (MISSING without one), and which points lie outside of the map."""
    grid = raster.grid
    x, y = points.x, points.y
    if not same_crs(points.crs, grid.crs):
        x, y = Transformation(points.crs, grid.crs)(x, y)
    inverse = ~grid.transform
    with np.errstate(invalid="ignore"):
        if grid.geographic:  # another turn of longitude
            centre = (grid.transform @ (grid.width / 2, grid.height / 2))[0]
            x = x - 360.0 * np.round((x - centre) / 360.0)
        col = np.floor(inverse.a * x + inverse.b * y + inverse.c)
        row = np.floor(inverse.d * x + inverse.e * y + inverse.f)
        outside = ~((row >= 0) & (row < grid.height) & (col >= 0) & (col < grid.width))
    codes = np.full(len(points), MISSING, np.int64)
    for strip in raster.strips():
        here = np.flatnonzero(~outside & (row >= strip.row) & (row < strip.row_stop))
        if not len(here):
            continue
        r, c = row[here].astype(int), col[here].astype(int)
        near = Window(int(r.min()), int(c.min()), int(r.max() - r.min()) + 1, int(c.max() - c.min()) + 1)
        codes[here] = raster.read(near)[r - near.row, c - near.col]
    return codes, outside


def _ids(points: LabelledPoints) -> IntArray:
    if "point_id" not in points.fields:
        raise InputError(
            f"{points.path}: the points have no field 'point_id'; found {', '.join(points.fields) or 'no fields'}.",
            remedy="Keep the field that 'engine assess sample' wrote.",
        )
    try:
        ids = np.asarray(points.fields["point_id"], np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{points.path}: field 'point_id' does not hold whole numbers.") from error
    if not (np.isfinite(ids).all() and (ids == np.floor(ids)).all()):
        raise InputError(f"{points.path}: field 'point_id' has empty or broken values.", remedy="Put the ids back.")
    return ids.astype(np.int64)


def _kept(points: LabelledPoints, codes: IntArray, confident_only: bool) -> tuple[NDArray[np.bool_], int]:
    """Which points count, and how many labels are marked as not confident."""
    labelled = codes >= 0
    sure = np.array([_is_sure(value) for value in points.fields.get("confident", np.full(len(points), None))], bool)
    doubtful = int((labelled & ~sure).sum())
    keep = labelled & sure if confident_only else labelled
    if not keep.any():
        what = "has a label that is marked as confident" if labelled.any() else "has a label"
        raise InputError(
            f"{points.path}: none of the {len(points)} points {what}.",
            remedy="Label some points first: put the code of the class into the label field.",
        )
    return keep, doubtful


def _is_sure(value: Any) -> bool:
    if value is None or (isinstance(value, (float, np.floating)) and math.isnan(value)):
        return True
    if isinstance(value, str):
        return value.strip().lower() not in ("false", "no", "0", "f", "n")
    return bool(value)


def _check_codes(
    points: LabelledPoints, codes: IntArray, names: dict[int, str], field: str, reporter: Reporter, *, strict: bool
) -> None:
    """Tell of classes that are not among ``names``: what is there may be one that the map does not show anywhere, such
    as a change that it missed. ``strict``: a legend's codes are 1 to 254, others can be no class."""
    strange = {int(c) for c in codes} - set(names)
    impossible = sorted(code for code in strange if strict and not UNKNOWN < code < NOT_OBSERVED)
    if impossible:
        raise InputError(
            f"{points.path}: field {field!r} has {_listed(impossible)}, which is no class of the legend; expected "
            f"{', '.join(f'{c} {n}' for c, n in list(names.items())[:20])}.",
            remedy="Correct the labels; leave the field empty where the class cannot be told.",
        )
    if strange:
        counts = int(np.isin(codes, sorted(strange)).sum())
        reporter.warn(
            f"The labels name classes that the map does not have: {_listed(sorted(strange))} ({counts} points). They "
            "count as missed by the map."
        )


def _warn_of_moved(
    points: LabelledPoints, ids: IntArray, design: SampleDesign, where: dict[int, int], reporter: Reporter
) -> None:
    """Points that no longer lie where they were drawn: their label is that of another place."""
    from affine import Affine

    at = [design.points[where[int(i)]] for i in ids]
    t = Affine(*design.transform)
    col, row = np.array([p.col for p in at]) + 0.5, np.array([p.row for p in at]) + 0.5
    x, y = t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f
    try:
        found = points.x, points.y
        if not same_crs(points.crs, design.crs_wkt):
            found = Transformation(points.crs, design.crs_wkt)(*found)
    except EngineError:
        return
    size = math.sqrt(abs(t.determinant))
    with np.errstate(invalid="ignore"):
        moved = int((np.hypot(found[0] - x, found[1] - y) > size).sum())
    if moved:
        reporter.warn(
            f"{moved} points do not lie where they were drawn; their labels are counted for the place of the drawing."
        )


def _listed(values: list[int]) -> str:
    text = ", ".join(str(v) for v in values[:_SHOWN])
    return f"{text} and {len(values) - _SHOWN} more" if len(values) > _SHOWN else text
