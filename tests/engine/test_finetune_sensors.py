"""``engine finetune --sensors``: flood models from Sentinel-2 and from two sensors; how squares are varied."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from engine.errors import EngineError, ModelError, ParameterError
from engine.events import CancelToken, Progress, Reporter
from engine.jobs import find_job
from engine.models.bundle import load_bundle
from engine.models.segmenter import Segmenter
from engine.models.two_sensor import TwoSensorSegmenter
from engine.training.finetune import Start, calibrate, find_start
from engine.training.requests import FinetuneRequest
from engine.training.segmentation import Segmentation, Variation, known_label, predicted

TINY = {"crop": 64, "batch": 8, "steps": 2, "workers": 1, "device": "cpu", "log_every": 1, "width": 0.0625}
SIDE = 32


def run(job_name: str, reporter: Reporter | None = None, **options):
    job = find_job(job_name)
    return job.run(job.parse(options), reporter or Reporter())


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("scenes")
    for seed in (1, 2):
        run("simulate-scene", seed=seed, width=192, height=128, products="s1,s2,labels", out=str(home / str(seed)))
    return home


@pytest.fixture(scope="module")
def encoder(scenes, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("encoder") / "run"
    torch.set_num_threads(1)
    run("pretrain", data=[f"simulated:{scenes}"], out=str(out), **TINY)
    return out


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def finetune(scenes: Path, out: Path, reporter: Reporter | None = None, **options):
    return run("finetune", reporter, **{**TINY, "data": [f"simulated:{scenes}"], "out": str(out), **options})


def test_a_model_for_light_starts_from_the_encoder_for_light(scenes, encoder, tmp_path):
    result = finetune(scenes, tmp_path / "run", sensors="s2", encoder=str(encoder), freeze="encoder", ema=0.0)
    bundle, start = load_bundle(tmp_path / "run" / "model"), load_bundle(encoder / "encoder-s2")
    assert (bundle.name, bundle.card.sensors, bundle.card.title) == ("flood-s2", ("s2",), "Water from Sentinel-2")
    assert bundle.card.bands == start.card.bands, "the encoder's bands and normalisation are kept"
    kept, found = start.encoder().state_dict(), bundle.network().encoder.state_dict()
    assert all(kept[name].equal(found[name]) for name in kept)
    assert result["figures"]["squares"] == 6, "only the scene after the event has Sentinel-2"
    assert (tmp_path / "run" / "report.html").read_text(encoding="utf-8").count("data:image/png") >= 10


def test_bands_are_chosen_by_any_of_their_names(scenes, tmp_path):
    finetune(scenes, tmp_path / "run", sensors="s2", s2_bands="green,B8,swir1", name="three")
    card = load_bundle(tmp_path / "run" / "model").card
    assert (card.name, [band.name for band in card.bands]) == ("three", ["B03", "B08", "B11"])
    finetune(scenes, tmp_path / "default", sensors="s2")
    card = load_bundle(tmp_path / "default" / "model").card
    assert [band.name for band in card.bands] == ["B02", "B03", "B04", "B08", "B11", "B12"]


def test_a_model_for_both_starts_from_both_encoders_and_answers_from_either(scenes, encoder, tmp_path):
    result = finetune(scenes, tmp_path / "run", sensors="both", encoder=str(encoder), freeze="encoder", ema=0.0)
    bundle = load_bundle(tmp_path / "run" / "model")
    assert bundle.name == "flood-s1s2"
    assert bundle.card.sensors == ("s1", "s2")
    network = bundle.two_sensor()
    for sensor, found in (("s1", network.s1), ("s2", network.s2)):
        kept = load_bundle(encoder / f"encoder-{sensor}").encoder().state_dict()
        assert all(kept[name].equal(value) for name, value in found.state_dict().items())
    alone = result["figures"]["validation_iou_alone"]
    assert set(alone) == {"s1", "s2"}
    assert (alone["s1"]["n"], alone["s2"]["n"]) == (12, 6), "two dates have S1, one has S2"
    html = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "From S2 alone" in html
    again = finetune(scenes, tmp_path / "again", sensors="both", encoder=str(tmp_path / "run" / "model"))
    assert again["figures"]["start"] == "flood-s1s2"
    one = finetune(scenes, tmp_path / "one", sensors="s2", encoder=str(tmp_path / "run" / "model"))
    assert one["figures"]["start"] == "flood-s1s2"


def test_a_cancelled_run_of_both_goes_on_to_the_same_bits(scenes, tmp_path):
    options = {"sensors": "both", "steps": 5, "checkpoint_every": 2, "scale": 1.5, "common_jitter": 0.2, "gain": 0.1}
    finetune(scenes, tmp_path / "whole", **options)
    token = CancelToken()

    def watch(event: object) -> None:
        if isinstance(event, Progress) and "step 3/5" in event.message:
            token.cancel()

    with pytest.raises(EngineError, match="Cancelled"):
        finetune(scenes, tmp_path / "run", Reporter(watch, token=token, clock=iter(range(10**6)).__next__), **options)
    run("finetune", out=str(tmp_path / "run"), resume=True, device="cpu")
    one, two = (load_bundle(tmp_path / name / "model") for name in ("whole", "run"))
    assert one.sha256 == two.sha256


def test_a_pack_gives_its_own_bands_and_sensors_that_are_not_asked_for_stay_out(scenes, tmp_path):
    pack = str(tmp_path / "pack")
    run("data-pack", path=f"simulated:{scenes}", out=pack, crop=64, need="labels", s2_bands="B03,B08,B11")
    finetune(scenes, tmp_path / "s2", data=[pack], sensors="s2")
    assert [b.name for b in load_bundle(tmp_path / "s2" / "model").card.bands] == ["B03", "B08", "B11"]
    figures = finetune(scenes, tmp_path / "packed", data=[pack])["figures"]
    assert figures["bands"] == {"s1": ["VV", "VH"]}
    assert figures["squares"] == finetune(scenes, tmp_path / "read")["figures"]["squares"]
    with pytest.raises(ParameterError, match="holds the bands B03,B08,B11 of s2; expected B03,B08,B12"):
        finetune(scenes, tmp_path / "other", data=[pack], sensors="both", s2_bands="B03,B08,B12")


def test_scenes_that_were_simulated_without_radar_are_data_too(scenes, tmp_path):
    shutil.copytree(scenes, tmp_path / "light", ignore=shutil.ignore_patterns("*_S1.tif"))
    figures = finetune(tmp_path / "light", tmp_path / "run", sensors="s2", steps=1)["figures"]
    assert figures["squares"] == 6


def radar_only(scenes: Path, folder: Path) -> Path:
    shutil.copytree(scenes, folder, ignore=shutil.ignore_patterns("*_S2.tif"))
    return folder


def test_faults_are_one_line_and_make_no_folder(scenes, encoder, tmp_path):
    bare = radar_only(scenes, tmp_path / "bare")
    lame = tmp_path / "lame"
    shutil.copytree(encoder, lame, ignore=shutil.ignore_patterns("encoder-s2"))
    faults = [
        ({"sensors": "s2", "s2_bands": "B03,purple"}, ParameterError, "different band names of Sentinel-2"),
        ({"sensors": "s2", "s2_bands": "B03,green"}, ParameterError, "different band names of Sentinel-2"),
        ({"sensors": "s2", "s2_bands": "B03", "encoder": str(encoder)}, ParameterError, "bands of the encoder"),
        ({"sensors": "s2", "data": [f"simulated:{bare}"]}, ParameterError, "no item has s2 and a label"),
        ({"sensors": "both", "data": [f"simulated:{bare}"]}, ParameterError, "no labelled item has s2"),
        ({"sensors": "both", "encoder": str(lame)}, ModelError, "encoder-s2"),
        ({"sensors": "both", "encoder": str(encoder / "encoder-s1")}, ModelError, "expected s2 alone"),
        ({"sensors": "s3"}, ParameterError, "sensors"),
        ({"scale": 0.5}, ParameterError, "scale"),
    ]
    for options, kind, words in faults:
        with pytest.raises(kind, match=words) as caught:
            finetune(scenes, tmp_path / "run", **options)
        assert "\n" not in caught.value.line
        assert not (tmp_path / "run").exists(), options


def test_the_names_that_others_build_on_are_here():
    request = FinetuneRequest(out="x", data=("y",))
    assert find_start(request) == Start("random")
    assert callable(calibrate)
    assert (request.jitter, request.common_jitter, request.gain, request.scale) == (0.15, 0, 0, 1)


def batch(count: int = 64, *, missing: slice = slice(0, 0)) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    made = {
        "s1": torch.randn(count, 2, SIDE, SIDE, generator=generator),
        "s2": torch.randn(count, 3, SIDE, SIDE, generator=generator),
        "label": torch.randint(-1, 2, (count, SIDE, SIDE), generator=generator),
    }
    for sensor in ("s1", "s2"):
        valid = torch.ones(count, 1, SIDE, SIDE, dtype=torch.bool)
        if sensor == "s2":
            valid[missing] = False
        made[sensor] = made[sensor] * valid
        made[f"{sensor}_valid"] = valid
    return made


def objective(sensors: tuple[str, ...], **variation: float) -> Segmentation:
    torch.manual_seed(0)
    network = (
        TwoSensorSegmenter(s1_bands=2, s2_bands=3, classes=2, width=0.0625)
        if len(sensors) == 2
        else Segmenter(bands={"s1": 2, "s2": 3}[sensors[0]], classes=2, width=0.0625)
    )
    still = {"jitter": 0.0, "drop_sensor": 0.0, **variation}
    return Segmentation(network, sensors=sensors, loss="ce", weights=None, variation=Variation(**still))


def views(made: dict[str, torch.Tensor], sensors: tuple[str, ...], **variation: float) -> dict[str, torch.Tensor]:
    return objective(sensors, **variation).views(made, torch.Generator().manual_seed(1))


def sums(x: torch.Tensor) -> torch.Tensor:
    return x.double().sum((-2, -1))


def test_without_variation_squares_are_only_mirrored_and_turned():
    made = batch()
    seen = views(made, ("s1",))
    assert torch.allclose(sums(seen["s1"]), sums(made["s1"]))
    assert not seen["s1"].equal(made["s1"])
    assert seen["label"].flatten(1).sort(1).values.equal(made["label"].flatten(1).sort(1).values)
    assert "s2" not in seen, "what is not trained on is not turned either"


def offsets(made, seen) -> torch.Tensor:
    """(N, bands): how far each band moved."""
    return (sums(seen["s1"]) - sums(made["s1"])) / SIDE**2


def test_jitter_moves_each_band_and_common_jitter_all_of_them_together():
    made = batch()
    moved = offsets(made, views(made, ("s1",), jitter=0.5))
    assert moved.abs().max() <= 0.5 + 1e-6
    assert moved.abs().max() > 0.4
    assert (moved[:, 0] - moved[:, 1]).abs().max() > 0.3
    moved = offsets(made, views(made, ("s1",), common_jitter=0.5))
    assert 0.4 < moved.abs().max() <= 0.5 + 1e-6
    assert (moved[:, 0] - moved[:, 1]).abs().max() < 1e-5
    assert moved[:, 0].std() > 0.2, "each sample by its own draw"


def test_gain_changes_the_contrast_of_each_band():
    made = batch()
    seen = views(made, ("s1",), gain=0.3)
    gains = seen["s1"].flatten(2).std(2) / made["s1"].flatten(2).std(2)
    assert gains.min() >= 0.7 - 1e-4
    assert gains.max() <= 1.3 + 1e-4
    assert gains.std() > 0.1


def test_magnified_squares_keep_image_and_label_together():
    made = batch()
    # A picture that tells its label: both must be cut at the same place.
    made["label"] = (torch.arange(SIDE)[None, :, None] + torch.zeros(64, 1, SIDE)).long() // 8
    made["s1"] = made["label"][:, None].float().expand(-1, 2, -1, -1).clone()
    seen = views(made, ("s1",), scale=2.0)
    apart = (seen["s1"][:, 0] - seen["label"]).abs()
    assert apart.mean() < 0.1
    kinds = [len(torch.unique(label)) for label in seen["label"]]
    assert min(kinds) < 4, "at a magnification of 2 not every band of the picture is seen"
    assert max(kinds) == 4


def test_one_of_two_sensors_is_dropped_for_the_share_asked_for_and_never_the_only_one():
    made = batch(400, missing=slice(0, 100))
    seen = views(made, ("s1", "s2"), drop_sensor=0.5)
    s1, s2 = (seen[f"{s}_valid"].flatten(1).any(1) for s in ("s1", "s2"))
    assert (s1 | s2).all()
    assert s1[:100].all(), "what has Sentinel-1 alone keeps it"
    alone = ~(s1 & s2)[100:]
    assert abs(alone.float().mean() - 0.5) < 0.1
    assert abs((~s1[100:]).float().mean() - 0.25) < 0.1
    assert (seen["s1"][~s1] == 0).all()
    assert (seen["s2"][~s2] == 0).all()
    everything = views(made, ("s1", "s2"), drop_sensor=1.0)
    both = everything["s1_valid"].flatten(1).any(1) & everything["s2_valid"].flatten(1).any(1)
    assert not both.any()


def test_a_dropped_sensor_has_no_influence_and_labels_count_where_the_other_sees():
    made = batch(4)
    made["s2_valid"][:, :, :8] = False
    one = objective(("s1", "s2"))
    one.eval()
    masked = {**made, "s1_valid": torch.zeros_like(made["s1_valid"])}
    with torch.no_grad():
        hidden = predicted(one.network, {**masked, "s1": 100 * made["s1"]}, ("s1", "s2"))
        alone = predicted(one.network, made, ("s2",))
    assert torch.allclose(hidden, alone, atol=1e-5)
    assert (known_label(masked, ("s1", "s2"))[:, :8] == -1).all()
    assert known_label(made, ("s1", "s2")).equal(made["label"])
    loss = one.forward(masked)["loss"]
    assert torch.isfinite(loss)


@pytest.mark.parametrize("sensors", ["s1", "both"])
def test_a_flood_model_of_the_same_sensors_gives_its_decoder_too(scenes, tmp_path, sensors):
    """Only so does fine-tuning go on from what was learned; an encoder alone starts with a decoder drawn anew."""
    first = finetune(scenes, tmp_path / "first", sensors=sensors)
    model = str(tmp_path / "first" / "model")
    finetune(scenes, tmp_path / "second", sensors=sensors, encoder=model, lr=1e-9, weight_decay=0.0, ema=0.0, seed=5)
    before, after = (load_bundle(tmp_path / run / "model").module().state_dict() for run in ("first", "second"))
    kept = [name for name in before if name.startswith(("decoder", "head")) and name.endswith("weight")]
    assert kept and first["figures"]["steps"] == 2
    for name in kept:
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=1e-6)


def test_a_flood_model_of_one_sensor_gives_a_model_of_two_nothing_but_an_error(scenes, tmp_path):
    finetune(scenes, tmp_path / "first")
    with pytest.raises(ModelError, match="expected s2 alone"):
        find_start(FinetuneRequest(out="x", sensors="both", encoder=str(tmp_path / "first" / "model")))
