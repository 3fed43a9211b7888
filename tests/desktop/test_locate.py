"""Locating photos in a real QGIS window: photos, region, index, search, answer, review, copies; tiles; real imagery.

``SAMESCENE_PICTURES=docs/images`` saves the guide's pictures there.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
from pathlib import Path

import pytest
from driver import ROOT, Desktop, installations, wait_until_gone
from locate_scenes import (
    make_broken,
    make_coarse,
    make_line_polygon,
    make_real,
    make_room,
    make_town,
    off_by,
)
from osgeo import gdal

sys.path.append(str(ROOT / "tests" / "plugin"))
from map_server import MapServer


@pytest.fixture(scope="module")
def town(tmp_path_factory) -> dict:
    """The arguments of the script, made once."""
    python = os.environ.get("SAMESCENE_ENGINE_PYTHON") or str(ROOT / ".venv-engine" / "bin" / "python")
    if not Path(python).is_file():
        pytest.skip("no engine environment (scripts/setup_engine)")
    folder = tmp_path_factory.mktemp("town")
    made = make_town(python, ROOT, folder / "city")
    overhead = made["overhead"]
    return made | {
        "room": str(make_room(folder / "room.jpg")),
        "broken": str(make_broken(folder / "broken.jpg", Path(made["photos"]) / "000001.jpg")),
        "coarse": str(make_coarse(folder / "coarse.tif", overhead)),
        "line": str(make_line_polygon(folder / "line.gpkg", overhead)),
        "real": make_real(folder / "real.tif"),
    }


@pytest.fixture(scope="module")
def servers(town):
    """A server of the town's map tiles, and one that refuses."""
    good, bad = MapServer(town["overhead"]), MapServer(town["overhead"])
    bad.down = 403
    yield good, bad
    good.close()
    bad.close()


@pytest.fixture(scope="module", params=installations(), ids=str)
def answer(request, town, servers, tmp_path_factory) -> dict:
    """What the script saw in the window; one run of QGIS for all tests of this module."""
    desktop = Desktop(request.param, tmp_path_factory.mktemp("locate"))
    desktop.link_plugin()
    out = desktop.folder / "results"
    out.mkdir()
    arguments = town | {"tiles": servers[0].tiles, "broken_tiles": servers[1].tiles, "out": str(out)}
    arguments["guide"] = bool(os.environ.get("SAMESCENE_PICTURES"))
    cache = {"XDG_CACHE_HOME": str(desktop.folder / "cache")}
    result = desktop.run("script_locate.py", arguments=arguments, environment=cache, timeout=600)
    result["orphans"] = wait_until_gone(str(desktop.folder))
    if os.environ.get("SAMESCENE_PICTURES"):
        for picture in desktop.pictures.glob("qgis-*.jpg"):
            shutil.copy(picture, os.environ["SAMESCENE_PICTURES"])
    return {**result, "out": out}


def good_places(found: dict, truth: dict) -> dict:
    """photo → places among the first three within 25 m and 5° of the truth: (metres, degrees)."""
    near = {}
    for photo, place in truth.items():
        offs = [off_by(candidate[:3], place) for candidate in found[photo][1]]
        near[photo] = [(round(metres, 1), round(degrees, 1)) for metres, degrees in offs if metres < 25 and degrees < 5]
    return near


def test_photos_are_read_and_a_broken_one_is_one_line(answer, town):
    kinds = answer["photos"]
    assert [kinds[f"{name}.jpg"] for name in town["truth"]] == [["panorama", ""]] * 5
    assert kinds["room.jpg"] == ["panorama", ""]
    assert kinds["broken.jpg"][1] and "\n" not in answer["broken_said"] and "broken.jpg" in answer["broken_said"]


def test_the_index_is_estimated_built_and_offered(answer):
    assert "cells" in answer["estimate"]
    assert answer["runs"]["index"][:2] == ["done", ""]
    assert answer["indexed"] == ["search", "index"]
    assert ["index", "ready"] in answer["library"]
    assert answer["ticked"] == "6 of 6", "the broken one cannot be ticked"


def test_all_five_are_found_among_the_first_three(answer, town):
    assert answer["runs"]["search"][:2] == ["done", ""]
    near = good_places(answer["found"], town["truth"])
    assert all(near.values()), near


def test_what_cannot_be_told_is_said(answer):
    assert answer["found"]["room"][0] is False
    assert answer["told"]["room"].startswith("No match in this region") and "\n" not in answer["told"]["room"]
    found = sum(match for match, _ in answer["found"].values())
    assert answer["told"]["summary"].startswith(f"{found} of 6 photos have a match")


def test_list_and_map_choose_each_other(answer):
    assert answer["chosen_by_map"][1] == 2
    assert answer["chosen_by_list"] == [1]
    assert answer["zoomed"] is True


def test_places_are_accepted_by_keys_and_kept_with_where_they_come_from(answer, town):
    accepted = {photo: rank for photo, rank, good in answer["decisions"] if good}
    assert sorted(accepted) == sorted(town["truth"])
    assert answer["located"].startswith("5 located in located_photos.gpkg")
    for row in answer["rows"]:
        name = Path(row["photo"]).stem
        assert row["how"] == f"candidate {accepted[name]}" and row["method"] == "fused"
        assert len(row["sha256"]) == 64 and row["reviewer"] and row["decided_at"]
        metres, degrees = off_by([row["lon"], row["lat"], row["heading_deg"]], town["truth"][name])
        assert metres < 25 and degrees < 5


def test_copies_of_the_photos_tell_their_place(answer, town):
    assert answer["copies_said"].startswith("5 copies are in ")
    for name, (lon, lat, _) in town["truth"].items():
        copy = gdal.Open(str(answer["out"] / "copies" / f"{name}.jpg"))
        tags = copy.GetMetadata()
        assert abs(_degrees(tags["EXIF_GPSLongitude"]) - lon) < 5e-4
        assert abs(_degrees(tags["EXIF_GPSLatitude"]) - lat) < 3e-4
        assert "EXIF_GPSImgDirection" in tags
        assert not gdal.Open(str(Path(town["photos"]) / f"{name}.jpg")).GetMetadata().get("EXIF_GPSLatitude")


def test_map_tiles_are_a_reference(answer, town, servers):
    assert answer["runs"]["index of tiles"][:2] == ["done", ""], answer["tiles"]
    assert "127.0.0.1" in answer["tiles"]["note"]
    first = next(iter(town["truth"]))
    assert good_places(answer["tiles"]["found"], {first: town["truth"][first]})[first], answer["tiles"]["found"]
    assert servers[0].asked


def test_a_real_panorama_is_found_on_its_imagery_among_others(answer, town):
    scene = town["real"]
    if scene is None:
        pytest.skip("no real panoramas: ../shared/data/crossview is absent")
    assert answer["runs"]["search of a real photo"][:2] == ["done", ""]
    name = Path(scene["photo"]).stem
    assert good_places(answer["real"], {name: scene["truth"]})[name], answer["real"]


def test_cancel_answers_within_two_seconds_and_nothing_is_seen_of_it(answer):
    for what, told in answer["cancelled"].items():
        assert told["state"] == "cancelled" and told["seconds"] < 2, (what, told)
        assert told["seen"] is False and told["children"] == [], (what, told)
    assert answer["cancelled"]["index"]["offered"] == []
    assert answer["cancelled"]["index"]["listed"] in ([], [["index", "unfinished"]])
    assert answer["stopped"] == "index", "the same settings go on"
    assert "Stopped" in answer["cancelled"]["index"]["message"]
    assert answer["cancelled"]["search"]["offered"] == ["index"]
    assert answer["orphans"] == []


def test_the_window_is_not_blocked(answer):
    # As tests/desktop/test_landcover.py: what the window's thread itself computes, and the best of several runs.
    runs = [row for row in answer["blocked"] if row[0].startswith(("index", "search"))]
    assert statistics.median(row[2] for row in runs) < 100, answer["blocked"]
    assert min(row[1] for row in runs if row[0].startswith("index")) < 100, answer["blocked"]
    assert min(row[1] for row in runs if row[0].startswith("search")) < 100, answer["blocked"]
    others = [row for row in answer["blocked"] if row not in runs]
    assert [row for row in others if row[2] >= 100] == []


def test_what_goes_wrong_is_one_line_and_nothing_is_lost(answer):
    told = answer["faults"]
    for what, (_, line) in told.items():
        assert line and "\n" not in line and len(line) < 400, (what, line)
    assert "no area" in told["drawn flat"][1]
    assert "area" in told["flat polygon"][1]
    assert "outside" in told["outside"][1]
    for line in told["coarse"]:
        assert "pixels of 3 m" in line and "pixels of at most 0.575 m" in line, "what there is, and what is needed"
    assert "127.0.0.1" in told["server"][1] and "403" in told["server"][1]
    assert answer["lost"] == {"photos": 0, "layers": [], "left": [], "broken in the list": []}


def test_nothing_is_cut_off(answer):
    assert answer["cut_off"] == {}


def _degrees(text: str) -> float:
    """``(53) (59) (3.2)`` as degrees."""
    degrees, minutes, seconds = (float(part) for part in text.replace("(", " ").replace(")", " ").split())
    return degrees + minutes / 60 + seconds / 3600
