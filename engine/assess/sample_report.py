"""The page that tells how a sample was drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from engine.assess.design import SampleDesign
from engine.assess.population import Census
from engine.mapping.report import wording
from engine.mapping.report.maps import draw_map
from engine.mapping.report.page import file_name, uri
from engine.mapping.report.sheet import page_facts, write_sheet
from engine.raster.grid import Grid

_TEMPLATE = Path(__file__).with_name("sample.html")
_INSIDE, _OUTSIDE, _POINT = (214, 223, 229), (250, 250, 248), (178, 34, 34)


def write_sample_report(
    path: Path, *, result: dict[str, Any], design: SampleDesign, census: Census, grid: Grid
) -> None:
    """Write the page at ``path``: the design in words, the strata, and where the points lie (not their classes)."""
    small = Grid(census.inside.shape[0], census.inside.shape[1], grid.transform @ Affine.scale(census.step), grid.crs)
    picture = points_picture(
        census.inside,
        np.array([p.row for p in design.points], np.int64) // census.step,
        np.array([p.col for p in design.points], np.int64) // census.step,
    )
    stratified = design.design == "stratified"
    total = design.total_area_m2
    rows = [
        {
            "code": one.code,
            "name": one.name,
            "pixels": wording.number_text(one.pixels),
            "area": wording.area_text(one.area_m2),
            "share": wording.percent_text(100 * one.area_m2 / total if total else None),
            "points": one.points,
            "weight": wording.area_text(one.area_m2 / one.points) if one.points else "none",
        }
        for one in design.strata
    ]
    write_sheet(
        path,
        _TEMPLATE,
        {
            "page": page_facts(result, kind="Sample for an accuracy assessment", title=file_name(design.map.path)),
            "number": len(design.points),
            "words": _words(design),
            "area": wording.area_text(total),
            "pixels": wording.number_text(design.total_pixels),
            "left_out": ", ".join(map(str, design.excluded_codes)),
            "strata": rows,
            "stratified": stratified,
            "seed": design.seed,
            "map": uri(draw_map(picture, small, width_px=900)),
            "classes": [one.model_dump() for one in design.classes],
        },
    )


def _words(design: SampleDesign) -> str:
    if design.design == "simple":
        return "A simple random sample: every place of the mapped area had the same chance."
    if design.design == "systematic":
        return (
            "A systematic sample: points on a lattice with a random start, each standing for the same area. Errors are "
            "told as for a simple random sample, which is on the safe side where neighbouring places are alike."
        )
    of = "the map's classes" if design.strata_are_classes else "a raster of strata"
    how = {
        "proportional": "in proportion to area, with a least number each",
        "equal": "in equal numbers",
        "optimal": "by Neyman's rule from the accuracies expected",
    }.get(design.allocation, "in the numbers given")
    return f"A stratified random sample: the strata are {of}, and points were shared out {how}."


def points_picture(inside: NDArray[np.bool_], row: NDArray[np.int64], col: NDArray[np.int64]) -> NDArray[np.uint8]:
    """RGB (rows, columns, 3): the sampled area in grey and a dot for each point."""
    picture = np.where(inside[..., None], np.array(_INSIDE), np.array(_OUTSIDE)).astype(np.uint8)
    reach = 3 if max(inside.shape) > 500 else 1
    height, width = inside.shape
    for by_row in range(-reach, reach + 1):
        for by_col in range(-reach, reach + 1):
            if by_row**2 + by_col**2 <= reach**2:
                r, c = np.clip(row + by_row, 0, height - 1), np.clip(col + by_col, 0, width - 1)
                picture[r, c] = _POINT
    return picture
