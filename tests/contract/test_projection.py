"""How the plugin draws photos (numpy) against the engine's geometry (torch): the same pixels, the same holes."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from plugin.engine_client.settings import environment_python
from plugin.photos.facts import photo_of
from plugin.photos.projection import birds_eye, perspective

ROOT = Path(__file__).resolve().parents[2]
PYTHON = environment_python(ROOT / ".venv-engine")

pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason=f"no engine environment: {PYTHON} (scripts/setup_engine)")

ENGINE = """
import json, sys
import numpy as np, torch
from engine.panorama.birdseye import birds_eye
from engine.panorama.perspective import equirectangular, perspective
from engine.panorama.view import PanoramaView

given, cases = np.load(sys.argv[1]), json.loads(open(sys.argv[2]).read())
answers = {}
for name, case in cases.items():
    images = torch.from_numpy(given[name]).permute(2, 0, 1)[None].float() / 255
    p = case["photo"]
    if p["kind"] == "photo":  # laid on the sphere first, as the engine does it
        images, _ = equirectangular(images, heading_deg=p["heading_deg"], pitch_deg=p["pitch_deg"],
                                    roll_deg=p["roll_deg"], hfov_deg=p["hfov_deg"], height=1024, width=2048)
        view = PanoramaView()
    else:
        names = ("heading_deg", "hfov_deg", "vfov_deg", "pitch_center_deg", "pitch_deg", "roll_deg")
        view = PanoramaView(**{n: p[n] for n in names})
    rows, columns = case["size"]
    lens = perspective(images, view, azimuth_deg=case["azimuth"], pitch_deg=case["pitch"], hfov_deg=case["fov"],
                       height=rows, width=columns)
    above, seen = birds_eye(images, view, side=case["side"], half_width_m=case["half"],
                            camera_height_m=case["height"])
    answers[name + " lens"] = lens[0].permute(1, 2, 0).numpy()
    answers[name + " above"] = above[0].permute(1, 2, 0).numpy()
    answers[name + " seen"] = seen[0, 0].numpy()
np.savez(sys.argv[3], **answers)
"""


def photo(kind: str, **facts):
    size = {"width": 360, "height": 180, "path": "made.jpg", "hfov_deg": 360.0, "vfov_deg": 180.0, "heading_deg": 0.0}
    return photo_of({**size, "kind": kind, **facts})


PHOTOS = {
    "level": photo("panorama", heading_deg=202.5),
    "tilted": photo("panorama", heading_deg=33.0, pitch_deg=7.0, roll_deg=-11.0),
    "band": photo("panorama", vfov_deg=65.4, pitch_center_deg=4.0, heading_deg=90.0),
    "strip": photo("strip", hfov_deg=140.0, vfov_deg=70.0, pitch_center_deg=-20.0, heading_deg=310.0, roll_deg=3.0),
    "flat": photo("photo", hfov_deg=80.0, vfov_deg=64.4, heading_deg=75.0, pitch_deg=-15.0, roll_deg=4.0),
}


def smooth(rows: int, columns: int, closed: bool) -> np.ndarray:
    """Colours that change slowly, so that a shift by a tenth of a pixel shows and one in the last bit does not."""
    y, x = np.mgrid[:rows, :columns]
    turns = 2 * np.pi * (x + 0.5) / columns if closed else 3.0 * (x + 0.5) / columns
    up = (y + 0.5) / rows
    return np.stack(
        [127 + 120 * np.sin(turns + up), 127 + 120 * np.cos(2 * turns), 255 * up], axis=-1
    ).astype(np.uint8)  # fmt: skip


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("projection")
    given, cases = {}, {}
    for number, (name, one) in enumerate(PHOTOS.items()):
        columns = 640 if one.kind == "photo" else 720
        rows = round(columns / 640 * 480) if one.kind == "photo" else 360
        given[name] = smooth(rows, columns, one.kind == "panorama")
        cases[name] = {"photo": asdict(one), "azimuth": one.heading_deg + 25.0, "pitch": 8.0 - 4 * number,
                       "fov": 60.0 + 10 * number, "size": (90, 160), "side": 100, "half": 9.0 + number,
                       "height": 1.6 + 0.3 * number}  # fmt: skip
    np.savez(folder / "given.npz", **given)
    (folder / "cases.json").write_text(json.dumps(cases))
    (folder / "ask.py").write_text(ENGINE)
    asked = [str(folder / name) for name in ("ask.py", "given.npz", "cases.json", "answer.npz")]
    done = subprocess.run(
        [str(PYTHON), *asked], cwd=ROOT, env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    with np.load(folder / "answer.npz") as answer:
        yield given, cases, dict(answer)


def agree(mine: np.ndarray, engine: np.ndarray, seen: np.ndarray, name: str) -> None:
    """Equal to a count and a half where both see; the edge of what is seen may differ by a hair's breadth."""
    both = seen & (mine[..., 3] == 255)
    assert both.sum() > 500, name
    assert (seen != (mine[..., 3] == 255)).mean() < 0.01, name
    apart = np.abs(mine[..., :3].astype(float) - 255 * engine)[both]
    # What the engine lays on the sphere first is read twice, and blurs where the photo ends.
    limit, share = (4, 0.97) if name == "flat" else (1.5, 1.0)
    assert (apart <= limit).mean() >= share, f"{name}: up to {apart.max():.1f} apart"


@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize("channels", [3, 4])
def test_a_lens_sees_what_the_engine_says(answers, name, channels):
    given, cases, engine = answers
    case, pixels = cases[name], given[name]
    if channels == 4:
        pixels = np.concatenate([pixels, np.full_like(pixels[..., :1], 7)], axis=-1)
    mine = perspective(pixels, PHOTOS[name], case["azimuth"], case["pitch"], case["fov"], case["size"])
    lens = engine[f"{name} lens"]
    agree(mine, lens, (lens.max(axis=-1) > 0), name)


@pytest.mark.parametrize("name", PHOTOS)
def test_from_above_it_is_what_the_engine_says(answers, name):
    given, cases, engine = answers
    case = cases[name]
    mine = birds_eye(given[name], PHOTOS[name], PHOTOS[name].heading_deg, case["half"], case["side"], case["height"])
    seen = engine[f"{name} seen"] & (engine[f"{name} above"].max(axis=-1) > 0)
    agree(mine, engine[f"{name} above"], seen, name)
