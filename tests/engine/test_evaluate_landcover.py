"""``engine evaluate landcover``: the contract's figures, kinds, and what is left out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cli.evaluate import verdict
from engine.cli.evaluate_landcover import summary
from engine.errors import MissingFileError, ParameterError
from engine.events import Reporter
from engine.mapping.landcover.chips import find_chips
from engine.mapping.landcover.evaluate import run
from engine.mapping.landcover.evaluate_request import EvaluateLandcoverRequest
from engine.mapping.landcover.job import run as map_landcover
from engine.mapping.landcover.request import LandcoverRequest
from engine.metrics.classes import ClassConfusion, class_figure, figure_names
from tests.engine import landcover_scenes as small
from tests.engine import optical_scenes as files

CHIPS = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "landcover" / "val"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return str(small.make_model(tmp_path_factory.mktemp("models") / "model", unknown_below=0.3).folder)


def chip(folder: Path, name: str, *, truth=None, seed=0, crs="EPSG:32633", values=None) -> np.ndarray:
    """NAME.tif and NAME_worldcover.tif."""
    truth = small.truth(64, 64) if truth is None else truth
    values = small.reflectance(small.truth(64, 64), seed=seed) if values is None else values
    files.write(folder / f"{name}.tif", files.digital(values), small.BANDS, crs=crs)
    files.write(folder / f"{name}_worldcover.tif", truth, ("worldcover",), crs=crs)
    return truth


def evaluate(folder, model, **more):
    return run(EvaluateLandcoverRequest(path=str(folder), model=model, **more), Reporter())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_the_figures_against_a_plain_count(seed, size):
    generator = np.random.default_rng(seed)
    codes = (10, 30, 80, 95)[:size]
    truth = generator.choice(codes, 200).astype(np.uint8)
    mapped = generator.choice((0, *codes), 200).astype(np.uint8)
    scored = generator.random(200) < 0.7
    matrix = ClassConfusion.of(codes, mapped=mapped, truth=truth, scored=scored)
    t, m = truth[scored], mapped[scored]
    if not t.size:
        assert matrix.figure("miou") is None
        return
    assert matrix.figure("overall_accuracy") == pytest.approx((t == m).mean())
    ious = {}
    for code in codes:
        union = ((t == code) | (m == code)).sum()
        ious[code] = ((t == code) & (m == code)).sum() / union if union else None
        assert matrix.figure(f"iou_{code}") == (pytest.approx(ious[code]) if union else None)
    assert matrix.figure("miou") == pytest.approx(np.mean([ious[code] for code in codes if (t == code).any()]))
    assert matrix.unknown_share == pytest.approx((m == 0).mean())
    both = matrix + matrix
    assert both.n == 2 * matrix.n
    many = np.stack([matrix.counts.ravel(), both.counts.ravel()]).astype(float)
    for name in figure_names(codes):
        assert class_figure(name, codes)(many)[0] == pytest.approx(matrix.figure(name) or 0.0, nan_ok=True) or (
            matrix.figure(name) is None
        )


def test_the_pool_is_the_summed_matrix_and_the_map_that_of_the_command(tmp_path, model):
    for number, name in enumerate(("a", "sub/b", "c")):
        (tmp_path / "chips" / name).parent.mkdir(parents=True, exist_ok=True)
        truth = chip(tmp_path / "chips", name, seed=number)
        truth[:5] = 0
        files.write(tmp_path / "chips" / f"{name}_worldcover.tif", truth, ("worldcover",))
    (tmp_path / "chips" / "notes.txt").write_text("x")
    files.write(tmp_path / "chips" / "lonely.tif", files.digital(small.reflectance(small.truth(64, 64))), small.BANDS)
    result = evaluate(tmp_path / "chips", model, out=str(tmp_path / "scores.json"), compare=True)
    assert json.loads((tmp_path / "scores.json").read_text())["pooled"] == result["pooled"]
    assert [item["name"] for item in result["items"]] == ["a", "b", "c"]
    total = ClassConfusion((10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100))
    truth = small.truth(64, 64)
    truth[:5] = 0
    for item, name in zip(result["items"], ("a", "sub/b", "c"), strict=True):
        request = LandcoverRequest(
            scene=(str(tmp_path / "chips" / f"{name}.tif"),), out=str(tmp_path / item["name"]), model=model
        )
        map_landcover(request, Reporter())
        with rasterio.open(tmp_path / item["name"] / "landcover.tif") as file:
            codes = file.read(1)
        matrix = ClassConfusion.of(total.codes, mapped=codes, truth=truth, scored=truth > 0)
        assert item["n"] == matrix.n == 59 * 64
        assert item["overall_accuracy"] == matrix.figure("overall_accuracy")
        assert item["miou"] == matrix.figure("miou")
        assert item["unknown_share"] == pytest.approx((codes[5:] == 0).mean())
        total += matrix
    assert result["pooled"]["overall_accuracy"]["value"] == total.figure("overall_accuracy")
    assert result["pooled"]["miou"]["value"] == total.figure("miou")
    assert result["pooled"]["miou"]["n"] == 3
    assert np.array_equal(result["confusion"]["counts"], total.counts)
    for code in (10, 40, 50, 80):
        estimate = result["pooled"][f"iou_{code}"]
        assert estimate["low"] <= estimate["value"] <= estimate["high"]
    assert "iou_95" not in result["pooled"]
    assert 0 <= result["calibration"]["ece"] <= 1
    majority = result["baselines"]["majority"]
    assert majority["pooled"]["overall_accuracy"]["value"] == pytest.approx(max(total.counts.sum(axis=1)) / total.n)
    assert verdict(result) is None
    assert any("overall accuracy" in line for line in summary(result, {"out": "scores.json"}))


def test_unknown_counts_as_wrong(tmp_path, model):
    chip(tmp_path, "a")
    sure = evaluate(tmp_path, model, unknown_below=0)
    shy = evaluate(tmp_path, model, unknown_below=99)
    assert shy["items"][0]["unknown_share"] > 0.9
    assert shy["items"][0]["n"] == sure["items"][0]["n"]
    assert shy["pooled"]["overall_accuracy"]["value"] < 0.1


def test_items_without_a_label_or_a_value_are_no_failure(tmp_path, model):
    chip(tmp_path, "good", crs=None)
    chip(tmp_path, "unlabelled", truth=np.zeros((64, 64), np.uint8), crs=None)
    files.write(tmp_path / "empty.tif", np.zeros((6, 64, 64), np.uint16), small.BANDS, crs=None)
    files.write(tmp_path / "empty_worldcover.tif", small.truth(64, 64), ("w",), crs=None)
    result = evaluate(tmp_path, model)
    by_name = {item["name"]: item for item in result["items"]}
    for name in ("unlabelled", "empty"):
        assert by_name[name] == {"name": name, "n": 0, "overall_accuracy": None, "miou": None, "unknown_share": None}
    assert result["pooled"]["miou"]["n"] == 1
    assert result["skipped"] == []
    assert by_name["good"]["n"] == 64 * 64


def test_what_cannot_be_scored_is_skipped_and_told(tmp_path, model):
    chip(tmp_path, "good")
    chip(tmp_path, "strange", truth=np.full((64, 64), 15, np.uint8))
    chip(tmp_path, "size", truth=small.truth(32, 64))
    chip(tmp_path, "cut")
    (tmp_path / "cut.tif").write_bytes((tmp_path / "cut.tif").read_bytes()[:3000])
    files.write(tmp_path / "bands.tif", files.digital(small.reflectance(small.truth(64, 64))[:2]), small.BANDS[:2])
    files.write(tmp_path / "bands_worldcover.tif", small.truth(64, 64), ("w",))
    result = evaluate(tmp_path, model)
    why = {one["name"]: one["why"] for one in result["skipped"]}
    assert set(why) == {"strange", "size", "cut", "bands"}
    assert "holds 15" in why["strange"]
    assert "32 x 64" in why["size"]
    assert "B04" in why["bands"]
    assert [item["name"] for item in result["items"]] == ["good"]
    assert "4 of 5 chips could not be scored" in verdict(result).line


def test_dfc2020_is_read_as_it_is_published_and_scored_in_its_legend(tmp_path):
    both = str(small.make_model(tmp_path / "both", ("s1", "s2")).folder)
    season = tmp_path / "DFC" / "ROIs0000_test"
    lookup = np.zeros(256, np.uint8)
    lookup[list(small.CODES)] = (1, 6, 7, 10)
    for number in (0, 5):
        optical = np.full((13, 64, 64), 900, np.uint16)
        for band, plane in zip(
            (1, 2, 3, 7, 11, 12), files.digital(small.reflectance(small.truth(64, 64))), strict=True
        ):
            optical[band] = plane
        files.write(season / "s2_0" / f"ROIs0000_test_s2_0_p{number}.tif", optical, ())
        files.write(season / "s1_0" / f"ROIs0000_test_s1_0_p{number}.tif", files.backscatter(64, 64), ())
        files.write(season / "dfc_0" / f"ROIs0000_test_dfc_0_p{number}.tif", lookup[small.truth(64, 64)], ())
    place = f"dfc2020:{tmp_path / 'DFC'}@test"
    results = {sensors: evaluate(place, both, sensors=sensors) for sensors in ("s1", "s2", "both", None)}
    for result in results.values():
        assert result["skipped"] == []
        assert result["legend"] == "dfc2020"
        assert [item["n"] for item in result["items"]] == [64 * 64] * 2
        assert sum(sum(row) for row in result["confusion"]["counts"]) == 2 * 64 * 64
    assert results[None]["confusion"] == results["both"]["confusion"]
    assert results["s1"]["confusion"] != results["s2"]["confusion"]
    in_worldcover = evaluate(place, both, sensors="s2", legend="worldcover")
    assert in_worldcover["legend"] == "worldcover"
    with pytest.raises(ParameterError, match="no labelled chip was found"):
        find_chips(f"dfc2020:{tmp_path / 'DFC'}@validation")


def test_terramesh_is_read_as_it_is_published(tmp_path):
    both = str(small.make_model(tmp_path / "both", ("s1", "s2")).folder)
    folder = tmp_path / "mesh"
    lulc = np.full((64, 64), 2, np.uint8)
    lulc[:8], lulc[8:16], lulc[16:32] = 8, 0, 4
    files.write(folder / "x_1_S1.tif", files.backscatter(64, 64), ("VV", "VH"))
    files.write(folder / "x_1_S2L2A.tif", files.digital(small.reflectance(small.truth(64, 64))), small.BANDS)
    files.write(folder / "x_1_lulc.tif", lulc, ("esri_lulc",))
    result = evaluate(f"terramesh:{folder}", both)
    assert result["legend"] == "esri-lulc"
    assert result["items"][0]["n"] == 48 * 64, "no data and cloud are no labels"
    assert set(result["pooled"]) >= {"overall_accuracy", "miou", "iou_2", "iou_4"}


def test_a_place_that_holds_nothing_is_told(tmp_path, model):
    with pytest.raises(MissingFileError, match="does not exist"):
        evaluate(tmp_path / "none", model)
    with pytest.raises(ParameterError, match=r"expected NAME.tif with NAME_worldcover.tif"):
        evaluate(tmp_path, model)
    chip(tmp_path, "a")
    chip(tmp_path / "again", "a")
    with pytest.raises(ParameterError, match="occurs 2 times"):
        evaluate(tmp_path, model)


@pytest.mark.skipif(not CHIPS.is_dir(), reason="the shared land-cover chips are not here")
def test_real_chips_without_georeference_are_scored(tmp_path):
    bands = [
        {"sensor": "s2", "name": n, "unit": "reflectance", "mean": m, "std": s, "optional": n not in small.NEEDED}
        for n, m, s in zip(small.BANDS, small.MEAN, small.STD, strict=True)
    ]
    model = str(small.make_model(tmp_path / "model", bands=bands).folder)
    folder = tmp_path / "chips"
    folder.mkdir()
    for file in sorted(CHIPS.glob("*.tif"))[:6]:
        (folder / file.name).symlink_to(file)
    result = evaluate(folder, model)
    assert result["skipped"] == []
    assert len(result["items"]) == 2
    assert all(item["n"] > 0 for item in result["items"])
