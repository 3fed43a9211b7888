"""The two describers: of a cross-view model, and of the matcher without weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.crossview.describer import GroundView
from engine.crossview.headings import likeliest
from engine.crossview.learned_describer import LearnedDescriber
from engine.device import choose_device
from engine.errors import ModelError
from engine.models.crossview import CrossViewNetwork
from engine.models.crossview_bundle import load_crossview, save_crossview
from engine.panorama.view import PanoramaView
from tests.engine import locate_world as world

CPU = choose_device("cpu")
GREY = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.2, 0.25)}


def bundle(folder, *, heading="any", extent=64.0, rings=0, seed=0):
    torch.manual_seed(seed)
    sizes = {"ground_size": (32, 64), "overhead_size": (64, 64)}
    network = CrossViewNetwork("resnet18", **sizes, width=0.0625, rings=rings).eval()
    card = {
        "name": "tiny-crossview",
        "title": "A tiny cross-view network",
        "licence": "GPL-2.0-or-later",
        "gsd_m": (0.5, 1.0),
        "crossview": {
            "ground": {"size": (32, 64), "hfov_deg": 360, "vfov_deg": 180, "heading": heading, **GREY},
            "overhead": {"size": (64, 64), "extent_m": extent, **GREY},
        },
        "trained_on": [{"name": "simulated cities", "licence": "GPL-2.0-or-later"}],
    }
    save_crossview(folder, network, card)
    return str(folder)


def image(heading_known=False, heading=0.0):
    pixels = torch.from_numpy(world.panorama(world.ground(), world.LON, world.LAT, 0.0, rows=64))
    return GroundView(pixels, PanoramaView(heading_deg=heading), heading_known)


def test_a_models_embeddings_are_those_of_its_network(tmp_path):
    folder = bundle(tmp_path / "m")
    describer = LearnedDescriber.load(folder, device=CPU)
    model = load_crossview(folder)
    assert describer.side == 64 and describer.scales_m == (1.0,) and describer.dim == model.network.dim
    assert describer.model.name == "tiny-crossview" and describer.model.sha256 == model.embedding_sha256
    assert describer.bundle_sha256 == model.card.weights_sha256
    crops = torch.rand(3, 3, 64, 64)
    with torch.no_grad():
        wanted = model.network.overhead(model.prepare_overhead(crops, 1.0)).numpy()
    found = describer.describe(crops, 1.0)
    assert found.dtype == np.float16 and np.abs(found - wanted).max() < 2e-3
    # At another scale the model's own preparation cuts the extent that it was trained with.
    with torch.no_grad():
        other = model.network.overhead(model.prepare_overhead(crops, 1.5)).numpy()
    assert np.abs(describer.describe(crops, 1.5) - other).max() < 2e-3
    scores, headings = describer.scores([describer.query(image())] * 2, describer.ready(found), 1.0)
    assert scores.shape == (2, 3) and headings is None
    assert LearnedDescriber.load(bundle(tmp_path / "n", extent=None), device=CPU).scales_m == (0.2, 0.4, 0.8, 1.6)


def test_a_model_that_knows_north_is_asked_for_every_heading(tmp_path):
    describer = LearnedDescriber.load(bundle(tmp_path / "m", heading="north"), device=CPU)
    unknown = describer.query(image())
    assert unknown.vectors.shape == (16, describer.dim)
    known = describer.query(image(heading_known=True, heading=90.0))
    assert known.vectors.shape[0] == 1 and known.headings.tolist() == [90.0]
    assert np.allclose(known.vectors[0], unknown.vectors[4], atol=1e-5)
    _, (headings,) = describer.scores([unknown], unknown.vectors[[3, 11]].astype(np.float16), 1.0)
    assert np.abs(headings - [67.5, 247.5]).max() <= 11.25, "the nearest of the sixteen, and a parabola between them"


def likely(table, headings):
    """In single precision, as numpy."""
    best, found = likeliest(torch.from_numpy(table).float(), torch.from_numpy(headings).float())
    return best.numpy(), found.numpy()


def test_headings_lie_between_those_that_were_asked_for():
    asked = np.arange(16) * 22.5
    true = np.array([3.0, 118.0, 356.0, 200.0])
    apart = np.cos(np.radians(asked[None] - true[:, None]))
    table = np.exp(3 * apart)
    best, found = likely(table, asked)
    assert np.abs((found - true + 180) % 360 - 180).max() < 1.5 and np.allclose(best, table.max(axis=1))
    assert np.allclose(likely(np.roll(table, -5, axis=1), np.roll(asked, -5))[1], found, atol=1e-4), "it is a circle"
    uneven = np.array([0.0, 10.0, 200.0, 300.0])
    assert likely(table[:, [1, 0, 9, 13]], uneven)[1].tolist() == [10.0, 200.0, 10.0, 200.0], "the best of those asked"
    assert likely(table[:, ::8], np.array([0.0, 180.0]))[1].tolist() == [0.0, 180.0, 0.0, 180.0], "too few for a curve"
    assert likely(np.ones((1, 16)), asked)[1].tolist() == [0.0], "a constant has no peak"
    below = np.array([[1.0, 0.5, 0.0, 0.5 + 1e-7]])
    assert likely(below, np.arange(4) * 90.0)[1].tolist() == [0.0], "a rounding below north is north"


def test_a_broken_model_is_told(tmp_path):
    describer = LearnedDescriber.load(bundle(tmp_path / "m"), device=CPU)
    for parameter in describer._network.parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(ModelError, match="not finite"):
        describer.describe(torch.rand(1, 3, 64, 64), 1.0)
    with pytest.raises(ModelError):
        LearnedDescriber.load("no-such-model", device=CPU)


def test_the_geometric_describer_finds_place_and_heading(tmp_path):
    pytest.importorskip("engine.crossview.geometric.matcher", reason="the matcher is not there yet")
    from engine.crossview.crops import Cropper
    from engine.crossview.geometric_describer import GeometricDescriber
    from engine.crossview.imagery import Imagery
    from engine.raster.read import open_raster

    describer = GeometricDescriber(CPU)
    with open_raster(world.write_reference(tmp_path / "r.tif")) as raster:
        cropper = Cropper(Imagery(raster), side=describer.side)
        places = [world.at(east, north) for east, north in ((40, 30), (-50, 20), (0, -60), (60, -40))]
        lon, lat = (np.array(v) for v in zip(*places, strict=True))
        codes = describer.describe(cropper.cut(lon, lat, 0.5).pixels, 0.5)
    assert codes.shape == (4, describer.dim) and codes.dtype == np.uint8
    for k, heading in enumerate((0.0, 75.0, 180.0, 300.0)):
        pixels = torch.from_numpy(world.panorama(world.ground(), *places[k], heading, rows=256))
        query = describer.query(GroundView(pixels, PanoramaView(), False))
        (scores,), (headings,) = describer.scores([query], describer.ready(codes), 0.5)
        assert scores.argmax() == k
        assert abs((headings[k] - heading + 180) % 360 - 180) < 6
        told = GroundView(pixels, PanoramaView(heading_deg=heading), True)
        (plain, again), (_, headings) = describer.scores([query, describer.query(told)], describer.ready(codes), 0.5)
        assert np.array_equal(plain, scores), "photos do not change each other"
        assert again.argmax() == k and abs((headings[k] - heading + 180) % 360 - 180) < 16
