"""Learning an area from own photos and imagery: end to end on a flat world, stopped and gone on with, and refused."""

from __future__ import annotations

import csv
import html
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.crossview.cells import distance_m
from engine.crossview.geometric.matcher import GeometricMatcher
from engine.errors import Cancelled, GridError, InputError, OutputError, ParameterError, RegionError
from engine.events import CancelToken, Reporter
from engine.jobs import find_job
from engine.models.crossview_bundle import load_crossview, save_crossview
from engine.models.library import user_models_folder
from engine.models.rings import RingNetwork
from engine.panorama.view import PanoramaView
from engine.training.crossview.adapt import compare, finding, measure
from engine.training.crossview.adapt.measure import by_chance, figures_of
from engine.training.crossview.adapt.photos import OwnPhoto, find_photos, pair_rows
from engine.training.crossview.adapt.plan import network_plan, training_request
from engine.training.crossview.adapt.request import CrossviewAdaptRequest
from engine.training.crossview.adapt.words import expectation, summary_line, verdict
from engine.training.crossview.adapt.workspace import workspace_folder
from tests.engine import locate_world as world
from tests.engine.test_describers import bundle

FILLED = {"weights_sha256", "engine_version"}
TINY = {"width": 0.0625, "steps": 10, "batch": 8, "device": "cpu", "start": "random", "cell": 25, "apart": 0.2}


@pytest.fixture(scope="module")
def area(tmp_path_factory) -> Path:
    """A folder with ``ortho.tif``, ``photos/`` (32 panoramas and one that is none) and ``places.csv`` of 25 of them."""
    folder = tmp_path_factory.mktemp("area")
    world.write_reference(folder / "ortho.tif")
    values, draw = world.ground(), np.random.default_rng(8)
    (folder / "photos" / "deeper").mkdir(parents=True)
    rows = []
    for k in range(32):
        east, north = draw.uniform(-90, 90, 2)
        where = folder / "photos" / ("deeper" if k % 2 else "") / f"p{k:02d}.png"
        world.write_panorama(where, world.panorama(values, *world.at(east, north), 11.0 * k, rows=64))
        lon, lat = world.at(east, north)
        rows.append({"photo": where.name, "lon": lon, "lat": lat, "heading_deg": 11.0 * k})
    (folder / "photos" / "broken.jpg").write_bytes(b"no picture")
    with (folder / "places.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows[:25])
    return folder


def learn(area: Path, out: Path, reporter: Reporter | None = None, **changes) -> dict:
    job = find_job("crossview-adapt")
    given = {
        "photos": [str(area / "photos")], "reference": str(area / "ortho.tif"), "region": world.BOX, "out": str(out),
        **TINY, **changes,
    }  # fmt: skip
    return job.run(job.parse(given), reporter or Reporter())


def test_an_area_is_learned_measured_and_added_to_the_models(area, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    out = tmp_path / "learned"
    result = learn(area, out, positions=str(area / "places.csv"), register_as="my-town", attribution="© Nobody")
    figures = result["figures"]
    assert figures["photos"] == 27 and figures["apart"] == 5 and len(figures["left_out"]) == 1
    assert "broken.jpg" in figures["left_out"][0]
    assert len(result["warnings"]) == 1 and "broken.jpg" in result["warnings"][0], "imagery of one's own has no terms"
    assert figures["steps"] == 10 and figures["start"] == "random weights" and figures["heading"] == "unknown"
    groups = figures["measured"]
    assert set(groups) == {"apart", "learned"} and set(groups["apart"]) == {"chance", "geometric", "after"}
    assert groups["apart"]["after"]["n"] == 5 and groups["learned"]["after"]["n"] == 20
    assert figures["said"]["apart"] and "5 photos kept apart" in figures["summary"][0]
    names = {path.name for path in out.iterdir()}
    assert names == {"model", "metrics.jsonl", "training.html", "report.html", "result.json"}
    assert not workspace_folder(out).exists(), "copies of photos and tiles are not left behind"
    assert json.loads((out / "result.json").read_text())["figures"]["photos"] == 27
    page = (out / "report.html").read_text()
    assert f"region: {world.BOX}" in page and f"{world.BOX} (SHA-256" not in page, "a box in degrees is no file"
    assert "Photos kept apart: 5" in page and "by chance" in page and "broken.jpg" in page
    model = load_crossview(out / "model")
    card = model.card
    assert card.name == "my-town" and model.inputs.overhead.extent_m == 64 and model.inputs.ground.heading == "north"
    assert card.trained_on[-1].attribution == "© Nobody" and card.trained_on[-1].name == "imagery: ortho.tif"
    assert str(area) not in card.model_dump_json() and "p00" not in card.model_dump_json()
    assert {one.n for one in card.figures} == {5} and card.figures[0].data == "own photos kept apart, network alone"
    assert load_crossview("my-town").card.weights_sha256 == card.weights_sha256
    assert result["registered"]["folder"] == str(user_models_folder() / "my-town")
    with pytest.raises(OutputError, match="not empty"):
        learn(area, out)
    with pytest.raises(ParameterError, match="already"):
        learn(area, tmp_path / "again", register_as="my-town")

    model.network.rings = RingNetwork(4)
    shutil.rmtree(user_models_folder() / "my-town")
    save_crossview(user_models_folder() / "my-town", model.network, card.model_dump(mode="json", exclude=FILLED))
    monkeypatch.setattr(compare, "MOST_GEOMETRIC", 0)  # told above; it takes longer than all the rest
    monkeypatch.setattr(finding, "VERIFIED", 6)
    more = learn(area, tmp_path / "more", start="my-town", width=None, positions=str(area / "places.csv"))
    told = more["figures"]
    assert told["start"] == "the model my-town" and [one["name"] for one in told["stages"]] == ["curriculum"]
    assert told["believed"] == 0 and any("finds the places of 0 of 27 photos" in line for line in more["warnings"])
    assert set(told["measured"]["apart"]) == {"chance", "before", "after", "search_before", "search_after"}
    before = told["measured"]["apart"]["before"]["pooled"]
    assert before == groups["apart"]["after"]["pooled"], "the same photos, places and weights"
    adapted = load_crossview(tmp_path / "more" / "model")
    assert len(adapted.card.trained_on) == 4
    assert adapted.network.rings is not None, "candidates are verified as by the model that it started from"
    torch.testing.assert_close(adapted.network.rings.state_dict(), model.network.rings.state_dict())
    with pytest.raises(ParameterError, match="--extent cannot be chosen"):
        learn(area, tmp_path / "other", start="my-town", width=None, extent=30)


def test_an_area_is_learned_where_a_search_finds_its_photos(area, tmp_path, monkeypatch):
    """The matcher without weights in the place of rings, which random ones would not do: what is found is right, and
    learned from as pairs; what photos tell of where they were taken is not looked at."""
    monkeypatch.setattr(finding, "FEWEST", 12)
    monkeypatch.setattr(measure, "MOST", 10)
    monkeypatch.setattr(finding, "RingMatcher", lambda _, device: GeometricMatcher(device=device))
    monkeypatch.setattr(compare, "MOST_GEOMETRIC", 0)
    monkeypatch.setattr(finding, "shipped_compass", lambda: None)  # these photos have no sky
    seen, true = [], finding.labelled
    monkeypatch.setattr(finding, "labelled", lambda places, *a, **b: seen.extend(places) or true(places, *a, **b))
    given = {
        "start": bundle(tmp_path / "model", heading="north", rings=4),
        "width": None,
        "apart": 0,
        "positions": str(area / "places.csv"),
    }
    out = tmp_path / "learned"
    with pytest.raises(Cancelled):
        learn(area, out, _StopAt("train", 0.6), **given)
    places = list(seen)
    told = {row["photo"]: row for row in csv.DictReader((area / "places.csv").open())}
    known = [(one, told[Path(one.photo.path).name]) for one in places if Path(one.photo.path).name in told]
    away = [float(distance_m(one.lon, one.lat, float(row["lon"]), float(row["lat"]))) for one, row in known]
    turned = [(one.heading_deg - float(row["heading_deg"]) + 180) % 360 - 180 for one, row in known]
    assert len(places) >= 16 and np.mean(np.array(away) < 12) > 0.9 and np.mean(np.abs(turned) < 10) > 0.9
    assert all(one.probability >= finding.BELIEVED for one in places)
    result = learn(area, out, **given)
    assert seen == places, "a stopped run does not search again"
    figures = result["figures"]
    assert figures["believed"] == len(places) and [one["name"] for one in figures["stages"]] == ["supervised"]
    assert set(figures["measured"]["learned"]) == {"chance", "before", "after", "search_before", "search_after"}
    first = {name: one["pooled"]["recall@1<25m"]["value"] for name, one in figures["measured"]["learned"].items()}
    assert first["search_before"] >= 0.5 > 0.3 > first["before"], "rings verify what a random network proposes"
    assert any("before the training" in line for line in figures["said"]["learned"])
    assert f"{len(places)} of 32 photos are learned from" in figures["expect"][0]
    right = figures["believed_right"]
    assert right["expected"] == pytest.approx(np.mean([one.probability for one in places])) and right["n"] == len(known)
    assert right["measured"]["value"] == pytest.approx(np.mean(np.array(away) < 25))
    assert f"of the {len(known)} whose position is known" in figures["expect"][1]
    page = (out / "report.html").read_text()
    assert f"and as {len(known)} known positions say" in page and figures["expect"][1] in html.unescape(page)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("photo,lon,lat\n" + "".join(f"p{k:02d}.png,{world.LON},{world.LAT}\n" for k in range(32)))
    seen.clear()
    with pytest.raises(Cancelled):
        learn(area, tmp_path / "again", _StopAt("train", 0.42), **given | {"positions": str(wrong)})
    assert [one.probability for one in seen] == [one.probability for one in places]


@pytest.fixture(scope="module")
def whole(area, tmp_path_factory) -> dict:
    """The result of a run that nobody stopped, with nothing measured."""
    return learn(area, tmp_path_factory.mktemp("whole") / "learned", apart=0)


def test_the_index_takes_the_model_by_its_folder(area, tmp_path, whole):
    """What was learned is a method of 'locate index' like any other."""
    job = find_job("locate-index")
    made = job.run(
        job.parse(
            {
                "reference": str(area / "ortho.tif"),
                "region": world.BOX,
                "out": str(tmp_path / "index"),
                "method": str(Path(whole["out"]) / "model"),
            }
        ),
        Reporter(),
    )
    assert made["figures"]["method"] == "my-area" and made["figures"]["cells"] > 20


class _StopAt(Reporter):
    """Cancels once the training is under way."""

    def __init__(self, stage: str, after: float) -> None:
        super().__init__(token=CancelToken())
        self._stop, self._after = stage, after

    def progress(self, fraction, stage, message=""):
        super().progress(fraction, stage, message)
        if fraction >= self._after:
            self.token.cancel()


def test_a_stopped_training_goes_on_to_the_same_weights(area, tmp_path, whole):
    out = tmp_path / "stopped"
    with pytest.raises(Cancelled):
        learn(area, out, _StopAt("train", 0.5), apart=0)
    assert not out.exists(), "nothing is visible under the name of the results"
    hidden = workspace_folder(out)
    assert (hidden / "training" / "metrics.jsonl").is_file()
    lines: list[str] = []
    reporter = Reporter(lambda event: lines.append(getattr(event, "message", "")))
    again = learn(area, out, reporter, apart=0)
    assert any("Going on" in line for line in lines)
    assert again["model"]["sha256"] == whole["model"]["sha256"]
    assert not hidden.exists()


def test_a_stop_before_the_training_leaves_nothing(area, tmp_path):
    with pytest.raises(Cancelled):
        learn(area, tmp_path / "out", _StopAt("photos", 0.05))
    assert list(tmp_path.iterdir()) == []


def test_positions_are_never_learned_from(area, tmp_path, monkeypatch, whole):
    """The same photos learned from, whatever is said of where they were taken: the same weights."""
    monkeypatch.setattr(compare, "MOST_GEOMETRIC", 0)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("photo,lon,lat\n" + "".join(f"p{k:02d}.png,{world.LON},{world.LAT}\n" for k in range(32)))
    told = learn(area, tmp_path / "told", apart=0, positions=str(wrong))
    assert whole["model"]["sha256"] == told["model"]["sha256"]
    assert whole["figures"]["measured"] == {}
    assert "Nothing was measured" in (Path(whole["out"]) / "report.html").read_text()
    assert told["figures"]["apart"] == 0 and set(told["figures"]["measured"]) == {"learned"}


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"photos": ["nowhere"]}, InputError, "no such photo or folder"),
        ({"region": "9.17,48.77,9.1702,48.7702"}, ParameterError, "expected at least 24 to tell apart"),
        ({"region": "9.3,48.9,9.31,48.91"}, RegionError, "outside of the reference"),
        ({"most_tiles": 24}, ParameterError, "more than 24 tiles"),
        ({"extent": 20}, GridError, "at most 0.18 m"),
        ({"start": "nonesuch"}, Exception, "nonesuch"),
        ({"name": "geometric"}, ParameterError, "choose another name"),
        ({"positions": "nowhere.csv"}, InputError, "positions cannot be read"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_is_one_line_and_leaves_nothing(area, tmp_path, changes, kind, text):
    with pytest.raises(kind) as caught:
        learn(area, tmp_path / "out", **changes)
    assert text in str(caught.value) and "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_few_photos_are_refused_and_photos_of_one_lens_are_no_panoramas(area, tmp_path):
    few = [str(path) for path in find_photos([str(area / "photos")])[:20]]
    with pytest.raises(ParameterError, match="20 photos to learn from; expected at least 24"):
        learn(area, tmp_path / "out", photos=few)
    narrow = tmp_path / "narrow"
    narrow.mkdir()
    for k in range(24):
        world.write_panorama(narrow / f"{k}.png", np.full((3, 40, 60), 90, np.uint8))
    with pytest.raises(ParameterError, match=r"0 photos.*24 were left out, the first: .*one lens, 65° wide"):
        learn(area, tmp_path / "out", photos=[str(narrow)])


def own(position) -> OwnPhoto:
    return OwnPhoto("p", "p", Path("p"), None, False, position)  # type: ignore[arg-type]


def panoramas(count: int, *, headings: int, vfov: float = 180.0) -> list[OwnPhoto]:
    view = PanoramaView(heading_deg=10, vfov_deg=vfov)
    return [OwnPhoto(str(k), str(k), Path("p"), view, k < headings, None) for k in range(count)]


def planned(photos: list[OwnPhoto], *, start: str = "random", **changes):
    request = CrossviewAdaptRequest(photos=["p"], reference="r", region="0,0,1,1", out="o", start=start, **changes)
    return training_request(request, network_plan(request), photos, data=Path("d"), out=Path("t"))


def test_the_training_is_planned_by_the_photos():
    """Headings that are not known are looked for; few photos choose no weights; strips are taken as high as they
    are."""
    known = planned(panoramas(100, headings=80))
    assert known.stage_names == ("intra", "cross", "curriculum") and known.heading == "known" and known.vfov == 65.45
    assert (known.labels, known.batch, known.steps, known.choose, known.validation_share) == (0, 32, 400, "last", 0)
    assert known.cross_epochs == 32 and known.extent == 64 and known.overhead_size == 128
    many = planned(panoramas(2000, headings=2000, vfov=50.0))
    assert many.steps == 5000 and many.choose == "auto" and many.validation_share == 0.1 and many.vfov == 50
    for blind in (planned(panoramas(2000, headings=1500)), planned(panoramas(100, headings=100), heading="unknown")):
        assert blind.stage_names == ("intra", "cross", "curriculum") and blind.heading == "found"
        assert blind.compared_turns == 8 and blind.choose == ("auto" if blind.steps > 400 else "last")
    assert planned(panoramas(24, headings=0), heading="known").stage_names[-1] == "curriculum"
    assert planned(panoramas(24, headings=0)).batch == 12 and planned(panoramas(24, headings=0), steps=90).steps == 90
    large = planned(panoramas(500, headings=500), size="large", width=0.5)
    assert large.encoder == "convnext_tiny" and large.width == 0.5 and large.overhead_size == 256


def test_a_model_goes_on_with_the_places_that_it_finds_itself():
    """Taken back to its photos' own bird's-eye views, the starter model forgot what it knew: of 100 photos of a
    simulated town 34 were placed within 50 m before, and 1 after."""
    for headings, told in ((0, "found"), (300, "known")):
        asked = planned(panoramas(300, headings=headings), start="crossview")
        assert asked.stage_names == ("curriculum",) and asked.heading == told and asked.rehearse == 0
        assert asked.steps == 400 and asked.start is not None and asked.lr == 3e-4
    assert planned(panoramas(3000, headings=0), start="crossview").steps == 3750


def test_photos_whose_places_were_found_are_learned_from_as_pairs():
    request = CrossviewAdaptRequest(photos=["p"], reference="r", region="0,0,1,1", out="o", start="crossview")
    plan = network_plan(request)
    assert plan.has_rings
    photos = panoramas(400, headings=0)
    asked = training_request(request, plan, photos, data=Path("d"), out=Path("t"), found=139)
    assert asked.stage_names == ("supervised",) and asked.labels == 1 and asked.heading == "known"
    assert (asked.steps, asked.batch, asked.compared_turns, asked.neighbours) == (250, 32, 8, 0)
    assert asked.choose == "last" and asked.validation_share == 0 and asked.start is not None
    more = training_request(request, plan, photos, data=Path("d"), out=Path("t"), found=1000)
    assert more.steps == 1250
    assert any("139 of 400" in line for line in expectation(400, from_model=True, believed=139))


def test_the_share_of_right_places_is_that_of_photos_of_known_position():
    found = finding.FoundPairs(
        [{}] * 7, [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 0.75], [3.0, None, 24.9, 25.0, 400.0, 7.0, None]
    )
    right = measure.places_right(found)
    assert right is not None and right["expected"] == pytest.approx(0.75) and right["n"] == 5
    assert right["measured"]["value"] == pytest.approx(3 / 5) and right["measured"]["low"] < 0.6
    (said,) = [one for one in expectation(9, from_model=True, believed=7, right=right) if "expects" in one]
    assert "expects 75 %" in said and "of the 5 whose position is known 60 % (20 to 100 %) are." in said
    few = measure.places_right(replace(found, off_m=[3.0, None, None, None, 400.0, 7.0, 8.0]))
    assert few is not None and few["n"] == 4 and few["measured"] is None
    (said,) = [one for one in expectation(9, from_model=True, believed=7, right=few) if "expects" in one]
    assert "too few of these photos tell where" in said
    assert measure.places_right(finding.NONE_FOUND) is None


def test_headings_are_listed_where_they_are_known_and_believed(tmp_path):
    photos = [replace(photo, copy=tmp_path / "p.jpg") for photo in panoramas(2, headings=1)]
    assert [row["heading_deg"] for row in pair_rows(photos, tmp_path, headings=True)] == [10, ""]
    assert [row["heading_deg"] for row in pair_rows(photos, tmp_path, headings=False)] == ["", ""]
    assert not {"lon", "lat", "position"} & set(pair_rows(photos, tmp_path, headings=True)[0])


def test_figures_by_chance_are_those_of_many_random_orders():
    draw = np.random.default_rng(3)
    lon, lat = np.array([world.at(*draw.uniform(-150, 150, 2)) for _ in range(60)]).T
    photos = [own(world.at(*draw.uniform(-120, 120, 2))) for _ in range(4)]
    expected = by_chance(lon, lat, photos)["pooled"]
    away = np.stack([distance_m(lon, lat, *photo.position) for photo in photos])
    for radius in (25.0, 50.0, 100.0):
        for k in (1, 5, 20):
            tries = [(draw.permuted(away, axis=1)[:, :k] < radius).any(axis=1).mean() for _ in range(3000)]
            assert expected[f"recall@{k}<{radius:.0f}m"]["value"] == pytest.approx(np.mean(tries), abs=0.02)


def test_figures_and_sentences_say_which_method_is_better():
    near, far = np.full((12, 20), 10.0), np.full((12, 20), 400.0)
    assert figures_of(near)["pooled"]["recall@1<25m"]["value"] == 1 and figures_of(far)["median_error_m"] == 400
    assert "more often than with the geometric method" in verdict({"geometric": far, "after": near}, start="x")[0]
    worse = verdict({"geometric": near, "before": far, "after": far}, start="the model x")
    assert "the model x before the training" in worse[0] and "cannot be told apart" in worse[0]
    assert "less often than with the geometric method" in worse[1] and "search with that instead" in worse[1]
    searched = {"before": far, "after": far, "search_before": far, "search_after": near}
    assert "more often than with the model x before the training" in verdict(searched, start="the model x")[0]
    told = summary_line("apart", {name: figures_of(one) for name, one in searched.items()})
    assert "0 % before the training (verified), 100 % after the training (verified)." in told
    line = summary_line("apart", {"after": figures_of(near), "geometric": figures_of(far)})
    assert "12 photos kept apart" in line and "100 % after the training" in line
    assert any("taught a network" in one for one in expectation(60, from_model=False))
    assert any("may make it worse" in one for one in expectation(60, from_model=True))
    assert not any("are few" in one for one in expectation(5000, from_model=True))


def test_at_most_a_hundred_photos_of_a_group_are_searched_for():
    photos = [OwnPhoto(str(k), str(k), Path("p"), None, False, (0.0, 0.0)) for k in range(250)]  # type: ignore[arg-type]
    chosen = measure.drawn(photos, 0)
    assert len(chosen) == measure.MOST and chosen == measure.drawn(photos, 0) != measure.drawn(photos, 1)
    assert measure.drawn(photos[:7], 0) == photos[:7]
