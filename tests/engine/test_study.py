"""``engine study label-efficiency``: the grid, its pairing and nesting, going on, scores, faults."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import Cancelled, EngineError, MissingFileError, ModelError, OutputError, ParameterError
from engine.events import CancelToken, Progress, Reporter
from engine.jobs import find_job
from engine.models.bundle import load_bundle
from engine.training import finetune
from engine.training.data.crops import windows
from engine.training.data.pack import PackedDataset
from engine.training.labelled import split
from engine.training.study.cells import _trained_for, grid
from engine.training.study.pace import StudyPace
from engine.training.study.request import LabelEfficiencyRequest

JOB = "study-label-efficiency"
TINY = {
    "crop": 64, "batch": 4, "steps": 3, "workers": 0, "device": "cpu", "width": 0.0625, "lr": 0.003, "ema": 0.0,
    "seeds": "0", "fractions": "0.2,1", "modes": "frozen,finetuned",
}  # fmt: skip


def run(name: str, reporter: Reporter | None = None, **options):
    job = find_job(name)
    return job.run(job.parse(options), reporter or Reporter())


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Scenes to learn from and to be scored on, and an encoder for each of two seeds."""
    home = tmp_path_factory.mktemp("study")
    for seed, part in ((1, "train"), (2, "train"), (3, "train"), (11, "test"), (12, "test")):
        out = home / part / str(seed)
        run("simulate-scene", seed=seed, width=150, height=100, products="s1,s2,labels", out=str(out))
    for seed in (0, 1):
        options = {"crop": 64, "batch": 4, "width": 0.0625, "workers": 0, "device": "cpu", "seed": seed}
        run(
            "pretrain",
            data=[f"simulated:{home / 'train'}"],
            method="random",
            out=str(home / f"encoder-{seed}"),
            **options,
        )
    return home


def study(home: Path, out: Path, reporter: Reporter | None = None, **options):
    given = {
        "data": [f"simulated:{home / 'train'}"],
        "test": [f"simulated:{home / 'test'}@after"],
        "encoder": ["random", f"pairs={home}/encoder-{{seed}}"],
    }
    return run(JOB, reporter, **{**TINY, **given, "out": str(out), **options})


@pytest.fixture(scope="module")
def done(home) -> Path:
    torch.set_num_threads(1)
    study(home, home / "done", keep_models=True)
    return home / "done"


def test_every_cell_is_done_and_written_down(done):
    result = json.loads((done / "result.json").read_text())
    assert result["figures"]["cells"] == 8
    for name in result["outputs"].values():
        assert (done / name).is_file(), name
    text = (done / "study.json").read_text()
    assert "NaN" not in text
    whole = json.loads(text)
    assert [len(whole[name]) for name in ("cells", "summary", "methods", "fractions")] == [8, 8, 2, 2]
    assert whole["test"]["scored"] == 2
    rows = list(csv.DictReader((done / "study.csv").open()))
    assert [(r["method"], r["mode"], float(r["fraction"])) for r in rows] == [
        (c["method"], c["mode"], c["fraction"]) for c in whole["cells"]
    ]
    assert all(float(row["iou"]) == cell["iou"]["value"] for row, cell in zip(rows, whole["cells"], strict=True))
    for line in whole["summary"]:
        assert (line["differences"] is None) == (line["method"] == "random")
    html = (done / "report.html").read_text()
    assert html.count("data:image/svg+xml") == 2, "one plot, one reliability diagram"
    assert html.count('<table class="scores">') == 1
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")


def test_cells_leave_a_model_when_asked_and_no_checkpoint(done, home, tmp_path):
    cell = done / "cells/pairs/frozen/labels-1/seed-0"
    assert (cell / "model/card.json").is_file()
    assert (cell / "report.html").is_file()
    assert not list(done.rglob("checkpoint*"))
    study(home, tmp_path / "out", fractions="1", modes="frozen", encoder="random")
    assert sorted(p.name for p in (tmp_path / "out/cells/random/frozen/labels-1/seed-0").iterdir()) == [
        "config.json", "metrics.jsonl", "result.json", "score.json",
    ]  # fmt: skip


def test_cells_of_a_seed_learn_from_the_same_nested_squares(done):
    """The squares of a cell follow from data, seed and share, which are equal for all methods and modes."""
    chosen: dict[float, list[int]] = {}
    for file in sorted(done.glob("cells/*/*/*/*/config.json")):
        config = json.loads(file.read_text())
        data = PackedDataset(config["data"][0])
        parts = split(data, None, labels=config["labels"], seed=config["seed"])
        assert chosen.setdefault(config["labels"], parts.train_indices) == parts.train_indices
        figures = json.loads(file.with_name("result.json").read_text())["figures"]
        assert figures["squares"] == len(parts.train_indices)
        assert {data.groups[i] for i in parts.train_indices}.isdisjoint({data.groups[i] for i in parts.check_indices})
    assert set(chosen[0.2]) < set(chosen[1.0])


def test_the_frozen_encoder_is_the_one_that_was_given(done, home):
    before = load_bundle(home / "encoder-0/encoder-s1").encoder().state_dict()
    after = load_bundle(done / "cells/pairs/frozen/labels-1/seed-0/model").network().encoder.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


@torch.no_grad()
def test_counts_are_those_of_whole_chips(done, home):
    """Beside a plain pass over each chip: one window of 256 pixels holds it, pixels without values are zeros."""
    bundle = load_bundle(done / "cells/random/finetuned/labels-1/seed-0/model")
    score = json.loads((done / "cells/random/finetuned/labels-1/seed-0/score.json").read_text())
    network = bundle.network()
    tables = np.zeros((2, 101), int)
    for name, counts in zip(score["items"], score["counts"], strict=True):
        folder = home / "test" / name.partition("/")[0]
        with rasterio.open(folder / "after_S1.tif") as image, rasterio.open(folder / "after_label.tif") as label:
            db, truth = image.read(masked=True).filled(np.nan), label.read(1)
        db = np.rint(db.astype(float) / 0.002) * 0.002
        mean, std = (np.array([getattr(b, k) for b in bundle.card.bands])[:, None, None] for k in ("mean", "std"))
        valid = np.isfinite(db).all(axis=0)
        window = np.zeros((1, 2, 256, 256), np.float32)
        window[0, :, : db.shape[1], : db.shape[2]] = np.where(valid, (db - mean) / std, 0)
        logits = network(torch.from_numpy(window))[0, :, : db.shape[1], : db.shape[2]].numpy()
        scored, water = valid & (truth >= 0), logits[1] > logits[0]
        slow = [int((scored & (water == w) & ((truth == 1) == t)).sum()) for w, t in ((1, 1), (1, 0), (0, 1), (0, 0))]
        assert sum(slow) == sum(counts) > truth.size / 2
        assert np.abs(np.subtract(slow, counts)).max() <= 2, "rounding at the edge between two classes"
        p = 1 / (1 + np.exp((logits[0] - logits[1]).astype(float) / bundle.card.temperature))
        np.add.at(tables, ((truth == 1)[scored].astype(int), np.rint(100 * p[scored]).astype(int)), 1)
    assert np.abs(tables - score["reliability"]).sum() <= 0.002 * tables.sum()


def test_one_method_under_two_names_does_not_differ(home, tmp_path):
    result = study(
        home, tmp_path / "out", encoder=["a=random", "b=random"], baseline="a", fractions="1", modes="frozen"
    )
    cells = json.loads((tmp_path / "out/study.json").read_text())["cells"]
    assert cells[0]["weights_sha256"] == cells[1]["weights_sha256"]
    line = next(one for one in result["figures"]["summary"] if one["method"] == "b")
    for name in ("iou", "f1", "mean_iou"):
        found = line["differences"][name]
        assert (found["value"], found["low"], found["high"]) in ((0, 0, 0), (None, None, None))


def test_a_cancelled_study_goes_on_without_doing_a_cell_twice(home, tmp_path, monkeypatch):
    options = {"seeds": "0,1", "fractions": "1", "modes": "finetuned", "steps": 6, "checkpoint_every": 1}
    study(home, tmp_path / "whole", **options)
    token = CancelToken()

    def watch(event: object) -> None:
        if isinstance(event, Progress) and "cell 3 of 4" in event.message and "step 3/6" in event.message:
            token.cancel()

    with pytest.raises(Cancelled):
        study(home, tmp_path / "out", Reporter(watch, token=token, clock=iter(range(10**6)).__next__), **options)
    assert not (tmp_path / "out/study.json").exists()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("score.json")}
    assert len(before) == 2
    packs = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/packs").rglob("*.npy")}
    trained = []
    real = finetune.run

    def counted(request, reporter, **keywords):
        trained.append((Path(request.out).relative_to(tmp_path / "out").as_posix(), request.resume))
        return real(request, reporter, **keywords)

    monkeypatch.setattr(finetune, "run", counted)
    result = run(JOB, out=str(tmp_path / "out"), resume=True)
    assert trained == [
        ("cells/random/finetuned/labels-1/seed-1", True),
        ("cells/pairs/finetuned/labels-1/seed-1", False),
    ]
    assert {path: path.stat().st_mtime_ns for path in before} == before, "finished cells were left alone"
    assert {path: path.stat().st_mtime_ns for path in packs} == packs
    one, two = (json.loads((tmp_path / name / "study.json").read_text()) for name in ("whole", "out"))
    assert [c["weights_sha256"] for c in one["cells"]] == [c["weights_sha256"] for c in two["cells"]]
    assert one["summary"] == two["summary"]
    assert result["figures"]["cells"] == 4
    monkeypatch.setattr(finetune, "run", None)
    run(JOB, out=str(tmp_path / "out"), resume=True)  # a finished study is told again, nothing is trained


def test_training_counts_once_in_the_seconds_of_a_cell(home, tmp_path, monkeypatch):
    real = finetune.run

    def slow(request, reporter, **keywords):
        result = real(request, reporter, **keywords)
        result["figures"]["training_seconds"] = 1000.0  # more than the clock will show
        return result

    monkeypatch.setattr(finetune, "run", slow)
    options = {"encoder": ["a=random"], "baseline": "a", "fractions": "1", "modes": "frozen", "steps": 2}
    study(home, tmp_path / "out", **options, keep_models=True)
    score = next((tmp_path / "out").rglob("score.json"))
    assert 0 < json.loads(score.read_text())["seconds"] < 1000
    # Trained in an earlier session, scored in this one: the seconds of both.
    score.unlink()
    result = score.parent / "result.json"
    trained = json.loads(result.read_text())
    trained["figures"]["training_seconds"] = 5000.0
    result.write_text(json.dumps(trained))
    monkeypatch.setattr(finetune, "run", None)
    run(JOB, out=str(tmp_path / "out"), resume=True)
    assert 5000 < json.loads(score.read_text())["seconds"] < 6000


def test_time_of_a_checkpoint_is_kept(tmp_path):
    assert _trained_for(tmp_path) == 0
    (tmp_path / "state.json").write_text('{"seconds": 12.5}')
    assert _trained_for(tmp_path) == 12.5


def test_a_cell_that_was_trained_but_not_scored_is_scored_alone(done, home, monkeypatch):
    cell = done / "cells/random/frozen/labels-0.2/seed-0"
    before = json.loads((cell / "score.json").read_text())
    (cell / "score.json").unlink()
    monkeypatch.setattr(finetune, "run", None)
    run(JOB, out=str(done), resume=True)
    after = json.loads((cell / "score.json").read_text())
    assert {**after, "seconds": 0} == {**before, "seconds": 0}


def test_packs_serve_as_data_and_as_test(done, home, tmp_path):
    """A study on the packs of another has its figures."""
    places = {part: str(next((done / "packs" / part).iterdir())) for part in ("train", "test")}
    study(home, tmp_path / "out", data=[places["train"]], test=[places["test"]], encoder="random", modes="frozen")
    ours = json.loads((tmp_path / "out/study.json").read_text())["cells"]
    theirs = [c for c in json.loads((done / "study.json").read_text())["cells"] if c["method"] == "random"]
    theirs = [c for c in theirs if c["mode"] == "frozen"]
    assert [c["counts"] for c in ours] == [c["counts"] for c in theirs]
    assert not (tmp_path / "out/packs").exists()


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"encoder": ["x=no-such-model"]}, ModelError, "method x: .*no-such-model"),
        ({"encoder": ["x=/does/not/exist-{seed}"]}, ModelError, "method x: /does/not/exist-0"),
        ({"encoder": ["random", "random=random"]}, ParameterError, "'random' stands twice"),
        ({"encoder": ["A=random", "a=random"]}, ParameterError, "'a' stands twice"),
        ({"encoder": ["runs/pairs"]}, ParameterError, "expected NAME=START"),
        ({"encoder": ["../x=random"]}, ParameterError, "expected a name of"),
        ({"encoder": []}, ParameterError, "--encoder is missing"),
        ({"test": []}, ParameterError, "--test is missing"),
        ({"baseline": "other"}, ParameterError, "expected one of random, pairs; found 'other'"),
        ({"fractions": "0,1"}, ParameterError, "above 0 and at most 1"),
        ({"fractions": "0.5,1.2"}, ParameterError, "above 0 and at most 1"),
        ({"fractions": "half"}, ParameterError, "separated by commas"),
        ({"seeds": "-1"}, ParameterError, "whole numbers"),
        ({"sensors": "s2", "s2_bands": "B03,B99"}, ParameterError, "different band names"),
        ({"sensors": "s2", "s2_bands": "B03,B08"}, ParameterError, "differs from the bands of the encoder"),
        ({"modes": "thawed"}, ParameterError, "frozen, finetuned"),
        ({"test": ["/does/not/exist"]}, MissingFileError, "/does/not/exist"),
        ({"batch": 5, "accumulate": 2}, ParameterError, "a batch of 5 cannot be cut"),
    ],
)
def test_faults_are_one_line_and_make_no_folder(home, tmp_path, options, kind, words):
    with pytest.raises(kind, match=words) as caught:
        study(home, tmp_path / "out", **options)
    assert "\n" not in caught.value.line
    assert not (tmp_path / "out").exists()


def test_data_that_a_study_learns_from_are_no_test_data(home, tmp_path):
    with pytest.raises(ParameterError, match=r"is in the training data and in the test data"):
        study(home, tmp_path / "out", test=[f"simulated:{home / 'train' / '2'}"])
    with pytest.raises(ParameterError, match=r"is in the validation data and in the test data"):
        study(home, tmp_path / "out", validation=[f"simulated:{home / 'test' / '11'}"])


def test_test_data_without_labels_are_refused(home, tmp_path):
    for name in ("after_S1.tif", "after_S2.tif"):
        (tmp_path / "scene").mkdir(exist_ok=True)
        (tmp_path / "scene" / name).write_bytes((home / "test/11" / name).read_bytes())
    with pytest.raises(EngineError, match="no item has s1 and a label"):
        study(home, tmp_path / "out", test=[f"simulated:{tmp_path / 'scene'}"])
    assert not (tmp_path / "out").exists()


def test_a_cell_that_fails_is_named_and_the_first_to_fail_leaves_no_folder(home, tmp_path, monkeypatch):
    def fail(request, reporter, **keywords):
        raise ModelError("the loss is not finite.", remedy="Lower --lr.")

    monkeypatch.setattr(finetune, "run", fail)
    with pytest.raises(
        ModelError, match=r"^random frozen, 20 % labels, seed 0: the loss is not finite\. Lower --lr\.$"
    ):
        study(home, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_tells_scores_and_differences(done):
    """From another folder, as a person goes on with a study that is finished."""
    words = ["study", "label-efficiency", "--resume", "-o", str(done)]
    found = subprocess.run([sys.executable, "-m", "engine", *words], capture_output=True, text=True, check=True)
    assert found.stderr == ""
    lines = found.stdout.splitlines()
    assert lines[0] == "8 cells, 2 test chips; iou and its difference to random:"
    assert len([line for line in lines if line.startswith("  ")]) == 8
    assert any(line.startswith("  pairs, frozen, 20 % of the labels: ") for line in lines)
    assert lines[-1] == f"Folder: {done}"


def test_a_study_is_not_replaced_unless_asked(done, home):
    with pytest.raises(OutputError, match="--resume"):
        study(home, done)
    with pytest.raises(ParameterError, match="seeds"):
        study(home, done, resume=True, seeds="5")


def test_networks_of_different_size_are_warned_of(home, tmp_path):
    result = study(home, tmp_path / "out", width=0.125, fractions="1", modes="frozen", steps=1)
    assert any("not compared on equal terms" in line for line in result["warnings"])
    assert any("random resnet18 x 0.125, pairs resnet18 x 0.0625" in line for line in result["warnings"])


def test_a_random_start_has_the_size_of_the_others(home, tmp_path):
    options = {k: v for k, v in TINY.items() if k != "width"} | {"steps": 1, "fractions": "1", "modes": "frozen"}
    encoders = ["random", f"pairs={home}/encoder-0"]
    places = {"data": f"simulated:{home / 'train'}", "test": f"simulated:{home / 'test'}"}
    result = run(JOB, **options, **places, encoder=encoders, out=str(tmp_path / "out"))
    methods = json.loads((tmp_path / "out/study.json").read_text())["methods"]
    assert {(m["architecture"], m["width"]) for m in methods.values()} == {("resnet18", 0.0625)}
    assert not any("equal terms" in line for line in result["warnings"])


def test_the_grid_compares_all_methods_early():
    request = LabelEfficiencyRequest(out="x", encoder=("a=random", "b=random"), fractions="1,0.1", seeds="4,2")
    cells = list(grid(request))
    assert len(cells) == len(set(cells)) == len({c.folder for c in cells}) == 16
    assert [(c.seed, c.fraction) for c in cells[:8:4]] == [(4, 0.1), (4, 1.0)]
    assert {c.method for c in cells[:2]} == {"a", "b"}


@pytest.mark.parametrize(("sensors", "squares"), [("s2", 12), ("both", 24)])
def test_studies_of_light_and_of_both_sensors(home, tmp_path, sensors, squares):
    """Scenes before the event have radar alone: they are learned from with both, and scored on with neither."""
    options = {"sensors": sensors, "fractions": "1", "modes": "finetuned", "steps": 1, "keep_models": True}
    result = study(home, tmp_path / "out", test=[f"simulated:{home / 'test'}"], **options)
    assert result["figures"]["chips"] == 2
    for cell in json.loads((tmp_path / "out/study.json").read_text())["cells"]:
        assert cell["squares"] == squares
        assert sum(map(sum, cell["counts"])) > 15_000
    cards = [load_bundle(file.parent).card for file in (tmp_path / "out").rglob("model/card.json")]
    assert len({tuple(band.name for band in card.bands) for card in cards}) == 1
    assert cards[0].sensors == {"s2": ("s2",), "both": ("s1", "s2")}[sensors]


def test_progress_names_the_cell_and_the_time_that_is_left():
    events = []
    now = iter([0.0, 30.0, 60.0, 100.0])
    pace = StudyPace([1.0, 1.0, 2.0], 1.0, clock=lambda: next(now))
    parent = Reporter(events.append, clock=iter(range(100)).__next__)
    part = pace.reporter(parent, "cell 2 of 3", 1.0)
    part.part(0.0, 0.5).progress(1.0, "train", "step 5/5")
    part.warn("calibration")
    pace.finished(1.0)
    pace.reporter(parent, "cell 3 of 3", 2.0).progress(0.0, "train")
    assert [(e.fraction, e.message) for e in events] == [
        (0.375, "cell 2 of 3: step 5/5, 2 min left for the study"),
        (0.5, "cell 3 of 3, 2 min left for the study"),
    ]
    assert parent.warnings == []


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([32, 64, 256]))
@settings(max_examples=60, deadline=None)
def test_squares_for_scoring_hold_every_pixel_once(height, width, side):
    seen = np.zeros((height + side, width + side), int)
    for window in windows(height, width, side, every_pixel=True):
        seen[window.row : window.row + side, window.col : window.col + side] += 1
    assert (seen[:height, :width] == 1).all()
    assert seen.max() == 1
