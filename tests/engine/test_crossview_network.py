"""The cross-view network, its bundle, and what its branches are given."""

from __future__ import annotations

import math

import pytest
import torch

from engine.errors import ModelError, ParameterError
from engine.models.bundle import load_bundle
from engine.models.crossview import CrossViewNetwork, SpatialMaps
from engine.models.crossview_bundle import load_crossview, save_crossview
from engine.models.crossview_inputs import GroundFrame, OverheadFrame, normalised
from engine.panorama.view import PanoramaView

GREY = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.2, 0.25)}


def tiny(**changes) -> CrossViewNetwork:
    torch.manual_seed(0)
    given = {"ground_size": (32, 128), "overhead_size": (64, 64), "width": 0.0625, **changes}
    return CrossViewNetwork(given.pop("encoder", "resnet18"), **given).eval()


def card(network: CrossViewNetwork, **changes) -> dict:
    return {
        "name": "tiny-crossview",
        "title": "A tiny cross-view network",
        "licence": "GPL-2.0-or-later",
        "gsd_m": (0.5, 1.0),
        "crossview": {
            "ground": {"size": network.ground_size, "hfov_deg": 360, "vfov_deg": 90, "heading": "any", **GREY},
            "overhead": {"size": network.overhead_size, "extent_m": 64.0, **GREY},
        },
        "trained_on": [{"name": "simulated cities", "licence": "GPL-2.0-or-later"}],
        **changes,
    }


@pytest.mark.parametrize(
    "options", [{"encoder": "resnet18"}, {"encoder": "resnet50"}, {"encoder": "convnext_tiny", "depth": 0.34},
                {"encoder": "resnet18", "stages": 3}]
)  # fmt: skip
def test_both_branches_give_unit_vectors_of_the_same_length(options):
    network = tiny(**options)
    with torch.no_grad():
        a, b = network(torch.randn(3, 3, 32, 128), torch.randn(3, 3, 64, 64))
    assert a.shape == b.shape == (3, network.dim)
    assert network.dim == 8 * network.ground_encoder.channels[-1]
    torch.testing.assert_close(a.norm(dim=1), torch.ones(3))
    mine = {id(p) for p in network.ground_encoder.parameters()}
    assert not mine & {id(p) for p in network.overhead_encoder.parameters()}, "weights are apart"


def test_the_head_is_what_its_sentence_says():
    torch.manual_seed(1)
    head = SpatialMaps((2, 3), maps=4)
    features = torch.randn(2, 5, 2, 3)
    out = head(features)
    for n in range(2):
        flat = features[n].reshape(5, 6)
        top = flat.max(dim=0).values
        parts = []
        for m in range(4):
            weights = (top @ head.inward[m] + head.inward_bias[m]) @ head.outward[m] + head.outward_bias[m]
            parts.append(flat @ weights)
        wanted = torch.cat(parts)
        torch.testing.assert_close(out[n], wanted / wanted.norm())
    with pytest.raises(ParameterError, match="2 × 3"):
        head(torch.randn(1, 5, 3, 3))


def test_a_bundle_comes_back_as_it_was(tmp_path):
    network = tiny(encoder="convnext_tiny", depth=0.3, stages=3, maps=4, ground_size=(32, 64))
    save_crossview(tmp_path / "m", network, card(network))
    model = load_crossview(tmp_path / "m")
    assert model.card.task == "crossview"
    assert model.network.settings() == network.settings()
    x, y = torch.randn(1, 3, 32, 64), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model.network.ground(x), network.ground(x))
        assert torch.equal(model.network.overhead(y), network.overhead(y))
    with pytest.raises(ModelError, match="expected an encoder"):
        load_bundle(tmp_path / "m").encoder()
    with pytest.raises(ModelError, match="crossview"):
        load_bundle(tmp_path / "m").network()
    assert (tmp_path / "m" / "mlm.json").is_file()


def test_cards_that_do_not_fit_are_one_line(tmp_path):
    network = tiny()
    good = card(network)
    with pytest.raises(ModelError, match="takes images, not bands"):
        save_crossview(tmp_path / "m", network, {
            **good, "bands": [{"sensor": "s2", "name": "B04", "unit": "reflectance", "mean": 0, "std": 1}],
        })  # fmt: skip
    wrong = {**good["crossview"], "ground": {**good["crossview"]["ground"], "size": (64, 64)}}
    with pytest.raises(ModelError, match="64, 64"):
        save_crossview(tmp_path / "m", network, card(network, crossview=wrong))
    with pytest.raises(ModelError, match="hfov_deg"):
        bad = {**good["crossview"], "ground": {**good["crossview"]["ground"], "hfov_deg": 400}}
        save_crossview(tmp_path / "m", network, card(network, crossview=bad))
    with pytest.raises(ParameterError, match="multiples of 32"):
        CrossViewNetwork("resnet18", ground_size=(48, 64), overhead_size=(64, 64))


def direction_image(view: PanoramaView, rows: int, columns: int) -> torch.Tensor:
    """Red is the sine and green the cosine of the azimuth, blue the pitch; 0.5 is none."""
    azimuth = torch.deg2rad(view.heading_deg + ((torch.arange(columns) + 0.5) / columns - 0.5) * view.hfov_deg)
    pitch = view.pitch_center_deg + (0.5 - (torch.arange(rows) + 0.5) / rows) * view.vfov_deg
    return torch.stack(
        [
            (0.5 + 0.5 * azimuth.sin())[None].expand(rows, -1),
            (0.5 + 0.5 * azimuth.cos())[None].expand(rows, -1),
            (0.5 + pitch / 180)[:, None].expand(-1, columns),
        ]
    )[None]


@pytest.mark.parametrize(
    "view",
    [
        PanoramaView(),
        PanoramaView(heading_deg=75),
        PanoramaView(heading_deg=300, vfov_deg=65.45),
        PanoramaView(heading_deg=10, hfov_deg=120, vfov_deg=60, pitch_center_deg=-10),
    ],
)
def test_any_view_is_turned_to_north(view):
    frame = GroundFrame((16, 64), 360.0, 80.0)
    wanted = direction_image(PanoramaView(vfov_deg=80.0), 16, 64)
    found, mask = frame.put(direction_image(view, 180, 720), view)
    assert mask.any()
    if view.closed and view.vfov_deg >= 80:
        assert mask.all()
    assert float(((found - wanted).abs() * mask).max()) < 0.02
    assert float((found * ~mask).abs().max()) == 0


def test_a_tilted_camera_is_set_upright():
    view = PanoramaView(heading_deg=40, pitch_deg=12, roll_deg=-7)
    rows, columns = 180, 360
    azimuth = torch.deg2rad(((torch.arange(columns) + 0.5) / columns - 0.5) * 360)[None].double()
    pitch = torch.deg2rad((0.5 - (torch.arange(rows) + 0.5) / rows) * 180)[:, None].double()
    camera = torch.stack(
        [azimuth.sin() * pitch.cos(), azimuth.cos() * pitch.cos(), pitch.sin().expand(-1, columns)], -1
    )
    world = camera @ torch.from_numpy(view.rotation())
    seen = (0.5 + 0.5 * world.movedim(-1, 0))[None].float()  # colour is the direction in the world
    found, _ = GroundFrame((32, 64), 360.0, 100.0).put(seen, view)
    upright, _ = GroundFrame((32, 64), 360.0, 100.0).put(
        0.5 + 0.5 * camera.movedim(-1, 0)[None].float(), PanoramaView()
    )
    assert float((found - upright).abs().max()) < 0.02


def test_a_narrow_frame_shows_the_middle_of_a_photo_and_a_finer_image_is_averaged():
    frame = GroundFrame((8, 32), 90.0, 45.0)
    view = PanoramaView(heading_deg=200, hfov_deg=90, vfov_deg=45)
    found, mask = frame.put(direction_image(view, 8, 32), view)
    torch.testing.assert_close(found, direction_image(view, 8, 32), atol=1e-5, rtol=0)
    assert mask.all()
    stripes = (torch.arange(2048) % 2).float().expand(1, 3, 512, 2048)
    found, _ = GroundFrame((32, 64), 360.0, 180.0).put(stripes, PanoramaView())
    assert float((found - 0.5).abs().max()) < 0.05


def test_tiles_are_cut_in_metres_around_their_middle():
    side = 200
    ramp = (torch.arange(side) + 0.5) / side
    tile = torch.stack([ramp[None].expand(side, -1), ramp[:, None].expand(-1, side), torch.ones(side, side)])[None]
    found, mask = OverheadFrame((32, 32), extent_m=50.0).put(tile, 0.5)  # 100 m wide: its inner half
    assert mask.all()
    assert float(found[0, 0, 0, 0]) == pytest.approx(0.25 + 0.5 / 64, abs=0.01)
    assert float(found[0, 1, -1, 0]) == pytest.approx(0.75 - 0.5 / 64, abs=0.01)
    found, mask = OverheadFrame((32, 32), extent_m=200.0).put(tile, 0.5)
    assert float(mask.float().mean()) == 0.25 and float((found * ~mask).max()) == 0
    whole, mask = OverheadFrame((32, 32), extent_m=200.0).put(tile)  # of unknown scale: all of it
    assert mask.all() and whole[0, 0, 0, 0] < 0.05
    with pytest.raises(ParameterError, match="0 m"):
        OverheadFrame((32, 32), extent_m=10.0).put(tile, 0.0)


def test_what_is_not_shown_is_the_mean():
    images, mask = torch.rand(2, 3, 4, 4), torch.zeros(2, 1, 4, 4, dtype=torch.bool)
    assert float(normalised(images, mask, **GREY).abs().max()) == 0
    torch.testing.assert_close(normalised(images, None, **GREY)[:, 2], (images[:, 2] - 0.6) / 0.25)


def test_prepare_takes_bytes_and_floats_alike(tmp_path):
    network = tiny()
    save_crossview(tmp_path / "m", network, card(network))
    model = load_crossview(tmp_path / "m")
    pixels = (torch.rand(2, 3, 90, 180) * 255).byte()
    views = [PanoramaView(), PanoramaView(heading_deg=90)]
    a, b = model.prepare_ground(pixels, views), model.prepare_ground(pixels.float() / 255, views)
    assert a.shape == (2, 3, 32, 128)
    torch.testing.assert_close(a, b)
    torch.testing.assert_close(  # a quarter of the way round
        model.prepare_ground(pixels[1:], PanoramaView()), a[1:].roll(-32, dims=3), atol=1e-4, rtol=0
    )
    assert model.prepare_overhead((torch.rand(1, 3, 80, 80) * 255).byte(), 1.0).shape == (1, 3, 64, 64)
    with pytest.raises(ParameterError, match="3 images came with 2 views"):
        model.prepare_ground(torch.rand(3, 3, 90, 180), views)
    with pytest.raises(ParameterError, match="uint8"):
        model.prepare_ground(torch.zeros(2, 3, 90, 180, dtype=torch.int64), views)
    assert math.isclose(float(model.network.scale().detach()), 0.07, rel_tol=1e-5)
