"""Augmentation: joint geometry keeps pairs aligned, masks travel, labels stay codes, invalid pixels never enter."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator

from engine.training.data.augment import (
    AGGRESSIVE,
    Geometry,
    Photometry,
    aggressive_view,
    joint_geometry,
    photometry,
)
from engine.training.data.photometry import draw_changes
from engine.training.views import gentle, jittered

torch.set_num_threads(1)


def batch(number=4, side=12, holes=0.0, seed=0):
    """Every layer holds the pixel's own place, so that any disagreement of geometry shows."""
    place = torch.arange(number * side * side, dtype=torch.float32).view(number, 1, side, side)
    valid = torch.rand((number, 1, side, side), generator=Generator().manual_seed(seed)) >= holes
    return {
        "s1": place.repeat(1, 2, 1, 1) * valid,
        "s2": place.repeat(1, 3, 1, 1) * valid,
        "s1_valid": valid,
        "s2_valid": valid.clone(),
        "label": place[:, 0].long(),
        "index": torch.arange(number),
    }


def seeded(seed=0):
    return Generator().manual_seed(seed)


@given(
    seed=st.integers(0, 1000),
    size=st.integers(1, 12),
    holes=st.sampled_from([0.0, 0.4]),
    turns=st.booleans(),
    flips=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_windows_turn_and_mirror_all_layers_alike(seed, size, holes, turns, flips):
    whole = batch(holes=holes, seed=seed)
    seen = joint_geometry(whole, Geometry(size=size, window=True, turns=turns, flips=flips), seeded(seed))
    assert seen["s1"].shape == (4, 2, size, size) and seen["label"].shape == (4, size, size)
    place = seen["label"].float()
    for sensor in ("s1", "s2"):
        valid = seen[f"{sensor}_valid"][:, 0]
        for band in seen[sensor].unbind(1):
            assert torch.equal(band, place * valid)
    assert torch.equal(seen["s1_valid"], seen["s2_valid"])
    # Validity is that of the place it came from.
    flat = whole["s1_valid"].flatten()
    assert torch.equal(seen["s1_valid"][:, 0], flat[seen["label"]])
    assert torch.equal(seen["index"], whole["index"])
    # Each sample shows its own ground only, each place once: a square that was cut, not scattered.
    for i, places in enumerate(seen["label"]):
        rows, cols = (places - i * 144) // 12, (places - i * 144) % 12
        assert rows.max() - rows.min() == cols.max() - cols.min() == size - 1
        assert places.unique().numel() == size * size


def test_all_eight_symmetries_come_up_and_only_those_asked_for():
    whole = batch(number=1, side=3)
    square = whole["label"][0]
    eight = {tuple(t.flatten().tolist()) for k in range(4) for t in (square.rot90(k), square.flip(-1).rot90(k))}
    for flips, turns, number in ((True, True, 8), (False, True, 4), (True, False, 2), (False, False, 1)):
        geometry, generator = Geometry(flips=flips, turns=turns), seeded()
        found = {tuple(joint_geometry(whole, geometry, generator)["label"][0].flatten().tolist()) for _ in range(120)}
        assert found <= eight and len(found) == number


@given(
    seed=st.integers(0, 1000),
    low=st.sampled_from([0.05, 0.2, 0.9]),
    size=st.sampled_from([5, 12, 20]),
    holes=st.sampled_from([0.0, 0.5]),
)
@settings(max_examples=30, deadline=None)
def test_resized_cuts_keep_sensors_aligned_and_values_within_what_is_valid(seed, low, size, holes):
    whole = batch(holes=holes, seed=seed)
    seen = joint_geometry(whole, Geometry(size=size, area=(low, 1.0)), seeded(seed))
    assert torch.equal(seen["s1"][:, :1], seen["s2"][:, :1])
    assert torch.equal(seen["s1_valid"], seen["s2_valid"])
    valid = seen["s1_valid"][:, 0]
    assert (seen["s1"][:, 0][~valid] == 0).all()
    assert torch.equal(valid, whole["s1_valid"].flatten()[seen["label"]])
    for i in range(4):
        here = seen["s1"][i, 0][valid[i]]
        if here.numel():
            assert here.min() >= whole["s1"][i, 0][whole["s1_valid"][i, 0]].min() - 1e-3
            assert here.max() <= whole["s1"][i, 0].max() + 1e-3
            if holes == 0 and size >= 12:
                # Bilinear values lie within about a source pixel of the nearest label.
                assert (here - seen["label"][i].float()[valid[i]]).abs().max() <= 13 + 1e-3


@given(seed=st.integers(0, 1000), low=st.sampled_from([0.05, 0.4]), size=st.sampled_from([5, 16, 21]))
@settings(max_examples=25, deadline=None)
def test_resampling_is_that_of_torch_sample_by_sample(seed, low, size):
    """Cuts, bilinear resampling and symmetries done one after another, by torch's own operations."""
    side = 16
    image = torch.randn((3, 2, side, side), generator=seeded(seed))
    whole = {"s1": image, "s1_valid": torch.ones((3, 1, side, side), dtype=torch.bool)}
    seen = joint_geometry(whole, Geometry(size=size, area=(low, 1.0)), seeded(seed))["s1"]
    generator = seeded(seed)
    uniform, codes = torch.rand((3, 3), generator=generator), torch.randint(0, 8, (3,), generator=generator)
    for i, code in enumerate(codes.tolist()):
        share, down, right = uniform[i].tolist()
        cut = max(1, min(side, round(side * (low + (1 - low) * share) ** 0.5)))
        row, col = int(down * (side - cut + 1)), int(right * (side - cut + 1))
        part = image[i : i + 1, :, row : row + cut, col : col + cut]
        part = F.interpolate(part, size=(size, size), mode="bilinear", align_corners=False, antialias=True)
        part = (part.flip(-1) if code & 1 else part).rot90(code >> 1, (-2, -1))
        torch.testing.assert_close(seen[i : i + 1], part, atol=2e-5, rtol=1e-4)


@given(seed=st.integers(0, 1000), holes=st.sampled_from([0.0, 0.3]), side=st.sampled_from([3, 20, 150]))
@settings(max_examples=12, deadline=None)
def test_blur_is_a_weighted_mean_of_the_valid_neighbours(seed, holes, side):
    valid = torch.rand((2, 1, side, side), generator=seeded(seed)) >= holes
    image = torch.randn((2, 2, side, side), generator=seeded(seed + 1)) * valid
    only = Photometry(gain=0, offset=0, drop=0, speckle=0, blur=1.0)
    drawn = draw_changes(image, only, seeded(seed), speckle=False)
    seen = photometry(image, valid, only, seeded(seed))
    for i in range(2):
        at = torch.arange(-3, 4).float()
        taps = torch.exp(-0.5 * (at / drawn.sigma[i]) ** 2)
        taps = taps * (taps > 1e-3)
        kernel = (taps[:, None] * taps)[None, None]
        total = F.conv2d(image[i][:, None], kernel, padding=3)[:, 0]
        weight = F.conv2d(valid[i][:, None].float(), kernel, padding=3)[:, 0]
        torch.testing.assert_close(seen[i], total / weight.clamp_min(1e-6) * valid[i], atol=1e-5, rtol=1e-4)


def test_a_view_is_geometry_and_then_photometry():
    whole = {k: v[:, :1].repeat(40, 1, 1, 1) if v.ndim == 4 else v for k, v in batch(side=20, holes=0.1).items()}
    whole = {"s2": whole["s2"] / 1000, "s2_valid": whole["s2_valid"]}
    quiet = Photometry(gain=0, offset=0, drop=0, speckle=0, blur=0)
    seen, valid = aggressive_view(whole, "s2", seeded(3), settings=quiet)
    apart = joint_geometry(whole, AGGRESSIVE, seeded(3))
    assert torch.equal(seen, apart["s2"]) and torch.equal(valid, apart["s2_valid"])


def test_a_constant_stays_constant_whatever_is_missing():
    whole = batch(holes=0.5)
    whole["s1"] = torch.full_like(whole["s1"], 3.5) * whole["s1_valid"]
    seen = joint_geometry(whole, Geometry(size=9, area=(0.2, 1.0)), seeded())
    valid = seen["s1_valid"].expand_as(seen["s1"])
    assert torch.allclose(seen["s1"][valid], torch.tensor(3.5)) and (seen["s1"][~valid] == 0).all()
    blurred = photometry(
        whole["s1"], whole["s1_valid"], Photometry(gain=0, offset=0, drop=0, speckle=0, blur=1.0), seeded()
    )
    valid = whole["s1_valid"].expand_as(blurred)
    assert torch.allclose(blurred[valid], torch.tensor(3.5)) and (blurred[~valid] == 0).all()


def test_the_same_generator_gives_the_same_views_and_another_does_not():
    whole = batch(side=16)
    one = aggressive_view(whole, "s1", seeded(1), db_std=(4.0, 5.0))
    two = aggressive_view(whole, "s1", seeded(1), db_std=(4.0, 5.0))
    other = aggressive_view(whole, "s1", seeded(2), db_std=(4.0, 5.0))
    assert torch.equal(one[0], two[0]) and torch.equal(one[1], two[1])
    assert not torch.equal(one[0], other[0])


def test_nothing_is_changed_in_place():
    whole = batch(side=16, holes=0.2)
    before = {k: v.clone() for k, v in whole.items()}
    joint_geometry(whole, Geometry(area=(0.2, 1.0)), seeded())
    aggressive_view(whole, "s1", seeded(), settings=Photometry(blur=1, speckle=1, drop=0.5), db_std=(4.0, 5.0))
    assert all(torch.equal(whole[k], before[k]) for k in before)


@pytest.mark.parametrize("looks", [1, 4, 16])
def test_speckle_is_gamma_distributed_with_the_looks_asked_for(looks):
    image, valid = torch.zeros((2, 2, 128, 128)), torch.ones((2, 1, 128, 128), dtype=torch.bool)
    only = Photometry(gain=0, offset=0, blur=0, drop=0, speckle=1.0, looks=looks)
    seen = photometry(image, valid, only, seeded(), db_std=(2.0, 5.0))
    power = 10 ** (seen * torch.tensor([2.0, 5.0]).view(1, 2, 1, 1) / 10)
    assert power.mean().item() == pytest.approx(1.0, abs=0.03)
    assert (power.mean() ** 2 / power.var()).item() == pytest.approx(looks, rel=0.08)
    assert torch.equal(photometry(image, valid, only, seeded()), image)  # no speckle without decibels


def test_gain_and_offset_stay_in_their_ranges_and_act_by_band():
    image, valid = torch.ones((50, 6, 4, 4)), torch.ones((50, 1, 4, 4), dtype=torch.bool)
    seen = photometry(image, valid, Photometry(gain=0.2, offset=0.3, blur=0, drop=0, speckle=0), seeded())
    level = seen[:, :, 0, 0]
    assert torch.equal(seen, level[:, :, None, None].expand_as(seen))
    assert 0.5 <= level.min() < 0.6 and 1.4 < level.max() <= 1.5
    assert level.unique().numel() == 300


def test_jitter_keeps_the_geometry_of_the_gentle_view_and_changes_each_band_by_a_line_of_its_own():
    whole = batch(number=20, side=6, holes=0.3)
    plain = gentle(("s1", "s2"))(whole, seeded(3))
    seen = jittered(("s1", "s2"), gain=0.5, offset=1.0)(whole, seeded(3))
    lines = []
    for name in ("s1", "s2"):
        valid = plain[f"{name}_valid"]
        assert torch.equal(seen[f"{name}_valid"], valid)
        assert (seen[name][~valid.expand_as(seen[name])] == 0).all()
        for sample, band in np.ndindex(*plain[name].shape[:2]):
            x, y = (v[name][sample, band][valid[sample, 0]].double().numpy() for v in (plain, seen))
            slope, start = np.polyfit(x, y, 1)
            np.testing.assert_allclose(slope * x + start, y, atol=1e-2)
            lines.append((slope, start))
    slopes, starts = np.array(lines).T
    assert 0.5 <= slopes.min() < 0.7 and 1.3 < slopes.max() <= 1.5
    assert -1.05 <= starts.min() < -0.5 and 0.5 < starts.max() <= 1.05
    assert len(np.unique(slopes.round(6))) > 90


def test_bands_are_dropped_at_the_rate_asked_for_but_never_all():
    image, valid = torch.ones((2000, 2, 1, 1)), torch.ones((2000, 1, 1, 1), dtype=torch.bool)
    none = {"gain": 0.0, "offset": 0.0, "blur": 0.0, "speckle": 0.0}
    for rate in (0.1, 1.0):
        kept = photometry(image, valid, Photometry(drop=rate, **none), seeded())[:, :, 0, 0]
        assert (kept.sum(dim=1) >= 1).all()
        dropped = 1 - kept.mean().item()
        # Two bands: both would go with rate², then one of them stays.
        assert dropped == pytest.approx(rate - rate**2 / 2, abs=0.02)


def test_blur_spreads_a_point_and_keeps_its_sum():
    image = torch.zeros((1, 1, 21, 21))
    image[0, 0, 10, 10] = 1.0
    valid = torch.ones((1, 1, 21, 21), dtype=torch.bool)
    seen = photometry(image, valid, Photometry(gain=0, offset=0, drop=0, speckle=0, blur=1.0), seeded())[0, 0]
    assert seen.sum().item() == pytest.approx(1.0, abs=1e-3) and seen.max() < 1
    assert torch.allclose(seen, seen.T, atol=1e-6) and torch.allclose(seen, seen.flip(0), atol=1e-6)


def test_a_window_larger_than_the_square_is_refused():
    with pytest.raises(ValueError, match="cannot be cut"):
        joint_geometry(batch(side=8), Geometry(size=9, window=True), seeded())


def test_half_precision_and_one_sensor_alone():
    alone = {k: v for k, v in batch().items() if k.startswith("s1")}
    alone["s1"] = (alone["s1"] / 600).to(torch.bfloat16)
    seen, valid = aggressive_view(alone, "s1", seeded(), db_std=(4.0, 5.0))
    assert seen.dtype == torch.bfloat16 and valid.dtype == torch.bool and torch.isfinite(seen.float()).all()
    assert np.isfinite(seen.float().numpy()).all()
