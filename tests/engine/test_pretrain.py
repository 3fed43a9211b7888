"""``engine pretrain``: every method trains, the run's folder is whole, faults are one line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from engine.errors import EngineError, MissingFileError, ModelError, OutputError, ParameterError
from engine.events import Reporter
from engine.jobs import find_job
from engine.models.bundle import load_bundle
from engine.simulate.job import run as simulate
from engine.simulate.request import SceneRequest
from engine.training import pretrain as pretraining
from engine.training.data.dataset import PairDataset

ROOT = Path(__file__).resolve().parents[2]
METHODS = ("random", "simclr", "moco-v2", "multimodal", "multimodal-ntxent", "multimodal+aggressive", "dense")
TINY = {"width": 0.0625, "crop": 64, "batch": 8, "steps": 3, "workers": 1, "device": "cpu", "log_every": 1}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("scenes")
    for seed in (1, 2):
        request = SceneRequest(seed=seed, width=256, height=128, products="s1,s2,labels", out=str(home / str(seed)))
        simulate(request, Reporter())
    return home


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pretrain(scenes: Path, out: Path, reporter: Reporter | None = None, **options):
    job = find_job("pretrain")
    given = {**TINY, "data": [f"simulated:{scenes}"], "out": str(out), **options}
    return job.run(job.parse({k: v for k, v in given.items() if v is not None}), reporter or Reporter())


def weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_two_encoders_and_a_whole_folder(scenes, tmp_path, method):
    out = tmp_path / "run"
    result = pretrain(scenes, out, method=method, learn_temperature=method == "multimodal")
    written = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert written["outputs"] == result["outputs"]
    for name in result["outputs"].values():
        assert (out / name).is_file(), name
    for sensor, bands in (("s1", 2), ("s2", 12)):
        bundle = load_bundle(out / f"encoder-{sensor}")
        assert bundle.card.task == "encoder"
        assert len(bundle.card.bands) == bands
        encoder = bundle.encoder()
        assert torch.isfinite(encoder(torch.randn(1, bands, 64, 64))[-1]).all()
    means = [band.mean for band in load_bundle(out / "encoder-s1").card.bands]
    assert all(-30 < m < 0 for m in means), "the statistics are in dB"
    rows = [json.loads(x) for x in (out / "metrics.jsonl").read_text().splitlines()] if method != "random" else []
    assert [row["step"] for row in rows] == ([] if method == "random" else [0, 1, 2])
    leftovers = [p.name for p in out.rglob("*") if ".partial" in p.name or p.name == ".lock"]
    assert leftovers == []


def test_the_card_tells_the_pixels_of_the_data(scenes, tmp_path):
    coarse = tmp_path / "coarse"
    simulate(SceneRequest(seed=4, width=128, height=96, gsd=30, products="s1,s2", out=str(coarse / "1")), Reporter())
    pretrain(coarse, tmp_path / "c", method="random")
    assert load_bundle(tmp_path / "c/encoder-s1").card.gsd_m == (15, 60)
    pretrain(scenes, tmp_path / "f", method="random")
    assert load_bundle(tmp_path / "f/encoder-s2").card.gsd_m == (5, 20)


def test_random_is_where_the_others_start_and_training_moves_both_encoders(scenes, tmp_path):
    pretrain(scenes, tmp_path / "random", method="random")
    pretrain(scenes, tmp_path / "trained", method="multimodal")
    pretrain(scenes, tmp_path / "again", method="multimodal", workers=0)
    pretrain(scenes, tmp_path / "other", method="random", seed=1)
    for sensor in ("s1", "s2"):
        start, trained, again, other = (
            weights(tmp_path / n / f"encoder-{sensor}") for n in ("random", "trained", "again", "other")
        )
        assert not start["conv1.weight"].equal(trained["conv1.weight"])
        torch.testing.assert_close(start["conv1.weight"], trained["conv1.weight"], atol=0.05, rtol=0)
        assert all(trained[k].equal(again[k]) for k in trained), "the same seed gives the same weights"
        assert not start["conv1.weight"].equal(other["conv1.weight"])


def test_it_learns_to_find_the_partner(scenes, tmp_path):
    pretrain(scenes, tmp_path / "run", steps=60, lr=2e-3, temperature=0.1)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    first, last = (sum(r["loss"] for r in part) / 10 for part in (rows[:10], rows[-10:]))
    assert last < 0.8 * first, (first, last)


def test_the_report_stands_alone_and_escapes(scenes, tmp_path):
    strange = tmp_path / "a <b> & c"
    strange.symlink_to(scenes)
    pretrain(strange, tmp_path / "run")
    html = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert html.count("data:image/png;base64,") >= 6
    assert "<b> & c" not in html
    assert "a &lt;b&gt; &amp; c" in html
    assert "http://" not in html.replace("http-equiv", "")
    assert 'src="data:' in html
    assert "Loss at the end" in html


def test_a_pack_trains_windows_of_its_squares(scenes, tmp_path):
    pack = find_job("data-pack")
    given = {"path": f"simulated:{scenes}", "out": str(tmp_path / "pack"), "need": "pairs", "crop": 100}
    pack.run(pack.parse(given), Reporter())
    result = pretrain(scenes, tmp_path / "run", data=[str(tmp_path / "pack")], batch=2)
    assert result["warnings"] == []
    figures = find_job("finetune").parse({"out": str(tmp_path / "model"), "data": [str(tmp_path / "pack")]})
    tuned = find_job("finetune").run(
        figures.model_copy(update={**TINY, "batch": 2, "encoder": str(tmp_path / "run")}), Reporter()
    )
    assert tuned["figures"]["squares"] > 0


def test_options_come_from_a_file_and_those_given_take_precedence(scenes, tmp_path):
    config = tmp_path / "options.json"
    config.write_text(json.dumps({"method": "simclr", "steps": 9, "temperature": 0.3}), encoding="utf-8")
    result = pretrain(scenes, tmp_path / "run", config=str(config), steps=2)
    assert result["parameters"]["method"] == "simclr"
    assert result["parameters"]["temperature"] == 0.3
    assert result["figures"]["steps"] == 2


def test_a_folder_that_is_not_empty_is_refused_and_replaced_when_asked(scenes, tmp_path):
    out = tmp_path / "run"
    pretrain(scenes, out)
    with pytest.raises(OutputError, match="--resume"):
        pretrain(scenes, out)
    (out / "mine.txt").write_text("keep me")
    pretrain(scenes, out, overwrite=True, steps=2)
    assert (out / "mine.txt").read_text() == "keep me"
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 2


def test_a_resumed_run_has_its_own_options_and_refuses_others(scenes, tmp_path):
    out = tmp_path / "run"
    pretrain(scenes, out, steps=4)
    before = weights(out / "encoder-s1")
    job = find_job("pretrain")
    job.run(job.parse({"out": str(out), "resume": True, "device": "cpu"}), Reporter())
    assert all(value.equal(before[name]) for name, value in weights(out / "encoder-s1").items())
    with pytest.raises(ParameterError, match=r"temperature 0\.07; found 0\.5"):
        job.run(job.parse({"out": str(out), "resume": True, "temperature": 0.5}), Reporter())


def test_a_run_whose_data_changed_is_not_gone_on_with(scenes, tmp_path):
    out, copy = tmp_path / "run", tmp_path / "copy"
    shutil.copytree(scenes / "1", copy / "1")
    pretrain(copy, out, batch=4)
    shutil.copytree(scenes / "2", copy / "2")
    job = find_job("pretrain")
    with pytest.raises(ModelError, match="another samples"):
        job.run(job.parse({"out": str(out), "resume": True, "device": "cpu"}), Reporter())


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"data": None}, ParameterError, "no training data"),
        ({"data": ["nonsense:/x"]}, ParameterError, "nonsense"),
        ({"data": ["/does/not/exist"]}, MissingFileError, "/does/not/exist"),
        ({"epochs": 2}, ParameterError, "exclude each other"),
        ({"batch": 500}, ParameterError, "cannot be filled"),
        ({"batch": 8, "accumulate": 3}, ParameterError, "equal parts"),
        ({"config": "/does/not/exist.json"}, MissingFileError, "exist.json"),
        ({"resume": True}, MissingFileError, "no run to resume"),
        ({"resume": True, "overwrite": True}, ParameterError, "exclude"),
        ({"crop": 50}, ParameterError, "crop"),
        ({"method": "byol"}, ParameterError, "method"),
        ({"lr": float("nan")}, ParameterError, "lr"),
    ],
)
def test_faults_are_one_line_and_make_no_folder(scenes, tmp_path, options, kind, words):
    out = tmp_path / "run"
    with pytest.raises(kind, match=words) as caught:
        pretrain(scenes, out, **options)
    assert isinstance(caught.value, EngineError)
    assert "\n" not in caught.value.line
    assert caught.value.remedy
    assert not out.exists()


def test_a_rate_far_too_high_ends_in_one_line(scenes, tmp_path):
    with pytest.raises(ModelError, match=r"not finite at step \d+"):
        pretrain(scenes, tmp_path / "run", lr=1e30, clip=0, optimiser="sgd", steps=20, warmup=0)
    assert not (tmp_path / "run").exists()


def test_two_processes_train_one_model(scenes, tmp_path):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", _free_port()]
    command += ["-m", "engine", "pretrain", "--data", f"simulated:{scenes}", "-o", str(out), "--device", "cpu"]
    command += ["--width", "0.0625", "--crop", "64", "--batch", "4", "--steps", "3", "--log-every", "1"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=180, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads((out / "result.json").read_text(encoding="utf-8"))
    assert result["device"].endswith("2 processes")
    assert done.stdout.count("Folder:") == 1, "one process speaks"
    assert [json.loads(x)["step"] for x in (out / "metrics.jsonl").read_text().splitlines()] == [0, 1, 2]


def _free_port() -> str:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def test_resampling_in_time_pairs_a_place_with_light_of_another_date(scenes, tmp_path, monkeypatch):
    rows = ["name,s1,s2,group,s1_date,s2_date"]
    for seed, day in ((1, 3), (2, 9)):  # two scenes on one grid stand for two dates of one place
        files = [scenes / str(seed) / f"after_{sensor}.tif" for sensor in ("S1", "S2")]
        rows.append(f"date{day},{files[0]},{files[1]},place,2021-06-{day:02d},2021-06-{day:02d}")
    (tmp_path / "pairs.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    seen: list[tuple[list[int], list[int]]] = []
    plain = PairDataset.batch

    def batch(self, indices, *, s2_indices=None, **more):
        if s2_indices is not None:
            seen.append(([int(i) for i in indices], [int(i) for i in s2_indices]))
        return plain(self, indices, s2_indices=s2_indices, **more)

    monkeypatch.setattr(PairDataset, "batch", batch)
    given = {"data": [f"folder:{tmp_path / 'pairs.csv'}"], "steps": 6, "batch": 4, "workers": 0}
    pretrain(scenes, tmp_path / "one", resample_days=30, **given)
    pairs = {(a, b) for rows, partners in seen for a, b in zip(rows, partners, strict=True)}
    changed = [(a, b) for a, b in pairs if a != b]
    assert changed and any(a == b for a, b in pairs)
    assert {abs(a - b) for a, b in changed} == {len({a for a, _ in pairs}) // 2}, "the same square of the other date"
    first = list(seen)
    seen.clear()
    pretrain(scenes, tmp_path / "two", resample_days=30, **given)
    assert seen == first, "the draws depend on the seed and the step alone"
    with pytest.raises(ParameterError, match="no place has a second Sentinel-2 image"):
        pretrain(scenes, tmp_path / "three", resample_days=2, **given)


def test_encoders_are_saved_without_taking_them_off_the_device(scenes, tmp_path, monkeypatch):
    """On CUDA an encoder that was moved to the processor to be saved left its head behind, and the report failed."""
    reported = []

    def moved(module: torch.nn.Module) -> torch.nn.Module:
        module.was_moved = True
        return module

    monkeypatch.setattr(torch.nn.Module, "cpu", moved)
    monkeypatch.setattr(pretraining, "pair_samples", lambda data, objective: reported.append(objective) or [])
    pretrain(scenes, tmp_path / "run", method="multimodal")
    assert reported[0] is not None
    assert not [name for name, module in reported[0].named_modules() if hasattr(module, "was_moved")]
