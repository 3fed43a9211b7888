"""The flood job as a whole: the outputs that design promises, on small simulated scenes with exact truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
from rasterio.warp import Resampling, calculate_default_transform, reproject

from engine.errors import GridError, OutputError, ParameterError, RegionError, UnitsError
from engine.events import Reporter
from engine.jobs import find_job
from engine.mapping.flood.automatic import MEASURED_BEST, STARTER
from engine.mapping.flood.classes import CLASS_COLORS, CLASS_NAMES
from engine.metrics.segmentation import Confusion

SIZE = 384


def do(job: str, **params):
    job = find_job(job)
    return job.run(job.parse({key: str(v) if isinstance(v, Path) else v for key, v in params.items()}), Reporter())


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    out = tmp_path_factory.mktemp("simulated") / "scene"
    do("simulate-scene", out=out, seed=11, width=SIZE, height=SIZE, flood=4.0, relief=80.0, border=True)
    return out


@pytest.fixture(scope="module")
def mapped(scene, tmp_path_factory):
    out = tmp_path_factory.mktemp("flood") / "map"
    result = do(
        "flood",
        post=scene / "after_S1.tif",
        before=scene / "before_S1.tif",
        dem=scene / "dem.tif",
        zones=scene / "zones.gpkg",
        out=out,
    )
    return out, result


def read(path: Path):
    with rasterio.open(path) as source:
        return source.read(1), source


def test_the_folder_holds_what_result_json_lists_and_no_scratch(mapped):
    out, result = mapped
    stored = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert {k: v for k, v in result.items() if k != "out"} == stored
    expected = {"flood", "probability", "polygons", "report", "result"}
    assert expected <= set(stored["outputs"]) <= expected | {"excluded"}
    names = set(stored["outputs"].values())
    found = {p.name for p in out.iterdir()}
    assert names <= found
    assert {n for n in found - names if not n.endswith(".aux.xml")} == set()
    for key in (
        "outputs",
        "figures",
        "inputs",
        "parameters",
        "model",
        "engine_version",
        "command",
        "seconds",
        "device",
    ):
        assert key in stored
    assert stored["model"]["name"] == STARTER and len(stored["model"]["sha256"]) == 64
    assert stored["figures"]["method"] == MEASURED_BEST and "measured best" in stored["figures"]["detector"]["auto"]
    assert len(stored["inputs"]["post"]["sha256"]) == 64
    assert stored["inputs"]["post"]["simulated"] is True
    assert stored["command"].startswith("engine flood ")
    page = (out / "report.html").read_text(encoding="utf-8")
    assert f"Thresholds of backscatter and the model {STARTER} together, taken since" in page


def test_thresholds_alone_name_no_model(scene, tmp_path):
    result = do("flood", post=scene / "after_S1.tif", out=tmp_path / "map", method="threshold")
    assert result["model"] is None and result["figures"]["method"] == "threshold"
    assert "Thresholds of backscatter, no model." in (tmp_path / "map" / "report.html").read_text(encoding="utf-8")


def test_rasters_agree_with_each_other_and_with_the_input(mapped, scene):
    out, _ = mapped
    flood, source = read(out / "flood.tif")
    probability, _ = read(out / "water_probability.tif")
    with rasterio.open(scene / "after_S1.tif") as post:
        observed = np.isfinite(post.read()).any(axis=0)
        assert source.transform == post.transform
        assert source.crs == post.crs
    assert set(np.unique(flood)) <= {0, 1, 2, 3, 254, 255}
    np.testing.assert_array_equal(flood == 255, ~observed)
    np.testing.assert_array_equal(probability == 255, (flood == 254) | (flood == 255))
    assert probability[probability != 255].max() <= 100
    water = np.isin(flood, (1, 2, 3))
    np.testing.assert_array_equal(water, (probability >= 50) & (probability <= 100))
    if (out / "excluded.tif").exists():
        reasons, _ = read(out / "excluded.tif")
        np.testing.assert_array_equal(flood == 254, (reasons > 0) & (reasons < 255))
        np.testing.assert_array_equal(reasons == 255, flood == 255)
    else:
        assert not (flood == 254).any()


def test_the_class_raster_is_a_cog_with_colours_names_and_provenance(mapped):
    out, result = mapped
    with rasterio.open(out / "flood.tif") as source:
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert source.nodata == 255
        # TIFF palettes have no alpha; transparency of dry land is the layer style's.
        assert all(source.colormap(1)[code][:3] == color[:3] for code, color in CLASS_COLORS.items())
        assert source.tags()["SAMESCENE_COMMAND"] == result["command"]
        assert source.tags()["ACQUIRED"] == result["figures"]["observed_at"]
        assert all(source.tags(1)[f"CLASS_{code}"] == name for code, name in CLASS_NAMES.items())


def test_the_map_finds_the_simulated_flood(mapped, scene):
    out, _ = mapped
    flood, _ = read(out / "flood.tif")
    truth, _ = read(scene / "flood_truth.tif")
    cover, _ = read(scene / "landcover.tif")
    # Water under trees cannot be seen at C band: the simulation hides it, and no map should be blamed for it.
    scored = (truth != 255) & (flood != 255) & (cover != 10)
    confusion = Confusion.of(mapped=np.isin(flood, (1, 2, 3)), truth=np.isin(truth, (1, 2)), scored=scored)
    assert confusion.iou > 0.6
    changed = Confusion.of(mapped=flood == 2, truth=truth == 2, scored=scored)
    assert changed.iou > 0.5


def test_polygons_cover_the_water_classes_exactly(mapped):
    out, result = mapped
    info = {name for name, _ in pyogrio.list_layers(out / "flood.gpkg")}
    assert info == {"polygons", "zones"}
    meta, _, _, fields = pyogrio.raw.read(out / "flood.gpkg", layer="polygons")
    table = dict(zip(meta["fields"], fields, strict=True))
    assert {"class", "area_m2", "mean_probability", "observed_at"} <= set(table)
    areas = result["figures"]["area_m2"]
    for code, key in ((1, "reference_water"), (2, "flood"), (3, "water")):
        total = table["area_m2"][table["class"] == CLASS_NAMES[code]].sum()
        assert total == pytest.approx(areas[key], rel=1e-6, abs=1)
    assert ((table["mean_probability"] >= 0) & (table["mean_probability"] <= 100)).all()


def test_zones_add_up(mapped, scene):
    out, result = mapped
    meta, _, _, fields = pyogrio.raw.read(out / "flood.gpkg", layer="zones")
    table = dict(zip(meta["fields"], fields, strict=True))
    assert {"zone_id", "flooded_best_m2", "flooded_low_m2", "flooded_high_m2", "observed_percent"} <= set(table)
    assert (table["flooded_low_m2"] <= table["flooded_best_m2"]).all()
    assert (table["flooded_best_m2"] <= table["flooded_high_m2"]).all()
    assert ((table["observed_percent"] >= 0) & (table["observed_percent"] <= 100)).all()
    # Each figure is rounded to 0.1 m².
    assert table["flooded_best_m2"].sum() <= result["figures"]["flooded_best_m2"] + 1
    assert len(result["figures"]["zones"]) == len(table["zone_id"])


def test_without_reference_water_is_code_3_and_everything_sums_to_the_scene(scene, tmp_path):
    result = do("flood", post=scene / "after_S1.tif", out=tmp_path / "out")
    flood, _ = read(tmp_path / "out" / "flood.tif")
    assert set(np.unique(flood)) <= {0, 3, 255}
    assert sum(result["figures"]["pixels"].values()) == flood.size
    assert result["figures"]["flooded_best_m2"] == result["figures"]["area_m2"]["water"]


def test_reference_water_is_code_1(scene, tmp_path):
    do("flood", post=scene / "after_S1.tif", reference_water=scene / "reference_water.tif", out=tmp_path / "out")
    flood, _ = read(tmp_path / "out" / "flood.tif")
    reference, _ = read(scene / "reference_water.tif")
    assert set(np.unique(flood)) <= {0, 1, 2, 255}
    assert (flood[(reference == 1) & (flood != 255)] == 1).all()


def test_an_area_of_interest_crops_and_sets_the_rest_aside(scene, tmp_path):
    with rasterio.open(scene / "after_S1.tif") as source:
        west, _, _, north = source.bounds
        step, crs = source.transform.a, source.crs
    ring = [(40.5, 60.5), (200.5, 60.5), (120.5, 220.5)]
    from shapely import Polygon, to_wkb

    triangle = Polygon([(west + x * step, north - y * step) for x, y in ring])
    pyogrio.raw.write(
        tmp_path / "aoi.gpkg",
        np.array([to_wkb(triangle)], object),
        field_data=[],
        fields=[],
        geometry_type="Polygon",
        crs=crs.to_wkt(),
        driver="GPKG",
    )
    result = do("flood", post=scene / "after_S1.tif", aoi=tmp_path / "aoi.gpkg", out=tmp_path / "out")
    flood, source = read(tmp_path / "out" / "flood.tif")
    assert flood.shape == (161, 161)
    assert (source.transform.c, source.transform.f) == (west + 40 * step, north - 60 * step)
    reasons, _ = read(tmp_path / "out" / "excluded.tif")
    np.testing.assert_array_equal(flood == 254, reasons == 4)
    inside = (reasons != 4).sum() * step**2
    assert inside == pytest.approx(triangle.area, rel=0.02)
    assert result["figures"]["observed_percent"] is not None
    whole = do("flood", post=scene / "after_S1.tif", out=tmp_path / "whole")
    assert whole["figures"]["observed_percent"] <= 100


def test_a_scene_without_any_value_is_told_as_not_observed(scene, tmp_path):
    with rasterio.open(scene / "after_S1.tif") as source:
        profile, names, values = source.profile, source.descriptions, source.read()
    for share, name in ((1.0, "all"), (0.999, "nearly")):
        blank = values.copy()
        gone = np.random.default_rng(0).random(blank.shape[1:]) < share
        blank[:, gone] = np.nan
        with rasterio.open(tmp_path / f"{name}.tif", "w", **profile) as target:
            target.write(blank)
            target.descriptions = names
        result = do("flood", post=tmp_path / f"{name}.tif", out=tmp_path / name)
        flood, _ = read(tmp_path / name / "flood.tif")
        np.testing.assert_array_equal(flood == 255, ~np.isfinite(blank).any(axis=0))
        assert result["figures"]["observed_percent"] < 0.2
        if share == 1.0:
            assert (flood == 255).all()
            assert any("Nothing was observed" in warning for warning in result["warnings"])
            assert "othing was observed" in (tmp_path / name / "report.html").read_text(encoding="utf-8")


def test_degrees_and_utm_give_the_same_areas(scene, tmp_path):
    with rasterio.open(scene / "after_S1.tif") as source:
        transform, width, height = calculate_default_transform(
            source.crs, "EPSG:4326", source.width, source.height, *source.bounds
        )
        profile = source.profile | {"crs": "EPSG:4326", "transform": transform, "width": width, "height": height}
        degrees = np.full((2, height, width), np.nan, np.float32)
        reproject(
            source.read(),
            degrees,
            src_transform=source.transform,
            src_crs=source.crs,
            dst_transform=transform,
            dst_crs="EPSG:4326",
            src_nodata=np.nan,
            dst_nodata=np.nan,
            resampling=Resampling.nearest,
        )
        names = source.descriptions
    with rasterio.open(tmp_path / "degrees.tif", "w", **profile) as target:
        target.write(degrees)
        target.descriptions = names
    utm = do("flood", post=scene / "after_S1.tif", out=tmp_path / "utm")["figures"]
    geo = do("flood", post=tmp_path / "degrees.tif", out=tmp_path / "geo")["figures"]
    observed = [sum(f["area_m2"][k] for k in ("dry", "water")) for f in (utm, geo)]
    assert observed[1] == pytest.approx(observed[0], rel=5e-3)  # nearest neighbour moves the rim by a pixel
    assert geo["area_m2"]["water"] == pytest.approx(utm["area_m2"]["water"], rel=0.05)


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ({"aoi": "100,10,101,11"}, RegionError, "outside"),
        ({"units": "power"}, UnitsError, "power"),
        ({"bands": "VV=7"}, Exception, "band 7"),
        ({"observed_at": "yesterday"}, ParameterError, "yesterday"),
        ({"zone_field": "name"}, ParameterError, "zones"),
    ],
)
def test_bad_parameters_give_one_line_and_no_folder(scene, tmp_path, params, error, words):
    with pytest.raises(error, match=words) as caught:
        do("flood", post=scene / "after_S1.tif", out=tmp_path / "out", **params)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_scene_without_crs_is_refused(scene, tmp_path):
    with rasterio.open(scene / "after_S1.tif") as source:
        profile, values, names = source.profile, source.read(), source.descriptions
    profile.pop("crs")
    with rasterio.open(tmp_path / "bare.tif", "w", **profile) as target:
        target.write(values)
        target.descriptions = names
    with pytest.raises(GridError, match=r"bare\.tif"):
        do("flood", post=tmp_path / "bare.tif", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_results_are_replaced_only_when_asked(scene, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    with pytest.raises(OutputError, match="not empty"):
        do("flood", post=scene / "after_S1.tif", out=out)
    do("flood", post=scene / "after_S1.tif", out=out, overwrite=True)
    assert (out / "mine.txt").read_text() == "keep"
    assert (out / "flood.tif").exists()
