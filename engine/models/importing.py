"""Published ResNet or ConvNeXt weights become an encoder bundle."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import ModelError, ParameterError
from engine.models.bundle import Bundle, save_bundle
from engine.models.card import is_name
from engine.models.convnext import ConvNext
from engine.models.convnext_weights import STEMS, convnext_of
from engine.models.foreign import read_weights
from engine.models.names import EncoderName
from engine.models.resnet import ResNet, load_encoder_state
from engine.outputs import ResultFolder
from engine.sensors import SENSORS

STEM = "conv1.weight"
_PROBE = "layer1.0.conv1.weight"
_COPIES = ("encoder_k", "momentum_encoder", "encoder_ema", "student")
"""Slow or lesser copies that checkpoints hold beside the encoder that is meant."""
_HEADS = {
    *("fc", "head", "heads", "classifier", "mlp", "last_layer", "queue", "queue_ptr"),
    *("projection", "projection_head", "projector", "predictor", "prediction_head", "prototypes"),
}
_DEPTHS: dict[tuple[bool, tuple[int, ...]], EncoderName] = {
    (False, (2, 2, 2, 2)): "resnet18",
    (False, (3, 4, 6, 3)): "resnet34",
    (True, (3, 4, 6, 3)): "resnet50",
}


@dataclass(frozen=True)
class Found:
    """The encoder in a file: under which ``prefix`` it stood, and the parts that were left out (heads)."""

    encoder: ResNet | ConvNext
    prefix: str
    dropped: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ImportRequest:
    """What to import. ``bands`` None: VV and VH for two bands of s1; the thirteen bands of L1C or the twelve of L2A.

    ``mean`` and ``std``, per band in dB (s1) or reflectance (s2), are those that the weights were trained with: with
    others an encoder gives noise, so there is no default. ``prefix`` chooses among several encoders in the file.
    """

    weights: Path
    out: Path
    sensor: str
    mean: Sequence[float]
    std: Sequence[float]
    licence: str
    trained_on: str
    bands: Sequence[str] | None = None
    prefix: str | None = None
    name: str | None = None
    title: str | None = None
    address: str = ""
    gsd_m: tuple[float, float] = (10.0, 10.0)
    overwrite: bool = False


def find_encoder(
    state: Mapping[str, Tensor], *, source: str, prefix: str | None = None, bands: int | None = None
) -> Found:
    """The ResNet-18, -34, -50 or ConvNeXt among the tensors; depth, width and bands are read off their shapes.

    Any prefix is found (``module.encoder_q.``, ``backbone.`` …); slow copies give way to the encoder that they
    follow, and with ``bands`` an encoder for that many is preferred. Classifier and projection heads are dropped.
    Raises ModelError when there is none, more than one, or its names or shapes are not those of such an encoder.
    """
    modern = _convnext(state, source=source, prefix=prefix)
    if modern is not None:
        return modern
    start = _choose(state, source=source, prefix=prefix, bands=bands)
    given = {key[len(start) :]: value for key, value in state.items() if key.startswith(start)}
    dropped = tuple(sorted({key.split(".")[0] for key in given} & _HEADS))
    given = {key: _plain(value, key, source) for key, value in given.items() if key.split(".")[0] not in _HEADS}
    stem = given[STEM]
    if stem.ndim != 4 or stem.shape[2:] != (7, 7):
        raise ModelError(
            f"{source}: {start}{STEM} has shape {tuple(stem.shape)}; a ResNet has a 7 × 7 convolution there."
        )
    blocks = tuple(
        len({key.split(".")[1] for key in given if re.match(rf"layer{stage}\.\d+\.", key)}) for stage in (1, 2, 3, 4)
    )
    deep = "layer1.0.conv3.weight" in given
    name = _DEPTHS.get((deep, blocks))
    if name is None:
        raise ModelError(
            f"{source}: a ResNet of {blocks} {'three' if deep else 'two'}-layer blocks is not supported; there are "
            f"{', '.join(_DEPTHS.values())}."
        )
    encoder = ResNet(name, bands=stem.shape[1], width=stem.shape[0] / 64).eval()
    load_encoder_state(encoder, given, source=source)
    return Found(encoder, start, dropped)


def _convnext(state: Mapping[str, Tensor], *, source: str, prefix: str | None) -> Found | None:
    """The one ConvNeXt among the tensors; None where there is none."""
    starts = sorted(
        key.removesuffix(stem) for key in state for stem in STEMS if key == stem or key.endswith(f".{stem}")
    )
    starts = [start for start in starts if f"{start}{STEM}" not in state]
    if not starts:
        return None
    start = starts[0] if len(starts) == 1 and prefix is None else _one_of(starts, state, source, prefix, None)
    given = {key[len(start) :]: value for key, value in state.items() if key.startswith(start)}
    dropped = tuple(sorted({key.split(".")[0] for key in given} & _HEADS))
    given = {key: _plain(value, key, source) for key, value in given.items() if key.split(".")[0] not in _HEADS}
    return Found(convnext_of(given, source=source), start, dropped)


def import_model(request: ImportRequest) -> tuple[Bundle, Found]:
    """Read the weights and write the bundle. Raises ModelError (see :func:`find_encoder` and
    :func:`engine.models.foreign.read_weights`), ParameterError for a request that does not fit the weights, and
    OutputError."""
    if request.sensor not in SENSORS:
        raise ParameterError(f"There is no sensor {request.sensor!r}; there are {', '.join(SENSORS)}.")
    name = request.name or Path(os.path.abspath(request.out)).name.lower()  # noqa: PTH100 - works for absent
    if not is_name(name):
        raise ParameterError(
            f"A model cannot be called {name!r}.", remedy="Use lower-case letters, digits, dots and hyphens."
        )
    source = str(request.weights)
    wanted = len(request.bands) if request.bands is not None else None
    found = find_encoder(read_weights(request.weights), source=source, prefix=request.prefix, bands=wanted)
    bands = _band_names(request, found.encoder.bands)
    for what, values in (("means", request.mean), ("standard deviations", request.std)):
        if len(values) != len(bands):
            raise ParameterError(f"{source}: {len(bands)} {what} are needed, one a band, found {len(values)}.")
    unit = "db" if request.sensor == "s1" else "reflectance"
    card: dict[str, Any] = {
        "name": name,
        "title": request.title or f"{found.encoder.name} for {SENSORS[request.sensor].title}, imported",
        "description": f"Imported from {request.weights.name}.",
        "licence": request.licence,
        "task": "encoder",
        "bands": [
            {"sensor": request.sensor, "name": band, "unit": unit, "mean": mean, "std": std}
            for band, mean, std in zip(bands, request.mean, request.std, strict=True)
        ],
        "gsd_m": request.gsd_m,
        "activation": "none",
        "trained_on": [{"name": request.trained_on, "licence": request.licence, "address": request.address}],
    }
    with ResultFolder(request.out, overwrite=request.overwrite) as folder:
        bundle = save_bundle(folder.path, found.encoder, card)
        target = folder.commit()
    return Bundle(target, bundle.card), found


def _choose(state: Mapping[str, Tensor], *, source: str, prefix: str | None, bands: int | None) -> str:
    starts = sorted(
        key.removesuffix(STEM)
        for key in state
        if (key == STEM or key.endswith(f".{STEM}")) and key.removesuffix(STEM) + _PROBE in state
    )
    if not starts:
        raise ModelError(
            f"{source}: no ResNet found: nothing is called {STEM} beside {_PROBE}.",
            remedy="Give weights of a ResNet-18, -34, -50 or a ConvNeXt with the usual parameter names.",
        )
    return _one_of(starts, state, source, prefix, bands)


def _one_of(starts: list[str], state: Mapping[str, Tensor], source: str, prefix: str | None, bands: int | None) -> str:
    """The prefix that is meant among ``starts``."""
    if prefix is not None:
        wanted = prefix.rstrip(".")
        chosen = [s for s in starts if s.rstrip(".") == wanted or s.rstrip(".").endswith(f".{wanted}")]
    else:
        chosen = [s for s in starts if not set(s.split(".")) & set(_COPIES)] or starts
        if len(chosen) > 1 and bands is not None:
            stems = {s: state.get(s + STEM) for s in chosen}
            chosen = [s for s, stem in stems.items() if stem is not None and stem.shape[1:2] == (bands,)] or chosen
    if len(chosen) != 1:
        listed = ", ".join(s.rstrip(".") or "(no prefix)" for s in starts)
        raise ModelError(
            f"{source}: {'no encoder' if not chosen else 'more than one encoder'} to choose; it holds {listed}.",
            remedy="Name one with --prefix.",
        )
    return chosen[0]


def _plain(value: Tensor, key: str, source: str) -> Tensor:
    """The tensor in float32 (counters in int64), checked to be of finite numbers."""
    counter = key.endswith("num_batches_tracked")
    numbers = value.is_floating_point() or counter
    if value.layout != torch.strided or value.is_quantized or value.is_meta or not numbers:
        raise ModelError(f"{source}: {key} is {value.dtype} ({value.layout}); expected plain floating-point numbers.")
    if not bool(torch.isfinite(value).all()):
        raise ModelError(f"{source}: {key} holds numbers that are not finite.")
    return value.long() if counter else value.float()


def _band_names(request: ImportRequest, count: int) -> list[str]:
    every = [band.name for band in SENSORS[request.sensor].bands]
    usual = {
        "s1": {2: ["VV", "VH"]},
        "s2": {13: every, 12: [band for band in every if band != "B10"]},
    }[request.sensor]
    if request.bands is None:
        if count not in usual:
            raise ParameterError(
                f"{request.weights}: the weights take {count} bands; which they are must be told.",
                remedy="Name them in order with --bands.",
            )
        return usual[count]
    if len(request.bands) != count:
        raise ParameterError(
            f"{request.weights}: the weights take {count} bands, {len(request.bands)} were named "
            f"({', '.join(request.bands)})."
        )
    unknown = [band for band in request.bands if band not in every]
    if unknown or len(set(request.bands)) != count:
        what = f"no band {unknown[0]!r}" if unknown else "bands stand twice"
        raise ParameterError(f"{SENSORS[request.sensor].title}: {what}; there are {', '.join(every)}.")
    return list(request.bands)
