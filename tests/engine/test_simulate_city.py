"""Simulated cities: the same picture for the same call, one geometry for ground and air, files as promised."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from engine.errors import Cancelled, MissingExtraError, ParameterError
from engine.events import CancelToken, Reporter
from engine.jobs import find_job
from engine.panorama.birdseye import birds_eye
from engine.panorama.solar import sun_position
from engine.panorama.view import PanoramaView
from engine.raster.grid import Window
from engine.simulate.city.character import CHARACTERS
from engine.simulate.city.city import SimulatedCity
from engine.simulate.city.day import days_of
from engine.simulate.city.job import run
from engine.simulate.city.request import SimulateCityRequest

pytest.importorskip("embreex", reason="the ray tracer of the extra 'cities' is not installed")
SIZE = 110.0


@pytest.fixture(scope="module")
def city() -> SimulatedCity:
    return SimulatedCity(11, size_m=SIZE, character="suburb", same_day=True)


def panorama_and_overhead(city: SimulatedCity) -> tuple[np.ndarray, np.ndarray]:
    view = city.viewpoints(1)[0]
    return (
        city.panorama(view.x_m, view.y_m, 77.0, height=32, width=64),
        city.overhead(Window(100, 40, 50, 60), gsd_m=0.5, samples=2),
    )


def test_the_same_call_gives_the_same_bytes_and_another_seed_another_city(city):
    again = SimulatedCity(11, size_m=SIZE, character="suburb", same_day=True)
    for one, other in zip(panorama_and_overhead(city), panorama_and_overhead(again), strict=True):
        np.testing.assert_array_equal(one, other)
    # What was drawn before does not matter.
    city.overhead(Window(0, 0, 9, 9))
    np.testing.assert_array_equal(panorama_and_overhead(city)[0], panorama_and_overhead(again)[0])
    strange = SimulatedCity(12, size_m=SIZE, character="suburb", same_day=True)
    assert np.abs(panorama_and_overhead(city)[1].astype(int) - panorama_and_overhead(strange)[1]).mean() > 8


@settings(max_examples=12, deadline=None)
@given(st.integers(-60, 200), st.integers(-60, 200), st.integers(1, 60), st.integers(1, 60), st.sampled_from([1, 2]))
def test_windows_of_the_overhead_join_without_a_seam(city, row, col, height, width, samples):
    whole = city.overhead(Window(row, col, height + 7, width + 5), gsd_m=0.6, samples=samples)
    part = city.overhead(Window(row + 3, col + 2, height, width), gsd_m=0.6, samples=samples)
    np.testing.assert_array_equal(part, whole[:, 3 : 3 + height, 2 : 2 + width])


def ground_detail(picture: torch.Tensor) -> np.ndarray:
    """Grey with its broad light taken away (1, 1, h, w) → (h, w)."""
    grey = picture.mean(dim=1, keepdim=True)
    return (grey - torch.nn.functional.avg_pool2d(grey, 25, 1, 12, count_include_pad=False))[0, 0].numpy()


def agreement(one: np.ndarray, other: np.ndarray, mask: np.ndarray) -> float:
    """Correlation where ``mask`` is true."""
    return float(np.corrcoef(one[mask], other[mask])[0, 1])


@pytest.mark.parametrize("held", [(0, 0, 0), (131.5, 0, 0), (250.25, 5, -8)])
def test_a_mark_on_the_ground_lies_where_the_panorama_shows_it(city, held):
    """The bird's-eye view of a panorama fits the overhead image best where it is (within a pixel, within 1°)."""
    heading, pitch, roll = held
    side, gsd = 64, 0.2
    half = side * gsd / 2
    steps = ((np.arange(side) + 0.5) / side * 2 - 1) * half
    distance = np.hypot(steps[None], steps[:, None])
    mask = (distance > 1.5) & (distance < half)
    shifts, turns = [], []
    for view in city.viewpoints(3, seed=3):
        photo = city.panorama(
            view.x_m, view.y_m, heading, height=256, width=512, pitch_deg=pitch, roll_deg=roll, vfov_deg=180
        )
        image = torch.from_numpy(photo).float()[None] / 255

        def bird(turn, image=image):
            camera = PanoramaView(heading_deg=heading + turn, pitch_deg=pitch, roll_deg=roll)
            return ground_detail(birds_eye(image, camera, side=side, half_width_m=half)[0])

        above = city.overhead_around(view.x_m, view.y_m, side=side + 8, gsd_m=gsd)
        above = ground_detail(torch.from_numpy(above).float()[None] / 255)
        here = bird(0)
        moved = {
            (r, c): agreement(here, above[4 + r : 4 + r + side, 4 + c : 4 + c + side], mask)
            for r in range(-4, 5)
            for c in range(-4, 5)
        }
        best = max(moved, key=lambda k, moved=moved: moved[k])
        if moved[best] < 0.5:
            continue  # the ground is hidden, by cars for one
        shifts.append(best)
        turned = {t: agreement(bird(t), above[4:-4, 4:-4], mask) for t in (-4, -3, -2, -1, 0, 1, 2, 3, 4)}
        turns.append(max(turned, key=lambda k, turned=turned: turned[k]))
    assert len(shifts) >= 2
    assert max(max(abs(r), abs(c)) for r, c in shifts) <= 1, shifts
    assert max(map(abs, turns)) <= 1, turns


def test_a_turned_camera_sees_the_rolled_panorama(city):
    view = city.viewpoints(1)[0]
    north = city.panorama(view.x_m, view.y_m, 0.0, height=64, width=128).astype(int)
    east = city.panorama(view.x_m, view.y_m, 90.0, height=64, width=128).astype(int)
    rolled = np.roll(north, -32, axis=2)
    # A ray on an edge may fall to either side of it.
    assert (np.abs(rolled - east).max(axis=0) > 2).mean() < 0.01


def test_a_strip_is_the_middle_of_the_sphere_and_a_photo_looks_where_it_is_told(city):
    view = city.viewpoints(1)[0]
    sphere = city.panorama(view.x_m, view.y_m, 40.0, height=64, width=128).astype(int)
    strip = city.panorama(view.x_m, view.y_m, 40.0, height=32, width=128, vfov_deg=90).astype(int)
    assert (np.abs(sphere[:, 16:48] - strip).max(axis=0) > 2).mean() < 0.01
    size = {"height": 31, "width": 31, "hfov_deg": 30, "samples": 3}
    photo = city.perspective(view.x_m, view.y_m, view.street_deg, camera_height_m=2.5, **size)
    narrow = city.panorama(view.x_m, view.y_m, view.street_deg, vfov_deg=30, **size)
    # The same within 8° of the middle, but for the size of a pixel.
    both = [p.astype(float).mean(axis=0)[8:23, 8:23].ravel() for p in (photo, narrow)]
    assert np.corrcoef(*both)[0, 1] > 0.8


def test_the_days_differ_unless_they_shall_not(city):
    assert city.days["ground"] is city.days["air"]
    ground, air = days_of(11, False)
    assert (ground.sun_azimuth_deg, ground.day_of_year) != (air.sun_azimuth_deg, air.day_of_year)
    other = SimulatedCity(11, size_m=SIZE, character="suburb")
    assert len(other.scene("ground").cars) and not np.array_equal(other.scene("ground").cars, other.scene("air").cars)
    # Streets, houses and marks are the same: only the day has changed.
    np.testing.assert_array_equal(other.ground.numbers, city.ground.numbers)
    one, two = (c.overhead(gsd_m=0.5).astype(float).mean(axis=0) for c in (city, other))
    assert np.corrcoef(one.ravel(), two.ravel())[0, 1] > 0.4
    assert np.abs(one - two).mean() > 3


def test_the_sun_stands_where_astronomy_has_it():
    assert sun_position(81, 0.0, 0.0)[1] == pytest.approx(90, abs=0.7)  # equinox, noon, equator
    assert sun_position(172, 0.0, 50.0) == pytest.approx((180, 63.45), abs=0.1)
    assert sun_position(355, 0.0, 50.0)[1] == pytest.approx(16.55, abs=0.1)
    morning, evening = sun_position(172, -4.0, 50.0), sun_position(172, 4.0, 50.0)
    assert 60 < morning[0] < 120 and 240 < evening[0] < 300
    assert morning[0] + evening[0] == pytest.approx(360)
    assert sun_position(172, 0.0, -35.0)[0] % 359.9 == pytest.approx(0, abs=0.2)


def test_a_house_shades_the_ground_behind_it_and_no_other(city):
    scene = city.scene("air")
    house = max(city.contents.buildings, key=lambda b: b.height)
    sun = scene.day.to_sun
    up = np.array([[house.x, house.y, house.height + house.rise + 15]], np.float32)
    assert scene.tracer.blocker(up, sun)[0] == -1
    behind = np.array([[house.x, house.y, house.height / 2]], np.float32) - sun * (house.height / 2 / sun[2])
    assert scene.tracer.blocker(behind + np.array([0, 0, 0.01], np.float32), sun)[0] >= 0


def test_viewpoints_stand_on_streets_inside_the_city_and_apart(city):
    views = city.viewpoints(12)
    assert len(views) == 12 and views == city.viewpoints(12)
    assert views != city.viewpoints(12, seed=1)
    lines = shapely.union_all([shapely.LineString(s.line) for s in city.network.streets])
    widest = max(s.width for s in city.network.streets)
    for view in views:
        assert 0 < view.x_m < SIZE and 0 < view.y_m < SIZE
        assert lines.distance(shapely.Point(view.x_m, view.y_m)) < widest / 2
    places = np.array([(v.x_m, v.y_m) for v in views])
    apart = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1)) + np.eye(12) * 99
    assert apart.min() > 0.5


@pytest.mark.parametrize("character", CHARACTERS)
def test_every_character_makes_a_city_with_streets_and_colour(character):
    city = SimulatedCity(3, size_m=60, character=character)
    assert city.brief.character == character and city.network.streets
    picture = city.overhead(gsd_m=1.0)
    assert picture.shape == (3, 60, 60) and picture.dtype == np.uint8
    assert picture.std() > 8 and 20 < picture.mean() < 235
    outlines = [b.outline() for b in city.contents.buildings]
    assert all(shape.is_valid for shape in outlines)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("city") / "cité 1"
    request = {"out": str(out), "seed": 6, "size": 90, "panoramas": 5, "offset": 6, "tile_size": 64, "vfov": 65.45}
    job = find_job("simulate-city")
    job.run(
        job.parse({**request, "pano_size": "96x24", "samples": 1, "image_format": "png", "character": "town"}),
        Reporter(),
    )
    return out


def test_every_file_that_is_promised_is_there_and_positions_are_exact(folder):
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert result["job"] == "simulate-city" and result["simulated"] is True
    assert {p.name for p in folder.iterdir()} == {*result["outputs"].values(), "panoramas", "overheads"}
    pairs = list(csv.DictReader((folder / "pairs.csv").open(encoding="utf-8")))
    exact = list(csv.DictReader((folder / "panoramas.csv").open(encoding="utf-8")))
    assert len(pairs) == len(exact) == 5
    assert len({p["pair_id"] for p in pairs}) == 5
    city = SimulatedCity(6, size_m=90, character="town")
    to_metres = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32633", always_xy=True)
    with rasterio.open(folder / "overhead.tif") as above:
        assert above.crs.to_epsg() == 32633 and above.res == (0.25, 0.25) and above.count == 3
        np.testing.assert_array_equal(above.read(), city.overhead(samples=1))
        for pair, row in zip(pairs, exact, strict=True):
            assert (pair["panorama"], pair["heading_deg"], pair["lon"]) == (
                row["panorama"],
                row["heading_deg"],
                row["lon"],
            )
            assert (pair["vfov_deg"], pair["hfov_deg"], pair["gsd_m"], pair["split"]) == (
                "65.45",
                "360",
                "0.25",
                "train",
            )
            x, y = to_metres.transform(float(row["lon"]), float(row["lat"]))
            assert (x, y) == pytest.approx((float(row["x"]), float(row["y"])), abs=0.005)
            metres = [
                round(float(row[k]) - edge, 4) for k, edge in (("x", above.bounds.left), ("y", above.bounds.bottom))
            ]
            photo = np.asarray(Image.open(folder / pair["panorama"])).transpose(2, 0, 1)
            heading = float(row["heading_deg"])
            again = city.panorama(*metres, heading, height=24, width=96, vfov_deg=65.45)
            np.testing.assert_array_equal(photo, again)
            tile = np.asarray(Image.open(folder / pair["overhead"])).transpose(2, 0, 1)
            column, line = float(pair["camera_column"]), float(pair["camera_row"])
            assert abs(column - 32) <= 24 and abs(line - 32) <= 24
            middle = metres[0] + (32 - column) * 0.25, metres[1] - (32 - line) * 0.25
            expected = city.overhead_around(*middle, side=64)
            assert np.abs(tile.astype(int) - expected).mean() < 3


def test_a_job_that_is_cancelled_or_has_no_room_leaves_nothing(tmp_path):
    token = CancelToken()
    token.cancel()
    with pytest.raises(Cancelled):
        run(SimulateCityRequest(out=str(tmp_path / "out"), size=60, panoramas=2), Reporter(token=token))
    with pytest.raises(ParameterError, match="expected 100000"):
        run(
            SimulateCityRequest(out=str(tmp_path / "out"), size=60, panoramas=100_000, overhead_gsd=2, samples=1),
            Reporter(),
        )
    assert list(tmp_path.iterdir()) == []


def test_a_missing_ray_tracer_is_one_line_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "embreex.mesh_construction", None)
    with pytest.raises(MissingExtraError, match="embreex") as error:
        run(SimulateCityRequest(out=str(tmp_path / "out"), size=60, panoramas=1), Reporter())
    assert "samescene[cities]" in error.value.remedy
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "fault",
    [{"pano_size": "512"}, {"size": 10}, {"split": "a b"}, {"character": "village"}, {"vfov": 200}, {"colour": 1}],
)
def test_requests_that_make_no_sense_are_refused_in_one_line(fault):
    with pytest.raises(ParameterError, match=next(iter(fault))):
        find_job("simulate-city").parse({"out": "x", **fault})
