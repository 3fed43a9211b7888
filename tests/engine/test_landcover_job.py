"""``engine landcover`` from request to folder: outputs as the contract has them, sums, zones, bad input, cancel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from rasterio.transform import from_origin
from rasterio.warp import Resampling, calculate_default_transform, reproject

from engine.cli.landcover import summary
from engine.errors import Cancelled, EngineError, OutputError
from engine.events import CancelToken, Progress, Reporter
from engine.mapping.landcover.job import run
from engine.mapping.landcover.request import LandcoverRequest
from engine.raster.area import PixelAreas
from engine.raster.read import open_raster
from tests.engine import landcover_scenes as small
from tests.engine import optical_scenes as files

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = {"landcover.tif", "landcover.tif.aux.xml", "confidence.tif", "landcover.gpkg", "report.html", "result.json"}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return str(small.make_model(tmp_path_factory.mktemp("models") / "model", unknown_below=0.3).folder)


@pytest.fixture
def image(tmp_path) -> Path:
    values = files.digital(small.reflectance(small.truth(120, 160)))
    values[:, :12, :20] = 0
    values[:, 40:60, 60:90] = 6000
    return files.write(tmp_path / "s2.tif", values, small.BANDS, tags={"ACQUIRED": "2022-06-12T10:15:59Z"})


def landcover(image: Path, model: str, **more):
    """A run of the job; ``reporter`` may be given."""
    reporter = more.pop("reporter", Reporter())
    scenes = more.pop("scene", (str(image),))
    request = LandcoverRequest(scene=scenes, out=str(image.parent / more.pop("out", "out")), model=model, **more)
    return run(request, reporter)


def test_the_folder_is_what_the_contract_says(image, model):
    result = landcover(image, model)
    out = Path(result["out"])
    assert {p.name for p in out.iterdir()} == CONTRACT
    assert json.loads((out / "result.json").read_text())["figures"] == result["figures"]
    assert result["outputs"] == {
        "landcover": "landcover.tif", "confidence": "confidence.tif", "tables": "landcover.gpkg",
        "report": "report.html", "result": "result.json",
    }  # fmt: skip
    with rasterio.open(out / "landcover.tif") as file, rasterio.open(out / "confidence.tif") as second:
        codes, confidence = file.read(1), second.read(1)
        assert (file.dtypes[0], file.nodata, second.dtypes[0], second.nodata) == ("uint8", 255, "uint8", 255)
        assert file.tags()["SAMESCENE_LEGEND"] == "worldcover"
        assert file.tags()["ACQUIRED"] == "2022-06-12T10:15:59Z"
        assert file.tags(1)["CLASS_10"] == "Tree cover"
        assert file.colormap(1)[80] == (0, 100, 200, 255)
        assert file.colormap(1)[255][3] == 0
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        areas = np.broadcast_to(PixelAreas(_grid(file)).of(_grid(file).window), codes.shape)
    assert "GDALRasterAttributeTable" in (out / "landcover.tif.aux.xml").read_text()
    assert set(np.unique(codes)) <= {0, *small.CODES, 255}
    assert np.array_equal(codes == 255, confidence == 255)
    assert (codes[:12, :20] == 255).all()
    assert (codes[40:60, 60:90] == 0).all()
    figures = result["figures"]
    for code in (0, *small.CODES, 255):
        assert figures["pixels"][str(code)] == np.count_nonzero(codes == code), "to the pixel"
        assert figures["area_m2"][str(code)] == pytest.approx(areas[codes == code].sum(), abs=0.1)
    assert sum(figures["area_m2"].values()) == pytest.approx(areas.sum(), abs=0.5)
    assert figures["observed_percent"] == pytest.approx(100 * areas[codes != 255].sum() / areas.sum(), abs=1e-3)
    assert figures["unknown_percent"] == pytest.approx(
        100 * areas[codes == 0].sum() / areas[codes != 255].sum(), abs=1e-3
    )
    assert [row["code"] for row in figures["classes"]] == [*small.CODES, 0]
    assert sum(row["share"] for row in figures["classes"]) == pytest.approx(1, abs=1e-5)
    for row in figures["classes"]:
        if row["pixels"]:
            assert row["mean_confidence"] == pytest.approx(confidence[codes == row["code"]].mean(), abs=0.01)
    table = pyogrio.raw.read(out / "landcover.gpkg", layer="classes")
    assert list(table[0]["fields"]) == ["code", "name", "area_m2", "share", "mean_confidence"]
    there = [row for row in figures["classes"] if row["pixels"]]
    assert table[3][0].tolist() == [row["code"] for row in there]
    assert table[3][2].tolist() == [row["area_m2"] for row in there]
    assert figures["model"] == "tiny-s2"
    assert figures["observed_at"] == "2022-06-12T10:15:59Z"
    assert result["model"]["sha256"]
    assert any("Tree cover" in line for line in summary(result, {}))


def _grid(file):
    with open_raster(file.name) as raster:
        return raster.grid


def test_the_report_stands_alone_and_tells_what_matters(image, model):
    result = landcover(image, model)
    text = (Path(result["out"]) / "report.html").read_text()
    assert "http" not in text.replace("http-equiv", ""), "nothing is loaded from elsewhere"
    assert text.count("data:image/png;base64,") == 3
    for words in (
        "Permanent water",
        "natural colour",
        'What "unknown" means',
        "Random weights",
        "Observed at 2022-06-12",
    ):
        assert words in text
    assert "nothing is known of its accuracy" in text
    assert "undefined" not in text
    hostile = image.rename(image.with_name("<b>x&amp.tif"))
    again = (Path(landcover(hostile, model, out="again")["out"]) / "report.html").read_text()
    assert "<b>x" not in again


def test_zones_add_up(image, model, tmp_path):
    half = files.WEST + 800
    bottom, top = files.NORTH - 1200, files.NORTH
    boxes = [shapely.box(files.WEST, bottom, half, top), shapely.box(half, bottom, files.WEST + 1600, top)]
    outer = shapely.box(files.WEST - 1600, bottom, files.WEST, top)
    zones = tmp_path / "zones.gpkg"
    pyogrio.raw.write(
        zones, shapely.to_wkb(np.array([*boxes, outer])), [np.array(["west", "east", "off"], object)], ["name"],
        layer="zones", driver="GPKG", geometry_type="Polygon", crs="EPSG:32633",
    )  # fmt: skip
    result = landcover(image, model, zones=str(zones), zone_field="name")
    rows = {row["zone_id"]: row for row in result["figures"]["zones"]}
    for code in small.CODES:
        total = sum(rows[name][f"class_{code}_m2"] for name in rows)
        assert total == pytest.approx(result["figures"]["area_m2"][str(code)], abs=0.5)
    assert sum(row["unknown_m2"] for row in rows.values()) == pytest.approx(result["figures"]["area_m2"]["0"], abs=0.5)
    assert rows["off"]["observed_percent"] == 0
    assert rows["east"]["observed_percent"] == pytest.approx(100, abs=0.05)
    layer = pyogrio.raw.read(Path(result["out"]) / "landcover.gpkg", layer="zones")
    assert list(layer[0]["fields"]) == list(rows["west"])
    assert len(layer[2]) == 3


def test_an_area_of_interest_crops_and_hides(image, model, tmp_path):
    triangle = shapely.Polygon([(files.WEST + 205, files.NORTH - 205), (files.WEST + 1005, files.NORTH - 205),
                                (files.WEST + 205, files.NORTH - 905)])  # fmt: skip
    aoi = tmp_path / "aoi.gpkg"
    pyogrio.raw.write(
        aoi, shapely.to_wkb(np.array([triangle])), [], [], layer="a", driver="GPKG", geometry_type="Polygon",
        crs="EPSG:32633",
    )  # fmt: skip
    result = landcover(image, model, aoi=str(aoi), min_area=0.0)
    with rasterio.open(Path(result["out"]) / "landcover.tif") as file:
        assert file.shape == (71, 81)
        codes = file.read(1)
    assert result["figures"]["observed_percent"] == 100
    assert 0.45 < (codes == 255).mean() < 0.55
    assert result["figures"]["pixels"]["255"] == np.count_nonzero(codes == 255)


def test_degrees_and_metres_give_the_same_areas(tmp_path):
    """The same ground in both systems, by a rule that looks at single pixels: big fields, so edges hardly count."""
    codes = small.truth(600, 800)
    utm = files.write(tmp_path / "utm.tif", files.digital(small.reflectance(codes)), small.BANDS)
    with rasterio.open(utm) as source:
        place, width, height = calculate_default_transform(
            source.crs, "EPSG:4326", 800, 600, *source.bounds, resolution=4e-5
        )
        array = np.zeros((6, height, width), np.uint16)
        reproject(source.read(), array, src_transform=source.transform, src_crs=source.crs, dst_transform=place,
                  dst_crs="EPSG:4326", resampling=Resampling.nearest)  # fmt: skip
    with rasterio.open(tmp_path / "degrees.tif", "w", driver="GTiff", dtype="uint16", count=6, height=height,
                       width=width, crs="EPSG:4326", transform=place) as file:  # fmt: skip
        file.write(array)
        for number, name in enumerate(small.BANDS, 1):
            file.set_band_description(number, name)
    areas = []
    for path in (utm, tmp_path / "degrees.tif"):
        with open_raster(path) as raster:
            values = raster.read(raster.grid.window)
            looks = np.array(list(small.LOOKS.values()))[:, :, None, None]
            found = np.array(small.CODES)[((values / 1e4 - looks) ** 2).sum(axis=1).argmin(axis=0)]
            found[(values == 0).all(axis=0)] = 255
            areas.append(PixelAreas(raster.grid).sums(raster.grid.window, found, 256))
    for code in small.CODES:
        assert areas[1][code] == pytest.approx(areas[0][code], rel=1e-3)


def test_areas_in_degrees_are_those_of_the_ellipsoid(model, tmp_path):
    values = files.digital(small.reflectance(small.truth(64, 80)))
    path = tmp_path / "degrees.tif"
    place = from_origin(15.0, 60.0, 2e-4, 1e-4)
    with rasterio.open(path, "w", driver="GTiff", dtype="uint16", count=6, height=64, width=80, crs="EPSG:4326",
                       transform=place) as file:  # fmt: skip
        file.write(values)
        for number, name in enumerate(small.BANDS, 1):
            file.set_band_description(number, name)
    result = landcover(path, model)
    with rasterio.open(Path(result["out"]) / "landcover.tif") as file:
        codes = file.read(1)
    with open_raster(path) as raster:
        sums = PixelAreas(raster.grid).sums(raster.grid.window, codes, 256)
    for code, area in result["figures"]["area_m2"].items():
        assert area == pytest.approx(sums[int(code)], abs=0.06)


@pytest.mark.parametrize("stage", ["inference", "patches", "write", "rasters", "report"])
def test_cancel_at_every_stage_leaves_nothing(image, model, stage):
    token = CancelToken()

    def sink(event):
        if isinstance(event, Progress) and event.stage == stage:
            token.cancel()

    with pytest.raises(Cancelled):
        landcover(image, model, reporter=Reporter(sink, token=token))
    assert sorted(p.name for p in image.parent.iterdir()) == ["s2.tif"]


def test_all_nodata_is_a_map_of_nothing(tmp_path, model):
    path = files.write(tmp_path / "empty.tif", np.zeros((6, 70, 80), np.uint16), small.BANDS)
    result = landcover(path, model)
    with (
        rasterio.open(Path(result["out"]) / "landcover.tif") as first,
        rasterio.open(Path(result["out"]) / "confidence.tif") as second,
    ):
        assert (first.read(1) == 255).all()
        assert (second.read(1) == 255).all()
    assert result["figures"]["observed_percent"] == 0
    assert result["figures"]["unknown_percent"] is None
    assert any("Nothing was observed" in line for line in result["warnings"])
    assert "Nothing was observed" in (Path(result["out"]) / "report.html").read_text()
    assert summary(result, {})


def test_a_radar_image_without_a_value_is_a_map_of_nothing_too(tmp_path):
    both = str(small.make_model(tmp_path / "both", ("s1", "s2")).folder)
    path = files.write(tmp_path / "s1.tif", np.full((2, 70, 80), np.nan, np.float32), ("VV", "VH"))
    result = landcover(path, both)
    assert result["figures"]["observed_percent"] == 0
    assert result["figures"]["sensors"] == ["s1"]
    assert "Backscatter" in (Path(result["out"]) / "report.html").read_text()


def test_what_stands_in_the_way_is_one_line(image, model, tmp_path):
    cut = tmp_path / "cut.tif"
    cut.write_bytes(image.read_bytes()[:20_000])
    nowhere = files.write(
        tmp_path / "nowhere.tif", files.digital(small.reflectance(small.truth())), small.BANDS, crs=None
    )
    cases = {
        "cut.tif": {"scene": (str(cut),)},
        "no coordinate reference system": {"scene": (str(nowhere),)},
        "--zone-field is given without --zones": {"zone_field": "name"},
        "lies outside": {"aoi": "100,10,101,11"},
        "There is no legend 'corine'": {"legend": "corine"},
        "is not a time": {"observed_at": "noon"},
        "No model is installed": {"model": "auto"},
        "There is no model": {"model": "nonesuch"},
    }
    for words, more in cases.items():
        with pytest.raises(EngineError, match=words) as caught:
            landcover(image, more.pop("model", model), **more)
        assert "\n" not in caught.value.line
        assert not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    with pytest.raises(OutputError, match="not empty"):
        landcover(image, model)


def test_a_place_that_cannot_be_written_is_told(image, model):
    with pytest.raises(OutputError, match="cannot be written"):
        landcover(image, model, out="s2.tif/below")
    with pytest.raises(OutputError, match="is a file"):
        landcover(image, model, out="s2.tif")


def test_the_command_takes_several_files(image, model, tmp_path):
    s1 = files.write(tmp_path / "s1.tif", files.backscatter(120, 160), ("VV", "VH"))
    done = subprocess.run(
        [sys.executable, "-m", "engine", "landcover", str(image), str(s1), "-o", str(tmp_path / "out"),
         "--model", model, "--events", "-"],
        capture_output=True, text=True, cwd=ROOT, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    result = events[-1]
    assert result["event"] == "result"
    command = json.loads((tmp_path / "out" / "result.json").read_text())["command"]
    assert command.startswith(f"engine landcover {image} {s1} --model")
    assert any("s1.tif: is not looked at" in str(event) for event in events)
