"""A bundle as one ONNX file that takes values in the units of the card and gives probabilities."""

from __future__ import annotations

import inspect
import json
import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from engine.errors import MissingExtraError, ModelError
from engine.models.build import AnyNetwork
from engine.models.bundle import Bundle
from engine.models.card import BandInput, Card
from engine.models.convnext import ConvNext
from engine.models.resnet import ResNet
from engine.models.two_sensor import TwoSensorSegmenter
from engine.resultfile import ResultFile

OPSET = 17
LARGEST_DIFFERENCE = 1e-3


@dataclass(frozen=True)
class Export:
    """The file that was made; ``difference``: the largest between onnxruntime and torch on a drawn input, as a share
    of the largest value."""

    path: Path
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    difference: float


class Portable(nn.Module):
    """The network of a card with all that stands around it: normalisation, missing values, temperature, activation.

    Takes (N, bands, H, W) in the units of the card, NaN where missing (one tensor for each sensor if the network
    has two encoders), H and W multiples of 32; gives probabilities (N, outputs, H, W), or the features at strides 2
    to 32 of an encoder. Equal to what the engine's streaming inference computes for one tile; where all bands are
    missing a value says nothing.
    """

    def __init__(self, network: AnyNetwork, card: Card) -> None:
        super().__init__()
        self.network, self.activation, self.temperature = network, card.activation, card.temperature
        self.validity = card.network.validity
        for name, bands in _groups(card).items():
            for part in ("mean", "std"):
                values = torch.tensor([getattr(band, part) for band in bands], dtype=torch.float32)
                self.register_buffer(f"{name}_{part}", values[None, :, None, None])

    def forward(self, *scenes: Tensor) -> Tensor | list[Tensor]:
        if isinstance(self.network, TwoSensorSegmenter):
            (s1, valid1), (s2, valid2) = (
                self._normalised(x, name) for x, name in zip(scenes, ("s1", "s2"), strict=True)
            )
            return self._activated(self.network(s1, s2, valid1, valid2))
        x, valid = self._normalised(scenes[0], "values")
        x = torch.cat([x, valid.to(x.dtype)], dim=1) if self.validity else x
        if isinstance(self.network, (ResNet, ConvNext)):
            return list(self.network(x))
        return self._activated(self.network(x))

    def _normalised(self, x: Tensor, name: str) -> tuple[Tensor, Tensor]:
        present = ~torch.isnan(x)
        x = (x - self.get_buffer(f"{name}_mean")) / self.get_buffer(f"{name}_std")
        counts = present.to(x.dtype).sum(1, keepdim=True)
        return torch.where(present, x, torch.zeros_like(x)), counts > 0

    def _activated(self, logits: Tensor) -> Tensor:
        logits = logits / self.temperature
        return torch.sigmoid(logits) if self.activation == "sigmoid" else torch.softmax(logits, 1)


def export_onnx(bundle: Bundle, path: str | os.PathLike[str]) -> Export:
    """Write ``path`` (replaced if it exists), with free numbers of images, rows and columns, and prove it.

    The file carries the card as metadata. It is run by onnxruntime beside torch before it is moved into place. Raises
    MissingExtraError without the extra ``export``, ModelError when the weights are unsound or the two disagree,
    OutputError when the file cannot be written.
    """
    onnx, runtime = _extra()
    card = bundle.card
    if card.crossview is not None:
        raise ModelError(f"{bundle.folder}: a cross-view model has two inputs of photos and is not exported.")
    network = Portable(bundle.module(), card).eval()
    inputs = tuple(_groups(card))
    strides = range(2, 6) if card.network.architecture == "convnext" else range(1, 6)
    outputs = tuple(f"stride{2**n}" for n in strides) if card.task == "encoder" else ("probabilities",)
    with ResultFile(path) as file:
        model = onnx.load_model_from_string(_traced(network, card, inputs, outputs))
        _describe(onnx, model, bundle)
        onnx.checker.check_model(model)
        content: bytes = model.SerializeToString()
        difference = _proven(runtime, content, network, card, str(path))
        target = file.commit(content)
    return Export(target, inputs, outputs, difference)


def _groups(card: Card) -> dict[str, list[BandInput]]:
    """Name of each input → its bands."""
    if card.network.architecture == "two-sensor-unet":
        return {sensor: [band for band in card.bands if band.sensor == sensor] for sensor in card.sensors}
    return {"values": list(card.bands)}


def _example(card: Card, size: tuple[int, int, int], *, seed: int) -> tuple[Tensor, ...]:
    """Plausible values of every band, without missing ones."""
    generator = torch.Generator().manual_seed(seed)
    count, rows, cols = size
    found = []
    for bands in _groups(card).values():
        mean, std = (torch.tensor([getattr(b, part) for b in bands])[None, :, None, None] for part in ("mean", "std"))
        found.append(torch.randn(count, len(bands), rows, cols, generator=generator) * std + mean)
    return tuple(found)


def _traced(network: Portable, card: Card, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    free = {0: "images", 2: "rows", 3: "columns"}
    axes = dict.fromkeys(inputs, free) | {
        name: free if name == "probabilities" else {0: "images", 2: f"rows_{name}", 3: f"columns_{name}"}
        for name in outputs
    }
    keywords: dict[str, Any] = {"input_names": list(inputs), "output_names": list(outputs), "dynamic_axes": axes}
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        keywords["dynamo"] = False  # the newer exporter needs one more package and fixes the number of images
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        path = Path(folder) / "traced.onnx"
        torch.onnx.export(network, _example(card, (2, 64, 96), seed=0), str(path), opset_version=OPSET, **keywords)
        return path.read_bytes()


def _describe(onnx: Any, model: Any, bundle: Bundle) -> None:
    card = bundle.card
    model.producer_name, model.producer_version = "samescene", card.engine_version
    model.doc_string = (
        f"{card.title}. Values in the units of the card, NaN where missing; rows and columns are multiples of 32."
    )
    onnx.helper.set_model_props(
        model,
        {
            "name": card.name,
            "licence": card.licence,
            "weights_sha256": card.weights_sha256,
            "card": json.dumps(card.model_dump(mode="json"), ensure_ascii=False),
        },
    )


def _proven(runtime: Any, content: bytes, network: Portable, card: Card, path: str) -> float:
    """The largest difference between the two, at another size than the traced one and with missing values."""
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    scenes = [x.clone() for x in _example(card, (1, 96, 64), seed=1)]
    scenes[0][..., :16, :] = torch.nan
    with torch.inference_mode():
        result = network(*scenes)
    wanted = result if isinstance(result, list) else [result]
    got = session.run(None, {i.name: x.numpy() for i, x in zip(session.get_inputs(), scenes, strict=True)})
    worst = 0.0
    for one, other in zip(wanted, got, strict=True):
        scale = float(one.abs().max()) or 1.0
        worst = max(worst, float((torch.from_numpy(other) - one).abs().max()) / scale)
    if not worst <= LARGEST_DIFFERENCE:
        raise ModelError(
            f"{path}: the exported model differs from the bundle by {worst:.2g}; expected at most {LARGEST_DIFFERENCE}."
        )
    return worst


def _extra() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError(
            f"Exporting needs the package {error.name}, which is not installed.",
            remedy="Install the engine with its extra: pip install 'samescene[export]'.",
        ) from error
    return onnx, onnxruntime
