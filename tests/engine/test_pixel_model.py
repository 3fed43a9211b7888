"""The network of a pixel head, one sensor of a two-sensor network, and the user's folder of models."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.errors import ModelError, ParameterError
from engine.models.bundle import find_model, list_models, load_bundle, save_bundle
from engine.models.library import register, remove, user_models_folder
from engine.models.onesensor import one_sensor
from engine.models.pixel import PixelSegmenter, mean_around
from engine.models.two_sensor import TwoSensorSegmenter

CARD = {
    "name": "fields",
    "title": "Fields",
    "licence": "CC0-1.0",
    "task": "landcover",
    "bands": [{"sensor": "s2", "name": n, "unit": "reflectance", "mean": 0.1, "std": 0.1} for n in ("B03", "B08")],
    "gsd_m": [10, 10],
    "classes": [{"value": 1, "name": "a", "color": "#112233"}, {"value": 7, "name": "b"}],
    "activation": "softmax",
    "trained_on": [],
}


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("sys.platform", "linux")
    return tmp_path / "data" / "samescene" / "models"


def shaken(network):
    """Every parameter and buffer drawn anew, so that nothing is one or zero by chance."""
    generator = torch.Generator().manual_seed(1)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.randn(value.shape, generator=generator) * 0.3)
            if name.endswith(("running_var", "spread")):
                value.abs_().add_(0.5)
    return network.eval()


def test_what_is_known_of_a_pixel_is_brute_force():
    x = torch.randn(1, 2, 9, 10, generator=torch.Generator().manual_seed(0))
    network = PixelSegmenter(bands=2, classes=3)
    known = network.describe(x)[0].numpy()
    values = x[0].numpy()
    for row, col in ((0, 0), (4, 5), (8, 9), (0, 6)):
        for band in range(2):
            near = values[band, max(0, row - 1) : row + 2, max(0, col - 1) : col + 2]
            wide = values[band, max(0, row - 3) : row + 4, max(0, col - 3) : col + 4]
            told = known[:, row, col].reshape(4, 2)[:, band]
            assert np.allclose(told, [values[band, row, col], near.mean(), wide.mean(), wide.std()], atol=1e-5)
    assert torch.allclose(mean_around(torch.ones(1, 1, 5, 5), 7), torch.ones(1, 1, 5, 5))


@pytest.mark.parametrize("waves", [0, 6])
@pytest.mark.parametrize("encoder", [None, "resnet18"])
def test_a_pixel_bundle_comes_back_as_it_was(tmp_path, encoder, waves):
    network = shaken(PixelSegmenter(bands=2, classes=2, encoder=encoder, width=0.0625, waves=waves))
    bundle = save_bundle(tmp_path / "b", network, dict(CARD))
    assert bundle.card.network.architecture == ("pixel" if encoder is None else "pixel-unet")
    x = torch.randn(1, 2, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        again = load_bundle(tmp_path / "b").mapper()(x)
        assert torch.equal(again, network(x))
        logits = network.head(
            torch.cat([z := (network.describe(x) - network.centre[:, None, None]) / network.spread[:, None, None]]
                      + ([(2 / waves) ** 0.5 * torch.cos(network.wave(z))] if waves else []), 1)
        )  # fmt: skip
    assert torch.allclose(again, logits, atol=1e-5)


def test_a_pixel_bundle_is_exported(tmp_path):
    pytest.importorskip("onnxruntime")
    from engine.models.exporting import export_onnx

    network = shaken(PixelSegmenter(bands=2, classes=2, encoder="resnet18", width=0.0625, waves=6))
    bundle = save_bundle(tmp_path / "b", network, dict(CARD))
    assert export_onnx(bundle, tmp_path / "b.onnx").difference < 1e-3


@pytest.mark.parametrize("sensor", ["s1", "s2"])
def test_one_sensor_of_two_is_exact(sensor):
    network = shaken(TwoSensorSegmenter(s1_bands=2, s2_bands=3, classes=4, width=0.0625))
    alone = one_sensor(network, sensor)
    x = torch.randn(2, 2 if sensor == "s1" else 3, 64, 96, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        assert torch.allclose(alone(x), network(**{sensor: x}), rtol=1e-3, atol=1e-3)


def test_the_users_folder_is_where_the_system_keeps_data(tmp_path):
    home = {"HOME": "/home/u"}
    assert user_models_folder(home, "linux").as_posix() == "/home/u/.local/share/samescene/models"
    assert user_models_folder({**home, "XDG_DATA_HOME": "/d"}, "linux").as_posix() == "/d/samescene/models"
    assert user_models_folder({**home, "XDG_DATA_HOME": "relative"}, "linux").as_posix().startswith("/home/u/.local")
    mac = user_models_folder(home, "darwin").as_posix()
    assert mac == "/home/u/Library/Application Support/samescene/models"
    windows = user_models_folder({"APPDATA": "C:/Users/u/AppData/Roaming"}, "win32").as_posix()
    assert windows == "C:/Users/u/AppData/Roaming/samescene/models"


def test_a_model_is_registered_listed_and_removed(tmp_path, own_folder):
    save_bundle(tmp_path / "b", shaken(PixelSegmenter(bands=2, classes=2)), dict(CARD))
    target = register(tmp_path / "b", "my-fields")
    assert target == own_folder / "my-fields"
    assert find_model("my-fields", task="landcover").card.name == "my-fields"
    assert "my-fields" in {model.name for model in list_models()}
    with pytest.raises(ParameterError, match="there is a model of this name already"):
        register(tmp_path / "b", "my-fields")
    register(tmp_path / "b", "my-fields", overwrite=True)
    assert [path.name for path in own_folder.iterdir()] == ["my-fields"]
    assert remove("my-fields") == target
    assert not target.exists()
    with pytest.raises(ModelError, match="There is no model 'my-fields' of the user's own; there are: none"):
        remove("my-fields")


def test_names_that_cannot_be_taken(tmp_path, own_folder):
    save_bundle(tmp_path / "b", PixelSegmenter(bands=2, classes=2), dict(CARD))
    with pytest.raises(ParameterError, match="is no name for a model"):
        register(tmp_path / "b", "../x")
    with pytest.raises(ParameterError, match="flood-s1 belongs to a model that is not the user's"):
        register(tmp_path / "b", "flood-s1", overwrite=True)
    with pytest.raises(ModelError, match="no model 'flood-s1' of the user's own"):
        remove("flood-s1")
    with pytest.raises(ModelError):
        remove("..")
    assert not own_folder.exists()


def test_a_folder_with_other_files_is_left_alone(tmp_path, own_folder):
    save_bundle(tmp_path / "b", PixelSegmenter(bands=2, classes=2), dict(CARD))
    folder = register(tmp_path / "b", "mine")
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ModelError, match=r"notes.txt, which is no part of a model"):
        remove("mine")
    assert find_model("mine").name == "mine"
