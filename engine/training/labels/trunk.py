"""The network that describes pixels: of a pretrained land-cover model, fitted to the bands of the scene, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch

from engine.errors import ModelError
from engine.models.bundle import Bundle
from engine.models.card import BandInput, gsd_fits
from engine.models.onesensor import one_sensor
from engine.models.pixel import PixelSegmenter
from engine.models.segmenter import Segmenter
from engine.models.two_sensor import TwoSensorSegmenter
from engine.training.data.statistics import BandStatistics

Band = tuple[str, str]


@dataclass(frozen=True)
class Trunk:
    """``segmenter`` whose decoder features describe pixels, or None; ``inputs`` normalise the bands, in their order;
    ``name`` and ``sha256`` of the model it is from; ``note`` says why there is none, or which bands it does without."""

    segmenter: Segmenter | None
    inputs: tuple[BandInput, ...]
    name: str | None = None
    sha256: str | None = None
    note: str = ""

    def whole(self, classes: int, *, width: float) -> Segmenter:
        """A network to be trained whole: encoder and decoder of the trunk with a new head, or new weights and
        ``width`` where there is none."""
        if self.segmenter is None:
            return Segmenter(bands=len(self.inputs), classes=classes, width=width)
        made = Segmenter(bands=len(self.inputs), classes=classes, **_size(self.segmenter))
        made.encoder.load_state_dict(self.segmenter.encoder.state_dict())
        made.decoder.load_state_dict(self.segmenter.decoder.state_dict())
        return made

    def network(self, classes: int, *, waves: int) -> PixelSegmenter:
        """A new network with this trunk, the rest not fitted yet, in evaluation mode."""
        if self.segmenter is None:
            return PixelSegmenter(bands=len(self.inputs), classes=classes, waves=waves).eval()
        made = PixelSegmenter(bands=len(self.inputs), classes=classes, waves=waves, **_size(self.segmenter))
        if made.trunk is not None:
            state = {k: v for k, v in self.segmenter.state_dict().items() if not k.startswith("head.")}
            made.trunk.load_state_dict(state)
        return made.eval()


def _size(segmenter: Segmenter) -> dict[str, Any]:
    """What makes another network of the same size."""
    return {name: segmenter.settings()[name] for name in ("encoder", "width", "features")}


def no_trunk(bands: Sequence[Band], statistics: Mapping[str, BandStatistics], note: str = "") -> Trunk:
    """Bands normalised by the scene's own statistics, and nothing more."""
    return Trunk(None, _inputs(bands, statistics, {}), note=note)


def find_trunk(
    bundle: Bundle | None,
    bands: Sequence[Band],
    statistics: Mapping[str, BandStatistics],
    gsd_m: tuple[float, float],
) -> Trunk:
    """The trunk of ``bundle`` for a scene of ``bands`` of one sensor; none where the model cannot see the scene: no
    model, two sensors, another sensor or pixel size, or a band that the model cannot do without is missing.

    Bands that the model does not know pass its first convolution with weights of zero; of bands that the scene lacks
    the model sees their mean, as in training. Raises ModelError for damaged weights.
    """
    sensors = {sensor for sensor, _ in bands}
    if bundle is None:
        return no_trunk(bands, statistics, "no pretrained land-cover model is installed")
    card = bundle.card
    if len(sensors) != 1 or not sensors <= set(card.sensors):
        return no_trunk(bands, statistics, f"the model {card.name} does not map from these sensors")
    sensor = cast(Literal["s1", "s2"], next(iter(sensors)))
    own = [band for band in card.bands if band.sensor == sensor]
    missing = [b.name for b in own if not b.optional and (sensor, b.name) not in bands]
    if missing:
        return no_trunk(bands, statistics, f"the scene lacks {', '.join(missing)}, which the model {card.name} needs")
    if not gsd_fits(card, gsd_m):
        return no_trunk(
            bands, statistics, f"the model {card.name} is for pixels of {card.gsd_m[0]:g} to {card.gsd_m[1]:g} m"
        )
    if card.network.validity:
        return no_trunk(bands, statistics, f"the model {card.name} takes a validity band")
    network = bundle.module()
    if isinstance(network, TwoSensorSegmenter):
        network = one_sensor(network, sensor)
    if isinstance(network, PixelSegmenter):
        if network.trunk is None:
            return no_trunk(bands, statistics, f"the model {card.name} is of single pixels")
        network = network.trunk
    if isinstance(network, Segmenter) and network.indices is not None:
        return no_trunk(bands, statistics, f"the model {card.name} has indices of its own bands inside")
    if not isinstance(network, Segmenter):
        raise ModelError(f"{bundle.folder}: the model {card.name} is no network that maps.", remedy="Choose another.")
    known = {(band.sensor, band.name): band for band in own}
    return Trunk(
        _for_bands(network, [b.name for b in own], [name for _, name in bands]).eval().requires_grad_(False),
        _inputs(bands, statistics, known),
        name=card.name,
        sha256=bundle.sha256,
        note=_absent(own, bands),
    )


def _absent(own: Sequence[BandInput], bands: Sequence[Band]) -> str:
    absent = [band.name for band in own if (band.sensor, band.name) not in bands]
    return f"without {', '.join(absent)}" if absent else ""


def _inputs(
    bands: Sequence[Band], statistics: Mapping[str, BandStatistics], known: Mapping[Band, BandInput]
) -> tuple[BandInput, ...]:
    """The bands as a card has them: normalised as the model knows them, else by the scene's statistics."""
    of_scene = {(sensor, one.name): one for sensor, found in statistics.items() for one in found.inputs(sensor)}
    return tuple(known.get(band, of_scene[band]).model_copy(update={"optional": False}) for band in bands)


@torch.no_grad()
def _for_bands(network: Segmenter, own: list[str], wanted: list[str]) -> Segmenter:
    """The network for other bands: the first convolution keeps the weights of those it knows, the others have none."""
    encoder = network.encoder
    made = Segmenter(
        bands=len(wanted),
        classes=network.classes,
        encoder=encoder.name,
        width=encoder.width,
        features=network.features,
    )
    state = network.state_dict()
    stem = state["encoder.conv1.weight"]
    fitted = stem.new_zeros((stem.shape[0], len(wanted), *stem.shape[2:]))
    for place, name in enumerate(wanted):
        if name in own:
            fitted[:, place] = stem[:, own.index(name)]
    state = {**state, "encoder.conv1.weight": fitted}
    if isinstance(network.head, torch.nn.Identity):
        state |= {f"head.{k}": v for k, v in made.head.state_dict().items()}
    made.load_state_dict(state)
    return made
