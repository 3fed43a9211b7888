"""Panorama geometry against loops that do it pixel by pixel, against py360convert, and by its laws."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ParameterError
from engine.panorama.birdseye import BirdsEye, birds_eye
from engine.panorama.ground import GroundRings, ground_panorama, image_directions
from engine.panorama.perspective import equirectangular, perspective, pinhole_rays
from engine.panorama.polar import polar, polar_rings
from engine.panorama.view import PanoramaView

CVUSA = PanoramaView(vfov_deg=65.45)


def pictures(count=1, height=32, width=64, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).random((count, 3, height, width), np.float32))


def smooth(count=1, height=64, width=128, seed=0):
    """Panoramas of a few waves that close at the seam."""
    draw = np.random.default_rng(seed)
    x = (np.arange(width) + 0.5) / width * 2 * math.pi
    y = (np.arange(height) + 0.5) / height * math.pi
    out = np.zeros((count, 3, height, width), np.float32)
    for image in out.reshape(-1, height, width):
        for _ in range(4):
            k, m = draw.integers(1, 4, 2)
            image += (
                np.sin(k * x + draw.random() * 6)[None] * np.sin(y)[:, None] * np.sin(m * y + draw.random())[:, None]
            )
    return torch.from_numpy(out * 0.1 + 0.5)


def bilinear(image, x, y, closed):
    """``image`` (C, H, W) at the edge coordinates x, y; columns go round where closed, rows are held at the ends."""
    height, width = image.shape[1:]
    x, y = x - 0.5, min(max(y - 0.5, 0.0), height - 1.0)
    if not closed:
        x = min(max(x, 0.0), width - 1.0)
    x0, y0 = math.floor(x), math.floor(y)
    fx, fy = x - x0, y - y0
    y1 = min(y0 + 1, height - 1)
    left, right = (x0 % width, (x0 + 1) % width) if closed else (x0, min(x0 + 1, width - 1))
    above = image[:, y0, left] * (1 - fx) + image[:, y0, right] * fx
    below = image[:, y1, left] * (1 - fx) + image[:, y1, right] * fx
    return above * (1 - fy) + below * fy


def loop_look(image, view, direction):
    """One direction (east, north, up) read in one panorama, or None where it shows nothing: by the definition."""
    h, p, r = map(math.radians, (view.heading_deg, view.pitch_deg, view.roll_deg))
    east, north, up = direction
    # Undo heading, then pitch, then roll.
    side, ahead = east * math.cos(h) - north * math.sin(h), east * math.sin(h) + north * math.cos(h)
    forward, lifted = ahead * math.cos(p) + up * math.sin(p), -ahead * math.sin(p) + up * math.cos(p)
    right, top = side * math.cos(r) - lifted * math.sin(r), side * math.sin(r) + lifted * math.cos(r)
    azimuth = math.degrees(math.atan2(right, forward))
    pitch = math.degrees(math.atan2(top, math.hypot(right, forward)))
    height, width = image.shape[1:]
    x = (azimuth / view.hfov_deg + 0.5) * width
    y = (0.5 - (pitch - view.pitch_center_deg) / view.vfov_deg) * height
    closed = view.hfov_deg >= 359.99
    if not 0 <= y <= height or not (closed or 0 <= x <= width):
        return None
    return bilinear(image, x, y, closed)


def loop_birds_eye(image, view, side, half_width, camera):
    out, mask = np.zeros((image.shape[0], side, side)), np.zeros((side, side), bool)
    for row in range(side):
        for column in range(side):
            east = ((column + 0.5) / side * 2 - 1) * half_width
            north = -((row + 0.5) / side * 2 - 1) * half_width
            found = loop_look(image, view, (east, north, -camera))
            if found is not None:
                out[:, row, column], mask[row, column] = found, True
    return out, mask


VIEWS = [
    PanoramaView(),
    PanoramaView(heading_deg=137.0),
    CVUSA,
    PanoramaView(heading_deg=300, pitch_deg=4.0, roll_deg=-7.0),
    PanoramaView(heading_deg=20, hfov_deg=90, vfov_deg=60, pitch_center_deg=-10, pitch_deg=2),
    PanoramaView(heading_deg=350, hfov_deg=250, vfov_deg=80, pitch_center_deg=-50, roll_deg=3),
]


@pytest.mark.parametrize("view", VIEWS)
def test_the_birds_eye_view_is_that_of_a_loop_over_pixels(view):
    images = pictures(2)
    found, mask = birds_eye(images, view, side=12, half_width_m=12.0, camera_height_m=2.2)
    for image, read, seen in zip(images.numpy(), found.numpy(), mask.numpy(), strict=True):
        expected, inside = loop_birds_eye(image, view, 12, 12.0, 2.2)
        np.testing.assert_array_equal(seen[0], inside)
        np.testing.assert_allclose(read, expected, atol=2e-4)


def test_a_view_for_each_image_is_that_of_each_alone():
    images, views = pictures(3), [VIEWS[0], VIEWS[1], VIEWS[3]]
    together, seen = birds_eye(images, views, side=16, half_width_m=10)
    for k, view in enumerate(views):
        alone, mask = birds_eye(images[k : k + 1], view, side=16, half_width_m=10)
        torch.testing.assert_close(together[k : k + 1], alone, atol=1e-5, rtol=0)
        assert torch.equal(seen[k : k + 1], mask)


def test_what_a_strip_cannot_see_is_masked_at_the_nadir():
    _, mask = birds_eye(pictures(), CVUSA, side=200, half_width_m=10, camera_height_m=2.5)
    steps = (np.arange(200) + 0.5) / 10 - 10
    distance = np.hypot(steps[None], steps[:, None])
    nearest = 2.5 / math.tan(math.radians(65.45 / 2))
    np.testing.assert_array_equal(mask[0, 0].numpy(), distance >= nearest)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 63), st.integers(0, 1000), st.sampled_from([VIEWS[0], VIEWS[2], VIEWS[3]]))
def test_a_roll_by_columns_is_a_change_of_heading(columns, seed, view):
    """Rolled right by k columns, the centre shows what was k columns to the left: its heading is less by 360·k/W."""
    images = pictures(seed=seed)
    if not view.level:
        view = PanoramaView(heading_deg=view.heading_deg)
    rolled = torch.roll(images, columns, dims=3)
    expected, mask = birds_eye(images, view, side=12, half_width_m=8)
    found, seen = birds_eye(rolled, view.turned(-360 * columns / 64), side=12, half_width_m=8)
    torch.testing.assert_close(found, expected, atol=5e-4, rtol=0)
    assert torch.equal(mask, seen)


@settings(max_examples=20, deadline=None)
@given(st.floats(0, 360), st.floats(-8, 8), st.floats(-0.5, 0.5), st.sampled_from([0.0, 3.0]))
def test_a_straight_line_on_flat_ground_stays_straight(bearing, offset, tilt, roll):
    """A stripe is drawn on the ground, seen in a panorama and laid down again: its middle lies on the line."""
    side, gsd = 401, 0.1
    steps = (np.arange(side) + 0.5 - side / 2) * gsd
    east, north = np.meshgrid(steps, -steps)
    a = math.radians(bearing)
    across = east * math.cos(a) - north * math.sin(a) - offset
    ground = torch.from_numpy(np.exp(-0.5 * (across / 0.4) ** 2).astype(np.float32))[None, None]
    view = PanoramaView(heading_deg=bearing / 2, pitch_deg=tilt, roll_deg=roll)
    image, _ = ground_panorama(ground, gsd, view=view, height=512, width=1024, camera_height_m=2.5)
    seen, mask = birds_eye(image, view, side=101, half_width_m=10, camera_height_m=2.5)
    flat = np.linspace(-10, 10, 102)[:-1] + 10 / 101
    x, y = np.meshgrid(flat, -flat)
    bright = (seen[0, 0].numpy() > 0.5) & mask[0, 0].numpy() & (np.hypot(x, y) < 9)
    miss = (x * math.cos(a) - y * math.sin(a) - offset)[bright]
    assert bright.sum() > 20
    assert abs(miss.mean()) < 0.1  # half a pixel
    assert abs(miss).max() < 0.8  # within the stripe everywhere


def test_the_seam_is_where_no_one_sees_it():
    """A smooth panorama read across its seam is as smooth there as elsewhere, and the same however it is cut."""
    images = smooth()
    whole = perspective(images, PanoramaView(), azimuth_deg=180, hfov_deg=60, height=40, width=40)
    for columns in (1, 17, 64):
        rolled = torch.roll(images, columns, dims=3)
        view = PanoramaView(heading_deg=-360 * columns / 128 % 360)
        again = perspective(rolled, view, azimuth_deg=180, hfov_deg=60, height=40, width=40)
        torch.testing.assert_close(again, whole, atol=1e-4, rtol=0)
    ramp = torch.zeros(1, 1, 8, 16)
    ramp[..., 0], ramp[..., -1] = 1.0, 3.0  # the columns beside the seam
    rings, _ = GroundRings(PanoramaView(), height=8, width=16, distances_m=[2.0], columns=2)(ramp)
    assert rings[0, 0, 0, 1].item() == pytest.approx(2.0)  # due south lies exactly between them


def test_perspective_agrees_with_py360convert():
    oracle = pytest.importorskip("py360convert", reason="py360convert is not installed: no oracle to compare with.")
    image = smooth(height=128, width=256)
    for azimuth, pitch in ((0, 0), (100, 20), (180, -35), (-70, 5)):
        ours = perspective(
            image, PanoramaView(), azimuth_deg=azimuth, pitch_deg=pitch, hfov_deg=80, height=48, width=64
        )
        vfov = 2 * math.degrees(math.atan(math.tan(math.radians(40)) * 48 / 64))
        theirs = oracle.e2p(image[0].permute(1, 2, 0).numpy(), (80, vfov), azimuth, pitch, (48, 64), mode="bilinear")
        # Its picture spans the angles from pixel centre to pixel centre, ours from edge to edge.
        assert np.abs(ours[0].permute(1, 2, 0).numpy() - theirs)[4:-4, 4:-4].max() < 0.02


def test_a_lens_and_back_is_the_same_picture():
    images = smooth(count=2, height=256, width=512)
    view = PanoramaView(heading_deg=30)
    photo = perspective(images, view, azimuth_deg=75, pitch_deg=10, hfov_deg=70, height=300, width=400)
    back, seen = equirectangular(photo, heading_deg=75, pitch_deg=10, hfov_deg=70, view=view, height=256, width=512)
    share = seen.float().mean().item()
    assert 0.05 < share < 0.12
    assert (back - images).abs()[seen.expand(-1, 3, -1, -1)].max() < 0.01
    ray = pinhole_rays(3, 3, 90)
    assert ray[1, 1].tolist() == [0.0, 1.5, 0.0]


def test_the_polar_transform_is_that_of_a_loop():
    image = pictures(2, 41, 41)
    found = polar(image, rows=5, columns=12, gsd_m=0.5, radius_m=12.0)
    for i in range(5):
        for j in range(12):
            reach = 12.0 * (1 - (i + 0.5) / 5) / 0.5
            a = 2 * math.pi * j / 12
            x, y = 20.5 + reach * math.sin(a), 20.5 - reach * math.cos(a)
            for n in range(2):
                inside = 0 <= x <= 41 and 0 <= y <= 41
                expected = bilinear(image[n].numpy(), x, y, False) if inside else np.zeros(3)
                np.testing.assert_allclose(found[n, :, i, j].numpy(), expected, atol=1e-4)
    north_east = torch.zeros(1, 1, 41, 41)
    north_east[..., :20, 21:] = 1
    assert polar(north_east, rows=1, columns=8, gsd_m=1.0, radius_m=20.0)[0, 0, 0].round().tolist()[1] == 1
    each, _ = polar_rings(image, [3.0, 6.0], columns=6, gsd_m=torch.tensor([0.5, 0.3]))
    alone, _ = polar_rings(image[1:], [3.0, 6.0], columns=6, gsd_m=0.3)
    torch.testing.assert_close(each[1:], alone)


def test_the_ground_seen_from_above_and_in_rings_is_one_ground():
    """Rings of a rendered panorama are the polar transform of the overhead image that it was rendered from."""
    ground = smooth(height=128, width=128, seed=3)
    view = PanoramaView(heading_deg=77)
    image, _ = ground_panorama(ground, 0.25, view=view, height=512, width=1024, camera_height_m=3.0)
    rings, seen = GroundRings(view, height=512, width=1024, distances_m=[2, 4, 8, 12], columns=36, camera_height_m=3.0)(
        image
    )
    expected, inside = polar_rings(ground, [2, 4, 8, 12], columns=36, gsd_m=0.25)
    assert bool(seen.all()) and bool(inside.all())
    assert (rings - expected).abs().max() < 0.02


@pytest.mark.parametrize("heading", [0.0, 33.0, 187.5, 359.0])
def test_the_heading_of_a_rendered_scene_is_recovered(heading):
    """Correlation of the rings over all turns finds the heading that the scene was rendered with, within a degree."""
    draw = torch.Generator().manual_seed(5)
    coarse = torch.rand(1, 3, 24, 24, generator=draw)
    ground = torch.nn.functional.interpolate(coarse, size=(240, 240), mode="bicubic")
    image, _ = ground_panorama(
        ground, 0.25, view=PanoramaView(heading_deg=heading), height=256, width=512, camera_height_m=2.5
    )
    rings = [3.0, 5.0, 8.0, 12.0, 16.0]
    seen, _ = GroundRings(PanoramaView(), height=256, width=512, distances_m=rings, columns=720)(image)
    above, _ = polar_rings(ground, rings, columns=720, gsd_m=0.25)
    a, b = (torch.fft.rfft(t - t.mean(dim=-1, keepdim=True)) for t in (seen, above))
    turn = int(torch.fft.irfft((a.conj() * b).sum(dim=(0, 1, 2)), n=720).argmax())
    error = abs((turn / 2 - heading + 180) % 360 - 180)
    assert error <= 1.0


def test_gradients_flow_to_the_panorama():
    images = pictures(1, 8, 16).double().requires_grad_()
    view = PanoramaView(heading_deg=10, roll_deg=2)
    project = BirdsEye(view, height=8, width=16, side=5, half_width_m=6)
    assert torch.autograd.gradcheck(lambda x: project(x)[0], (images,))
    assert torch.autograd.gradcheck(lambda x: polar(x, rows=2, columns=5, gsd_m=1.0, radius_m=5.0), (images[..., :8],))


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 359), st.floats(-60, 60), st.floats(-60, 60), st.floats(-170, 170))
def test_a_crop_off_centre_sees_what_the_whole_image_sees_there(heading, pitch, roll, azimuth):
    whole = PanoramaView(heading_deg=heading, pitch_deg=pitch, roll_deg=roll)
    part = whole.centred_at(azimuth)
    turned = image_directions(part, 9, 12)
    rolled = image_directions(whole, 9, 12 * 360)  # a column each 1/12 of a degree
    shift = round(azimuth * 12)
    columns = (np.arange(12) * 360 + 180 + shift) % (12 * 360)
    assert (rolled[:, columns] - turned).abs().max() < 2e-3
    assert np.allclose(part.rotation() @ part.rotation().T, np.eye(3), atol=1e-9)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: PanoramaView(heading_deg=math.nan), "heading_deg"),
        (lambda: PanoramaView(hfov_deg=0), "hfov_deg"),
        (lambda: PanoramaView(vfov_deg=120, pitch_center_deg=45), "past the pole"),
        (lambda: birds_eye(pictures()[0], PanoramaView(), side=8, half_width_m=5), "float tensor"),
        (lambda: birds_eye(pictures(), PanoramaView(), side=0, half_width_m=5), "at least 1"),
        (lambda: birds_eye(pictures(), PanoramaView(), side=8, half_width_m=-5), "half_width_m"),
        (lambda: birds_eye(pictures(3), [PanoramaView()] * 2, side=8, half_width_m=5), "3 images"),
        (lambda: birds_eye(pictures(2), [PanoramaView(), VIEWS[4]], side=8, half_width_m=5), "one batch"),
        (lambda: BirdsEye(CVUSA, height=9, width=9, side=4, half_width_m=5)(pictures()), "made for"),
        (lambda: polar(pictures(), rows=2, columns=4, gsd_m=0.0, radius_m=5), "pixel sizes"),
        (lambda: perspective(pictures(), CVUSA, azimuth_deg=0, hfov_deg=180, height=4, width=4), "angle of view"),
    ],
)
def test_what_makes_no_sense_is_one_clear_line(call, says):
    with pytest.raises(ParameterError, match=says) as error:
        call()
    assert "\n" not in error.value.line


def test_half_precision_is_read_at_the_same_places():
    images = smooth()
    exact, _ = birds_eye(images, PanoramaView(), side=32, half_width_m=15)
    half, _ = birds_eye(images.half(), PanoramaView(), side=32, half_width_m=15)
    assert half.dtype == torch.float16
    assert (half.float() - exact).abs().max() < 2e-3
