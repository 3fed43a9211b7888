"""Spatial blocks, folds, the linear head and its choice."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from torch.nn import functional as F

from engine.raster.grid import Grid
from engine.training.labels.blocks import block_side, split_by_block
from engine.training.labels.figures import held_out
from engine.training.labels.logistic import class_balance, cross_entropy, fit_logistic
from engine.training.labels.pixels import LabelPixels
from engine.training.labels.selection import CHOICES, Choice, Waves, select
from engine.training.rng import step_generator
from tests.engine.label_scenes import UTM

GRID = Grid(400, 400, UTM, CRS.from_epsg(32633))


def pixels_of(squares, classes, side=5):
    """Square features with their upper-left corners, each a unit."""
    rows, cols, klass, unit = [], [], [], []
    for number, ((row, col), k) in enumerate(zip(squares, classes, strict=True)):
        r, c = np.mgrid[row : row + side, col : col + side]
        rows.append(r.ravel())
        cols.append(c.ravel())
        klass.append(np.full(side * side, k))
        unit.append(np.full(side * side, number))
    joined = [np.concatenate(x).astype(np.int64) for x in (rows, cols, klass, unit)]
    return LabelPixels(GRID, *joined, np.bincount(classes, minlength=max(classes) + 1).astype(np.int64))


squares = st.lists(st.tuples(st.integers(0, 390), st.integers(0, 390), st.integers(0, 2)), min_size=1, max_size=25)


@settings(max_examples=60, deadline=None)
@given(squares, st.one_of(st.none(), st.floats(20, 5000)), st.integers(0, 5))
def test_no_unit_and_no_block_is_on_both_sides(found, side, seed):
    pixels = pixels_of([(r, c) for r, c, _ in found], [k for _, _, k in found])
    blocks = split_by_block([pixels], 3, side_m=side, seed=seed)
    for unit in np.unique(pixels.unit):
        assert len(np.unique(blocks.fold[pixels.unit == unit])) == 1
        assert len(np.unique(blocks.block[pixels.unit == unit])) == 1
    for block in range(blocks.count):
        assert len(np.unique(blocks.fold[blocks.block == block])) == 1
    assert blocks.folds == (0 if blocks.count < 2 else min(5, blocks.count))
    if side is not None:  # brute force: the middle of each square
        for unit, (row, col, _) in enumerate(found):
            own = (int((row + 2.5) * 10 // side), int((col + 2.5) * 10 // side))
            alike = [
                i
                for i, (r, c, _) in enumerate(found)
                if (int((r + 2.5) * 10 // side), int((c + 2.5) * 10 // side)) == own
            ]
            same = {int(pixels.unit[i]) for i in np.flatnonzero(blocks.block == blocks.block[pixels.unit == unit][0])}
            assert same == set(alike)


def test_a_class_in_two_blocks_is_on_both_sides():
    rng = np.random.default_rng(0)
    for seed in range(20):
        places = [(int(r), int(c)) for r, c in rng.integers(0, 390, (14, 2))]
        classes = [0] * 8 + [1] * 4 + [2] * 2
        pixels = pixels_of(places, classes)
        blocks = split_by_block([pixels], 3, seed=seed)
        several = blocks.class_blocks > 1
        assert (blocks.class_folds[several] > 1).all()


def test_the_default_block_gives_several_of_each_class():
    pixels = pixels_of(
        [(20 * i, 20 * j) for i in range(19) for j in range(19)], [(i + j) % 3 for i in range(19) for j in range(19)]
    )
    side = block_side([pixels], 3)
    blocks = split_by_block([pixels], 3)
    assert blocks.side_m == side
    assert blocks.count >= 10
    assert (blocks.class_blocks >= 3).all()
    assert side > 500  # no smaller than it must be


def test_scenes_are_split_together_but_never_joined():
    one, two = pixels_of([(0, 0), (200, 200)], [0, 1]), pixels_of([(0, 0), (200, 200)], [0, 1])
    blocks = split_by_block([one, two], 2, side_m=1000)
    assert blocks.count == 4
    assert len(blocks.block) == len(one) + len(two)


def test_the_folds_depend_on_the_seed_alone():
    pixels = pixels_of(
        [(20 * i, 20 * j) for i in range(10) for j in range(10)], [(i * j) % 2 for i in range(10) for j in range(10)]
    )
    first, again, other = (split_by_block([pixels], 2, side_m=300, seed=s).fold for s in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def drawn(count=300, inputs=4, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, count)
    centres = rng.normal(0, 1.5, (classes, inputs))
    return centres[labels] + rng.normal(0, 1, (count, inputs)), labels


def test_logistic_regression_finds_the_minimum():
    inputs, labels = drawn()
    found = fit_logistic(inputs, labels, 3, penalty=0.01, tolerance=1e-12)
    weight = torch.tensor(found.weight, requires_grad=True)
    bias = torch.tensor(found.bias, requires_grad=True)
    share = torch.from_numpy(class_balance(labels, 3) / len(labels))
    entropy = F.cross_entropy(torch.from_numpy(inputs) @ weight + bias, torch.from_numpy(labels), reduction="none")
    loss = (entropy * share).sum() + 0.01 * (weight**2).sum()
    loss.backward()
    assert weight.grad is not None
    assert float(weight.grad.abs().max()) < 1e-5
    ours = cross_entropy(found.logits(inputs), labels)
    assert np.allclose(ours, entropy.detach().numpy())
    again = fit_logistic(inputs, labels, 3, penalty=0.01, tolerance=1e-12)
    assert (again.weight == found.weight).all()


def test_large_polygons_do_not_drown_small_ones():
    labels = np.array([0] * 90 + [0] * 10 + [1] * 25)
    units = np.array([0] * 90 + [1] * 10 + [2] * 25)
    weights = class_balance(labels, 2, units)
    assert weights.mean() == pytest.approx(1)
    of_class = [weights[labels == k].sum() for k in range(2)]
    assert of_class[0] / of_class[1] == pytest.approx((100 / 25) ** 0.5)
    of_unit = [weights[units == u].sum() for u in range(2)]
    assert of_unit[0] / of_unit[1] == pytest.approx((90 / 10) ** 0.5)
    assert class_balance(labels, 2)[0] == pytest.approx(class_balance(labels, 2)[95])


def test_a_class_without_labels_stays_unlikely_and_finite():
    inputs, labels = drawn(classes=2)
    found = fit_logistic(inputs, labels, 3, penalty=0.01)
    logits = found.logits(inputs)
    assert np.isfinite(logits).all()
    assert (logits.argmax(1) < 2).all()


def test_held_out_logits_come_from_heads_without_the_fold():
    inputs, labels = drawn(200)
    fold = np.arange(200) % 4
    waves = Waves.drawn(4, step_generator("cpu", 0))
    choices = (Choice(0.01), Choice(0.003, waves=True))
    found = select(inputs, labels, fold, np.arange(200), np.arange(200), 3, waves=waves, choices=choices)
    assert np.isfinite(found.held_out).all()
    # Turning the labels of one fold round must not move what is said of that fold.
    turned = np.where(fold == 2, (labels + 1) % 3, labels)
    other = select(inputs, turned, fold, np.arange(200), np.arange(200), 3, waves=waves, choices=choices[:1])
    single = select(inputs, labels, fold, np.arange(200), np.arange(200), 3, waves=waves, choices=choices[:1])
    assert np.allclose(other.held_out[fold == 2], single.held_out[fold == 2])
    assert not np.allclose(other.held_out[fold == 1], single.held_out[fold == 1])


@pytest.mark.parametrize("folds", [1, 2, 3])
def test_few_folds_are_no_fault(folds):
    inputs, labels = drawn(120)
    waves = Waves.drawn(4, step_generator("cpu", 0))
    found = select(inputs, labels, np.arange(120) % folds, np.arange(120), np.arange(120), 3, waves=waves)
    assert found.choice in CHOICES
    assert np.isnan(found.held_out).all() == (folds == 1)
    measured = held_out(found.held_out, labels, np.arange(120) % folds, np.arange(120) % 12, 3)
    assert (measured.figures()["overall_accuracy"]["value"] is None) == (folds == 1)


def test_figures_are_those_of_the_matrix():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 400)
    scores = rng.normal(0, 1, (400, 3)) + 2 * np.eye(3)[labels]
    fold, block = np.arange(400) // 10 % 4, np.arange(400) // 10
    measured = held_out(scores, labels, fold, block, 3)
    mapped = scores.argmax(1)
    figures = measured.figures()
    assert figures["overall_accuracy"]["value"] == pytest.approx((mapped == labels).mean())
    ious = [((mapped == k) & (labels == k)).sum() / ((mapped == k) | (labels == k)).sum() for k in range(3)]
    assert figures["miou"]["value"] == pytest.approx(np.mean(ious))
    assert figures["overall_accuracy"]["n"] == 40
    one = measured.of_class(1)
    assert one["precision"]["value"] == pytest.approx((labels[mapped == 1] == 1).mean())
    assert one["recall"]["value"] == pytest.approx((mapped[labels == 1] == 1).mean())
    assert measured.tables.sum() == 400
    assert 0 <= measured.unknown_below(0.05) < 1


def test_a_class_in_one_fold_is_not_judged():
    labels = np.array([0, 0, 1, 1, 2, 2])
    fold = np.array([0, 1, 0, 1, 0, 0])
    measured = held_out(np.eye(3)[labels], labels, fold, np.arange(6), 3)
    assert measured.judged.tolist() == [True, True, False]
    assert measured.matrices.sum() == 4
    assert measured.of_class(2)["iou"]["value"] is None
