"""The sun as a compass: where it can stand, where a photo shows it, and what that says of headings."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from engine.crossview.describer import GroundView
from engine.crossview.evaluation import fused
from engine.crossview.geometric.matcher import GeometricMatcher
from engine.crossview.geometric_describer import GeometricDescriber
from engine.crossview.sun import UNTOLD, SunCompass, SunSight, load_sun, shipped_compass
from engine.device import choose_device
from engine.errors import ModelError
from engine.events import Reporter
from engine.models.sun import AZIMUTHS, SunNetwork, azimuths_rad
from engine.panorama.photo import read_photo
from engine.panorama.solar import sun_azimuths
from engine.panorama.view import PanoramaView
from engine.simulate.city.job import run as simulate
from engine.simulate.city.request import SimulateCityRequest
from tests.engine.test_rings import bundle as ringed

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "crossview"
CENTRES = np.degrees(azimuths_rad().double().numpy()).round()


def peaked(azimuth: float, sharp: float = 12.0) -> SunSight:
    weights = np.exp(sharp * np.cos(np.radians(CENTRES - azimuth)))
    return SunSight(weights / weights.sum())


@given(st.integers(-60, 60))
@settings(max_examples=30, deadline=None)
def test_where_the_sun_can_stand(latitude):
    found = sun_azimuths(latitude)
    assert found.sum() == pytest.approx(1) and (found >= 0).all()
    np.testing.assert_allclose(found, found[::-1], atol=0.02)  # mornings are like afternoons
    south = found[90:270].sum()
    assert south > 0.9 if latitude >= 40 else south < 0.1 if latitude <= -40 else True
    # The other hemisphere has the seasons the other way round: the same, with north and south changed.
    np.testing.assert_allclose(found, np.roll(sun_azimuths(-latitude)[::-1], 180), atol=0.02)


@given(st.floats(-180, 180), st.integers(-65, 65))
@settings(max_examples=25, deadline=None)
def test_the_odds_of_headings_are_those_of_a_sum(azimuth, latitude):
    sight, prior = peaked(azimuth), sun_azimuths(latitude)
    expected = []
    for heading in np.arange(120) * 3:
        at = np.floor(CENTRES[:, None] + np.arange(-1.5, 2) + heading).astype(int) % 360  # four degrees of each column
        odds = 360 * (sight.share[:, None] / 4 * prior[at]).sum()
        expected.append(np.log((1 - UNTOLD) * odds + UNTOLD))
    np.testing.assert_allclose(sight.leaning(latitude, 120), expected, atol=1e-9)


def test_a_sun_ahead_speaks_for_a_heading_of_south_and_in_the_south_of_north():
    headings = np.arange(120) * 3
    north, south = peaked(0).leaning(45, 120), peaked(0).leaning(-45, 120)
    assert abs(headings[north.argmax()] - 180) <= 45 and north[0] == pytest.approx(np.log(UNTOLD), abs=0.05)
    assert min(headings[south.argmax()], 360 - headings[south.argmax()]) <= 45
    right = peaked(90).leaning(45, 120)
    assert abs(headings[right.argmax()] - 90) <= 45, "sun on the right: the photo looks east"
    flat = SunSight(np.full(AZIMUTHS, 1 / AZIMUTHS))
    np.testing.assert_allclose(flat.leaning(45, 120), 0, atol=1e-12)


def test_a_turned_photo_has_a_turned_answer():
    torch.manual_seed(0)
    compass = SunCompass(SunNetwork())
    waves = torch.arange(360)[None, None] * torch.tensor([1, 2, 3])[:, None, None] * torch.pi / 180
    pixels = ((waves + torch.arange(180)[None, :, None] / 40).sin() * 120 + 128).to(torch.uint8)
    view = PanoramaView(heading_deg=77.0)
    found = compass.sight(pixels, view)
    assert found.share.shape == (AZIMUTHS,) and found.share.sum() == pytest.approx(1)
    turned = compass.sight(pixels.roll(40, dims=-1), view)
    np.testing.assert_allclose(turned.share, np.roll(found.share, 10), atol=1e-3 * found.share.max())
    assert compass.sight(pixels, PanoramaView(hfov_deg=90.0, vfov_deg=60.0)) is None


def test_what_is_added_at_each_turn_moves_the_best_one():
    matcher = GeometricMatcher()
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(0, 256, (3, 128, 256), dtype=torch.uint8, generator=generator)
    template = matcher.template(pixels, PanoramaView())
    codes = matcher.codes(torch.rand((5, 3, 200, 200), generator=generator), 0.4)
    curves = matcher.curves([template], codes)[0]
    leaning = torch.rand(120, generator=generator)
    plain, _ = matcher.scores([template], codes, headings_deg=[None])
    scores, headings = matcher.scores([template], codes, headings_deg=[None], leanings=[leaning])
    torch.testing.assert_close(scores[0], (curves + leaning).amax(1))
    assert ((headings[0] / 3 - (curves + leaning).argmax(1)).abs() <= 0.5).all()
    assert not torch.equal(plain, scores)
    again, _ = matcher.scores([template], codes, headings_deg=[None], leanings=[None])
    assert torch.equal(plain, again)


def test_the_sun_is_looked_for_where_the_heading_is_not_known():
    class Compass:
        def sight(self, pixels, view):
            return peaked(0)

    describer = GeometricDescriber(choose_device("cpu"), compass=Compass())
    pixels = torch.randint(0, 256, (3, 128, 256), dtype=torch.uint8)
    assert describer.query(GroundView(pixels, PanoramaView(), heading_known=True)).sun is None
    query = describer.query(GroundView(pixels, PanoramaView(), heading_known=False))
    np.testing.assert_allclose(query.leant(45.0, 0.1).leaning, 0.1 * peaked(0).leaning(45.0, query.turns))


def test_the_weights_that_ship_see_the_sun_of_a_city_they_never_saw(tmp_path):
    if shipped_compass() is None:
        pytest.fail("resources/sun has no weights")
    pytest.importorskip("embreex", reason="the extra cities is not installed")
    apart = []
    for seed, character in ((7101, "suburb"), (7102, "town")):
        folder = tmp_path / str(seed)
        simulate(
            SimulateCityRequest(
                out=str(folder), seed=seed, character=character, size=300, panoramas=8, samples=1,
                pano_size="256x128", vfov=180.0,
            ),
            Reporter(),
        )  # fmt: skip
        sun = json.loads((folder / "result.json").read_text())["figures"]["day_of_panoramas"]["sun_azimuth_deg"]
        for row in csv.DictReader((folder / "panoramas.csv").open()):
            photo = read_photo(folder / row["panorama"])
            sight = shipped_compass().sight(photo.pixels, photo.view)
            seen = CENTRES[sight.share.argmax()] + float(row["heading_deg"])
            apart.append(abs((seen - sun + 180) % 360 - 180))
    assert np.mean(np.array(apart) < 60) >= 0.75, apart


@pytest.mark.parametrize("content", [b"", b"no weights", "other"], ids=["empty", "garbage", "another network"])
def test_a_damaged_file_is_one_clear_line(tmp_path, content):
    file = tmp_path / "sun.safetensors"
    if content == "other":
        save_file({"out.weight": torch.zeros((1, 32, 1)), "strange": torch.zeros(3)}, file)
    else:
        file.write_bytes(content)
    with pytest.raises(ModelError, match=r"sun\.safetensors: holds no network") as error:
        load_sun(file)
    assert "\n" not in error.value.message


def test_where_nothing_is_seen_nothing_is_said():
    for pixels in (torch.zeros((3, 64, 128), dtype=torch.uint8), torch.full((3, 64, 128), 200, dtype=torch.uint8)):
        sight = shipped_compass().sight(pixels, PanoramaView())
        np.testing.assert_allclose(sight.leaning(48, 120), 0, atol=1e-4)


@pytest.mark.skipif(not DATA.is_dir(), reason="The real photos (../shared/data/crossview) are not here.")
def test_real_panoramas_of_europe_have_the_sun_in_the_south():
    folder = DATA / "panoramas"
    for row in csv.DictReader((folder / "panoramas.csv").open()):
        photo = read_photo(folder / row["file"], width=1024)
        sight = shipped_compass().sight(photo.pixels, photo.view)
        azimuth = (CENTRES[sight.share.argmax()] + float(row["heading_deg"])) % 360
        assert 90 < azimuth < 270, (row["file"], azimuth)


def test_fused_lets_the_sun_speak_where_the_latitude_is_known(tmp_path, monkeypatch):
    class Compass:
        def sight(self, pixels, view):
            return peaked(40)

    monkeypatch.setattr(fused, "shipped_compass", Compass)
    ringed(tmp_path / "ringed", 8)
    matcher = fused.Fused(str(tmp_path / "ringed"), choose_device("cpu"))
    generator = torch.Generator().manual_seed(2)
    pixels = torch.randint(0, 256, (3, 128, 256), dtype=torch.uint8, generator=generator)
    tiles = [torch.randint(0, 256, (3, 160, 160), dtype=torch.uint8, generator=generator) for _ in range(4)]
    entries = [matcher.entry(tile, 0.5) for tile in tiles]
    with_sun, without = matcher.query(pixels, PanoramaView(), 45.0), matcher.query(pixels, PanoramaView())
    np.testing.assert_allclose(with_sun.sun, peaked(40).leaning(45.0, 120))
    assert not without.sun.any()
    assert (
        not fused.Fused(str(tmp_path / "ringed"), choose_device("cpu"), sun=False)
        .query(pixels, PanoramaView(), 45.0)
        .sun.any()
    )
    scores, _ = matcher.table([with_sun, without], entries)
    assert (scores[0] <= scores[1] + with_sun.sun.max() + 1e-9).all() and (scores[0] != scores[1]).all()
    sure = replace(with_sun, sun=np.where(np.arange(120) == 47, 99.0, 0.0))
    assert (matcher.table([sure], entries)[1] == 47 * 3).all()
