"""Locating photos in a real QGIS window: photos, region, cancel and resume, search, answer, review.

``SAMESCENE_PICTURES=docs/images`` saves the guide's pictures there.
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

METRES_PER_DEGREE = 111_320


@pytest.fixture(scope="module")
def town(tmp_path_factory) -> dict:
    """A simulated town seen from above, and five panoramas of its streets, taken on the day of the imagery."""
    python = os.environ.get("SAMESCENE_ENGINE_PYTHON") or str(ROOT / ".venv-engine" / "bin" / "python")
    if not Path(python).is_file():
        pytest.skip("no engine environment (scripts/setup_engine)")
    folder = tmp_path_factory.mktemp("town") / "city"
    command = [python, "-m", "engine", "simulate", "city", "--seed", "5", "--size", "150", "--character", "town"]
    command += ["--panoramas", "5", "--pano-size", "1024x512", "--overhead-gsd", "0.2", "--same-day", "-o", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    with (folder / "panoramas.csv").open() as table:
        truth = {Path(row["panorama"]).stem: row for row in csv.DictReader(table)}
    return {"overhead": folder / "overhead.tif", "truth": truth, "photos": sorted(folder.glob("panoramas/*.jpg"))}


@pytest.fixture(scope="module", params=installations(), ids=str)
def answer(request, town, tmp_path_factory) -> dict:
    """What the script saw in the window."""
    desktop = Desktop(request.param, tmp_path_factory.mktemp("locate"))
    desktop.link_plugin()
    out = desktop.folder / "results"
    out.mkdir()
    arguments = {"overhead": str(town["overhead"]), "photos": [str(p) for p in town["photos"]], "out": str(out)}
    environment = {
        "XDG_DATA_HOME": str(desktop.folder / "data")
    }  # the user's own models are none of the test's business
    if not os.environ.get("SAMESCENE_ENGINE_PYTHON"):
        environment["SAMESCENE_ENGINE_PYTHON"] = str(ROOT / ".venv-engine" / "bin" / "python")
    result = desktop.run("script_locate.py", arguments=arguments, environment=environment, timeout=580)
    if os.environ.get("SAMESCENE_PICTURES"):
        for picture in desktop.pictures.glob("qgis-*.jpg"):
            shutil.copy(picture, os.environ["SAMESCENE_PICTURES"])
    return {**result, "out": out}


def off(truth: dict, lon: float, lat: float, heading: float) -> tuple[float, float]:
    """Metres and degrees between a candidate and the truth."""
    east = (lon - float(truth["lon"])) * METRES_PER_DEGREE * math.cos(math.radians(lat))
    north = (lat - float(truth["lat"])) * METRES_PER_DEGREE
    return math.hypot(east, north), abs((heading - float(truth["heading_deg"]) + 180) % 360 - 180)


def test_all_photos_are_found_among_the_first_three_candidates(answer, town):
    assert answer["faults"] == [""] * 5
    for photo, candidates in answer["found"].items():
        offs = [off(town["truth"][photo], *candidate[:3]) for candidate in candidates[:3]]
        assert any(metres <= 25 and degrees <= 5 for metres, degrees in offs), (photo, offs)


def test_the_form_knows_the_imagery_of_the_map_and_what_an_index_takes(answer):
    assert answer["reference"] == "Orthophoto 2024"
    assert "cells of 10 m" in answer["estimate"] and "fine enough" in answer["estimate"]


def test_a_cancel_leaves_nothing_visible_and_the_same_run_goes_on(answer):
    assert answer["cancel_s"] < 4, "two seconds, and time for a machine that does other work"
    stopped = answer["stopped"]
    assert stopped["ended"] == [False] and not stopped["visible"] and stopped["engines"] == []
    assert stopped["listed"] in ([], [["town", "unfinished"]])
    assert stopped["out"] == str(answer["out"] / "town"), "the same settings go on"
    assert answer["index"][0] is True and answer["index"][2] == "search"
    assert [name for name, *_ in answer["library"]] == ["town"] and answer["library"][0][1] == "ready"


def test_list_and_map_are_linked(answer):
    assert answer["search"][0] is True, answer["search"]
    chosen, wanted = answer["selected"]
    assert chosen == [wanted] and answer["selected_on_map"] == 2
    assert answer["scale"] < 2000
    assert answer["viewer"][0] == pytest.approx(answer["viewer"][1])


def test_an_accepted_place_is_marked_and_kept(answer):
    assert answer["reviewed"][1] == 1
    assert "place 1" in answer["marks"] and len(answer["located"]) == 1


def test_nothing_is_cut_off_in_a_narrow_dock(answer):
    assert {name: found for name, found in answer["cut_off"].items() if found} == {}


def test_the_window_is_not_blocked(answer):
    # What the window's thread itself computes; a processor shared with others may stretch the rest.
    assert {part: told for part, told in answer["blocked"].items() if told[1] >= 100} == {}
