"""Speckle filters against brute force and their laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.sar import speckle
from engine.sar.speckle import REFINED_LEE_HALO, boxcar, estimate_looks, refined_lee


def speckled(mean, looks: float, seed: int, shape=None) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mean = np.broadcast_to(mean, shape) if shape else mean
    return (mean * rng.gamma(looks, 1 / looks, mean.shape)).astype(np.float32)


def with_holes(power: np.ndarray, share: float, seed: int) -> np.ndarray:
    out = power.copy()
    out[np.random.default_rng(seed).random(power.shape) < share] = np.nan
    return out


def brute_boxcar(power, size):
    out = np.full(power.shape, np.nan)
    h = size // 2
    for i, j in zip(*np.nonzero(np.isfinite(power)), strict=True):
        out[i, j] = np.nanmean(power[max(0, i - h) : i + h + 1, max(0, j - h) : j + h + 1])
    return out


def brute_refined_lee(power, looks):
    """The published steps, pixel by pixel, with plain loops."""
    height, width = power.shape
    out = np.full(power.shape, np.nan)

    def at(i, j):
        return power[i, j] if 0 <= i < height and 0 <= j < width and np.isfinite(power[i, j]) else None

    def block_mean(i, j):
        values = [v for a in (-1, 0, 1) for b in (-1, 0, 1) if (v := at(i + a, j + b)) is not None]
        return float(np.mean(np.array(values, dtype=np.float64))) if values else None

    gradients = [  # weights of the four directional masks over the 3 x 3 block means
        np.array([[-1, 0, 1]] * 3),
        np.array([[-1] * 3, [0] * 3, [1] * 3]),
        np.array([[-1, -1, 0], [-1, 0, 1], [0, 1, 1]]),
        np.array([[0, -1, -1], [1, 0, -1], [1, 1, 0]]),
    ]
    halves = [
        (lambda a, b: b <= 0, lambda a, b: b >= 0),
        (lambda a, b: a <= 0, lambda a, b: a >= 0),
        (lambda a, b: a + b <= 0, lambda a, b: a + b >= 0),
        (lambda a, b: a <= b, lambda a, b: a >= b),
    ]
    facing = [((1, 0), (1, 2)), ((0, 1), (2, 1)), ((0, 0), (2, 2)), ((0, 2), (2, 0))]
    for i in range(height):
        for j in range(width):
            centre = at(i, j)
            if centre is None:
                continue
            m, far = np.empty((3, 3)), np.empty((3, 3))
            own = block_mean(i, j)
            for a in range(3):
                for b in range(3):
                    value = block_mean(i + 2 * a - 2, j + 2 * b - 2)
                    m[a, b] = own if value is None else value
                    far[a, b] = np.inf if value is None else abs(value - own)
            steps = [abs(float((g * m).sum())) for g in gradients]
            d = next(k for k, step in enumerate(steps) if step >= max(steps) - 1e-9 * own)
            (r0, c0), (r1, c1) = facing[d]
            first, second = far[r0, c0], far[r1, c1]
            inside = halves[d][0 if first < second else 1]
            if max(steps) <= 1e-9 * own or first == second or abs(first - second) <= 1e-9 * own:
                inside = lambda a, b: True  # noqa: E731
            values = [
                v for a in range(-3, 4) for b in range(-3, 4) if inside(a, b) and (v := at(i + a, j + b)) is not None
            ]
            mean, variance = float(np.mean(np.float64(values))), float(np.var(np.float64(values)))
            signal = max(variance - mean**2 / looks, 0) / (1 + 1 / looks)
            out[i, j] = mean + (signal / variance if variance > 0 else 0) * (centre - mean)
    return out


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 17), st.integers(1, 17), st.sampled_from([0.0, 0.2, 0.9]))
def test_refined_lee_equals_brute_force(seed, height, width, holes):
    power = with_holes(speckled(0.1, 3, seed, (height, width)), holes, seed)
    np.testing.assert_allclose(refined_lee(power, 4.0), brute_refined_lee(power, 4.0), rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 15), st.integers(1, 15), st.sampled_from([1, 3, 7]))
def test_boxcar_equals_brute_force(seed, height, width, size):
    power = with_holes(speckled(0.1, 3, seed, (height, width)), 0.3, seed)
    np.testing.assert_allclose(boxcar(power, size), brute_boxcar(power, size), rtol=1e-5)


@pytest.mark.parametrize("filtered", [lambda p: refined_lee(p, 4.4), lambda p: boxcar(p, 5)])
class TestLaws:
    def test_constant_stays_constant_and_holes_stay_holes(self, filtered):
        power = with_holes(np.full((40, 50), 0.037, dtype=np.float32), 0.3, 1)
        out = filtered(power)
        np.testing.assert_allclose(out[np.isfinite(power)], 0.037, rtol=1e-6)
        assert (np.isnan(out) == np.isnan(power)).all()
        assert out.dtype == np.float32

    def test_a_huge_value_in_a_hole_never_enters(self, filtered):
        power = speckled(0.05, 4, 2, (30, 30))
        power[10:14, 10:14] = np.nan
        other = power.copy()
        other[10:14, 10:14] = np.inf
        np.testing.assert_array_equal(filtered(power), filtered(other))

    def test_mean_of_a_homogeneous_area_is_kept(self, filtered):
        power = speckled(0.05, 4.4, 3, (300, 300))
        assert filtered(power).mean() == pytest.approx(power.mean(), rel=0.03)
        assert filtered(power).std() < 0.5 * power.std()

    def test_moves_with_the_picture(self, filtered):
        power = speckled(0.05, 4, 4, (40, 40))
        whole = filtered(power)
        np.testing.assert_allclose(filtered(power[5:, 7:])[3:, 3:], whole[8:, 10:], rtol=1e-6)

    def test_half_turn_turns_with_the_picture(self, filtered):
        power = with_holes(speckled(0.05, 4, 5, (33, 40)), 0.1, 5)
        np.testing.assert_allclose(filtered(power[::-1, ::-1])[::-1, ::-1], filtered(power), rtol=1e-5)

    def test_quarter_turn_turns_with_the_picture(self, filtered):
        power = speckled(0.05, 4, 6, (40, 40))
        np.testing.assert_allclose(np.rot90(filtered(np.rot90(power)), -1), filtered(power), rtol=1e-5)

    def test_strips_with_halo_equal_the_whole(self, filtered):
        power = with_holes(speckled(0.05, 4, 7, (50, 31)), 0.2, 7)
        whole = filtered(power)
        for row in range(0, 50, 9):
            top = max(0, row - REFINED_LEE_HALO)
            part = filtered(power[top : row + 9 + REFINED_LEE_HALO])[row - top : row - top + 9]
            np.testing.assert_allclose(part, whole[row : row + 9], rtol=1e-6)


def test_internal_blocks_leave_no_seam(monkeypatch):
    power = with_holes(speckled(0.05, 4, 8, (70, 75)), 0.1, 8)
    whole = refined_lee(power, 4.0)
    monkeypatch.setattr(speckle, "_BLOCK", 16)
    np.testing.assert_allclose(refined_lee(power, 4.0), whole, rtol=1e-6)


def test_edges_are_kept_better_than_by_the_boxcar():
    truth = np.full((80, 80), 0.1)
    truth[:, 40:] = 0.003
    power = speckled(truth, 4.4, 9)
    near = (slice(10, 70), slice(40, 43))  # the dark side, next to the bright one

    def error(estimate):
        return float(np.abs(np.log10(estimate[near]) - np.log10(truth[near])).mean())

    assert error(refined_lee(power, 4.4)) < 0.4 * error(boxcar(power, 7))
    assert error(refined_lee(power, 4.4)) < error(power)


@pytest.mark.parametrize("looks", [1.0, 4.4, 15.0])
def test_looks_are_estimated_although_half_the_scene_is_textured(looks):
    rng = np.random.default_rng(10)
    mean = np.full((256, 256), 0.05)
    mean[:, 128:] *= rng.gamma(2, 0.5, (256, 128))
    mean[100:] *= 7
    assert estimate_looks(with_holes(speckled(mean, looks, 11), 0.0, 0)) == pytest.approx(looks, rel=0.25)


def test_looks_without_a_whole_window_are_those_of_a_grd_product():
    assert estimate_looks(np.full((20, 20), np.nan, dtype=np.float32)) == 4.4


@pytest.mark.parametrize("size", [0, 2, -3])
def test_window_must_have_a_centre(size):
    with pytest.raises(ValueError, match="odd"):
        boxcar(np.ones((3, 3)), size)
