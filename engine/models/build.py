"""Networks from cards, and what a card says of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from engine.models.convnext import ConvNext
from engine.models.crossview import CrossViewNetwork
from engine.models.indices import Indices
from engine.models.names import ConvNextName
from engine.models.pixel import PixelSegmenter
from engine.models.resnet import ResNet
from engine.models.segmenter import Segmenter
from engine.models.two_sensor import TwoSensorSegmenter

if TYPE_CHECKING:
    from engine.models.card import Card

AnyNetwork = Segmenter | TwoSensorSegmenter | PixelSegmenter | ResNet | ConvNext | CrossViewNetwork


def build(card: Card) -> AnyNetwork:
    """The network that the card describes, with new weights, in evaluation mode."""
    size: dict[str, Any] = {"encoder": card.network.encoder, "width": card.network.width}
    depth = card.network.depth
    if card.crossview is not None:
        return CrossViewNetwork(
            **size,
            depth=depth,
            stages=card.network.stages,
            maps=card.network.maps,
            rings=card.network.rings,
            ground_size=card.crossview.ground.size,
            overhead_size=card.crossview.overhead.size,
        ).eval()
    if card.network.architecture in ("resnet", "convnext"):
        kind: Any = ConvNext if card.network.encoder in get_args(ConvNextName) else ResNet
        more = {"depth": depth} if kind is ConvNext else {}
        alone: ResNet | ConvNext = kind(card.network.encoder, bands=card.inputs, width=card.network.width, **more)
        return alone.eval()
    size["features"] = card.network.features
    if card.network.architecture == "two-sensor-unet":
        s1 = sum(band.sensor == "s1" for band in card.bands)
        return TwoSensorSegmenter(s1_bands=s1, s2_bands=len(card.bands) - s1, classes=card.outputs, **size).eval()
    if card.network.architecture in ("pixel", "pixel-unet"):
        trunk = size if card.network.architecture == "pixel-unet" else {}
        waves = card.network.waves
        return PixelSegmenter(bands=card.inputs, classes=card.outputs, waves=waves, **trunk).eval()
    indices = None
    if card.network.indices:
        indices = Indices(*zip(*((band.name, band.mean, band.std) for band in card.bands), strict=True))
    return Segmenter(bands=card.inputs, classes=card.outputs, indices=indices, **size).eval()


def describe(network: AnyNetwork) -> dict[str, Any]:
    """Architecture, encoder and width as the card's ``network`` has them."""
    if isinstance(network, ResNet):
        return {"architecture": "resnet", "encoder": network.name, "width": network.width}
    if isinstance(network, ConvNext):
        return {
            "architecture": "convnext",
            "encoder": network.name,
            "width": network.width,
            "depth": network.depth,
        }
    if isinstance(network, CrossViewNetwork):
        told = network.settings()
        kept = ("encoder", "width", "depth", "stages", "maps", "rings")
        return {"architecture": "crossview"} | {k: told[k] for k in kept}
    if isinstance(network, PixelSegmenter):
        found: dict[str, Any] = {"architecture": "pixel" if network.trunk is None else "pixel-unet"}
        if network.trunk is not None:
            found |= {"encoder": network.trunk.encoder.name, "width": network.trunk.encoder.width}
            found |= {"features": network.trunk.features}
        return found | {"waves": network.waves}
    architecture = "two-sensor-unet" if isinstance(network, TwoSensorSegmenter) else "resnet-unet"
    settings = network.settings()
    told = {"architecture": architecture} | {name: settings[name] for name in ("encoder", "width", "features")}
    return told | {"indices": isinstance(network, Segmenter) and network.indices is not None}


def sizes(network: AnyNetwork) -> tuple[int, int]:
    """Input bands and outputs; an encoder and a cross-view network have none of the latter."""
    if isinstance(network, CrossViewNetwork):
        return 3, 0
    return network.bands, 0 if isinstance(network, (ResNet, ConvNext)) else network.classes
