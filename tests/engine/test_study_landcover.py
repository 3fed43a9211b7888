"""``engine study label-efficiency --task landcover``: what is counted, scored and said."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.transform import from_origin

from engine.errors import ParameterError
from engine.events import Reporter
from engine.jobs import find_job
from engine.models.bundle import load_bundle
from engine.training.requests import FinetuneRequest
from engine.training.study.measures import find_measure
from engine.training.study.summary import cell_figures

JOB = "study-label-efficiency"
TINY = {
    "crop": 64, "batch": 4, "steps": 3, "workers": 0, "device": "cpu", "width": 0.0625, "lr": 0.003, "ema": 0.0,
    "seeds": "0", "fractions": "1", "modes": "finetuned", "task": "landcover",
}  # fmt: skip
CODES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 100)


def run(name: str, **options):
    job = find_job(name)
    return job.run(job.parse(options), Reporter())


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Dry scenes; one of those for tests shows a class that no model learns, and a corner without a label."""
    home = tmp_path_factory.mktemp("study")
    for seed, part in ((1, "train"), (2, "train"), (11, "test"), (12, "test")):
        out = str(home / part / str(seed))
        run("simulate-scene", seed=seed, width=150, height=100, flood=0, products="s1,s2,landcover", out=out)
    with rasterio.open(home / "test" / "12" / "landcover.tif", "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
        codes = file.read(1)
        codes[:30, :40] = 100
        codes[60:, 120:] = 0
        file.write(codes, 1)
    return home


def study(home: Path, out: Path, **options):
    given = {
        "data": [f"simulated:{home / 'train'}@after"],
        "test": [f"simulated:{home / 'test'}@after"],
        "encoder": ["random", "other=random"],
    }
    return run(JOB, **{**TINY, **given, "out": str(out), **options})


@pytest.fixture(scope="module")
def done(home) -> Path:
    torch.set_num_threads(1)
    study(home, home / "done", sensors="s1", keep_models=True)
    return home / "done"


@torch.no_grad()
def test_counts_are_those_of_whole_chips(done, home):
    """Beside a plain pass over each chip; a class that the model does not know is counted, and never mapped."""
    folder = done / "cells/random/finetuned/labels-1/seed-0"
    bundle, score = load_bundle(folder / "model"), json.loads((folder / "score.json").read_text())
    network, learned = bundle.network(), [one.value for one in bundle.card.classes]
    assert 100 not in learned and set(learned) <= set(CODES)
    for name, counts in zip(score["items"], score["counts"], strict=True):
        scene = home / "test" / name.partition("/")[0]
        with rasterio.open(scene / "after_S1.tif") as image, rasterio.open(scene / "landcover.tif") as label:
            db, truth = image.read(masked=True).filled(np.nan), label.read(1)
        db = np.rint(db.astype(float) / 0.002) * 0.002
        mean, std = (np.array([getattr(b, k) for b in bundle.card.bands])[:, None, None] for k in ("mean", "std"))
        valid = np.isfinite(db).all(axis=0)
        window = np.zeros((1, 2, 256, 256), np.float32)
        window[0, :, : db.shape[1], : db.shape[2]] = np.where(valid, (db - mean) / std, 0)
        told = np.array(learned)[network(torch.from_numpy(window))[0, :, : db.shape[1], : db.shape[2]].argmax(0)]
        scored = valid & (truth > 0) & (truth < 255)
        slow = np.array([[(scored & (truth == t) & (told == m)).sum() for m in CODES] for t in CODES])
        found = np.array(counts).reshape(11, 11)
        assert slow.sum() == found.sum() and np.array_equal(slow.sum(1), found.sum(1))
        assert np.abs(slow - found).sum() <= 4, "rounding at the edge between two classes"
    assert found[10].sum() == 30 * 40 and found[:, 10].sum() == 0
    assert np.array(score["reliability"]).sum() == np.array(score["counts"]).sum()
    right = np.array(score["counts"]).reshape(-1, 11, 11).trace(axis1=1, axis2=2).sum()
    assert np.array(score["reliability"])[1].sum() == right, "what came true is what was right"


def test_table_study_and_page_tell_of_classes(done):
    result, whole = (json.loads((done / name).read_text()) for name in ("result.json", "study.json"))
    assert result["figures"]["score"] == whole["score"] == "miou"
    assert list(whole["scores"]) == ["miou", "overall_accuracy"]
    classes = {t for c in whole["cells"][0]["counts"] for t in np.nonzero(np.array(c).reshape(11, 11).sum(1))[0]}
    assert whole["test"]["classes"] == len(classes) and whole["test"]["scored"] == 2
    rows = list(csv.DictReader((done / "study.csv").open()))
    for row, cell in zip(rows, whole["cells"], strict=True):
        sums = np.array(cell["counts"]).sum(0).reshape(11, 11)
        assert float(row["overall_accuracy"]) == pytest.approx(sums.trace() / sums.sum())
        assert {"validation_miou", "validation_overall_accuracy"} <= row.keys() and "iou" not in row
    html = (done / "report.html").read_text()
    assert "Mean IoU of the classes" in html and "Classes in them" in html
    assert "that share is of the class that was mapped" in html and "water" not in html.partition("Options")[0]
    line = next(one for one in whole["summary"] if one["method"] == "other")
    assert line["differences"]["miou"]["value"] == 0.0, "one method under two names"


def test_light_with_the_bands_of_an_encoder_and_names_that_are_missing(home, tmp_path):
    bands = "B01,B02,B03,B04,B08,B11,B12"
    options = {k: v for k, v in TINY.items() if k in ("width", "crop", "batch", "workers", "device")}
    data = [f"simulated:{home / 'train'}@after"]
    run("pretrain", **options, data=data, method="random", s2_bands=bands, out=str(tmp_path / "encoder-0"))
    encoder = ["random", f"pairs={tmp_path}/encoder-{{seed}}"]
    study(home, tmp_path / "out", encoder=encoder, keep_models=True, steps=1)
    for method in ("random", "pairs"):
        card = load_bundle(tmp_path / f"out/cells/{method}/finetuned/labels-1/seed-0/model").card
        assert ",".join(band.name for band in card.bands) == bands
        assert card.task == "landcover" and card.legend == "worldcover"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"score": "iou"}, "the score 'iou' is none of landcover"),
        ({"task": "flood", "score": "miou"}, "the score 'miou' is none of flood"),
        ({"legend": "no-such-legend"}, "no-such-legend"),
        ({"task": "flood"}, "no item has s1 and a label"),
    ],
)
def test_faults_are_one_line_and_make_no_folder(home, tmp_path, options, words):
    with pytest.raises(ParameterError, match=words) as caught:
        study(home, tmp_path / "out", **options)
    assert "\n" not in caught.value.line and caught.value.remedy
    assert not (tmp_path / "out").exists()


@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(2, 6))
@settings(max_examples=40, deadline=None)
def test_scores_are_those_of_pixels_one_by_one(seed, chips, known):
    """Maps of a model that knows the first ``known`` classes of its own order, against maps pixel by pixel."""
    draw = np.random.default_rng(seed)
    measure = find_measure(FinetuneRequest(out="", task="landcover"))
    assert measure.values == CODES
    order = draw.permutation(CODES)
    rows, truths, maps = [], [], []
    for _ in range(chips):
        truth, told = draw.choice(order, 300), draw.choice(order[:known], 300)
        matrix = np.array([[((truth == t) & (told == m)).sum() for m in order[:known]] for t in order])
        rows.append(measure.counts(matrix, [int(code) for code in order]))
        truths.append(truth)
        maps.append(told)
    truth, told = np.concatenate(truths), np.concatenate(maps)
    cell = {"counts": rows, "reliability": np.zeros((2, 101), int).tolist()}
    found = cell_figures(cell, measure.scores)
    assert found["overall_accuracy"]["value"] == pytest.approx((truth == told).mean())
    ious = [((truth == c) & (told == c)).sum() / ((truth == c) | (told == c)).sum() for c in np.unique(truth)]
    assert found["miou"]["value"] == pytest.approx(np.mean(ious))
    assert found["miou"]["n"] == chips


@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=30, deadline=None)
def test_water_is_counted_as_ever(seed, turned):
    measure = find_measure(FinetuneRequest(out=""))
    tp, fp, fn, tn = (int(n) for n in np.random.default_rng(seed).integers(0, 1000, 4))
    matrix, values = np.array([[tn, fp], [fn, tp]]), [0, 1]
    if turned:
        matrix, values = matrix[::-1, ::-1], [1, 0]
    assert measure.counts(matrix, values) == [tp, fp, fn, tn]


def patch(root: Path, season: str, label: str, number: int, bands: int = 1) -> None:
    """A patch of 64 x 64 pixels as SEN12MS and the contest publish theirs: no band has a name."""
    draw = np.random.default_rng(number)
    arrays = {
        "s1": draw.normal(-13, 3, (2, 64, 64)).astype(np.float32),
        "s2": draw.integers(200, 3000, (13, 64, 64)).astype(np.uint16),
        label: draw.integers(1, 11, (bands, 64, 64)).astype(np.uint16),
    }
    for role, array in arrays.items():
        path = root / season / f"{role}_0" / f"{season}_{role}_0_p{number}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(
            path, "w", driver="GTiff", count=len(array), height=64, width=64, dtype=array.dtype, crs="EPSG:32633",
            transform=from_origin(500_000, 5_000_000, 10, 10),
        ) as file:  # fmt: skip
            file.write(array)


def test_the_protocol_of_the_contest_runs_on_its_layout(tmp_path):
    """docs/training.md: encoders from SEN12MS, labels of the 986 patches, scores on the 5128; here of a few patches."""
    pairs, contest = tmp_path / "sen12ms", tmp_path / "dfc"
    for number in range(4):
        patch(pairs, "ROIs1158_spring", "lc", number, bands=4)
        patch(contest, "ROIs0000_validation", "dfc", number)
        patch(contest, "ROIs0000_test", "dfc", number)
    tiny = {"width": 0.0625, "crop": 64, "batch": 4, "workers": 0, "device": "cpu", "steps": 1}
    run("pretrain", **tiny, data=[f"sen12ms:{pairs}"], method="multimodal", out=str(tmp_path / "runs-0"))
    result = run(
        JOB,
        **{**TINY, **tiny},
        legend="dfc2020",
        sensors="both",
        data=[f"dfc2020:{contest}@validation"],
        test=[f"dfc2020:{contest}@test"],
        encoder=["random", f"pairs={tmp_path}/runs-{{seed}}"],
        out=str(tmp_path / "out"),
    )
    assert result["figures"]["chips"] == 4 and any("nothing was held out" in line for line in result["warnings"])
    cells = json.loads((tmp_path / "out" / "study.json").read_text())["cells"]
    assert {len(counts) for cell in cells for counts in cell["counts"]} == {100}, "ten classes by ten"
    assert all(cell["temperature"] == 1.0 and cell["squares"] == 4 for cell in cells)
