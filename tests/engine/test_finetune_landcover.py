"""``engine finetune --task landcover``: labels in legends, figures of many classes, scales, hidden bands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin

from engine.errors import DamagedFileError, ModelError, ParameterError
from engine.events import Reporter
from engine.jobs import find_job
from engine.legends import find_legend
from engine.metrics.calibration import PercentCalibration
from engine.models.bundle import load_bundle
from engine.training.data.items import IGNORE
from engine.training.data.places import find_items
from engine.training.segmentation import Segmentation, Variation
from engine.training.shrinking import shrunk
from engine.training.tasks.landcover import ious, mean_iou, overall_accuracy
from engine.training.unknown import unknown_threshold

TINY = {"crop": 32, "batch": 4, "steps": 2, "workers": 1, "device": "cpu", "log_every": 1, "width": 0.0625}
BANDS = ("blue", "green", "red", "nir", "swir1", "swir2")
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write(path: Path, values, *, names=(), gsd=30.0, crs="EPSG:32633") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "count": len(values), "height": values.shape[1], "width": values.shape[2]}
    if crs is not None:
        profile |= {"crs": crs, "transform": from_origin(500_000, 5_000_000, gsd, gsd)}
    with rasterio.open(path, "w", dtype=values.dtype, **profile) as out:
        out.write(values)
        if names:
            out.descriptions = names


def run(name: str, **options):
    job = find_job(name)
    return job.run(job.parse(options), Reporter())


def chips(home: Path, *, codes=(10, 80, 40), role="worldcover", crs="EPSG:32633", gsd=30.0, count=6, side=32) -> Path:
    """Chips whose classes differ in brightness; two chips a place."""
    draw = np.random.default_rng(1)
    lines = ["chip,split,place"]
    for number in range(count):
        label = np.repeat(np.repeat(draw.choice(codes, (4, 4)), side // 4, 0), side // 4, 1).astype(np.uint8)
        values = np.zeros((6, side, side))
        for place, code in enumerate(codes):
            values[:, label == code] = (400 + 900 * np.roll(np.arange(6), place))[:, None]
        label[0, 0] = 0
        values = (values + draw.normal(0, 30, values.shape)).astype(np.int16)
        write(home / f"{number:03d}.tif", values, names=BANDS, gsd=gsd, crs=crs)
        write(home / f"{number:03d}_{role}.tif", label[None], gsd=gsd, crs=crs)
        write(home / f"{number:03d}_water.tif", label[None], gsd=gsd, crs=crs)
        lines.append(f"{number:03d},{home.name},{number // 2}")
    (home / "groups.csv").write_text("\n".join(lines) + "\n")
    return home


def finetune(home: Path, out: Path, **options):
    return run("finetune", **{**TINY, "task": "landcover", "data": [str(home)], "out": str(out), **options})


def test_a_model_is_learned_and_its_card_says_all_that_mapping_needs(tmp_path):
    home = chips(tmp_path / "chips")
    result = finetune(home, tmp_path / "run", steps=40, lr=8e-3, scale=2.0, shrink=1.5, hide_bands=0.5)
    figures = result["figures"]
    assert figures["validation"]["overall_accuracy"]["value"] > 0.6
    assert set(figures["validation"]) == {"overall_accuracy", "miou", "iou_10", "iou_40", "iou_80"}
    assert figures["events"] == 2 and figures["squares"] == 4 and figures["validation_squares"] == 2
    card = load_bundle(tmp_path / "run" / "model").card
    assert card.task == "landcover" and card.legend == "worldcover" and card.name == "landcover-s2"
    assert [(one.value, one.color) for one in card.classes] == [(10, "#006400"), (40, "#f096ff"), (80, "#0064c8")]
    assert card.gsd_m == (15.0, 45.0)
    assert card.unknown_below == figures["unknown_below"]
    assert {b.name for b in card.bands if not b.optional} == {"B03", "B04", "B08"}
    assert {"overall_accuracy", "miou", "iou_80", "ece"} <= {f.metric for f in card.figures}
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {"miou", "overall_accuracy"} <= set(rows[-1])
    html = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Land-cover model" in html and "IoU of Permanent water" in html and "water IoU" not in html
    again = finetune(home, tmp_path / "again", steps=1, encoder=str(tmp_path / "run" / "model"))
    assert again["figures"]["start"] == "landcover-s2"


def test_the_place_of_a_list_is_the_group_and_other_rasters_are_no_items(tmp_path):
    found = find_items(str(chips(tmp_path / "train")), labels="landcover")
    assert [(i.name, i.group) for i in found.items] == [(f"{n:03d}", str(n // 2)) for n in range(6)]
    assert found.labelled[0].label.legend == "worldcover"
    (tmp_path / "train" / "groups.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DamagedFileError, match="expected name or chip"):
        find_items(str(tmp_path / "train"))


def test_a_list_above_counts_by_the_name_of_the_folder(tmp_path):
    home = chips(tmp_path / "val", count=2)
    (home / "groups.csv").unlink()
    (tmp_path / "groups.csv").write_text("chip,split,place\n000,train,7\n000,val,8\n001,val,9\n")
    assert [i.group for i in find_items(str(home)).items] == ["8", "9"]


def test_labels_of_another_legend_are_brought_to_the_one_that_is_asked_for(tmp_path):
    home = chips(tmp_path / "chips", codes=(2, 1, 9), role="lulc")
    result = finetune(home, tmp_path / "run")
    assert result["figures"]["classes"] == {"10": "Tree cover", "30": "Grassland", "80": "Permanent water"}
    own = finetune(home, tmp_path / "own", legend="esri-lulc")["figures"]["classes"]
    assert own == {"1": "Water", "2": "Trees", "9": "Rangeland"}


def test_codes_of_ones_own_legend(tmp_path):
    home = chips(tmp_path / "chips", codes=(3, 5), role="landcover")
    legend = tmp_path / "own.json"
    classes = [{"code": c, "name": f"class {c}", "color": "#010203"} for c in (3, 5, 7)]
    legend.write_text(json.dumps({"name": "own", "title": "Own", "classes": classes}))
    finetune(home, tmp_path / "run", legend=str(legend))
    card = load_bundle(tmp_path / "run" / "model").card
    assert [c.value for c in card.classes] == [3, 5] and card.legend == "own"
    with pytest.raises(ParameterError, match="code 3"):
        finetune(home, tmp_path / "other", legend="worldcover")


def test_outputs_of_a_start_are_carried_over_by_what_they_stand_for(tmp_path):
    finetune(chips(tmp_path / "a", codes=(10, 40, 80)), tmp_path / "first", steps=1)
    finetune(chips(tmp_path / "b", codes=(40, 50)), tmp_path / "second", steps=1, lr=1e-9, ema=0.0,
             encoder=str(tmp_path / "first" / "model"))  # fmt: skip
    one, two = (load_bundle(tmp_path / name / "model").network() for name in ("first", "second"))
    torch.testing.assert_close(two.head.weight[0], one.head.weight[1], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(two.decoder.blocks[0].conv1.weight, one.decoder.blocks[0].conv1.weight, rtol=1e-4,
                               atol=1e-6)  # fmt: skip


def test_indices_come_with_the_model_are_mapped_and_gone_on_with(tmp_path):
    home = chips(tmp_path / "chips")
    finetune(home, tmp_path / "run", steps=2, indices=True)
    model = tmp_path / "run" / "model"
    first = load_bundle(model)
    assert first.card.network.indices and first.network().indices.count == 7  # seven pairs of the six bands
    finetune(home, tmp_path / "again", steps=1, lr=1e-9, ema=0.0, encoder=str(model))
    second = load_bundle(tmp_path / "again" / "model")
    assert second.card.network.indices
    torch.testing.assert_close(second.network().head.weight, first.network().head.weight, rtol=1e-4, atol=1e-6)
    done = run("landcover", scene=[str(home / "000.tif")], model=str(model), out=str(tmp_path / "map"))
    assert done["figures"]["observed_percent"] == 100
    with pytest.raises(ModelError, match="has indices of its bands inside"):
        run("finetune", **{**TINY, "task": "flood", "sensors": "s2", "data": [str(home)], "out": str(tmp_path / "x"),
                           "encoder": str(model)})  # fmt: skip


@pytest.mark.parametrize(
    ("make", "options", "words"),
    [
        ({"codes": (10,)}, {}, "one class only, 10"),
        ({}, {"sensors": "s1", "indices": True}, "no item has s1"),
        ({"crs": None}, {}, "pixel size is not known"),
        ({}, {"task": "flood", "sensors": "s2"}, "land cover"),
        ({}, {"legend": "no-such"}, "no-such"),
        ({}, {"sensors": "s1"}, "no item has s1"),
    ],
)
def test_faults_are_one_line(tmp_path, make, options, words):
    home = chips(tmp_path / "chips", **make)
    with pytest.raises(ParameterError, match=words) as caught:
        finetune(home, tmp_path / "run", **options)
    assert "\n" not in caught.value.line
    assert not (tmp_path / "run").exists()


def test_a_pixel_size_that_is_given_stands_in_the_card(tmp_path):
    finetune(chips(tmp_path / "chips", crs=None), tmp_path / "run", gsd=30.0)
    assert load_bundle(tmp_path / "run" / "model").card.gsd_m == (30.0, 30.0)


def test_packs_remember_the_legend(tmp_path):
    home = chips(tmp_path / "chips", codes=(2, 1, 9), role="lulc")
    options = {"crop": 32, "need": "labels", "labels": "landcover", "max_cloud": 1.0}
    run("data-pack", path=str(home), out=str(tmp_path / "pack"), s2_bands="B02,B03,B04,B08,B11,B12", **options)
    packed, read = (
        finetune(where, tmp_path / name)["figures"] for name, where in (("packed", tmp_path / "pack"), ("read", home))
    )
    assert packed["validation"] == read["validation"]
    assert packed["classes"] == read["classes"]


def test_two_kinds_of_labels_are_not_joined(tmp_path):
    chips(tmp_path / "a", codes=(2, 9), role="lulc")
    home = chips(tmp_path / "b")
    result = finetune(home, tmp_path / "run", data=[str(tmp_path / "a"), str(home)])  # by way of the legend they are
    assert set(result["figures"]["classes"]) == {"10", "30", "40", "80"}


matrices = st.lists(st.lists(st.integers(0, 9), min_size=9, max_size=9), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(matrices)
def test_figures_beside_plain_loops(rows):
    sums = np.array(rows, np.float64).sum(0)
    square = sums.reshape(3, 3)
    total = square.sum()
    slow, count = 0.0, 0
    for k in range(3):
        either = square[k].sum() + square[:, k].sum() - square[k, k]
        if either:
            assert ious(sums)[k] == pytest.approx(square[k, k] / either)
        if square[k].sum():
            slow, count = slow + square[k, k] / either, count + 1
    if count:
        assert float(mean_iou(sums)) == pytest.approx(slow / count)
        assert float(overall_accuracy(sums)) == pytest.approx(square.trace() / total)
    else:
        assert np.isnan(mean_iou(sums)) and np.isnan(overall_accuracy(sums))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 100), min_size=1, max_size=80), st.floats(0.01, 0.9))
def test_the_threshold_is_the_largest_that_loses_no_more_than_the_share(percents, share):
    given_ = PercentCalibration.of(np.array(percents, np.uint8), np.zeros(len(percents), bool))
    found = round(100 * unknown_threshold(given_, share=share))
    lost = [np.mean(np.array(percents) < t) for t in range(100)]
    assert lost[found] <= share
    assert all(lost[t] > share for t in range(found + 1, 51))
    assert found <= 50  # what is more likely right than wrong is never given up
    assert unknown_threshold(PercentCalibration(), share=share) == unknown_threshold(given_, share=0) == 0


def sample_batch(count=64, side=32):
    values = torch.arange(side * side, dtype=torch.float32).view(1, 1, side, side).repeat(count, 1, 1, 1)
    return {
        "s2": values,
        "s2_valid": torch.ones(count, 1, side, side, dtype=torch.bool),
        "label": (values[:, 0] % 7).long(),
        "index": torch.arange(count),
    }


def test_reduced_squares_keep_their_mean_have_labels_from_the_square_and_no_empty_pixel():
    batch = sample_batch()
    seen = shrunk(batch, batch, 1.0, 2.0, torch.Generator().manual_seed(0))
    changed = [i for i in range(64) if not seen["s2"][i].equal(batch["s2"][i])]
    assert len(changed) > 60, "all but those that are reduced by next to nothing"
    torch.testing.assert_close(seen["s2"].mean((1, 2, 3)), batch["s2"].mean((1, 2, 3)), rtol=0.25, atol=0)
    assert seen["s2_valid"].all() and seen["label"].min() >= 0 and seen["label"].max() <= 6
    some = shrunk(batch, batch, 2.0, 2.0, torch.Generator().manual_seed(0))
    kept = sum(bool(some["s2"][i].equal(batch["s2"][i])) for i in range(64))
    assert 18 < kept < 46, "half of the scales are above 1"


def test_what_is_not_valid_stays_out_of_a_reduced_square():
    batch = sample_batch(8)
    batch["s2_valid"][:, :, :16] = False
    batch["label"][:, :16] = IGNORE
    batch["s2"][:, :, :16] = 1e6
    seen = shrunk(batch, batch, 1.0, 3.0, torch.Generator().manual_seed(2))
    inside = seen["s2"][seen["s2_valid"]]
    changed = torch.tensor([not seen["s2"][i].equal(batch["s2"][i]) for i in range(8)])
    assert float(seen["s2"][changed].max()) <= 32 * 32, "the means are over valid pixels"
    assert len(inside)


def test_needed_bands_are_never_hidden_and_the_others_by_even_chance():
    objective = Segmentation(
        torch.nn.Identity(), sensors=("s2",), loss="ce", weights=None,  # type: ignore[arg-type]
        variation=Variation(jitter=0.0, hide=0.5, hidden=(0, 2)),
    )  # fmt: skip
    batch = {
        "s2": torch.ones(2000, 3, 2, 2),
        "s2_valid": torch.ones(2000, 1, 2, 2, dtype=torch.bool),
        "label": torch.zeros(2000, 2, 2, dtype=torch.int64),
    }
    seen = objective.views(batch, torch.Generator().manual_seed(0))["s2"][:, :, 0, 0]
    gone = seen == 0
    assert not gone[:, 1].any()
    assert 0.2 < float(gone[:, 0].float().mean()) < 0.3 and 0.2 < float(gone[:, 2].float().mean()) < 0.3
    assert 0.08 < float((gone[:, 0] & gone[:, 2]).float().mean()) < 0.17


def test_igbp_of_sen12ms_goes_to_both_legends():
    igbp = find_legend("igbp")
    assert igbp.mapping_to(find_legend("dfc2020"))[14] == 6
    assert igbp.mapping_to(find_legend("worldcover"))[16] == 60


@pytest.mark.skipif(not (SHARED / "landcover").is_dir(), reason="the shared land-cover chips are not here")
def test_the_shared_chips_are_grouped_by_place():
    items = find_items(str(SHARED / "landcover" / "train")).items
    assert len(items) == 193 and len({i.group for i in items}) == 21
    assert sum(i.group == "2" for i in items) == 141
    assert {i.group for i in find_items(str(SHARED / "landcover" / "val")).items} == {"3"}
