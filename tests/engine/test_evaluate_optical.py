"""engine evaluate flood with models for Sentinel-2 and for two sensors: which chips count, what is left out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from click.testing import CliRunner

from engine.cli.evaluate import command
from engine.errors import ModelError, ParameterError
from engine.events import Reporter
from engine.mapping.flood.arrays import map_arrays
from engine.mapping.flood.evaluate import run, water_of
from engine.mapping.flood.evaluate_request import EvaluateFloodRequest
from tests.engine.optical_scenes import BANDS, backscatter, digital, make_model, reflectance, write

SIDE = 64


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("models")
    torch.set_num_threads(1)
    return {k: str(make_model(home / k, s).folder) for k, s in (("s2", ("s2",)), ("both", ("s1", "s2")))}


@pytest.fixture(scope="module")
def chips(tmp_path_factory) -> Path:
    """A and B have both sensors, C has Sentinel-1 alone, D Sentinel-2 alone, without georeference."""
    folder = tmp_path_factory.mktemp("chips")
    truth = np.zeros((SIDE, SIDE), np.int16)
    truth[:, : SIDE // 2] = 1
    truth[:4] = -1
    for number, name in enumerate("ABCD"):
        crs = None if name == "D" else "EPSG:32633"
        write(folder / f"{name}_label.tif", truth, (), crs=crs)
        if name != "D":
            write(folder / f"{name}_S1.tif", backscatter(SIDE, SIDE, seed=number), ("VV", "VH"))
        if name != "C":
            light = digital(reflectance(SIDE, SIDE, seed=number))
            light[:, :, :3] = 0
            write(folder / f"{name}_S2.tif", light, crs=crs, nodata=0)
    return folder


def score(path, **options) -> dict:
    return run(EvaluateFloodRequest(path=str(path), device="cpu", **options), Reporter())


def test_sensors_are_never_mixed_in_one_pool(chips, models):
    light = score(chips, sensors="s2", method=models["s2"])
    assert [item["name"] for item in light["items"]] == ["A", "B", "D"]
    assert [item["n"] for item in light["items"]] == [(SIDE - 4) * (SIDE - 3)] * 3, "labelled, and valid in the input"
    both = score(chips, sensors="both", method=models["both"])
    assert [item["name"] for item in both["items"]] == ["A", "B"]
    assert [item["n"] for item in both["items"]] == [(SIDE - 4) * SIDE] * 2, "Sentinel-1 sees where Sentinel-2 does not"
    radar = score(chips, sensors="s1", method=models["both"])
    assert [item["name"] for item in radar["items"]] == ["A", "B", "C"]
    assert (light["sensors"], both["sensors"], radar["sensors"]) == ("s2", "both", "s1")
    assert both["items"][0]["iou"] != radar["items"][0]["iou"]


def test_the_figures_are_those_of_the_map_that_engine_flood_makes(chips, models):
    result = score(chips, sensors="s2", method=models["s2"])
    with rasterio.open(chips / "A_label.tif") as file:
        truth = file.read(1)
    arrays = map_arrays(str(chips / "A_S2.tif"), method=models["s2"], device="cpu", reporter=Reporter())
    water, scored = water_of(arrays), (truth >= 0) & (np.arange(SIDE) >= 3)[None]
    assert result["items"][0]["recall"] == (water & scored & (truth == 1)).sum() / (scored & (truth == 1)).sum()
    assert result["model"]["name"] == "tiny-s2"
    assert result["calibration"]["n"] == sum(item["n"] for item in result["items"])


def test_water_indices_are_the_baselines_of_light(chips, models):
    result = score(chips, sensors="s2", method=models["s2"], compare=True)
    assert set(result["baselines"]) == {"ndwi_0", "ndwi_otsu", "mndwi_0", "mndwi_otsu"}
    assert result["baselines"]["mndwi_0"]["pooled"]["iou"]["value"] > 0.98
    assert result["items"][0]["baselines"]["ndwi_0"]["threshold"] == 0
    together = score(chips, sensors="both", method=models["both"], compare=True)
    assert {"otsu_vv", "fixed_vh", "ndwi_0"} <= set(together["baselines"])
    assert "threshold_db" in together["items"][0]["baselines"]["otsu_vv"]


def test_a_chip_that_lacks_a_band_is_skipped_and_told_by_the_exit_code(chips, models, tmp_path, capfd):
    folder = tmp_path / "chips"
    shutil.copytree(chips, folder)
    write(folder / "E_S2.tif", digital(reflectance(SIDE, SIDE))[:2], BANDS[:2], nodata=0)
    shutil.copy(folder / "A_label.tif", folder / "E_label.tif")
    (folder / "F_S2.tif").write_bytes(b"no TIFF")
    shutil.copy(folder / "A_label.tif", folder / "F_label.tif")
    out = tmp_path / "scores.json"
    arguments = [str(folder), "--sensors", "s2", "--method", models["s2"], "--device", "cpu", "--json", str(out)]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 1
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "2 of 5 chips" in said
    found = json.loads(out.read_text(encoding="utf-8"))
    assert [one["name"] for one in found["skipped"]] == ["E", "F"]
    assert "B11" in found["skipped"][0]["why"]
    assert "E_S2.tif" in found["skipped"][0]["why"]
    assert [item["name"] for item in found["items"]] == ["A", "B", "D"]
    assert "NaN" not in out.read_text(encoding="utf-8")


def test_a_radar_chip_that_lacks_a_polarisation_is_skipped_too(chips, tmp_path):
    radar = str(make_model(tmp_path / "radar", ("s1",)).folder)
    folder = tmp_path / "chips"
    shutil.copytree(chips, folder)
    write(folder / "E_S1.tif", backscatter(SIDE, SIDE)[:1], ("VV",))
    shutil.copy(folder / "A_label.tif", folder / "E_label.tif")
    found = score(folder, method=radar)
    assert [one["name"] for one in found["skipped"]] == ["E"]
    assert "needs VV, VH" in found["skipped"][0]["why"]


def test_what_concerns_all_chips_is_refused(chips, models, tmp_path):
    with pytest.raises(ModelError, match=r"Sentinel-2 need a model that reads these bands.*'auto'"):
        score(chips, sensors="s2")
    with pytest.raises(ModelError, match="reads Sentinel-2 alone"):
        score(chips, method=models["s2"])
    with pytest.raises(ModelError, match="Sentinel-1 with Sentinel-2 need a model"):
        score(chips, sensors="both", method=models["s2"])
    bare = tmp_path / "bare"
    bare.mkdir()
    for name in ("C_S1.tif", "C_label.tif"):
        shutil.copy(chips / name, bare / name)
    with pytest.raises(ParameterError, match="no labelled chip has a Sentinel-2 file"):
        score(bare, sensors="s2", method=models["s2"])
    light = tmp_path / "light"
    light.mkdir()
    for name in ("D_S2.tif", "D_label.tif"):
        shutil.copy(chips / name, light / name)
    assert score(light, method=models["s2"])["sensors"] == "s2", "the default where no chip has Sentinel-1"


def test_the_published_layout_has_thirteen_unnamed_bands(tmp_path, models):
    hand = tmp_path / "v1.1" / "data" / "flood_events" / "HandLabeled"
    light = np.repeat(digital(reflectance(SIDE, SIDE))[:1], 13, axis=0)
    light[[2, 7, 11]] = digital(reflectance(SIDE, SIDE))
    write(hand / "S2Hand" / "Ghana_1_S2Hand.tif", light, (), nodata=0)
    write(hand / "S1Hand" / "Ghana_1_S1Hand.tif", backscatter(SIDE, SIDE), ())
    write(hand / "LabelHand" / "Ghana_1_LabelHand.tif", np.ones((SIDE, SIDE), np.int16), ())
    for sensors in ("s2", "both"):
        found = score(f"sen1floods11:{tmp_path / 'v1.1'}", sensors=sensors, method=models[sensors])
        assert (found["skipped"], len(found["items"])) == ([], 1)
        assert found["items"][0]["n"] == SIDE * SIDE
