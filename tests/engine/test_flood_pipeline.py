"""Laws of the streamed flood pipeline, with a detector whose probabilities are given."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio.crs import CRS
from scipy import ndimage

from engine.errors import Cancelled
from engine.events import CancelToken, Reporter
from engine.mapping.flood.arrays import ArraySink
from engine.mapping.flood.classes import DRY, FLOOD, HIGH, NOT_OBSERVED, OUTSIDE, REFERENCE_WATER, SET_ASIDE, WATER
from engine.mapping.flood.pipeline import WaterRule, map_water, to_percent
from engine.mapping.flood.totals import TotalsSink
from engine.raster.grid import Grid

UTM = CRS.from_epsg(32633)


def grid_of(shape: tuple[int, int]) -> Grid:
    return Grid(*shape, Affine(10, 0, 500_000, 0, -10, 4_000_000), UTM)


class Scene:
    """A SceneReader without pixels: the detector knows the probabilities."""

    polarisations = ("VV",)

    def __init__(self, grid: Grid, has_before: bool) -> None:
        self.grid, self.context, self.has_before = grid, grid.window, has_before

    def read(self, window):
        return np.zeros((2, *window.shape), np.float32)

    read_before = read


class Detector:
    """Hands out given probabilities in strips of ``rows``."""

    name = "given"

    def __init__(self, now: np.ndarray, before: np.ndarray | None = None, *, rows: int, grow: int = 30) -> None:
        self.now, self.before, self.rows, self.grow_percent = now, before, rows, grow

    def _strips(self, scene, values, reporter):
        for strip in scene.grid.strips(self.rows):
            reporter.check()
            yield strip.core, values[strip.core.within(scene.grid.window)]

    def probabilities(self, scene, reporter):
        return self._strips(scene, self.now, reporter)

    def probabilities_before(self, scene, reporter):
        return self._strips(scene, self.before, reporter)

    def diagnostics(self):
        return {}


class Ground:
    """Surroundings from arrays."""

    def __init__(self, grid, *, reference=None, terrain=None, region=None) -> None:
        self.grid, self.reference, self.terrain, self.region = grid, reference, terrain, region
        self.has_reference, self.has_terrain = reference is not None, terrain is not None

    def _cut(self, values, window):
        return values[window.within(self.grid.window)]

    def reference_water(self, window):
        if self.reference is None:
            return np.full(window.shape, 2, np.uint8)
        return self._cut(self.reference, window)

    def terrain_reason(self, window, doubtful):
        return np.where(doubtful, self._cut(self.terrain, window), 0).astype(np.uint8)

    def outside(self, window):
        return None if self.region is None else ~self._cut(self.region, window)


def run(now, before=None, *, rows=3, grow=30, rule=None, reporter=None, **ground):
    grid = grid_of(now.shape)
    arrays, totals = ArraySink(grid), TotalsSink(cut=(rule or WaterRule()).cut)
    with tempfile.TemporaryDirectory() as folder:
        map_water(
            Scene(grid, before is not None),
            Detector(now, before, rows=rows, grow=grow),
            Ground(grid, **ground),
            rule=rule or WaterRule(cut=50, min_area=0),
            sinks=[arrays, totals],
            folder=Path(folder),
            reporter=reporter or Reporter(),
        )
    return arrays.arrays.codes, arrays.arrays.probability, totals


shapes = st.tuples(st.integers(1, 12), st.integers(1, 12))
probabilities = st.one_of(st.floats(0, 1, width=32), st.just(np.nan))


def fields(data, shape, *, before: bool):
    now = data.draw(hnp.arrays(np.float32, shape, elements=probabilities))
    past = data.draw(hnp.arrays(np.float32, shape, elements=probabilities)) if before else None
    return now, past


@settings(max_examples=120, deadline=None)
@given(st.data(), shapes, st.integers(1, 99), st.integers(0, 1500), st.booleans(), st.booleans())
def test_strips_do_not_matter_and_probability_agrees_with_the_map(
    data, shape, cut, min_area, with_before, with_reference
):
    now, before = fields(data, shape, before=with_before)
    ground = {}
    if with_reference:
        ground["reference"] = data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 2)))
    rule = WaterRule(cut=cut, min_area=min_area)
    codes, percent, totals = run(now, before, rows=shape[0], rule=rule, **ground)
    again = run(now, before, rows=data.draw(st.integers(1, 4)), rule=rule, **ground)
    np.testing.assert_array_equal(codes, again[0])
    np.testing.assert_array_equal(percent, again[1])

    np.testing.assert_array_equal(codes == NOT_OBSERVED, np.isnan(now))
    np.testing.assert_array_equal(percent == NOT_OBSERVED, np.isnan(now))
    water = np.isin(codes, (REFERENCE_WATER, FLOOD, WATER))
    judged = ~np.isnan(now)
    if with_reference:  # water that a mask says is there need not be seen
        judged &= ground["reference"] != 1
    np.testing.assert_array_equal(water[judged], percent[judged] >= cut)
    assert sum(totals.pixels.values()) == codes.size
    assert totals.low <= totals.best <= totals.high


@settings(max_examples=80, deadline=None)
@given(st.data(), shapes, st.integers(0, 1500))
def test_without_reference_it_is_hysteresis_and_minimum_area(data, shape, min_area):
    now, _ = fields(data, shape, before=False)
    codes, _, _ = run(now, rows=2, rule=WaterRule(cut=60, min_area=min_area), grow=40)
    percent = to_percent(now)
    labels, count = ndimage.label((percent >= 40) & (percent <= 100), np.ones((3, 3)))
    expected = np.zeros(shape, bool)
    for label in range(1, count + 1):
        body = labels == label
        # A UTM pixel of 100 m² is about 100.05 m² on the ellipsoid at the central meridian.
        if percent[body].max() >= 60 and body.sum() * 100.08 >= min_area:
            expected |= body
    np.testing.assert_array_equal(codes == WATER, expected)


def test_before_and_reference_tell_flood_from_permanent_water():
    now = np.array([[0.9, 0.9, 0.9, 0.1, 0.9, np.nan]], np.float32)
    before = np.array([[0.9, 0.1, np.nan, 0.9, 0.1, 0.9]], np.float32)
    codes, _, _ = run(now, before)
    assert codes.tolist() == [[REFERENCE_WATER, FLOOD, WATER, DRY, FLOOD, NOT_OBSERVED]]
    reference = np.array([[0, 0, 0, 1, 1, 1]], np.uint8)
    codes, _, _ = run(now, before, reference=reference)
    assert codes.tolist() == [[REFERENCE_WATER, FLOOD, FLOOD, REFERENCE_WATER, REFERENCE_WATER, NOT_OBSERVED]]


def test_slivers_of_flood_at_a_shore_belong_to_the_reference_water():
    now = np.full((20, 20), 0.9, np.float32)
    reference = np.ones((20, 20), np.uint8)
    reference[:, 19] = 0
    codes, _, _ = run(now, reference=reference, rule=WaterRule(min_area=2500))
    assert (codes == REFERENCE_WATER).all()
    reference[:, 10:] = 0
    codes, _, _ = run(now, reference=reference, rule=WaterRule(min_area=2500))
    assert (codes[:, 10:] == FLOOD).all()


def test_implausible_water_is_set_aside_and_land_is_not():
    now = np.array([[0.9, 0.9, 0.1, 0.9]], np.float32)
    terrain = np.array([[0, HIGH, HIGH, 0]], np.uint8)
    region = np.array([[True, True, True, False]])
    codes, percent, totals = run(now, terrain=terrain, region=region)
    assert codes.tolist() == [[WATER, SET_ASIDE, DRY, SET_ASIDE]]
    assert percent[0, 1] == percent[0, 3] == NOT_OBSERVED
    assert totals.reasons[HIGH] == pytest.approx(100, rel=1e-3)
    assert totals.reasons[OUTSIDE] == pytest.approx(100, rel=1e-3)
    assert totals.observed_percent == pytest.approx(100 * 2 / 3, rel=1e-6)


def test_cancel_stops_and_leaves_no_scratch_file(tmp_path):
    token = CancelToken()

    class Stop(Detector):
        def probabilities(self, scene, reporter):
            yield from super().probabilities(scene, reporter)
            token.cancel()

    grid = grid_of((9, 4))
    with pytest.raises(Cancelled):
        map_water(
            Scene(grid, False),
            Stop(np.full((9, 4), 0.9, np.float32), rows=2),
            Ground(grid),
            rule=WaterRule(),
            sinks=[],
            folder=tmp_path,
            reporter=Reporter(token=token),
        )
    assert list(tmp_path.iterdir()) == []
