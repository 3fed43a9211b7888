"""Model bundles: what is saved loads again; whatever is damaged, foreign or pickled is refused in one line."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import ModelError, OutputError
from engine.models.bundle import CARD, WEIGHTS, find_model, list_models, load_bundle, save_bundle
from engine.models.card import Card, gsd_fits
from engine.models.resnet import ResNet
from engine.models.segmenter import Segmenter
from engine.models.two_sensor import TwoSensorSegmenter


def card(**changes: Any) -> dict[str, Any]:
    """A card for a tiny flood model without the fields that saving fills in."""
    return {
        "name": "tiny",
        "title": "A tiny network with random weights",
        "licence": "GPL-2.0-or-later",
        "task": "flood",
        "bands": [
            {"sensor": "s1", "name": "VV", "unit": "db", "mean": -12.0, "std": 4.0},
            {"sensor": "s1", "name": "VH", "unit": "db", "mean": -19.0, "std": 4.5},
        ],
        "gsd_m": [8, 25],
        "classes": [{"value": 0, "name": "dry"}, {"value": 1, "name": "water"}],
        "activation": "sigmoid",
        "temperature": 1.5,
        "tile": 64,
        "overlap": 16,
        "trained_on": [{"name": "nothing", "licence": "none"}],
        "figures": [{"metric": "iou", "value": 0.5, "low": 0.4, "high": 0.6, "n": 8, "data": "simulated"}],
        **changes,
    }


def network(seed: int = 0, **changes: Any) -> Segmenter:
    torch.manual_seed(seed)
    return Segmenter(**{"bands": 2, "classes": 1, "encoder": "resnet18", "width": 0.0625, **changes}).eval()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    save_bundle(tmp_path / "models" / "tiny", network(), card())
    return tmp_path / "models" / "tiny"


def refused(folder: Path, *words: str) -> None:
    """Loading and building the network fails with one line that holds the words."""
    with pytest.raises(ModelError) as caught:
        load_bundle(folder).network()
    for word in words:
        assert word in caught.value.message, caught.value.message
    assert "\n" not in caught.value.line and len(caught.value.line) < 700


def test_what_is_saved_loads_again(bundle: Path) -> None:
    assert sorted(p.name for p in bundle.iterdir()) == [CARD, "mlm.json", WEIGHTS]
    loaded = load_bundle(bundle)
    assert loaded.name == "tiny" and loaded.card.sensors == ("s1",) and loaded.card.temperature == 1.5
    x = torch.randn(1, 2, 64, 64)
    with torch.inference_mode():
        assert torch.equal(loaded.network()(x), network()(x))
    assert Card.model_validate_json((bundle / CARD).read_text()) == loaded.card


def test_saving_again_replaces(bundle: Path) -> None:
    save_bundle(bundle, network(1), card(title="Another"))
    assert load_bundle(bundle).card.title == "Another"
    load_bundle(bundle).verify()


def test_a_card_that_does_not_fit_the_network_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="2 inputs and 1 outputs, the network has 3 and 1"):
        save_bundle(tmp_path / "x", network(bands=3), card())
    with pytest.raises(ModelError, match="temperature"):
        save_bundle(tmp_path / "x", network(), card(temperature=0))
    assert not (tmp_path / "x").exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError):
        save_bundle(tmp_path / "file" / "x", network(), card())


def test_pickled_weights_are_never_loaded(bundle: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"

    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (ran,))

    for name in ("model.pt", "model.pth", "weights.bin", "model.pkl", "model.ckpt"):
        folder = tmp_path / name.replace(".", "-")
        folder.mkdir()
        (folder / CARD).write_bytes((bundle / CARD).read_bytes())
        (folder / name).write_bytes(pickle.dumps(Attack()))
        refused(folder, name, "pickled weights are refused")
        with pytest.raises(ModelError, match="pickled weights are refused"):
            find_model(str(folder / name))
    # A pickle under the name of the weights, with a card that vouches for it.
    (bundle / WEIGHTS).write_bytes(pickle.dumps(Attack()))
    vouch(bundle)
    refused(bundle, WEIGHTS, "cannot be read")
    assert not ran.exists()


def vouch(folder: Path) -> None:
    """Write the sha256 of the weights as they are into the card."""
    import hashlib

    text = json.loads((folder / CARD).read_text())
    text["weights_sha256"] = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    (folder / CARD).write_text(json.dumps(text))


def test_weights_of_another_card_are_refused(bundle: Path) -> None:
    other = save_bundle(bundle.parent / "other", network(5), card())
    (bundle / WEIGHTS).write_bytes((other.folder / WEIGHTS).read_bytes())
    refused(bundle, WEIGHTS, "do not belong to the card", "expected sha256")


def test_every_flipped_bit_and_every_cut_is_noticed(bundle: Path) -> None:
    whole = (bundle / WEIGHTS).read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x10
        (bundle / WEIGHTS).write_bytes(bytes(damaged))
        refused(bundle, WEIGHTS)
    for size in (0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1):
        (bundle / WEIGHTS).write_bytes(whole[:size])
        refused(bundle, WEIGHTS)


def test_damaged_weights_with_a_fitting_checksum_are_still_refused(bundle: Path) -> None:
    whole = (bundle / WEIGHTS).read_bytes()
    for content in (b"", b"\xff" * 8 + b"{}", whole[: len(whole) // 2], b"PK\x03\x04" + whole):
        (bundle / WEIGHTS).write_bytes(content)
        vouch(bundle)
        refused(bundle, WEIGHTS, "cannot be read")


def test_weights_of_another_network_are_named(bundle: Path) -> None:
    from safetensors.torch import load_file, save_file

    def rewrite(change: Any) -> None:
        state = load_file(good)
        change(state)
        save_file(state, bundle / WEIGHTS)
        vouch(bundle)

    good = bundle.parent / "good.safetensors"
    good.write_bytes((bundle / WEIGHTS).read_bytes())
    rewrite(lambda s: s.pop("head.bias"))
    refused(bundle, "head.bias is missing")
    rewrite(lambda s: s.update(extra=torch.zeros(1)))
    refused(bundle, "extra is not a parameter")
    rewrite(lambda s: s.update({"head.bias": torch.zeros(2)}))
    refused(bundle, "head.bias is torch.float32 (2,)")
    rewrite(lambda s: s.update({"head.bias": torch.zeros(1, dtype=torch.int64)}))
    refused(bundle, "head.bias is torch.int64")
    rewrite(lambda s: s.update({"head.bias": torch.full((1,), float("nan"))}))
    refused(bundle, "head.bias holds numbers that are not finite")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(bands=[]), ("bands",)),
        (lambda c: c["bands"][0].update(name="B02"), ("has no band 'B02'",)),
        (lambda c: c["bands"][1].update(name="VV"), ("more than once",)),
        (lambda c: c["bands"][0].update(sensor="s9"), ("no sensor 's9'",)),
        (lambda c: c["bands"][0].update(std=0), ("bands.0.std",)),
        (lambda c: c["bands"][0].update(mean="NaN"), ("bands.0.mean",)),
        (lambda c: c.update(gsd_m=[20, 10]), ("range 20.0 to 10.0",)),
        (lambda c: c.update(temperature=-1), ("temperature",)),
        (lambda c: c.update(task="dance"), ("task",)),
        (
            lambda c: c.update(classes=[{"value": 0, "name": "a"}, {"value": 2, "name": "b"}]),
            ("0 (dry) and 1 (water)",),
        ),
        (lambda c: c.update(activation="relu"), ("activation",)),
        (lambda c: c.update(tile=100), ("tile",)),
        (lambda c: c.update(overlap=64), ("overlap 64 is not smaller",)),
        (lambda c: c.update(surprise=1), ("surprise",)),
        (lambda c: c.pop("trained_on"), ("trained_on",)),
        (lambda c: c.update(weights_sha256="zz"), ("weights_sha256",)),
        (lambda c: c["figures"][0].update(low=0.55), ("does not hold the value",)),
        (lambda c: c["network"].update(encoder="vgg"), ("network.encoder",)),
        (lambda c: c.update(name="../evil"), ("name",)),
    ],
)
def test_cards_with_faults_name_the_field(bundle: Path, change: Any, words: tuple[str, ...]) -> None:
    text = json.loads((bundle / CARD).read_text())
    change(text)
    (bundle / CARD).write_text(json.dumps(text))
    refused(bundle, CARD, *words)


def test_damaged_cards(bundle: Path) -> None:
    whole = (bundle / CARD).read_bytes()
    for content in (b"", b"{", whole[:100], b"\xff\xfe" + whole, b"[]", b"null", b"0" * (2 << 20)):
        (bundle / CARD).write_bytes(content)
        refused(bundle, CARD)
    (bundle / CARD).unlink()
    refused(bundle, CARD, "cannot be read")


def test_missing_parts(bundle: Path, tmp_path: Path) -> None:
    (bundle / WEIGHTS).unlink()
    refused(bundle, WEIGHTS, "missing")
    refused(tmp_path / "nowhere", "nowhere", "does not exist")
    (tmp_path / "file.txt").write_text("x")
    refused(tmp_path / "file.txt", "it is a file")


def test_models_are_found_by_name_and_by_folder(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMESCENE_MODELS", str(bundle.parent))
    assert "tiny" in [model.name for model in list_models()]
    assert find_model("tiny").folder == bundle
    assert find_model("tiny", task="flood").name == "tiny"
    assert find_model(str(bundle)).name == "tiny"
    with pytest.raises(ModelError, match="made for flood, expected one for landcover"):
        find_model("tiny", task="landcover")
    with pytest.raises(ModelError, match=r"no model 'tinny'; known models: .*tiny"):
        find_model("tinny")
    with pytest.raises(ModelError, match="none is installed"):
        find_model("tiny", folders=[])


def test_resolution_fits_with_tolerance() -> None:
    good = Card.model_validate({**card(), "network": {}, "weights_sha256": "0" * 64, "engine_version": "1"})
    assert gsd_fits(good, (10.0, 10.0)) and gsd_fits(good, (7.0, 30.0))
    assert not gsd_fits(good, (10.0, 60.0)) and not gsd_fits(good, (float("nan"), 10.0))


# -------------------------------------------------------------------------------------- encoders and two sensors


def encoder_card(**changes: Any) -> dict[str, Any]:
    return card(**{"task": "encoder", "classes": [], "activation": "none", "temperature": 1, "figures": [], **changes})


def two_sensor_card(**changes: Any) -> dict[str, Any]:
    bands = [*card()["bands"], {"sensor": "s2", "name": "B04", "unit": "reflectance", "mean": 0.1, "std": 0.1}]
    return card(**{"bands": bands, **changes})


def test_encoders_and_two_sensor_networks_travel_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = ResNet("resnet50", bands=2, width=0.0625).eval()
    saved = save_bundle(tmp_path / "encoder", encoder, encoder_card())
    both = TwoSensorSegmenter(s1_bands=2, s2_bands=1, classes=1, width=0.0625).eval()
    save_bundle(tmp_path / "both", both, two_sensor_card())
    save_bundle(tmp_path / "one", network(), card())
    assert saved.card.network.architecture == "resnet" and saved.card.network.encoder == "resnet50"
    with torch.inference_mode():
        x, y = torch.randn(1, 2, 64, 64), torch.randn(1, 1, 64, 64)
        assert torch.equal(load_bundle(tmp_path / "encoder").encoder()(x)[-1], encoder(x)[-1])
        assert torch.equal(load_bundle(tmp_path / "one").encoder()(x)[-1], network().encoder(x)[-1])
        assert torch.equal(load_bundle(tmp_path / "both").two_sensor()(x, y), both(x, y))
    for folder, method in (("encoder", "network"), ("both", "network"), ("one", "two_sensor"), ("both", "encoder")):
        with pytest.raises(ModelError, match=rf"{folder}: the network is a .*; expected"):
            getattr(load_bundle(tmp_path / folder), method)()
    with pytest.raises(ModelError, match="made for encoder, expected one for flood"):
        find_model(str(tmp_path / "encoder"), task="flood")


@pytest.mark.parametrize(
    ("made", "faulty", "words"),
    [
        (lambda: ResNet("resnet18", bands=2, width=0.0625), card(), "does not go with"),
        (network, encoder_card(), "does not go with"),
        (network, card(activation="none"), "does not go with"),
        (lambda: ResNet("resnet18", bands=2, width=0.0625), encoder_card(classes=card()["classes"]), "2 classes"),
        (network, card(classes=card()["classes"][:1]), "1 classes"),
        (lambda: TwoSensorSegmenter(s1_bands=2, s2_bands=1, classes=1, width=0.0625), card(), "bands of s1, then"),
        (
            lambda: TwoSensorSegmenter(s1_bands=2, s2_bands=1, classes=1, width=0.0625),
            two_sensor_card(network={"validity": True}),
            "no validity band",
        ),
    ],
)
def test_cards_that_do_not_go_with_their_network(tmp_path: Path, made: Any, faulty: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        save_bundle(tmp_path / "x", made(), faulty)


def test_weights_may_be_stored_in_half(tmp_path: Path) -> None:
    whole = save_bundle(tmp_path / "whole", network(), card())
    half = save_bundle(tmp_path / "half", network(), card(), half=True)
    sizes = [(bundle.folder / WEIGHTS).stat().st_size for bundle in (whole, half)]
    assert sizes[1] < 0.6 * sizes[0]
    loaded = half.network()
    assert {v.dtype for v in loaded.state_dict().values()} == {torch.float32, torch.int64}
    for key, value in network().state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[key], value, rtol=1e-3, atol=1e-4)
    large = network()
    large.encoder.bn1.running_var.fill_(1e6)
    with pytest.raises(ModelError, match=r"encoder\.bn1\.running_var holds numbers beyond float16"):
        save_bundle(tmp_path / "large", large, card(), half=True)
