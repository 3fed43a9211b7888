"""The ``simulate-city`` job: panoramas of a simulated city, their overhead tiles and the whole from above."""

from __future__ import annotations

import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray
from PIL import Image

from engine.command_line import command_line
from engine.errors import ParameterError
from engine.events import Reporter
from engine.outputs import ResultFolder
from engine.raster.grid import Window
from engine.raster.write import CogWriter
from engine.result import RESULT, job_result, keep
from engine.simulate.city.city import SimulatedCity, Viewpoint
from engine.simulate.city.day import Day
from engine.simulate.city.dice import Dice, dice
from engine.simulate.city.request import SimulateCityRequest
from engine.simulate.files import NOTE
from engine.version import VERSION

PAIRS, PANORAMAS, OVERHEAD, README = "pairs.csv", "panoramas.csv", "overhead.tif", "README.txt"
_PAIR_FIELDS = (
    *("pair_id", "panorama", "overhead", "heading_deg", "hfov_deg", "vfov_deg", "pitch_center_deg", "gsd_m"),
    *("lon", "lat", "camera_column", "camera_row", "split"),
)
_PANORAMA_FIELDS = ("panorama", "lon", "lat", "heading_deg", "x", "y", "camera_height_m", "hfov_deg", "vfov_deg")
_STRIP = 256


def run(request: SimulateCityRequest, reporter: Reporter) -> dict[str, Any]:
    """Make the city and the pictures that ``request`` describes; returns ``result.json``'s content.

    Raises EngineError: MissingExtraError without the ray tracer, ParameterError where there is no street to stand on.
    """
    started = time.monotonic()
    reporter.progress(0.0, "layout", "Laying out streets and houses")
    with ResultFolder(request.out, overwrite=request.overwrite) as results:
        city = SimulatedCity(
            request.seed, size_m=request.size, character=request.fixed_character, same_day=request.same_day
        )
        reporter.progress(0.05, "layout", "Building them")
        city.scene("ground")
        city.scene("air")
        outputs = {"overhead": OVERHEAD}
        _write_overhead(results.path / OVERHEAD, city, request, reporter.part(0.1, 0.4))
        if request.panoramas:
            _write_pairs(results.path, city, request, reporter.part(0.4, 0.98))
            outputs |= {"pairs": PAIRS, "panoramas": PANORAMAS}
        command = command_line("simulate city", request, positional=())
        (results.path / README).write_text(_readme(command, outputs), encoding="utf-8")
        result = job_result(
            "simulate-city",
            request,
            command=command,
            outputs={**outputs, "readme": README, "result": RESULT},
            inputs={},
            figures={
                "character": city.brief.character,
                "crs": "EPSG:32633",
                "panoramas": request.panoramas,
                "buildings": len(city.contents.buildings),
                "trees": len(city.contents.trees),
                "street_metres": round(sum(s.length for s in city.network.streets)),
                "day_of_panoramas": _facts(city.days["ground"]),
                "day_of_overhead": _facts(city.days["air"]),
            },
            reporter=reporter,
            started=started,
        )
        return keep(results, {**result, "simulated": True}, reporter)


def _facts(day: Day) -> dict[str, Any]:
    told = {k: v for k, v in asdict(day).items() if k not in ("name", "camera")}
    return {k: round(v, 3) if isinstance(v, float) else v for k, v in told.items()}


def _write_overhead(path: Path, city: SimulatedCity, request: SimulateCityRequest, reporter: Reporter) -> None:
    grid = city.grid(request.overhead_gsd)
    tags = {
        "SIMULATED": "yes",
        "DATASET": "SameScene simulated city",
        "TIFFTAG_IMAGEDESCRIPTION": NOTE,
        "TIFFTAG_SOFTWARE": f"SameScene engine {VERSION}",
        "SEED": str(request.seed),
        "DAY_OF_YEAR": str(city.days["air"].day_of_year),
    }
    bands = ("red", "green", "blue")
    with CogWriter(
        path, grid, dtype="uint8", nodata=None, band_names=bands, tags=tags, overview_resampling="average"
    ) as writer:
        for row in range(0, grid.height, _STRIP):
            reporter.progress(row / grid.height, "overhead", "Drawing the city from above")
            window = Window(row, 0, min(_STRIP, grid.height - row), grid.width)
            writer.write(window, city.overhead(window, gsd_m=request.overhead_gsd, samples=request.samples))


def _write_pairs(folder: Path, city: SimulatedCity, request: SimulateCityRequest, reporter: Reporter) -> None:
    views = city.viewpoints(request.panoramas)
    if len(views) < request.panoramas:
        raise ParameterError(
            f"The city of seed {request.seed} has room for {len(views)} panoramas on its streets; "
            f"expected {request.panoramas}.",
            remedy="Give a larger --size or another --seed.",
        )
    grid = city.grid(request.overhead_gsd)
    to_degrees = pyproj.Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
    rng = dice(city.seed, "cameras", request.heading, math.floor(request.offset * 1000))
    west, north = grid.transform.c, grid.transform.f
    pairs, panoramas = [",".join(_PAIR_FIELDS)], [",".join(_PANORAMA_FIELDS)]
    for name in ("panoramas", "overheads"):
        (folder / name).mkdir()
    for number, view in enumerate(views):
        reporter.progress(number / len(views), "panoramas", f"Panorama {number + 1} of {len(views)}")
        heading = round(float(rng.uniform(0, 360)), 3) % 360 if request.heading == "random" else 0.0
        photo, tile, camera = _pair(city, request, view, heading, rng)
        name = f"{number + 1:06}"
        photo_name, tile_name = (f"{kind}/{name}.{request.image_format}" for kind in ("panoramas", "overheads"))
        _save(folder / photo_name, photo)
        _save(folder / tile_name, tile)
        x, y = west + view.x_m, north - city.size_m + view.y_m
        lon, lat = to_degrees.transform(x, y)
        place = f"{lon:.8f},{lat:.8f}"
        seen = f"360,{request.vfov:g}"
        pairs.append(
            f"{city.seed}_{name},{photo_name},{tile_name},{heading:g},{seen},0,{request.overhead_gsd:g},{place},"
            f"{camera[0]:.3f},{camera[1]:.3f},{request.split}"
        )
        panoramas.append(f"{photo_name},{place},{heading:g},{x:.4f},{y:.4f},{request.camera_height:g},{seen}")
    (folder / PAIRS).write_text("\n".join(pairs) + "\n", encoding="utf-8")
    (folder / PANORAMAS).write_text("\n".join(panoramas) + "\n", encoding="utf-8")


def _pair(
    city: SimulatedCity, request: SimulateCityRequest, view: Viewpoint, heading: float, rng: Dice
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], tuple[float, float]]:
    """A panorama, its tile, and the camera's column and row in the tile (pixel edges are whole numbers)."""
    height, width = request.pano_shape
    photo = city.panorama(
        view.x_m,
        view.y_m,
        heading,
        height=height,
        width=width,
        vfov_deg=request.vfov,
        camera_height_m=request.camera_height,
        samples=request.samples,
    )
    east, up = rng.uniform(-request.offset, request.offset, 2) if request.offset else (0.0, 0.0)
    side, gsd = request.tile_size, request.overhead_gsd
    tile = city.overhead_around(view.x_m - east, view.y_m - up, side=side, gsd_m=gsd, samples=request.samples)
    return photo, tile, (side / 2 + east / gsd, side / 2 - up / gsd)


def _save(path: Path, picture: NDArray[np.uint8]) -> None:
    image = Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0)))
    if path.suffix == ".jpg":
        image.save(path, quality=92, subsampling=0)
    else:
        image.save(path, compress_level=4)


_MEANINGS = {
    OVERHEAD: "the whole city from above, north up",
    PAIRS: "one row a panorama with its tile, as 'engine evaluate crossview' and the data kind pairs-csv read it",
    PANORAMAS: "exact position (x, y in EPSG:32633) and heading of each panorama",
}


def _readme(command: str, outputs: dict[str, str]) -> str:
    rows = "\n".join(f"{name:22}{_MEANINGS[name]}" for name in outputs.values())
    return (
        f"{NOTE}\n\nThis city is invented, its place too.\nMade by SameScene engine {VERSION}:\n{command}\n\n{rows}\n"
    )
