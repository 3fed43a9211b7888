"""``engine finetune --task landcover`` from a scene and a layer of labels, from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
import torch
from affine import Affine

from engine.errors import BandError, GridError, InputError, OutputError, ParameterError, RegionError
from engine.events import Log, Progress, Reporter
from engine.jobs import find_job
from engine.models.bundle import find_model, list_models, load_bundle, save_bundle
from engine.models.segmenter import Segmenter
from engine.models.two_sensor import TwoSensorSegmenter
from engine.training.labels.features import logits_of
from engine.training.labels.scene import LabelScene
from tests.engine.label_scenes import (
    BANDS,
    CELL,
    DEGREES,
    MEANS,
    UTM,
    field_polygons,
    truth_of,
    write_labels,
    write_scene,
)


@pytest.fixture(autouse=True)
def no_models(tmp_path, monkeypatch):
    """No pretrained land-cover model, and a user's folder of this test's own."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("engine.training.labels.job.list_models", lambda: [])


def finetune(out: Path, events: list | None = None, **params):
    job = find_job("finetune")
    request = job.parse({"task": "landcover", "out": str(out), "device": "cpu", **params})
    return job.run(request, Reporter(events.append if events is not None else None))


def fields(tmp_path, *, side=160, crs="EPSG:32633", transform=UTM, **keywords):
    """A scene and 40 polygons of three classes."""
    truth = truth_of(side)
    scene = write_scene(tmp_path / "scene.tif", truth, crs=crs, transform=transform, **keywords)
    shapes, classes = field_polygons(truth, transform)
    return truth, {
        "scene": str(scene),
        "labels_from": str(write_labels(tmp_path / "own.gpkg", shapes, classes, crs=crs)),
    }


def mapped(bundle, scene_path, truth):
    """The share of pixels, away from edges, that the model maps right."""
    network = bundle.mapper()
    with LabelScene.open([scene_path]) as scene:
        logits, missing = logits_of(network, scene, scene.grid.window, bundle.card.bands, device=torch.device("cpu"))
    names = [one.name for one in bundle.card.classes]
    best = np.array([list(MEANS).index(name) for name in names])[logits.argmax(0).numpy()]
    inner = np.zeros(truth.shape, bool)
    inner[::CELL] = True
    inside = np.kron(np.ones((truth.shape[0] // CELL, truth.shape[1] // CELL)), np.pad(np.ones((8, 8)), 4)).astype(bool)
    return float((best == truth)[inside & ~missing].mean())


def test_a_scene_is_mapped_from_a_few_polygons(tmp_path):
    truth, given = fields(tmp_path)
    events: list = []
    result = finetune(tmp_path / "run", events, **given)
    figures = result["figures"]
    assert figures["head"] == "pixel"
    assert figures["overall_accuracy"]["value"] > 0.95
    assert figures["overall_accuracy"]["low"] <= figures["overall_accuracy"]["value"]
    assert [one["name"] for one in figures["classes"]] == ["field", "forest", "water"]
    assert sum(one["features"] for one in figures["classes"]) == 40
    assert figures["pixels"] == 40 * 144
    bundle = load_bundle(tmp_path / "run" / "model")
    assert [c.name for c in bundle.card.classes] == ["field", "forest", "water"]
    assert bundle.card.legend is None
    assert bundle.card.figures
    assert mapped(bundle, given["scene"], truth) > 0.98
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(len(rows)))
    assert {"validation_loss", "validation_accuracy"} <= {key for row in rows for key in row}
    told = [one.message for one in events if isinstance(one, Progress)]
    assert any("penalty" in words for words in told)
    assert any("validation loss" in one.message for one in events if isinstance(one, Log))
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    for words in ("Labels and map", "Confusion of held-out pixels", "forest", "indicative", "data:image/png"):
        assert words in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


def test_the_same_labels_give_the_same_bits(tmp_path):
    _, given = fields(tmp_path)
    one, two = (finetune(tmp_path / name, **given) for name in ("a", "b"))
    assert one["model"]["sha256"] == two["model"]["sha256"]
    assert one["figures"] == two["figures"]
    other = finetune(tmp_path / "c", **given, seed=1)
    assert other["figures"]["classes"][0]["pixels"] == one["figures"]["classes"][0]["pixels"]


@pytest.mark.parametrize("where", ["degrees", "labels in degrees", "points"])
def test_other_systems_and_points(tmp_path, where):
    truth = truth_of(160)
    crs, transform = ("EPSG:4326", DEGREES) if where == "degrees" else ("EPSG:32633", UTM)
    scene = write_scene(tmp_path / "scene.tif", truth, crs=crs, transform=transform)
    shapes, classes = field_polygons(truth, transform, count=60)
    label_crs = crs
    if where == "points":
        shapes = [shape.centroid for shape in shapes]
    if where == "labels in degrees":
        from engine.raster.regions import transformed

        shapes = list(transformed(np.array(shapes, object), crs, "EPSG:4326", "x", "x"))
        label_crs = "EPSG:4326"
    labels = write_labels(
        tmp_path / "own.geojson" if label_crs == "EPSG:4326" else tmp_path / "own.gpkg", shapes, classes, crs=label_crs
    )
    result = finetune(tmp_path / "run", scene=str(scene), labels_from=str(labels), class_field="class", point_size=3)
    assert result["figures"]["overall_accuracy"]["value"] > 0.9
    assert result["figures"]["pixels"] == (60 * 9 if where == "points" else 60 * 144)
    assert mapped(load_bundle(tmp_path / "run" / "model"), str(scene), truth) > 0.95


def test_pairs_in_a_folder_are_trained_on_together(tmp_path):
    for number, name in enumerate(("north", "south")):
        truth = truth_of(96, seed=number)
        transform = Affine.translation(0, number * 50_000) @ UTM
        write_scene(
            tmp_path / "data" / f"{name}.tif" if (tmp_path / "data").mkdir(exist_ok=True) is None else tmp_path,
            truth,
            transform=transform,
        )
        shapes, classes = field_polygons(truth, transform, count=15)
        write_labels(tmp_path / "data" / f"{name}_labels.gpkg", shapes, classes)
    result = finetune(tmp_path / "run", data=f"folder:{tmp_path / 'data'}")
    assert result["figures"]["features"] == 30
    assert result["figures"]["overall_accuracy"]["value"] > 0.9


def starter(tmp_path, monkeypatch, network, bands):
    inputs = [
        {"sensor": s, "name": n, "unit": u, "mean": m, "std": 0.1, "optional": n == "B12"} for s, n, u, m in bands
    ]
    card = {
        "name": "landcover", "title": "Pretrained", "licence": "CC0-1.0", "task": "landcover", "bands": inputs,
        "gsd_m": [10, 30], "classes": [{"value": 10, "name": "a"}, {"value": 20, "name": "b"}], "activation": "softmax",
        "trained_on": [],
    }  # fmt: skip
    save_bundle(tmp_path / "models" / "landcover", network.eval(), card)
    monkeypatch.setenv("SAMESCENE_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr("engine.training.labels.job.list_models", list_models)


@pytest.mark.parametrize("kind", ["one sensor", "two sensors"])
def test_features_of_a_pretrained_model_are_used(tmp_path, monkeypatch, kind):
    torch.manual_seed(0)
    s2 = [("s2", n, "reflectance", 0.1) for n in ("B02", "B04", "B08", "B12")]
    if kind == "one sensor":
        starter(tmp_path, monkeypatch, Segmenter(bands=4, classes=2, width=0.0625), s2)
    else:
        both = [("s1", "VV", "db", -12.0), ("s1", "VH", "db", -18.0), *s2]
        starter(tmp_path, monkeypatch, TwoSensorSegmenter(s1_bands=2, s2_bands=4, classes=2, width=0.0625), both)
    truth, given = fields(tmp_path)
    result = finetune(tmp_path / "run", **given)
    assert result["figures"]["pretrained"] == "landcover"
    assert result["figures"]["pretrained_note"] == "without B12"
    bundle = load_bundle(tmp_path / "run" / "model")
    assert bundle.card.network.architecture == "pixel-unet"
    assert [(b.name, b.optional) for b in bundle.card.bands] == [(name, False) for name in BANDS]
    assert {b.name: b.mean for b in bundle.card.bands}["B08"] == 0.1  # as the pretrained model knows it
    assert result["figures"]["overall_accuracy"]["value"] > 0.95
    assert mapped(bundle, given["scene"], truth) > 0.97
    plain = finetune(tmp_path / "plain", **given, encoder="random")
    assert plain["figures"]["pretrained"] is None


def test_the_model_maps_the_scene(tmp_path):
    truth, given = fields(tmp_path)
    finetune(tmp_path / "run", **given, register_as="my-fields")
    job = find_job("landcover")
    request = {"scene": given["scene"], "model": "my-fields", "out": str(tmp_path / "map"), "min_area": 0}
    result = job.run(job.parse(request), Reporter())
    with rasterio.open(tmp_path / "map" / "landcover.tif") as file:
        codes = file.read(1)
    wanted = np.array([3, 2, 1])[truth]  # field 1, forest 2, water 3
    assert (codes == wanted).mean() > 0.9
    assert result["model"]["name"] == "my-fields"


def test_two_sensors_are_mapped_where_both_see(tmp_path):
    truth, given = fields(tmp_path)
    rng = np.random.default_rng(0)
    radar = np.stack([-20.0 + 6 * truth, -26.0 + 5 * truth]) + rng.normal(0, 1, (2, *truth.shape))
    radar[:, :20] = np.nan
    path = tmp_path / "radar.tif"
    with rasterio.open(
        path, "w", driver="GTiff", height=truth.shape[0], width=truth.shape[1], count=2, dtype="float32",
        crs="EPSG:32633", transform=UTM, nodata=float("nan"),
    ) as file:  # fmt: skip
        file.write(radar.astype(np.float32))
        file.descriptions = ("VV", "VH")
        file.update_tags(ACQUIRED="2023-06-02")
    result = finetune(tmp_path / "run", scene=(given["scene"], str(path)), labels_from=given["labels_from"])
    assert result["figures"]["bands"] == {"s1": ["VV", "VH"], "s2": list(BANDS)}
    assert result["figures"]["overall_accuracy"]["value"] > 0.95
    job = find_job("landcover")
    request = {"model": str(tmp_path / "run" / "model"), "min_area": 0}
    done = job.parse({**request, "scene": (given["scene"], str(path)), "out": str(tmp_path / "map")})
    job.run(done, Reporter())
    with rasterio.open(tmp_path / "map" / "landcover.tif") as file:
        codes = file.read(1)
    assert (codes[:20] == 255).all()
    assert (codes[20:] == np.array([3, 2, 1])[truth][20:]).mean() > 0.9
    with pytest.raises(BandError, match="lacks the Sentinel-1 band VV, VH"):
        job.run(job.parse({**request, "scene": given["scene"], "out": str(tmp_path / "alone")}), Reporter())


def test_a_model_is_registered_under_a_name(tmp_path):
    _, given = fields(tmp_path)
    result = finetune(tmp_path / "run", **given, register_as="my-fields")
    assert find_model("my-fields", task="landcover").sha256 == result["model"]["sha256"]
    assert result["registered"]["name"] == "my-fields"
    with pytest.raises(ParameterError, match="there is a model of this name already"):
        finetune(tmp_path / "again", **given, register_as="my-fields")
    assert not (tmp_path / "again").exists()


def test_classes_in_one_block_are_told(tmp_path):
    truth, given = fields(tmp_path)
    shapes, classes = field_polygons(truth)
    classes[0] = "quarry"
    write_labels(tmp_path / "own.gpkg", shapes, classes)
    result = finetune(tmp_path / "run", **given)
    assert any("Labels of quarry lie in one block only" in line for line in result["warnings"])
    quarry = next(one for one in result["figures"]["classes"] if one["name"] == "quarry")
    assert quarry["iou"]["value"] is None
    assert not quarry["judged"]


def spoiled(tmp_path, what):
    """Request fields with one thing wrong, and the words of its error."""
    truth = truth_of(96)
    crs = "" if what == "scene without CRS" else "EPSG:32633"
    rows = {"labels on nodata": 96, "some nodata": 40}.get(what, 0)
    scene = write_scene(tmp_path / "scene.tif", truth, crs=crs, nodata_rows=rows)
    shapes, classes = field_polygons(truth, count=20)
    if what == "outside":
        shapes = [shapely.transform(shape, lambda xy: xy + 100_000) for shape in shapes]
    if what == "one class":
        classes = ["forest"] * len(shapes)
    if what == "too few":
        shapes, classes = [*shapes, shapely.Point(UTM @ (0.5, 0.5))], [*classes, "pond"]
    if what == "overlap":
        shapes, classes = [*shapes, shapely.box(500_000, 5_499_000, 501_000, 5_500_000)], [*classes, "everywhere"]
    return {"scene": str(scene), "labels_from": str(write_labels(tmp_path / "own.gpkg", shapes, classes))}


@pytest.mark.parametrize(
    ("what", "kind", "words"),
    [
        ("outside", RegionError, "no label lies in the scene"),
        ("one class", RegionError, r"have one class only, forest \(Forest\); expected at least two"),
        ("too few", RegionError, r"too few labelled pixels of pond \(1\); expected at least 5"),
        ("overlap", RegionError, "features of different classes overlap"),
        ("labels on nodata", InputError, "lie where the scene .* has no valid value"),
        ("scene without CRS", GridError, "no coordinate reference system"),
    ],
)
def test_faults_of_labels_are_one_line_and_make_nothing(tmp_path, what, kind, words):
    given = spoiled(tmp_path, what)
    with pytest.raises(kind, match=words) as caught:
        finetune(tmp_path / "run", **given)
    assert "\n" not in caught.value.line
    assert caught.value.remedy
    assert not (tmp_path / "run").exists()


def test_labels_on_some_nodata_are_counted(tmp_path):
    events: list = []
    result = finetune(tmp_path / "run", events, **spoiled(tmp_path, "some nodata"))
    assert any("have no valid value in the scene" in line for line in result["figures"]["left_out"])
    assert any("have no valid value" in one.message for one in events if isinstance(one, Log))


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"labels_from": "x.gpkg"}, "--labels-from is given without --scene"),
        ({"scene": "x.tif"}, "--scene is given without --labels-from"),
        ({"scene": "x.tif", "labels_from": "y.gpkg", "task": "flood"}, "are for land cover"),
        ({"scene": "x.tif", "labels_from": "y.gpkg", "register_as": "Not A Name"}, "is no name for a model"),
    ],
)
def test_options_that_do_not_go_together(tmp_path, params, words):
    with pytest.raises(ParameterError, match=words):
        finetune(tmp_path / "run", **params)


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    _, given = fields(tmp_path)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="not empty"):
        finetune(tmp_path / "run", **given)


def test_a_whole_network_is_trained(tmp_path):
    truth, given = fields(tmp_path)
    options = {**given, "head": "network", "steps": 40, "lr": 0.005, "width": 0.0625, "encoder": "random"}
    result = finetune(tmp_path / "run", **options)
    figures = result["figures"]
    assert figures["head"] == "network"
    assert 0 < figures["steps"] <= 40
    bundle = load_bundle(tmp_path / "run" / "model")
    assert bundle.card.network.architecture == "resnet-unet"
    assert figures["overall_accuracy"]["value"] > 0.5  # 40 steps of a tiny network; a guess has 1/3
    assert mapped(bundle, given["scene"], truth) > 0.5
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    losses = [row["validation_loss"] for row in rows if "validation_loss" in row]
    assert len(losses) == 20
    assert [row["step"] for row in rows if row.get("validation_loss") == min(losses)] == [figures["steps"]]
    again = finetune(tmp_path / "again", **options)
    assert again["model"]["sha256"] == result["model"]["sha256"]


def test_a_network_goes_on_from_a_pretrained_one_within_its_time(tmp_path, monkeypatch):
    torch.manual_seed(0)
    bands = [("s2", n, "reflectance", 0.1) for n in ("B02", "B04", "B08", "B12")]
    starter(tmp_path, monkeypatch, Segmenter(bands=4, classes=2, width=0.0625), bands)
    _, given = fields(tmp_path)
    result = finetune(tmp_path / "run", **given, head="network", steps=100_000, time_limit=0.03)
    assert result["figures"]["pretrained"] == "landcover"
    assert result["seconds"] < 60
    assert result["figures"]["overall_accuracy"]["value"] is not None


def test_a_network_needs_something_to_hold_out(tmp_path):
    _, given = fields(tmp_path)
    with pytest.raises(ParameterError, match="nothing can be held out"):
        finetune(tmp_path / "run", **given, head="network", block_m=100_000)
    assert not (tmp_path / "run").exists()
