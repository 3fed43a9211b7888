"""``engine finetune``: from pairs to an encoder, from labels to a model, from the model to a map."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import MissingFileError, ModelError, ParameterError
from engine.events import CancelToken, Progress, Reporter
from engine.jobs import find_job
from engine.models.bundle import load_bundle
from engine.models.segmenter import Segmenter
from engine.training.finetune import run as run_finetune
from engine.training.fractions import held_out, nested_fraction
from engine.training.segmentation_losses import class_weights, cross_entropy, dice
from engine.training.temperature import fit_temperature

TINY = {"crop": 64, "batch": 8, "steps": 4, "workers": 1, "device": "cpu", "log_every": 1}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("scenes")
    for seed in (1, 2, 3):
        run("simulate-scene", seed=seed, width=192, height=128, products="s1,s2,labels", out=str(home / str(seed)))
    return home


@pytest.fixture(scope="module")
def encoder(scenes, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("encoder") / "run"
    torch.set_num_threads(1)
    run("pretrain", data=[f"simulated:{scenes}"], width=0.0625, out=str(out), **TINY)
    return out


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(name: str, reporter: Reporter | None = None, **options):
    job = find_job(name)
    return job.run(job.parse(options), reporter or Reporter())


def finetune(scenes: Path, out: Path, reporter: Reporter | None = None, **options):
    return run("finetune", reporter, **{**TINY, "data": [f"simulated:{scenes}"], "out": str(out), **options})


def test_pairs_to_encoder_to_model_to_map(scenes, encoder, tmp_path):
    """The whole way on the processor: the model that comes out maps a flood better than chance."""
    result = finetune(scenes, tmp_path / "run", encoder=str(encoder), steps=120, lr=5e-3, ema=0.9)
    out = tmp_path / "run"
    for name in result["outputs"].values():
        assert (out / name).is_file(), name
    card = load_bundle(out / "model").card
    start = load_bundle(encoder / "encoder-s1").card
    assert [b.mean for b in card.bands] == [b.mean for b in start.bands], "the encoder's normalisation is kept"
    assert card.temperature == result["figures"]["temperature"]
    assert [figure.metric for figure in card.figures] == ["iou", "ece"]
    assert card.figures[1].value == result["figures"]["validation_ece"]["value"] < 0.2
    assert card.figures[1].n == result["figures"]["validation_squares"]
    assert result["figures"]["events"] == 2
    html = (out / "report.html").read_text(encoding="utf-8")
    assert "probability of water" in html
    assert html.count("data:image/png") >= 10
    assert html.count("data:image/svg+xml") == 1, "the reliability diagram"
    map_ = run("flood", post=str(scenes / "3" / "after_S1.tif"), method=str(out / "model"), out=str(tmp_path / "map"))
    assert map_["model"]["sha256"] == card.weights_sha256
    import rasterio

    with rasterio.open(tmp_path / "map" / "flood.tif") as mapped, rasterio.open(scenes / "3/after_label.tif") as label:
        found, truth = mapped.read(1), label.read(1)
    known = truth >= 0
    wet = np.isin(found, (1, 2, 3)) & known
    iou = (wet & (truth == 1)).sum() / (wet | (truth == 1) & known).sum()
    assert iou > 1.5 * (truth[known] == 1).mean(), "no better than calling everything water"


@pytest.mark.parametrize(
    "options", [{"freeze": "encoder"}, {"freeze": "layer2", "layer_decay": 0.7}, {"loss": "focal"}]
)
def test_freezing_and_objectives(scenes, encoder, tmp_path, options):
    finetune(scenes, tmp_path / "run", encoder=str(encoder), ema=0.0, **options)
    start = load_bundle(encoder / "encoder-s1").encoder().state_dict()
    after = load_bundle(tmp_path / "run" / "model").network().encoder.state_dict()
    still = {name.split(".")[0] for name in start if not name.endswith("num_batches_tracked")} - {
        name.split(".")[0] for name in start if not start[name].equal(after[name])
    }
    expected = {
        "encoder": {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"},
        "layer2": {"conv1", "bn1", "layer1", "layer2"},
    }
    assert still == expected.get(options.get("freeze", ""), set())


def test_a_model_is_a_start_too_and_random_has_the_width_asked_for(scenes, tmp_path):
    finetune(scenes, tmp_path / "first", width=0.0625, steps=2)
    result = finetune(scenes, tmp_path / "second", encoder=str(tmp_path / "first" / "model"), steps=2)
    assert load_bundle(tmp_path / "second" / "model").card.network.width == 0.0625
    assert result["figures"]["start"] == "flood-s1"


def test_few_labels_take_few_squares_and_validation_stays_the_same(scenes, tmp_path):
    whole = finetune(scenes, tmp_path / "whole", width=0.0625, steps=1)["figures"]
    few = finetune(scenes, tmp_path / "few", width=0.0625, steps=1, labels=0.1)["figures"]
    assert few["squares"] == round(0.1 * whole["squares"])
    assert few["events"] == 1
    assert few["validation_squares"] == whole["validation_squares"] > 0


def test_a_brief_run_ends_with_the_same_model_and_no_report(scenes, tmp_path):
    job = find_job("finetune")
    options = {**TINY, "data": [f"simulated:{scenes}"], "width": 0.0625, "steps": 2}
    whole = job.run(job.parse({**options, "out": str(tmp_path / "whole")}), Reporter())
    brief = run_finetune(job.parse({**options, "out": str(tmp_path / "brief")}), Reporter(), brief=True)
    assert brief["model"] == whole["model"]
    assert brief["figures"]["validation_ece"] == whole["figures"]["validation_ece"]
    assert "report" not in brief["outputs"]
    assert not (tmp_path / "brief" / "report.html").exists()


def test_validation_data_of_its_own_is_used(scenes, tmp_path):
    figures = finetune(
        scenes / "1", tmp_path / "run", width=0.0625, steps=1, validation=[f"simulated:{scenes / '2'}@after"]
    )["figures"]
    assert figures["validation_squares"] == 6
    assert figures["squares"] == 12


def test_one_event_is_not_calibrated_and_says_so(scenes, tmp_path):
    result = finetune(scenes / "1", tmp_path / "run", width=0.0625, steps=1)
    assert any("not calibrated" in line for line in result["warnings"])
    assert result["figures"]["temperature"] == 1.0
    assert result["figures"]["validation_ece"] == {"value": None, "low": None, "high": None, "n": 0}
    assert load_bundle(tmp_path / "run" / "model").card.figures == ()


def test_a_cancelled_run_goes_on_and_ends_with_the_same_model(scenes, tmp_path):
    options = {"width": 0.0625, "steps": 6, "checkpoint_every": 2}
    finetune(scenes, tmp_path / "whole", **options)
    token = CancelToken()

    def watch(event: object) -> None:
        if isinstance(event, Progress) and "step 3/6" in event.message:
            token.cancel()

    with pytest.raises(Exception, match="Cancelled"):
        finetune(scenes, tmp_path / "run", Reporter(watch, token=token, clock=iter(range(10**6)).__next__), **options)
    assert not (tmp_path / "run" / "model").exists()
    run("finetune", out=str(tmp_path / "run"), resume=True, device="cpu")
    one, two = (load_bundle(tmp_path / name / "model") for name in ("whole", "run"))
    assert one.sha256 == two.sha256
    rows = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert rows == sorted(set(rows))


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"encoder": "nothing-of-that-name"}, ModelError, "nothing-of-that-name"),
        ({"encoder": "/does/not/exist"}, ModelError, "does not exist"),
        ({"data": ["/does/not/exist"]}, MissingFileError, "/does/not/exist"),
        ({"labels": 0.0}, ParameterError, "labels"),
        ({"freeze": "layer9"}, ParameterError, "freeze"),
    ],
)
def test_faults_are_one_line_and_make_no_folder(scenes, tmp_path, options, kind, words):
    with pytest.raises(kind, match=words) as caught:
        finetune(scenes, tmp_path / "run", **{"width": 0.0625, **options})
    assert "\n" not in caught.value.line
    assert not (tmp_path / "run").exists()


def test_an_encoder_for_light_cannot_start_a_radar_model(scenes, encoder, tmp_path):
    with pytest.raises(ModelError, match="expected s1"):
        finetune(scenes, tmp_path / "run", encoder=str(encoder / "encoder-s2"))


groups = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=60)


@settings(max_examples=80, deadline=None)
@given(groups, st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 5))
def test_shares_are_nested_of_the_right_size_and_by_event(names, a, b, seed):
    small, large = sorted((a, b))
    one, two = nested_fraction(names, small, seed=seed), nested_fraction(names, large, seed=seed)
    assert set(one) <= set(two)
    assert len(two) == max(1, round(large * len(names)))
    assert two == sorted(set(two))
    partial = [n for n in {names[i] for i in two} if {i for i, x in enumerate(names) if x == n} - set(two)]
    assert len(partial) <= 1, "at most one event is taken in part"
    assert nested_fraction(names, 1.0, seed=seed) == list(range(len(names)))


@settings(max_examples=60, deadline=None)
@given(groups, st.floats(0.05, 0.5), st.integers(0, 5))
def test_events_stand_on_one_side_of_a_split(names, share, seed):
    train, check = held_out(names, share, seed=seed)
    assert sorted(train + check) == list(range(len(names)))
    assert {names[i] for i in train}.isdisjoint({names[i] for i in check})
    assert train
    if len(set(names)) > 1:
        assert check


def brute_force(logits, label, weights, focus):
    total, count = 0.0, 0.0
    for n in range(label.shape[0]):
        for i in range(label.shape[1]):
            for j in range(label.shape[2]):
                y = int(label[n, i, j])
                if y < 0:
                    continue
                p = torch.softmax(logits[n, :, i, j].double(), 0)[y]
                total += float(weights[y] * (1 - p) ** focus * -torch.log(p))
                count += float(weights[y])
    return total / count


@pytest.mark.parametrize("focus", [0.0, 2.0])
def test_cross_entropy_and_focal_loss_beside_brute_force(focus):
    torch.manual_seed(3)
    logits, label = torch.randn(2, 3, 4, 5), torch.randint(-1, 3, (2, 4, 5))
    weights = torch.tensor([0.5, 1.0, 2.5])
    found = cross_entropy(logits, label, weights=weights, focus=focus)
    assert float(found) == pytest.approx(brute_force(logits, label, weights, focus), rel=1e-5)


def test_label_smoothing_is_that_of_torch():
    torch.manual_seed(4)
    logits, label = torch.randn(2, 3, 4, 5), torch.randint(-1, 3, (2, 4, 5))
    wanted = torch.nn.functional.cross_entropy(logits, label, ignore_index=-1, label_smoothing=0.2)
    assert float(cross_entropy(logits, label, smoothing=0.2)) == pytest.approx(float(wanted), rel=1e-6)


def test_unlabelled_pixels_have_no_gradient_and_a_batch_of_them_no_loss():
    logits = torch.randn(1, 2, 4, 4, requires_grad=True)
    label = torch.randint(0, 2, (1, 4, 4))
    label[0, 0] = -1
    (cross_entropy(logits, label, focus=2.0) + dice(logits, label)).backward()
    assert (logits.grad[:, :, 0] == 0).all()
    assert (logits.grad[:, :, 1:] != 0).any()
    nothing = torch.full((1, 4, 4), -1)
    assert float(cross_entropy(logits.detach(), nothing)) == 0
    assert float(dice(logits.detach(), nothing)) == 0


def test_dice_is_none_for_the_truth_and_large_for_its_opposite():
    label = torch.zeros(1, 8, 8, dtype=torch.int64)
    label[:, :3] = 1
    sure = 50 * torch.nn.functional.one_hot(label, 2).movedim(3, 1).float()
    assert float(dice(sure, label)) == pytest.approx(0, abs=1e-6)
    assert float(dice(-sure, label)) > 0.9


def test_rare_classes_weigh_more():
    weights = class_weights({0: 900, 1: 100}, 2)
    assert float(weights[1] / weights[0]) == pytest.approx(3)
    assert float(weights.mean()) == pytest.approx(1)
    assert class_weights({0: 5}, 2).tolist() == [1, 1]
    assert class_weights({}, 3).tolist() == [1, 1, 1]


def test_a_class_of_one_pixel_does_not_rule():
    weights = class_weights({0: 1_393_593, 1: 1994, 2: 1}, 4)
    assert float(weights[2] / weights[0]) == pytest.approx(10) and float(weights[1]) == float(weights[2])
    assert float(weights[:3].mean()) == pytest.approx(1) and float(weights[3]) == 1
    at_the_bound = class_weights({0: 10_000, 1: 100}, 2)
    assert float(at_the_bound[1] / at_the_bound[0]) == pytest.approx(10)


@pytest.mark.parametrize("options", [{"batch": 1}, {"batch": 4, "accumulate": 4}])
def test_one_small_square_cannot_be_normalised_over(scenes, tmp_path, options):
    with pytest.raises(ParameterError, match=r"one square of 32 x 32 pixels.*batch normalisation") as failure:
        finetune(scenes, tmp_path / "run", width=0.0625, **{**TINY, "crop": 32, **options})
    assert "\n" not in failure.value.line and "--batch" in failure.value.remedy
    assert not (tmp_path / "run").exists()


def test_one_square_is_enough_where_the_encoder_rests_or_it_is_larger(scenes, encoder, tmp_path):
    finetune(scenes, tmp_path / "rests", encoder=str(encoder), freeze="encoder", **{**TINY, "crop": 32, "batch": 1})
    finetune(scenes, tmp_path / "larger", width=0.0625, **{**TINY, "batch": 1, "steps": 1})


@pytest.mark.parametrize("truth", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_put_in_is_found(truth):
    generator = torch.Generator().manual_seed(1)
    clean = 3 * torch.randn(20_000, 2, generator=generator)
    labels = torch.multinomial(clean.softmax(1), 1, generator=generator)[:, 0]
    assert fit_temperature(clean * truth, labels) == pytest.approx(truth, rel=0.06)
    assert fit_temperature(clean[:0], labels[:0]) == 1.0
    assert fit_temperature(clean, torch.zeros_like(labels)) == 1.0


@torch.no_grad()
def test_the_calibration_error_is_that_of_the_pixels(scenes, encoder):
    """Beside numpy over all pixels of all squares; and an interval that holds the value, as a card must have."""
    from engine.training.calibration import calibrate, holding
    from engine.training.labelled import open_labelled

    bands = {"s1": ("VV", "VH")}
    data = open_labelled([f"simulated:{scenes}"], bands, side=64, broken=0.1, reporter=Reporter())
    torch.manual_seed(0)
    network = Segmenter(bands=2, classes=2, encoder="resnet18", width=0.0625).eval()
    found = calibrate(network, data, range(4), fit=False, temperature=2.0, at_once=3)
    batch = data.batch(range(4), sensors=("s1",))
    p = (network(batch["s1"]) / 2).softmax(1)[:, 1].numpy()
    known = (batch["s1_valid"][:, 0] & (batch["label"] >= 0)).numpy()
    percent, truth = np.rint(100 * p[known]), (batch["label"] == 1).numpy()[known]
    slow = 0.0
    for low in range(0, 100, 10):
        inside = (percent >= low) & ((percent < low + 10) | ((low == 90) & (percent == 100)))
        if inside.any():
            slow += inside.mean() * abs(percent[inside].mean() / 100 - truth[inside].mean())
    assert found.reliability.ece() == pytest.approx(slow, abs=1e-3)
    assert len(found.tables) == len(found.counts) == 4
    assert sum(sum(row) for row in found.counts) == known.sum() == found.reliability.n
    assert holding({"value": 0.1, "low": 0.2, "high": 0.3, "n": 4})["low"] == 0.1
