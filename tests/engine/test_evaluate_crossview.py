"""``engine evaluate crossview``: what is counted, what is hidden from matching, and what no method can cheat."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from engine.cli.evaluate_crossview import summary
from engine.cli.main import root
from engine.crossview.data.find import find_set
from engine.crossview.evaluation import job
from engine.crossview.evaluation.job import evaluate, without_marks
from engine.crossview.evaluation.matching import find_matcher
from engine.crossview.evaluation.request import EvaluateCrossviewRequest
from engine.crossview.evaluation.rolling import draw, rolled
from engine.device import choose_device
from engine.errors import DamagedFileError, MissingFileError, ModelError, ParameterError
from engine.events import Reporter
from engine.jobs import find_job
from engine.models.crossview import CrossViewNetwork
from engine.models.crossview_bundle import save_crossview
from engine.panorama.ground import ground_panorama
from engine.panorama.view import PanoramaView

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "crossview"
COLUMNS = ("pair_id", "panorama", "overhead", "heading_deg", "hfov_deg", "vfov_deg", "gsd_m", "note")


def ground(seed, side=120):
    """Patches of colour at several scales."""
    draw = torch.Generator().manual_seed(seed)
    layers = [
        torch.nn.functional.interpolate(torch.rand(1, 3, n, n, generator=draw), size=(side, side), mode="bicubic")
        for n in (6, 20)
    ]
    return (0.6 * layers[0] + 0.4 * layers[1]).clamp(0, 1)


def save(image, path):
    Image.fromarray((image[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Eight pairs of flat ground: full panoramas and strips, one heading and one pixel size unknown."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = []
    for k in range(8):
        above = ground(k)
        save(above, folder / f"{k}_above.png")
        vfov = 65.45 if k % 2 else 180.0
        heading = 40.0 * k
        view = PanoramaView(heading_deg=heading, vfov_deg=vfov)
        seen, _ = ground_panorama(above, 0.5, view=view, height=round(256 * vfov / 360), width=256)
        save(seen, folder / f"{k}_pano.png")
        row = (k, f"{k}_pano.png", f"{k}_above.png", "" if k == 6 else heading, 360, vfov, "" if k == 7 else 0.5, "x")
        rows.append(dict(zip(COLUMNS, row, strict=True)))
    write(folder / "pairs.csv", rows)
    return folder


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def run(path, **more):
    one = find_job("evaluate-crossview")
    return one.run(one.parse({"path": str(path), **more}), Reporter())


class Fixed:
    """A method that says the same of everything."""

    name = "fixed"

    def __init__(self, score=0.0, heading=0.0):
        self.score, self.heading = score, heading
        self.views = []

    def describe(self):
        return {"name": "fixed", "sha256": None}

    def query(self, pixels, view, latitude=None):
        self.views.append(view)
        return pixels

    def entry(self, pixels, gsd_m):
        return pixels

    def table(self, queries, entries):
        shape = (len(queries), len(entries))
        return np.full(shape, self.score), None if self.heading is None else np.full(shape, self.heading)


def by(matcher, path, **more):
    request = EvaluateCrossviewRequest(path=str(path), **more)
    return evaluate(request, find_set(str(path)), (), matcher, Reporter(), 0.0)


def test_flat_ground_is_found_and_its_heading_too(pairs, tmp_path):
    out = tmp_path / "scores.json"
    result = run(pairs, out=str(out))
    assert json.loads(out.read_text()) == json.loads(json.dumps(result))
    pooled = result["pooled"]
    assert set(pooled) == {
        "r@1", "r@5", "r@10", "r@1%", "median_rank", "heading_within_10deg", "heading_top1_within_10deg"
    }  # fmt: skip
    for figure in pooled.values():
        assert set(figure) == {"value", "low", "high", "n"}
        assert figure["low"] <= figure["value"] <= figure["high"]
    assert pooled["r@1"]["value"] >= 7 / 8 and pooled["r@1"]["n"] == 8
    assert pooled["heading_within_10deg"] == {"value": 1.0, "low": 1.0, "high": 1.0, "n": 6}
    assert [item["name"] for item in result["items"]] == [str(k) for k in range(8)]
    assert result["items"][6]["heading_within_10deg"] is None and result["items"][7]["heading_within_10deg"] is None
    assert result["skipped"] == [] and result["gallery"] == 8
    assert result["open_gallery"]["score"]["auc"]["value"] > 0.9
    assert "NaN" not in out.read_text()


def test_each_panorama_is_turned_by_an_angle_that_only_seed_and_name_decide(pairs):
    pixels = torch.arange(64, dtype=torch.uint8).expand(3, 8, 64)
    view = PanoramaView(heading_deg=50.0)
    turned, blind, heading = rolled(pixels, view, seed=3, name="a")
    assert blind.heading_deg == 0
    column = int(turned[0, 0, 32])  # this column of the original now stands in the middle
    assert (heading - 50.0 - (column - 32) / 64 * 360) % 360 == pytest.approx(0.0, abs=1e-9)
    assert rolled(pixels, view, seed=3, name="a")[2] == heading
    others = {rolled(pixels, view, seed=seed, name=name)[2] for seed, name in ((3, "b"), (4, "a"), (5, "a"))}
    assert heading not in others and len(others) == 3
    part = PanoramaView(heading_deg=50, hfov_deg=90, vfov_deg=60)
    same, blind, heading = rolled(pixels, part, seed=3, name="a")
    assert same is pixels and blind.heading_deg == 0 and heading == 50
    angles = np.array([draw(0, str(k)) for k in range(4000)])
    assert abs(np.histogram(angles, 10, (0, 1))[0] - 400).max() < 80


def test_a_matcher_that_always_answers_zero_gets_twenty_of_360(tmp_path):
    small = Image.fromarray(np.zeros((8, 1024, 3), np.uint8))
    small.save(tmp_path / "p.png")
    small.resize((8, 8)).save(tmp_path / "o.png")
    rows = [
        dict(zip(COLUMNS, (k, "p.png", "o.png", (k * 7) % 360, 360, 180, 0.5, ""), strict=True)) for k in range(400)
    ]
    write(tmp_path / "pairs.csv", rows)
    matcher = Fixed(heading=0.0)
    found = by(matcher, tmp_path)["pooled"]["heading_within_10deg"]
    assert found["n"] == 400
    spread = math.sqrt(20 / 360 * (1 - 20 / 360) / 400)
    assert abs(found["value"] - 20 / 360) < 4 * spread
    assert all(view.heading_deg == 0 for view in matcher.views)  # the truth is never shown


def test_a_constant_matcher_is_no_better_than_chance(pairs):
    result = by(Fixed(), pairs)
    assert result["pooled"]["r@1"]["value"] == 0 and result["pooled"]["median_rank"]["value"] == 8
    assert result["pooled"]["heading_top1_within_10deg"]["value"] == 0
    assert result["open_gallery"]["score"]["auc"]["value"] == 0.5
    no_heading = by(Fixed(heading=None), pairs)["pooled"]["heading_within_10deg"]
    assert no_heading == {"value": None, "low": None, "high": None, "n": 0}


@pytest.mark.parametrize("matcher", [Fixed(score=math.nan), Fixed(score=math.inf), Fixed(heading=math.nan)])
def test_nan_is_an_error(pairs, matcher):
    with pytest.raises(ModelError, match="not a finite number"):
        by(matcher, pairs)


def test_what_cannot_be_read_is_skipped_named_and_fails_the_command(pairs, tmp_path):
    rows = list(csv.DictReader((pairs / "pairs.csv").open(encoding="utf-8")))[:4]
    for row in rows:
        for role in ("panorama", "overhead"):
            (tmp_path / row[role]).write_bytes((pairs / row[role]).read_bytes())
    (tmp_path / rows[0]["panorama"]).write_text("no picture")
    (tmp_path / rows[1]["overhead"]).write_text("no picture")
    (tmp_path / rows[2]["panorama"]).unlink()
    write(tmp_path / "pairs.csv", rows)
    result = run(tmp_path / "pairs.csv")
    assert [item["name"] for item in result["items"]] == ["3"]
    assert len(result["skipped"]) == 4  # an overhead image, the panorama that wants it, and the two others
    out = tmp_path / "scores.json"
    found = CliRunner().invoke(root(), ["evaluate", "crossview", str(tmp_path), "--json", str(out)])
    assert found.exit_code == 1 and out.is_file()


def test_an_image_without_its_place_in_the_gallery_is_an_absent_one(pairs):
    rows = list(csv.DictReader((pairs / "pairs.csv").open(encoding="utf-8")))
    rows.append(rows[0] | {"pair_id": "stranger", "overhead": ""})
    write(pairs / "open.csv", rows)
    result = run(pairs / "open.csv")
    assert result["items"][-1] | {"name": ""} == dict.fromkeys(result["items"][-1]) | {"name": "", "n": 0}
    assert result["pooled"]["r@1"]["n"] == 8
    assert result["open_gallery"]["score"]["curve"][-1] == [1.0, 1.0]


def test_distractors_stand_in_every_gallery(pairs, tmp_path):
    for k in range(3):
        save(ground(100 + k), tmp_path / f"d{k}.png")
    (tmp_path / "more.csv").write_text("file,gsd_m\nd0.png,0.5\nd1.png,0.5\nd2.png,\n")
    result = run(pairs, distractors=str(tmp_path / "more.csv"))
    assert result["gallery"] == 11 and result["distractors"] == 3
    (tmp_path / "more.csv").write_text("file,gsd_m\nnone.png,0.5\n")
    with pytest.raises(MissingFileError, match=r"none\.png"):
        run(pairs, distractors=str(tmp_path / "more.csv"))
    (tmp_path / "more.csv").write_text("file,gsd_m\nd0.png,-1\n")
    with pytest.raises(DamagedFileError, match="gsd_m"):
        run(pairs, distractors=str(tmp_path / "more.csv"))


def test_marks_that_tell_the_answer_are_painted_over():
    image = torch.full((3, 64, 64), 120, dtype=torch.uint8)
    image[:, 10:14, 50:54] = torch.tensor([20, 250, 20], dtype=torch.uint8)[:, None, None]
    clean = without_marks(image)
    assert bool((clean == 120).all())
    lawn = torch.tensor([60, 160, 60], dtype=torch.uint8)[:, None, None].expand(3, 64, 64)
    assert without_marks(lawn) is lawn


@pytest.mark.parametrize("heading", ["any", "north"])
def test_a_model_is_scored_too_and_one_that_was_not_trained_is_near_chance(pairs, tmp_path, heading):
    torch.manual_seed(0)
    network = CrossViewNetwork("resnet18", ground_size=(32, 128), overhead_size=(64, 64), width=0.0625).eval()
    grey = {"mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2)}
    inputs = {
        "ground": {"size": (32, 128), "hfov_deg": 360, "vfov_deg": 90, "heading": heading, **grey},
        "overhead": {"size": (64, 64), "extent_m": 60.0, **grey},
    }
    card = {"name": "tiny", "title": "Tiny", "licence": "GPL-2.0-or-later", "gsd_m": (0.5, 1.0), "crossview": inputs}
    save_crossview(tmp_path / "model", network, card | {"trained_on": [{"name": "none", "licence": "CC0-1.0"}]})
    result = run(pairs, method=str(tmp_path / "model"))
    assert result["method"] == "tiny" and len(result["model"]["sha256"]) == 64
    assert result["pooled"]["r@1"]["value"] <= 0.5
    assert result["pooled"]["heading_within_10deg"]["n"] == (6 if heading == "north" else 0)


def test_the_summary_names_the_method_and_the_model_that_it_asks(pairs):
    for method, said in (("fused", "by fused (model crossview):"), ("geometric", "by geometric:")):
        assert said in summary(run(pairs, method=method), {})[0]


def test_auto_is_fused_with_the_starter_model_and_geometric_without(pairs, monkeypatch):
    assert find_matcher("auto", choose_device("cpu")).name == "fused", "the starter model ships"
    monkeypatch.setattr("engine.crossview.wants.list_models", list)
    assert find_matcher("auto", choose_device("cpu")).name == "geometric"
    with pytest.raises(ModelError, match="fused joins"):
        run(pairs, method="fused")


def test_options_that_cannot_be_are_one_clear_line(pairs, tmp_path):
    with pytest.raises(ModelError, match="nothing"):
        run(pairs, method="nothing")
    with pytest.raises(MissingFileError):
        run(tmp_path / "absent")
    with pytest.raises(ParameterError):
        find_job("evaluate-crossview").parse({"path": "x", "seed": -1})
    assert job.WIDTH == 2048


@pytest.mark.skipif(not DATA.is_dir(), reason="The real pairs (../shared/data/crossview) are not here.")
def test_the_list_of_the_real_pairs_is_understood():
    found = find_set(str(DATA / "pairs"))
    assert len(found.grounds) == len(found.overheads) == 31 and not found.left_out
    headed = [ground.heading_known for ground in found.grounds]
    scaled = [image.gsd_m is not None for image in found.overheads]
    assert sum(headed) == 30 and sum(scaled) == 28
    assert sum(a and b for a, b in zip(headed, scaled, strict=True)) == 28
