"""The ``simulate-scene`` job: a folder with a simulated scene and its exact truth."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from engine.command_line import command_line
from engine.events import Reporter
from engine.outputs import ResultFolder
from engine.raster.gdal import thread_count
from engine.raster.grid import Grid, Window
from engine.raster.write import CogWriter
from engine.simulate.districts import area_of_interest, districts
from engine.simulate.landscape import WORLDCOVER_CLASSES
from engine.simulate.noise import BLOCK
from engine.simulate.optics import BANDS
from engine.simulate.request import SceneRequest, parse_time
from engine.simulate.scene import POLARISATIONS, SceneArrays, SimulatedScene
from engine.version import VERSION

NOTE = "SIMULATED: computed by SameScene, no real observation."


def run(request: SceneRequest, reporter: Reporter) -> dict[str, Any]:
    """Make the scene that ``request`` describes and return ``result.json``'s content; raises EngineError."""
    started = time.monotonic()
    reporter.progress(0.0, "layout", "Laying out rivers and hills")
    with ResultFolder(request.out, overwrite=request.overwrite) as results:
        scene = SimulatedScene(request)
        files = raster_files(request)
        counts = _Counts()
        with ExitStack() as stack:
            writers = {f.name: stack.enter_context(f.writer(results.path, scene.grid)) for f in files}
            for strip, arrays in _strips(scene, reporter.part(0.02, 0.75)):
                for file in files:
                    writers[file.name].write(strip, file.of(arrays))
                counts.add(arrays)
            for number, file in enumerate(files):
                reporter.progress(0.75 + 0.22 * number / max(len(files), 1), "pack", f"Packing {file.name}")
                writers[file.name].close()
        outputs = {f.key: f.name for f in files}
        if "vectors" in request.makes:
            outputs |= _write_vectors(results.path, request.seed, scene.grid)
        (results.path / "README.txt").write_text(_readme(request, outputs), encoding="utf-8")
        outputs |= {"readme": "README.txt", "result": "result.json"}
        result: dict[str, Any] = {
            "job": "simulate-scene",
            "simulated": True,
            "outputs": outputs,
            "inputs": {},
            "parameters": request.model_dump(mode="json"),
            "model": None,
            "engine_version": VERSION,
            "command": command_line("simulate scene", request, positional=()),
            "seconds": round(time.monotonic() - started, 2),
            "device": "cpu",
            "warnings": list(reporter.warnings),
            "figures": {
                "observed_at": _iso(parse_time(request.observed_at)),
                "before_observed_at": _iso(request.before_time),
                "crs": scene.grid.crs.to_string() if scene.grid.crs else None,
                "shape": list(scene.grid.shape),
                **counts.figures(),
            },
        }
        (results.path / "result.json").write_text(json.dumps(result, indent=2, allow_nan=False), encoding="utf-8")
        reporter.check()
        results.commit()
    reporter.progress(1.0, "done", "Done")
    return {**result, "out": str(Path(request.out).absolute())}


@dataclass(frozen=True, kw_only=True)
class RasterFile:
    """One raster of the scene: key in ``outputs``, file name, the field of SceneArrays behind it, how it is stored."""

    key: str
    name: str
    field: str
    dtype: str
    nodata: float | None
    bands: tuple[str, ...]
    tags: dict[str, str]
    colors: dict[int, tuple[int, int, int, int]] | None = None
    classes: dict[int, str] | None = None
    overviews: Literal["mode", "nearest", "average"] = "nearest"

    def writer(self, folder: Path, grid: Grid) -> CogWriter:
        """The writer of this file in ``folder``."""
        return CogWriter(
            folder / self.name,
            grid,
            dtype=self.dtype,
            nodata=self.nodata,
            band_names=self.bands,
            colors=self.colors,
            class_names=self.classes,
            tags=self.tags,
            overview_resampling=self.overviews,
        )

    def of(self, arrays: SceneArrays) -> Any:
        """This file's pixels among ``arrays``."""
        return getattr(arrays, self.field)


def raster_files(request: SceneRequest) -> list[RasterFile]:
    """The rasters that ``request`` asks for."""
    common = {
        "SIMULATED": "yes",
        "DATASET": "SameScene simulated scene",
        "TIFFTAG_IMAGEDESCRIPTION": NOTE,
        "TIFFTAG_SOFTWARE": f"SameScene engine {VERSION}",
        "SEED": str(request.seed),
    }
    before, after = _iso(request.before_time), _iso(parse_time(request.observed_at))
    radar = {
        **common,
        "UNITS": "dB",
        "VALUES": "sigma0 in decibel",
        "ORBIT_DIRECTION": "ASCENDING",
        "RELATIVE_ORBIT": "44",
        "LOOKS": str(request.looks),
    }
    water = {0: (0, 0, 0, 0), 1: (31, 78, 158, 255)}
    truth = {0: (245, 243, 238, 0), 1: (31, 78, 158, 255), 2: (232, 89, 12, 255), 255: (0, 0, 0, 0)}
    label = {"dtype": "int16", "nodata": None, "bands": ("label",)}
    words = "-1 ignore (water under plants or between houses, or not observed), 0 not water, 1 water"
    makes = request.makes
    files: list[RasterFile] = []
    if "s1" in makes:
        one = {"dtype": "float32", "nodata": float("nan"), "bands": POLARISATIONS, "overviews": "average"}
        files += [
            RasterFile(
                key="before_s1", name="before_S1.tif", field="before", tags={**radar, "ACQUIRED": before}, **one
            ),  # type: ignore[arg-type]
            RasterFile(key="after_s1", name="after_S1.tif", field="after", tags={**radar, "ACQUIRED": after}, **one),  # type: ignore[arg-type]
        ]
    if "s2" in makes:
        files.append(
            RasterFile(
                key="after_s2", name="after_S2.tif", field="optical", dtype="uint16", nodata=0, bands=BANDS,
                tags={**common, "ACQUIRED": after, "UNITS": "reflectance x 10000", "LEVEL": "L2A"}, overviews="average",
            )
        )  # fmt: skip
    if "landcover" in makes:
        files.append(
            RasterFile(
                key="landcover", name="landcover.tif", field="landcover", dtype="uint8", nodata=255,
                bands=("landcover",),
                tags={**common, "VALUES": "ESA WorldCover codes"}, overviews="mode",
                colors={c: rgba for c, (_, rgba) in WORLDCOVER_CLASSES.items()},
                classes={c: title for c, (title, _) in WORLDCOVER_CLASSES.items()},
            )
        )  # fmt: skip
    if "dem" in makes:
        files.append(
            RasterFile(
                key="dem", name="dem.tif", field="dem", dtype="float32", nodata=-9999.0, bands=("height",),
                tags={**common, "UNITS": "m"}, overviews="average",
            )
        )  # fmt: skip
    if "water" in makes:
        files.append(
            RasterFile(
                key="reference_water", name="reference_water.tif", field="reference_water", dtype="uint8", nodata=255,
                bands=("permanent water",), tags=common, colors=water, classes={0: "land", 1: "permanent water"},
            )
        )  # fmt: skip
    if "truth" in makes:
        files += [
            RasterFile(
                key="flood_truth", name="flood_truth.tif", field="flood_truth", dtype="uint8", nodata=255,
                bands=("flood truth",), tags={**common, "ACQUIRED": after}, colors=truth,
                classes={0: "dry land", 1: "permanent water", 2: "flood", 255: "not observed"},
            ),
            RasterFile(
                key="excluded_truth", name="excluded_truth.tif", field="excluded_truth", dtype="uint8", nodata=255,
                bands=("excluded truth",), tags=common, colors={0: (0, 0, 0, 0), 1: (74, 20, 140, 255)},
                classes={0: "seen by the radar", 1: "radar shadow", 255: "not observed"},
            ),
        ]  # fmt: skip
    if "labels" in makes:
        tags = {**common, "VALUES": words}
        files += [
            RasterFile(
                key="before_label",
                name="before_label.tif",
                field="before_label",
                tags={**tags, "ACQUIRED": before},
                **label,
            ),  # type: ignore[arg-type]
            RasterFile(
                key="after_label",
                name="after_label.tif",
                field="after_label",
                tags={**tags, "ACQUIRED": after},
                **label,
            ),  # type: ignore[arg-type]
        ]
    return files


def _strips(scene: SimulatedScene, reporter: Reporter) -> Iterator[tuple[Window, SceneArrays]]:
    """Full-width strips from the top; blocks are computed by a few threads, a little ahead of the writing."""
    threads = thread_count()
    whole = scene.grid
    blocks = iter(list(scene.blocks()))
    total = -(-whole.height // BLOCK) * -(-whole.width // BLOCK)
    done = 0
    waiting: list[tuple[Window, Future[SceneArrays]]] = []
    with ThreadPoolExecutor(threads, thread_name_prefix="simulate") as pool:
        try:
            for row in range(0, whole.height, BLOCK):
                strip = Window(row, 0, min(BLOCK, whole.height - row), whole.width)
                arrays = SceneArrays()
                while done < total:
                    while len(waiting) <= 2 * threads and (block := next(blocks, None)) is not None:
                        waiting.append((block, pool.submit(scene.block, block)))
                    if waiting[0][0].row != row:
                        break
                    block, future = waiting.pop(0)
                    arrays.put(block, future.result(), strip)
                    done += 1
                    reporter.progress(done / total, "compute", f"Computing block {done} of {total}")
                yield strip, arrays
        finally:
            for _, future in waiting:
                future.cancel()


@dataclass
class _Counts:
    pixels: dict[str, int] = field(default_factory=dict)

    def add(self, arrays: SceneArrays) -> None:
        if arrays.flood_truth is None or arrays.excluded_truth is None:
            return
        for name, code in (("dry", 0), ("permanent_water", 1), ("flood", 2), ("not_observed", 255)):
            self.pixels[name] = self.pixels.get(name, 0) + int(np.count_nonzero(arrays.flood_truth == code))
        shadow = int(np.count_nonzero(arrays.excluded_truth == 1))
        self.pixels["radar_shadow"] = self.pixels.get("radar_shadow", 0) + shadow

    def figures(self) -> dict[str, Any]:
        return {"pixels": self.pixels} if self.pixels else {}


def _write_vectors(folder: Path, seed: int, grid: Grid) -> dict[str, str]:
    from engine.raster.vector import write_layer

    parts = districts(seed, grid)
    write_layer(
        folder / "zones.gpkg",
        "zones",
        [polygon for _, polygon in parts],
        {"zone_id": [name for name, _ in parts], "simulated": ["yes"] * len(parts)},
        crs=grid.crs,
        geometry_type="Polygon",
    )
    write_layer(
        folder / "aoi.gpkg",
        "aoi",
        [area_of_interest(seed, grid)],
        {"name": ["area of interest"], "simulated": ["yes"]},
        crs=grid.crs,
        geometry_type="Polygon",
    )
    return {"zones": "zones.gpkg", "aoi": "aoi.gpkg"}


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


_MEANING = {
    "before_s1": "Sentinel-1 before the event: VV, VH, sigma0 in dB",
    "after_s1": "Sentinel-1 during the event: VV, VH, sigma0 in dB",
    "after_s2": "Sentinel-2 Level-2A during the event: 12 bands, reflectance x 10000",
    "landcover": "land cover before the event, ESA WorldCover codes",
    "dem": "height of ground or permanent water in metres",
    "reference_water": "1 permanent water, 0 land",
    "flood_truth": "0 dry, 1 permanent water, 2 flood (under plants and between houses too), 255 not observed",
    "excluded_truth": "1 radar shadow, 0 seen, 255 not observed",
    "before_label": "1 water, 0 dry, -1 ignore; scores a map of before_S1.tif",
    "after_label": "1 water, 0 dry, -1 ignore (hidden water); scores a map of after_S1.tif",
    "zones": "districts for reports",
    "aoi": "an area of interest",
}


def _readme(request: SceneRequest, outputs: dict[str, str]) -> str:
    rows = "\n".join(f"{name:22}{_MEANING[key]}" for key, name in outputs.items())
    command = command_line("simulate scene", request, positional=())
    return (
        f"{NOTE}\n\nRivers, fields, towns, flood, dates and places in this folder are invented: this is no map.\n"
        f"Made by SameScene engine {VERSION}:\n{command}\n\n{rows}\n"
    )
