"""What crops each method asks for and how large its descriptions are, known without a network: for plans and dialogs.

The describers take their scales from here; a test holds the rest against them.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.errors import ModelError, ParameterError
from engine.models.bundle import find_model, list_models
from engine.models.card import Card

AUTO, GEOMETRIC, FUSED = "auto", "geometric", "fused"
STARTER = "crossview"
CELL_M = {GEOMETRIC: 10.0, FUSED: 20.0, STARTER: 20.0}
"""Metres between cells where none are asked for; 30 for all others. A view that is turned fits only near its place, and
the starter model was trained with cameras up to 10 m off the middle of their tiles."""
DEFAULT_CELL_M = 30.0
GEOMETRIC_SCALES_M = (0.3, 0.5, 0.8)
LEARNED_SCALES_M = (0.2, 0.4, 0.8, 1.6)
"""Metres a pixel of the crops for models whose card tells no extent: one of them is near that of its training."""
_CUT_S, _NETWORK_S = 0.001, 0.002
_LAST_CHANNELS = {
    "resnet18": (64, 128, 256, 512),
    "resnet34": (64, 128, 256, 512),
    "resnet50": (256, 512, 1024, 2048),
    "convnext_tiny": (96, 192, 384, 768),
    "convnext_small": (96, 192, 384, 768),
    "convnext_base": (128, 256, 512, 1024),
}


@dataclass(frozen=True)
class Wanted:
    """One description of a cell: crops of ``side`` pixels at ``scales_m`` (all of them, or with ``one_scale`` the
    finest that the reference serves), ``scale_bytes`` a cell at each scale. ``crops_per_s``: about how many crops one
    core cuts and describes a second (processor seconds of 'engine locate index … --cell 5' less those of --cell 30 on
    a simulated city of 150 m; the geometric method and the starter model at a quarter width were measured, other widths
    follow from the square)."""

    layer: str
    side: int
    scales_m: tuple[float, ...]
    scale_bytes: int
    one_scale: bool
    crops_per_s: float


_GEOMETRIC = Wanted(GEOMETRIC, 240, GEOMETRIC_SCALES_M, 5760, True, 250.0)


def resolved(method: str) -> str:
    """``auto`` as what it means here: fused where the starter model is installed, else geometric; other names stay."""
    if method != AUTO:
        return method
    return FUSED if any(model.name == STARTER for model in list_models()) else GEOMETRIC


def default_cell_m(method: str) -> float:
    """Metres between cells of a resolved method where none are asked for."""
    return CELL_M.get(method, DEFAULT_CELL_M)


def wanted_by(method: str, *, precision: str = "float16") -> list[Wanted]:
    """What ``method`` (a resolved name, or a bundle's folder) asks for, what candidates are found by first. Raises
    ModelError for an unknown model, or one for another task."""
    if method == GEOMETRIC:
        return [_GEOMETRIC]
    bundle = find_model(STARTER if method == FUSED else method, task="crossview")
    learned = _learned(bundle.card, precision)
    return [learned, _GEOMETRIC] if method == FUSED else [learned]


def learned_scales_m(extent_m: float | None, side: int) -> tuple[float, ...]:
    """Scales of the crops of ``side`` pixels for a model trained on tiles of ``extent_m`` metres (None: not known)."""
    return LEARNED_SCALES_M if extent_m is None else (round(extent_m / side, 6),)


def _learned(card: Card, precision: str) -> Wanted:
    if card.crossview is None:
        raise ModelError(f"{card.name}: the card tells no inputs of a cross-view model.", remedy="Use another model.")
    overhead, network = card.crossview.overhead, card.network
    side = int(overhead.size[0])
    dim = network.maps * _last_channels(network.encoder, network.width, network.stages)
    scales = learned_scales_m(overhead.extent_m, side)
    rate = 1 / (_CUT_S + _NETWORK_S * (network.width / 0.25) ** 2)
    return Wanted("learned", side, scales, dim * (2 if precision == "float16" else 4), False, rate)


def _last_channels(encoder: str, width: float, stages: int) -> int:
    published = _LAST_CHANNELS[encoder][stages - 1]
    expansion = 4 if encoder == "resnet50" else 1
    return max(1, round(published // expansion * width)) * expansion


def asked_scales(text: str | None) -> tuple[float, ...] | None:
    """Metres a pixel from a list such as ``0.2,0.4``; None where none are asked for. Raises ParameterError."""
    if text is None:
        return None
    try:
        found = tuple(sorted({float(part) for part in text.replace(";", ",").split(",")}))
    except ValueError:
        found = ()
    if not found or not all(0.02 <= scale <= 50 for scale in found):
        raise ParameterError(
            f"--scales {text!r} is no list of metres a pixel from 0.02 to 50.", remedy="Write for example 0.2,0.4,0.8."
        )
    return found
