"""What carries over from place to place: the pixel networks of the study, and figures by place."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def parts(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    for name in [name for name in sys.modules if name == "starters" or name.startswith("starters.")]:
        monkeypatch.delitem(sys.modules, name)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield {
        name: importlib.import_module(f"starters.{name}") for name in ("pixel_net", "more_places", "landcover_forest")
    }
    torch.set_num_threads(before)


def test_pixels_of_simulated_scenes_are_of_known_classes_and_each_scene_is_a_place(parts):
    first, second = parts["more_places"].of_simulated(2)
    assert first.place != second.place
    for one in (first, second):
        assert one.reflectance.shape == (len(one.codes), 7) and np.isfinite(one.reflectance).all()
        assert set(one.codes.tolist()) <= {10, 20, 30, 40, 50, 60, 80, 90}
    water = first.reflectance[first.codes == 80]
    assert water[:, 5].mean() < 0.05 < first.reflectance[first.codes == 10][:, 4].mean(), "SWIR1 of water, NIR of trees"


def test_a_pixel_network_tells_classes_apart_and_places_weigh_as_balance_says(parts, monkeypatch):
    net, pixels = parts["pixel_net"], parts["more_places"].Pixels
    monkeypatch.setattr(net, "STEPS", 60)
    draw = np.random.default_rng(0)
    water = np.abs(draw.normal(0.03, 0.01, (200, 7))).astype(np.float32)
    trees = np.abs(draw.normal([0.02, 0.03, 0.05, 0.04, 0.3, 0.15, 0.07], 0.01, (200, 7))).astype(np.float32)
    groups = [pixels(water, np.full(200, 80), "1"), *(pixels(trees, np.full(200, 10), "2") for _ in range(3))]
    for balance, share in ((0.0, 0.25), (1.0, 0.5)):
        one = net.PixelNet(groups, balance=balance, noise=0.1, members=1)
        assert one.shares[7] == pytest.approx(share)
    sure = one.probabilities(np.concatenate([water, trees]))
    assert np.allclose(sure.sum(1), 1, atol=1e-5)
    right = np.concatenate([sure[:200].argmax(1) == 7, sure[200:].argmax(1) == 0])
    assert right.mean() > 0.97


def test_matrices_count_pixels_with_a_label_and_add_up_by_place(parts):
    forest = parts["landcover_forest"]
    truth, mapped = np.array([[10, 10, 0], [40, 80, 40]]), np.array([[10, 30, 30], [40, 80, 30]])
    found = forest.matrix_of(truth, mapped)
    assert found.sum() == 5 and found[0, 0] == found[0, 2] == found[3, 3] == found[3, 2] == found[7, 7] == 1
    whole = forest.by_place(np.stack([found, 2 * found, 3 * found]), ["7", "2", "7"])
    assert (whole == np.stack([2 * found, 4 * found])).all(), "places by name: 2, then 7"
