"""The ``simulate-scene`` job: files as promised, equal to the arrays, in bounded memory, cancelled cleanly."""

from __future__ import annotations

import json
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely

from engine.errors import Cancelled, OutputError
from engine.events import CancelToken, Event, Progress, Reporter
from engine.jobs import find_job
from engine.simulate import job
from engine.simulate.districts import area_of_interest, districts
from engine.simulate.files import raster_files
from engine.simulate.job import _strips, run
from engine.simulate.request import SceneRequest
from engine.simulate.scene import SimulatedScene, simulate_scene


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "scène 1"
    run(SceneRequest(out=str(out), seed=4, width=1200, height=560, border=True, clouds=0.1), Reporter())
    return out


def test_every_file_that_is_promised_is_there_and_no_other(folder: Path) -> None:
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    files = {p.name for p in folder.iterdir() if not p.name.endswith(".aux.xml")}
    assert files == set(result["outputs"].values())
    assert files == {
        *("before_S1.tif", "after_S1.tif", "after_S2.tif", "landcover.tif", "dem.tif", "reference_water.tif"),
        *("flood_truth.tif", "excluded_truth.tif", "before_label.tif", "after_label.tif"),
        *("zones.gpkg", "aoi.gpkg", "README.txt", "result.json"),
    }
    assert result["simulated"] is True and result["job"] == "simulate-scene"
    assert result["command"].startswith("engine simulate scene --seed 4")
    assert (
        sum(result["figures"]["pixels"][k] for k in ("dry", "permanent_water", "flood", "not_observed")) == 1200 * 560
    )


def test_streamed_files_equal_the_scene_in_memory(folder: Path) -> None:
    arrays = simulate_scene(seed=4, width=1200, height=560, border=True, clouds=0.1)
    grid = SimulatedScene(SceneRequest(out="x", seed=4, width=1200, height=560)).grid
    for file in raster_files(SceneRequest(out="x", seed=4, width=1200, height=560)):
        with rasterio.open(folder / file.name) as made:
            pixels = made.read()
            assert made.transform == grid.transform and made.crs == grid.crs
            assert made.descriptions == file.bands
        expected = getattr(arrays, file.source)
        np.testing.assert_array_equal(pixels, expected if expected.ndim == 3 else expected[None], err_msg=file.name)


def test_rasters_say_what_they_are(folder: Path) -> None:
    for path in folder.glob("*.tif"):
        with rasterio.open(path) as made:
            tags = made.tags()
            assert tags["SIMULATED"] == "yes" and "simulated" in tags["DATASET"].lower(), path.name
            assert made.overviews(1), path.name
    with rasterio.open(folder / "after_S1.tif") as made:
        assert made.descriptions == ("VV", "VH") and made.dtypes == ("float32", "float32") and np.isnan(made.nodata)
        tags = made.tags()
        assert tags["UNITS"] == "dB" and tags["ACQUIRED"] == "2021-06-17T05:27:41Z"
        assert tags["ORBIT_DIRECTION"] == "ASCENDING" and tags["RELATIVE_ORBIT"] == "44"
    with rasterio.open(folder / "before_S1.tif") as made:
        assert made.tags()["ACQUIRED"] == "2021-06-05T05:27:41Z"
    with rasterio.open(folder / "after_S2.tif") as made:
        assert made.descriptions[0] == "B01" and made.descriptions[-1] == "B12" and made.count == 12
        assert made.nodata == 0 and made.dtypes[0] == "uint16"
    with rasterio.open(folder / "landcover.tif") as made:
        assert made.colormap(1)[40] == (240, 150, 255, 255)
    with rasterio.open(folder / "after_label.tif") as made:
        assert made.dtypes == ("int16",) and made.nodata is None
        assert set(np.unique(made.read())) == {-1, 0, 1}
    assert "SIMULATED" in (folder / "README.txt").read_text(encoding="utf-8")


def test_districts_cover_the_scene_without_overlap(folder: Path) -> None:
    info, _, geometry, columns = pyogrio.raw.read(folder / "zones.gpkg", layer="zones")
    polygons = [shapely.from_wkb(g) for g in geometry]
    assert 5 <= len(polygons) <= 9 and all(p.is_valid for p in polygons)
    assert "zone_id" in info["fields"] and len(set(columns[list(info["fields"]).index("zone_id")])) == len(polygons)
    total = shapely.union_all(polygons)
    assert total.area == pytest.approx(12_000 * 5_600, rel=1e-6)
    assert sum(p.area for p in polygons) == pytest.approx(total.area, rel=1e-6)
    aoi = shapely.from_wkb(pyogrio.raw.read(folder / "aoi.gpkg", layer="aoi")[2][0])
    assert aoi.is_valid and total.contains(aoi) and aoi.area < 0.9 * total.area


@pytest.mark.parametrize("seed", range(12))
def test_districts_of_any_seed_are_valid_and_complete(seed: int) -> None:
    grid = SimulatedScene(SceneRequest(out="x", width=100 + 70 * seed, height=300, seed=seed)).grid
    frame = shapely.box(*grid.bounds)
    parts = [polygon for _, polygon in districts(seed, grid)]
    assert all(p.is_valid for p in parts) and len(parts) >= 4
    assert sum(p.area for p in parts) == pytest.approx(frame.area, rel=1e-6)
    assert shapely.union_all(parts).symmetric_difference(frame).area < 1e-6 * frame.area
    assert frame.contains(area_of_interest(seed, grid))


def test_products_choose_the_files(tmp_path: Path) -> None:
    result = run(SceneRequest(out=str(tmp_path / "o"), width=64, height=64, products="s1"), Reporter())
    assert set(result["outputs"]) == {"before_s1", "after_s1", "readme", "result"}
    assert not (tmp_path / "o" / "dem.tif").exists()


def test_results_are_kept_unless_overwriting_is_asked_for(tmp_path: Path) -> None:
    given = {"out": str(tmp_path / "o"), "width": 64, "height": 64}
    run(SceneRequest(**given, products="s1,dem"), Reporter())
    with pytest.raises(OutputError, match="overwrite"):
        run(SceneRequest(**given, products="s1"), Reporter())
    run(SceneRequest(**given, products="s1", overwrite=True), Reporter())
    assert not (tmp_path / "o" / "dem.tif").exists() and (tmp_path / "o" / "after_S1.tif").exists()


def test_the_job_table_runs_it(tmp_path: Path) -> None:
    job = find_job("simulate-scene")
    request = job.parse({"out": str(tmp_path / "o"), "width": 80, "height": 64, "products": "s1,labels"})
    assert job.run(request, Reporter())["figures"]["shape"] == [64, 80]


def test_cancel_stops_within_two_seconds_and_leaves_nothing(tmp_path: Path) -> None:
    token, asked = CancelToken(), []

    def watch(event: Event) -> None:
        if isinstance(event, Progress) and event.stage == "compute" and not asked:
            asked.append(time.monotonic())
            token.cancel()

    request = SceneRequest(out=str(tmp_path / "o"), width=4000, height=3000, products="s1,truth")
    with pytest.raises(Cancelled):
        run(request, Reporter(watch, token=token))
    assert asked and time.monotonic() - asked[0] < 2 + 2  # two seconds, and room for a busy machine
    assert list(tmp_path.iterdir()) == []


def test_progress_rises_to_one(tmp_path: Path) -> None:
    seen: list[Event] = []
    run(SceneRequest(out=str(tmp_path / "o"), width=600, height=600, products="s1,truth"), Reporter(seen.append))
    fractions = [e.fraction for e in seen if isinstance(e, Progress)]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert {e.stage for e in seen if isinstance(e, Progress)} >= {"layout", "compute", "pack", "done"}


def test_memory_does_not_grow_with_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    # With several threads the peak depends on which blocks happen to be at their largest together.
    monkeypatch.setattr(job, "thread_count", lambda: 1)
    peaks = []
    for height in (3072, 7168):
        request = SceneRequest(out="x", width=512, height=height, products="s1")
        tracemalloc.start()
        scene = SimulatedScene(request)
        _, laid_out = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in _strips(scene, Reporter()):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        # The lattice of the ground grows with the scene, slowly: under 4 bytes a pixel, peak of its making included.
        assert laid_out < 4 * 512 * height + 20e6
    assert peaks[1] < 1.1 * peaks[0] + 4 * 1024 * 1024
