"""Matching without weights: against loops, on rendered ground, and where it must not be fooled."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.crossview.geometric.color import lab
from engine.crossview.geometric.correlation import (
    TurningImages,
    TurningTemplate,
    normalised,
    standing_correlation,
    turned_correlation,
    weighted,
)
from engine.crossview.geometric.layout import RingLayout
from engine.crossview.geometric.matcher import GeometricMatcher, GeometricSettings, soft_best
from engine.errors import ParameterError
from engine.panorama.ground import ground_panorama
from engine.panorama.view import PanoramaView

SMALL = GeometricSettings(layout=RingLayout(rings=8, sectors=60))


def ground(seed, side=160):
    """Patches of colour at two scales, at half a metre a pixel."""
    draw = torch.Generator().manual_seed(seed)
    layers = [
        torch.nn.functional.interpolate(torch.rand(1, 3, n, n, generator=draw), size=(side, side), mode="bicubic")
        for n in (8, 26)
    ]
    return (0.6 * layers[0] + 0.4 * layers[1]).clamp(0, 1)


def seen_from(above, heading, *, vfov=180.0, **more):
    view = PanoramaView(heading_deg=heading, vfov_deg=vfov)
    return ground_panorama(above, 0.5, view=view, height=round(512 * vfov / 360), width=512, **more)[0][0]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.booleans())
def test_the_correlation_is_that_of_a_loop_over_turns(seed, whole):
    draw = np.random.default_rng(seed)
    values, weights = draw.normal(size=(2, 3, 4, 12)), draw.random((2, 3, 4, 12)) ** 2
    weights[:, :, 0] = 0  # a ring that no one sees
    if whole:
        weights[:] = 1
    images = draw.normal(size=(5, 3, 4, 12))
    t = torch.from_numpy
    found = turned_correlation(TurningTemplate.of(t(values), t(weights)), TurningImages.of(t(images))).numpy()
    for i in range(2):
        for n in range(5):
            for c in range(3):
                image = (images[n, c] - images[n, c].mean()) / images[n, c].std()
                for turn in range(12):
                    under, w = np.roll(image, -turn, axis=1), weights[i, c] / weights[i, c].sum()
                    a = values[i, c] - (w * values[i, c]).sum()
                    b = under - (w * under).sum()
                    spread = math.sqrt((w * a * a).sum() * max((w * b * b).sum(), 0.05))
                    assert found[i, n, c, turn] == pytest.approx((w * a * b).sum() / spread, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31))
def test_the_correlation_without_turning_is_that_of_the_turn_0(seed):
    draw = torch.Generator().manual_seed(seed)
    values, images = torch.randn(3, 2, 4, 12, generator=draw), torch.randn(5, 2, 4, 12, generator=draw)
    cover = torch.rand(3, 1, 4, 12, generator=draw) ** 2
    weights = cover.expand_as(values)
    pattern, share = weighted(values, weights)
    found = standing_correlation(pattern, share[:, 0], normalised(images))
    turned = turned_correlation(TurningTemplate.of(values, weights), TurningImages.of(images))[..., 0]
    torch.testing.assert_close(found, turned, atol=1e-5, rtol=1e-4)


def test_a_photo_that_stands_scores_as_it_does_turned_to_its_heading():
    above = torch.cat([ground(n) for n in range(3)])
    matcher = GeometricMatcher(GeometricSettings(layout=SMALL.layout, guesses=((2.5, 0.0, 0.0), (2.0, 0.0, 0.0))))
    codes = matcher.codes(above, 0.5)
    photos = [(seen_from(above[n : n + 1], heading), heading) for n, heading in ((0, 0.0), (1, 90.0), (2, 204.0))]
    standing = [matcher.standing(pixels, PanoramaView(heading_deg=heading)) for pixels, heading in photos]
    found = matcher.standing_scores(standing, codes)
    assert found.shape == (3, 3) and found.argmax(1).tolist() == [0, 1, 2]
    for row, (pixels, heading) in enumerate(photos):
        curve = matcher.curves([matcher.template(pixels, PanoramaView())], codes)[0]
        step = 360 / SMALL.layout.sectors
        torch.testing.assert_close(found[row], curve[:, round(heading / step)], atol=0.01, rtol=0)
    assert float(matcher.standing_scores([standing[1].decoy()], codes)[0, 1]) < float(found[1, 1]) - 0.2
    aside = matcher.standing(photos[1][0], PanoramaView(heading_deg=180.0))
    torch.testing.assert_close(standing[1].decoy().pattern, aside.pattern, atol=0.005, rtol=0)
    with pytest.raises(ParameterError, match="shows no ground"):
        matcher.standing(torch.zeros(3, 8, 64), PanoramaView(vfov_deg=20, pitch_center_deg=40))


def test_a_mirrored_template_is_that_of_mirrored_values():
    values, weights = torch.randn(2, 3, 4, 12), torch.rand(2, 3, 4, 12)
    images = TurningImages.of(torch.randn(2, 3, 4, 12))
    mirror = [-j % 12 for j in range(12)]
    found = turned_correlation(TurningTemplate.of(values, weights).mirrored(), images)
    expected = turned_correlation(TurningTemplate.of(values[..., mirror], weights[..., mirror]), images)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


def test_what_has_no_weight_has_no_influence():
    values, weights = torch.randn(1, 1, 5, 12), torch.ones(1, 1, 5, 12)
    weights[..., 3:] = 0
    images = TurningImages.of(torch.randn(2, 1, 5, 12))
    other = torch.where(weights > 0, values, torch.full_like(values, 99.0))
    a, b = (turned_correlation(TurningTemplate.of(v, weights), images) for v in (values, other))
    torch.testing.assert_close(a, b)


def test_colours_are_those_of_the_standard():
    """Published L*a*b* of sRGB primaries under D65."""
    rgb = torch.tensor([[1.0, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0.5]]).T.reshape(1, 3, 1, 5)
    expected = [[100, 0, 0], [53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86], [53.39, 0, 0]]
    np.testing.assert_allclose(lab(rgb)[0, :, 0].T, expected, atol=0.15)


@pytest.mark.parametrize("vfov", [180.0, 65.45])
@pytest.mark.parametrize("heading", [0.0, 77.0, 271.5])
def test_the_place_and_the_heading_of_rendered_ground_are_found(heading, vfov):
    matcher = GeometricMatcher(SMALL)
    codes = torch.cat([matcher.codes(ground(seed), 0.5) for seed in range(6)])
    photo = seen_from(ground(3), heading, vfov=vfov)
    score, turned = matcher.score(matcher.template(photo, PanoramaView(vfov_deg=vfov)), codes)
    assert int(score.argmax()) == 3 and score[3] > score.topk(2).values[1] + 0.1
    assert abs((float(turned[3]) - heading + 180) % 360 - 180) < 2.0


def test_a_camera_off_the_middle_or_higher_than_thought_is_still_found():
    matcher = GeometricMatcher(SMALL)
    codes = torch.cat([matcher.codes(ground(seed), 0.5) for seed in range(6)])
    for more in ({"east_m": 2.5, "north_m": -1.0}, {"camera_height_m": 3.0}, {"camera_height_m": 2.0}):
        photo = seen_from(ground(2), 120.0, **more)
        score, turned = matcher.score(matcher.template(photo, PanoramaView()), codes)
        assert int(score.argmax()) == 2
        assert abs((float(turned[2]) - 120 + 180) % 360 - 180) < 10


def test_light_and_paint_of_another_day_change_little():
    matcher = GeometricMatcher(SMALL)
    above = ground(1)
    photo = seen_from(above, 30.0)
    plain = matcher.score(matcher.template(photo, PanoramaView()), matcher.codes(above, 0.5))[0]
    faded = (above.pow(1.4) * torch.tensor([0.7, 0.8, 0.75])[:, None, None]).clamp(0, 1)
    other = matcher.score(matcher.template(photo, PanoramaView()), matcher.codes(faded, 0.5))[0]
    assert plain > 0.8 and other > 0.9 * plain


def test_codes_are_bytes_and_do_not_depend_on_the_pixel_size_or_the_batch():
    matcher = GeometricMatcher(SMALL)
    above = torch.cat([ground(k) for k in range(3)])
    codes = matcher.codes(above, 0.5)
    assert codes.dtype == torch.uint8 and codes.shape == (3, matcher.code_length)
    assert torch.equal(matcher.codes(above[1:2], 0.5), codes[1:2])
    finer = torch.nn.functional.interpolate(above, scale_factor=4, mode="bilinear")
    template = matcher.template(seen_from(above[:1], 10.0), PanoramaView())
    a, b = matcher.score(template, codes)[0], matcher.score(template, matcher.codes(finer, 0.125))[0]
    assert (a - b).abs().max() < 0.05
    assert matcher.score(template, codes[:0])[0].shape == (0,)


def test_an_overhead_image_that_ends_early_is_judged_by_what_it_shows():
    matcher = GeometricMatcher(SMALL)
    above = ground(4)
    small = above[..., 40:120, 40:120]  # 20 m to each side
    template = matcher.template(seen_from(above, 200.0), PanoramaView())
    others = matcher.codes(torch.cat([ground(k) for k in range(3)]), 0.5)
    score, turned = matcher.score(template, torch.cat([matcher.codes(small, 0.5), others]))
    assert int(score.argmax()) == 0
    assert abs(float(turned[0]) - 200) < 5
    blank = matcher.score(template, torch.zeros_like(others))[0]
    assert bool(torch.isfinite(blank).all()) and blank.abs().max() < 0.3


def test_a_known_heading_is_kept():
    matcher = GeometricMatcher(SMALL)
    above = ground(5)
    template = matcher.template(seen_from(above, 100.0), PanoramaView(heading_deg=55.0))
    codes = matcher.codes(above, 0.5)
    free, at = matcher.score(template, codes)
    assert abs(float(at) - 100) < 3
    right, near = matcher.score(template, codes, heading_deg=103.0)
    assert right == free and abs(float(near) - 100) < 3
    wrong, near = matcher.score(template, codes, heading_deg=280.0, tolerance_deg=15)
    assert wrong < free - 0.3 and abs(float(near) - 280) <= 18


def test_trying_more_is_no_better_by_itself():
    scores = torch.tensor([[0.3, 0.3], [0.3, 0.9]])
    assert soft_best(scores[:1], 15.0).tolist() == pytest.approx([0.3, 0.9 - 0.6])
    both = soft_best(scores, 15.0)
    assert both[0] == pytest.approx(0.3) and 0.8 < both[1] < 0.9


def test_a_photo_without_ground_is_one_clear_line():
    matcher = GeometricMatcher(SMALL)
    with pytest.raises(ParameterError, match="shows no ground"):
        matcher.template(torch.rand(3, 32, 512), PanoramaView(vfov_deg=22.5, pitch_center_deg=45))
    with pytest.raises(ParameterError, match="A photo is"):
        matcher.template(torch.rand(1, 3, 32, 64), PanoramaView())
