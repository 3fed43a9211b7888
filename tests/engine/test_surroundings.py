"""Crops of the places in a cell are those that would be cut one by one, wherever imagery is missing."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
import torch

from engine.crossview.cells import distance_m
from engine.crossview.crops import Cropper
from engine.crossview.imagery import Imagery
from engine.crossview.patchwork import Patchwork
from engine.crossview.search.surroundings import Surroundings
from engine.raster.read import open_raster
from tests.engine import locate_world as world
from tests.engine.test_patchwork import write

SCALE = 0.5


@pytest.fixture
def cropper(tmp_path):
    """Of one file with a hole in it, and of a second that has the east of that hole."""
    values = np.random.default_rng(1).integers(1, 255, (3, 480, 480), dtype=np.uint8)
    values = np.kron(values[:, ::4, ::4], np.ones((1, 4, 4), np.uint8))
    first, second = values.copy(), values[:, :, 240:].copy()
    first[:, 200:290, 200:300] = 0
    with ExitStack() as stack:

        def opened(path, left):
            write(path, first if left == 0 else second, left=left, nodata=0)
            return Cropper(Imagery(stack.enter_context(open_raster(str(path)))), side=48)

        croppers = opened(tmp_path / "a.tif", 0), opened(tmp_path / "b.tif", 240)
        yield Patchwork(croppers), croppers[0]


def around(count=5):
    draw = np.random.default_rng(2)
    return np.array([world.at(*draw.uniform(-60, 60, 2)) for _ in range(count)]).T


@pytest.mark.parametrize("cell_m", [10.0, 30.0, 400.0])
@pytest.mark.parametrize("patched", [True, False])
def test_a_window_of_the_whole_is_the_crop_around_the_place(cropper, cell_m, patched):
    """Of cells so large that their places share little ground each is cut for itself."""
    cuts = cropper[0] if patched else cropper[1]
    lon, lat = around()
    places = Surroundings(cuts, cell_m, SCALE)
    found = places.cut(lon, lat)
    assert len(found) == len(places) == 9 and found[0].pixels.shape == (5, 3, 48, 48)
    each = cuts.cut(*places.places(lon, lat), SCALE)
    observed = np.stack([one.observed for one in found], axis=1).ravel()
    np.testing.assert_allclose(observed, each.observed, atol=2e-3)
    assert patched or cell_m == 400 or (each.observed < 0.9).any()
    apart = (torch.stack([one.pixels for one in found], dim=1).flatten(0, 1) - each.pixels).abs()
    assert float(apart.mean()) < 2e-3 and float(torch.quantile(apart.flatten()[::7], 0.999)) < 0.06


@pytest.mark.parametrize("cell_m", [10.0, 30.0, 400.0])
def test_places_lie_evenly_in_a_cell_the_middle_first(cropper, cell_m):
    lon, lat = around(3)
    tried_lon, tried_lat = (a.reshape(3, 9) for a in Surroundings(cropper[0], cell_m, SCALE).places(lon, lat))
    assert np.array_equal(tried_lon[:, 0], lon) and np.array_equal(tried_lat[:, 0], lat)
    away = np.sort(distance_m(tried_lon, tried_lat, lon[:, None], lat[:, None]), axis=1)
    step = cell_m / 3
    expected = [0] + [step] * 4 + [step * 2**0.5] * 4
    np.testing.assert_allclose(away, np.tile(expected, (3, 1)), atol=SCALE)
    assert len({(round(a, 9), round(b, 9)) for a, b in zip(tried_lon[0], tried_lat[0], strict=True)}) == 9
