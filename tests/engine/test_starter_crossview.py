"""The starter model crossview ships, is small, has an honest card, and finds panoramas of cities that it never saw."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from engine.crossview.geometric_describer import GeometricDescriber
from engine.crossview.learned_describer import LearnedDescriber
from engine.crossview.search.ranking import Places
from engine.crossview.search.tables import calibration_for
from engine.device import choose_device
from engine.events import Reporter
from engine.jobs import find_job
from engine.locate.methods import is_starter
from engine.models.bundle import find_model
from engine.models.crossview_bundle import load_crossview

ROOT = Path(__file__).resolve().parents[2]
PAIRS = ROOT.parent / "shared" / "data" / "crossview" / "pairs"


def evaluate(path: Path, method: str) -> dict:
    job = find_job("evaluate-crossview")
    return job.run(job.parse({"path": str(path), "method": method, "device": "cpu"}), Reporter())["pooled"]


@pytest.fixture(scope="module")
def city(tmp_path_factory) -> Path:
    """Twenty panoramas of a city of a seed that nothing was trained on, with their tiles."""
    pytest.importorskip("embreex", reason="the extra 'cities' is not installed")
    from engine.simulate.city.city import SimulatedCity

    folder = tmp_path_factory.mktemp("city")
    city = SimulatedCity(seed=7001, size_m=250, character="suburb")
    with (folder / "pairs.csv").open("w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(["pair_id", "panorama", "overhead", "heading_deg", "hfov_deg", "vfov_deg", "gsd_m"])
        for number, place in enumerate(city.viewpoints(20)):
            heading = 37 * number % 360
            panorama = city.panorama(place.x_m, place.y_m, heading, height=64, width=256, vfov_deg=65.45)
            tile = city.overhead_around(place.x_m, place.y_m, side=128, gsd_m=0.5)
            for name, pixels in (("panorama", panorama), ("tile", tile)):
                Image.fromarray(pixels.transpose(1, 2, 0)).save(folder / f"{number}_{name}.png")
            rows.writerow([number, f"{number}_panorama.png", f"{number}_tile.png", heading, 360, 65.45, 0.5])
    return folder


def test_it_ships_small_with_what_it_was_trained_on_and_figures_of_real_pairs():
    model = find_model("crossview", task="crossview")
    assert sum(file.stat().st_size for file in model.folder.iterdir()) <= 4_000_000
    card = load_crossview(str(model.folder)).card
    cities, naip = card.trained_on
    assert cities.name == "Simulated cities (engine simulate city)"
    assert naip.name.startswith("NAIP") and naip.licence == "CC-BY-4.0" and naip.attribution
    for method in ("network alone", "fused"):
        real = {f.metric: f for f in card.figures if "real pairs" in f.data and method in f.data}
        assert {"r@1", "r@5", "heading_within_10deg"} <= real.keys() and real["r@1"].n == 31
    assert card.network.rings, "what candidates are turned by"
    assert all(figure.low <= figure.value <= figure.high for figure in card.figures)
    state = load_crossview(str(model.folder)).network.state_dict()
    assert all(bool(torch.isfinite(value).all()) for value in state.values() if value.is_floating_point())


def test_it_finds_panoramas_of_a_city_that_it_never_saw_and_fused_their_headings(city):
    learned, fused = evaluate(city, "crossview"), evaluate(city, "fused")
    assert learned["r@1"]["value"] >= 0.6, "chance is 1/20"
    assert learned["r@5"]["value"] >= 0.9
    assert fused["r@1"]["value"] >= 0.6
    assert fused["heading_within_10deg"]["value"] >= 0.8, "chance is 1/18"


@pytest.mark.skipif(not PAIRS.is_dir(), reason="The real pairs (../shared/data/crossview) are not here.")
def test_on_real_pairs_it_is_better_than_chance():
    found = evaluate(PAIRS, "crossview")
    assert found["r@5"]["value"] >= 2 * 5 / 31 and found["median_rank"]["value"] < 13


def test_probabilities_are_said_to_be_fitted_for_the_model_that_ships_alone():
    starter = LearnedDescriber.load("crossview", device=choose_device("cpu"))
    assert is_starter(starter)
    starter.bundle_sha256 = "0" * 64
    assert not is_starter(starter), "one's own may have the same name, and other rings"
    assert not is_starter(GeometricDescriber(choose_device("cpu")))
    assert calibration_for("geometric", starter=False, verified="geometric").fitted
    for verified in ("rings", None):
        assert calibration_for("learned", starter=True, verified=verified).fitted
        assert not calibration_for("learned", starter=False, verified=verified).fitted


def test_what_a_search_believes_depends_on_what_verified_its_candidates():
    """Each is fitted for its own scores: rings stand for the network's, which leads where nothing is verified."""
    rings, geometry, nothing = (
        calibration_for("learned", starter=True, verified=one) for one in ("rings", "geometric", None)
    )
    assert rings.weights.verified >= rings.weights.own
    clear, doubtful = rings.weights.total(3.0, 0.0, 8.0), rings.weights.total(4.0, 0.0, 6.0)
    assert clear > doubtful, "what rings put two deviations ahead leads, though the network has it one behind"
    assert geometry.weights.own > 0 and not geometry.fitted, "the starter model is verified by its rings"
    sure = Places(np.arange(2), np.array([14.0, 1.0]), np.array([8.0, -8.0]), np.zeros(2))
    assert rings.by_radius(sure)[50.0][0] > 0.9
    assert nothing.by_radius(sure)[100.0][0] < nothing.match_at, "by the network alone nothing is called found"
