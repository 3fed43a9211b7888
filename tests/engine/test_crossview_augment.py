"""Joint moves of panorama and tile keep them aligned; restyling takes over what it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ParameterError
from engine.panorama.birdseye import birds_eye
from engine.panorama.view import PanoramaView
from engine.training.crossview.augment import (
    Variation,
    erased,
    flipped,
    quarter_rolls,
    rolled,
    spun,
    turned,
    varied,
)
from engine.training.crossview.looks import disguised, tilted
from engine.training.crossview.objective import CrossViewObjective, Settings
from engine.training.crossview.restyle.cyclegan import CycleGan, Generator
from engine.training.crossview.restyle.transfer import colour_transfer, texture_transfer
from tests.engine.crossview_worlds import CAMERA, GSD, SIDE, ground, panorama


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pair(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    tile = ground(seed)
    both = (panorama(tile, rows=128, columns=512), tile)
    street, above = (torch.from_numpy(x).movedim(2, 0)[None].float() / 255 for x in both)
    return street, above


def seen_from_above(street: torch.Tensor) -> torch.Tensor:
    return birds_eye(street, PanoramaView(), side=SIDE, half_width_m=SIDE * GSD / 2, camera_height_m=CAMERA)[0]


def alike(a: torch.Tensor, b: torch.Tensor) -> float:
    inner = slice(SIDE // 2 - 10, SIDE // 2 + 10)
    x, y = (z[0, :, inner, inner].flatten() for z in (a, b))
    return float(torch.corrcoef(torch.stack([x, y]))[0, 1])


@pytest.mark.parametrize("quarter", [0, 1, 2, 3])
@pytest.mark.parametrize("mirror", [False, True])
def test_a_joint_turn_and_flip_keep_panorama_and_tile_aligned(quarter, mirror):
    street, above = pair(4)
    assert alike(seen_from_above(street), above) > 0.9
    which, quarters = torch.tensor([mirror]), torch.tensor([quarter])
    street, above = flipped(street, which), turned(flipped(above, which), quarters)
    moved = rolled(street, quarter_rolls(quarters, street.shape[3]))
    assert alike(seen_from_above(moved), above) > 0.9
    if quarter:
        assert alike(seen_from_above(street), above) < 0.7, "the test would see a wrong turn"


def test_a_roll_is_torchs_and_a_spin_by_a_quarter_is_a_turn():
    street, above = pair(1)
    assert torch.equal(rolled(street, torch.tensor([37])), street.roll(37, dims=3))
    found = spun(above, torch.tensor([90.0]))
    torch.testing.assert_close(found, torch.rot90(above, 1, dims=(2, 3)), atol=1e-4, rtol=0)


def test_variation_stays_in_range_and_is_drawn_from_its_generator_alone():
    images = torch.rand(16, 3, 12, 20, generator=draw(5))
    a, b, c = (varied(images, Variation(), draw(seed)) for seed in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert float(a.min()) >= 0 and float(a.max()) <= 1
    assert torch.equal(varied(images, Variation(0, 0, 0, 0, 0), draw()), images)
    mask = torch.ones(64, 1, 20, 30, dtype=torch.bool)
    left = erased(mask, 0.5, draw()).float().mean((1, 2, 3))
    assert 0.3 < float((left < 1).float().mean()) < 0.7 and float(left.min()) > 0.8
    assert erased(mask, 0.0, draw()).all()


def test_colours_become_those_of_the_style():
    views = torch.rand(3, 3, 16, 16, generator=draw(1)) * 0.3 + 0.3
    style = 0.5 + 0.1 * torch.randn(3, 3, 16, 16, generator=draw(2)) * torch.tensor([1.0, 0.5, 0.2])[:, None, None]
    mask = torch.rand(3, 1, 16, 16, generator=draw(3)) < 0.7
    found = colour_transfer(views, mask, style)
    for n in range(3):
        ours, theirs = found[n][:, mask[n, 0]], style[n].flatten(1)
        torch.testing.assert_close(ours.mean(1), theirs.mean(1), atol=0.01, rtol=0)
        torch.testing.assert_close(torch.cov(ours), torch.cov(theirs), atol=1e-3, rtol=0)
    flat = torch.full((1, 3, 8, 8), 0.2)
    plain = colour_transfer(flat, torch.ones(1, 1, 8, 8, dtype=torch.bool), style[:1, :, :8, :8])
    torch.testing.assert_close(plain.mean((2, 3)), style[:1, :, :8, :8].mean((2, 3)), atol=0.01, rtol=0)


def test_texture_brings_the_spectrum_nearer_and_keeps_the_layout():
    street, above = pair(7)
    smeared = seen_from_above(street)
    mask = torch.ones(1, 1, SIDE, SIDE, dtype=torch.bool)
    _, style = pair(8)
    found = texture_transfer(smeared, mask, style)

    def fine(x: torch.Tensor) -> float:
        spectrum = torch.fft.fftshift(torch.fft.fft2(x).abs(), dim=(2, 3))
        rows = torch.arange(SIDE) - SIDE // 2
        return float(spectrum[..., (rows[:, None] ** 2 + rows[None] ** 2).sqrt() > SIDE / 4].mean())

    assert abs(fine(found) - fine(style)) < 0.7 * abs(fine(smeared) - fine(style))
    assert alike(found, above) > 0.5 > alike(found, style) + 0.2


def test_a_generator_keeps_the_size_and_the_gan_learns_colours():
    made = Generator(blocks=1, width=0.125)(torch.rand(2, 3, 32, 32))
    assert made.shape == (2, 3, 32, 32) and 0 <= float(made.detach().min()) <= float(made.detach().max()) <= 1
    with pytest.raises(ParameterError, match="positive width"):
        Generator(blocks=1, width=0)
    torch.manual_seed(0)
    gan = CycleGan(side=16, blocks=1, width=0.0625)
    optimiser = torch.optim.Adam(gan.parameters(), lr=1e-2, betas=(0.5, 0.999))
    red, blue = torch.tensor([200, 60, 60.0]), torch.tensor([60, 60, 200.0])

    def shades(colour: torch.Tensor, step: int, channels: int) -> torch.Tensor:
        noise = torch.rand(4, 3, 16, 16, generator=draw(step)) * 55
        image = (noise + colour[:, None, None]).clamp(0, 255).to(torch.uint8)
        return torch.cat([image, torch.full((4, channels - 3, 16, 16), 255, dtype=torch.uint8)], dim=1)

    for step in range(30):
        views = gan.views({"view": shades(red, step, 4), "tile": shades(blue, 100 + step, 3)}, draw(step))
        optimiser.zero_grad()
        gan(views)["loss"].backward()
        optimiser.step()
        gan.after_step(step, 30)
    assert int(gan.filled[0]) == 120, "what was generated is kept for the discriminators"
    with torch.no_grad():
        out = gan.to_tile(shades(red, 999, 3).float() / 255).mean((0, 2, 3))
    assert out[2] > out[0], "red became blue"


def test_judges_get_no_gradient_from_the_generators_loss():
    torch.manual_seed(0)
    gan = CycleGan(side=32, blocks=1, width=0.0625)
    batch = {"view": torch.randint(0, 255, (2, 4, 32, 32)).byte(), "tile": torch.randint(0, 255, (2, 3, 32, 32)).byte()}
    out = gan(gan.views(batch, draw()))
    out["loss"].backward()
    grads = [p.grad.clone() for p in gan.is_tile.parameters()]
    gan.zero_grad()
    tile = gan.views(batch, draw())["tile"]
    fake = gan.to_tile(gan.views(batch, draw())["view"]).detach()
    right, wrong = gan.is_tile(tile), gan.is_tile(fake)
    (0.5 * ((right - 1).square().mean() + wrong.square().mean())).backward()
    for a, p in zip(grads, gan.is_tile.parameters(), strict=True):
        np.testing.assert_allclose(a.numpy(), p.grad.numpy(), rtol=1e-4, atol=1e-6)


@given(st.floats(0, 45), st.integers(0, 2**31 - 1))
def test_known_headings_err_as_far_as_is_said_and_unknown_ones_go_anywhere(error, seed):
    width = 256
    objective = CrossViewObjective(
        torch.nn.Identity(), torch.nn.Identity(), Settings(columns=width, heading_error=error)
    )
    unknown = torch.arange(64) % 2 == 0
    turns = objective._turns(unknown, width, torch.Generator().manual_seed(seed))
    known = turns[~unknown]
    assert known.abs().max() <= round(error * width / 360)
    assert error * width / 360 < 3 or known.min() < 0 < known.max(), "to either side"
    assert turns[unknown].min() >= 0 and turns[unknown].max() > width / 4
    # Without an error the draws of older runs are what they were.
    plain = CrossViewObjective(torch.nn.Identity(), torch.nn.Identity(), Settings(columns=width))
    again = plain._turns(unknown, width, torch.Generator().manual_seed(seed))
    assert (again[~unknown] == 0).all() and (again[unknown] == turns[unknown]).all()


def test_a_disguise_keeps_the_layout_and_the_range():
    street, _ = pair(3)
    images = street.expand(32, -1, -1, -1)
    found = disguised(images, 1.0, draw(1))
    assert found.shape == images.shape and 0 <= float(found.min()) <= float(found.max()) <= 1
    assert torch.equal(disguised(images, 0.0, draw(1)), images)
    assert torch.equal(disguised(images, 1.0, draw(1)), found) and float((found[0] - found[1]).abs().mean()) > 0.02
    grey = [torch.corrcoef(torch.stack([one.mean(0).flatten(), street[0].mean(0).flatten()]))[0, 1] for one in found]
    assert float(torch.stack(grey).median()) > 0.6, "what is bright stays brighter"


@given(st.integers(0, 2**31 - 1))
def test_a_tilt_moves_rows_as_far_as_is_said_and_no_columns(seed):
    height, width, rows = 40, 80, 6.0
    columns = torch.arange(width).float().expand(4, 1, height, width)
    lines = torch.arange(height).float()[:, None].expand(4, 1, height, width)
    whole = torch.ones(4, 1, height, width, dtype=torch.bool)
    moved, shown = tilted(torch.cat([columns, lines], 1), whole, rows, draw(seed))
    assert (moved[:, 0, :, 1:-1] - columns[:, 0, :, 1:-1]).abs().max() < 1e-3
    middle = moved[:, 1, height // 2] - height // 2
    assert middle.abs().max() <= rows + 1, "at the horizon"
    assert not shown.all() or (moved[:, 1] - lines[:, 0]).abs().max() < 3, "what comes in from beyond is not shown"
    still, all_ = tilted(torch.cat([columns, lines], 1), whole, 0.0, draw(seed))
    stretch = (still[:, 1, 30, 0] - 19.5) / 10.5
    assert all_.float().mean() > 0.85 and ((stretch > 0.89) & (stretch < 1.11)).all()


def test_in_a_batch_a_panorama_turned_back_fits_its_tile():
    street, above = pair(4)
    n, width = 8, street.shape[3]
    bytes_ = [(torch.cat([x, torch.ones_like(x[:, :1])], 1) * 255).to(torch.uint8) for x in (street, above)]
    batch = {
        "ground": bytes_[0].expand(n, -1, -1, -1),
        "overhead": bytes_[1].expand(n, -1, -1, -1),
        "unknown": torch.zeros(n, dtype=torch.bool),
        "labelled": torch.ones(n, dtype=torch.bool),
        "ground_id": torch.arange(n),
        "overhead_id": torch.arange(n) + 100,
        "also": torch.full((n, 1), -1),
    }
    settings = Settings(variation=Variation(0, 0, 0, 0, 0), columns=width, turns=4)
    views = CrossViewObjective(torch.nn.Identity(), torch.nn.Identity(), settings).views(batch, draw(2))
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    shown, tiles = views["ground.a"] * std + mean, views["overhead"] * std + mean
    back = rolled(shown, -views["turned"] * (width // 4))
    assert len(set(views["turned"].tolist())) > 1
    for cut, seen, tile, turned_by in zip(shown, back, tiles, views["turned"], strict=True):
        assert alike(seen_from_above(seen[None]), tile[None]) > 0.9
        assert turned_by == 0 or alike(seen_from_above(cut[None]), tile[None]) < 0.9, "a wrong turn fits less"
