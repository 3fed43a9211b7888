"""engine evaluate flood, held to its contract with maps that are known."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.transform import from_origin

from engine.errors import Cancelled, ModelError, OutputError, ParameterError
from engine.events import Reporter
from engine.mapping.flood import evaluate
from engine.mapping.flood.arrays import FloodArrays, map_arrays
from engine.mapping.flood.baselines import baseline_maps, otsu_db, smoothed_db
from engine.mapping.flood.evaluate_request import EvaluateFloodRequest
from engine.mapping.flood.job import run as map_flood
from engine.mapping.flood.request import FloodRequest

CHIPS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "flood"
needs_chips = pytest.mark.skipif(not CHIPS.is_dir(), reason="the real chips (../shared/data/flood) are not here")
SIDE = 64


def write(path: Path, array: np.ndarray, *, names=(), crs="EPSG:32633", nodata=None, left=500_000.0) -> None:
    array = array if array.ndim == 3 else array[np.newaxis]
    place = {"crs": crs, "transform": from_origin(left, 4_500_000, 10, 10)} if crs else {}
    profile = {"driver": "GTiff", "count": len(array), "height": array.shape[1], "width": array.shape[2]}
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", dtype=array.dtype, nodata=nodata, **profile, **place) as file:
        file.write(array)
        for number, name in enumerate(names, 1):
            file.set_band_description(number, name)


def backscatter(truth: np.ndarray, seed: int = 0) -> np.ndarray:
    """(2, rows, columns) VV, VH in dB: water 9 dB below land, single-look-like speckle of 4.4 looks."""
    generator = np.random.default_rng(seed)
    speckle = 10 * np.log10(generator.gamma(4.4, 1 / 4.4, (2, *truth.shape)))
    water = truth == 1
    return (np.stack([np.where(water, -19.0, -9.0), np.where(water, -26.0, -15.5)]) + speckle).astype(np.float32)


def half_water(rows: int = SIDE, columns: int = SIDE) -> np.ndarray:
    truth = np.zeros((rows, columns), np.int16)
    truth[:, : columns // 2] = 1
    return truth


def chip(folder: Path, name: str, truth: np.ndarray, db: np.ndarray | None = None, **keywords) -> None:
    db = backscatter(truth, seed=len(name)) if db is None else db
    write(folder / f"{name}_S1.tif", db, names=("VV", "VH"), **keywords)
    write(folder / f"{name}_label.tif", truth.astype(np.int16), **keywords)


def score(path, **parameters) -> dict:
    return evaluate.run(EvaluateFloodRequest(path=str(path), **parameters), Reporter())


@pytest.fixture
def maps(monkeypatch):
    """Maps that are given instead of made, by the name of the chip."""
    given: dict[str, FloodArrays] = {}
    calls: list[dict] = []

    def fake(path, **keywords):
        calls.append({"path": path, **keywords})
        return given[Path(path).name.removesuffix("_S1.tif")]

    def put(name, codes, probability=None):
        codes = np.asarray(codes, np.uint8)
        if probability is None:
            probability = np.where(codes >= 254, 255, np.where(codes > 0, 100, 0))
        given[name] = FloodArrays(codes, np.asarray(probability, np.uint8))

    put.calls = calls
    monkeypatch.setattr(evaluate, "map_arrays", fake)
    return put


@settings(max_examples=25, deadline=None)
@given(
    truth=arrays(np.int16, (5, 6), elements=st.sampled_from([-1, 0, 1])),
    codes=arrays(np.uint8, (5, 6), elements=st.sampled_from([0, 1, 2, 3, 254, 255])),
    valid=arrays(bool, (2, 5, 6)),
)
def test_every_pixel_is_counted_as_the_contract_says(tmp_path_factory, truth, codes, valid):
    folder = tmp_path_factory.mktemp("chips")
    db = np.where(valid, np.float32(-12), np.float32(np.nan))
    chip(folder, "One", truth, db)
    with pytest.MonkeyPatch.context() as patch:
        percent = np.where(codes >= 254, 255, 60).astype(np.uint8)
        patch.setattr(evaluate, "map_arrays", lambda path, **_: FloodArrays(codes, percent))
        item = score(folder, units="db")["items"][0]
    tp = fp = fn = tn = excluded = 0
    for r in range(5):
        for c in range(6):
            if truth[r, c] == -1 or not valid[:, r, c].any():
                continue
            water = codes[r, c] in (1, 2, 3)  # 0 and 254 are not water
            excluded += codes[r, c] == 254
            tp += water and truth[r, c] == 1
            fp += water and truth[r, c] == 0
            fn += not water and truth[r, c] == 1
            tn += not water and truth[r, c] == 0
    n = tp + fp + fn + tn

    def ratio(above, below):
        return pytest.approx(above / below) if below else None

    assert item["n"] == n
    assert item["iou"] == ratio(tp, tp + fp + fn)
    assert item["f1"] == ratio(2 * tp, 2 * tp + fp + fn)
    assert item["precision"] == ratio(tp, tp + fp)
    assert item["recall"] == ratio(tp, tp + fn)
    assert item["water_share"] == ratio(tp + fn, n)
    assert item["excluded_share"] == ratio(excluded, n)
    assert item["false_alarm_share"] == ratio(fp, n)


def test_the_pool_is_the_summed_matrix_and_mean_iou_leaves_dry_chips_out(tmp_path, maps):
    truth = half_water()
    dry = np.zeros_like(truth)
    drop = dry.copy()
    drop[0, :30] = 1  # 0.7 %: under one per cent
    for name, labels in (("A", truth), ("B", truth), ("Dry", dry), ("Drop", drop)):
        chip(tmp_path, name, labels)
    maps("A", truth * 3)
    maps("B", np.where(np.arange(SIDE) < SIDE // 4, 2, 0) * np.ones((SIDE, 1)))
    maps("Dry", np.zeros_like(truth))
    maps("Drop", np.zeros_like(truth))
    result = score(tmp_path)
    water, quarter = SIDE * SIDE // 2, SIDE * SIDE // 4
    pooled = result["pooled"]
    assert pooled["iou"]["value"] == pytest.approx((water + quarter) / (2 * water + 30))
    assert pooled["precision"]["value"] == 1
    assert pooled["recall"]["value"] == pytest.approx((water + quarter) / (2 * water + 30))
    assert pooled["mean_iou"] == {"value": 0.75, "low": 0.5, "high": 1.0, "n": 2}
    assert pooled["iou"]["n"] == 4
    for figure in pooled.values():
        assert figure["low"] <= figure["value"] <= figure["high"]
    assert [item["name"] for item in result["items"]] == ["A", "B", "Drop", "Dry"]
    assert result["skipped"] == []


def test_a_chip_without_a_scored_pixel_is_null_and_out_of_the_pool(tmp_path, maps):
    truth = half_water()
    chip(tmp_path, "Good", truth)
    chip(tmp_path, "Unseen", truth, np.full((2, SIDE, SIDE), np.nan, np.float32))
    chip(tmp_path, "Unlabelled", np.full_like(truth, -1))
    never = np.where(truth == 1, 255, 0)  # what is seen is not labelled, what is labelled is not seen
    unseen = np.where(np.stack([truth, truth]) == 1, np.nan, backscatter(truth)).astype(np.float32)
    chip(tmp_path, "Disjoint", np.where(truth == 1, 1, -1), unseen)
    maps("Good", truth * 3)
    maps("Disjoint", never)
    result = score(tmp_path, compare=True)
    items = {item["name"]: item for item in result["items"]}
    for name in ("Unseen", "Unlabelled", "Disjoint"):
        assert items[name]["n"] == 0
        for figure in ("iou", "f1", "precision", "recall", "excluded_share", "water_share"):
            assert items[name][figure] is None
    assert result["pooled"]["iou"] == {"value": 1.0, "low": 1.0, "high": 1.0, "n": 1}
    assert result["skipped"] == []


def test_nothing_to_score_at_all_is_null_and_no_failure(tmp_path, maps):
    chip(tmp_path, "Unlabelled", np.full((SIDE, SIDE), -1, np.int16))
    result = score(tmp_path, compare=True)
    assert result["pooled"]["iou"] == {"value": None, "low": None, "high": None, "n": 0}
    assert result["calibration"]["ece"] is None
    assert json.dumps(result, allow_nan=False)


def test_calibration_is_over_pixels_with_a_probability(tmp_path, maps):
    truth = half_water()
    chip(tmp_path, "A", truth)
    codes = truth * 3
    codes[:, 0] = 254
    maps("A", codes, np.where(codes == 254, 255, np.where(truth == 1, 80, 10)))
    calibration = score(tmp_path)["calibration"]
    n = SIDE * (SIDE - 1)
    share = SIDE * (SIDE // 2 - 1) / n
    assert calibration["n"] == n
    assert calibration["ece"] == pytest.approx(share * 0.2 + (1 - share) * 0.1)
    assert calibration["brier"] == pytest.approx(share * 0.04 + (1 - share) * 0.01)


def test_unreadable_and_unmatched_chips_are_skipped_and_the_others_scored(tmp_path, maps):
    truth = half_water()
    for name in ("Cut", "Good", "Garbage", "Label", "Shape", "Shifted", "Unnamed", "Codes", "Two"):
        chip(tmp_path, name, truth)
        maps(name, truth * 3)
    whole = (tmp_path / "Cut_S1.tif").read_bytes()
    (tmp_path / "Cut_S1.tif").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "Garbage_S1.tif").write_bytes(b"no TIFF")
    (tmp_path / "Label_label.tif").write_bytes(b"")
    write(tmp_path / "Shape_label.tif", truth[:-1])
    write(tmp_path / "Shifted_label.tif", truth, left=500_040.0)
    write(tmp_path / "Unnamed_S1.tif", backscatter(truth))
    write(tmp_path / "Codes_label.tif", truth * 7)
    write(tmp_path / "Two_label.tif", np.stack([truth, truth]))
    result = score(tmp_path)
    skipped = {one["name"]: one["why"] for one in result["skipped"]}
    assert set(skipped) == {"Cut", "Garbage", "Label", "Shape", "Shifted", "Unnamed", "Codes", "Two"}
    for name, why in skipped.items():
        assert name in why
        assert "\n" not in why
    assert "7" in skipped["Codes"]
    assert [item["name"] for item in result["items"]] == ["Good"]
    assert result["pooled"]["iou"]["n"] == 1


def test_band_numbers_can_be_given(tmp_path, maps):
    truth = half_water()
    write(tmp_path / "A_S1.tif", backscatter(truth))
    write(tmp_path / "A_label.tif", truth)
    maps("A", truth * 3)
    assert score(tmp_path, bands="VV=1,VH=2")["pooled"]["iou"]["value"] == 1
    with pytest.raises(ParameterError, match="not understood"):
        score(tmp_path, bands="first")


def test_a_label_may_declare_its_nodata(tmp_path, maps):
    truth = half_water()
    truth[:3] = -1
    chip(tmp_path, "A", truth)
    write(tmp_path / "A_label.tif", truth, nodata=-1)
    maps("A", np.abs(truth) * 3)
    item = score(tmp_path)["items"][0]
    assert (item["n"], item["iou"]) == ((SIDE - 3) * SIDE, 1.0)


def test_sensors(tmp_path, maps):
    truth = half_water()
    chip(tmp_path, "A", truth)
    write(tmp_path / "A_S2.tif", np.ones((13, SIDE, SIDE), np.uint16))
    write(tmp_path / "B_S2.tif", np.ones((13, SIDE, SIDE), np.uint16))
    write(tmp_path / "B_label.tif", truth)
    maps("A", truth * 3)
    result = score(tmp_path)
    assert result["sensors"] == "s1"
    assert [item["name"] for item in result["items"]] == ["A"]
    for sensors in ("s2", "both"):
        with pytest.raises(ModelError, match="Sentinel-2") as caught:
            score(tmp_path, sensors=sensors)
        assert "--sensors s1" in caught.value.remedy
    only = tmp_path / "only"
    write(only / "B_S2.tif", np.ones((13, SIDE, SIDE), np.uint16))
    write(only / "B_label.tif", truth)
    with pytest.raises(ModelError):
        score(only)
    with pytest.raises(ParameterError, match="no labelled chip has a Sentinel-1 file"):
        score(only, sensors="s1")


def test_options_reach_the_pipeline(tmp_path, maps):
    chip(tmp_path, "A", half_water())
    maps("A", half_water() * 3)
    score(tmp_path, probability=73, min_area=50.0, units="db", method="threshold")
    call = maps.calls[0]
    assert (call["probability"], call["min_area"], call["unit"].value) == (73, 50.0, "db")
    assert call["detector"].name == "threshold"


def test_the_file_is_written_whole_or_not_at_all(tmp_path, maps, monkeypatch):
    chip(tmp_path / "chips", "A", half_water())
    maps("A", half_water() * 3)
    out = tmp_path / "new" / "scores.json"
    result = score(tmp_path / "chips", out=str(out))
    assert json.loads(out.read_text()) == json.loads(json.dumps(result))
    assert [p.name for p in out.parent.iterdir()] == ["scores.json"]
    before = out.read_bytes()

    def cancelled(path, **keywords):
        raise Cancelled

    monkeypatch.setattr(evaluate, "map_arrays", cancelled)
    with pytest.raises(Cancelled):
        score(tmp_path / "chips", out=str(out))
    assert out.read_bytes() == before
    with pytest.raises(Cancelled):
        score(tmp_path / "chips", out=str(tmp_path / "other" / "scores.json"))
    assert not (tmp_path / "other").exists()


def test_a_place_that_cannot_be_written_is_told_before_the_work(tmp_path, maps):
    chip(tmp_path / "chips", "A", half_water())
    (tmp_path / "file").touch()
    for out in (tmp_path / "chips", tmp_path / "file" / "scores.json", Path("/proc/scores.json")):
        with pytest.raises(OutputError, match=out.name):
            score(tmp_path / "chips", out=str(out))
    assert maps.calls == []


def test_otsu_divides_two_levels_and_gives_up_on_one():
    generator = np.random.default_rng(2)
    two = np.concatenate([generator.normal(-24, 1, 3000), generator.normal(-12, 1, 3000)]).astype(np.float32)
    assert -20.5 < otsu_db(two) < -15.5
    slow = max(
        np.linspace(two.min(), two.max(), 257)[1:-1],
        key=lambda t: (two < t).mean() * (two >= t).mean() * (two[two < t].mean() - two[two >= t].mean()) ** 2,
    )
    assert otsu_db(two) == pytest.approx(slow, abs=0.3)
    assert otsu_db(np.full((4, 4), -10, np.float32)) is None
    assert otsu_db(np.full((4, 4), np.nan, np.float32)) is None


def test_the_mean_is_of_power_and_of_valid_pixels():
    db = np.full((9, 9), -20, np.float32)
    db[4, 4] = -10
    smooth = smoothed_db(db)
    assert smooth[4, 4] == pytest.approx(10 * math.log10((24 * 0.01 + 0.1) / 25), abs=1e-4)
    assert smooth[0, 0] == pytest.approx(-20, abs=1e-4)
    db[4, 4] = np.nan
    smooth = smoothed_db(db)
    assert np.isnan(smooth[4, 4])
    assert smooth[4, 3] == pytest.approx(-20, abs=1e-4)


def test_baselines_without_a_polarisation_or_a_value():
    db = np.full((2, 8, 8), np.nan, np.float32)
    assert baseline_maps(db) == {}
    db[1] = -30
    maps = baseline_maps(db)
    assert set(maps) == {"otsu_vh", "fixed_vh"}
    assert maps["fixed_vh"][0].all()
    assert maps["otsu_vh"][1] is None
    assert not maps["otsu_vh"][0].any()


# The real pipeline from here on.


@pytest.mark.parametrize("crs", ["EPSG:32633", None])
def test_the_map_is_that_of_engine_flood_and_a_chip_needs_no_georeference(tmp_path, crs):
    truth = half_water(256, 256)
    chip(tmp_path / "chips", "A", truth, crs=crs)
    result = score(tmp_path / "chips")
    assert result["skipped"] == []
    assert result["pooled"]["iou"]["value"] > 0.9
    path = str(tmp_path / "chips" / "A_S1.tif")
    arrays = map_arrays(path, reporter=Reporter())
    if crs:
        map_flood(FloodRequest(post=path, out=str(tmp_path / "map")), Reporter())
        with rasterio.open(tmp_path / "map" / "flood.tif") as file:
            assert np.array_equal(file.read(1), arrays.codes)
        with rasterio.open(tmp_path / "map" / "water_probability.tif") as file:
            assert np.array_equal(file.read(1), arrays.probability)
    tp = np.count_nonzero(evaluate.water_of(arrays) & (truth == 1))
    assert result["pooled"]["recall"]["value"] == tp / (truth == 1).sum()


def engine(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "engine", "evaluate", "flood", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_exit_codes_of_the_command(tmp_path):
    chip(tmp_path / "chips", "A", half_water(128, 128))
    done = engine(tmp_path / "chips", "--json", tmp_path / "good.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "good.json").read_text())["pooled"]["iou"]["n"] == 1
    (tmp_path / "chips" / "B_S1.tif").write_bytes(b"no TIFF")
    write(tmp_path / "chips" / "B_label.tif", half_water())
    done = engine(tmp_path / "chips", "--json", tmp_path / "some.json")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "1 of 2 chips" in done.stderr
    assert "B_S1.tif" in done.stderr
    figures = json.loads((tmp_path / "some.json").read_text())
    assert [one["name"] for one in figures["skipped"]] == ["B"]
    assert [item["name"] for item in figures["items"]] == ["A"]
    done = engine(tmp_path / "nowhere", "--json", tmp_path / "none.json")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert not (tmp_path / "none.json").exists()
    done = engine(tmp_path / "chips", "--sensors", "s2", "--json", tmp_path / "none.json")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert not (tmp_path / "none.json").exists()


@needs_chips
def test_real_chips(tmp_path):
    result = score(CHIPS, compare=True)
    assert result["skipped"] == []
    assert len(result["items"]) == 8
    assert result["pooled"]["mean_iou"]["n"] == 5
    assert result["pooled"]["iou"]["value"] > result["baselines"]["otsu_vh"]["pooled"]["iou"]["value"]
    # The floors that were measured apart from this code.
    assert result["baselines"]["otsu_vh"]["pooled"]["iou"]["value"] == pytest.approx(0.532, abs=0.01)
    assert result["baselines"]["otsu_vv"]["pooled"]["iou"]["value"] == pytest.approx(0.310, abs=0.01)


@needs_chips
def test_a_real_chip_that_is_wholly_or_almost_wholly_missing(tmp_path):
    source = CHIPS / "train" / "Spain_7370579"
    with rasterio.open(f"{source}_S1.tif") as file:
        db, names = file.read(), file.descriptions
    with rasterio.open(f"{source}_label.tif") as file:
        truth = file.read(1)
    gone = np.full_like(db, np.nan)
    almost = gone.copy()
    almost[:, 100:116, 100:116] = db[:, 100:116, 100:116]
    for name, values in (("Gone", gone), ("Almost", almost)):
        write(tmp_path / f"{name}_S1.tif", values, names=names)
        write(tmp_path / f"{name}_label.tif", truth)
    result = score(tmp_path)
    items = {item["name"]: item for item in result["items"]}
    assert result["skipped"] == []
    assert (items["Gone"]["n"], items["Gone"]["iou"]) == (0, None)
    assert 0 < items["Almost"]["n"] <= 256
