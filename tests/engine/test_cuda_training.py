"""Training on a CUDA device: it runs in every precision, goes on after a stop, and learns what the processor learns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from engine.crossview.describer import GroundView
from engine.crossview.learned_describer import LearnedDescriber
from engine.device import Device, choose_device
from engine.errors import Cancelled
from engine.events import CancelToken, Progress, Reporter
from engine.jobs import find_job
from engine.models.bundle import load_bundle
from engine.models.crossview_bundle import load_crossview
from engine.panorama.birdseye import birds_eye
from engine.panorama.view import PanoramaView
from engine.simulate.job import run as simulate
from engine.simulate.request import SceneRequest
from engine.training.crossview.request import CrossViewTrainRequest
from engine.training.crossview.train import run as crossview_train
from tests.engine.crossview_worlds import ground, panorama, write_world

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
SMALL = {"width": 0.125, "crop": 64, "batch": 8, "workers": 2, "device": "cuda", "log_every": 1}
TINY = {
    "encoder": "resnet18", "width": 0.125, "encoder_stages": 2, "maps": 8, "ground_size": "16x64",
    "overhead_size": 32, "vfov": 120.0, "batch": 16, "workers": 2, "log_every": 1, "colour": 0.1, "lr": 5e-3,
}  # fmt: skip


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("scenes")
    for seed in (1, 2):
        request = SceneRequest(seed=seed, width=256, height=128, products="s1,s2,labels", out=str(home / str(seed)))
        simulate(request, Reporter())
    return home


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("worlds")
    write_world(home / "train", 48, extra=8, headings=True)
    write_world(home / "test", 24, first=1000, headings=True)
    return home


def run(name: str, reporter: Reporter | None = None, **options: object) -> dict:
    job = find_job(name)
    return job.run(job.parse(dict(options)), reporter or Reporter())


def rows(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("method", ["simclr", "moco-v2", "multimodal", "dense"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_pretraining_runs_in_every_precision(scenes, tmp_path, method, precision):
    result = run(
        "pretrain", data=[f"simulated:{scenes}"], out=str(tmp_path / "run"), method=method, steps=6,
        precision=precision, **SMALL,
    )  # fmt: skip
    assert result["device"].startswith("cuda")
    assert all(row["loss"] == row["loss"] for row in rows(tmp_path / "run"))
    encoder = load_bundle(tmp_path / "run" / "encoder-s1").encoder()
    assert torch.isfinite(encoder(torch.randn(1, 2, 64, 64))[-1]).all()


def test_an_encoder_is_tuned_and_the_losses_are_those_of_the_processor(scenes, tmp_path):
    run("pretrain", data=[f"simulated:{scenes}"], out=str(tmp_path / "pre"), method="multimodal", steps=4, **SMALL)
    losses = {}
    for device in ("cuda", "cpu"):
        options = {**SMALL, "device": device, "precision": "fp32", "steps": 30, "lr": 5e-3, "ema": 0.9}
        encoder = str(tmp_path / "pre")
        run("finetune", data=[f"simulated:{scenes}"], out=str(tmp_path / device), encoder=encoder, **options)
        losses[device] = [row["loss"] for row in rows(tmp_path / device)]
    # The same weights at the start, but other augmentation: generators of the devices differ.
    assert losses["cuda"][0] == pytest.approx(losses["cpu"][0], rel=0.3)
    for found in losses.values():
        assert sum(found[-5:]) < 0.8 * sum(found[:5])


def test_a_cancelled_run_goes_on(scenes, tmp_path):
    def cut_off(**options: object) -> int:
        """Cancel at the third line of training; how many steps are done."""
        token, lines = CancelToken(), []

        def watch(event: object) -> None:
            if isinstance(event, Progress) and event.stage == "train":
                lines.append(event)
                if len(lines) == 3:
                    token.cancel()

        with pytest.raises(Cancelled):
            run("pretrain", Reporter(watch, token=token), out=str(tmp_path / "run"), **options)
        return rows(tmp_path / "run")[-1]["step"] + 1

    reached = cut_off(data=[f"simulated:{scenes}"], method="simclr", steps=100_000, **SMALL)
    assert cut_off(resume=True, device="cuda") > reached > 0


def test_crossview_training_learns_with_labels_and_runs_all_stages_without(world, tmp_path):
    def train(out: str, **changes: object) -> dict:
        given = {**TINY, "device": "cuda", "data": (str(world / "train"),), "out": str(tmp_path / out), **changes}
        return crossview_train(CrossViewTrainRequest(**given), Reporter())

    result = train("all", labels=1, steps=100, neighbours=4, test=(str(world / "test"),))
    found = result["figures"]["test"][str(world / "test")]
    assert result["figures"]["precision"] in ("bf16", "fp16") and result["device"].startswith("cuda")
    assert found["r@1"]["value"] >= 5 / 24, "chance is 1/24"
    for restyle in ("texture", "cyclegan"):
        small = {"gan_epochs": 1, "gan_blocks": 1, "gan_width": 0.125} if restyle == "cyclegan" else {}
        none = train(restyle, steps=24, validation_share=0.25, gap=0.01, restyle=restyle, **small)
        assert [one["name"] for one in none["figures"]["stages"]] == ["intra", "cross", "curriculum"]
        assert all(row["loss"] == row["loss"] for row in rows(tmp_path / restyle))


def test_a_crossview_model_describes_alike_on_both_devices(world, tmp_path):
    given = {**TINY, "device": "cpu", "workers": 0, "data": (str(world / "train"),), "out": str(tmp_path / "run")}
    crossview_train(CrossViewTrainRequest(**given, labels=1, steps=4), Reporter(), brief=True)
    model = str(tmp_path / "run" / "model")
    assert load_crossview(model).network.dim > 0
    pixels = torch.from_numpy(panorama(ground(3))).movedim(2, 0)
    crops = torch.stack([torch.from_numpy(ground(n)).movedim(2, 0) for n in range(5)]).float() / 255
    found = {}
    for device in (Device("cpu"), choose_device("cuda")):
        describer = LearnedDescriber.load(model, device=device, precision="float32")
        query = describer.query(GroundView(pixels, PanoramaView(), False))
        codes = describer.describe(crops, 0.5)
        found[device.kind] = describer.scores([query], describer.ready(codes), 0.5)[0]
    assert abs(found["cpu"] - found["cuda"]).max() < 5e-3


def test_birds_eye_views_are_those_of_the_processor():
    pixels = torch.from_numpy(panorama(ground(1), rows=128, columns=256)).movedim(2, 0)[None].float() / 255
    options = {"side": 96, "half_width_m": 12.0, "camera_height_m": 2.5}
    on = [birds_eye(pixels.to(where), PanoramaView(heading_deg=40.0), **options) for where in ("cpu", "cuda")]
    assert torch.equal(on[0][1], on[1][1].cpu())
    assert (on[0][0] - on[1][0].cpu()).abs().max() < 2e-3
