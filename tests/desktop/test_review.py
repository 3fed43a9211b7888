"""The review in a real QGIS window: keys, overlay turned by hand, a place proposed on the map, accepted places and
copies of the photos.

``SAMESCENE_PICTURES=docs/images`` saves the guide's picture there.
"""

from __future__ import annotations

import csv
import math
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from driver import ROOT, Desktop, installations


def engine(*words: str) -> None:
    python = os.environ.get("SAMESCENE_ENGINE_PYTHON") or str(ROOT / ".venv-engine" / "bin" / "python")
    if not Path(python).is_file():
        pytest.skip("no engine environment (scripts/setup_engine)")
    done = subprocess.run([python, "-m", "engine", *words], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> dict:
    """A simulated town of 180 m, an index of it, and a search for three of its panoramas."""
    folder = tmp_path_factory.mktemp("review")
    city = folder / "city"
    engine("simulate", "city", "--seed", "5", "--size", "180", "--same-day", "--character", "town", "--panoramas", "3",
           "--pano-size", "1024x512", "--samples", "1", "-o", str(city))  # fmt: skip
    with (city / "panoramas.csv").open() as table:
        rows = list(csv.DictReader(table))
    photos = [str(city / row["panorama"]) for row in rows]
    index = str(folder / "index")
    engine("locate", "index", str(city / "overhead.tif"), "--region", "14.9989,39.6876,15.0011,39.6894", "-o", index,
           "--method", "geometric", "--imagery-date", "2021-06-01")  # fmt: skip
    engine("locate", "search", index, *photos, "--top", "8", "--verify", "30", "-o", str(folder / "found"))
    return {
        "overhead": str(city / "overhead.tif"),
        "found": str(folder / "found"),
        "photos": [Path(photo).stem for photo in photos],
        "paths": photos,
        "truth": [[float(row[name]) for name in ("lon", "lat", "heading_deg")] for row in rows],
    }


@pytest.fixture(scope="module", params=installations(), ids=str)
def answer(request, searched, tmp_path_factory) -> dict:
    """What the script saw in the window."""
    folder = tmp_path_factory.mktemp("window")
    found = shutil.copytree(searched["found"], folder / "found")  # accepted places lie beside the results
    desktop = Desktop(request.param, folder)
    desktop.link_plugin()
    copies = folder / "copies"
    arguments = {**searched, "found": str(found), "copies": str(copies)}
    result = desktop.run("script_review.py", arguments=arguments, timeout=240)
    if os.environ.get("SAMESCENE_PICTURES"):
        shutil.copy(desktop.pictures / "qgis-review.jpg", os.environ["SAMESCENE_PICTURES"])
    return {**result, "copies": copies}


def away_m(lon: float, lat: float, truth: list[float]) -> float:
    east = (lon - truth[0]) * 111_320 * math.cos(math.radians(truth[1]))
    return math.hypot(east, (lat - truth[1]) * 111_035)


def test_keys_and_list_go_together_and_nothing_is_cut_off(answer):
    assert answer["next"] == [2, 2] and answer["previous"] == [1, 1]
    assert answer["cut_off"] == [] and answer["cut_off_narrow"] == []


def test_the_overlay_is_turned_by_hand(answer):
    assert answer["turned_by"] == pytest.approx(90, abs=2) and answer["heading_again"] == 0


def test_a_place_proposed_on_the_map_is_scored_by_the_engine(answer, searched):
    told = answer["told"]
    assert told["rank"] == 1 and told["score"] > 5 and told["inside"] and told["imagery"]
    assert abs((told["heading_deg"] - searched["truth"][0][2] + 180) % 360 - 180) <= 5
    assert "would be number 1" in answer["text"] and answer["dropped"]


def test_accepted_places_are_a_layer_with_provenance(answer, searched):
    assert len(answer["accepted"]) == 3 and answer["layer"]
    for photo, lon, lat, heading, how, sha256, reviewer in answer["located"]:
        truth = searched["truth"][searched["photos"].index(photo)]
        assert away_m(lon, lat, truth) < 25, photo
        assert abs((heading - truth[2] + 180) % 360 - 180) <= 5, photo
        assert how.startswith("candidate") and len(sha256) == 64 and reviewer


def test_copies_know_their_place_and_the_photos_are_as_they_were(answer, searched):
    assert answer["told_copies"].startswith("3 copies are in")
    for path, photo in zip(searched["paths"], searched["photos"], strict=True):
        copy = answer["copies"] / Path(path).name
        assert copy.read_bytes() != Path(path).read_bytes(), photo
        done = subprocess.run(["gdalinfo", str(copy)], capture_output=True, text=True)
        assert "EXIF_GPSLatitude" in done.stdout, photo


def test_the_window_was_never_blocked(answer):
    # What the window's thread itself computes in each part of the review; a processor shared with others may stretch
    # the rest.
    assert len(answer["busy_ms"]) == 6
    assert max(answer["busy_ms"]) < 100, (answer["busy_ms"], answer["gaps"])
    # Locks held by threads that wait for a processor still count on a busy machine: the best of the parts tells.
    assert min(answer["gaps_ms"]) < 100, (answer["gaps_ms"], answer["gaps"])
