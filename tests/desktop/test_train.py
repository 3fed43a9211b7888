"""Training on labels in a real QGIS window: classes, curve, preview at a click, the whole scene.

``SAMESCENE_PICTURES=docs/images`` saves the guide's pictures there.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
from pathlib import Path

import numpy as np
import pytest
from driver import ROOT, Desktop, installations
from osgeo import gdal, ogr, osr

CLASSES = {10: "forest", 30: "grass", 40: "field", 50: "town", 80: "water"}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory) -> Path:
    """A simulated Sentinel-2 scene, and ``labels.gpkg``: squares of 5 x 5 pixels where its land cover is one class."""
    python = os.environ.get("SAMESCENE_ENGINE_PYTHON") or str(ROOT / ".venv-engine" / "bin" / "python")
    if not Path(python).is_file():
        pytest.skip("no engine environment (scripts/setup_engine)")
    folder = tmp_path_factory.mktemp("labelled") / "scene"
    command = [python, "-m", "engine", "simulate", "scene", "--seed", "11", "--size", "384", "--products"]
    command += ["s2,landcover", "--flood", "0", "-o", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    draw_labels(folder / "landcover.tif", folder / "labels.gpkg", each=12)
    return folder


def draw_labels(truth: Path, path: Path, *, each: int) -> None:
    """So many squares of each class of :data:`CLASSES` that has room for them, spread by chance."""
    raster = gdal.Open(str(truth))
    codes, (left, dx, _, top, _, dy) = raster.ReadAsArray(), raster.GetGeoTransform()
    made = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    layer = made.CreateLayer("labels", osr.SpatialReference(raster.GetProjection()), ogr.wkbPolygon)
    layer.CreateField(ogr.FieldDefn("class", ogr.OFTString))
    random = np.random.default_rng(3)
    windows = np.lib.stride_tricks.sliding_window_view(codes, (5, 5))
    for code, name in CLASSES.items():
        rows, cols = np.nonzero((windows == code).all((2, 3)))
        for k in random.permutation(len(rows))[:each]:
            x, y = left + cols[k] * dx, top + rows[k] * dy
            corners = ((x, y), (x + 5 * dx, y), (x + 5 * dx, y + 5 * dy), (x, y + 5 * dy), (x, y))
            feature = ogr.Feature(layer.GetLayerDefn())
            feature.SetField("class", name)
            text = ", ".join(f"{px} {py}" for px, py in corners)
            feature.SetGeometry(ogr.CreateGeometryFromWkt(f"POLYGON(({text}))"))
            layer.CreateFeature(feature)
    made = None


@pytest.fixture(scope="module", params=installations(), ids=str)
def answer(request, simulated, tmp_path_factory) -> dict:
    """What the script saw in the window."""
    desktop = Desktop(request.param, tmp_path_factory.mktemp("train"))
    desktop.link_plugin()
    out = desktop.folder / "results"
    out.mkdir()
    arguments = {"scene": str(simulated / "after_S2.tif"), "labels": str(simulated / "labels.gpkg"), "out": str(out)}
    # The user's own models are none of the test's business.
    environment = {"XDG_DATA_HOME": str(desktop.folder / "data")}
    if not os.environ.get("SAMESCENE_ENGINE_PYTHON"):
        environment["SAMESCENE_ENGINE_PYTHON"] = str(ROOT / ".venv-engine" / "bin" / "python")
    result = desktop.run("script_train.py", arguments=arguments, environment=environment, timeout=280)
    if os.environ.get("SAMESCENE_PICTURES"):
        for picture in desktop.pictures.glob("qgis-*.jpg"):
            shutil.copy(picture, os.environ["SAMESCENE_PICTURES"])
    return {**result, "out": out}


def test_the_classes_are_those_of_the_layers_style(answer):
    found = {value: (name, color) for value, _, name, color in answer["rows"]}
    assert len(found) >= 3 and found["forest"] == ("forest", "#006400")
    assert "labels of" in answer["checks"]


def test_the_run_is_followed_by_its_curve_and_ends_with_figures(answer):
    assert answer["state"] == "done", answer["error"]
    assert answer["page"] == "training"
    loss, shares = answer["curve"]
    assert "loss" in loss and "accuracy" in shares
    figures = json.loads((answer["out"] / "model" / "result.json").read_text())["figures"]
    assert f"{figures['overall_accuracy']['value']:.2f}" in answer["headline"]


def test_a_click_previews_the_model_there_and_the_whole_scene_follows(answer):
    assert [state for state, _ in answer["preview"]] == ["done", "done"], answer["preview"]
    assert answer["model"] == "valley-fields", "by name: the model is in the list"
    assert answer["preview_group"] == "SameScene – Preview of valley-fields"
    assert answer["previews"] == 1, "the second takes the place of the first"
    # As many pixels as were asked for, give or take one at each side: the extent's edges cut through pixels.
    assert all(126 <= side <= 131 for side in answer["preview_size"]), answer["preview_size"]
    assert answer["tool"] and not answer["tool_after"], "the map has its own tool again"
    assert answer["whole"] == ["landcover", True, answer["model"]]
    assert {name for _, name, _ in answer["whole_classes"]} == {name for _, _, name, _ in answer["rows"]}
    assert answer["mapped"][0] == "done", answer["mapped"]


def test_nothing_is_cut_off_in_a_narrow_dock(answer):
    assert {name: found for name, found in answer["cut_off"].items() if found} == {}


def test_the_window_is_not_blocked(answer):
    # What the window's thread itself computes; the median, since a processor shared with others may stretch a run.
    assert statistics.median(answer["busy_ms"]) < 100, (answer["busy_ms"], answer["gaps"])
    # Locks held by threads that wait for a processor still count on a busy machine: the best of several runs tells.
    assert min(answer["runs_gaps_ms"]) < 100, (answer["runs_gaps_ms"], answer["gaps"])
