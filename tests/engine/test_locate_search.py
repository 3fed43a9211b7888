"""Searching an index: exact and in order, re-ranked, honest where the photo is from elsewhere, alone and as a
sequence."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st

from engine.cli.locate_skipped import skipped_photos
from engine.crossview.cells import CellLayout, distance_m
from engine.crossview.crops import Cropper
from engine.crossview.describer import VectorQuery
from engine.crossview.imagery import Imagery
from engine.crossview.index.reader import CellIndex
from engine.crossview.patchwork import Patchwork
from engine.crossview.photos import read_query
from engine.crossview.search import searcher
from engine.crossview.search.calibration import Calibration, Choice
from engine.crossview.search.exact import all_scores, top_cells
from engine.crossview.search.ranking import Background, Places, Weights, distinct
from engine.crossview.search.scoring import Scored, area_curve, brier, error_curve, not_here_auc, recall
from engine.crossview.search.searcher import Searcher
from engine.crossview.search.sequence import joint_scores, offsets_m
from engine.errors import DamagedFileError, EngineError, InputError, ModelError, ParameterError
from engine.events import Reporter
from engine.jobs import find_job
from engine.locate import methods, search_job
from engine.mapping.report import sheet
from engine.raster.read import open_raster
from tests.engine import locate_world as world

PLACES = [(-62.0, 41.0, 200.0), (35.0, -58.0, 20.0), (70.0, 62.0, 305.0)]


class SmallVerifier(world.SmallDescriber):
    """The small describer as what candidates are verified by: its scales are finer."""

    layer, scales_m, side = "geometric", (0.5,), 64


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(methods, "describers_for", lambda method, **_: ("small", [world.SmallDescriber()]))
    monkeypatch.setattr(methods, "verifier_for", lambda device, **_: SmallVerifier())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the index ``index`` and the photos ``p0.png``…, taken where :data:`PLACES` says, and
    ``else.png``."""
    folder = tmp_path_factory.mktemp("locate")
    reference = world.write_reference(folder / "ortho.tif")
    values = world.ground()
    for k, (east, north, heading) in enumerate(PLACES):
        world.write_panorama(folder / f"p{k}.png", world.panorama(values, *world.at(east, north), heading))
    world.write_panorama(folder / "else.png", world.panorama(world.ground(9), world.LON, world.LAT, 80.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(methods, "describers_for", lambda method, **_: ("small", [world.SmallDescriber()]))
        job = find_job("locate-index")
        job.run(
            job.parse({"reference": reference, "region": world.BOX, "out": str(folder / "index"), "cell": 10}),
            Reporter(),
        )
    return folder


def search(made, out, photos, **options):
    job = find_job("locate-search")
    paths = [str(made / photo) for photo in photos]
    return job.run(
        job.parse({"index": str(made / "index"), "panorama": paths, "out": str(out), "verify": 12, **options}),
        Reporter(),
    )


def test_photos_are_found_with_their_headings(made, tmp_path):
    result = search(made, tmp_path / "out", ["p0.png", "p1.png", "p2.png"], top=5)
    meta, _, wkb, columns = pyogrio.raw.read(tmp_path / "out" / "candidates.gpkg", layer="candidates")
    fields = dict(zip(meta["fields"], columns, strict=True))
    assert {"photo", "rank", "score", "probability", "heading_deg", "radius_m"} <= set(fields)
    assert "32632" in meta["crs"]
    assert len(wkb) == 15 and fields["rank"].tolist() == [1, 2, 3, 4, 5] * 3
    for k, (east, north, heading) in enumerate(PLACES):
        first = np.flatnonzero((fields["photo"] == f"p{k}") & (fields["rank"] == 1))[0]
        off = distance_m(fields["lon"][first], fields["lat"][first], *world.at(east, north))
        assert off < 8, k
        assert abs((fields["heading_deg"][first] - heading + 180) % 360 - 180) <= 10
        own = fields["score"][fields["photo"] == f"p{k}"]
        assert (np.diff(own) <= 0).all()
    assert ((fields["probability"] > 0) & (fields["probability"] <= 1)).all()
    assert (fields["radius_m"] == 50).all()
    for name, smaller, larger in (("p0", "probability_25m", "probability"), ("p1", "probability", "probability_100m")):
        assert (fields[smaller] <= fields[larger] + 1e-6)[fields["photo"] == name].all()
    with rasterio.open(tmp_path / "out" / "heatmap_p0.tif") as heat:
        assert heat.crs.to_epsg() == 32632 and heat.nodata == 255
        values = heat.read(1)
        row, col = np.unravel_index(np.where(values == 255, 0, values).argmax(), values.shape)
        x, y = heat.transform @ (col + 0.5, row + 0.5)
        wanted = ~world.transform() @ (x, y)
        assert (
            abs(wanted[0] * world.GSD - 200 - PLACES[0][0]) < 15
            and abs(200 - wanted[1] * world.GSD - PLACES[0][1]) < 15
        )
    written = json.loads((tmp_path / "out" / "result.json").read_text())
    assert written["match"] == result["match"] is True
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("data:image/jpeg") == 3 * (2 + 4) and "http://" not in page and "https://" not in page


def test_a_photo_from_elsewhere_is_less_believed_and_a_heading_helps(made, tmp_path):
    result = search(made, tmp_path / "a", ["p0.png", "p1.png", "else.png"])
    best = [photo["best"]["probability_100m"] for photo in result["figures"]["photos"]]
    assert best[2] < 0.5 * min(best[:2])
    assert result["figures"]["photos"][2]["match"] is False
    alone = search(made, tmp_path / "b", ["else.png"])
    assert alone["match"] is False and json.loads((tmp_path / "b" / "result.json").read_text())["match"] is False
    assert "Not in this region" in (tmp_path / "b" / "report.html").read_text()
    told = search(made, tmp_path / "c", ["p0.png"], heading=200)
    assert abs(told["figures"]["photos"][0]["best"]["heading_deg"] - 200) <= 0.1


def test_the_same_answers_without_the_imagery_but_for_verification(made, tmp_path):
    with_it = search(made, tmp_path / "a", ["p0.png"], verify=0)
    moved = made / "ortho.moved"
    (made / "ortho.tif").rename(moved)
    try:
        without = search(made, tmp_path / "b", ["p0.png"])
    finally:
        moved.rename(made / "ortho.tif")
    assert any("neither verified nor shown" in line for line in without["warnings"])
    assert without["figures"]["photos"][0]["best"] == with_it["figures"]["photos"][0]["best"]


def test_an_index_of_two_files_is_verified_against_both(made, tmp_path):
    """West of the middle from one file, east of it from another, which overlap by 40 m: as from one file."""
    with rasterio.open(made / "ortho.tif") as whole:
        for name, left, right in (("west", 0, 440), ("east", 360, 800)):
            window = rasterio.windows.Window(left, 0, right - left, 800)
            profile = whole.profile | {"width": right - left, "transform": whole.window_transform(window)}
            with rasterio.open(tmp_path / f"{name}.tif", "w", **profile) as part:
                part.write(whole.read(window=window))
    job = find_job("locate-index")
    for name, box in (("west", "9.1785,48.7791,9.18,48.7809"), ("east", "9.18,48.7791,9.1815,48.7809")):
        words = {"reference": str(tmp_path / f"{name}.tif"), "region": box, "out": str(tmp_path / "index"), "cell": 10}
        told = {"attribution": f"© {name}", "imagery_date": "2021" if name == "west" else "2024-05-01"}
        made_of = job.run(job.parse({**words, **told, "update": name == "east"}), Reporter())
    photos = ["p0.png", "p1.png"]  # 62 m west and 35 m east of the middle
    joined = search(made, tmp_path / "joined", photos, index=str(tmp_path / "index"))
    assert joined["warnings"] == search(made, tmp_path / "whole", photos)["warnings"]
    area = json.loads((tmp_path / "index" / "area.geojson").read_text())["features"][0]["properties"]
    for facts in (joined["figures"], made_of["figures"], area):
        assert (facts["attribution"], facts["imagery_date"]) == ("© west; © east", "2021; 2024-05-01")
    assert [(Path(one["path"]).name, one["attribution"]) for one in joined["figures"]["imagery"]] == [
        ("west.tif", "© west"), ("east.tif", "© east"),
    ]  # fmt: skip
    assert "© west, taken 2021" in (tmp_path / "joined" / "report.html").read_text()
    for one, (east, north, heading) in zip(joined["figures"]["photos"], PLACES, strict=False):
        assert distance_m(one["best"]["lon"], one["best"]["lat"], *world.at(east, north)) < 8
        assert abs((one["best"]["heading_deg"] - heading + 180) % 360 - 180) <= 10 and one["match"]
    (tmp_path / "east.tif").unlink()
    half = search(made, tmp_path / "half", photos, index=str(tmp_path / "index"))
    assert any("east.tif" in line and "candidates there" in line for line in half["warnings"])
    best = half["figures"]["photos"][0]["best"]
    assert distance_m(best["lon"], best["lat"], *world.at(*PLACES[0][:2])) < 8


def test_many_photos_are_searched_a_few_at_a_time_with_the_same_answers(made, tmp_path, monkeypatch):
    """Scores of all cells are held for some photos alone, and the report shows pictures of the first."""
    photos = ["p0.png", "p1.png", "p2.png"]
    whole = search(made, tmp_path / "whole", photos, top=5)
    together, true = [], Searcher.search
    monkeypatch.setattr(
        Searcher, "search", lambda self, images, *a, **b: together.append(len(images)) or true(self, images, *a, **b)
    )
    monkeypatch.setattr(searcher, "SCORE_BYTES", 8 * 2 * CellIndex(made / "index").cells)
    monkeypatch.setattr(search_job, "MOST_PICTURES", 2)
    monkeypatch.setattr(sheet, "MOST_INPUTS", 2)
    parts = search(made, tmp_path / "parts", photos, top=5)
    assert together == [2, 1]
    for one, other in zip(whole["figures"]["photos"], parts["figures"]["photos"], strict=True):
        assert one["best"] == pytest.approx(other["best"], abs=1e-4) and one["match"] == other["match"]
    for photo in ("p0", "p1", "p2"):
        maps = [(tmp_path / out / f"heatmap_{photo}.tif").read_bytes() for out in ("whole", "parts")]
        assert maps[0] == maps[1]
    page = (tmp_path / "parts" / "report.html").read_text()
    assert page.count("<h3>") == 2 and "The other photos: 1" in page and "<td>p2</td>" in page
    assert "and 2 more, which result.json names." in page and set(parts["inputs"]) == {"index", "p0", "p1", "p2"}
    assert "The other photos" not in (tmp_path / "whole" / "report.html").read_text()
    sequence = ["p0.png", "p1.png"]
    (tmp_path / "track.csv").write_text("photo,east_m,north_m\np0.png,0,0\np1.png,97,-99\n")
    together.clear()
    monkeypatch.setattr(searcher, "SCORE_BYTES", 1)
    search(made, tmp_path / "sequence", sequence, sequence=True, track=str(tmp_path / "track.csv"))
    assert together == [2], "a sequence is searched at once"


def test_crops_come_from_the_image_that_covers_them_best(made, tmp_path):
    with rasterio.open(made / "ortho.tif") as whole:
        profile = whole.profile | {"width": 500}
        with rasterio.open(tmp_path / "west.tif", "w", **profile) as part:
            part.write(whole.read(window=rasterio.windows.Window(0, 0, 500, 800)))
    lon, lat = map(np.array, zip(*(world.at(east, 0) for east in (-80, 40, 60, 120)), strict=True))
    with open_raster(str(tmp_path / "west.tif")) as west, open_raster(str(made / "ortho.tif")) as whole:
        alone = Cropper(Imagery(whole), side=64)
        both = Patchwork([Cropper(Imagery(west), side=64), alone])
        crops, wanted = both.cut(lon, lat, 0.5), alone.cut(lon, lat, 0.5)
        assert np.array_equal(crops.observed, np.ones(4)) and both.gsd_m(9.18, 48.78) == alone.gsd_m(9.18, 48.78)
        assert np.abs(crops.pixels.numpy() - wanted.pixels.numpy()).max() < 1e-5
        turned = both.cut(lon, lat, 0.5, turn_deg=np.array([10.0, 50.0, 90.0, 200.0]))
        same = alone.cut(lon, lat, 0.5, turn_deg=np.array([10.0, 50.0, 90.0, 200.0]))
        assert np.abs(turned.pixels.numpy() - same.pixels.numpy()).max() < 1e-5


@pytest.mark.parametrize("kind", ["hnsw", "ivfpq"])
def test_approximate_search_finds_the_same_places(made, tmp_path, kind):
    pytest.importorskip("faiss")
    exact = search(made, tmp_path / "exact", ["p0.png", "p2.png"], search="exact")
    near = search(made, tmp_path / kind, ["p0.png", "p2.png"], search=kind)
    assert near["figures"]["search"] == kind
    for a, b in zip(exact["figures"]["photos"], near["figures"]["photos"], strict=True):
        assert distance_m(a["best"]["lon"], a["best"]["lat"], b["best"]["lon"], b["best"]["lat"]) < 1
    structure = made / "index" / f"learned.{kind}.faiss"
    stamp = structure.stat().st_mtime_ns
    search(made, tmp_path / "again", ["p0.png"], search=kind)
    assert structure.stat().st_mtime_ns == stamp
    structure.write_bytes(structure.read_bytes()[:-500])  # damaged: made anew, not trusted
    search(made, tmp_path / "mended", ["p0.png"], search=kind)
    assert structure.stat().st_mtime_ns != stamp


def test_a_sequence_is_found_where_its_photos_alone_are_not(made, tmp_path):
    values = world.ground()
    rng = np.random.default_rng(4)
    spots = [(-60.0, 20.0), (-35.0, 22.0), (-10.0, 24.0), (15.0, 30.0), (40.0, 38.0)]
    rows = ["photo,east_m,north_m"]
    for k, (east, north) in enumerate(spots):
        picture = world.panorama(values, *world.at(east, north), 40.0 * k).astype(float)
        noise = rng.normal(0, 95, (3, 16, 32)).repeat(8, axis=1).repeat(8, axis=2)
        world.write_panorama(tmp_path / f"s{k}.png", np.clip(picture + noise, 0, 255).astype(np.uint8))
        rows.append(f"s{k}.png,{east + 1000},{north - 500}")
    (tmp_path / "track.csv").write_text("\n".join(rows))
    photos = [str(tmp_path / f"s{k}.png") for k in range(5)]

    def errors(result):
        return [
            float(distance_m(p["best"]["lon"], p["best"]["lat"], *world.at(*spot)))
            for p, spot in zip(result["figures"]["photos"], spots, strict=True)
        ]

    alone = errors(search(made, tmp_path / "alone", photos, verify=0))
    joint = errors(search(made, tmp_path / "joint", photos, verify=0, sequence=True, track=str(tmp_path / "track.csv")))
    assert sum(e < 20 for e in joint) >= 4 > sum(e < 20 for e in alone)
    with pytest.raises(InputError, match="tells no position"):
        search(made, tmp_path / "x", photos, sequence=True)
    (tmp_path / "track.csv").write_text("photo,east\n")
    with pytest.raises(InputError, match="track"):
        search(made, tmp_path / "x", photos, sequence=True, track=str(tmp_path / "track.csv"))


def test_faults_are_one_line_and_leave_nothing(made, tmp_path, monkeypatch):
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff\xe1garbage")
    with pytest.raises(DamagedFileError, match=r"bad\.jpg"):
        search(made, tmp_path / "x", [str(tmp_path / "bad.jpg")])
    other = world.SmallDescriber()
    other.model = other.model.model_copy(update={"sha256": "1" * 64})
    monkeypatch.setattr(methods, "describers_for", lambda method, **_: ("small", [other]))
    with pytest.raises(ModelError, match="other weights"):
        search(made, tmp_path / "x", ["p0.png"])
    with pytest.raises(ParameterError, match="fused"):
        search(made, tmp_path / "x", ["p0.png"], method="fused")
    with pytest.raises(ParameterError, match="geometric"):
        search(made, tmp_path / "x", ["p0.png"], method="geometric")
    assert not (tmp_path / "x").exists()


def test_exact_scores_are_those_of_the_whole_matrix(made):
    index = CellIndex(made / "index")
    rng = np.random.default_rng(0)
    queries = [
        VectorQuery(rng.standard_normal((k, 96)).astype(np.float32), None if k == 1 else np.arange(k, dtype=np.float32))
        for k in (1, 5)
    ]
    found = all_scores(index, world.SmallDescriber(), queries, Reporter())
    table = np.concatenate([codes for _, codes in index.shards("learned")]).astype(np.float32)[:, 0]
    for k, query in enumerate(queries):
        wanted = (table @ query.vectors.T).max(axis=1)
        assert np.abs(found.scores[k] - wanted).max() < 1e-4
    assert found.headings is None, "they are told of the cells that are returned"
    broken = VectorQuery(np.full((1, 96), np.nan, np.float32), None)
    with pytest.raises(ModelError, match="not a finite number"):
        all_scores(index, world.SmallDescriber(), [broken], Reporter())


def test_the_best_are_in_order_and_ties_by_number():
    rng = np.random.default_rng(2)
    scores = rng.integers(0, 12, 500).astype(np.float32)
    for k in (1, 7, 100, 499, 500, 900):
        wanted = sorted(range(500), key=lambda n: (-scores[n], n))[:k]
        assert top_cells(scores, k).tolist() == wanted


def test_one_candidate_a_place_and_the_gap_to_the_next():
    lon, lat = np.array([9.0, 9.0002, 9.01, 9.02]), np.full(4, 48.0)
    places = distinct(np.arange(4), np.array([5.0, 4.9, 3.0, 1.0]), np.zeros(4), lon, lat, apart_m=48.0, most=2)
    assert places.cells.tolist() == [0, 2]
    assert places.gap.tolist() == [2.0, -2.0]
    flat = Background.of(np.full(10, 0.3))
    assert np.allclose(flat.z(np.full(10, 0.3)), 0)
    calibration = Calibration(Weights(), {50.0: Choice(5.0, 0.0, 0.0)}, 0.5, "x")
    many = Places(np.arange(3), np.full(3, 9.0), np.zeros(3), np.zeros(3))
    assert calibration.probabilities(many, 50.0).sum() == pytest.approx(1)


@given(
    st.floats(0.01, 2),
    st.tuples(st.floats(-5, 12), st.floats(-5, 12)),
    st.lists(st.floats(-3, 15), min_size=1, max_size=8),
)
def test_probabilities_are_a_choice_between_places_elsewhere_and_what_is_not_listed(sharpness, rest, scores):
    ranked = np.sort(np.array(scores))[::-1]
    choice = Choice(sharpness, *rest)
    weights = np.exp([*(sharpness * ranked), *rest])
    assert np.allclose(choice.shares(ranked), weights / weights.sum())
    places = Places(np.arange(len(ranked)), ranked, np.zeros(len(ranked)), np.full(len(ranked), np.nan))
    fitted = Calibration(Weights(), {50.0: choice}, 0.5, "x")
    by_belief = [fitted.believing(share).probabilities(places, 50.0) for share in (0.1, 0.5, 0.9, 1.0)]
    assert np.allclose(by_belief[1], fitted.probabilities(places, 50.0)), "as it was fitted"
    assert all((a <= b + 1e-12).all() for a, b in itertools.pairwise(by_belief))
    assert all((p >= 0).all() and p.sum() <= 1 + 1e-9 and (np.diff(p) <= 1e-12).all() for p in by_belief)
    # Bayes: what is known before the search multiplies the odds of here against elsewhere, whatever was seen.
    elsewhere = [choice.shares(ranked, share)[-2] for share in (0.1, 0.5, 0.9, 1.0)]
    odds = [(1 - e) / e for e in elsewhere[:3]]
    assert odds[0] == pytest.approx(odds[1] / 9) and odds[2] == pytest.approx(odds[1] * 9) and elsewhere[3] == 0


def test_a_place_that_stands_clear_is_believed_and_many_that_are_alike_are_not():
    choice = Choice(0.8, 7.0, 5.0)
    clear, alike = choice.shares(np.array([14.0, 5.0, 4.0])), choice.shares(np.full(20, 14.0))
    assert clear[0] > 0.9 > 0.1 > alike[0]


def test_joint_scores_add_up_where_the_offsets_meet():
    layout = CellLayout(30)
    import shapely

    ids = np.concatenate(list(layout.in_region(shapely.box(9.0, 48.0, 9.012, 48.008))))
    z = np.zeros((2, len(ids)))
    lon, lat = layout.centres(ids)
    start = len(ids) // 2
    offsets = np.array([[0.0, 0.0], [120.0, -60.0]])
    other = layout.ids_at(
        lon[[start]] + 120 / (111_194.93 * np.cos(np.radians(lat[start]))), lat[[start]] - 60 / 111_194.93
    )
    z[0, start] = 4.0
    z[1, np.flatnonzero(ids == other[0])[0]] = 4.0
    joint = joint_scores(layout, ids, z, offsets)
    assert joint[0].argmax() == start and joint[0, start] == pytest.approx(8 / np.sqrt(2))
    assert ids[joint[1].argmax()] == other[0]
    assert np.allclose(offsets_m(np.array([[9.0, 48.0], [9.001, 48.0]]))[1], [74.4, 0], atol=0.1)
    with pytest.raises(ParameterError, match="50 km"):
        offsets_m(np.array([[9.0, 48.0], [11.0, 48.0]]))


def scored(first, *, inside=True, area=0.1, probability=0.5, rest=(400.0,)):
    return Scored(
        "p", np.array([first, *rest]), inside, area, 3.0, dict.fromkeys((25.0, 50.0, 100.0), probability), True
    )


def test_figures_of_an_evaluation():
    some = [scored(10, area=0.001), scored(60, rest=(20.0,), area=0.02), scored(300, area=0.5), scored(5, inside=False)]
    assert recall(some, 1, 50.0).tolist() == [1, 0, 0]
    assert recall(some, 2, 50.0).tolist() == [1, 1, 0]
    assert dict(error_curve(some))[100.0] == pytest.approx(2 / 3)
    assert dict(area_curve(some))[0.03] == pytest.approx(2 / 3)
    assert not_here_auc(some) == 0.5  # constant belief tells nothing: ties count a half
    assert not_here_auc([scored(1, probability=0.9), scored(1, inside=False, probability=0.1)]) == 1
    assert not_here_auc(some[:2]) is None
    assert brier([scored(1, probability=1.0), scored(200, probability=0.0)], 50.0) == 0


def test_a_photo_that_cannot_be_read_is_left_out_and_told(made, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    job = find_job("locate-search")
    request = {"index": str(made / "index"), "verify": 0, "top": 1}
    photos = [str(tmp_path / "broken.jpg"), str(made / "p1.png"), str(tmp_path / "absent.jpg")]
    result = job.run(job.parse({**request, "panorama": photos, "out": str(tmp_path / "out")}), Reporter())
    skipped = result["figures"]["skipped"]
    assert [one["name"] for one in skipped] == [photos[0], photos[2]]
    assert [photo["photo"] for photo in result["figures"]["photos"]] == ["p1"]
    told = [line for line in result["warnings"] if line.endswith("It is left out.")]
    assert told == [f"{one['why']} It is left out." for one in skipped]
    assert "2 photos were skipped" in skipped_photos(result).message
    alone = job.parse({**request, "panorama": photos[:1], "out": str(tmp_path / "none")})
    with pytest.raises(EngineError, match=r"broken\.jpg"):
        job.run(alone, Reporter())
    assert not (tmp_path / "none").exists()


def test_the_heading_of_a_file_can_be_left_out(made, tmp_path, monkeypatch):
    """A file that tells a wrong heading misleads the search; with --ignore-heading it is searched for."""
    from engine.locate import search_job

    def read(path, **options):
        photo = read_query(path, **options)
        view = dataclasses.replace(photo.image.view, heading_deg=80.0)
        return dataclasses.replace(photo, image=dataclasses.replace(photo.image, view=view, heading_known=True))

    monkeypatch.setattr(search_job, "read_query", read)
    misled = search(made, tmp_path / "misled", ["p0.png"], verify=0)["figures"]["photos"][0]
    free = search(made, tmp_path / "free", ["p0.png"], verify=0, ignore_heading=True)["figures"]["photos"][0]
    assert misled["heading_known"] and not free["heading_known"]
    assert misled["best"]["heading_deg"] == 80 and abs(free["best"]["heading_deg"] - PLACES[0][2]) < 16


def test_evaluation_rolls_panoramas_and_tells_what_was_skipped(made, tmp_path):
    job = find_job("locate-evaluate")
    rows = ["panorama,lon,lat,heading_deg"]
    for k, (east, north, heading) in enumerate(PLACES):
        lon, lat = world.at(east, north)
        rows.append(f"any/p{k}.png,{lon},{lat},{heading}")
    rows.append("else.png,9.3,48.9,")
    (tmp_path / "positions.csv").write_text("\n".join(rows))
    (tmp_path / "lost.png").write_bytes((made / "p0.png").read_bytes())
    photos = [str(made / f"p{k}.png") for k in range(3)] + [str(made / "else.png"), str(tmp_path / "lost.png")]
    request = {"index": str(made / "index"), "panorama": photos, "positions": str(tmp_path / "positions.csv")}
    result = job.run(job.parse({**request, "out": str(tmp_path / "out")}), Reporter())
    figures = result["figures"]
    assert figures["pooled"]["recall@1<25m"]["value"] == 1 and figures["inside"] == 3 and figures["outside"] == 1
    assert figures["heading_within_10deg_at_rank_1"] == 1 and figures["heading_n"] == 3
    assert figures["not_here_auc"] == 1
    assert [s["name"] for s in figures["skipped"]] == [str(tmp_path / "lost.png")]
    assert (tmp_path / "out" / "queries.csv").read_text().count("\n") == 5
    assert "recall@k" in (tmp_path / "out" / "report.html").read_text()
    from engine.locate.evaluate_job import rolled

    photo = read_query(made / "p0.png")
    turned, truth = rolled(photo, (0.0, 0.0, 200.0), 3)
    shift = round((200.0 - truth[2]) / 360 * 256) % 256
    assert shift and np.array_equal(np.roll(photo.image.pixels.numpy(), shift, 2), turned.image.pixels.numpy())
    with pytest.raises(InputError, match="None of the 1 photos"):
        job.run(job.parse({**request, "panorama": photos[-1:], "out": str(tmp_path / "no")}), Reporter())
