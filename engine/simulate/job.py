"""The ``simulate-scene`` job: a folder with a simulated scene and its exact truth."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.command_line import command_line
from engine.events import Reporter
from engine.outputs import ResultFolder
from engine.raster.gdal import thread_count
from engine.raster.grid import Grid, Window
from engine.simulate.districts import area_of_interest, districts
from engine.simulate.files import NOTE, iso, raster_files
from engine.simulate.noise import BLOCK
from engine.simulate.request import SceneRequest, parse_time
from engine.simulate.scene import SceneArrays, SimulatedScene
from engine.version import VERSION


def run(request: SceneRequest, reporter: Reporter) -> dict[str, Any]:
    """Make the scene that ``request`` describes and return ``result.json``'s content; raises EngineError."""
    started = time.monotonic()
    reporter.progress(0.0, "layout", "Laying out rivers and hills")
    with ResultFolder(request.out, overwrite=request.overwrite) as results:
        scene = SimulatedScene(request)
        files = raster_files(request)
        counts = _Counts()
        with ExitStack() as stack:
            writers = {f.name: stack.enter_context(f.writer(results.path, scene.grid, request)) for f in files}
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
                "observed_at": iso(parse_time(request.observed_at)),
                "before_observed_at": iso(request.before_time),
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


_VECTORS = {"zones.gpkg": "districts for reports", "aoi.gpkg": "an area of interest"}


def _readme(request: SceneRequest, outputs: dict[str, str]) -> str:
    meanings = {**{file.name: file.meaning for file in raster_files(request)}, **_VECTORS}
    rows = "\n".join(f"{name:22}{meanings[name]}" for name in outputs.values())
    command = command_line("simulate scene", request, positional=())
    return (
        f"{NOTE}\n\nRivers, fields, towns, flood, dates and places in this folder are invented: this is no map.\n"
        f"Made by SameScene engine {VERSION}:\n{command}\n\n{rows}\n"
    )
