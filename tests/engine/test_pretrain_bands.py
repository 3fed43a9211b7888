"""``engine pretrain --s2-bands``: encoders for images that lack bands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from engine.errors import ParameterError
from engine.events import CancelToken, Progress, Reporter
from engine.jobs import find_job
from engine.models.bundle import load_bundle

CHIPS = "coastal,blue,green,red,nir,swir1,swir2"
NAMES = ("B01", "B02", "B03", "B04", "B08", "B11", "B12")
TINY = {"width": 0.0625, "crop": 64, "batch": 4, "steps": 4, "workers": 0, "device": "cpu", "log_every": 1}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(name: str, reporter: Reporter | None = None, **options):
    job = find_job(name)
    return job.run(job.parse(options), reporter or Reporter())


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("scenes")
    products = "s1,s2,labels,landcover"
    run("simulate-scene", seed=1, width=192, height=128, flood=0, products=products, out=str(home / "1"))
    return home


def pretrain(scene: Path, out: Path, reporter: Reporter | None = None, **options):
    return run("pretrain", reporter, **{**TINY, "data": [f"simulated:{scene}@after"], "out": str(out), **options})


@pytest.mark.parametrize("method", ["simclr", "multimodal+aggressive"])
def test_the_encoder_reads_the_bands_that_were_asked_for(scene, tmp_path, method):
    pretrain(scene, tmp_path / "run", method=method, s2_bands=CHIPS)
    pretrain(scene, tmp_path / "whole", method="random")
    card, whole = (load_bundle(tmp_path / name / "encoder-s2").card for name in ("run", "whole"))
    assert tuple(band.name for band in card.bands) == NAMES
    there = {band.name: band for band in whole.bands}
    assert all((b.mean, b.std) == (there[b.name].mean, there[b.name].std) for b in card.bands), "of the very bands"
    bundle = load_bundle(tmp_path / "run" / "encoder-s2")
    assert bundle.encoder().conv1.weight.shape[1] == 7
    command = json.loads((tmp_path / "run" / "result.json").read_text())["command"]
    assert f"--s2-bands {CHIPS}" in command
    assert len(load_bundle(tmp_path / "run" / "encoder-s1").card.bands) == 2


def test_fine_tuning_takes_the_bands_of_the_encoder(scene, tmp_path):
    pretrain(scene, tmp_path / "run", method="random", s2_bands="B08,B03,B11")
    options = {**TINY, "sensors": "s2", "encoder": str(tmp_path / "run"), "data": [f"simulated:{scene}@after"]}
    run("finetune", **options, out=str(tmp_path / "model"))
    card = load_bundle(tmp_path / "model" / "model").card
    assert [band.name for band in card.bands] == ["B08", "B03", "B11"]
    with pytest.raises(ParameterError, match="differs from the bands of the encoder"):
        run("finetune", **options, s2_bands=CHIPS, out=str(tmp_path / "other"))


def test_a_stopped_run_goes_on_with_its_bands(scene, tmp_path):
    pretrain(scene, tmp_path / "whole", s2_bands=CHIPS)
    token = CancelToken()

    def stop(event: object) -> None:
        if isinstance(event, Progress) and "step 2/4" in event.message:
            token.cancel()

    from engine.errors import Cancelled

    with pytest.raises(Cancelled):
        pretrain(
            scene,
            tmp_path / "run",
            Reporter(stop, token=token, clock=iter(range(10**6)).__next__),
            s2_bands=CHIPS,
            checkpoint_every=1,
        )
    with pytest.raises(ParameterError, match="the run has s2_bands 'coastal"):
        run("pretrain", out=str(tmp_path / "run"), resume=True, s2_bands="B02,B03,B04")
    run("pretrain", out=str(tmp_path / "run"), resume=True, device="cpu")
    for sensor in ("s1", "s2"):
        one, other = (load_bundle(tmp_path / name / f"encoder-{sensor}") for name in ("whole", "run"))
        assert one.card.bands == other.card.bands
        pairs = zip(one.encoder().state_dict().values(), other.encoder().state_dict().values(), strict=True)
        assert all(a.equal(b) for a, b in pairs)


def test_packs_give_their_bands_and_other_ones_are_refused(scene, tmp_path):
    packed = {"path": f"simulated:{scene}@after", "crop": 64, "need": "pairs"}
    run("data-pack", **packed, s2_bands="B02,B08,B11", out=str(tmp_path / "three"))
    run("data-pack", **packed, out=str(tmp_path / "twelve"))
    three, twelve, raw = str(tmp_path / "three"), str(tmp_path / "twelve"), f"simulated:{scene}@after"
    pretrain(scene, tmp_path / "run", data=[raw, three], method="random")
    names = [band.name for band in load_bundle(tmp_path / "run" / "encoder-s2").card.bands]
    assert names == ["B02", "B08", "B11"], "raw data are read with the bands of the pack beside them"
    for data, asked, pack in (([three, twelve], None, twelve), ([twelve], "B02,B08,B11", twelve)):
        with pytest.raises(ParameterError, match="--s2-bands") as caught:
            pretrain(scene, tmp_path / "refused", data=data, s2_bands=asked)
        assert pack in caught.value.message and "expected B02,B08,B11" in caught.value.message
    assert not (tmp_path / "refused").exists()


@pytest.mark.parametrize("bands", ["B02,B99", "B02,blue", ""])
def test_bands_that_are_none_are_refused(scene, tmp_path, bands):
    with pytest.raises(ParameterError, match="different band names of Sentinel-2"):
        pretrain(scene, tmp_path / "run", s2_bands=bands)
