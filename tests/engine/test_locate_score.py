"""Scoring proposed places: the same numbers as the search has, honest outside of index and imagery."""

from __future__ import annotations

import numpy as np
import pytest

from engine.crossview.cells import distance_m
from engine.crossview.describer import GroundView
from engine.crossview.index.reader import CellIndex
from engine.crossview.learned_describer import LearnedDescriber
from engine.crossview.photos import read_query
from engine.crossview.search import place as place_module
from engine.crossview.search.calibration import Calibration, Choice
from engine.crossview.search.place import PlaceScorer, standing
from engine.crossview.search.ranking import Weights
from engine.crossview.search.searcher import Searcher
from engine.errors import DamagedFileError, MissingFileError, ParameterError
from engine.events import Reporter
from engine.jobs import find_job
from engine.locate import methods
from engine.locate.requests import LocateSearchRequest
from engine.locate.session import open_session
from tests.engine import locate_world as world
from tests.engine.test_locate_search import PLACES, SmallVerifier, search


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(methods, "describers_for", lambda method, **_: ("small", [world.SmallDescriber()]))
    monkeypatch.setattr(methods, "verifier_for", lambda device, **_: SmallVerifier())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with ``index``, the photo ``p0.png`` taken at the first of PLACES, and ``found``: a search for it."""
    folder = tmp_path_factory.mktemp("score")
    reference = world.write_reference(folder / "ortho.tif")
    east, north, heading = PLACES[0]
    world.write_panorama(folder / "p0.png", world.panorama(world.ground(), *world.at(east, north), heading))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(methods, "describers_for", lambda method, **_: ("small", [world.SmallDescriber()]))
        patch.setattr(methods, "verifier_for", lambda device, **_: SmallVerifier())
        index = find_job("locate-index")
        index.run(
            index.parse({"reference": reference, "region": world.BOX, "out": str(folder / "index"), "cell": 10}),
            Reporter(),
        )
        search(folder, folder / "found", ["p0.png"], top=6)
    return folder


def score(made, at, **options):
    job = find_job("locate-score")
    request = {"index": str(made / "index"), "panorama": [str(made / "p0.png")], "verify": 12, **options}
    result = job.run(job.parse({**request, "at": [f"{lon:.9f},{lat:.9f}" for lon, lat in at]}), Reporter())
    return result["figures"]["photos"][0]["places"]


def test_the_place_of_a_cell_has_the_score_that_the_search_gave_it(made):
    request = LocateSearchRequest(
        index=str(made / "index"), panorama=[str(made / "p0.png")], out=str(made / "x"), verify=12
    )
    photo = read_query(made / "p0.png")
    with open_session(request, Reporter(), tolerance_deg=15.0) as session:
        (found,) = session.searcher.search([photo.image], Reporter(), top=5, verify=12)
        lon, lat = session.searcher.lon[found.places.cells], session.searcher.lat[found.places.cells]
    told = score(made, zip(lon.tolist(), lat.tolist(), strict=True))
    assert [one["score"] for one in told] == pytest.approx(found.places.score.tolist(), abs=1e-3)
    assert [one["heading_deg"] for one in told] == pytest.approx((found.places.heading % 360).tolist(), abs=0.1)
    for one, best_lon, best_lat in zip(told, found.lon, found.lat, strict=True):
        assert distance_m(one["best_lon"], one["best_lat"], best_lon, best_lat) < 0.01
        assert one["rank"] is None and one["probability_50m"] is None, "without results there is nothing to rank among"


class Between(world.SmallDescriber):
    """The small describer, whose headings are told as those of a network are."""

    scores = LearnedDescriber.scores


@pytest.mark.parametrize("structure", [False, True])
def test_without_verification_search_and_score_tell_one_heading_between_those_that_were_asked(made, structure):
    """As ``--verify 0``: the search compares by products of all cells, a place and an evaluation by the describer."""
    index, describer = CellIndex(made / "index"), Between()
    image: GroundView = read_query(made / "p0.png").image
    calibration = Calibration(Weights(), {50.0: Choice(1.0, 0.0, 0.0)}, 0.5, "x")
    scorer = PlaceScorer(index, describer, calibration, verifier=None, verifying=None, narrow=None)
    searcher = Searcher(index, describer, calibration, structure=EveryRow(index) if structure else None)
    for photos in ([image], [image, image]):
        evidence = searcher.gather(photos, Reporter(), most=40, verify=0)[-1]
        told = [one.heading_deg for one in scorer.score(image, evidence.lon, evidence.lat, Reporter())]
        assert evidence.heading == pytest.approx(told, abs=0.01)
        assert (np.abs(evidence.heading / 15 - np.round(evidence.heading / 15)) > 0.02).any(), "24 were asked"
    assert abs((evidence.heading[0] - PLACES[0][2] + 180) % 360 - 180) <= 8


class EveryRow:
    """A structure that proposes all descriptions of an index."""

    def __init__(self, index):
        self.ntotal = index.cells

    def search(self, vectors, k):
        return None, np.tile(np.arange(min(k, self.ntotal)), (len(vectors), 1))


def test_the_true_place_ranks_first_and_a_wrong_one_does_not(made):
    east, north, heading = PLACES[0]
    right, wrong = score(made, [world.at(east + 1, north - 1), world.at(-20, -70)], results=str(made / "found"))
    assert right["rank"] == 1 and right["of"] == 6, "the search's own best is the same place and no rival"
    assert right["score"] > wrong["score"] + 2 and right["gap"] > 0 > wrong["gap"]
    assert abs((right["heading_deg"] - heading + 180) % 360 - 180) <= 15
    assert right["probability_25m"] <= right["probability_50m"] <= right["probability_100m"]
    assert wrong["rank"] > 1 and wrong["probability_50m"] < right["probability_50m"]
    assert right["best_m"] <= 10 and right["imagery"] and right["inside"] and right["why"] is None


def test_a_heading_by_hand_is_measured_against_the_photo_that_may_turn(made):
    """The describer of this test holds a heading exactly: at the heading that fits best nothing is lost."""
    (free,) = score(made, [world.at(*PLACES[0][:2])])
    (held,) = score(made, [world.at(*PLACES[0][:2])], turned=free["heading_deg"])
    (off,) = score(made, [world.at(*PLACES[0][:2])], turned=free["heading_deg"] + 90)
    assert held["turned_score"] == pytest.approx(held["score"], abs=1e-3)
    assert held["score"] == pytest.approx(free["score"], abs=1e-6) and free["turned_score"] is None
    assert off["turned_score"] < held["turned_score"] - 1


def test_outside_of_cells_or_imagery_there_is_no_score_and_a_reason(made):
    far, beyond = score(made, [world.at(190, 0), world.at(2000, 0)])
    assert not far["inside"] and far["score"] is None and "outside of the index" in far["why"]
    assert far["imagery"] and far["verified"] is not None, "the imagery reaches further than the cells"
    assert not beyond["imagery"] and beyond["verified"] is None and beyond["score"] is None


def test_a_sample_of_the_cells_is_background_enough(made, monkeypatch):
    at = [world.at(*PLACES[0][:2]), world.at(30, 30)]
    exact = [one["score"] for one in score(made, at)]
    monkeypatch.setattr(place_module, "ALL_CELLS", 10)
    monkeypatch.setattr(place_module, "_SAMPLE", 250)
    assert [one["score"] for one in score(made, at)] == pytest.approx(exact, abs=0.5)


def test_without_imagery_cells_alone_speak(made):
    index = CellIndex(made / "index")
    calibration = Calibration(Weights(own=0.0, neighbours=0.3, verified=1.5), {50.0: Choice(1.0, 0.0, 0.0)}, 0.5, "x")
    scorer = PlaceScorer(index, world.SmallDescriber(), calibration, verifier=None, verifying=None, narrow=None)
    image: GroundView = read_query(made / "p0.png").image
    lon, lat = (np.array([v]) for v in world.at(*PLACES[0][:2]))
    (one,) = scorer.score(image, lon, lat, Reporter(), turned_deg=10.0)
    assert one.score == pytest.approx(one.own + 0.3 * one.neighbours) and one.verified is None
    assert one.turned_score is None and one.heading_deg is not None


def test_standing_is_that_of_a_list_that_is_sorted_by_hand():
    calibration = Calibration(Weights(), {25.0: Choice(0.5, 2.0, 1.0), 50.0: Choice(0.6, 2.0, 1.0)}, 0.5, "x")
    others = [(5.0, 9.0, 48.0), (4.0, 9.01, 48.0), (1.0, 9.02, 48.0)]
    stands = standing(4.5, 9.03, 48.0, others, calibration, 30.0)
    assert (stands.rank, stands.of, stands.gap) == (2, 4, -0.5)
    each = np.exp([0.6 * 5, 0.6 * 4.5, 0.6 * 4, 0.6 * 1, 2, 1])
    assert stands.probability[50.0] == pytest.approx(each[1] / each.sum())
    assert stands.probability[25.0] <= stands.probability[50.0], "never likelier within the smaller circle"
    same = standing(4.9, 9.0001, 48.0, others, calibration, 30.0)
    assert (same.rank, same.of) == (1, 3) and same.gap == pytest.approx(0.9)
    alone = standing(2.0, 9.0, 48.0, [], calibration, 30.0)
    assert (alone.rank, alone.of, alone.gap) == (1, 1, 2.0)


def test_what_cannot_be_read_is_one_line(made, tmp_path):
    job = find_job("locate-score")
    base = {"index": str(made / "index"), "panorama": [str(made / "p0.png")]}
    for text in ("x", "9.1", "9,95", "9;48", "nan,48"):
        with pytest.raises(ParameterError, match="is no place"):
            job.run(job.parse({**base, "at": [text]}), Reporter())
    with pytest.raises(MissingFileError, match="results of the search are missing"):
        score(made, [(9.18, 48.78)], results=str(tmp_path))
    (tmp_path / "result.json").write_text("{}")
    with pytest.raises(DamagedFileError, match="no result of a search"):
        score(made, [(9.18, 48.78)], results=str(tmp_path))
    (tmp_path / "copy.png").write_bytes((made / "p0.png").read_bytes())
    with pytest.raises(ParameterError, match=r"was not for .*copy\.png"):
        score(made, [(9.18, 48.78)], results=str(made / "found"), panorama=[str(tmp_path / "copy.png")])
    (tmp_path / "result.json").write_bytes((made / "found" / "result.json").read_bytes())
    (tmp_path / "candidates.gpkg").write_text("no database")
    with pytest.raises(DamagedFileError, match="candidates cannot be read"):
        score(made, [(9.18, 48.78)], results=str(tmp_path))
