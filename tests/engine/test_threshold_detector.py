"""The detector without weights: laws on arrays, robustness, and the real chips."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from scipy.ndimage import label as connected

from engine.errors import Cancelled
from engine.events import Reporter
from engine.mapping.flood.threshold import ThresholdDetector
from engine.mapping.flood.tiles import BUDGET_PIXELS, STRIP, sample_rows
from engine.raster.grid import Grid, Window
from engine.sar.water import USUAL_LEVELS

CHIPS = sorted((Path(__file__).resolve().parents[3] / "shared" / "data" / "flood").glob("*/*_S1.tif"))
NAN = float("nan")


@dataclass
class ArrayScene:
    """A scene in memory: ``after`` and ``before`` are (2, rows, columns) dB."""

    after: np.ndarray
    before: np.ndarray | None = None
    polarisations: tuple[str, ...] = ("VV", "VH")

    @property
    def grid(self) -> Grid:
        return Grid(self.after.shape[1], self.after.shape[2], Affine.scale(10, -10), None)

    @property
    def context(self) -> Window:
        return self.grid.window

    @property
    def has_before(self) -> bool:
        return self.before is not None

    def _read(self, source: np.ndarray, window: Window) -> np.ndarray:
        out = np.full((2, *window.shape), np.nan, np.float32)
        inside = window.intersect(self.grid.window)
        if not inside.empty:
            rows, cols = inside.within(self.grid.window)
            to_rows, to_cols = inside.within(window)
            out[:, to_rows, to_cols] = source[:, rows, cols]
        return out

    def read(self, window: Window) -> np.ndarray:
        return self._read(self.after, window)

    def read_before(self, window: Window) -> np.ndarray:
        assert self.before is not None
        return self._read(self.before, window)


LAND, WATER, ROUGH = (-10.0, -16.5), (-20.0, -27.5), (-11.0, -25.0)


def scene(water: np.ndarray, seed: int = 0, *, wet=WATER, dry=LAND, looks: float = 4.4) -> np.ndarray:
    """(2, rows, columns) dB of speckled land and water."""
    rng = np.random.default_rng(seed)
    mean = np.stack([np.where(water, wet[p], dry[p]) for p in (0, 1)])
    return (mean + 10 * np.log10(rng.gamma(looks, 1 / looks, mean.shape))).astype(np.float32)


def lake(shape=(256, 256)) -> np.ndarray:
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    return (rows - shape[0] / 2) ** 2 + (cols - shape[1] / 2) ** 2 < (min(shape) / 4) ** 2


def run(source, **kwargs) -> np.ndarray:
    detector = ThresholdDetector(**kwargs)
    return join(source, detector.probabilities(source, Reporter()))


def join(source, strips) -> np.ndarray:
    out = np.full(source.grid.shape, -1, np.float32)
    row = 0
    for window, part in strips:
        assert (window.row, window.col, window.width) == (row, 0, source.grid.width)
        assert part.shape == window.shape
        out[window.row : window.row_stop] = part
        row = window.row_stop
    assert row == source.grid.height
    return out


def water_mask(probability: np.ndarray, *, grow: int, least: int = 20) -> np.ndarray:
    """What the pipeline makes of probabilities: seeds at 50 %, grown, small bodies dropped."""
    percent = np.rint(np.nan_to_num(probability) * 100)
    labels, count = connected(percent >= grow, np.ones((3, 3)))
    keep = np.zeros(count + 1, bool)
    keep[np.unique(labels[percent >= 50])] = True
    keep &= np.bincount(labels.ravel(), minlength=count + 1) >= least
    keep[0] = False
    return keep[labels]


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    return (mask & truth).sum() / max(1, (mask | truth).sum())


def test_a_lake_is_found_to_its_shore():
    truth = lake()
    found = run(ArrayScene(scene(truth)))
    assert found.dtype == np.float32
    assert ((found >= 0) & (found <= 1)).all()
    assert iou(found >= 0.5, truth) > 0.93
    assert iou(water_mask(found, grow=20), truth) > 0.95


@pytest.mark.parametrize("pol", ["VV", "VH"])
def test_one_polarisation_is_enough(pol):
    truth = lake()
    values = scene(truth)
    values[1 - ("VV", "VH").index(pol)] = np.nan
    found = run(ArrayScene(values, polarisations=(pol,)))
    assert iou(found >= 0.5, truth) > 0.9


def test_rough_water_that_vv_does_not_see_is_found_by_vh():
    truth = lake()
    values = scene(truth, wet=ROUGH)
    assert iou(run(ArrayScene(values)) >= 0.5, truth) > 0.85
    values[1] = np.nan
    assert (run(ArrayScene(values, polarisations=("VV",))) >= 0.5).mean() < 0.01


def test_a_dry_scene_stays_dry_and_an_all_water_scene_wet():
    nothing = np.zeros((300, 300), bool)
    detector = ThresholdDetector()
    source = ArrayScene(scene(nothing))
    assert (join(source, detector.probabilities(source, Reporter())) >= 0.5).mean() == 0
    assert detector.diagnostics()["thresholds"]["VH"]["source"] == "prior"
    everything = ~nothing
    assert (run(ArrayScene(scene(everything))) >= 0.5).mean() > 0.999
    assert (run(ArrayScene(scene(everything, wet=ROUGH))) >= 0.5).mean() > 0.98


def test_dark_dry_fields_are_not_water_without_confident_water_near():
    fields = np.zeros((256, 256), bool)
    fields[40:90, 40:120] = True
    values = scene(fields, wet=(-15.5, -20.0))  # smooth bare soil
    assert water_mask(run(ArrayScene(values)), grow=20).mean() < 0.002


@pytest.mark.parametrize("kind", ["some", "one polarisation", "nearly all", "all"])
def test_probability_is_nan_exactly_where_nothing_is_finite(kind):
    truth = lake()
    values = scene(truth)
    rng = np.random.default_rng(1)
    if kind == "some":
        values[:, rng.random(truth.shape) < 0.3] = np.nan
    elif kind == "one polarisation":
        values[0, rng.random(truth.shape) < 0.5] = np.nan
        values[1, :, 60:90] = np.nan
    elif kind == "nearly all":
        values[:, rng.random(truth.shape) < 0.999] = np.nan
    else:
        values[:] = np.nan
    found = run(ArrayScene(values))
    assert (np.isnan(found) == ~np.isfinite(values).any(axis=0)).all()
    if kind == "some":
        seen = np.isfinite(found)
        assert iou((found >= 0.5)[seen], truth[seen]) > 0.9


def test_missing_pixels_do_not_change_the_pixels_far_from_them():
    values = scene(lake())
    holed = values.copy()
    holed[:, :20] = np.nan
    whole, part = run(ArrayScene(values)), run(ArrayScene(holed))
    np.testing.assert_allclose(part[40:], whole[40:], atol=0.02)  # levels of the tiles may move a little


@pytest.mark.parametrize("strip_rows", [1, 7, 64, 1000])
def test_the_result_does_not_depend_on_the_strips(strip_rows):
    truth = lake((90, 70))
    values = scene(truth)
    values[:, 30:40, 10:30] = np.nan
    np.testing.assert_allclose(run(ArrayScene(values), strip_rows=strip_rows), run(ArrayScene(values)), atol=1e-6)


def test_columns_computed_apart_leave_no_seam(monkeypatch):
    values = scene(lake((60, 200)))
    whole = run(ArrayScene(values))
    monkeypatch.setattr("engine.mapping.flood.threshold.COLUMNS", 33)
    np.testing.assert_allclose(run(ArrayScene(values)), whole, atol=1e-6)


def test_a_flip_flips_the_result():
    values = scene(lake())
    flipped = np.ascontiguousarray(values[:, ::-1, ::-1])
    np.testing.assert_allclose(run(ArrayScene(flipped))[::-1, ::-1], run(ArrayScene(values)), atol=1e-3)


def test_flood_rough_water_and_tarmac_are_told_apart_by_the_scene_before():
    river, flood, tarmac = (np.zeros((256, 384), bool) for _ in range(3))
    river[:, 60:110], flood[:, 110:180], tarmac[60:200, 260:340] = True, True, True
    after = scene(river | flood, 1)
    before = scene(river, 2, wet=ROUGH)
    for source, seed in ((after, 3), (before, 4)):
        dark = scene(tarmac, seed, wet=(-20.5, -26.5))
        source[:, tarmac] = dark[:, tarmac]
    source = ArrayScene(after, before)
    detector = ThresholdDetector()
    now = join(source, detector.probabilities(source, Reporter()))
    past = join(source, detector.probabilities_before(source, Reporter()))
    is_flood = water_mask(now, grow=detector.grow_percent) & ~water_mask(past, grow=detector.grow_percent)
    assert iou(is_flood, flood) > 0.93
    assert is_flood[river | tarmac].mean() < 0.03
    assert "thresholds_before" in detector.diagnostics()["change"]


def test_before_asked_first_gives_the_same():
    truth = lake()
    source = ArrayScene(scene(truth), scene(np.zeros_like(truth), 5))
    first, second = ThresholdDetector(), ThresholdDetector()
    join(source, first.probabilities(source, Reporter()))
    np.testing.assert_array_equal(
        join(source, first.probabilities_before(source, Reporter())),
        join(source, second.probabilities_before(source, Reporter())),
    )


def test_a_detector_forgets_the_scene_that_it_mapped_last():
    truth = lake()
    nothing = np.zeros_like(truth)
    first = ArrayScene(scene(truth), scene(nothing, 5))
    second = ArrayScene(scene(truth, 6, wet=(-17, -23), dry=(-8, -14)), scene(nothing, 7, dry=(-8, -14)))
    used, fresh = ThresholdDetector(prior_tiles=1.0), ThresholdDetector(prior_tiles=1.0)
    join(first, used.probabilities(first, Reporter()))
    np.testing.assert_array_equal(
        join(second, used.probabilities_before(second, Reporter())),
        join(second, fresh.probabilities_before(second, Reporter())),
    )
    assert used == fresh  # constants alone make two detectors equal


def test_levels_follow_the_scene_as_far_as_tiles_tell():
    truth = lake((512, 512))
    values = scene(truth, wet=(-17.5, -23.0), dry=(-8.0, -14.0))  # noise lifts everything
    detector = ThresholdDetector(prior_tiles=2.0)
    source = ArrayScene(values)
    found = join(source, detector.probabilities(source, Reporter()))
    facts = detector.diagnostics()["thresholds"]["VH"]
    assert facts["source"] == "tiles"
    assert facts["tiles_used"] >= 4
    assert USUAL_LEVELS["VH"].land_db + 1 < facts["land_db"] < -14
    assert USUAL_LEVELS["VH"].water_db + 1 < facts["water_db"] < -22
    assert iou(water_mask(found, grow=20), truth) > 0.93


def test_diagnostics_are_json_with_histograms_that_count_the_pixels():
    values = scene(lake())
    values[:, :40] = np.nan
    detector = ThresholdDetector()
    assert detector.diagnostics() == {}
    source = ArrayScene(values)
    join(source, detector.probabilities(source, Reporter()))
    facts = json.loads(json.dumps(detector.diagnostics(), allow_nan=False))
    for pol in ("VV", "VH"):
        histogram = facts["histograms"][pol]
        assert len(histogram["edges_db"]) == len(histogram["counts"]) + 1
        assert sum(histogram["counts"]) == 256 * 216
        assert facts["thresholds"][pol]["seed_db"] < facts["thresholds"][pol]["value_db"]
    assert math.isclose(sum(facts["thresholds"][pol]["weight"] for pol in ("VV", "VH")), 1, abs_tol=0.01)


def test_cancel_is_heard_in_both_passes():
    reporter = Reporter()
    source = ArrayScene(scene(lake()))
    strips = ThresholdDetector(strip_rows=16).probabilities(source, reporter)
    next(strips)
    reporter.token.cancel()
    with pytest.raises(Cancelled):
        next(strips)
    with pytest.raises(Cancelled):
        next(ThresholdDetector().probabilities(source, reporter))


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (300, 2)])
def test_tiny_scenes_have_a_result(shape):
    assert np.isfinite(run(ArrayScene(scene(np.zeros(shape, bool))))).all()


def test_statistics_of_a_huge_scene_read_a_bounded_even_sample():
    rows = sample_rows(Window(0, 0, 16_000, 25_000))
    assert sum(w.height * w.width for w in rows) <= BUDGET_PIXELS
    assert rows[0].row == 0
    assert rows[-1].row_stop == 16_000
    assert rows == sample_rows(Window(0, 0, 16_000, 25_000))
    small = sample_rows(Window(-100, -50, 1000, 600))
    assert sum(w.height for w in small) == 1000
    assert small[0] == Window(-100, -50, STRIP, 600)


@pytest.mark.skipif(len(CHIPS) < 8, reason="the shared real chips are not beside the checkout")
def test_the_shared_chips_reach_the_accuracy_asked_for():
    import rasterio

    hits = union = 0
    wet_scores, false_alarms = [], {}
    for path in CHIPS:
        with rasterio.open(path) as source:
            values = source.read()
        with rasterio.open(path.with_name(path.name.replace("_S1", "_label"))) as source:
            labels = source.read(1)
        detector = ThresholdDetector()
        chip = ArrayScene(values)
        mask = water_mask(join(chip, detector.probabilities(chip, Reporter())), grow=detector.grow_percent)
        scored = (labels >= 0) & np.isfinite(values).any(axis=0)
        mask, truth = mask[scored], labels[scored] == 1
        hits, union = hits + (mask & truth).sum(), union + (mask | truth).sum()
        if truth.mean() >= 0.01:
            wet_scores.append(iou(mask, truth))
        else:
            false_alarms[path.stem] = (mask & ~truth).mean()
    assert hits / union >= 0.86
    assert len(wet_scores) == 5
    assert np.mean(wet_scores) >= 0.70
    assert max(false_alarms.values()) < 0.01, false_alarms
