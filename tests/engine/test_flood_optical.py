"""Flood maps from Sentinel-2 and from two sensors: reflectance, clouds, grids, missing sensors, refusals."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch

from engine.device import Device
from engine.errors import EngineError
from engine.events import Reporter
from engine.mapping.flood.arrays import FloodArrays, map_arrays
from engine.mapping.flood.job import run as map_flood
from engine.mapping.flood.model import ModelDetector
from engine.mapping.flood.request import FloodRequest
from engine.mapping.flood.scene import FloodScene
from engine.mapping.scene.preview import picture_bands
from engine.raster.grid import Window
from tests.engine.optical_scenes import (
    BANDS,
    MEAN,
    NORTH,
    STD,
    WEST,
    backscatter,
    digital,
    make_model,
    reflectance,
    write,
)

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
CPU = Device("cpu")


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("models")
    torch.set_num_threads(1)
    made = {"s1": ("s1",), "s2": ("s2",), "both": ("s1", "s2")}
    return {name: str(make_model(home / name, sensors).folder) for name, sensors in made.items()}


def flood(post: Path, out: Path, reporter: Reporter | None = None, **options) -> dict:
    return map_flood(FloodRequest(post=str(post), out=str(out), device="cpu", **options), reporter or Reporter())


def layer(out: Path, name: str = "water_probability") -> np.ndarray:
    with rasterio.open(out / f"{name}.tif") as file:
        return file.read(1)


def quick(post: Path, reporter: Reporter | None = None, **options) -> FloodArrays:
    """What ``engine flood`` would write, without writing it."""
    return map_arrays(str(post), device="cpu", reporter=reporter or Reporter(), **options)


def answers(model: str, scene: FloodScene, *, before: bool = False) -> np.ndarray:
    detector = ModelDetector(_bundle(model), device=CPU)
    strips = detector.probabilities_before if before else detector.probabilities
    with contextlib.closing(strips(scene, Reporter())) as parts:
        return np.concatenate([values for _, values in parts])


def _bundle(folder: str):
    from engine.models.bundle import load_bundle

    return load_bundle(folder)


def test_the_probability_is_that_of_the_network_on_normalised_reflectance(models, tmp_path):
    values = reflectance(64, 64)
    path = write(tmp_path / "s2.tif", digital(values), nodata=0)
    with FloodScene.open(str(path)) as scene:
        found = answers(models["s2"], scene)
        assert (scene.polarisations, scene.optical_bands) == ((), BANDS)
    seen = np.rint(values * 10_000) / 10_000
    x = (seen - np.array(MEAN)[:, None, None]) / np.array(STD)[:, None, None]
    with torch.inference_mode():
        logits = _bundle(models["s2"]).network()(torch.from_numpy(x.astype(np.float32))[None])
    wanted = (logits / 1.3).softmax(1)[0, 1].numpy()
    assert wanted.std() > 0.02, "the model answers the same everywhere: this would test nothing"
    assert np.abs(found - wanted).mean() < 0.005
    assert np.abs(found - wanted).max() < 0.15, "processors with bfloat16 may use it"


@pytest.mark.parametrize("form", ["offset by tag", "offset by date", "float numbers"])
def test_every_form_of_the_values_gives_the_same_map(models, tmp_path, form):
    values = reflectance() + 0.1  # bright everywhere, so that the values alone do not tell the offset
    plain = write(tmp_path / "plain.tif", np.rint(values * 1e4).astype(np.float32) / 1e4)
    if form == "offset by tag":
        other = write(tmp_path / "x.tif", digital(values, 1000), tags={"PROCESSING_BASELINE": "05.09"}, nodata=0)
    elif form == "offset by date":
        other = write(tmp_path / "x.tif", digital(values, 1000), tags={"ACQUIRED": "2023-05-01T10:00:00Z"})
    else:
        other = write(tmp_path / "x.tif", np.rint(values * 1e4).astype(np.float32), tags={"BOA_ADD_OFFSET": "0"})
    one, two = (quick(path, method=models["s2"]).probability.astype(int) for path in (plain, other))
    assert one.std() > 1
    assert np.abs(one - two).max() <= 1


def test_a_sentinel_2_job_writes_everything_and_shows_a_picture_in_colour(models, tmp_path):
    names = ("B02", "B03", "B04", "B08", "B11")
    values = np.concatenate([reflectance()[:1], reflectance()[:1], reflectance()[:1], reflectance()[1:]])
    path = write(tmp_path / "s2.tif", digital(values), names, nodata=0)
    reporter = Reporter()
    result = flood(path, tmp_path / "out", reporter, method=models["s2"])
    assert {"flood", "water_probability"} <= {Path(name).stem for name in result["outputs"].values()}
    assert result["figures"]["image_bands"] == ["B04", "B03", "B02"]
    assert result["inputs"]["post"]["clouds"] == "not masked"
    assert any("no cloud mask" in line for line in reporter.warnings)
    html = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "red B04, green B03, blue B02" in html
    assert "backscatter" not in html.lower().split("<footer>")[0].split("</style>")[-1]
    assert picture_bands(("B11", "B08", "B04")) == ("B11", "B08", "B04")
    assert picture_bands(("B03",)) == ("B03",)


def test_clouds_of_the_scene_classification_are_not_observed(models, tmp_path):
    path = write(tmp_path / "s2.tif", digital(reflectance()), nodata=0)
    codes = np.full((48, 64), 4, np.uint8)  # 20 m
    codes[:10, :10], codes[10:20, :10], codes[20:30, :10] = 9, 3, 6
    scl = tmp_path / "scl.tif"
    with rasterio.open(
        scl, "w", driver="GTiff", dtype="uint8", count=1, height=48, width=64, crs="EPSG:32633",
        transform=rasterio.transform.from_origin(WEST, NORTH, 20, 20),
    ) as file:  # fmt: skip
        file.write(codes, 1)
    reporter = Reporter()
    result = flood(path, tmp_path / "out", reporter, method=models["s2"], scl=str(scl))
    unseen = layer(tmp_path / "out", "flood") == 255
    wanted = np.zeros((96, 128), bool)
    wanted[:40, :20] = True
    assert (unseen == wanted).all()
    assert not any("cloud" in line for line in reporter.warnings)
    assert result["inputs"]["scl"]["sha256"]
    assert str(scl) in result["inputs"]["post"]["clouds"]


def test_a_pixel_without_one_of_the_bands_is_not_observed(models, tmp_path):
    values = digital(reflectance())
    values[1, 10:20, 30:50] = 0  # digital number 0 is no data, declared or not
    path = write(tmp_path / "s2.tif", values)
    wanted = np.zeros((96, 128), bool)
    wanted[10:20, 30:50] = True
    assert ((quick(path, method=models["s2"]).codes == 255) == wanted).all()


@pytest.mark.parametrize("kind", ["s2", "both"])
def test_maps_do_not_depend_on_how_the_file_is_cut(models, tmp_path, kind):
    values = digital(reflectance(300, 130))
    values[:, 100:200, :60] = 0
    radar = write(tmp_path / "s1.tif", backscatter(300, 130), ("VV", "VH"))
    maps = []
    for number, blocks in enumerate(({"blockysize": 7}, {"tiled": True, "blockxsize": 64, "blockysize": 64})):
        path = write(tmp_path / f"{number}.tif", values, nodata=0, **blocks)
        post, more = (path, {}) if kind == "s2" else (radar, {"s2": str(path)})
        maps.append(quick(post, method=models[kind], **more).probability)
    assert (maps[0] == maps[1]).all()


def test_a_scene_before_of_the_same_sensor(models, tmp_path):
    after = write(tmp_path / "after.tif", digital(reflectance(seed=1)), nodata=0)
    before = write(
        tmp_path / "before.tif", digital(reflectance(120, 140, seed=2, water=False)), west=WEST - 60, nodata=0
    )
    codes = quick(after, method=models["s2"], before=str(before)).codes
    assert set(np.unique(codes)) <= {0, 1, 2}, "with a scene before there is no water without a reference"
    with FloodScene.open(str(after), before=str(before)) as scene, FloodScene.open(str(before)) as alone:
        found = answers(models["s2"], scene, before=True)
        there = scene.read_optical(scene.grid.window, BANDS, before=True)
        own = alone.read_optical(alone.grid.window, BANDS)
    assert found.shape == (96, 128)
    assert np.allclose(there, own[:, :96, 6:134]), "another grid, laid on that of the scene by its georeference"


@pytest.fixture
def pair(tmp_path) -> tuple[Path, Path]:
    """Sentinel-1, and Sentinel-2 on a grid of its own that covers it."""
    one = write(tmp_path / "s1.tif", backscatter(64, 64), ("VV", "VH"))
    two = write(tmp_path / "s2.tif", digital(reflectance(100, 100)), west=WEST - 180, north=NORTH + 180, nodata=0)
    return one, two


def direct(model: str, s1: np.ndarray | None, s2: np.ndarray | None) -> np.ndarray:
    """The two-sensor network itself on whole arrays of 64 x 64 pixels."""
    given = {}
    if s1 is not None:
        x = (s1 - np.array([-12, -19])[:, None, None]) / np.array([4, 4.5])[:, None, None]
        given["s1"] = torch.from_numpy(x.astype(np.float32))[None]
    if s2 is not None:
        x = (s2 - np.array(MEAN)[:, None, None]) / np.array(STD)[:, None, None]
        given["s2"] = torch.from_numpy(x.astype(np.float32))[None]
    with torch.inference_mode():
        return (_bundle(model).two_sensor()(**given) / 1.3).softmax(1)[0, 1].numpy()


def test_two_sensors_together_and_either_alone(models, pair):
    one, two = pair
    db, light = backscatter(64, 64), np.rint(reflectance(100, 100) * 1e4)[:, 18:82, 18:82] / 1e4
    cases = {
        "both": ({"post": str(one), "s2": str(two)}, direct(models["both"], db, light)),
        "radar": ({"post": str(one)}, direct(models["both"], db, None)),
    }
    found = {}
    for name, (files, wanted) in cases.items():
        with FloodScene.open(**files) as scene:
            found[name] = answers(models["both"], scene)
        assert np.abs(found[name] - wanted).mean() < 0.005, name
        assert np.abs(found[name] - wanted).max() < 0.15, name
    assert np.abs(found["both"] - found["radar"]).max() > 0.02, "the second sensor must matter"
    with FloodScene.open(str(two)) as scene:
        alone = answers(models["both"], scene.cropped(Window(18, 18, 64, 64)))
    assert np.isfinite(alone).all()


def test_where_clouds_hide_one_sensor_the_other_maps(models, pair, tmp_path):
    one, two = pair
    codes = np.full((100, 100), 4, np.uint8)
    codes[:, :60] = 8
    scl = write(tmp_path / "scl.tif", codes, (), west=WEST - 180, north=NORTH + 180)
    reporter = Reporter()
    result = flood(one, tmp_path / "hidden", reporter, method=models["both"], s2=str(two), scl=str(scl))
    assert (layer(tmp_path / "hidden") != 255).all(), "Sentinel-1 sees through"
    assert not any("cloud" in line for line in reporter.warnings)
    assert [result["inputs"][name]["sensor"] for name in ("post", "s2")] == ["s1", "s2"]
    codes[:] = 8
    whole = write(tmp_path / "whole.tif", codes, (), west=WEST - 180, north=NORTH + 180)
    none = quick(one, method=models["both"], s2=str(two), scl=str(whole))
    radar = quick(one, method=models["both"])
    assert (none.probability == radar.probability).all(), "what is hidden everywhere is as if it was not given"


def test_what_neither_sensor_sees_is_not_observed(models, pair, tmp_path):
    db = backscatter(64, 64)
    db[:, :20] = np.nan
    one = write(tmp_path / "gap.tif", db, ("VV", "VH"), nodata=float("nan"))
    light = digital(reflectance(64, 64))
    light[:, :, :20] = 0
    two = write(tmp_path / "light.tif", light, nodata=0)
    unseen = quick(one, method=models["both"], s2=str(two)).codes == 255
    wanted = np.zeros((64, 64), bool)
    wanted[:20, :20] = True
    assert (unseen == wanted).all()


def test_refusals_are_one_line_that_names_file_and_remedy(models, pair, tmp_path):
    one, two = pair
    dark = write(tmp_path / "two_bands.tif", digital(reflectance())[:2], BANDS[:2], nodata=0)
    lone = write(tmp_path / "vv.tif", backscatter()[:1], ("VV",))
    classes = write(tmp_path / "strange.tif", np.full((64, 64), 77, np.uint8), ())
    far = write(tmp_path / "far.tif", digital(reflectance()), west=WEST + 90_000, nodata=0)
    single, both = models["s2"], models["both"]
    faults = [
        (two, {}, ["s2.tif", "Sentinel-2", "threshold", "a model for Sentinel-2"]),
        (two, {"method": "threshold"}, ["s2.tif", "Sentinel-2", "--method"]),
        (two, {"method": models["s1"]}, ["s2.tif", "Sentinel-2", "tiny-s1"]),
        (one, {"method": single}, ["s1.tif", "Sentinel-1", "Give a Sentinel-2 image as POST"]),
        (dark, {"method": single}, ["tiny-s2", "B11"]),
        (one, {"method": both, "s2": str(dark)}, ["tiny-s1s2", "B11"]),
        (lone, {"method": both}, ["VV, VH", "the scene has VV"]),
        (one, {"s2": str(two)}, ["s2.tif", "--s2"]),
        (two, {"method": both, "s2": str(two)}, ["s2.tif", "--s2"]),
        (one, {"scl": str(classes)}, ["s1.tif", "--scl"]),
        (two, {"method": single, "scl": str(classes)}, ["strange.tif", "0 to 11"]),
        (two, {"method": single, "units": "db"}, ["s2.tif", "--units"]),
        (two, {"method": single, "before": str(one)}, ["s1.tif", "before the event", "Sentinel-1"]),
        (one, {"method": both, "s2": str(far)}, ["far.tif", "does not overlap"]),
        (two, {"method": single, "bands": "B03=1,VV=2"}, ["B03=1,VV=2"]),
        (two, {"method": single, "bands": "B03=9"}, ["B03", "9"]),
    ]
    for post, options, named in faults:
        with pytest.raises(EngineError) as caught:
            flood(post, tmp_path / "new", **options)
        assert "\n" not in caught.value.line
        for word in named:
            assert word in caught.value.line, (options, caught.value.line)
        assert not (tmp_path / "new").exists()


def test_bands_by_number_and_by_the_count_of_a_product(models, tmp_path):
    values = digital(reflectance())
    named = write(tmp_path / "named.tif", values, nodata=0)
    bare = write(tmp_path / "bare.tif", values[::-1], (), nodata=0)
    one = quick(named, method=models["s2"]).probability
    two = quick(bare, method=models["s2"], bands="green=3,B08=2,B11=1").probability
    whole = np.repeat(values[:1], 13, axis=0)
    whole[[2, 7, 11]] = values  # Level-1C: B03, B08, B11
    product = write(tmp_path / "product.tif", whole, (), nodata=0)
    assert (one == two).all()
    assert (one == quick(product, method=models["s2"]).probability).all()


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here")
def test_a_real_image_with_its_scene_classification(tmp_path):
    bands = [{"sensor": "s2", "name": n, "unit": "reflectance", "mean": 0.1, "std": 0.1} for n in ("B03", "B04", "B08")]
    model = make_model(tmp_path / "model", ("s2",), bands=bands, tile=256)
    scenes = SHARED / "scenes"
    post, scl = scenes / "openeo_20220612_S2L2A.tif", scenes / "openeo_20220612_SCL.tif"
    codes_found = quick(post, method=str(model.folder), scl=str(scl)).codes
    with rasterio.open(scl) as file:
        codes = file.read(1)
    with rasterio.open(post) as file:
        values, names = file.read(), list(file.descriptions)
    hidden = np.isnan(values[[names.index(name) for name in ("B03", "B04", "B08")]]).any(axis=0)
    hidden |= ~np.isin(codes, (2, 4, 5, 6, 7, 11))
    assert ((codes_found == 255) == hidden).all()
    with FloodScene.open(str(post), scl=str(scl)) as scene:
        assert scene.post.facts()["unit"] == "reflectance"
        assert scene.post.scale.scale == 1e-4
