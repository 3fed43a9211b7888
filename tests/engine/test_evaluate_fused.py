"""The network and the matcher without weights, together at every turn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.crossview.evaluation.fused import Fused, at_turns, standing_out
from engine.device import choose_device
from engine.panorama.view import PanoramaView
from tests.engine import locate_world as world
from tests.engine.test_describers import bundle

CPU = choose_device("cpu")


@given(st.integers(0, 2**31 - 1), st.integers(1, 30))
def test_similarities_are_kept_at_their_headings_and_drawn_between_them(seed, shift):
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(3, 16))
    headings = np.arange(16) * 22.5
    order = draw.permutation(16)
    found = at_turns(values[:, order], headings[order], 120)
    assert np.allclose(found[:, 0], values[:, 0])
    assert np.allclose(found[:, 15], values[:, 2]), "45° is sector 15 and heading 2"
    assert np.allclose(found[:, 117], 0.4 * values[:, 15] + 0.6 * values[:, 0]), "351° lies past the last heading"
    assert found.max() <= values.max() + 1e-9
    # A photo whose centre is turned by whole headings has its curve turned with it.
    turned = at_turns(np.roll(values, shift, axis=1), headings, 16)
    assert np.allclose(turned, np.roll(at_turns(values, headings, 16), shift, axis=1))


def test_without_headings_every_turn_is_alike():
    assert at_turns(np.array([[0.1, 0.4]]), None, 5).tolist() == [[0.4] * 5]
    assert standing_out(np.full((4, 6), 0.3)).max() == 0, "a constant stands out nowhere"


@pytest.fixture(scope="module")
def scene():
    """Tiles of 64 m at 0.5 m around six places, and a photo of each with its heading."""
    values, places = world.ground(), [(40, 30), (-50, 20), (0, -60), (60, -40), (-20, 60), (20, -10)]
    tiles, photos = [], []
    for k, (east, north) in enumerate(places):
        lon, lat = world.at(east, north)
        x, y = world.Transformation("EPSG:4326", "EPSG:32632")(np.array([lon]), np.array([lat]))
        col, row = ~world.transform() @ (x[0], y[0])
        tiles.append(values[:, int(row) - 80 : int(row) + 80, int(col) - 80 : int(col) + 80])
        heading = 61.0 * k
        photos.append((torch.from_numpy(world.panorama(values, lon, lat, heading, rows=256)), heading))
    return [torch.from_numpy(tile.copy()) for tile in tiles], photos


def table(matcher, scene):
    tiles, photos = scene
    queries = [matcher.query(pixels, PanoramaView()) for pixels, _ in photos]
    return matcher.table(queries, [matcher.entry(tile, 0.5) for tile in tiles])


def test_a_network_that_says_nothing_leaves_the_matchers_answer(tmp_path, scene):
    fused = Fused(bundle(tmp_path / "m", heading="north"), CPU)
    for parameter in fused._learned._describer._network.parameters():
        parameter.data.zero_()
    with torch.no_grad():
        fused._learned._describer._network.ground_head.outward_bias.fill_(0.1)
    scores, headings = table(fused, scene)
    alone, turned = table(fused._geometric, scene)
    assert (scores.argmax(1) == alone.argmax(1)).all() and (scores.argmax(1) == np.arange(6)).all()
    truth = np.array([heading for _, heading in scene[1]])
    assert np.abs((headings.diagonal() - truth + 180) % 360 - 180).max() <= 6
    assert np.abs((headings.diagonal() - turned.diagonal() + 180) % 360 - 180).max() <= 3
    assert fused.describe()["sha256"] and fused.name == "fused"


def test_both_decide_the_heading(tmp_path, scene):
    """Where the network is sure of another heading, and counts much, its heading is taken."""
    fused = Fused(bundle(tmp_path / "m", heading="north"), CPU, weight=1e-6)
    scores, headings = table(fused, scene)
    alone, turned = table(fused._learned, scene)
    assert (scores.argmax(1) == alone.argmax(1)).all()
    assert np.abs((headings - turned + 180) % 360 - 180).max() <= 12.75, "alone it looks between two headings"
