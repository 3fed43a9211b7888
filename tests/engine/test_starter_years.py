"""An aerial image in another year (scripts/starters/years.py): what changes, and what stays."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
GROUND, TREE, ROOF = 0, 1, 2
ROAD, LAWN = 0.35, np.array([0.25, 0.4, 0.2])


@pytest.fixture
def starters(monkeypatch) -> SimpleNamespace:
    """The scripts' modules ``aerial`` and ``years``."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return SimpleNamespace(**{name: import_module(f"starters.{name}") for name in ("aerial", "years")})


@pytest.fixture
def street(starters):
    """A road across (rows 60 to 80) with two red cars, lawn, a roof and four crowns; 0.4 m a pixel."""
    image = np.tile(LAWN, (160, 160, 1)).astype(np.float32)
    plants = np.ones((160, 160), bool)
    image[60:80], plants[60:80] = ROAD, False
    for column in (40, 100):
        image[66:70, column : column + 11] = (0.8, 0.1, 0.1)
    kind, height = np.full((160, 160), GROUND, np.uint8), np.zeros((160, 160), np.float32)
    kind[20:50, 20:60], height[20:50, 20:60], plants[20:50, 20:60] = ROOF, 5.0, False
    image[20:50, 20:60] = (0.6, 0.5, 0.4)
    for row, column in ((100, 30), (100, 80), (130, 120), (20, 120)):
        own = np.hypot(*(np.mgrid[:160, :160] - np.array([row, column])[:, None, None])) < 8
        kind[own], height[own], image[own] = TREE, 8.0, (0.1, 0.2, 0.1)
    return starters.aerial.Aerial("street", image, plants, kind, height, np.zeros((160, 160), bool))


def test_a_year_is_that_of_its_seed_and_leaves_the_image_alone(starters, street):
    before = street.image.copy()
    surfaces = starters.years.surfaces_of(street)
    one, same, other = (starters.years.another_year(surfaces, np.random.default_rng(seed)) for seed in (1, 1, 2))
    for name in ("image", "kind", "height_m", "plants"):
        assert np.array_equal(getattr(one, name), getattr(same, name)), name
    assert not np.array_equal(one.image, other.image)
    assert np.array_equal(street.image, before)
    assert one.image.shape == before.shape and one.image.dtype == np.float32
    assert one.image.min() >= 0 and one.image.max() <= 1 and np.isfinite(one.height_m).all()


def test_cars_are_gone_and_the_kerb_is_where_it_was(starters, street):
    surfaces, told = starters.years.surfaces_of(street), 0
    for seed in range(8):
        image = starters.years.another_year(surfaces, np.random.default_rng(seed)).image
        car, road = image[66:70, 40:51].mean((0, 1)), image[64:76, 60:90].mean((0, 1))
        assert np.abs(car - road).max() < 0.08, "the road goes on where the car stood"
        profile = image[52:90, 140:155].mean((1, 2))
        if abs(profile[-1] - profile[18]) > 0.03:  # else road and lawn have come to be as bright as each other
            told += 1
            steepest = int(np.abs(np.diff(profile)).argmax()) + 52
            assert min(abs(steepest - edge) for edge in (59, 79)) <= 3, (
                "within 1.2 m: fine detail is blurred by up to .9"
            )
    assert told >= 4


def test_trees_are_felled_and_planted_on_what_is_green_and_roofs_stay(starters, street):
    surfaces = starters.years.surfaces_of(street)
    years = [starters.years.another_year(surfaces, np.random.default_rng(seed)) for seed in range(20)]
    felled = [((street.kind == TREE) & (year.kind == GROUND)).sum() for year in years]
    planted = [((street.kind == GROUND) & (year.kind == TREE)).sum() for year in years]
    assert 0.05 < np.mean(felled) / (street.kind == TREE).sum() < 0.5 and np.mean(planted) > 0
    for year in years:
        assert (year.kind[street.kind == ROOF] == ROOF).all()
        assert (year.kind[60:80][street.kind[60:80] == GROUND] == GROUND).mean() > 0.8, "no tree's foot on the road"
        assert (year.height_m[year.kind == GROUND] == 0).all() and (year.height_m[year.kind != GROUND] > 0).all()
        assert 4 <= year.height_m[street.kind == ROOF].mean() <= 6.25
