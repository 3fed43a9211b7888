"""The run of the user guide: every input, on a simulated scene.

``SAMESCENE_PICTURES=docs/images`` saves the guide's pictures there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from driver import ROOT, Desktop, installations


@pytest.fixture(scope="session")
def simulated(tmp_path_factory) -> Path:
    """A simulated flood with everything that a run can use."""
    python = os.environ.get("SAMESCENE_ENGINE_PYTHON") or str(ROOT / ".venv-engine" / "bin" / "python")
    if not Path(python).is_file():
        pytest.skip("no engine environment (scripts/setup_engine)")
    out = tmp_path_factory.mktemp("simulated") / "scene"
    command = [python, "-m", "engine", "simulate", "scene", "--seed", "7", "--size", "768", "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module", params=installations(), ids=str)
def answer(request, simulated, tmp_path_factory) -> dict:
    """What the script saw in the window."""
    desktop = Desktop(request.param, tmp_path_factory.mktemp("guide"))
    desktop.link_plugin()
    out = desktop.folder / "Valley flood"
    arguments = {"scene": str(simulated), "out": str(out), "zone_field": "zone_id"}
    result = desktop.run("script_guide.py", arguments=arguments, timeout=240)
    if os.environ.get("SAMESCENE_PICTURES"):
        for picture in desktop.pictures.glob("qgis-*.jpg"):
            shutil.copy(picture, os.environ["SAMESCENE_PICTURES"])
    return {**result, "out": out}


def test_a_run_with_every_input_ends_well(answer):
    assert answer["state"] == "done", answer["error"]
    made = json.loads((answer["out"] / "result.json").read_text())
    assert {"post", "before", "reference_water", "dem", "zones"} <= set(made["inputs"])
    assert made["figures"]["area_m2"]["flood"] > 0


def test_nothing_in_the_form_is_cut_off(answer):
    assert answer["cut_off"] == []


def test_every_class_that_occurs_is_in_the_legend(answer):
    pixels = json.loads((answer["out"] / "result.json").read_text())["figures"]["pixels"]
    names = {"flood": "flood", "reference_water": "reference water", "water": "water (no reference)",
             "excluded": "set aside"}  # fmt: skip
    assert answer["legend"]["flood"] == [name for key, name in names.items() if pixels[key]]


def test_the_slider_works_in_a_project_that_was_opened_again(answer):
    assert answer["bound_again"] == [True, 20]


def test_files_carry_their_styles(answer):
    for name in ("flood.qml", "water_probability.qml"):
        assert (answer["out"] / name).is_file()
